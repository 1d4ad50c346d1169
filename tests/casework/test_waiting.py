"""For whom a case waits: an answer of the complainant ends it by itself, however it comes; a machine's does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.cases.stages import Waiting
from amends.casework import handling, tray
from amends.ledger.verify import verify
from amends.mail.facts import Kind
from tests.builders import AMARA, NOW, a_mail, case_of, file_mail, open_case, post_all

COUSIN = "cousin@example.net"
LATER = NOW + timedelta(days=2)


@pytest.fixture
def case_id(on_sqlite):
    made = open_case(on_sqlite)
    post_all(on_sqlite)
    handling.wait(on_sqlite, made, Waiting.COMPLAINANT, "Her bank statement", actor=AMARA, now=NOW)
    return made


def our_letter(office, case_id):
    return case_of(office, case_id).letters[-1].message_id


def answer(office, case_id, **how):
    """An answer to our letter, as it was filed."""
    return file_mail(office, a_mail(in_reply_to=our_letter(office, case_id), text="Here it is.", **how), now=LATER)


def why_it_ended(office, case_id):
    """What the ledger says ended the waiting; None while the case waits."""
    case = case_of(office, case_id)
    assert verify(office.book).problems == ()
    ended = [event.data["because"] for event in case.events if event.kind == "resumed"]
    assert (case.row.waiting is None) == bool(ended)
    return ended[-1] if ended else None


def test_an_answer_that_joins_at_once_ends_it(on_sqlite, case_id):
    answer(on_sqlite, case_id)
    assert why_it_ended(on_sqlite, case_id) == "the complainant wrote"


def test_an_answer_that_was_held_ends_it_when_a_handler_joins_it(on_sqlite, case_id):
    filed = answer(on_sqlite, case_id, authentication={"dmarc": "fail"})
    assert filed.state == "held" and why_it_ended(on_sqlite, case_id) is None
    tray.join(on_sqlite, filed.arrival_id, case_of(on_sqlite, case_id).row.reference, actor=AMARA, now=LATER)
    assert why_it_ended(on_sqlite, case_id) == "the complainant wrote"


def test_a_third_party_ends_it_only_once_accepted_and_then_also_by_what_was_written_before(on_sqlite, case_id):
    answer(on_sqlite, case_id, sender=COUSIN)
    assert why_it_ended(on_sqlite, case_id) is None
    handling.accept(on_sqlite, case_id, COUSIN, actor=AMARA, now=LATER)
    assert why_it_ended(on_sqlite, case_id) == "somebody wrote who belongs to the case now"


def test_an_accepted_third_party_ends_it_by_writing(on_sqlite, case_id):
    handling.resume(on_sqlite, case_id, actor=AMARA, now=NOW)
    answer(on_sqlite, case_id, sender=COUSIN)
    later = LATER + timedelta(hours=1)
    handling.wait(on_sqlite, case_id, Waiting.COMPLAINANT, "The rest", actor=AMARA, now=later)
    handling.accept(on_sqlite, case_id, COUSIN, actor=AMARA, now=later)
    assert case_of(on_sqlite, case_id).row.waiting is not None  # what came before it waited is no answer
    mail = a_mail(sender=COUSIN, in_reply_to=our_letter(on_sqlite, case_id), text="The rest.")
    file_mail(on_sqlite, mail, now=later + timedelta(hours=1))
    assert case_of(on_sqlite, case_id).row.waiting is None


@pytest.mark.parametrize("kind", [Kind.AUTO_REPLY, Kind.BULK])
def test_a_machine_does_not_end_it(on_sqlite, case_id, kind):
    answer(on_sqlite, case_id, kind=kind)
    assert why_it_ended(on_sqlite, case_id) is None


def test_nor_does_the_question_how_it_stands(on_sqlite, case_id):
    mail = a_mail(in_reply_to=our_letter(on_sqlite, case_id), text="status")
    file_mail(on_sqlite, mail, now=LATER)
    assert why_it_ended(on_sqlite, case_id) is None
