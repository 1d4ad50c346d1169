"""The clock duty: every instant once, however many clocks run and however long none did."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from amends.casework import clockwork
from amends.casework.duty import lease
from amends.casework.office import Office
from amends.kernel.instants import wall_clock
from amends.ledger.tables import Case, Deadline, Event, Letter
from daemon.clock import doubt as doubts
from daemon.clock import duty as clock_duty
from daemon.clock.doubt import ClockDoubt, Reading
from daemon.clock.duty import ClockDuty
from daemon.supervision.health import Heart
from tests.builders import a_mail, an_office, open_case
from tests.servers import until


class Machine:
    """A machine whose clock can be set, or can go on while nobody looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = timedelta()
        self.set_by = timedelta()
        monkeypatch.setattr(
            doubts, "read_clock", lambda wall: Reading(wall, 1000.0 + self._since().total_seconds(), "one")
        )
        self._began = wall_clock()

    def _since(self) -> timedelta:
        return wall_clock() - self._began + self.passed

    def __call__(self) -> datetime:
        return wall_clock() + self.passed + self.set_by


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(clock_duty, "_LOOK_EVERY", 0.05)
    monkeypatch.setattr(doubts, "_KEEP_EVERY", 0.0)
    monkeypatch.setattr(doubts, "kept_by_ntp", lambda: True)
    return Machine(monkeypatch)


@pytest.fixture
def make_office(tmp_path: Path, machine: Machine) -> Iterator[Callable[..., Office]]:
    made: list[Office] = []

    def make(**more: Any) -> Office:
        made.append(an_office(tmp_path, wall=machine, **more))
        return made[-1]

    yield make
    for office in made:
        office.book.close()


@contextmanager
def ticking(office: Office, owner: str = "first", *, woken: list[str] | None = None) -> Iterator[Heart]:
    heart = Heart("clock", 60.0, threading.Event())
    wake = (lambda: None) if woken is None else (lambda: woken.append(owner))
    duty = ClockDuty(office, ClockDoubt(office), wake_outbox=wake, owner=owner)
    fault: list[BaseException] = []

    def run() -> None:
        try:
            duty.run(heart)
        except BaseException as caught:
            fault.append(caught)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield heart
    finally:
        heart.stop()
        thread.join(60)
    assert not thread.is_alive()
    if fault:
        raise fault[0]


def nothing_is_due(office: Office) -> bool:
    upcoming = clockwork.next_instant(office, now=office.now())
    return upcoming is None or upcoming > office.now()


def events(office: Office, *kinds: str) -> list[Event]:
    with office.book.read() as session:
        found = list(session.scalars(select(Event).where(col(Event.kind).in_(kinds)).order_by(col(Event.id))))
        session.expunge_all()
    return found


def test_two_clocks_on_one_store_do_everything_once(
    make_office: Callable[..., Office], machine: Machine, database_url: str
) -> None:
    office = make_office(url=database_url)
    for number in range(6):
        open_case(office, a_mail(sender=f"person{number}@example.org"), now=office.now())
    machine.passed = timedelta(days=40)
    with ticking(office, "one"), ticking(office, "two"):
        until(lambda: nothing_is_due(office), seconds=60)
    seen = Counter(
        (event.case_id, event.kind, event.data["deadline"], event.data.get("occurrence"), event.data.get("step"))
        for event in events(office, "deadline-warning", "deadline-breached", "escalated")
    )
    assert seen
    assert set(seen.values()) == {1}
    breached = {event.case_id for event in events(office, "deadline-breached")}
    assert len(breached) == 6


def test_two_clocks_after_days_of_downtime_write_one_digest(
    make_office: Callable[..., Office], machine: Machine, database_url: str
) -> None:
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    office = make_office(
        url=database_url,
        organisation={"region": "none", "hours": {day: ["00:00-24:00"] for day in days}},
        handler=[{"login": "sam", "address": "sam@northwind.example", "role": "supervisor", "digest": True}],
    )
    for number in range(3):
        open_case(office, a_mail(sender=f"person{number}@example.org"), now=office.now())
    machine.passed = timedelta(days=60)
    with ticking(office, "one"), ticking(office, "two"):
        until(lambda: nothing_is_due(office), seconds=60)
    with office.book.read() as session:
        [digest] = session.scalars(select(Letter).where(col(Letter.kind) == "staff-digest"))
        assert "MISSED, AND STILL OWED" in digest.body
        assert not session.scalars(select(Letter).where(col(Letter.kind) == "staff-warning")).first()


def test_what_fell_due_while_no_clock_ran_is_done_in_order_and_said_to_be_late(
    make_office: Callable[..., Office], machine: Machine
) -> None:
    office, woken = make_office(), []
    open_case(office, a_mail(), now=office.now())
    machine.passed = timedelta(days=90)
    with ticking(office, woken=woken):
        until(lambda: nothing_is_due(office))
    breaches = events(office, "deadline-breached")
    late = [event.data["found_late_seconds"] for event in breaches]
    assert late
    assert all(before >= after - 60 for before, after in pairwise(late)), "the oldest first"
    assert sum(seconds > 3600 for seconds in late) >= len(late) - 1  # shortly after midnight one is of the day before
    assert woken


def test_a_clock_that_was_set_forward_does_nothing_until_it_is_right(
    make_office: Callable[..., Office], machine: Machine
) -> None:
    office = make_office()
    open_case(office, a_mail(), now=office.now())
    with ticking(office) as heart:
        until(lambda: heart.state == "running")
        machine.set_by = timedelta(days=60)
        until(lambda: "set forward by 60 d" in (heart.error or ""))
        assert events(office, "deadline-breached") == []
        machine.set_by = timedelta()
        until(lambda: heart.error is None)
        assert events(office, "deadline-breached") == []


def test_a_clock_that_was_set_back_fires_nothing_twice(make_office: Callable[..., Office], machine: Machine) -> None:
    office = make_office()
    open_case(office, a_mail(), now=office.now())
    machine.passed = timedelta(days=60)
    with ticking(office) as heart:
        until(lambda: nothing_is_due(office) and heart.state == "running")
        before = len(events(office, "deadline-breached", "deadline-warning", "escalated"))
        machine.set_by = -timedelta(days=59)
        until(lambda: "set back" in (heart.error or ""))
        machine.set_by = timedelta()
        until(lambda: heart.error is None)
    assert len(events(office, "deadline-breached", "deadline-warning", "escalated")) == before


def test_while_another_daemon_has_the_clock_we_stand_by_and_take_over_when_its_lease_ends(
    make_office: Callable[..., Office], machine: Machine
) -> None:
    office = make_office()
    open_case(office, a_mail(), now=office.now())
    assert lease(office, "clock", "elsewhere", seconds=60, now=office.wall()) == 1
    with ticking(office) as heart:
        until(lambda: heart.detail.get("held_by") == "elsewhere")
        machine.passed = timedelta(days=60)  # the other froze
        until(lambda: heart.detail.get("epoch") == 2 and nothing_is_due(office))


def test_one_deadline_that_cannot_be_acted_on_does_not_stop_the_others(
    make_office: Callable[..., Office], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = make_office()
    bad, good = (open_case(office, a_mail(sender=f"{name}@example.org"), now=office.now()) for name in ("a", "b"))
    missed = clockwork._missed

    def fails_for_one(file: Any, *args: Any) -> None:
        if file.id == bad:
            raise ValueError("this template is broken")
        missed(file, *args)

    monkeypatch.setattr(clockwork, "_missed", fails_for_one)
    machine.passed = timedelta(days=60)
    with ticking(office) as heart:
        until(lambda: "could not be acted on" in (heart.error or ""))
        assert "this template is broken" in (heart.error or "")
        until(lambda: good in {event.case_id for event in events(office, "deadline-breached")})
    assert bad not in {event.case_id for event in events(office, "deadline-breached")}
    monkeypatch.undo()
    with office.book.read() as session:  # nothing half done is left of it
        case = session.get(Case, bad)
        assert case is not None
        assert case.escalated is False
        stuck = select(Deadline).where(col(Deadline.case_id) == bad, col(Deadline.tick_at) < office.now())
        assert session.scalars(stuck).first() is not None


def test_a_fast_clock_is_slept_by_in_real_seconds(make_office: Callable[..., Office], machine: Machine) -> None:
    speed = 500_000.0 / 5
    office = make_office(organisation={"demonstration": True}, clock={"speed": speed})
    open_case(office, a_mail(), now=office.now())
    with ticking(office):  # a month takes 26 seconds; the first warning falls due within a few
        until(lambda: events(office, "deadline-warning", "letter-queued", "deadline-breached"), seconds=60)
