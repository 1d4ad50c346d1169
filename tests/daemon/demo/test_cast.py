"""The script is a fair sample of a complaints mailbox, and its mails are mails."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.utils import parseaddr

import pytest
from imapclient import IMAPClient

from amends.kernel.share import templates_folder
from daemon.demo.cast import Cast, compose, is_automatic, is_decision, read_script, reply_to
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
BY_HAND = LETTER.replace(b"Auto-Submitted: auto-replied\r\n", b"")
DECISION = BY_HAND.replace(
    b"Subject: Your complaint NW-2026-000001-11", b"Subject: [NW-2026-000001-11] Our answer to your complaint"
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


def test_who_answers_an_acknowledgement_waits_for_it_and_each_person_answers_a_letter_once():
    with MailServer(address=OURS, username="u", password="p", nobody=SCRIPT.nobody) as server:
        cast = Cast(SCRIPT, server.hands, smtp_port=server.smtp_port, to=OURS, every=0.01)
        cast.start()
        first = {mail.name for mail in SCRIPT.mails if not mail.to_thread}
        _until(lambda: set(cast.sent) == first)
        assert not cast.played.is_set()
        for mail in SCRIPT.mails:
            if mail.is_complaint:
                server.hands.put(mail.address, LETTER)
        assert cast.played.wait(60) and sorted(cast.sent) == sorted(mail.name for mail in SCRIPT.mails)
        with IMAPClient("127.0.0.1", server.imap_port, ssl=False) as client:
            client.login("u", "p")
            for letter, answers in ((BY_HAND, 1), (BY_HAND, 1), (DECISION, 2), (BY_HAND, 2), (DECISION, 2)):
                for person in SCRIPT.people:
                    server.hands.put(person.address, letter)
                _until(lambda answers=answers: len(_answers(client)) >= answers * len(SCRIPT.people))
            cast.stop()
            answers = _answers(client)
        assert cast.failed is None and len(answers) == 2 * len(SCRIPT.people)
        for person in SCRIPT.people:
            to_the_letter, to_the_decision = [text for address, text in answers if address == person.address]
            assert to_the_letter == SCRIPT.answer_of(person, to_decision=False)
            assert to_the_decision == SCRIPT.answer_of(person, to_decision=True)


def _answers(client):
    """Who has written about the letters of a handler, and what, in order."""
    client.select_folder("INBOX", readonly=True)
    found = client.fetch(client.search("ALL"), ["BODY.PEEK[]"])
    mails = [message_from_bytes(found[uid][b"BODY[]"], policy=policy.default) for uid in sorted(found)]
    bodies = [(parseaddr(str(mail["From"]))[1], mail.get_body(("plain",))) for mail in mails]
    texts = [(address, body.get_content().replace("\r\n", "\n")) for address, body in bodies if body is not None]
    said = {answer.text for answer in SCRIPT.answers}
    return [(address, text) for address, text in texts if text in said]


def test_everybody_has_an_answer_to_a_letter_and_one_to_the_decision():
    assert len({person.address for person in SCRIPT.people}) == len(SCRIPT.people) > 20
    refused = [person for person in SCRIPT.people if not person.content]
    assert 5 < len(refused) < len(SCRIPT.people) / 2
    for person in SCRIPT.people:
        assert SCRIPT.answer_of(person, to_decision=False) != SCRIPT.answer_of(person, to_decision=True)


def test_people_know_the_decision_by_the_subject_of_the_letter_that_ships():
    first_line = (templates_folder() / "en" / "final-response.txt").read_text().splitlines()[0]
    assert first_line.encode().removeprefix(b"Subject: ") in DECISION and is_decision(DECISION)
    assert is_automatic(LETTER) and not is_automatic(BY_HAND) and not is_decision(BY_HAND)


def _until(seen, seconds=60):
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.1)
