"""`amendsd backup` and `amendsd restore`, for SQLite; PostgreSQL has its own programs for both."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from amends.casework.office import Office
from amends.casework.restored import hold, release
from amends.config import Settings
from amends.deadlines.words import counted
from amends.kernel.errors import NeedsOperator, NotFound, Refused
from amends.ledger.book import Book
from amends.ledger.schema import migrate, require_current
from amends.ledger.verify import Verdict, verify
from amends.ledger.views import duties
from daemon.cli import say
from daemon.cli.files import sync_folder, told, touch_private
from daemon.cli.status import FRESH, at_work

_BESIDE = ("-journal", "-wal", "-shm")  # what SQLite keeps beside its file, and would apply to another one put there


def backup(office: Office, target: Path) -> int:
    """Copy the store while the daemon runs, and call the copy good only when it was opened and verified.

    Exit status 1 if the copy is whole but the ledger in it is not: then the store's is not either.
    """
    source = office.book.path
    if source is None:
        raise Refused(
            "PostgreSQL is backed up by its own program: "
            "pg_dump --format=custom --file=FILE DATABASE, then amendsd verify."
        )
    if target.exists():
        raise Refused(f"{target} exists; name a new file, a backup never overwrites another.")
    require_current(office.book)
    with _whole_or_nothing(target) as part:
        _copy(source, part)
        verdict = _examined(part)
        with told(target, "written"):
            part.replace(target)
            sync_folder(target.resolve().parent)
    say.line(f"{target}: {counted(verdict.cases, 'cases')}, {counted(verdict.events, 'events')}, root {verdict.root}")
    return _told_whether_intact(verdict)


def restore(settings: Settings, source: Path, *, force: bool, now: datetime) -> int:
    """Put the backup in the place of the store; what stood there is set aside beside it.  `now` is the wall clock.

    Letters that had not left at the time of the backup become uncertain, and automatic ones are held.
    """
    book = Book(settings.database_url())
    target = book.path
    book.close()
    if target is None:
        raise Refused(
            "PostgreSQL is restored by its own program: pg_restore --clean --dbname=DATABASE FILE, "
            "then amendsd restore --hold."
        )
    if not source.is_file():
        raise NotFound(f"{source}: there is no such file; name one that amendsd backup wrote.")
    if target.exists() and source.samefile(target):
        raise Refused(f"{source} is the database itself; name a backup.")
    if target.exists() and target.stat().st_size:
        _refuse_running(settings, now=now)
        if not force:
            raise Refused(f"{target} is not empty; with --force it is set aside and the backup takes its place.")
    with _whole_or_nothing(target) as part:
        _copy(source, part)
        verdict = _examined(part)
        held = _made_ready(settings, part)
        aside = _set_aside(target, now=now)
        with told(target, "written"):
            part.replace(target)
            sync_folder(target.parent)
    if aside is not None:
        say.line(f"What stood there is now {aside}.")
    say.line(f"{target}: {counted(verdict.cases, 'cases')}, {counted(verdict.events, 'events')}, root {verdict.root}")
    _say_held(held)
    return _told_whether_intact(verdict)


def hold_letters(office: Office) -> int:
    """After pg_restore: the same hold that a restore of SQLite puts on the letters."""
    migrate(office.book)
    _say_held(hold(office, now=office.now()))
    return 0


def release_letters(office: Office) -> int:
    require_current(office.book)
    waiting = release(office)
    if waiting is None:
        raise NotFound("Nothing is held: this database was not restored, or its letters were released before.")
    say.line(f"Automatic letters leave again; {waiting} wait.")
    return 0


def _say_held(letters: int) -> None:
    say.line(f"{letters} letters that had not left by then are uncertain now; the outbox screen settles them.")
    say.line("Automatic letters are held.  Start the daemon, take in the mail that came since the backup")
    say.line("(docs/operators.md, Restoring), then run: amendsd restore --release")


def _told_whether_intact(verdict: Verdict) -> int:
    if verdict.intact:
        return 0
    say.error(f"The copy is complete, but its ledger is not intact: {verdict.problems[0]}; see amendsd verify.")
    return 1


@contextmanager
def _whole_or_nothing(target: Path) -> Iterator[Path]:
    """A private file beside `target` to write into, gone if it was not put in its place."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    touch_private(part)
    try:
        yield part
    finally:
        for leftover in (part, *(part.with_name(part.name + ending) for ending in _BESIDE)):
            leftover.unlink(missing_ok=True)


def _copy(source: Path, part: Path) -> None:
    """One consistent copy in one step: writers wait for it, and it cannot be overtaken by them without end."""
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as have,
            closing(sqlite3.connect(part, timeout=60)) as copy,
        ):
            have.backup(copy)
        with told(part, "flushed to the disk"), part.open("rb") as file:
            os.fsync(file.fileno())
    except sqlite3.DatabaseError as fault:
        if getattr(fault, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise NeedsOperator(f"{source} is no backup of Amends; name a file that amendsd backup wrote.") from fault
        raise NeedsOperator(f"{source} cannot be copied: {fault}; look at its disk and at that of the copy.") from fault


def _examined(part: Path) -> Verdict:
    """What is in the copy.  Raises NeedsOperator if it is not a store of ours, or not whole."""
    try:
        with closing(sqlite3.connect(part)) as copy:
            found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            ours = copy.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()[0]
    except sqlite3.DatabaseError as fault:
        found, ours = str(fault), 1
    if found != "ok":
        raise NeedsOperator(
            f"The copy is damaged ({found}); it is not kept, and the disk of the original needs a look."
        )
    if not ours:
        raise NeedsOperator("The file is no backup of Amends; name one that amendsd backup wrote.")
    book = Book(f"sqlite:///{part}")
    try:
        migrate(book)
        return verify(book)
    finally:
        book.close()


def _made_ready(settings: Settings, part: Path) -> int:
    office = Office(settings, Book(f"sqlite:///{part}"))
    try:
        return hold(office, now=office.now())
    finally:
        office.book.close()


def _refuse_running(settings: Settings, *, now: datetime) -> None:
    book = Book(settings.database_url())
    try:
        with book.read() as session:
            running = at_work(duties(session), now=now)
    except Exception:  # noqa: BLE001  (a store that cannot be read is why somebody restores)
        return
    finally:
        book.close()
    if running:
        raise Refused(
            "A daemon was at work on this database a moment ago; stop it (systemctl stop amendsd), "
            f"or, if it crashed, wait {FRESH.seconds // 60} minutes."
        )


def _set_aside(target: Path, *, now: datetime) -> Path | None:
    """Rename the store, with what SQLite keeps beside it; None if there was none."""
    aside = target.with_name(f"{target.name}.before-restore-{now:%Y%m%dT%H%M%SZ}")
    with told(target, "set aside"):
        for ending in _BESIDE:
            beside = target.with_name(target.name + ending)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + ending))
        if not target.exists():
            return None
        target.rename(aside)
    return aside
