"""The clock duty: sleeps until the next instant at which a deadline wants something, and has it done, each once."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

import structlog

from amends.casework import clockwork
from amends.casework.duty import holder, lease, release_lease
from amends.casework.office import Office
from amends.kernel.text import one_line
from daemon.clock.doubt import ClockDoubt
from daemon.supervision.duty import Pulse, Wake
from daemon.supervision.owner import is_dead, our_name

log = structlog.get_logger()

ROLE: Final = "clock"
LEASE_SECONDS: Final = 60.0
_LOOK_EVERY: Final = 20.0  # seconds; a clock that was set, a machine that slept and a dead leader are noticed by then
_SHORTEST: Final = 0.05
_TRY_AGAIN: Final = 600.0  # seconds after which a deadline that could not be acted on is tried again
BATCH: Final = 50


class ClockDuty:
    """Holds the lease `clock` while it runs, so that of several daemons one ticks; a second would do no harm."""

    name = "clock"
    silence = 120.0

    def __init__(self, office: Office, doubt: ClockDoubt, *, wake_outbox: Wake, owner: str | None = None) -> None:
        self._office = office
        self._doubt = doubt
        self._wake_outbox = wake_outbox
        self._owner = owner or our_name()
        self._failed: dict[int, str] = {}
        self._unwritten: dict[str, str] = {}
        self._failed_since = time.monotonic()
        self._fired = 0

    def run(self, pulse: Pulse) -> None:
        while not pulse.stopping.is_set():
            doubt = self._doubt.look()
            epoch = self._lease()
            if epoch is None:
                pulse.beat(held_by=holder(self._office, ROLE, now=self._office.wall()))
            elif doubt is not None:
                pulse.failing(f"Deadlines wait. {doubt}", held_by=None)
            else:
                self._tick(pulse)
                self._say(pulse, epoch)
            pulse.wait(self._pause(busy=epoch is not None and doubt is None))
        release_lease(self._office, ROLE, self._owner, now=self._office.wall())

    def _lease(self) -> int | None:
        now = self._office.wall()
        return lease(self._office, ROLE, self._owner, seconds=LEASE_SECONDS, now=now, owner_is_dead=is_dead)

    def _tick(self, pulse: Pulse) -> None:
        """Everything that is due, oldest first; the lease is renewed between two batches."""
        if time.monotonic() - self._failed_since > _TRY_AGAIN:
            self._failed, self._unwritten, self._failed_since = {}, {}, time.monotonic()
        while not pulse.stopping.is_set():
            known, missing = len(self._failed), len(self._unwritten)
            fired = clockwork.tick(
                self._office,
                now=self._office.now(),
                limit=BATCH,
                failed=self._failed,
                unwritten=self._unwritten,
                not_together=_not_together,
            )
            for deadline, why in list(self._failed.items())[known:]:
                log.error("clock.deadline-failed", deadline=deadline, why=why)
            for login, why in list(self._unwritten.items())[missing:]:
                log.error("clock.digest-failed", login=login, why=why)
            if fired == 0:
                return
            self._fired += fired
            log.info("clock.ticked", fired=fired)
            self._wake_outbox()
            if self._lease() is None:
                return
            pulse.beat()

    def _say(self, pulse: Pulse, epoch: int) -> None:
        if self._failed:
            first = next(iter(self._failed.values()))
            pulse.failing(f"{len(self._failed)} deadlines could not be acted on; the first: {first}", held_by=None)
        elif self._unwritten:
            login, why = next(iter(self._unwritten.items()))
            pulse.failing(f"The daily letter to {login} could not be written: {why}", held_by=None)
        else:
            pulse.beat(held_by=None, epoch=epoch, fired=self._fired)

    def _pause(self, *, busy: bool) -> float:
        """Real seconds until the next instant that matters, at most 20; less where the business clock runs fast."""
        speed = self._office.settings.clock.speed
        longest = min(_LOOK_EVERY, max(clockwork.LATE / timedelta(seconds=2) / speed, _SHORTEST * 10))
        if not busy:
            return longest
        now = self._office.now()
        upcoming = clockwork.next_instant(self._office, now=now, failed=self._failed, unwritten=self._unwritten)
        if upcoming is None:
            return longest
        seconds = (upcoming - now) / timedelta(seconds=1) / speed
        return min(max(seconds, _SHORTEST), longest)


def _not_together(fault: Exception) -> None:
    log.warning("clock.not-together", why=one_line(f"{type(fault).__name__}: {fault}", 300))
