"""The deadlines of a case: each clock, why it falls so, what is asked, what happened, and more time."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from amends.casework import correspondence, moretime
from amends.casework.promising import Promise
from amends.letters.kinds import LetterKind
from amends.mail.facts import Kind
from tests.builders import AMARA, NOW, SAM, a_mail, an_office, case_of, file_mail, post_all
from tests.tui.desk import a_desk, at, id_of_complainant, lines_of, press, ready, screen_of, words_of, write
from tui.desk import KINDS, Desk

HOUSING = {
    "pack": "uk-housing-ombudsman-2024",
    "packs": ("uk-dp-complaints-2026",),
    "own_target": [{"deadline": "s1_ack", "amount": 2, "unit": "working_days"}],
}
SIZES = ((80, 24), (140, 40))


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def a_house(tmp_path, policy=HOUSING, *, actor=AMARA, days=3, name="Edith Kowalski"):
    """A desk with one case under these packs, received `days` ago."""
    office = an_office(tmp_path, wall=lambda: NOW, policy=policy)
    mail = a_mail(sender="kowalski@example.org", name=name, subject="No heating")
    file_mail(office, mail, now=NOW - timedelta(days=days))
    post_all(office, now=NOW - timedelta(days=days))
    ready(office)
    return Desk(office, actor)


def the_case(desk, name="Edith Kowalski"):
    return case_of(desk.office, id_of_complainant(desk.office, name))


def why(pilot):
    return " ".join(pilot.app.screen.query_one("#why").text.split())


@pytest.mark.parametrize("size", SIZES)
async def test_each_clock_says_when_why_by_which_rule_and_whose_it_is(tmp_path, size):
    async with at(a_house(tmp_path), size=size) as pilot:
        await press(pilot, "d")
        rows = lines_of(pilot)
        assert "Deadlines of NW-2026-000001" in rows[1] and "S1ACK*" in rows[3] and "ours" in rows[3]
        assert "OURS" in why(pilot) and "our own promise, no rule of law" in why(pilot)
        await press(pilot, "down")
        text = why(pilot)
        for words in (
            "Acknowledge, define and log the complaint",
            "day 0: Fri 20 Nov 2026",
            "skipped 2 days of weekends",
            "Met by an acknowledgement that a person wrote",
            "Complaint Handling Code, 6.2",
            "read in the rule itself",
            "Housing Ombudsman Complaint Handling Code 2024",
            "More time the rule allows none",
            "never: these rules stop no clock",
        ):
            assert words in text, words
        assert "OURS" not in text
        assert all(len(line) <= size[0] for line in lines_of(pilot))


async def test_what_does_not_run_says_what_it_waits_for_and_which_key_starts_it(tmp_path):
    async with at(a_house(tmp_path)) as pilot:
        await press(pilot, "d", *["down"] * 3)
        assert "It does not run: waits for: S1 acknowledgement is sent" in why(pilot)
        assert "t says that it has happened." in why(pilot)


async def test_enter_gives_the_reasons_the_whole_window_and_escape_gives_it_back(tmp_path):
    async with at(a_house(tmp_path)) as pilot:
        await press(pilot, "d", "enter")
        assert not pilot.app.screen.query_one("#dials").display
        await press(pilot, "escape")
        assert pilot.app.screen.query_one("#dials").display
        await press(pilot, "escape")
        assert "All open" in lines_of(pilot)[1]


async def test_an_auditor_reads_every_reason_and_is_offered_no_verb(tmp_path):
    from tests.builders import AUDREY

    async with at(a_house(tmp_path, actor=AUDREY)) as pilot:
        await press(pilot, "d", "down")
        assert "day 0: Fri 20 Nov 2026" in why(pilot)
        assert "f=Facts" not in lines_of(pilot)[-1]
        await press(pilot, "t", "f", "plus")
        assert pilot.app.screen.PLACE == "deadlines"


@pytest.mark.parametrize(("days", "late"), [(3, False), (40, True)])
async def test_a_question_of_the_rules_is_answered_with_a_digit_and_says_what_that_starts(tmp_path, days, late):
    desk = a_house(tmp_path, {"pack": "uk-fca-disp"}, days=days)
    async with at(desk) as pilot:
        await press(pilot, "enter", "f")
        text = words_of(pilot)
        assert "Is it, or a part of it, about a payment service" in text
        assert "nobody has said; taken as no" in text
        assert "starts PSD15: Give the final response to a complaint about payment services" in text
        await press(pilot, "1")
        assert the_case(desk).facts == {"payment_service": "yes"}
        assert "PSD15 counts now" in pilot.app.said and "FINAL ends" in pilot.app.said
        assert ("Late already: PSD15" in pilot.app.said) is late
        await press(pilot, "escape", "d")
        assert any("PSD15" in line and "not on" not in line for line in lines_of(pilot))


async def test_rules_that_ask_nothing_say_so(tmp_path):
    async with at(a_desk(tmp_path)) as pilot:
        await press(pilot, "enter", "f")
        assert "ask nothing" in pilot.app.said


async def test_a_letter_that_went_by_post_is_said_with_its_hour_and_starts_and_meets(tmp_path):
    desk = a_house(tmp_path)
    async with at(desk) as pilot:
        await press(pilot, "enter", "t")
        await write(pilot, "s1 ack")
        text = words_of(pilot)
        assert "S1 acknowledgement, by another way than mail" in text
        assert "Meets S1ACK*" in text and "Starts S1: Give the full response of stage 1" in text
        await press(pilot, "enter", *["backspace"] * 3)
        await write(pilot, "whenever")
        await press(pilot, "enter")
        assert "Write now, 14:30" in words_of(pilot) and the_case(desk).row.stage != "closed"
        await press(pilot, *["backspace"] * 8)
        await write(pilot, "saturday 10:00")
        assert "Sat 21 Nov 10:00" in words_of(pilot)
        await press(pilot, "enter")
        assert "S1ACK*, S1ACK met; S1 started." in pilot.app.said
    met = {one.kind: one.met_at for one in the_case(desk).deadlines}
    assert met["s1_ack"] == NOW - timedelta(days=1, hours=23)


async def test_an_hour_before_the_receipt_is_refused_in_the_dialog_and_nothing_is_lost(tmp_path):
    async with at(a_house(tmp_path)) as pilot:
        await press(pilot, "enter", "t")
        await write(pilot, "s1 ack")
        await press(pilot, "enter", *["backspace"] * 3)
        await write(pilot, "1 nov")
        await press(pilot, "f5")
        assert "had not been received then; check the day." in words_of(pilot)
        assert pilot.app.screen.query_one("#find").value == "s1 ack"


async def test_more_time_is_looked_over_before_the_notice_goes_and_called_back_with_u(tmp_path):
    desk = a_house(tmp_path, {"pack": "iso-10002"})
    async with at(desk) as pilot:
        await press(pilot, "enter", "plus")
        text = words_of(pilot)
        assert "FINAL" in text and "at the latest" in text
        await write(pilot, "8 jan")
        assert "the end of Fri 8 Jan 2027, in 46 days" in words_of(pilot)
        await press(pilot, "f5")
        assert "Still needed: why." in words_of(pilot)
        await write(pilot, "The surveyor can come in January only.")
        await press(pilot, "f5")
        text = words_of(pilot)
        assert "nothing has been sent" in text and "The surveyor can come in January only." in text
        assert "then due Fri 8 Jan 2027 23:59" in text
        assert not [one for one in the_case(desk).letters if one.kind == LetterKind.HOLDING]
        await press(pilot, "escape")
        assert pilot.app.screen.query_one("#to").value == "8 jan"
        await press(pilot, "f5", "s")
        (notice,) = [one for one in the_case(desk).letters if one.kind == LetterKind.HOLDING]
        assert notice.state == "queued" and "press u to undo" in lines_of(pilot)[-2]
        await press(pilot, "u")
        (notice,) = [one for one in the_case(desk).letters if one.kind == LetterKind.HOLDING]
        assert notice.state == "draft"
        await press(pilot, "f5")
        assert "FINAL is due Fri 8 Jan 2027 when it has left in time." in " ".join(
            pilot.app.screen.query_one("#checks").text.split()
        )
        await press(pilot, "s")
        post_all(desk.office, now=NOW + timedelta(minutes=1))
    assert "2027-01-08" in [one.due_date for one in the_case(desk).deadlines]


async def test_what_the_rule_forbids_is_one_sentence_in_the_dialog(tmp_path):
    async with at(a_house(tmp_path, {"pack": "iso-10002"})) as pilot:
        await press(pilot, "enter", "plus")
        await write(pilot, "tomorrow")
        await press(pilot, "tab")
        await write(pilot, "Because.")
        await press(pilot, "f5")
        assert "is not later than" in words_of(pilot) and pilot.app.screen.query_one("#to")


async def test_rules_that_allow_no_more_time_are_not_offered(tmp_path):
    async with at(a_house(tmp_path)) as pilot:
        await press(pilot, "enter", "plus")
        assert "No deadline that runs here may be given more time" in pilot.app.said


async def test_where_a_letter_can_be_more_than_one_of_the_rules_it_is_asked_and_shown(tmp_path):
    desk = a_house(tmp_path, {"pack": "uk-fca-disp"})
    async with at(desk) as pilot:
        await press(pilot, "enter", "r", "3")
        text = words_of(pilot)
        assert (
            "Which holding letter is it?" in text and "Eight week response" in text and "A plain holding letter" in text
        )
        await press(pilot, "2")
        assert "as eight week response" in lines_of(pilot)[1]
        (draft,) = [one for one in the_case(desk).letters if one.state == "draft"]
        assert draft.counts_as == "eight_week_response"
        await press(pilot, "f5")
        text = words_of(pilot)
        assert "FCA DISP 1: complaints about financial services wants of it:" in text
        checks = pilot.app.screen.query_one("#checks").text
        assert "It says when it is expected" in text and "It meets FINAL when it has left." in checks
        await press(pilot, "e", "f7", "1")
        assert "as eight week" not in lines_of(pilot)[1]
        await press(pilot, "escape", "r", "3")
        assert "Go on with your draft" in words_of(pilot)


async def test_closing_without_a_letter_of_the_rules_names_it_and_helps(tmp_path):
    desk = a_house(tmp_path)
    case_id = id_of_complainant(desk.office, "Edith Kowalski")
    words = correspondence.Words(outcome="upheld", reasons="We were late.", remedy="", next_steps="")
    letter = correspondence.draft(
        desk.office, case_id, LetterKind.FINAL_RESPONSE, words=words, counts_as="s2_response", actor=SAM, now=NOW
    )
    from amends.cases.outcomes import Outcome

    correspondence.respond(desk.office, letter, correspondence.Finding(Outcome.UPHELD), actor=SAM, now=NOW)
    post_all(desk.office, now=NOW)
    post_all(desk.office, now=NOW + timedelta(minutes=1))
    async with at(desk) as pilot:
        await press(pilot, "enter", "e")
        text = words_of(pilot)
        assert "It cannot be closed yet" in text and "s1 response" in text.lower()
        await press(pilot, "1", "enter")
        assert "went by another way" in pilot.app.said
        await press(pilot, "e", "f5")
        assert the_case(desk).row.stage == "closed"


NASTY = "\x1b]0;x\x07[red]\u202eevil[/] [@click=app.quit] \u3042\U0001f600 " + "long words " * 200
DANGEROUS = set("\x1b\x07\x9b\u202e\u200b")


async def test_names_reasons_and_promises_of_strangers_are_harmless_in_every_dialog(tmp_path):
    desk = a_pausing_house(tmp_path, name=NASTY[:60])
    office, (case_id,) = desk.office, desk.snapshot(KINDS[0]).ids
    reply = correspondence.draft(office, case_id, LetterKind.REPLY, actor=SAM, now=NOW)
    correspondence.promise(office, reply, Promise(date(2026, 11, 26), NASTY[:200]), actor=SAM, now=NOW)
    correspondence.save(office, reply, "Thursday, 26 November 2026 " + NASTY, actor=SAM, now=NOW)
    correspondence.send(office, reply, actor=SAM, now=NOW)
    moretime.extend(office, case_id, "response", date(2026, 12, 24), NASTY, actor=SAM, now=NOW)
    moretime.pause(office, case_id, "visit", NASTY, text=NASTY, actor=SAM, now=NOW)
    post_all(office, now=NOW + timedelta(minutes=2))
    correspondence.draft(office, case_id, LetterKind.REPLY, actor=SAM, now=NOW)
    async with at(desk) as pilot:
        await press(pilot, "enter")
        await harmless(pilot, "i", "H")
        await press(pilot, "d")
        await harmless(pilot, "f", "t", "plus", "W", "P")
        pages = []
        for _ in pilot.app.screen.query_one("#dials").keys:
            pages.append(why(pilot))
            await press(pilot, "down")
        assert not DANGEROUS & set("".join(pages))
        assert sum("[red]evil[/] [@click=app.quit]" in one for one in pages) == 3
        await press(pilot, "r", "1", "f9")
        assert not DANGEROUS & set(screen_of(pilot))


async def harmless(pilot, *keys):
    """Each of these opens something with strangers' words in it, and escape closes it."""
    place = pilot.app.screen
    for key in keys:
        await press(pilot, key)
        assert not DANGEROUS & set(screen_of(pilot)), key
        if pilot.app.screen is not place:
            await press(pilot, "escape")


def a_pausing_house(tmp_path, *, actor=SAM, name="Edith Kowalski"):
    """A desk whose own pack lets a supervisor stop one clock, and a handler another."""
    from tests.casework.test_pausing import HOUSE

    (tmp_path / "packs").mkdir(exist_ok=True)
    (tmp_path / "packs" / "house.toml").write_text(HOUSE, encoding="utf-8")
    return a_house(tmp_path, {"pack": "house", "folder": "packs"}, actor=actor, days=1, name=name)


async def test_a_clock_is_paused_by_a_letter_that_was_read_and_goes_on_by_the_same_key(tmp_path):
    desk = a_pausing_house(tmp_path)
    async with at(desk) as pilot:
        await press(pilot, "enter", "d")
        while "FINAL" not in why(pilot)[:8]:
            await press(pilot, "down")
        await press(pilot, "W", "tab")
        assert "Its clock may stand still while a document that only the complainant has" in words_of(pilot)
        await press(pilot, "f5")
        assert "Still needed: why the clock stands still." in words_of(pilot)
        await write(pilot, "Only she has the tenancy agreement.")
        await press(pilot, "tab", "f5")
        assert "Still needed: what you ask them for" in words_of(pilot)
        await write(pilot, "Please send us your tenancy agreement.")
        await press(pilot, "f5")
        text = words_of(pilot)
        assert "nothing has been sent" in text and "at the latest" in text
        assert "Please send us your tenancy agreement." in pilot.app.screen.query_one("#letter").text
        assert "Only she has" not in pilot.app.screen.query_one("#letter").text
        assert not [one for one in the_case(desk).letters if one.kind == LetterKind.PAUSE]
        await press(pilot, "s")
        assert "press u to undo" in lines_of(pilot)[-2]
        post_all(desk.office, now=NOW + timedelta(minutes=1))
        await press(pilot, "escape", "d")
        while "FINAL" not in why(pilot)[:8]:
            await press(pilot, "down")
        row = next(line for line in lines_of(pilot) if "FINAL" in line and "paused" in line)
        assert "= " in row
        assert "stands still" in why(pilot) and "Only she has the tenancy agreement. (approved by sam)" in why(pilot)
        assert "at the latest" in why(pilot)
        assert ", for now to " in why(pilot) and "stood still from Mon 23 Nov 2026 09:01 GMT to" not in why(pilot)
        await press(pilot, "W", "1")
        assert "go on from now" in pilot.app.said
    assert not [one for one in the_case(desk).deadlines if one.state == "paused"]


async def test_a_pause_that_is_a_supervisors_word_is_refused_in_the_dialog(tmp_path):
    async with at(a_pausing_house(tmp_path, actor=AMARA)) as pilot:
        await press(pilot, "enter", "W", "end", "tab")
        await write(pilot, "Only she has it.")
        await press(pilot, "tab")
        await write(pilot, "Please send it.")
        await press(pilot, "f5")
        assert "is a supervisor's word" in words_of(pilot) and "ask sam" in words_of(pilot)


async def test_rules_that_stop_no_clock_say_so(tmp_path):
    async with at(a_house(tmp_path)) as pilot:
        await press(pilot, "enter", "W")
        assert "these rules stop none" in pilot.app.said


async def test_what_a_letter_promises_is_a_clock_when_it_has_left_and_is_kept_with_a_key(tmp_path):
    desk = a_house(tmp_path, {"pack": "iso-10002"})
    async with at(desk) as pilot:
        await press(pilot, "enter", "r", "1")
        await write(pilot, "An engineer comes by ")
        await press(pilot, "f9", "f5")
        assert "Still needed: by when." in words_of(pilot)
        await write(pilot, "fri")
        assert "by the end of Fri 27 Nov 2026, in 4 days" in words_of(pilot)
        await press(pilot, "tab")
        await write(pilot, "an engineer comes")
        await press(pilot, "enter")
        assert "An engineer comes by Friday, 27 November 2026" in pilot.app.screen.body.text
        assert "promises 27 Nov" in lines_of(pilot)[1]
        await press(pilot, "f5")
        checks = " ".join(pilot.app.screen.query_one("#checks").text.split())
        assert "It names the day that it promises" in checks
        assert "PROM is due Fri 27 Nov 2026 when it has left" in checks
        await press(pilot, "s")
        post_all(desk.office, now=NOW + timedelta(minutes=1))
        desk.office.wall = lambda: NOW + timedelta(minutes=2)
        await press(pilot, "d")
        assert any("PROM" in line and "Fri" in line and "ours" in line for line in lines_of(pilot))
        await press(pilot, "P", "1", "enter")
        assert pilot.app.said == "The promise is kept."
    assert [one.state for one in the_case(desk).deadlines if one.kind == "promise"] == ["met"]


async def test_a_promise_can_be_taken_out_of_a_draft_and_a_day_that_has_passed_is_none(tmp_path):
    desk = a_house(tmp_path, {"pack": "iso-10002"})
    async with at(desk) as pilot:
        await press(pilot, "enter", "r", "1", "f9")
        await write(pilot, "2026-11-20")
        await press(pilot, "f5")
        assert "has passed; choose a later day." in words_of(pilot)
        await press(pilot, *["backspace"] * 10)
        await write(pilot, "1 dec")
        await press(pilot, "f5")
        (draft,) = [one for one in the_case(desk).letters if one.state == "draft"]
        assert draft.facts["promises"]["day"] == "2026-12-01"
        await press(pilot, "f9", *["backspace"] * 10, "f5")
        assert pilot.app.said == "The letter promises nothing now."
    (draft,) = [one for one in the_case(desk).letters if one.state == "draft"]
    assert "promises" not in draft.facts


async def test_the_queue_says_whose_rules_a_clock_is_of_where_there_are_several(tmp_path):
    async with at(a_house(tmp_path)) as pilot:
        head, first = lines_of(pilot)[2:4]
        assert head.index("Rules") == first.index("housing") and "S1ACK*" in first
        assert all(len(line) <= 80 for line in lines_of(pilot))


async def test_a_promise_after_a_whole_sentence_is_a_sentence_of_its_own(tmp_path):
    async with at(a_house(tmp_path, {"pack": "iso-10002"})) as pilot:
        await press(pilot, "enter", "r", "1")
        await write(pilot, "We are sorry.")
        await press(pilot, "f9")
        await write(pilot, "fri")
        await press(pilot, "tab")
        await write(pilot, "an engineer comes")
        await press(pilot, "enter")
        assert "We are sorry. An engineer comes: Friday, 27 November 2026.\n" in pilot.app.screen.body.text
        assert "put it into your own words" in pilot.app.said


async def test_a_promise_before_other_words_stands_apart_from_them(tmp_path):
    async with at(a_house(tmp_path, {"pack": "iso-10002"})) as pilot:
        await press(pilot, "enter", "r", "1")
        await write(pilot, "We come by at your door")
        await press(pilot, *["left"] * len("at your door"), "f9")
        await write(pilot, "fri")
        await press(pilot, "f5")
        assert pilot.app.screen.body.text.count("We come by Friday, 27 November 2026 at your door\n") == 1


async def test_a_letter_that_the_watch_saw_first_is_counted_once(tmp_path):
    desk = a_pausing_house(tmp_path)
    async with at(desk) as pilot:
        await press(pilot, "enter", "W", "tab")
        await write(pilot, "Only she has it.")
        await press(pilot, "tab")
        await write(pilot, "Please send it.")
        await press(pilot, "f5", "s")
        (letter,) = desk.held()
        pilot.app.hold(letter)
        assert [one.id for one in pilot.app.held] == [letter.id]
        assert "more)" not in lines_of(pilot)[-2]


async def test_a_day_of_another_year_is_whole_in_the_list(tmp_path):
    async with at(a_house(tmp_path, {"pack": "uk-fca-disp"})) as pilot:
        await press(pilot, "d")
        assert any("15 Jan 27 " in line and "FINAL" in line for line in lines_of(pilot))


@pytest.mark.parametrize("key", ["3", "4"])
async def test_what_an_empty_list_says_fits_into_the_smallest_usual_window(tmp_path, key):
    async with at(a_desk(tmp_path)) as pilot:
        await press(pilot, key)
        rows = pilot.app.screen.rows
        assert len(rows.empty) + 3 <= pilot.app.size.width


async def test_the_status_names_every_pack(tmp_path):
    async with at(a_house(tmp_path)) as pilot:
        await press(pilot, "5")
        assert "uk-housing-ombudsman-2024, uk-dp-complaints-2026; working days" in words_of(pilot)


async def test_what_is_offered_more_time_is_cut_with_a_sign_that_it_is(tmp_path):
    async with at(a_house(tmp_path, {"pack": "iso-10002"})) as pilot:
        await press(pilot, "enter", "plus")
        assert any("FINAL" in line and "…" in line for line in lines_of(pilot))


async def test_the_queue_has_no_such_column_where_one_pack_applies(tmp_path):
    async with at(a_house(tmp_path, {"pack": "iso-10002"})) as pilot:
        assert "Rules" not in lines_of(pilot)[2] and "UPDATE" in lines_of(pilot)[3]


async def test_a_reply_can_be_the_acknowledgement_that_only_a_person_can_write(tmp_path):
    desk = a_house(tmp_path)
    async with at(desk) as pilot:
        await press(pilot, "enter", "r", "1")
        text = words_of(pilot)
        assert "1 An ordinary reply" in text and "2 S1 acknowledgement" in text and "meets S1ACK*, S1ACK" in text
        await press(pilot, "2")
        await write(pilot, "You tell us that the heating is off, and want it mended this week.")
        await press(pilot, "f5")
        checks = " ".join(pilot.app.screen.query_one("#checks").text.split())
        assert "See that it says how the complaint was understood" in checks
        assert "It meets S1ACK* and S1ACK when it has left." in checks
        await press(pilot, "s")
        post_all(desk.office, now=NOW + timedelta(minutes=1))
    states = {one.kind: one.state for one in the_case(desk).deadlines}
    assert (states["s1_ack"], states["s1_response"]) == ("met", "open")


async def test_more_time_is_not_offered_for_what_has_passed(tmp_path):
    async with at(a_house(tmp_path, {"pack": "iso-10002"}, days=33)) as pilot:
        await press(pilot, "enter", "plus")
        assert "No deadline that runs here may be given more time" in pilot.app.said
        await press(pilot, "escape", "d")
        while "FINAL" not in why(pilot)[:8]:
            await press(pilot, "down")
        assert "no more: it has passed, and they must be told before; answer it late" in why(pilot)


async def test_a_refusal_that_does_not_fit_into_a_line_is_shown_whole(tmp_path):
    desk = a_house(tmp_path)
    async with at(desk) as pilot:
        await press(pilot, "enter", "e", "2")
        from amends.cases.outcomes import Outcome
        from amends.casework import handling

        case_id = id_of_complainant(desk.office, "Edith Kowalski")
        handling.close(desk.office, case_id, outcome=Outcome.WITHDRAWN, reason="by telephone", actor=SAM, now=NOW)
        await write(pilot, "They moved out")
        await press(pilot, "f5")
        assert "is closed already." in pilot.app.said


def a_review(tmp_path, *, actor):
    """A desk with a case that Amara decided, taken up again for a stage that is for somebody else."""
    from amends.cases.outcomes import Outcome
    from amends.casework import handling

    desk = a_house(tmp_path, actor=actor)
    case_id = id_of_complainant(desk.office, "Edith Kowalski")
    handling.assign(desk.office, case_id, "amara", actor=AMARA, now=NOW)
    words = correspondence.Words(outcome="not upheld", reasons="We were in time.", remedy="", next_steps="")
    letter = correspondence.draft(
        desk.office, case_id, LetterKind.FINAL_RESPONSE, words=words, counts_as="s1_response", actor=AMARA, now=NOW
    )
    finding = correspondence.Finding(Outcome.NOT_UPHELD)
    correspondence.respond(desk.office, letter, finding, actor=AMARA, now=NOW)
    post_all(desk.office, now=NOW)
    post_all(desk.office, now=NOW + timedelta(minutes=1))
    desk.office.wall = lambda: NOW + timedelta(minutes=2)
    handling.reopen(desk.office, case_id, "They disagree.", actor=SAM, now=desk.now())
    return desk


async def test_a_review_is_nobodys_who_was_involved_and_why_is_said_whole(tmp_path):
    desk = a_review(tmp_path, actor=AMARA)
    async with at(desk) as pilot:
        await press(pilot, "A")
        text = words_of(pilot)
        assert "Somebody else must decide this" in text and "was not involved" in text and "--override" not in text
        await press(pilot, "enter")
    assert the_case(desk).row.handler is None


async def test_a_supervisor_lets_somebody_decide_a_review_all_the_same_with_a_reason(tmp_path):
    desk = a_review(tmp_path, actor=SAM)
    async with at(desk) as pilot:
        await press(pilot, "a", "1")
        assert "Let amara decide it all the same?" in words_of(pilot)
        await write(pilot, "Nobody else knows these boilers.")
        await press(pilot, "f5")
        assert "given to amara, on your word." in pilot.app.said
    case = the_case(desk)
    assert case.row.handler == "amara" and "Nobody else knows these boilers." in case.notes[-1].text


async def test_what_was_said_on_one_screen_is_not_said_on_the_next(tmp_path):
    async with at(a_house(tmp_path)) as pilot:
        await press(pilot, "d", "W")
        assert "these rules stop none" in lines_of(pilot)[-2]
        await press(pilot, "5")
        assert "these rules stop none" not in lines_of(pilot)[-2]


async def test_a_pause_whose_letter_came_back_is_told_at_the_top_of_the_case(tmp_path):
    desk = a_pausing_house(tmp_path)
    case_id = the_case(desk).row.id
    moretime.pause(desk.office, case_id, "response", "A statement.", actor=SAM, now=NOW)
    post_all(desk.office, now=NOW + timedelta(minutes=1))
    (notice,) = [one for one in the_case(desk).letters if one.kind == LetterKind.PAUSE]
    report = a_mail(
        sender="mailer-daemon@mx.example.org",
        kind=Kind.BOUNCE,
        failed_message_ids=(notice.message_id,),
        gave_up=True,
        permanent_failure=True,
    )
    file_mail(desk.office, report, now=NOW + timedelta(minutes=2))
    async with at(desk) as pilot:
        await press(pilot, "enter")
        assert "The pause of FINAL is off: its letter came back (3, then C); due " in words_of(pilot)
