"""The bell that ends the daemon: it can be rung from a signal handler and from any thread."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Bell:
    """Rung once, it stays rung.

    A pipe, not a threading.Event: a handler that sets an Event can interrupt the very wait for it, inside its lock.
    """

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        os.set_blocking(self._in, False)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._in, b"!")

    def wait(self, seconds: float) -> bool:
        """Sleep until it is rung (True) or the time is over (False)."""
        return bool(select.select([self._out], [], [], max(seconds, 0.0))[0])

    def close(self) -> None:
        os.close(self._in)
        os.close(self._out)


@contextlib.contextmanager
def rung_by_signals(bell: Bell) -> Iterator[None]:
    """SIGTERM and SIGINT ring the bell; the second of them ends the process at once.  SIGHUP changes nothing.

    Outside the main thread, where Python takes no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heard(number: int, _frame: FrameType | None) -> None:
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_DFL)
        bell.ring()

    before = {one: signal.signal(one, heard) for one in (signal.SIGTERM, signal.SIGINT)}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
