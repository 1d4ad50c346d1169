"""Warnings come when somebody is in the office, and while there is still time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from amends.deadlines.calendar import WorkingCalendar, calendar_for
from amends.deadlines.compute import before
from amends.deadlines.model import Span

WEEKS: tuple[dict[str, list[str]], ...] = (
    {},
    {"mon": ["09:00-12:30", "13:30-17:00"], "tue": ["09:00-12:30", "13:30-17:00"], "fri": ["07:00-11:00"]},
    {"sat": ["10:00-14:00"], "sun": ["22:00-23:30"]},
    {"wed": ["00:30-02:30", "03:00-04:00"]},  # the hours in which the clock is moved
)
UNITS = ("hours", "working_hours", "calendar_days", "working_days", "weeks", "months")


@st.composite
def offices(draw: st.DrawFn) -> WorkingCalendar:
    zone = draw(st.sampled_from(["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]))
    region = draw(st.sampled_from(["GB-ENG", "IE", "DE-BY"]))
    hours = draw(st.sampled_from(WEEKS))
    return calendar_for(region=region, zone=ZoneInfo(zone), hours=hours or None)


INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
SPANS = st.builds(Span, amount=st.integers(0, 30), unit=st.sampled_from(UNITS))


@example(
    calendar_for(region="GB-ENG", zone=ZoneInfo("Australia/Lord_Howe")),
    datetime(2024, 1, 1, 13, tzinfo=UTC),
    Span(amount=0, unit="calendar_days"),
)
@given(offices(), INSTANTS, SPANS)
def test_a_warning_is_never_out_of_hours_and_never_after_its_deadline(
    office: WorkingCalendar, due_at: datetime, span: Span
) -> None:
    at = before(due_at, span, office)
    assert at <= due_at
    day = office.day_of(at)
    assert office.is_working_day(day)
    assert any(begin <= at <= end for begin, end in office.open_spells(day)), (at, office.open_spells(day))
    if span.unit == "hours":
        assert due_at - at >= timedelta(hours=span.amount)
