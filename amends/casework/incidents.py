"""What should not have happened to a mailbox: said once, and shown until it is settled by itself or by an operator."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlmodel import Session, col

from amends.casework.office import Office
from amends.kernel.instants import iso
from amends.kernel.text import one_line
from amends.ledger.book import add_missing
from amends.ledger.tables import Incident

BY_ITSELF: Final = "it is over by itself"


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """One that nobody has settled: since when, on which mailbox, and what it is, in one sentence."""

    key: str
    mailbox: str
    at: datetime
    words: str

    def as_json(self) -> dict[str, Any]:
        return {"mailbox": self.mailbox, "at": iso(self.at), "words": self.words}


def note(session: Session, key: str, words: str, *, mailbox: str, now: datetime) -> bool:
    """Put it on record, once for each `key`; True if it is new, or was over by itself and is there again.

    `now` is the wall clock.
    """
    back = (col(Incident.key) == key, col(Incident.settled_because) == BY_ITSELF)
    again = update(Incident).where(*back).values(at=now, settled_at=None, settled_because=None)
    if session.connection().execute(again).rowcount:
        return True
    if session.get(Incident, key) is not None:
        return False
    row = {"key": key, "mailbox": mailbox, "at": now, "words": one_line(words, 1000)}
    add_missing(session, Incident, [row])
    return True


def pass_away(session: Session, prefix: str, *, but_for: Collection[str], now: datetime) -> None:
    """Those whose key begins with `prefix` and is not in `but_for` are over by themselves."""
    open_keys = select(col(Incident.key)).where(
        col(Incident.key).startswith(prefix, autoescape=True), col(Incident.settled_at).is_(None)
    )
    over = [key for key in session.connection().execute(open_keys).scalars() if key not in but_for]
    if over:
        _settle(session, col(Incident.key).in_(over), BY_ITSELF, now)


def settle(office: Office, because: str, *, mailbox: str | None = None, now: datetime) -> int:
    """An operator has looked into all that are open (of one mailbox); returns how many those were."""
    which = col(Incident.mailbox) == mailbox if mailbox is not None else col(Incident.key) != ""
    with office.book.write() as session:
        return _settle(session, which, because, now)


def _settle(session: Session, which: Any, because: str, now: datetime) -> int:
    done = session.connection().execute(
        update(Incident)
        .where(which, col(Incident.settled_at).is_(None))
        .values(settled_at=now, settled_because=one_line(because, 500))
    )
    return done.rowcount


def open_incidents(session: Session) -> list[OpenIncident]:
    """The oldest first."""
    statement = (
        select(col(Incident.key), col(Incident.mailbox), col(Incident.at), col(Incident.words))
        .where(col(Incident.settled_at).is_(None))
        .order_by(col(Incident.at), col(Incident.key))
    )
    return [OpenIncident(*row) for row in session.connection().execute(statement)]
