"""A few long-lived processes that read mail.  They start when there is something to read, and go when it is quiet.

The parser is loaded only there.  A message that kills or hangs its process costs that process and has a fate of its
own; the messages that were given to the process together with it are read again, one by one.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import structlog
from pebble import ProcessExpired, ProcessPool

from amends.config import Settings
from amends.kernel.errors import TryLater
from daemon.reading.worker import Desk, Limits, confine, read_some

if TYPE_CHECKING:
    from amends.mail.facts import Reading

log = structlog.get_logger()

BATCH_MESSAGES: Final = 8
BATCH_BYTES: Final = 256 * 1024
_PATIENCE: Final = 60.0  # seconds beyond all time limits after which the processes themselves are at fault
_ALIVE_EVERY: Final = 5.0  # seconds of waiting between two signs of life
_READER: Final = "amends.mail.read"


Alive = Callable[[], None]
"""Called while we wait, so that whoever watches the waiting thread sees that it lives; what it raises ends the wait."""


def nobody_asks() -> None:
    """The `Alive` of those whom nobody watches."""


@dataclass(frozen=True, slots=True)
class _Task:
    numbers: list[int]
    raws: list[bytes]
    headers_only: bool
    future: Any
    pool: ProcessPool


class Underway:
    """Messages that are being read; `results()` waits for them."""

    def __init__(self, pool: ReadingPool, raws: Sequence[bytes], tasks: list[_Task]) -> None:
        self._pool = pool
        self._raws = raws
        self._tasks = tasks

    def results(self, alive: Alive = nobody_asks) -> list[Reading | str]:
        """The reading of each message in order, or why it could not be read.

        `alive` is called every few seconds of the waiting.

        Raises TryLater when the reading processes themselves cannot work (no memory, no processes left).
        """
        found: dict[int, Reading | str] = {}
        with self._pool.at_work():
            for task in self._tasks:
                found.update(zip(task.numbers, self._pool.result_of(task, alive), strict=True))
        return [found[number] for number in range(len(self._raws))]


class ReadingPool:
    """Shared by all who take mail in; every method may be called from any thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        workers: int | None = None,
        limits: Limits | None = None,
        quiet_seconds: float = 180.0,
        reader: str = _READER,
    ) -> None:
        organisation = settings.organisation
        self._workers = workers or max(2, min(4, os.cpu_count() or 2))
        self._limits = limits or Limits()
        self._quiet_seconds = quiet_seconds
        desk = Desk(organisation.own_addresses, organisation.authserv_id, organisation.languages)
        self._initargs = (self._limits, reader, desk)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([reader, "daemon.reading.worker"])
        self._lock = threading.RLock()
        self._pool: ProcessPool | None = None
        self._busy = 0
        self._quiet: threading.Timer | None = None

    def read_all(
        self, raws: Sequence[bytes], *, headers_only: Collection[int] = (), alive: Alive = nobody_asks
    ) -> list[Reading | str]:
        """Read these messages; `headers_only`: the places in `raws` of those that took their reader down before."""
        return self.begin(raws, headers_only=headers_only).results(alive)

    def begin(self, raws: Sequence[bytes], *, headers_only: Collection[int] = ()) -> Underway:
        """Start reading these messages, several small ones to a task, and do not wait."""
        with self.at_work():
            tasks = [
                self._schedule(numbers, [raws[number] for number in numbers], few)
                for few, numbers in _batches(raws, headers_only)
            ]
        return Underway(self, raws, tasks)

    def result_of(self, task: _Task, alive: Alive) -> list[Reading | str]:
        """What came of a task; the messages of one that died or hung are read again, each alone."""
        try:
            return self._wait(task, alive)
        except (ProcessExpired, TimeoutError) as fault:
            if len(task.raws) > 1:
                alone = [self._schedule([0], [raw], task.headers_only) for raw in task.raws]
                return [self.result_of(one, alive)[0] for one in alone]
            why = self._why(fault)
            log.warning("reading.failed", why=why, bytes=len(task.raws[0]), headers_only=task.headers_only)
            if task.headers_only:
                return [f"it cannot be read, nor can its headers: {why}"]
            return [_with_defect(self.result_of(self._schedule([0], task.raws, True), alive)[0], why)]

    def _wait(self, task: _Task, alive: Alive, *, again: bool = True) -> list[Reading | str]:
        try:
            return _outcome(task, self._limits.seconds * self._everything(task) + _PATIENCE, alive)
        except (BrokenProcessPool, CancelledError) as broken:  # a process died while there was nothing to read
            self._replace(task.pool)
            if again:
                return self._wait(self._schedule(task.numbers, task.raws, task.headers_only), alive, again=False)
            raise _in_trouble() from broken
        except TimeoutError as late:
            if task.future.done():
                raise
            self._replace(task.pool)
            raise _in_trouble() from late

    def _everything(self, task: _Task) -> int:
        return len(task.raws) + self._busy * BATCH_MESSAGES

    def _why(self, fault: Exception) -> str:
        if isinstance(fault, TimeoutError):
            return f"reading it took more than {self._limits.seconds:g} s"
        return "reading it took its process down (too much memory or processor time)"

    def _schedule(self, numbers: list[int], raws: list[bytes], headers_only: bool) -> _Task:
        for _ in range(2):
            with self._lock:
                pool = self._pool = self._pool or self._open()
            try:
                future = pool.schedule(read_some, args=(raws, headers_only), timeout=self._limits.seconds)
                return _Task(numbers, raws, headers_only, future, pool)
            except RuntimeError:
                self._replace(pool)
        raise _in_trouble()

    def _open(self) -> ProcessPool:
        return ProcessPool(self._workers, initializer=confine, initargs=self._initargs, context=self._context)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The processes stay while somebody is in here, and for some quiet minutes after."""
        with self._lock:
            self._busy += 1
            if self._quiet is not None:
                self._quiet.cancel()
                self._quiet = None
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                if self._busy == 0 and self._pool is not None:
                    self._quiet = threading.Timer(self._quiet_seconds, self.rest)
                    self._quiet.daemon = True
                    self._quiet.start()

    def rest(self) -> None:
        """Let the processes go until there is something to read again."""
        with self._lock:
            pool = None if self._busy else self._pool
        if pool is not None:
            self._replace(pool)

    def _replace(self, pool: ProcessPool) -> None:
        """The next task shall have new processes; no-one waits for these any more."""
        with self._lock:
            if self._pool is not pool:
                return
            self._pool = None
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()

    def close(self) -> None:
        """End the processes; readings that are under way are given up."""
        with self._lock:
            if self._quiet is not None:
                self._quiet.cancel()
            pool = self._pool
        if pool is not None:
            self._replace(pool)


def _outcome(task: _Task, patience: float, alive: Alive) -> list[Reading | str]:
    """What the task's process gave or raised; TimeoutError, with the future not done, after `patience` seconds."""
    end = time.monotonic() + patience
    while not task.future.done() and (left := end - time.monotonic()) > 0:
        alive()
        with suppress(TimeoutError):
            task.future.exception(min(_ALIVE_EVERY, left))
    found: list[Reading | str] = task.future.result(0)
    return found


def _in_trouble() -> TryLater:
    return TryLater(
        "The reading processes do not work (is there memory? is the path in TMPDIR shorter than 70 characters?); "
        "what was stored is read later."
    )


def _batches(raws: Sequence[bytes], headers_only: Collection[int]) -> Iterator[tuple[bool, list[int]]]:
    for few in (False, True):
        batch: list[int] = []
        size = 0
        for number, raw in enumerate(raws):
            if (number in headers_only) is not few:
                continue
            if batch and (len(batch) == BATCH_MESSAGES or size + len(raw) > BATCH_BYTES):
                yield few, batch
                batch, size = [], 0
            batch.append(number)
            size += len(raw)
        if batch:
            yield few, batch


def _with_defect(reading: Reading | str, why: str) -> Reading | str:
    if isinstance(reading, str):
        return reading
    return replace(reading, defects=(*reading.defects, why))
