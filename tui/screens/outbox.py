"""The outbox: letters on their way, those that failed, and those of which nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.widget import Widget

from amends.ledger.views import LetterView
from tui import keys
from tui.pulse import News
from tui.screens.base import DeskScreen
from tui.signs import Bounds
from tui.thread import LETTER_NAMES
from tui.widgets.bar import Bar, Part
from tui.widgets.letterlist import LetterList
from tui.widgets.lineview import LineView, Sheet
from tui.widgets.rowlist import RowList
from tui.words import Line, letter, name, plural, prose, wrap

SENT_SHOWN: Final = timedelta(days=1)
_NEEDS: Final = ("failed", "bounced", "uncertain")
_ORDER: Final = {state: n for n, state in enumerate((*_NEEDS, "queued", "sending", "approval", "draft", "sent"))}
ADVICE: Final = {
    "failed": "The server refused it. Correct the address (C) and send it again (R), or give it up (d) and telephone.",
    "bounced": "It was delivered and came back. Correct the address (C) and send it again (R), or give it up (d).",
    "uncertain": "The connection broke at the last moment, so nobody knows whether it arrived. If you find out that it "
    "did, press s; to send it once more, R (they may get it twice); to give it up, d.",
    "queued": "It leaves by itself. u calls back a letter of yours while it is held.",
    "draft": "It is only a draft. Enter opens the case.",
}


class OutboxScreen(DeskScreen):
    """The letters of the last day, and all that have not been sent."""

    PLACE = "outbox"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("outbox")
    DEFAULT_CSS = """
    OutboxScreen #about { height: 9; border-top: solid $am-bar-ground; }
    """

    def content(self) -> Iterator[Widget]:
        yield Bar(id="head")
        yield LetterList(id="letters")
        yield LineView(id="about")

    @property
    def letters(self) -> LetterList:
        return self.query_one("#letters", LetterList)

    def on_mount(self) -> None:
        self.bar("head").show([Part("     State       Ref       Letter          To", "muted")])
        self.letters.empty = "No letters are on their way."
        self.letters.focus()
        self._read()

    def _read(self) -> None:
        def read() -> tuple[list[LetterView], Bounds]:
            at = self.desk.bounds()
            found = [one for one in self.desk.outbox(at.now - SENT_SHOWN) if not one.staff or one.state in _NEEDS]
            return sorted(found, key=lambda one: (_ORDER.get(one.state, 9), -one.id)), at

        self.ask("letters", read, self._show)

    def _show(self, found: tuple[list[LetterView], Bounds]) -> None:
        letters, at = found
        self.letters.show_letters(letters, at, self.desk.office.settings.clock.speed)
        stuck = [one for one in letters if one.state in _NEEDS]
        waiting = [one for one in letters if one.state in ("queued", "sending")]
        sent = [one for one in letters if one.state == "sent"]
        parts = [Part(" Outbox", "strong")]
        if stuck:
            need = f" {plural(len(stuck), 'letter')} {'needs' if len(stuck) == 1 else 'need'} you"
            parts += [Part("  "), Part("!!", "late-sign"), Part(need, "late")]
        parts.append(Part(f"  {len(waiting)} on their way  {len(sent)} sent since yesterday", "muted"))
        self.show_title(parts)
        self._about()

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        self._about()

    def _about(self) -> None:
        one = self.letters.letter
        if one is None:
            self.query_one("#about", LineView).show(lambda width: Sheet())
            return
        self.query_one("#about", LineView).show(lambda width: _about(one, width))

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        one = self.letters.letter
        if one is not None and one.case_id is not None:
            self.house.open_case(one.case_id)

    def news(self, news: News) -> None:
        self._read()

    def minute(self) -> None:
        self._read()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._read()

    # Verbs

    def _stuck(self, *states: str) -> LetterView | None:
        one = self.letters.letter
        if one is None or one.state not in states:
            self.house.say(f"This works on letters that are {' or '.join(states)}: move to one first.")
            return None
        return one

    def _sure(self, question: str, words: str, yes: str, verb: Callable[[], object], said: str) -> None:
        from tui.dialogs.confirm import Confirm

        def answered(sure: bool) -> None:
            if sure:
                self.do(verb, lambda _: self._read(), said=said)

        self.offer(Confirm(question, words, yes=yes, no="No"), answered)

    def action_resend(self) -> None:
        one = self._stuck(*_NEEDS)
        if one is None:
            return
        from amends.casework import correspondence

        desk = self.desk

        def again() -> None:
            correspondence.resend(desk.office, one.id, actor=desk.actor, now=desk.now())

        if one.state == "uncertain":
            words = "If it did arrive, they may get it twice; it has the same Message-ID."
            self._sure("Send it once more?", words, "Send again", again, "It is on its way again.")
        else:
            self.do(again, lambda _: self._read(), said="It is on its way again.")

    def action_arrived(self) -> None:
        one = self._stuck("uncertain")
        if one is not None:
            from amends.casework import correspondence

            desk = self.desk
            self._sure(
                "It arrived?",
                "You know it from the complainant or from the mail server's log.",
                "It arrived",
                lambda: correspondence.settle(desk.office, one.id, True, actor=desk.actor, now=desk.now()),
                "Settled: it arrived.",
            )

    def action_give_up(self) -> None:
        one = self._stuck(*_NEEDS)
        if one is not None:
            from amends.casework import correspondence

            desk = self.desk
            self._sure(
                "Give it up?",
                "It will not be sent. What it should have met is still owed: write another letter, or telephone.",
                "Give it up",
                lambda: correspondence.settle(desk.office, one.id, False, actor=desk.actor, now=desk.now()),
                "Given up. What it should have met is still owed.",
            )

    def action_correct(self) -> None:
        from tui.dialogs.ask import AskLine

        one = self.letters.letter
        if one is None or one.case_id is None:
            return
        desk, case_id = self.desk, one.case_id

        def corrected(address: str) -> None:
            from amends.casework import correspondence

            self.do(
                lambda: correspondence.correct_address(desk.office, case_id, address, actor=desk.actor, now=desk.now()),
                lambda _: self._read(),
                said=f"From now on we write to {name(address)}. Write the letter anew, for this one keeps its address.",
            )

        hint = "A letter that was written keeps its address: give it up (d) and write it anew."
        self.offer(AskLine("Correct the address", "Write to", value=name(one.to_address), hint=hint), corrected)


def _about(one: LetterView, width: int) -> Sheet:
    lines: list[Line] = [
        ((f" {LETTER_NAMES.get(one.kind, one.kind)} to {name(one.to_name)} <{name(one.to_address)}>", "strong"),)
    ]
    lines.append(((f" {prose(one.subject)}", "text"),))
    if one.error:
        lines.extend(((" " + line, "late"),) for line in wrap(f"Reason: {prose(one.error)}", width - 2))
    if one.tries:
        lines.append(((f" Tried {plural(one.tries, 'time')}.", "muted"),))
    lines.extend(((" " + line, "accent"),) for line in wrap(ADVICE.get(one.state, ""), width - 2))
    lines.append(())
    lines.extend(((" " + line, "text"),) for line in wrap(letter(one.body).rstrip(), width - 2))
    return Sheet(tuple(lines))
