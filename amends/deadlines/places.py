"""Where in a TOML file each key stands, so that a mistake can be shown by its line.

A reader of places alone: tomllib has accepted the text before, so that nothing here needs to refuse anything.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final

Place = tuple[str | int, ...]
"""The way to a value: keys, and numbers (from 0) within lists, as Pydantic gives it."""

DEEPEST: Final = 32  # names in one key; what stands deeper is shown by the place of these

_SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK: Final = re.compile(r"[ \t]*")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]+|\"(?:[^\"\\]|\\.)*\"|'[^']*'")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?!")|' r"'''.*?'''(?!')|" r'"(?:[^"\\\n]|\\.)*"|' r"'[^'\n]*'", re.DOTALL
)
_BARE: Final = re.compile(r"[^,\]}#\n]+")


def places(text: str) -> dict[Place, int]:
    """The line (from 1) of every key, table and element of a list in valid TOML."""
    return _Scanner(text).run()


def line_of(found: Mapping[Place, int], place: Sequence[str | int]) -> int | None:
    """The line of this place, or of the nearest thing around it that stands in the file."""
    for length in range(len(place), 0, -1):
        if (line := found.get(tuple(place[:length]))) is not None:
            return line
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Place, int] = {}
        self.counts: dict[Place, int] = {}
        self.ends = [found.start() for found in re.finditer("\n", text)]

    def run(self) -> dict[Place, int]:
        table: Place = ()
        self._take(_SPACE)
        while self.at < len(self.text):
            if self.text.startswith("[", self.at):
                table = self._header()
            else:
                self._assignment(table)
            self._take(_SPACE)
        return self.found

    def _take(self, form: re.Pattern[str]) -> str:
        match = form.match(self.text, self.at)
        if match is None:
            self.at += 1  # never stand still, whatever the text is
            return ""
        self.at = match.end()
        return match[0]

    def _mark(self, place: Place, at: int) -> None:
        self.found.setdefault(place, bisect_left(self.ends, at) + 1)

    def _key(self) -> list[str]:
        names = []
        while True:
            self._take(_BLANK)
            names.append(self._take(_KEY).strip("\"'"))
            self._take(_BLANK)
            if not self.text.startswith(".", self.at):
                return names[:DEEPEST]
            self.at += 1

    def _header(self) -> Place:
        begin = self.at
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        names = self._key()
        self.at += 2 if many else 1
        place: Place = ()
        for number, name in enumerate(names):
            place = (*place, name)
            self._mark(place, begin)
            if many and number == len(names) - 1:
                self.counts[place] = self.counts.get(place, -1) + 1
            if place in self.counts:
                place = (*place, self.counts[place])
        self._mark(place, begin)
        return place

    def _assignment(self, within: Place) -> None:
        begin = self.at
        place = within
        for name in self._key():
            place = (*place, name)
            self._mark(place, begin)
        self.at += 1  # the equals sign
        self._take(_BLANK)
        self._value(place)

    def _value(self, place: Place) -> None:
        opening = self.text[self.at : self.at + 1]
        if opening in ('"', "'"):
            self._take(_STRING)
        elif opening == "[":
            self._list(place)
        elif opening == "{":
            self._table(place)
        else:
            self._take(_BARE)

    def _list(self, place: Place) -> None:
        self.at += 1
        number = 0
        self._take(_SPACE)
        while self.at < len(self.text) and self.text[self.at] != "]":
            self._mark((*place, number), self.at)
            self._value((*place, number))
            number += 1
            self._comma()
        self.at += 1

    def _table(self, place: Place) -> None:
        self.at += 1
        self._take(_SPACE)
        while self.at < len(self.text) and self.text[self.at] != "}":
            self._assignment(place)
            self._comma()
        self.at += 1

    def _comma(self) -> None:
        self._take(_SPACE)
        if self.text.startswith(",", self.at):
            self.at += 1
        self._take(_SPACE)
