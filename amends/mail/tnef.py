"""winmail.dat: what Outlook wraps its attachments in (TNEF, [MS-OXTNEF]), unwrapped within bounds.

Only the attachments are taken, with their long names where the properties hold one ([MS-OXTNEF] 2.1.3.3, 2.1.3.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError
from typing import Final

from amends.mail.fields import decode

SIGNATURE: Final = b"\x78\x9f\x3e\x22"
FILES: Final = 200

# Attributes ([MS-OXTNEF] 2.1.3.4), each with its type in the high half.
_TITLE: Final = 0x00018010
_DATA: Final = 0x0006800F
_RENDER: Final = 0x00069002  # begins an attachment
_PROPERTIES: Final = 0x00069005
_CODEPAGE: Final = 0x00069007

# Properties ([MS-OXPROPS]).
_LONG_NAME: Final = 0x3707
_SHORT_NAME: Final = 0x3704
_DISPLAY_NAME: Final = 0x3001
_CONTENT: Final = 0x3701

_FIXED: Final = {0x0002: 4, 0x0003: 4, 0x0004: 4, 0x0005: 8, 0x0006: 8, 0x0007: 8, 0x000A: 4, 0x000B: 4, 0x0014: 8}
_FIXED_LONG: Final = {0x0040: 8, 0x0048: 16}
_STRING8: Final = 0x001E
_UNICODE: Final = 0x001F
_OBJECT: Final = 0x000D
_BINARY: Final = 0x0102
_SEVERAL: Final = 0x1000
_PROPERTIES_KEPT: Final = 2000

_U16: Final = Struct("<H")
_U32: Final = Struct("<I")
_ATTRIBUTE: Final = Struct("<BII")


def unpack(data: bytes) -> tuple[list[tuple[str, bytes]], str]:
    """The files in a TNEF stream as (name, bytes), and a defect ("" if it was whole).  Never raises; linear."""
    if not data.startswith(SIGNATURE):
        return [], "winmail.dat is no TNEF stream; its contents are not listed"
    files: list[tuple[str, bytes]] = []
    defect = ""
    name, long_name, content, codepage = "", "", b"", "cp1252"
    inside = False

    def close() -> None:
        if inside and (content or name or long_name):
            files.append((long_name or name or "attachment", content))

    try:
        for attribute, value in _attributes(data):
            if attribute == _CODEPAGE and len(value) >= 4:
                codepage = f"cp{_U32.unpack_from(value)[0]}"
            elif attribute == _RENDER:
                close()
                name, long_name, content, inside = "", "", b"", True
                if len(files) >= FILES:
                    return files, f"winmail.dat holds more than {FILES} files; only those are listed"
            elif attribute == _TITLE:
                name = _string(value, codepage)
            elif attribute == _DATA:
                content = value
            elif attribute == _PROPERTIES:
                names, inner = _named(value, codepage)
                long_name = names.get(_LONG_NAME) or names.get(_DISPLAY_NAME) or names.get(_SHORT_NAME) or long_name
                content = content or inner
    except (StructError, ValueError, IndexError):
        defect = "winmail.dat is damaged; only a part of its contents is listed"
    close()
    return files, defect


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes of a stream: level, identifier, length, value, checksum (2.1.1)."""
    at = len(SIGNATURE) + 2  # the key
    while at < len(data):
        if len(data) - at < _ATTRIBUTE.size:
            if data[at:].strip(b"\0\r\n"):
                raise ValueError
            return
        _, attribute, length = _ATTRIBUTE.unpack_from(data, at)
        at += _ATTRIBUTE.size
        if length > len(data) - at:
            yield attribute, data[at:]
            raise ValueError
        yield attribute, data[at : at + length]
        at += length + 2


def _string(value: bytes, codepage: str) -> str:
    return decode(value.split(b"\0", 1)[0], codepage)[0]


def _named(data: bytes, codepage: str) -> tuple[dict[int, str], bytes]:
    """The names and the content among the properties of one attachment (2.1.3.2)."""
    found: dict[int, str] = {}
    content = b""
    count = _U32.unpack_from(data)[0]
    at = 4
    for _ in range(min(count, _PROPERTIES_KEPT)):
        kind, number = _U16.unpack_from(data, at)[0], _U16.unpack_from(data, at + 2)[0]
        at += 4
        if number >= 0x8000:  # a named property: its name stands before its value
            at += 16
            by_name = _U32.unpack_from(data, at)[0]
            at += 4
            at += 4 if by_name == 0 else 4 + _padded(_U32.unpack_from(data, at)[0])
        several = bool(kind & _SEVERAL)
        kind &= ~_SEVERAL
        values = 1
        if several or kind in (_STRING8, _UNICODE, _OBJECT, _BINARY):
            values = _U32.unpack_from(data, at)[0]
            at += 4
        if kind in _FIXED or kind in _FIXED_LONG:
            at += values * (_FIXED.get(kind) or _FIXED_LONG[kind])
            continue
        if kind not in (_STRING8, _UNICODE, _OBJECT, _BINARY):
            return found, content  # how long it is only its type could tell
        for _ in range(min(values, _PROPERTIES_KEPT)):
            length = _U32.unpack_from(data, at)[0]
            at += 4
            if length > len(data) - at:
                return found, content
            value = data[at : at + length]
            at += _padded(length)
            if number in (_LONG_NAME, _SHORT_NAME, _DISPLAY_NAME):
                if kind == _UNICODE:
                    found[number] = value.decode("utf-16-le", "replace").split("\0", 1)[0]
                elif kind == _STRING8:
                    found[number] = _string(value, codepage)
            elif number == _CONTENT:
                content = value[16:] if kind == _OBJECT else value  # behind the identifier of its interface
    return found, content


def _padded(length: int) -> int:
    return length + (-length % 4)
