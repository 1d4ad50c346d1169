"""When a clock is not to be believed, and when it is again."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from amends.casework import intake
from amends.casework.doubts import BEHIND
from amends.casework.office import Office, read_meta
from amends.ledger.tables import Arrival
from daemon.clock import doubt as doubts
from daemon.clock.doubt import JUMP, ClockDoubt, Reading, confirm, doubt_about
from tests.builders import an_office

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

_uids = itertools.count(1)


def reading(wall: datetime, boot_seconds: float = 1000.0, boot_id: str = "one") -> Reading:
    return Reading(wall, boot_seconds, boot_id)


def test_a_clock_that_goes_with_the_time_since_the_boot_is_believed() -> None:
    now = reading(NOON + HOUR, 1000 + 3600)
    assert doubt_about(now, believed=reading(NOON), at_work=NOON) is None


def test_a_machine_that_slept_for_a_week_is_believed() -> None:
    week = timedelta(days=7)
    now = reading(NOON + week, 1000 + week.total_seconds())
    assert doubt_about(now, believed=reading(NOON), at_work=NOON) is None


@pytest.mark.parametrize(
    ("set_by", "words"),
    [
        (timedelta(days=3), "forward by 3 d 0 h"),
        (timedelta(hours=2), "forward by 2 h 0 min"),
        (-HOUR, "back by 1 h 0 min"),
    ],
)
def test_a_clock_that_was_set_is_doubted(set_by: timedelta, words: str) -> None:
    now = reading(NOON + set_by, 1000.0)
    assert words in (doubt_about(now, believed=reading(NOON), at_work=NOON - 2 * HOUR) or "")


def test_a_clock_behind_what_the_store_has_seen_is_doubted_after_any_boot() -> None:
    now = reading(NOON - HOUR, 5.0, "two")
    assert "2026-11-23T12:00:00Z" in (doubt_about(now, believed=reading(NOON), at_work=NOON) or "")


def test_small_corrections_are_no_doubt() -> None:
    for seconds in (-290, 290, 599):
        now = reading(NOON + timedelta(seconds=seconds), 1000.0)
        assert doubt_about(now, believed=reading(NOON), at_work=NOON) is None


@given(
    jump=st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)),
    passed=st.integers(0, 10**8),
    same_boot=st.booleans(),
)
def test_doubt_is_about_the_jump_and_never_about_how_long_nobody_looked(
    jump: timedelta, passed: int, same_boot: bool
) -> None:
    now = reading(NOON + timedelta(seconds=passed) + jump, 1000.0 + passed, "one" if same_boot else "two")
    doubted = doubt_about(now, believed=reading(NOON), at_work=NOON, agreed=lambda: True) is not None
    assert doubted == ((same_boot and abs(jump) > JUMP) or now.wall < NOON - BEHIND)


class Machine:
    """A wall clock and a time since the boot, both in the test's hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = NOON
        self.boot_seconds = 1000.0
        self.boot_id = "one"
        monkeypatch.setattr(doubts, "read_clock", lambda wall: Reading(wall, self.boot_seconds, self.boot_id))
        self.synchronised: bool | None = True
        monkeypatch.setattr(doubts, "kept_by_ntp", lambda: self.synchronised)
        monkeypatch.setattr(doubts, "_KEEP_EVERY", 0.0)

    def __call__(self) -> datetime:
        return self.wall

    def passes(self, span: timedelta) -> None:
        self.wall += span
        self.boot_seconds += span.total_seconds()

    def is_set(self, by: timedelta) -> None:
        self.wall += by

    def boots(self, *, after: timedelta) -> None:
        self.wall += after
        self.boot_seconds, self.boot_id = 3.0, f"{self.boot_id}, and again"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.fixture
def office(tmp_path: Path, machine: Machine) -> Office:
    return an_office(tmp_path, wall=machine)


def test_doubt_goes_when_the_clock_is_put_right(office: Office, machine: Machine) -> None:
    doubt = ClockDoubt(office)
    assert doubt.look() is None
    machine.passes(HOUR)
    machine.is_set(timedelta(days=3))
    assert doubt.look() is not None
    assert doubt.sentence() == doubt.look()
    machine.passes(HOUR)
    machine.is_set(-timedelta(days=3))
    assert doubt.look() is None


def test_doubt_outlives_the_daemon(office: Office, machine: Machine) -> None:
    assert ClockDoubt(office).look() is None
    machine.is_set(timedelta(days=3))
    assert ClockDoubt(office).look() is not None, "set while no daemon was there"
    assert ClockDoubt(office).look() is not None, "another start does not make it right"


def test_a_doubtful_clock_never_raises_the_high_water_mark(office: Office, machine: Machine) -> None:
    doubt = ClockDoubt(office)
    doubt.look()
    machine.is_set(timedelta(days=3))
    doubt.look()
    with office.book.read() as session:
        assert read_meta(session, "clock_high_water") == NOON.isoformat()


def test_the_operators_word_is_taken_by_a_running_daemon(office: Office, machine: Machine) -> None:
    doubt = ClockDoubt(office)
    doubt.look()
    machine.is_set(timedelta(days=-30))
    assert doubt.look() is not None
    confirm(office)
    assert doubt.look() is None
    machine.passes(HOUR)
    assert doubt.look() is None
    machine.is_set(timedelta(days=1))
    assert doubt.look() is not None, "the word was about that day alone"


def test_the_operators_word_holds_for_a_daemon_that_did_not_run_when_it_was_given(
    office: Office, machine: Machine
) -> None:
    assert ClockDoubt(office).look() is None
    machine.is_set(timedelta(days=3))
    confirm(office)
    started = ClockDoubt(office)
    assert started.look() is None
    machine.is_set(timedelta(days=1))
    assert started.look() is not None


def test_a_new_boot_starts_a_new_count(office: Office, machine: Machine) -> None:
    doubt = ClockDoubt(office)
    doubt.look()
    machine.synchronised = None
    machine.boots(after=timedelta(days=2))
    assert ClockDoubt(office).look() is None


EIGHT_WEEKS = timedelta(weeks=8)


def test_a_machine_that_was_off_for_weeks_is_believed_at_once_where_ntp_keeps_its_clock(
    office: Office, machine: Machine
) -> None:
    ClockDoubt(office).look()
    machine.boots(after=EIGHT_WEEKS)
    assert ClockDoubt(office).look() is None


@pytest.mark.parametrize("says", [False, None])
def test_a_boot_years_ahead_is_doubted_until_ntp_agrees(office: Office, machine: Machine, says: bool | None) -> None:
    ClockDoubt(office).look()
    machine.synchronised = says
    machine.boots(after=timedelta(days=1100))
    doubt = ClockDoubt(office)
    sentence = doubt.look() or ""
    assert "1100 d 0 h after this store was last at work" in sentence and "amendsd clock --confirm" in sentence
    assert ClockDoubt(office).look() == ClockDoubt(office).judge() == sentence, "another start does not make it right"
    machine.passes(HOUR)
    machine.synchronised = True
    assert doubt.look() is None
    machine.synchronised = False
    machine.passes(EIGHT_WEEKS)
    assert doubt.look() is None and ClockDoubt(office).look() is None, "it goes on from there"


def test_a_boot_years_ahead_is_believed_when_it_is_put_right_or_by_the_operators_word(
    office: Office, machine: Machine
) -> None:
    ClockDoubt(office).look()
    machine.synchronised = None
    machine.boots(after=timedelta(days=1100))
    doubt = ClockDoubt(office)
    assert doubt.look() is not None
    machine.is_set(-timedelta(days=1100))
    assert doubt.look() is None
    machine.boots(after=timedelta(days=1100))
    again = ClockDoubt(office)
    assert again.look() is not None
    confirm(office)
    assert again.look() is None


@pytest.mark.parametrize(
    ("host", "dated", "believed"),
    [
        ("imap.example.org", timedelta(minutes=2), True),
        ("imap.example.org", timedelta(days=1100), False),  # a backlog says nothing
        ("127.0.0.1", timedelta(minutes=2), False),  # nor a server that goes by the same clock
        ("localhost", timedelta(minutes=2), False),
    ],
)
def test_new_mail_from_a_server_elsewhere_says_that_a_long_time_has_passed(
    tmp_path: Path, machine: Machine, host: str, dated: timedelta, believed: bool
) -> None:
    box = {"name": "complaints", "host": host, "username": "us", "password": "secret"}
    office = an_office(tmp_path, wall=machine, mailbox=[box])
    assert ClockDoubt(office).look() is None
    machine.synchronised = None
    machine.boots(after=timedelta(days=1100))
    doubt = ClockDoubt(office)
    assert doubt.look() is not None
    machine.passes(HOUR)
    comes(office, machine.wall - dated, now=machine.wall)
    assert (doubt.look() is None) == believed


def comes(office: Office, dated: datetime, *, now: datetime) -> None:
    """A message is taken in that its mail server dated so."""
    intake.store(office, [intake.Incoming("complaints", 1, next(_uids), b"Subject: Help\r\n\r\nHelp", dated)], now=now)


@pytest.mark.parametrize(("dated", "believed"), [(timedelta(days=1), True), (timedelta(days=1100), False)])
def test_a_new_store_believes_a_clock_that_its_mail_does_not_contradict(
    office: Office, machine: Machine, dated: timedelta, believed: bool
) -> None:
    machine.synchronised = None
    doubt = ClockDoubt(office)
    assert doubt.look() is None, "nothing is at stake"
    comes(office, machine.wall - dated, now=machine.wall)
    assert (doubt.look() is None) == believed
    machine.synchronised = True
    assert doubt.look() is None


def test_a_new_store_doubts_a_clock_from_before_this_program(office: Office, machine: Machine) -> None:
    machine.synchronised = None
    machine.wall = datetime(2000, 1, 1, tzinfo=UTC)
    assert "before Amends was made" in (ClockDoubt(office).look() or "")


def test_mail_that_comes_while_the_clock_is_behind_is_as_old_as_its_server_says(
    office: Office, machine: Machine
) -> None:
    ClockDoubt(office).look()
    comes(office, NOON + HOUR, now=NOON)
    machine.is_set(-timedelta(days=9000))
    comes(office, NOON + HOUR, now=machine.wall)
    machine.is_set(timedelta(days=8994))  # or the store has seen a wrong hour: a week too late would be too late
    a_second = timedelta(seconds=1)
    comes(office, machine.wall + a_second, now=machine.wall)
    comes(office, machine.wall - a_second, now=machine.wall)
    with office.book.read() as session:
        received = list(session.scalars(select(col(Arrival.received_at)).order_by(col(Arrival.id))))
    assert received == [NOON, NOON + HOUR, machine.wall + a_second, machine.wall - a_second]
