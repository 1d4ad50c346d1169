"""The queue: what is due first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from textual.binding import BindingType

from amends.kernel.errors import AmendsError
from amends.ledger.shapes import Counts, QueueRow
from tui import frame, keys, prefs
from tui.desk import KINDS, Desk, Kind, Snapshot, kind_named
from tui.pulse import News
from tui.screens.cases import CaseListing

STILL_SECONDS: Final = 30.0
"""After so long without a key, on the first row and with no marks, what is new is shown by itself."""
_BLOCK: Final = 512
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
    now, then = map(set, _but_for_ends(snapshot.ids, before))
    gone = {key: _why_gone(rows.get(key)) for key in seen if key in then and key not in now}
    return Refreshed(snapshot, rows, len(now - then), gone)


def _but_for_ends(one: Sequence[int], other: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """Both without most of what they begin and end with alike: a set of a million ids takes long to make."""
    start = _alike(one, other)
    one, other = one[start:], other[start:]
    end = _alike(one[::-1], other[::-1])
    return one[: len(one) - end], other[: len(other) - end]


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many are the same at the start of both; a few of them may be left out."""
    same = 0
    while same < len(one) and one[same : same + _BLOCK] == other[same : same + _BLOCK]:
        same += _BLOCK
    return min(same, len(one))


def _why_gone(row: QueueRow | None) -> str:
    if row is None:
        return "gone"
    if not row.is_open:
        return "closed"
    return f"now {row.handler}'s" if row.handler else "nobody's now"


class QueueScreen(CaseListing):
    """Rows never move under the cursor: they change where they stand, and what is new waits for a key."""

    PLACE = "queue"
    LIST = "list"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("queue")

    def __init__(self) -> None:
        super().__init__()
        self.kind = KINDS[0]
        self.new = 0
        self._counts: Counts | None = None
        self._away = False

    def on_mount(self) -> None:
        self.kind = kind_named(self.house.prefs.view)
        self.cases.empty = "Reading…"
        self.cases.focus()
        self._open()

    def _open(self) -> None:
        def opening() -> Snapshot:
            look, self.house.first_look = self.house.first_look, None
            if look is not None and (seen := look.take()) is not None and seen.kind.name == self.kind.name:
                return seen
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
            self.opening(1)  # any key may lead to a question, and the event loop would stand still while SQL is loaded
            self.call_after_refresh(self._load)

    def _load(self) -> None:
        self.ask("load", self.desk.load, self._loaded, opens=True)
        self.opening(-1)

    def _loaded(self, _: None) -> None:
        self.house.watch_the_store()
        self.ask("warm", self._warm, lambda _: self.minute())

    def _warm(self) -> None:
        time.sleep(0.3)  # the first picture goes out first
        self.desk.warm()

    def _titles(self) -> None:
        marked = len(self.cases.marked)
        left, right = frame.queue_title(
            self.kind.title, self._counts, marked=marked, new=self.new, width=self.size.width
        )
        self.show_title(left, right)
        self.show_heading()

    def marked(self) -> None:
        self._titles()

    def on_resize(self) -> None:
        super().on_resize()
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
        if listed.current in fresh.rows:
            self.show_pane()

    def minute(self) -> None:
        if not self.query(f"#{self.LIST}"):  # the program is going, and a worker's answer came after
            return
        self.cases.left = self.house.prefs.left
        self._look_again(set())

    def on_screen_suspend(self) -> None:
        """Something covers the list: a dialog, or a screen from which somebody comes back to a list that moved on."""
        self._away = self._away or self.house.place is not self

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self._counts is None:
            return
        if self._away:  # nobody's eyes are on a row now
            self._away = False
            self.ask("snapshot", lambda: self.desk.snapshot(self.kind), self._show)
        else:
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

    def changed(self, case_ids: Sequence[int]) -> None:
        if set(case_ids) <= set(self.cases.marked):
            self.unmark()
        self._look_again(set(case_ids))
