"""What the pack decides of a case: which letter meets which deadline, and the clocks of the organisation's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from amends.ledger.verify import verify
from amends.letters.kinds import LetterKind
from tests.builders import AMARA, NOW, a_mail, an_office, case_of, open_case, post_all
from tests.casework.test_clockwork import live


def met(office, case_id):
    return {deadline.kind: deadline.state for deadline in case_of(office, case_id).deadlines}


def test_an_automatic_acknowledgement_is_none_where_the_rules_ask_for_what_only_a_person_can_say(tmp_path):
    office = an_office(tmp_path, policy={"pack": "uk-housing-ombudsman-2024"})
    case_id = open_case(office, a_mail())
    assert met(office, case_id) == {"s1_ack": "open"}
    post_all(office)
    case = case_of(office, case_id)
    assert [letter.state for letter in case.letters] == ["sent"]
    assert met(office, case_id) == {"s1_ack": "open"}


def test_an_automatic_acknowledgement_counts_where_the_pack_says_so(tmp_path):
    office = an_office(tmp_path)
    case_id = open_case(office, a_mail())
    post_all(office)
    assert met(office, case_id)["ack"] == "met"


def test_our_own_promise_is_a_clock_of_the_case(tmp_path):
    own = [{"deadline": "response", "amount": 10, "unit": "working_days"}]
    office = an_office(tmp_path, policy={"own_target": own})
    case = case_of(office, open_case(office, a_mail()))
    due = {deadline.kind: deadline.due_at.date().isoformat() for deadline in case.deadlines}
    assert (due["response.own"], due["response"]) == ("2026-12-07", "2026-12-21")


def test_a_case_goes_by_the_version_of_the_day_on_which_the_complaint_came(tmp_path):
    folder = tmp_path / "packs"
    folder.mkdir()
    for version, begins, more, weeks in (
        ("old", "2020-01-01", "effective_to = 2026-11-22\n", 8),
        ("new", "2026-11-23", "", 6),
    ):
        (folder / f"{version}.toml").write_text(
            f'id = "house"\nname = "Ours"\njurisdiction = "*"\nversion = "{version}"\neffective_from = {begins}\n{more}'
            'verified = true\n[[deadline]]\nid = "answer"\nlabel = "ANSWER"\naction = "Answer"\nunit = "weeks"\n'
            f'amount = {weeks}\nbasis = "our policy"\nconfidence = "product_default"\n'
        )
    office = an_office(tmp_path, policy={"pack": "house", "folder": "packs"})
    yesterday = NOW - timedelta(days=1)
    late, today = (case_of(office, open_case(office, a_mail(), received_at=at)) for at in (yesterday, NOW))
    assert [(case.events[0].data["pack_version"], case.deadlines[0].due_at) for case in (late, today)] == [
        ("old", datetime(2027, 1, 17, 23, 59, 59, tzinfo=UTC)),
        ("new", datetime(2027, 1, 4, 23, 59, 59, tzinfo=UTC)),
    ]


# Several packs on one case


def a_pack(folder, pack_id, body, *, head=""):
    folder.mkdir(exist_ok=True)
    text = (
        f'id = "{pack_id}"\nname = "{pack_id}"\njurisdiction = "*"\nversion = "1"\neffective_from = 2020-01-01\n'
        f"verified = true\n{head}\n{body}"
    )
    (folder / f"{pack_id}.toml").write_text(text)


UPDATES = """
[[deadline]]
id = "status"
label = "WORD"
action = "Say how it stands"
amount = 10
unit = "working_days"
recurring = true
met_by = ["update"]
automatic_counts = true
letter = "update"
basis = "overlay 1"
confidence = "product_default"

[[letter]]
id = "update"
kind = "progress-update"
basis = "overlay 1"
confidence = "product_default"
"""


@pytest.fixture
def two_packs(tmp_path, database_url):
    a_pack(tmp_path / "packs", "overlay", UPDATES)
    policy = {"pack": "iso-10002", "packs": ["overlay"], "folder": "packs"}
    office = an_office(tmp_path, url=database_url, policy=policy)
    yield office
    office.book.close()


def test_the_clocks_of_every_pack_run_on_one_case_and_each_says_whose_it_is(two_packs):
    case_id = open_case(two_packs, a_mail())
    case = case_of(two_packs, case_id)
    assert [(d.pack, d.kind) for d in case.deadlines] == [
        ("iso-10002-default", "ack"),
        ("iso-10002-default", "status"),
        ("overlay", "status"),
        ("iso-10002-default", "response"),
    ]
    assert case.label_of(case.deadlines[2]) == "WORD (overlay)"
    assert case.as_json()["deadlines"][2]["pack"] == "overlay"
    assert case.events[0].data["packs"] == [["overlay", "1"]]
    (started,) = [event.data["deadlines"] for event in case.events if event.kind == "deadlines-started"]
    assert [one.get("pack") for one in started] == [None, None, "overlay", None]
    post_all(two_packs)
    assert verify(two_packs.book).problems == ()


def test_the_clock_writes_what_each_pack_demands_and_no_two_letters_are_one(two_packs):
    case_id = open_case(two_packs, a_mail())
    live(two_packs, NOW, NOW + timedelta(days=30), hours=12)
    case = case_of(two_packs, case_id)
    updates = [letter for letter in case.letters if letter.kind == LetterKind.PROGRESS_UPDATE]
    assert len({letter.message_id for letter in updates}) == len(updates) >= 2
    state = {(d.pack, d.kind, d.occurrence): d.state for d in case.deadlines}
    assert state["iso-10002-default", "status", 1] == state["overlay", "status", 1] == "met"
    assert state["iso-10002-default", "status", 2] == state["overlay", "status", 2] == "met"
    assert verify(two_packs.book).problems == ()


def test_a_case_keeps_its_packs_whatever_the_configuration_says_later(two_packs, tmp_path):
    case_id = open_case(two_packs, a_mail())
    later = an_office(tmp_path, url=str(two_packs.book.url.render_as_string(hide_password=False)))
    post_all(later)
    live(later, NOW, NOW + timedelta(days=16), hours=12)  # the overlay has no file in this office any more
    case = case_of(later, case_id)
    state = {(d.pack, d.kind, d.occurrence): d.state for d in case.deadlines}
    assert state["iso-10002-default", "status", 1] == state["overlay", "status", 1] == "met"
    assert ("overlay", "status", 2) not in state and ("iso-10002-default", "status", 2) in state
    later.book.close()


def test_a_deadline_that_was_merged_away_comes_back_under_its_own_pack(two_packs):
    from amends.casework import merging

    one, other = open_case(two_packs, a_mail()), open_case(two_packs, a_mail())
    post_all(two_packs)
    before = [(d.pack, d.kind, d.state) for d in case_of(two_packs, one).deadlines]
    merging.merge(two_packs, one, other, actor=AMARA, now=NOW)
    merging.unmerge(two_packs, one, actor=AMARA, now=NOW)
    assert [(d.pack, d.kind, d.state) for d in case_of(two_packs, one).deadlines] == before
    assert verify(two_packs.book).problems == ()


def test_a_deadline_put_under_another_pack_behind_our_back_is_found(two_packs):
    case_id = open_case(two_packs, a_mail())
    with two_packs.book.write() as session:
        session.connection().execute(text("UPDATE deadlines SET pack = 'other' WHERE pack = 'overlay'"))
    assert any("status 1 of overlay was removed" in problem for problem in verify(two_packs.book).problems)
    with two_packs.book.write() as session:
        session.connection().execute(text("UPDATE deadlines SET pack = 'overlay' WHERE pack = 'other'"))
        session.connection().execute(text("UPDATE cases SET packs = '[]'"))
    assert any("the policy packs are not those" in problem for problem in verify(two_packs.book).problems)
    assert case_id
