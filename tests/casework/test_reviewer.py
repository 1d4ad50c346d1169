"""The second look: for somebody who did not handle the case before, unless a supervisor says why not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.cases.outcomes import Outcome
from amends.casework import clockwork, correspondence, handling
from amends.casework.actors import Actor
from amends.casework.correspondence import Finding, Words
from amends.kernel.errors import Refused
from amends.ledger.verify import verify
from amends.letters.kinds import LetterKind
from tests.builders import AMARA, HANDLERS, NOW, SAM, an_office, case_of, open_case, post_all
from tests.casework.test_course import HOUSE

BEN = Actor("ben", "Ben Cole", "handler")
PEOPLE = (*HANDLERS, {"login": "ben", "name": "Ben Cole", "role": "handler"})
ASKED = NOW + timedelta(days=7)
WORDS = Words(outcome="upheld", reasons="It was our mistake.", remedy="", next_steps="")


@pytest.fixture
def desk(tmp_path, database_url):
    office = an_office(tmp_path, url=database_url, handler=PEOPLE)
    yield office
    office.book.close()


def draft(office, case_id, *, by, now):
    return correspondence.draft(office, case_id, LetterKind.FINAL_RESPONSE, words=WORDS, actor=by, now=now)


def answer(office, case_id, *, by=AMARA, now=NOW):
    letter = draft(office, case_id, by=by, now=now)
    post_all(office, now=correspondence.respond(office, letter, Finding(Outcome.UPHELD), actor=by, now=now))


def write(office, case_id, *, by, now=NOW):
    words = Words(message="We are on it.")
    letter = correspondence.draft(office, case_id, LetterKind.REPLY, words=words, actor=by, now=now)
    post_all(office, now=correspondence.send(office, letter, actor=by, now=now))


def reviewed(office, *, had_by="amara", answered_by=AMARA):
    """A case that was answered, and that the complainant asks to be looked at again."""
    case_id = open_case(office)
    post_all(office)
    handling.assign(office, case_id, had_by, actor=SAM, now=NOW)
    answer(office, case_id, by=answered_by)
    handling.reopen(office, case_id, "They disagree.", actor=SAM, now=ASKED)
    return case_id


def sound(office):
    return verify(office.book).problems == ()


def test_who_handled_the_first_stage_loses_the_case_and_is_not_given_it_again(desk):
    case_id = reviewed(desk)
    assert case_of(desk, case_id).row.handler is None
    lost = [event.data for event in case_of(desk, case_id).events if event.kind == "assigned"][-1]
    assert (lost["before"], lost["after"]) == ("amara", None) and "not involved" in lost["because"]
    said = r"^amara gave the decision before, and 'Internal review' of NW-.* is for somebody who was not involved .*; "
    with pytest.raises(Refused, match=said + r"give it to sam, ben, or sam can allow it with a reason"):
        handling.assign(desk, case_id, "amara", actor=SAM, now=ASKED)
    handling.assign(desk, case_id, "ben", actor=SAM, now=ASKED)
    assert case_of(desk, case_id).row.handler == "ben"
    assert sound(desk)


def test_nor_may_they_draft_or_send_the_final_response_of_the_review(desk):
    case_id = reviewed(desk)
    with pytest.raises(Refused, match="amara gave the decision before"):
        draft(desk, case_id, by=AMARA, now=ASKED)
    letter = draft(desk, case_id, by=BEN, now=ASKED)
    with pytest.raises(Refused, match="amara gave the decision before"):
        correspondence.respond(desk, letter, Finding(Outcome.UPHELD), actor=AMARA, now=ASKED)
    answer_later = ASKED + timedelta(days=1)
    correspondence.respond(desk, letter, Finding(Outcome.UPHELD), actor=BEN, now=answer_later, anyway=True)
    assert case_of(desk, case_id).outcome == "upheld" and sound(desk)


def test_they_may_write_about_anything_else(desk):
    case_id = reviewed(desk)
    write(desk, case_id, by=AMARA, now=ASKED)
    assert sound(desk)


def test_involved_is_whoever_had_it_wrote_or_decided(desk):
    case_id = open_case(desk)
    post_all(desk)
    handling.assign(desk, case_id, "ben", actor=SAM, now=NOW)
    handling.assign(desk, case_id, "amara", actor=SAM, now=NOW)
    write(desk, case_id, by=SAM)
    answer(desk, case_id)
    handling.reopen(desk, case_id, "They disagree.", actor=SAM, now=ASKED)
    for login, how in (("ben", "had the case"), ("sam", "wrote to the complainant"), ("amara", "gave the decision")):
        with pytest.raises(Refused, match=f"^{login} {how} before, .*; sam can allow it"):
            handling.assign(desk, case_id, login, actor=SAM, now=ASKED)


def test_a_supervisor_allows_it_with_a_reason_that_stays_on_the_record(desk):
    case_id = reviewed(desk)
    for wrong, said in ((AMARA, "is a supervisor's word; ask sam"), (BEN, "is a supervisor's word")):
        with pytest.raises(Refused, match=said):
            handling.assign(desk, case_id, "amara", override="Nobody else.", actor=wrong, now=ASKED)
    with pytest.raises(Refused, match="The reason for the override is empty"):
        handling.assign(desk, case_id, "amara", override="  ", actor=SAM, now=ASKED)
    with pytest.raises(Refused, match=r"ben was not involved in .*; leave --override out"):
        handling.assign(desk, case_id, "ben", override="Why not.", actor=SAM, now=ASKED)
    handling.assign(desk, case_id, "amara", override="Nobody else knows boilers.", actor=SAM, now=ASKED)
    case = case_of(desk, case_id)
    assert case.row.handler == "amara"
    assert case.notes[-1].text == "amara may decide this although involved before: Nobody else knows boilers."
    (word,) = [event for event in case.events if event.kind == "involvement-allowed"]
    assert (word.actor, word.data["login"]) == ("sam", "amara") and "boilers" not in str(word.data)
    answer(desk, case_id, now=ASKED + timedelta(days=1))
    handling.reopen(desk, case_id, "They disagree still.", actor=SAM, now=ASKED + timedelta(days=9))
    with pytest.raises(Refused, match="amara gave the decision"):  # the word was for that review
        handling.assign(desk, case_id, "amara", actor=SAM, now=ASKED + timedelta(days=9))
    assert sound(desk)


def test_where_there_is_one_person_the_way_out_is_theirs(tmp_path):
    office = an_office(tmp_path, handler=[{"login": "amara", "name": "Amara Osei", "role": "handler"}])
    case_id = open_case(office)
    post_all(office)
    answer(office, case_id)
    handling.reopen(office, case_id, "They disagree.", actor=AMARA, now=ASKED)
    with pytest.raises(Refused, match=r"\(ISO 10002.*\); you can allow it with a reason: amends assign NW-"):
        handling.assign(office, case_id, "amara", actor=AMARA, now=ASKED)
    handling.assign(office, case_id, "amara", override="There is nobody else.", actor=AMARA, now=ASKED)
    answer(office, case_id, now=ASKED + timedelta(days=1))
    assert sound(office)


def test_a_missed_deadline_gives_the_review_to_nobody_who_was_involved(tmp_path):
    kim = {"login": "kim", "name": "Kim Hall", "role": "supervisor"}
    office = an_office(tmp_path, handler=(*PEOPLE, kim), escalation={"on_breach": "reassign"})
    case_id = reviewed(office, had_by="ben", answered_by=SAM)
    handling.assign(office, case_id, "amara", actor=SAM, now=ASKED)
    while clockwork.tick(office, now=ASKED + timedelta(days=60)):
        pass
    assert case_of(office, case_id).row.handler == "kim"
    assert sound(office)


def test_a_handler_who_had_no_part_in_it_keeps_the_case(desk):
    case_id = open_case(desk)
    post_all(desk)
    answer(desk, case_id, by=SAM)
    handling.reopen(desk, case_id, "They disagree.", actor=SAM, now=ASKED)
    handling.assign(desk, case_id, "ben", actor=SAM, now=ASKED)
    handling.assign(desk, case_id, "amara", actor=SAM, now=ASKED)
    assert case_of(desk, case_id).row.handler == "amara"


def test_a_pack_whose_stages_anyone_may_decide_asks_nobody(tmp_path):
    (tmp_path / "house.toml").write_text(HOUSE)
    office = an_office(tmp_path, policy={"pack": "house", "folder": "."})
    case_id = reviewed(office)
    assert case_of(office, case_id).row.handler == "amara"
    draft(office, case_id, by=AMARA, now=ASKED)
