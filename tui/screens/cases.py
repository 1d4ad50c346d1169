"""What the queue and the search have in common: cases as rows, marks, and the case under the cursor beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widget import Widget

from amends.kernel.errors import AmendsError
from amends.ledger.shapes import CaseView, QueueRow
from tui import prefs
from tui.screens.verbs import CaseVerbs
from tui.signs import Bounds
from tui.thread import preview
from tui.widgets.bar import Bar, Part
from tui.widgets.caselist import CaseList
from tui.widgets.lineview import LineView
from tui.widgets.rowlist import RowList

PREVIEW_SECONDS: Final = 0.12


class CaseListing(CaseVerbs):
    """The list is `cases`; in a wide window there is a pane beside it, in a narrow one the pane opens over it."""

    LIST: ClassVar[str]
    """The id of the list."""

    def __init__(self) -> None:
        super().__init__()
        self._later: Timer | None = None

    def rows_and_pane(self) -> ComposeResult:
        yield Bar(id="head")
        with Horizontal():
            cases = CaseList(id=self.LIST)
            cases.tags = self.desk.tags
            yield cases
            pane = LineView(id="preview")
            pane.can_focus = False  # it follows the list; whoever wants to read on opens the case
            yield pane

    def content(self) -> Iterator[Widget]:
        yield from self.rows_and_pane()

    @property
    def cases(self) -> CaseList:
        return self.query_one(f"#{self.LIST}", CaseList)

    def show_heading(self) -> None:
        """The titles of the columns, as wide as the list is now."""
        heading = self.cases.heading(max(20, self.cases.scrollable_content_region.width - 1))
        self.bar("head").show([Part(" ", "muted"), *(Part(words, role) for words, role in heading)])

    def on_case_list_wanted(self, message: CaseList.Wanted) -> None:
        def show(rows: dict[int, QueueRow]) -> None:
            self.cases.fill(rows, asked=message.ids)

        self.ask("rows", lambda: self.desk.rows(message.ids), show, every=True, otherwise=self._rows_did_not_come)

    def _rows_did_not_come(self, why: AmendsError) -> None:
        self.cases.forget_asked()
        self.refused(why)

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        self.house.open_case(message.key, self.cases.keys)

    # The case beside the list

    @property
    def has_pane(self) -> bool:
        return self.house.prefs.pane and self.has_class("-wide")

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        if self._later is not None:
            self._later.stop()
        if self.has_pane:
            self._later = self.set_timer(PREVIEW_SECONDS, self.show_pane)

    def show_pane(self) -> None:
        """The case under the cursor, as it stands now, where there is room for it."""
        if not self.query("#preview"):  # not composed yet, or going
            return
        self.query_one("#preview").set_class(not self.house.prefs.pane, "-hidden")
        case_id = self.cases.current
        if case_id is not None and self.has_pane:
            self.ask("preview", lambda: self.desk.case(case_id), self._show_preview)

    def _show_preview(self, found: tuple[CaseView, Bounds]) -> None:
        case, at = found
        if self.query("#preview") and case.row.id == self.cases.current:
            self.query_one("#preview", LineView).show(lambda width: preview(case, at, width))

    def action_preview(self) -> None:
        """In a wide window show or hide the pane, which is remembered; in a narrow one the case opens over the list."""
        if self.has_class("-wide"):
            self.house.prefs = replace(self.house.prefs, pane=not self.house.prefs.pane)
            prefs.save(self.house.prefs)
            self.show_pane()
            self.call_after_refresh(self.show_heading)
            return
        case_id = self.cases.current
        if case_id is None:
            self.house.say("No case is chosen: move to one first.")
        else:
            self.ask("peek", lambda: self.desk.case(case_id), self._peek, opens=True)

    def _peek(self, found: tuple[CaseView, Bounds]) -> None:
        from tui.dialogs.peek import Peek

        case, at = found
        self.offer(Peek(case, at), lambda _: self.house.open_case(case.row.id, self.cases.keys))

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.show_pane()

    # Marks

    def marked(self) -> None:
        """The marks have changed."""

    def action_mark(self) -> None:
        key = self.cases.current
        if key is not None:
            self.cases.mark([key], on=key not in self.cases.marked)
            self.cases.action_down()
            self.marked()

    def action_mark_to(self) -> None:
        start = self.cases.place_of(next(reversed(self.cases.marked), None))
        if start is None:
            self.house.say("Mark one case with x first; X then marks from there to here.")
            return
        first, end = sorted((start, self.cases.cursor))
        self.cases.mark(self.cases.keys[first : end + 1], on=True)
        self.marked()

    def action_mark_all(self) -> None:
        self.cases.mark(list(self.cases.keys), on=True)
        self.marked()

    def unmark(self) -> bool:
        """Take all marks away; whether there were any."""
        if not self.cases.marked:
            return False
        self.cases.mark(list(self.cases.marked), on=False)
        self.marked()
        return True

    def action_leave(self) -> None:
        if self.unmark():
            self.house.say("The marks are gone.")
        else:
            super().action_leave()

    # Verbs

    def chosen(self) -> Sequence[int]:
        return self.cases.chosen()

    def looked_at(self) -> QueueRow | None:
        return self.cases.current_row

    def row_of(self, case_id: int) -> QueueRow | None:
        return self.cases.known(case_id)
