"""What the screens and `--json` ask: the order of the queue, searching, the counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.casework import handling, post
from amends.casework.handling import Outcome
from amends.kernel.errors import NotFound, Refused
from amends.ledger import views
from amends.mail.facts import Kind
from tests.builders import AMARA, NOW, a_mail, case_of, file_mail, id_of, later, open_case, post_all


def ids(office, view=None, now=NOW):
    with office.book.read() as session:
        return list(views.queue_ids(session, view or views.View()))


def found(office, query):
    with office.book.read() as session:
        return views.search(session, query, prefix="NW")


def test_the_queue_has_what_is_due_first_and_what_was_undelivered_before_it(office):
    young = open_case(office, a_mail(sender="a@example.org"))
    old = open_case(office, a_mail(sender="b@example.org"), received_at=later(days=-20))
    lost = open_case(office, a_mail(sender="c@example.org"))
    history = open_case(office, a_mail(sender="d@example.org"), history=True)
    closed = open_case(office, a_mail(sender="e@example.org"))
    refused = [claimed.letter_id for claimed in post.claim(office, "x", now=NOW) if claimed.to == "c@example.org"]
    post.before_dot(office, "x", refused[0], now=NOW)
    post.record(office, "x", [post.Carried(refused[0], post.Rejected("550 no"))], now=NOW)
    handling.mark_read(office, closed, actor=AMARA, now=NOW)
    handling.close(office, closed, outcome=Outcome.WITHDRAWN, reason="x", actor=AMARA, now=NOW)
    assert ids(office) == [lost, old, young, history]
    assert ids(office, views.View(closed=True)) == [closed]
    assert ids(office, views.View(late_at=NOW)) == [old]
    assert ids(office, views.View(undelivered=True)) == [lost]
    assert ids(office, views.View(due_before=later(days=2))) == [lost, old, young]
    with office.book.read() as session:
        rows = views.queue(session, views.View(), now=NOW)
        assert [row.id for row in rows] == ids(office)
        assert [row.due_state for row in rows] == ["open", "breached", "open", None]
        assert [row.id for row in views.queue(session, views.View(), now=NOW, limit=2)] == [lost, old]
        by_id = views.queue_rows(session, [young, 999], now=NOW)
        assert list(by_id) == [young] and views.queue_rows(session, [], now=NOW) == {}


def test_a_view_is_of_one_handler_or_of_nobody_and_of_those_who_need_care(office):
    mine, other = open_case(office), open_case(office)
    handling.assign(office, mine, "amara", actor=AMARA, now=NOW)
    care = handling.Assessment(handling_severity(), vulnerable=True)
    handling.assess(office, other, care, actor=AMARA, now=NOW)
    handling.wait(office, other, handling.Waiting.COMPLAINANT, "x", actor=AMARA, now=NOW)
    assert ids(office, views.View(handler="amara")) == [mine]
    assert ids(office, views.View(handler="")) == [other]
    assert ids(office, views.View(handler="sam")) == []
    assert ids(office, views.View(vulnerable=True)) == ids(office, views.View(waiting=True)) == [other]
    assert ids(office, views.View(waiting=False)) == [mine]


def handling_severity():
    from amends.cases.outcomes import Severity

    return Severity.MEDIUM


def test_the_counts_are_those_of_the_list(office):
    open_case(office, received_at=later(days=-30))
    open_case(office)
    post_all(office)
    with office.book.read() as session:
        counted = views.counts(session, views.View(), now=NOW, today_end=later(hours=12), soon_end=later(days=20))
        assert counted == views.Counts(total=2, late=1, today=0, soon=1)
        nothing = views.counts(session, views.View(handler="x"), now=NOW, today_end=NOW, soon_end=NOW)
        assert nothing == views.Counts(0, 0, 0, 0)


def test_the_tally_counts_trays_and_letters(office):
    open_case(office)
    file_mail(office, a_mail(kind=Kind.BULK, sender="news@example.net"))
    with office.book.read() as session:
        tally = views.tally(session)
    assert (tally.held, tally.quarantined, tally.queued, tally.uncertain, tally.failed) == (0, 1, 1, 0, 0)
    assert tally.oldest_queued == NOW
    post_all(office, result=post.Rejected("550"))
    with office.book.read() as session:
        assert views.tally(session).failed == 1 and views.tally(session).oldest_queued is None


# Searching


@pytest.fixture
def three(office):
    """Three cases: heating (Edith), mould (José), and damp walls."""
    heating = open_case(office, a_mail(text="The heating does not work at all."))
    mould = open_case(office, a_mail(sender="jose@example.org", name="José Ñandú", subject="Mould", text="Black mould"))
    damp = open_case(
        office, a_mail(sender="50%_off@example.org", name="Max", subject="Walls", text="Damp walls, no heat")
    )
    return heating, mould, damp


def test_a_reference_however_it_is_written_finds_its_case(office, three):
    reference = case_of(office, three[1]).row.reference
    for query in (reference, reference.lower(), f"about {reference} please", "2", "#2", "000002"):
        assert found(office, query) == [three[1]], query


def test_names_and_addresses_are_found_by_any_part(office, three):
    assert found(office, "kowal") == [three[0]]
    assert found(office, "jose@") == [three[1]]
    assert found(office, "50%_off") == [three[2]]
    assert found(office, "%") == found(office, "_") == []


def test_words_phrases_and_what_must_not_stand_there(office, three):
    heating, mould, damp = three
    assert found(office, "mould") == [mould]
    assert found(office, "MOUL") == [mould]  # as far as it is typed
    assert found(office, '"does not work"') == [heating]
    assert found(office, '"work does not"') == []
    assert set(found(office, "heat")) == {heating, damp}
    assert found(office, "heat -walls") == [heating]
    assert found(office, "-walls") == []
    assert found(office, "heating mould") == []


HOSTILE = [
    *("", " ", "*", '"', '""', "'", "''", "-", "--", "- -", "(", ")", "()", ":", ":*", "a:*", "NEAR", "NEAR(", "AND"),
    *("NOT", "a AND", "a OR b", "NOT a", "{body}: x", "body:x", "^x", "a & b", "a | b", "!a", "a <-> b", "<->", "&"),
    *("\\", "\\'", "'; DROP TABLE cases; --", "$1", ":match", "%s", "%(x)s", "{0}", "a\tb\nc", "é" * 300, "長い"),
    *('"unclosed phrase', '-"x', "a" * 5000, " ".join(map(str, range(200))), "99999999999999999999", "#", "##1", "²"),
    *(
        "١٢",
        "x y" * 500,
        "_",
        "__ _a",
        "%%",
        "a-b-c",
        "o'brien",
        'say "it\'s"',
        "\u202e",
        "\u0660",
        "🙂",
        "OR",
        "|",
        "\0",
        "a\0b",
        "\udcff x",
    ),
]


def test_no_query_is_an_error_on_either_database(office, three):
    for query in HOSTILE:
        assert set(found(office, query)) <= set(three), query
    assert found(office, "mould") == [three[1]]


def test_a_query_is_read_no_further_than_anybody_types(office, three):
    case_id = found(office, "Kowalski")
    assert case_id and found(office, "Kowalski" + " " * views.MOST_ASKED + "nonsense") == case_id
    for filler in ("x", "x ", '"', '-"', "NW-2026-", "%", "\\"):
        assert found(office, filler * (60_000 // len(filler))) == []


def test_the_same_query_finds_the_same_on_both_databases(office, three):
    """What FTS5 and to_tsquery would each make of it by themselves is taken out of it first."""
    heating, mould, damp = three
    expected = {
        "o'brien": set(),
        "does-not": {heating},
        "black (mould)": {mould},
        "mould & black": {mould},
        "mould OR heating": set(),
        "damp*": {damp},
    }
    assert {query: set(found(office, query)) for query in expected} == expected


def test_a_case_is_named_by_reference_or_by_a_serial_of_its_own(office):
    first = open_case(office)
    reference = case_of(office, first).row.reference

    def named(text):
        with office.book.read() as session:
            return views.named_case(session, text, prefix="NW")

    assert named(f" {reference} ") == named("1") == named("#000001") == first
    for wrong in ("NW-2026-000001-11", "2", "", "x", "²", "1 2", "-1", "NW-2026-000009-68"):
        with pytest.raises(NotFound):
            named(wrong)
    file_mail(office, a_mail(), now=later(days=60))
    with pytest.raises(Refused, match=r"Several cases have the serial 1: NW-2027-000001-.*, NW-2026-000001"):
        named("1")


def test_what_is_not_there_is_not_found(office):
    with office.book.read() as session:
        for ask in (
            lambda: views.case(session, 9, now=NOW),
            lambda: views.message(session, 9),
            lambda: views.letter(session, 9),
            lambda: views.raw(session, 9),
        ):
            with pytest.raises(NotFound):
                ask()
        assert views.last_event(session) == 0 and views.recent_events(session, 0) == []
        assert views.clock_face(session, now=NOW) == (None, 0)


def test_the_outbox_shows_what_was_not_sent_and_lately_sent_on_demand(office):
    open_case(office)
    with office.book.read() as session:
        assert [letter.state for letter in views.outbox(session)] == ["queued"]
    post_all(office)
    with office.book.read() as session:
        assert views.outbox(session) == []
        assert [letter.state for letter in views.outbox(session, sent_since=NOW - timedelta(days=1))] == ["sent"]


def test_recent_events_follow_one_another(office):
    case_id = open_case(office)
    with office.book.read() as session:
        events = views.recent_events(session, 0)
        assert events[-1][0] == views.last_event(session)
        assert {case for _, case, _ in events} == {case_id}
        assert views.recent_events(session, events[2][0], limit=1) == [events[3]]


def test_an_id_of_a_reference(office):
    open_case(office)
    assert id_of(office, "NW-2026-000001-10") == 1
