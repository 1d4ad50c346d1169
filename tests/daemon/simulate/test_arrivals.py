"""When complaints come."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from daemon.simulate.arrivals import arrivals, count_of
from tests.daemon.simulate.scenes import CALENDAR, MONDAY


@pytest.mark.parametrize(
    ("days", "a_day", "count"), [(40, 12, 480), (1, 0.5, 1), (1, 0.4, 0), (3, 0.5, 2), (7, 40 / 7, 40), (90, 0, 0)]
)
def test_as_many_come_as_were_asked_for(days: int, a_day: float, count: int) -> None:
    assert count_of(days, a_day) == count
    assert len(arrivals(MONDAY, days, a_day, CALENDAR, seed=1)) == count


def test_they_come_in_order_within_the_days_and_the_same_for_the_same_seed() -> None:
    come = arrivals(MONDAY, 10, 20, CALENDAR, seed=7)
    assert come == sorted(come) == arrivals(MONDAY, 10, 20, CALENDAR, seed=7)
    assert come != arrivals(MONDAY, 10, 20, CALENDAR, seed=8)
    assert {CALENDAR.day_of(one) for one in come} <= {date(2027, 3, day) for day in range(1, 11)}


def test_fewer_come_at_a_weekend_and_most_on_a_monday() -> None:
    by_day = Counter(CALENDAR.day_of(one).weekday() for one in arrivals(MONDAY, 70, 100, CALENDAR, seed=3))
    assert max(by_day, key=by_day.__getitem__) == 0
    assert max(by_day[5], by_day[6]) < min(by_day[day] for day in range(5)) / 2
