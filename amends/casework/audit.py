"""Proof of the record on demand, and when it was last given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from amends.casework.office import Office, read_meta, write_meta
from amends.kernel.instants import to_utc
from amends.ledger.verify import Verdict, verify


@dataclass(frozen=True, slots=True)
class LastVerdict:
    """When the ledger was last verified, and whether it was whole; both None before the first time."""

    verified_at: datetime | None
    intact: bool | None


def verify_ledger(office: Office, *, now: datetime) -> Verdict:
    """Verify the whole ledger and keep the result for `last_verdict`.  `now` is the wall clock."""
    verdict = verify(office.book)
    with office.book.write() as session:
        write_meta(session, "verified_at", to_utc(now).isoformat())
        write_meta(session, "verified_intact", "yes" if verdict.intact else "no")
        write_meta(session, "verified_root", verdict.root)
    return verdict


def last_verdict(session: Session) -> LastVerdict:
    at = read_meta(session, "verified_at")
    if at is None:
        return LastVerdict(None, None)
    return LastVerdict(datetime.fromisoformat(at), read_meta(session, "verified_intact") == "yes")
