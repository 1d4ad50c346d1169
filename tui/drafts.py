"""The gaps of a draft: what only a person can say.  Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """`[[words]]` from offset `start` to `end`."""

    start: int
    end: int
    words: str


def gaps(text: str) -> list[Gap]:
    """The gaps of a draft, in order; a letter with one does not leave."""
    from amends.casework.correspondence import GAP

    return [Gap(found.start(), found.end(), found[1]) for found in GAP.finditer(text)]


def offset_to_place(text: str, offset: int) -> tuple[int, int]:
    """(line, column) of an offset, both from 0."""
    before = text[:offset]
    return before.count("\n"), offset - (before.rfind("\n") + 1)
