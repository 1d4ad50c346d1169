"""The calendar on which the dates of the open cases stand.

It is the office's own, but for the time in which a change of the calendar waits to be applied: until then it is the one
that was applied last, which is kept in the store with its holidays.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlmodel import Session

from amends.casework.office import Office, remembered, write_meta
from amends.deadlines.fingerprint import calendar_of_facts, facts_of_calendar
from amends.kernel.errors import Unreadable

if TYPE_CHECKING:
    from amends.deadlines.calendar import WorkingCalendar

_KEPT: Final = "policy_calendar"
"""In `meta`: the calendar by which the dates of the open cases were counted, and of which years its holidays are."""


def keep(office: Office, session: Session, years: tuple[int, int]) -> None:
    """The dates of the open cases stand on the office's calendar from now on."""
    write_meta(session, _KEPT, json.dumps([*years, _facts(office, *years)], ensure_ascii=False))


def kept(office: Office, session: Session) -> WorkingCalendar | None:
    """The calendar on which dates still stand, where it is another than the office's; else None."""
    found = remembered(session, _KEPT, _read)
    if found is None:
        return None
    first, last, facts = found
    if facts == _facts(office, first, last):
        return None
    return office.calendar.once(("standing", json.dumps(facts)), lambda: calendar_of_facts(facts))


def years_of(first: Any, last: Any) -> tuple[int, int]:
    """The years over which a calendar is compared.  Raises Unreadable, ValueError or TypeError for what is none."""
    first, last = int(first), int(last)
    if not 0 < last - first < 100 or not 1900 <= first < 2200:
        raise Unreadable("The years over which a calendar was compared cannot be read.")
    return first, last


def _read(text: str) -> tuple[int, int, dict[str, Any]]:
    """Raises what `remembered` catches for what is no calendar by which dates can be counted."""
    first, last, facts = json.loads(text)
    years = years_of(first, last)
    calendar = calendar_of_facts(facts)
    if not facts["hours"] or not all(calendar.hours.values()):
        raise Unreadable("The calendar by which dates were counted has no working hours.")
    return *years, facts


def _facts(office: Office, first: int, last: int) -> dict[str, Any]:
    calendar = office.calendar
    return calendar.once(("facts", first, last), lambda: facts_of_calendar(calendar, first, last))
