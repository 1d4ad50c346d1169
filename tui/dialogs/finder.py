"""A line to type in and a list below it that shrinks: the help and the palette."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from tui.dialogs.base import Dialog
from tui.widgets.field import Field
from tui.widgets.rowlist import RowList

Result = TypeVar("Result")
TALL = 16


class Finder(Dialog[Result]):
    """Arrows move in the list while words go into the line.  Subclasses give the list, `find` and `run`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Down", show=False, priority=True),
        Binding("up", "move(-1)", "Up", show=False, priority=True),
        Binding("pagedown", "move(10)", "Down", show=False, priority=True),
        Binding("pageup", "move(-10)", "Up", show=False, priority=True),
        Binding("f1", "cancel", "Close", show=False, priority=True),
    ]
    ASKS: ClassVar[str]

    def listed(self) -> RowList:
        """The list, made once."""
        raise NotImplementedError

    def find(self, words: list[str]) -> None:
        """Show in the list what has all these words, in lower case."""
        raise NotImplementedError

    def run(self, place: int) -> None:
        """Answer with the row at this place."""
        raise NotImplementedError

    def content(self) -> Iterator[Widget]:
        yield Field(placeholder=self.ASKS, id="search")
        found = self.listed()
        found.styles.max_height = found.styles.height = TALL
        yield found

    def hint(self) -> str:
        return "Enter=Run it  ↑↓=Move  Esc=Close"

    def on_mount(self) -> None:
        self.query_one("#search", Input).focus()

    def on_input_changed(self, message: Input.Changed) -> None:
        self.find(message.value.lower().split())
        self.query_one(RowList).move_to(0)

    def action_move(self, by: int) -> None:
        listed = self.query_one(RowList)
        listed.move_to(listed.cursor + by)

    def on_input_submitted(self) -> None:
        self.run(self.query_one(RowList).cursor)

    def on_row_list_opened(self) -> None:
        self.run(self.query_one(RowList).cursor)
