"""Search: by reference, name, address or words, as you type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from amends.ledger.views import CaseView, QueueRow
from tui import keys
from tui.desk import Snapshot
from tui.pulse import News
from tui.screens.verbs import CaseVerbs
from tui.signs import Bounds
from tui.thread import preview
from tui.widgets.bar import Bar, Part
from tui.widgets.caselist import CaseList
from tui.widgets.field import Field
from tui.widgets.lineview import LineView
from tui.widgets.rowlist import RowList
from tui.words import plural

TYPING_SECONDS: Final = 0.15
MOST: Final = 200
TIP: Final = 'A reference or its number, a name, an address, or words of the mail.  "two words" together, -without'


class SearchScreen(CaseVerbs):
    """The line on top, the cases below; Tab or ↓ goes into them, Esc back to the line."""

    PLACE = "search"
    AUTO_FOCUS = "#query"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("search"), Binding("down", "into", show=False)]
    DEFAULT_CSS = """
    SearchScreen .field { height: 1; }
    SearchScreen #query { width: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None
        self._later: Timer | None = None

    def content(self) -> Iterator[Widget]:
        with Horizontal(classes="field"):
            tag = Bar(id="tag")
            tag.styles.width = 9
            yield tag
            yield Field(id="query")
        yield Bar(id="head")
        with Horizontal():
            yield CaseList(id="found")
            yield LineView(id="preview")

    @property
    def found(self) -> CaseList:
        return self.query_one("#found", CaseList)

    @property
    def line(self) -> Input:
        return self.query_one("#query", Input)

    def on_mount(self) -> None:
        self.bar("tag").show([Part(" Search: ", "strong")])
        self.found.empty = TIP
        self.show_title([Part(" Search all cases, open and closed", "strong")])
        self.line.focus()

    def on_input_changed(self, message: Input.Changed) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(TYPING_SECONDS, self._search)

    def _search(self) -> None:
        words = self.line.value.strip()
        if not words:
            self.found.empty = TIP
            self.found.show(())
            self.show_title([Part(" Search all cases, open and closed", "strong")])
            return
        self.ask("search", lambda: self.desk.search(words), self._show)

    def _show(self, snapshot: Snapshot) -> None:
        total = len(snapshot.ids)
        more = " (the first; write more words to narrow it down)" if total >= MOST else ""
        self.found.left = self.house.prefs.left
        self.found.empty = "Nothing found. Write less of it, or another word."
        self.found.show_cases(snapshot.ids, snapshot.rows, snapshot.bounds)
        self.show_title([Part(f" {plural(total, 'case')} found{more}", "strong"), Part("  open first", "muted")])
        heading = self.found.heading(max(20, self.found.size.width - 2))
        self.bar("head").show([Part(" "), *(Part(words, role) for words, role in heading)])

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter opens the only case, or goes into the list."""
        if len(self.found.keys) == 1:
            self.house.open_case(self.found.keys[0], self.found.keys)
        else:
            self.action_into()

    def action_into(self) -> None:
        if self.found.keys:
            self.found.focus()

    def action_leave(self) -> None:
        if self.found.has_focus:
            self.line.focus()
        else:
            super().action_leave()

    def on_case_list_wanted(self, message: CaseList.Wanted) -> None:
        def show(rows: dict[int, QueueRow]) -> None:
            self.found.fill(rows, asked=message.ids)

        self.ask("rows", lambda: self.desk.rows(message.ids), show, every=True)

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        if self._later is not None:
            self._later.stop()
        if self.has_class("-wide"):
            self._later = self.set_timer(TYPING_SECONDS, self._preview)

    def _preview(self) -> None:
        case_id = self.found.current
        if case_id is not None:
            self.ask("preview", lambda: self.desk.case(case_id), self._show_preview)

    def _show_preview(self, found: tuple[CaseView, Bounds]) -> None:
        case, at = found
        if case.row.id == self.found.current:
            self.query_one("#preview", LineView).show(lambda width: preview(case, at, width))

    def action_preview(self) -> None:
        self.query_one("#preview").toggle_class("-hidden")

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        self.house.open_case(message.key, self.found.keys)

    # Marks and verbs

    def action_mark(self) -> None:
        key = self.found.current
        if key is not None:
            self.found.mark([key], on=key not in self.found.marked)
            self.found.action_down()

    def action_mark_to(self) -> None:
        start = self.found.place_of(next(reversed(self.found.marked), None))
        if start is not None:
            first, end = sorted((start, self.found.cursor))
            self.found.mark(self.found.keys[first : end + 1], on=True)

    def action_mark_all(self) -> None:
        self.found.mark(list(self.found.keys), on=True)

    def chosen(self) -> Sequence[int]:
        return self.found.chosen()

    def looked_at(self) -> QueueRow | None:
        return self.found.current_row

    def row_of(self, case_id: int) -> QueueRow | None:
        return self.found.known(case_id)

    def changed(self, case_ids: Sequence[int]) -> None:
        self._refresh()

    def news(self, news: News) -> None:
        self._refresh()

    def minute(self) -> None:
        self._refresh()

    def _refresh(self) -> None:
        """The rows that are shown, as they stand now; what was found stays."""
        listed = self.found
        top = listed.scroll_offset.y
        seen = tuple(listed.keys[top : top + max(1, listed.size.height)])
        if seen:
            self.ask("refresh", lambda: (self.desk.rows(seen), self.desk.bounds()), self._patch)

    def _patch(self, fresh: tuple[dict[int, QueueRow], Bounds]) -> None:
        rows, self.found.bounds = fresh
        self.found.left = self.house.prefs.left
        self.found.fill(rows)
        self.found.refresh()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._refresh()
