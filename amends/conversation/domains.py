"""Which addresses are one machine's: parts that change from mail to mail, and domains that many people share.  Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

# Providers of mail to the public, with all their national domains.  Whoever writes from there has nothing in common.
_PROVIDERS: Final = re.compile(
    r"(?:(?:gmail|googlemail|icloud|me|mac|aol|aim|gmx|web|freenet|arcor|hotmail|outlook|live|msn|passport|yahoo|ymail"
    r"|rocketmail|myyahoo|proton|protonmail|pm|tutanota|tuta|fastmail|zoho|zohomail|mailbox|posteo|mail|email|inbox|hey"
    r"|t-online|vodafone|vodafonemail|o2online|o2|1und1|online|kabelmail|unitybox|orange|wanadoo|free|laposte|sfr|neuf"
    r"|bbox|numericable|libero|virgilio|tiscali|alice|tim|tin|telefonica|movistar|terra|uol|bol|ig|globo|ziggo|kpnmail"
    r"|kpnplanet|planet|hetnet|xs4all|telenet|skynet|proximus|bluewin|sunrise|hispeed|aon|chello|btinternet|btopenworld"
    r"|talktalk|sky|virginmedia|ntlworld|blueyonder|plusnet|tesco|comcast|verizon|att|sbcglobal|bellsouth|cox|charter"
    r"|spectrum|earthlink|juno|rogers|shaw|telus|sympatico|bigpond|optusnet|iinet|xtra|telia|comhem|tele2|bredband"
    r"|broadpage|getmail|jubii|stofanet|luukku|kolumbus|elisanet|suomi24|wp|onet|o2|interia|op|poczta"
    r"|seznam|centrum|atlas|azet|post|freemail|citromail|abv|dir|yandex|ya|rambler|bk|list|ukr|i|qq|163|126|sina|sohu"
    r"|foxmail|aliyun|naver|daum|hanmail|nate|docomo|ezweb|softbank|nifty|biglobe|ocn|so-net|rediffmail|walla)"
    r"\.(?:[a-z]{2,4}|(?:co|com|ne|or|org|net)\.[a-z]{2}|ne\.jp|email))"
    r"|(?:[a-z]+\.)?(?:btinternet\.com|privaterelay\.appleid\.com|duck\.com|mozmail\.com|simplelogin\.com)"
)

# A number of five digits or more, or what a program draws by lot, between signs that part it from the rest.
_DRAWN: Final = re.compile(
    r"(?<![^\W_])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{5,}|(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,})(?![^\W_])"
)
_TAG: Final = "+"

# Providers with whom one mailbox is written in many ways: the domains that are one, and the signs that do not count.
_ONE_MAILBOX: Final = {
    "gmail.com": (("gmail.com", "googlemail.com"), "."),
    "proton.me": (("proton.me", "protonmail.com", "pm.me"), ".-_"),
}
_SPELT: Final = {domain: one for one, (domains, _) in _ONE_MAILBOX.items() for domain in domains}
# What stands below a country where names are given out one level deeper: co.uk, com.au, nhs.uk.
_BELOW_A_COUNTRY: Final = re.compile(
    r"(?:[^.]+\.)*?([^.]+\.(?:ac|co|com|edu|go|gob|gov|gouv|gv|id|ltd|me|mil|ne|net|nhs|nom|or|org|plc|police|sch)\.[a-z]{2})"
)


def is_shared(domain: str, more: Collection[str] = ()) -> bool:
    """Whether people who know nothing of each other have addresses in `domain`; `more` are such, in lower case."""
    return domain in more or _PROVIDERS.fullmatch(domain) is not None


def crowd(domain: str, more: Collection[str] = ()) -> str:
    """The domain that stands for this one and all those beside and below it, which one owner can make at will.

    As near as can be told without a list of all suffixes; below a domain that many share each is its owner's.
    """
    deeper = _BELOW_A_COUNTRY.fullmatch(domain)
    owned = deeper[1] if deeper else ".".join(domain.split(".")[-2:])
    return domain if is_shared(owned, more) else owned


def essence(address: str) -> str:
    """The address without what a machine changes from mail to mail: `+tags`, and (not at providers of mail to the
    public, where numbers are people's) long numbers and hashes between signs, which become `#`.  Where a provider
    brings many spellings to one mailbox, one of them stands for all.
    """
    local, _, domain = address.lower().rpartition("@")
    if bare := local.split(_TAG, 1)[0]:
        local = bare
    if (one := _SPELT.get(domain)) is not None:
        _, ignored = _ONE_MAILBOX[one]
        return f"{local.translate(str.maketrans('', '', ignored)) or local}@{one}"
    if not is_shared(domain):
        local = _DRAWN.sub("#", local)
    return f"{local}@{domain}"


def looks_like(one: str) -> list[str]:
    """The pieces that every address of the essence `one` has, in order, with anything between; others may have them."""
    local, _, domain = one.rpartition("@")
    return [*local, "@", ""] if domain in _ONE_MAILBOX else [*local.split("#"), f"@{domain}"]
