"""When the invented complaints come: a number of them, over so many days, as mail really comes.  Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from amends.deadlines.calendar import WorkingCalendar

BUSY: Final = (1.25, 1.1, 1.05, 1.0, 0.9)
"""How much comes from Monday to Friday; more on Monday, for the days before."""
FREE: Final = 0.35
"""How much comes at a weekend or on a holiday."""
BY_HOUR: Final = (*(1,) * 6, 2, 4, 8, 12, 13, 12, 10, 11, 11, 10, 9, 7, 6, 6, 6, 5, 3, 2)
"""How much comes in each hour of the local day."""


def count_of(days: int, a_day: float) -> int:
    """How many complaints come in all, a half rounded up."""
    return int(days * a_day + 0.5)


def weight_of(day: date, calendar: WorkingCalendar) -> float:
    """How much comes on this day, against the others."""
    return BUSY[min(day.weekday(), 4)] if calendar.is_working_day(day) else FREE


def days_from(first: date, days: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(days)]


def arrivals(first: date, days: int, a_day: float, calendar: WorkingCalendar, *, seed: int) -> list[datetime]:
    """The instants (UTC) at which complaints come in `days` calendar days from `first`, in order.

    Always `count_of` of them; which day and minute each comes is drawn, the same for the same seed.
    """
    chance = random.Random(seed)  # noqa: S311  (it draws days, no secrets)
    every = days_from(first, days)
    weights = [weight_of(day, calendar) for day in every]
    drawn = chance.choices(every, weights, k=count_of(days, a_day))
    return sorted(calendar.at(day, _moment(chance, BY_HOUR)).astimezone(UTC) for day in drawn)


def _moment(chance: random.Random, by_hour: Sequence[float]) -> time:
    (hour,) = chance.choices(range(24), by_hour)
    return time(hour, chance.randrange(60), chance.randrange(60))
