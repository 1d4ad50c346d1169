"""What belongs together, and to whom letters may go: each is said in words before it is done."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.cases.outcomes import Outcome
from amends.casework import handling
from amends.casework.post import Rejected
from amends.ledger.verify import verify
from tests.builders import NOW, SAM, a_mail, case_of, file_mail, post_all
from tests.tui.desk import a_desk, at, id_of_complainant, press, screen_of, words_of, write
from tests.tui.test_queue import wait_for

EDITH = "NW-2026-000001-10"


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return a_desk(tmp_path)


def the_case(desk, name="Edith Kowalski"):
    return case_of(desk.office, id_of_complainant(desk.office, name))


async def test_a_case_is_merged_after_words_that_say_who_gets_no_more_letters_and_taken_back(desk):
    async with at(desk) as pilot:
        await press(pilot, "down", "m", "1")
        await write(pilot, "1")
        await press(pilot, "enter")
        text = words_of(pilot)
        assert "Merge NW-2026-000002-07 into NW-2026-000001-10?" in text
        assert "different people: tanaka@example.org gets no more letters" in text
        await press(pilot, "enter")  # the safe answer
        assert the_case(desk, "Sami Tanaka").merged_into is None
        await press(pilot, "m", "1", "1", "enter", "y")
        assert the_case(desk, "Sami Tanaka").merged_into == EDITH
        assert "NW-2026-000002-07 is closed, and NW-2026-000001-10 goes on with it." in pilot.app.said
        await press(pilot, "home", "enter", "i")
        assert "Took up" in screen_of(pilot) and "NW-2026-000002-07" in screen_of(pilot)
        await press(pilot, "escape", "m")
        assert "Take NW-2026-000002-07 out again" in screen_of(pilot)
        await press(pilot, "2", "y")
        assert the_case(desk, "Sami Tanaka").row.stage == "acknowledged"
    assert verify(desk.office.book).problems == ()


async def test_cases_are_linked_and_the_link_is_taken_away(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "m", "2")
        await write(pilot, "5")
        await press(pilot, "enter")
        assert the_case(desk).links == (("NW-2026-000005-95", "related"),)
        await press(pilot, "m", "3")
        assert the_case(desk).links == ()


async def test_a_message_is_split_off_into_a_case_of_its_own(desk):
    other = a_mail(
        sender="kowalski@example.org",
        name="Edith Kowalski",
        subject="Re: No heating [NW-2026-000001-10]",
        text="And the lift is broken, too.",
    )
    file_mail(desk.office, other, now=NOW)
    async with at(desk) as pilot:
        await press(pilot, "enter", "S")
        assert "the history keeps that it was here" in words_of(pilot)
        await press(pilot, "1")
        assert "Split off: it is case NW-2026-000013-71 now." in pilot.app.said
        assert "lift is broken" not in screen_of(pilot)
        assert case_of(desk.office, "NW-2026-000013-71").messages[0].text == "And the lift is broken, too."
        await press(pilot, "left", "enter", "left_square_bracket", "left_square_bracket", "S", "1")
        assert "The case was opened with this message" in pilot.app.said
    assert verify(desk.office.book).problems == ()


async def test_a_blocked_address_is_said_on_the_case_and_before_a_letter_and_unblocked_by_hand(desk):
    file_mail(desk.office, a_mail(sender="gone@exmaple.org", name="Gone Away", subject="Noise"), now=NOW)
    post_all(desk.office, now=NOW, result=Rejected("550 5.1.1 no such user"))
    gone = id_of_complainant(desk.office, "Gone Away")
    from amends.casework import undelivered

    failed = next(one.id for one in case_of(desk.office, gone).letters)
    undelivered.settle(desk.office, failed, False, actor=SAM, now=NOW)
    async with at(desk) as pilot:
        await press(pilot, "number_sign", "1", "3", "enter")
        await wait_for(pilot, lambda: "No automatic letters go to their address" in screen_of(pilot))
        await press(pilot, "r", "1")
        await write(pilot, "Hello.")
        await press(pilot, "f5")
        assert "This may not arrive: a letter to it came back as undeliverable" in words_of(pilot)
        await press(pilot, "escape", "escape", "b", "y")
        assert "Automatic letters go to gone@exmaple.org again." in pilot.app.said
        assert desk.why_blocked("gone@exmaple.org") is None


def late_reply(desk):
    edith = id_of_complainant(desk.office, "Edith Kowalski")
    then = NOW - timedelta(days=90)
    handling.close(desk.office, edith, outcome=Outcome.WITHDRAWN, reason="by telephone", actor=SAM, now=then)
    reply = a_mail(sender="kowalski@example.org", subject="Re: [NW-2026-000001-10]", text="It is cold again.")
    file_mail(desk.office, reply, now=NOW)


@pytest.mark.parametrize("choice", [1, 2, 3])
async def test_a_late_reply_joins_is_a_review_or_opens_a_linked_case(desk, choice):
    late_reply(desk)
    async with at(desk) as pilot:
        await press(pilot, "4")
        text = words_of(pilot)
        assert "y asks what it is: part of the closed case, a review of it, or a new linked case." in text
        await press(pilot, "y")
        assert "It came long after NW-2026-000001-10 was closed" in screen_of(pilot)
        await press(pilot, str(choice))
        case = the_case(desk) if choice < 3 else case_of(desk.office, EDITH)
        if choice == 1:
            assert not case.row.is_open and case.row.unread == 1
        elif choice == 2:
            assert case.row.stage == "investigating" and case.messages[-1].text == "It is cold again."
        else:
            assert case.links == (("NW-2026-000013-71", "follows"),)
            assert "It is case NW-2026-000013-71 now, linked with NW-2026-000001-10" in pilot.app.said
        assert "Nothing waits for a word from you." in screen_of(pilot)


async def test_an_uncertain_match_shows_its_evidence_and_joins_by_one_key(desk):
    stranger = a_mail(sender="nephew@example.org", name="A Nephew", subject=f"About {EDITH}", text="I can help.")
    file_mail(desk.office, stranger, now=NOW)
    async with at(desk) as pilot:
        await press(pilot, "4")
        text = words_of(pilot)
        assert f"Subject: {EDITH} (confidence low)" in text
        assert f"y joins it to {EDITH}, as a third party's; p there accepts them as a participant." in text
        await press(pilot, "y")
        assert f"It is part of {EDITH} now. If that was wrong: S splits it off there." in pilot.app.said
        assert the_case(desk).messages[-1].from_address == "nephew@example.org"
