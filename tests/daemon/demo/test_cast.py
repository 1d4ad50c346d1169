"""The script is a fair sample of a complaints mailbox, and its mails are mails."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.utils import parseaddr

import pytest

from daemon.demo.cast import Cast, compose, is_automatic, read_script, reply_to
from daemon.demo.earlier import read_earlier
from daemon.demo.mailserver import MailServer

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
OURS = "complaints@northwind.example"
SCRIPT = read_script()

LETTER = (
    b"Return-Path: <complaints+b.token@northwind.example>\r\nFrom: Northwind <complaints@northwind.example>\r\n"
    b"Reply-To: complaints+c.token@northwind.example\r\nSubject: Your complaint NW-2026-000001-11\r\n"
    b"Message-ID: <letter@northwind.example>\r\nReferences: <first@postbox.example>\r\n"
    b"Auto-Submitted: auto-replied\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n\r\nThank you.\r\n"
)


def test_thirty_mails_come_in_and_every_kind_is_among_them():
    kinds = [mail.kind for mail in SCRIPT.mails]
    assert SCRIPT.arrivals == 30
    assert {"person", "auto-reply", "bulk"} == set(kinds)
    assert sum(bool(mail.to_thread and mail.kind == "person") for mail in SCRIPT.mails) >= 3
    assert [mail.name for mail in SCRIPT.mails if mail.photos] and [mail.name for mail in SCRIPT.mails if mail.html]
    assert any("Sehr geehrte" in mail.text for mail in SCRIPT.mails)
    assert {mail.charset for mail in SCRIPT.mails} > {"utf-8"}
    assert len(SCRIPT.nobody) == 1


def test_all_of_it_is_invented():
    addresses = [mail.address for mail in SCRIPT.mails] + [earlier.mail.address for earlier in read_earlier()]
    assert all(address.endswith(".example") for address in addresses)  # RFC 2606: nobody's


@pytest.mark.parametrize("mail", SCRIPT.mails, ids=lambda mail: mail.name)
def test_each_mail_reads_as_it_was_written(mail):
    raw = compose(mail, to=OURS, thread=reply_to(LETTER) if mail.to_thread else None, now=NOW)
    read = message_from_bytes(raw, policy=policy.default)
    assert raw.isascii() and all(len(line) <= 998 for line in raw.split(b"\r\n"))  # RFC 5322, 2.1.1
    assert parseaddr(str(read["From"]))[1] == mail.address
    assert str(read["Message-ID"]).endswith(f"{mail.address.rpartition('@')[2]}>")
    body = read.get_body(("plain", "html"))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n").startswith((mail.html or mail.text)[:200])
    assert [part.get_filename() for part in read.iter_attachments()] == list(mail.photos)


def test_a_hostile_subject_arrives_as_its_sender_wrote_it():
    raw = compose(SCRIPT.named("lee"), to=OURS, now=NOW)
    subject = str(message_from_bytes(raw, policy=policy.default)["Subject"])
    assert "\x1b]0;" in subject and "[@click=app.quit]" in subject and "\u202e" in subject


def test_a_person_answers_reply_to_and_a_machine_the_return_path():
    thread = reply_to(LETTER)
    person = message_from_bytes(compose(SCRIPT.named("margaret-gp"), to=OURS, thread=thread, now=NOW))
    machine = message_from_bytes(compose(SCRIPT.named("rupert-away"), to=OURS, thread=thread, now=NOW))
    assert person["To"] == "complaints+c.token@northwind.example"
    assert machine["To"] == "complaints+b.token@northwind.example"
    assert person["In-Reply-To"] == "<letter@northwind.example>"
    assert person["References"] == "<first@postbox.example> <letter@northwind.example>"
    assert person["Subject"] == "Re: Your complaint NW-2026-000001-11"
    assert "> Thank you." in person.get_payload(decode=True).decode()


def test_who_answers_an_acknowledgement_waits_for_it_and_nobody_answers_twice():
    with MailServer(address=OURS, username="u", password="p", nobody=SCRIPT.nobody) as server:
        cast = Cast(SCRIPT, server.hands, smtp_port=server.smtp_port, to=OURS, every=0.01)
        cast.start()
        first = {mail.name for mail in SCRIPT.mails if not mail.to_thread}
        _until(lambda: set(cast.sent) == first)
        assert not cast.played.is_set()
        for mail in SCRIPT.mails:
            if mail.is_complaint:
                server.hands.put(mail.address, LETTER)
        assert cast.played.wait(20) and sorted(cast.sent) == sorted(mail.name for mail in SCRIPT.mails)
        by_hand = LETTER.replace(b"Auto-Submitted: auto-replied\r\n", b"")
        assert is_automatic(LETTER) and not is_automatic(by_hand)
        server.hands.put("edith.pennyworth@postbox.example", by_hand)
        server.hands.put("edith.pennyworth@postbox.example", by_hand)
        answered: list[str] = []
        cast._tell = answered.append
        _until(lambda: bool(answered))
        cast.stop()
        assert (
            cast.failed is None
            and [line for line in answered if "Edith" not in line and "Pennyworth" not in line] == []
        )
        assert len(answered) == 1


def _until(seen, seconds=20):
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.02)
