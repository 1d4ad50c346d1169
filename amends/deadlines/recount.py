"""A deadline counted again: what the calendar and the pack, as they are now, would make of what is stored.

A date that is on the record stands until somebody applies the change; what passed, was breached or met never moves, and
a date that was given by an extension stays the promise that it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from amends.deadlines.calendar import WorkingCalendar
from amends.deadlines.clocks import PlannedDeadline, PlannedTick, TickKind, left_since, replanned, ticks_of
from amends.deadlines.compute import Paused
from amends.deadlines.model import Pack, Rule
from amends.deadlines.words import a_day

GRACE: Final = timedelta(minutes=10)
"""The clock may need so long, of a person's time, to find that a deadline has passed."""
_RECOUNTED: Final = "counted anew on "
_ALWAYS: Final = frozenset({TickKind.BREACH, TickKind.RESUME})
"""What the clock must find however late it comes."""
_A_SECOND: Final = timedelta(seconds=1)
Row = list[str]
"""One entry of a plan as it is stored: instant (ISO 8601), action, step, to."""


class Sort(StrEnum):
    """How what is stored differs from what was counted again."""

    MOVES = "moves"
    PLAN = "plan"
    WORDS = "words"
    BROKEN = "broken"
    PASSED = "passed"
    STANDS = "stands"
    MISSING = "missing"
    NEXT = "next"


OF_A_CHANGE: Final = (Sort.MOVES, Sort.MISSING, Sort.PLAN, Sort.WORDS)
"""What a change of the calendar or of a pack explains; `STANDS` is no difference, but worth knowing."""
ALARMING: Final = (Sort.PASSED, Sort.BROKEN, Sort.NEXT, Sort.MOVES, Sort.MISSING, Sort.PLAN)
"""What must not be without a change; other words for the same date may come with a new version of the program."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An unmet deadline as it is stored; `occurrence` is that since its start, and instants are in UTC."""

    kind: str
    occurrence: int
    starts_at: datetime
    due_at: datetime
    due_date: str
    derivation: Sequence[str]
    basis: str
    label: str
    stage: str
    met_by: Sequence[str]
    ticks: Sequence[Row]
    tick_no: int
    tick_at: datetime | None
    moved: int
    breached: bool
    pauses: Sequence[Paused] = ()
    paused_until: datetime | None = None
    """While its clock stands still: when that is over at the latest, as `pauses` and the date have it."""

    @property
    def fired(self) -> Sequence[Row]:
        return self.ticks[: max(self.tick_no, 0)]

    @property
    def pending(self) -> Sequence[Row]:
        return self.ticks[max(self.tick_no, 0) :]


@dataclass(frozen=True, slots=True)
class Recount:
    """What differs, why in words, and the deadline as it would be: `ticks` with those behind it, `tick_no` of them."""

    sort: Sort
    why: str
    due_at: datetime
    due_date: date
    derivation: tuple[str, ...]
    basis: str
    label: str
    stage: str
    met_by: tuple[str, ...]
    ticks: tuple[Row, ...]
    tick_no: int

    @property
    def tick_at(self) -> datetime | None:
        return _instant(self.ticks[self.tick_no]) if self.tick_no < len(self.ticks) else None


def recounted(
    standing: Standing,
    pack: Pack | None,
    calendar: WorkingCalendar,
    *,
    now: datetime,
    grace: timedelta = GRACE,
) -> Recount | None:
    """How an unmet deadline differs from what it would be by `pack` and `calendar`; None where it does not.

    Without a pack, or a rule of that name in it, it is a promise or a remnant, and owed as it stands.  What passed
    less than `grace` before `now` is still the clock's to find.
    """
    rule = next((one for one in pack.deadline if one.id == standing.kind), None) if pack is not None else None
    to = rule.on_breach if rule is not None else "supervisor"
    if standing.breached:
        return _damaged(standing, to, now)
    if standing.due_at < now:
        return _passed(standing, to, now, grace)
    if pack is None or rule is None:
        return _damaged(standing, to, now) or _remnant(standing, pack)
    occurrence = standing.occurrence if rule.recurring else 1
    planned = replanned(
        pack, calendar, rule_id=rule.id, occurrence=occurrence, starts_at=standing.starts_at, pauses=standing.pauses
    )
    if planned is None:
        return _stands(standing, "its rule names no number any more; it is owed as it stands")
    return _compared(standing, pack, rule, calendar, planned, now)


def _compared(
    standing: Standing, pack: Pack, rule: Rule, calendar: WorkingCalendar, planned: PlannedDeadline, now: datetime
) -> Recount | None:
    due_at, due_date = planned.due_at, planned.due_date
    told = tuple(standing.derivation)
    base = plain(told[: len(told) - 2 * standing.moved])  # an extension adds two steps
    plan: Sequence[PlannedTick] = planned.ticks
    derivation = planned.derivation
    if standing.moved:  # a promise to the complainant: the date stands, the office may open at another hour
        due_at, due_date, derivation = standing.due_at, date.fromisoformat(standing.due_date), told
        every = ticks_of(pack, rule, due_at, due_date, calendar)
        plan = [one for one in every if one.at > standing.starts_at]
    elif base != told:
        derivation = _with_notes(derivation, _notes(told))
    if (until := standing.paused_until) is not None:
        plan = [PlannedTick(until, TickKind.RESUME, "", "handler"), *left_since(plan, until)]
    if damage := _damage(standing, now):
        standing = _set_right(standing, now)
    moves = due_at != standing.due_at or due_date.isoformat() != standing.due_date
    same_plan = [*map(_row, plan)] == standing.ticks  # as it nearly always is
    other_plan = not same_plan and _ahead(plan, standing, now) != sorted(_of_future(standing.pending, now))
    same_end = (planned.stage, planned.met_by) == (standing.stage, tuple(standing.met_by))
    same_words = (derivation, planned.basis, planned.label) == (told, standing.basis, standing.label)
    if moves:
        sort, why = Sort.MOVES, _why(base, planned.derivation)
    elif damage:
        sort, why = Sort.BROKEN, damage
    elif other_plan:
        sort, why = Sort.PLAN, "the clock would act on it at other times"
    elif not same_end:
        sort, why = Sort.PLAN, "another letter or event meets it"
    elif not same_words:
        sort, why = Sort.WORDS, _why(base, planned.derivation) if base != planned.derivation else "its rule reads anew"
    elif standing.moved and not standing.pauses and base != planned.derivation:
        why = f"it was given more time, and stands; the date before would be {a_day(planned.due_date)} now"
        return _stands(standing, why)
    else:
        return None
    ticks = (*standing.fired, *_kept(plan, standing, now))
    return Recount(
        sort=sort,
        why=why,
        due_at=due_at,
        due_date=due_date,
        derivation=derivation,
        basis=planned.basis,
        label=planned.label,
        stage=planned.stage,
        met_by=planned.met_by,
        ticks=ticks,
        tick_no=len(standing.fired),
    )


# In words


def plain(derivation: Sequence[str]) -> tuple[str, ...]:
    """A derivation without the notes of earlier changes."""
    return tuple(one for one in derivation if not one.startswith(_RECOUNTED))


def _notes(derivation: Sequence[str]) -> tuple[str, ...]:
    return tuple(one for one in derivation if one.startswith(_RECOUNTED))


def _with_notes(derivation: tuple[str, ...], notes: tuple[str, ...]) -> tuple[str, ...]:
    """They stand before the last step, which says when it is due."""
    return (*derivation[:-1], *notes, *derivation[-1:])


def noted(found: Recount, *, before: date, on: date, told: bool) -> tuple[str, ...]:
    """Its derivation with a note of what it was before it was counted anew `on` a day, and whether they were `told`."""
    and_told = ", as the complainant was told" if told else ""
    note = f"{_RECOUNTED}{a_day(on)}: it was {a_day(before)} before{and_told}"
    return _with_notes(plain(found.derivation), (*_notes(found.derivation), note))


_CAUSES: Final = ("skipped ", "counted ", "stood still ", "moved by ")
"""How the steps begin that tell why a day does not count, or does; the others only follow from them."""


def _why(before: Sequence[str], after: Sequence[str]) -> str:
    """What one derivation says and the other does not: the causes, or all but the dates where none differs."""
    gone = [one for one in before if one not in after and not one.startswith(("due ", "days "))]
    come = [one for one in after if one not in before and not one.startswith(("due ", "days "))]
    if any(map(_is_cause, (*gone, *come))):
        gone, come = (list(filter(_is_cause, steps)) for steps in (gone, come))
    told = [f"now {'; '.join(come)}"] if come else []
    told += [f"before {'; '.join(gone)}"] if gone else []
    return ", ".join(told) or "the day ends at another instant"


def _is_cause(step: str) -> bool:
    return step.startswith(_CAUSES) and not step.endswith("of weekends")


# What the clock goes by


def _instant(row: Row) -> datetime:
    return datetime.fromisoformat(row[0])


def _row(tick: PlannedTick) -> Row:
    return [tick.at.isoformat(), str(tick.kind), tick.step, tick.to]


def _left(plan: Sequence[PlannedTick], fired: Sequence[Row]) -> list[PlannedTick]:
    """What of a plan was not done yet: a step that was done by the old plan is not done again by the new one."""
    done = Counter(tuple(one[1:]) for one in fired)
    left = []
    for tick in plan:
        step = tuple(_row(tick)[1:])
        if done[step]:
            done[step] -= 1
        else:
            left.append(tick)
    return left


def _ahead(plan: Sequence[PlannedTick], standing: Standing, now: datetime) -> list[Row]:
    return sorted(_of_future([_row(one) for one in _left(plan, standing.fired)], now))


def _of_future(rows: Sequence[Row], now: datetime) -> list[Row]:
    return [list(row) for row in rows if row[1] in _ALWAYS or _instant(row) > now]


def _kept(plan: Sequence[PlannedTick], standing: Standing, now: datetime) -> list[Row]:
    """What the clock has yet to do: all that is to come, the letters that are owed, and of warnings that a nearer date
    has overtaken the last to each person."""
    left = _left(plan, standing.fired)
    owed = {tuple(one[1:]) for one in standing.pending}
    kept = [one for one in left if one.at > now or one.kind is not TickKind.WARN]
    overtaken = {one.to: one for one in left if one not in kept and tuple(_row(one)[1:]) in owed}
    return [_row(one) for one in sorted([*overtaken.values(), *kept], key=lambda one: one.at)]


def _damage(standing: Standing, now: datetime) -> str:
    """What is wrong with the place at which the clock stands in its plan; "" for nothing."""
    ticks, number = standing.ticks, standing.tick_no
    if not 0 <= number <= len(ticks):
        return "its place in the plan of the clock lies outside of it"
    upcoming = _instant(ticks[number]) if number < len(ticks) else None
    if standing.tick_at != upcoming:
        return "the clock would not look at it when its plan says so"
    if any(_instant(row) > now for row in standing.fired):
        return "what is still to come counts as done in the plan of the clock"
    if not standing.breached and not any(row[1] == TickKind.BREACH for row in standing.pending):
        return "the clock would not see that it is missed"
    return ""


def _mended(standing: Standing, sort: Sort, why: str, to: str, now: datetime) -> Recount:
    """The same deadline with a plan that the clock can go by."""
    standing = _set_right(standing, now)
    pending = list(standing.pending)
    if not standing.breached and not any(row[1] == TickKind.BREACH for row in pending):
        pending.append([(standing.due_at + _A_SECOND).isoformat(), str(TickKind.BREACH), "", to])
    ticks = (*standing.fired, *sorted(pending))
    return _as_it_stands(standing, sort, why, ticks=ticks, tick_no=standing.tick_no)


def _set_right(standing: Standing, now: datetime) -> Standing:
    """The same with its place in the plan where it can be: behind what can have been done."""
    fired = [list(row) for row in standing.fired if _instant(row) <= now]
    if not standing.breached:
        fired = [row for row in fired if row[1] != TickKind.BREACH]
    pending = [list(row) for row in standing.ticks if list(row) not in fired]
    return replace(standing, ticks=[*fired, *pending], tick_no=len(fired))


def _damaged(standing: Standing, to: str, now: datetime) -> Recount | None:
    why = _damage(standing, now)
    return _mended(standing, Sort.BROKEN, why, to, now) if why else None


def _passed(standing: Standing, to: str, now: datetime, grace: timedelta) -> Recount | None:
    """It was missed, whatever calendar came since; the clock must say so."""
    if standing.due_at < now - grace:
        return _mended(standing, Sort.PASSED, "it has passed, and no breach is on the record", to, now)
    return _damaged(standing, to, now)


def _remnant(standing: Standing, pack: Pack | None) -> Recount | None:
    """A promise has no rule and never differs; what lost its rule is owed as it stands."""
    if pack is None:
        return None
    return _stands(standing, f"{pack.id} has no deadline '{standing.kind}' any more; it is owed as it stands")


def _stands(standing: Standing, why: str) -> Recount:
    ticks = tuple(map(list, standing.ticks))
    return _as_it_stands(standing, Sort.STANDS, why, ticks=ticks, tick_no=standing.tick_no)


def _as_it_stands(standing: Standing, sort: Sort, why: str, *, ticks: tuple[Row, ...], tick_no: int) -> Recount:
    return Recount(
        sort=sort,
        why=why,
        due_at=standing.due_at,
        due_date=date.fromisoformat(standing.due_date),
        derivation=tuple(standing.derivation),
        basis=standing.basis,
        label=standing.label,
        stage=standing.stage,
        met_by=tuple(standing.met_by),
        ticks=ticks,
        tick_no=tick_no,
    )
