"""The tray: mail that waits for somebody's word, and mail that could not be filed.  Nothing in it is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from textual.binding import BindingType

from amends.conversation.match import Standing
from amends.ledger.shapes import ArrivalView, MessageView
from tui import keys
from tui.columns import short_reference
from tui.screens.listing import Listing
from tui.signs import Bounds, age, moment, size
from tui.thread import FLAGS
from tui.widgets.bar import Part
from tui.widgets.lineview import Sheet
from tui.widgets.rowlist import RowList
from tui.words import Line, cut, fit, letter, name, prose, wrap

STATES: Final = {
    "held": ("?", "held", "warn"),
    "quarantined": ("!", "set aside", "late"),
    "dismissed": ("✓", "put away", "done"),
}
WHY: Final = {
    "held": "Held: it is not certain to which case it belongs.",
    "quarantined": "Set aside: it could not be filed by itself, and nobody was answered.",
    "dismissed": "Put away as no complaint. If it is one after all: c opens a case, m joins it to one.",
}
READ_AGAIN: Final = {
    "filed": "Read again, and filed: it stands in the queue now.",
    "held": "Read again: to which case it belongs is still not certain. m joins it to one, c opens a new one.",
    "quarantined": "Read again, and still not filed; the reason is below. c makes it a complaint, d puts it away.",
    "own": "Read again: it is a copy of a letter of ours, and needs nobody.",
}


class ArrivalList(RowList):
    """Messages that wait."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.arrivals: dict[int, ArrivalView] = {}
        self._at: Bounds | None = None

    def show_arrivals(self, arrivals: list[ArrivalView], at: Bounds) -> None:
        self.arrivals = {one.id: one for one in arrivals}
        self._at = at
        self.show(list(self.arrivals))

    @property
    def arrival(self) -> ArrivalView | None:
        return self.arrivals.get(self.current) if self.current is not None else None

    def row(self, key: int, width: int) -> Line:
        one, at = self.arrivals[key], self._at
        if at is None:
            return ()
        sign, words, role = STATES.get(one.state, (" ", one.state, "text"))
        sender = 26 if width < 100 else 36
        return (
            (f" {sign} ", role),
            (fit(words, 10), role),
            (fit(age(one.received_at, at.now), 5), "text"),
            (fit(name(one.sender) or "(no sender)", sender) + " ", "text"),
            (cut(prose(one.subject) or "(no subject)", max(8, width - 20 - sender)), "text"),
        )


class TrayScreen(Listing):
    """Say what each message is: a complaint, part of a case, or neither and why."""

    PLACE = "tray"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("tray")
    HEAD = "   Why       Age  From"
    EMPTY = "Nothing waits for a word from you. What cannot be filed comes here."
    DEFAULT_CSS = """
    TrayScreen #about { height: 2fr; }
    TrayScreen #waiting { height: 1fr; min-height: 4; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._at: Bounds | None = None

    def listed(self) -> RowList:
        return ArrivalList(id="waiting")

    @property
    def waiting(self) -> ArrivalList:
        return self.query_one("#waiting", ArrivalList)

    def read(self) -> None:
        self.ask("tray", lambda: (self.desk.tray(), self.desk.bounds()), self._show)

    def _show(self, found: tuple[list[ArrivalView], Bounds]) -> None:
        arrivals, self._at = found
        self.waiting.show_arrivals(arrivals, self._at)
        held = [one.received_at for one in arrivals if one.state == "held"]
        aside = [one.received_at for one in arrivals if one.state == "quarantined"]
        parts = [Part(" Tray", "strong"), Part(f"  {len(held)} held  {len(aside)} set aside", "text")]
        if held or aside:
            oldest = age(min(held + aside), self._at.now)
            when = "just now" if oldest == "now" else f"{oldest} ago"
            parts.append(Part(f"  oldest received {when}: clocks count from receipt", "warn"))
        self.show_title(parts)

    def tell(self) -> None:
        one = self.waiting.arrival
        if one is None:
            self.tell_nothing()
        else:
            self.ask("about", lambda: (one, *self.desk.waiting_mail(one)), self._told)

    def _told(self, found: tuple[ArrivalView, MessageView | None, str]) -> None:
        one, message, raw = found
        at = self._at
        if at is not None and one.id == self.waiting.current:
            self.about.show(lambda width: about(one, message, raw, at, width))

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        self.about.focus()

    # Verbs

    def _chosen(self) -> ArrivalView | None:
        one = self.waiting.arrival
        if one is None:
            self.house.say("Nothing is chosen.")
        return one

    def action_complaint(self) -> None:
        one = self._chosen()
        if one is None:
            return
        desk = self.desk

        def file() -> None:
            from amends.casework import tray

            self.do(
                lambda: tray.file_as_complaint(desk.office, one.id, actor=desk.actor, now=desk.now()),
                lambda reference: self.did(f"It is case {reference} now; its clocks run from receipt."),
            )

        at = self._at
        when = moment(one.received_at, at.now, at.zone) if at else ""
        words = f"A new case is opened; its clocks run from receipt, {when}. They are told so if they may be answered."
        self.sure("Is it a complaint?", words, "Open a case", file)

    def action_belongs(self) -> None:
        """Yes to the one case that it names, at once; where it came late, or names several, first ask which it is."""
        from tui.dialogs.choose import Choose, Option

        one = self._chosen()
        if one is None:
            return
        named = candidates_of(one)
        if not named:
            self.house.say("It names no case. m joins it to one that you name, c opens a new one.")
        elif proposals_of(one):
            reference = named[0]
            options = [
                Option(
                    lambda: self._join(one, reference), "Put it there", "the case stays closed; it counts as unread"
                ),
                Option(lambda: self._review(one, reference), "Review", "take the case up again; deadlines start anew"),
                Option(
                    lambda: self._new_linked(one, reference), "A new case", "another matter; linked with the old one"
                ),
            ]
            title = f"It came long after {reference} was closed"
            self.offer(Choose(title, options), lambda go_on: go_on())
        elif len(named) == 1:
            self._join(one, named[0])
        else:
            self.action_join()

    def _review(self, one: ArrivalView, reference: str) -> None:
        from amends.casework import tray

        desk = self.desk
        self.do(
            lambda: tray.review(desk.office, one.id, reference, actor=desk.actor, now=desk.now()),
            lambda _: self.did(f"{reference} is taken up again as a review; its deadlines run from now."),
        )

    def _new_linked(self, one: ArrivalView, reference: str) -> None:
        from amends.casework import tray

        desk = self.desk
        self.do(
            lambda: tray.file_as_complaint(desk.office, one.id, linked_to=reference, actor=desk.actor, now=desk.now()),
            lambda new: self.did(f"It is case {new} now, linked with {reference}; its clocks run from receipt."),
        )

    def action_join(self) -> None:
        from tui.dialogs.ask import AskLine
        from tui.dialogs.choose import Choose, Option

        one = self._chosen()
        if one is None:
            return

        def named(reference: str) -> None:
            if reference == "other":
                hint = "From then on it is part of that case, and its handler sees it as new mail."
                self.offer(
                    AskLine("Join to a case", "Reference or number", hint=hint), lambda words: self._join(one, words)
                )
            else:
                self._join(one, reference)

        candidates = candidates_of(one)
        if not candidates:
            named("other")
            return
        options = [Option(reference, short_reference(reference), reference) for reference in candidates]
        options.append(Option("other", "Another case…"))
        self.offer(Choose("To which case does it belong?", options), named)

    def _join(self, one: ArrivalView, words: str) -> None:
        desk = self.desk

        def join() -> str:
            from amends.casework import tray

            case, _ = desk.case(desk.find_case(words))
            tray.join(desk.office, one.id, case.row.reference, actor=desk.actor, now=desk.now())
            return case.row.reference

        self.do(
            join,
            lambda reference: self.did(f"It is part of {reference} now. If that was wrong: S splits it off there."),
        )

    def action_put_away(self) -> None:
        from tui.dialogs.ask import AskLine

        one = self._chosen()
        if one is None:
            return
        if one.state == "dismissed":
            self.house.say("It is put away already. c opens a case for it after all, m joins it to one.")
            return
        desk = self.desk

        def reasoned(why: str) -> None:
            from amends.casework import tray

            self.do(
                lambda: tray.dismiss(desk.office, one.id, why, actor=desk.actor, now=desk.now()),
                lambda _: self.did("Put away as no complaint. It is kept, with your reason."),
            )

        hint = "It is kept all the same, with your name and reason, and it stays at the end of this list for a while."
        self.offer(AskLine("Not a complaint", "Why not?", hint=hint), reasoned)

    def action_retry(self) -> None:
        one = self._chosen()
        if one is None:
            return
        desk = self.desk

        def again() -> str:
            from amends.casework import tray

            return tray.retry(desk.office, one.id, actor=desk.actor, now=desk.now())

        self.do(again, lambda state: self.did(READ_AGAIN.get(state, f"Read again: it is {state}.")))


def candidates_of(one: ArrivalView) -> list[str]:
    """The references of the cases to which it may belong, each once."""
    return list(dict.fromkeys(str(candidate["case"]) for candidate in one.candidates if candidate.get("case")))


def proposals_of(one: ArrivalView) -> bool:
    """Whether it came long after its case was closed: then joining is one of three things that may be meant."""
    return any(candidate.get("proposals") for candidate in one.candidates)


def _evidence(candidate: Mapping[str, Any], reason: str) -> str:
    """Which case, by which part of the mail, and how sure that is; why it waits is said once, as the `reason`."""
    case, evidence, because = (prose(str(candidate.get(key) or "")) for key in ("case", "evidence", "because"))
    words = f"Perhaps {case}"
    if because and because not in prose(reason):
        words += f": {because}"
    if evidence:
        words += f". {'Subject' if 'subject' in because else 'In-Reply-To' if 'answers' in because else 'Evidence'}: "
        words += evidence
    if candidate.get("confidence"):
        words += f" (confidence {prose(str(candidate['confidence']))})"
    return words


def _what_to_do(one: ArrivalView) -> str:
    named = candidates_of(one)
    if not named:
        return ""
    if proposals_of(one):
        return "y asks what it is: part of the closed case, a review of it, or a new linked case."
    stranger = any(candidate.get("standing") == Standing.THIRD_PARTY for candidate in one.candidates)
    as_whom = ", as a third party's; p there accepts them as a participant" if stranger else ""
    which = named[0] if len(named) == 1 else "one of them"
    return f"y joins it to {which}{as_whom}. c opens a new case. m joins it to another."


def about(one: ArrivalView, message: MessageView | None, raw: str, at: Bounds, width: int) -> Sheet:
    """Why it waits, what it might belong to, and its words, made harmless."""
    lines: list[Line] = [((" " + WHY.get(one.state, prose(one.state)), "strong"),)]
    lines.extend(((" " + line, "warn"),) for line in wrap(f"Why: {prose(one.reason)}", width - 2))
    lines.append(((f" Received {moment(one.received_at, at.now, at.zone)}: the clocks count from then.", "muted"),))
    for candidate in one.candidates:
        lines.extend(((" " + line, "accent"),) for line in wrap(_evidence(candidate, one.reason), width - 2))
    if (advice := _what_to_do(one)) and one.state == "held":
        lines.extend(((" " + line, "text"),) for line in wrap(advice, width - 2))
    lines.append(())
    if message is None:
        lines.append(((" It could not be read. The beginning of its bytes, made harmless:", "muted"),))
        lines.extend(((" " + line, "text"),) for line in wrap(letter(raw), width - 2))
        return Sheet(tuple(lines))
    lines.append(((f" From {name(message.from_name)} <{name(message.from_address)}>", "text"),))
    lines.append(((f" {prose(message.subject) or '(no subject)'}", "text"),))
    odd = [FLAGS[flag] for flag in message.flags if flag in FLAGS]
    if odd:
        lines.append(((f" ! Contains {' and '.join(odd)}; made harmless.", "warn"),))
    for file in message.attachments:
        lines.append(((f" @ {name(file.name)} {size(file.size)}", "accent"),))
    lines.append(())
    lines.extend(((" " + line, "text"),) for line in wrap(letter(message.text), width - 2))
    return Sheet(tuple(lines))
