"""The outbox duty: claims letters whose time has come, has each carried, and writes down what came of it."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final

import structlog

from amends.casework import doubts, gate, post
from amends.casework.office import Office
from amends.casework.post import Accepted, Carried, Claimed, Deferred, Rejected, Result, Unknown
from daemon.outbox.courier import Away, Courier, CutOff, Ready
from daemon.supervision.duty import Pulse
from daemon.supervision.owner import is_dead, our_name

log = structlog.get_logger()

_LOOK_EVERY: Final = 5.0  # seconds; letters that other programs queue (the screens) wake nobody here
_KEEP_CONNECTION: Final = 15.0  # seconds without a letter; servers tire of the silent
_KEEP_HOUSE_EVERY: Final = 30.0
_LONGEST_PAUSE: Final = 50.0  # what waited leaves within a minute of the server's return
_LIMIT_PAUSE: Final = 3600.0
_BATCH: Final = 25
_BACKLOG: Final = 10  # so many letters that wait are worth more than one connection
_ALONE_FOR: Final = 600.0  # seconds
_BREAKS: Final = 3  # so many connections in a row that one letter broke, and it has to stand back

_LIMIT: Final = re.compile(
    r"\b(?:5\.4\.5|5\.1\.90|4\.7\.28)\b"
    r"|(?:daily|hourly) .{0,30}(?:limit|quota)"
    r"|(?:sending|submission|message) (?:limit|quota|rate)[^.]{0,20}exceeded"
    r"|exceeded .{0,30}(?:sending|message|recipient)[^.]{0,20}(?:limit|quota|rate)"
    r"|too many (?:messages|recipients)[^.]{0,20}(?:day|hour)",
    re.IGNORECASE,
)
"""What providers say when we have sent enough (Gmail: 5.4.5 and 4.7.28; Exchange Online: 5.1.90; and others)."""


def provider_limit(answer: str) -> bool:
    """Whether this refusal speaks of the sender's quota: it stands against every letter, not against this one."""
    return _LIMIT.search(answer) is not None


def pause_after(failures: int, *, spread: float) -> float:
    """Seconds before the server is asked again after `failures` (1, 2, ...) in vain: 2, 4, ... 50, and a tenth."""
    return float(min(2.0 ** min(failures, 10), _LONGEST_PAUSE) * (1 + spread / 10))


class OutboxDuty:
    """The letters of one store over one mail server.  Any number of them may run at once; each has its own `owner`."""

    name = "outbox"
    silence = 180.0

    def __init__(
        self,
        office: Office,
        *,
        in_doubt: Callable[[], str | None] = lambda: None,
        owner: str | None = None,
        owner_is_dead: Callable[[str], bool] = is_dead,
    ) -> None:
        self._office = office
        self._in_doubt = in_doubt
        self._owner = owner or our_name()
        self._is_dead = owner_is_dead
        self.bell = threading.Event()
        """Set by whoever queued a letter in this process."""
        self._pulse: Pulse | None = None
        connections = office.settings.smtp.connections if office.settings.smtp else 1
        self._couriers = [Courier(office.settings, hurry=self._hurry) for _ in range(connections)]
        self._alone_until = 0.0
        self._done: list[Carried] = []  # what came of letters and is not written down yet
        self._noted = 0  # so many of them are known to the store as accepted
        self._failures = 0
        self._broke: tuple[int, int] = (0, 0)  # the letter on which connections broke lately, and how many
        self._used_at = 0.0
        self._kept_house_at: float | None = None
        self._sent = 0
        self._alarmed = False

    def wake(self) -> None:
        self.bell.set()

    def _hurry(self) -> bool:
        """Asked about once a second while the server is listened to: alive, and break off if we are to end."""
        return self._pulse is not None and self._pulse.wait(0)

    def run(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._write_down()
        self._release(also_ours=True)  # nothing is in hand now: what bears our name was lost when we fell
        self._kept_house_at = None
        while not pulse.stopping.is_set():
            self._keep_house()
            clock, store, loop = self._in_doubt(), self._held(), gate.why_held(self._office, now=self._office.now())
            self._alarm(loop)
            which = {"by_hand_only": clock is not None, "store_in_doubt": store is not None}
            wait = self._seconds_to_next(**which, tripped=loop is not None)
            if wait <= 0:
                self._round(pulse, **which)
            else:
                doubt = clock or store
                self._say(pulse, f"Automatic letters are held. {doubt}" if doubt is not None else loop)
                self._rest(pulse, wait)
        self._close()

    def _held(self) -> str | None:
        """Why the store itself is in doubt, and nobody has said yet that letters may leave."""
        with self._office.book.read() as session:
            return doubts.why_held(session)

    def _close(self) -> None:
        for courier in self._couriers:
            courier.close()

    def _say(self, pulse: Pulse, held: str | None) -> None:
        if held is not None:
            pulse.failing(held, sent=self._sent)
        else:
            pulse.beat(sent=self._sent)

    def _alarm(self, loop: str | None) -> None:
        """Say it once each time that the breaker opens."""
        if loop is not None and not self._alarmed:
            log.error("outbox.breaker", error=loop)
        self._alarmed = loop is not None

    def _seconds_to_next(self, *, tripped: bool, **which: bool) -> float:
        """Real seconds until the next letter may leave; many if there is none."""
        leaves = post.next_leaving(self._office, tripped=tripped, **which)
        if leaves is None:
            return _KEEP_HOUSE_EVERY
        return (leaves - self._office.now()) / timedelta(seconds=1) / self._office.settings.clock.speed

    def _rest(self, pulse: Pulse, seconds: float) -> None:
        if time.monotonic() - self._used_at > _KEEP_CONNECTION:
            self._close()
        pulse.wait(min(seconds, _LOOK_EVERY), woken_by=self.bell)

    def _round(self, pulse: Pulse, **which: bool) -> None:
        """One batch: claim, carry, write down."""
        claimed = post.claim(self._office, self._owner, limit=_BATCH, now=self._office.now(), **which)
        backlog = len(claimed) >= _BACKLOG
        hold = False
        while claimed and not hold and not pulse.stopping.is_set():
            before = len(self._done)
            try:
                self._carry_some(claimed, self._couriers_for(backlog=backlog))
            except Away as away:
                self._away(pulse, claimed, away)
                return
            self._failures, self._broke, self._used_at = 0, (0, 0), time.monotonic()
            came = [one.result for one in self._done[before:]]
            hold = any(isinstance(one, Deferred) and provider_limit(one.answer) for one in came)
            if not all(isinstance(one, Accepted) for one in came):
                self._write_down()
            pulse.beat(sent=self._sent)
        self._write_down()
        if hold:
            self._limit_reached(pulse, claimed)
        else:
            post.give_back(self._office, self._owner, [one.letter_id for one in claimed], now=self._office.now())

    def _couriers_for(self, *, backlog: bool) -> Sequence[Courier]:
        """Several only while a backlog waits: a crash then leaves as many letters of which nobody knows."""
        several = backlog and time.monotonic() >= self._alone_until
        return self._couriers if several else self._couriers[:1]

    def _carry_some(self, claimed: list[Claimed], couriers: Sequence[Courier]) -> None:
        """Carry the first of `claimed`, one a courier, and take them out; their points of no return are one commit."""
        began = time.monotonic()
        ready: list[tuple[Courier, Claimed, bool]] = []
        try:
            for courier, letter in zip(couriers, tuple(claimed), strict=False):
                try:
                    begun = courier.begin(letter)
                except Away as away:
                    if courier is couriers[0]:
                        raise
                    self._carry_alone(str(away))  # this letter's turn comes over the first connection
                    break
                if isinstance(begun, Ready):
                    ready.append((courier, letter, begun.receipt))
                else:
                    self._came_of(letter, begun, took=time.monotonic() - began, claimed=claimed)
            if len(ready) > 1:
                ready = self._still_ready(ready)
            ours = self._before_dots({letter.letter_id: receipt for _, letter, receipt in ready})
        except BaseException:
            for courier, _, _ in ready:
                courier.let_go()  # without the dot nothing is accepted
            raise
        for courier, letter, _ in ready:
            if letter.letter_id in ours:
                courier.dot()
            else:
                courier.let_go()
                claimed.remove(letter)
                log.warning("outbox.lost", letter=letter.letter_id)
        for courier, letter, _ in ready:
            if letter.letter_id in ours:
                self._came_of(letter, courier.answer(), took=time.monotonic() - began, claimed=claimed)

    def _still_ready(self, ready: list[tuple[Courier, Claimed, bool]]) -> list[tuple[Courier, Claimed, bool]]:
        """Without those whose server lost its patience while the others were begun; their turn comes again."""
        left = [one for one in ready if one[0].still_ready()]
        for courier, letter, _ in ready:
            if all(letter is not one[1] for one in left):
                courier.let_go()
        if len(left) < len(ready):
            self._carry_alone("it did not wait for the dot")
        return left

    def _carry_alone(self, why: str) -> None:
        """For a while over one connection: the server, perhaps, allows no more."""
        log.info("outbox.one-connection", why=why)
        self._alone_until = time.monotonic() + _ALONE_FOR

    def _came_of(self, letter: Claimed, result: Result, *, took: float, claimed: list[Claimed]) -> None:
        claimed.remove(letter)
        if isinstance(result, Rejected) and provider_limit(result.answer):  # it stands against every letter
            result = Deferred(result.answer)
        self._done.append(Carried(letter.letter_id, result))
        self._tell(letter, result, took=took)

    def _before_dots(self, letters: Mapping[int, bool]) -> Collection[int]:
        if not letters:
            return ()
        ours = post.before_dots(
            self._office,
            self._owner,
            letters,
            accepted=[one for one in self._done[self._noted :] if isinstance(one.result, Accepted)],
            now=self._office.now(),
        )
        self._noted = len(self._done)
        return ours

    def _tell(self, letter: Claimed, result: Result, *, took: float) -> None:
        fields = {"letter": letter.letter_id, "took_ms": round(took * 1000)}
        if isinstance(result, Accepted):
            self._sent += 1
            log.info("outbox.sent", **fields)
            return
        code = result.answer[:3] if result.answer[:3].isdigit() else None
        names = {Deferred: "outbox.deferred", Rejected: "outbox.failed", Unknown: "outbox.uncertain"}
        log.warning(names[type(result)], **fields, code=code, why=result.answer)

    def _write_down(self) -> None:
        if self._done:
            if bad := post.record(self._office, self._owner, self._done, now=self._office.now()):
                log.error("outbox.not-written-down", letters=list(bad))
            self._done.clear()
            self._noted = 0

    def _away(self, pulse: Pulse, claimed: list[Claimed], away: Away) -> None:
        """No connection: everything is given back, and nothing is tried for a while that grows with each failure."""
        letter = claimed[0]
        if isinstance(away, CutOff) and not pulse.stopping.is_set():
            before = self._broke[1] if self._broke[0] == letter.letter_id else 0
            self._broke = (letter.letter_id, before + 1)
            if self._broke[1] >= _BREAKS:  # perhaps the letter is to blame: the others need not wait behind it
                self._done.append(Carried(letter.letter_id, Deferred(str(away))))
                self._broke = (0, 0)
                del claimed[0]
        self._write_down()
        stopping = pulse.stopping.is_set()
        ids = [one.letter_id for one in claimed]
        post.give_back(self._office, self._owner, ids, error=None if stopping else str(away), now=self._office.now())
        if not stopping:
            self._failures += 1
            self._pause(pulse, str(away), max(pause_after(self._failures, spread=_dice()), away.patience))

    def _limit_reached(self, pulse: Pulse, claimed: list[Claimed]) -> None:
        why = "The mail provider says that we have sent enough for now; letters wait an hour."
        ids = [one.letter_id for one in claimed]
        post.give_back(self._office, self._owner, ids, error=why, now=self._office.now())
        self._close()
        self._pause(pulse, why, _LIMIT_PAUSE)

    def _pause(self, pulse: Pulse, why: str, seconds: float) -> None:
        log.warning("outbox.waits", why=why, again_in_s=round(seconds))
        pulse.failing(why, sent=self._sent)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not pulse.wait(min(left, _KEEP_HOUSE_EVERY)):
            self._keep_house()

    def _keep_house(self) -> None:
        """Now and then: letters of dead owners come back.  (Uncertain ones are settled by what intake sees.)"""
        if self._kept_house_at is not None and time.monotonic() - self._kept_house_at < _KEEP_HOUSE_EVERY:
            return
        self._kept_house_at = time.monotonic()
        self._release()

    def _release(self, *, also_ours: bool = False) -> None:
        def dead(owner: str) -> bool:
            return (also_ours and owner == self._owner) or (owner != self._owner and self._is_dead(owner))

        if found := post.release(self._office, owner_is_dead=dead, now=self._office.now()):
            log.warning("outbox.released", letters=found)


def _dice() -> float:
    return random.random()  # noqa: S311  (dice, not a secret)
