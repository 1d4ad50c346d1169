"""How soon a case is due, in a sign and a word; times and sizes as people say them.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, Protocol
from zoneinfo import ZoneInfo


class Heat(StrEnum):
    """The band a deadline falls into; the value is also the role it is painted in."""

    LATE = "late"
    TODAY = "today"
    SOON = "soon"
    WEEK = "week"
    LATER = "later"
    WAITING = "waiting"
    DONE = "done"
    NONE = "none"


SIGNS: Final = {
    Heat.LATE: "!!",
    Heat.TODAY: "! ",
    Heat.SOON: "▲ ",
    Heat.WEEK: "· ",
    Heat.LATER: "  ",
    Heat.WAITING: "= ",
    Heat.DONE: "✓ ",
    Heat.NONE: "– ",
}
MEANINGS: Final = {
    Heat.LATE: "late",
    Heat.TODAY: "due today",
    Heat.SOON: "due within 3 working days",
    Heat.WEEK: "due within 7 days",
    Heat.LATER: "due later",
    Heat.WAITING: "waiting for somebody; its clock runs on unless it is paused",
    Heat.DONE: "answered or closed",
    Heat.NONE: "no deadline",
}
SOON_WORKING_DAYS: Final = 3


class WorkingDays(Protocol):
    def is_working_day(self, day: date) -> bool: ...


class _Weekdays:
    """What stands in until the calendar with its holidays is loaded."""

    def is_working_day(self, day: date) -> bool:
        return day.weekday() < 5


@dataclass(frozen=True, slots=True)
class Bounds:
    """Now, and the instants at which today, the next three working days and the next seven days end."""

    now: datetime
    zone: ZoneInfo
    today_end: datetime
    soon_end: datetime
    week_end: datetime


def bounds(now: datetime, zone: ZoneInfo, calendar: WorkingDays | None = None) -> Bounds:
    """The bands as they stand at `now`, by the days of `zone`."""
    days = calendar or _Weekdays()
    today = now.astimezone(zone).date()
    soon, left = today, SOON_WORKING_DAYS
    while left:
        soon += timedelta(days=1)
        left -= days.is_working_day(soon)
    return Bounds(now, zone, _end(today, zone), _end(soon, zone), _end(today + timedelta(days=7), zone))


def _end(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.max, zone)


def heat(
    due: datetime | None, at: Bounds, *, waiting: bool = False, paused: bool = False, is_open: bool = True
) -> Heat:
    """Waiting never hides a clock that is late or due today, for it stops none; one that is `paused` is neither."""
    if not is_open:
        return Heat.DONE
    if paused:
        return Heat.WAITING
    if due is None:
        return Heat.WAITING if waiting else Heat.NONE
    if due < at.now:
        return Heat.LATE
    if due <= at.today_end:
        return Heat.TODAY
    if waiting:
        return Heat.WAITING
    if due <= at.soon_end:
        return Heat.SOON
    return Heat.WEEK if due <= at.week_end else Heat.LATER


def due_words(due: datetime | None, at: Bounds, *, left: bool = False) -> str:
    """At most eight cells: `3d late`, `45m`, `17:00`, `tomorrow`, `Thu`, `19 May`, `19 May27`.

    With `left` the time left (`3d 4h`) instead of the day and hour.
    """
    if due is None:
        return ""
    if due < at.now:
        return f"{_span(at.now - due)} late"
    if left:
        return _span(due - at.now, fine=True)
    local, today = due.astimezone(at.zone), at.now.astimezone(at.zone).date()
    if due <= at.today_end:
        return f"{local:%H:%M}" if due - at.now >= timedelta(hours=1) else _span(due - at.now)
    days = (local.date() - today).days
    if days == 1:
        return "tomorrow"
    if days < 7:
        return f"{local:%a}"
    return f"{local.day} {local:%b}" if local.year == today.year else f"{local.day} {local:%b%y}"


def _span(span: timedelta, *, fine: bool = False) -> str:
    minutes = max(0, int(span.total_seconds() // 60))
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days}d {hours}h" if fine and days < 10 else f"{days}d"
    return f"{hours}h" if hours else f"{minutes}m"


def age(then: datetime, now: datetime) -> str:
    """How long ago: `now`, `5m`, `2h`, `3d`, `6w`."""
    span = now - then
    if span < timedelta(minutes=1):
        return "now"
    return f"{span.days // 7}w" if span.days >= 28 else _span(span)


def moment(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """`Mon 20 Apr 09:12`; with the year where it is another one."""
    local = at.astimezone(zone)
    year = "" if local.year == now.astimezone(zone).year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year} {local:%H:%M}"


def day(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """`20 Apr`; with the year where it is another one."""
    local = at.astimezone(zone)
    year = "" if local.year == now.astimezone(zone).year else f" {local.year}"
    return f"{local.day} {local:%b}{year}"


def size(octets: int) -> str:
    """`88 kB`, `1.4 MB`."""
    if octets < 1000:
        return f"{octets} B"
    return f"{octets / 1000:.0f} kB" if octets < 1_000_000 else f"{octets / 1_000_000:.1f} MB"


def countdown(span: timedelta) -> str:
    """`0:47`; never below zero."""
    minutes, seconds = divmod(max(0, round(span.total_seconds())), 60)
    return f"{minutes}:{seconds:02d}"
