"""The whole duty: mail that was answered 250 becomes cases, whatever happens in between."""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col

from amends.casework import intake
from amends.casework.intake import Incoming
from amends.casework.office import Office
from amends.config import Listener
from amends.kernel.errors import TryLater
from amends.ledger.tables import Arrival, Letter
from amends.letters import tokens
from daemon.listener.duty import ListenerDuty
from daemon.reading.filer import Filer
from daemon.reading.pool import ReadingPool
from daemon.supervision.health import Heart
from tests.builders import NOW, an_office, case_of, post_all
from tests.daemon.listener.wire import HER, MAIL, US, Client, kept, socket_of, stuffed, trace
from tests.servers import until


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return an_office(tmp_path, organisation={"aliases": ("help@northwind.example",)})


@contextmanager
def at_work(office: Office, outbox: Callable[[], None] = lambda: None) -> Iterator[Heart]:
    pool = ReadingPool(office.settings, workers=1)
    duty = ListenerDuty(office, Listener(lmtp="unix:amends-lmtp.sock"), Filer(office, pool, outbox=outbox))
    heart = Heart(duty.name, duty.silence, threading.Event())
    thread = threading.Thread(target=duty.run, args=(heart,))
    thread.start()
    try:
        until(lambda: heart.tried and socket_of(office).exists())
        yield heart
    finally:
        heart.stop()
        thread.join(60)
        pool.close()
    assert not thread.is_alive()


def deliver(office: Office, raw: bytes, recipient: str = US, *, sender: str = HER) -> None:
    with smtplib.LMTP(str(socket_of(office))) as client:
        assert client.sendmail(sender, [recipient], raw) == {}


def arrivals(office: Office) -> list[Arrival]:
    with office.book.read() as session:
        found = list(session.scalars(select(Arrival).order_by(col(Arrival.id))))
        session.expunge_all()
        return found


def fates(office: Office) -> list[str]:
    return [one.state for one in arrivals(office)]


def letters(office: Office) -> list[Letter]:
    with office.book.read() as session:
        found = list(session.scalars(select(Letter).order_by(col(Letter.id))))
        session.expunge_all()
        return found


def test_a_complaint_becomes_a_case_with_its_acknowledgement_and_the_outbox_is_woken(tmp_path, database_url):
    office = an_office(tmp_path, url=database_url)
    woken = threading.Event()
    with at_work(office, woken.set) as heart:
        deliver(office, MAIL)
        until(lambda: fates(office) == ["filed"])
        assert woken.wait(60)
        until(lambda: heart.detail["kept"] == 1)
    (letter,) = letters(office)
    assert (letter.kind, letter.state, letter.to_address) == ("acknowledgement", "queued", HER)


def test_one_message_to_two_of_our_addresses_is_one_case(office):
    with at_work(office):
        with Client(socket_of(office)) as client:  # smtplib reads one answer only
            client.greet().envelope(US, "help@northwind.example").send(stuffed(MAIL))
            assert [client.reply()[:3], client.reply()[:3]] == ["250", "250"]
        until(lambda: fates(office) == ["filed"])
    assert len(letters(office)) == 1


def test_one_message_delivered_once_for_each_of_our_addresses_is_one_case(office):
    mail = b"Message-ID: <one@example.org>\r\n" + MAIL
    with at_work(office):
        deliver(office, mail)
        deliver(office, mail, "help@northwind.example")
        until(lambda: sorted(fates(office)) == ["duplicate", "filed"])
    assert len(letters(office)) == 1


def test_what_a_crash_left_between_the_answer_and_the_filing_is_filed_at_the_next_start(office):
    left = [Incoming("listener:lmtp", None, None, trace() + MAIL, NOW)]
    intake.store(office, left, now=NOW)
    with at_work(office):
        until(lambda: fates(office) == ["filed"])
    assert len(letters(office)) == 1


def test_the_envelope_says_which_case_a_reply_belongs_to(office):
    with at_work(office):
        deliver(office, MAIL)
        until(lambda: fates(office) == ["filed"])
        case = case_of(office, letters(office)[0].case_id)
        reference = case.row.reference
        tagged = tokens.plus_address(reference, US, office.key)
        blind = b"From: edith@example.org\r\nTo: undisclosed-recipients:;\r\nSubject: More\r\n\r\nStill cold.\r\n"
        deliver(office, blind, tagged)
        until(lambda: fates(office) == ["filed", "filed"])
    assert [one.subject for one in case_of(office, reference).messages if one.direction == "in"] == ["Cold", "More"]


def test_a_delivery_report_to_the_letters_own_sender_marks_the_letter(office):
    with at_work(office):
        deliver(office, MAIL)
        until(lambda: fates(office) == ["filed"])
        assert len(post_all(office, now=office.now())) == 1
        (letter,) = letters(office)
        bounce = (
            b"From: MAILER-DAEMON@mx.example.org\r\nTo: undisclosed-recipients:;\r\nSubject: Undelivered Mail\r\n"
            b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
            b"--b\r\n\r\nThere is no such user.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
            b"Reporting-MTA: dns; mx.example.org\r\n\r\n"
            b"Final-Recipient: rfc822; edith@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
        )
        home = tokens.bounce_address(letter.message_id or "", US, office.key)
        deliver(office, bounce, home, sender="")
        until(lambda: fates(office) == ["filed", "filed"])
    assert [one.state for one in letters(office) if one.id == letter.id] == ["bounced"]


def test_while_nothing_can_be_filed_mail_is_kept_and_later_filed_from_its_whole_text(office, monkeypatch):
    real, tried = intake.file, threading.Semaphore(0)

    def busy(*_args, **_named):
        tried.release()
        raise TryLater("Another program is using the database; try again in a moment.")

    monkeypatch.setattr("daemon.listener.duty._AGAIN_AFTER", 0.05)
    monkeypatch.setattr(intake, "file", busy)
    with at_work(office) as heart:
        deliver(office, MAIL)
        for _ in range(intake.MAX_TRIES + 2):
            assert tried.acquire(timeout=60)
        until(lambda: heart.state == "failing")
        assert heart.error == "Another program is using the database; try again in a moment."
        deliver(office, MAIL + b"Another.\r\n")
        monkeypatch.setattr(intake, "file", real)
        until(lambda: fates(office) == ["filed", "filed"])
        until(lambda: heart.state == "running")
    assert [one.tries for one in arrivals(office)] <= [1, 2]
    case = case_of(office, letters(office)[0].case_id)
    assert case.messages[0].text.strip() == "No heating."


def test_the_duty_ends_when_it_is_asked_to(office):
    with at_work(office):
        pass
    assert not socket_of(office).exists()


def test_a_network_thread_that_fell_ends_the_duty_so_that_the_supervisor_starts_it_again(office, monkeypatch):
    monkeypatch.setattr("daemon.listener.duty.LOOK_EVERY", 0.05)
    pool = ReadingPool(office.settings, workers=1)
    duty = ListenerDuty(office, Listener(lmtp="unix:amends-lmtp.sock"), Filer(office, pool, outbox=lambda: None))

    async def fall(self):
        raise OSError("gone")

    monkeypatch.setattr("daemon.listener.network.Network._figures", fall)
    with pytest.raises(OSError, match="gone"):
        duty.run(Heart(duty.name, duty.silence, threading.Event()))
    pool.close()


def test_a_large_backlog_is_taken_from_the_store_in_parts(office, monkeypatch):
    monkeypatch.setattr(intake, "PENDING_BYTES", 2 * len(trace() + MAIL) + 10)
    for number in range(5):
        raw = trace() + MAIL + b"%d\r\n" % number
        intake.store(office, [Incoming("listener:lmtp", None, None, raw, NOW)], now=NOW)
    assert len(intake.pending(office)) == 2
    monkeypatch.setattr(intake, "PENDING_BYTES", 1)
    assert len(intake.pending(office)) == 1
    with at_work(office):
        until(lambda: fates(office) == ["filed"] * 5)
    assert len(kept(office)) == 5
