"""From the pack's rules to rows: the deadlines of a case with everything the clock will have to do about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from amends.casework.ahead import of_case
from amends.casework.office import Office
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
    """The times in which its clock stood still; one that lasts is taken to its latest end, as `due_at` is."""
    return [_paused(one) for one in deadline.pauses]


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


def with_pauses(
    office: Office, deadline: Deadline, pauses: Sequence[Mapping[str, Any]]
) -> tuple[Due, list[PlannedTick]]:
    """When a deadline falls with these pauses, the last of which is the one that changes, and what the clock then does.

    A date that an extension set is the later by that pause.  Where the rule is gone, so is all but the breach.
    """
    last = pauses[-1]
    stop = _paused(last)
    set_before = Due(datetime.fromisoformat(last["before_at"]), date.fromisoformat(last["before"]), tuple(last["why"]))
    found = rule_behind(office, deadline)
    if found is None:
        at = set_before.due_at + ((stop.ends_at or stop.begins_at) - stop.begins_at)
        due = Due(at, office.calendar.day_of(at), set_before.derivation)
        return due, [_breach_after(due)]
    pack, rule = found
    planned = None
    if not deadline.moved and rule.pause is not None:
        planned = replanned(
            pack,
            office.calendar,
            rule_id=rule.id,
            occurrence=1,
            starts_at=deadline.starts_at,
            pauses=[_paused(one) for one in pauses],
        )
    if planned is not None:
        return Due(planned.due_at, planned.due_date, planned.derivation), list(planned.ticks)
    due = delayed(rule, set_before, stop, counting(pack, office.calendar))
    return due, list(ticks_of(pack, rule, due.due_at, due.due_date, office.calendar))


def _breach_after(due: Due) -> PlannedTick:
    return PlannedTick(due.due_at + timedelta(seconds=1), TickKind.BREACH, "", "supervisor")


def earliest(rows: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    return min(rows, key=lambda row: row["due_at"], default=None)
