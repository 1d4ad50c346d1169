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
