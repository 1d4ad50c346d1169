"""Search: by reference, name, address or words, as you type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from amends.ledger.shapes import QueueRow
from tui import keys
from tui.desk import Snapshot
from tui.pulse import News
from tui.screens.cases import CaseListing
from tui.signs import Bounds
from tui.widgets.bar import Bar, Part
from tui.widgets.field import Field
from tui.words import plural

TYPING_SECONDS: Final = 0.15
MOST: Final = 200
TIP: Final = 'A number, a name, an address, or words.  "two words" together, -without'


class SearchScreen(CaseListing):
    """The line on top, the cases below; Tab or ↓ goes into them, Esc back to the line."""

    PLACE = "search"
    LIST = "found"
    AUTO_FOCUS = "#query"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("search"), Binding("down", "into", show=False)]
    DEFAULT_CSS = """
    SearchScreen .field { height: 1; }
    SearchScreen #query { width: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None

    def content(self) -> Iterator[Widget]:
        with Horizontal(classes="field"):
            tag = Bar(id="tag")
            tag.styles.width = 9
            yield tag
            yield Field(id="query")
        yield from self.rows_and_pane()

    @property
    def line(self) -> Input:
        return self.query_one("#query", Input)

    def on_mount(self) -> None:
        self.bar("tag").show([Part(" Search: ", "strong")])
        self.cases.empty = TIP
        self.show_title([Part(" Search all cases, open and closed", "strong")])
        self.line.focus()

    def begin(self) -> None:
        """Give the line the keys, its words chosen: the next letter takes their place. A new screen does so itself."""
        if self.is_mounted:
            self.set_focus(self.line)
            self.line.select_all()

    def on_input_changed(self, message: Input.Changed) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(TYPING_SECONDS, self._search)

    def _search(self) -> None:
        words = self.line.value.strip()
        if not words:
            self.cases.empty = TIP
            self.cases.show(())
            self.show_title([Part(" Search all cases, open and closed", "strong")])
            return
        self.ask("search", lambda: self.desk.search(words), self._show)

    def _show(self, snapshot: Snapshot) -> None:
        total = len(snapshot.ids)
        more = " (the first; write more words to narrow it down)" if total >= MOST else ""
        self.cases.left = self.house.prefs.left
        self.cases.empty = "Nothing found. Write less of it, or another word."
        self.cases.show_cases(snapshot.ids, snapshot.rows, snapshot.bounds)
        self.show_title([Part(f" {plural(total, 'case')} found{more}", "strong"), Part("  open first", "muted")])
        self.show_heading()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter opens the only case, or goes into the list."""
        if len(self.cases.keys) == 1:
            self.house.open_case(self.cases.keys[0], self.cases.keys)
        else:
            self.action_into()

    def action_into(self) -> None:
        if self.cases.keys:
            self.cases.focus()

    def action_leave(self) -> None:
        if self.cases.has_focus and not self.cases.marked:
            self.line.focus()
        else:
            super().action_leave()

    def changed(self, case_ids: Sequence[int]) -> None:
        self._refresh()

    def news(self, news: News) -> None:
        self._refresh()

    def minute(self) -> None:
        self._refresh()

    def _refresh(self) -> None:
        """The rows that are shown, as they stand now; what was found stays."""
        listed = self.cases
        top = listed.scroll_offset.y
        seen = tuple(listed.keys[top : top + max(1, listed.size.height)])
        if seen:
            self.ask("refresh", lambda: (self.desk.rows(seen), self.desk.bounds()), self._patch)

    def _patch(self, fresh: tuple[dict[int, QueueRow], Bounds]) -> None:
        rows, self.cases.bounds = fresh
        self.cases.left = self.house.prefs.left
        self.cases.fill(rows)
        self.cases.refresh()
        self.show_pane()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._refresh()
