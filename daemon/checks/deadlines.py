"""Whether the dates of the open cases go by the calendar and the packs of now, and whether they were proved."""

from __future__ import annotations

from collections.abc import Iterator

from amends.casework import policychange, selfcheck
from amends.casework.office import open_office
from amends.config import Settings
from amends.kernel.errors import NeedsOperator
from amends.kernel.instants import iso
from amends.ledger.schema import require_current
from daemon.checks.finding import Finding, ok, warning, wrong


def check(settings: Settings) -> Iterator[Finding]:
    office = open_office(settings)
    try:
        require_current(office.book)
        with office.book.read() as session:
            sentence = policychange.sentence(office, session)
            last = selfcheck.last_check(session)
    except NeedsOperator:  # the check of the database says so
        return
    finally:
        office.book.close()
    if sentence is not None:
        yield warning("deadlines", sentence)
    if last is not None and last.wrong:
        yield wrong("deadlines", f"{last.words}.")
    elif last is not None and sentence is None:
        yield ok("deadlines", f"{last.deadlines:,} open deadlines were counted again at {iso(last.began_at)}.")
