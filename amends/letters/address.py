"""Whether a letter can go to an address, by a check far stricter than what mail allows.

smtplib would send `<a b@c>`, `<>` and a NUL as they are.
"""

from __future__ import annotations

import re
from typing import Final

import idna

from amends.kernel.errors import Refused
from amends.kernel.text import clean

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")  # dot-atom, RFC 5322 3.2.3
_LOCAL_UTF8: Final = re.compile(
    r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]|[^\W_])+(?:\.(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]|[^\W_])+)*"
)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")


class CannotAnswer(Refused):
    """No letter can go to this address."""


def sendable(address: str, *, smtputf8: bool = False) -> str:
    """`address` as an envelope can carry it: a dot-atom, one @, at most 254 octets, the domain in its ASCII form.

    Letters outside ASCII before the @ need SMTPUTF8 (RFC 6531): they pass only with `smtputf8`.  Raises CannotAnswer.
    Sources: RFC 5321 4.5.3.1 (lengths), RFC 5322 3.4.1 (form), RFC 5891 (the domain).
    """
    shown = clean(address, identifier=True, limit=120).text
    local, at, domain = address.partition("@")
    if not at or "@" in domain or not local or not domain:
        raise CannotAnswer(f"'{shown}' is not an e-mail address; correct the complainant's address.")
    if not local.isascii():
        if not _LOCAL_UTF8.fullmatch(local):
            raise CannotAnswer(f"'{shown}' has characters before the @ that no address may have; correct the address.")
        if not smtputf8:
            raise CannotAnswer(
                f"'{shown}' has letters before the @ that need SMTPUTF8, which the mail server does not offer; "
                "ask the complainant for another address."
            )
    elif not _LOCAL.fullmatch(local):
        raise CannotAnswer(f"'{shown}' has characters before the @ that we do not send to; correct the address.")
    domain = _ascii_domain(domain, shown)
    if len(local.encode()) > 64 or len(local.encode()) + 1 + len(domain) > 254:
        raise CannotAnswer(f"'{shown}' is longer than an e-mail address may be; correct the address.")
    return f"{local}@{domain}"


def _ascii_domain(domain: str, shown: str) -> str:
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True, std3_rules=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as wrong:
            raise CannotAnswer(f"'{shown}' has no valid domain behind the @; correct the address.") from wrong
    domain = domain.lower()
    if not _DOMAIN.fullmatch(domain):
        raise CannotAnswer(f"'{shown}' has no valid domain behind the @; correct the address.")
    return domain
