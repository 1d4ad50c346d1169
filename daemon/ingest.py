"""Mail from files: single messages, folders of them, Maildirs and mboxes go through the same store, read and file.

Safe to repeat: what the store has, byte for byte, is left alone, and a message that came by another way before is known
by its Message-ID and words.

*When was it received?*  A file has no INTERNALDATE.  The topmost Received field is what our own server wrote, so its
date is believed first; then the sender's Date; then the line before the message in an mbox; then the file's own time,
which says when it was exported rather than when it came.  A date in the future becomes now.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

from amends.casework import intake
from amends.casework.intake import Filed, Incoming
from amends.casework.office import Office
from amends.kernel.errors import NotFound
from daemon.reading.filer import Filer
from daemon.reading.pool import ReadingPool, Underway

MAILBOX: Final = "files"
"""The name under which messages from files stand in the store."""

BATCH_MESSAGES: Final = 50
BATCH_BYTES: Final = 8 * 1024 * 1024
MESSAGE_BYTES: Final = 40 * 1024 * 1024
"""A larger message is set aside by its header."""
_HEADER_BYTES: Final = 256 * 1024

_SEPARATOR: Final = re.compile(rb"From \S.*\d{4}")  # RFC 4155: "From ", a sender, a time that ends with its year
_QUOTED: Final = re.compile(rb">+From ")
_RECEIVED: Final = re.compile(rb"^Received:(?:[^\r\n]|\r?\n[ \t])*", re.IGNORECASE | re.MULTILINE)
_DATE: Final = re.compile(rb"^Date:((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
_LONGEST_DATE: Final = 100


@dataclass(slots=True)
class Tally:
    """What came of an ingest.  `fates` counts the new messages by their state; `unread` names files and says why."""

    messages: int = 0
    known: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    unread: list[tuple[Path, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Found:
    """One message: its bytes (the beginning, if it is too large), its whole size, and a time to fall back on."""

    raw: bytes
    size: int
    otherwise_at: datetime


Progress = Callable[[int, int], None]
"""Called with the bytes that are done and the bytes there are in all."""


class _NeverEnding:
    """The pulse of a command that a person watches: it ends by Ctrl-C, and what is stored is filed next time."""

    stopping = threading.Event()

    def beat(self, **detail: Any) -> None: ...

    def failing(self, error: str, **detail: Any) -> None: ...

    def wait(self, seconds: float, *, woken_by: threading.Event | None = None) -> bool:
        return self.stopping.wait(seconds)


def ingest(
    office: Office,
    pool: ReadingPool,
    paths: Sequence[Path],
    *,
    letters: bool,
    progress: Progress = lambda done, total: None,
) -> Tally:
    """Take in all mail under `paths`.  Without `letters` it is history: filed without letters and without clocks.

    Raises NotFound for a path that is not there, TryLater or NeedsOperator when the store or the readers are in
    trouble; then it can simply be run again.
    """
    for path in paths:
        if not path.exists():
            raise NotFound(f"There is no file or folder {path}.")
    run = _Run(office, pool, history=not letters, progress=progress)
    run.take_in(list(chain.from_iterable(_files(path) for path in paths)))
    return run.tally


class _Run:
    def __init__(self, office: Office, pool: ReadingPool, *, history: bool, progress: Progress) -> None:
        self._office = office
        self._pool = pool
        self._history = history
        self._progress = progress
        self._filer = Filer(office, pool, outbox=lambda: None)
        self._before: tuple[list[int], Underway] | None = None
        self.tally = Tally()

    def take_in(self, files: Sequence[Path]) -> None:
        total, done = sum(_size(path) for path in files), 0
        self._progress(0, total)
        for batch in _batches(self._messages(files)):
            self._store(batch)
            done = min(done + sum(found.size for found in batch), total)
            self._progress(done, total)
        self._file_the_batch_before()
        self._filer.file_stored(MAILBOX, _NeverEnding(), then=self._count)  # what an ingest before this one left
        self._progress(total, total)

    def _messages(self, files: Sequence[Path]) -> Iterator[_Found]:
        for path in files:
            try:
                yield from _messages(path)
            except OSError as fault:
                self.tally.unread.append((path, fault.strerror or str(fault)))

    def _store(self, batch: Sequence[_Found]) -> None:
        """Store these; while the pool reads them, file those before them."""
        now = self._office.now()
        incoming = [self._incoming(found) for found in batch]
        stored = intake.store(self._office, incoming, now=now)
        self.tally.messages += len(stored)
        self.tally.known += sum(not one.new for one in stored)
        new = {one.arrival_id: item for one, item in zip(stored, incoming, strict=True) if one.new}
        self.tally.fates["quarantined"] += sum(item.reason is not None for item in new.values())
        unread = {arrival_id: item.raw for arrival_id, item in new.items() if item.reason is None}
        self._file_the_batch_before()
        if unread:
            self._before = list(unread), self._pool.begin(list(unread.values()))

    def _file_the_batch_before(self) -> None:
        if self._before is not None:
            (arrival_ids, underway), self._before = self._before, None
            self._count(self._filer.file(MAILBOX, arrival_ids, underway))

    def _count(self, filed: Sequence[Filed]) -> None:
        self.tally.fates.update(one.state for one in filed)

    def _incoming(self, found: _Found) -> Incoming:
        reason = sender = subject = ""
        if found.size > MESSAGE_BYTES:
            reason = f"it has {found.size / 1_000_000:.1f} MB, too much for one message; only its header was kept"
            [reading] = self._pool.read_all([found.raw], headers_only={0})
            if not isinstance(reading, str):
                sender, subject = reading.sender.address, reading.subject
        at = received_at(found.raw, otherwise=found.otherwise_at)
        return Incoming(
            mailbox=MAILBOX,
            uidvalidity=None,
            uid=None,
            raw=found.raw,
            received_at=min(self._office.business(at), self._office.now()),
            history=self._history,
            reason=reason or None,
            sender=sender,
            subject=subject,
        )


def received_at(raw: bytes, *, otherwise: datetime) -> datetime:
    """When a message was received, by its topmost Received field, else its Date, else `otherwise`; aware, in UTC."""
    head = raw[:_HEADER_BYTES]
    end = re.search(rb"\r?\n\r?\n", head)
    head = head[: end.start()] if end else head
    claims = []
    if (received := _RECEIVED.search(head)) is not None:
        claims.append(received[0].rpartition(b";")[2])
    if (date := _DATE.search(head)) is not None:
        claims.append(date[1])
    return next((at for claim in claims if (at := _instant(claim)) is not None), otherwise)


def _instant(claim: bytes) -> datetime | None:
    text = b" ".join(claim.split()).decode("ascii", "replace")
    if len(text) > _LONGEST_DATE:
        return None
    try:
        at = parsedate_to_datetime(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _files(path: Path) -> Iterator[Path]:
    """The files under `path` that hold mail, in order.  Of a Maildir: those in `new` and `cur`, of all its folders."""
    if not path.is_dir():
        yield path
        return
    for folder, subfolders, names in os.walk(path):
        here = Path(folder)
        subfolders.sort()
        if (here / "cur").is_dir() and (here / "new").is_dir():
            subfolders[:] = [name for name in subfolders if name != "tmp"]
            continue  # what lies beside new and cur are the server's own notes
        yield from (here / name for name in sorted(names) if not name.startswith(".") and (here / name).is_file())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _messages(path: Path) -> Iterator[_Found]:
    with path.open("rb") as file:
        written = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        size = os.fstat(file.fileno()).st_size
        first = file.readline(1000)
        file.seek(0)
        if _SEPARATOR.match(first):
            yield from _of_mbox(file, written)
        elif size:
            yield _Found(file.read(MESSAGE_BYTES if size <= MESSAGE_BYTES else _HEADER_BYTES), size, written)


def _of_mbox(file: BinaryIO, written: datetime) -> Iterator[_Found]:
    """The messages of an mbox, with one `>` taken from quoted lines that begin with From (mboxrd)."""
    at, lines, size, blank = written, list[bytes](), 0, True
    for line in chain(_lines(file), [b"From end Thu Jan  1 00:00:00 1970\n"]):
        if blank and _SEPARATOR.match(line):
            if size:
                yield _one_of_mbox(lines, size, at)
            at, lines, size = _time_of(line) or written, [], 0
        else:
            size += len(line)
            if size <= MESSAGE_BYTES:
                lines.append(line[1:] if _QUOTED.match(line) else line)
        blank = line in (b"\n", b"\r\n")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(65536):
        yield line


def _one_of_mbox(lines: Sequence[bytes], size: int, at: datetime) -> _Found:
    raw = b"".join(lines)
    if size > MESSAGE_BYTES:
        return _Found(raw[:_HEADER_BYTES], size, at)
    for blank in (b"\r\n", b"\n"):  # the line before the next separator belongs to the mbox
        if raw.endswith(blank * 2):
            raw = raw[: -len(blank)]
            break
    return _Found(raw, len(raw), at)


def _time_of(separator: bytes) -> datetime | None:
    """`From ann@example.org Mon Nov 23 09:30:00 2026`: asctime in UTC (RFC 4155)."""
    words = separator.decode("ascii", "replace").split()
    try:
        return datetime.strptime(" ".join(words[-4:]), "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None


def _batches(messages: Iterable[_Found]) -> Iterator[list[_Found]]:
    batch: list[_Found] = []
    size = 0
    for found in messages:
        if batch and (len(batch) == BATCH_MESSAGES or size + len(found.raw) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(found)
        size += len(found.raw)
    if batch:
        yield batch
