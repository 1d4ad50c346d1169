"""The queue: what is due first, live, and never moving under the cursor."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from amends.cases.outcomes import Outcome
from amends.casework import handling
from amends.casework.post import Rejected
from amends.ledger import views
from tests.builders import AMARA, AUDREY, NOW, SAM, a_mail, case_of, file_mail, post_all
from tests.tui.desk import a_desk, at, id_of_complainant, lines_of, press, screen_of, settle
from tui.prefs import Prefs


def place(pilot):
    return pilot.app.get_screen("queue")


def row_of(pilot, name):
    return next(line for line in lines_of(pilot) if name in line)


async def test_what_is_due_first_stands_first_with_signs_and_words(tmp_path):
    async with at(a_desk(tmp_path)) as pilot:
        lines = lines_of(pilot)
        assert "mail ok" in lines[0] and "09:00" in lines[0] and "amara" in lines[0]
        assert "All open" in lines[1] and "12" in lines[1] and "!! 1 late" in lines[1]
        assert lines[3].startswith(">") and "!! 4d late" in lines[3] and " V" in lines[3] and "Edith" in lines[3]
        assert "* !  23:59" in lines[4]
        assert "▲  tomorrow" in lines[5]
        assert "=  3 Dec" in row_of(pilot, "Ines Ivanov") and "waits for third" in row_of(pilot, "Ines Ivanov")
        assert lines[-1].startswith(" ?=Help")


@pytest.mark.parametrize(
    ("actor", "keys", "said"),
    [
        (AMARA, ["W"], "W=Pause works in a case. Open it first: Enter."),
        (AMARA, ["d", "o"], "o=Files works in a case."),
        (AUDREY, ["n"], "audrey is an auditor: you may read everything and change nothing."),
        (AUDREY, ["j"], ""),
    ],
)
async def test_a_key_that_does_nothing_says_why_in_the_status_line(tmp_path, actor, keys, said):
    async with at(a_desk(tmp_path, actor=actor)) as pilot:
        await press(pilot, *keys)
        assert pilot.app.said == said and (not said or said in lines_of(pilot)[-2])


async def test_a_wide_window_shows_the_case_beside_the_list(tmp_path):
    async with at(a_desk(tmp_path), size=(140, 40)) as pilot:
        await press(pilot, "down")
        await pilot.pause(0.3)
        await settle(pilot)
        assert "You promised a refund of £35" in screen_of(pilot)
        await press(pilot, "i")
        assert "You promised a refund of £35" not in screen_of(pilot)


async def test_new_mail_is_announced_and_the_cursor_stays_on_its_case(tmp_path):
    desk = a_desk(tmp_path)
    async with at(desk) as pilot:
        await press(pilot, "down", "down")
        before = place(pilot).cases.current
        file_mail(
            desk.office, a_mail(sender="new@example.org", name="Nora New", subject="Late"), now=NOW - timedelta(days=60)
        )
        await wait_for(pilot, lambda: place(pilot).new == 1)
        assert "1 new: ." in lines_of(pilot)[1] and "Nora New" not in screen_of(pilot)
        await press(pilot, "full_stop")
        assert "Nora New" in screen_of(pilot)
        assert place(pilot).cases.current == before
        assert place(pilot).new == 0


async def test_a_change_by_somebody_else_is_drawn_where_the_row_stands(tmp_path):
    desk = a_desk(tmp_path)
    async with at(desk) as pilot:
        sami = id_of_complainant(desk.office, "Sami Tanaka")
        handling.assign(desk.office, sami, "sam", actor=SAM, now=NOW)
        await wait_for(pilot, lambda: row_of(pilot, "Sami Tanaka").endswith("sam"))
        assert place(pilot).cases.current_row.complainant_name == "Edith Kowalski"


async def test_a_case_that_left_the_view_stays_and_says_why_until_the_list_is_made_anew(tmp_path):
    desk = a_desk(tmp_path)
    async with at(desk, prefs=Prefs(look="night", view="nobody")) as pilot:
        assert "Nobody's" in lines_of(pilot)[1]
        sami = id_of_complainant(desk.office, "Sami Tanaka")
        handling.assign(desk.office, sami, "sam", actor=SAM, now=NOW)
        await wait_for(pilot, lambda: "now sam's" in row_of(pilot, "Sami Tanaka"))
        await press(pilot, "full_stop")
        assert "Sami Tanaka" not in screen_of(pilot)


async def test_views_are_chosen_by_number_and_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    desk = a_desk(tmp_path)
    async with at(desk) as pilot:
        await press(pilot, "v", "2")
        assert "My open" in lines_of(pilot)[1]
        names = {place(pilot).cases.known(key).complainant_name for key in place(pilot).cases.keys}
        assert names == {"Edith Kowalski", "Uma Jansen", "Dana Yilmaz", "Ines Ivanov"}
    from tui import prefs

    assert prefs.load().view == "mine"


async def test_an_empty_view_says_what_to_do(tmp_path):
    async with at(a_desk(tmp_path)) as pilot:
        await press(pilot, "v", *["down"] * 8, "enter")
        assert "No cases here. Press v for another view." in screen_of(pilot)


async def test_marked_cases_are_given_to_somebody_in_one_go_and_taken_back_with_u(tmp_path):
    desk = a_desk(tmp_path)
    async with at(desk) as pilot:
        await press(pilot, "down", "x", "down", "down", "X")
        assert "3 marked" in lines_of(pilot)[1] or "4 marked" in lines_of(pilot)[1]
        chosen = place(pilot).chosen()
        before = {key: place(pilot).row_of(key).handler for key in chosen}
        await press(pilot, "a", "2")
        assert f"{len(chosen)} cases given to sam. u=Undo" in pilot.app.said
        assert {case_of(desk.office, key).row.handler for key in chosen} == {"sam"}
        await press(pilot, "u")
        assert {key: case_of(desk.office, key).row.handler for key in chosen} == before
        assert pilot.app.said.startswith("Undone:")


async def test_escape_takes_the_marks_away_before_anything_else(tmp_path):
    async with at(a_desk(tmp_path)) as pilot:
        await press(pilot, "x", "escape")
        assert not place(pilot).cases.marked and pilot.app.screen is place(pilot)
        await press(pilot, "escape")
        assert "Leave Amends?" in screen_of(pilot)
        await press(pilot, "enter")  # the safe answer
        assert pilot.app.screen is place(pilot)


async def test_take_gives_the_case_under_the_cursor_to_me(tmp_path):
    desk = a_desk(tmp_path)
    async with at(desk) as pilot:
        await press(pilot, "down", "A")
        assert case_of(desk.office, id_of_complainant(desk.office, "Sami Tanaka")).row.handler == "amara"


async def test_ten_thousand_rows_scroll_by_page_and_end(tmp_path):
    desk = a_desk(tmp_path)
    many(desk.office, 10_000)
    async with at(desk) as pilot:
        assert "10,012" in lines_of(pilot)[1]
        await press(pilot, "end")
        assert place(pilot).cases.cursor == 10_011
        assert lines_of(pilot)[-3].startswith(">") and "…" not in lines_of(pilot)[-4][:12]
        await press(pilot, "pageup", "home")
        assert place(pilot).cases.cursor == 0


async def test_an_auditor_sees_everything_and_is_offered_no_verb(tmp_path):
    desk = a_desk(tmp_path, actor=AUDREY)
    async with at(desk) as pilot:
        assert "n=Note" not in lines_of(pilot)[-1]
        await press(pilot, "down", "n")
        assert pilot.app.screen is place(pilot)
        await press(pilot, "enter")
        assert case_of(desk.office, id_of_complainant(desk.office, "Sami Tanaka")).row.unread == 1


async def test_an_empty_store_says_what_the_operator_must_do(tmp_path):
    from amends.ledger.book import Book
    from tests.builders import some_settings
    from tui.desk import Desk

    settings = some_settings(tmp_path, url=f"sqlite:///{tmp_path / 'empty.db'}")
    desk = Desk(
        __import__("amends.casework.office", fromlist=["Office"]).Office(settings, Book(settings.database_url())), AMARA
    )
    async with at(desk) as pilot:
        assert "amendsd migrate" in screen_of(pilot)


async def test_a_small_window_says_one_sentence(tmp_path):
    async with at(a_desk(tmp_path), size=(52, 12)) as pilot:
        assert "Window too small: 52x12" in screen_of(pilot)
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert "Window too small" not in screen_of(pilot) and "Edith Kowalski" in screen_of(pilot)


@pytest.mark.parametrize("width", [60, 70, 79, 80, 100, 119, 120, 140])
async def test_every_width_keeps_sign_due_reference_and_name(tmp_path, width):
    async with at(a_desk(tmp_path), size=(width, 24)) as pilot:
        row = row_of(pilot, "Edith")
        assert "!! 4d late" in row and "000001-10" in row
        assert all(len(line) <= width for line in lines_of(pilot))


async def test_help_is_searched_and_runs_what_is_chosen(tmp_path):
    async with at(a_desk(tmp_path)) as pilot:
        await press(pilot, "question_mark", *"colleagues", "enter")
        assert "Note on 000001-10 Edith Kowalski" in screen_of(pilot)


async def test_the_palette_has_our_commands_and_no_screenshot(tmp_path):
    async with at(a_desk(tmp_path)) as pilot:
        await press(pilot, "colon")
        await pilot.pause(0.2)
        assert "Next mail" not in screen_of(pilot)
        await press(pilot, *"screenshot")
        await pilot.pause(0.3)
        assert "Save" not in screen_of(pilot)


async def test_the_palette_runs_what_was_found_by_its_words(tmp_path):
    async with at(a_desk(tmp_path)) as pilot:
        await press(pilot, "colon", *"colleagues")
        assert "Commands" in screen_of(pilot) and " n " in screen_of(pilot)
        await press(pilot, "enter")
        assert "Note on 000001-10 Edith Kowalski" in screen_of(pilot)


async def test_the_titles_stand_over_their_columns(tmp_path):
    for width in (80, 120):
        async with at(a_desk(tmp_path), size=(width, 24)) as pilot:
            head, row = lines_of(pilot)[2], row_of(pilot, "Edith Kowalski")
            assert head.index("Due") == row.index("4d late") and head.index("Clock") == row.index("FINAL")
            assert head.index("Complainant") == row.index("Edith") and "…" not in head


async def test_in_a_narrow_window_the_case_opens_over_the_list_and_the_pane_stays_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    async with at(a_desk(tmp_path)) as pilot:
        await press(pilot, "i")
        assert "The boiler has been off since Friday" in screen_of(pilot) and pilot.app.prefs.pane
        await press(pilot, "escape")
        assert pilot.app.screen is place(pilot)
        await press(pilot, "i", "enter")
        assert "NW-2026-000001-10" in lines_of(pilot)[1]
    async with at(a_desk(tmp_path), size=(140, 24)) as pilot:
        await press(pilot, "i")
        assert not pilot.app.prefs.pane and "received" not in screen_of(pilot)


async def test_whoever_comes_back_from_a_case_sees_the_order_of_now_on_the_same_case(tmp_path):
    desk = a_desk(tmp_path)
    async with at(desk) as pilot:
        await press(pilot, "down", "enter")
        edith = id_of_complainant(desk.office, "Edith Kowalski")
        handling.close(desk.office, edith, outcome=Outcome.WITHDRAWN, reason="by telephone", actor=SAM, now=NOW)
        await press(pilot, "left")
        await settle(pilot)
        assert "Edith Kowalski" not in screen_of(pilot)
        assert place(pilot).cases.current_row.complainant_name == "Sami Tanaka"


async def test_a_letter_that_did_not_arrive_stands_first_also_on_a_closed_case(tmp_path):
    desk = a_desk(tmp_path)
    file_mail(desk.office, a_mail(sender="gone@exmaple.org", name="Gone Away", subject="Noise"), now=NOW)
    post_all(desk.office, now=NOW, result=Rejected("550 5.1.2 no such domain"))
    gone = id_of_complainant(desk.office, "Gone Away")
    handling.close(desk.office, gone, outcome=Outcome.WITHDRAWN, reason="by telephone", actor=SAM, now=NOW)
    async with at(desk) as pilot:
        first = lines_of(pilot)[3]
        assert "!! closed" in first and "Gone Away" in first and "NOT DELIVERED" in first


async def test_a_reference_or_its_number_opens_the_case(tmp_path):
    async with at(a_desk(tmp_path)) as pilot:
        await press(pilot, "number_sign", "2", "enter")
        assert "NW-2026-000002-07" in lines_of(pilot)[1]
        await press(pilot, "left", "number_sign", *"9999", "enter")
        assert "There is no case 9999" in pilot.app.said


async def test_times_are_shown_as_what_is_left_on_request(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    async with at(a_desk(tmp_path)) as pilot:
        await press(pilot, "T")
        assert "1d 14h" in row_of(pilot, "Dana Yilmaz")


async def wait_for(pilot, seen, seconds=180.0):
    import time

    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, screen_of(pilot)
        await pilot.pause(0.05)
        await settle(pilot)


def many(office, number):
    """So many more open cases, due one after the other, straight into the store."""
    from sqlalchemy import insert

    from amends.ledger.tables import Case

    same = {"prefix": "NW", "year": 2026, "salt": "", "language": "en", "stage": "received", "received_at": NOW}
    same |= {"opened_at": NOW, "pack": "iso-10002-default", "pack_version": "1", "next_deadline": "response"}
    rows = [
        {
            **same,
            "reference": f"NW-2026-{serial:06d}-00",
            "serial": serial,
            "subject": f"Case {serial}",
            "complainant_name": f"Person {serial}",
            "complainant_address": f"p{serial}@example.org",
            "next_due_at": NOW + timedelta(days=30, minutes=serial),
        }
        for serial in range(1000, 1000 + number)
    ]
    with office.book.write() as session:
        session.connection().execute(insert(Case), rows)
    with office.book.read() as session:
        assert len(views.queue_ids(session, views.View())) == number + 12


async def test_a_case_that_cannot_be_read_is_told_in_its_line_and_the_others_are_shown(tmp_path):
    desk = a_desk(tmp_path)
    case_id = id_of_complainant(desk.office, "Edith Kowalski")
    with desk.office.book.write() as session:
        session.connection().execute(text("UPDATE cases SET received_at = 'garbage' WHERE id = :id"), {"id": case_id})
    async with at(desk) as pilot:
        await wait_for(pilot, lambda: "This case cannot be read; run: amendsd verify" in screen_of(pilot))
        assert "Edith" not in screen_of(pilot) and "Ines Ivanov" in screen_of(pilot)
        await press(pilot, "enter")
        assert "A date in the database cannot be read; run: amendsd verify" in screen_of(pilot)
