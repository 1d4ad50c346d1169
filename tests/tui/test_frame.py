"""The four lines, budgeted for 80 columns; the looks, readable for everybody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len

from amends.ledger.views import Counts, DutyView, Tally
from tests.builders import NOW
from tui import frame, health, theme
from tui.health import Health, mail_health

LONDON = ZoneInfo("Europe/London")
WELL = Health("mail ok", "bar", "")
BUSY = Tally(12, 345, 678, 9, 12, None)


def a_top(**more):
    top = frame.Top("queue", WELL, BUSY, NOW, LONDON, "amara", "Amara Osei")
    return replace(top, **more)


@pytest.mark.parametrize("width", [60, 70, 80, 100, 120, 140, 200])
@pytest.mark.parametrize(
    "words", ["mail ok", "mail DOWN since 09:14 !!", "mail OFF since 09:14 !!", "DATA FROM 13:52 !!"]
)
@pytest.mark.parametrize("demonstration", [True, False])
def test_the_first_line_fits_and_never_cuts_the_health_of_the_mail(width, words, demonstration):
    top = a_top(health=Health(words, "late", ""), login="a-very-long-login-name", demonstration=demonstration)
    left, right = frame.top_line(top, width)
    line = "".join(part.words for part in (*left, *right))
    assert cell_len(line) <= width
    assert words in line


def test_letters_that_need_somebody_are_counted_before_those_on_their_way():
    line = "".join(part.words for part in frame.top_line(a_top(), 140)[0])
    assert "3 Outbox!21" in line and "4 Tray·357" in line
    line = "".join(part.words for part in frame.top_line(a_top(tally=replace(BUSY, failed=0, uncertain=0)), 140)[0])
    assert "3 Outbox·678" in line


def test_the_second_line_says_signs_and_words():
    left, right = frame.queue_title("My open", Counts(412, 5, 6, 8), marked=2, new=3, width=80)
    line = "".join(part.words for part in (*left, *right))
    for words in ("My open", "412", "!! 5 late", "! 6 today", "▲ 8 soon", "2 marked", "3 new: ."):
        assert words in line
    assert cell_len(line) <= 80


def test_the_countdown_says_how_to_undo_and_tells_when_the_mail_service_is_off():
    held = frame.Held("A. Rossi", NOW + timedelta(seconds=47))
    assert frame.held_words(held, NOW, speed=1.0, sending=True) == "Letter to A. Rossi leaves in 0:47 - press u to undo"
    fast = frame.Held("A. Rossi", NOW + timedelta(seconds=470), more=2)
    assert "(and 2 more) leaves in 0:47" in frame.held_words(fast, NOW, speed=10.0, sending=True)
    assert "waits for the mail service" in frame.held_words(held, NOW, speed=1.0, sending=False)


def a_duty(name="intake.complaints", state="running", silent=timedelta(), error=None):
    return DutyView(name, state, NOW - timedelta(hours=1), NOW - silent, error, {})


def test_mail_is_well_when_every_duty_was_heard_of_within_a_minute():
    assert mail_health([a_duty(), a_duty("outbox")], now=NOW, zone=LONDON).words == "mail ok"


def test_a_daemon_that_never_ran_or_stopped_is_named_and_holds_the_letters():
    for duties in ([], [a_duty(silent=timedelta(minutes=2)), a_duty("outbox", silent=timedelta(hours=1))]):
        found = mail_health(duties, now=NOW, zone=LONDON)
        assert "mail OFF" in found.words and not found.sending and "amendsd" in found.story


def test_a_failing_duty_says_since_when_and_why():
    found = mail_health([a_duty(state="failing", error="IMAP login refused"), a_duty("outbox")], now=NOW, zone=LONDON)
    assert found.words == "mail DOWN since 08:00 !!" and "IMAP login refused" in found.story and found.sending
    assert not mail_health([a_duty(), a_duty("outbox", "failing")], now=NOW, zone=LONDON).sending


def test_one_silent_duty_among_others_is_stale():
    found = mail_health([a_duty(), a_duty("outbox", silent=timedelta(minutes=3))], now=NOW, zone=LONDON)
    assert found.words == "mail STALE !" and not found.sending


def test_a_store_that_is_away_says_from_when_the_data_are():
    assert health.away(NOW, LONDON, "The disk is gone.").words == "DATA FROM 09:00 !!"


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("look", ["night", "day", "high contrast"])
def test_every_colour_can_be_read_on_every_ground_it_stands_on(look):
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    colours = theme.LOOKS[look].variables
    inks = ("ink", "dim", "red", "orange", "blue", "amber", "green", "violet")
    for ground in ("ground", "bar-ground", "row-ground"):
        for ink in inks:
            found = _contrast(colours[f"am-{ink}"], colours[f"am-{ground}"])
            assert found >= 4.5, (ink, ground, round(found, 1))
    assert _contrast(colours["am-sign-ink"], colours["am-red"]) >= 4.5


def test_the_look_follows_the_terminal_then_the_person():
    rich = {"TERM": "xterm-256color"}
    assert theme.look_for(rich) == "night"
    assert theme.look_for(rich, wanted="day") == "day"
    assert theme.look_for(rich, wanted="nonsense") == "night"
    assert theme.look_for({"TERM": "linux"}, wanted="day") == "16 colours"
    assert theme.look_for({"TERM": "linux"}, wanted="no colour") == "no colour"
    assert theme.look_for({**rich, "NO_COLOR": "1"}, wanted="day") == "no colour"
