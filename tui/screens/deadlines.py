"""The deadlines of one case: every clock, and behind each why it falls so and what can be done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from amends.ledger.shapes import QueueRow
from tui import dials, frame, keys
from tui.desk import Dial
from tui.dials import Row
from tui.pulse import News
from tui.screens.clocking import ClockVerbs
from tui.widgets.bar import Bar, Part
from tui.widgets.lineview import LineView
from tui.widgets.rowlist import RowList
from tui.words import Line, name, plural

MOST_ROWS = 8


class DialList(RowList):
    """The clocks as rows."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: dict[int, Row] = {}
        self.dial: Dial | None = None
        self.left = False

    def show_dial(self, dial: Dial) -> None:
        self.dial = dial
        self.rows = {row.key: row for row in dials.rows_of(dial.case, dial.face)}
        self.show(list(self.rows))

    def row(self, key: int, width: int) -> Line:
        if self.dial is None:
            return ()
        tags = dials.tags_of(self.dial.case)
        return dials.row_line(self.rows[key], self.dial.at, width, tags=tags, left=self.left)


class DeadlinesScreen(ClockVerbs):
    """Enter gives what stands behind a clock the whole window; Esc gives it back."""

    PLACE = "deadlines"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("deadlines")
    DEFAULT_CSS = """
    DeadlinesScreen #both { layout: vertical; height: 1fr; }
    DeadlinesScreen.-wide #both { layout: horizontal; }
    DeadlinesScreen #dials { height: auto; }
    DeadlinesScreen.-wide #dials { height: 1fr; width: 1fr; }
    DeadlinesScreen #why { border-top: solid $am-bar-ground; height: 1fr; }
    DeadlinesScreen.-wide #why { border-top: none; border-left: vkey $am-bar-ground; padding: 0 0 0 1; width: 62; }
    DeadlinesScreen.-whole #dials { display: none; }
    DeadlinesScreen.-whole.-wide #dials { display: block; }
    """

    def __init__(self, case_id: int) -> None:
        super().__init__()
        self.case_id = case_id
        self.dial: Dial | None = None

    def content(self) -> Iterator[Widget]:
        yield Bar(id="head")
        with Container(id="both"):
            yield DialList(id="dials")
            yield LineView(id="why")

    @property
    def dials(self) -> DialList:
        return self.query_one("#dials", DialList)

    @property
    def why(self) -> LineView:
        return self.query_one("#why", LineView)

    def on_mount(self) -> None:
        self.dials.empty = "No deadline was ever started on this case."
        self.dials.focus()
        self._read()

    def _read(self) -> None:
        self.ask("dial", lambda: self.desk.dial(self.case_id), self._show)

    def _show(self, dial: Dial) -> None:
        self.dial = dial
        self.dials.left = self.house.prefs.left
        self.dials.show_dial(dial)
        self._draw()

    def _draw(self) -> None:
        dial = self.dial
        if dial is None:
            return
        row, case = dial.case.row, dial.case
        owed = [one for one in case.deadlines if dials.is_owed(one)]
        late = [one for one in owed if one.state != "paused" and one.due_at < dial.at.now]
        left = [Part(f" Deadlines of {row.reference} ", "strong"), Part(f" {name(row.complainant_name)}", "text")]
        right = [Part(f"  {len(late)} late", "late")] if late else []
        asked = [one for one in dial.face.questions if one.known is None]
        if asked:
            role = "muted" if all(one.taken for one in asked) else "warn"
            right.append(Part(f"  {plural(len(asked), 'open question')}: f ", role, "facts"))
        still = sum(one.state == "paused" for one in owed)
        right.append(Part(f"  {len(owed) - still} running{f', {still} paused' if still else ''} ", "muted"))
        self.show_title(left, right)
        heading = dials.head_line(self.size.width, tags=dials.tags_of(case))
        self.bar("head").show([Part(words, role) for words, role in heading])
        if self.size.width >= frame.WIDE:
            self.dials.styles.height = "1fr"
        else:
            self.dials.styles.height = max(1, min(len(self.dials.keys), MOST_ROWS, self.size.height - 13))
        self._tell()

    def _tell(self) -> None:
        dial, row = self.dial, self._row()
        if dial is not None and row is not None:
            may = self.desk.may_write
            self.why.show(lambda width: dials.page(row, dial.case, dial.at, width, may_write=may))

    def _row(self) -> Row | None:
        current = self.dials.current
        return None if current is None else self.dials.rows.get(current)

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        self._tell()

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        self._whole(True)

    def on_line_view_entered(self, message: LineView.Entered) -> None:
        self._whole(False)

    def _whole(self, whole: bool) -> None:
        self.set_class(whole, "-whole")
        (self.why if whole else self.dials).focus()

    def action_deadlines(self) -> None:
        """They are here already: the same key goes back."""
        self.action_leave()

    def action_leave(self) -> None:
        if self.has_class("-whole"):
            self._whole(False)
        else:
            super().action_leave()

    def on_resize(self) -> None:
        super().on_resize()
        self._draw()

    # What the store and the verbs tell

    def news(self, news: News) -> None:
        if news.cases is None or self.case_id in news.cases:
            self._read()

    def minute(self) -> None:
        self._read()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.dial is not None:
            self._read()

    def chosen(self) -> Sequence[int]:
        return [self.case_id]

    def looked_at(self) -> QueueRow | None:
        return None if self.dial is None else self.dial.case.row

    def pointed_at(self) -> int | None:
        current = self.dials.current
        return current if current is not None and current >= 0 else None

    def changed(self, case_ids: Sequence[int]) -> None:
        self._read()
