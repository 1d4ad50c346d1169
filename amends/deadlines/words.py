"""Days, moments and amounts in words, for derivations: English, whatever the machine's locale is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def a_day(day: date) -> str:
    """`Fri 18 Dec 2026`."""
    return f"{WEEKDAYS[day.weekday()][:3]} {day.day:02} {_MONTHS[day.month - 1]} {day.year}"


def in_days(days: Sequence[date]) -> str:
    """`Mon 30 Nov, Tue 01, Wed 02 Dec 2026`: days in order, with the month after the last one of each."""
    return _with_months([(day, day) for day in days])


def in_spells(days: Sequence[date]) -> str:
    """`Mon 21 to Thu 24, Tue 29 to Thu 31 Dec 2026, Mon 04 Jan 2027`: the same as spells of days in a row."""
    spells: list[tuple[date, date]] = []
    for day in days:
        if spells and (day - spells[-1][1]).days == 1:
            spells[-1] = (spells[-1][0], day)
        else:
            spells.append((day, day))
    return _with_months(spells)


def _with_months(spells: Sequence[tuple[date, date]]) -> str:
    told = []
    for n, (begin, end) in enumerate(spells):
        after = spells[n + 1][0] if n + 1 < len(spells) else None
        month = f" {_MONTHS[end.month - 1]}" if after is None or _month(after) != _month(end) else ""
        year = f" {end.year}" if after is None or after.year != end.year else ""
        own = "" if _month(begin) == _month(end) else a_day(begin)[6:] if begin.year != end.year else a_day(begin)[6:10]
        start = f"{a_day(begin)[:6]}{own} to " if begin != end else ""
        told.append(f"{start}{a_day(end)[:6]}{month}{year}")
    return ", ".join(told)


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month


def a_moment(local: datetime) -> str:
    """`Fri 18 Dec 2026 18:30 GMT` of a local datetime."""
    zone = f" {name}" if (name := local.tzname()) else ""
    return f"{a_day(local.date())} {local:%H:%M}{zone}"


def counted(amount: int, nouns: str) -> str:
    """`1 working day`, `20 working days`; `nouns` in the plural, with `_` or blanks between words."""
    words = nouns.replace("_", " ")
    return f"{amount} {words[:-1] if amount == 1 else words}"


def in_a_row(items: Sequence[str], last: str = "or") -> str:
    """`a`, `a or b`, `a, b or c`; empty for nothing."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"
