"""Strangers' text for the screen: cleaned, cut to exact cells, wrapped.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.cells import cell_len, set_cell_size

from amends.kernel.text import clean

Span = tuple[str, str]
"""Words, and the role they are painted in (`tui/theme.py`)."""
Line = tuple[Span, ...]

MOST_SHOWN: Final = 1_000_000
"""Characters of one message that are shown; nobody reads further, and the bytes are kept."""


def prose(text: str, *, limit: int | None = 2000) -> str:
    """A stranger's subject or sentence as one line fit for the screen."""
    return clean(text, limit=limit).text


def name(text: str, *, limit: int | None = 320) -> str:
    """A stranger's name, address or file name: everything odd in it is shown."""
    return clean(text, identifier=True, limit=limit).text


def letter(text: str) -> str:
    """A stranger's many lines."""
    return clean(text, multiline=True, limit=MOST_SHOWN).text


def fit(text: str, cells: int) -> str:
    """`text` in exactly so many cells, with an ellipsis where it was cut."""
    if cells <= 0:
        return ""
    width = cell_len(text)
    if width <= cells:
        return text + " " * (cells - width)
    return set_cell_size(text, cells - 1) + "…"


def cut(text: str, cells: int) -> str:
    """`text` in at most so many cells."""
    return text if cell_len(text) <= cells else fit(text, cells)


def wrap(text: str, cells: int) -> Iterator[str]:
    """The lines of `text`, none wider than `cells`, broken at spaces where there are any; its own indents stay."""
    cells = max(cells, 8)
    for paragraph in text.split("\n"):
        if cell_len(paragraph) <= cells:
            yield paragraph.rstrip()
        else:
            yield from _broken(paragraph, cells)


def _broken(paragraph: str, cells: int) -> Iterator[str]:
    at, end = 0, len(paragraph)
    narrow = paragraph.isascii()
    while at < end:
        stop = min(at + cells, end) if narrow else _reach(paragraph, at, cells)
        if stop < end and paragraph[stop] != " ":
            space = paragraph.rfind(" ", at, stop)
            if space > at and paragraph[at:space].strip():
                stop = space
        yield paragraph[at:stop].rstrip()
        at = stop
        while at < end and paragraph[at] == " ":
            at += 1


def _reach(paragraph: str, at: int, cells: int) -> int:
    """The index up to which the text from `at` fits into `cells`; at least one character further."""
    stop, width = at, 0
    for character in paragraph[at : at + cells * 4]:
        width += cell_len(character)
        if width > cells:
            break
        stop += 1
    return max(stop, at + 1)


def width_of(line: Line) -> int:
    return sum(cell_len(words) for words, _ in line)


def plural(number: int, one: str, many: str = "") -> str:
    """`1 case`, `14 cases`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
