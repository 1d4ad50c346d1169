"""The index of Message-IDs: which case a Message-ID speaks of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlmodel import Session, col

from amends.ledger.book import add_missing
from amends.ledger.tables import Case, ThreadId


def thread_digest(message_id: str) -> str:
    """The key of a Message-ID in the index: 160 bits of SHA-256 (hex), whatever a stranger wrote into it."""
    return hashlib.sha256(message_id.encode()).hexdigest()[:40]


def remember(session: Session, case_id: int, message_ids: Iterable[str], *, source: str) -> None:
    """Put Message-IDs into the index of this case; those that are there stay as they are."""
    rows = [
        {"digest": thread_digest(message_id), "case_id": case_id, "source": source}
        for message_id in dict.fromkeys(message_ids)
        if message_id
    ]
    add_missing(session, ThreadId, rows)


def cases_of(session: Session, message_ids: Sequence[str]) -> dict[str, str]:
    """The reference of the case that each of these Message-IDs speaks of, in the order given.

    Of several cases it is the oldest: a later one whose mail only quotes the thread takes nothing away from it.
    """
    if not message_ids:
        return {}
    by_digest = {thread_digest(message_id): message_id for message_id in message_ids}
    statement = (
        select(col(ThreadId.digest), col(Case.reference))
        .join(Case, col(Case.id) == col(ThreadId.case_id))
        .where(col(ThreadId.digest).in_(by_digest))
        .order_by(col(Case.id).desc())
    )
    found = {by_digest[key]: reference for key, reference in session.connection().execute(statement)}
    return {message_id: found[message_id] for message_id in message_ids if message_id in found}
