"""Instants: aware datetimes in UTC, one text form everywhere."""

from __future__ import annotations

from datetime import UTC, datetime


def to_utc(instant: datetime) -> datetime:
    """`instant` in UTC.  Raises ValueError for a naive one: an instant without a zone is a guess."""
    if instant.tzinfo is None:
        raise ValueError(f"naive datetime {instant!r}: give it a zone")
    return instant.astimezone(UTC)


def iso(instant: datetime) -> str:
    """`2026-11-23T09:00:00Z`: ISO 8601 in UTC, whole seconds, as every --json prints it."""
    return to_utc(instant).strftime("%Y-%m-%dT%H:%M:%SZ")


def wall_clock() -> datetime:
    """The machine's clock, in UTC.  The only place in `amends` that reads it; the shells hand it in as `now`."""
    return datetime.now(UTC)
