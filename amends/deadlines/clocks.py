"""The plan of a case: its deadlines and every instant at which the clock has something to do about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from amends.deadlines.calendar import SHORT_WEEKDAYS, WorkingCalendar
from amends.deadlines.compute import Paused, before, due
from amends.deadlines.model import Confidence, Pack, Rule, basis_of, limit_of, name_of

BY_HAND: Final = "!"
"""Stands after a kind of letter that meets a deadline only if a person wrote it."""


class TickKind(StrEnum):
    WARN = "warn"
    LETTER = "letter"
    BREACH = "breach"
    RESUME = "resume"


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
    """A deadline with its due instant (UTC), the reasons for it, and its ticks in order of time.

    `met_by` says what meets it, as `meets` reads it.  `own` is a clock of the organisation's own, no rule's.
    """

    pack: str
    pack_version: str
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
    own: bool
    mandatory: bool
    confidence: Confidence
    stage: str


def plan(
    pack: Pack,
    calendar: WorkingCalendar,
    *,
    trigger: str,
    at: datetime,
    facts: Mapping[str, str] | None = None,
    pauses: Sequence[Paused] = (),
) -> list[PlannedDeadline]:
    """The deadlines that `trigger` starts at `at` (aware), the earliest first.

    A conditional one starts when the facts of the case, with the pack's defaults, switch it on; while a fact that
    decides is not known it does not.
    """
    known = pack.facts(facts or {})
    planned = [
        one
        for rule in pack.deadline
        if rule.starts == name_of(trigger) and rule.applies(known)
        if (one := _planned(pack, rule, calendar, at, occurrence=1, pauses=pauses)) is not None
    ]
    return sorted(planned, key=lambda one: one.due_at)


def plan_all(
    packs: Iterable[Pack],
    calendar: WorkingCalendar,
    *,
    trigger: str,
    at: datetime,
    facts: Mapping[str, str] | None = None,
    pauses: Sequence[Paused] = (),
) -> list[PlannedDeadline]:
    """The same for every pack that applies to a case, all clocks together, the earliest first."""
    planned = [
        one for pack in packs for one in plan(pack, calendar, trigger=trigger, at=at, facts=facts, pauses=pauses)
    ]
    return sorted(planned, key=lambda one: one.due_at)


def replanned(
    pack: Pack,
    calendar: WorkingCalendar,
    *,
    rule_id: str,
    occurrence: int,
    starts_at: datetime,
    pauses: Sequence[Paused] = (),
) -> PlannedDeadline | None:
    """One occurrence of one deadline anew: after a pause, or to see what a change would move; None without a date."""
    return _planned(pack, pack.rule(rule_id), calendar, starts_at, occurrence=occurrence, pauses=pauses)


def next_occurrence(
    pack: Pack, calendar: WorkingCalendar, *, rule_id: str, occurrence: int, starts_at: datetime
) -> PlannedDeadline | None:
    """The occurrence after number `occurrence` of a recurring deadline, still counted from `starts_at`; else None."""
    rule = pack.rule(rule_id)
    return _planned(pack, rule, calendar, starts_at, occurrence=occurrence + 1) if rule.recurring else None


def counting(pack: Pack, calendar: WorkingCalendar) -> WorkingCalendar:
    """The days by which this pack counts, on the organisation's calendar."""
    days = pack.calendar
    week = [SHORT_WEEKDAYS.index(day) for day in days.weekdays] or None
    return calendar.counting(weekdays=week, own_days=days.own_days)


def _planned(
    pack: Pack,
    rule: Rule,
    calendar: WorkingCalendar,
    at: datetime,
    *,
    occurrence: int,
    pauses: Sequence[Paused] = (),
) -> PlannedDeadline | None:
    found = due(
        rule,
        at,
        counting(pack, calendar),
        out_of_hours=pack.out_of_hours_of(rule),
        occurrence=occurrence,
        pauses=pauses,
    )
    if found is None:
        return None
    every = _ticks_in_order(pack, rule, found.due_at, found.due_date, calendar)
    return PlannedDeadline(
        pack=pack.id,
        pack_version=pack.version,
        rule_id=rule.id,
        label=rule.label,
        occurrence=occurrence,
        starts_at=at,
        due_at=found.due_at,
        due_date=found.due_date,
        basis=basis_of(rule),
        derivation=(*_whose(rule), *found.derivation),
        met_by=calendar.once(("met by", _Same(pack), rule.id), lambda: _met_by(pack, rule)),
        ticks=tuple(tick for tick in every if tick.at > at),
        own=rule.own,
        mandatory=rule.mandatory,
        confidence=rule.confidence,
        stage=rule.stage,
    )


def _whose(rule: Rule) -> tuple[str, ...]:
    """A date of ours is never taken for the rule's."""
    if not rule.numberless or rule.span is None:
        return ()
    return (f"the rule names no number ({limit_of(rule)}); our own target is {rule.span.in_words()}",)


@dataclass(frozen=True, slots=True)
class _Same:
    """A pack, told from others as the object that it is: to compare all that it says takes longer than to plan."""

    pack: Pack

    def __hash__(self) -> int:
        return id(self.pack)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.pack is self.pack


def _ticks_in_order(
    pack: Pack, rule: Rule, due_at: datetime, due_date: date, calendar: WorkingCalendar
) -> tuple[PlannedTick, ...]:
    """The same for every case that falls due then."""

    def planned() -> tuple[PlannedTick, ...]:
        return tuple(sorted(ticks_of(pack, rule, due_at, due_date, calendar), key=lambda tick: tick.at))

    return calendar.once(("ticks", _Same(pack), rule.id, due_at, due_date), planned)


def ticks_of(
    pack: Pack, rule: Rule, due_at: datetime, due_date: date, calendar: WorkingCalendar
) -> Iterator[PlannedTick]:
    """What the clock does about a deadline that falls then; `calendar` is the organisation's, with its office hours."""
    for warn in rule.warn:
        step = f"{warn.before.amount} {warn.before.unit}"
        yield PlannedTick(before(due_at, warn.before, calendar), TickKind.WARN, step, warn.to)
    if rule.letter and (kind := pack.letter_of(rule.letter).kind) is not None:
        day = calendar.this_or_previous_working_day(due_date)
        yield PlannedTick(calendar.opening_of(day), TickKind.LETTER, kind, "complainant")
    yield PlannedTick(due_at + timedelta(seconds=1), TickKind.BREACH, "", rule.on_breach)


def left_since(ticks: Iterable[PlannedTick], since: datetime) -> list[PlannedTick]:
    """What of a plan is still to be done when it begins to count at `since`, in order of time.

    A warning that would have come before is not given any more; a letter that is owed and a breach are found late.
    """
    return sorted((one for one in ticks if one.at > since or one.kind is not TickKind.WARN), key=lambda one: one.at)


# What meets a deadline


def _met_by(pack: Pack, rule: Rule) -> tuple[str, ...]:
    """What meets a rule: kinds of letters, letters and events of the pack.

    A kind stands there when whatever letter of that kind, in this stage, meets it: of "holding" alone nobody can tell
    whether it is the letter that a rule asks for in its eighth week.
    """
    letters = [letter for letter in pack.letter if letter.form == "letter"]
    here = [letter for letter in letters if not letter.stage or not rule.stage or letter.stage == rule.stage]
    tell = ("acknowledgement", "progress-update", "holding", "final-response")  # a reply may be about anything
    kinds = dict.fromkeys(letter.kind for letter in here if letter.kind in tell and letter.id in rule.met_by)
    whole = [kind for kind in kinds if all(letter.id in rule.met_by for letter in here if letter.kind == kind)]
    known = {letter.id for letter in pack.letter}
    automatic = pack.letter_of(rule.letter).kind if rule.letter else None
    return (
        *(kind if _any_author(kind, rule, automatic) else f"{kind}{BY_HAND}" for kind in whole),
        *(f"{'letter' if one in known else 'event'}:{one}" for one in rule.met_by),
    )


def _any_author(kind: str, rule: Rule, automatic: str | None) -> bool:
    """Whether it is all the same who wrote it: nothing writes an answer by itself."""
    return rule.automatic_counts or kind == automatic or kind == "final-response"


def meets(met_by: Iterable[str], *, kind: str, letter: str = "", automatic: bool = False) -> bool:
    """Whether a letter of this kind, or one that stands for this letter of the pack, meets a deadline."""
    wanted = {kind, f"letter:{letter}"} if letter else {kind}
    if not automatic:
        wanted.add(f"{kind}{BY_HAND}")
    return not wanted.isdisjoint(met_by)


def meets_event(met_by: Iterable[str], event: str) -> bool:
    return f"event:{name_of(event)}" in met_by
