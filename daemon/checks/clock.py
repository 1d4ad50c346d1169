"""This machine's clock: does anybody keep it?"""

from __future__ import annotations

from collections.abc import Iterator

from amends.casework.office import open_office
from amends.config import Settings
from amends.kernel.errors import AmendsError
from daemon.checks.finding import Finding, ok, warning, wrong
from daemon.clock.doubt import ClockDoubt
from daemon.clock.witnesses import kept_by_ntp


def check(settings: Settings) -> Iterator[Finding]:
    if (doubt := _doubt(settings)) is not None:
        yield wrong("clock", doubt)
    kept = kept_by_ntp()
    if kept is None:
        return
    if kept:
        yield ok("clock", "The kernel says that it is synchronised.")
    else:
        yield warning(
            "clock", "Nobody keeps this machine's clock; run an NTP client (systemd-timesyncd), deadlines depend on it."
        )


def _doubt(settings: Settings) -> str | None:
    """Why the daemon does not believe it, or would not; None also where there is no store to ask."""
    office = open_office(settings)
    try:
        if office.book.path is not None and not office.book.path.exists():
            return None
        return ClockDoubt(office).judge()
    except AmendsError:  # said where the database is tried
        return None
    finally:
        office.book.close()
