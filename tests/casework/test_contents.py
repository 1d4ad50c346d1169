"""What the packs ask of a letter's words, and that no case is closed while a letter is missing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from amends.casework import correspondence, handling
from amends.casework.contents import says
from amends.deadlines.model import Item, Ombudsman, Pack, Rule, Window
from amends.kernel.errors import Refused
from amends.letters.kinds import LetterKind
from tests.builders import AMARA, NOW, a_mail, an_office, case_of, open_case, post_all
from tests.casework.test_course import answer

WAY_OUT = Ombudsman(
    name="The Housing Ombudsman Service",
    url="https://www.housing-ombudsman.org.uk/residents",
    window=Window(amount=12, unit="months", counted_from="our last answer"),
    confidence="verified",
)
RULE = Rule(id="x", label="X", action="x", unit="none", basis="1", confidence="product_default")
PACK = Pack(
    id="p",
    name="P",
    jurisdiction="*",
    version="1",
    effective_from="2020-01-01",
    verified=True,
    deadline=(RULE,),
    ombudsman=(WAY_OUT,),
)


@pytest.mark.parametrize(
    ("check", "words", "found"),
    [
        ("ombudsman", "Write to the housing\n  ombudsman service.", True),
        ("ombudsman", "Write to the ombudsman.", False),
        ("ombudsman_url", "See housing-ombudsman.org.uk.", True),
        ("ombudsman_url", "See ombudsman.example.", False),
        ("referral_period", "You have twelve months for it.", True),
        ("referral_period", "within 12 calendar months", True),
        ("referral_period", "You have 120 months, or 12 weeks.", False),
        ("expected_date", "by Friday, 8 January 2027", True),
        ("expected_date", "by January 8th, 2027 or 2027-01-08", True),
        ("expected_date", "as soon as we can", False),
        ("reference", "Your reference: nw-2026-000042-17", True),
        ("reference", "Your reference: NW-2026-000043-17", False),
        ("reasons", "because", None),
        (None, "anything", None),
    ],
)
def test_what_can_be_looked_for_is_found(check, words, found):
    assert says(Item(text="it", check=check), words, reference="NW-2026-000042-17", pack=PACK) is found


def test_where_a_pack_names_no_ombudsman_a_person_has_to_look():
    bare = PACK.model_copy(update={"ombudsman": ()})
    for check in ("ombudsman", "ombudsman_url", "referral_period"):
        assert says(Item(text="it", check=check), "x", reference="r", pack=bare) is None


@pytest.fixture
def landlord(tmp_path, database_url):
    office = an_office(tmp_path, url=database_url, policy={"pack": "uk-housing-ombudsman-2024"})
    yield office
    office.book.close()


def a_draft(office, case_id, body, kind=LetterKind.HOLDING):
    letter = correspondence.draft(office, case_id, kind, actor=AMARA, now=NOW)
    correspondence.save(office, letter, body, actor=AMARA, now=NOW)
    return letter


def test_a_letter_without_what_its_pack_asks_does_not_leave_and_says_what_is_missing(landlord):
    case_id = open_case(landlord, a_mail())
    post_all(landlord)
    letter = a_draft(landlord, case_id, "We need more time. You can go to the Housing Ombudsman Service.")
    found = {check.text: (check.ok, check.blocking) for check in correspondence.checks(landlord, letter, now=NOW)}
    basis = "(Complaint Handling Code, 6.4 and 6.5)"
    assert found[f"It does not say the new date {basis}"] == (False, True)
    assert found["It says how to reach the Ombudsman"] == (True, True)
    assert found[f"See that it says the reason {basis}"] == (False, False)
    with pytest.raises(Refused, match=r"cannot leave yet\. It does not say the new date"):
        correspondence.send(landlord, letter, actor=AMARA, now=NOW)
    correspondence.save(
        landlord, letter, "By 14 December 2026. The Housing Ombudsman Service can look.", actor=AMARA, now=NOW
    )
    correspondence.send(landlord, letter, actor=AMARA, now=NOW)


def test_a_case_is_not_closed_without_the_letter_that_its_pack_requires(landlord):
    case_id = open_case(landlord, a_mail())
    post_all(landlord)
    answer(landlord, case_id, now=NOW + timedelta(hours=1))
    with landlord.book.write() as session:  # as if it had not left: the server refused it, and it was given up
        session.connection().execute(text("UPDATE letters SET sent_at = NULL WHERE kind = 'final-response'"))
        session.connection().execute(text("UPDATE cases SET happened = '{}'"))
    later = NOW + timedelta(hours=2)
    with pytest.raises(Refused, match=r"it lacks: s1 response \(Housing Ombudsman .* 6.9\)"):
        handling.close(landlord, case_id, actor=AMARA, now=later)
    handling.record_event(landlord, case_id, "s1_response", actor=AMARA, now=later)  # it went by post
    handling.close(landlord, case_id, actor=AMARA, now=later)
    assert case_of(landlord, case_id).row.stage == "closed"
