"""What can be done about the clocks of a case, under the same keys in the case and over its deadlines."""

from __future__ import annotations

from tui.desk import Dial
from tui.screens.verbs import CaseVerbs


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
            self.house.say("The rules of this case ask nothing about it: all their deadlines run as they are.")
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
            self.house.say("No deadline that runs here may be given more time: their rules allow none, or no more.")
            return

        def granted(answer: Granted | None) -> None:
            if answer is None:
                return
            self._did(dial.case.row.id, answer.said)
            if answer.letter is not None:
                self.house.hold(answer.letter)

        self.app.push_screen(MoreTime(self.desk, dial, offered, on=self.pointed_at()), granted)
