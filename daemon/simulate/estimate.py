"""The same weeks worked out from the packs alone: a thousand times as fast as the verbs, and nearly as right.

It finds the number of handlers to try; what is told as a result is what the verbs gave.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

from amends.deadlines.calendar import WorkingCalendar
from amends.deadlines.clocks import PlannedDeadline, meets, meets_event, next_occurrence, plan
from amends.deadlines.model import RECEIPT, Pack, RequiredLetter
from daemon.simulate.desk import Desk, Task
from daemon.simulate.hours import WorkingTime
from daemon.simulate.work import Effort, Meant, Work, meant_by, ready_at

PacksAt = Callable[[datetime], Sequence[Pack]]
"""The packs for a complaint that was received then, the main one first."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """`answers` that were late, `dates` that were missed in all, and the first day that was."""

    answers: int
    dates: int
    first: date | None


@dataclass(slots=True)
class _Case:
    packs: Sequence[Pack]
    owed: list[PlannedDeadline] = field(default_factory=list)
    answered: bool = False
    late: bool = False


class Rules:
    """What the packs ask for, each thing worked out once however often the weeks are played."""

    def __init__(self, packs_at: PacksAt, calendar: WorkingCalendar, facts: Mapping[str, str]) -> None:
        self.packs_at = packs_at
        self.calendar = calendar
        self._facts = facts
        self._plans: dict[tuple[str, str, str, datetime], list[PlannedDeadline]] = {}
        self._meant: dict[tuple[str, str, str], Meant | None] = {}

    def started(self, pack: Pack, trigger: str, at: datetime) -> list[PlannedDeadline]:
        """The deadlines that keep a handler busy, of those that the trigger starts."""
        key = (pack.id, pack.version, trigger, at)
        if key not in self._plans:
            planned = plan(pack, self.calendar, trigger=trigger, at=at, facts=self._facts)
            self._plans[key] = [one for one in planned if self.meant(pack, one.rule_id) is not None]
        return list(self._plans[key])

    def meant(self, pack: Pack, rule_id: str) -> Meant | None:
        key = (pack.id, pack.version, rule_id)
        if key not in self._meant:
            self._meant[key] = meant_by(pack, pack.rule(rule_id))
        return self._meant[key]


class Estimate:
    """The world as the packs describe it: letters leave at once, and nobody asks for more."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._cases: dict[int, _Case] = {}
        self._missed: list[date] = []

    def lateness(self) -> Lateness:
        late = sum(case.late for case in self._cases.values())
        return Lateness(late, len(self._missed), min(self._missed, default=None))

    def run_to(self, now: datetime) -> None: ...

    def arrive(self, case: int, now: datetime) -> None:
        row = self._cases[case] = _Case(self._rules.packs_at(now))
        for pack in row.packs:
            row.owed += self._rules.started(pack, RECEIPT, now)
        for pack in row.packs:
            if (letter := _acknowledgement_of(pack)) is not None:
                self._left(row, pack, letter, now)

    def tasks(self, case: int) -> list[Task]:
        row = self._cases[case]
        return offered(
            case,
            [(self._meant(row, one), one.due_at, one.due_date, one.starts_at) for one in row.owed],
            answered=row.answered,
            main=row.packs[0].id,
            calendar=self._rules.calendar,
        )

    def take_up(self, task: Task, handler: int, now: datetime) -> None: ...

    def carry_out(self, task: Task, handler: int, now: datetime) -> None:
        row = self._cases[task.case]
        if task.meant.work is Work.ANSWER:
            self._answer(row, now)
            return
        pack = next(one for one in row.packs if one.id == task.meant.pack)
        letter = next((one for one in pack.letter if one.id == task.meant.name), None)
        if letter is not None:
            self._left(row, pack, letter, now)
        else:
            self._happen(row, pack, [task.meant.name], now)

    def _meant(self, row: _Case, owed: PlannedDeadline) -> Meant | None:
        pack = next(one for one in row.packs if one.id == owed.pack)
        return self._rules.meant(pack, owed.rule_id)

    def _answer(self, row: _Case, now: datetime) -> None:
        """The answer ends what is owed, and the case is closed with it: what it would start is nobody's work."""
        for one in row.owed:
            self._end(row, one, now)
        row.owed, row.answered = [], True

    def _left(self, row: _Case, pack: Pack, letter: RequiredLetter, now: datetime) -> None:
        met = [one for one in row.owed if one.pack == pack.id and meets(one.met_by, kind="", letter=letter.id)]
        self._meet(row, pack, met, now)
        self._happen(row, pack, pack.events_of(letter.id), now)

    def _happen(self, row: _Case, pack: Pack, events: Sequence[str], now: datetime) -> None:
        for event in events:
            met = [one for one in row.owed if one.pack == pack.id and meets_event(one.met_by, event)]
            self._meet(row, pack, met, now)
            running = {one.rule_id for one in row.owed if one.pack == pack.id}
            row.owed += [one for one in self._rules.started(pack, event, now) if one.rule_id not in running]

    def _meet(self, row: _Case, pack: Pack, met: Sequence[PlannedDeadline], now: datetime) -> None:
        for one in met:
            self._end(row, one, now)
            row.owed.remove(one)
            following = next_occurrence(
                pack,
                self._rules.calendar,
                rule_id=one.rule_id,
                occurrence=one.occurrence,
                starts_at=one.starts_at,
            )
            row.owed += [following] if following is not None else []

    def _end(self, row: _Case, owed: PlannedDeadline, now: datetime) -> None:
        if now > owed.due_at:
            self._missed.append(owed.due_date)
            meant = self._meant(row, owed)
            row.late = row.late or (meant is not None and meant.work is Work.ANSWER)


def _acknowledgement_of(pack: Pack) -> RequiredLetter | None:
    """The letter of the pack that the daemon's own acknowledgement is, if it is one."""
    found = [letter for letter in pack.letter if letter.form == "letter" and letter.kind == "acknowledgement"]
    first = next((stage.id for stage in pack.stage if stage.opens is None), "")
    here = [letter for letter in found if letter.stage in ("", first)]
    if len(here) != 1:
        return None
    meant = [rule for rule in pack.deadline if here[0].id in rule.met_by]
    by_hand = bool(meant) and not any(rule.automatic_counts or rule.letter == here[0].id for rule in meant)
    return None if by_hand else here[0]


Owed = tuple[Meant | None, datetime, date, datetime]
"""What meets a deadline by hand, when it is due, its last day, and when it started."""
_EVER: Final = datetime.min.replace(tzinfo=UTC)


def offered(case: int, owed: Sequence[Owed], *, answered: bool, main: str, calendar: WorkingCalendar) -> list[Task]:
    """What a handler could do about what is owed: first what must be done at once, then the answer."""
    wanted = [one for one in owed if one[0] is not None]
    tasks = [
        Task(case, meant, ready_at(meant, day, starts, calendar), due)
        for meant, due, day, starts in wanted
        if meant is not None and meant.work is not Work.ANSWER
    ]
    at_once = [task for task in tasks if task.meant.at_once]
    if at_once:
        return [min(at_once, key=lambda task: (task.due_at, task.meant.name))]
    if answered:
        return tasks
    answers = [due for meant, due, _, _ in wanted if meant is not None and meant.work is Work.ANSWER]
    return [Task(case, Meant(Work.ANSWER, main), _EVER, min(answers, default=None)), *tasks]


def estimated(
    rules: Rules, arrivals: Sequence[datetime], handlers: int, *, hours: WorkingTime, effort: Effort
) -> Lateness:
    """What would be late with so many handlers."""
    world = Estimate(rules)
    Desk(world, handlers, hours, effort).work_through(arrivals)
    return world.lateness()
