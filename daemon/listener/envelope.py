"""The envelope: who sent a message, whom it is for, and how both are kept with its bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import idna

NULL_SENDER: Final = "<>"
"""How `read_path` writes the empty reverse-path of a delivery report."""

# RFC 5321 4.1.2, wider where real mail is (dots may stand together or last), never wider in what could split a line.
_ATOMS: Final = r'[^\s<>()\[\]\\,;:@"]+'
_QUOTED: Final = r'"(?:[^"\\\r\n]|\\[^\r\n])*"'
_DOMAIN: Final = r"[^\s<>()\[\]\\,;:@\"]+|\[[0-9A-Za-z.:-]+\]"
_ROUTE: Final = r"(?:@[^\s<>@,:]+(?:,@[^\s<>@,:]+)*:)?"
_PATH: Final = re.compile(rf"\s*<{_ROUTE}({_ATOMS}|{_QUOTED})@({_DOMAIN})>(?:\s+(.*))?")
_NULL: Final = re.compile(r"\s*<>(?:\s+(.*))?")

_TOP: Final = frozenset({"return-path", "delivered-to", "x-original-to", "envelope-to"})
_TOP_OCTETS: Final = 16_384


def read_path(text: str) -> tuple[str, str] | None:
    """The address in the path of MAIL or RCPT and the parameters behind it, or None where there is no valid path.

    A source route is dropped (RFC 5321 4.1.1.3); an empty path is NULL_SENDER.  The address has one @ outside quotes
    and no control, space or unprintable character.
    """
    if (null := _NULL.fullmatch(text)) is not None:
        return NULL_SENDER, null[1] or ""
    found = _PATH.fullmatch(text)
    if found is None:
        return None
    address = f"{found[1]}@{found[2]}"
    return (address, found[3] or "") if address.isprintable() else None


class Recipients:
    """The addresses that are ours, with anything behind a plus."""

    def __init__(self, own: Iterable[str]) -> None:
        self._own = frozenset(_parts(address) for address in own)

    def has(self, address: str) -> bool:
        """Whether mail to `address` is ours: case and the form of the domain do not matter, a +tag neither."""
        local, domain = _parts(address)
        return (local, domain) in self._own or (local.partition("+")[0], domain) in self._own


def _parts(address: str) -> tuple[str, str]:
    local, _, domain = address.rpartition("@")
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return local.lower(), _ascii(domain.lower())


def _ascii(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return domain


def with_trace(raw: bytes | bytearray, sender: str, recipients: Sequence[str]) -> bytes:
    """The message as it is kept: above its bytes, which do not change, one Return-Path and a Delivered-To a recipient.

    A field that already stands at the top and says the same is not repeated (the mail server wrote it).  One that
    says something else stays where it is, below ours, which is the one that counts: the first is read.  Nothing
    written here differs from one try of a delivery to the next, so the same message is known by its bytes.
    Sources: RFC 5321 4.4 (Return-Path), RFC 9228 (Delivered-To).
    """
    at_top = _top(raw)
    path = sender if sender == NULL_SENDER else f"<{sender}>"
    first_path = next((value for name, value in at_top if name == "return-path"), None)
    delivered = {value for name, value in at_top if name == "delivered-to"}
    lines = [] if first_path == path else [f"Return-Path: {path}\r\n"]
    lines += [f"Delivered-To: {one}\r\n" for one in dict.fromkeys(recipients) if one not in delivered]
    return b"".join([*(line.encode() for line in lines), raw])


def _top(raw: bytes | bytearray) -> list[tuple[str, str]]:
    """(name, value) of the fields that a delivering server writes, as far as they stand above everything else."""
    found: list[tuple[str, str]] = []
    for line in bytes(raw[:_TOP_OCTETS]).split(b"\r\n")[:-1]:
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if not colon or name.lower() not in _TOP:
            break
        found.append((name.lower(), value.strip()))
    return found
