"""`amendsd clock`: the clock as the daemon sees it, and the operator's word that it is right."""

from __future__ import annotations

from amends.casework.office import Office
from amends.kernel.instants import iso
from amends.ledger.schema import require_current
from daemon.cli import say
from daemon.clock.doubt import ClockDoubt
from daemon.clock.doubt import confirm as confirm_clock


def clock(office: Office, *, confirm: bool) -> int:
    require_current(office.book)
    if confirm:
        say.line(f"{iso(confirm_clock(office))} is taken to be right from now on.")
        return 0
    say.line(f"This machine says {iso(office.wall())}.")
    if office.settings.clock.speed != 1.0:
        say.line(f"The demonstration's clock says {iso(office.now())}.")
    if (doubt := ClockDoubt(office).judge()) is not None:
        say.line(doubt)
    return 0
