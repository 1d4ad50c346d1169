"""From bytes to cases: store first, then read, then file.

Each step is one transaction and may be repeated after a crash at any instruction: what a key already holds is left
alone (mailbox + UIDVALIDITY + UID for a message on a server, the bytes themselves for a file).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

import zstandard
from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from amends.casework import ahead, doubts, filing
from amends.casework.actors import SYSTEM
from amends.casework.casefile import CaseFiles
from amends.casework.leftover import as_left, is_left
from amends.casework.office import Office
from amends.kernel.errors import NeedsOperator, NotFound, TryLater
from amends.kernel.text import one_line
from amends.ledger.book import add_missing
from amends.ledger.columns import key
from amends.ledger.tables import Arrival, Raw
from amends.mail.facts import Kind, Reading

_AT_ONCE: Final = 500  # values in one IN list
_LEVEL: Final = 3  # of zstandard: higher ones cost more time than they save room
PENDING_BYTES: Final = 16 * 2**20
LARGEST: Final = 1_010_000_000
"""Bytes of a message that a store can hold: a mailbox takes no larger one."""
DAMAGED: Final = "its bytes in the store are damaged; take them from a backup, or from the mail server"
"""How much unread mail is taken from the store at once, so that a backlog of large mail does not fill the memory."""
MAX_TRIES: Final = 3
"""After so many readings that took their worker down, a message is read by its headers alone."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came: bytes, where it lies (no UID for a file), and the instant of its receipt.

    `history`: filed without letters and without clocks.  `reason`: set aside at once, unread, and why; `sender` and
    `subject` are then what the desk is shown of it.  `left_size`: `raw` is only its beginning, and so many bytes (0 if
    nobody knows) are left on the server.
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
    left_size: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    arrival_id: int
    new: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of a message on a server: its state, and whether it was seen to leave the inbox.

    `left`: only its beginning is stored, and the whole of it must be kept on the server.
    """

    state: str
    moved: bool
    left: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """A stored message that has no fate yet; `tries` counts this time."""

    arrival_id: int
    raw: bytes
    tries: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Filed:
    """The fate of one message: filed, duplicate, own, held or quarantined, and on which case.  `left`: as in Known."""

    arrival_id: int
    state: str
    reference: str | None
    mailbox: str
    uidvalidity: int | None
    uid: int | None
    left: bool = False


def store(office: Office, items: Sequence[Incoming], *, now: datetime) -> list[Stored]:
    """Make the bytes durable, all in one transaction; what is stored already is found again, not stored twice.

    Two daemons may store the same messages at the same time: the keys in the store decide, and nobody fails.
    """
    packed = [(item, hashlib.sha256(item.raw).hexdigest(), zstandard.compress(item.raw, _LEVEL)) for item in items]
    with office.book.write() as session:
        raw_ids = _keep_bytes(session, packed)
        before = _known_rows(session, items, raw_ids)
        behind = doubts.is_behind(session, now=now)
        rows = [_arrival(item, raw_ids[sha256], now, behind=behind) for item, sha256, _ in packed]
        new = [row for row in rows if _key(row) not in before]
        add_missing(session, Arrival, list({_key(row): row for row in new}.values()))
        after = _known_rows(session, items, raw_ids) if new else before
        return [Stored(after[_key(row)], new=_key(row) not in before) for row in rows]


def _keep_bytes(session: Session, packed: Sequence[tuple[Incoming, str, bytes]]) -> dict[str, int]:
    """The row of each message's bytes by their SHA-256; those that are not there yet are put there."""
    wanted = list(dict.fromkeys(sha256 for _, sha256, _ in packed))
    found = _raw_ids(session, wanted)
    new = {
        sha256: {"sha256": sha256, "size": len(item.raw), "zstd": zstd}
        for item, sha256, zstd in packed
        if sha256 not in found
    }
    add_missing(session, Raw, list(new.values()))
    return found | _raw_ids(session, list(new))


def _raw_ids(session: Session, hashes: Sequence[str]) -> dict[str, int]:
    statement = select(col(Raw.sha256), key(Raw.id)).where(col(Raw.sha256).in_(hashes))
    return {row[0]: row[1] for row in session.connection().execute(statement)} if hashes else {}


def _arrival(item: Incoming, raw_id: int, now: datetime, *, behind: bool) -> dict[str, Any]:
    """`received_at` is not in the future; but where our clock is `behind`, the mail server's is the better one."""
    return {
        "mailbox": item.mailbox,
        "uidvalidity": item.uidvalidity,
        "uid": item.uid,
        "raw_id": raw_id,
        "received_at": item.received_at if behind else min(item.received_at, now),
        "stored_at": now,
        "history": item.history,
        "state": "quarantined" if item.reason else "stored",
        "reason": item.reason,
        "sender": item.sender,
        "subject": one_line(item.subject, 500),
        "left_size": item.left_size,
    }


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes an arrival the same: its place on a server, or for a file its bytes."""
    if row["uid"] is None:
        return (row["raw_id"],)
    return row["mailbox"], row["uidvalidity"], row["uid"]


def _known_rows(session: Session, items: Sequence[Incoming], raw_ids: Mapping[str, int]) -> dict[tuple[Any, ...], int]:
    """The arrivals, by their keys, that these items may be."""
    known: dict[tuple[Any, ...], int] = {}
    places: dict[tuple[str, int | None], list[int]] = {}
    for item in items:
        if item.uid is not None:
            places.setdefault((item.mailbox, item.uidvalidity), []).append(item.uid)
    wheres: list[ColumnElement[bool]] = [
        and_(col(Arrival.mailbox) == mailbox, col(Arrival.uidvalidity) == uidvalidity, col(Arrival.uid).in_(uids))
        for (mailbox, uidvalidity), uids in places.items()
    ]
    if any(item.uid is None for item in items):
        wheres.append(col(Arrival.raw_id).in_(list(raw_ids.values())))
    columns = (col(Arrival.mailbox), col(Arrival.uidvalidity), col(Arrival.uid), col(Arrival.raw_id), key(Arrival.id))
    for where in wheres:
        statement = select(*columns).where(where).order_by(key(Arrival.id).desc())
        for mailbox, uidvalidity, uid, raw_id, arrival_id in session.connection().execute(statement):
            known[(mailbox, uidvalidity, uid)] = known[(raw_id,)] = arrival_id
    return known


def known_among(office: Office, mailbox: str, uidvalidity: int, uids: Sequence[int]) -> dict[int, Known]:
    """What the store knows of these UIDs; the server's set less this one is what there is to fetch."""
    found: dict[int, Known] = {}
    with office.book.read() as session:
        for start in range(0, len(uids), _AT_ONCE):
            statement = select(
                col(Arrival.uid), col(Arrival.state), col(Arrival.moved_at), col(Arrival.left_size)
            ).where(
                col(Arrival.mailbox) == mailbox,
                col(Arrival.uidvalidity) == uidvalidity,
                col(Arrival.uid).in_(uids[start : start + _AT_ONCE]),
            )
            for uid, state, moved_at, left_size in session.connection().execute(statement):
                found[uid or 0] = Known(state, moved_at is not None, bool(left_size))
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
    together unless the first alone is larger.  One whose bytes are damaged is set aside, and holds up no other.
    """
    while (found := _next_pending(office, mailbox, limit)) is None:
        pass
    return found


def _next_pending(office: Office, mailbox: str | None, limit: int) -> list[Pending] | None:
    """Some of them; None where all that were looked at had to be set aside."""
    waiting = select(key(Arrival.id), col(Raw.size)).join(Raw, col(Raw.id) == col(Arrival.raw_id))
    waiting = waiting.where(col(Arrival.state) == "stored").order_by(col(Arrival.id)).limit(limit)
    if mailbox is not None:
        waiting = waiting.where(col(Arrival.mailbox) == mailbox)
    wanted = select(key(Arrival.id), col(Arrival.tries), col(Arrival.received_at), col(Raw.zstd), col(Raw.size))
    wanted = wanted.join(Raw, col(Raw.id) == col(Arrival.raw_id)).order_by(col(Arrival.id))
    with office.book.read() as session:
        sized = list(session.connection().execute(waiting))
        totals = accumulate(size for _, size in sized)
        some = [one for (one, _), total in zip(sized, totals, strict=True) if total <= PENDING_BYTES]
        some = some or [one for one, _ in sized[:1]]
        rows = list(session.connection().execute(wanted.where(col(Arrival.id).in_(some)))) if some else []
    if not rows:
        return []
    whole: list[Pending] = []
    for arrival_id, tries, received_at, zstd, size in rows:
        with suppress(NotFound):
            whole.append(Pending(arrival_id, unpack(zstd, size=size), tries + 1, received_at))
    damaged = {row[0] for row in rows} - {one.arrival_id for one in whole}
    with office.book.write() as session:
        if damaged:
            session.connection().execute(
                update(Arrival)
                .where(col(Arrival.id).in_(damaged), col(Arrival.state) == "stored")
                .values(state="quarantined", reason=DAMAGED)
            )
        session.connection().execute(
            update(Arrival)
            .where(col(Arrival.id).in_([one.arrival_id for one in whole]))
            .values(tries=col(Arrival.tries) + 1)
        )
    return whole or None


def spare(office: Office, arrival_ids: Sequence[int]) -> None:
    """These pending messages were not read after all, through no fault of theirs: the try does not count."""
    with office.book.write() as session:
        session.connection().execute(
            update(Arrival)
            .where(col(Arrival.id).in_(list(arrival_ids)), col(Arrival.tries) > 0)
            .values(tries=col(Arrival.tries) - 1)
        )


def unpack(zstd: bytes, *, size: int = LARGEST) -> bytes:
    """The bytes of a message out of the store, at most `size`.  Raises NotFound where these are none or more."""
    try:
        if zstandard.get_frame_parameters(zstd).content_size <= size:
            return zstandard.decompress(zstd)
    except zstandard.ZstdError as fault:
        raise NotFound(f"The message cannot be read: {DAMAGED}.") from fault
    raise NotFound(f"The message cannot be read: {DAMAGED}.")


def file(
    office: Office,
    readings: Sequence[tuple[int, Reading | str]],
    *,
    not_together: Callable[[Exception], None] = lambda _: None,
    now: datetime,
) -> list[Filed]:
    """Give each message its fate, all in one transaction; one whose filing fails is quarantined alone, with the reason.

    A str instead of a reading says why the message could not be read.  `not_together` is told the fault that made them
    be filed one by one, which no message's own reason need show.  Raises TryLater or NeedsOperator when the store
    itself is in trouble.
    """
    if len(readings) > 1:
        try:
            return _file_all(office, readings, together=True, now=now)
        except (TryLater, NeedsOperator, NotFound):
            raise
        except Exception as fault:  # noqa: BLE001  (one of them is bad: below each is filed alone, which shows which, and why)
            not_together(fault)
    return _file_all(office, readings, together=False, now=now)


def _file_all(
    office: Office, readings: Sequence[tuple[int, Reading | str]], *, together: bool, now: datetime
) -> list[Filed]:
    """One transaction.  `together`: the mail of persons by as few statements as that takes, and all of it or nothing;
    else, and for the rest, each message under its own savepoint.
    """
    with office.book.write() as session:
        arrivals = _locked(session, [arrival_id for arrival_id, _ in readings])
        readings = [
            (one, reading if isinstance(reading, str) else as_left(reading, arrivals[one], office.settings))
            for one, reading in readings
        ]
        if together:
            filing.lock_for(office, session, [reading for _, reading in readings if not isinstance(reading, str)])
        of_persons = _filed_together(arrivals, readings) if together else []
        filed: dict[int, Filed] = {}
        files = CaseFiles(office, session, actor=SYSTEM, now=now)
        with files.together(), _looking_ahead(files, [(arrivals[one], reading) for one, reading in of_persons]):
            for arrival_id, reading in of_persons:
                arrival = arrivals[arrival_id]
                reference = filing.give_fate(office, session, arrival, reading, now=now)
                filed[arrival_id] = _filed(arrival, reference)
        for arrival_id, reading_or_reason in readings:
            if arrival_id not in filed:
                filed[arrival_id] = _file_one(office, session, arrivals[arrival_id], reading_or_reason, now)
        return [filed[arrival_id] for arrival_id, _ in readings]


@contextmanager
def _looking_ahead(files: CaseFiles, readings: Sequence[tuple[Arrival, Reading]]) -> Iterator[None]:
    known = filing.look_ahead(files, readings)
    with ahead.looking(files.session, known):
        yield
    filing.write_counters(files.session, known.serials)


def _filed_together(
    arrivals: dict[int, Arrival], readings: Sequence[tuple[int, Reading | str]]
) -> list[tuple[int, Reading]]:
    """What persons wrote.  Machines' mail changes letters and addresses that others of the batch may depend on; and
    so does one message that came twice.
    """
    raw_ids = Counter(arrival.raw_id for arrival in arrivals.values())
    return [
        (arrival_id, reading)
        for arrival_id, reading in readings
        if not isinstance(reading, str)
        and reading.kind is Kind.PERSON
        and arrivals[arrival_id].state == "stored"
        and raw_ids[arrivals[arrival_id].raw_id] == 1
    ]


def _locked(session: Session, arrival_ids: Sequence[int]) -> dict[int, Arrival]:
    """The rows, all at once and in one order: two daemons never file one arrival, and never wait for one another."""
    statement = select(Arrival).where(key(Arrival.id).in_(arrival_ids)).order_by(key(Arrival.id)).with_for_update()
    found = {arrival.id or 0: arrival for arrival in session.scalars(statement)}
    if missing := [arrival_id for arrival_id in arrival_ids if arrival_id not in found]:
        raise NotFound(f"There is no stored message {missing[0]}.")
    return found


def _file_one(office: Office, session: Session, arrival: Arrival, reading: Reading | str, now: datetime) -> Filed:
    reference: str | None = None
    if arrival.state == "stored":
        if isinstance(reading, str):
            _set_aside(arrival, reading)
        else:
            reference = give_fate_alone(office, session, arrival, reading, now=now)
        session.add(arrival)
        session.flush()
    return _filed(arrival, reference)


def _filed(arrival: Arrival, reference: str | None) -> Filed:
    return Filed(
        arrival.id or 0, arrival.state, reference, arrival.mailbox, arrival.uidvalidity, arrival.uid, is_left(arrival)
    )


def give_fate_alone(
    office: Office, session: Session, arrival: Arrival, reading: Reading, *, now: datetime
) -> str | None:
    """`filing.give_fate` under a savepoint: what cannot be filed is set aside, and nothing else of it remains."""
    try:
        with session.begin_nested():
            return filing.give_fate(office, session, arrival, reading, now=now)
    except (TryLater, NeedsOperator, OperationalError):
        raise
    except Exception as fault:  # noqa: BLE001  (one bad message must not stop the mailbox: it is parked where people see it)
        session.refresh(arrival)
        _set_aside(arrival, f"it could not be filed: {type(fault).__name__}: {fault}", reading)
        return None


def _set_aside(arrival: Arrival, reason: str, reading: Reading | None = None) -> None:
    arrival.state = "quarantined"
    arrival.reason = one_line(reason, 500)
    if reading is not None:
        arrival.sender, arrival.subject = reading.sender.address, one_line(reading.subject, 500)
