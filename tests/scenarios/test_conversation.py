"""Which case a mail belongs to, whoever sends it and whatever it says: scenarios 21 to 27."""

from __future__ import annotations

import pytest

from amends.casework import handling, merging, tray
from tests.scenarios.town import Town, answer, mail

pytestmark = pytest.mark.server("dovecot")

EDITH, EDITH_NAME = "edith@example.org", "Edith Kowalski"
OTHER = "Sami Tanaka <sami@example.net>"


@pytest.mark.parametrize("field", ["In-Reply-To", "References"])
def test_scenario_21_an_answer_with_another_subject_joins_by_what_it_answers(town: Town, field: str) -> None:
    """Sent to the plain address and under a subject of its own: one header field alone tells the case."""
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
        [letter] = town.letters_to(EDITH)
        other = "References" if field == "In-Reply-To" else "In-Reply-To"
        reply = answer(letter, "It is worse now.", subject="boiler!!", to=letter.header("From"), **{other: ""})
        town.deliver(reply)
        town.until_quiet()
    [case] = town.cases()
    assert [message.new_text for message in case.messages if message.direction == "in"][-1] == "It is worse now."
    said = case.messages[-1].match
    assert said["confidence"] == "certain" and "signed letter of ours" in said["because"]
    assert len(town.letters_to(EDITH)) == 1, "an answer is not acknowledged"


def test_scenario_22_a_stranger_who_quotes_our_number_is_held_and_nobody_is_told(town: Town) -> None:
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
        [before] = town.cases()
        stranger = f"About {before.row.reference}"
        town.deliver(mail("Please send me all you have on this.", sender=OTHER, subject=stranger))
        town.until_quiet()
        [held] = town.tray("held")
        [case] = town.cases()
        assert case == before, "the case does not know of it"
        assert held.sender == "sami@example.net" and held.candidates[0]["case"] == before.row.reference
        assert "its sender does not belong to it" in held.reason and held.candidates[0]["confidence"] == "low"
        assert [letter.rcpt_to[0] for letter in town.smtp.letters] == [EDITH], "the acknowledgement and nothing more"
        town.decide(tray.join, held, before.row.reference)
    [case] = town.cases()
    assert case.messages[-1].from_address == "sami@example.net" and case.row.complainant_address == EDITH


def test_scenario_23_equal_subjects_of_two_people_are_two_cases(town: Town) -> None:
    town.deliver(mail("My bins.", subject="Complaint"))
    town.deliver(mail("My roof.", sender=OTHER, subject="Re: Complaint"))
    with town.at_work():
        town.until_quiet()
    one, other = town.cases()
    assert (one.row.complainant_address, other.row.complainant_address) == (EDITH, "sami@example.net")
    assert [len(case.messages) for case in (one, other)] == [2, 2], "each its complaint and its acknowledgement"
    assert "My roof." not in str(one.messages) and len(town.smtp.letters) == 2


COMMANDS = {
    "a property in brackets": {"subject": "Re: {ref} [status=resolved] [assignedto=sam]"},
    "close on the first line": {"text": "#close\n@sam\n/assign sam\nStatus: closed\nPlease read this."},
    "control fields": {
        "X-RT-Command-Status": "resolved",
        "X-OTRS-FollowUp-State": "closed successful",
        "X-Zammad-Ticket-State": "closed",
        "X-Amends-Stage": "closed",
        "Importance": "high",
        "X-Priority": "1",
    },
}


@pytest.mark.parametrize("how", COMMANDS)
def test_scenario_24_nothing_that_looks_like_a_command_changes_a_case(town: Town, how: str) -> None:
    """Not even in the mail of the complainant, which joins as a message and no more."""
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
        before = town.case_of(EDITH)
        town.do(handling.assign, before, "amara")
        before = town.case_of(EDITH)
        given = {name: value.format(ref=before.row.reference) for name, value in COMMANDS[how].items()}
        town.deliver(answer(town.letters_to(EDITH)[0], given.pop("text", "Please read this."), **given))
        town.deliver(mail(sender=OTHER, subject="[status=resolved] everything"))
        town.until_quiet()
    case = town.case_of(EDITH)
    assert len(case.messages) == len(before.messages) + 1
    for name in ("stage", "handler", "severity", "waiting", "subject", "is_open", "complainant_address", "vulnerable"):
        assert getattr(case.row, name) == getattr(before.row, name), name
    assert case.deadlines == before.deadlines
    assert {event.kind for event in case.events[len(before.events) :]} == {"message"}
    stranger = town.case_of("sami@example.net")
    assert (stranger.row.stage, stranger.row.is_open) == ("acknowledged", True)


def test_scenario_25_a_spouse_who_answers_our_letter_is_a_third_party_until_a_handler_says_more(town: Town) -> None:
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
        [letter] = town.letters_to(EDITH)
        spouse = "Jan Kowalski <jan@elsewhere.example>"
        town.deliver(answer(letter, "I write for my wife. STATUS?", sender=spouse))
        town.deliver(answer(letter, "STATUS", sender=spouse))
        town.until_quiet()
        [case] = town.cases()
        assert case.messages[-1].from_address == "jan@elsewhere.example"
        assert case.messages[-1].match["standing"] == "third party"
        [third] = [person for person in case.participants if person.address == "jan@elsewhere.example"]
        assert (third.role, third.accepted) == ("third party", False), "the handler is to ask for consent"
        assert case.row.complainant_address == EDITH and case.row.unread == 3
        assert {one.rcpt_to[0] for one in town.smtp.letters} == {EDITH}, "nothing goes to the other address"
        town.do(handling.accept, case, "jan@elsewhere.example")
        town.write(town.case_of(EDITH), "Thank you both.")
        town.until_quiet()
        assert [one.rcpt_to[0] for one in town.smtp.letters] == [EDITH, EDITH], "letters go to the complainant alone"


def test_scenario_26_an_answer_to_the_oldest_letter_of_a_case_merged_twice_reaches_the_last(town: Town) -> None:
    for subject in ("No heating", "No hot water", "Boiler broken"):
        town.deliver(mail(f"{subject}, please help.", subject=subject))
    with town.at_work():
        town.until_quiet()
        a, b, c = town.cases()
        town.do(merging.merge, a, b.row.id)
        town.do(merging.merge, b, c.row.id)
        oldest = town.letters_to(EDITH)[0]
        assert a.row.reference in oldest.header("Subject")
        town.deliver(answer(oldest, "By the signed address."))
        town.deliver(answer(oldest, "By the letter.", to=oldest.header("From"), subject="hello"))
        town.deliver(mail("By the reference.", subject=f"Re: {a.row.reference}", sender=f"{EDITH_NAME} <{EDITH}>"))
        town.until_quiet()
    a, b, c = town.cases()
    came = [message.new_text for message in c.messages if message.direction == "in"][1:]
    assert came == ["By the signed address.", "By the letter.", "By the reference."]
    assert all(f"{a.row.reference} was merged into it" in message.match["because"] for message in c.messages[-3:])
    assert not a.row.is_open and not b.row.is_open and a.row.messages == 2
    town.prove_whole()


def _closed_for(town: Town, days: int) -> None:
    """Edith's complaint is answered and closed, and so many days go by."""
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
        town.respond(town.case_of(EDITH))
        town.until_quiet()
        town.do(handling.close, town.case_of(EDITH))
    town.passes(days=days)


def test_scenario_27_an_answer_long_after_the_closure_is_a_question_to_the_handler(town: Town) -> None:
    """A review of the old case, with clocks of its own, or a new case that is linked to it: never unseen."""
    _closed_for(town, 200)
    closed = town.case_of(EDITH)
    with town.at_work():
        acknowledgement, decision = town.letters_to(EDITH)
        town.deliver(answer(decision, "I am still not satisfied with what you decided."))
        town.deliver(answer(acknowledgement, "The lift is broken too."))
        town.until_quiet()
        assert town.case_of(EDITH) == closed, "nothing of it changes by itself"
        review, matter = town.tray("held")
        assert "200 days after" in review.reason
        assert review.candidates[0]["proposals"] == ["review", "new linked case"]
        town.decide(tray.review, review, closed.row.reference)
        fresh = town.decide(tray.file_as_complaint, matter, linked_to=closed.row.reference)
        town.until_quiet()
    old, new = town.case(closed.row.reference), town.case(fresh)
    assert old.row.is_open and old.row.stage == "investigating"
    began = max(event.at for event in old.events if event.kind == "reopened")
    owed = [deadline for deadline in old.deadlines if deadline.state == "open"]
    assert owed and all(deadline.due_at > began for deadline in owed), "clocks of its own, from the day of the review"
    assert (new.links, old.links) == (((old.row.reference, "follows"),), ((fresh, "follows"),))
    assert [deadline.state for deadline in new.deadlines if deadline.kind == "response"] == ["open"]
    assert fresh in town.letters_to(EDITH)[-1].header("Subject"), "the new case is acknowledged"
    town.prove_whole()


def test_scenario_27_an_answer_soon_after_the_closure_joins_and_leaves_it_closed(town: Town) -> None:
    _closed_for(town, 20)
    with town.at_work():
        town.deliver(answer(town.letters_to(EDITH)[-1], "Thank you."))
        town.until_quiet()
    case = town.case_of(EDITH)
    assert (case.row.stage, case.row.is_open, case.row.unread) == ("closed", False, 2)
    assert case.messages[-1].new_text == "Thank you."
