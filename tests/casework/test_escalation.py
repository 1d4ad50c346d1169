"""Who is told of what, whose a case becomes, and what the clock writes by itself to a complainant."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from amends.casework import correspondence, handling
from amends.casework.contents import not_said, way_out
from amends.deadlines.model import Item, RequiredLetter
from amends.kernel.share import config_folder
from amends.ledger.verify import verify
from amends.letters.kinds import SAMPLE, LetterKind
from tests.builders import AMARA, HANDLERS, NOW, ORGANISATION, SAM, a_mail, an_office, case_of, open_case, post_all
from tests.casework.test_clockwork import events_of, letters_of, live, tick_until
from tests.casework.test_contents import PACK

ZOE = {"login": "zoe", "name": "Zoe Adams", "address": "zoe@northwind.example", "role": "supervisor"}
MISSED = datetime(2026, 12, 22, 9, tzinfo=UTC)
"""Both UPDATE and FINAL are missed since the day before."""


def an_escalated_case(office, *, handler="amara"):
    case_id = open_case(office)
    if handler:
        handling.assign(office, case_id, handler, actor=SAM, now=NOW)
    post_all(office)
    live(office, NOW, MISSED, hours=6)
    return case_id


def test_a_case_is_raised_and_stays_with_its_handler_unless_told_otherwise(on_sqlite):
    case = case_of(on_sqlite, an_escalated_case(on_sqlite))
    assert (case.row.handler, case.row.escalated) == ("amara", True)
    [told] = [one.body for one in case.letters if one.kind == "staff-escalation" and one.to_name == "sam"]
    assert "Handler: Amara Osei" in told and "until now" not in told


def test_with_reassign_it_becomes_that_supervisors_who_has_the_fewest(tmp_path):
    office = an_office(tmp_path, handler=[*HANDLERS, ZOE], escalation={"on_breach": "reassign"})
    handling.assign(office, open_case(office, a_mail(sender="b@example.org")), "sam", actor=SAM, now=NOW)
    case_id = an_escalated_case(office)
    case = case_of(office, case_id)
    assert case.row.handler == "zoe"
    [moved] = [one for one in events_of(office, case_id, "assigned") if one["before"] == "amara"]
    assert moved == {"before": "amara", "after": "zoe", "because": "a deadline was missed"}
    told = {one.to_name: one.body for one in letters_of(office, case_id, "staff-escalation")}
    assert set(told) == {"amara", "sam", "zoe"}
    assert "has been given to Zoe Adams; until now it was with Amara Osei" in told["zoe"]
    assert verify(office.book).intact


def test_it_is_given_away_once_and_a_supervisor_may_give_it_back(tmp_path):
    office = an_office(tmp_path, escalation={"on_breach": "reassign"})
    case_id = an_escalated_case(office)
    handling.assign(office, case_id, "amara", actor=SAM, now=MISSED)
    live(office, MISSED, datetime(2027, 1, 25, 9, tzinfo=UTC), hours=24)
    assert case_of(office, case_id).row.handler == "amara"


def test_it_may_be_given_to_somebody_by_name(tmp_path):
    office = an_office(tmp_path, escalation={"on_breach": "reassign", "to": "amara"})
    case_id = an_escalated_case(office, handler=None)
    assert case_of(office, case_id).row.handler == "amara"
    assert {one.to_name for one in letters_of(office, case_id, "staff-escalation")} == {"amara", "sam"}


def test_a_rule_can_leave_it_at_telling_the_handler(tmp_path):
    office = an_office(
        tmp_path, policy=_policy(tmp_path, ('label = "FINAL"', 'label = "FINAL"\non_breach = "handler"'))
    )
    case_id = an_escalated_case(office)
    case = case_of(office, case_id)
    assert not case.row.escalated
    assert [d.state for d in case.deadlines if d.kind == "response"] == ["breached"]
    assert [one.to_name for one in letters_of(office, case_id, "staff-escalation")] == ["amara"]


def test_a_handler_who_has_left_is_written_to_no_more_and_supervisors_are(tmp_path):
    office = an_office(tmp_path)
    case_id = open_case(office)
    handling.assign(office, case_id, "amara", actor=SAM, now=NOW)
    without = an_office(tmp_path, handler=[one for one in HANDLERS if one["login"] != "amara"])
    live(without, NOW, datetime(2026, 12, 15, 9, tzinfo=UTC), hours=24)
    assert {one.to_name for one in letters_of(office, case_id, "staff-warning")} == {"sam"}


def test_what_one_case_has_due_is_done_in_the_order_of_its_instants(on_sqlite):
    case_id = open_case(on_sqlite)
    post_all(on_sqlite)
    tick_until(on_sqlite, datetime(2026, 12, 20, 12, tzinfo=UTC))  # a Sunday
    done = [
        (e.kind, e.data["deadline"], e.data.get("occurrence"))
        for e in case_of(on_sqlite, case_id).events
        if e.kind in ("deadline-breached", "deadline-warning", "letter-due", "update-not-needed")
    ]
    assert done == [
        ("deadline-breached", "status", 1),
        ("letter-due", "status", 1),  # of 7 December
        ("deadline-warning", "response", 1),  # 14 December, 5 working days before
        ("deadline-warning", "response", 1),  # 17 December, 2
        ("deadline-warning", "response", 1),  # 18 December, 1, to the supervisor
        ("deadline-warning", "status", 2),  # 18 December
    ]
    late = [e["late_seconds"] for e in events_of(on_sqlite, case_id, "deadline-warning")]
    assert late == sorted(late, reverse=True) and min(late) > 3600


def test_of_all_that_was_missed_in_a_row_the_first_and_the_last_are_told(on_sqlite):
    case_id = open_case(on_sqlite)
    post_all(on_sqlite)
    tick_until(on_sqlite, datetime(2027, 7, 1, 12, tzinfo=UTC))
    missed = [
        one["occurrence"] for one in events_of(on_sqlite, case_id, "deadline-breached") if one["deadline"] == "status"
    ]
    assert missed == list(range(1, 16))
    told = [one.body for one in letters_of(on_sqlite, case_id, "staff-escalation") if '"UPDATE"' in one.body]
    assert len(told) == 2 and "before as well" not in told[0]
    assert "It was missed 14 times before as well; the case shows each." in told[1]


# Letters that leave by themselves


SOUTH_AFRICA = {"organisation": ORGANISATION | {"region": "ZA", "timezone": "Africa/Johannesburg"}}


def test_a_letter_of_fixed_words_leaves_by_itself_and_meets_its_deadline(tmp_path):
    office = an_office(tmp_path, policy={"pack": "za-fais"}, **SOUTH_AFRICA)
    case_id = open_case(office)
    live(office, NOW, datetime(2027, 1, 6, 9, tzinfo=UTC), hours=6)  # six weeks: 4 January
    [notice] = letters_of(office, case_id, "holding")
    assert notice.sent_at is not None and notice.sent_at.date().isoformat() == "2027-01-04"
    assert "FAIS Ombud (https://faisombud.co.za). You have 6 months" in notice.body
    assert {d.kind: d.state for d in case_of(office, case_id).deadlines}["six_weeks"] == "met"


def test_a_handlers_letter_about_something_else_does_not_stand_for_it(tmp_path):
    office = an_office(tmp_path, policy={"pack": "za-fais"}, **SOUTH_AFRICA)
    case_id = open_case(office)
    post_all(office)
    words = correspondence.Words(message="We will ring you.")
    letter = correspondence.draft(office, case_id, LetterKind.REPLY, words=words, actor=AMARA, now=NOW)
    correspondence.send(office, letter, actor=AMARA, now=NOW)
    live(office, NOW, datetime(2027, 1, 6, 9, tzinfo=UTC), hours=6)
    assert len(letters_of(office, case_id, "holding")) == 1


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        ('{ text = "why it is late", check = "reasons" }', "Only a person can write why it is late (ISO 10002"),
        ('{ text = "the way out", check = "ombudsman" }', "It does not say the way out"),
    ],
)
def test_a_letter_that_lacks_what_the_pack_wants_in_it_is_not_sent_and_the_handler_is_told(tmp_path, asked, missing):
    ombudsman = '\n[[ombudsman]]\nname = "Ombud of Somewhere"\nconfidence = "memory"\n'
    office = an_office(
        tmp_path,
        policy=_policy(
            tmp_path,
            ('{ text = "how far it is", required = false }', asked),
            ("[[source]]", f"{ombudsman}\n[[source]]"),
        ),
    )
    case_id = open_case(office)
    handling.assign(office, case_id, "amara", actor=SAM, now=NOW)
    live(office, NOW, datetime(2026, 12, 8, 9, tzinfo=UTC), hours=6)
    assert letters_of(office, case_id, "progress-update") == []
    assert {d.kind: d.state for d in case_of(office, case_id).deadlines if d.occurrence == 1}["status"] == "breached"
    told = [one for one in letters_of(office, case_id, "staff-warning") if "by itself did not" in one.body]
    assert [one.to_name for one in told] == ["amara"] and missing in told[0].body
    assert missing in events_of(office, case_id, "letter-withheld")[0]["because"]
    assert verify(office.book).intact


def _policy(tmp_path, *changes):
    """The generic pack with some words in it changed."""
    text = (config_folder() / "policies" / "iso-10002-default.toml").read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "iso-10002-default.toml").write_text(text, encoding="utf-8")
    return {"pack": "iso-10002", "folder": tmp_path / "policies"}


def test_the_organisations_own_words_name_the_way_out_where_they_say_enough():
    letter = RequiredLetter(
        id="notice",
        kind="holding",
        must_contain=(Item(text="the ombudsman", check="ombudsman"), Item(text="the period", check="referral_period")),
        basis="1",
        confidence="verified",
    )

    def facts(own):
        return type(SAMPLE)(**{name: getattr(SAMPLE, name) for name in SAMPLE.__slots__} | {"external_review": own})

    enough = "Write to the Housing Ombudsman Service within 12 months."
    assert way_out(PACK, letter, facts(enough)) == enough
    both = way_out(PACK, letter, facts("Ask your lawyer."))
    assert both.startswith("Ask your lawyer.\nYou can take your complaint to the Housing Ombudsman Service (https://")
    assert not_said(PACK, letter, both, reference="x") == []
    assert len(not_said(PACK, letter, "Ask your lawyer.", reference="x")) == 2
