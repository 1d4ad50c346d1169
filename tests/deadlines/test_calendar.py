"""Working time: days, hours, the two changes of the clock, and the turn of the year."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends.deadlines.calendar import WorkingCalendar, calendar_for
from amends.kernel.errors import ConfigError

LONDON = ZoneInfo("Europe/London")
ENGLAND = calendar_for(region="GB-ENG", zone=LONDON)
days = st.dates(date(2000, 1, 1), date(2060, 1, 1))
zones = st.sampled_from(["Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"])
instants = st.datetimes(datetime(2012, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


def test_weekends_and_holidays_of_the_region_do_not_count():
    assert ENGLAND.not_working_because(date(2026, 12, 25)) == "Christmas Day"
    assert ENGLAND.not_working_because(date(2026, 11, 28)) == "Saturday"
    assert ENGLAND.is_working_day(date(2026, 11, 30))
    scotland = calendar_for(region="GB-SCT", zone=LONDON)
    assert not scotland.is_working_day(date(2026, 11, 30))  # Saint Andrew's Day
    assert calendar_for(region="none", zone=LONDON).is_working_day(date(2026, 12, 25))


def test_own_closures_and_openings_go_before_everything():
    own = calendar_for(region="GB-ENG", zone=LONDON, closures=["2026-12-24"], openings=["2026-12-26"])
    assert own.not_working_because(date(2026, 12, 24)) == "closed"
    assert own.is_working_day(date(2026, 12, 26))


@given(days)
def test_the_working_days_after_and_before_a_day_are_each_others(day):
    after = list(islice(ENGLAND.working_days_after(day), 25))
    assert after == sorted(set(after)) and after[0] > day
    assert all(ENGLAND.is_working_day(one) for one in after)
    back = list(islice(ENGLAND.working_days_before(after[-1]), 24))
    assert back == after[-2::-1]
    gaps = [one for n in range((after[-1] - day).days) if (one := day + timedelta(days=n + 1)) not in after]
    assert not any(ENGLAND.is_working_day(one) for one in gaps)


@given(days, zones)
def test_a_day_ends_with_its_last_second_in_its_own_zone(day, zone):
    calendar = WorkingCalendar(ZoneInfo(zone))
    end = calendar.end_of(day)
    assert end.tzinfo is UTC
    if zone != "Pacific/Apia" or day != date(2011, 12, 30):
        assert calendar.day_of(end) == day
        assert calendar.day_of(end + timedelta(seconds=1)) > day


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)])
def test_a_day_of_the_change_of_the_clock_is_as_long_as_it_is(day, hours):
    start = ENGLAND.end_of(day - timedelta(days=1))
    assert ENGLAND.end_of(day) - start == timedelta(hours=hours)


def test_a_time_that_is_skipped_or_comes_twice_is_still_one_instant():
    assert ENGLAND.at(date(2026, 3, 29), time(1, 30)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert ENGLAND.at(date(2026, 10, 25), time(1, 30)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the first


def test_mail_out_of_hours_counts_as_the_next_working_days():
    def came(*when, rule="next_working_day"):
        return ENGLAND.day_of_receipt(datetime(*when, tzinfo=LONDON), out_of_hours=rule)

    assert came(2026, 11, 27, 16, 59) == date(2026, 11, 27)
    assert came(2026, 11, 27, 17, 0) == date(2026, 11, 30)
    assert came(2026, 11, 28, 10, 0) == date(2026, 11, 30)
    assert came(2026, 12, 24, 17, 30) == date(2026, 12, 29)
    assert came(2026, 11, 27, 23, 0, rule="actual") == date(2026, 11, 27)
    assert came(2026, 11, 27, 23, 0, rule="working_day") == date(2026, 11, 27)
    assert came(2026, 11, 28, 10, 0, rule="working_day") == date(2026, 11, 30)


@given(instants, zones)
def test_nobody_is_warned_out_of_office_hours(instant, zone):
    calendar = calendar_for(region="GB-ENG", zone=ZoneInfo(zone))
    moved = calendar.in_office_hours(instant)
    local = moved.astimezone(calendar.zone)
    assert moved <= instant
    assert calendar.is_working_day(local.date())
    assert any(begin <= local.time() <= end for begin, end in calendar.hours_of(local.date()))
    assert calendar.in_office_hours(moved) == moved


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"region": "GBRR"}, "'GBRR' is no region the holidays library knows; did you mean GBR"),
        ({"region": "GB-XXX"}, "'GB-XXX' is not a part of GB; it has ENG"),
        ({"region": "GB", "closures": ["24.12.2026"]}, "organisation.closures: .*write days like 2026-12-24"),
        ({"region": "GB", "openings": ["26.12.2026"]}, "^organisation.openings: .*write days like 2026-12-24"),
        ({"region": "GB", "opens": "17:00", "closes": "09:00"}, "17:00 is not before organisation.closes"),
    ],
)
def test_a_wrong_calendar_is_one_sentence_with_its_key(how, words):
    with pytest.raises(ConfigError, match=words):
        calendar_for(zone=LONDON, **how)


def test_a_calendar_without_any_working_day_is_a_mistake_and_no_endless_search():
    shut = WorkingCalendar(LONDON, closures=frozenset(date(2026, 1, 1) + timedelta(days=n) for n in range(800)))
    with pytest.raises(ConfigError, match="no working day in a whole year"):
        shut.this_or_next_working_day(date(2026, 1, 1))
