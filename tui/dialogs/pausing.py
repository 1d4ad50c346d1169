"""A clock that is to stand still: which, why, what they are asked; the letter is read before it goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input

from amends.ledger.shapes import DeadlineView, LetterView
from amends.letters.kinds import LetterKind
from tui.desk import Desk, Dial
from tui.dialogs.base import label
from tui.dialogs.lookover import LookOver, letter_lines
from tui.dialogs.moretime import Granted, Movable, MovableList, OnOneClock
from tui.dials import is_owed
from tui.signs import Bounds, moment
from tui.widgets.editor import Editor
from tui.widgets.field import Field
from tui.widgets.lineview import LineView, Sheet
from tui.words import Line, prose, wrap

if TYPE_CHECKING:
    from amends.casework.clockface import Clock
    from amends.casework.moretime import Preview


def stoppable(dial: Dial) -> list[Movable]:
    """The deadlines of a case whose clock may be stopped now, the earliest first."""
    clocks = ((one, dial.face.clocks.get(one.id)) for one in dial.case.deadlines if is_owed(one))
    return [
        Movable(one, clock)
        for one, clock in clocks
        if clock is not None and clock.pause and one.state != "paused" and one.due_at > dial.at.now
    ]


class PauseClock(OnOneClock):
    """F5 shows the letter; there F5 sends it, and Esc comes back to the words."""

    FIRST = "#reason"

    def __init__(self, desk: Desk, dial: Dial, offered: Sequence[Movable], *, on: int | None = None) -> None:
        super().__init__("Pause a clock of", desk, dial, offered, on=on)

    def content(self) -> Iterator[Widget]:
        yield MovableList(self._offered, self._dial.at, id="which")
        yield LineView(id="about", classes="-few")
        yield label("Why: it stands on the record, they do not read it")
        yield Field(id="reason")
        yield label("What you ask them for: they read this in the letter")
        asked = Editor(id="asked")
        asked.styles.height = 4
        yield asked

    def on_input_submitted(self, message: Input.Submitted) -> None:
        self.query_one("#asked", Editor).focus()

    def _tell(self) -> None:
        clock = self._meant().clock
        self.query_one("#about", LineView).show(lambda width: about(clock, width))

    def action_accept(self) -> None:
        reason, asked = self.query_one("#reason", Input).value.strip(), self.query_one("#asked", Editor).text.strip()
        if not reason:
            self.error("Still needed: why the clock stands still.")
            self.query_one("#reason", Input).focus()
            return
        if not asked:
            self.error("Still needed: what you ask them for; they read it in the letter.")
            self.query_one("#asked", Editor).focus()
            return
        self._look(self._meant().one, reason, asked)

    def _look(self, one: DeadlineView, reason: str, asked: str) -> None:
        desk, case_id = self.desk, self._dial.case.row.id

        def look() -> Preview:
            from amends.casework import moretime

            return moretime.preview_pause(
                desk.office, case_id, one.kind, reason, text=asked, pack=one.pack, actor=desk.actor, now=desk.now()
            )

        def looked(preview: Preview) -> None:
            def answered(yes: bool | None) -> None:
                if yes:
                    self._pause(one, reason, asked)

            self.error("")
            at = self._dial.at
            self.app.push_screen(LookOver(lambda width: look_over(one, preview, at, width), sends=True), answered)

        self.do(look, looked)

    def _pause(self, one: DeadlineView, reason: str, asked: str) -> None:
        desk, case_id = self.desk, self._dial.case.row.id

        def pause() -> LetterView | None:
            from amends.casework import moretime

            moretime.pause(
                desk.office, case_id, one.kind, reason, text=asked, pack=one.pack, actor=desk.actor, now=desk.now()
            )
            mine = (each for each in desk.held() if each.case_id == case_id and each.kind == LetterKind.PAUSE)
            return max(mine, key=lambda each: each.id, default=None)

        def paused(notice: LetterView | None) -> None:
            said = f"The letter is on its way; when it has left, {prose(one.label)} stands still until they answer."
            self.dismiss(Granted(said, notice))

        self.do(pause, paused)


def about(clock: Clock, width: int) -> Sheet:
    """When the rule lets its clock stand still."""
    words = f"Its clock may stand still {clock.pause}."
    lines: list[Line] = [((line, "text"),) for line in wrap(prose(f"{clock.label}: {clock.action}."), width - 1)]
    lines += [((line, "text"),) for line in wrap(prose(words), width - 1)]
    lines += [((line, "muted"),) for line in wrap(prose(clock.pack_name), width - 1)]
    return Sheet(tuple(lines))


def look_over(one: DeadlineView, preview: Preview, at: Bounds, width: int) -> Sheet:
    """From when to when, and the letter."""
    latest = moment(preview.after, at.now, at.zone)
    told = f"{prose(one.label)} stands still when this letter has left: until they answer, or W lets it go on"
    told += f", at the latest until {latest}. Until it has left, u calls it back."
    lines: list[Line] = [((line, "accent"),) for line in wrap(told, width - 1)]
    return Sheet((*lines, *letter_lines(preview, width)))
