"""`amendsd doubt`: why automatic letters wait for the store's sake, and the word that lets them leave."""

from __future__ import annotations

from amends.casework import doubts
from amends.casework.office import Office
from amends.kernel.errors import NotFound
from amends.kernel.instants import iso
from amends.ledger.schema import require_current
from daemon.cli import say


def doubt(office: Office, *, release: bool) -> int:
    """Exit status 1 while letters wait."""
    require_current(office.book)
    if release:
        waiting = doubts.release(office)
        if waiting is None:
            raise NotFound("Nothing is in doubt, so no letter waits for your word.")
        say.line(f"{waiting} automatic {'letter leaves' if waiting == 1 else 'letters leave'} now.")
        return 0
    with office.book.read() as session:
        found = doubts.doubts(session)
    for one in found:
        say.line(f"since {iso(one.at)}: {say.harmless(one.words)}")
    if not found:
        say.line("The database is in no doubt.  (amendsd clock tells of the clock, amendsd breaker of loops.)")
    return 1 if found else 0
