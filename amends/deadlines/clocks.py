"""The plan of a case: its deadlines and every instant at which the clock has something to do about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from amends.deadlines.calendar import WorkingCalendar
from amends.deadlines.compute import before, due
from amends.deadlines.packs import Pack, Rule


class TickKind(StrEnum):
    WARN = "warn"
    LETTER = "letter"
    BREACH = "breach"


@dataclass(frozen=True, slots=True)
class PlannedTick:
    """One instant (UTC) at which the clock acts.

    `step` says which warning it is ("5 working_days") or which letter is written; `to` who is told.
    """

    at: datetime
    kind: TickKind
    step: str
    to: str


@dataclass(frozen=True, slots=True)
class PlannedDeadline:
    """A deadline with its due instant (UTC), the reasons for it, and its ticks in order of time."""

    rule_id: str
    label: str
    occurrence: int
    starts_at: datetime
    due_at: datetime
    due_date: date
    basis: str
    derivation: tuple[str, ...]
    met_by: tuple[str, ...]
    ticks: tuple[PlannedTick, ...]


def plan(pack: Pack, calendar: WorkingCalendar, *, trigger: str, at: datetime) -> list[PlannedDeadline]:
    """The deadlines that `trigger` starts at `at` (aware), the earliest first.

    Conditional ones (`applies_if`) are left out here: a fact of the case switches them on.
    """
    planned = [
        one
        for rule in pack.deadline
        if rule.starts == trigger and rule.applies_if is None
        if (one := _planned(pack, rule, calendar, at, occurrence=1)) is not None
    ]
    return sorted(planned, key=lambda one: one.due_at)


def next_occurrence(
    pack: Pack, calendar: WorkingCalendar, *, rule_id: str, occurrence: int, starts_at: datetime
) -> PlannedDeadline | None:
    """The occurrence after number `occurrence` of a recurring deadline, still counted from `starts_at`; else None."""
    rule = pack.rule(rule_id)
    return _planned(pack, rule, calendar, starts_at, occurrence=occurrence + 1) if rule.recurring else None


def _planned(
    pack: Pack, rule: Rule, calendar: WorkingCalendar, at: datetime, *, occurrence: int
) -> PlannedDeadline | None:
    found = due(rule, at, calendar, out_of_hours=pack.out_of_hours_of(rule), occurrence=occurrence)
    if found is None:
        return None
    ticks = [tick for tick in _ticks(rule, found.due_at, found.due_date, calendar) if tick.at > at]
    return PlannedDeadline(
        rule_id=rule.id,
        label=rule.label,
        occurrence=occurrence,
        starts_at=at,
        due_at=found.due_at,
        due_date=found.due_date,
        basis=rule.basis,
        derivation=found.derivation,
        met_by=rule.met_by,
        ticks=tuple(sorted(ticks, key=lambda tick: tick.at)),
    )


def _ticks(rule: Rule, due_at: datetime, due_date: date, calendar: WorkingCalendar) -> Iterator[PlannedTick]:
    for warn in rule.warn:
        step = f"{warn.before.amount} {warn.before.unit}"
        yield PlannedTick(before(due_at, warn.before, calendar), TickKind.WARN, step, warn.to)
    if rule.letter is not None:
        day = calendar.this_or_previous_working_day(due_date)
        yield PlannedTick(calendar.at(day, calendar.opens), TickKind.LETTER, rule.letter.kind, "complainant")
    yield PlannedTick(due_at + timedelta(seconds=1), TickKind.BREACH, "", rule.on_breach)
