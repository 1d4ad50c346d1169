"""The same verbs, under the same keys, wherever a case can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from amends.cases.outcomes import Outcome
from amends.cases.stages import Stage, Waiting
from amends.kernel.errors import AmendsError
from amends.ledger.shapes import LetterView, QueueRow
from amends.letters.kinds import LetterKind
from tui.columns import short_reference
from tui.desk import Bulk, ToWrite
from tui.names import letter_name
from tui.screens.base import DeskScreen
from tui.when import HOW_AN_INSTANT, instant_said
from tui.words import name, plural, prose

if TYPE_CHECKING:
    from amends.casework.clockface import Candidate
    from amends.casework.correspondence import Finding
    from amends.deadlines.model import Pack, RequiredLetter

LETTERS = (
    (LetterKind.REPLY, "Reply", "an answer or a question, about anything"),
    (LetterKind.PROGRESS_UPDATE, "Progress update", "how it stands and when they hear next"),
    (LetterKind.HOLDING, "Holding letter", "we need longer, and here is why"),
    (LetterKind.FINAL_RESPONSE, "Final response", "the decision, with outcome and remedy"),
)
WHILE_RESPONDED = tuple(str(kind) for kind, _, _ in LETTERS if kind is not LetterKind.FINAL_RESPONSE)
ASK_FROM = 20
"""So many marked cases or more, and a bulk verb asks first."""


def in_row(one: Candidate) -> tuple[str, str]:
    """What a letter of the rules is, and what it meets now."""
    meets = f"meets {prose(', '.join(one.meets))}" if one.meets else "meets nothing that runs"
    return prose(one.words, limit=60), f"{meets}; {prose(one.when or one.basis, limit=80)}"


def without_command(sentence: str) -> str:
    """A refusal without the command that follows it: on the screen there are keys for that."""
    return sentence.partition(": amends ")[0].rstrip(".") + "."


def _as_words(counts_as: str) -> str:
    return f"as {prose(counts_as.replace('_', ' '))}" if counts_as else "as none of these"


class CaseVerbs(DeskScreen):
    """A screen with cases: says which are chosen, and which one is looked at."""

    def chosen(self) -> Sequence[int]:
        """The cases that a verb on several means."""
        raise NotImplementedError

    def looked_at(self) -> QueueRow | None:
        """The case that a verb on one means, as it is shown."""
        raise NotImplementedError

    def changed(self, case_ids: Sequence[int]) -> None:
        """These cases were changed by a verb of ours."""

    def _one(self, title: str) -> QueueRow | None:
        row = self.looked_at()
        if row is None:
            self.house.say("No case is chosen: move to one first.")
        elif self.house.why_not_write():
            self.house.say(self.house.why_not_write(), "late")
            return None
        return row

    def _named(self, row: QueueRow) -> str:
        return f"{short_reference(row.reference)} {name(row.complainant_name) or name(row.complainant_address)}"

    # Letters

    def action_letter(self) -> None:
        from tui.dialogs.choose import Choose, Option

        row = self._one("letter")
        if row is None:
            return
        options = [Option(kind, words, hint) for kind, words, hint in LETTERS]
        self.offer(Choose(f"Letter to {self._named(row)}", options), lambda kind: self.begin_letter(row.id, kind))

    def begin_letter(self, case_id: int, kind: LetterKind) -> None:
        """Open the draft of this kind: the one begun before, or a new one from its template.

        Where it can be more than one letter of the rules, that is asked first.
        """
        self.ask("begun", lambda: self.desk.to_write(case_id, kind), lambda found: self._begin(found, kind), opens=True)

    def _begin(self, found: ToWrite, kind: LetterKind) -> None:
        from tui.dialogs.choose import Choose, Option

        if not found.choices:
            if found.begun:
                self.house.open_letter(found.begun[0])
            else:
                self._new_letter(found.row, kind, "")
            return
        options = [Option(one, "Go on with your draft", _as_words(one.counts_as)) for one in found.begun]
        of_rules = [Option(one.id, *in_row(one)) for one in found.choices]
        named = "An ordinary reply" if kind is LetterKind.REPLY else f"A plain {letter_name(kind).lower()}"
        plain = Option("", named, "about anything" if kind is LetterKind.REPLY else "")
        options += [plain, *of_rules] if kind is LetterKind.REPLY else [*of_rules, plain]
        intro = "It can be a letter that the rules ask for, and then meets the deadlines of that one."

        def chosen(answer: LetterView | str) -> None:
            if isinstance(answer, str):
                self._new_letter(found.row, kind, answer)
            else:
                self.house.open_letter(answer)

        title = "Is it one of these?" if kind is LetterKind.REPLY else f"Which {letter_name(kind).lower()} is it?"
        self.offer(Choose(title, options, intro=intro), chosen)

    def _new_letter(self, row: QueueRow, kind: LetterKind, counts_as: str) -> None:
        """A new final response asks for the decision first, so that the letter says it from the start."""
        from tui.dialogs.finding import Decide

        desk = self.desk
        if kind is not LetterKind.FINAL_RESPONSE:
            self.do(lambda: desk.draft(row.id, kind, counts_as=counts_as), self.house.open_letter, opens=True)
            return

        def decided(finding: Finding) -> None:
            def opened(letter: LetterView) -> None:
                self.house.findings[letter.id] = finding
                self.house.open_letter(letter)

            self.do(lambda: desk.draft(row.id, kind, finding, counts_as=counts_as), opened, opens=True)

        self.offer(Decide(self._named(row), None, currency=desk.currency), decided)

    # Notes

    def action_note(self) -> None:
        row = self._one("note")
        if row is not None:
            self._ask_note(row, "")

    def _ask_note(self, row: QueueRow, value: str) -> None:
        from tui.dialogs.ask import AskText

        def written(words: str | None) -> None:
            if words:
                self._add_note(row, words)

        hint = "Only colleagues see it. It is never quoted in a letter."
        self.offer(AskText(f"Note on {self._named(row)}", "Note", hint=hint, value=value), written)

    def _add_note(self, row: QueueRow, words: str) -> None:
        desk = self.desk

        def add() -> int:
            from amends.casework import handling

            return handling.note(desk.office, row.id, words, actor=desk.actor, now=desk.now())

        def lost(fault: AmendsError) -> None:
            self.house.say(f"Not saved: {fault}", "late")
            self._ask_note(row, words)

        self.ask("verb", add, lambda _: self._did(row.id, "The note is saved."), otherwise=lost, every=True)

    def _did(self, case_id: int, said: str) -> None:
        self.house.say(said)
        self.house.hurry()
        self.changed([case_id])

    # Who has it

    def action_take(self) -> None:
        self._assign(list(self.chosen()), self.desk.actor.login)

    def action_assign(self) -> None:
        from tui.dialogs.choose import Choose, Option

        chosen = list(self.chosen())
        if not chosen or self._one("assign") is None:
            return
        people = [Option(login, login, who) for login, who in self.desk.handlers()]
        options = [*people, Option("", "nobody", "back to those that nobody has")]
        what = plural(len(chosen), "case")
        self.offer(Choose(f"Give {what} to", options), lambda to: self._assign(chosen, to or None))

    def _assign(self, chosen: list[int], to: str | None) -> None:
        from tui.dialogs.confirm import Confirm

        if not chosen:
            return
        if len(chosen) <= ASK_FROM:
            self._assign_now(chosen, to)
            return
        question = f"{len(chosen)} cases go to {to or 'nobody'}."
        self.offer(
            Confirm("Give them all?", question, yes=f"Give all {len(chosen)}"),
            lambda yes: self._assign_now(chosen, to) if yes else None,
        )

    def _assign_now(self, chosen: list[int], to: str | None) -> None:
        before = {row.id: row.handler for row in (self.row_of(case_id) for case_id in chosen) if row is not None}

        def told(bulk: Bulk) -> None:
            done = plural(len(bulk.done), "case")
            words = (
                f"{done} given to {to}."
                if to
                else f"{done} given back: nobody has {'it' if len(bulk.done) == 1 else 'them'}."
            )
            if bulk.refused:
                words = f"{len(bulk.refused)} not given: {bulk.refused[0]}" + (f" {words}" if bulk.done else "")
            elif bulk.done:
                words += " u=Undo"
            self.house.say(words, "late" if bulk.refused else "text")
            left = [case_id for case_id in chosen if case_id not in bulk.done]
            if bulk.refused and to and "not involved" in bulk.refused[0]:
                self._ask_override(left, to, bulk.refused[0])
            if bulk.done and before:
                self.house.remember(f"{done} given to {to or 'nobody'}", lambda: self._give_back(bulk.done, before))
            self.changed(bulk.done)

        self.do(lambda: self.desk.assign(chosen, to), told)

    def _ask_override(self, chosen: list[int], to: str, why_not: str) -> None:
        """A review is for somebody who was not involved: say so, and ask a supervisor for their word."""
        from tui.dialogs.ask import AskText
        from tui.dialogs.confirm import Told

        if self.desk.actor.role != "supervisor":
            self.app.push_screen(Told("Somebody else must decide this", prose(without_command(why_not))))
            return

        def reasoned(why: str) -> None:
            def told(bulk: Bulk) -> None:
                done = f"{plural(len(bulk.done), 'case')} given to {to}, on your word." if bulk.done else ""
                self.house.say(bulk.refused[0] if bulk.refused else done, "late" if bulk.refused else "text")
                self.changed(bulk.done)

            self.do(lambda: self.desk.assign(chosen, to, override=why), told)

        hint = f"{prose(without_command(why_not))} Your word, and why, stand on the record."
        self.offer(AskText(f"Let {name(to)} decide it all the same?", "Why", hint=hint), reasoned)

    def _give_back(self, case_ids: Sequence[int], before: dict[int, str | None]) -> None:
        for case_id in case_ids:
            if case_id in before:
                self.desk.assign([case_id], before[case_id])

    def row_of(self, case_id: int) -> QueueRow | None:
        """The row of a case, if it is on the screen."""
        row = self.looked_at()
        return row if row is not None and row.id == case_id else None

    # Where it stands

    def action_stage(self) -> None:
        from tui.dialogs.choose import Choose, Option

        row = self._one("stage")
        if row is None:
            return
        stage = Stage(row.stage)
        options = []
        if stage is Stage.RECEIVED:
            options.append(Option("acknowledge", "Acknowledge", "send the acknowledgement, where none went by itself"))
        if row.is_open:
            options.append(Option("assess", "Assess", "severity, complexity, impact, particular care"))
        if stage in (Stage.RECEIVED, Stage.ACKNOWLEDGED, Stage.ASSESSED):
            options.append(Option("investigate", "Investigate", "the investigation has begun"))
        if row.is_open:
            options.append(Option("resolve", "Resolve", "final response, or close"))
        if stage in (Stage.RESPONDED, Stage.CLOSED):
            options.append(Option("reopen", "Reopen", "take it up again as a review; its deadlines start anew"))
        title = f"{self._named(row)} is {row.stage}"
        self.offer(Choose(title, options), lambda step: self._step(row, step))

    def _step(self, row: QueueRow, step: str) -> None:
        from amends.casework import correspondence, handling

        desk = self.desk
        if step == "acknowledge":
            self.do(
                lambda: correspondence.acknowledge(desk.office, row.id, actor=desk.actor, now=desk.now()),
                lambda _: self._did(row.id, "The acknowledgement is on its way."),
            )
        elif step == "investigate":
            self.do(
                lambda: handling.investigate(desk.office, row.id, actor=desk.actor, now=desk.now()),
                lambda _: self._did(row.id, "The investigation has begun."),
            )
        elif step == "assess":
            self.action_assess()
        elif step == "reopen":
            self._ask_reopen(row)
        else:
            self.action_resolve()

    def action_assess(self) -> None:
        row = self._one("assess")
        if row is None:
            return
        from tui.dialogs.assess import Assess

        desk = self.desk

        def opened(found: Any) -> None:
            case, _ = found
            self.offer(Assess(case), assessed)

        def assessed(answer: Any) -> None:
            if answer is None:
                return
            from amends.casework import handling

            self.do(
                lambda: handling.assess(desk.office, row.id, answer, actor=desk.actor, now=desk.now()),
                lambda _: self._did(row.id, f"Assessed: {answer.severity}."),
            )

        self.ask("assess", lambda: desk.case(row.id), opened, opens=True)

    def _ask_reopen(self, row: QueueRow) -> None:
        from tui.dialogs.ask import AskText

        desk = self.desk

        def reasoned(why: str | None) -> None:
            if not why:
                return
            from amends.casework import handling

            self.do(
                lambda: handling.reopen(desk.office, row.id, why, actor=desk.actor, now=desk.now()),
                lambda _: self._did(row.id, "Reopened as a review; its deadlines run from now."),
            )

        self.offer(AskText(f"Reopen {self._named(row)}", "Why it is taken up again"), reasoned)

    def action_wait(self) -> None:
        from tui.dialogs.choose import Choose, Option

        row = self._one("wait")
        if row is None:
            return
        options = [
            Option(str(Waiting.COMPLAINANT), "For the complainant", "we asked them something"),
            Option(str(Waiting.THIRD_PARTY), "For a third party", "a contractor, another department"),
        ]
        if row.waiting:
            options.insert(0, Option("", "It waits no longer", f"now: {row.waiting}"))
        intro = "Waiting stops no clock. Where their rules allow it, W in the case pauses one."
        self.offer(
            Choose(f"{self._named(row)}: for whom does it wait?", options, intro=intro),
            lambda whom: self._wait_for(row, whom),
        )

    def _wait_for(self, row: QueueRow, whom: str) -> None:
        from amends.casework import handling
        from tui.dialogs.ask import AskLine

        desk = self.desk
        if not whom:
            self.do(
                lambda: handling.resume(desk.office, row.id, actor=desk.actor, now=desk.now()),
                lambda _: self._did(row.id, "It waits no longer."),
            )
            return

        def reasoned(why: str | None) -> None:
            if why:
                self.do(
                    lambda: handling.wait(desk.office, row.id, Waiting(whom), why, actor=desk.actor, now=desk.now()),
                    lambda _: self._did(row.id, f"Waiting {whom}; the clock runs on."),
                )

        self.offer(AskLine(f"Waiting {whom}", "What for?"), reasoned)

    # The end

    def action_resolve(self) -> None:
        from tui.dialogs.choose import Choose, Option

        row = self._one("resolve")
        if row is None:
            return
        if not row.is_open:
            self.house.say(f"{row.reference} is closed. To take it up again: s, then Reopen.")
        elif Stage(row.stage) is Stage.RESPONDED:
            desk = self.desk
            self.ask("lacking", lambda: desk.lacking(row.id), lambda some: self._close_or_lack(row, some), opens=True)
        else:
            options = [
                Option("respond", "Write the final response", "the decision, and what puts it right"),
                Option(Outcome.WITHDRAWN, "Close: withdrawn", "they want no more of it; say why"),
                Option(Outcome.OUT_OF_SCOPE, "Close: out of scope", "not for us to decide; say why"),
            ]
            self.offer(Choose(f"Resolve {self._named(row)}", options), lambda how: self._resolve_by(row, how))

    def _resolve_by(self, row: QueueRow, how: Any) -> None:
        if how == "respond":
            self.begin_letter(row.id, LetterKind.FINAL_RESPONSE)
        else:
            self._ask_close(row, how)

    def _close_or_lack(self, row: QueueRow, lacking: list[tuple[Pack, RequiredLetter]]) -> None:
        """Close it; where the rules want a letter first, say which, and help with it."""
        from tui.dialogs.choose import Choose, Option

        if not lacking:
            self._ask_close(row, None)
            return
        options = []
        for pack, letter in lacking:
            named = prose(letter.action or letter.id.replace("_", " "), limit=60)
            where = f"{prose(letter.basis, limit=80)}; {prose(pack.name, limit=80)}"
            if letter.kind in WHILE_RESPONDED:
                options.append(Option(("write", letter), f"Write it: {named}", where))
            options.append(Option(("sent", letter), f"It went by another way: {named}", where))
        first = prose(lacking[0][1].action or lacking[0][1].id.replace("_", " "), limit=60)
        intro = f"The rules let {row.reference} be closed only with {plural(len(lacking), 'more letter')}: {first}."
        self.offer(Choose("It cannot be closed yet", options, intro=intro), lambda answer: self._mend(row, *answer))

    def _mend(self, row: QueueRow, how: str, letter: RequiredLetter) -> None:
        from tui.dialogs.ask import AskLine

        desk, named = self.desk, prose(letter.action or letter.id.replace("_", " "), limit=60)
        if how == "write":
            self._new_letter(row, LetterKind(letter.kind or ""), letter.id)
            return

        def said(words: str) -> None:
            from amends.casework import handling

            now = desk.now()
            self.do(
                lambda: handling.record_event(
                    desk.office, row.id, letter.id, at=instant_said(words, now, desk.zone), actor=desk.actor, now=now
                ),
                lambda _: self._did(row.id, f"Noted: {named} went by another way. e=Close the case"),
            )

        self.offer(AskLine(f"It went by another way: {named}", "When?", hint=HOW_AN_INSTANT, value="now"), said)

    def _ask_close(self, row: QueueRow, outcome: Outcome | None) -> None:
        from tui.dialogs.close import Close, Closing

        desk = self.desk

        def answered(closing: Closing | None) -> None:
            if closing is None:
                return
            from amends.casework import handling

            self.do(
                lambda: handling.close(
                    desk.office,
                    row.id,
                    outcome=outcome,
                    reason=closing.reason,
                    root_cause=closing.root_cause,
                    actor=desk.actor,
                    now=desk.now(),
                ),
                lambda _: self._did(row.id, f"{row.reference} is closed. To take it up again: s, then Reopen."),
            )

        self.offer(Close(self._named(row), outcome), answered)

    # Other cases

    def action_kin(self) -> None:
        """Merge, link, and their ways back."""
        from tui.screens import kin

        row = self._one("kin")
        if row is not None:
            self.ask("kin", lambda: self.desk.case(row.id)[0], lambda case: kin.offer(self, case), opens=True)

    def action_deadlines(self) -> None:
        """The deadlines of the case, whoever looks."""
        from tui.screens.deadlines import DeadlinesScreen

        row = self.looked_at()
        if row is None:
            self.house.say("No case is chosen: move to one first.")
        else:
            self.app.push_screen(DeadlinesScreen(row.id))

    def action_copy(self) -> None:
        row = self.looked_at()
        if row is not None:
            self.app.copy_to_clipboard(row.reference)
            self.house.say(f"Copied {row.reference}.")
