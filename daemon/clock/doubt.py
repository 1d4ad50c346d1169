"""Whether the machine's clock can be believed.

A wrong clock would send every reminder of a month at once, or none for a month.  Two witnesses, neither of which can be
set: the time since the machine was started (CLOCK_BOOTTIME, which goes on in suspend), and the latest instant at which
this store was ever at work.  While they contradict the clock, what the clock would do waits.  After a boot that is much
later than that instant nothing contradicts it, and it waits until somebody else says the same time: NTP, or new mail.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import delete
from sqlmodel import Session, col

from amends.casework.doubts import BEHIND, EARLIEST, HIGH_WATER
from amends.casework.office import Office, remembered, write_meta
from amends.kernel.instants import iso, to_utc
from amends.ledger.tables import Meta
from daemon.clock.witnesses import kept_by_ntp, mail_agrees, newest_mail
from daemon.supervision.owner import this_machine

log = structlog.get_logger()

JUMP: Final = timedelta(minutes=10)
LONG: Final = timedelta(days=7)
_KEEP_EVERY: Final = 60.0  # seconds between two writes of what was last believed
_BELIEVED: Final = "clock_believed:"
_CONFIRMED: Final = "clock_confirmed"

HOW_TO_CONFIRM: Final = "correct the clock, or, if it is right, run: amendsd clock --confirm"


@dataclass(frozen=True, slots=True)
class Reading:
    """The clock and its first witness at one moment: wall clock, seconds since the boot, and which boot."""

    wall: datetime
    boot_seconds: float
    boot_id: str


def read_clock(wall: datetime) -> Reading:
    """`wall` with what the machine says beside it."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot_id = ""
    return Reading(wall, time.clock_gettime(time.CLOCK_BOOTTIME), boot_id)


def doubt_about(
    now: Reading, *, believed: Reading | None, at_work: datetime | None, agreed: Callable[[], bool] = lambda: False
) -> str | None:
    """Why `now` cannot be believed, in one sentence; None if it can.

    `believed` is the last reading that could; of another boot, it says nothing.  `at_work` is when the store last was,
    and `agreed` whether anybody else says the same time as `now`: asked only where nothing else tells.
    """
    same_boot = believed is not None and believed.boot_id == now.boot_id
    if believed is not None and same_boot:
        passed = timedelta(seconds=now.boot_seconds - believed.boot_seconds)
        jump = now.wall - (believed.wall + passed)
        if abs(jump) > JUMP:
            way = "forward" if jump > timedelta() else "back"
            return f"The clock of this machine was set {way} by {_span(jump)}; {HOW_TO_CONFIRM}."
    if now.wall < (at_work or EARLIEST) - BEHIND:
        what = f"this store was at work at {iso(at_work)}" if at_work is not None else "that is before Amends was made"
        return f"The clock of this machine stands at {iso(now.wall)}, but {what}; {HOW_TO_CONFIRM}."
    if at_work is not None and not same_boot and now.wall > at_work + LONG and not agreed():
        return (
            f"The clock of this machine stands at {iso(now.wall)}, {_span(now.wall - at_work)} after this store was "
            "last at work, and nobody confirms it: it is believed as soon as NTP keeps it or a mail server dates new "
            f"mail alike; {HOW_TO_CONFIRM}."
        )
    return None


def _span(jump: timedelta) -> str:
    minutes = round(abs(jump) / timedelta(minutes=1))
    days, hours = divmod(minutes // 60, 24)
    if days or hours:
        return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"
    return f"{minutes} min"


class ClockDoubt:
    """Looks at the clock, keeps what was last believed in the store, and says whether there is doubt."""

    def __init__(self, office: Office, *, kept: Callable[[], None] = lambda: None) -> None:
        """`kept` is called each time that what is believed was written down."""
        self._office = office
        self._told = kept
        self._name = _BELIEVED + this_machine()
        self._lock = threading.RLock()
        self._sentence: str | None = None
        self._believed: Reading | None = None
        self._confirmed: str | None = None
        self._loaded = False
        self._kept_at: float | None = None

    def sentence(self) -> str | None:
        """The doubt, as of the last `look` (the first one is taken now); None: the clock is believed."""
        with self._lock:
            return self._sentence if self._loaded else self.look()

    def look(self) -> str | None:
        """Compare clock and witnesses, and return the doubt."""
        with self._lock:
            return self._look()

    def judge(self) -> str | None:
        """The doubt as it stands, for whoever only wants to know: nothing is kept."""
        now = read_clock(self._office.wall())
        with self._office.book.read() as session:
            at_work, believed, _ = self._remembered(session)
        return self._doubt(now, believed, at_work)

    def _doubt(self, now: Reading, believed: Reading | None, at_work: datetime | None) -> str | None:
        return doubt_about(now, believed=believed, at_work=at_work, agreed=lambda: self._is_agreed(now))

    def _is_agreed(self, now: Reading) -> bool:
        """Whether anybody else says the same time; of a demonstration's nobody is asked."""
        settings = self._office.settings
        if settings.clock.speed != 1.0 or kept_by_ntp():
            return True
        booted = now.wall - timedelta(seconds=now.boot_seconds)
        with self._office.book.read() as session:
            return mail_agrees(session, settings, since=booted, within=JUMP)

    def _look(self) -> str | None:
        now = read_clock(self._office.wall())
        with self._office.book.read() as session:
            at_work, believed, confirmed = self._remembered(session)
        if not self._loaded:
            self._believed, self._confirmed, self._loaded = believed, confirmed, True
        elif confirmed != self._confirmed:  # the operator's word: start again from here
            self._believed, self._confirmed = None, confirmed
            log.warning("clock.confirmed")
        sentence = self._doubt(now, self._believed, at_work)
        if sentence is None and (at_work is not None or self._is_agreed(now)):
            self._believed = now  # before its first mail nothing says how late it is, and nothing is at stake
            self._keep(now)
        self._change(sentence)
        return sentence

    def _change(self, sentence: str | None) -> None:
        before, self._sentence = self._sentence, sentence
        if sentence is not None and before is None:
            log.error("clock.doubt", why=sentence)
        elif sentence is None and before is not None:
            log.warning("clock.believed-again")

    def _remembered(self, session: Session) -> tuple[datetime | None, Reading | None, str | None]:
        """When the store was last at work, the last reading that was believed, and the operator's last word.

        One that never was at work knows of no later hour than that of its newest mail.
        """
        return (
            remembered(session, HIGH_WATER, _instant_of) or newest_mail(session),
            remembered(session, self._name, _reading_of),
            remembered(session, _CONFIRMED, str),
        )

    def _keep(self, now: Reading) -> None:
        if self._kept_at is not None and time.monotonic() - self._kept_at < _KEEP_EVERY:
            return
        with self._office.book.write() as session:
            highest = remembered(session, HIGH_WATER, _instant_of)
            if highest is None or highest < now.wall:
                write_meta(session, HIGH_WATER, now.wall.isoformat())
            write_meta(session, self._name, json.dumps(asdict(now) | {"wall": now.wall.isoformat()}))
        self._kept_at = time.monotonic()
        self._told()


def confirm(office: Office) -> datetime:
    """An operator's word that the clock is right as it stands.

    Every daemon on this store takes it at its next look, and one that does not run now when it starts: what was
    believed before is forgotten.
    """
    wall = office.wall()
    with office.book.write() as session:
        session.connection().execute(delete(Meta).where(col(Meta.name).startswith(_BELIEVED, autoescape=True)))
        write_meta(session, HIGH_WATER, wall.isoformat())
        write_meta(session, _CONFIRMED, wall.isoformat())
    return wall


def _reading_of(kept: str) -> Reading:
    found = json.loads(kept)
    return Reading(_instant_of(found["wall"]), float(found["boot_seconds"]), str(found["boot_id"]))


def _instant_of(kept: str) -> datetime:
    return to_utc(datetime.fromisoformat(kept))
