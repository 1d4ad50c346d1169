"""Days and instants as people write them; what nobody can tell is refused with how it is written."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from amends.kernel.errors import Refused
from tui.when import day_in_words, day_said, instant_said

MONDAY = date(2026, 11, 23)
LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "day"),
    [
        ("2027-01-08", date(2027, 1, 8)),
        ("8 Jan", date(2027, 1, 8)),
        ("8 January 2027", date(2027, 1, 8)),
        ("Fri 8 Jan 2027", date(2027, 1, 8)),
        ("January 8, 2027", date(2027, 1, 8)),
        ("8th jan", date(2027, 1, 8)),
        ("8.1.2027", date(2027, 1, 8)),
        ("24.12.", date(2026, 12, 24)),
        ("23 nov", MONDAY),
        ("22 nov", date(2027, 11, 22)),
        ("friday", date(2026, 11, 27)),
        ("mon", date(2026, 11, 30)),
        ("tomorrow", date(2026, 11, 24)),
        ("in 10 days", date(2026, 12, 3)),
        ("+2 weeks", date(2026, 12, 7)),
        ("+10", date(2026, 12, 3)),
        ("29 feb", None),
        ("8/1/2027", None),
        ("31 june 2027", None),
        ("j 8", None),
        ("", None),
        ("soon", None),
    ],
)
def test_a_day_to_come_is_understood_or_refused(words, day):
    if day is None:
        with pytest.raises(Refused, match="Write a day like"):
            day_said(words, MONDAY)
    else:
        assert day_said(words, MONDAY) == day


@pytest.mark.parametrize(
    ("words", "day"),
    [
        ("friday", date(2026, 11, 20)),
        ("monday", MONDAY),
        ("24 dec", date(2025, 12, 24)),
        ("20 nov", date(2026, 11, 20)),
    ],
)
def test_a_day_that_has_been_is_the_last_one_of_its_name(words, day):
    assert day_said(words, MONDAY, past=True) == day


@pytest.mark.parametrize(
    ("words", "local"),
    [
        ("now", "2026-11-23T09:00"),
        ("", "2026-11-23T09:00"),
        ("today", "2026-11-23T09:00"),
        ("8:15", "2026-11-23T08:15"),
        ("at 8.15", "2026-11-23T08:15"),
        ("yesterday 14:30", "2026-11-22T14:30"),
        ("yesterday at 2pm", "2026-11-22T14:00"),
        ("friday", "2026-11-20T12:00"),
        ("20 Nov 9:00", "2026-11-20T09:00"),
        ("20 nov 2026 9am", "2026-11-20T09:00"),
        ("2026-11-20 09:00", "2026-11-20T09:00"),
        ("2026-11-20T09:00", "2026-11-20T09:00"),
        ("20.11.2026", "2026-11-20T12:00"),
        ("20.11. 17:05", "2026-11-20T17:05"),
    ],
)
def test_an_instant_that_has_been_is_understood(words, local):
    assert f"{instant_said(words, NOW, LONDON).astimezone(LONDON):%Y-%m-%dT%H:%M}" == local


@pytest.mark.parametrize("words", ["whenever", "25:00", "friday 9", "99 nov 9:00"])
def test_an_instant_that_nobody_can_tell_is_refused(words):
    with pytest.raises(Refused, match="Write now"):
        instant_said(words, NOW, LONDON)


def test_an_instant_that_no_calendar_holds_in_utc_is_refused():
    with pytest.raises(Refused, match="Write now"):
        instant_said("9999-12-31 23:00", NOW, ZoneInfo("America/New_York"))


def test_summer_time_is_of_the_zone():
    assert instant_said("1 july 2026 10:00", NOW, LONDON) == datetime(2026, 7, 1, 9, 0, tzinfo=UTC)


def test_what_was_understood_is_said_back():
    assert day_in_words(date(2027, 1, 8), MONDAY) == "Fri 8 Jan 2027, in 46 days"
    assert day_in_words(date(2026, 11, 24), MONDAY) == "Tue 24 Nov 2026, tomorrow"
