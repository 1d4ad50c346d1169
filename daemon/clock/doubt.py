"""Whether the machine's clock can be believed.

A wrong clock would send every reminder of a month at once, or none for a month.  Two witnesses, neither of which can be
set: the time since the machine was started (CLOCK_BOOTTIME, which goes on in suspend), and the latest instant at which
this store was ever at work.  While they contradict the clock, what the clock would do waits.
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

from amends.casework.office import Office, remembered, write_meta
from amends.kernel.instants import iso, to_utc
from amends.ledger.tables import Meta
from daemon.supervision.owner import this_machine

log = structlog.get_logger()

JUMP: Final = timedelta(minutes=10)
BEHIND: Final = timedelta(minutes=5)
_KEEP_EVERY: Final = 60.0  # seconds between two writes of what was last believed
_BELIEVED: Final = "clock_believed:"
_HIGH_WATER: Final = "clock_high_water"
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


def doubt_about(now: Reading, *, believed: Reading | None, high_water: datetime | None) -> str | None:
    """Why `now` cannot be believed, in one sentence; None if it can.

    `believed` is the last reading that could; of another boot, it says nothing.
    """
    if believed is not None and believed.boot_id == now.boot_id:
        passed = timedelta(seconds=now.boot_seconds - believed.boot_seconds)
        jump = now.wall - (believed.wall + passed)
        if abs(jump) > JUMP:
            way = "forward" if jump > timedelta() else "back"
            return f"The clock of this machine was set {way} by {_span(jump)}; {HOW_TO_CONFIRM}."
    if high_water is not None and now.wall < high_water - BEHIND:
        return (
            f"The clock of this machine stands at {iso(now.wall)}, but this store was at work at {iso(high_water)}; "
            f"{HOW_TO_CONFIRM}."
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

    def _look(self) -> str | None:
        now = read_clock(self._office.wall())
        with self._office.book.read() as session:
            high_water, believed, confirmed = self._remembered(session)
        if not self._loaded:
            self._believed, self._confirmed, self._loaded = believed, confirmed, True
        elif confirmed != self._confirmed:  # the operator's word: start again from here
            self._believed, self._confirmed = None, confirmed
            log.warning("clock.confirmed")
        sentence = doubt_about(now, believed=self._believed, high_water=high_water)
        if sentence is None:
            self._believed = now
            self._keep(now, high_water)
        self._change(sentence)
        return sentence

    def _change(self, sentence: str | None) -> None:
        before, self._sentence = self._sentence, sentence
        if sentence is not None and before is None:
            log.error("clock.doubt", why=sentence)
        elif sentence is None and before is not None:
            log.warning("clock.believed-again")

    def _remembered(self, session: Session) -> tuple[datetime | None, Reading | None, str | None]:
        return (
            remembered(session, _HIGH_WATER, _instant_of),
            remembered(session, self._name, _reading_of),
            remembered(session, _CONFIRMED, str),
        )

    def _keep(self, now: Reading, high_water: datetime | None) -> None:
        if self._kept_at is not None and time.monotonic() - self._kept_at < _KEEP_EVERY:
            return
        with self._office.book.write() as session:
            highest = remembered(session, _HIGH_WATER, _instant_of)
            if highest is None or highest < now.wall:
                write_meta(session, _HIGH_WATER, now.wall.isoformat())
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
        write_meta(session, _HIGH_WATER, wall.isoformat())
        write_meta(session, _CONFIRMED, wall.isoformat())
    return wall


def _reading_of(kept: str) -> Reading:
    found = json.loads(kept)
    return Reading(_instant_of(found["wall"]), float(found["boot_seconds"]), str(found["boot_id"]))


def _instant_of(kept: str) -> datetime:
    return to_utc(datetime.fromisoformat(kept))
