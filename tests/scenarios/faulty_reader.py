"""The real reader with a fault in it: a mail with the field X-Breaks-The-Reader makes it raise."""

from __future__ import annotations

from typing import Any

from amends.mail import read as real
from amends.mail.facts import Reading


def read(raw: bytes, **known: Any) -> Reading:
    _fall_over(raw)
    return real.read(raw, **known)


def read_headers(raw: bytes, **known: Any) -> Reading:
    _fall_over(raw)
    return real.read_headers(raw, **known)


def _fall_over(raw: bytes) -> None:
    if b"\r\nX-Breaks-The-Reader:" in raw:
        raise IndexError("a fault of the reader")
