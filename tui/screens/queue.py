"""The queue: what is due first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widget import Widget

from amends.kernel.errors import AmendsError
from amends.ledger.views import CaseView, Counts, QueueRow
from tui import frame, keys, prefs
from tui.desk import KINDS, Desk, Kind, Snapshot, kind_named
from tui.pulse import News
from tui.screens.verbs import CaseVerbs
from tui.signs import Bounds
from tui.thread import preview
from tui.widgets.bar import Bar, Part
from tui.widgets.caselist import CaseList
from tui.widgets.lineview import LineView
from tui.widgets.rowlist import RowList

STILL_SECONDS: Final = 30.0
"""After so long without a key, on the first row and with no marks, what is new is shown by itself."""
PREVIEW_SECONDS: Final = 0.12
EMPTY: Final = {
    "open": "No open cases. New mail appears here by itself.",
    "mine": "Nothing of yours is open. Press v for another view, or A on a case to take it.",
    "nobody": "Every open case has somebody.",
    "late": "Nothing is late.",
}


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A new look at the view: the snapshot, the rows that may have changed, how many cases are new, which are gone."""

    snapshot: Snapshot
    rows: Mapping[int, QueueRow]
    new: int
    gone: Mapping[int, str]


def look_again(desk: Desk, kind: Kind, before: Sequence[int], seen: Sequence[int]) -> Refreshed:
    """What became of the list `before`; rows are read for `seen` alone."""
    snapshot = desk.snapshot(kind)
    rows = desk.rows(seen)
    now, then = set(snapshot.ids), set(before)
    gone = {key: _why_gone(rows.get(key)) for key in seen if key in then and key not in now}
    return Refreshed(snapshot, rows, len(now - then), gone)


def _why_gone(row: QueueRow | None) -> str:
    if row is None:
        return "gone"
    if not row.is_open:
        return "closed"
    return f"now {row.handler}'s" if row.handler else "nobody's now"


class QueueScreen(CaseVerbs):
    """Rows never move under the cursor: they change where they stand, and what is new waits for a key."""

    PLACE = "queue"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("queue")

    def __init__(self) -> None:
        super().__init__()
        self.kind = KINDS[0]
        self.new = 0
        self._counts: Counts | None = None
        self._later: Timer | None = None
        self._looked_at = 0.0
        self._pane = True

    def content(self) -> Iterator[Widget]:
        yield Bar(id="head")
        with Horizontal():
            yield CaseList(id="list")
            yield LineView(id="preview")

    @property
    def cases(self) -> CaseList:
        return self.query_one("#list", CaseList)

    def on_mount(self) -> None:
        self.kind = kind_named(self.house.prefs.view)
        self.cases.empty = "Reading…"
        self.cases.focus()
        self._open()

    def _open(self) -> None:
        def opening() -> Snapshot:
            self.desk.require_store()
            return self.desk.snapshot(self.kind)

        self.ask("snapshot", opening, self._show, otherwise=self._cannot)

    def _cannot(self, why: AmendsError) -> None:
        self.cases.empty = str(why)
        self.cases.refresh()
        self.house.say(str(why), "late")
        self._again(3.0)

    def _again(self, seconds: float) -> None:
        self.set_timer(seconds, self._open)

    # Showing

    def _show(self, snapshot: Snapshot) -> None:
        first = self._counts is None
        self.kind, self._counts, self.new = snapshot.kind, snapshot.counts, 0
        self.cases.left = self.house.prefs.left
        self.cases.empty = EMPTY.get(snapshot.kind.name, "No cases here. Press v for another view.")
        self.cases.show_cases(snapshot.ids, snapshot.rows, snapshot.bounds)
        self._titles()
        if first:
            self.call_after_refresh(self.house.watch_the_store)
            self.call_after_refresh(lambda: self.ask("warm", self._warm, lambda _: self.minute()))

    def _warm(self) -> None:
        time.sleep(0.3)  # the first picture goes out first
        self.desk.warm()

    def _titles(self) -> None:
        marked = len(self.cases.marked)
        left, right = frame.queue_title(
            self.kind.title, self._counts, marked=marked, new=self.new, width=self.size.width
        )
        self.show_title(left, right)
        heading = self.cases.heading(max(20, self.cases.size.width - 2))
        self.bar("head").show([Part(" ", "muted"), *(Part(words, role) for words, role in heading)])

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self._titles)

    def on_case_list_wanted(self, message: CaseList.Wanted) -> None:
        def show(rows: dict[int, QueueRow]) -> None:
            self.cases.fill(rows, asked=message.ids)

        self.ask("rows", lambda: self.desk.rows(message.ids), show, every=True, otherwise=self._rows_did_not_come)

    def _rows_did_not_come(self, why: AmendsError) -> None:
        self.cases.forget_asked()
        self.refused(why)

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        if self._later is not None:
            self._later.stop()
        if self._pane and self.has_class("-wide"):
            self._later = self.set_timer(PREVIEW_SECONDS, self._preview)

    def _preview(self) -> None:
        case_id = self.cases.current
        if case_id is not None:
            self.ask("preview", lambda: self.desk.case(case_id), self._show_preview)

    def _show_preview(self, found: tuple[CaseView, Bounds]) -> None:
        case, at = found
        if case.row.id == self.cases.current:
            self.query_one("#preview", LineView).show(lambda width: preview(case, at, width))

    def action_preview(self) -> None:
        self._pane = not self._pane
        self.query_one("#preview").set_class(not self._pane, "-hidden")
        if not self.has_class("-wide"):
            self.house.say("The pane beside the list needs a window of 120 columns.")
        elif self._pane:
            self._preview()
        self.call_after_refresh(self._titles)

    # What is new

    def news(self, news: News) -> None:
        touched = set(self._seen()) if news.cases is None else set(news.cases)
        self._look_again(touched)

    def _seen(self) -> list[int]:
        listed = self.cases
        top = listed.scroll_offset.y
        return list(listed.keys[top : top + max(1, listed.size.height)])

    def _look_again(self, touched: set[int]) -> None:
        if self._counts is None:
            return  # the first look is on its way, and tries again by itself
        before, kind = self.cases.keys, self.kind
        known = [key for key in touched if self.cases.known(key) is not None]
        seen = list(dict.fromkeys([*self._seen(), *known]))
        self.ask("refresh", lambda: look_again(self.desk, kind, before, seen), self._patch)

    def _patch(self, fresh: Refreshed) -> None:
        if fresh.snapshot.kind.name != self.kind.name:
            return
        listed = self.cases
        self._counts, self.new = fresh.snapshot.counts, fresh.new
        listed.bounds = fresh.snapshot.bounds
        listed.gone.update(fresh.gone)
        for key in fresh.rows:
            if key not in fresh.gone:
                listed.gone.pop(key, None)
        listed.fill(fresh.rows)
        listed.refresh()
        still = time.monotonic() - self.house.last_key > STILL_SECONDS
        if not listed.keys or (still and listed.cursor == 0 and not listed.marked and (fresh.new or fresh.gone)):
            self._show(fresh.snapshot)
        self._titles()
        if self.has_class("-wide") and self._pane and listed.current in fresh.rows:
            self._preview()

    def minute(self) -> None:
        self.cases.left = self.house.prefs.left
        self._look_again(set())

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self._counts is not None:
            self._look_again(set())

    def action_fresh(self) -> None:
        """Make the list anew; the cursor stays on its case."""
        on = self.cases.current
        self.ask("snapshot", lambda: self.desk.snapshot(self.kind), lambda snapshot: self._fresh(snapshot, on))

    def _fresh(self, snapshot: Snapshot, on: int | None) -> None:
        before = self.new
        self._show(snapshot)
        self.house.say(f"{before} new, in their places." if before else "This is how it stands now.")

    # Views and marks

    def action_views(self) -> None:
        from tui.dialogs.choose import Choose, Option

        options = [Option(kind.name, kind.title) for kind in KINDS]
        self.offer(Choose("Which cases?", options, on=self.kind.name), self.show_view)

    def show_view(self, name: str) -> None:
        self.kind = kind_named(name)
        self.house.prefs = replace(self.house.prefs, view=name)
        prefs.save(self.house.prefs)
        self.cases.move_to(0)
        self.ask("snapshot", lambda: self.desk.snapshot(self.kind), self._show)

    def action_mark(self) -> None:
        key = self.cases.current
        if key is not None:
            self.cases.mark([key], on=key not in self.cases.marked)
            self.cases.action_down()
            self._titles()

    def action_mark_to(self) -> None:
        last = next(reversed(self.cases.marked), None)
        start = self.cases.place_of(last)
        if start is None:
            self.house.say("Mark one case with x first; X then marks from there to here.")
            return
        first, end = sorted((start, self.cases.cursor))
        self.cases.mark(self.cases.keys[first : end + 1], on=True)
        self._titles()

    def action_mark_all(self) -> None:
        self.cases.mark(list(self.cases.keys), on=True)
        self._titles()

    def action_leave(self) -> None:
        if self.cases.marked:
            self.cases.mark(list(self.cases.marked), on=False)
            self._titles()
            self.house.say("The marks are gone.")
        else:
            super().action_leave()

    # Verbs

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        self.house.open_case(message.key, self.cases.keys)

    def chosen(self) -> Sequence[int]:
        return self.cases.chosen()

    def looked_at(self) -> QueueRow | None:
        return self.cases.current_row

    def row_of(self, case_id: int) -> QueueRow | None:
        return self.cases.known(case_id)

    def changed(self, case_ids: Sequence[int]) -> None:
        if len(self.cases.marked) > 0 and set(case_ids) <= set(self.cases.marked):
            self.cases.mark(list(self.cases.marked), on=False)
        self._look_again(set(case_ids))
