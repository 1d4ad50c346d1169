"""Instants and money come back as they went in, from both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from amends.kernel.instants import iso, to_utc, wall_clock
from amends.ledger.book import Book
from amends.ledger.columns import Exact, Instant
from amends.ledger.tables import Lease
from tests.builders import NOW

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=zones)


class SQLite:
    name = "sqlite"


@given(instants)
def test_an_instant_comes_back_and_sorts_by_time_as_text(instant):
    column = Instant()
    kept = column.process_bind_param(instant, SQLite())
    assert column.process_result_value(kept, SQLite()) == instant
    later = column.process_bind_param(instant + timedelta(microseconds=1), SQLite())
    assert kept < later and len(kept) == len(later) == 27


@pytest.mark.parametrize("value", [NOW, NOW.astimezone(timezone(timedelta(hours=9))) + timedelta(microseconds=1)])
def test_both_databases_keep_the_instant_and_give_it_in_utc(database_url, value):
    book = Book(database_url)
    with book.write() as session:
        session.add(Lease(role="x", owner="y", epoch=1, until=value))
    with book.read() as session:
        found = session.get(Lease, "x").until
    assert found == value and found.utcoffset() == timedelta(0)
    book.close()


def test_a_naive_instant_is_refused_at_every_door(database_url):
    naive = datetime(2026, 1, 1)
    for door in (to_utc, iso, lambda value: Instant().process_bind_param(value, SQLite())):
        with pytest.raises(ValueError, match="naive datetime"):
            door(naive)
    book = Book(database_url)
    with pytest.raises(Exception, match="naive datetime"), book.write() as session:
        session.add(Lease(role="x", owner="y", epoch=1, until=naive))
    with book.read() as session:
        assert session.connection().execute(text("SELECT count(*) FROM leases")).scalar() == 0
    book.close()


def test_instants_are_printed_in_utc_to_the_second():
    assert iso(datetime(2026, 11, 23, 10, 0, 0, 999999, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-23T09:00:00Z"
    assert wall_clock().tzinfo is UTC


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=0, max_value=10**12))
def test_money_is_kept_exactly(amount):
    column = Exact()
    assert column.process_result_value(column.process_bind_param(amount, SQLite()), SQLite()) == amount
    assert column.process_bind_param(None, SQLite()) is None
    assert isinstance(column.process_result_value("1.10", SQLite()), Decimal)
