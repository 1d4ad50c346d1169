"""Working time: which days count, in whose zone, between which hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Final
from zoneinfo import ZoneInfo

from amends.kernel.errors import ConfigError

WEEKEND: Final = {5: "Saturday", 6: "Sunday"}
LAST_SECOND: Final = time(23, 59, 59)
SEARCH_LIMIT: Final = 366  # a calendar without a working day in a year is a mistake, not an answer


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """The working days and office hours of an organisation.

    `holidays` maps a day to its name; `closures` are further days off, `openings` days that count although they are
    a weekend or a holiday.  `opens` and `closes` are local wall-clock times in `zone`.
    """

    zone: ZoneInfo
    holidays: Mapping[date, str] = field(default_factory=dict)
    closures: frozenset[date] = frozenset()
    openings: frozenset[date] = frozenset()
    opens: time = time(9)
    closes: time = time(17)

    def day_of(self, instant: datetime) -> date:
        """The local day of an aware instant."""
        return instant.astimezone(self.zone).date()

    def not_working_because(self, day: date) -> str | None:
        """Why `day` is no working day, in words, or None if it is one."""
        if day in self.openings:
            return None
        if day in self.closures:
            return "closed"
        if (name := self.holidays.get(day)) is not None:
            return name
        return WEEKEND.get(day.weekday())

    def is_working_day(self, day: date) -> bool:
        return self.not_working_because(day) is None

    def this_or_next_working_day(self, day: date) -> date:
        return self._walk(day, timedelta(days=1))

    def this_or_previous_working_day(self, day: date) -> date:
        return self._walk(day, timedelta(days=-1))

    def _walk(self, day: date, stride: timedelta) -> date:
        for _ in range(SEARCH_LIMIT):
            if self.is_working_day(day):
                return day
            day += stride
        raise ConfigError("The calendar has no working day in a whole year; check organisation.closures and region.")

    def working_days_after(self, day: date) -> Iterator[date]:
        """The working days after `day`, without end."""
        while True:
            day = self.this_or_next_working_day(day + timedelta(days=1))
            yield day

    def working_days_before(self, day: date) -> Iterator[date]:
        """The working days before `day`, the nearest first, without end."""
        while True:
            day = self.this_or_previous_working_day(day - timedelta(days=1))
            yield day

    def at(self, day: date, moment: time) -> datetime:
        """The instant (UTC) at which the local clock shows `moment` on `day`.

        A time that the clock skips in spring is taken as if it had not been moved; of one that it shows twice in
        autumn the first counts (PEP 495, fold=0).
        """
        return datetime.combine(day, moment, self.zone).astimezone(UTC)

    def end_of(self, day: date) -> datetime:
        """The last second (UTC) of the local day: a deadline on a day is missed after it, not during it."""
        return datetime.combine(day, LAST_SECOND, self.zone).replace(fold=1).astimezone(UTC)

    def day_of_receipt(self, instant: datetime, *, out_of_hours: str) -> date:
        """The day a message counts as received.

        `out_of_hours` "actual": the local day it came; "next_working_day": that of the office, so mail after closing
        time, on a weekend or a holiday counts as the next working day's.
        """
        local = instant.astimezone(self.zone)
        if out_of_hours != "next_working_day":
            return local.date()
        late = local.time() >= self.closes
        return self.this_or_next_working_day(local.date() + timedelta(days=1) if late else local.date())

    def in_office_hours(self, instant: datetime) -> datetime:
        """The latest instant not after `instant` at which somebody is in the office: at night nobody reads."""
        local = instant.astimezone(self.zone)
        day = local.date()
        if self.is_working_day(day) and local.time() >= self.opens:
            return min(instant.astimezone(UTC), self.at(day, self.closes))
        return self.at(self.this_or_previous_working_day(day - timedelta(days=1)), self.closes)


def calendar_for(
    *,
    region: str,
    zone: ZoneInfo,
    closures: Iterable[str] = (),
    openings: Iterable[str] = (),
    opens: str = "09:00",
    closes: str = "17:00",
) -> WorkingCalendar:
    """The calendar of a region ("GB-ENG", "DE-BY", "IE", or "none" for no holidays) with the organisation's own days.

    No setting gives `openings`.  Raises ConfigError for a region the `holidays` library does not know, or for a day
    that is none.
    """
    begin, end = time.fromisoformat(opens), time.fromisoformat(closes)
    if begin >= end:
        raise ConfigError(f"organisation.opens: {opens} is not before organisation.closes, {closes}")
    return WorkingCalendar(
        zone=zone,
        holidays=holidays_of(region),
        closures=_days("organisation.closures", closures),
        openings=_days("openings", openings),
        opens=begin,
        closes=end,
    )


def holidays_of(region: str) -> Mapping[date, str]:
    """The public holidays of a region by day; years are worked out as they are asked for."""
    if region.lower() == "none":
        return {}
    import holidays  # 130 ms: a list of cases never needs it

    country, _, part = region.upper().partition("-")
    known = holidays.list_supported_countries(include_aliases=True)
    if country not in known:
        near = "".join(f"; did you mean {code}?" for code in get_close_matches(country, known, n=1))
        raise ConfigError(f"organisation.region: '{region}' is no region the holidays library knows{near}")
    if part and part not in known[country]:
        parts = ", ".join(sorted(str(one) for one in known[country])) or "none"
        raise ConfigError(f"organisation.region: '{region}' is not a part of {country}; it has {parts}")
    return holidays.country_holidays(country, subdiv=part or None)


def _days(key: str, days: Iterable[str]) -> frozenset[date]:
    return frozenset(_day(key, day) for day in days)


def _day(key: str, day: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError as wrong:
        raise ConfigError(f"{key}: '{day}' is no day; write days like 2026-12-24") from wrong
