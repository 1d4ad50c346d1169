"""The reference of a case, as people quote it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

_SHAPE: Final = r"(?<![A-Z0-9])({prefix})[-\s]?(\d{{4}})[-\s]?(\d{{6,9}})[-\s]?(\d{{2}})(?!\d)"


def check_digits(prefix: str, year: int, serial: int) -> int:
    """Two check digits (0-96) that catch every single wrong digit and every swap of neighbours.

    Source: ISO 7064, MOD 97-10, with the letters of the prefix as 10 to 35.
    """
    digits = "".join(str(int(c, 36)) for c in f"{prefix}{year:04d}{serial:06d}")
    return 98 - int(digits + "00") % 97


@dataclass(frozen=True, slots=True, order=True)
class CaseRef:
    """A reference such as NW-2026-000042-17: prefix, year, serial, two check digits."""

    prefix: str
    year: int
    serial: int

    def __str__(self) -> str:
        check = check_digits(self.prefix, self.year, self.serial)
        return f"{self.prefix}-{self.year:04d}-{self.serial:06d}-{check:02d}"

    @classmethod
    def parse(cls, text: str, *, prefix: str) -> CaseRef | None:
        """The reference that `text` is, or None if it has another shape or wrong check digits."""
        found = find_refs(text, prefix=prefix)
        return found[0] if len(found) == 1 else None


@cache
def _pattern(prefix: str) -> re.Pattern[str]:
    return re.compile(_SHAPE.format(prefix=re.escape(prefix)), re.IGNORECASE)


def find_refs(text: str, *, prefix: str) -> tuple[CaseRef, ...]:
    """The references in free text whose check digits agree, in order, each once; others are ignored."""
    found: dict[CaseRef, None] = {}
    for _, year, serial, check in _pattern(prefix).findall(text):
        ref = CaseRef(prefix, int(year), int(serial))
        if check_digits(prefix, ref.year, ref.serial) == int(check):
            found[ref] = None
    return tuple(found)
