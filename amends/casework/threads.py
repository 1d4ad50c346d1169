"""The index of Message-IDs: which case a Message-ID speaks of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import bindparam, select
from sqlmodel import Session, col

from amends.casework import ahead
from amends.ledger.book import insert_missing
from amends.ledger.columns import key
from amends.ledger.tables import Case, ThreadId


def thread_digest(message_id: str) -> str:
    """The key of a Message-ID in the index: 160 bits of SHA-256 (hex), whatever a stranger wrote into it."""
    return hashlib.sha256(message_id.encode()).hexdigest()[:40]


def remember(session: Session, case_id: int, reference: str, message_ids: Iterable[str], *, source: str) -> None:
    """Put Message-IDs into the index of this case; those that are there stay as they are."""
    rows = [
        {"digest": thread_digest(message_id), "case_id": case_id, "source": source}
        for message_id in dict.fromkeys(message_ids)
        if message_id
    ]
    if (known := ahead.ahead_of(session)) is not None:
        for row in rows:
            speaks_of = known.threads.get(str(row["digest"]))
            if speaks_of is None or case_id < speaks_of[0]:
                known.threads[str(row["digest"])] = case_id, reference
    ahead.write(session, insert_missing(session, ThreadId), rows)


def cases_of(session: Session, message_ids: Sequence[str]) -> dict[str, str]:
    """The reference of the case that each of these Message-IDs speaks of, in the order given.

    Of several cases it is the oldest: a later one whose mail only quotes the thread takes nothing away from it.
    """
    by_digest = {thread_digest(message_id): message_id for message_id in message_ids}
    known = ahead.ahead_of(session)
    found = look_up(session, by_digest, {} if known is None else known.threads)
    speaks_of = {by_digest[digest]: case[1] for digest, case in found.items() if case is not None}
    return {message_id: speaks_of[message_id] for message_id in message_ids if message_id in speaks_of}


def look_up(
    session: Session, digests: Iterable[str], known: dict[str, tuple[int, str] | None]
) -> dict[str, tuple[int, str] | None]:
    """The case (id, reference) of each digest or None; the store is asked for those that `known` lacks, once."""
    wanted = list(dict.fromkeys(digests))
    missing = [digest for digest in wanted if digest not in known]
    for start in range(0, len(missing), _AT_ONCE):
        some = missing[start : start + _AT_ONCE]
        known |= dict.fromkeys(some)
        for digest, case_id, reference in session.connection().execute(_CASES, {"digests": some}):
            known[digest] = case_id, reference
    return {digest: known[digest] for digest in wanted}


_AT_ONCE: Final = 500  # values in one IN list
_CASES: Final = (
    select(col(ThreadId.digest), key(Case.id), col(Case.reference))
    .join(Case, col(Case.id) == col(ThreadId.case_id))
    .where(col(ThreadId.digest).in_(bindparam("digests", expanding=True)))
    .order_by(col(Case.id).desc())
)
