"""What the dates depend on, as digests: by which it is known that the calendar or a pack is another than it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from amends.deadlines.words import in_a_row

if TYPE_CHECKING:  # to read what was written down needs neither
    from amends.deadlines.calendar import WorkingCalendar
    from amends.deadlines.packs import Regime

CALENDAR: Final = "calendar"
_PACK: Final = "pack "

Parts = Mapping[str, str]
"""By part ("calendar", "pack iso-10002-default") its digest."""


def fingerprint(calendar: WorkingCalendar, regimes: Sequence[Regime], *, first: int, last: int) -> dict[str, str]:
    """The digests of the calendar, with its holidays from the year `first` to `last`, and of each pack."""
    parts = {CALENDAR: _digest(facts_of_calendar(calendar, first, last))}
    for regime in regimes:
        parts[_PACK + regime.id] = _digest([pack.model_dump(mode="json") for pack in regime.versions])
    return parts


def facts_of_calendar(calendar: WorkingCalendar, first: int, last: int) -> dict[str, Any]:
    """All that it says, as JSON has it, with its holidays from the year `first` to `last`."""
    begin, end = date(first, 1, 1), date(last, 12, 31)
    days = (begin + timedelta(days=n) for n in range((end - begin).days + 1))
    return {
        "zone": calendar.zone.key,
        "hours": {str(day): [[f"{a}", f"{b}"] for a, b in spans] for day, spans in calendar.hours.items()},
        "closures": sorted(map(str, calendar.closures)),
        "openings": sorted(map(str, calendar.openings)),
        "holidays": {str(day): name for day in days if (name := calendar.holidays.get(day)) is not None},
    }


def calendar_of_facts(facts: Mapping[str, Any]) -> WorkingCalendar:
    """The calendar that says the same; it knows no holidays of other years."""
    from amends.deadlines.calendar import WorkingCalendar

    return WorkingCalendar(
        zone=ZoneInfo(facts["zone"]),
        holidays={date.fromisoformat(day): str(name) for day, name in facts["holidays"].items()},
        closures=frozenset(map(date.fromisoformat, facts["closures"])),
        openings=frozenset(map(date.fromisoformat, facts["openings"])),
        hours={
            int(day): tuple((time.fromisoformat(a), time.fromisoformat(b)) for a, b in spans)
            for day, spans in facts["hours"].items()
        },
    )


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def whole(parts: Parts) -> str:
    """One digest over all of them."""
    return _digest(dict(parts))


def changed(before: Parts, after: Parts) -> list[str]:
    """The parts that are not what they were, were added or were taken out."""
    return [part for part in dict.fromkeys([*after, *before]) if before.get(part) != after.get(part)]


def in_words(parts: Sequence[str]) -> str:
    """`The calendar changed`, `The calendar and the pack iso-10002-default changed`."""
    words = in_a_row([f"the {part}" for part in parts], last="and")
    return f"{words[:1].upper()}{words[1:]} changed"
