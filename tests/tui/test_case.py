"""The case: read, noted, assessed, moved on; every key ends in the store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.casework import handling
from amends.ledger import views
from tests.builders import NOW, SAM, a_mail, case_of, file_mail, post_all
from tests.tui.desk import a_desk, at, id_of_complainant, lines_of, press, screen_of, settle, write
from tests.tui.test_queue import wait_for


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return a_desk(tmp_path)


def the_case(desk, name="Edith Kowalski"):
    return case_of(desk.office, id_of_complainant(desk.office, name))


async def test_opening_shows_the_thread_the_clocks_and_counts_it_as_read(desk):
    sami = id_of_complainant(desk.office, "Sami Tanaka")
    assert case_of(desk.office, sami).row.unread == 1
    async with at(desk) as pilot:
        await press(pilot, "down", "enter")
        lines = lines_of(pilot)
        assert "NW-2026-000002-07  Sami Tanaka" in lines[1] and "acknowledged" in lines[1]
        assert "! " in lines[2] and "FINAL due 23:59" in lines[2] and "ACK ✓" in lines[2]
        assert ">1 of" in screen_of(pilot) and "* Sami Tanaka <tanaka@example.org>" in screen_of(pilot)
        assert "You promised a refund" in screen_of(pilot)
        assert case_of(desk.office, sami).row.unread == 0
        await press(pilot, "left")
        await wait_for(pilot, lambda: "* " not in next(row for row in lines_of(pilot) if "Sami Tanaka" in row)[:4])


async def test_messages_unfold_one_by_one_and_notes_are_visibly_for_staff(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "right_square_bracket")
        assert ">2 of 5  OUT  Acknowledgement, by itself" in screen_of(pilot)
        assert "Thank you for writing to us." in screen_of(pilot)
        await press(pilot, *["right_square_bracket"] * 3)
        assert "NOTE sam" in screen_of(pilot) and "staff only, never sent" in screen_of(pilot)
        assert "│ Branch confirms" in screen_of(pilot)
        await press(pilot, "right_square_bracket")
        assert pilot.app.said == "That is the newest."


async def test_next_and_previous_walk_the_list_without_going_back(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "J")
        assert "Sami Tanaka" in lines_of(pilot)[1]
        await press(pilot, "K", "K")
        assert "Edith Kowalski" in lines_of(pilot)[1] and "first case of the list" in pilot.app.said


async def test_a_note_is_kept_and_stands_in_the_thread(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "n")
        await write(pilot, "Rang her, no answer")
        await press(pilot, "f5")
        assert pilot.app.said == "The note is saved."
        assert the_case(desk).notes[-1].text == "Rang her, no answer"
        assert "Rang her, no answer" in screen_of(pilot)


async def test_an_empty_note_is_refused_in_the_dialog(desk):
    async with at(desk) as pilot:
        await press(pilot, "n", "f5")
        assert "Note: write a few words first" in screen_of(pilot)
        await press(pilot, "escape")
        assert len(the_case(desk).notes) == 1


async def test_assessing_moves_the_stage_and_marks_who_needs_care(desk):
    async with at(desk) as pilot:
        await press(pilot, "down", "enter", "exclamation_mark")
        await press(pilot, "f5")
        assert "Still needed: the severity." in screen_of(pilot)
        await press(pilot, "right", "tab", "tab")
        await write(pilot, "lost a month's rent")
        await press(pilot, "tab", "tab", "space", "f5")
        case = the_case(desk, "Sami Tanaka")
        assert (case.row.severity, case.row.vulnerable, case.row.stage) == ("medium", True, "assessed")
        assert case.impact == "lost a month's rent"
        assert pilot.app.said == "Assessed: medium."


async def test_waiting_is_set_with_a_reason_and_ended(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "w", "2")
        await write(pilot, "the boiler firm")
        await press(pilot, "enter")
        case = the_case(desk)
        assert (case.row.waiting, case.waiting_reason) == ("for third party", "the boiler firm")
        assert "waits for third party" in lines_of(pilot)[1]
        await press(pilot, "w", "1")
        assert the_case(desk).row.waiting is None


async def test_the_stage_menu_offers_only_steps_that_there_are(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "s")
        text = screen_of(pilot)
        assert "Investigate" in text and "Reopen" not in text and "Acknowledge " not in text
        await press(pilot, "2")
        assert the_case(desk).row.stage == "investigating"


async def test_a_withdrawn_complaint_is_closed_with_a_reason_and_reopened(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "e", "2", "f5")
        assert "Still needed: why it ends" in screen_of(pilot)
        await write(pilot, "she moved out")
        await press(pilot, "f5")
        case = the_case(desk)
        assert (case.row.is_open, case.outcome) == (False, "withdrawn")
        assert "Closed: withdrawn" in screen_of(pilot)
        await press(pilot, "s", "1")
        await write(pilot, "she moved back")
        await press(pilot, "f5")
        assert the_case(desk).row.stage == "investigating"


async def test_details_say_why_a_deadline_falls_when_it_falls(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "i")
        page = pilot.app.screen.query_one("#details").text
        assert "FINAL due Wed 18 Nov 23:59, 4d late" in page
        assert "20 working days on" in page and "ISO 10002:2018, 7.7" in page
        assert "DETAILS" in screen_of(pilot)
        await press(pilot, "i")
        assert "DETAILS" not in screen_of(pilot)


async def test_escape_closes_the_details_before_it_leaves_the_case(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "i", "escape")
        assert "DETAILS" not in screen_of(pilot) and ">2 of" in screen_of(pilot).replace(">1 of", ">2 of")
        await press(pilot, "escape")
        assert pilot.app.screen is pilot.app.get_screen("queue")


async def test_nothing_is_assessed_before_an_arrow_or_enter_chose_it(desk):
    async with at(desk) as pilot:
        await press(pilot, "down", "exclamation_mark", "f5")
        assert "Still needed: the severity." in screen_of(pilot)
        await press(pilot, "enter", "f5")
        assert the_case(desk, "Sami Tanaka").row.severity == "low"
        await press(pilot, "exclamation_mark", "right", "right", "left", "f5")
        assert the_case(desk, "Sami Tanaka").row.severity == "medium"


async def test_the_history_tells_every_event_in_words(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter", "H")
        assert "History of NW-2026-000001-10" in lines_of(pilot)[1]
        text = pilot.app.screen.query_one("#page").text
        for words in ("case opened", "given to amara", "note added", "assessed: high, particular care", "FINAL missed"):
            assert words in text, words
        assert len(text.splitlines()) >= len(the_case(desk).events)
        await press(pilot, "escape")
        assert "Edith Kowalski" in lines_of(pilot)[1]


async def test_quotes_are_folded_and_one_key_away(desk):
    quoted = a_mail(
        sender="kowalski@example.org",
        name="Edith Kowalski",
        subject="Re: No heating [NW-2026-000001-10]",
        text="Still cold.\n\n> Dear Edith Kowalski,\n> we are working on it.",
        new_text="Still cold.",
        attachments=[("thermometer.jpg", "image/jpeg", b"x" * 88_000)],
    )
    file_mail(desk.office, quoted, now=NOW)
    async with at(desk) as pilot:
        await press(pilot, "enter")
        text = screen_of(pilot)
        assert "Still cold." in text and "┄ 2 quoted lines folded, z opens ┄" in text and "working on it." not in text
        assert "@ thermometer.jpg 88 kB" in text
        await press(pilot, "z")
        assert "> we are working on it." in screen_of(pilot)
        await press(pilot, "o")
        assert "  1  thermometer.jpg" in screen_of(pilot) and "image/jpeg" in screen_of(pilot)
        assert "amends save NW-2026-000001-10 NUMBER --to FOLDER" in screen_of(pilot)


async def test_a_stranger_is_shown_as_one_and_accepted_by_hand(desk):
    answer = a_mail(sender="nephew@example.org", name="A Nephew", subject="About NW-2026-000001-10", text="I can help.")
    file_mail(desk.office, answer, now=NOW)
    async with at(desk) as pilot:
        await press(pilot, "4")
        if "nephew@example.org" in screen_of(pilot):  # a bare reference is not enough to join
            await press(pilot, "m", "1")
            await press(pilot, "1", "enter")
        else:
            await press(pilot, "1", "enter")
        assert "Not the complainant: a third party wrote this" in screen_of(pilot)
        assert "p=People" in screen_of(pilot)
        await press(pilot, "p", "1")
        people = {one.address: one.accepted for one in the_case(desk).participants}
        assert people["nephew@example.org"] is True
        await wait_for(pilot, lambda: "They are a participant now." in screen_of(pilot))
        assert "p=accept" not in screen_of(pilot)


async def test_mail_that_comes_in_while_the_case_is_open_is_announced_and_nothing_moves(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter")
        before = [line for line in lines_of(pilot) if "1 of" in line]
        file_mail(
            desk.office,
            a_mail(sender="kowalski@example.org", subject="Re: [NW-2026-000001-10]", text="Are you there?"),
            now=NOW,
        )
        await wait_for(pilot, lambda: "New mail has come in" in screen_of(pilot))
        assert before[0][4:] in screen_of(pilot).replace("of 6", "of 5")
        await press(pilot, "full_stop")
        await wait_for(pilot, lambda: "Are you there?" in screen_of(pilot))
        await wait_for(pilot, lambda: the_case(desk).row.unread == 0)


async def test_mail_that_came_while_the_case_was_open_is_marked_also_after_a_verb_showed_it(desk):
    async with at(desk) as pilot:
        await press(pilot, "enter")
        answer = a_mail(sender="kowalski@example.org", subject="Re: [NW-2026-000001-10]", text="Are you there?")
        file_mail(desk.office, answer, now=NOW)
        await wait_for(pilot, lambda: "New mail has come in" in screen_of(pilot))
        await press(pilot, "n")
        await write(pilot, "Rang her.")
        await press(pilot, "f5")
        assert "IN   * kowalski@example.org" in screen_of(pilot) or "IN   * Edith Kowalski" in screen_of(pilot)


async def test_two_handlers_on_one_store_see_each_other(desk, tmp_path):
    async with at(desk) as pilot:
        await press(pilot, "enter")
        handling.assign(desk.office, id_of_complainant(desk.office, "Edith Kowalski"), "sam", actor=SAM, now=NOW)
        await wait_for(pilot, lambda: lines_of(pilot)[1].endswith("sam"))
        other = a_desk(tmp_path, actor=SAM)
        async with at(other) as second:
            await press(second, "enter", "n")
            await write(second, "Taken over")
            await press(second, "f5")
            await wait_for(pilot, lambda: "of 6" in screen_of(pilot))
        await press(pilot, *["right_square_bracket"] * 5)
        assert "Taken over" in screen_of(pilot)


async def test_a_letter_that_came_back_stands_first_and_the_address_can_be_mended(desk):
    from amends.casework.post import Rejected

    late = NOW - timedelta(hours=1)
    file_mail(desk.office, a_mail(sender="gone@exmaple.org", name="Gone Away", subject="Noise"), now=late)
    post_all(desk.office, now=late, result=Rejected("550 5.1.2 no such domain"))
    async with at(desk) as pilot:
        first = lines_of(pilot)[3]
        assert "Gone Away" in first and "NOT DELIVERED" in first
        assert "3 Outbox!1" in lines_of(pilot)[0]
        await press(pilot, "enter")
        assert "NOT DELIVERED" in screen_of(pilot) and "no such domain" in screen_of(pilot)
        await press(pilot, "C", *["backspace"] * 16)
        await write(pilot, "gone@example.org")
        await press(pilot, "enter")
        assert (
            case_of(desk.office, id_of_complainant(desk.office, "Gone Away")).row.complainant_address
            == "gone@example.org"
        )


async def test_a_refused_verb_is_one_sentence_and_changes_nothing(desk):
    edith = id_of_complainant(desk.office, "Edith Kowalski")
    async with at(desk) as pilot:
        await press(pilot, "s")
        from amends.cases.outcomes import Outcome

        handling.close(desk.office, edith, outcome=Outcome.WITHDRAWN, reason="by telephone", actor=SAM, now=NOW)
        await press(pilot, "2")
        assert "is closed; reopen it before you investigate it." in pilot.app.said
        assert lines_of(pilot)[-2].strip() == pilot.app.said


async def test_a_store_that_is_away_is_said_in_the_first_line_and_nothing_can_be_changed(desk, monkeypatch):
    from amends.kernel.errors import TryLater
    from amends.ledger.book import Book

    async with at(desk) as pilot:
        real = Book.read

        def away(self):
            raise TryLater("The database went away: connection refused")

        monkeypatch.setattr(Book, "read", away)
        pilot.app._pulse._told_at = None
        await wait_for(pilot, lambda: "DATA FROM" in lines_of(pilot)[0])
        assert "went away" in lines_of(pilot)[-2]
        await press(pilot, "A")
        assert "Nothing can be changed now" in pilot.app.said
        monkeypatch.setattr(Book, "read", real)
        await wait_for(pilot, lambda: "mail ok" in lines_of(pilot)[0])
        await settle(pilot)


async def test_a_fault_of_ours_in_a_worker_is_reported_without_anybodys_mail(desk, tmp_path, monkeypatch):
    secret = "4929 1234 5678"

    def broken(self, case_id):
        card = secret
        raise RuntimeError(f"cannot show {card}")

    monkeypatch.setattr("tui.desk.Desk.read_case", broken)
    async with at(desk) as pilot:
        await press(pilot, "enter")
        assert "The program has a fault" in pilot.app.said
        (report,) = (tmp_path / "state" / "amends").glob("report-*.txt")
        assert secret not in report.read_text() and "RuntimeError" in report.read_text()
        assert report.stat().st_mode & 0o777 == 0o600
        await press(pilot, "left", "down")
        assert pilot.app.screen is pilot.app.get_screen("queue")


def test_every_event_that_the_verbs_record_has_a_sentence(desk):
    from tui.thread import sentence

    with desk.office.book.read() as session:
        kinds = {(kind) for _, _, kind in views.recent_events(session, 0, limit=5000)}
    assert kinds and all(sentence(kind, {}) for kind in kinds)
    assert "else" not in sentence("participant", {"role": "complainant"})
    assert sentence("participant", {"role": "third party"}) == "somebody else wrote in"


async def test_below_a_message_stands_why_it_is_on_the_case_and_that_its_id_came_before(desk):
    edith = the_case(desk).row.reference
    for text in ("The boiler is still off.", "Nobody has come yet."):
        reply = a_mail(sender="kowalski@example.org", subject=f"Re: {edith}", text=text, message_id="one@example.org")
        assert file_mail(desk.office, reply, now=NOW).reference == edith
    async with at(desk) as pilot:
        await press(pilot, "enter", "G")
        said = " ".join(screen_of(pilot).split())
        assert "On this case because: the reference in its subject, from a participant" in said
        assert "another message came before under its Message-ID (confidence high)" in said
        assert "! Another message came before under the Message-ID of this one" in said
