"""From the pack's rules to rows: the deadlines of a case with everything the clock will have to do about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from amends.casework.ahead import of_case
from amends.casework.office import Office
from amends.casework.standing import kept
from amends.deadlines.calendar import WorkingCalendar
from amends.deadlines.clocks import (
    PlannedDeadline,
    PlannedTick,
    TickKind,
    counting,
    meets,
    next_occurrence,
    plan_all,
    replanned,
    ticks_of,
)
from amends.deadlines.compute import Due, Paused, delayed
from amends.deadlines.model import Pack, Rule
from amends.ledger.tables import PROMISED, Deadline


def rows_of(ticks: Iterable[PlannedTick]) -> list[list[str]]:
    return [[tick.at.isoformat(), str(tick.kind), tick.step, tick.to] for tick in ticks]


def row_of(planned: PlannedDeadline, *, occurrence: int) -> dict[str, Any]:
    """A planned deadline as a row without its case_id."""
    return {
        "pack": planned.pack,
        "pack_version": planned.pack_version,
        "stage": planned.stage,
        "kind": planned.rule_id,
        "label": planned.label,
        "occurrence": occurrence,
        "basis": planned.basis,
        "starts_at": planned.starts_at,
        "due_at": planned.due_at,
        "due_date": planned.due_date.isoformat(),
        "derivation": list(planned.derivation),
        "met_by": list(planned.met_by),
        "state": "open",
        "ticks": rows_of(planned.ticks),
        "tick_no": 0,
        "tick_at": planned.ticks[0].at if planned.ticks else None,
    }


def planned_rows(
    office: Office,
    packs: Sequence[Pack],
    *,
    at: datetime,
    session: Session | None = None,
    case_id: int | None = None,
    facts: Mapping[str, str] | None = None,
    review: bool = False,
) -> list[dict[str, Any]]:
    """The rows of all deadlines that receipt at `at` starts under these packs.

    A review starts what the complainant is owed again, except the acknowledgement; occurrences count on.
    """
    rows = []
    for planned in plan_all(packs, office.calendar, trigger="receipt", at=at, facts=facts):
        if review and meets(planned.met_by, kind="acknowledgement"):
            continue
        before = 0
        if session is not None and case_id:
            before = last_occurrence(session, case_id, planned.pack, planned.rule_id)
        rows.append(row_of(planned, occurrence=before + planned.occurrence))
    return rows


def last_occurrence(session: Session, case_id: int, pack: str, kind: str) -> int:
    if (known := of_case(session, case_id)) is not None:
        return max(known.occurrences.get((pack, kind), ()), default=0)
    statement = select(func.max(col(Deadline.occurrence))).where(
        col(Deadline.case_id) == case_id, col(Deadline.pack) == pack, col(Deadline.kind) == kind
    )
    return session.connection().execute(statement).scalar() or 0


def pack_of(office: Office, deadline: Deadline) -> Pack | None:
    """The pack by which it was started; of a version without a file the one of its day, or None if there is none."""
    regime = None if deadline.pack == PROMISED else office.regime(deadline.pack)
    if regime is None:
        return None
    return regime.version(deadline.pack_version) or regime.at(deadline.starts_at, office.calendar.zone)


def _same(deadline: Deadline) -> list[Any]:
    """Where the occurrences of the same deadline are."""
    return [
        col(Deadline.case_id) == deadline.case_id,
        col(Deadline.pack) == deadline.pack,
        col(Deadline.kind) == deadline.kind,
    ]


def begins_at(session: Session, deadline: Deadline) -> datetime:
    """When this occurrence begins to run: the due instant of the one before it, or the start of the first."""
    if deadline.occurrence == 1 or deadline.pack == PROMISED:
        return deadline.starts_at
    if (known := of_case(session, deadline.case_id)) is not None:
        rows = known.occurrences.get((deadline.pack, deadline.kind), {})
        same = [due for n, (start, due) in rows.items() if n < deadline.occurrence and start == deadline.starts_at]
        return max(same, default=deadline.starts_at)
    before = select(func.max(col(Deadline.due_at))).where(
        *_same(deadline),
        col(Deadline.occurrence) < deadline.occurrence,
        col(Deadline.starts_at) == deadline.starts_at,
    )
    return session.connection().execute(before).scalar() or deadline.starts_at


def following_row(office: Office, session: Session, deadline: Deadline) -> dict[str, Any] | None:
    """The row of the next occurrence of a recurring deadline; None if there is none, or if it stands there already.

    A deadline that the pack does not know (it was changed since) is owed as it stands, and has none.
    """
    found = rule_behind(office, deadline)
    if found is None or not found[1].recurring:
        return None
    last = last_occurrence(session, deadline.case_id, deadline.pack, deadline.kind)
    if last > deadline.occurrence:
        return None
    of_this_start = deadline.occurrence - _earlier(session, deadline)  # a review counts anew
    planned = next_occurrence(
        found[0], office.calendar, rule_id=deadline.kind, occurrence=of_this_start, starts_at=deadline.starts_at
    )
    return None if planned is None else row_of(planned, occurrence=last + 1)


def _earlier(session: Session, deadline: Deadline) -> int:
    """The last occurrence of the same deadline that an earlier start had."""
    if (known := of_case(session, deadline.case_id)) is not None:
        rows = known.occurrences.get((deadline.pack, deadline.kind), {})
        return max((n for n, (start, _) in rows.items() if start < deadline.starts_at), default=0)
    earlier = select(func.max(col(Deadline.occurrence))).where(
        *_same(deadline), col(Deadline.starts_at) < deadline.starts_at
    )
    return session.connection().execute(earlier).scalar() or 0


def rule_behind(office: Office, deadline: Deadline) -> tuple[Pack, Rule] | None:
    """Its pack and rule; None where the pack is gone or knows it no longer, and for a promise, which has none."""
    pack = pack_of(office, deadline)
    if pack is None:
        return None
    return next(((pack, rule) for rule in pack.deadline if rule.id == deadline.kind), None)


def pauses_of(deadline: Deadline) -> list[Paused]:
    """The times in which its clock stood still; one that lasts is taken to its latest end, as `due_at` is.

    One whose letter came back is none: it was over when it began.
    """
    return paused_times(deadline.pauses)


def paused_times(pauses: Iterable[Mapping[str, Any]]) -> list[Paused]:
    """The same of entries of its `pauses`."""
    return [_paused(one) for one in pauses if not is_void(one)]


def is_void(pause: Mapping[str, Any]) -> bool:
    """Whether it was taken back, since nobody had been told of it."""
    return bool(pause["ends_at"] == pause["begins_at"])


def _paused(one: Mapping[str, Any]) -> Paused:
    return Paused(
        datetime.fromisoformat(one["begins_at"]),
        datetime.fromisoformat(one["ends_at"] or one["until"]),
        one["reason"],
        one["approver"],
        lasts=one["ends_at"] is None,
    )


def is_paused(deadline: Deadline) -> bool:
    """Whether its clock stands still now."""
    return bool(deadline.pauses) and deadline.pauses[-1]["ends_at"] is None


@dataclass(frozen=True, slots=True)
class Footing:
    """What the date of a deadline stands on: a calendar, and its pack and rule where there are any.

    `whole`: counted by them it is the date that stands.  Else somebody set it, or a change that nobody has applied yet
    would move it; then only what happens to it from now on is counted.
    """

    calendar: WorkingCalendar
    pack: Pack | None = None
    rule: Rule | None = None
    whole: bool = False

    def planned(self, deadline: Deadline, pauses: Sequence[Paused]) -> PlannedDeadline | None:
        """It counted from its start with these pauses; None where its rule does not say how."""
        if self.pack is None or self.rule is None or (pauses and self.rule.pause is None):
            return None
        return replanned(
            self.pack,
            self.calendar,
            rule_id=self.rule.id,
            occurrence=1,
            starts_at=deadline.starts_at,
            pauses=pauses,
        )

    def of_a_set_date(self) -> Footing:
        """The same for a date that an extension set."""
        return replace(self, whole=False)

    def ticks(self, due: Due) -> list[PlannedTick]:
        """What the clock does about it when it falls then; where the rule is gone, so is all but the breach."""
        if self.pack is None or self.rule is None:
            return [_breach_after(due)]
        return list(ticks_of(self.pack, self.rule, due.due_at, due.due_date, self.calendar))


def footing(
    office: Office, session: Session, deadline: Deadline, *, stood_at: datetime, pauses: Sequence[Paused]
) -> Footing:
    """What it stands on, if it falls at `stood_at` with these pauses (and no extension).

    A change of the calendar that waits moves nothing until it is applied; what was started since stands on it already.
    """
    before = kept(office, session)
    found = rule_behind(office, deadline)
    if found is None:
        return Footing(before or office.calendar)
    for calendar in (office.calendar,) if before is None else (before, office.calendar):
        one = Footing(calendar, *found, whole=True)
        planned = one.planned(deadline, pauses)
        if planned is not None and planned.due_at == stood_at:
            return one
    return Footing(before or office.calendar, *found)


def stands_on(office: Office, session: Session, deadline: Deadline) -> Footing:
    """The same of a deadline as it is stored."""
    found = footing(office, session, deadline, stood_at=deadline.due_at, pauses=pauses_of(deadline))
    return found.of_a_set_date() if deadline.moved else found


def with_pauses(deadline: Deadline, pauses: Sequence[Mapping[str, Any]], on: Footing) -> tuple[Due, list[PlannedTick]]:
    """When a deadline falls with these pauses, the last of which is the one that changes, and what the clock then does.

    A date that an extension set is the later by that pause.
    """
    planned = on.planned(deadline, paused_times(pauses)) if on.whole else None
    if planned is not None:
        return Due(planned.due_at, planned.due_date, planned.derivation), list(planned.ticks)
    last = pauses[-1]
    due = Due(datetime.fromisoformat(last["before_at"]), date.fromisoformat(last["before"]), tuple(last["why"]))
    stop = _paused(last)
    if on.pack is None or on.rule is None:
        at = due.due_at + ((stop.ends_at or stop.begins_at) - stop.begins_at)
        due = Due(at, on.calendar.day_of(at), due.derivation)
    elif not is_void(last):
        due = delayed(on.rule, due, stop, counting(on.pack, on.calendar))
    return due, on.ticks(due)


def _breach_after(due: Due) -> PlannedTick:
    return PlannedTick(due.due_at + timedelta(seconds=1), TickKind.BREACH, "", "supervisor")


def earliest(rows: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    return min(rows, key=lambda row: row["due_at"], default=None)
