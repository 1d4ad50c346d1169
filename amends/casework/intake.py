"""From bytes to cases: store first, then read, then file.

Each step is one transaction and may be repeated after a crash at any instruction: what a key already holds is left
alone (mailbox + UIDVALIDITY + UID for a message on a server, the bytes themselves for a file).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Final

import zstandard
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from amends.casework import filing
from amends.casework.office import Office
from amends.kernel.errors import NeedsOperator, NotFound, TryLater
from amends.kernel.text import one_line
from amends.ledger.book import add
from amends.ledger.columns import key
from amends.ledger.tables import Arrival, Raw
from amends.mail.facts import Reading

_AT_ONCE: Final = 500  # values in one IN list
_PACK: Final = zstandard.ZstdCompressor(level=3)
PENDING_BYTES: Final = 16 * 2**20
"""How much unread mail is taken from the store at once, so that a backlog of large mail does not fill the memory."""
MAX_TRIES: Final = 3
"""After so many readings that took their worker down, a message is read by its headers alone."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came: bytes, where it lies (no UID for a file), and the instant of its receipt.

    `history`: filed without letters and without clocks.  `reason`: set aside at once, unread, and why; `sender` and
    `subject` are then what the desk is shown of it.
    """

    mailbox: str
    uidvalidity: int | None
    uid: int | None
    raw: bytes
    received_at: datetime
    history: bool = False
    reason: str | None = None
    sender: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    arrival_id: int
    new: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of a message on a server: its state, and whether it was seen to leave the inbox."""

    state: str
    moved: bool


@dataclass(frozen=True, slots=True)
class Pending:
    """A stored message that has no fate yet; `tries` counts this time."""

    arrival_id: int
    raw: bytes
    tries: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Filed:
    """The fate of one message: filed, duplicate, own, held or quarantined, and on which case."""

    arrival_id: int
    state: str
    reference: str | None
    mailbox: str
    uidvalidity: int | None
    uid: int | None


def store(office: Office, items: Sequence[Incoming], *, now: datetime) -> list[Stored]:
    """Make the bytes durable, all in one transaction; what is stored already is found again, not stored twice."""
    with office.book.write() as session:
        return [_store_one(session, item, now) for item in items]


def _store_one(session: Session, item: Incoming, now: datetime) -> Stored:
    connection = session.connection()
    sha256 = hashlib.sha256(item.raw).hexdigest()
    raw_id = connection.execute(select(col(Raw.id)).where(col(Raw.sha256) == sha256)).scalar()
    known = select(col(Arrival.id))
    if item.uid is None:
        known = known.where(col(Arrival.raw_id) == (raw_id or 0))
    else:
        known = known.where(
            col(Arrival.mailbox) == item.mailbox,
            col(Arrival.uidvalidity) == item.uidvalidity,
            col(Arrival.uid) == item.uid,
        )
    if (before := connection.execute(known.limit(1)).scalar()) is not None:
        return Stored(before, new=False)
    if raw_id is None:
        raw_id = add(session, Raw, {"sha256": sha256, "size": len(item.raw), "zstd": _PACK.compress(item.raw)})
    arrival = {
        "mailbox": item.mailbox,
        "uidvalidity": item.uidvalidity,
        "uid": item.uid,
        "raw_id": raw_id,
        "received_at": min(item.received_at, now),
        "stored_at": now,
        "history": item.history,
        "state": "quarantined" if item.reason else "stored",
        "reason": item.reason,
        "sender": item.sender,
        "subject": one_line(item.subject, 500),
    }
    return Stored(add(session, Arrival, arrival), new=True)


def known_among(office: Office, mailbox: str, uidvalidity: int, uids: Sequence[int]) -> dict[int, Known]:
    """What the store knows of these UIDs; the server's set less this one is what there is to fetch."""
    found: dict[int, Known] = {}
    with office.book.read() as session:
        for start in range(0, len(uids), _AT_ONCE):
            statement = select(col(Arrival.uid), col(Arrival.state), col(Arrival.moved_at)).where(
                col(Arrival.mailbox) == mailbox,
                col(Arrival.uidvalidity) == uidvalidity,
                col(Arrival.uid).in_(uids[start : start + _AT_ONCE]),
            )
            for uid, state, moved_at in session.connection().execute(statement):
                found[uid or 0] = Known(state, moved_at is not None)
    return found


def last_uidvalidity(office: Office, mailbox: str) -> int | None:
    """The UIDVALIDITY under which this mailbox was last read, or None if it never was."""
    statement = (
        select(col(Arrival.uidvalidity))
        .where(col(Arrival.mailbox) == mailbox, col(Arrival.uidvalidity).is_not(None))
        .order_by(col(Arrival.id).desc())
        .limit(1)
    )
    with office.book.read() as session:
        return session.connection().execute(statement).scalar()


def unmoved(office: Office, mailbox: str, uidvalidity: int) -> list[tuple[int, str]]:
    """(UID, state) of the messages that have a fate but were not seen to leave the inbox."""
    statement = select(col(Arrival.uid), col(Arrival.state)).where(
        col(Arrival.mailbox) == mailbox,
        col(Arrival.uidvalidity) == uidvalidity,
        col(Arrival.moved_at).is_(None),
        col(Arrival.state) != "stored",
    )
    with office.book.read() as session:
        return [(uid, state) for uid, state in session.connection().execute(statement) if uid is not None]


def mark_moved(office: Office, mailbox: str, uidvalidity: int, uids: Sequence[int], *, now: datetime) -> None:
    """These messages have left the inbox."""
    if not uids:
        return
    with office.book.write() as session:
        session.connection().execute(
            update(Arrival)
            .where(
                col(Arrival.mailbox) == mailbox,
                col(Arrival.uidvalidity) == uidvalidity,
                col(Arrival.uid).in_(list(uids)),
            )
            .values(moved_at=now)
        )


def pending(office: Office, *, mailbox: str | None = None, limit: int = 50) -> list[Pending]:
    """The oldest stored messages without a fate, to be read again; the try is counted before anybody reads them,

    so that a message that kills its reader is known to have done so.  At most `limit`, and at most PENDING_BYTES
    together unless the first alone is larger.
    """
    waiting = select(key(Arrival.id), col(Raw.size)).join(Raw, col(Raw.id) == col(Arrival.raw_id))
    waiting = waiting.where(col(Arrival.state) == "stored").order_by(col(Arrival.id)).limit(limit)
    if mailbox is not None:
        waiting = waiting.where(col(Arrival.mailbox) == mailbox)
    wanted = select(key(Arrival.id), col(Arrival.tries), col(Arrival.received_at), col(Raw.zstd))
    wanted = wanted.join(Raw, col(Raw.id) == col(Arrival.raw_id)).order_by(col(Arrival.id))
    with office.book.read() as session:
        sized = list(session.connection().execute(waiting))
        totals = accumulate(size for _, size in sized)
        some = [one for (one, _), total in zip(sized, totals, strict=True) if total <= PENDING_BYTES]
        some = some or [one for one, _ in sized[:1]]
        rows = list(session.connection().execute(wanted.where(col(Arrival.id).in_(some)))) if some else []
    if not rows:
        return []
    with office.book.write() as session:
        session.connection().execute(
            update(Arrival).where(col(Arrival.id).in_([row[0] for row in rows])).values(tries=col(Arrival.tries) + 1)
        )
    return [Pending(row[0], unpack(row[3]), row[1] + 1, row[2]) for row in rows]


def spare(office: Office, arrival_ids: Sequence[int]) -> None:
    """These pending messages were not read after all, through no fault of theirs: the try does not count."""
    with office.book.write() as session:
        session.connection().execute(
            update(Arrival)
            .where(col(Arrival.id).in_(list(arrival_ids)), col(Arrival.tries) > 0)
            .values(tries=col(Arrival.tries) - 1)
        )


def unpack(zstd: bytes) -> bytes:
    """The bytes of a message out of the store."""
    return zstandard.decompress(zstd)


def file(office: Office, readings: Sequence[tuple[int, Reading | str]], *, now: datetime) -> list[Filed]:
    """Give each message its fate, all in one transaction, each under its own savepoint.

    A str instead of a reading says why the message could not be read.  A message whose filing fails is quarantined
    alone, with the reason, and the others go on.  Raises TryLater or NeedsOperator when the store itself is in trouble.
    """
    with office.book.write() as session:
        return [_file_one(office, session, arrival_id, reading, now) for arrival_id, reading in readings]


def _file_one(office: Office, session: Session, arrival_id: int, reading: Reading | str, now: datetime) -> Filed:
    arrival = session.get(Arrival, arrival_id)
    if arrival is None:
        raise NotFound(f"There is no stored message {arrival_id}.")
    reference: str | None = None
    if arrival.state == "stored":
        if isinstance(reading, str):
            _set_aside(arrival, reading)
        else:
            try:
                with session.begin_nested():
                    reference = filing.give_fate(office, session, arrival, reading, now=now)
            except (TryLater, NeedsOperator, OperationalError):
                raise
            except Exception as fault:  # noqa: BLE001  (one bad message must not stop the mailbox: it is parked where people see it)
                session.refresh(arrival)
                _set_aside(arrival, f"it could not be filed: {type(fault).__name__}: {fault}", reading)
        session.add(arrival)
        session.flush()
    return Filed(arrival_id, arrival.state, reference, arrival.mailbox, arrival.uidvalidity, arrival.uid)


def _set_aside(arrival: Arrival, reason: str, reading: Reading | None = None) -> None:
    arrival.state = "quarantined"
    arrival.reason = one_line(reason, 500)
    if reading is not None:
        arrival.sender, arrival.subject = reading.sender.address, one_line(reading.subject, 500)
