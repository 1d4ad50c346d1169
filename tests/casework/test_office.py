"""The office: one clock for all programs, one key for all tokens, one owner a role."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from amends.casework import duty
from amends.kernel.errors import NeedsOperator
from tests.builders import NOW, an_office

DEMONSTRATION = {"organisation": {"demonstration": True}, "clock": {"speed": 60.0}}


def test_a_demonstrations_clock_runs_faster_and_is_the_same_for_all_programs(tmp_path, database_url):
    office = an_office(tmp_path, url=database_url, wall=lambda: NOW, **DEMONSTRATION)
    assert office.now() == NOW
    other = an_office(tmp_path, url=database_url, wall=lambda: NOW + timedelta(minutes=1), **DEMONSTRATION)
    assert other.now() == NOW + timedelta(hours=1)
    assert other.real(timedelta(seconds=30)) == timedelta(minutes=30)
    for one in (office, other):
        one.book.close()


def test_a_real_clock_is_the_machines(on_sqlite):
    on_sqlite.wall = lambda: NOW
    assert on_sqlite.now() == NOW and on_sqlite.real(timedelta(seconds=30)) == timedelta(seconds=30)


def test_a_store_without_its_key_says_what_to_do(on_sqlite):
    with on_sqlite.book.write() as session:
        session.connection().execute(text("DELETE FROM meta WHERE name = 'hmac_key'"))
    with pytest.raises(NeedsOperator, match="amendsd migrate"):
        _ = on_sqlite.key


def test_a_role_has_one_owner_until_the_lease_runs_out(office):
    assert duty.lease(office, "clock", "one", seconds=30, now=NOW) == 1
    assert duty.lease(office, "clock", "two", seconds=30, now=NOW) is None
    assert duty.lease(office, "clock", "one", seconds=30, now=NOW + timedelta(seconds=20)) == 1
    assert duty.lease(office, "clock", "two", seconds=30, now=NOW + timedelta(seconds=40)) is None
    assert duty.lease(office, "clock", "two", seconds=30, now=NOW + timedelta(seconds=51)) == 2
    duty.release_lease(office, "clock", "one", now=NOW)  # not its own any more
    assert duty.lease(office, "clock", "one", seconds=30, now=NOW + timedelta(seconds=52)) is None
    duty.release_lease(office, "clock", "two", now=NOW + timedelta(seconds=53))
    assert duty.lease(office, "clock", "one", seconds=30, now=NOW + timedelta(seconds=53)) == 3


def test_the_lease_of_a_dead_owner_need_not_run_out(office):
    duty.lease(office, "clock", "dead", seconds=30, now=NOW)
    taken = duty.lease(office, "clock", "two", seconds=30, now=NOW, owner_is_dead=lambda owner: owner == "dead")
    assert taken == 2


def test_the_health_of_a_duty_says_since_when(office):
    from amends.ledger import views

    later = NOW + timedelta(minutes=1)
    duty.report(office, "outbox", "failing", now=NOW, error="no connection", detail={"server": "x"})
    duty.report(office, "outbox", "failing", now=later, detail={"tries": 2})
    with office.book.read() as session:
        (row,) = views.duties(session)
    assert (row.since, row.beat_at, row.last_error, row.detail) == (
        NOW,
        later,
        "no connection",
        {"server": "x", "tries": 2},
    )
    duty.report(office, "outbox", "running", now=later)
    with office.book.read() as session:
        (row,) = views.duties(session)
    assert (row.since, row.last_error) == (later, None)
    duty.forget(office, "outbox")
    with office.book.read() as session:
        assert views.duties(session) == []
