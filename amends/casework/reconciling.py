"""The reconciliation of a mailbox with the store: what the store can say of it, and the verdict that is kept.

A message on the server is accounted for when the store has its UID (inbox) or its bytes (where filed mail lies), and a
stored message when it has a fate.  Anything else is a difference, and each is an incident.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, or_, select
from sqlmodel import Session, col

from amends.casework import incidents
from amends.casework.office import Office, remembered, write_meta
from amends.kernel.instants import iso, to_utc
from amends.ledger.columns import key
from amends.ledger.tables import Arrival, Message, Raw

_VERDICT: Final = "reconciled:"
_SEEN: Final = "uids_seen:"
_AT_ONCE: Final = 500
OVERDUE: Final = timedelta(minutes=10)
"""A stored message that has no fate for so long is one that somebody must look at."""
NAMED: Final = 20  # UIDs, or ranges of them, that one sentence names

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """What was found in one folder, by UID.  `messages` lie there, so many bytes of `sampled` were compared.

    `without_fate`: on the server, and the store knows nothing of it.  `changed`: what the server gives under this UID
    is not what was stored.  `gone`: stored, and taken out of the inbox by somebody else.  `not_compared`: there was no
    time for so many.
    """

    folder: str
    uidvalidity: int = 0
    messages: int = 0
    without_fate: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    gone: int = 0
    sampled: int = 0
    not_compared: int = 0


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The verdict on one mailbox.  `at` is the wall clock.

    `vanished`: spans of UIDs of the inbox that were given to messages which were gone before they were stored.
    `unread`: arrivals that are stored and have no fate, though they should have one by now.
    """

    mailbox: str
    at: datetime
    places: tuple[Place, ...]
    vanished: tuple[Span, ...] = ()
    unread: tuple[int, ...] = ()

    @property
    def messages(self) -> int:
        return sum(place.messages for place in self.places)

    @property
    def without_fate(self) -> int:
        """On the server or in the store: what must be 0."""
        return len(self.unread) + sum(len(place.without_fate) + len(place.changed) for place in self.places)

    @property
    def clean(self) -> bool:
        return self.without_fate == 0 and not self.vanished

    def as_json(self) -> dict[str, Any]:
        return {
            "mailbox": self.mailbox,
            "at": iso(self.at),
            "messages": self.messages,
            "without_fate": self.without_fate,
            "vanished": [list(span) for span in self.vanished],
            "unread": list(self.unread),
            "folders": [
                asdict(place) | {"without_fate": list(place.without_fate), "changed": list(place.changed)}
                for place in self.places
            ],
        }

    def problems(self) -> Iterator[tuple[str, str]]:
        """(key, sentence) of each difference; the key is the same as long as the difference is."""
        for place in self.places:
            where = f"{self.mailbox}/{place.folder}/{place.uidvalidity}"
            if place.without_fate:
                uids = list(spans(place.without_fate))
                yield (
                    f"without-fate/{where}/{_short(uids)}",
                    f"the store knows nothing of {_messages(len(place.without_fate))} in {place.folder} "
                    f"(UID {_named(uids)})",
                )
            if place.changed:
                uids = list(spans(place.changed))
                yield (
                    f"changed/{where}/{_short(uids)}",
                    f"the server gives other bytes than were stored for {_messages(len(place.changed))} in "
                    f"{place.folder} (UID {_named(uids)}); it gave a number twice, or its copy is damaged",
                )
        if self.unread:
            arrivals = list(spans(self.unread))
            yield (
                f"unread/{self.mailbox}/{_short(arrivals)}",
                f"nothing came of {_messages(len(self.unread))} that the store has (arrival {_named(arrivals)}); "
                "see what intake says",
            )
        if self.vanished:
            lost = sum(last - first + 1 for first, last in self.vanished)
            inbox = self.places[0]
            yield (
                f"vanished/{self.mailbox}/{inbox.uidvalidity}/{_short(self.vanished)}",
                f"{_messages(lost)} of {inbox.folder} vanished before Amends could store anything "
                f"(UID {_named(self.vanished)}); another program takes mail out of this mailbox, "
                "or the server leaves out numbers",
            )


@dataclass(frozen=True, slots=True)
class Seen:
    """Up to which UID (not included) of which UIDVALIDITY everything in the inbox was accounted for."""

    uidvalidity: int
    next_uid: int


def spans(numbers: Iterable[int]) -> Iterator[Span]:
    """The numbers, in order, as (first, last) of each unbroken run."""
    first = last = None
    for number in numbers:
        if last is not None and first is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last


def missing(known: Iterable[int], *, start: int, end: int) -> Iterator[Span]:
    """The numbers from `start` up to but not `end` that are not in `known`, which is in order, as spans."""
    expected = start
    for number in known:
        if number >= end:
            break
        if number > expected:
            yield expected, number - 1
        expected = max(expected, number + 1)
    if expected < end:
        yield expected, end - 1


def _named(which: Sequence[Span]) -> str:
    words = [str(first) if first == last else f"{first}-{last}" for first, last in which[:NAMED]]
    return ", ".join(words) + (f" and {len(which) - NAMED} more" if len(which) > NAMED else "")


def _short(which: Sequence[Span]) -> str:
    """As part of a key."""
    return f"{which[0][0]}-{which[-1][1]}x{sum(last - first + 1 for first, last in which)}"


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count:,} messages"


# What the store knows


def seen_before(session: Session, mailbox: str) -> Seen | None:
    return remembered(session, _SEEN + mailbox, _seen_of)


def _seen_of(kept: str) -> Seen:
    told = json.loads(kept)
    return Seen(uidvalidity=int(told["uidvalidity"]), next_uid=int(told["next_uid"]))


def numbers_known(office: Office, mailbox: str, uidvalidity: int, *, start: int) -> list[int]:
    """The UIDs from `start` on that were ever stored, in order."""
    statement = (
        select(col(Arrival.uid))
        .where(col(Arrival.mailbox) == mailbox, col(Arrival.uidvalidity) == uidvalidity, col(Arrival.uid) >= start)
        .order_by(col(Arrival.uid))
    )
    with office.book.read() as session:
        return [uid for uid in session.connection().execute(statement).scalars() if uid is not None]


def vanished(office: Office, mailbox: str, uidvalidity: int, *, end: int, present: Collection[int]) -> tuple[Span, ...]:
    """The numbers below `end` that were given since the last reconciliation and that neither inbox nor store has.

    The first time, and under another UIDVALIDITY, nobody knows what was in the inbox before us.
    """
    start = accounted_to(office, mailbox, uidvalidity, end)
    known = numbers_known(office, mailbox, uidvalidity, start=start)
    return tuple(missing(sorted({*known, *present}), start=start, end=end))


def accounted_to(office: Office, mailbox: str, uidvalidity: int, end: int) -> int:
    """From which number on a missing one was not told of before; at most `end`."""
    with office.book.read() as session:
        seen = seen_before(session, mailbox)
    return end if seen is None or seen.uidvalidity != uidvalidity else min(seen.next_uid, end)


def overdue_without_fate(office: Office, mailbox: str, *, now: datetime) -> tuple[int, ...]:
    """The arrivals that were stored some time ago and are still unread, or filed on no case.  `now`: business clock."""
    no_fate = or_(
        col(Arrival.state) == "stored",
        (col(Arrival.state) == "filed") & (col(Arrival.message_id).is_(None) | col(Message.case_id).is_(None)),
    )
    statement = (
        select(key(Arrival.id))
        .outerjoin(Message, col(Message.id) == col(Arrival.message_id))
        .where(
            col(Arrival.mailbox) == mailbox,
            col(Arrival.stored_at) <= now - office.real(OVERDUE),
            no_fate,
        )
        .order_by(key(Arrival.id))
    )
    with office.book.read() as session:
        return tuple(session.connection().execute(statement).scalars())


Mark = tuple[int, int]


class Marks:
    """What every stored message of a mailbox looks like from outside: its size, and the second of its receipt.

    As many as have the mark of stored messages are taken for those; a sample of the bytes keeps that honest.
    """

    def __init__(self, office: Office, mailbox: str) -> None:
        self._office = office
        size = func.coalesce(col(Arrival.left_size), col(Raw.size))
        statement = (
            select(size, col(Arrival.received_at))
            .join(Raw, col(Raw.id) == col(Arrival.raw_id))
            .where(col(Arrival.mailbox) == mailbox)
        )
        with office.book.read() as session:
            rows = session.connection().execution_options(yield_per=5000).execute(statement)
            self._stored = Counter((size, int(at.timestamp())) for size, at in rows)

    def of(self, size: int, at: datetime | None) -> Mark | None:
        """The mark of a message on the server that looks like a stored one, or None."""
        if at is None:
            return None
        second = int(self._office.business(at).timestamp())
        return next((mark for mark in ((size, second), (0, second)) if mark in self._stored), None)

    def stored(self, mark: Mark) -> int:
        """How many stored messages have it."""
        return self._stored[mark]


def bytes_known(office: Office, hashes: Collection[str]) -> set[str]:
    """Those of these SHA-256 whose bytes are stored."""
    wanted = list(hashes)
    found: set[str] = set()
    with office.book.read() as session:
        for start in range(0, len(wanted), _AT_ONCE):
            statement = select(col(Raw.sha256)).where(col(Raw.sha256).in_(wanted[start : start + _AT_ONCE]))
            found.update(session.connection().execute(statement).scalars())
    return found


def bytes_of(office: Office, mailbox: str, uidvalidity: int, uids: Sequence[int]) -> dict[int, tuple[str, bool]]:
    """The SHA-256 of what was stored under these UIDs of the inbox, and whether that is the whole message."""
    found: dict[int, tuple[str, bool]] = {}
    with office.book.read() as session:
        for start in range(0, len(uids), _AT_ONCE):
            statement = (
                select(col(Arrival.uid), col(Raw.sha256), col(Arrival.left_size))
                .join(Raw, col(Raw.id) == col(Arrival.raw_id))
                .where(
                    col(Arrival.mailbox) == mailbox,
                    col(Arrival.uidvalidity) == uidvalidity,
                    col(Arrival.uid).in_(uids[start : start + _AT_ONCE]),
                )
            )
            for uid, sha256, left_size in session.connection().execute(statement):
                found[uid or 0] = (sha256, left_size is None)
    return found


# The verdict


def keep(office: Office, verdict: Reconciled, seen: Seen, *, now: datetime) -> list[str]:
    """Keep the verdict, and what was accounted for by it; returns the sentences of what is new.  `now`: wall clock."""
    fresh: list[str] = []
    with office.book.write() as session:
        write_meta(session, _VERDICT + verdict.mailbox, json.dumps(verdict.as_json()))
        write_meta(
            session,
            _SEEN + verdict.mailbox,
            json.dumps({"uidvalidity": seen.uidvalidity, "next_uid": seen.next_uid}),
        )
        problems = dict(verdict.problems())
        for sort in ("without-fate", "unread"):  # these end when the messages get their fate; the others are past
            incidents.pass_away(session, f"{sort}/{verdict.mailbox}/", but_for=problems, now=now)
        for name, sentence in problems.items():
            if incidents.note(session, name, sentence, mailbox=verdict.mailbox, now=to_utc(now)):
                fresh.append(sentence)
    return fresh


def last_verdicts(session: Session, mailboxes: Sequence[str]) -> list[dict[str, Any]]:
    """The last verdict on each of these mailboxes that was ever reconciled, as `Reconciled.as_json`."""
    kept = [remembered(session, _VERDICT + name, _verdict_of) for name in mailboxes]
    return [one for one in kept if one is not None]


def last_at(session: Session, mailbox: str) -> datetime | None:
    """When the mailbox was last reconciled (the wall clock), or None."""
    kept = remembered(session, _VERDICT + mailbox, _verdict_of)
    return None if kept is None else to_utc(datetime.fromisoformat(kept["at"]))


def _verdict_of(kept: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(kept)
    datetime.fromisoformat(told["at"])
    return told
