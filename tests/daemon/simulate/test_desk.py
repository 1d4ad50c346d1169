"""The desk against a clerk who looks at every minute."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.simulate.desk import Desk, Task
from daemon.simulate.hours import WorkingTime
from daemon.simulate.work import Effort, Meant, Work
from tests.daemon.simulate.scenes import CALENDAR, MONDAY, at

_ANSWER = Meant(Work.ANSWER, "pack")
_MINUTE = timedelta(minutes=1)


@dataclass
class _Answers:
    """Each case wants an answer by `due[n]`, from `ready[n]` on; when it was given stands in `done`."""

    due: list[datetime | None]
    ready: list[datetime]
    done: dict[int, datetime] = field(default_factory=dict)
    taken: dict[int, tuple[int, datetime]] = field(default_factory=dict)

    def run_to(self, now: datetime) -> None: ...

    def arrive(self, case: int, now: datetime) -> None: ...

    def tasks(self, case: int) -> list[Task]:
        return [] if case in self.done else [Task(case, _ANSWER, self.ready[case], self.due[case])]

    def take_up(self, task: Task, handler: int, now: datetime) -> None:
        self.taken[task.case] = handler, now

    def carry_out(self, task: Task, handler: int, now: datetime) -> None:
        assert self.taken[task.case][0] == handler
        self.done[task.case] = now


def _work(world: _Answers, arrivals: list[datetime], handlers: int, minutes: int) -> None:
    effort = Effort(timedelta(minutes=minutes), _MINUTE)
    Desk(world, handlers, WorkingTime(CALENDAR, MONDAY), effort).work_through(arrivals)


def test_one_complaint_of_friday_evening_is_taken_up_on_monday_and_answered_when_the_work_is_done() -> None:
    world = _Answers([None], [at(5, 20)])
    _work(world, [at(5, 20)], 1, 90)
    assert world.taken == {0: (0, at(8, 9))}
    assert world.done == {0: at(8, 10, 30)}


def test_what_is_due_first_is_done_first_and_what_is_not_ready_waits() -> None:
    world = _Answers([at(9, 9), at(8, 9), None, at(2, 9)], [at(1, 8), at(1, 8), at(1, 8), at(1, 12)])
    _work(world, [at(1, 8)] * 4, 1, 60)
    assert world.done == {1: at(1, 10), 0: at(1, 11), 2: at(1, 12), 3: at(1, 13)}


def test_two_handlers_work_side_by_side() -> None:
    world = _Answers([None] * 3, [at(1, 9)] * 3)
    _work(world, [at(1, 9)] * 3, 2, 60)
    assert sorted(world.done.values()) == [at(1, 10), at(1, 10), at(1, 11)]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 6000), st.integers(0, 500)), min_size=1, max_size=8),
    st.integers(1, 3),
    st.integers(1, 300),
)
def test_the_desk_does_what_a_clerk_does_who_looks_at_every_minute(
    cases: list[tuple[int, int, int]], handlers: int, minutes: int
) -> None:
    start = at(1, 0)
    arrivals = sorted(start + timedelta(minutes=came) for came, _, _ in cases)
    due = [came + timedelta(minutes=of) for came, (_, of, _) in zip(arrivals, cases, strict=True)]
    ready = [came + timedelta(minutes=of) for came, (_, _, of) in zip(arrivals, cases, strict=True)]
    world = _Answers(list(due), ready)
    _work(world, arrivals, handlers, minutes)
    assert world.done == _clerk(arrivals, ready, due, handlers, minutes)


def _clerk(
    arrivals: list[datetime], ready: list[datetime], due: list[datetime], handlers: int, minutes: int
) -> dict[int, datetime]:
    """Minute by minute: everybody in the office works a minute, and who is free takes what is due first."""
    left: dict[int, int] = {}
    done: dict[int, datetime] = {}
    now = min(arrivals)
    while len(done) < len(arrivals):
        for case in [case for case, minute in left.items() if minute == 0]:
            done[case] = now
            del left[case]
        in_office = any(begin <= now < end for begin, end in CALENDAR.open_spells(CALENDAR.day_of(now)))
        if in_office:
            here = [n for n, came in enumerate(arrivals) if max(came, ready[n]) <= now and n not in done | left]
            for case in sorted(here, key=lambda n: (due[n], n))[: handlers - len(left)]:
                left[case] = minutes
            left = {case: minute - 1 for case, minute in left.items()}
        now += _MINUTE
    return done
