"""Why the store itself is in doubt.  While it is, automatic letters wait for an operator's word.

A handler's do not, nor do those to staff: to hear of a deadline twice costs a minute, not to hear of it the deadline.

Three things raise such a doubt: the store was restored, or is older than what was seen of it; and the messages of a
mailbox were numbered anew, and many of them are unknown.  (A clock in doubt is the clock's own concern.)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, func, select
from sqlmodel import Session, col

from amends.casework.office import Office, read_meta, remembered, write_meta
from amends.kernel.instants import iso, to_utc
from amends.ledger.tables import Arrival, Letter, Meta

_DOUBT: Final = "doubt:"
_RENUMBERED: Final = "renumbered:"
_SHOWN, _RELEASED = "behind_shown:", "behind_released:"
"""How many messages a mailbox showed that the store lacks, and of how many of them an operator knows."""
_RESTORED: Final = "restored_at"
LIFT: Final = "amendsd doubt --release"
HIGH_WATER: Final = "clock_high_water"
"""The name of the latest instant, by a wall clock that was believed, at which this store was at work."""
EARLIEST: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""Before this program was written: what a machine without a battery says."""
BEHIND: Final = timedelta(minutes=5)
_LIFT_RESTORED: Final = "amendsd restore --release"


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason why automatic letters wait: since when (the wall clock), in one sentence, and what lifts it."""

    at: datetime
    words: str
    lift: str = LIFT

    def as_json(self) -> dict[str, Any]:
        return {"at": iso(self.at), "words": self.words, "lift": self.lift}


def doubts(session: Session) -> list[Doubt]:
    """All that stand, the oldest first."""
    rows = session.connection().execute(
        select(col(Meta.value)).where(col(Meta.name).startswith(_DOUBT, autoescape=True))
    )
    found = [_doubt_of(kept) for kept in rows.scalars()]
    if read_meta(session, _RESTORED) is not None:
        at = remembered(session, _RESTORED, _instant_of)
        found.append(_illegible(_LIFT_RESTORED) if at is None else _of_restored(at))
    return sorted(found, key=lambda doubt: doubt.at)


def _doubt_of(kept: str) -> Doubt:
    """Also of a doubt that nobody can read: it stands until an operator lifts it."""
    try:
        told = json.loads(kept)
        return Doubt(_instant_of(told["at"]), str(told["words"]))
    except (LookupError, RecursionError, TypeError, ValueError):
        return _illegible(LIFT)


def _illegible(lift: str) -> Doubt:
    words = f"This database is in doubt, and nobody can read any more why; when all is well with it, run: {lift}"
    return Doubt(datetime.fromtimestamp(0, UTC), words, lift)


def _instant_of(kept: str) -> datetime:
    return to_utc(datetime.fromisoformat(kept))


def why_held(session: Session) -> str | None:
    """One sentence while automatic letters wait for the store's sake, else None."""
    found = doubts(session)
    return found[0].words if found else None


def cast(session: Session, name: str, words: str, *, now: datetime) -> bool:
    """Let automatic letters wait because of this; False if the same doubt stood already.  `now` is the wall clock."""
    if read_meta(session, _DOUBT + name) is not None:
        return False
    write_meta(session, _DOUBT + name, json.dumps({"at": to_utc(now).isoformat(), "words": words}))
    return True


def clear(session: Session, name: str) -> bool:
    """It turned out that there was no reason for this one; whether it stood."""
    return bool(session.connection().execute(delete(Meta).where(col(Meta.name) == _DOUBT + name)).rowcount)


def release(office: Office) -> int | None:
    """An operator's word that automatic letters may leave; how many wait to, or None where nothing was in doubt.

    The same doubt is not raised again over what was released now.
    """
    with office.book.write() as session:
        if not doubts(session):
            return None
        names = select(col(Meta.name)).where(col(Meta.name).startswith(_RENUMBERED, autoescape=True))
        for name in list(session.connection().execute(names).scalars()):
            _write_mark(session, name, _read_mark(session, name) | {"released": True})
        shown = select(col(Meta.name), col(Meta.value)).where(col(Meta.name).startswith(_SHOWN, autoescape=True))
        for name, unknown in list(session.connection().execute(shown)):
            write_meta(session, _RELEASED + name.removeprefix(_SHOWN), unknown)
        lift_restored(session)
        session.connection().execute(delete(Meta).where(col(Meta.name).startswith(_DOUBT, autoescape=True)))
        return count_waiting(session)


def count_waiting(session: Session) -> int:
    """How many automatic letters wait to leave; those to staff wait for nobody's word."""
    waiting = select(func.count()).where(
        col(Letter.state) == "queued", col(Letter.automatic).is_(True), col(Letter.staff).is_(False)
    )
    return session.connection().execute(waiting).scalar() or 0


def is_behind(session: Session, *, now: datetime) -> bool:
    """Whether the clock stands before the latest hour that this store has seen."""
    return now < (remembered(session, HIGH_WATER, _instant_of) or EARLIEST) - BEHIND


# A store that was restored


def mark_restored(session: Session, *, now: datetime) -> None:
    """The store was restored, or found to be an old one.  `now` is the business clock."""
    write_meta(session, _RESTORED, now.isoformat())


def lift_restored(session: Session) -> bool:
    """It is not in doubt any more because it was restored; whether it was."""
    return bool(session.connection().execute(delete(Meta).where(col(Meta.name) == _RESTORED)).rowcount)


def _of_restored(at: datetime) -> Doubt:
    words = (
        f"The database was restored at {iso(at)}, or found to be an old one; take in the mail since the backup, then "
        f"run: {_LIFT_RESTORED}"
    )
    return Doubt(at, words, _LIFT_RESTORED)


# Mailboxes that were numbered anew


def renumbered(office: Office, mailbox: str, *, uidvalidity: int, below: int, now: datetime) -> None:
    """This mailbox has another UIDVALIDITY than before; what lies in it now has numbers below `below`."""
    name = _RENUMBERED + mailbox
    with office.book.write() as session:
        if _read_mark(session, name).get("uidvalidity") != uidvalidity:
            mark = {"uidvalidity": uidvalidity, "below": below, "at": to_utc(now).isoformat(), "released": False}
            _write_mark(session, name, mark)


def weigh(office: Office, mailbox: str, *, uidvalidity: int, coming: int, many: int, now: datetime) -> bool:
    """Whether the renumbered mailbox puts the store in doubt: more than `many` of its messages are unknown.

    To be asked before a look (`coming`: as many are about to be taken in, and any of them may be unknown) and after it
    (0): the doubt is raised before their letters can leave, and is gone again when most turned out to be known.
    """
    name, key = _RENUMBERED + mailbox, f"renumbered/{mailbox}"
    with office.book.read() as session:
        mark = _read_mark(session, name)
        if mark.get("uidvalidity") != uidvalidity or mark["released"]:
            return False
    with office.book.write() as session:
        if _read_mark(session, name)["released"]:  # just now
            return False
        unknown = _unknown(session, mailbox, uidvalidity, mark["below"])
        if unknown + coming <= many:
            clear(session, key)
            return False
        words = (
            f"Mailbox '{mailbox}' was numbered anew by its server, and more than {many} messages in it are unknown to "
            f"this database, which may be older than the mailbox; look at the cases opened since "
            f"{iso(datetime.fromisoformat(mark['at']))}, then run: {LIFT}"
        )
        cast(session, key, words, now=now)
        return True


def _unknown(session: Session, mailbox: str, uidvalidity: int, below: int) -> int:
    """Those of the mailbox as it lay there when it was numbered anew that are not known from before."""
    statement = select(func.count()).where(
        col(Arrival.mailbox) == mailbox,
        col(Arrival.uidvalidity) == uidvalidity,
        col(Arrival.uid) < below,
        col(Arrival.state).not_in(("duplicate", "own")),
        col(Arrival.history).is_(False),
    )
    return session.connection().execute(statement).scalar() or 0


def _read_mark(session: Session, name: str) -> dict[str, Any]:
    return remembered(session, name, _mark_of) or {}


def _mark_of(kept: str) -> dict[str, Any]:
    told = json.loads(kept)
    datetime.fromisoformat(told["at"])
    return {
        "at": told["at"],
        **{name: int(told[name]) for name in ("uidvalidity", "below")},
        "released": told["released"],
    }


def _write_mark(session: Session, name: str, mark: dict[str, Any]) -> None:
    write_meta(session, name, json.dumps(mark))


# A store that is older than what was seen of it


def behind_mailbox(office: Office, mailbox: str, unknown: int, *, many: int, now: datetime) -> bool:
    """Raise a doubt where the mailbox shows more than `many` messages that went through it and that the store lacks.

    They were filed by a later state of this store, unless somebody else took them away.
    """
    if unknown <= many:
        return False
    words = (
        f"This database knows nothing of {unknown} messages that went through mailbox '{mailbox}', so it may be older "
        f"than the mailbox; see amendsd reconcile, and when all is well, run: {LIFT}"
    )
    with office.book.write() as session:
        released = remembered(session, _RELEASED + mailbox, int) or 0
        shown = remembered(session, _SHOWN + mailbox, int) or 0  # by the inbox, or by where filed mail lies
        write_meta(session, _SHOWN + mailbox, str(max(shown, unknown)))
        return unknown - released > many and cast(session, f"behind/{mailbox}", words, now=now)
