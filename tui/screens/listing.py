"""A list, and below it what is known of the row under the cursor: the outbox and the tray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from textual.widget import Widget

from tui.pulse import News
from tui.screens.base import DeskScreen
from tui.widgets.bar import Bar, Part
from tui.widgets.lineview import LineView, Sheet
from tui.widgets.rowlist import RowList


class Listing(DeskScreen):
    """Read anew whenever something changes.  Subclasses give the list, `read` it, and tell `about` a row."""

    HEAD: ClassVar[str]
    """The titles of the columns, below the cursor sign."""
    EMPTY: ClassVar[str]
    DEFAULT_CSS = """
    Listing #about { border-top: solid $am-bar-ground; }
    """

    def listed(self) -> RowList:
        """The list, made once."""
        raise NotImplementedError

    def read(self) -> None:
        """Ask the store for the rows."""
        raise NotImplementedError

    def tell(self) -> None:
        """Show what is known of the row under the cursor."""
        raise NotImplementedError

    def content(self) -> Iterator[Widget]:
        yield Bar(id="head")
        yield self.listed()
        yield LineView(id="about")

    @property
    def rows(self) -> RowList:
        return self.query_one(RowList)

    @property
    def about(self) -> LineView:
        return self.query_one("#about", LineView)

    def on_mount(self) -> None:
        self.bar("head").show([Part(f" {self.HEAD}", "muted")])
        self.rows.empty = self.EMPTY
        self.rows.focus()
        self.read()

    def tell_nothing(self) -> None:
        self.about.show(lambda width: Sheet())

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        self.tell()

    def news(self, news: News) -> None:
        self.read()

    def minute(self) -> None:
        self.read()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.read()

    def action_leave(self) -> None:
        """From what is told back to the list, then back one step."""
        if self.about.has_focus:
            self.rows.focus()
        else:
            super().action_leave()

    # Verbs

    def did(self, said: str) -> None:
        """A verb has done this; the list as it is now."""
        self.house.say(said)
        self.read()

    def sure(self, question: str, words: str, yes: str, go_on: Callable[[], object]) -> None:
        """Say in words what will happen, and go on where it is meant."""
        from tui.dialogs.confirm import Confirm

        self.offer(Confirm(question, words, yes=yes, no="No"), lambda sure: go_on() if sure else None)
