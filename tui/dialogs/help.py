"""What can be done here: type to search, Enter runs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from tui import keys, signs
from tui.dialogs.base import Dialog
from tui.keys import Key
from tui.signs import Heat
from tui.widgets.field import Field
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


class Help(Dialog[str]):
    """Answers with the action to run, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Down", show=False, priority=True),
        Binding("up", "move(-1)", "Up", show=False, priority=True),
        Binding("pagedown", "move(10)", "Down", show=False, priority=True),
        Binding("pageup", "move(-10)", "Up", show=False, priority=True),
        Binding("f1", "cancel", "Close", show=False, priority=True),
    ]

    def __init__(self, place: str, *, may_write: bool) -> None:
        super().__init__(f"Help: {place.capitalize()}")
        self._here = keys.keys_of(place)
        # What belongs to this place first, what works everywhere last.
        self._here.sort(key=lambda key: (key.where is keys.Where.EVERYWHERE, key.where is keys.Where.MOVING))
        self._may_write = may_write

    def content(self) -> Iterator[Widget]:
        yield Field(placeholder="Type to search", id="search")
        found = HelpList(self._here, may_write=self._may_write)
        found.styles.max_height = 17
        found.styles.height = 17
        yield found

    def hint(self) -> str:
        return "Enter=Run it  ↑↓=Move  Esc=Close (Esc never loses anything)"

    def on_mount(self) -> None:
        self.query_one("#search", Input).focus()

    def on_input_changed(self, message: Input.Changed) -> None:
        words = message.value.lower().split()
        found = [key for key in self._here if all(word in f"{key.does} {key.short}".lower() for word in words)]
        listed = self.query_one(HelpList)
        listed.find(found)
        listed.show(listed.keys)
        listed.move_to(0)

    def action_move(self, by: int) -> None:
        listed = self.query_one(HelpList)
        listed.move_to(listed.cursor + by)

    def on_input_submitted(self) -> None:
        self._run()

    def on_row_list_opened(self) -> None:
        self._run()

    def _run(self) -> None:
        listed = self.query_one(HelpList)
        key = listed.found[listed.cursor] if listed.cursor < len(listed.found) else None
        if key is None or not key.menu:
            self.error("That is nothing to run: press its key.")
        elif key.writes and not self._may_write:
            self.error("An auditor may read everything and change nothing.")
        else:
            self.dismiss(key.action)
