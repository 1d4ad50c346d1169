"""The intake of one mailbox: store, then read, then file, and only then move.

What decides is the set of UIDs on the server less the set in the store: never a flag, never a sequence number, never a
high-water mark.  Every step may be repeated, by us after a crash or by another daemon at the same time.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import Any, Final

import structlog

from amends.casework import doubts, intake, reconciling
from amends.casework import duty as leases
from amends.casework.intake import Filed, Incoming
from amends.casework.office import Office
from amends.config import Mailbox
from amends.kernel.errors import AmendsError, TryLater
from amends.kernel.instants import iso
from daemon.intake import looks
from daemon.intake.line import PIECE, Envelope, Line, LoginRefused, Lost, NotDone, Trouble
from daemon.intake.pause import pause_after
from daemon.oauth.login import credentials
from daemon.reading.filer import Filer
from daemon.reading.pool import ReadingPool, Underway
from daemon.supervision.duty import Pulse, Wake
from daemon.supervision.owner import is_dead

log = structlog.get_logger()

BATCH_MESSAGES: Final = 50
BATCH_BYTES: Final = 8 * 1024 * 1024
ASK_SIZES_OF: Final = 500
LEASE_SECONDS: Final = 90.0
RENEW_AFTER: Final = 25.0
STAND_BY: Final = 5.0  # seconds between two looks at whether the daemon that reads the mailbox has let go of it
IDLE_AT_MOST: Final = 110.0  # RFC 2177 allows 29 minutes; gateways and half-dead lines do not
SUSPECT_FROM: Final = 2
"""A message that was being fetched so many times when the line died is fetched alone, after all others."""
MAX_FETCHES: Final = 5
"""After so many fetches that failed or cost us the line, a message is set aside by its header, or without it."""
MOVE_AGAIN_AFTER: Final = 3600.0
PASS_SECONDS: Final = 1800.0
"""For one look with all that it takes in; what is left is taken up over a new line, and nothing is done twice."""
_FILED, _SET_ASIDE, _LEFT = "filed", "set aside", "left"
"""The sorts of mail that leave the inbox, each for a folder of its own."""


class LeaseLost(TryLater):
    """Another daemon reads this mailbox."""


@dataclass(slots=True)
class _Batch:
    """Messages that are stored and being read, and the UIDs of those that were set aside unread."""

    arrival_ids: list[int]
    underway: Underway
    aside: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Look:
    """One look at the mailbox: when it began, on the business clock, and what became of what it found.

    `ends_at` is its limit, on the monotonic clock.
    """

    began: datetime
    ends_at: float
    waiting: int = 0
    not_stored: set[int] = field(default_factory=set)


class ImapIntake:
    """The duty.  `outbox` is woken as soon as something is filed; `looked` is told when a complete look began."""

    silence = 120.0

    def __init__(
        self,
        office: Office,
        box: Mailbox,
        pool: ReadingPool,
        *,
        owner: str,
        outbox: Wake = lambda: None,
        looked: Callable[[Office, str, datetime], int] = looks.settle,
    ) -> None:
        self.name = looks.duty_name(box.name)
        self._office = office
        self._box = box.model_copy(update={"ca_file": office.settings.path(box.ca_file) if box.ca_file else None})
        self._pool = pool
        self._owner = owner
        self._outbox = outbox
        self._filer = Filer(office, pool, outbox=outbox)
        self._looked = looked
        self._role = f"mailbox:{box.name}"
        self._detail: dict[str, Any] = {"mailbox": box.name, "connected": False, "waiting": 0, "unaccounted": 0}
        self._fetches: dict[int, int] = {}
        self._line_gives = False  # whether this line has brought a message
        self._told_holder: str | None = None
        self._leased_at = 0.0
        self._failures = 0
        self._unmovable: str | None = None
        self._move_again_at = 0.0

    # the loop

    def run(self, pulse: Pulse) -> None:
        try:
            while not pulse.stopping.is_set():
                try:
                    if self._lease():
                        self._session(pulse)
                    else:
                        self._stand_by(pulse)
                except LeaseLost:
                    log.warning("intake.lease-lost", mailbox=self._box.name)
                except TryLater as trouble:
                    self._stay_away(pulse, trouble)
        finally:
            self._detail["connected"] = False
            with contextlib.suppress(AmendsError):  # then it runs out
                leases.release_lease(self._office, self._role, self._owner, now=self._office.wall())

    def _stand_by(self, pulse: Pulse) -> None:
        holder = leases.holder(self._office, self._role, now=self._office.wall())
        if holder is not None and holder != self._told_holder:
            log.info("intake.stands-by", mailbox=self._box.name, held_by=holder)
        self._told_holder = holder
        pulse.beat(mailbox=self._box.name, held_by=holder)
        pulse.wait(STAND_BY)

    def _stay_away(self, pulse: Pulse, trouble: TryLater) -> None:
        self._failures += 1
        refused = isinstance(trouble, LoginRefused)
        named = trouble.pause if isinstance(trouble, Trouble) else None
        pause = pause_after(self._failures, refused=refused, named=named, spread=random.random())  # noqa: S311
        log.warning("intake.trouble", mailbox=self._box.name, why=str(trouble), again_in_s=round(pause, 1))
        self._detail["connected"] = False
        pulse.failing(str(trouble), **self._detail)
        end = time.monotonic() + pause
        while (left := end - time.monotonic()) > 0 and not pulse.wait(min(left, RENEW_AFTER)):
            self._keep_lease()

    def _session(self, pulse: Pulse) -> None:
        """From log-in to the loss of the line."""
        alive = partial(self._show_life, pulse)
        self._filer.file_stored(self._box.name, pulse, alive=alive)  # be the server there or not; the look moves it
        with Line.open(self._box, credentials(self._office.settings, self._box), alive=alive) as line:
            self._line_gives, self._told_holder = False, None
            self._greet(line)
            while not pulse.stopping.is_set():
                self._keep_lease()
                self._look(line, pulse)
                self._failures = 0
                self._await_news(line, pulse)
            line.leave()

    def _greet(self, line: Line) -> None:
        if self._detail.get("uidvalidity") != line.uidvalidity:
            self._fetches.clear()
        before = intake.last_uidvalidity(self._office, self._box.name)
        if before not in (None, line.uidvalidity):
            log.warning("intake.uidvalidity-changed", mailbox=self._box.name, before=before, now=line.uidvalidity)
            doubts.renumbered(
                self._office,
                self._box.name,
                uidvalidity=line.uidvalidity,
                below=line.next_uid,
                now=self._office.wall(),
            )
        self._detail |= {"connected": True, "uidvalidity": line.uidvalidity, "held_by": None}
        self._unmovable, self._move_again_at = None, 0.0
        if line.read_only:
            self._unmovable = f"{self._box.inbox} is read-only: filed mail cannot leave it; give the log-in more rights"
        present = set(line.uids())
        gone = [uid for uid, _ in intake.unmoved(self._office, self._box.name, line.uidvalidity) if uid not in present]
        intake.mark_moved(self._office, self._box.name, line.uidvalidity, gone, now=self._office.now())
        self._doubt_an_old_store(line, present)
        log.info("intake.connected", mailbox=self._box.name, uidvalidity=line.uidvalidity, messages=len(present))

    def _doubt_an_old_store(self, line: Line, present: set[int]) -> None:
        """Where many numbers of the inbox belong to messages that neither it nor the store has, the store is old."""
        lost = reconciling.vanished(self._office, self._box.name, line.uidvalidity, end=line.next_uid, present=present)
        unknown = sum(last - first + 1 for first, last in lost)
        many, now = self._box.many_unknown, self._office.wall()
        if doubts.behind_mailbox(self._office, self._box.name, unknown, many=many, now=now):
            log.error("intake.store-in-doubt", mailbox=self._box.name, unknown=unknown)

    def _weigh(self, line: Line, *, coming: int) -> None:
        """Let letters wait, or not any more, where the mailbox was numbered anew."""
        raised = doubts.weigh(
            self._office,
            self._box.name,
            uidvalidity=line.uidvalidity,
            coming=coming,
            many=self._box.many_unknown,
            now=self._office.wall(),
        )
        if raised:
            log.warning("intake.renumbered-and-unknown", mailbox=self._box.name, uidvalidity=line.uidvalidity)

    def _await_news(self, line: Line, pulse: Pulse) -> None:
        if not (self._box.idle and line.can_idle):
            end = time.monotonic() + self._box.poll_seconds
            while (left := end - time.monotonic()) > 0 and not pulse.wait(min(left, RENEW_AFTER)):
                self._keep_lease()
            return

        line.idle(min(self._box.poll_seconds, IDLE_AT_MOST), enough=pulse.stopping.is_set)

    def _show_life(self, pulse: Pulse) -> None:
        """In the middle of a long step: we are at work and the mailbox is ours; what the row says stays as it is."""
        pulse.wait(0.0)
        self._keep_lease()

    def _say(self, pulse: Pulse) -> None:
        if self._unmovable is None:
            pulse.beat(**self._detail)
        else:
            pulse.failing(self._unmovable, **self._detail)

    def _lease(self) -> bool:
        epoch = leases.lease(
            self._office,
            self._role,
            self._owner,
            seconds=LEASE_SECONDS,
            now=self._office.wall(),
            owner_is_dead=is_dead,
        )
        self._leased_at = time.monotonic()
        return epoch is not None

    def _keep_lease(self) -> None:
        if time.monotonic() - self._leased_at > RENEW_AFTER and not self._lease():
            raise LeaseLost(f"Another daemon reads the mailbox '{self._box.name}'.")

    # one look

    def _look(self, line: Line, pulse: Pulse) -> None:
        look = _Look(began=self._office.now(), ends_at=time.monotonic() + PASS_SECONDS)
        present = line.uids()
        known = intake.known_among(self._office, self._box.name, line.uidvalidity, present)
        stored = any(one.state == "stored" for one in known.values())
        self._move(line, self._still_here(line, known))
        new = [uid for uid in present if uid not in known]
        look.waiting = len(new)
        if new:
            self._weigh(line, coming=len(new))
        self._take_in(line, new, look, pulse)
        if stored:
            self._filer.file_stored(
                self._box.name,
                pulse,
                then=lambda filed: self._move(line, self._fates(line, filed)),
                alive=line.alive,
            )
        self._fetches = {uid: count for uid, count in self._fetches.items() if uid in look.not_stored}
        still_there = set(line.uids()) if look.not_stored else set()
        unaccounted = len(look.not_stored & still_there)
        if (new or stored) and not unaccounted and not pulse.stopping.is_set():
            self._weigh(line, coming=0)
        self._detail |= {"waiting": 0, "unaccounted": unaccounted}
        if unaccounted == 0 and not pulse.stopping.is_set():
            self._detail["last_poll"] = iso(look.began)
            if self._looked(self._office, self._box.name, look.began):
                self._outbox()
        self._say(pulse)

    def _still_here(self, line: Line, known: dict[int, intake.Known]) -> list[tuple[int, str]]:
        """What has its fate and is in the inbox all the same: a former life, a lost answer, a restored server."""
        with_fate = [(uid, one) for uid, one in known.items() if one.state != "stored"]
        return [
            (uid, _sort(one.state, left=one.left))
            for uid, one in with_fate
            if not (one.moved and line.keeps_filed_mail)
        ]

    def _take_in(self, line: Line, uids: Sequence[int], look: _Look, pulse: Pulse) -> None:
        """Batch by batch; while one is read by the pool, the one before it is filed and moved."""
        before: _Batch | None = None
        for incoming in self._fetched(line, uids, look):
            batch = self._store(incoming)
            if before is not None:
                self._file(before, line)
            before = batch
            look.waiting -= len(incoming)
            self._detail["waiting"] = max(look.waiting, 0)
            self._say(pulse)
            self._keep_lease()
            if pulse.stopping.is_set() or time.monotonic() > look.ends_at:
                break
        if before is not None:
            self._file(before, line)
        if look.waiting > 0 and time.monotonic() > look.ends_at:
            self._failures = 0  # it got on
            raise Lost(
                f"Taking in what waits took longer than {PASS_SECONDS / 60:.0f} minutes; "
                f"the other {look.waiting} messages are taken in over a new connection."
            )

    def _store(self, incoming: Sequence[Incoming]) -> _Batch:
        now = self._office.now()
        stored = intake.store(self._office, incoming, now=now)
        unread = [(one.arrival_id, item.raw) for one, item in zip(stored, incoming, strict=True) if not item.reason]
        for item in incoming:
            if item.reason:
                log.warning("intake.set-aside", mailbox=item.mailbox, uid=item.uid, why=item.reason)
        aside = [item.uid for item in incoming if item.reason and item.uid is not None]
        return _Batch([arrival_id for arrival_id, _ in unread], self._pool.begin([raw for _, raw in unread]), aside)

    def _file(self, batch: _Batch, line: Line) -> None:
        filed = self._filer.file(self._box.name, batch.arrival_ids, batch.underway, alive=line.alive)
        aside = [(uid, _SET_ASIDE) for uid in batch.aside]
        self._move(line, [*self._fates(line, filed), *aside])

    def _fates(self, line: Line, filed: Sequence[Filed]) -> list[tuple[int, str]]:
        """(UID, sort) of those that this line can move: they lie in this inbox under its present UIDVALIDITY."""
        here = [one for one in filed if one.uidvalidity == line.uidvalidity]
        return [(one.uid, _sort(one.state, left=one.left)) for one in here if one.uid is not None]

    def _move(self, line: Line, here: Sequence[tuple[int, str]]) -> None:
        """Take these (UID, sort) out of the inbox."""
        if not here or line.read_only or time.monotonic() < self._move_again_at:
            return
        folders = {_FILED: self._box.filed, _SET_ASIDE: self._box.quarantine, _LEFT: self._box.oversized}
        for sort, folder in folders.items():
            uids = [uid for uid, one in here if one == sort]
            for start in range(0, len(uids), ASK_SIZES_OF):
                self._move_some(line, uids[start : start + ASK_SIZES_OF], folder)

    def _move_some(self, line: Line, uids: Sequence[int], folder: str) -> None:
        try:
            line.move(uids, folder)
        except NotDone as refused:
            log.warning("intake.not-moved", mailbox=self._box.name, why=str(refused))
            self._unmovable = (
                f"Filed mail cannot be moved to {folder}: {refused}; check quota and rights (none is lost)"
            )
            self._move_again_at = time.monotonic() + MOVE_AGAIN_AFTER
            return
        self._unmovable = None
        intake.mark_moved(self._office, self._box.name, line.uidvalidity, uids, now=self._office.now())

    # fetching

    def _fetched(self, line: Line, uids: Sequence[int], look: _Look) -> Iterator[list[Incoming]]:
        """The messages in batches of bounded size, oldest first; what the server does not give is `not_stored`."""
        suspects = [uid for uid in uids if self._fetches.get(uid, 0) >= SUSPECT_FROM]
        look.not_stored.update(suspects)
        for incoming in chain(self._fetched_together(line, uids, suspects, look), self._fetched_alone(line, suspects)):
            if incoming:
                look.not_stored.difference_update(item.uid for item in incoming if item.uid is not None)
                yield incoming

    def _fetched_together(
        self, line: Line, uids: Sequence[int], suspects: Collection[int], look: _Look
    ) -> Iterator[list[Incoming]]:
        apart = set(suspects)
        waiting = (uid for uid in uids if uid not in apart)
        while some := list(islice(waiting, ASK_SIZES_OF)):
            look.not_stored.update(some)
            envelopes = self._envelopes(line, some)
            for batch in _batches([(uid, envelopes[uid]) for uid in some if uid in envelopes], large=self._large):
                yield self._fetch(line, batch)

    def _fetched_alone(self, line: Line, suspects: Sequence[int]) -> Iterator[list[Incoming]]:
        """Those with the fewest failures first: what merely shared a batch with the bad one is here before it."""
        for uid in sorted(suspects, key=lambda uid: self._fetches.get(uid, 0)):
            yield self._fetch_suspect(line, uid)

    def _fetch_suspect(self, line: Line, uid: int) -> list[Incoming]:
        if self._fetches[uid] > MAX_FETCHES:  # the line died of its header too
            return [self._set_aside(line, uid, Envelope(0, None), self._withheld(uid))]
        envelope = self._envelopes(line, [uid]).get(uid)
        if envelope is None:
            return []
        if self._fetches[uid] == MAX_FETCHES:
            return [self._set_aside(line, uid, envelope, self._withheld(uid))]
        return self._fetch(line, [(uid, envelope)])

    @contextlib.contextmanager
    def _in_flight(self, uids: Sequence[int]) -> Iterator[None]:
        """A line that dies in here may have died of one of these messages: the next look shall find out of which.

        Only where it brought nothing before: else it is the line that does not last, and it has been of use.
        """
        try:
            yield
        except Lost:
            for uid in () if self._line_gives else uids:
                self._fetches[uid] = self._fetches.get(uid, 0) + 1
            raise

    @property
    def _most(self) -> int:
        return self._box.max_megabytes * 1_000_000

    @property
    def _large(self) -> int:
        return min(PIECE, self._most)

    def _envelopes(self, line: Line, uids: Sequence[int]) -> dict[int, Envelope]:
        try:
            with self._in_flight(uids):
                return line.envelopes(uids)
        except NotDone as refused:
            log.warning("intake.no-sizes", mailbox=self._box.name, messages=len(uids), why=str(refused))
            if len(uids) == 1:
                return {uids[0]: Envelope(0, None)}
        found: dict[int, Envelope] = {}
        for uid in uids:
            found |= self._envelopes(line, [uid])
        return found

    def _fetch(self, line: Line, batch: Sequence[tuple[int, Envelope]]) -> list[Incoming]:
        if len(batch) == 1 and batch[0][1].size > self._large:
            return self._fetch_large(line, *batch[0])
        wanted = dict(batch)
        raws = self._messages(line, wanted)
        for uid, raw in list(raws.items()):
            if len(raw) != wanted[uid].size and not self._same_again(line, uid, raw, wanted[uid].size):
                del raws[uid]
        found = [one for uid, raw in raws.items() for one in self._taken(line, uid, wanted[uid], raw)]
        return found + [one for uid in wanted if uid not in raws if (one := self._given_up(line, uid, wanted[uid]))]

    def _messages(self, line: Line, wanted: dict[int, Envelope]) -> dict[int, bytes]:
        """All at once; where the server will not, one by one, so that the bad one is alone."""
        size = sum(envelope.size for envelope in wanted.values())
        try:
            with self._in_flight(list(wanted)):
                found = line.messages(list(wanted), size=size)
            self._line_gives = self._line_gives or bool(found)
            return found
        except NotDone as refused:
            log.warning("intake.not-fetched", mailbox=self._box.name, messages=len(wanted), why=str(refused))
            if len(wanted) == 1:
                return {}
        raws: dict[int, bytes] = {}
        for uid, envelope in wanted.items():
            raws |= self._messages(line, {uid: envelope})
        return raws

    def _same_again(self, line: Line, uid: int, raw: bytes, size: int) -> bool:
        """Some servers only estimate sizes: the bytes are right when they come the same a second time."""
        same = self._messages(line, {uid: Envelope(max(size, len(raw)), None)}).get(uid) == raw
        log.warning("intake.size-differs", mailbox=self._box.name, uid=uid, told=size, came=len(raw), same_again=same)
        return same

    def _fetch_large(self, line: Line, uid: int, envelope: Envelope) -> list[Incoming]:
        if envelope.size > self._most:
            return self._too_large(line, uid, envelope, envelope.size)
        try:
            with self._in_flight([uid]):
                raw = self._pieces(line, uid, envelope)
        except NotDone as refused:
            log.warning("intake.not-fetched", mailbox=self._box.name, messages=1, why=str(refused))
            raw = None
        if raw is not None:
            return self._taken(line, uid, envelope, raw)
        given_up = self._given_up(line, uid, envelope)
        return [given_up] if given_up else []

    def _pieces(self, line: Line, uid: int, envelope: Envelope) -> bytes | None:
        raw = line.large_message(uid, at_most=self._most)
        if raw is None or len(raw) == envelope.size or len(raw) > self._most:
            return raw
        return raw if line.large_message(uid, at_most=self._most) == raw else None

    def _taken(self, line: Line, uid: int, envelope: Envelope, raw: bytes) -> list[Incoming]:
        if len(raw) > self._most:  # though the server told of less
            return self._too_large(line, uid, envelope, len(raw))
        return [self._incoming(line, uid, envelope, raw)]

    def _too_large(self, line: Line, uid: int, envelope: Envelope, size: int) -> list[Incoming]:
        """Its beginning, to be read and filed as any other mail; none where the server does not give even that."""
        log.warning("intake.too-large", mailbox=self._box.name, uid=uid, bytes=size, whole=self._box.oversized)
        try:
            with self._in_flight([uid]):
                raw = line.beginning(uid)
        except NotDone as refused:
            log.warning("intake.not-fetched", mailbox=self._box.name, messages=1, why=str(refused))
            raw = b""
        if raw:
            return [self._incoming(line, uid, envelope, raw, left_size=size)]
        given_up = self._given_up(line, uid, envelope)
        return [given_up] if given_up else []

    def _given_up(self, line: Line, uid: int, envelope: Envelope) -> Incoming | None:
        """A message that the server names but does not give: after some looks its header stands for it."""
        self._fetches[uid] = self._fetches.get(uid, 0) + 1
        if self._fetches[uid] < MAX_FETCHES:
            return None
        return self._set_aside(line, uid, envelope, self._withheld(uid))

    def _withheld(self, uid: int) -> str:
        return f"the server names this message but gives no text of it (UID {uid}); look at it there"

    def _set_aside(self, line: Line, uid: int, envelope: Envelope, reason: str) -> Incoming:
        header = self._header(line, uid)
        [reading] = self._pool.read_all([header], headers_only={0}, alive=line.alive)
        sender, subject = ("", "") if isinstance(reading, str) else (reading.sender.address, reading.subject)
        return self._incoming(line, uid, envelope, header, reason=reason, sender=sender, subject=subject, left_size=0)

    def _header(self, line: Line, uid: int) -> bytes:
        if self._fetches.get(uid, 0) > MAX_FETCHES:
            return b""
        try:
            with self._in_flight([uid]):
                return line.header(uid)
        except NotDone:
            return b""

    def _incoming(self, line: Line, uid: int, envelope: Envelope, raw: bytes, **more: Any) -> Incoming:
        at = envelope.at or self._office.wall()
        return Incoming(
            mailbox=self._box.name,
            uidvalidity=line.uidvalidity,
            uid=uid,
            raw=raw,
            received_at=self._office.business(at),
            history=self._box.since is not None and at < self._box.since,
            **more,
        )


def _sort(state: str, *, left: bool) -> str:
    """Where a message goes that has its fate: what is not whole in the store lies apart, whatever became of it."""
    if left:
        return _LEFT
    return _SET_ASIDE if state == "quarantined" else _FILED


def _batches(messages: Sequence[tuple[int, Envelope]], *, large: int) -> Iterator[list[tuple[int, Envelope]]]:
    """In order, at most 50 messages and 8 MiB together; one of more than `large` bytes stands alone."""
    batch: list[tuple[int, Envelope]] = []
    size = 0
    for uid, envelope in messages:
        alone = envelope.size > large
        if batch and (alone or len(batch) == BATCH_MESSAGES or size + envelope.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        if alone:
            yield [(uid, envelope)]
            continue
        batch.append((uid, envelope))
        size += envelope.size
    if batch:
        yield batch
