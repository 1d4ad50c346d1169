"""The watch on the store: a thread that looks for changes and tells the app.  It touches no widget."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from amends.kernel.errors import AmendsError
from amends.ledger.shapes import DutyView, LetterView, Tally
from tui.desk import Desk
from tui.later import Later

if TYPE_CHECKING:
    from sqlmodel import Session

    from amends.ledger import views
else:
    views = Later("amends.ledger.views")

LOOK_SECONDS: Final = 0.25
"""How often SQLite is asked for its change counter: 0.05 ms each."""
POLL_SECONDS: Final = 1.0
"""How often a server that cannot tell is asked what is new."""
HEALTH: Final = timedelta(seconds=10)
MISSED: Final = timedelta(minutes=2)
"""So long an event is awaited whose number was given out but which is not there: longer than a transaction may last."""
LOOK_BACK: Final = 1000
"""So many numbers back the missing ones are looked for."""
STORM: Final = 200
"""More events at once than this, and a screen reads its list anew instead of row by row."""


@dataclass(frozen=True, slots=True)
class News:
    """What the watch saw: cases with new events (None: so many that all may have changed), and how mail fares."""

    cases: frozenset[int] | None
    kinds: frozenset[str]
    tally: Tally
    duties: tuple[DutyView, ...]
    held: tuple[LetterView, ...]
    changed: bool


class Pulse(threading.Thread):
    """Calls `tell` with News or with the error that kept it from looking; `tell` must be safe from any thread."""

    def __init__(self, desk: Desk, tell: Callable[[News | AmendsError], None], *, every: float | None = None) -> None:
        super().__init__(name="pulse", daemon=True)
        self._desk = desk
        self._tell = tell
        self._every = every
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._mark: object = None
        self._event = -1
        self._missing: dict[int, datetime] = {}
        self._told_at: datetime | None = None
        self._last: object = None

    def stop(self) -> None:
        self._ended.set()
        self._wake.set()

    def hurry(self) -> None:
        """Look now: something was just done here."""
        self._wake.set()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                with self._desk.office.book.watch() as changed:
                    self._watch(changed)
            except AmendsError as trouble:
                self._event = -1
                self._tell(trouble)
                self._pause(2.0)

    def _watch(self, changed: Callable[[], bool]) -> None:
        """`changed` says whether there may be something new since it was last asked."""
        while not self._ended.is_set():
            now = self._desk.office.wall()
            if changed() or self._told_at is None or now - self._told_at >= HEALTH:
                self._look(now)
            self._pause(self._every or (LOOK_SECONDS if self._desk.office.book.sqlite else POLL_SECONDS))

    def _look(self, now: datetime) -> None:
        with self._desk.office.book.read() as session:
            events, storm = self._events(session, now)
            tally, duties = views.tally(session), tuple(views.duties(session))
            held = tuple(views.held_letters(session, self._desk.actor.login, now=self._desk.now()))
        self._told_at = now
        state = (tally, held)
        cases = None if storm else frozenset(event[1] for event in events)
        moved = state != self._last
        self._last = state
        self._tell(
            News(cases, frozenset(event[2] for event in events), tally, duties, held, bool(events) or storm or moved)
        )

    def _events(self, session: Session, now: datetime) -> tuple[list[tuple[int, int, str]], bool]:
        """What happened since the last look, with what was committed late; and whether it is too much to tell."""
        before = self._event
        if before < 0:
            self._event, events = views.last_event(session), []
            storm = self._told_at is not None
        else:
            events = views.recent_events(session, before, limit=STORM + 1)
            storm = len(events) > STORM
            if events:
                self._event = views.last_event(session) if storm else events[-1][0]
        late = views.events_among(session, self._missing)
        for event_id in [one for one, since in self._missing.items() if now - since > MISSED] + [
            one[0] for one in late
        ]:
            self._missing.pop(event_id, None)
        if self._event > before:
            after = max(before, self._event - LOOK_BACK)
            for event_id in views.missing_events(session, after=after, upto=self._event):
                self._missing.setdefault(event_id, now)
        return late + events, storm

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()
