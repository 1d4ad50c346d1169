"""Writing, looking over, sending, calling back: no word is lost and nothing leaves by accident."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from amends.casework import handling
from amends.casework.post import Rejected
from amends.kernel.errors import TryLater
from tests.builders import NOW, SAM, a_mail, case_of, file_mail, post_all, store_mail
from tests.tui.desk import a_desk, at, id_of_complainant, lines_of, press, screen_of, settle, words_of, write
from tests.tui.test_queue import wait_for


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return a_desk(tmp_path)


def the_case(desk, name="Edith Kowalski"):
    return case_of(desk.office, id_of_complainant(desk.office, name))


def by_hand(desk, name="Edith Kowalski"):
    return [one for one in the_case(desk, name).letters if not one.automatic]


async def test_a_reply_is_written_reviewed_held_called_back_and_sent(desk):
    async with at(desk) as pilot:
        await press(pilot, "r", "1")
        assert "1 gap left. F3 goes to: your message" in screen_of(pilot)
        await write(pilot, "We will come on Monday.")
        assert "No gaps left" in screen_of(pilot)
        await press(pilot, "f5")
        assert "We will come on Monday." in screen_of(pilot) and "Nothing stops it. s=Send" in screen_of(pilot)
        await press(pilot, "s")
        assert pilot.app.screen is pilot.app.get_screen("queue")
        assert "Letter to Edith Kowalski leaves in 0:30 - press u to undo" in lines_of(pilot)[-2]
        (letter,) = by_hand(desk)
        assert letter.state == "queued" and letter.next_try_at == NOW + timedelta(seconds=30)
        await wait_for(pilot, lambda: pilot.app.held)
        await press(pilot, "3")
        assert "HELD 0:30" in screen_of(pilot)
        await press(pilot, "u")
        (letter,) = by_hand(desk)
        assert letter.state == "draft" and "We will come on Monday." in letter.body
        assert "We will come on Monday." in screen_of(pilot) and "Nothing was sent" in pilot.app.said
        await press(pilot, "f5", "s")
        post_all(desk.office, now=NOW + timedelta(seconds=31))
        (letter,) = by_hand(desk)
        assert letter.state == "sent"
    assert "We will come on Monday." in the_case(desk).messages[-1].text


async def test_while_a_letter_is_written_no_letter_or_digit_is_offered_as_a_key(desk):
    async with at(desk) as pilot:
        await press(pilot, "r", "1")
        assert lines_of(pilot)[0].startswith(" Queue  Search  Outbox") and "Esc=Leave" in lines_of(pilot)[-1]
        await press(pilot, "escape", "2")
        assert lines_of(pilot)[0].startswith(" Queue  Search")
        assert "r=Letter" not in lines_of(pilot)[-1] and "Tab=Results" in lines_of(pilot)[-1]
        await write(pilot, "kowalski")
        await wait_for(pilot, lambda: "1 case found" in screen_of(pilot))
        await press(pilot, "tab")
        assert "r=Letter" in lines_of(pilot)[-1] and lines_of(pilot)[0].startswith(" 1 Queue")


async def test_a_letter_with_a_gap_does_not_leave(desk):
    async with at(desk) as pilot:
        await press(pilot, "r", "1", "f5", "s")
        assert "Cannot be sent yet: Still to write: your message" in pilot.app.said
        await press(pilot, "e")
        assert "1 gap left" in screen_of(pilot)
        assert by_hand(desk)[0].state == "draft"


async def test_leaving_keeps_the_draft_and_the_same_kind_opens_it_again(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "r", "1")
        await write(pilot, "Half a thought")
        await press(pilot, "escape")
        assert "The draft is kept" in pilot.app.said
        assert "Half a thought" in by_hand(desk)[0].body
        assert "A letter of yours is a draft, not sent" in screen_of(pilot)
        await press(pilot, "r", "1")
        assert "Half a thought" in screen_of(pilot)
        assert len(by_hand(desk)) == 1


async def test_the_draft_saves_itself_and_when_the_program_ends(desk):
    async with at(desk) as pilot:
        await press(pilot, "r", "1")
        await write(pilot, "First words")
        await wait_for(pilot, lambda: "Draft saved 09:00:00." in lines_of(pilot)[1])
        assert "First words" in by_hand(desk)[0].body
        await write(pilot, " and more")
        await press(pilot, "ctrl+q")
    assert "First words and more" in by_hand(desk)[0].body


async def test_a_draft_that_cannot_be_saved_stays_on_the_screen_and_is_tried_again(desk, monkeypatch):
    from amends.casework import correspondence

    real = correspondence.save

    def busy(*_, **__):
        raise TryLater("Another program is using the database; try again in a moment.")

    async with at(desk) as pilot:
        await press(pilot, "r", "1")
        monkeypatch.setattr(correspondence, "save", busy)
        await write(pilot, "Precious")
        await press(pilot, "escape")
        assert "Not saved" in pilot.app.said and "Precious" in screen_of(pilot)
        assert "NOT SAVED" in lines_of(pilot)[1]
        monkeypatch.setattr(correspondence, "save", real)
        await press(pilot, "escape")
        assert "Precious" in by_hand(desk)[0].body


async def test_a_final_response_gives_the_outcome_the_remedy_and_closes(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "e", "1")
        await press(pilot, "f5")
        assert "Still needed: the outcome." in screen_of(pilot)
        await press(pilot, "space", "tab")
        await write(pilot, "Two weeks of rent back")
        await press(pilot, "tab")
        await write(pilot, "a lot")
        await press(pilot, "f5")
        assert "'a lot' is not an amount of money" in screen_of(pilot)
        await press(pilot, *["backspace"] * 5)
        await write(pilot, "300.00")
        await press(pilot, "tab", "tab")
        await write(pilot, "missed visits")
        await press(pilot, "f5")
        assert "Two weeks of rent back (300.00 GBP)" in screen_of(pilot)
        while "gap" in lines_of(pilot)[-3] and "No gaps" not in lines_of(pilot)[-3]:
            await press(pilot, "f3")
            await write(pilot, "The engineer missed two visits.")
        await press(pilot, "f5")
        assert "Outcome: upheld" in screen_of(pilot) and "Two weeks of rent back (300.00 GBP)" in screen_of(pilot)
        await press(pilot, "s")
        assert "response held, leaves 09:00:30, u=Undo" in lines_of(pilot)[1]
        case = the_case(desk)
        assert (case.row.stage, case.outcome, case.remedy_amount) == ("responded", "upheld", "300.00 GBP")
        assert case.root_cause == "missed visits"
        await press(pilot, "e", "f5")
        assert "letter on its way" in pilot.app.said and "That cannot be done" in screen_of(pilot)
        await press(pilot, "enter")
        post_all(desk.office, now=NOW + timedelta(minutes=1))
        await wait_for(pilot, lambda: "responded" in lines_of(pilot)[1])
        await press(pilot, "e", "f5")
        assert the_case(desk).row.stage == "closed"


async def test_the_letter_follows_a_remedy_that_is_decided_anew_and_no_money_is_in_a_currency_that_is_none(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "e", "1", "space", "tab")
        await write(pilot, "Rent back")
        await press(pilot, "tab")
        await write(pilot, "300")
        await press(pilot, "tab", *["backspace"] * 3)
        await write(pilot, "vis")
        await press(pilot, "f5")
        assert "'VIS' is not a currency; write its three letters, like GBP." in screen_of(pilot)
        await press(pilot, "tab", *["backspace"] * 3)
        await write(pilot, "eur")
        await press(pilot, "f5")
        assert "Rent back (300.00 EUR)" in screen_of(pilot)
        await press(pilot, "f4", "tab", "tab", *["backspace"] * 6)
        await write(pilot, "250")
        await press(pilot, "f5")
        assert "Rent back (250.00 EUR)" in screen_of(pilot) and "300.00" not in screen_of(pilot)
        await press(pilot, "ctrl+s")
        assert "Rent back (250.00 EUR)" in by_hand(desk)[0].body


async def test_who_writes_after_the_final_response_is_named_until_the_case_is_taken_up_again(desk):
    edith, said = id_of_complainant(desk.office, "Edith Kowalski"), "They have written since the final response."
    async with at(desk) as pilot:
        await press(pilot, "enter", "e", "1", "right", "right", "f5")
        while "No gaps" not in lines_of(pilot)[-3]:
            await press(pilot, "f3")
            await write(pilot, "We looked into it.")
        await press(pilot, "f5", "s")
        post_all(desk.office, now=NOW + timedelta(minutes=1))
        await wait_for(pilot, lambda: "responded" in lines_of(pilot)[1])
        assert said not in screen_of(pilot)
        later = NOW + timedelta(minutes=2)
        answer = a_mail(sender="kowalski@example.org", subject="Re: [NW-2026-000001-10]", date=later, text="No.")
        file_mail(desk.office, answer, now=later)
        await wait_for(pilot, lambda: "New mail has come in" in screen_of(pilot))
        await press(pilot, "full_stop")
        await wait_for(pilot, lambda: said in screen_of(pilot))
        handling.reopen(desk.office, edith, "not content", actor=SAM, now=later)
        await wait_for(pilot, lambda: said not in screen_of(pilot))


async def test_a_final_response_called_back_takes_the_outcome_with_it(desk):
    async with at(desk) as pilot:
        await press(pilot, "r", "4", "right", "right", "f5")
        while "No gaps" not in lines_of(pilot)[-3]:
            await press(pilot, "f3")
            await write(pilot, "We looked into it.")
        await press(pilot, "f5", "s")
        assert the_case(desk).outcome == "not upheld"
        await wait_for(pilot, lambda: pilot.app.held)
        await press(pilot, "u")
        assert (the_case(desk).outcome, the_case(desk).row.stage) == (None, "assessed")


async def test_a_case_that_moved_on_stops_the_letter_until_what_is_new_was_read(desk):
    edith = id_of_complainant(desk.office, "Edith Kowalski")
    async with at(desk) as pilot:
        await press(pilot, "r", "1")
        await write(pilot, "We will come on Monday.")
        answer = a_mail(
            sender="kowalski@example.org", subject="Re: [NW-2026-000001-10]", text="It works again, thanks!"
        )
        file_mail(desk.office, answer, now=NOW + timedelta(seconds=1))
        handling.assign(desk.office, edith, "sam", actor=SAM, now=NOW + timedelta(seconds=1))
        await press(pilot, "f5", "s")
        assert "The case has changed since you began" in pilot.app.said and "m=Read what is new" in pilot.app.said
        assert by_hand(desk)[0].state == "draft"
        await press(pilot, "m")
        text = screen_of(pilot)
        assert "It works again, thanks!" in text and "given to sam" in text
        await press(pilot, "escape")
        await wait_for(pilot, lambda: "Nothing stops it" in pilot.app.said)
        await press(pilot, "s")
        assert by_hand(desk)[0].state == "queued"


async def test_a_draft_is_thrown_away_only_after_a_question(desk):
    async with at(desk) as pilot:
        await press(pilot, "r", "1", "f8", "enter")
        assert by_hand(desk)[0].state == "draft"
        await press(pilot, "f8", "y")
        assert by_hand(desk)[0].state == "cancelled"
        assert pilot.app.screen is pilot.app.get_screen("queue")


async def test_leaving_with_a_held_letter_says_that_it_will_still_go(desk):
    async with at(desk) as pilot:
        await press(pilot, "r", "1")
        await write(pilot, "On Monday.")
        await press(pilot, "f5", "s")
        await wait_for(pilot, lambda: pilot.app.held)
        await press(pilot, "q")
        assert "It will still be sent" in screen_of(pilot)
        await press(pilot, "y")
    assert by_hand(desk)[0].state == "queued"


# The outbox


async def test_a_failed_letter_says_why_and_is_sent_again_or_given_up(desk):
    file_mail(desk.office, a_mail(sender="gone@exmaple.org", name="Gone Away", subject="Noise"), now=NOW)
    post_all(desk.office, now=NOW, result=Rejected("550 5.1.2 no such domain"))
    async with at(desk) as pilot:
        await press(pilot, "3")
        text = screen_of(pilot)
        assert "!! NOT DELIVERED" in text and "no such domain" in text and "1 letter need" in text
        await press(pilot, "R")
        assert the_case(desk, "Gone Away").letters[0].state == "queued"
        post_all(desk.office, now=NOW, result=Rejected("550 5.1.2 no such domain"))
        await wait_for(pilot, lambda: "!! NOT DELIVERED" in screen_of(pilot))
        await press(pilot, "d", "y")
        assert the_case(desk, "Gone Away").letters[0].state == "cancelled"


async def test_the_address_is_corrected_and_the_letter_sent_to_it_by_one_key(desk):
    file_mail(desk.office, a_mail(sender="gone@exmaple.org", name="Gone Away", subject="Noise"), now=NOW)
    post_all(desk.office, now=NOW, result=Rejected("550 5.1.2 no such domain"))
    async with at(desk) as pilot:
        await press(pilot, "3")
        assert "C=Correct and send R=Send again" in lines_of(pilot)[-1]
        assert "C corrects their address and sends the letter to it." in words_of(pilot)
        await press(pilot, "C")
        assert "this letter, word for word," in words_of(pilot)
        await press(pilot, *["backspace"] * 16)
        await write(pilot, "gone@example.org")
        await press(pilot, "enter")
        assert "is on its way to gone@example.org" in pilot.app.said
        case = the_case(desk, "Gone Away")
        assert (case.row.complainant_address, case.row.undelivered) == ("gone@example.org", False)
        assert {(one.state, one.to_address) for one in case.letters} == {
            ("cancelled", "gone@exmaple.org"),
            ("queued", "gone@example.org"),
        }
        assert "address-corrected" in {event.kind for event in case.events}
        assert [claimed.to for claimed in post_all(desk.office, now=NOW)] == ["gone@example.org"]


async def test_send_again_says_that_it_follows_an_address_that_was_corrected(desk):
    from amends.casework import undelivered

    file_mail(desk.office, a_mail(sender="gone@exmaple.org", name="Gone Away", subject="Noise"), now=NOW)
    post_all(desk.office, now=NOW, result=Rejected("550 5.1.2 no such domain"))
    case_id = id_of_complainant(desk.office, "Gone Away")
    undelivered.correct_address(desk.office, case_id, "gone@example.org", actor=SAM, now=NOW)
    async with at(desk) as pilot:
        await press(pilot, "3")
        assert "R sends this letter to gone@example.org" in words_of(pilot)
        await press(pilot, "R")
        assert "the address of the case now" in words_of(pilot)
        await press(pilot, "y")
        assert [claimed.to for claimed in post_all(desk.office, now=NOW)] == ["gone@example.org"]


async def test_an_uncertain_letter_is_settled_by_a_persons_word(desk):
    from amends.casework import post

    file_mail(desk.office, a_mail(sender="u@example.org", name="Una Certain", subject="Noise"), now=NOW)
    (claimed,) = post.claim(desk.office, "test", now=NOW)
    assert post.before_dot(desk.office, "test", claimed.letter_id, now=NOW)
    post.record(desk.office, "test", [post.Carried(claimed.letter_id, post.Unknown("connection lost"))], now=NOW)
    async with at(desk) as pilot:
        await press(pilot, "3")
        assert "UNCERTAIN" in screen_of(pilot) and "nobody knows whether it arrived" in screen_of(pilot)
        await press(pilot, "s", "y")
        assert the_case(desk, "Una Certain").letters[0].state == "sent"


# The tray


async def test_set_aside_mail_is_filed_as_a_complaint(desk):
    bulk = a_mail(
        sender="list@example.org", name="A List", subject="Offers", text="Buy!", kind="bulk", answerable=False
    )
    file_mail(desk.office, bulk, now=NOW)
    async with at(desk) as pilot:
        assert "4 Tray·1" in lines_of(pilot)[0]
        await press(pilot, "4")
        assert "looks automatic" in screen_of(pilot) and "Buy!" in screen_of(pilot)
        await press(pilot, "c", "y")
        await settle(pilot)
        assert "It is case NW-2026-000013-71 now" in pilot.app.said
        assert case_of(desk.office, "NW-2026-000013-71").row.subject == "Offers"


async def test_set_aside_mail_is_joined_to_a_case_or_put_away_with_a_reason(desk):
    for number in (1, 2):
        mail = a_mail(sender="list@example.org", subject=f"Offers {number}", text="Buy!", kind="bulk", answerable=False)
        file_mail(desk.office, mail, now=NOW)
    async with at(desk) as pilot:
        await press(pilot, "4", "m")
        await write(pilot, "1")
        await press(pilot, "enter")
        assert "It is part of NW-2026-000001-10 now." in pilot.app.said
        assert the_case(desk).messages[-1].subject == "Offers 1"
        await press(pilot, "d")
        await write(pilot, "an advertisement")
        await press(pilot, "enter")
        assert "0 held  0 set aside" in lines_of(pilot)[1] and "put away" in screen_of(pilot)
        assert "oldest received" not in lines_of(pilot)[1]
        assert "amara, 2026-11-23 09:00Z: an advertisement" in screen_of(pilot)
        await press(pilot, "d")
        assert "It is put away already." in pilot.app.said
        await press(pilot, "c", "y")  # it was a mistake
        assert "Nothing waits for a word from you." in screen_of(pilot)
        assert case_of(desk.office, "NW-2026-000013-71").row.subject == "Offers 2"


async def test_trying_again_says_what_came_of_it(desk):
    bulk = a_mail(sender="l@example.org", subject="Offers", text="Buy!", kind="bulk", answerable=False)
    file_mail(desk.office, bulk, now=NOW)
    async with at(desk) as pilot:
        await press(pilot, "4", "R")
        assert pilot.app.said.startswith(("Read again, and filed", "Read again, and still not filed"))


async def test_mail_that_could_not_be_read_shows_its_bytes_made_harmless(desk):
    from amends.casework import intake

    arrival, _ = store_mail(desk.office, a_mail(text="\x1b]52;c;aGk=\x07 help"), now=NOW)
    intake.file(desk.office, [(arrival, "its reader ran out of memory")], now=NOW)
    async with at(desk) as pilot:
        await press(pilot, "4")
        text = screen_of(pilot)
        assert "its reader ran out of memory" in text and "It could not be read" in text
        assert "\x1b" not in text and "Message-ID" in pilot.app.screen.query_one("#about").text


# Search


async def test_search_finds_by_number_name_and_words_as_you_type(desk):
    async with at(desk) as pilot:
        await press(pilot, "slash")
        await write(pilot, "kowalski")
        await wait_for(pilot, lambda: "1 case found" in screen_of(pilot))
        await press(pilot, *["backspace"] * 8)
        await write(pilot, "three times")
        await wait_for(pilot, lambda: "2 cases found" in screen_of(pilot) and "Dana Yilmaz" in screen_of(pilot))
        assert "Mona Petrov" in screen_of(pilot)
        await press(pilot, "tab", "A")
        assert {the_case(desk, name).row.handler for name in ("Dana Yilmaz", "Mona Petrov")} >= {"amara"}
        await press(pilot, "enter")
        assert "of" in lines_of(pilot)[3]
        await press(pilot, "left", "escape", "escape")
        assert pilot.app.screen is pilot.app.get_screen("queue")


async def test_a_search_that_begins_anew_takes_letters_as_letters_and_in_place_of_the_old_ones(desk):
    async with at(desk) as pilot:
        await press(pilot, "slash")
        await write(pilot, "kowalski")
        await wait_for(pilot, lambda: "1 case found" in screen_of(pilot))
        await press(pilot, "tab", "1", "slash")  # the results had the keys when the search was left
        await write(pilot, "yilmaz")
        await wait_for(pilot, lambda: "Dana Yilmaz" in screen_of(pilot))
        assert pilot.app.screen.line.value == "yilmaz"
        await press(pilot, "tab", "slash")
        await write(pilot, "petrov")
        await wait_for(pilot, lambda: "Mona Petrov" in screen_of(pilot))
        assert "1 case found" in screen_of(pilot)


async def test_a_search_line_takes_letters_as_letters(desk):
    async with at(desk) as pilot:
        await press(pilot, "2")
        await wait_for(pilot, lambda: pilot.app.screen.query("#found"))
        await write(pilot, "nasxe")
        assert pilot.app.screen.line.value == "nasxe"
        await wait_for(pilot, lambda: "Nothing found" in screen_of(pilot))


def test_money_is_exact():
    from amends.cases.outcomes import money

    assert money("300.00", "GBP") == (Decimal("300.00"), "GBP")


async def test_what_left_last_stands_first_among_the_letters_that_are_sent(desk):
    from amends.casework import correspondence
    from amends.letters.kinds import LetterKind
    from tests.builders import AMARA

    office, words = desk.office, correspondence.Words(message="We will come on Monday.")
    drafts = [
        correspondence.draft(
            office, id_of_complainant(office, who), LetterKind.REPLY, words=words, actor=AMARA, now=NOW
        )
        for who in ("Edith Kowalski", "Sami Tanaka")
    ]
    for minute, letter in enumerate(reversed(drafts), -5):  # the older draft leaves last
        correspondence.send(office, letter, actor=AMARA, now=NOW + timedelta(minutes=minute))
        post_all(office, now=NOW + timedelta(minutes=minute, seconds=40))
    async with at(desk) as pilot:
        await press(pilot, "3")
        text = screen_of(pilot)
        assert 0 < text.index("000001-10 Letter") < text.index("000002-07 Letter")
