"""Working time: which days count, in whose zone, between which hours."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from amends.config import Organisation
from amends.deadlines.words import WEEKDAYS, in_a_row
from amends.kernel.errors import ConfigError

SHORT_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LAST_SECOND: Final = time(23, 59, 59)
SEARCH_LIMIT: Final = 366  # a calendar without a working day in a year is a mistake, not an answer
MOST_REMEMBERED: Final = 10_000
_ONE_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))")

_Found = TypeVar("_Found")
Interval = tuple[time, time]
"""When somebody is in, by the local clock: from, until (without it; the last second of the day is the whole of it)."""
Hours = Mapping[int, tuple[Interval, ...]]
"""By weekday (0 is Monday): its intervals in order.  A weekday that is missing is free."""

OFFICE_HOURS: Final[Hours] = {weekday: ((time(9), time(17)),) for weekday in range(5)}


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """The working days and office hours of an organisation.

    `holidays` maps a day to its name; `closures` are further days off, `openings` days that count although they are
    free.  `hours` are local wall-clock times in `zone`.  `open_all_the_same` are own closures that a rule of law
    counts as working days: they change no date, and are named in the derivation.
    """

    zone: ZoneInfo
    holidays: Mapping[date, str] = field(default_factory=dict)
    closures: frozenset[date] = frozenset()
    openings: frozenset[date] = frozenset()
    hours: Hours = field(default_factory=lambda: OFFICE_HOURS)
    open_all_the_same: frozenset[date] = frozenset()
    _known: dict[date, str | None] = field(default_factory=dict, init=False, repr=False, compare=False)
    _counting: dict[tuple[object, ...], WorkingCalendar] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _found: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, asked: Hashable, work: Callable[[], _Found]) -> _Found:
        """What `work` finds on this calendar, which depends on `asked` alone: the mail of one day asks the same."""
        try:
            found: _Found = self._found[asked]
        except KeyError:
            if len(self._found) >= MOST_REMEMBERED:
                self._found.clear()
            found = self._found[asked] = work()
        return found

    def counting(self, *, weekdays: Collection[int] | None = None, own_days: bool = True) -> WorkingCalendar:
        """The calendar by which a rule counts.

        With `weekdays` those are its working week, whatever the office's is; without `own_days` the organisation's
        closures and openings change nothing: nobody can lengthen a limit of law by locking the door.
        """
        if own_days and weekdays is None:
            return self
        key = (own_days, None if weekdays is None else tuple(sorted(weekdays)))
        if key not in self._counting:
            self._counting[key] = self._counted(weekdays, own_days=own_days)
        return self._counting[key]

    def _counted(self, weekdays: Collection[int] | None, *, own_days: bool) -> WorkingCalendar:
        usual = next(iter(self.hours.values()))
        week = {day: self.hours.get(day, usual) for day in sorted(weekdays)} if weekdays is not None else self.hours
        if own_days:
            return replace(self, hours=week)
        return replace(self, hours=week, closures=frozenset(), openings=frozenset(), open_all_the_same=self.closures)

    def day_of(self, instant: datetime) -> date:
        """The local day of an aware instant."""
        return instant.astimezone(self.zone).date()

    def not_working_because(self, day: date) -> str | None:
        """Why `day` is no working day, in words, or None if it is one."""
        try:
            return self._known[day]  # a date is asked for again with every case, and `holidays` is slow to answer
        except KeyError:
            return self._known.setdefault(day, self._why_not(day))

    def _why_not(self, day: date) -> str | None:
        if day in self.openings:
            return None
        if day in self.closures:
            return "closed"
        if (name := self.holidays.get(day)) is not None:
            return name
        return None if day.weekday() in self.hours else WEEKDAYS[day.weekday()]

    def is_working_day(self, day: date) -> bool:
        return self.not_working_because(day) is None

    def this_or_next_working_day(self, day: date) -> date:
        return self._walk(day, _ONE_DAY)

    def this_or_previous_working_day(self, day: date) -> date:
        return self._walk(day, -_ONE_DAY)

    def _walk(self, day: date, stride: timedelta) -> date:
        for _ in range(SEARCH_LIMIT):
            if self.is_working_day(day):
                return day
            day += stride
        raise ConfigError("The calendar has no working day in a whole year; check organisation.closures and region.")

    def working_days_after(self, day: date) -> Iterator[date]:
        """The working days after `day`, without end."""
        while True:
            day = self.this_or_next_working_day(day + _ONE_DAY)
            yield day

    def working_days_before(self, day: date) -> Iterator[date]:
        """The working days before `day`, the nearest first, without end."""
        while True:
            day = self.this_or_previous_working_day(day - _ONE_DAY)
            yield day

    def hours_of(self, day: date) -> tuple[Interval, ...]:
        """The office hours of a day, in order; none on a day off.  A day opened out of turn has the usual ones."""
        if not self.is_working_day(day):
            return ()
        return self.hours.get(day.weekday()) or next(iter(self.hours.values()))

    def open_spells(self, day: date) -> list[tuple[datetime, datetime]]:
        """The same as instants (UTC), as long as they really last on the days on which the clock is moved."""
        spells: list[tuple[datetime, datetime]] = []
        for opens, closes in self.hours_of(day):
            begin, end = self.first_showing(day, opens), self.end_of_showing(day, closes)
            if spells and begin <= spells[-1][1]:  # a break that the hour shown twice swallows
                begin = spells.pop()[0]
            if begin < end:
                spells.append((begin, end))
        return spells

    def opening_of(self, day: date) -> datetime:
        """The instant (UTC) at which the office opens on a working day."""
        return self.once(("opening", day), lambda: self.open_spells(day)[0][0])

    def at(self, day: date, moment: time) -> datetime:
        """The instant (UTC) at which the local clock shows `moment` on `day`.

        A time that the clock skips in spring is taken as if it had not been moved; of one that it shows twice in
        autumn the first counts (PEP 495, fold=0).
        """
        return datetime.combine(day, moment, self.zone).astimezone(UTC)

    def first_showing(self, day: date, moment: time) -> datetime:
        """The first instant (UTC) at which the local clock has reached `moment` on `day`."""
        at = self.at(day, moment)
        return self._leap(day, moment) if at.astimezone(self.zone).time() != moment else at

    def end_of_showing(self, day: date, moment: time) -> datetime:
        """The instant (UTC) after the last at which the local clock shows less than `moment` on `day`.

        So an office that closes at one, where one o'clock begins the hour that comes twice, closes at the first.
        """
        if moment == LAST_SECOND:
            return self.end_of(day) + timedelta(seconds=1)
        before = (datetime.combine(day, moment) - _TICK).replace(tzinfo=self.zone, fold=1)
        at = before.astimezone(UTC)
        exists = at.astimezone(self.zone).time() == before.time()
        return at + _TICK if exists else self._leap(day, before.time())

    def _leap(self, day: date, moment: time) -> datetime:
        """The instant at which the clock skips `moment` in spring."""
        local = datetime.combine(day, moment, self.zone)
        begin, end = local.replace(fold=1).astimezone(UTC), local.replace(fold=0).astimezone(UTC)
        before = begin.astimezone(self.zone).utcoffset()
        while end - begin > timedelta(seconds=1):
            middle = begin + (end - begin) // 2
            if middle.astimezone(self.zone).utcoffset() == before:
                begin = middle
            else:
                end = middle
        return end.replace(microsecond=0)

    def end_of(self, day: date) -> datetime:
        """The last second (UTC) of the local day: a deadline on a day is missed after it, not during it."""
        return datetime.combine(day, LAST_SECOND, self.zone).replace(fold=1).astimezone(UTC)

    def day_of_receipt(self, instant: datetime, *, out_of_hours: str) -> date:
        """The day a message counts as received.

        `out_of_hours` "actual": the local day it came; "working_day": that day, or the next working day if it is none;
        "next_working_day": that of the office, so mail after closing time too counts as the next working day's.
        """
        local = instant.astimezone(self.zone)
        if out_of_hours == "actual":
            return local.date()
        if out_of_hours == "working_day":
            return self.this_or_next_working_day(local.date())
        hours = self.hours_of(local.date())
        late = not hours or local.time() >= hours[-1][1]
        return self.this_or_next_working_day(local.date() + _ONE_DAY if late else local.date())

    def in_office_hours(self, instant: datetime) -> datetime:
        """The latest instant not after `instant` at which somebody is in the office: at night nobody reads."""
        instant = instant.astimezone(UTC)
        day = self.day_of(instant)
        for _ in range(SEARCH_LIMIT):
            for begin, end in reversed(self.open_spells(day)):
                if begin <= instant:
                    return min(instant, end if self.day_of(end) == day else end - timedelta(seconds=1))
            day -= _ONE_DAY
        raise ConfigError("The calendar has no working day in a whole year; check organisation.closures and region.")


def calendar_of(organisation: Organisation) -> WorkingCalendar:
    """The calendar of the configuration.  Raises ConfigError as `calendar_for`."""
    return calendar_for(
        region=organisation.region,
        zone=organisation.zone,
        closures=organisation.closures,
        openings=organisation.openings,
        opens=organisation.opens,
        closes=organisation.closes,
        hours=organisation.hours,
    )


def calendar_for(
    *,
    region: str,
    zone: ZoneInfo,
    closures: Iterable[str] = (),
    openings: Iterable[str] = (),
    opens: str = "09:00",
    closes: str = "17:00",
    hours: Mapping[str, Sequence[str]] | None = None,
) -> WorkingCalendar:
    """The calendar of a region ("GB-ENG", "DE-BY", "IE", "XECB", or "none" for no holidays) with the own days.

    `hours` gives the week by its days, {"mon": ["09:00-12:30", "13:30-17:00"]}; without it Monday to Friday are from
    `opens` to `closes`.  Raises ConfigError for a region the `holidays` library does not know, for a day that is none,
    and for hours that cannot be.
    """
    return WorkingCalendar(
        zone=zone,
        holidays=holidays_of(region),
        closures=_days("organisation.closures", closures),
        openings=_days("organisation.openings", openings),
        hours=week_of(hours) if hours else _same_every_day(opens, closes),
    )


def _same_every_day(opens: str, closes: str) -> Hours:
    begin, end = time.fromisoformat(opens), time.fromisoformat(closes)
    if begin >= end:
        raise ConfigError(f"organisation.opens: {opens} is not before organisation.closes, {closes}")
    return dict.fromkeys(range(5), ((begin, end),))


def week_of(hours: Mapping[str, Sequence[str]]) -> Hours:
    """The hours of a week written as {"mon": ["09:00-12:30", "13:30-17:00"]}.  Raises ConfigError."""
    week: dict[int, tuple[Interval, ...]] = {}
    for name, spans in hours.items():
        if name not in SHORT_WEEKDAYS:
            raise ConfigError(f"organisation.hours: '{name}' is no day; write {in_a_row(SHORT_WEEKDAYS)}")
        intervals = tuple(_interval(name, span) for span in spans)
        for (_, end), (begin, _) in pairwise(intervals):
            if begin < end:
                raise ConfigError(f"organisation.hours.{name}: the hours overlap or stand out of order")
        if intervals:
            week[SHORT_WEEKDAYS.index(name)] = intervals
    if not week:
        raise ConfigError('organisation.hours: no day has hours; write some, as in mon = ["09:00-17:00"]')
    return dict(sorted(week.items()))


def _interval(day: str, span: str) -> Interval:
    if (match := _HOURS.fullmatch(span)) is None:
        raise ConfigError(f"organisation.hours.{day}: '{span}' is no span of hours; write one like 09:00-12:30")
    begin = time(int(match[1]), int(match[2]))
    end = LAST_SECOND if match[5] else time(int(match[3]), int(match[4]))
    if begin >= end:
        raise ConfigError(f"organisation.hours.{day}: '{span}' ends before it begins")
    return begin, end


def holidays_of(region: str) -> Mapping[date, str]:
    """The public holidays of a region by day; years are worked out as they are asked for."""
    if region.lower() == "none":
        return {}
    import holidays  # 130 ms: a list of cases never needs it

    country, _, part = region.upper().partition("-")
    markets = holidays.list_supported_financial()
    if country in markets and not part:
        return holidays.financial_holidays(country)
    known = holidays.list_supported_countries(include_aliases=True)
    if country not in known:
        near = "".join(f"; did you mean {code}?" for code in get_close_matches(country, known, n=1))
        raise ConfigError(f"organisation.region: '{region}' is no region the holidays library knows{near}")
    if part and part not in known[country]:
        parts = ", ".join(sorted(str(one) for one in known[country])) or "none"
        raise ConfigError(f"organisation.region: '{region}' is not a part of {country}; it has {parts}")
    return holidays.country_holidays(country, subdiv=part or None, language=_english(getattr(holidays, country, None)))


def _english(names: object) -> str | None:
    """The English of a country's names, whatever the machine's locale is; None where there is only one language."""
    languages = getattr(names, "supported_languages", ())
    own = getattr(names, "default_language", None)
    return own if not languages or str(own).startswith("en") else "en_US" if "en_US" in languages else own


def _days(key: str, days: Iterable[str]) -> frozenset[date]:
    return frozenset(_day(key, day) for day in days)


def _day(key: str, day: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError as wrong:
        raise ConfigError(f"{key}: '{day}' is no day; write days like 2026-12-24") from wrong
