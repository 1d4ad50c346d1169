"""When a deadline falls, and why: local dates first, one instant at the end."""

from __future__ import annotations

import calendar as months
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from amends.deadlines.calendar import WEEKEND, WorkingCalendar
from amends.deadlines.packs import Rule, Span, Unit


@dataclass(frozen=True, slots=True)
class Due:
    """`due_at` is the last instant (UTC) in time, `due_date` its local day, `derivation` day 0 to day N in words."""

    due_at: datetime
    due_date: date
    derivation: tuple[str, ...]


def due(
    rule: Rule, trigger_at: datetime, calendar: WorkingCalendar, *, out_of_hours: str = "actual", occurrence: int = 1
) -> Due | None:
    """When `rule` falls due if its trigger happened at `trigger_at` (aware); None where it names no number.

    Occurrence n of a recurring deadline falls n times its amount after the trigger.  Day-based deadlines last to the
    end of their last day in the calendar's zone; hours are counted exactly.
    """
    span = rule.span
    if span is None or span.unit in ("immediately", "none"):
        return None
    amount = span.amount * occurrence
    if span.unit == "hours":
        return _hours(trigger_at, amount, calendar)
    day_0 = calendar.day_of_receipt(trigger_at, out_of_hours=out_of_hours)
    words = [_say_start(trigger_at, day_0, calendar)]
    if rule.day_count == "include_trigger_day" and amount:
        day_0 -= timedelta(days=1)  # the trigger's own day is day 1
        words.append("the day of the trigger counts as day 1")
    last = _last_day(day_0, span.unit, amount, calendar, words)
    rolled = _roll_over(last, rule.if_last_day_non_working, calendar)
    if rolled != last:
        why = calendar.not_working_because(last)
        words.append(f"{_say(last)} is no working day ({why}), so it moves to {_say(rolled)}")
    words.append(f"due by the end of {_say(rolled)} ({calendar.zone.key})")
    return Due(calendar.end_of(rolled), rolled, tuple(words))


def _hours(trigger_at: datetime, amount: int, calendar: WorkingCalendar) -> Due:
    at = trigger_at.astimezone(UTC) + timedelta(hours=amount)
    local = at.astimezone(calendar.zone)
    words = (
        f"{amount} hours after {trigger_at.astimezone(calendar.zone):%a %d %b %Y %H:%M %Z}",
        f"due {local:%a %d %b %Y %H:%M %Z}",
    )
    return Due(at, local.date(), words)


def _say(day: date) -> str:
    return f"{day:%a %d %b %Y}"


def _say_start(trigger_at: datetime, day_0: date, calendar: WorkingCalendar) -> str:
    came = calendar.day_of(trigger_at)
    if came == day_0:
        return f"day 0: {_say(day_0)}"
    return (
        f"day 0: {_say(day_0)}, the next working day (it came {trigger_at.astimezone(calendar.zone):%a %d %b %Y %H:%M})"
    )


def _last_day(day_0: date, unit: Unit, amount: int, calendar: WorkingCalendar, words: list[str]) -> date:
    if unit == "working_days":
        last = nth(calendar.working_days_after(day_0), amount, day_0)
        words.append(f"day {amount}: {_say(last)}, {amount} working {'day' if amount == 1 else 'days'} on")
        words.extend(_skipped(day_0, last, calendar))
        return last
    if unit == "months":
        last = add_months(day_0, amount)
    else:
        last = day_0 + timedelta(days=amount * (7 if unit == "weeks" else 1))
    words.append(f"{amount} {unit.replace('_', ' ')} on: {_say(last)}")
    return last


def nth(days: Iterator[date], n: int, day_0: date) -> date:
    """The n-th of `days`, counted from 1; `day_0` for n = 0."""
    return next(islice(days, n - 1, None)) if n else day_0


def _skipped(after: date, last: date, calendar: WorkingCalendar) -> Sequence[str]:
    """The holidays and closures passed over, by name; weekends only as a number."""
    weekend, named = 0, []
    for n in range(1, (last - after).days):
        day = after + timedelta(days=n)
        why = calendar.not_working_because(day)
        if why is None:
            continue
        if why == WEEKEND.get(day.weekday()):
            weekend += 1
        else:
            named.append(f"skipped {_say(day)}: {why}")
    return [*([f"skipped {weekend} days of weekends"] if weekend else []), *named]


def _roll_over(last: date, rule: str, calendar: WorkingCalendar) -> date:
    if rule == "next_working_day":
        return calendar.this_or_next_working_day(last)
    if rule == "previous_working_day":
        return calendar.this_or_previous_working_day(last)
    return last


def add_months(day: date, amount: int) -> date:
    """The same day `amount` months on, or the last day of a shorter month (31 January + 1 month: 28 or 29 February)."""
    year, month = divmod(day.year * 12 + day.month - 1 + amount, 12)
    return date(year, month + 1, min(day.day, months.monthrange(year, month + 1)[1]))


def before(due_at: datetime, span: Span, calendar: WorkingCalendar) -> datetime:
    """The instant that lies `span` before a deadline, in office hours."""
    if span.unit == "hours":
        return calendar.in_office_hours(due_at - timedelta(hours=span.amount))
    day = calendar.day_of(due_at)
    if span.unit == "working_days":
        day = calendar.this_or_previous_working_day(day)
        day = nth(calendar.working_days_before(day), span.amount, day)
    elif span.unit == "months":
        day = add_months(day, -span.amount)
    else:
        day -= timedelta(days=span.amount * (7 if span.unit == "weeks" else 1))
    return calendar.at(calendar.this_or_previous_working_day(day), calendar.opens)
