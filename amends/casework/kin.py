"""Cases that belong together: which one took up a merged one, and which are linked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import bindparam, delete, select
from sqlmodel import Session, col

from amends.casework.casefile import CaseFile
from amends.kernel.errors import Refused
from amends.ledger.book import add_all
from amends.ledger.columns import key
from amends.ledger.tables import Case, Link

_PARENT: Final = select(col(Case.merged_into)).where(col(Case.id) == bindparam("id"))
_MERGED: Final = select(key(Case.id), col(Case.merged_into)).where(
    col(Case.merged_into).in_(bindparam("ids", expanding=True))
)


def survivor_of(session: Session, case_id: int) -> int:
    """The case that answers to `case_id` are for: itself, or the one it was merged into, however often."""
    seen = {case_id}
    while (parent := session.connection().execute(_PARENT, {"id": case_id}).scalar()) is not None:
        if parent in seen:
            break  # no verb makes a ring; a hand in the database may
        seen.add(parent)
        case_id = parent
    return case_id


def taken_up_by(session: Session, case_ids: Iterable[int]) -> dict[int, int]:
    """Every case that was merged into one of these, directly or not, and into which of these."""
    found: dict[int, int] = {}
    level = {case_id: case_id for case_id in case_ids}
    while level:
        rows = session.connection().execute(_MERGED, {"ids": list(level)})
        level = {
            row[0]: level[row[1]] for row in rows if row[1] is not None and row[0] not in found and row[0] not in level
        }
        found |= level
    return found


def lock_cases(session: Session, case_ids: Iterable[int]) -> None:
    """Lock these cases, as every transaction over several does: by their ids, or two wait for each other for ever."""
    wanted = sorted(set(case_ids))
    if wanted and session.connection().dialect.name != "sqlite":  # where whoever writes is alone
        rows = select(key(Case.id)).where(col(Case.id).in_(wanted)).order_by(col(Case.id)).with_for_update()
        session.connection().execute(rows).all()


def must_stand_alone(file: CaseFile, verb: str) -> None:
    """Raises Refused for a case that was merged: what is done to it must be done to the one that took it up."""
    if file.row.merged_into is None:
        return
    survivor = file.session.get(Case, survivor_of(file.session, file.id))
    taken_up = "another case" if survivor is None else survivor.reference
    raise Refused(
        f"{file.row.reference} was merged into {taken_up}; {verb} {taken_up} instead, or take the merger back first."
    )


def _pair_of(one: CaseFile, other: CaseFile) -> tuple[int, int]:
    return min(one.id, other.id), max(one.id, other.id)


def tie(one: CaseFile, other: CaseFile, kind: str) -> None:
    """Link two cases, with an event on both; the caller saves them.  Raises Refused if they are linked already."""
    pair = _pair_of(one, other)
    if one.session.get(Link, pair) is not None:
        raise Refused(f"{one.row.reference} and {other.row.reference} are linked already.")
    add_all(one.session, Link, [{"case_id": pair[0], "other_id": pair[1], "kind": kind}])
    one.record("linked", case=other.row.reference, link=kind)
    other.record("linked", case=one.row.reference, link=kind)


def untie(one: CaseFile, other: CaseFile) -> None:
    """The opposite.  Raises Refused if they are not linked."""
    pair = _pair_of(one, other)
    gone = one.session.connection().execute(
        delete(Link).where(col(Link.case_id) == pair[0], col(Link.other_id) == pair[1])
    )
    if gone.rowcount != 1:
        raise Refused(f"{one.row.reference} and {other.row.reference} are not linked.")
    one.record("unlinked", case=other.row.reference)
    other.record("unlinked", case=one.row.reference)
