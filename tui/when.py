"""Days and instants as people write them: `8 Jan`, `Friday`, `in 2 weeks`, `yesterday 14:30`, `now`.  Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from amends.kernel.errors import Refused

HOW_A_DAY: Final = "Write a day like 8 Jan, 2027-01-08, Friday, tomorrow or in 10 days."
HOW_AN_INSTANT: Final = "Write now, 14:30, yesterday 14:30, Monday 9:00 or 23 Nov 9:00."
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_NEAR: Final = {"today": 0, "tomorrow": 1, "yesterday": -1}
_FEWEST: Final = 3  # letters of a name that are enough
_NOON: Final = time(12)


def day_said(words: str, today: date, *, past: bool = False) -> date:
    """The day that these words mean; a weekday, or a day without a year, is the next one, or with `past` the last.

    Raises Refused with how a day is written.
    """
    said = " ".join(words.lower().replace(",", " ").split())
    found = _near(said, today, past=past) or _iso(said) or _dotted(said, today, past=past)
    found = found or _named(said, today, past=past)
    if found is None:
        raise Refused(HOW_A_DAY)
    return found


def _near(said: str, today: date, *, past: bool) -> date | None:
    if said in _NEAR:
        return today + timedelta(days=_NEAR[said])
    weekday = _one_of(said.removeprefix("next ").removeprefix("last "), _DAYS)
    if weekday is not None:
        ahead = (weekday - today.weekday()) % 7
        return today + timedelta(days=(ahead or (0 if past else 7)) - (7 if past and ahead else 0))
    span = re.fullmatch(r"(?:in |\+ ?)(\d{1,3}) ?(d|days?|w|weeks?)?", said)
    if span is not None and not past:
        return today + timedelta(days=int(span[1]) * (7 if (span[2] or "d")[0] == "w" else 1))
    return None


def _iso(said: str) -> date | None:
    found = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", said)
    return _date(int(found[1]), int(found[2]), int(found[3])) if found else None


def _dotted(said: str, today: date, *, past: bool) -> date | None:
    """`8.1.2027` and `8.1.`: with dots the day comes first everywhere; with strokes nobody can tell."""
    found = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.?(\d{4})?", said)
    return _with_year(int(found[1]), int(found[2]), found[3], today, past=past) if found else None


def _named(said: str, today: date, *, past: bool) -> date | None:
    """`8 January 2027`, `8 jan`, `Jan 8`; a weekday before it is read over."""
    parts = [part for part in said.split() if _one_of(part, _DAYS) is None]
    months = [month for part in parts if (month := _one_of(part, _MONTHS)) is not None]
    numbers = [part for part in parts if re.fullmatch(r"\d{1,2}(st|nd|rd|th|\.)?", part)]
    years = [part for part in parts if re.fullmatch(r"\d{4}", part)]
    if (len(months), len(numbers)) != (1, 1) or len(years) > 1 or len(parts) != 2 + len(years):
        return None
    day = int(re.sub(r"\D", "", numbers[0]))
    return _with_year(day, months[0] + 1, years[0] if years else None, today, past=past)


def _one_of(word: str, names: tuple[str, ...]) -> int | None:
    word = word.rstrip(".")
    found = [at for at, name in enumerate(names) if name.startswith(word)] if len(word) >= _FEWEST else []
    return found[0] if len(found) == 1 else None


def _with_year(day: int, month: int, year: str | None, today: date, *, past: bool) -> date | None:
    if year is not None:
        return _date(int(year), month, day)
    near = [found for each in (-1, 0, 1) if (found := _date(today.year + each, month, day)) is not None]
    if past:
        return max((one for one in near if one <= today), default=None)
    return min((one for one in near if one >= today), default=None)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def instant_said(words: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The instant in the past that these words mean, by the clocks of `zone`; a day without an hour is its noon.

    Nothing, and today without an hour, is `now`.  Raises Refused with how an instant is written.
    """
    said, local = " ".join(words.lower().split()), now.astimezone(zone)
    if said in ("", "now", "today", "just now"):
        return now
    hour, rest = _hour(said)
    try:
        day = day_said(rest, local.date(), past=True) if rest else local.date()
    except Refused:
        raise Refused(HOW_AN_INSTANT) from None
    if hour is None and day == local.date():
        return now
    found = datetime.combine(day, hour or _NOON, zone)
    try:
        found.astimezone(UTC)
    except OverflowError:  # in the first or the last hours that a calendar has
        raise Refused(HOW_AN_INSTANT) from None
    return found


def _hour(said: str) -> tuple[time | None, str]:
    """`9:00`, `at 14.30` or `9am` at the end, and what stands before it."""
    found = re.search(r"(?:^|[ t])(?:at )?(\d{1,2})(?:[:.](\d\d))? ?(am|pm)?$", said)
    if found is None or not (found[2] or found[3]):
        return None, said
    hour = int(found[1])
    if found[3]:
        hour = hour % 12 + (12 if found[3] == "pm" else 0)
    if hour > 23 or int(found[2] or 0) > 59:
        return None, said
    return time(hour, int(found[2] or 0)), said[: found.start()].removesuffix(" at").strip()


def day_in_words(day: date, today: date) -> str:
    """`Fri 8 Jan 2027, in 46 days`: what was understood, to read before it counts."""
    days = (day - today).days
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}.get(days)
    return f"{day:%a} {day.day} {day:%b} {day.year}, {near or (f'in {days} days' if days > 0 else f'{-days} days ago')}"
