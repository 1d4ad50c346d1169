"""Somebody wrote into the file what no column of ours holds: it is told by row and case, and the rest is still read."""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import text

from amends.kernel.errors import Unreadable
from amends.ledger import views
from amends.ledger.verify import verify
from tests.builders import NOW, an_office, case_of
from tests.ledger.test_verify import tamper, work

DOCTORED = [
    ("UPDATE cases SET next_due_at = 'garbage' WHERE id = 2", "row 2 of cases", "next_due_at"),
    ("UPDATE cases SET received_at = 17 WHERE id = 2", "row 2 of cases", "received_at"),
    ("UPDATE cases SET received_at = '2026-11-23' WHERE id = 2", "row 2 of cases", "received_at"),
    ("UPDATE cases SET remedy_amount = 'x' WHERE id = 2", "row 2 of cases", "remedy_amount"),
    ("UPDATE cases SET messages_in = 'many' WHERE id = 2", "row 2 of cases", "messages_in"),
    ("UPDATE cases SET subject = x'ff00' WHERE id = 2", "row 2 of cases", "subject"),
    ("UPDATE cases SET subject = CAST(x'ff' AS TEXT) WHERE id = 2", "row 2 of cases", "subject"),
    ("UPDATE events SET data = '{' WHERE id = (SELECT max(id) FROM events WHERE case_id = 2)", "of events", "data"),
    ("UPDATE events SET at = 'x' WHERE case_id = 2 AND seq = 1", "of events", "at"),
    ("UPDATE messages SET \"to\" = '' WHERE id = 2", "row 2 of messages", "to"),
    ("UPDATE messages SET read_at = 'x' WHERE id = 2", "row 2 of messages", "read_at"),
    ("UPDATE attachments SET name = x'00'", "row 1 of attachments", "name"),
    ("UPDATE raws SET zstd = 'text' WHERE id = 2", "row 2 of raws", "zstd"),
    ("UPDATE notes SET at = 'x'", "row 1 of notes", "at"),
    ("UPDATE letters SET facts = 'x' WHERE id = 2", "row 2 of letters", "facts"),
    ("UPDATE deadlines SET due_at = 'x' WHERE case_id = 2 AND kind = 'response'", "of deadlines", "due_at"),
    ("UPDATE participants SET name = x'00' WHERE case_id = 2 AND role = 'third party'", "of participants", "name"),
]


@pytest.fixture(scope="module")
def _file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worked")
    office = an_office(folder)
    work(office)
    office.book.close()
    return folder / "amends.db"


@pytest.fixture
def office(tmp_path, _file):
    shutil.copy(_file, tmp_path / "amends.db")
    office = an_office(tmp_path)
    yield office
    office.book.close()


@pytest.mark.parametrize(("statement", "row", "column"), DOCTORED)
def test_verification_names_the_row_the_table_and_the_case_and_goes_on(office, statement, row, column):
    reference = case_of(office, 2).row.reference
    other = case_of(office, 3).row.reference
    tamper(office, statement, "UPDATE cases SET handler = 'x' WHERE id = 3")
    verdict = verify(office.book)
    assert verdict.cases == 3
    blamed = [problem for problem in verdict.problems if "cannot be read" in problem]
    assert len(blamed) == 1, verdict.problems
    assert row in blamed[0] and f"in case {reference}" in blamed[0] and f"({column})" in blamed[0]
    assert [problem for problem in verdict.problems if problem.startswith(other)]


def test_a_case_without_a_legible_name_is_named_by_its_number(office):
    tamper(office, "UPDATE cases SET reference = x'ff' WHERE id = 2")
    assert "row 2 of cases in case number 2 cannot be read (reference)" in verify(office.book).problems


def test_numbers_that_are_none_are_told(office):
    tamper(office, "UPDATE counters SET year = 'x'")
    assert not verify(office.book).intact


def test_events_with_a_whole_new_chain_and_without_what_they_must_say_are_told(office):
    """Whoever computes the chain anew can write anything into it."""
    from sqlalchemy import select
    from sqlmodel import col

    from amends.ledger.chain import Chain
    from amends.ledger.tables import Case, Event

    tamper(office, "UPDATE events SET data = '{}' WHERE case_id = 2 AND seq = 1")
    with office.book.write() as session:
        row = session.get(Case, 2)
        chain = Chain(row.reference)
        for event in session.scalars(select(Event).where(col(Event.case_id) == 2).order_by(col(Event.seq))):
            event.hash = chain.entry(event.at, event.actor, event.kind, event.data)["hash"]
        row.chain_head = chain.head
    assert verify(office.book).problems == (f"{row.reference}: its events cannot be replayed",)


@pytest.mark.parametrize("statement", [statement for statement, row, _ in DOCTORED if row != "row 2 of raws"])
def test_the_case_is_refused_in_one_sentence(office, statement):
    tamper(office, statement)
    with pytest.raises(Unreadable, match=r"^An? \w+ in the database.* cannot be read; run: amendsd verify$"):
        case_of(office, 2)
    assert case_of(office, 3).row.id == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cases SET next_due_at = 'garbage' WHERE id = 2",
        "UPDATE cases SET unread = 'x' WHERE id = 2",
        "UPDATE cases SET subject = CAST(x'ff' AS TEXT) WHERE id = 2",
    ],
)
def test_the_other_cases_still_list(office, statement):
    tamper(office, statement)
    with office.book.read() as session:
        rows, missing = views.legible_queue(session, views.View(), now=NOW)
        assert {row.id for row in rows} == {1, 3}
        assert missing == 1
        assert set(views.queue_rows(session, [1, 2, 3], now=NOW)) == {1, 3}


def test_a_fault_of_the_statement_is_not_taken_for_an_illegible_row(office):
    with office.book.write() as session:
        session.connection().execute(text("ALTER TABLE cases RENAME COLUMN unread TO seen"))
    with pytest.raises(Exception, match="no such column"), office.book.read() as session:
        views.queue_rows(session, [1, 2, 3], now=NOW)
