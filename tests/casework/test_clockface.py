"""The clocks of a case in words: what they rest on, what meets them, what does not run yet, what a letter can be."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import text

from amends.cases.outcomes import Outcome
from amends.casework import clockface, contents, correspondence, handling, moretime
from amends.casework.casefile import CaseFile
from amends.kernel.errors import NotFound, Refused, Unreadable
from amends.letters.kinds import LetterKind
from tests.builders import AMARA, NOW, SAM, an_office, case_of, open_case, post_all

HOUSING = {"pack": "uk-housing-ombudsman-2024", "packs": ("uk-dp-complaints-2026",)}


@pytest.fixture
def housing(tmp_path):
    return an_office(tmp_path, wall=lambda: NOW, policy=HOUSING)


def face_of(office, case_id):
    with office.book.read() as session:
        return clockface.face(office, session, case_id, now=NOW)


def clock_of(office, case_id, kind):
    return next(one for one in face_of(office, case_id).clocks.values() if one.kind == kind)


def test_a_clock_says_what_it_rests_on_how_sure_that_is_and_what_meets_it(housing):
    case_id = open_case(housing)
    ack = clock_of(housing, case_id, "s1_ack")
    assert ack.action == "Acknowledge, define and log the complaint" and ack.stage == "Stage 1"
    assert ack.sure == "read in the rule itself" and not ack.own and ack.owed
    assert ack.meets == ("an acknowledgement that a person wrote",)
    assert ack.more_time == "" and ack.pause == ""
    assert ack.pack_name == "Housing Ombudsman Complaint Handling Code 2024"


def test_a_promise_of_ours_is_never_shown_as_a_rule(tmp_path):
    promise = {"deadline": "response", "amount": 10, "unit": "working_days"}
    office = an_office(tmp_path, wall=lambda: NOW, policy={"own_target": [promise]})
    case_id = open_case(office)
    ours, rules = clock_of(office, case_id, "response.own"), clock_of(office, case_id, "response")
    assert ours.own and ours.sure == "our own promise, no rule of law"
    assert not rules.own and rules.sure == "a default of this product, no rule of law"


def test_what_does_not_run_says_what_it_waits_for(housing):
    case_id = open_case(housing)
    waits = {one.label: one.why for one in face_of(housing, case_id).dormant}
    assert waits["S1"] == "waits for: S1 acknowledgement is sent"
    assert waits["S2ACK"] == "waits for: The complainant asks for stage 2; no reasons may be demanded"


def test_a_question_says_what_is_known_and_what_each_answer_starts(tmp_path):
    office = an_office(tmp_path, wall=lambda: NOW, policy={"pack": "uk-fca-disp"})
    case_id = open_case(office)
    asked = next(one for one in face_of(office, case_id).questions if one.name == "payment_service")
    answer = next(value for value in asked.values if asked.starts[value])
    before = {one.label for one in face_of(office, case_id).dormant}
    assert asked.known is None
    handling.set_fact(office, case_id, asked.name, answer, actor=AMARA, now=NOW)
    assert next(one for one in face_of(office, case_id).questions if one.name == asked.name).known == answer
    assert {one.label for one in face_of(office, case_id).dormant} != before


def test_something_that_may_happen_says_what_it_starts_and_meets_and_when_it_did(housing):
    case_id = open_case(housing)
    found = {one.name: one for one in face_of(housing, case_id).happenings}
    letter = found["s1_acknowledgement"]
    assert letter.letter and letter.meets == ("S1ACK",) and letter.before is None
    assert letter.starts == ("S1: Give the full response of stage 1",)
    handling.record_event(housing, case_id, "s1_acknowledgement", actor=AMARA, now=NOW + timedelta(hours=1))
    after = {one.name: one for one in face_of(housing, case_id).happenings}["s1_acknowledgement"]
    assert after.before == NOW + timedelta(hours=1) and after.meets == () and after.starts == ()


def test_more_time_says_until_when_and_whose_word_it_is(office):
    case_id = open_case(office)
    response = clock_of(office, case_id, "response")
    assert response.until is not None and "at the latest" in response.more_time
    post_all(office)
    leaves = moretime.extend(
        office, case_id, "response", response.until, "The surveyor is away.", actor=AMARA, now=NOW + timedelta(days=1)
    )
    post_all(office, now=leaves)
    moved = clock_of(office, case_id, "response")
    assert moved.barred


def test_the_notice_can_be_read_before_it_goes_and_nothing_is_written_by_that(office):
    case_id = open_case(office)
    post_all(office)
    before = case_of(office, case_id)
    later = NOW + timedelta(days=14)

    def preview(to=date(2027, 1, 8), reason="The surveyor is away.", actor=AMARA):
        return moretime.preview_extension(office, case_id, "response", to, reason, actor=actor, now=later)

    seen = preview()
    assert "The surveyor is away." in seen.body and "Friday, 8 January 2027" in seen.body
    assert seen.after > seen.before and seen.derivation[-2].startswith("moved from")
    assert case_of(office, case_id) == before
    with pytest.raises(Refused, match="needs a reason"):
        preview(reason=" ")
    with pytest.raises(Refused, match="not later than"):
        preview(to=date(2026, 12, 1))
    moretime.extend(office, case_id, "response", date(2027, 1, 8), "The surveyor is away.", actor=AMARA, now=later)
    (sent,) = [one for one in case_of(office, case_id).letters if one.kind == LetterKind.HOLDING]
    assert sent.body == seen.body


def test_a_choice_of_letters_is_offered_only_where_there_is_one(housing, office):
    case_id = open_case(housing)
    found = face_of(housing, case_id).candidates
    assert clockface.choices(found, "final-response") == []  # each pack has one of its stage
    assert [one.id for one in clockface.choices(found, "reply")] == ["s1_acknowledgement"]  # owed, and only by hand
    assert clockface.choices(face_of(office, open_case(office)).candidates, "reply") == []


def test_a_draft_can_be_named_as_another_letter_and_as_none(housing):
    case_id = open_case(housing)
    letter = correspondence.draft(housing, case_id, LetterKind.HOLDING, actor=AMARA, now=NOW)

    def facts():
        return next(one for one in case_of(housing, case_id).letters if one.id == letter).counts_as

    correspondence.count_as(housing, letter, "s1_extension_notice", actor=AMARA, now=NOW)
    assert facts() == "s1_extension_notice"
    with pytest.raises(Refused, match="has a letter 'nonsense'"):
        correspondence.count_as(housing, letter, "nonsense", actor=AMARA, now=NOW)
    correspondence.count_as(housing, letter, "", actor=AMARA, now=NOW)
    assert facts() == ""


def test_a_check_says_which_pack_wants_it(housing):
    case_id = open_case(housing)
    letter = correspondence.draft(
        housing, case_id, LetterKind.HOLDING, counts_as="s1_extension_notice", actor=AMARA, now=NOW
    )
    wanted = {one.wanted_by for one in correspondence.checks(housing, letter, now=NOW)}
    assert wanted == {"", "Housing Ombudsman Complaint Handling Code 2024"}


def test_a_final_response_is_counted_as_the_letter_that_is_named_with_it(housing):
    case_id = open_case(housing)
    words = correspondence.Words(outcome="upheld", reasons="We were late.", remedy="", next_steps="")
    letter = correspondence.draft(housing, case_id, LetterKind.FINAL_RESPONSE, words=words, actor=AMARA, now=NOW)
    finding = correspondence.Finding(Outcome.UPHELD)
    with pytest.raises(Refused, match="has a letter 'nonsense'"):
        correspondence.respond(housing, letter, finding, counts_as="nonsense", actor=AMARA, now=NOW)
    correspondence.respond(housing, letter, finding, counts_as="s1_response", actor=AMARA, now=NOW)
    (sent,) = [one for one in case_of(housing, case_id).letters if one.kind == LetterKind.FINAL_RESPONSE]
    assert sent.counts_as == "s1_response" and sent.state == "queued"


def test_letters_that_a_case_lacks_are_the_packs_own(housing):
    case_id = open_case(housing)
    with housing.book.read() as session:
        file = CaseFile.look(housing, session, case_id, actor=SAM, now=NOW)
        lacking = contents.letters_lacking(file)
        assert next(letter.id for _, letter in lacking) == "s1_response"
        assert len(contents.lacking(file)) == len(lacking)


def test_there_is_no_face_of_a_case_that_is_not_there(office):
    with pytest.raises(NotFound):
        face_of(office, 4711)


@pytest.mark.parametrize(
    "change",
    ["pauses = '[[1]]'", "pauses = '[{}]'", "met_by = '[[1]]'", "met_by = 'null'", "due_date = 'x'", "kind = x'ff'"],
)
def test_deadlines_that_somebody_garbled_are_one_sentence(tmp_path, sqlite_url, change):
    office = an_office(tmp_path, url=sqlite_url)
    case_id = open_case(office)
    with office.book.write() as session:
        session.connection().execute(text(f"UPDATE deadlines SET {change} WHERE kind = 'response'"))
    with office.book.read() as session, pytest.raises(Unreadable, match="amendsd verify"):
        clockface.face(office, session, case_id, now=NOW)
    office.book.close()
