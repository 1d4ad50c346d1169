"""The office: what every verb needs at hand, loaded when it is first wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from amends.config import Settings
from amends.kernel.errors import NeedsOperator
from amends.kernel.instants import wall_clock

# SQL costs 300 ms and holidays and Jinja 150 ms: a screen is drawn without the one, a list of cases without the others.
if TYPE_CHECKING:
    from sqlmodel import Session

    from amends.deadlines.calendar import WorkingCalendar
    from amends.deadlines.packs import Pack, Regime
    from amends.ledger.book import Book
    from amends.ledger.tables import Case
    from amends.letters.render import Templates

Kept = TypeVar("Kept")


class Office:
    """Settings, store, policy pack, calendar, templates and keys.  Cheap to open; the rest is lazy."""

    def __init__(
        self, settings: Settings, book: Book | None = None, *, wall: Callable[[], datetime] = wall_clock
    ) -> None:
        self.settings = settings
        self._book = book
        self._opening = threading.Lock()
        self.wall = wall
        """The machine's clock; leases and health live by it."""
        self._former: dict[str, Regime | None] = {}

    @property
    def book(self) -> Book:
        """The store; raises ConfigError or NeedsOperator where the configuration names none that could be opened."""
        with self._opening:
            if self._book is None:
                from amends.ledger.book import Book

                self._book = Book(self.settings.database_url())
            return self._book

    @property
    def has_opened(self) -> bool:
        """Whether `book` has been asked for."""
        return self._book is not None

    def now(self) -> datetime:
        """The business clock: the machine's, or in a demonstration one that runs `clock.speed` times as fast."""
        return self.business(self.wall())

    def business(self, wall: datetime) -> datetime:
        """The business instant at which the machine's clock shows `wall`."""
        speed = self.settings.clock.speed
        return wall if speed == 1.0 else self._anchor + (wall - self._anchor) * speed

    def real(self, span: timedelta) -> timedelta:
        """How far the business clock moves while `span` passes for a person at the screen."""
        return span * self.settings.clock.speed

    @cached_property
    def _anchor(self) -> datetime:
        """When the fast clock was started; every program on this store shares it."""
        with self.book.read() as session:  # first: a caller who is reading would block a writer, and himself
            found = read_meta(session, "clock_anchor")
        if found is None:
            found = self._start_clock()
        return datetime.fromisoformat(found)

    def _start_clock(self) -> str:
        with self.book.write() as session:
            found = read_meta(session, "clock_anchor")
            if found is None:
                found = self.wall().isoformat()
                write_meta(session, "clock_anchor", found)
        return found

    @cached_property
    def key(self) -> bytes:
        """The secret behind every token and Message-ID, made with the store."""
        with self.book.read() as session:
            found = read_meta(session, "hmac_key")
        if found is None:
            raise NeedsOperator("The database has no signing key; run: amendsd migrate")
        try:
            return bytes.fromhex(found)
        except (TypeError, ValueError) as damaged:
            raise NeedsOperator(
                "The signing key in the database is damaged, and without it no letter can be written; put a backup in "
                "its place: amendsd restore"
            ) from damaged

    @cached_property
    def regimes(self) -> list[Regime]:
        """Every pack that applies to the organisation's cases, in all its versions, the main one first."""
        from amends.deadlines.packs import regimes_of

        return regimes_of(self.settings)

    def regime(self, pack_id: str) -> Regime | None:
        """Every version of this pack, whether it still applies or not; None if there is no file of it any more."""
        from amends.deadlines.packs import find_regime, pack_folders

        found = next((regime for regime in self.regimes if regime.id == pack_id), None)
        if found is None and pack_id not in self._former:
            self._former[pack_id] = find_regime(pack_id, pack_folders(self.settings))
        return found or self._former.get(pack_id)

    def packs_of(self, row: Case) -> list[Pack]:
        """The packs that a case was opened under, in the versions that it has, the main one first.

        A version of which there is no file any more is replaced by the one for its day of receipt.
        """
        named = [(row.pack, row.pack_version), *((one[0], one[1]) for one in row.packs)]
        packs = [
            regime.version(version) or regime.at(row.received_at, self.calendar.zone)
            for pack_id, version in named
            if (regime := self.regime(pack_id)) is not None
        ]
        return packs or self.packs_at(row.received_at)

    @property
    def pack(self) -> Pack:
        """The main pack, as it is in force now."""
        return self.pack_at(self.wall())

    def pack_at(self, received: datetime) -> Pack:
        """The main pack of a complaint that was received then: the version of that day, whatever holds since."""
        return self.regimes[0].at(received, self.calendar.zone)

    def packs_at(self, received: datetime) -> list[Pack]:
        """The same of every pack that applies, the main one first."""
        return [regime.at(received, self.calendar.zone) for regime in self.regimes]

    @cached_property
    def calendar(self) -> WorkingCalendar:
        from amends.deadlines.calendar import calendar_of

        return calendar_of(self.settings.organisation)

    @cached_property
    def templates(self) -> Templates:
        from amends.kernel.share import templates_folder
        from amends.letters.render import Templates

        own = self.settings.letters.templates_folder
        folders = [*([self.settings.path(own)] if own else []), templates_folder()]
        return Templates.load(folders, self.settings.organisation.languages)


def open_office(settings: Settings, *, wall: Callable[[], datetime] = wall_clock) -> Office:
    """The office of these settings.  Touches the store only when something is asked of it.  Raises as `book`."""
    office = Office(settings, wall=wall)
    _ = office.book
    return office


def read_meta(session: Session, name: str) -> str | None:
    from amends.ledger.tables import Meta

    row = session.get(Meta, name)
    return None if row is None else row.value


def remembered(session: Session, name: str, read: Callable[[str], Kept]) -> Kept | None:
    """What `read` makes of what is kept under this name; None where nothing is, or what nobody can read.

    For what is found anew when it is not known: nothing waits because somebody wrote there behind our back.
    """
    from amends.ledger.legible import MISREAD, is_misread

    try:
        kept = read_meta(session, name)
        return None if kept is None else read(kept)
    except (*MISREAD, RecursionError) as fault:
        if isinstance(fault, RecursionError) or is_misread(fault):
            return None
        raise


def write_meta(session: Session, name: str, value: str) -> None:
    """Set it, whoever else does so at the same time."""
    from sqlalchemy import update
    from sqlmodel import col

    from amends.ledger.book import add_missing
    from amends.ledger.tables import Meta

    add_missing(session, Meta, [{"name": name, "value": value}])
    session.connection().execute(update(Meta).where(col(Meta.name) == name).values(value=value))
    session.get(Meta, name, populate_existing=True)
