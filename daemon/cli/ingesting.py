"""`amendsd ingest`: mail from files, with a bar on a terminal and a summary at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from amends.casework.office import Office
from amends.ledger.schema import require_current
from daemon import logs
from daemon.cli import say
from daemon.cli.progress import Progress
from daemon.ingest import Tally, ingest
from daemon.reading.pool import ReadingPool


def take_in(office: Office, paths: Sequence[Path], *, letters: bool) -> int:
    """Exit status 1 if a file could not be read; the others are taken in all the same."""
    require_current(office.book)
    _ = office.pack, office.calendar, office.templates  # a mistake in them is said before the first message is taken in
    end_of_log = logs.configure(level="warning")
    pool = ReadingPool(office.settings)
    try:
        tally = ingest(office, pool, paths, letters=letters, progress=_bar)
    finally:
        pool.close()
        office.book.close()
        end_of_log()
    _summary(tally)
    return 1 if tally.unread else 0


def _summary(tally: Tally) -> None:
    fates = [f"{count} {state}" for state, count in sorted(tally.fates.items()) if count]
    new = tally.messages - tally.known
    known = f"; {tally.known} were there already" if tally.known else ""
    read = f"{tally.messages} message{'' if tally.messages == 1 else 's'}"
    say.line(f"{read}: {new} new{' (' + ', '.join(fates) + ')' if fates else ''}{known}.")
    for path, why in tally.unread:
        say.error(f"{path}: cannot be read: {why}.")


def _bar(done: int, total: int) -> None:
    """Both in bytes; it is gone when all is done."""
    progress = Progress(total)
    if done >= total:
        progress.hide()
    else:
        progress.show(done, f"{done / 1_000_000:.1f} of {total / 1_000_000:.1f} MB")
