"""The demonstration's mail server is a mail server: IMAP with IDLE, MOVE and UIDPLUS, SMTP, and bounces."""

from __future__ import annotations

import select
import smtplib
import socket
import time
from email import message_from_bytes

import pytest
from imapclient import IMAPClient

from daemon.demo import mailserver
from daemon.demo.mailserver import HOST, MailServer

OURS = "complaints@northwind.example"
MAIL = (
    b"From: a@x.example\r\nTo: complaints@northwind.example\r\nSubject: Cold\r\n"
    b"Message-ID: <1@x.example>\r\n\r\nCold.\r\n"
)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(mailserver, "BOUNCE_AFTER", 0.05)
    with MailServer(address=OURS, username="complaints", password="pw", nobody=["gone@x.example"]) as running:
        yield running


@pytest.fixture
def box(server):
    with IMAPClient(HOST, server.imap_port, ssl=False, timeout=120) as client:
        client.login("complaints", "pw")
        yield client


def _told(box):
    """What the server tells whoever idles, once a whole line is there: imapclient takes half of one for broken."""
    assert select.select([box.socket()], [], [], 120)[0]
    time.sleep(0.2)
    return box.idle_check(timeout=120)


def _send(server, recipient, sender="a@x.example", raw=MAIL):
    with smtplib.SMTP(HOST, server.smtp_port, timeout=120) as smtp:
        smtp.sendmail(sender, [recipient], raw)


@pytest.mark.parametrize("recipient", [OURS, "Complaints+c.token@Northwind.example"])
def test_mail_for_us_wakes_whoever_idles_and_can_be_moved(server, box, recipient):
    assert {b"IDLE", b"MOVE", b"UIDPLUS"} <= set(box.capabilities())
    box.create_folder("Amends/Filed")
    box.select_folder("INBOX")
    box.idle()
    _send(server, recipient)
    assert (1, b"EXISTS") in _told(box)
    box.idle_done()
    raw = _only(box)
    assert raw.endswith(MAIL) and f"Delivered-To: {recipient}".encode() in raw
    box.move(box.search(), "Amends/Filed")
    assert box.search() == [] and box.select_folder("Amends/Filed")[b"EXISTS"] == 1


def test_a_letter_to_somebody_else_comes_into_their_hands(server):
    _send(server, "Margaret@postbox.example", sender="complaints+b.t@northwind.example")
    assert server.hands.wait(0, 20) == 1
    (letter,) = server.hands.of("margaret@POSTBOX.example")
    assert letter == b"Return-Path: <complaints+b.t@northwind.example>\r\n" + MAIL


def test_a_letter_to_nobody_comes_back_to_its_return_path_and_a_report_never_does(server, box):
    box.select_folder("INBOX")
    box.idle()
    _send(server, "gone@x.example", sender="")
    _send(server, "gone@x.example", sender="complaints+b.token@northwind.example")
    assert (1, b"EXISTS") in _told(box)
    box.idle_done()
    report = message_from_bytes(_only(box))
    assert report["Return-Path"] == "<>" and report["Delivered-To"] == "complaints+b.token@northwind.example"
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    status = report.get_payload(1).get_payload(1)
    assert status["Status"] == "5.1.1" and status["Final-Recipient"] == "rfc822;gone@x.example"
    assert "<1@x.example>" in report.get_payload(2).get_payload()
    assert server.hands.count() == 0


def test_a_wrong_password_opens_nothing(server):
    with IMAPClient(HOST, server.imap_port, ssl=False, timeout=120) as client, pytest.raises(client.Error):
        client.login("complaints", "wrong")


def test_a_taken_port_is_said_at_the_start():
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError), MailServer(address=OURS, username="u", password="p", smtp_port=port):
            pytest.fail("it cannot listen")


def _only(box):
    (uid,) = box.search()
    return box.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]
