"""What `amendsd policy list` and `amendsd policy explain` print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from amends.deadlines.calendar import WorkingCalendar
from amends.deadlines.clocks import counting
from amends.deadlines.compute import due
from amends.deadlines.model import RECEIPT, Pack, Rule, in_words, limit_of, name_of
from amends.deadlines.packs import PackFile, Regime
from amends.deadlines.words import a_day
from amends.kernel.instants import iso


def listed(files: Iterable[PackFile], *, today: date) -> list[dict[str, Any]]:
    """One row a pack, of the files of `packs_in`: the version that is in force today."""
    versions: dict[str, list[Pack]] = {}
    for file in files:
        versions.setdefault(file.pack.id, []).append(file.pack)
    return [
        {
            "id": pack.id,
            "name": pack.name,
            "jurisdiction": pack.jurisdiction,
            "version": pack.version,
            "verified": pack.verified,
        }
        for packs in versions.values()
        for pack in [Regime(tuple(packs)).on(today)]
    ]


def explained(
    pack: Pack,
    calendar: WorkingCalendar,
    *,
    received: datetime,
    events: Mapping[str, datetime],
    facts: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Every deadline of the pack, conditional ones too, in order of due date; those without one stand last.

    What the `facts` rule out is left out; without a fact, or with one that is not known, the conditional ones stay.
    """
    triggers = {name_of(name): at for name, at in events.items()} | {RECEIPT: received}
    known = {name_of(name): value for name, value in (facts or {}).items()}
    days = counting(pack, calendar)
    asked = [rule for rule in pack.deadline if rule.applies(known) is not False]
    rows = [_row(pack, rule, days, triggers.get(rule.starts), received=received) for rule in asked]
    return sorted(rows, key=lambda row: (row["due"] is None, row["due"] or ""))


def _row(pack: Pack, rule: Rule, days: WorkingCalendar, at: datetime | None, *, received: datetime) -> dict[str, Any]:
    found = None if at is None else due(rule, at, days, out_of_hours=pack.out_of_hours_of(rule))
    derivation: Sequence[str]
    if at is None:
        derivation = (f"'{rule.starts}' has not happened",)
    elif found is None:
        derivation = (f"the rule names no number: {limit_of(rule)}",)
    elif rule.numberless:  # a date of ours must never be taken for the rule's
        derivation = (
            f"the rule names no number: {limit_of(rule)}",
            *(f"our own target: {one}" for one in found.derivation),
        )
        found = None
    else:
        derivation = found.derivation
    return {
        "deadline": rule.id,
        "due": None if found is None else iso(found.due_at),
        "due_date": None if found is None else found.due_date.isoformat(),
        "applies_if": rule.applies_if,
        "basis": rule.basis,
        "rule": in_words(rule),
        "derivation": [*derivation, *_rules_own_age(pack, days.day_of(received) if at is not None else None)],
    }


def _rules_own_age(pack: Pack, day: date | None) -> list[str]:
    """A word of warning where this version was not in force on the day of receipt, which decides for the whole case."""
    if day is None or pack.effective_from <= day <= (pack.effective_to or day):
        return []
    until = f" to {a_day(pack.effective_to)}" if pack.effective_to is not None else ""
    return [f"not in force on {a_day(day)}: this version holds from {a_day(pack.effective_from)}{until}"]
