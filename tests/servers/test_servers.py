"""The servers of the tests do what the tests believe of them."""

from __future__ import annotations

import smtplib
from datetime import UTC, datetime

import pytest
from imapclient import IMAPClient
from sqlalchemy import create_engine, text

from tests.servers import answers
from tests.servers.dovecot import PASSWORD, Account, Dovecot
from tests.servers.smtp import DROP, HANG, KEEP_AND_DROP, RESET, SmtpServer, Torn

MAIL = b"From: ann@example.org\r\nTo: us@example.org\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n\r\nHello.\r\n"
TIMEOUT = 60.0


@pytest.mark.server("dovecot")
def test_dovecot_keeps_what_is_delivered(mailbox: Account) -> None:
    at = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    first = mailbox.deliver(MAIL, at=at)
    mailbox.deliver_all([MAIL] * 3)
    assert mailbox.uids() == [first, first + 1, first + 2, first + 3]
    assert mailbox.raws()[0] == MAIL
    with mailbox.client("INBOX") as client:
        assert {b"IDLE", b"MOVE", b"UIDPLUS"} <= set(client.capabilities())
        assert client.fetch([first], ["INTERNALDATE"])[first][b"INTERNALDATE"] == at


@pytest.mark.server("dovecot")
def test_uidvalidity_changes_and_uids_start_again(mailbox: Account) -> None:
    mailbox.deliver_all([MAIL] * 3)
    mailbox.remove([1])
    before = mailbox.uidvalidity()
    assert mailbox.change_uidvalidity() != before
    assert mailbox.uids() == [1, 2]


@pytest.mark.server("dovecot")
def test_dovecot_survives_kill_and_restart_with_its_mail(own_dovecot: Dovecot) -> None:
    account = own_dovecot.account()
    account.deliver(MAIL)
    for end in (own_dovecot.kill, own_dovecot.stop):
        end()
        assert not answers(own_dovecot.port)
        own_dovecot.start()
        assert account.raws() == [MAIL]


@pytest.mark.server("dovecot")
def test_dovecot_speaks_tls_with_its_own_authority(dovecot: Dovecot) -> None:
    import ssl

    context = ssl.create_default_context(cafile=str(dovecot.ca_file))
    with IMAPClient("127.0.0.1", dovecot.tls_port, ssl=True, ssl_context=context) as client:
        client.login("somebody", PASSWORD)


@pytest.mark.server("postgres")
def test_databases_are_new_for_each_test(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM cases")).scalar() == 0
        connection.execute(text("INSERT INTO counters VALUES ('X', 2026, 1)"))
    engine.dispose()


test_databases_are_new_again = test_databases_are_new_for_each_test


def _send(server: SmtpServer, *, timeout: float = TIMEOUT) -> None:
    with smtplib.SMTP("127.0.0.1", server.port, timeout=timeout) as client:
        client.sendmail("us@example.org", ["ann@example.org"], MAIL)


def test_the_smtp_server_keeps_letters(smtp: SmtpServer) -> None:
    _send(smtp)
    [letter] = smtp.wait_for(1)
    assert (letter.mail_from, letter.rcpt_to, letter.header("Subject")) == (
        "us@example.org",
        ("ann@example.org",),
        "hello",
    )


@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "dot"])
def test_the_smtp_server_answers_by_script_and_then_behaves(smtp: SmtpServer, step: str) -> None:
    smtp.script(step, "451 4.3.0 Later")  # type: ignore[arg-type]
    with pytest.raises((smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused)):
        _send(smtp)
    assert smtp.letters == []
    _send(smtp)
    assert len(smtp.letters) == 1


@pytest.mark.parametrize(
    ("step", "action", "kept"),
    [
        ("connect", DROP, 0),
        ("data", DROP, 0),
        ("data", RESET, 0),
        ("dot", DROP, 0),
        ("dot", HANG, 0),
        ("dot", KEEP_AND_DROP, 1),
        ("dot", Torn(b"25"), 1),
    ],
)
def test_the_smtp_server_breaks_off_where_the_script_says(
    smtp: SmtpServer, step: str, action: object, kept: int
) -> None:
    smtp.script(step, action)  # type: ignore[arg-type]
    with pytest.raises((OSError, smtplib.SMTPException)):
        _send(smtp, timeout=2 if action == HANG else TIMEOUT)
    assert len(smtp.letters) == kept


def test_the_smtp_server_demands_a_log_in() -> None:
    server = SmtpServer(account=("us", "secret")).start()
    try:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=TIMEOUT) as client:
            client.login("us", "secret")
            client.sendmail("us@example.org", ["ann@example.org"], MAIL)
        with pytest.raises(smtplib.SMTPSenderRefused):
            _send(server)
        assert len(server.letters) == 1
    finally:
        server.stop()
