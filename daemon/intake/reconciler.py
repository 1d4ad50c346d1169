"""The duty that reconciles each mailbox with the store: soon after the start, then daily, sooner after a difference."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from amends.casework import duty as leases
from amends.casework import reconciling
from amends.casework.office import Office
from amends.config import Mailbox
from amends.kernel.errors import AmendsError, TryLater
from amends.ledger import views
from daemon.intake import looks
from daemon.intake.reconcile import Effort, reconcile
from daemon.supervision.duty import Pulse
from daemon.supervision.owner import is_dead

log = structlog.get_logger()

EVERY: Final = timedelta(days=1)
AGAIN_AFTER: Final = timedelta(minutes=15)
"""After a difference, or one that could not be finished."""
LATE: Final = timedelta(hours=26)
NOT_TWICE: Final = timedelta(minutes=10)
"""At a start, what was reconciled so lately, by another daemon or before a restart, is not done again."""
_LOOK_EVERY: Final = 5.0
_FRESH: Final = timedelta(minutes=2)
_PATIENCE: Final = 90.0
_LEASE_SECONDS: Final = 120.0
_RENEW_AFTER: Final = 30.0


class ReconcileDuty:
    """All mailboxes of the configuration, one after the other, each over a line of its own."""

    name = "reconcile"
    silence = 180.0

    def __init__(self, office: Office, boxes: Sequence[Mailbox], *, owner: str, effort: Effort | None = None) -> None:
        self._office = office
        self._boxes = [
            box.model_copy(update={"ca_file": office.settings.path(box.ca_file) if box.ca_file else None})
            for box in boxes
        ]
        self._owner = owner
        self._effort = effort or Effort(patience=_PATIENCE)
        self._began = office.wall()
        self._tried: dict[str, datetime] = {}
        self._done: set[str] = set()
        self._leased_at = 0.0

    def run(self, pulse: Pulse) -> None:
        self._began = self._office.wall()
        self._done.clear()
        self._say(pulse)
        while not pulse.wait(_LOOK_EVERY):
            for box in self._boxes:
                if not pulse.stopping.is_set() and self._is_due(box):
                    self._one(box, pulse)
            self._say(pulse)

    # when

    def _is_due(self, box: Mailbox) -> bool:
        now = self._office.wall()
        if (tried := self._tried.get(box.name)) is not None and now - tried < AGAIN_AFTER:
            return False
        with self._office.book.read() as session:
            last = reconciling.last_at(session, box.name)
            verdicts = reconciling.last_verdicts(session, [box.name])
        since = None if last is None else now - last
        if since is not None and since < NOT_TWICE:
            return False
        first = box.name not in self._done and (last is None or last < self._began)
        different = any(verdict["without_fate"] for verdict in verdicts)
        due = first or since is None or since >= EVERY or (different and since >= AGAIN_AFTER)
        return due and self._taken_in(box, now)

    def _taken_in(self, box: Mailbox, now: datetime) -> bool:
        """Whether intake is at work on this mailbox and no backlog waits: before that, everything would be unknown."""
        with self._office.book.read() as session:
            rows = {row.name: row for row in views.duties(session)}
        row = rows.get(looks.duty_name(box.name))
        if row is None or now - row.beat_at > _FRESH or row.beat_at < self._began:
            return False
        return bool(row.detail.get("connected")) and not row.detail.get("waiting")

    # what

    def _one(self, box: Mailbox, pulse: Pulse) -> None:
        role = f"reconcile:{box.name}"
        self._tried[box.name] = self._office.wall()
        if not self._lease(role):
            return
        try:
            reconcile(self._office, box, self._effort, alive=partial(self._alive, role, pulse))
            self._done.add(box.name)
            del self._tried[box.name]
        except TryLater as trouble:
            if not pulse.stopping.is_set():
                log.warning("intake.not-reconciled", mailbox=box.name, why=str(trouble))
        finally:
            with suppress(AmendsError):  # then it runs out
                leases.release_lease(self._office, role, self._owner, now=self._office.wall())

    def _lease(self, role: str) -> bool:
        now = self._office.wall()
        epoch = leases.lease(self._office, role, self._owner, seconds=_LEASE_SECONDS, now=now, owner_is_dead=is_dead)
        self._leased_at = time.monotonic()
        return epoch is not None

    def _alive(self, role: str, pulse: Pulse) -> None:
        if pulse.wait(0.0):
            raise TryLater("The reconciliation was broken off: the daemon ends.")
        if time.monotonic() - self._leased_at > _RENEW_AFTER and not self._lease(role):
            raise TryLater("Another daemon reconciles this mailbox.")

    # what the row says

    def _say(self, pulse: Pulse) -> None:
        names = [box.name for box in self._boxes]
        with self._office.book.read() as session:
            verdicts = reconciling.last_verdicts(session, names)
        without = sum(verdict["without_fate"] for verdict in verdicts)
        detail: dict[str, Any] = {"without_fate": without, "messages": sum(one["messages"] for one in verdicts)}
        if without:
            what = "1 message has" if without == 1 else f"{without} messages have"
            pulse.failing(f"{what} no fate; amendsd reconcile names them and says what to do.", **detail)
        elif (late := self._late(verdicts)) is not None:
            pulse.failing(late, **detail)
        else:
            pulse.beat(**detail)

    def _late(self, verdicts: Sequence[dict[str, Any]]) -> str | None:
        now = self._office.wall()
        at = {verdict["mailbox"]: datetime.fromisoformat(verdict["at"]) for verdict in verdicts}
        for box in self._boxes:
            if now - max(at.get(box.name, self._began), self._began) > LATE:
                return f"Mailbox '{box.name}' could not be reconciled for more than a day; see the log."
        return None
