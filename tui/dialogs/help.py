"""What can be done here: type to search, Enter runs it."""

from __future__ import annotations

from collections.abc import Sequence

from tui import keys, signs
from tui.dialogs.finder import Finder
from tui.keys import Key
from tui.signs import Heat
from tui.widgets.rowlist import RowList
from tui.words import Line, fit

MORE_SIGNS = (
    ("*", "there is mail that nobody has read"),
    ("x", "marked"),
    ("V", "needs particular care"),
    ("E", "a supervisor was told"),
    (">", "where you are"),
)


class HelpList(RowList):
    """Keys as rows; after them the signs."""

    def __init__(self, found: Sequence[Key], *, may_write: bool) -> None:
        super().__init__(id="found")
        self._may_write = may_write
        self.find(found)

    def find(self, found: Sequence[Key]) -> None:
        self.found = list(found)
        self._signs = [(signs.SIGNS[heat], signs.MEANINGS[heat]) for heat in Heat if signs.SIGNS[heat].strip()]
        self._signs += [(sign, words) for sign, words in MORE_SIGNS]
        self._keys = range(len(self.found) + len(self._signs) + 1)
        self.empty = "Nothing by that name here. Press : for everything."

    def row(self, key: int, width: int) -> Line:
        if key < len(self.found):
            one = self.found[key]
            allowed = self._may_write or not one.writes
            words = one.does if allowed else f"{one.does} (not for auditors)"
            shown = " ".join(keys.shown(name) for name in one.keys[:2])
            return ((f" {fit(shown, 11)}", "strong" if allowed else "muted"), (words, "text" if allowed else "muted"))
        if key == len(self.found):
            return ((" Signs", "muted"),)
        sign, words = self._signs[key - len(self.found) - 1]
        return ((f" {fit(sign, 11)}", "strong"), (words, "muted"))


class Help(Finder[str]):
    """Answers with the action to run, or None."""

    ASKS = "Type to search"

    def __init__(self, place: str, *, may_write: bool) -> None:
        super().__init__(f"Help: {place.capitalize()}")
        self._here = keys.keys_of(place)
        # What belongs to this place first, what works everywhere last.
        self._here.sort(key=lambda key: (key.where is keys.Where.EVERYWHERE, key.where is keys.Where.MOVING))
        self._may_write = may_write

    def listed(self) -> RowList:
        return HelpList(self._here, may_write=self._may_write)

    def hint(self) -> str:
        return "Enter=Run it  ↑↓=Move  Esc=Close (Esc never loses anything)"

    def find(self, words: list[str]) -> None:
        listed = self.query_one(HelpList)
        listed.find([key for key in self._here if all(word in f"{key.does} {key.short}".lower() for word in words)])
        listed.show(listed.keys)

    def run(self, place: int) -> None:
        found = self.query_one(HelpList).found
        key = found[place] if place < len(found) else None
        if key is None or not key.menu:
            self.error("That is nothing to run: press its key.")
        elif key.writes and not self._may_write:
            self.error("An auditor may read everything and change nothing.")
        else:
            self.dismiss(key.action)
