"""What `amendsd policy list` and `amendsd policy explain` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from amends.deadlines.calendar import WorkingCalendar
from amends.deadlines.compute import due
from amends.deadlines.packs import Pack, PackFile, Rule
from amends.kernel.instants import iso


def listed(packs: Sequence[PackFile]) -> list[dict[str, Any]]:
    return [
        {
            "id": file.pack.id,
            "name": file.pack.name,
            "jurisdiction": file.pack.jurisdiction,
            "version": file.pack.version,
            "verified": file.pack.verified,
        }
        for file in packs
    ]


def explained(
    pack: Pack, calendar: WorkingCalendar, *, received: datetime, events: Mapping[str, datetime]
) -> list[dict[str, Any]]:
    """Every deadline of the pack, conditional ones too, in order of due date; those without one stand last."""
    triggers = {"receipt": received, **events}
    rows = [_row(pack, rule, calendar, triggers.get(rule.starts)) for rule in pack.deadline]
    return sorted(rows, key=lambda row: (row["due"] is None, row["due"] or ""))


def _row(pack: Pack, rule: Rule, calendar: WorkingCalendar, at: datetime | None) -> dict[str, Any]:
    found = None if at is None else due(rule, at, calendar, out_of_hours=pack.out_of_hours_of(rule))
    if found is None:
        why = f"'{rule.starts}' has not happened" if at is None else "the rule names no number"
        derivation: Sequence[str] = (why,)
    else:
        derivation = found.derivation
    return {
        "deadline": rule.id,
        "due": None if found is None else iso(found.due_at),
        "due_date": None if found is None else found.due_date.isoformat(),
        "applies_if": rule.applies_if,
        "basis": rule.basis,
        "rule": in_words(rule),
        "derivation": list(derivation),
    }


def in_words(rule: Rule) -> str:
    """The rule as a sentence, with what is the organisation's own and how sure the fact is."""
    span = rule.span
    if rule.unit in ("immediately", "none"):
        limit = "at once" if rule.unit == "immediately" else "no number"
        if span is not None:
            limit += f" (own target: {span.in_words()})"
    else:
        limit = f"{'every' if rule.recurring else 'within'} {span.in_words() if span else ''}"
    sure = {
        "verified": "",
        "verified_secondary": " [from a secondary source]",
        "memory": " [not verified]",
        "product_default": " [our default, no rule of law]",
    }[rule.confidence]
    return f"{rule.action}: {limit} of {rule.starts.replace('_', ' ')}{sure}"
