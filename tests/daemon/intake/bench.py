"""A desk for the tests of the intake: an office, a mailbox, a pool with a quick reader, and intakes that can be run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import text

from amends.casework.office import Office
from daemon.intake.duty import ImapIntake
from daemon.reading.pool import ReadingPool
from tests.servers import until


def a_complaint(n: int, *, headers: str = "", body: str = "The lift is broken.", reply_to: str = "") -> bytes:
    thread = f"In-Reply-To: <{reply_to}>\r\n" if reply_to else ""
    return (
        f"From: Ann <ann{n}@example.org>\r\nTo: complaints@northwind.example\r\nSubject: complaint {n}\r\n"
        f"Message-ID: <complaint-{n}@example.org>\r\n{thread}{headers}\r\n{body} {n}\r\n"
    ).encode()


class HandPulse:
    """A pulse without a supervisor: what the duty said last, and a bell to end it."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.detail: dict[str, Any] = {}
        self.error: str | None = None
        self.errors: list[str] = []
        self.raised: BaseException | None = None

    def beat(self, **detail: Any) -> None:
        self.detail |= detail
        self.error = None

    def failing(self, error: str, **detail: Any) -> None:
        self.detail |= detail
        self.error = error
        self.errors.append(error)

    def wait(self, seconds: float, *, woken_by: threading.Event | None = None) -> bool:
        return self.stopping.wait(seconds)


class Desk:
    """One store, one mailbox, one pool; several intakes may be at work on them."""

    def __init__(self, office: Office, pool: ReadingPool) -> None:
        self.office = office
        self.pool = pool
        self.woken = 0
        self.looks: list[datetime] = []

    def intake(self, owner: str = "us", **changes: Any) -> ImapIntake:
        def wake() -> None:
            self.woken += 1

        def looked(office: Office, mailbox: str, began: datetime) -> int:
            self.looks.append(began)
            return 0

        box = self.office.settings.mailbox[0]
        if box.poll_seconds == 1:  # the least that a configuration may say: the test does not care
            box = box.model_copy(update={"poll_seconds": 0.02})
        box = box.model_copy(update=changes)
        return ImapIntake(self.office, box, self.pool, owner=owner, outbox=wake, looked=looked)

    @contextmanager
    def at_work(self, owner: str = "us", **changes: Any) -> Iterator[HandPulse]:
        """An intake in a thread of its own, ended with the block; what it raised is raised here."""
        pulse = HandPulse()

        def run() -> None:
            try:
                self.intake(owner, **changes).run(pulse)
            except BaseException as fault:
                pulse.raised = fault

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield pulse
        finally:
            pulse.stopping.set()
            thread.join(60)
            assert not thread.is_alive(), "the intake did not end"
        if pulse.raised is not None:
            raise pulse.raised

    def look_once(self, owner: str = "us", **changes: Any) -> HandPulse:
        """One intake from its start to the end of its first complete look."""
        before = len(self.looks)
        with self.at_work(owner, **changes) as pulse:
            self.until(lambda: len(self.looks) > before, pulse)
        return pulse

    @staticmethod
    def until(seen: Callable[[], object], pulse: HandPulse, seconds: float = 180.0) -> None:
        until(
            lambda: seen() or pulse.raised, seconds=seconds, what=f"the intake; it says {pulse.error!r} {pulse.detail}"
        )

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.office.book.read() as session:
            return [tuple(row) for row in session.connection().execute(text(statement))]

    def states(self) -> dict[str, int]:
        return dict(self.rows("SELECT state, count(*) FROM arrivals GROUP BY state"))  # type: ignore[arg-type]

    def cases(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT subject FROM cases ORDER BY id")]

    def acknowledgements(self) -> int:
        return int(self.rows("SELECT count(*) FROM letters WHERE kind = 'acknowledgement'")[0][0])
