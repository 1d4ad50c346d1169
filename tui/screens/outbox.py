"""The outbox: letters on their way, those that failed, and those of which nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

from textual.binding import BindingType

from amends.ledger.shapes import LetterView
from tui import keys
from tui.names import letter_name
from tui.screens.listing import Listing
from tui.signs import Bounds
from tui.widgets.bar import Part
from tui.widgets.letterlist import LetterList
from tui.widgets.lineview import Sheet
from tui.widgets.rowlist import RowList
from tui.words import Line, letter, name, plural, prose, wrap

SENT_SHOWN: Final = timedelta(days=1)
_NEEDS: Final = ("failed", "bounced", "uncertain")
_ORDER: Final = {state: n for n, state in enumerate((*_NEEDS, "queued", "sending", "approval", "draft", "sent"))}
_HELP: Final = (
    "C corrects their address and sends the letter to it. R sends it to the same address again. d gives it up: then "
    "telephone, or write by post."
)
ADVICE: Final = {
    "failed": f"The other server refused it. {_HELP}",
    "bounced": f"It was taken and came back. {_HELP}",
    "uncertain": "The connection broke at the last moment, so nobody knows whether it arrived. If you find out that it "
    "did, press s; to send it once more, R (they may get it twice); to give it up, d.",
    "queued": "It leaves by itself. u calls back a letter of yours while it is held.",
    "draft": "It is only a draft. Enter opens the case.",
}
CORRECTED: Final = "The address of the case was corrected since: R sends this letter to {address}. d gives it up."
TO_STAFF: Final = "It was for a colleague. R sends it again; if the address is wrong, tell the operator; d gives it up."


@dataclass(frozen=True, slots=True)
class Posted:
    """A letter, and the address that its case has now; empty where it has none."""

    letter: LetterView
    address: str

    @property
    def is_corrected(self) -> bool:
        """Whether what is sent now goes elsewhere than the letter went."""
        return bool(self.address) and not self.letter.staff and self.address != self.letter.to_address


class OutboxScreen(Listing):
    """The letters of the last day, and all that have not been sent."""

    PLACE = "outbox"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("outbox")
    HEAD = "   State          Ref       Letter          To"
    EMPTY = "No letter is on its way, and none needs you."
    DEFAULT_CSS = "OutboxScreen #about { height: 10; }"

    def __init__(self) -> None:
        super().__init__()
        self._addresses: dict[int, str] = {}

    def listed(self) -> RowList:
        return LetterList(id="letters")

    @property
    def letters(self) -> LetterList:
        return self.query_one("#letters", LetterList)

    def read(self) -> None:
        def read() -> tuple[list[LetterView], dict[int, str], Bounds]:
            at = self.desk.bounds()
            found = [one for one in self.desk.outbox(at.now - SENT_SHOWN) if not one.staff or one.state in _NEEDS]
            found.sort(key=lambda one: one.sent_at or one.created_at, reverse=True)  # a draft may be old when it leaves
            found.sort(key=lambda one: _ORDER.get(one.state, 9))
            cases = {one.case_id for one in found if one.case_id is not None and one.state in _NEEDS}
            addresses = {row.id: row.complainant_address for row in self.desk.rows(sorted(cases)).values()}
            return found, addresses, at

        self.ask("letters", read, self._show)

    def _show(self, found: tuple[list[LetterView], dict[int, str], Bounds]) -> None:
        letters, self._addresses, at = found
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
        self.tell()

    def _posted(self, one: LetterView) -> Posted:
        return Posted(one, self._addresses.get(one.case_id or 0, ""))

    def tell(self) -> None:
        one = self.letters.letter
        if one is None:
            self.tell_nothing()
        else:
            posted = self._posted(one)
            self.about.show(lambda width: about(posted, width))

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        one = self.letters.letter
        if one is not None and one.case_id is not None:
            self.house.open_case(one.case_id)

    # Verbs

    def _stuck(self, *states: str) -> Posted | None:
        one = self.letters.letter
        if one is None or one.state not in states:
            which = {"uncertain": "UNCERTAIN"}.get(states[0], "NOT DELIVERED, CAME BACK or UNCERTAIN")
            self.house.say(f"This works on letters marked {which}: move to one first.")
            return None
        return self._posted(one)

    def action_resend(self) -> None:
        posted = self._stuck(*_NEEDS)
        if posted is None:
            return
        from amends.casework import undelivered

        desk, one = self.desk, posted.letter
        to = posted.address if posted.is_corrected else one.to_address

        def again() -> None:
            self.do(
                lambda: undelivered.resend(desk.office, one.id, actor=desk.actor, now=desk.now()),
                lambda _: self.did(f"It is on its way to {name(to)}."),
            )

        if posted.is_corrected:
            words = f"Its words go to {name(to)}, the address of the case now; not to {name(one.to_address)}."
            self.sure("Send it to the corrected address?", words, "Send it", again)
        elif one.state == "uncertain":
            words = "If it did arrive, they may get it twice; it has the same Message-ID."
            self.sure("Send it once more?", words, "Send again", again)
        else:
            again()

    def action_arrived(self) -> None:
        posted = self._stuck("uncertain")
        if posted is not None:
            self.sure(
                "It arrived?",
                "You know it from the complainant or from the mail server's log.",
                "It arrived",
                lambda: self._settle(posted.letter, True, "Settled: it arrived."),
            )

    def action_give_up(self) -> None:
        posted = self._stuck(*_NEEDS)
        if posted is not None:
            self.sure(
                "Give it up?",
                "It will not be sent. What it should have met is still owed: write another letter, or telephone.",
                "Give it up",
                lambda: self._settle(posted.letter, False, "Given up. What it should have met is still owed."),
            )

    def _settle(self, one: LetterView, sent: bool, said: str) -> None:
        from amends.casework import undelivered

        desk = self.desk
        self.do(
            lambda: undelivered.settle(desk.office, one.id, sent, actor=desk.actor, now=desk.now()),
            lambda _: self.did(said),
        )

    def action_correct(self) -> None:
        from tui.dialogs.ask import AskLine

        posted = self._stuck(*_NEEDS)
        if posted is None:
            return
        one, desk = posted.letter, self.desk
        if one.staff:
            self.house.say(TO_STAFF)
            return
        title = f"{letter_name(one.kind)} of {one.reference or ''} to the right address"
        hint = (
            "The case has this address from now on, and this letter, word for word, goes to it. The one that did not "
            "arrive stays on the record as given up."
        )

        def corrected(address: str) -> None:
            from amends.casework import undelivered

            self.do(
                lambda: undelivered.send_to(desk.office, one.id, address, actor=desk.actor, now=desk.now()),
                lambda _: self.did(f"The address is corrected, and the letter is on its way to {name(address)}."),
            )

        value = name(posted.address or one.to_address)
        self.offer(AskLine(title, "Their address", value=value, hint=hint), corrected)


def about(posted: Posted, width: int) -> Sheet:
    """A letter, why it did not arrive, and what can be done."""
    one = posted.letter
    lines: list[Line] = [((f" {letter_name(one.kind)} to {name(one.to_name)} <{name(one.to_address)}>", "strong"),)]
    lines.append(((f" {prose(one.subject)}", "text"),))
    if one.error:
        tried = f" (tried {plural(one.tries, 'time')})" if one.tries else ""
        lines.extend(((" " + line, "late"),) for line in wrap(f"Reason: {prose(one.error)}{tried}", width - 2))
    lines.extend(((" " + line, "accent"),) for line in wrap(_advice(posted), width - 2))
    lines.append(())
    lines.extend(((" " + line, "text"),) for line in wrap(letter(one.body).rstrip(), width - 2))
    return Sheet(tuple(lines))


def _advice(posted: Posted) -> str:
    one = posted.letter
    if one.state in ("failed", "bounced") and one.staff:
        return TO_STAFF
    if one.state in ("failed", "bounced") and posted.is_corrected:
        return CORRECTED.format(address=name(posted.address))
    return ADVICE.get(one.state, "")
