"""What the daemon keeps between two looks, written over by a bad disk or hand: it is found anew, and nothing stops."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime

import pytest
from sqlalchemy import text

from amends.casework import clockwork, doubts, policychange, reconciling, selfcheck, standing
from amends.casework.office import read_meta, write_meta
from amends.casework.recomputing import Sum, look_through
from amends.kernel.errors import NeedsOperator, Unreadable
from daemon.clock.doubt import ClockDoubt, confirm
from tests.builders import HANDLERS, NOW, an_office, later, open_case, post_all

GARBAGE = ("garbage", "", "[]", "{}", "null", "7", '{"a":', "9999-12-31", "[" * 3000, '{"at": 7, "words": 1}')
WITH_DIGESTS = [{**one, "digest": one["login"] == "sam"} for one in HANDLERS]


@pytest.fixture
def office(tmp_path, sqlite_url):
    opened = an_office(tmp_path, url=sqlite_url, handler=WITH_DIGESTS)
    yield opened
    opened.book.close()


def keep(office, name, value):
    with office.book.write() as session:
        write_meta(session, name, value)


def look(office):
    total = Sum()
    for each in look_through(office, clock=lambda: NOW):
        total.add(each)
    return selfcheck.conclude(office, total, began_at=NOW, wall=NOW)


@pytest.mark.parametrize("kept", GARBAGE)
def test_the_clock_is_believed_by_the_witness_that_is_left(office, kept, monkeypatch):
    monkeypatch.setattr("daemon.clock.doubt.kept_by_ntp", lambda: True)
    ClockDoubt(office).look()
    with office.book.read() as session:
        names = list(session.connection().execute(text("SELECT name FROM meta WHERE name LIKE 'clock_%'")).scalars())
    assert "clock_high_water" in names and len(names) == 2
    for name in names:
        keep(office, name, kept)
    assert ClockDoubt(office).look() is None
    with office.book.read() as session:
        assert datetime.fromisoformat(read_meta(session, "clock_high_water")).tzinfo is not None
    keep(office, "clock_high_water", kept)
    confirm(office)
    assert ClockDoubt(office).look() is None


@pytest.mark.parametrize("name", ["policy_applied", "policy_pending", "deadlines_checked"])
@pytest.mark.parametrize(
    "kept", [*GARBAGE, '{"years": [1, 9999], "parts": {}}', '{"years": [2024, 2023], "parts": {}}']
)
def test_the_self_check_finds_its_verdict_anew(office, name, kept):
    open_case(office)
    look(office)
    keep(office, name, kept)
    with office.book.read() as session:
        selfcheck.is_due(office, session, now=NOW)
        policychange.sentence(office, session)
    verdict, waiting, _ = look(office)
    assert verdict.wrong == 0 and waiting is None
    with office.book.read() as session:
        assert selfcheck.last_check(session) == verdict
        assert policychange.seen(office, session) is None


NO_HOURS = '{"zone": "Europe/London", "hours": {}, "closures": [], "openings": [], "holidays": {}}'


@pytest.mark.parametrize(
    "kept", [*GARBAGE, f"[2024, 2029, {NO_HOURS}]", *(f'[{years}, {{"hours": {{}}}}]' for years in ("1, 9999", "7, 7"))]
)
def test_dates_stand_on_the_calendar_of_now_where_the_one_before_cannot_be_read(office, kept):
    keep(office, "policy_calendar", kept)
    with office.book.read() as session:
        assert standing.kept(office, session) is None
    look(office)
    with office.book.read() as session:
        assert read_meta(session, "policy_calendar") != kept and standing.kept(office, session) is None


@pytest.mark.parametrize("kept", GARBAGE)
def test_a_mailbox_is_reconciled_anew(office, kept):
    for name in ("reconciled:complaints", "uids_seen:complaints"):
        keep(office, name, kept)
    with office.book.read() as session:
        assert reconciling.last_verdicts(session, ["complaints"]) == []
        assert reconciling.last_at(session, "complaints") is None
        assert reconciling.seen_before(session, "complaints") is None


@pytest.mark.parametrize("kept", GARBAGE)
@pytest.mark.parametrize("name", ["doubt:behind/complaints", "restored_at"])
def test_a_doubt_that_cannot_be_read_holds_letters_until_it_is_lifted(office, name, kept):
    keep(office, name, kept if name != "restored_at" or kept != "9999-12-31" else "")
    with office.book.read() as session:
        assert "nobody can read" in doubts.why_held(session)
        json.dumps([one.as_json() for one in doubts.doubts(session)])
    doubts.release(office)
    with office.book.read() as session:
        assert doubts.why_held(session) is None


@pytest.mark.parametrize("kept", GARBAGE)
def test_a_mailbox_that_was_numbered_anew_is_weighed_all_the_same(office, kept):
    for name in ("renumbered:complaints", "behind_shown:complaints", "behind_released:complaints"):
        keep(office, name, kept)
    assert not doubts.weigh(office, "complaints", uidvalidity=2, coming=1, many=0, now=NOW)
    assert doubts.behind_mailbox(office, "complaints", 90, many=10, now=NOW)


@pytest.mark.parametrize("key", ["garbage", "zz" * 32])
def test_a_damaged_signing_key_is_told_in_one_sentence(office, key):
    keep(office, "hmac_key", key)
    with pytest.raises(NeedsOperator, match="amendsd restore"):
        _ = office.key


# Digests and deadlines


def doctor(office, statement, **values):
    with office.book.write() as session:
        session.connection().execute(text(statement), values)


def digests_of(office):
    with office.book.read() as session:
        statement = text("SELECT count(*) FROM letters WHERE kind = 'staff-digest'")
        return session.connection().execute(statement).scalar()


def tick_all(office, now, failed):
    while clockwork.tick(office, now=now, failed=failed):
        pass


@pytest.mark.parametrize("day", ["garbage", "", "-1", "[]", "2026-99-99", "9999-12-31", "2036-11-23"])
def test_a_day_in_the_book_of_digests_that_cannot_be_takes_nobody_the_next_one(office, day):
    open_case(office)
    post_all(office)
    doctor(office, "INSERT INTO digests (login, day, at) VALUES ('sam', :day, :at)", day=day, at=NOW.isoformat())
    tick_all(office, later(days=29), {})
    assert digests_of(office) == 1, "there is a missed deadline to tell of"
    assert clockwork.next_instant(office, now=office.now()) is not None


@pytest.mark.parametrize("case_id", ["garbage", b"\xff"])
def test_a_deadline_that_was_taken_away_from_its_case_stops_the_clock_of_no_other(on_sqlite, case_id):
    bad, good = open_case(on_sqlite), open_case(on_sqlite)
    post_all(on_sqlite)
    with closing(sqlite3.connect(on_sqlite.settings.database_url().removeprefix("sqlite:///"))) as behind_our_back:
        behind_our_back.execute(
            "UPDATE deadlines SET case_id = ? WHERE case_id = ? AND kind = 'response'", (case_id, bad)
        )
        behind_our_back.commit()
    failed: dict[int, str] = {}
    tick_all(on_sqlite, later(days=29), failed)
    assert [one for one in failed.values() if "of no case" in one and "amendsd verify" in one]
    with on_sqlite.book.read() as session:
        missed = text("SELECT count(*) FROM deadlines WHERE case_id = :case AND breached_at IS NOT NULL")
        assert session.connection().execute(missed, {"case": good}).scalar()
    with pytest.raises(Unreadable, match="of no case"):
        tick_all(on_sqlite, later(days=60), None)
