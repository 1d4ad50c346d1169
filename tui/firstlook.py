"""The first look at the queue, taken by a child process while this one makes ready to draw it.

Loading SQL with the tables and loading the toolkit of the screens take a quarter of a second and more each, and one
process does them one after the other.  The child is forked before either: it opens the store, asks what the queue asks,
hands the answer over as frozen values and is gone.  Where it cannot (no store, a newer one, a busy server) it says
nothing, and whoever waited goes the ordinary way, with the ordinary sentences.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from amends.casework.actors import Actor
    from amends.config import Settings
    from tui.desk import Snapshot

PATIENCE: Final = 2.0
"""Seconds in which the child must answer; a store that takes longer is asked again, by this process."""
_OPENED: Final = b"o"


class FirstLook:
    """The child and the pipe to it.  `close` it whatever happens: then there is no child any more."""

    def __init__(self, pid: int, pipe: int) -> None:
        self._pid = pid
        self._pipe = pipe
        self._lock = threading.Lock()
        self._closed = False

    def opened(self) -> bool:
        """Whether the child found that the configuration names a store which can be opened."""
        with self._lock:
            return not self._closed and self._read(1, time.monotonic() + PATIENCE) == _OPENED

    def take(self) -> Snapshot | None:
        """What the child saw, once, after `opened`; None if it saw nothing in time."""
        with self._lock:
            if self._closed:
                return None
            said, end = bytearray(), time.monotonic() + PATIENCE
            try:
                while part := self._read(2**20, end):
                    said += part
            finally:
                self._end()
        try:
            return pickle.loads(said)  # type: ignore[no-any-return]  # noqa: S301  (a process of ours wrote it)
        except (EOFError, pickle.UnpicklingError):  # it was cut short
            return None

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._end()

    def _read(self, most: int, end: float) -> bytes:
        """What there is to read; nothing where the child has ended or is too slow."""
        left = max(0.0, end - time.monotonic())
        return os.read(self._pipe, most) if select.select([self._pipe], [], [], left)[0] else b""

    def _end(self) -> None:
        self._closed = True
        os.close(self._pipe)
        os.kill(self._pid, signal.SIGKILL)  # it has only read; and until it is waited for, its number is its own
        os.waitpid(self._pid, 0)


def begin(settings: Settings, actor: Actor) -> FirstLook | None:
    """Have a child look; None where one core would do the work of both, and where the clock is not the machine's.

    A fast clock starts in the store, and both processes would have to know of it.  Nor is a program forked in which
    there are threads already: their locks would stay shut in the child.
    """
    if (os.cpu_count() or 1) < 2 or settings.clock.speed != 1.0 or threading.active_count() > 1:
        return None
    here, there = os.pipe()
    pid = os.fork()
    if pid:
        os.close(there)
        return FirstLook(pid, here)
    try:
        os.close(here)
        _be_silent()
        _look(settings, actor, there)
    finally:
        os._exit(0)  # whatever went wrong will go wrong again where it can be told


def _be_silent() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)


def _look(settings: Settings, actor: Actor, pipe: int) -> None:
    from amends.casework.office import open_office

    office = open_office(settings)
    with open(pipe, "wb") as out:
        out.write(_OPENED)
        out.flush()
        from tui import prefs
        from tui.desk import Desk, kind_named

        desk = Desk(office, actor)
        desk.require_store()
        snapshot = desk.snapshot(kind_named(prefs.load().view))
        office.book.close()
        out.write(pickle.dumps(snapshot))
