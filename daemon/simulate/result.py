"""What came of the weeks, as plain values: cases, dates, letters; and week by week.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Kept:
    """One date of a deadline: its last day, whether it was missed, and whether an answer was to keep it."""

    pack: str
    deadline: str
    label: str
    day: date
    late: bool
    answer: bool


@dataclass(frozen=True, slots=True)
class Complaint:
    """The days on which it came, was answered and was closed; `late`: its answer came after its date."""

    came: date
    answered: date | None
    closed: date | None
    late: bool


@dataclass(frozen=True, slots=True)
class Played:
    """What the verbs gave with so many handlers.

    `letters` are the days on which a letter left by itself, `warnings` those on which a handler was warned; `busy` is
    the share of the office hours of the days of arrival that the work takes.
    """

    handlers: int
    complaints: tuple[Complaint, ...]
    dates: tuple[Kept, ...]
    letters: tuple[date, ...]
    warnings: tuple[date, ...]
    busy: float

    @property
    def late_answers(self) -> int:
        return sum(one.late for one in self.complaints)

    @property
    def late_dates(self) -> int:
        return sum(one.late for one in self.dates)

    @property
    def first_late(self) -> date | None:
        return min((one.day for one in self.dates if one.late), default=None)


@dataclass(frozen=True, slots=True)
class Tried:
    """So many handlers, and what is late with them; `verbs`: as the real verbs gave it, else worked out."""

    handlers: int
    late_answers: int
    late_dates: int
    first_late: date | None
    busy: float
    verbs: bool


def tried(played: Played) -> Tried:
    return Tried(played.handlers, played.late_answers, played.late_dates, played.first_late, played.busy, verbs=True)


@dataclass(slots=True)
class Spell:
    """A week, or a day, beginning on `first`."""

    first: date
    came: int = 0
    due: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many dates fall in it, by (pack, deadline)."""
    answers_due: int = 0
    answered: int = 0
    late: int = 0
    """How many of its dates were missed."""
    open_at_end: int = 0
    letters: int = 0
    warnings: int = 0
    busiest: tuple[date, int] | None = None
    """The day on which most falls due, and how much."""

    @property
    def dates(self) -> int:
        return sum(self.due.values())


def monday_of(day: date) -> date:
    return day - timedelta(days=day.weekday())


def spells(played: Played, first: date, last: date, *, days: int) -> list[Spell]:
    """The weeks (`days` 7) or days (1) from that of `first` to the last on which anything is, at least to `last`."""
    begin = monday_of(first) if days == 7 else first
    seen = [one for complaint in played.complaints for one in (complaint.answered, complaint.closed) if one is not None]
    end = max([last, *seen, *(one.day for one in played.dates), *played.letters, *played.warnings])
    found = [Spell(begin + timedelta(days=n)) for n in range(0, (end - begin).days + 1, days)]

    def of(day: date) -> Spell:
        return found[max((day - begin).days, 0) // days]

    on_day: Counter[date] = Counter()
    for complaint in played.complaints:
        of(complaint.came).came += 1
        if complaint.answered is not None:
            of(complaint.answered).answered += 1
    for one in played.dates:
        spell = of(one.day)
        spell.due[one.pack, one.deadline] += 1
        spell.answers_due += one.answer
        spell.late += one.late
        on_day[one.day] += 1
    for day in played.letters:
        of(day).letters += 1
    for day in played.warnings:
        of(day).warnings += 1
    for day, number in sorted(on_day.items()):
        spell = of(day)
        if spell.busiest is None or number > spell.busiest[1]:
            spell.busiest = day, number
    _count_open(found, played.complaints, days)
    return found


def _count_open(found: Sequence[Spell], complaints: Iterable[Complaint], days: int) -> None:
    come = Counter(one.came for one in complaints)
    gone = Counter(one.closed for one in complaints if one.closed is not None)
    still = 0
    for spell in found:
        for n in range(days):
            day = spell.first + timedelta(days=n)
            still += come[day] - gone[day]
        spell.open_at_end = still
