"""The arithmetic of pauses: how long one may last, and what it does to a date that somebody set."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends.deadlines.calendar import WorkingCalendar
from amends.deadlines.compute import Due, Paused, delayed, due, pause_ends, stood_still
from amends.deadlines.model import Pause, Rule, Span
from amends.kernel.errors import Refused

LONDON = ZoneInfo("Europe/London")
CALENDAR = WorkingCalendar(LONDON, holidays={date(2026, 12, 25): "Christmas Day", date(2026, 12, 28): "Boxing Day"})


def at(day: int, hour: int = 9, *, month: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def a_pause(amount: int, unit: str) -> Pause:
    return Pause(reason="r", most=Span(amount=amount, unit=unit), basis="Rule 2", confidence="verified")


def a_rule(amount: int, unit: str, *, pause: Pause | None = None) -> Rule:
    return Rule(
        id="response",
        label="FINAL",
        action="Answer",
        amount=amount,
        unit=unit,
        basis="Rule 1",
        confidence="verified",
        pause=pause or a_pause(10, "calendar_days"),
    )


def stop(begin: datetime, end: datetime) -> Paused:
    return Paused(begin, end, "a document", "sam")


@pytest.mark.parametrize(
    ("amount", "unit", "before", "expected"),
    [
        (10, "calendar_days", [], datetime(2026, 12, 11, 23, 59, 59, tzinfo=UTC)),  # from Tuesday, 1 December
        (2, "weeks", [], datetime(2026, 12, 15, 23, 59, 59, tzinfo=UTC)),
        (1, "months", [], datetime(2027, 1, 1, 23, 59, 59, tzinfo=UTC)),
        (5, "working_days", [], datetime(2026, 12, 8, 23, 59, 59, tzinfo=UTC)),
        (20, "working_days", [], datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),  # over Christmas
        (36, "hours", [], at(2, 21)),
        (10, "working_hours", [], at(2, 11)),  # eight on Tuesday, two on Wednesday
        (10, "calendar_days", [(at(20, month=11), at(23, month=11))], datetime(2026, 12, 8, 23, 59, 59, tzinfo=UTC)),
        (5, "working_days", [(at(20, month=11), at(23, month=11))], datetime(2026, 12, 7, 23, 59, 59, tzinfo=UTC)),
        (36, "hours", [(at(20, month=11), at(21, month=11))], at(1, 21)),
        (10, "working_hours", [(at(20, month=11), at(20, 13, month=11))], at(1, 15)),
    ],
)
def test_a_pause_is_over_when_what_earlier_ones_left_of_it_is_used_up(amount, unit, before, expected):
    stops = [stop(*one) for one in before]
    assert pause_ends(a_pause(amount, unit), at(1), CALENDAR, before=stops) == expected


def test_a_pause_in_summer_ends_by_the_clocks_of_summer():
    most = a_pause(2, "calendar_days")
    assert pause_ends(most, at(1, month=7), CALENDAR) == datetime(2026, 7, 3, 22, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(("amount", "unit"), [(3, "calendar_days"), (1, "working_days"), (72, "hours")])
def test_where_nothing_is_left_it_is_refused(amount, unit):
    with pytest.raises(Refused, match=r"has stood still for .*, and Rule 2 allows no more"):
        pause_ends(a_pause(amount, unit), at(1), CALENDAR, before=[stop(at(20, month=11), at(23, month=11))])


@pytest.mark.parametrize(
    ("unit", "end", "expected"),
    [
        ("working_days", at(8), datetime(2026, 12, 30, 23, 59, 59, tzinfo=UTC)),  # five: 22, 23, 24, 29, 30
        ("calendar_days", at(8), datetime(2026, 12, 28, 23, 59, 59, tzinfo=UTC)),  # seven
        ("weeks", at(8), datetime(2026, 12, 28, 23, 59, 59, tzinfo=UTC)),
        ("hours", at(1, 19), datetime(2026, 12, 22, 9, 59, 59, tzinfo=UTC)),
        ("working_hours", at(2, 10), datetime(2026, 12, 23, 10, tzinfo=UTC)),  # nine: eight on the 22nd, and one
        ("working_days", at(1, 12), datetime(2026, 12, 21, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_date_that_an_extension_set_is_later_by_the_pause(unit, end, expected):
    set_to = Due(datetime(2026, 12, 21, 23, 59, 59, tzinfo=UTC), date(2026, 12, 21), ("moved",))
    found = delayed(a_rule(20, unit), set_to, stop(at(1), end), CALENDAR)
    assert found.due_at == expected and found.derivation[:1] == ("moved",)
    assert "(a document, approved by sam)" in found.derivation[1]


@given(begin=st.integers(1, 9), hours=st.integers(0, 400), amount=st.integers(10, 40))
def test_a_pause_after_the_start_delays_a_set_date_as_much_as_a_counted_one(begin, hours, amount):
    """For days: what `due` finds with the pause is what `delayed` makes of what it finds without."""
    begins_at = at(1) + timedelta(days=begin)
    paused = stop(begins_at, begins_at + timedelta(hours=hours))
    for unit in ("working_days", "calendar_days"):
        rule = a_rule(amount, unit)
        plain, late = due(rule, at(1), CALENDAR), due(rule, at(1), CALENDAR, pauses=[paused])
        assert plain is not None and late is not None
        if begins_at <= plain.due_at:
            assert delayed(rule, plain, paused, CALENDAR).due_at == late.due_at


@given(hours=st.integers(0, 2000), amount=st.integers(1, 30))
def test_the_longest_pause_stands_still_for_so_many_days_and_no_more(hours, amount):
    begins_at = at(1) + timedelta(hours=hours)
    end = pause_ends(a_pause(amount, "calendar_days"), begins_at, CALENDAR)
    assert end is not None and stood_still(stop(begins_at, end), CALENDAR) == amount
