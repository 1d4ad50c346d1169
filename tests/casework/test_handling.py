"""The verbs of the desk, what they record, and every refusal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from amends.cases.outcomes import Assessment, Outcome, Remedy, Severity
from amends.cases.stages import Waiting
from amends.casework import actors, correspondence, handling, undelivered
from amends.casework.correspondence import Finding, Words
from amends.kernel.errors import Conflict, NotFound, Refused
from amends.ledger.verify import verify
from amends.letters.kinds import LetterKind
from amends.mail.facts import Kind
from tests.builders import (
    AMARA,
    AUDREY,
    NOW,
    SAM,
    a_mail,
    an_office,
    case_of,
    file_mail,
    open_case,
    post_all,
    some_settings,
)

SOON = NOW + timedelta(minutes=1)
SEE = "See that it says its reasons (ISO 10002:2018, 7.8 and 7.9)"
HIGH = Assessment(Severity.HIGH, "simple", "three weeks in the cold", immediate_action=True, vulnerable=True)


@pytest.fixture
def case_id(office):
    """A case whose acknowledgement was sent."""
    made = open_case(office)
    post_all(office)
    return made


def kinds_of(office, case_id):
    return [event.kind for event in case_of(office, case_id).events]


def last_event(office, case_id):
    return case_of(office, case_id).events[-1]


def reply(office, case_id, *, actor=AMARA, now=NOW, text="We will ring you."):
    words = Words(message=text)
    return correspondence.draft(office, case_id, LetterKind.REPLY, words=words, actor=actor, now=now)


def answer(office, case_id, *, outcome=Outcome.UPHELD, remedy=None, root_cause=None, by=AMARA, now=NOW, anyway=False):
    words = Words(outcome=str(outcome), reasons="It was our mistake.", remedy="", next_steps="")
    letter = correspondence.draft(office, case_id, LetterKind.FINAL_RESPONSE, words=words, actor=by, now=now)
    finding = Finding(outcome, remedy, root_cause)
    correspondence.respond(office, letter, finding, actor=by, now=now, anyway=anyway)
    return letter


# Assess, assign, note, wait


def test_an_assessment_is_recorded_and_moves_the_case_on(office, case_id):
    handling.assess(office, case_id, HIGH, actor=AMARA, now=NOW)
    case = case_of(office, case_id)
    assert (case.row.severity, case.row.vulnerable, case.immediate_action) == ("high", True, True)
    assert (case.impact, case.row.stage) == ("three weeks in the cold", "assessed")
    assert kinds_of(office, case_id)[-2:] == ["assessed", "stage"]
    handling.assess(office, case_id, replace(HIGH, severity=Severity.LOW), actor=SAM, now=NOW)
    assert last_event(office, case_id).kind == "assessed" and last_event(office, case_id).actor == "sam"
    assert verify(office.book).problems == ()


def test_the_ledger_never_holds_what_a_person_wrote(office, case_id):
    handling.assess(office, case_id, replace(HIGH, impact="SECRET"), actor=AMARA, now=NOW)
    handling.note(office, case_id, "SECRET", actor=AMARA, now=NOW)
    handling.wait(office, case_id, Waiting.COMPLAINANT, "SECRET", actor=AMARA, now=NOW)
    correspondence.send(office, reply(office, case_id, text="SECRET"), actor=AMARA, now=NOW)
    post_all(office, now=SOON)
    answer(office, case_id, remedy=Remedy("SECRET"), root_cause="SECRET")
    post_all(office, now=SOON)
    handling.close(office, case_id, root_cause="SECRET", actor=AMARA, now=NOW)
    handling.reopen(office, case_id, "SECRET", actor=AMARA, now=NOW)
    said = str([(e.kind, e.data) for e in case_of(office, case_id).events])
    assert "SECRET" not in said and "edith" not in said.lower()
    assert verify(office.book).problems == ()


def test_a_case_is_assigned_once_and_taken_away_again(office, case_id):
    handling.assign(office, case_id, "sam", actor=AMARA, now=NOW)
    before = len(case_of(office, case_id).events)
    handling.assign(office, case_id, "sam", actor=AMARA, now=NOW)
    assert len(case_of(office, case_id).events) == before
    handling.assign(office, case_id, None, actor=SAM, now=NOW)
    assert last_event(office, case_id).data == {"before": "sam", "after": None}


@pytest.mark.parametrize("nobody", ["audrey", "mallory", ""])
def test_only_handlers_of_the_configuration_have_cases(office, case_id, nobody):
    with pytest.raises(Refused, match="choose one of amara, sam"):
        handling.assign(office, case_id, nobody, actor=AMARA, now=NOW)


def test_waiting_is_said_with_its_reason_and_ends_by_hand(office, case_id):
    handling.wait(office, case_id, Waiting.THIRD_PARTY, "the engineer", actor=AMARA, now=NOW)
    case = case_of(office, case_id)
    assert (case.row.waiting, case.waiting_reason) == ("for third party", "the engineer")
    due = case.row.due_at
    handling.resume(office, case_id, actor=AMARA, now=NOW)
    case = case_of(office, case_id)
    assert (case.row.waiting, case.waiting_reason, case.row.due_at) == (None, None, due)
    before = len(case.events)
    handling.resume(office, case_id, actor=AMARA, now=NOW)
    assert len(case_of(office, case_id).events) == before


@pytest.mark.parametrize("empty", ["", "  \n", "\x00\x1b"])
def test_empty_words_are_refused(office, case_id, empty):
    acts = (
        lambda: handling.note(office, case_id, empty, actor=AMARA, now=NOW),
        lambda: handling.wait(office, case_id, Waiting.COMPLAINANT, empty, actor=AMARA, now=NOW),
        lambda: handling.close(office, case_id, outcome=Outcome.WITHDRAWN, reason=empty, actor=AMARA, now=NOW),
    )
    before = case_of(office, case_id)
    for act in acts:
        with pytest.raises(Refused, match="is empty; write a few words"):
            act()
    assert case_of(office, case_id) == before


def test_an_auditor_changes_nothing(office, case_id):
    letter = reply(office, case_id)
    before = case_of(office, case_id)
    who = {"actor": AUDREY, "now": NOW}
    acts = (
        lambda: handling.assess(office, case_id, HIGH, **who),
        lambda: handling.investigate(office, case_id, **who),
        lambda: handling.assign(office, case_id, "amara", **who),
        lambda: handling.note(office, case_id, "x", **who),
        lambda: handling.wait(office, case_id, Waiting.COMPLAINANT, "x", **who),
        lambda: handling.resume(office, case_id, **who),
        lambda: handling.close(office, case_id, outcome=Outcome.WITHDRAWN, reason="x", **who),
        lambda: handling.reopen(office, case_id, "x", **who),
        lambda: handling.accept(office, case_id, "x@y.org", **who),
        lambda: correspondence.draft(office, case_id, LetterKind.REPLY, **who),
        lambda: correspondence.save(office, letter, "x", **who),
        lambda: correspondence.reread(office, letter, **who),
        lambda: correspondence.discard(office, letter, **who),
        lambda: correspondence.send(office, letter, **who),
        lambda: correspondence.respond(office, letter, Finding(Outcome.UPHELD), **who),
        lambda: correspondence.call_back(office, letter, **who),
        lambda: correspondence.acknowledge(office, case_id, **who),
        lambda: undelivered.resend(office, letter, **who),
        lambda: undelivered.send_to(office, letter, "x@y.org", **who),
        lambda: undelivered.settle(office, letter, True, **who),
        lambda: undelivered.correct_address(office, case_id, "x@y.org", **who),
    )
    for act in acts:
        with pytest.raises(Refused, match="audrey is an auditor"):
            act()
    handling.mark_read(office, case_id, **who)  # an auditor's look leaves no trace
    assert case_of(office, case_id) == before


def test_a_closed_case_takes_notes_but_no_work(office, case_id):
    handling.close(office, case_id, outcome=Outcome.OUT_OF_SCOPE, reason="not ours", actor=AMARA, now=NOW)
    for act in (
        lambda: handling.assess(office, case_id, HIGH, actor=AMARA, now=NOW),
        lambda: handling.wait(office, case_id, Waiting.COMPLAINANT, "x", actor=AMARA, now=NOW),
        lambda: handling.investigate(office, case_id, actor=AMARA, now=NOW),
    ):
        with pytest.raises(Refused, match="is closed; reopen it before"):
            act()
    handling.note(office, case_id, "she rang to say thank you", actor=AMARA, now=NOW)


def test_a_case_or_letter_that_is_not_there_is_not_found(office):
    with pytest.raises(NotFound, match="no such case"):
        handling.note(office, 99, "x", actor=AMARA, now=NOW)
    with pytest.raises(NotFound, match="no such letter"):
        correspondence.send(office, 99, actor=AMARA, now=NOW)
    with pytest.raises(NotFound, match="no such letter"):
        correspondence.checks(office, 99, now=NOW)


def test_a_refused_verb_leaves_nothing_behind(office, case_id):
    before = case_of(office, case_id)
    with pytest.raises(Refused, match="has had no final response"):
        handling.close(office, case_id, actor=AMARA, now=NOW)
    assert case_of(office, case_id) == before


# Answer, call back, close, reopen


def test_the_answer_gives_outcome_remedy_and_root_cause(office, case_id):
    letter = answer(office, case_id, remedy=Remedy("A boiler", Decimal("120.00"), "GBP"), root_cause="no parts")
    case = case_of(office, case_id)
    assert (case.row.stage, case.outcome, case.remedy, case.root_cause) == (
        "responded",
        "upheld",
        "A boiler",
        "no parts",
    )
    assert case.as_json()["remedy"] == {"description": "A boiler", "amount": "120.00 GBP"}
    assert {d.state for d in case.deadlines if d.kind != "ack"} == {"open"}  # nothing is met before it has left
    assert [claimed.letter_id for claimed in post_all(office, now=SOON)] == [letter]
    assert {d.state for d in case_of(office, case_id).deadlines} == {"met"}


def test_an_answer_that_is_called_back_takes_everything_back(office, case_id):
    handling.investigate(office, case_id, actor=AMARA, now=NOW)
    letter = answer(office, case_id, remedy=Remedy("A boiler"))
    first = case_of(office, case_id).letters[-1].message_id
    correspondence.call_back(office, letter, actor=AMARA, now=NOW)
    case = case_of(office, case_id)
    assert (case.row.stage, case.outcome, case.remedy, case.responded_at) == ("investigating", None, None, None)
    assert case.letters[-1].state == "draft" and case.letters[-1].message_id is None
    assert post_all(office, now=SOON) == []
    assert verify(office.book).problems == ()
    finding = Finding(Outcome.NOT_UPHELD)
    correspondence.save(office, letter, "Other words.", actor=AMARA, now=NOW)
    correspondence.respond(office, letter, finding, actor=AMARA, now=NOW)
    (sent,) = post_all(office, now=SOON)
    assert sent.message_id != first
    assert case_of(office, case_id).outcome == "not upheld"
    assert verify(office.book).problems == ()


def test_a_letter_that_left_or_never_went_cannot_be_called_back(office, case_id):
    letter = reply(office, case_id)
    with pytest.raises(Refused, match="Too late"):
        correspondence.call_back(office, letter, actor=AMARA, now=NOW)
    correspondence.send(office, letter, actor=AMARA, now=NOW)
    post_all(office, now=SOON)
    with pytest.raises(Refused, match="Too late"):
        correspondence.call_back(office, letter, actor=AMARA, now=SOON)
    automatic = case_of(office, case_id).letters[0].id
    with pytest.raises(Refused, match="Too late"):
        correspondence.call_back(office, automatic, actor=AMARA, now=SOON)


def test_a_handlers_letter_waits_so_that_it_can_be_undone(office, case_id):
    leaves = correspondence.send(office, reply(office, case_id), actor=AMARA, now=NOW)
    assert leaves == NOW + timedelta(seconds=30)
    assert post_all(office, now=leaves - timedelta(seconds=1)) == []
    assert len(post_all(office, now=leaves)) == 1


@pytest.mark.parametrize("outcome", [Outcome.WITHDRAWN, Outcome.OUT_OF_SCOPE])
def test_a_case_without_finding_is_closed_with_a_reason_that_is_kept(office, case_id, outcome):
    with pytest.raises(Refused, match="needs no final response"):
        correspondence.respond(office, reply(office, case_id), Finding(outcome), actor=AMARA, now=NOW)
    handling.close(office, case_id, outcome=outcome, reason="She rang.", actor=AMARA, now=NOW)
    case = case_of(office, case_id)
    assert (case.row.stage, case.outcome, case.row.is_open) == ("closed", str(outcome), False)
    assert case.notes[-1].text == f"Closed as {outcome}: She rang."
    assert case.row.due_at is None and "open" not in {d.state for d in case.deadlines}
    with pytest.raises(Refused, match="is closed already"):
        handling.close(office, case_id, outcome=outcome, reason="x", actor=AMARA, now=NOW)


def test_a_finding_cannot_be_given_without_a_letter(office, case_id):
    with pytest.raises(Refused, match="has had no final response"):
        handling.close(office, case_id, outcome=Outcome.UPHELD, reason="x", actor=AMARA, now=NOW)


def test_a_case_is_not_closed_or_reopened_over_a_letter_on_its_way(office, case_id):
    answer(office, case_id)
    with pytest.raises(Refused, match="has a letter on its way"):
        handling.close(office, case_id, actor=AMARA, now=NOW)
    with pytest.raises(Refused, match="call it back instead"):
        handling.reopen(office, case_id, "wrong", actor=AMARA, now=NOW)
    post_all(office, now=SOON)
    handling.close(office, case_id, actor=AMARA, now=SOON)
    assert case_of(office, case_id).outcome == "upheld"


def test_reopening_starts_a_review_with_deadlines_of_its_own(office, case_id):
    with pytest.raises(Refused, match="there is nothing to reopen"):
        handling.reopen(office, case_id, "x", actor=AMARA, now=NOW)
    answer(office, case_id, remedy=Remedy("A boiler"))
    post_all(office, now=SOON)
    handling.close(office, case_id, actor=AMARA, now=SOON)
    later = NOW + timedelta(days=7)
    handling.reopen(office, case_id, "she disagrees", actor=SAM, now=later)
    case = case_of(office, case_id)
    assert (case.row.stage, case.outcome, case.remedy, case.closed_at) == ("investigating", None, None, None)
    assert [(d.kind, d.occurrence, d.due_date) for d in case.deadlines if d.state == "open"] == [
        ("status", 2, "2026-12-14"),
        ("response", 2, "2026-12-30"),
    ]
    assert case.notes[-1].text == "Reopened: she disagrees"
    answer(office, case_id, outcome=Outcome.PARTLY_UPHELD, by=SAM, now=later + timedelta(days=2))
    post_all(office, now=later + timedelta(days=3))
    assert case_of(office, case_id).outcome == "partly upheld"
    assert verify(office.book).problems == ()


# Letters


def test_a_draft_is_begun_once_a_kind_and_handler(office, case_id):
    letter = correspondence.draft(office, case_id, LetterKind.REPLY, actor=AMARA, now=NOW)
    assert correspondence.draft(office, case_id, LetterKind.REPLY, actor=AMARA, now=NOW) == letter
    assert correspondence.draft(office, case_id, LetterKind.REPLY, actor=SAM, now=NOW) != letter
    assert correspondence.draft(office, case_id, LetterKind.HOLDING, actor=AMARA, now=NOW) != letter
    with pytest.raises(Refused, match=f"letter {letter}"):
        reply(office, case_id)
    with pytest.raises(Refused, match="does not write the letter 'acknowledgement'"):
        correspondence.draft(office, case_id, LetterKind.ACKNOWLEDGEMENT, actor=AMARA, now=NOW)


def test_what_stops_a_letter_is_said_first_and_each_in_words(office, case_id):
    letter = correspondence.draft(office, case_id, LetterKind.FINAL_RESPONSE, actor=AMARA, now=NOW)
    found = correspondence.checks(office, letter, now=NOW)
    assert [(check.ok, check.blocking) for check in found[:2]] == [(False, True)] * 2
    assert "Still to write" in found[0].text and "needs an outcome" in found[1].text
    assert [check.text for check in found[2:] if not check.ok] == [SEE]
    finding = Finding(Outcome.UPHELD)
    texts = [check.text for check in correspondence.checks(office, letter, now=NOW, finding=finding) if not check.ok]
    assert texts[1:] == ["No remedy for a complaint that is upheld", SEE]


def test_a_letter_with_gaps_or_without_words_does_not_leave(office, case_id):
    letter = correspondence.draft(office, case_id, LetterKind.REPLY, actor=AMARA, now=NOW)
    with pytest.raises(Refused, match="Still to write: your message"):
        correspondence.send(office, letter, actor=AMARA, now=NOW)
    correspondence.save(office, letter, " \n", actor=AMARA, now=NOW)
    with pytest.raises(Refused, match="The letter is empty"):
        correspondence.send(office, letter, actor=AMARA, now=NOW)
    correspondence.save(office, letter, "[[fill\nthis]]", actor=AMARA, now=NOW)
    with pytest.raises(Refused, match="Still to write: fill this"):
        correspondence.send(office, letter, actor=AMARA, now=NOW)


def test_a_letter_stops_when_the_case_changed_until_its_writer_has_read(office, case_id):
    letter = reply(office, case_id)
    file_mail(office, a_mail(in_reply_to=case_of(office, case_id).letters[0].message_id, text="New!"))
    with pytest.raises(Conflict, match="has changed since you began"):
        correspondence.send(office, letter, actor=AMARA, now=NOW)
    correspondence.reread(office, letter, actor=AMARA, now=NOW)
    correspondence.send(office, letter, actor=AMARA, now=NOW)
    other = correspondence.draft(office, case_id, LetterKind.HOLDING, words=Words(reasons="r"), actor=AMARA, now=NOW)
    handling.assign(office, case_id, "sam", actor=SAM, now=NOW)
    correspondence.send(office, other, actor=AMARA, now=NOW, anyway=True)


def test_only_one_answer_goes_out(office, case_id):
    answer(office, case_id)
    words = Words(outcome="upheld", reasons="x", remedy="", next_steps="")
    second = correspondence.draft(office, case_id, LetterKind.FINAL_RESPONSE, words=words, actor=SAM, now=NOW)
    with pytest.raises(Refused, match="cannot leave yet"):
        correspondence.respond(office, second, Finding(Outcome.UPHELD), actor=SAM, now=NOW, anyway=True)
    with pytest.raises(Refused, match="needs an outcome; resolve"):
        correspondence.send(office, second, actor=SAM, now=NOW)
    with pytest.raises(Refused, match="Only a final response"):
        correspondence.respond(office, reply(office, case_id), Finding(Outcome.UPHELD), actor=AMARA, now=NOW)


def test_what_has_left_or_was_thrown_away_is_not_written_on(office, case_id):
    letter = reply(office, case_id)
    correspondence.send(office, letter, actor=AMARA, now=NOW)
    for act in (
        lambda: correspondence.save(office, letter, "x", actor=AMARA, now=NOW),
        lambda: correspondence.discard(office, letter, actor=AMARA, now=NOW),
        lambda: correspondence.send(office, letter, actor=AMARA, now=NOW),
        lambda: correspondence.reread(office, letter, actor=AMARA, now=NOW),
    ):
        with pytest.raises(Refused, match="This letter is queued"):
            act()


def test_an_acknowledgement_is_sent_by_hand_only_where_none_went(office, case_id):
    with pytest.raises(Refused, match="has been acknowledged"):
        correspondence.acknowledge(office, case_id, actor=AMARA, now=NOW)
    quiet = open_case(office, a_mail(answerable=False, sender="quiet@example.org"))
    correspondence.acknowledge(office, quiet, actor=AMARA, now=NOW)
    with pytest.raises(Refused, match="is on its way already"):
        correspondence.acknowledge(office, quiet, actor=AMARA, now=NOW)
    post_all(office)
    case = case_of(office, quiet)
    assert case.row.stage == "acknowledged" and [x.kind for x in case.letters] == ["acknowledgement"]


def test_a_refused_acknowledgement_says_why(office):
    case_id = open_case(office, a_mail(sender="", answerable=False))
    with pytest.raises(Refused, match="No acknowledgement may go out: '' is not an e-mail address"):
        correspondence.acknowledge(office, case_id, actor=AMARA, now=NOW)


def test_the_address_is_corrected_and_letters_follow_it(office, case_id):
    undelivered.correct_address(office, case_id, " Edith.K@Example.ORG ", actor=AMARA, now=NOW)
    correspondence.send(office, reply(office, case_id), actor=AMARA, now=NOW)
    assert [claimed.to for claimed in post_all(office, now=SOON)] == ["edith.k@example.org"]
    with pytest.raises(Refused, match="write to already"):
        undelivered.correct_address(office, case_id, "edith.k@example.org", actor=AMARA, now=NOW)
    with pytest.raises(Refused, match="correct the complainant's address"):
        undelivered.correct_address(office, case_id, "nonsense", actor=AMARA, now=NOW)
    assert verify(office.book).problems == ()


def test_a_draft_goes_to_the_address_as_it_is_when_it_leaves(office, case_id):
    letter = reply(office, case_id)
    undelivered.correct_address(office, case_id, "new@example.org", actor=SAM, now=NOW)
    correspondence.send(office, letter, actor=AMARA, now=NOW, anyway=True)
    assert [claimed.to for claimed in post_all(office, now=SOON)] == ["new@example.org"]


def test_reading_marks_everything_that_came_in(office, case_id):
    handling.mark_read(office, case_id, actor=AMARA, now=NOW)
    case = case_of(office, case_id)
    assert case.row.unread == 0 and all(message.read for message in case.messages)


def test_reading_marks_nothing_that_came_since_the_case_was_shown(office, case_id):
    shown = [message.id for message in case_of(office, case_id).messages]
    first = case_of(office, case_id).messages[0].message_id
    file_mail(office, a_mail(in_reply_to=first, text="I disagree"))
    file_mail(office, a_mail(in_reply_to=first, kind=Kind.AUTO_REPLY))
    handling.mark_read(office, case_id, shown=shown, actor=AMARA, now=NOW)
    case = case_of(office, case_id)
    assert case.row.unread == 1
    assert [message.read for message in case.messages if message.direction == "in"] == [True, False, False]
    handling.mark_read(office, case_id, shown=[m.id for m in case.messages], actor=AMARA, now=NOW)
    assert case_of(office, case_id).row.unread == 0


def test_a_stranger_to_the_case_cannot_be_accepted(office, case_id):
    for address in ("nobody@example.org", "", "\udcff\0"):
        with pytest.raises(NotFound, match="has not written"):
            handling.accept(office, case_id, address, actor=AMARA, now=NOW)


# Who acts


def test_only_people_of_the_configuration_sit_at_the_desk(tmp_path):
    settings = some_settings(tmp_path)
    assert actors.identify(settings, "SAM") == actors.Actor("sam", "Sam Price", "supervisor")
    with pytest.raises(Refused, match="not among the handlers"):
        actors.identify(settings, "mallory")
    alone = some_settings(tmp_path, handler=())
    assert actors.identify(alone, "anybody").role == "supervisor"


def test_without_handlers_anybody_can_have_a_case(tmp_path, sqlite_url):
    office = an_office(tmp_path, url=sqlite_url, handler=())
    case_id = open_case(office)
    handling.assign(office, case_id, "whoever", actor=AMARA, now=NOW)
    assert case_of(office, case_id).row.handler == "whoever"
