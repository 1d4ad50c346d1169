"""When a clock is not to be believed, and when it is again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends.casework.office import Office, read_meta
from daemon.clock import doubt as doubts
from daemon.clock.doubt import BEHIND, JUMP, ClockDoubt, Reading, confirm, doubt_about
from tests.builders import an_office

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def reading(wall: datetime, boot_seconds: float = 1000.0, boot_id: str = "one") -> Reading:
    return Reading(wall, boot_seconds, boot_id)


def test_a_clock_that_goes_with_the_time_since_the_boot_is_believed() -> None:
    now = reading(NOON + HOUR, 1000 + 3600)
    assert doubt_about(now, believed=reading(NOON), high_water=NOON) is None


def test_a_machine_that_slept_for_a_week_is_believed() -> None:
    week = timedelta(days=7)
    now = reading(NOON + week, 1000 + week.total_seconds())
    assert doubt_about(now, believed=reading(NOON), high_water=NOON) is None


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
    assert words in (doubt_about(now, believed=reading(NOON), high_water=NOON - 2 * HOUR) or "")


def test_a_clock_behind_what_the_store_has_seen_is_doubted_after_any_boot() -> None:
    now = reading(NOON - HOUR, 5.0, "two")
    assert "2026-11-23T12:00:00Z" in (doubt_about(now, believed=reading(NOON), high_water=NOON) or "")


def test_small_corrections_are_no_doubt() -> None:
    for seconds in (-290, 290, 599):
        now = reading(NOON + timedelta(seconds=seconds), 1000.0)
        assert doubt_about(now, believed=reading(NOON), high_water=NOON) is None


@given(
    jump=st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)),
    passed=st.integers(0, 10**8),
    same_boot=st.booleans(),
)
def test_doubt_is_about_the_jump_and_never_about_how_long_nobody_looked(
    jump: timedelta, passed: int, same_boot: bool
) -> None:
    now = reading(NOON + timedelta(seconds=passed) + jump, 1000.0 + passed, "one" if same_boot else "two")
    doubted = doubt_about(now, believed=reading(NOON), high_water=NOON) is not None
    assert doubted == ((same_boot and abs(jump) > JUMP) or now.wall < NOON - BEHIND)


class Machine:
    """A wall clock and a time since the boot, both in the test's hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = NOON
        self.boot_seconds = 1000.0
        self.boot_id = "one"
        monkeypatch.setattr(doubts, "read_clock", lambda wall: Reading(wall, self.boot_seconds, self.boot_id))
        monkeypatch.setattr(doubts, "_KEEP_EVERY", 0.0)

    def __call__(self) -> datetime:
        return self.wall

    def passes(self, span: timedelta) -> None:
        self.wall += span
        self.boot_seconds += span.total_seconds()

    def is_set(self, by: timedelta) -> None:
        self.wall += by


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
    machine.passes(timedelta(days=2))
    machine.boot_seconds, machine.boot_id = 3.0, "two"
    assert ClockDoubt(office).look() is None
