"""Signed names: by them a mail that comes back proves which case and which letter it speaks of.

Each is readable and carries a MAC over what it says (HMAC-SHA-256, cut, RFC 2104 section 5), with a purpose in it, so
that none can be used as another.  All are compared in lower case, since mail systems change the case of both local
parts and Message-IDs, and in constant time.  The key never leaves the store.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from typing import Final, NamedTuple

from amends.kernel.errors import ConfigError
from amends.kernel.refs import CaseRef

_LOCAL_PART: Final = 64  # RFC 5321 4.5.3.1.1, octets
_ID_MAC: Final = 16  # base32 letters: 80 bits; there is room in a Message-ID
_ADDRESS_MAC: Final = 13  # 65 bits; a local part is short, and every guess costs a mail

_SERIAL = r"([a-z][a-z0-9]{0,7})-(\d{4})-(\d{6,9})"
_KIND = r"([a-z][a-z0-9-]{0,39})"
_MESSAGE_ID: Final = re.compile(rf"{_SERIAL}-(\d\d)\.{_KIND}\.([1-9]\d{{0,8}})\.([a-z2-7]{{16}})\.amends@[^@\s<>]+")
_REPLY: Final = re.compile(rf"{_SERIAL}\.([a-z2-7]{{13}})")
_LETTER: Final = re.compile(rf"([br])\.{_SERIAL}\.{_KIND}\.([1-9]\d{{0,8}})\.([a-z2-7]{{13}})")

# A local part has 64 octets for everything, so the longest names are written short in it.
_SHORT: Final = {
    "acknowledgement": "ack",
    "progress-update": "upd",
    "holding": "hold",
    "final-response": "final",
    "status-answer": "stat",
    "too-large": "large",
    "staff-warning": "warn",
    "staff-escalation": "esc",
    "staff-digest": "dig",
}
_LONG: Final = {short: kind for kind, short in _SHORT.items()}


class LetterName(NamedTuple):
    """What names one letter: the case's reference, the kind, and which one of that kind (from 1)."""

    reference: str
    kind: str
    n: int


def _mac(key: bytes, purpose: str, said: str, letters: int) -> str:
    digest = hmac.digest(key, f"amends {purpose}\0{said}".encode(), "sha256")
    return b32encode(digest).decode("ascii").lower()[:letters]


def _agrees(mac: str, key: bytes, purpose: str, said: str) -> bool:
    return hmac.compare_digest(mac, _mac(key, purpose, said, len(mac)))


def message_id(reference: CaseRef | str, kind: str, n: int, key: bytes, domain: str) -> str:
    """The Message-ID of that letter, without angle brackets; always the same, so that a retry is the same letter.

    `nw-2026-000042-17.acknowledgement.1.<mac>.amends@<domain>`; form: RFC 5322 3.6.4.
    """
    said = f"{reference}.{kind}.{n}".lower()
    return f"{said}.{_mac(key, 'message-id', said, _ID_MAC)}.amends@{domain}"


def verify_message_id(message_id: str, key: bytes) -> LetterName | None:
    """The letter that a Message-ID of ours names (with or without angle brackets); None for any other."""
    text = message_id.strip().removeprefix("<").removesuffix(">").lower()
    found = _MESSAGE_ID.fullmatch(text) if len(text) <= 998 and text.isascii() else None
    if found is None or not _agrees(found[7], key, "message-id", text[: found.end(6)]):
        return None
    return LetterName(text[: found.end(4)].upper(), found[5], int(found[6]))


def plus_token(reference: CaseRef | str, key: bytes) -> str:
    """The token that a Reply-To carries behind the plus: the case, signed."""
    said = _without_check_digits(reference)
    return f"{said}.{_mac(key, 'reply', said, _ADDRESS_MAC)}"


def plus_address(reference: CaseRef | str, own_address: str, key: bytes) -> str:
    """`complaints+TOKEN@domain`, the Reply-To: an answer to it names its case.

    Raises ConfigError if our own address is too long to carry a token.
    """
    return _tagged(own_address, plus_token(reference, key))


def verify_plus_address(address: str, own_address: str, key: bytes) -> str | None:
    """The reference of the case that a mail to `address` (an answer to a letter of ours) speaks of, or None."""
    token = _tag(address, own_address)
    found = _REPLY.fullmatch(token) if token else None
    if found is None or not _agrees(found[4], key, "reply", token[: found.end(3)]):
        return None
    return _reference(found[1], found[2], found[3])


def bounce_address(message_id: str, own_address: str, key: bytes) -> str:
    """The envelope sender of the letter of that Message-ID (`complaints+b.TOKEN@domain`): a bounce comes home to it.

    Raises ConfigError if our own address is too long to carry a token, ValueError if the Message-ID is not ours.
    """
    return _tagged(own_address, _letter_token("b", message_id, key))


def verify_bounce_address(address: str, own_address: str, key: bytes) -> str | None:
    """The Message-ID of the letter whose envelope sender `address` is, or None."""
    return _letter(address, own_address, key, "b")


def receipt_address(message_id: str, own_address: str, key: bytes) -> str:
    """Where the copy of that letter goes that proves its acceptance (`complaints+r.TOKEN@domain`); raises as above."""
    return _tagged(own_address, _letter_token("r", message_id, key))


def verify_receipt_address(address: str, own_address: str, key: bytes) -> str | None:
    """The Message-ID of the letter whose receipt copy was sent to `address`, or None."""
    return _letter(address, own_address, key, "r")


def _letter_token(purpose: str, message_id: str, key: bytes) -> str:
    found = _MESSAGE_ID.fullmatch(message_id)
    if found is None:
        raise ValueError(f"{message_id!r} is not a Message-ID of ours")
    said = f"{found[1]}-{found[2]}-{found[3]}.{_SHORT.get(found[5], found[5])}.{found[6]}"
    return f"{purpose}.{said}.{_mac(key, purpose, said, _ADDRESS_MAC)}"


def _letter(address: str, own_address: str, key: bytes, purpose: str) -> str | None:
    token = _tag(address, own_address)
    found = _LETTER.fullmatch(token) if token else None
    if found is None or found[1] != purpose or not _agrees(found[7], key, purpose, token[2 : found.end(6)]):
        return None
    reference = _reference(found[2], found[3], found[4])
    return message_id(reference, _LONG.get(found[5], found[5]), int(found[6]), key, own_address.rpartition("@")[2])


def _without_check_digits(reference: CaseRef | str) -> str:
    return str(reference).lower().rpartition("-")[0]


def _reference(prefix: str, year: str, serial: str) -> str:
    return str(CaseRef(prefix.upper(), int(year), int(serial)))


def _tagged(own_address: str, token: str) -> str:
    local, _, domain = own_address.rpartition("@")
    if len(local) + 1 + len(token) > _LOCAL_PART:
        raise ConfigError(
            f"organisation.address: '{own_address}' is too long before the @ to carry a token; "
            "set smtp.plus_addressing = false or use a shorter address"
        )
    return f"{local}+{token}@{domain}"


def _tag(address: str, own_address: str) -> str:
    """What stands behind the plus in `address`, in lower case, if the rest of it is `own_address`; else ''."""
    if not address.isascii() or len(address) > 320:
        return ""
    local, _, domain = address.strip().lower().rpartition("@")
    own_local, _, own_domain = own_address.lower().rpartition("@")
    name, plus, token = local.partition("+") if "+" not in own_local else (own_local, *_after(local, own_local))
    return token if plus and name == own_local and domain == own_domain else ""


def _after(local: str, own_local: str) -> tuple[str, str]:
    rest = local.removeprefix(own_local)
    return ("+", rest[1:]) if rest != local and rest.startswith("+") else ("", "")
