"""Working time as a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.simulate.hours import WorkingTime
from tests.daemon.simulate.scenes import CALENDAR, MONDAY, at

_MOMENTS = st.datetimes(datetime(2027, 3, 1), datetime(2027, 4, 10), timezones=st.just(UTC))


def test_work_that_does_not_fit_into_a_day_goes_on_on_the_next() -> None:
    hours = WorkingTime(CALENDAR, MONDAY)
    assert hours.after(at(1, 9), timedelta(hours=2)) == at(1, 11)
    assert hours.after(at(1, 16), timedelta(hours=2)) == at(2, 10)
    assert hours.after(at(5, 16), timedelta(hours=9)) == at(8, 17)
    assert hours.after(at(6, 12), timedelta(minutes=15)) == at(8, 9, 15)


def test_the_office_opens_in_the_morning_and_is_closed_from_its_last_second_on() -> None:
    hours = WorkingTime(CALENDAR, MONDAY)
    assert hours.opening(at(1, 3)) == at(1, 9)
    assert hours.opening(at(1, 12, 30)) == at(1, 12, 30)
    assert hours.opening(at(1, 17)) == at(2, 9)
    assert hours.opening(at(5, 18)) == at(8, 9)


@given(begin=_MOMENTS, minutes=st.integers(0, 10_000))
def test_the_working_time_until_work_is_done_is_the_effort(begin: datetime, minutes: int) -> None:
    hours = WorkingTime(CALENDAR, MONDAY)
    effort = timedelta(minutes=minutes)
    end = hours.after(begin, effort)
    assert hours.between(begin, end) == effort
    assert end >= begin


@settings(max_examples=30, deadline=None)
@given(begin=_MOMENTS, minutes=st.integers(0, 8_000))
def test_the_line_is_what_a_walk_over_the_minutes_counts(begin: datetime, minutes: int) -> None:
    hours = WorkingTime(CALENDAR, MONDAY)
    begin = begin.replace(second=0, microsecond=0)
    end = begin + timedelta(minutes=minutes)
    walked, now = 0, begin
    while now < end:
        walked += now.weekday() < 5 and 9 <= now.astimezone(CALENDAR.zone).hour < 17
        now += timedelta(minutes=1)
    assert hours.between(begin, end) == timedelta(minutes=walked)
