"""Mail that came back: who failed, for good or for now, and which letter it was."""

from __future__ import annotations

import pytest

from amends.mail.facts import Kind, Reading
from amends.mail.read import read
from tests.mail.letters import OURS, mail, multipart

LETTER = (
    b"Received: from us by them\r\nMessage-ID: <NW-1.ack@northwind.example>\r\nFrom: " + OURS.encode() + b"\r\n"
    b"To: ada@home.example\r\nSubject: Your complaint\r\n\r\nDear Ada"
)


def report(group: str, *, returned: bytes = b"Content-Type: message/rfc822\r\n\r\n" + LETTER) -> Reading:
    status = f"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n{group}\r\n"
    raw = multipart(
        b"Content-Type: text/plain\r\n\r\nYour mail was not delivered.",
        status.encode(),
        returned,
        kind="report; report-type=delivery-status",
        sender="MAILER-DAEMON@mx.example",
        Return_Path="<>",
    )
    return read(raw, own_addresses={OURS})


FAILED = (
    "Original-Recipient: rfc822;Ada@home.example\r\nFinal-Recipient: rfc822; ada@home.example\r\n"
    "Action: failed\r\nStatus: 5.1.1"
)


def test_a_report_of_the_standard_form_names_recipient_and_letter():
    reading = report(FAILED)
    assert reading.kind is Kind.BOUNCE
    assert not reading.answerable
    assert reading.failed_recipients == ("ada@home.example",)
    assert reading.permanent_failure is True
    assert reading.gave_up
    assert reading.failed_message_ids == ("NW-1.ack@northwind.example",)
    assert reading.attachments == ()


def test_the_letter_is_found_when_only_its_head_came_back():
    head = b"Content-Type: text/rfc822-headers\r\n\r\n" + LETTER.split(b"\r\n\r\n")[0]
    assert report(FAILED, returned=head).failed_message_ids == ("NW-1.ack@northwind.example",)


@pytest.mark.parametrize(
    ("group", "permanent", "gave_up"),
    [
        ("Final-Recipient: rfc822;a@b.example\r\nAction: delayed\r\nStatus: 4.4.1", False, False),
        ("Final-Recipient: rfc822;a@b.example\r\nAction: failed\r\nStatus: 4.4.7", False, True),
        ("Final-Recipient: rfc822;a@b.example\r\nAction: Failed (bad)\r\nStatus: 5.0.0 (unknown)", True, True),
        ("Final-Recipient: rfc822;a@b.example\r\nAction: failed", True, True),
    ],
)
def test_a_delay_a_passing_failure_and_one_for_good_are_told_apart(group: str, permanent: bool, gave_up: bool):
    reading = report(group)
    assert (reading.permanent_failure, reading.gave_up) == (permanent, gave_up)
    assert reading.failed_recipients == ("a@b.example",)


def test_a_receipt_is_no_bounce():
    reading = report("Final-Recipient: rfc822;a@b.example\r\nAction: delivered\r\nStatus: 2.0.0")
    assert reading.kind is Kind.AUTO_REPLY
    assert reading.permanent_failure is None


QMAIL = """Hi. This is the qmail-send program at mx.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ada@home.example>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 unknown user

--- Below this line is a copy of the message.

Return-Path: <complaints@northwind.example>
Message-ID: <NW-1.ack@northwind.example>
To: ada@home.example
"""
EXIM = """This message was created automatically by mail delivery software.

A message that you sent has not yet been delivered to one or more of its
recipients after more than 24 hours on the queue on mx.example.

The address to which the message has not yet been delivered is:

  ada@home.example
    Delay reason: Connection timed out

No action is required on your part. Delivery attempts will continue.
"""
EXCHANGE = """Your message

  To:      friends@list.example
  Subject: Your complaint

did not reach the following recipient(s):

ada@home.example on Mon, 2 Nov 2026 10:00:00 +0100
    The recipient name is not recognized
"""
POSTFIX = """This is the mail system at host mx.example.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

<ada@home.example>: connect to home.example[192.0.2.1]:25: Connection timed out
"""


@pytest.mark.parametrize(
    ("subject", "text", "permanent", "gave_up"),
    [
        ("failure notice", QMAIL, True, True),
        ("Warning: message 1abc delayed 24 hours", EXIM, False, False),
        ("Undeliverable: Your complaint", EXCHANGE, True, True),
        ("Undelivered Mail Returned to Sender", POSTFIX, False, True),
    ],
)
def test_servers_of_other_habits_are_understood(subject: str, text: str, permanent: bool, gave_up: bool):
    reading = read(mail(text, sender="Mail Delivery System <MAILER-DAEMON@mx.example>", subject=subject))
    assert reading.kind is Kind.BOUNCE
    assert reading.failed_recipients == ("ada@home.example",)
    assert (reading.permanent_failure, reading.gave_up) == (permanent, gave_up)


def test_the_letter_is_found_in_the_words_of_a_report():
    reading = read(mail(QMAIL, sender="MAILER-DAEMON@mx.example", subject="failure notice"))
    assert reading.failed_message_ids == ("NW-1.ack@northwind.example",)


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Undeliverable parcel", "The parcel could not be delivered to my address. I want my money back."),
        ("Delivery failure", "Three times your driver did not ring. ada@home.example"),
        ("Returned mail", "You sent my letters back."),
        ("Fwd: Undelivered Mail Returned to Sender", QMAIL),
        ("Why does your mailbox bounce?", "550 5.1.1 is what I get when I write to you."),
    ],
)
def test_a_person_who_complains_of_a_delivery_is_no_bounce(subject: str, text: str):
    assert read(mail(text, subject=subject)).kind is Kind.PERSON


def test_a_company_that_writes_from_its_mail_address_is_no_daemon():
    text = "Our order could not be delivered; the address does not exist, says your driver. Write to mail@shop.example."
    for sender in ("mail@shop.example", "admin@shop.example", "Mail Order Ltd <system@shop.example>", ""):
        assert read(mail(text, sender=sender, subject="Delivery failure")).kind is Kind.PERSON
