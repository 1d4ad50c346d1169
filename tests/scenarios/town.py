"""A town: a complaints mailbox, the mail server that letters leave by, the whole house, and the people who write to it.

town.deliver(mail(sender="Edith <edith@example.org>", subject="No heating"))
with town.at_work():                          # the duties of the daemon, each in its thread, under the supervisor
    town.until_quiet()                        # all mail has its fate and has left the inbox, all letters have left
    [letter] = town.letters_to("edith@example.org")
    town.deliver(answer(letter, "Thank you.")) # as a mail program does it that answers to Reply-To
    town.until_quiet()
case = town.case_of("edith@example.org")      # the case whole, as the screens show it
town.do(handling.assign, case, "amara")       # a verb of the desk
town.passes(days=3)                           # time goes by, for whoever looks at a clock

Dovecot and the SMTP server are real, and what is sent to our own address comes home into the mailbox.  The town has a
time of its own, which begins on a Monday morning at nine.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from amends.cases.outcomes import Outcome
from amends.casework import clockwork, correspondence
from amends.casework.actors import Actor
from amends.casework.correspondence import Finding, Words
from amends.casework.intake import unpack
from amends.casework.office import Office
from amends.kernel.instants import wall_clock
from amends.ledger import views
from amends.ledger.tables import Arrival, Case
from amends.ledger.tables import Letter as LetterRow
from amends.ledger.verify import verify
from amends.letters.kinds import LetterKind
from bench.house import write_configuration
from daemon.house import build
from daemon.reading.pool import ReadingPool
from daemon.supervision.bell import Bell
from daemon.supervision.supervisor import Supervisor
from daemon.supervision.systemd import Systemd
from tests.builders import AMARA, HANDLERS, ORGANISATION, an_office
from tests.servers.dovecot import Account
from tests.servers.smtp import Letter, SmtpServer

OURS = "complaints@northwind.example"
AUTHSERV = "mx.northwind.example"
START = datetime(2024, 3, 4, 9, 0, tzinfo=UTC)
"""A Monday morning in London, long ago: Dovecot gives no mail an instant that is yet to come."""
FILED, QUARANTINE, OVERSIZED = "Amends/Filed", "Amends/Quarantine", "Amends/Oversized"
PATIENCE = 60.0
POLL = 0.05
"""Seconds between two looks at the mailbox."""

_numbers = itertools.count(1)


def mail(
    text: str | bytes = "My flat has had no heating since Friday.",
    *,
    sender: str = "Edith Kowalski <edith@example.org>",
    subject: str = "No heating since Friday",
    **fields: str,
) -> bytes:
    """A mail to us; further fields by name, `_` for `-` (`Precedence="bulk"`); the value "" leaves one out."""
    head = {
        "From": sender,
        "To": OURS,
        "Subject": subject,
        "Date": "Mon, 4 Mar 2024 08:00:00 +0000",
        "Message-ID": f"<mail-{next(_numbers)}@people.example>",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
    body = text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode()
    return lines.encode() + b"\r\n" + body + b"\r\n"


def answer(letter: Letter, text: str, *, sender: str = "", subject: str = "", to: str = "", **fields: str) -> bytes:
    """What somebody writes who presses "reply" on a letter of ours; `to`: by another way than its Reply-To."""
    given = {
        "To": to or letter.header("Reply-To") or letter.header("From"),
        "In-Reply-To": letter.header("Message-ID"),
        "References": letter.header("Message-ID"),
    }
    return mail(
        text,
        sender=sender or letter.header("To"),
        subject=subject or f"Re: {letter.header('Subject')}",
        **(given | {name.replace("_", "-"): value for name, value in fields.items()}),
    )


def not_delivered(letter: Letter, *, status: str = "5.1.1", says: str = "550 5.1.1 no such user") -> bytes:
    """The report (RFC 3464) of a mail server that could not deliver a letter of ours, sent to its return path."""
    recipient = letter.rcpt_to[0]
    head = letter.raw.partition(b"\r\n\r\n")[0].decode()
    parts = (
        f"Content-Type: text/plain\r\n\r\nYour message to {recipient} could not be delivered: {says}\r\n",
        "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {says}\r\n",
        f"Content-Type: text/rfc822-headers\r\n\r\n{head}\r\n",
    )
    body = "".join(f"--report\r\n{part}\r\n" for part in parts) + "--report--\r\n"
    return mail(
        body.encode(),
        sender="Mail Delivery System <MAILER-DAEMON@mx.example.org>",
        subject="Undelivered Mail Returned to Sender",
        Return_Path="<>",
        Delivered_To=letter.mail_from,
        To=letter.mail_from,
        Auto_Submitted="auto-replied",
        Content_Type='multipart/report; report-type=delivery-status; boundary="report"',
        Content_Transfer_Encoding="",
    )


class TownClock:
    """The hours of the town: they go as fast as ours, and may go by unseen."""

    def __init__(self, start: datetime) -> None:
        self.start = start
        self._began = time.monotonic()
        self._gone_by = timedelta()

    def __call__(self) -> datetime:
        return self.start + self._gone_by + timedelta(seconds=time.monotonic() - self._began)

    def passes(self, span: timedelta) -> None:
        self._gone_by += span


class Town:
    """One mailbox, one store, one mail server; the house is open only `at_work`."""

    def __init__(
        self, folder: Path, box: Account, smtp: SmtpServer, pool: ReadingPool, sections: dict[str, Any]
    ) -> None:
        self.box, self.smtp, self.pool = box, smtp, pool
        sections = dict(sections)
        self.clock = TownClock(START)
        table = box.section(**sections.pop("mailbox", {}))
        sections["organisation"] = {"authserv_id": AUTHSERV, **sections.get("organisation", {})}
        sections["letters"] = {"undo_seconds": 0, **sections.get("letters", {})}
        if sections.get("smtp", {}) is not None:
            sections["smtp"] = smtp.section(plus_addressing=True, **sections.get("smtp", {}))
        self._folder, self._sections = folder, {"mailbox": [table], **sections}
        self.office = self.another_office()
        """The daemon's."""
        self.desk = self.another_office()
        """The handlers': another program on the same store."""
        self.brought = 0
        """How many mails were put into the inbox."""
        self.writes_back: Callable[[Letter], bytes | None] = lambda letter: None
        """Somebody who reads what is sent to him, and answers at once."""
        self._bag: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._postman = threading.Thread(target=self._carry, daemon=True)

    # mail

    @property
    def now(self) -> datetime:
        return self.clock()

    def passes(self, **span: float) -> None:
        """Time goes by: `passes(days=3, hours=2)`."""
        self.clock.passes(timedelta(**span))

    def deliver(self, raw: bytes, *, at: datetime | None = None, flags: Iterable[bytes] = ()) -> int:
        """A mail arrives, now or `at` an instant; its UID."""
        self.brought += 1
        return self.box.deliver(raw, at=at or self._next_second(), flags=list(flags))

    def _next_second(self) -> datetime:
        """Mail servers tell whole seconds: let what comes now be later than what was."""
        self.clock.passes(timedelta(seconds=1))
        return self.now.replace(microsecond=0)

    def deliver_all(self, raws: Iterable[bytes]) -> None:
        mails = list(raws)
        self.brought += len(mails)
        self.box.deliver_all(mails)

    def _sort(self, letter: Letter) -> None:
        """What the mail server of the organisation does: letters to us, plus-addressed or not, come home."""
        for recipient in letter.rcpt_to:
            local, _, domain = recipient.lower().rpartition("@")
            if f"{local.partition('+')[0]}@{domain}" == OURS:
                trace = f"Return-Path: <{letter.mail_from}>\r\nDelivered-To: {recipient}\r\n"
                self._put(trace.encode() + letter.raw)
        if (back := self.writes_back(letter)) is not None:
            self._put(back)

    def _put(self, raw: bytes) -> None:
        self.brought += 1
        self._bag.put(raw)

    def _carry(self) -> None:
        while (raw := self._bag.get()) is not None:
            self.box.deliver(raw, at=self._next_second())

    # the house

    @contextmanager
    def open(self) -> Iterator[Town]:
        """The town with its postman; ends with the test."""
        self.smtp.on_letter = self._sort
        self._postman.start()
        try:
            yield self
        finally:
            self.smtp.on_letter = None
            self._bag.put(None)
            self._postman.join(30)
            for office in (self.office, self.desk):
                office.book.close()

    @contextmanager
    def at_work(self, office: Office | None = None) -> Iterator[Supervisor]:
        """The daemon runs: its duties as the configuration has them, under its supervisor.  A fallen duty fails."""
        office = office or self.office
        bell, left = Bell(), list[str]()
        supervisor = Supervisor(office, build(office, self.pool), systemd=Systemd())
        thread = threading.Thread(target=lambda: left.extend(supervisor.run(bell)), daemon=True)
        thread.start()
        try:
            yield supervisor
        finally:
            bell.ring()
            thread.join(30)
            bell.close()
        assert not thread.is_alive() and not left, f"the house did not close: {left}"

    def another_office(self) -> Office:
        """A further program on this store; whoever opens it closes its book.

        It polls: Dovecot tells of new mail in IDLE half a second late, and there are many mails here.
        """
        office = an_office(self._folder, wall=self.clock, **self._sections)
        boxes = [box.model_copy(update={"idle": False, "poll_seconds": POLL}) for box in office.settings.mailbox]
        office.settings = office.settings.model_copy(update={"mailbox": tuple(boxes)})
        return office

    def configuration(self) -> Path:
        """The same as a file, for programs in processes of their own; they live by the machine's clock."""
        settings = self.desk.settings
        tree = {"database": {"url": settings.database.url}, "handler": HANDLERS, **self._sections}
        tree["organisation"] = {**ORGANISATION, **tree["organisation"]}
        return write_configuration(self._folder, {name: _list(table) for name, table in tree.items() if table})

    def lives_now(self) -> None:
        """Let the hours of the town be the machine's."""
        self.clock.passes(wall_clock() - self.now)

    def until(self, seen: Callable[[], object], *, what: str = "it", seconds: float = PATIENCE) -> None:
        """As soon as `seen()`; in vain it says how the town stands."""
        end = time.monotonic() + seconds
        while not seen():
            if time.monotonic() > end:
                pytest.fail(f"waited {seconds:.0f} s in vain for {what}: {self.state()}")
            time.sleep(0.02)

    def until_filed(self) -> None:
        """Every mail that was brought has its fate and has left the inbox."""
        self.until(lambda: self.moved() >= self.brought, what="all to be filed")

    def until_quiet(self) -> None:
        """Nothing is left to do at this hour: all is filed, and every letter that may leave has left."""

        def is_quiet() -> bool:
            return self.moved() >= self.brought and not self._due() and self.moved() >= self.brought

        self.until(is_quiet, what="the house to be quiet")
        assert not self.box.uids(), "the inbox is empty"

    def until_the_clock_rests(self) -> None:
        """The clock has nothing more to do at this hour either, and all that it wrote has left."""

        def rests() -> bool:
            upcoming = clockwork.next_instant(self.desk, now=self.desk.now())
            return upcoming is None or upcoming > self.now

        self.until(rests, what="the clock to be done")
        self.until_quiet()

    def moved(self) -> int:
        """How many mails have left the inbox with their fate."""
        with self.desk.book.read() as session:
            return session.scalar(select(func.count()).where(col(Arrival.moved_at).is_not(None))) or 0

    def _due(self) -> int:
        due = (col(LetterRow.state) == "queued") & (col(LetterRow.next_try_at) <= self.now)
        with self.desk.book.read() as session:
            return session.scalar(select(func.count()).where(due | (col(LetterRow.state) == "sending"))) or 0

    # what can be seen

    def state(self) -> dict[str, Any]:
        """How it stands, for whoever waits in vain."""
        counts = {}
        for state in (col(Arrival.state), col(LetterRow.state)):
            with self.desk.book.read() as session:
                counts[str(state)] = dict(map(tuple, session.execute(select(state, func.count()).group_by(state))))
        return counts | {"inbox": self.box.uids(), "brought": self.brought}

    def arrivals(self) -> list[Arrival]:
        """The fate of every mail, in the order in which they were stored."""
        with self.desk.book.read() as session:
            found = list(session.scalars(select(Arrival).order_by(col(Arrival.id))))
            session.expunge_all()
        return found

    def fates(self) -> list[str]:
        """The fates of what others wrote (not of the copies of our letters), in order."""
        return [one.state for one in self.arrivals() if one.state != "own"]

    def cases(self) -> list[views.CaseView]:
        """All cases, the oldest first."""
        with self.desk.book.read() as session:
            ids = list(session.scalars(select(col(Case.id)).order_by(col(Case.id))))
            return [views.case(session, one, now=self.now) for one in ids]

    def cases_in_brief(self) -> list[Case]:
        """The rows of all cases, the oldest first."""
        with self.desk.book.read() as session:
            found = list(session.scalars(select(Case).order_by(col(Case.id))))
            session.expunge_all()
        return found

    def case(self, reference: str) -> views.CaseView:
        [found] = [one for one in self.cases() if one.row.reference == reference]
        return found

    def case_of(self, address: str) -> views.CaseView:
        """The one case of this complainant."""
        [found] = [one for one in self.cases() if one.row.complainant_address == address]
        return found

    def letters_to(self, address: str) -> list[Letter]:
        """What was sent to this address."""
        return [letter for letter in self.smtp.letters if letter.rcpt_to[0] == address]

    def tray(self, state: str = "held") -> list[views.ArrivalView]:
        with self.desk.book.read() as session:
            return views.tray(session, state)

    def bytes_of(self, message: views.MessageView) -> bytes:
        """The bytes of a message, as the store has them."""
        with self.desk.book.read() as session:
            raw_id = views.raw_id_of(session, message.id)
        assert raw_id is not None
        return self.raw(raw_id)

    def raw(self, raw_id: int) -> bytes:
        """Bytes of the store by their number."""
        with self.desk.book.read() as session:
            return unpack(views.raw(session, raw_id)[1])

    def duty(self, name: str) -> views.DutyView | None:
        """How a duty fares, as `amendsd status` tells it; None before its first word."""
        with self.desk.book.read() as session:
            return next((one for one in views.duties(session) if one.name == name), None)

    def intake(self) -> tuple[bool, int, int]:
        """What `amendsd status` tells of the mailbox: connected, waiting, unaccounted for."""
        told = self.duty("intake.complaints")
        detail = {} if told is None else told.detail
        return bool(detail.get("connected")), detail.get("waiting", 0), detail.get("unaccounted", 0)

    def prove_whole(self) -> None:
        """The ledger is intact, as `amendsd verify` sees it."""
        verdict = verify(self.desk.book)
        assert verdict.intact, verdict.problems

    # the desk

    def do(self, verb: Callable[..., Any], case: views.CaseView, *words: Any, actor: Actor = AMARA, **more: Any) -> Any:
        """A verb on a case, by a handler, now."""
        return verb(self.desk, case.row.id, *words, actor=actor, now=self.now, **more)

    def decide(self, verb: Callable[..., Any], waits: views.ArrivalView, *words: Any, **more: Any) -> Any:
        """A verb on a message of the tray, by a handler, now."""
        return verb(self.desk, waits.id, *words, actor=AMARA, now=self.now, **more)

    def write(self, case: views.CaseView, text: str) -> int:
        """A handler writes to the complainant; the letter's number."""
        number: int = self.do(correspondence.draft, case, LetterKind.REPLY, words=Words(message=text))
        correspondence.send(self.desk, number, actor=AMARA, now=self.now)
        return number

    def respond(self, case: views.CaseView, reasons: str = "We have looked into it.") -> int:
        """A handler gives the final response; the letter's number."""
        words = Words(outcome="We do not uphold it.", reasons=reasons, remedy="", next_steps="")
        number: int = self.do(correspondence.draft, case, LetterKind.FINAL_RESPONSE, words=words)
        finding = Finding(Outcome.NOT_UPHELD)
        correspondence.respond(self.desk, number, finding, actor=AMARA, now=self.now)
        return number


def _list(table: Any) -> Any:
    return list(table) if isinstance(table, tuple) else table
