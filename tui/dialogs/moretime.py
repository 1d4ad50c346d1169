"""More time for a deadline: which, until when, why; the letter that tells them is read before it goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from amends.kernel.errors import Refused
from amends.ledger.shapes import DeadlineView, LetterView
from amends.letters.kinds import LetterKind
from tui.columns import short_reference
from tui.desk import Desk, Dial
from tui.dialogs.base import label
from tui.dialogs.lookover import LookOver, letter_lines
from tui.dialogs.working import Working
from tui.dials import is_owed
from tui.signs import SIGNS, Bounds, Heat, heat, moment
from tui.when import HOW_A_DAY, day_in_words, day_said
from tui.widgets.editor import Editor
from tui.widgets.field import Field
from tui.widgets.lineview import LineView, Sheet
from tui.widgets.rowlist import RowList
from tui.words import Line, fit, name, prose, wrap

if TYPE_CHECKING:
    from amends.casework.clockface import Clock
    from amends.casework.moretime import Preview

MOST = 4


@dataclass(frozen=True, slots=True)
class Movable:
    """A deadline that its rule lets be moved."""

    one: DeadlineView
    clock: Clock


@dataclass(frozen=True, slots=True)
class Granted:
    """What came of it, and the notice that is held until it leaves, where the rule wants one."""

    said: str
    letter: LetterView | None


def movable(dial: Dial) -> list[Movable]:
    """The deadlines of a case that may be given more time now, the earliest first."""
    clocks = ((one, dial.face.clocks.get(one.id)) for one in dial.case.deadlines if is_owed(one))
    return [Movable(one, clock) for one, clock in clocks if clock is not None and clock.more_time and not clock.barred]


class MovableList(RowList):
    """The deadlines that are offered."""

    def __init__(self, offered: Sequence[Movable], at: Bounds, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._offered, self._at = offered, at
        self._keys = range(len(offered))
        self.styles.height = min(len(offered), MOST)

    def row(self, key: int, width: int) -> Line:
        one, clock = self._offered[key].one, self._offered[key].clock
        band = heat(one.due_at, self._at)
        due = f"{'was due' if band is Heat.LATE else 'due'} {moment(one.due_at, self._at.now, self._at.zone)}"
        return (
            (SIGNS[band], "late-sign" if band is Heat.LATE else str(band)),
            (f" {fit(prose(one.label), 6)} ", "strong"),
            (fit(due, 30), str(band)),
            (fit(prose(clock.action), max(0, width - 40)), "text"),
        )


class OnOneClock(Working[Granted]):
    """A dialog about one of the clocks that are offered; F5 shows the letter that goes with it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+s,ctrl+r", "accept", "Look it over", show=False, priority=True)
    ]
    FIRST: ClassVar[str]
    """The field that comes after the choice of the clock."""

    def __init__(self, what: str, desk: Desk, dial: Dial, offered: Sequence[Movable], *, on: int | None) -> None:
        row = dial.case.row
        super().__init__(f"{what} {short_reference(row.reference)} {name(row.complainant_name)}", desk)
        self._dial, self._offered = dial, list(offered)
        self._on = next((at for at, each in enumerate(self._offered) if each.one.id == on), 0)

    def hint(self) -> str:
        return "Tab=Next field  F5=Look it over  Esc=Close"

    def on_mount(self) -> None:
        self.query_one("#about", LineView).can_focus = False
        listed = self.query_one(MovableList)
        listed.move_to(self._on)
        (self.query_one(self.FIRST, Input) if len(self._offered) == 1 else listed).focus()
        self._tell()

    def _meant(self) -> Movable:
        return self._offered[self.query_one(MovableList).cursor]

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        self._tell()

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        self.query_one(self.FIRST, Input).focus()

    def _tell(self) -> None:
        """Say beside the list what the clock under the cursor allows."""
        raise NotImplementedError


class MoreTime(OnOneClock):
    """F5 shows what would happen and the letter; there F5 does it, and Esc comes back to the words."""

    FIRST = "#to"

    def __init__(self, desk: Desk, dial: Dial, offered: Sequence[Movable], *, on: int | None = None) -> None:
        super().__init__("More time for", desk, dial, offered, on=on)

    def content(self) -> Iterator[Widget]:
        yield MovableList(self._offered, self._dial.at, id="which")
        yield LineView(id="about", classes="-few")
        yield label("New date")
        yield Field(id="to", placeholder="8 Jan, Friday, in 10 days …")
        yield Static("", id="understood", classes="hint", markup=False)
        yield label("Why: they are told this, so write it for them")
        reason = Editor(id="reason")
        reason.styles.height = 4
        yield reason

    def _tell(self) -> None:
        clock = self._meant().clock
        self.query_one("#about", LineView).show(lambda width: about(clock, width))
        self._understand(self.query_one("#to", Input).value)

    @property
    def _today(self) -> date:
        return self.desk.now().astimezone(self.desk.zone).date()

    def on_input_changed(self, message: Input.Changed) -> None:
        self._understand(message.value)

    def _understand(self, said: str) -> None:
        words = ""
        if said.strip():
            try:
                words = f"the end of {day_in_words(day_said(said, self._today), self._today)}"
            except Refused as no:
                words = str(no)
        elif (until := self._meant().clock.until) is not None:
            words = f"at the latest {day_in_words(until, self._today)}"
        self.query_one("#understood", Static).update(Content(words))

    def on_input_submitted(self, message: Input.Submitted) -> None:
        self.query_one("#reason", Editor).focus()

    def action_accept(self) -> None:
        said, reason = self.query_one("#to", Input).value, self.query_one("#reason", Editor).text.strip()
        if not said.strip():
            self.error(f"Still needed: the new date. {HOW_A_DAY}")
            self.query_one("#to", Input).focus()
            return
        try:
            to = day_said(said, self._today)
        except Refused as no:
            self.error(str(no))
            self.query_one("#to", Input).focus()
            return
        if not reason:
            self.error("Still needed: why. The complainant is told it in the letter.")
            self.query_one("#reason", Editor).focus()
            return
        self._look(self._meant(), to, reason)

    def _look(self, meant: Movable, to: date, reason: str) -> None:
        desk, case_id, one = self.desk, self._dial.case.row.id, meant.one

        def look() -> Preview:
            from amends.casework import moretime

            return moretime.preview_extension(
                desk.office, case_id, one.kind, to, reason, pack=one.pack, actor=desk.actor, now=desk.now()
            )

        def looked(preview: Preview) -> None:
            def answered(yes: bool | None) -> None:
                if yes:
                    self._give(meant, to, reason, preview)

            self.error("")
            at = self._dial.at
            over = LookOver(lambda width: look_over(meant.one, preview, at, width), sends=bool(preview.body))
            self.app.push_screen(over, answered)

        self.do(look, looked)

    def _give(self, meant: Movable, to: date, reason: str, preview: Preview) -> None:
        desk, case_id, one = self.desk, self._dial.case.row.id, meant.one

        def give() -> LetterView | None:
            from amends.casework import moretime

            leaves_at = moretime.extend(
                desk.office, case_id, one.kind, to, reason, pack=one.pack, actor=desk.actor, now=desk.now()
            )
            if leaves_at is None:
                return None
            mine = (each for each in desk.held() if each.case_id == case_id and each.kind == LetterKind.HOLDING)
            return max(mine, key=lambda each: each.id, default=None)

        def given(notice: LetterView | None) -> None:
            day = moment(preview.after, self._dial.at.now, self._dial.at.zone)
            label = prose(one.label)
            if preview.body:
                said = f"The notice is on its way; when it has left, {label} is due {day}."
            else:
                said = f"{label} is due {day} now."
            self.dismiss(Granted(said, notice))

        self.do(give, given)


def about(clock: Clock, width: int) -> Sheet:
    """What the rule allows."""
    words = clock.more_time[:1].upper() + clock.more_time[1:]
    lines: list[Line] = [((line, "text"),) for line in wrap(prose(f"{clock.label}: {clock.action}."), width - 1)]
    lines += [((line, "text"),) for line in wrap(prose(f"{words}."), width - 1)]
    lines += [((line, "muted"),) for line in wrap(prose(clock.pack_name), width - 1)]
    return Sheet(tuple(lines))


def look_over(one: DeadlineView, preview: Preview, at: Bounds, width: int) -> Sheet:
    """From when to when, and the notice."""
    before, after = (moment(each, at.now, at.zone) for each in (preview.before, preview.after))
    lines: list[Line] = [
        ((f"{prose(one.label)} ", "strong"), (f"now due {before}", "text")),
        ((" " * (len(prose(one.label)) + 1), "text"), (f"then due {after}", "accent")),
    ]
    if not preview.body:
        lines += [(), (("The rule wants no letter about it: the date moves at once.", "muted"),)]
        return Sheet(tuple(lines))
    lines += [
        ((line, "muted"),)
        for line in wrap("The date moves when this letter has left; u calls it back until then.", width - 1)
    ]
    lines += letter_lines(preview, width)
    return Sheet(tuple(lines))
