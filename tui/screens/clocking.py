"""What can be done about the clocks of a case, under the same keys in the case and over its deadlines."""

from __future__ import annotations

from amends.ledger.shapes import PROMISED
from tui.desk import Dial
from tui.dials import is_owed, when_words
from tui.screens.verbs import CaseVerbs
from tui.when import HOW_AN_INSTANT, instant_said
from tui.words import prose


class ClockVerbs(CaseVerbs):
    """Each verb takes a fresh look at the case first: what is offered is what the rules allow now."""

    def pointed_at(self) -> int | None:
        """The deadline that is meant, by its id, where one can be pointed at."""
        return None

    def action_facts(self) -> None:
        """What the rules ask of the case."""
        row = self._one("facts")
        if row is not None:
            self.ask("dial", lambda: self.desk.dial(row.id), self._facts, opens=True)

    def _facts(self, dial: Dial) -> None:
        from tui.dialogs.facts import Facts

        if not dial.face.questions:
            self.house.say("The rules of this case ask nothing: all their deadlines run as they are.")
            return
        self.app.push_screen(Facts(self.desk, dial), lambda _: self.changed([dial.case.row.id]))

    def action_happened(self) -> None:
        """Something happened that the rules know."""
        row = self._one("happened")
        if row is not None:
            self.ask("dial", lambda: self.desk.dial(row.id), self._happened, opens=True)

    def _happened(self, dial: Dial) -> None:
        from tui.dialogs.happened import Happened

        def done(said: str | None) -> None:
            if said:
                self._did(dial.case.row.id, said)

        self.app.push_screen(Happened(self.desk, dial), done)

    def action_more_time(self) -> None:
        """Give a deadline more time."""
        row = self._one("more time")
        if row is not None:
            self.ask("dial", lambda: self.desk.dial(row.id), self._more_time, opens=True)

    def _more_time(self, dial: Dial) -> None:
        from tui.dialogs.moretime import Granted, MoreTime, movable

        offered = movable(dial)
        if not offered:
            self.house.say("No deadline that runs here may be given more time; press d to see why.")
            return

        def granted(answer: Granted | None) -> None:
            if answer is None:
                return
            self._did(dial.case.row.id, answer.said)
            if answer.letter is not None:
                self.house.hold(answer.letter)

        self.app.push_screen(MoreTime(self.desk, dial, offered, on=self.pointed_at()), granted)

    def action_pause(self) -> None:
        """Stop a clock, or let those that stand still go on."""
        row = self._one("pause")
        if row is not None:
            self.ask("dial", lambda: self.desk.dial(row.id), self._pause, opens=True)

    def _pause(self, dial: Dial) -> None:
        from tui.dialogs.choose import Choose, Option
        from tui.dialogs.pausing import stoppable

        paused = [one for one in dial.case.deadlines if is_owed(one) and one.state == "paused"]
        offered = stoppable(dial)
        if not paused and not offered:
            self.house.say("No clock that runs here may be paused: these rules stop none.")
        elif not paused:
            self._ask_pause(dial)
        else:
            labels = prose(", ".join(one.label for one in paused))
            options = [Option("on", f"Let it go on: {labels}", "the complainant answered, or need not")]
            if offered:
                others = prose(", ".join(one.one.label for one in offered))
                options.append(Option("stop", "Pause another clock", others))
            self.offer(
                Choose(f"{labels} {'stands' if len(paused) == 1 else 'stand'} still", options),
                lambda how: self._go_on(dial) if how == "on" else self._ask_pause(dial),
            )

    def _go_on(self, dial: Dial) -> None:
        from amends.casework import handling

        desk, case_id = self.desk, dial.case.row.id
        self.do(
            lambda: handling.resume(desk.office, case_id, actor=desk.actor, now=desk.now()),
            lambda _: self._did(case_id, "Its clocks go on from now; the case waits no longer."),
        )

    def _ask_pause(self, dial: Dial) -> None:
        from tui.dialogs.moretime import Granted
        from tui.dialogs.pausing import PauseClock, stoppable

        def granted(answer: Granted | None) -> None:
            if answer is None:
                return
            self._did(dial.case.row.id, answer.said)
            if answer.letter is not None:
                self.house.hold(answer.letter)

        self.app.push_screen(PauseClock(self.desk, dial, stoppable(dial), on=self.pointed_at()), granted)

    def action_kept(self) -> None:
        """A promise was kept by another way than a letter."""
        row = self._one("promise")
        if row is not None:
            self.ask("dial", lambda: self.desk.dial(row.id), self._kept, opens=True)

    def _kept(self, dial: Dial) -> None:
        from tui.dialogs.choose import Choose, Option

        running = [one for one in dial.case.deadlines if is_owed(one) and one.pack == PROMISED]
        if not running:
            self.house.say("Nothing is promised here. In a letter F9 promises something by a day.")
            return
        options = [
            Option(one.occurrence, when_words(one, dial.at), prose(one.derivation[0] if one.derivation else ""))
            for one in running
        ]
        on = next((one.occurrence for one in running if one.id == self.pointed_at()), None)
        self.offer(
            Choose("Which promise was kept?", options, intro="By telephone, by a visit, by post.", on=on),
            lambda number: self._ask_kept(dial, number),
        )

    def _ask_kept(self, dial: Dial, number: int) -> None:
        from tui.dialogs.ask import AskLine

        desk, case_id = self.desk, dial.case.row.id

        def said(words: str) -> None:
            from amends.casework import handling

            now = desk.now()
            self.do(
                lambda: handling.keep_promise(
                    desk.office, case_id, number, at=instant_said(words, now, desk.zone), actor=desk.actor, now=now
                ),
                lambda _: self._did(case_id, "The promise is kept."),
            )

        self.offer(AskLine("The promise was kept", "When?", hint=HOW_AN_INSTANT, value="now"), said)
