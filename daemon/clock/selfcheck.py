"""The duty that counts every open deadline again once a night, and says what is not what it should be."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from typing import Final

import structlog
from sqlmodel import Session

from amends.casework import clockwork, policychange, selfcheck
from amends.casework.duty import holder, lease, release_lease
from amends.casework.office import Office
from amends.casework.recomputing import Sum, look_through
from amends.kernel.errors import AmendsError
from daemon.clock.doubt import ClockDoubt
from daemon.supervision.duty import Pulse
from daemon.supervision.owner import is_dead, our_name

log = structlog.get_logger()

ROLE: Final = "self-check"
LEASE_SECONDS: Final = 120.0
_LOOK_EVERY: Final = 20.0
_RENEW_AFTER: Final = 30.0
_CHUNK: Final = 50
_REST: Final = 1.0
"""After each look so many times as long a rest as it took: mail and letters go first."""
_SHORTEST_REST: Final = 0.01
_PATIENCE: Final = 600.0
"""Seconds for which a clock that has much to catch up with is waited for."""


class SelfCheckDuty:
    """Reads alone, a few cases at a time.  Of several daemons one does it, and what was missed is made good."""

    name = "self-check"
    silence = 180.0

    def __init__(self, office: Office, doubt: ClockDoubt, *, owner: str | None = None) -> None:
        self._office = office
        self._doubt = doubt
        self._owner = owner or our_name()
        self._leased_at = 0.0
        self._waits_since: float | None = None
        self._said: str | None = None
        self._ours_at: datetime | None = None

    def run(self, pulse: Pulse) -> None:
        with self._office.book.write() as session:
            policychange.first_look(self._office, session, now=self._office.now())
        self._say_change()
        while not pulse.stopping.is_set():
            if self._is_due() and self._lease():
                try:
                    self._check(pulse)
                finally:
                    with suppress(AmendsError):  # then it runs out
                        release_lease(self._office, ROLE, self._owner, now=self._office.wall())
            self._say(pulse)
            pulse.wait(_LOOK_EVERY)

    def _is_due(self) -> bool:
        if self._doubt.sentence() is not None:
            return False
        with self._office.book.read() as session:
            due = self._wanted(session)
        return due and not self._clock_is_behind()

    def _wanted(self, session: Session) -> bool:
        return selfcheck.is_due(self._office, session, now=self._office.now(), ours_at=self._ours_at)

    def _clock_is_behind(self) -> bool:
        """Whether deadlines wait for the clock after a time in which it stood; they would all look missed."""
        upcoming = clockwork.next_instant(self._office, now=self._office.now())
        behind = upcoming is not None and upcoming < self._office.now() - clockwork.LATE
        if not behind:
            self._waits_since = None
            return False
        self._waits_since = self._waits_since or time.monotonic()
        return time.monotonic() - self._waits_since < _PATIENCE

    def _lease(self) -> bool:
        now = self._office.wall()
        epoch = lease(self._office, ROLE, self._owner, seconds=LEASE_SECONDS, now=now, owner_is_dead=is_dead)
        self._leased_at = time.monotonic()
        return epoch is not None

    def _check(self, pulse: Pulse) -> None:
        with self._office.book.read() as session:  # the other daemon may have done it just now
            if not self._wanted(session):
                return
        began_at, began, total = self._office.now(), time.monotonic(), Sum()
        turn = time.monotonic()
        for looked in look_through(self._office, clock=self._office.now, chunk=_CHUNK):
            total.add(looked)
            pulse.beat()
            if pulse.wait(max((time.monotonic() - turn) * _REST, _SHORTEST_REST)) or not self._still_ours():
                return
            turn = time.monotonic()
        verdict, waiting, new = selfcheck.conclude(self._office, total, began_at=began_at, wall=self._office.wall())
        self._ours_at = began_at
        seconds = round(time.monotonic() - began, 1)
        log.info("deadlines.checked", cases=total.cases, deadlines=total.deadlines, wrong=verdict.wrong, in_s=seconds)
        if new:
            log.error("deadlines.differ", why=verdict.words)
        if waiting is not None:
            self._log_change(waiting.sentence)

    def _still_ours(self) -> bool:
        return time.monotonic() - self._leased_at < _RENEW_AFTER or self._lease()

    def _say_change(self) -> None:
        with self._office.book.read() as session:
            sentence = policychange.sentence(self._office, session)
        if sentence is not None:
            self._log_change(sentence)

    def _log_change(self, sentence: str) -> None:
        if sentence != self._said:
            log.warning("policy.changed", why=sentence)
        self._said = sentence

    def _say(self, pulse: Pulse) -> None:
        with self._office.book.read() as session:
            last = selfcheck.last_check(session)
            waiting = policychange.pending(session)
        other = holder(self._office, ROLE, now=self._office.wall())
        detail = {
            "held_by": other if other not in (None, self._owner) else None,
            "last_check": None if last is None else last.as_json(),
            "warnings": [waiting.sentence] if waiting is not None else [],
        }
        if last is not None and last.wrong:
            pulse.failing(f"{last.words}.", **detail)
        else:
            pulse.beat(**detail)
