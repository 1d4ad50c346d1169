"""After a restore: what the store says of its letters is old, so none leaves by itself until an operator says so."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from amends.casework import doubts
from amends.casework.office import Office, write_meta
from amends.casework.post import doubt_all

GENERATION: Final = "store_generation"
"""The name of the number by which a witness outside tells how far the store had come."""
ANEW: Final = "anew"
"""Its value in a store that was restored: what the witness knows is of another life."""


def hold(office: Office, *, now: datetime) -> int:
    """Mark the store as restored: letters that wait become uncertain, and automatic ones are held from now on.

    Returns how many became uncertain.  `now` is the business clock.  A witness tells no more that the store is old
    only when all of it is done: who is killed in between begins again.
    """
    with office.book.write() as session:
        doubts.mark_restored(session, now=now)
    why = "the database was restored from a backup; whether it had left is not known"
    doubted = doubt_all(office, why, now=now)
    with office.book.write() as session:
        write_meta(session, GENERATION, ANEW)
    return doubted


def release(office: Office) -> int | None:
    """Let automatic letters leave again; how many wait to, or None if none were held."""
    with office.book.write() as session:
        return doubts.count_waiting(session) if doubts.lift_restored(session) else None
