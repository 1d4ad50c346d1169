"""After a restore: what the store says of its letters is old, so none leaves by itself until an operator says so."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select
from sqlmodel import Session, col

from amends.casework.office import Office, read_meta, write_meta
from amends.casework.post import doubt_all
from amends.kernel.instants import iso
from amends.ledger.tables import Letter, Meta

_MARK: Final = "restored_at"
LIFT: Final = "amendsd restore --release"
GENERATION: Final = "store_generation"
"""The name of the number by which a witness outside tells how far the store had come."""
ANEW: Final = "anew"
"""Its value in a store that was restored: what the witness knows is of another life."""


_THEN: Final = f"take in the mail since the backup, then run: {LIFT}"


def since(session: Session) -> datetime | None:
    """When the store was restored, if nobody has released its letters since."""
    at = read_meta(session, _MARK)
    return None if at is None else datetime.fromisoformat(at)


def hold(office: Office, *, now: datetime) -> int:
    """Mark the store as restored: letters that wait become uncertain, and automatic ones are held from now on.

    Returns how many became uncertain.  `now` is the business clock.
    """
    with office.book.write() as session:
        write_meta(session, _MARK, now.isoformat())
        write_meta(session, GENERATION, ANEW)
    return doubt_all(office, "the database was restored from a backup; whether it had left is not known", now=now)


def why_held(session: Session) -> str | None:
    """One sentence while the store's automatic letters are held, else None."""
    at = since(session)
    if at is None:
        return None
    return f"The database was restored at {iso(at)}, or found to be an old one; {_THEN}"


def lift(session: Session) -> None:
    """The store is not in doubt any more because it was restored."""
    session.connection().execute(delete(Meta).where(col(Meta.name) == _MARK))


def release(office: Office) -> int | None:
    """Let automatic letters leave again; how many wait to, or None if none were held."""
    with office.book.write() as session:
        if read_meta(session, _MARK) is None:
            return None
        lift(session)
        waiting = select(func.count()).where(col(Letter.state) == "queued", col(Letter.automatic).is_(True))
        return session.connection().execute(waiting).scalar() or 0
