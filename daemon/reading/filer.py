"""From stored to filed: what everybody does who takes mail in, from a mailbox or from the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from amends.casework import intake
from amends.casework.intake import Filed, Pending
from amends.casework.office import Office
from amends.kernel.errors import AmendsError
from amends.kernel.text import one_line
from daemon.reading.pool import Alive, ReadingPool, Underway, nobody_asks
from daemon.supervision.duty import Pulse, Wake

log = structlog.get_logger()


class Filer:
    """Has stored messages read by the pool, gives them their fate, and wakes the outbox for their letters."""

    def __init__(self, office: Office, pool: ReadingPool, *, outbox: Wake) -> None:
        self._office = office
        self._pool = pool
        self._outbox = outbox

    def get_ready(self) -> None:
        """Let the readers start now, and not when the first message waits for them."""
        self._pool.begin([b""])

    def file(
        self, mailbox: str, arrival_ids: Sequence[int], underway: Underway, *, alive: Alive = nobody_asks
    ) -> list[Filed]:
        """Wait for the readings of these messages, in this order, and file them in one transaction.

        `alive` is called every few seconds of the waiting.

        Raises TryLater or NeedsOperator when the store or the readers are in trouble; the messages stay stored.
        """
        readings = list(zip(arrival_ids, underway.results(alive), strict=True))
        began = time.monotonic()
        filed = intake.file(self._office, readings, not_together=self._one_by_one, now=self._office.now())
        self._outbox()
        took_ms = round((time.monotonic() - began) * 1000)
        fates = {state: sum(one.state == state for one in filed) for state in sorted({one.state for one in filed})}
        log.info("intake.filed", mailbox=mailbox, took_ms=took_ms, **fates)
        return filed

    @staticmethod
    def _one_by_one(fault: Exception) -> None:
        log.warning("intake.filed_one_by_one", error=f"{type(fault).__name__}: {one_line(str(fault), 300)}")

    def file_stored(
        self,
        mailbox: str,
        pulse: Pulse,
        *,
        then: Callable[[list[Filed]], None] = lambda filed: None,
        alive: Alive = nobody_asks,
    ) -> None:
        """File what of this mailbox is stored and has no fate: just come, or left by a crash.

        `then` is called with each batch.  Ends early when the duty is to end.  Raises as `file`.
        """
        while not pulse.stopping.is_set():
            pending = intake.pending(self._office, mailbox=mailbox)
            if not pending:
                return
            then(self._read_and_file(mailbox, pending, alive))
            pulse.beat()

    def _read_and_file(self, mailbox: str, pending: Sequence[Pending], alive: Alive) -> list[Filed]:
        ids = [one.arrival_id for one in pending]
        few = {number for number, one in enumerate(pending) if one.tries > intake.MAX_TRIES}
        try:
            underway = self._pool.begin([one.raw for one in pending], headers_only=few)
            return self.file(mailbox, ids, underway, alive=alive)
        except AmendsError:
            with suppress(AmendsError):
                intake.spare(self._office, ids)
            raise
