"""The store's own ledger: sealed, only added to, and proved with the rest."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from amends.ledger import storewide
from amends.ledger.book import Book
from amends.ledger.verify import verify
from tests.builders import NOW


@pytest.fixture
def book(database_url):
    opened = Book(database_url)
    yield opened
    opened.close()


def enter(book, **data):
    with book.write() as session:
        return storewide.enter(session, at=NOW, actor="sam", kind="policy-changed", data=data)


def test_entries_are_numbered_sealed_and_kept_in_order(book):
    assert verify(book).events == 0
    assert [enter(book, n=n) for n in range(3)] == [1, 2, 3]
    with book.read() as session:
        assert [one.data["n"] for one in storewide.entries(session)] == [0, 1, 2]
        assert storewide.entries(session, "other") == []
    verdict = verify(book)
    assert verdict.intact and verdict.events == 3
    enter(book, n=3)
    assert verify(book).root != verdict.root


def test_no_entry_is_changed_or_removed(book):
    enter(book, n=1)
    for change in ("UPDATE store_events SET actor = 'mallory'", "DELETE FROM store_events"):
        with pytest.raises(DBAPIError, match="only grows"), book.write() as session:
            session.connection().execute(text(change))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE store_events SET actor = 'mallory' WHERE seq = 1", "event 1 .* was altered"),
        ("DELETE FROM store_events WHERE seq = 2", "ends at event 1, and it should at 2"),
        ("DELETE FROM store_events WHERE seq = 1", "event 1 is missing"),
    ],
)
def test_whoever_goes_round_that_is_found_out(tmp_path, sqlite_url, change, said):
    book = Book(sqlite_url)
    enter(book, n=1)
    enter(book, n=2)
    with book.write() as session:
        for trigger in ("store_events_no_update", "store_events_no_delete"):
            session.connection().execute(text(f"DROP TRIGGER {trigger}"))
        session.connection().execute(text(change))
    (problem,) = verify(book).problems
    assert re.search(said, problem)
    book.close()
