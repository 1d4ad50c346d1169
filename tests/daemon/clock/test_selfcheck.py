"""The nightly self-check: once a night however many daemons run, made good after downtime, settled by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from amends.casework import incidents, policychange, selfcheck
from amends.casework.office import Office
from amends.ledger.book import Book
from amends.ledger.tables import Case
from daemon.clock import selfcheck as duty_module
from daemon.clock.doubt import ClockDoubt
from daemon.clock.selfcheck import SelfCheckDuty
from daemon.supervision.health import Heart
from tests.builders import SAM, a_mail, an_office, open_case, some_settings
from tests.servers import until


class Wall:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    monkeypatch.setattr(duty_module, "_LOOK_EVERY", 0.03)
    monkeypatch.setattr(ClockDoubt, "sentence", lambda self: None)
    return Wall()


@pytest.fixture
def office(tmp_path: Path, database_url: str, wall: Wall) -> Iterator[Office]:
    opened = an_office(tmp_path, url=database_url, wall=wall)
    yield opened
    opened.book.close()


@contextmanager
def checking(office: Office, owner: str = "one") -> Iterator[Heart]:
    heart = Heart("self-check", 60.0, threading.Event())
    duty = SelfCheckDuty(office, ClockDoubt(office), owner=owner)
    thread = threading.Thread(target=duty.run, args=(heart,), daemon=True)
    thread.start()
    try:
        yield heart
    finally:
        heart.stop()
        thread.join(60)
    assert not thread.is_alive()


def last(office: Office) -> datetime | None:
    with office.book.read() as session:
        found = selfcheck.last_check(session)
    return None if found is None else found.began_at


def incidents_of(office: Office) -> list[str]:
    with office.book.read() as session:
        return [one.words for one in incidents.open_incidents(session) if one.mailbox == "deadlines"]


def spoil(office: Office) -> None:
    with office.book.write() as session:
        session.connection().execute(update(Case).values(next_due_at=datetime(2030, 1, 1, tzinfo=UTC)))


def test_it_is_done_once_a_night_at_its_hour_by_one_of_two_daemons(
    office: Office, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    conclude = selfcheck.conclude
    monkeypatch.setattr(selfcheck, "conclude", lambda *a, **k: (done.append(1), conclude(*a, **k))[1])
    open_case(office, a_mail(), now=wall.now)
    with checking(office, "one") as one, checking(office, "two") as two:
        until(lambda: last(office) == wall.now and one.tried and two.tried)
        wall.now = datetime(2026, 11, 24, 2, 29, tzinfo=UTC)
        one.wait(0.2)
        assert last(office) == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
        wall.now = datetime(2026, 11, 24, 2, 31, tzinfo=UTC)
        until(lambda: last(office) == wall.now)
        one.wait(0.2)
    assert len(done) == 2


def test_what_was_missed_while_no_daemon_ran_is_made_good_once(office: Office, wall: Wall) -> None:
    with checking(office):
        until(lambda: last(office) == wall.now)
    wall.now += timedelta(days=5)
    with checking(office) as heart:
        until(lambda: last(office) == wall.now and "last_check" in heart.detail)
        assert heart.detail["last_check"]["wrong"] == 0


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 11, 24, 2, 30, tzinfo=UTC), datetime(2026, 11, 24, 2, 30, tzinfo=UTC)),
        (datetime(2026, 11, 24, 2, 29, tzinfo=UTC), datetime(2026, 11, 23, 2, 30, tzinfo=UTC)),
        (datetime(2026, 7, 1, 12, 0, tzinfo=UTC), datetime(2026, 7, 1, 1, 30, tzinfo=UTC)),  # in summer
    ],
)
def test_its_hour_is_that_of_the_organisation(on_sqlite: Office, now: datetime, expected: datetime) -> None:
    assert selfcheck.last_turn(on_sqlite, now=now) == expected


def test_an_hour_that_the_clock_skips_in_spring_is_the_instant_of_the_leap(tmp_path: Path, sqlite_url: str) -> None:
    office = an_office(tmp_path, url=sqlite_url, clock={"self_check": "01:30"})
    now = datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert selfcheck.last_turn(office, now=now) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


@pytest.fixture
def on_sqlite(tmp_path: Path, sqlite_url: str) -> Iterator[Office]:
    opened = an_office(tmp_path, url=sqlite_url)
    yield opened
    opened.book.close()


def test_what_is_wrong_is_an_incident_with_the_first_references_until_it_is_right(office: Office, wall: Wall) -> None:
    open_case(office, a_mail(), now=wall.now)
    spoil(office)
    with checking(office) as heart:
        until(lambda: heart.state == "failing")
        (words,) = incidents_of(office)
        assert words == (
            "1 open deadline is not what the rules make of it, first on NW-2026-000001-10; "
            "amendsd policy check-deadlines names them"
        )
        assert heart.error == f"{words}."
        policychange.apply(office, "To mend it", actor=SAM, clock=office.now)
        until(lambda: incidents_of(office) == [] and last(office) is not None)
        until(lambda: heart.state == "running")


def test_a_change_of_the_calendar_is_counted_at_the_start_and_is_no_incident(
    office: Office, wall: Wall, tmp_path: Path, database_url: str
) -> None:
    open_case(office, a_mail(), now=wall.now)
    with checking(office):
        until(lambda: last(office) is not None)
    settings = some_settings(tmp_path, url=database_url, organisation={"closures": ["2026-12-01"]})
    changed = Office(settings, Book(settings.database_url()), wall=wall)
    with checking(changed) as heart:
        until(lambda: bool(heart.detail.get("warnings")))
        (warning,) = heart.detail["warnings"]
        assert warning.startswith("The calendar changed; ") and "open deadlines would move: amendsd policy" in warning
        assert heart.state == "running" and incidents_of(changed) == []
        policychange.apply(changed, "We are closed on 1 December", actor=SAM, clock=changed.now)
        until(lambda: heart.detail.get("warnings") == [])
    changed.book.close()
    with checking(office) as heart:  # the old calendar again
        until(lambda: bool(heart.detail.get("warnings")))


def test_a_change_that_is_undone_is_forgotten(office: Office, wall: Wall, tmp_path: Path, database_url: str) -> None:
    open_case(office, a_mail(), now=wall.now)
    with checking(office):
        until(lambda: last(office) is not None)
    settings = some_settings(tmp_path, url=database_url, organisation={"closures": ["2026-12-01"]})
    changed = Office(settings, Book(settings.database_url()), wall=wall)
    with checking(changed) as heart:
        until(lambda: bool(heart.detail.get("warnings")))
    changed.book.close()
    with checking(office) as heart:
        until(lambda: heart.detail.get("warnings") == [])


def test_it_waits_for_a_clock_that_has_much_to_catch_up_with(office: Office, wall: Wall) -> None:
    from amends.casework import clockwork

    open_case(office, a_mail(), now=wall.now)
    with checking(office):
        until(lambda: last(office) is not None)
        first = last(office)
        wall.now += timedelta(days=60)
        threading.Event().wait(0.3)
        assert last(office) == first
        while clockwork.tick(office, now=wall.now):
            pass
        until(lambda: last(office) == wall.now)
    assert incidents_of(office) == []


def test_two_daemons_with_two_configurations_do_not_count_in_turns_without_end(
    office: Office, wall: Wall, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Office] = []
    conclude = selfcheck.conclude
    monkeypatch.setattr(selfcheck, "conclude", lambda *a, **k: (done.append(a[0]), conclude(*a, **k))[1])
    open_case(office, a_mail(), now=wall.now)
    with checking(office, "old"):
        until(lambda: last(office) is not None)
        settings = some_settings(tmp_path, url=database_url, organisation={"closures": ["2026-12-01"]})
        changed = Office(settings, Book(settings.database_url()), wall=wall)
        with checking(changed, "new") as new:
            until(lambda: changed in done and new.tried)
            new.wait(0.5)
        assert done.count(office) <= 2 and done.count(changed) <= 2
    changed.book.close()


def test_a_clock_that_was_set_back_is_not_waited_for(on_sqlite: Office, wall: Wall) -> None:
    on_sqlite.wall = wall
    with checking(on_sqlite):
        until(lambda: last(on_sqlite) is not None)
        wall.now -= timedelta(days=300)
        until(lambda: last(on_sqlite) == wall.now)
