"""The health of the daemon's duties, and who may do them: rows that the screens and other daemons read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import col

from amends.casework.office import Office
from amends.ledger.book import add_missing
from amends.ledger.tables import Duty, Lease


def report(
    office: Office,
    name: str,
    state: str,
    *,
    now: datetime,
    error: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Say how a duty fares (running, failing, stopped); `since` is when that state began.  `now` is the wall clock."""
    with office.book.write() as session:
        row = session.get(Duty, name)
        if row is None:
            session.add(Duty(name=name, state=state, since=now, beat_at=now, last_error=error, detail=detail or {}))
            return
        if row.state != state:
            row.state, row.since = state, now
        row.beat_at = now
        row.last_error = error if error is not None or state == "running" else row.last_error
        row.detail = {**row.detail, **(detail or {})}
        session.add(row)


def lease(
    office: Office,
    role: str,
    owner: str,
    *,
    seconds: float,
    now: datetime,
    owner_is_dead: Callable[[str], bool] = lambda owner: False,
) -> int | None:
    """Take or renew the lease of a role; its epoch, or None while another owner holds it.  `now` is the wall clock.

    The lease of an owner that is known to be dead need not run out.
    """
    until = now + timedelta(seconds=seconds)
    with office.book.write() as session:
        add_missing(session, Lease, [{"role": role, "owner": "", "epoch": 0, "until": now}])
        row = session.get(Lease, role, with_for_update=True, populate_existing=True)
        assert row is not None
        if row.owner != owner:
            if row.owner and row.until > now and not owner_is_dead(row.owner):
                return None
            row.owner, row.epoch = owner, row.epoch + 1
        row.until = until
        session.add(row)
        return row.epoch


def release_lease(office: Office, role: str, owner: str, *, now: datetime) -> None:
    """Let the next one in at once."""
    with office.book.write() as session:
        session.connection().execute(
            update(Lease).where(col(Lease.role) == role, col(Lease.owner) == owner).values(until=now, owner="")
        )


def holder(office: Office, role: str, *, now: datetime) -> str | None:
    """Whose lease of this role runs at `now` (the wall clock), if anybody's."""
    with office.book.read() as session:
        row = session.get(Lease, role)
        return row.owner if row is not None and row.owner and row.until > now else None


def forget(office: Office, name: str) -> None:
    """Take a duty out of the list (a mailbox that is not configured any more)."""
    with office.book.write() as session:
        session.connection().execute(delete(Duty).where(col(Duty.name) == name))
