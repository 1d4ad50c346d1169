"""Working time as a line: instants to seconds that the office was open, and back.  Pure."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, datetime, timedelta
from typing import Final

from amends.deadlines.calendar import WorkingCalendar

_AHEAD: Final = 60  # days that are laid out at once


class WorkingTime:
    """The office hours from a day on, without end; they are laid out as far as somebody asks."""

    def __init__(self, calendar: WorkingCalendar, first: date) -> None:
        self._calendar = calendar
        self._next = first
        self._begins: list[datetime] = []
        self._ends: list[datetime] = []
        self._worked: list[float] = []
        """Seconds that were worked before each spell."""

    def opening(self, at: datetime) -> datetime:
        """`at` where the office is open then, else when it next opens."""
        spell = self._spell(at)
        return max(at, self._begins[spell])

    def after(self, at: datetime, effort: timedelta) -> datetime:
        """When `effort` of working time is done that was begun at `at`."""
        spell = self._spell(at)
        left = effort
        begin = max(at, self._begins[spell])
        while self._ends[spell] - begin < left:
            left -= self._ends[spell] - begin
            spell += 1
            self._lay_out(spell)
            begin = self._begins[spell]
        return begin + left

    def between(self, begin: datetime, end: datetime) -> timedelta:
        """The working time from `begin` to `end`."""
        return timedelta(seconds=max(self._at(end) - self._at(begin), 0.0))

    def _at(self, instant: datetime) -> float:
        spell = self._spell(instant)
        return self._worked[spell] + max((instant - self._begins[spell]).total_seconds(), 0.0)

    def _spell(self, at: datetime) -> int:
        """The spell in which `at` is, or the next."""
        while not self._ends or self._ends[-1] <= at:
            self._more()
        return bisect_right(self._ends, at)

    def _lay_out(self, spell: int) -> None:
        while len(self._ends) <= spell:
            self._more()

    def _more(self) -> None:
        day = self._calendar.this_or_next_working_day(self._next)  # raises where there is none in a year
        for _ in range(_AHEAD):
            for begin, end in self._calendar.open_spells(day):
                before = self._worked[-1] + (self._ends[-1] - self._begins[-1]).total_seconds() if self._ends else 0.0
                self._begins.append(begin)
                self._ends.append(end)
                self._worked.append(before)
            day += timedelta(days=1)
        self._next = day
