"""Bands, words, sizes: what every list says, without a screen."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len

from tui import signs
from tui.signs import Heat, bounds, due_words, heat

LONDON = ZoneInfo("Europe/London")
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
AT = bounds(MONDAY, LONDON)


@pytest.mark.parametrize(
    ("due", "band", "words"),
    [
        (MONDAY - timedelta(minutes=5), Heat.LATE, "5m late"),
        (MONDAY - timedelta(hours=2), Heat.LATE, "2h late"),
        (MONDAY - timedelta(days=3, hours=1), Heat.LATE, "3d late"),
        (MONDAY + timedelta(minutes=45), Heat.TODAY, "45m"),
        (MONDAY + timedelta(hours=8), Heat.TODAY, "17:00"),
        (datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC), Heat.TODAY, "23:59"),
        (datetime(2026, 11, 24, 17, 0, tzinfo=UTC), Heat.SOON, "tomorrow"),
        (datetime(2026, 11, 26, 23, 59, 59, tzinfo=UTC), Heat.SOON, "Thu"),
        (datetime(2026, 11, 27, 9, 0, tzinfo=UTC), Heat.WEEK, "Fri"),
        (datetime(2026, 11, 30, 17, 0, tzinfo=UTC), Heat.WEEK, "30 Nov"),
        (datetime(2026, 12, 19, 17, 0, tzinfo=UTC), Heat.LATER, "19 Dec"),
        (datetime(2027, 1, 9, 17, 0, tzinfo=UTC), Heat.LATER, "9 Jan27"),
        (None, Heat.NONE, ""),
    ],
)
def test_a_deadline_has_a_band_and_a_word(due, band, words):
    assert (heat(due, AT), due_words(due, AT)) == (band, words)
    assert cell_len(words) <= 8
    assert cell_len(signs.SIGNS[band]) == 2


def test_waiting_never_hides_a_clock_that_is_late_or_due_today():
    assert heat(MONDAY - timedelta(days=1), AT, waiting=True) is Heat.LATE
    assert heat(MONDAY + timedelta(hours=1), AT, waiting=True) is Heat.TODAY
    assert heat(MONDAY + timedelta(days=2), AT, waiting=True) is Heat.WAITING
    assert heat(None, AT, waiting=True) is Heat.WAITING


def test_a_closed_case_is_done_however_late_it_was():
    assert heat(MONDAY - timedelta(days=9), AT, is_open=False) is Heat.DONE


def test_three_working_days_on_friday_reach_to_wednesday_and_over_a_holiday_to_thursday():
    friday = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)

    class Closed:
        def is_working_day(self, day: date) -> bool:
            return day.weekday() < 5 and day != date(2026, 11, 30)

    assert bounds(friday, LONDON).soon_end.date() == date(2026, 12, 2)
    assert bounds(friday, LONDON, Closed()).soon_end.date() == date(2026, 12, 3)


def test_the_day_ends_where_the_desk_is():
    late_evening = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)  # 23:30 in London
    at = bounds(late_evening, LONDON)
    assert heat(datetime(2026, 7, 1, 22, 59, tzinfo=UTC), at) is Heat.TODAY
    assert heat(datetime(2026, 7, 1, 23, 1, tzinfo=UTC), at) is Heat.SOON


def test_the_time_left_is_told_on_request():
    assert due_words(MONDAY + timedelta(days=3, hours=4), AT, left=True) == "3d 4h"
    assert due_words(MONDAY + timedelta(minutes=90), AT, left=True) == "1h"


def test_ages_sizes_and_countdowns_are_said_as_people_say_them():
    spans = ({"seconds": 20}, {"minutes": 5}, {"hours": 2}, {"days": 3}, {"days": 30})
    assert [signs.age(MONDAY - timedelta(**span), MONDAY) for span in spans] == ["now", "5m", "2h", "3d", "4w"]
    assert [signs.size(n) for n in (12, 88_000, 1_400_000)] == ["12 B", "88 kB", "1.4 MB"]
    assert signs.countdown(timedelta(seconds=47)) == "0:47"
    assert signs.countdown(timedelta(seconds=-3)) == "0:00"
    assert signs.moment(MONDAY, MONDAY, LONDON) == "Mon 23 Nov 09:00"
    assert signs.moment(datetime(2025, 6, 1, 9, 0, tzinfo=UTC), MONDAY, LONDON) == "Sun 1 Jun 2025 10:00"
