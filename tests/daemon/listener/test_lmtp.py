"""LMTP and SMTP against the real listener on a real store: what is kept, and what is said."""

from __future__ import annotations

import hashlib
import smtplib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from amends.casework import intake
from amends.casework.office import Office
from amends.kernel.errors import NeedsOperator, TryLater
from tests.builders import an_office
from tests.daemon.listener.wire import HER, MAIL, US, Client, kept, listening, socket_of, stuffed, trace
from tests.servers import free_port


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return an_office(tmp_path, organisation={"aliases": ("help@northwind.example",)})


def test_a_message_by_lmtp_is_kept_byte_for_byte(tmp_path, database_url):
    office = an_office(tmp_path, url=database_url)
    with listening(office), smtplib.LMTP(str(socket_of(office))) as client:
        assert client.sendmail(HER, [US], MAIL) == {}
    assert kept(office) == [trace() + MAIL]
    (pending,) = intake.pending(office, mailbox="listener:lmtp")
    assert pending.raw == trace() + MAIL


def test_a_message_by_smtp_is_kept_and_known_as_such(office):
    port = free_port()
    with listening(office, smtp=f"127.0.0.1:{port}"), smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(HER, [US], MAIL)
    assert [one.raw for one in intake.pending(office, mailbox="listener:smtp")] == [trace() + MAIL]


def test_dots_long_lines_and_all_octets_come_through_unchanged(office):
    raw = (
        MAIL
        + b".\r\n..\r\n.hidden\r\n"
        + bytes(range(256))
        + b"\r\n"
        + b"x" * 300_000
        + b"\r\n.\n.\r.\r\n"
        + b"\x00\xff\n"
    )
    sent = raw + b"\r\n"
    with listening(office), Client(socket_of(office)) as client:
        client.greet().envelope()
        client.send(stuffed(sent))
        assert client.reply().startswith("250 2.0.0 ")
    (whole,) = kept(office)
    assert hashlib.sha256(whole.removeprefix(trace())).hexdigest() == hashlib.sha256(sent).hexdigest()


def test_an_empty_message_is_a_message(office):
    with listening(office), Client(socket_of(office)) as client:
        client.greet().envelope()
        client.send(b".\r\n")
        assert client.reply().startswith("250 ")
    assert kept(office) == [trace()]


def test_two_recipients_of_ours_are_two_answers_and_one_message(office):
    with listening(office), Client(socket_of(office)) as client:
        client.greet().envelope(US, "help@northwind.example")
        client.send(stuffed(MAIL))
        assert [client.reply()[:3], client.reply()[:3], client.say("NOOP")[:3]] == ["250", "250", "250"]
    assert kept(office) == [trace(US, "help@northwind.example") + MAIL]


def test_smtp_answers_once_for_two_recipients(office):
    port = free_port()
    with listening(office, smtp=f"127.0.0.1:{port}"), Client(port) as client:
        client.greet("EHLO").envelope(US, "help@northwind.example")
        client.send(stuffed(MAIL))
        assert client.reply().startswith("250 ")
        assert client.say("QUIT").startswith("221 ")


def test_the_same_message_again_is_the_same_message(office):
    with listening(office):
        for _ in range(2):
            with smtplib.LMTP(str(socket_of(office))) as client:
                client.sendmail(HER, [US], MAIL)
    assert kept(office) == [trace() + MAIL]


@pytest.mark.parametrize(
    "recipient",
    [
        "complaints+nw-2026-000001.abcdefghijklm@northwind.example",
        "Complaints@NorthWind.EXAMPLE",
        "help+x@northwind.example",
    ],
)
def test_our_addresses_are_taken_in_any_case_and_with_any_tag(office, recipient):
    with listening(office), smtplib.LMTP(str(socket_of(office))) as client:
        client.sendmail(HER, [recipient], MAIL)
    assert kept(office) == [trace(recipient) + MAIL]


@pytest.mark.parametrize(
    "recipient",
    [
        "edith@example.org",
        "complaintsx@northwind.example",
        "complaints@northwind.example.evil.example",
        "complaints%northwind.example@relay.example",
        "postmaster@northwind.example",
        "+@northwind.example",
    ],
)
def test_mail_for_others_is_refused_and_never_relayed(office, recipient):
    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        client.say(f"MAIL FROM:<{HER}>")
        assert client.say(f"RCPT TO:<{recipient}>") == "550 5.1.1 There is no such mailbox here"
        assert client.say("DATA").startswith("503 5.5.1 ")
    assert kept(office) == []


def test_of_several_recipients_only_ours_are_answered_at_the_end(office):
    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        client.say(f"MAIL FROM:<{HER}>")
        answers = [client.say(f"RCPT TO:<{one}>")[:3] for one in (HER, US, "nobody@northwind.example")]
        assert answers == ["550", "250", "550"]
        client.say("DATA")
        client.send(stuffed(MAIL))
        assert client.reply().startswith("250 ")
        assert client.say("QUIT").startswith("221 ")
    assert kept(office) == [trace() + MAIL]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "complaints",
        "<complaints@northwind.example",
        "<a b@northwind.example>",
        "<@northwind.example>",
        "<a@b\x0bc>",
    ],
)
def test_a_malformed_path_is_refused(office, line):
    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        assert client.say(f"MAIL FROM:{line}").startswith(("553 5.1.3 ", "501 5.5.4 "))


def test_the_empty_sender_of_a_delivery_report_is_kept(office):
    with listening(office), smtplib.LMTP(str(socket_of(office))) as client:
        client.sendmail("", [US], MAIL)
    assert kept(office) == [trace().replace(HER.encode(), b"") + MAIL]


def test_a_return_path_that_the_sender_made_up_stands_below_the_true_one(office):
    forged = b"Return-Path: <>\r\n" + MAIL
    with listening(office), smtplib.LMTP(str(socket_of(office))) as client:
        client.sendmail(HER, [US], forged)
    assert kept(office) == [trace() + forged]


def test_what_the_mail_server_wrote_at_the_top_is_not_written_again(office):
    whole = trace() + b"Received: from mx by mx2; Mon, 23 Nov 2026 09:00:00 +0000\r\n" + MAIL
    with listening(office), smtplib.LMTP(str(socket_of(office))) as client:
        client.sendmail(HER, [US], whole)
    assert kept(office) == [whole]


def test_an_address_outside_ascii_needs_smtputf8(office):
    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        assert client.say("MAIL FROM:<jürgen@example.org>").startswith("553 5.6.7 ")
        assert client.say("MAIL FROM:<jürgen@example.org> BODY=8BITMIME SMTPUTF8").startswith("250 ")
        assert client.say(f"RCPT TO:<{US}>").startswith("250 ")
        client.say("DATA")
        client.send(stuffed(MAIL))
        assert client.reply().startswith("250 ")
    assert kept(office) == [trace(sender="jürgen@example.org") + MAIL]


def test_a_message_that_says_it_is_too_large_is_refused_at_mail(office):
    with listening(office, lmtp="unix:amends-lmtp.sock", max_megabytes=1), Client(socket_of(office)) as client:
        client.greet()
        assert client.say(f"MAIL FROM:<{HER}> SIZE=1048577").startswith("552 5.3.4 ")
        assert client.say(f"MAIL FROM:<{HER}> SIZE=1048576").startswith("250 ")


def test_a_message_of_exactly_the_limit_is_taken_and_one_octet_more_is_not(office):
    with listening(office, lmtp="unix:amends-lmtp.sock", max_megabytes=1), Client(socket_of(office)) as client:
        client.greet()
        for size, answer in ((2**20, "250 2.0.0 "), (2**20 + 1, "552 5.3.4 ")):
            raw = (MAIL + b".\r\n" * 2**19)[: size - 2] + b"\r\n"
            client.envelope()
            client.send(stuffed(raw))
            assert client.reply().startswith(answer)
    assert [len(one) - len(trace()) for one in kept(office)] == [2**20]


def test_a_large_message_is_thrown_away_while_it_comes_and_the_next_one_is_taken(office):
    with (
        listening(office, lmtp="unix:amends-lmtp.sock", max_megabytes=1) as network,
        Client(socket_of(office)) as client,
    ):
        client.greet().envelope(US, "help@northwind.example")
        client.send(b"x" * 1_200_000, b"\r\nMAIL FROM:<evil@example.org>\r\n" * 10)
        room = network._room
        assert all(len(one._reader._buffer) < 2**18 for one in room.sessions)
        client.send(b"\r\n.\r\n")
        assert [client.reply()[:9], client.reply()[:9]] == ["552 5.3.4"] * 2
        assert room._octets == 0
        client.envelope()
        client.send(stuffed(MAIL))
        assert client.reply().startswith("250 ")
    assert kept(office) == [trace() + MAIL]


def test_a_client_that_goes_on_for_ever_is_cut_off_and_nothing_of_it_is_taken_for_commands(office):
    smuggled = f"MAIL FROM:<{HER}>\r\nRCPT TO:<{US}>\r\nDATA\r\nSubject: forged\r\n\r\n..\r\n".encode()
    with listening(office, lmtp="unix:amends-lmtp.sock", max_megabytes=1), Client(socket_of(office)) as client:
        client.greet().envelope()
        with pytest.raises(OSError):
            for _ in range(200):
                client.send(smuggled * 1000)
        answers = client.rest()
    assert all(answer[:3] in ("552", "421") for answer in answers)
    assert kept(office) == []


def test_the_memory_of_all_messages_together_is_bounded(office):
    with listening(office, lmtp="unix:amends-lmtp.sock", max_megabytes=1) as network:
        clients = [Client(socket_of(office)).greet().envelope() for _ in range(6)]
        for client in clients:
            client.send(MAIL, b"y" * 900_000, b"\r\n")
        for client in clients:
            client.send(b".\r\n")
        answers = sorted(client.reply()[:9] for client in clients)
        for client in clients:
            client.socket.close()
        assert network._room._octets == 0
    assert answers[0] == "250 2.0.0" and answers[-1] == "452 4.3.1"


@pytest.mark.parametrize("fault", [NeedsOperator("The disk is full."), TryLater("Busy."), RuntimeError("secret words")])
def test_what_cannot_be_kept_is_answered_451_for_each_recipient(office, monkeypatch, fault):
    def fail(*_args, **_named):
        raise fault

    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        for _ in range(2):
            client.envelope(US, "help@northwind.example")
            with monkeypatch.context() as patched:
                patched.setattr(intake, "store", fail)
                client.send(stuffed(MAIL))
                answers = [client.reply(), client.reply()]
            assert answers == ["451 4.3.0 The message could not be kept; try again later"] * 2
        client.envelope()
        client.send(stuffed(MAIL))
        assert client.reply().startswith("250 ")
    assert kept(office) == [trace() + MAIL]


def test_a_locked_store_is_answered_451_and_the_mail_is_taken_later(office, monkeypatch):
    monkeypatch.setattr("amends.ledger.book.BUSY_SECONDS", 0)
    office.book.close()
    office = an_office(office.settings.folder)
    with listening(office), Client(socket_of(office)) as client:
        client.greet().envelope()
        with office.book.write():
            client.send(stuffed(MAIL))
            assert client.reply().startswith("451 4.3.0 ")
        client.envelope()
        client.send(stuffed(MAIL))
        assert client.reply().startswith("250 ")


def test_an_unforeseen_error_never_quotes_itself(office, monkeypatch):
    def fail(*_args):
        raise RuntimeError("secret words")

    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        monkeypatch.setattr("daemon.listener.session.read_path", fail)
        assert client.say(f"MAIL FROM:<{HER}>") == "451 4.3.0 Something went wrong; try again later"


def test_one_message_that_cannot_be_stored_does_not_stand_in_the_way_of_others(office, monkeypatch):
    real = intake.store
    arrived = threading.Semaphore(0)
    together = threading.Event()

    def store(office, items, *, now):
        if not together.is_set():
            arrived.release()
            together.wait(60)
        if any(b"poison" in item.raw for item in items):
            raise ValueError("poison")
        return real(office, items, now=now)

    def deliver(text: bytes) -> str:
        with Client(socket_of(office)) as client:
            client.greet().envelope()
            client.send(stuffed(MAIL + text + b"\r\n"))
            return client.reply()[:3]

    monkeypatch.setattr(intake, "store", store)
    with listening(office) as network, ThreadPoolExecutor(4) as pool:
        first = pool.submit(deliver, b"first")
        assert arrived.acquire(timeout=60)
        others = [pool.submit(deliver, text) for text in (b"one", b"poison", b"two")]
        while network._keeper._orders.qsize() < 3:
            pass
        together.set()
        assert [one.result() for one in (first, *others)] == ["250", "250", "451", "250"]
    assert len(kept(office)) == 3


def test_fifty_clients_at_once_are_all_answered_and_all_kept(tmp_path, database_url):
    office = an_office(tmp_path, url=database_url)

    def deliver(number: int) -> str:
        with Client(socket_of(office)) as client:
            client.greet().envelope()
            client.send(stuffed(MAIL + b"%d\r\n" % number))
            return client.reply()[:3]

    with listening(office), ThreadPoolExecutor(50) as pool:
        assert list(pool.map(deliver, range(50))) == ["250"] * 50
    assert sorted(kept(office)) == sorted(trace() + MAIL + b"%d\r\n" % number for number in range(50))
