"""The proof: an intact store passes, and whoever changes history behind the verbs is found."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from sqlalchemy import text

from amends.cases.outcomes import Assessment, Outcome, Remedy, Severity, money
from amends.cases.stages import Waiting
from amends.casework import correspondence, handling
from amends.casework.correspondence import Finding, Words
from amends.ledger.verify import verify
from amends.letters.kinds import LetterKind
from tests.builders import AMARA, NOW, a_mail, an_office, case_of, file_mail, open_case, post_all


def work(office):
    """One case that has everything on it, and one more before and after it."""
    open_case(office)
    case_id = open_case(office, a_mail(attachments=[("boiler.jpg", "image/jpeg", b"jpeg")]))
    open_case(office, a_mail(sender="bob@example.org"))
    post_all(office)
    letter = case_of(office, case_id).letters[0]
    third = a_mail(sender="spouse@example.net", in_reply_to=letter.message_id)
    assert file_mail(office, third).state == "filed"
    handling.accept(office, case_id, "spouse@example.net", actor=AMARA, now=NOW)
    handling.assign(office, case_id, "amara", actor=AMARA, now=NOW)
    handling.assess(office, case_id, Assessment(Severity.HIGH, vulnerable=True), actor=AMARA, now=NOW)
    handling.note(office, case_id, "Rang her.", actor=AMARA, now=NOW)
    handling.wait(office, case_id, Waiting.THIRD_PARTY, "the engineer", actor=AMARA, now=NOW)
    words = Words(outcome="upheld", reasons="Our mistake.", remedy="A boiler", next_steps="")
    letter_id = correspondence.draft(office, case_id, LetterKind.FINAL_RESPONSE, words=words, actor=AMARA, now=NOW)
    finding = Finding(Outcome.UPHELD, Remedy("A boiler", *money("120", "GBP")), "no spare parts")
    correspondence.respond(office, letter_id, finding, actor=AMARA, now=NOW)
    post_all(office, now=NOW + timedelta(minutes=1))


@pytest.fixture(scope="module")
def _worked_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worked")
    office = an_office(folder)
    work(office)
    office.book.close()
    return folder / "amends.db"


@pytest.fixture(scope="module")
def _worked_database(tmp_path_factory, postgres):
    url = postgres.database()
    office = an_office(tmp_path_factory.mktemp("worked"), url=url)
    work(office)
    office.book.close()
    yield url
    postgres.drop(url)


@pytest.fixture
def on_file(tmp_path, _worked_file):
    """The worked store on SQLite."""
    shutil.copy(_worked_file, tmp_path / "amends.db")
    office = an_office(tmp_path)
    yield office
    office.book.close()


@pytest.fixture
def on_server(request, tmp_path):
    """The worked store on PostgreSQL."""
    postgres = request.getfixturevalue("postgres")
    url = postgres.copy_of(request.getfixturevalue("_worked_database"))
    office = an_office(tmp_path, url=url)
    yield office
    office.book.close()
    postgres.drop(url)


@pytest.fixture(params=["on_file", pytest.param("on_server", marks=pytest.mark.server("postgres"))])
def worked(request):
    """The worked store, on each of the two databases."""
    return request.getfixturevalue(request.param)


def tamper(office, *statements):
    """What an operator with a database client can do: the triggers go first."""
    with office.book.write() as session:
        connection = session.connection()
        if office.book.sqlite:
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS events_no_update")
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS events_no_delete")
        else:
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS events_no_change ON events")
        changed = sum(connection.execute(text(statement)).rowcount for statement in statements)
    assert changed > 0, "the tampering itself changed nothing"


TAMPERINGS = [
    # the events
    ("UPDATE events SET actor = 'mallory' WHERE case_id = 2 AND seq = 2", "event 2 (participant) was altered"),
    ("UPDATE events SET kind = 'x' WHERE case_id = 2 AND seq = 1", "event 1 (x) was altered"),
    ("UPDATE events SET hash = 'f00' WHERE case_id = 2 AND seq = 3", "event 3 (message) was altered"),
    ("DELETE FROM events WHERE case_id = 2 AND seq = 2", "event 2 is missing"),
    ("DELETE FROM events WHERE case_id = 2 AND seq = (SELECT max(seq) FROM events WHERE case_id = 2)", "ledger ends"),
    ("DELETE FROM events WHERE case_id = 2", "the ledger ends at event 0"),
    # the case
    ("UPDATE cases SET chain_length = 1 WHERE id = 2", "the ledger ends at event"),
    ("UPDATE cases SET chain_head = 'f00' WHERE id = 2", "the ledger ends at event"),
    ("UPDATE cases SET stage = 'received' WHERE id = 2", "the ledger says stage responded, the case says received"),
    ("UPDATE cases SET handler = 'sam' WHERE id = 2", "the ledger says handler amara"),
    ("UPDATE cases SET outcome = 'not upheld' WHERE id = 2", "the ledger says outcome upheld"),
    ("UPDATE cases SET severity = 'low' WHERE id = 2", "the ledger says severity high"),
    ("UPDATE cases SET waiting = NULL WHERE id = 2", "the ledger says waiting for third party"),
    ("UPDATE cases SET waiting_reason = 'x' WHERE id = 2", "the reason for waiting"),
    ("UPDATE cases SET vulnerable = (1 = 0) WHERE id = 2", "the ledger says vulnerable True"),
    ("UPDATE cases SET is_open = (1 = 0) WHERE id = 2", "the case says that it is not open"),
    ("UPDATE cases SET remedy_amount = '1.00' WHERE id = 2", "the remedy or the root cause"),
    ("UPDATE cases SET remedy = 'nothing' WHERE id = 2", "the remedy or the root cause"),
    ("UPDATE cases SET root_cause = NULL WHERE id = 2", "the remedy or the root cause"),
    ("UPDATE cases SET subject = 'Praise' WHERE id = 2", "name or the subject"),
    ("UPDATE cases SET complainant_name = 'Eve' WHERE id = 2", "name or the subject"),
    ("UPDATE cases SET complainant_address = 'eve@example.org' WHERE id = 2", "the complainant's address"),
    ("UPDATE cases SET received_at = '2026-12-24T09:00:00.000000Z' WHERE id = 2", "it was received"),
    # people
    ("UPDATE participants SET accepted = (1 = 0) WHERE case_id = 2 AND address LIKE 'spouse%'", "the people"),
    ("UPDATE participants SET address = 'eve@example.org' WHERE case_id = 2 AND role = 'third party'", "the people"),
    ("DELETE FROM participants WHERE case_id = 2", "the people who belong"),
    # what was written
    ("UPDATE messages SET text = 'All is well' WHERE case_id = 2 AND direction = 'in'", "is not what the ledger"),
    ("UPDATE messages SET new_text = '' WHERE case_id = 2 AND direction = 'in'", "is not what the ledger sealed"),
    ("UPDATE messages SET subject = '' WHERE case_id = 2 AND direction = 'in'", "is not what the ledger sealed"),
    ("UPDATE messages SET from_address = 'e@x' WHERE case_id = 2 AND direction = 'in'", "is not what the ledger"),
    ("UPDATE messages SET case_id = 1 WHERE case_id = 2 AND direction = 'in'", "is in the ledger but not in the st"),
    ("UPDATE messages SET text = 'We pay' WHERE case_id = 2 AND direction = 'out'", "is not the letter that the"),
    ("DELETE FROM messages WHERE case_id = 2 AND direction = 'out'", "does not stand in the conversation"),
    ("UPDATE attachments SET name = 'b.jpg'", "message 2 is not what the ledger sealed"),
    ("DELETE FROM attachments", "message 2 is not what the ledger sealed"),
    ("UPDATE raws SET zstd = (SELECT zstd FROM raws WHERE id = 1) WHERE id = 2", "message 2 is not what"),
    ("UPDATE notes SET text = 'Never rang' WHERE case_id = 2", "note 1 is not what the ledger sealed"),
    ("DELETE FROM notes WHERE case_id = 2", "note 1 is not what the ledger sealed"),
    ("UPDATE letters SET body = 'No' WHERE case_id = 2 AND kind = 'final-response'", "is not what the ledger sealed"),
    ("UPDATE letters SET to_address = 'e@x.org' WHERE case_id = 2", "is not what the ledger sealed"),
    ("UPDATE letters SET message_id = NULL, body = 'x' WHERE case_id = 2", "is not what the ledger sealed"),
    ("UPDATE letters SET raw = (SELECT raw FROM letters WHERE id = 1) WHERE case_id = 2", "the bytes of letter"),
    ("UPDATE letters SET sent_at = NULL WHERE case_id = 2", "on whether letter 2 was sent"),
    ("UPDATE letters SET case_id = 1 WHERE case_id = 2", "is in the ledger but not in the store"),
    ("UPDATE letters SET state = 'cancelled' WHERE case_id = 2", "is cancelled, but the ledger says sent"),
    ("UPDATE letters SET state = 'queued' WHERE case_id = 2", "is queued, but the ledger says sent"),
    ("UPDATE letters SET kind = 'holding' WHERE case_id = 2", "the kind of letter"),
    ("UPDATE letters SET automatic = (1 = 0) WHERE case_id = 2", "the kind of letter"),
    ("UPDATE letters SET message_id = 'a' WHERE id = 2", "letter 2 does not bear the Message-ID"),
    (
        "UPDATE messages SET kind = 'bulk' WHERE case_id = 2 AND direction = 'in'",
        "is called bulk, the ledger says pers",
    ),
    # deadlines
    ("UPDATE deadlines SET due_at = starts_at WHERE case_id = 2 AND kind = 'response'", "deadline response 1 was due"),
    ("DELETE FROM deadlines WHERE case_id = 2 AND kind = 'response'", "deadline response 1 was removed"),
    ("UPDATE deadlines SET due_date = '2099-01-01' WHERE case_id = 1", "says that it is due on 2099-01-01"),
    ("UPDATE deadlines SET kind = 'x' WHERE case_id = 2 AND kind = 'status'", "deadline x 1 is not in the ledger"),
    ("UPDATE deadlines SET breached_at = due_at WHERE case_id = 2 AND kind = 'status'", "the breach of deadline st"),
    ("UPDATE deadlines SET met_at = NULL WHERE case_id = 2 AND kind = 'response'", "whether deadline response 1 was"),
    ("UPDATE deadlines SET state = 'met' WHERE case_id = 1 AND kind = 'response'", "response 1 stands as settled"),
    ("UPDATE deadlines SET settled_at = due_at WHERE case_id = 1 AND kind = 'status'", "status 1 stands as settled"),
    # whole cases
    ("UPDATE counters SET value = 2", "a case or the counter was removed"),
    ("DELETE FROM counters", "a case or the counter was removed"),
]


def test_an_intact_store_passes(worked):
    verdict = verify(worked.book)
    assert verdict.problems == ()
    assert verdict.intact and verdict.cases == 3
    assert verdict.events == sum(len(case_of(worked, n).events) for n in (1, 2, 3))


def test_the_root_is_stable_and_changes_with_every_event(worked):
    before = verify(worked.book).root
    assert verify(worked.book).root == before
    handling.note(worked, 3, "x", actor=AMARA, now=NOW)
    assert verify(worked.book).root != before


def test_the_ledger_refuses_changes_and_removals(worked):
    for statement in ("UPDATE events SET actor = 'x'", "DELETE FROM events"):
        with pytest.raises(Exception, match="the ledger only grows"), worked.book.write() as session:
            session.connection().execute(text(statement))
    assert verify(worked.book).intact


@pytest.mark.parametrize(("statement", "found"), TAMPERINGS)
def test_every_tampering_is_found(on_file, statement, found):
    expect(on_file, statement, found)


@pytest.mark.server("postgres")
@pytest.mark.parametrize(("statement", "found"), TAMPERINGS[::7])
def test_tampering_is_found_on_postgresql_too(on_server, statement, found):
    expect(on_server, statement, found)


def test_a_letter_that_never_left_cannot_be_called_sent(on_file):
    open_case(on_file)
    expect(on_file, "UPDATE letters SET state = 'sent' WHERE state = 'queued'", "do not agree on whether letter")


def expect(office, statement, found):
    tamper(office, statement)
    verdict = verify(office.book)
    assert not verdict.intact
    assert any(found in problem for problem in verdict.problems), verdict.problems


def test_a_case_that_was_removed_whole_is_missed(worked):
    tables = ("events", "letters", "notes", "deadlines", "participants", "thread_ids")
    removals = [f"DELETE FROM {name} WHERE case_id = 2" for name in tables]
    tamper(
        worked,
        "DELETE FROM attachments",
        *removals,
        "DELETE FROM messages WHERE case_id = 2",
        "DELETE FROM cases WHERE id = 2",
    )
    assert verify(worked.book).problems == (
        "NW-2026: 3 numbers were given, but 2 cases are there (highest 3): a case or the counter was removed",
    )


def test_a_chain_that_was_computed_anew_agrees_with_itself_but_not_with_the_root(worked):
    """Somebody rewrites one case with all its seals: only the root that was written down tells."""
    from sqlalchemy import select
    from sqlmodel import col

    from amends.ledger.chain import Chain
    from amends.ledger.tables import Case, Event

    root = verify(worked.book).root
    tamper(worked, "UPDATE events SET actor = 'mallory' WHERE case_id = 1 AND seq = 2")
    with worked.book.write() as session:
        row = session.get(Case, 1)
        chain = Chain(row.reference)
        for event in session.scalars(select(Event).where(col(Event.case_id) == 1).order_by(col(Event.seq))):
            event.hash = chain.entry(event.at, event.actor, event.kind, event.data)["hash"]
            session.add(event)
        row.chain_head = chain.head
        session.add(row)
    verdict = verify(worked.book)
    assert verdict.intact and verdict.root != root


def test_many_problems_are_cut_short(worked):
    tamper(worked, "UPDATE messages SET text = 'x'", "UPDATE letters SET body = 'x'")
    assert len(verify(worked.book, most_problems=2).problems) == 2


def test_more_cases_than_a_batch_are_all_looked_at(worked, monkeypatch):
    monkeypatch.setattr("amends.ledger.verify.BATCH", 2)
    tamper(worked, "UPDATE cases SET handler = 'x' WHERE id = 3")
    assert [problem[:17] for problem in verify(worked.book).problems] == [case_of(worked, 3).row.reference]


def test_verification_of_a_busy_store_raises_no_false_alarm(worked):
    """Every batch is one consistent look, however much is written meanwhile."""
    import threading

    stop = threading.Event()

    def write():
        n = 0
        while not stop.is_set():
            handling.note(worked, 1 + n % 3, "busy", actor=AMARA, now=NOW)
            n += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        verdicts = [verify(worked.book) for _ in range(8)]
    finally:
        stop.set()
        writer.join()
    assert [verdict.problems for verdict in verdicts] == [()] * 8
