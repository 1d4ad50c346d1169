"""Something long to read: the history of a case, its files, what is new."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from tui import keys
from tui.screens.base import DeskScreen
from tui.widgets.bar import Part
from tui.widgets.lineview import LineView, Writer


class PageScreen(DeskScreen):
    """A title and lines; Esc goes back."""

    PLACE = "page"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("page")

    def __init__(self, title: str, writer: Writer) -> None:
        super().__init__()
        self._title_words = title
        self._writer = writer

    def content(self) -> Iterator[Widget]:
        yield LineView(id="page")

    def on_mount(self) -> None:
        self.show_title([Part(f" {self._title_words}", "strong")])
        page = self.query_one(LineView)
        page.show(self._writer)
        page.focus()
