"""The supervisor: a thread a duty, started again when it falls; the watchdog fed only while every duty is alive."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Final

import structlog

from amends.casework.office import Office
from amends.kernel.errors import AmendsError
from daemon.supervision.bell import Bell
from daemon.supervision.duty import Duty
from daemon.supervision.health import Heart, Registrar
from daemon.supervision.systemd import Systemd

log = structlog.get_logger()

GRACE: Final = 9.0  # seconds that the duties have to end; we promise ten for the whole
LONGEST_PAUSE: Final = 60.0
_PROVED_ITSELF: Final = 120.0  # seconds of work after which a failure counts as the first again
_LOOK_EVERY: Final = 5.0


def pause_after(failures: int, *, spread: float) -> float:
    """Seconds before a duty is started again after its `failures`th failure in a row (1, 2, ...): 1, 2, 4, ... 60.

    `spread` in [0, 1) lengthens it by up to a third, so that several daemons do not knock together.
    """
    return float(min(2.0 ** min(failures - 1, 10), LONGEST_PAUSE) * (1 + spread / 3))


class Supervisor:
    """Runs the duties until the bell rings."""

    def __init__(self, office: Office, duties: Sequence[Duty], *, systemd: Systemd, grace: float = GRACE) -> None:
        self._systemd = systemd
        self._grace = grace
        changed = threading.Event()
        self._hearts = [Heart(duty.name, duty.silence, changed) for duty in duties]
        self._registrar = Registrar(office, self._hearts, changed)
        self._threads = [
            threading.Thread(target=_keep_going, args=(duty, heart), name=duty.name, daemon=True)
            for duty, heart in zip(duties, self._hearts, strict=True)
        ]
        self._is_ready = False
        self._hung: set[str] = set()

    def run(self, bell: Bell) -> list[str]:
        """Until the bell rings; returns the names of the duties that had not ended when the grace was over.

        Nothing of theirs is lost: no duty holds what the store does not have, and the next start goes on from there.
        """
        self._registrar.start()
        for thread in self._threads:
            thread.start()
        interval = min(_LOOK_EVERY, (self._systemd.watchdog_seconds or 60.0) / 4)
        while not bell.wait(interval if self._is_ready else min(interval, 0.1)):
            self._look()
        return self._end()

    def _look(self) -> None:
        if not self._is_ready and all(heart.tried for heart in self._hearts):
            self._is_ready = True
            self._systemd.ready()
            log.info("house.ready", duties=[heart.name for heart in self._hearts])
        hung = {heart.name for heart in self._hearts if heart.hung()}
        for name in sorted(hung - self._hung):
            log.error("duty.hung", duty=name)
        self._hung = hung
        if not hung:
            self._systemd.feed()
        failing = [heart.name for heart in self._hearts if heart.state == "failing" or heart.name in hung]
        self._systemd.status(
            f"failing: {', '.join(failing)}; see amendsd status" if failing else f"{len(self._hearts)} duties at work"
        )

    def _end(self) -> list[str]:
        self._systemd.stopping()
        log.info("house.stopping")
        until = time.monotonic() + self._grace
        for heart in self._hearts:
            heart.stop()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        unfinished = [thread.name for thread in self._threads if thread.is_alive()]
        for heart in self._hearts:
            heart.end("stopped")
        self._registrar.finish(max(0.5, until - time.monotonic()))
        return unfinished


def _keep_going(duty: Duty, heart: Heart) -> None:
    """Run the duty again and again; each failure in a row makes the pause before the next start longer."""
    failures, said = 0, ""
    while not heart.stopping.is_set():
        began = time.monotonic()
        fault: Exception | None = None
        try:
            duty.run(heart)
            if heart.stopping.is_set():
                break
        except Exception as caught:  # noqa: BLE001  (one place catches everything: a duty never dies)
            fault = caught
        failures = 1 if time.monotonic() - began > _PROVED_ITSELF else failures + 1
        pause = pause_after(failures, spread=random.random())  # noqa: S311  (dice, not a secret)
        sentence = _sentence(fault)
        _say(duty.name, sentence, fault, pause, again=sentence == said and failures > 1)
        said, fault = sentence, None  # its traceback would keep sockets and cursors of the dead run open
        heart.failing(sentence)
        heart.wait(pause)
    heart.end("stopped")


def _sentence(fault: Exception | None) -> str:
    if fault is None:
        return "It ended unasked."
    return str(fault) if isinstance(fault, AmendsError) else f"{type(fault).__name__}: {fault}"


def _say(name: str, sentence: str, fault: Exception | None, pause: float, *, again: bool) -> None:
    """One clear line for what an operator must mend; a traceback for what we must; nothing new if nothing is new."""
    if again:
        log.debug("duty.still-failing", duty=name, why=sentence, again_in_s=round(pause))
    elif fault is None or isinstance(fault, AmendsError):
        log.error("duty.failed", duty=name, why=sentence, again_in_s=round(pause))
    else:
        log.error("duty.fell", duty=name, why=sentence, again_in_s=round(pause), exc_info=fault)
