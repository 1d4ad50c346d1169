"""The arithmetic of working time against one that knows nothing but to walk from minute to minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from amends.deadlines.calendar import WorkingCalendar
from amends.deadlines.compute import Paused, due
from amends.deadlines.model import Pause, Rule, Span

EXAMPLES = 10_000 if settings().max_examples >= 1000 else 300
MINUTE = timedelta(minutes=1)

# Days on which the clock is moved, in each zone: an hour, half an hour, at midnight, both ways.
MOVED = {
    "Europe/London": [date(2026, 3, 29), date(2026, 10, 25)],
    "America/New_York": [date(2026, 3, 8), date(2026, 11, 1)],
    "Australia/Lord_Howe": [date(2026, 4, 5), date(2026, 10, 4)],
    "America/Havana": [date(2026, 3, 8), date(2026, 11, 1)],
    "Asia/Beirut": [date(2026, 3, 29), date(2026, 10, 24)],
    "Asia/Kolkata": [date(2026, 12, 31), date(2028, 2, 28)],
}


@dataclass(frozen=True)
class Question:
    calendar: WorkingCalendar
    start: datetime
    rule: Rule
    out_of_hours: str
    pauses: tuple[Paused, ...]


@st.composite
def weeks(draw: st.DrawFn) -> dict[int, tuple[tuple[time, time], ...]]:
    """Working weeks of two to seven days, each with up to three intervals, which may lie in the hour that is moved."""
    week = {}
    for weekday in draw(st.sets(st.integers(0, 6), min_size=2, max_size=7)):
        count = draw(st.integers(1, 3))
        quarter = st.integers(0, 14) if draw(st.booleans()) else st.integers(0, 95)  # where the clock is moved
        marks = sorted(draw(st.sets(quarter, min_size=2 * count, max_size=2 * count)))
        at = [time(mark // 4, mark % 4 * 15) for mark in marks]
        week[weekday] = tuple(zip(at[::2], at[1::2], strict=True))
    return dict(sorted(week.items()))


@st.composite
def questions(draw: st.DrawFn) -> Question:
    zone = draw(st.sampled_from(sorted(MOVED)))
    moved = draw(st.sampled_from(MOVED[zone]))
    near = st.integers(-3, 6).map(lambda n: moved + timedelta(days=n))
    calendar = WorkingCalendar(
        ZoneInfo(zone),
        holidays=dict.fromkeys(draw(st.sets(near, max_size=2)), "a feast"),
        closures=frozenset(draw(st.sets(near, max_size=1))),
        openings=frozenset(draw(st.sets(near, max_size=1))),
        hours=draw(weeks()),
    )
    midnight = datetime.combine(moved, time(), UTC)
    start = midnight + draw(st.integers(-2 * 1440, 1440)) * MINUTE
    pauses = []
    for _ in range(draw(st.integers(0, 2))):
        begin = start + draw(st.integers(-600, 2 * 1440)) * MINUTE
        pauses.append(Paused(begin, begin + draw(st.integers(1, 2000)) * MINUTE, "a document is missing"))
    unit = draw(st.sampled_from(["working_hours", "hours", "working_hours", "calendar_days", "working_days"]))
    rule = Rule(
        id="x",
        label="X",
        action="act",
        unit=unit,
        amount=draw(st.integers(0, {"hours": 60, "working_hours": 8}.get(unit, 4))),
        day_count=draw(st.sampled_from(["exclude_trigger_day", "include_trigger_day"])),
        if_last_day_non_working=draw(st.sampled_from(["none", "next_working_day"])),
        pause=draw(
            st.sampled_from(
                [None, Pause(reason="r", most=Span(amount=9, unit="months"), basis="b", confidence="verified")]
            )
        ),
        basis="b",
        confidence="verified",
    )
    out_of_hours = draw(st.sampled_from(["actual", "working_day", "next_working_day"]))
    return Question(calendar, start, rule, out_of_hours, tuple(pauses))


class Oracle:
    """Knows of each minute what the clock on the wall shows; counts on its fingers."""

    def __init__(self, asked: Question) -> None:
        self.asked = asked
        self.opened: dict[date, set[datetime]] = {}

    def wall(self, minute: datetime) -> datetime:
        return minute.astimezone(self.asked.calendar.zone)

    def works(self, day: date) -> bool:
        calendar = self.asked.calendar
        if day in calendar.openings:
            return True
        return day not in calendar.closures and day not in calendar.holidays and day.weekday() in calendar.hours

    def hours(self, day: date) -> tuple[tuple[time, time], ...]:
        if not self.works(day):
            return ()
        week = self.asked.calendar.hours
        return week[day.weekday()] if day.weekday() in week else week[min(week)]

    def minutes_of(self, day: date) -> list[datetime]:
        noon = datetime.combine(day, time(12), UTC)
        around = (noon + n * MINUTE for n in range(-30 * 60, 30 * 60))
        return [minute for minute in around if self.wall(minute).date() == day]

    def is_open(self, minute: datetime) -> bool:
        """Open is from the first minute that shows the opening to the last that shows less than the closing."""
        day = self.wall(minute).date()
        if day not in self.opened:
            self.opened[day] = set()
            minutes = self.minutes_of(day) if self.hours(day) else []
            for opens, closes in self.hours(day):
                reached = [n for n, one in enumerate(minutes) if self.wall(one).time() >= opens]
                before = [n for n, one in enumerate(minutes) if self.wall(one).time() < closes]
                if reached and before:
                    self.opened[day].update(minutes[reached[0] : before[-1] + 1])
        return minute in self.opened[day]

    def runs(self, instant: datetime) -> bool:
        if self.asked.rule.pause is None:
            return True
        return not any(one.begins_at <= instant < one.ends_at for one in self.asked.pauses if one.ends_at)

    def minutes(self) -> Iterator[datetime]:
        minute = self.asked.start
        while True:
            yield minute
            minute += MINUTE

    def of_hours(self, *, open_only: bool) -> datetime:
        left = (self.asked.rule.amount or 0) * 60
        for minute in self.minutes():
            if left == 0:
                return minute
            if self.runs(minute) and (not open_only or self.is_open(minute)):
                left -= 1
                if left == 0:
                    return minute + MINUTE
        raise AssertionError

    def day_0(self) -> date:
        local = self.wall(self.asked.start)
        day = local.date()
        if self.asked.out_of_hours == "actual":
            return day
        closes = self.asked.out_of_hours == "next_working_day"
        if self.works(day) and not (closes and local.time() >= self.hours(day)[-1][1]):
            return day
        day += timedelta(days=1)
        while not self.works(day):
            day += timedelta(days=1)
        return day

    def of_days(self) -> tuple[datetime, date]:
        rule, day_0 = self.asked.rule, self.day_0()
        left = rule.amount or 0
        inclusive = rule.day_count == "include_trigger_day" and left > 0
        for minute in self.minutes():
            day = self.wall(minute).date()
            if self.wall(minute + MINUTE).date() == day or day < day_0:
                continue
            last_second = minute + timedelta(seconds=59)
            counts = rule.unit == "calendar_days" or self.works(day)
            if left and (day > day_0 or inclusive) and counts and self.runs(last_second):
                left -= 1
            if left == 0 and (rule.if_last_day_non_working == "none" or self.works(day)):
                return last_second, day
        raise AssertionError

    def answer(self) -> tuple[datetime, date]:
        if self.asked.rule.unit == "hours":
            at = self.of_hours(open_only=False)
        elif self.asked.rule.unit == "working_hours":
            at = self.of_hours(open_only=True)
        else:
            return self.of_days()
        return at, self.wall(at).date()


def walk_and_compare(asked: Question) -> None:
    found = due(asked.rule, asked.start, asked.calendar, out_of_hours=asked.out_of_hours, pauses=asked.pauses)
    assert found is not None
    assert (found.due_at, found.due_date) == Oracle(asked).answer()
    assert found.due_at.tzinfo is UTC


@given(questions())
@settings(max_examples=EXAMPLES)
def test_the_arithmetic_agrees_with_one_that_walks_from_minute_to_minute(asked: Question) -> None:
    walk_and_compare(asked)
