"""Makes messages durable before anybody answers 250; those that come at the same time share one commit."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from amends.casework import intake
from amends.casework.intake import Incoming, Stored
from amends.casework.office import Office
from amends.kernel.errors import AmendsError

_MOST: Final = 50
_MOST_OCTETS: Final = 32 * 2**20

_Order = tuple[Incoming, "Future[Stored]"]


class Keeper:
    """One thread that stores what `keep` is given.  `on_stored` is called in it after each commit."""

    def __init__(self, office: Office, on_stored: Callable[[], None]) -> None:
        self._office = office
        self._on_stored = on_stored
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="listener-keeper", daemon=True)
        self._thread.start()

    def keep(self, message: Incoming) -> Future[Stored]:
        """A result when the bytes are committed; otherwise the reason why nobody may answer 250.

        Cancelled before its turn, a message is not stored.
        """
        told: Future[Stored] = Future()
        self._orders.put((message, told))
        return told

    def close(self, seconds: float) -> bool:
        """Store what was ordered, and end; whether that was done within so many seconds."""
        self._orders.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (first := self._orders.get()) is not None:
            batch, ending = self._batch(first)
            batch = [order for order in batch if order[1].set_running_or_notify_cancel()]
            if batch:
                self._store(batch)
            if ending:
                return

    def _batch(self, first: _Order) -> tuple[list[_Order], bool]:
        """`first` and what else waits already, up to what one transaction should carry; whether the end was next."""
        batch, octets = [first], len(first[0].raw)
        while len(batch) < _MOST and octets < _MOST_OCTETS:
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                break
            if order is None:
                return batch, True
            batch.append(order)
            octets += len(order[0].raw)
        return batch, False

    def _store(self, batch: list[_Order]) -> None:
        try:
            stored = intake.store(self._office, [message for message, _ in batch], now=self._office.now())
        except AmendsError as trouble:  # of the store itself: it is everybody's
            self._refuse(batch, trouble)
        except Exception as fault:  # noqa: BLE001  (told to those who wait: each of them answers 451)
            if len(batch) == 1:
                self._refuse(batch, fault)
                return
            for order in batch:  # one of them may be at fault, and must not stand in the way of the others
                self._store([order])
        else:
            for (_, told), one in zip(batch, stored, strict=True):
                told.set_result(one)
            self._on_stored()

    @staticmethod
    def _refuse(batch: list[_Order], fault: Exception) -> None:
        for _, told in batch:
            told.set_exception(fault)
