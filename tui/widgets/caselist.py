"""The list of cases: a snapshot of ids, and the rows of the pages that were looked at."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from textual.message import Message

from amends.ledger.shapes import QueueRow
from tui.columns import Layout, head, row_spans
from tui.signs import Bounds
from tui.widgets.rowlist import RowList
from tui.words import Line

PAGE: Final = 64
PAGES_KEPT: Final = 64


class CaseList(RowList):
    """Rows come by page: what is missing is asked for with `Wanted` and drawn when it comes."""

    @dataclass
    class Wanted(Message):
        """The rows of these cases are about to be seen and are not here."""

        sender: CaseList
        ids: tuple[int, ...]

        @property
        def control(self) -> CaseList:
            return self.sender

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: OrderedDict[int, QueueRow] = OrderedDict()
        self._asked: set[int] = set()
        self._illegible: set[int] = set()
        self.bounds: Bounds | None = None
        self.left = False
        self.tags: Mapping[str, str] = {}
        """What the packs are called in the column of rules, by their ids; empty where only one applies."""
        """Deadlines as the time that is left."""
        self.marked: dict[int, None] = {}
        self.gone: dict[int, str] = {}
        """Cases that do not belong to the view any more, and why; they stay until the list is made anew."""

    def show_cases(
        self, ids: Sequence[int], rows: Mapping[int, QueueRow], bounds: Bounds, *, on: int | None = None
    ) -> None:
        """A new snapshot, with those of its rows that are already known."""
        self._rows.clear()
        self._asked.clear()
        self._illegible.clear()
        self.gone.clear()
        self.bounds = bounds
        self._keep(rows.values())
        shown = set(ids) if self.marked else ()
        self.marked = {key: None for key in self.marked if key in shown}
        self.show(ids, on=on)

    def fill(self, rows: Mapping[int, QueueRow], *, asked: Iterable[int] = ()) -> None:
        """Rows that were asked for, or that have changed; one that was `asked` for and is not here cannot be read."""
        self._keep(rows.values())
        lost = [key for key in asked if key not in rows]
        self._illegible.update(lost)
        if len(rows) > PAGE // 2:
            self.refresh()
        else:
            for key in (*rows, *lost):
                self.redraw(key)

    def _keep(self, rows: Iterable[QueueRow]) -> None:
        for row in rows:
            self._rows[row.id] = row
            self._rows.move_to_end(row.id)
            self._asked.discard(row.id)
            self._illegible.discard(row.id)
        while len(self._rows) > PAGE * PAGES_KEPT:
            self._rows.popitem(last=False)

    def known(self, key: int | None) -> QueueRow | None:
        """The row of a case, if it is here."""
        return None if key is None else self._rows.get(key)

    @property
    def current_row(self) -> QueueRow | None:
        return self.known(self.current)

    def chosen(self) -> list[int]:
        """The marked cases, else the one under the cursor."""
        if self.marked:
            return list(self.marked)
        return [] if self.current is None else [self.current]

    def row(self, key: int, width: int) -> Line:
        row = self._rows.get(key)
        if row is None and key in self._illegible:
            return (("   This case cannot be read; run: amendsd verify", "late"),)
        if row is None or self.bounds is None:
            self._ask(key)
            return (("   …", "muted"),)
        return row_spans(
            row,
            self.layout_for(width),
            self.bounds,
            marked=key in self.marked,
            gone=self.gone.get(key),
            left=self.left,
            tags=self.tags,
        )

    def heading(self, width: int) -> Line:
        """The titles of the columns."""
        return head(self.layout_for(width))

    def layout_for(self, width: int) -> Layout:
        return Layout.of(width, rules=bool(self.tags))

    def _ask(self, key: int) -> None:
        if key in self._asked:
            return
        place = self.place_of(key) or 0
        first = max(0, place - PAGE)
        wanted = [
            one for one in self._keys[first : place + 2 * PAGE] if one not in self._rows and one not in self._asked
        ]
        self._asked.update(wanted)
        self.post_message(self.Wanted(self, tuple(wanted)))

    def forget_asked(self) -> None:
        """What was asked for did not come; it may be asked for again."""
        self._asked.clear()

    def mark(self, keys: Iterable[int], *, on: bool) -> None:
        for key in keys:
            if on:
                self.marked[key] = None
            else:
                self.marked.pop(key, None)
            self.redraw(key)
