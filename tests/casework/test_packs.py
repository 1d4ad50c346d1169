"""What the pack decides of a case: which letter meets which deadline, and the clocks of the organisation's own."""

from __future__ import annotations

from tests.builders import a_mail, an_office, case_of, open_case, post_all


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
