"""When a deadline falls, and why: local dates first, one instant at the end."""

from __future__ import annotations

import calendar as months
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from amends.deadlines.calendar import SEARCH_LIMIT, WorkingCalendar
from amends.deadlines.model import Extension, Pause, Rule, Span
from amends.deadlines.words import WEEKDAYS, a_day, a_moment, counted, in_a_row, in_days, in_spells
from amends.kernel.errors import ConfigError, Refused

_ONE_DAY = timedelta(days=1)
_MANY = 10  # days that are told as spells, from here on


@dataclass(frozen=True, slots=True)
class Due:
    """`due_at` is the last instant (UTC) in time, `due_date` its local day, `derivation` day 0 to day N in words."""

    due_at: datetime
    due_date: date
    derivation: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Paused:
    """A time (aware instants) in which a case waited, why, and on whose word; `ends_at` None: it still waits.

    `lasts`: it still waits as well, and is counted to `ends_at` for now.
    """

    begins_at: datetime
    ends_at: datetime | None
    reason: str
    approver: str = ""
    lasts: bool = False

    def stops(self, instant: datetime) -> bool:
        return self.begins_at <= instant and (self.ends_at is None or instant < self.ends_at)

    def in_words(self, calendar: WorkingCalendar) -> str:
        begin = a_moment(self.begins_at.astimezone(calendar.zone))
        end = f" to {a_moment(self.ends_at.astimezone(calendar.zone))}" if self.ends_at is not None else " on"
        by = f", approved by {self.approver}" if self.approver else ""
        return f"from {begin}{', for now' if self.lasts else ''}{end} ({self.reason.rstrip('. ')}{by})"


def due(
    rule: Rule,
    trigger_at: datetime,
    calendar: WorkingCalendar,
    *,
    out_of_hours: str = "actual",
    occurrence: int = 1,
    pauses: Sequence[Paused] = (),
) -> Due | None:
    """When `rule` falls due if its trigger happened at `trigger_at` (aware); None where it names no number.

    Occurrence n of a recurring deadline falls n times its amount after the trigger.  Day-based deadlines last to the
    end of their last day in the calendar's zone; hours are counted exactly.  A pause counts only where the rule allows
    one: then a day at whose end the clock stood still is no day of the limit.  None also while a pause still lasts.
    """
    span = rule.span
    if span is None:
        return None
    stops = sorted(pauses, key=lambda one: one.begins_at) if rule.pause is not None else []
    stops = [stop for stop in stops if stop.ends_at is None or stop.ends_at > trigger_at]
    if any(stop.ends_at is None for stop in stops):
        return None
    found = _of_span(rule, span, trigger_at, calendar, out_of_hours, occurrence, stops)
    if rule.other is not None:
        second = _of_span(rule, rule.other, trigger_at, calendar, out_of_hours, occurrence, stops)
        found = _of_two(rule.other.take, (span, found), (rule.other, second))
    ignored = (
        () if rule.pause is not None else tuple(f"waiting {one.in_words(calendar)} stops no clock" for one in pauses)
    )
    return replace(found, derivation=(*found.derivation, *ignored)) if ignored else found


def _of_two(take: str, first: tuple[Span, Due], second: tuple[Span, Due]) -> Due:
    (one, at), (other, then) = first, second
    chosen, span = (then, other) if (then.due_at > at.due_at) == (take == "later") else (at, one)
    words = (
        *(f"{one.in_words()}: {step}" for step in at.derivation),
        *(f"{other.in_words()}: {step}" for step in then.derivation),
        f"the {take} of the two counts: {span.in_words()}",
        chosen.derivation[-1],
    )
    return replace(chosen, derivation=words)


def _of_span(
    rule: Rule,
    span: Span,
    trigger_at: datetime,
    calendar: WorkingCalendar,
    out_of_hours: str,
    occurrence: int,
    stops: Sequence[Paused],
) -> Due:
    amount = span.amount * occurrence
    if span.unit == "hours":
        return _hours(trigger_at, amount, calendar, stops)
    if span.unit == "working_hours":
        return _working_hours(trigger_at, amount, calendar, stops)
    day_0 = calendar.day_of_receipt(trigger_at, out_of_hours=out_of_hours)
    inclusive = rule.day_count == "include_trigger_day" and amount > 0
    roll_over = rule.if_last_day_non_working

    def counted() -> Due:
        return _days(day_0, Span(amount=amount, unit=span.unit), calendar, stops, inclusive, roll_over)

    asked = (day_0, amount, span.unit, inclusive, roll_over)
    found = counted() if stops else calendar.once(asked, counted)
    itself = inclusive and _counts(day_0, span.unit, calendar, stops)
    start = _say_start(trigger_at, day_0, calendar, inclusive=itself)
    return Due(found.due_at, found.due_date, (start, *found.derivation))


# Hours


def _hours(trigger_at: datetime, amount: int, calendar: WorkingCalendar, stops: Sequence[Paused]) -> Due:
    at, left = trigger_at.astimezone(UTC), timedelta(hours=amount)
    words = [f"{counted(amount, 'hours')} after {a_moment(trigger_at.astimezone(calendar.zone))}"]
    for stop in stops:
        end = stop.ends_at or stop.begins_at
        if stop.begins_at >= at + left or not left:  # no hours are over at once, whatever stands still
            break
        if end > at:
            left -= max(stop.begins_at - at, timedelta())
            at = end.astimezone(UTC)
            words.append(f"stood still {stop.in_words(calendar)}")
    return _exactly(at + left, calendar, words)


def _working_hours(trigger_at: datetime, amount: int, calendar: WorkingCalendar, stops: Sequence[Paused]) -> Due:
    start, left = trigger_at.astimezone(UTC), timedelta(hours=amount)
    words = [f"{counted(amount, 'working_hours')} after {a_moment(trigger_at.astimezone(calendar.zone))}"]
    last = start
    for begin, end in _open_from(start, calendar, stops) if left else ():
        if end - begin >= left:
            last = begin + left
            break
        left -= end - begin
    words.extend(f"stood still {stop.in_words(calendar)}" for stop in stops if amount and stop.begins_at < last)
    words.extend(_skipped(calendar.day_of(start), calendar.day_of(last), calendar))
    return _exactly(last, calendar, words)


def _open_from(
    start: datetime, calendar: WorkingCalendar, stops: Sequence[Paused]
) -> Iterator[tuple[datetime, datetime]]:
    """The spells from `start` on in which somebody is in and no clock stands still, without end."""
    day, idle = calendar.day_of(start), 0
    while idle <= SEARCH_LIMIT:
        spells = calendar.open_spells(day)
        idle = 0 if spells else idle + 1
        for begin, end in spells:
            yield from _without(max(begin, start), end, stops)
        day += _ONE_DAY
    raise ConfigError("The calendar has no working day in a whole year; check organisation.closures and region.")


def _without(begin: datetime, end: datetime, stops: Sequence[Paused]) -> Iterator[tuple[datetime, datetime]]:
    """What is left of a spell without the pauses, which stand in order of their beginnings."""
    for stop in stops:
        if begin < min(stop.begins_at, end):
            yield begin, min(stop.begins_at, end)
        begin = max(begin, stop.ends_at or end)
    if begin < end:
        yield begin, end


def _exactly(at: datetime, calendar: WorkingCalendar, words: list[str]) -> Due:
    local = at.astimezone(calendar.zone)
    return Due(at.astimezone(UTC), local.date(), (*words, f"due {a_moment(local)}"))


# Days


def _days(
    day_0: date, span: Span, calendar: WorkingCalendar, stops: Sequence[Paused], inclusive: bool, roll_over: str
) -> Due:
    """Counted from `day_0`; the derivation tells what follows on that day."""
    words: list[str] = []
    last = _last_day(day_0, span, calendar, words, stops, inclusive=inclusive)
    rolled = _roll_over(last, roll_over, calendar)
    if rolled != last:
        words.append(f"{_free_from(last, rolled, calendar)}, so it moves to {a_day(rolled)}")
    words.append(f"due by the end of {a_day(rolled)} ({calendar.zone.key})")
    return Due(calendar.end_of(rolled), rolled, tuple(words))


def _free_from(last: date, rolled: date, calendar: WorkingCalendar) -> str:
    """Every free day between the last one of a limit and the one it moves to, with what makes it free."""
    step = _ONE_DAY if rolled > last else -_ONE_DAY
    free = [last + n * step for n in range(abs((rolled - last).days))]
    named = [f"{a_day(day)} ({calendar.not_working_because(day)})" for day in free]
    return f"{in_a_row(named, 'and')} {'is no working day' if len(named) == 1 else 'are no working days'}"


def _say_start(trigger_at: datetime, day_0: date, calendar: WorkingCalendar, *, inclusive: bool) -> str:
    came = calendar.day_of(trigger_at)
    first = f"day {int(inclusive)}: {a_day(day_0)}"
    if came == day_0:
        return f"{first}, which counts itself" if inclusive else first
    local = trigger_at.astimezone(calendar.zone).replace(tzinfo=None)
    return f"{first}, the next working day (it came {a_moment(local)})"


def _last_day(
    day_0: date,
    span: Span,
    calendar: WorkingCalendar,
    words: list[str],
    stops: Sequence[Paused] = (),
    *,
    inclusive: bool = False,
) -> date:
    if span.unit in ("working_days", "business_days"):
        days = _running(calendar.working_days_after(day_0 - _ONE_DAY if inclusive else day_0), calendar, stops)
        passed = list(islice(days, span.amount))
        last = passed[-1] if passed else day_0
        words.extend(_between(passed[:-1], day_0))
        words.append(f"day {span.amount}: {a_day(last)}, {span.in_words()} on")
        words.extend(_skipped(day_0, last, calendar))
    else:
        last = _calendar_day(day_0, span, inclusive=inclusive)
        words.append(f"{span.in_words()}{' with that day' if inclusive else ' on'}: {a_day(last)}")
        plain, before_first = last, day_0 - timedelta(days=inclusive)
        last = nth(_running(_days_after(before_first), calendar, stops), (last - before_first).days, last)
        if last != plain:
            words.append(f"moved by {counted((last - plain).days, 'days')} without the clock: {a_day(last)}")
    words.extend(f"stood still {stop.in_words(calendar)}" for stop in stops if calendar.day_of(stop.begins_at) <= last)
    return last


def _calendar_day(day_0: date, span: Span, *, inclusive: bool) -> date:
    """The last day of a limit in calendar time.

    With the trigger's day as day 1 a limit of months ends on the day before the one of the same number (Regulation
    1182/71, article 3(2)(c); BGB section 188(2)), or on the last day of a month that is too short.
    """
    if span.unit not in ("months", "years"):
        return day_0 + timedelta(days=span.amount * (7 if span.unit == "weeks" else 1) - inclusive)
    amount = span.amount * (12 if span.unit == "years" else 1)
    if not inclusive:
        return add_months(day_0, amount)
    if day_0.day == 1:
        return add_months(day_0, amount) - _ONE_DAY
    return add_months(day_0 - _ONE_DAY, amount)


def _days_after(day: date) -> Iterator[date]:
    while True:
        day += _ONE_DAY
        yield day


def _counts(day: date, unit: str, calendar: WorkingCalendar, stops: Sequence[Paused]) -> bool:
    works = unit not in ("working_days", "business_days") or calendar.is_working_day(day)
    return works and day in _running(iter((day,)), calendar, stops)


def _running(days: Iterator[date], calendar: WorkingCalendar, stops: Sequence[Paused]) -> Iterator[date]:
    """Those at whose end the clock runs."""
    return (day for day in days if not any(stop.stops(calendar.end_of(day)) for stop in stops)) if stops else days


def nth(days: Iterator[date], n: int, day_0: date) -> date:
    """The n-th of `days`, counted from 1; `day_0` for n = 0."""
    return next(islice(days, n - 1, None)) if n > 0 else day_0


def _between(days: Sequence[date], day_0: date) -> Sequence[str]:
    """The days that count before the last one, by name; `day_0` was told already if it is the first of them."""
    first = 1
    if days and days[0] == day_0:
        first, days = 2, days[1:]
    if not days:
        return []
    number = f"day {first}" if len(days) == 1 else f"days {first} to {first + len(days) - 1}"
    return [f"{number}: {in_spells(days) if len(days) >= _MANY else in_days(days)}"]


def _skipped(after: date, last: date, calendar: WorkingCalendar) -> Sequence[str]:
    """The holidays and closures passed over, by name; free weekdays only as a number."""
    weekly, named = 0, []
    for n in range(1, (last - after).days):
        day = after + timedelta(days=n)
        why = calendar.not_working_because(day)
        if why is None:
            if day in calendar.open_all_the_same:
                named.append(f"counted {a_day(day)}: we are closed, but the rule knows no closures of ours")
        elif why == WEEKDAYS[day.weekday()]:
            weekly += 1
        else:
            named.append(f"skipped {a_day(day)}: {why}")
    return [*([f"skipped {counted(weekly, 'days')} of weekends"] if weekly else []), *named]


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
    return calendar.once(("before", due_at, span.amount, span.unit), lambda: _before(due_at, span, calendar))


def _before(due_at: datetime, span: Span, calendar: WorkingCalendar) -> datetime:
    if span.unit == "hours":
        return calendar.in_office_hours(due_at - timedelta(hours=span.amount))
    if span.unit == "working_hours":
        return _working_hours_before(due_at, timedelta(hours=span.amount), calendar)
    day = calendar.day_of(due_at)
    if span.unit in ("working_days", "business_days"):
        day = calendar.this_or_previous_working_day(day)
        day = nth(calendar.working_days_before(day), span.amount, day)
    elif span.unit in ("months", "years"):
        day = add_months(day, -span.amount * (12 if span.unit == "years" else 1))
    else:
        day -= timedelta(days=span.amount * (7 if span.unit == "weeks" else 1))
    opening = calendar.opening_of(calendar.this_or_previous_working_day(day))
    return opening if opening <= due_at else calendar.in_office_hours(due_at)  # on the last day, before it opens


def _working_hours_before(due_at: datetime, left: timedelta, calendar: WorkingCalendar) -> datetime:
    at = calendar.in_office_hours(due_at)
    while True:
        begin = max(spell for spell, _ in calendar.open_spells(calendar.day_of(at)) if spell <= at)
        if at - begin > left or not left:
            return at - left
        left -= at - begin
        at = calendar.in_office_hours(begin - timedelta(seconds=1))


# Pauses


def stood_still(stop: Paused, calendar: WorkingCalendar, *, now: datetime | None = None) -> int:
    """How many local days a pause has taken: those at whose end the clock stood still, up to `now` while it lasts."""
    end = stop.ends_at or now or stop.begins_at
    return max(0, (calendar.day_of(end) - calendar.day_of(stop.begins_at)).days)


def pause_ends(
    pause: Pause, begins_at: datetime, calendar: WorkingCalendar, *, before: Sequence[Paused] = ()
) -> datetime:
    """When a pause that begins then is over at the latest (UTC).

    `before` are the earlier pauses of the same deadline (all over): what they took is taken from the same number.
    Raises Refused where nothing is left of it.
    """
    most = pause.most
    begins_at = begins_at.astimezone(UTC)
    if most.unit in ("hours", "working_hours"):
        spent = sum((_time_in(stop, most.unit, calendar) for stop in before), timedelta())
        left = timedelta(hours=most.amount) - spent
        if left > timedelta():
            return begins_at + left if most.unit == "hours" else _work_on(begins_at, left, calendar)
    else:
        day = calendar.day_of(begins_at)
        working = most.unit in ("working_days", "business_days")
        whole = most.amount if working else (_calendar_day(day, most, inclusive=False) - day).days
        days_left = whole - sum(len(_days_in(stop, calendar, working=working)) for stop in before)
        if days_left > 0:
            days = calendar.working_days_after(day) if working else _days_after(day)
            return calendar.end_of(nth(days, days_left, day))
    raise Refused(f"The clock has stood still for {most.in_words()}, and {pause.basis} allows no more.")


def delayed(rule: Rule, found: Due, stop: Paused, calendar: WorkingCalendar) -> Due:
    """A date that somebody set (an extension), later by the time for which the clock stood still since (`stop`)."""
    unit = "calendar_days" if rule.span is None else rule.span.unit
    words = (*found.derivation, f"stood still {stop.in_words(calendar)}")
    if unit in ("hours", "working_hours"):
        lost = _time_in(stop, unit, calendar)
        at = found.due_at + lost if unit == "hours" else _work_on(found.due_at, lost, calendar)
        return _exactly(at, calendar, list(words))
    working = unit in ("working_days", "business_days")
    lost_days = len(_days_in(stop, calendar, working=working))
    days = calendar.working_days_after(found.due_date) if working else _days_after(found.due_date)
    day = _roll_over(nth(days, lost_days, found.due_date), rule.if_last_day_non_working, calendar)
    return Due(calendar.end_of(day), day, (*words, f"due by the end of {a_day(day)} ({calendar.zone.key})"))


def _days_in(stop: Paused, calendar: WorkingCalendar, *, working: bool) -> list[date]:
    """The days at whose end the clock stood still; with `working` those that are working days."""
    first = calendar.day_of(stop.begins_at)
    days = (first + timedelta(days=n) for n in range(stood_still(stop, calendar)))
    return [day for day in days if not working or calendar.is_working_day(day)]


def _time_in(stop: Paused, unit: str, calendar: WorkingCalendar) -> timedelta:
    begin, end = stop.begins_at.astimezone(UTC), (stop.ends_at or stop.begins_at).astimezone(UTC)
    if unit == "hours":
        return end - begin
    worked, day = timedelta(), calendar.day_of(begin)
    while day <= calendar.day_of(end):
        spells = ((max(one, begin), min(other, end)) for one, other in calendar.open_spells(day))
        worked += sum((other - one for one, other in spells if other > one), timedelta())
        day += _ONE_DAY
    return worked


def _work_on(start: datetime, left: timedelta, calendar: WorkingCalendar) -> datetime:
    """The instant at which somebody has been in for so long since `start`."""
    for begin, end in _open_from(start, calendar, ()) if left else ():
        if end - begin >= left:
            return begin + left
        left -= end - begin
    return start


# Extensions


def latest_extension(
    rule: Rule,
    found: Due,
    trigger_at: datetime,
    calendar: WorkingCalendar,
    *,
    out_of_hours: str = "actual",
    pauses: Sequence[Paused] = (),
) -> date | None:
    """The last day to which the rule lets this deadline be moved; None where it names no number.

    `pauses` are no time of it either (all over).  Raises Refused where it allows no extension.
    """
    extension = _extension_of(rule)
    if extension.most is None:
        return None
    if extension.counted_from == "due":
        return _last_day(found.due_date, extension.most, calendar, [])
    longer = _of_span(rule, extension.most, trigger_at, calendar, out_of_hours, 1, pauses)
    return longer.due_date


def _extension_of(rule: Rule) -> Extension:
    if rule.extension is None:
        raise Refused(f"'{rule.action}' cannot be given more time: {rule.basis} allows none.")
    return rule.extension


def extended(
    rule: Rule,
    found: Due,
    trigger_at: datetime,
    calendar: WorkingCalendar,
    *,
    to: date,
    reason: str,
    approver: str,
    out_of_hours: str = "actual",
    times: int = 0,
    pauses: Sequence[Paused] = (),
) -> Due:
    """The deadline moved to the end of the day `to`, with the reason and whose word it was in its derivation.

    `times` is how often it was moved before.  Raises Refused for what the rule does not allow.
    """
    extension = _extension_of(rule)
    if not reason.strip():
        raise Refused("More time needs a reason that the complainant can be told; write one.")
    if times and not extension.repeatable:
        raise Refused(f"'{rule.action}' was given more time already, and {rule.basis} allows it once.")
    if to <= found.due_date:
        raise Refused(f"{a_day(to)} is not later than {a_day(found.due_date)}; choose a later day.")
    latest = latest_extension(rule, found, trigger_at, calendar, out_of_hours=out_of_hours, pauses=pauses)
    if latest is not None and to > latest:
        raise Refused(f"{rule.basis} lets it move to {a_day(latest)} at the latest; choose that day or an earlier one.")
    by = f", approved by {approver}" if approver else ""
    words = (
        *found.derivation,
        f"moved from {a_day(found.due_date)} to {a_day(to)} ({reason.strip().rstrip('. ')}{by})",
        f"due by the end of {a_day(to)} ({calendar.zone.key})",
    )
    return Due(calendar.end_of(to), to, words)
