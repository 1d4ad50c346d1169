"""Calendars, packs and plans for the simulation's tests: Monday to Friday, nine to five, in London."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from amends.deadlines.calendar import WorkingCalendar, calendar_of
from amends.deadlines.packs import regimes_of
from daemon.simulate.planning import Plan
from daemon.simulate.scratch import settings_for
from daemon.simulate.work import Effort

CALENDAR: Final = WorkingCalendar(zone=ZoneInfo("Europe/London"))
MONDAY: Final = date(2027, 3, 1)


def at(day: int, hour: int, minute: int = 0, *, month: int = 3) -> datetime:
    """An instant of March 2027, when London's clock shows UTC until the 28th."""
    return datetime(2027, month, day, hour, minute, tzinfo=UTC)


def a_plan(
    *packs: str,
    days: int = 5,
    a_day: float = 2.0,
    handlers: int | None = None,
    minutes: int = 90,
    letter: int = 15,
    seed: int = 1,
    region: str = "GB-ENG",
    facts: Mapping[str, str] | None = None,
) -> Plan:
    settings = settings_for(None, packs or ("iso-10002",), region=region, timezone="Europe/London")
    calendar = calendar_of(settings.organisation)
    received = calendar.at(MONDAY, datetime.min.time())
    return Plan(
        settings=settings,
        calendar=calendar,
        packs=tuple(regime.at(received, calendar.zone) for regime in regimes_of(settings)),
        facts=dict(facts or {}),
        effort=Effort(timedelta(minutes=minutes), timedelta(minutes=letter)),
        first=MONDAY,
        days=days,
        a_day=a_day,
        handlers=handlers,
        seed=seed,
    )
