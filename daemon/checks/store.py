"""The database: where it lies, whether it can be written durably, and whose schema it has."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import text

from amends.config import Settings
from amends.ledger.book import Book
from amends.ledger.schema import HEAD, revision
from daemon.checks.files import others_may_read
from daemon.checks.finding import Finding, ok, warning, wrong

WHAT: Final = "database"
MEGABYTE: Final = 2**20
LEAST_FREE: Final = 64 * MEGABYTE
LITTLE_FREE: Final = 1024 * MEGABYTE

# Locks or flushes do not hold on these, or hold only sometimes: SQLite must not lie there.
NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"}) | {
    *("ocfs2", "gfs2", "davfs", "virtiofs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone"),
    *("fuse.davfs", "fuse.davfs2", "fuse.goofys", "fuse.juicefs"),
}


def check(settings: Settings, *, now: datetime) -> Iterator[Finding]:
    """Nothing is made: a store that is not there yet is a warning."""
    book = Book(settings.database_url())
    try:
        if book.path is not None:
            yield from _place(book.path)
            if not book.path.exists() or not book.path.stat().st_size:
                yield warning(WHAT, f"{book.path} does not exist yet; run: amendsd migrate")
                return
            if others_may_read(book.path, group=False):
                yield warning(WHAT, f"{book.path} can be read by others on this machine; run: chmod o-rwx {book.path}")
        yield from _schema(book)
        if not book.sqlite:
            yield from _server(book, now=now)
    finally:
        book.close()


def _place(path: Path) -> Iterator[Finding]:
    """The folder and the disk that the file lies on.  Raises OSError never: what fails is a finding."""
    folder = path.parent
    kind = file_system_of(folder)
    if kind in NETWORK:
        yield wrong(
            WHAT,
            f"{folder} is on a network file system ({kind}), where SQLite loses data; "
            "move the database to a local disk, or use PostgreSQL.",
        )
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        yield wrong(WHAT, f"Only {free // MEGABYTE} MB are free in {folder}; make room before mail cannot be stored.")
    elif free < LITTLE_FREE:
        yield warning(WHAT, f"Only {free // MEGABYTE} MB are free in {folder}; make room soon.")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".amends-check-") as trial:
            trial.write(bytes(64 * 1024))
            trial.flush()
            os.fsync(trial.fileno())
    except OSError as fault:
        yield wrong(
            WHAT,
            f"Nothing can be written in {folder} ({fault.strerror or fault}); "
            "give the folder to the user that the daemon runs as, and make room on its disk.",
        )


def file_system_of(folder: Path) -> str:
    """The type of the file system that `folder` lies on, as the kernel names it; empty where that is not known."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return file_system_in(lines, folder.resolve())


def file_system_in(mountinfo: list[str], folder: Path) -> str:
    """The type in the lines of /proc/self/mountinfo (proc(5)): of the mounts above `folder` the nearest, the newest."""
    found, depth = "", -1
    for line in mountinfo:
        fields, _, rest = line.partition(" - ")
        point = Path(fields.split(" ")[4].encode().decode("unicode_escape"))  # a space stands there as \040
        if (folder == point or point in folder.parents) and len(point.parts) >= depth:
            found, depth = rest.split(" ")[0], len(point.parts)
    return found


def _schema(book: Book) -> Iterator[Finding]:
    found = revision(book)
    if found is None or found < HEAD:
        yield warning(WHAT, "The database is empty or older than this program; run: amendsd migrate")
        return
    if found > HEAD:
        yield wrong(WHAT, "The database is newer than this program; install the newer program.")
        return
    with book.write() as session:  # a commit goes to the disk; without it a full one would not be noticed
        session.connection().execute(text("DELETE FROM meta WHERE name = 'checked'"))
        session.connection().execute(text("INSERT INTO meta (name, value) VALUES ('checked', 'a trial')"))
    yield ok(WHAT, f"It opens, takes a durable commit, and has this program's schema ({HEAD}).")


def _server(book: Book, *, now: datetime) -> Iterator[Finding]:
    with book.read() as session:
        connection = session.connection()
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            if connection.execute(text(f"SHOW {name}")).scalar() == "off":
                yield wrong(WHAT, f"The server has {name} = off, so that a power cut loses mail; turn it on.")
        if connection.execute(text("SHOW server_encoding")).scalar() != "UTF8":
            yield wrong(WHAT, "The database is not in UTF-8; make it again with ENCODING 'UTF8'.")
        theirs = connection.execute(text("SELECT clock_timestamp()")).scalar()
    if isinstance(theirs, datetime) and abs(theirs - now) > timedelta(minutes=1):
        yield warning(
            WHAT,
            f"Its clock and this machine's differ by {abs(theirs - now).total_seconds():.0f} s; "
            "set both by NTP, or leases between daemons do not hold.",
        )
