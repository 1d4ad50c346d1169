"""`amendsd migrate` and `amendsd verify`."""

from __future__ import annotations

from amends.casework.office import Office
from daemon.cli import say


def migrate(office: Office) -> int:
    """Make the store or bring it up to date; the file of a new one is its owner's alone."""
    from amends.ledger.schema import HEAD, migrate
    from daemon.cli.files import touch_private

    if office.book.path is not None:
        touch_private(office.book.path)
    changed = migrate(office.book)
    say.line(f"The database is now at schema {HEAD}." if changed else f"Nothing to do: the schema is {HEAD} already.")
    return 0


def verify(office: Office, *, as_json: bool) -> int:
    """Exit status 1 if the record is not whole, with the first broken link."""
    from amends.casework.audit import verify_ledger
    from amends.deadlines.words import counted
    from amends.ledger.schema import require_current

    require_current(office.book)
    verdict = verify_ledger(office, now=office.wall())
    if as_json:
        say.document(
            {
                "intact": verdict.intact,
                "cases": verdict.cases,
                "events": verdict.events,
                "root": verdict.root,
                "problems": list(verdict.problems),
            }
        )
        return 0 if verdict.intact else 1
    for problem in verdict.problems:
        say.line(f"wrong  {say.harmless(problem)}")
    say.line(f"{counted(verdict.cases, 'cases')}, {counted(verdict.events, 'events')}, root {verdict.root}")
    if not verdict.intact:
        say.error(
            "The ledger is not intact; keep this database as it is, find out who could write to it, "
            "and compare it with a backup."
        )
        return 1
    say.line("The ledger is intact.")
    return 0
