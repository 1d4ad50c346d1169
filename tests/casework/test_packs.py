"""What the pack decides of a case: which letter meets which deadline, and the clocks of the organisation's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.builders import NOW, a_mail, an_office, case_of, open_case, post_all


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
