"""The reconciliation of one mailbox: every message on the server has a fate in the store, or is named here.

It goes over a line of its own, in pieces and within a limit of time, so that nobody who waits for new mail is
disturbed, and it changes nothing on the server.  The server is asked before the store: what was taken in meanwhile is
then known.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from amends.casework import doubts, intake, reconciling
from amends.casework.office import Office
from amends.casework.reconciling import Mark, Marks, Place, Reconciled, Seen
from amends.config import Mailbox
from daemon.intake.line import Envelope, Line, NotDone
from daemon.oauth.login import credentials

log = structlog.get_logger()

SAMPLE: Final = 20
"""So many messages of each folder are fetched again and compared byte by byte."""
SECONDS: Final = 120.0
"""For the folders where filed mail lies, each; what there was no time for is told, and looked at another day."""
_AT_ONCE: Final = 500
_ASK_AGAIN: Final = 1.0

Alive = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a reconciliation may cost: messages compared and seconds for each folder.

    `patience`: the seconds that mail which somebody is taking in at this moment has to get its fate.
    """

    sample: int = SAMPLE
    seconds: float = SECONDS
    patience: float = 0.0


def reconcile(office: Office, box: Mailbox, effort: Effort, *, alive: Alive) -> Reconciled:
    """Compare mailbox and store, keep the verdict and return it; what is new in it is logged as an error.

    `alive` is called at each step; what it raises ends it.  Raises TryLater when the server or the store is away.
    """
    at = office.wall()
    with Line.open(box, credentials(office.settings, box), alive=alive) as line:
        walk = _Walk(office, box, line, effort, alive)
        inbox, vanished, seen = walk.inbox()
        places = [inbox, *(walk.filed(folder) for folder in (box.filed, box.quarantine, box.oversized))]
        line.leave()
    unread = reconciling.overdue_without_fate(office, box.name, now=office.now())
    verdict = Reconciled(box.name, at, tuple(places), vanished, unread)
    strange = sum(len(place.without_fate) for place in places[1:])
    if doubts.behind_mailbox(office, box.name, strange, many=box.many_unknown, now=at):
        log.error("intake.store-in-doubt", mailbox=box.name, unknown=strange)
    for sentence in reconciling.keep(office, verdict, seen, now=office.wall()):
        log.error("intake.incident", mailbox=box.name, why=sentence)
    log.info("intake.reconciled", mailbox=box.name, messages=verdict.messages, without_fate=verdict.without_fate)
    return verdict


class _Walk:
    """From folder to folder."""

    def __init__(self, office: Office, box: Mailbox, line: Line, effort: Effort, alive: Alive) -> None:
        self._office = office
        self._box = box
        self._line = line
        self._effort = effort
        self._alive = alive
        self._whole = box.max_megabytes * 1_000_000

    # the inbox

    def inbox(self) -> tuple[Place, tuple[reconciling.Span, ...], Seen]:
        line, name = self._line, self._box.name
        line.examine(self._box.inbox)
        uidvalidity, end = line.uidvalidity, line.next_uid
        present = line.uids()
        without = self._without_fate([uid for uid in present if uid < end])
        there = {*present, *without}
        vanished = reconciling.vanished(self._office, name, uidvalidity, end=end, present=there)
        gone = self._gone(uidvalidity, set(present), end=end)
        with_fate = sorted(set(present) & set(intake.known_among(self._office, name, uidvalidity, present)))
        changed, sampled = self._changed(uidvalidity, with_fate)
        place = Place(
            self._box.inbox, uidvalidity, len(present), tuple(without), tuple(changed), gone=gone, sampled=sampled
        )
        return place, vanished, Seen(uidvalidity, min([end, *without]))

    def _without_fate(self, present: Sequence[int]) -> list[int]:
        """Those of which the store knows nothing, also after the time in which they may be taken in, and which stay."""
        until = time.monotonic() + self._effort.patience
        unknown = self._unknown(present)
        while unknown and time.monotonic() < until:
            self._alive()
            time.sleep(_ASK_AGAIN)
            unknown = self._unknown(unknown)
        if not unknown:
            return []
        there = set(self._line.uids())
        return self._unknown([uid for uid in unknown if uid in there])

    def _unknown(self, uids: Sequence[int]) -> list[int]:
        known = intake.known_among(self._office, self._box.name, self._line.uidvalidity, uids)
        return [uid for uid in uids if uid not in known]

    def _gone(self, uidvalidity: int, present: set[int], *, end: int) -> int:
        """How many that are safe in the store were taken out of the inbox by somebody else; they need no move now.

        What came meanwhile, from the number `end` on, is not among the `present`.
        """
        unmoved = intake.unmoved(self._office, self._box.name, uidvalidity)
        gone = [uid for uid, _ in unmoved if uid < end and uid not in present]
        intake.mark_moved(self._office, self._box.name, uidvalidity, gone, now=self._office.now())
        return len(gone)

    def _changed(self, uidvalidity: int, uids: Sequence[int]) -> tuple[list[int], int]:
        """Of a sample of these, those whose bytes are not the stored ones; and how many were compared."""
        some = sorted(random.sample(uids, min(len(uids), self._effort.sample)))
        stored = reconciling.bytes_of(self._office, self._box.name, uidvalidity, some)
        whole = [uid for uid in some if stored.get(uid, ("", False))[1]]
        came = {uid: found for uid, envelope in self._envelopes(whole) if (found := self._digest(uid, envelope))}
        return [uid for uid in came if came[uid] != stored[uid][0]], len(came)

    # where filed mail lies

    def filed(self, folder: str) -> Place:
        line = self._line
        try:
            line.examine(folder)
        except NotDone as refused:
            log.warning("intake.folder-not-compared", mailbox=self._box.name, folder=folder, why=str(refused))
            return Place(folder)
        until = time.monotonic() + self._effort.seconds
        uids = line.uids()
        left = sorted(uids, reverse=True)  # the newest matter most
        found: list[tuple[int, Envelope]] = []
        while left and time.monotonic() < until:
            some, left = left[:_AT_ONCE], left[_AT_ONCE:]
            found += self._envelopes(some)
        like_stored, unlike = self._parted(found)
        strangers, not_compared = self._strangers(unlike, until)
        sample = random.sample(like_stored, min(len(like_stored), self._effort.sample))
        changed, late = self._strangers(sample, until)
        return Place(
            folder,
            line.uidvalidity,
            len(uids),
            without_fate=tuple(sorted(uid for uid, envelope in unlike if uid in strangers and not self._old(envelope))),
            changed=tuple(sorted(changed)),
            sampled=len(sample) - late,
            not_compared=len(left) + not_compared,
        )

    def _parted(
        self, messages: Sequence[tuple[int, Envelope]]
    ) -> tuple[list[tuple[int, Envelope]], list[tuple[int, Envelope]]]:
        """Those that look like stored ones, no more of them than are stored, and the others."""
        marks = Marks(self._office, self._box.name)
        by_mark: dict[Mark | None, list[tuple[int, Envelope]]] = {}
        for uid, envelope in messages:
            by_mark.setdefault(marks.of(envelope.size, envelope.at), []).append((uid, envelope))
        like_stored: list[tuple[int, Envelope]] = []
        unlike: list[tuple[int, Envelope]] = []
        for mark, alike in by_mark.items():
            (like_stored if mark is not None and len(alike) <= marks.stored(mark) else unlike).extend(alike)
        return like_stored, unlike

    def _old(self, envelope: Envelope) -> bool:
        """Whether it came before the day from which on mail is ours."""
        since = self._box.since
        return since is not None and envelope.at is not None and envelope.at < since

    def _strangers(self, messages: Sequence[tuple[int, Envelope]], until: float) -> tuple[set[int], int]:
        """Those whose bytes are not in the store; and how many could not be compared, or not in time."""
        digests: dict[int, str] = {}
        for done, (uid, envelope) in enumerate(messages):
            if time.monotonic() > until:
                return self._not_stored(digests), len(messages) - done
            if digest := self._digest(uid, envelope):
                digests[uid] = digest
        return self._not_stored(digests), len(messages) - len(digests)

    def _not_stored(self, digests: dict[int, str]) -> set[int]:
        stored = reconciling.bytes_known(self._office, set(digests.values()))
        return {uid for uid, digest in digests.items() if digest not in stored and not self._beginning_stored(uid)}

    def _beginning_stored(self, uid: int) -> bool:
        """Whether its beginning alone was stored: as of a message that is too large, or whose text was not given."""
        beginnings = [self._line.beginning(uid), self._line.header(uid)]
        return bool(reconciling.bytes_known(self._office, [_sha256(one) for one in beginnings if one]))

    # the wire

    def _envelopes(self, uids: Sequence[int]) -> Iterator[tuple[int, Envelope]]:
        for start in range(0, len(uids), _AT_ONCE):
            some = list(uids[start : start + _AT_ONCE])
            yield from self._line.envelopes(some).items()

    def _digest(self, uid: int, envelope: Envelope) -> str | None:
        """The SHA-256 of the message as the server gives it; None where it gives nothing."""
        raw: bytes | None = None
        with suppress(NotDone):
            if envelope.size > 1_000_000:
                raw = self._line.large_message(uid, at_most=self._whole)
            else:
                raw = self._line.messages([uid], size=envelope.size).get(uid)
        return _sha256(raw) if raw else None


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
