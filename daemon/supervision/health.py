"""How each duty fares: kept here from beat to beat, written to the store now and then for the screens to read."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from amends.casework import duty as rows
from amends.casework.office import Office
from amends.kernel.errors import AmendsError
from amends.kernel.text import one_line
from daemon.supervision.owner import our_name

log = structlog.get_logger()

WRITE_EVERY: Final = 15.0  # seconds between two writes of a row whose state did not change
_AT_MOST_EVERY: Final = 1.0  # even if the state does change: one that flaps must not keep the disk busy


@dataclass
class _Known:
    state: str = ""
    error: str | None = None


@dataclass(eq=False)
class Heart:
    """The pulse of one duty (`duty.Pulse`), and what the supervisor reads from it.  All of it is thread-safe."""

    name: str
    silence: float
    changed: threading.Event
    """Set when the state changed, so that the row is written now and not in its turn."""
    stopping: threading.Event = field(default_factory=threading.Event)
    state: str = "starting"
    error: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    tried: bool = False
    """Whether the duty has been at its work once, with or without success."""
    ended: bool = False

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._alive_until = time.monotonic() + self.silence
        self._waits_for: threading.Event | None = None

    def beat(self, **detail: Any) -> None:
        self._say("running", None, detail)

    def failing(self, error: str, **detail: Any) -> None:
        self._say("failing", one_line(error, 500), detail)

    def _say(self, state: str, error: str | None, detail: dict[str, Any]) -> None:
        with self._lock:
            new = (state, error) != (self.state, self.error)
            self.state, self.error, self.tried = state, error, True
            self.detail.update(detail)
            self._alive_until = time.monotonic() + self.silence
        if new:
            self.changed.set()

    def wait(self, seconds: float, *, woken_by: threading.Event | None = None) -> bool:
        bell = self.stopping if woken_by is None else woken_by
        with self._lock:
            if self.stopping.is_set():
                return True
            self._alive_until = time.monotonic() + seconds + self.silence
            self._waits_for = bell
        bell.wait(max(seconds, 0.0))
        with self._lock:
            self._waits_for = None
            self._alive_until = time.monotonic() + self.silence
            if woken_by is not None:
                woken_by.clear()
        return self.stopping.is_set()

    def stop(self) -> None:
        """Ask the duty to end, and wake it if it sleeps."""
        with self._lock:
            self.stopping.set()
            if self._waits_for is not None:
                self._waits_for.set()

    def end(self, state: str = "stopped") -> None:
        with self._lock:
            self.state, self.error, self.ended = state, None if state == "stopped" else self.error, True

    def hung(self) -> bool:
        """Whether the duty has shown no sign of life for longer than it may."""
        with self._lock:
            return not self.ended and time.monotonic() > self._alive_until

    def seen(self) -> tuple[str, str | None, dict[str, Any]]:
        """(state, error, detail) for its row; a hung duty is failing, whatever it said last."""
        hung = self.hung()
        with self._lock:
            if hung:
                return "failing", f"no sign of life for more than {self.silence:.0f} s", dict(self.detail)
            return self.state, self.error, dict(self.detail)


class Registrar:
    """Writes the rows, in a thread of its own: a store that hangs must not keep the supervisor from its watch."""

    def __init__(self, office: Office, hearts: Sequence[Heart], changed: threading.Event) -> None:
        self._office = office
        self._hearts = hearts
        self._changed = changed
        self._owner = our_name()
        self._ending = threading.Event()
        self._known: dict[str, _Known] = {heart.name: _Known() for heart in hearts}
        self._written_at: dict[str, float] = {}
        self._store_is_broken = False
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """Write what there is to write, and end."""
        self._ending.set()
        self._changed.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._changed.wait(WRITE_EVERY)
            self._changed.clear()
            self._write()
            self._ending.wait(_AT_MOST_EVERY)
        self._write()

    def _write(self) -> None:
        for heart in self._hearts:
            state, error, detail = heart.seen()
            if detail.get("held_by") and error is None:
                continue  # the daemon that does the work writes the row
            known, now = self._known[heart.name], time.monotonic()
            new = (state, error) != (known.state, known.error)
            if not new and now - self._written_at.get(heart.name, -WRITE_EVERY) < WRITE_EVERY * 0.9:
                continue
            if not self._report(heart.name, state, error, detail):
                return
            self._known[heart.name], self._written_at[heart.name] = _Known(state, error), now

    def _report(self, name: str, state: str, error: str | None, detail: dict[str, Any]) -> bool:
        try:
            # The owner tells `amendsd status` at once when we were killed.
            signed = detail | {"owner": self._owner}
            rows.report(self._office, name, state, now=self._office.wall(), error=error, detail=signed)
        except Exception as fault:  # the duties say what is wrong with the store; this thread must live on
            if not self._store_is_broken:
                known = isinstance(fault, AmendsError)
                log.warning("health.not-written", why=str(fault), exc_info=None if known else fault)
            self._store_is_broken = True
            return False
        self._store_is_broken = False
        return True
