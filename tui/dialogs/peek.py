"""The case under the cursor, over the list: for windows in which there is no room beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from amends.ledger.shapes import CaseView
from tui.columns import short_reference
from tui.dialogs.base import Dialog
from tui.signs import Bounds
from tui.thread import preview
from tui.widgets.lineview import LineView
from tui.words import name


class Peek(Dialog[bool]):
    """Answers True where the case is to be opened."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("i,left,h,q", "cancel", "Close", show=False)]
    DEFAULT_CSS = "Peek #case { height: 14; }"

    def __init__(self, case: CaseView, at: Bounds) -> None:
        super().__init__(f"{short_reference(case.row.reference)} {name(case.row.complainant_name)}")
        self._case, self._at = case, at

    def content(self) -> Iterator[Widget]:
        yield LineView(id="case")

    def hint(self) -> str:
        return "Enter=Open the case  ↑↓=Scroll  i=Close"

    def on_mount(self) -> None:
        page = self.query_one(LineView)
        page.show(lambda width: preview(self._case, self._at, width))
        page.focus()

    def on_line_view_entered(self, message: LineView.Entered) -> None:
        self.dismiss(True)
