"""From the pack's rules to rows: the deadlines of a case with everything the clock will have to do about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from amends.casework.office import Office
from amends.deadlines.clocks import PlannedDeadline, PlannedTick, meets, next_occurrence, plan_all
from amends.deadlines.model import Pack
from amends.ledger.tables import Deadline


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
    statement = select(func.max(col(Deadline.occurrence))).where(
        col(Deadline.case_id) == case_id, col(Deadline.pack) == pack, col(Deadline.kind) == kind
    )
    return session.connection().execute(statement).scalar() or 0


def pack_of(office: Office, deadline: Deadline) -> Pack | None:
    """The pack by which it was started; of a version without a file the one of its day, or None if there is none."""
    regime = office.regime(deadline.pack)
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
    if deadline.occurrence == 1:
        return deadline.starts_at
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
    pack = pack_of(office, deadline)
    if pack is None or not any(rule.id == deadline.kind and rule.recurring for rule in pack.deadline):
        return None
    last = last_occurrence(session, deadline.case_id, deadline.pack, deadline.kind)
    if last > deadline.occurrence:
        return None
    earlier = select(func.max(col(Deadline.occurrence))).where(
        *_same(deadline), col(Deadline.starts_at) < deadline.starts_at
    )
    of_this_start = deadline.occurrence - (session.connection().execute(earlier).scalar() or 0)  # a review counts anew
    planned = next_occurrence(
        pack, office.calendar, rule_id=deadline.kind, occurrence=of_this_start, starts_at=deadline.starts_at
    )
    return None if planned is None else row_of(planned, occurrence=last + 1)


def earliest(rows: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    return min(rows, key=lambda row: row["due_at"], default=None)
