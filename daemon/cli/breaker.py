"""`amendsd breaker`: whether automatic letters are held as they look like a loop, and the word that lets them go."""

from __future__ import annotations

from amends.casework import gate
from amends.casework.office import Office
from amends.kernel.instants import iso
from amends.ledger.schema import require_current
from daemon.cli import say


def breaker(office: Office, *, go: bool) -> int:
    """Exit status 1 while letters are held."""
    require_current(office.book)
    now = office.now()
    if go:
        freed = gate.let_go(office, now=now)
        say.line(f"{freed} automatic {'letter leaves' if freed == 1 else 'letters leave'} now.")
        return 0
    with office.book.read() as session:
        face = gate.breaker(office, session, now=now)
        blocked = len(gate.blocked(session, now=now))
    say.line(
        f"{face.counted} automatic letters of the last ten minutes answered what came just after another one; "
        f"{face.limit} may."
    )
    if face.since is not None:
        say.line(f"It opened last at {iso(face.since)}.")
    whom = "1 address gets" if blocked == 1 else f"{blocked} addresses get"
    say.line(f"{whom} no automatic letters; amends blocked names {'it' if blocked == 1 else 'them'}.")
    if not face.tripped:
        return 0
    say.line(f"{face.held} automatic letters are held; amends outbox lists them, amendsd breaker --go lets them leave.")
    return 1
