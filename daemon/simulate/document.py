"""What a program reads.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from daemon.simulate.planning import Plan
from daemon.simulate.result import Spell
from daemon.simulate.search import Found

_MINUTE: Final = timedelta(minutes=1)


def document(plan: Plan, found: Found | None, spells: Sequence[Spell], days: int, answer: str) -> dict[str, Any]:
    """The whole as JSON has it; without `found` no complaint comes."""
    return _parameters(plan) | {
        "enough": found.enough if found is not None else 0,
        "handlers": [
            {
                "handlers": row.handlers,
                "late_answers": row.late_answers,
                "late_dates": row.late_dates,
                "first_late": row.first_late.isoformat() if row.first_late is not None else None,
                "busy": round(row.busy, 3),
                "source": "verbs" if row.verbs else "estimate",
            }
            for row in (found.tried if found is not None else ())
        ],
        "days": days,
        "spells": [_spell(spell) for spell in spells],
        "answer": answer,
    }


def _parameters(plan: Plan) -> dict[str, Any]:
    organisation = plan.settings.organisation
    return {
        "packs": [{"id": pack.id, "version": pack.version, "verified": pack.verified} for pack in plan.packs],
        "facts": dict(plan.facts),
        "from": plan.first.isoformat(),
        "to": plan.last.isoformat(),
        "complaints": plan.complaints,
        "seed": plan.seed,
        "region": organisation.region,
        "timezone": organisation.timezone,
        "minutes_per_answer": plan.effort.answer // _MINUTE,
        "minutes_per_letter": plan.effort.letter // _MINUTE,
    }


def _spell(spell: Spell) -> dict[str, Any]:
    return {
        "from": spell.first.isoformat(),
        "came": spell.came,
        "due": [{"pack": pack, "deadline": deadline, "count": n} for (pack, deadline), n in sorted(spell.due.items())],
        "answered": spell.answered,
        "late": spell.late,
        "open_at_end": spell.open_at_end,
        "letters_by_themselves": spell.letters,
        "warnings": spell.warnings,
        "busiest_day": spell.busiest[0].isoformat() if spell.busiest is not None else None,
        "busiest_day_due": spell.busiest[1] if spell.busiest is not None else 0,
    }
