"""An outbox to run, to kill at a named line, and to look at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from amends.casework.office import Office
from amends.casework.post import settle_uncertain
from amends.kernel.instants import wall_clock
from amends.ledger.tables import Letter
from amends.mail.facts import Kind
from daemon.outbox import duty as outbox_duty
from daemon.outbox.duty import OutboxDuty
from daemon.supervision.health import Heart
from tests.builders import a_mail, an_office, file_mail, open_case
from tests.servers import until
from tests.servers.smtp import SmtpServer


class Killed(BaseException):
    """kill -9, as far as one process can play it: nothing of ours runs after it."""


class WallClock:
    """The machine's clock, and a hand that can set it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return wall_clock() + self.ahead


class Post:
    """One store, one SMTP server, and as many outboxes as a test starts."""

    def __init__(self, office: Office, server: SmtpServer, clock: WallClock) -> None:
        self.office = office
        self.server = server
        self.clock = clock
        self.dead: set[str] = set()
        self.doubt: str | None = None
        self._people = 0

    def complaints(self, count: int = 1) -> list[int]:
        """New cases, each with its acknowledgement in the outbox; returns the letters' ids."""
        for _ in range(count):
            self._people += 1
            mail = a_mail(sender=f"person{self._people}@example.org")
            open_case(self.office, mail, now=self.office.now())
        return [letter.id or 0 for letter in self.letters()][-count:]

    def outbox(self, owner: str = "first") -> OutboxDuty:
        return OutboxDuty(
            self.office,
            in_doubt=lambda: self.doubt,
            owner=owner,
            owner_is_dead=lambda other: other in self.dead,
        )

    @contextmanager
    def at_work(self, outbox: OutboxDuty) -> Iterator[Heart]:
        """The outbox in a thread of its own, asked to end when the block is left."""
        heart = Heart("outbox", 60.0, threading.Event())
        fault: list[BaseException] = []

        def run() -> None:
            try:
                outbox.run(heart)
            except Killed:
                pass
            except BaseException as caught:
                fault.append(caught)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        heart.thread = thread  # type: ignore[attr-defined]
        try:
            yield heart
        finally:
            heart.stop()
            outbox.wake()
            thread.join(60)
        assert not thread.is_alive(), "the outbox did not end"
        if fault:
            raise fault[0]

    def killed(self, owner: str = "first") -> None:
        """Let an outbox run into its death (the test has laid a trap for it), and be known as dead."""
        with self.at_work(self.outbox(owner)) as heart:
            thread = heart.thread  # type: ignore[attr-defined]
            thread.join(60)
            assert not thread.is_alive(), "nothing killed it"
        self.dead.add(owner)

    def work_until(self, seen: Callable[[], object], *, owner: str = "second", what: str = "it") -> None:
        with self.at_work(self.outbox(owner)):
            until(seen, what=what)

    def letters(self) -> list[Letter]:
        with self.office.book.read() as session:
            found = list(session.scalars(select(Letter).order_by(col(Letter.id))))
            session.expunge_all()
        return found

    def letter(self, letter_id: int) -> Letter:
        return next(letter for letter in self.letters() if letter.id == letter_id)

    def states(self) -> list[str]:
        return [letter.state for letter in self.letters()]

    def copy_comes_home(self, letter_id: int) -> None:
        """The receipt copy of the letter is found in our own mailbox and filed."""
        letter = self.letter(letter_id)
        own = self.office.settings.organisation.address
        mail = a_mail(sender=own, subject=letter.subject, text=letter.body, message_id=letter.message_id, kind=Kind.OWN)
        assert file_mail(self.office, mail, now=self.office.now()).state == "own"

    def whole_poll(self) -> None:
        """The mailbox is looked at, to the end; intake says so then."""
        now = self.office.now()
        settle_uncertain(self.office, last_complete_poll=now, now=now)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_duty, "pause_after", lambda failures, *, spread: 0.05)
    monkeypatch.setattr(outbox_duty, "_KEEP_HOUSE_EVERY", 0.05)
    monkeypatch.setattr(outbox_duty, "_LOOK_EVERY", 0.05)


@pytest.fixture
def make_post(tmp_path: Path, smtp: SmtpServer) -> Iterator[Callable[..., Post]]:
    offices: list[Office] = []

    def make(*, url: str | None = None, server: SmtpServer = smtp, smtp_more: dict[str, Any] | None = None) -> Post:
        clock = WallClock()
        section = server.section(plus_addressing=True, **(smtp_more or {}))
        office = an_office(tmp_path, url=url, wall=clock, smtp=section)
        offices.append(office)
        return Post(office, server, clock)

    yield make
    for office in offices:
        office.book.close()


@pytest.fixture
def post(make_post: Callable[..., Post]) -> Post:
    return make_post()
