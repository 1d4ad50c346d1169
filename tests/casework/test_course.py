"""The course of a case under its packs: facts, events, stages, and what they do to its deadlines."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.cases.outcomes import Outcome
from amends.casework import correspondence, handling
from amends.casework.correspondence import Finding, Words
from amends.kernel.errors import Refused
from amends.ledger.verify import verify
from amends.letters.kinds import LetterKind
from tests.builders import AMARA, AUDREY, NOW, SAM, a_mail, an_office, case_of, open_case, post_all

HOUSE = """id = "house"
name = "Ours"
jurisdiction = "*"
version = "1"
effective_from = 2020-01-01
verified = true

[[fact]]
id = "urgent"
question = "Is somebody without heating?"
default = "no"

[[fact]]
id = "product"
question = "What is it about?"
values = ["loan", "card"]
set_by = ["card_named"]

[[event]]
id = "card_named"
words = "It turns out to be about a card"

[[deadline]]
id = "response"
label = "FINAL"
action = "Answer"
amount = 20
unit = "working_days"
met_by = ["answer"]
basis = "1"
confidence = "product_default"

[[deadline]]
id = "visit"
label = "VISIT"
action = "Send somebody"
applies_if = "urgent"
when = { urgent = ["yes"] }
amount = 4
unit = "hours"
met_by = ["visited"]
basis = "2"
confidence = "product_default"

[[deadline]]
id = "refund"
label = "REFUND"
action = "Refund a loan"
applies_if = "a loan"
when = { product = ["loan"] }
starts = "card_named"
amount = 5
unit = "working_days"
basis = "3"
confidence = "product_default"

[[event]]
id = "visited"
words = "Somebody was there"

[[letter]]
id = "answer"
kind = "final-response"
basis = "1"
confidence = "product_default"
"""


@pytest.fixture
def house(tmp_path, database_url):
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "house.toml").write_text(HOUSE)
    office = an_office(tmp_path, url=database_url, policy={"pack": "house", "folder": "packs"})
    yield office
    office.book.close()


@pytest.fixture
def landlord(tmp_path, database_url):
    office = an_office(tmp_path, url=database_url, policy={"pack": "uk-housing-ombudsman-2024"})
    yield office
    office.book.close()


def states(office, case_id):
    return {(d.kind, d.occurrence): d.state for d in case_of(office, case_id).deadlines}


def due_dates(office, case_id):
    return {d.kind: d.due_date for d in case_of(office, case_id).deadlines if d.state == "open"}


def write(office, case_id, kind=LetterKind.REPLY, *, counts_as="", now=NOW):
    words = Words(message="We have understood that your heating is out.")
    letter = correspondence.draft(office, case_id, kind, words=words, counts_as=counts_as, actor=AMARA, now=now)
    correspondence.send(office, letter, actor=AMARA, now=now)
    post_all(office, now=now + timedelta(minutes=1))


def answer(office, case_id, *, by=AMARA, now):
    words = Words(outcome="upheld", reasons="It was our mistake.", remedy="", next_steps="")
    letter = correspondence.draft(office, case_id, LetterKind.FINAL_RESPONSE, words=words, actor=by, now=now)
    correspondence.respond(office, letter, Finding(Outcome.UPHELD), actor=by, now=now)
    post_all(office, now=now + timedelta(minutes=1))


# Facts


def test_a_fact_starts_its_deadline_from_receipt_and_its_contrary_ends_it(house):
    case_id = open_case(house, a_mail())
    assert states(house, case_id) == {("response", 1): "open"}
    later = NOW + timedelta(hours=2)
    handling.set_fact(house, case_id, "urgent", "yes", actor=AMARA, now=later)
    case = case_of(house, case_id)
    assert next((d.kind, d.due_at) for d in case.deadlines) == ("visit", NOW + timedelta(hours=4))
    assert (case.row.deadline, dict(case.facts)) == ("visit", {"urgent": "yes"})
    handling.set_fact(house, case_id, "urgent", "no", actor=AMARA, now=later)
    assert states(house, case_id)["visit", 1] == "cancelled"
    ended = [event for event in case_of(house, case_id).events if event.kind == "deadline-cancelled"]
    assert ended[0].data["because"] == "urgent is no" and ended[0].actor == "amara"
    handling.set_fact(house, case_id, "Urgent", "YES", actor=AMARA, now=later)
    assert states(house, case_id) == {("visit", 1): "open", ("response", 1): "open"}
    assert verify(house.book).problems == ()


def test_what_no_pack_asks_is_refused_with_what_may_be_said(house):
    case_id = open_case(house, a_mail())
    with pytest.raises(Refused, match="asks for that; it may be product, urgent"):
        handling.set_fact(house, case_id, "colour", "red", actor=AMARA, now=NOW)
    with pytest.raises(Refused, match="no answer to 'product'; it may be card, loan"):
        handling.set_fact(house, case_id, "product", "mortgage", actor=AMARA, now=NOW)
    with pytest.raises(Refused, match="auditor"):
        handling.set_fact(house, case_id, "urgent", "yes", actor=AUDREY, now=NOW)


def test_a_fact_that_was_changed_behind_our_back_is_found(house):
    from sqlalchemy import text

    case_id = open_case(house, a_mail())
    handling.set_fact(house, case_id, "urgent", "yes", actor=AMARA, now=NOW)
    with house.book.write() as session:
        session.connection().execute(text("""UPDATE cases SET facts = '{"urgent": "no"}'"""))
    assert any("what is known of it" in problem for problem in verify(house.book).problems)


# Events


def test_an_event_starts_what_waits_for_it_once_a_fact_says_so(house):
    case_id = open_case(house, a_mail())
    then, later = NOW + timedelta(hours=1), NOW + timedelta(days=1)
    handling.record_event(house, case_id, "card named", at=then, actor=AMARA, now=later)
    case = case_of(house, case_id)
    assert dict(case.facts) == {"product": "loan"}  # the event answers the question with its first value
    assert {d.kind for d in case.deadlines} == {"response", "refund"}
    assert due_dates(house, case_id)["refund"] == "2026-11-30"
    assert verify(house.book).problems == ()


def test_an_event_meets_what_it_meets_and_is_refused_before_receipt_and_in_the_future(house):
    case_id = open_case(house, a_mail())
    handling.set_fact(house, case_id, "urgent", "yes", actor=AMARA, now=NOW)
    handling.record_event(house, case_id, "visited", actor=AMARA, now=NOW + timedelta(hours=1))
    assert states(house, case_id)["visit", 1] == "met"
    for at, said in ((NOW - timedelta(days=1), "not been received then"), (NOW + timedelta(days=1), "yet to come")):
        with pytest.raises(Refused, match=said):
            handling.record_event(house, case_id, "visited", at=at, actor=AMARA, now=NOW)
    with pytest.raises(Refused, match="knows that; it may be answer, card_named, visited"):
        handling.record_event(house, case_id, "eclipse", actor=AMARA, now=NOW)
    assert verify(house.book).problems == ()


# Stages


def test_the_response_of_a_stage_runs_from_its_acknowledgement_by_a_person(landlord):
    case_id = open_case(landlord, a_mail())
    post_all(landlord)  # the automatic one is none that the code asks for
    assert due_dates(landlord, case_id) == {"s1_ack": "2026-11-30"}
    write(landlord, case_id, counts_as="s1_acknowledgement", now=NOW + timedelta(days=1))
    assert due_dates(landlord, case_id) == {"s1_response": "2026-12-08"}
    assert states(landlord, case_id)["s1_ack", 1] == "met"
    write(landlord, case_id, counts_as="s1_acknowledgement", now=NOW + timedelta(days=3))
    assert due_dates(landlord, case_id) == {"s1_response": "2026-12-08"}  # a second one gives no more time
    assert verify(landlord.book).problems == ()


def test_a_second_stage_has_its_own_clocks_and_the_answer_of_the_first_ends_none_of_them(landlord):
    case_id = open_case(landlord, a_mail())
    write(landlord, case_id, counts_as="s1_acknowledgement")
    day = NOW + timedelta(days=4)
    answer(landlord, case_id, now=day)
    assert states(landlord, case_id)["s1_response", 1] == "met"
    assert set(due_dates(landlord, case_id)) == {"actions_updates"}
    handling.reopen(landlord, case_id, "She disagrees", actor=AMARA, now=day + timedelta(days=1))
    assert set(due_dates(landlord, case_id)) == {"s2_ack"}
    handling.record_event(landlord, case_id, "s2_acknowledgement", actor=AMARA, now=day + timedelta(days=4))
    assert set(due_dates(landlord, case_id)) == {"s2_response"}
    answer(landlord, case_id, by=SAM, now=day + timedelta(days=9))
    found = states(landlord, case_id)
    assert (found["s2_response", 1], found["s1_response", 1]) == ("met", "met")
    assert ("s1_ack", 2) not in found and ("s1_response", 2) not in found
    assert verify(landlord.book).problems == ()


def test_a_letter_counts_only_as_one_that_a_pack_of_the_case_has(landlord):
    case_id = open_case(landlord, a_mail())
    with pytest.raises(Refused, match=r"has a letter 'thanks'; it may be .*s1_acknowledgement"):
        write(landlord, case_id, counts_as="thanks")


def test_an_answer_by_the_name_of_another_kind_of_letter_skips_no_outcome_and_no_reviewer(landlord):
    case_id = open_case(landlord, a_mail())
    with pytest.raises(Refused, match="'s1_response' is an answer and needs an outcome"):
        write(landlord, case_id, counts_as="s1_response")
    letter = correspondence.draft(landlord, case_id, LetterKind.REPLY, actor=AMARA, now=NOW)
    with pytest.raises(Refused, match="write it as a final response"):
        correspondence.count_as(landlord, letter, "s2_response", actor=AMARA, now=NOW)
