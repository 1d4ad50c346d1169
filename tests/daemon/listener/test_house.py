"""The daemon as a process: mail by LMTP in, acknowledgements by SMTP out."""

from __future__ import annotations

import random
import signal
import smtplib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col

from amends.casework.office import open_office
from amends.config import load
from amends.ledger.tables import Letter
from tests.daemon.listener.wire import MAIL, US, kept
from tests.servers import until
from tests.servers.smtp import SmtpServer


@pytest.fixture
def config(tmp_path: Path, sqlite_url: str, smtp: SmtpServer) -> Path:
    path = tmp_path / "amends.toml"
    path.write_text(
        f"""
        [organisation]
        name = "Northwind Homes"
        address = "{US}"
        [database]
        url = "{sqlite_url}"
        [listener]
        lmtp = "unix:amends-lmtp.sock"
        [smtp]
        host = "127.0.0.1"
        port = {smtp.port}
        security = "none"
        """
    )
    return path


@contextmanager
def amendsd(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "daemon", "--config", str(config), "run"]
    with (config.parent / "log").open("ab") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log, cwd=Path(__file__).parents[3])
    try:
        until(lambda: answers(config), seconds=180, what="the socket")
        yield process
    finally:
        process.kill()
        process.wait(60)


def answers(config: Path) -> bool:
    try:
        with smtplib.LMTP(str(config.parent / "amends-lmtp.sock")):
            return True
    except (OSError, smtplib.SMTPException):
        return False


def deliver(config: Path, number: int) -> bool:
    """Whether the answer was 250, as a mail server that must try again otherwise would see it."""
    her = f"edith{number}@example.org"
    raw = b"Message-ID: <%d@example.org>\r\n" % number + MAIL.replace(b"edith@example.org", her.encode())
    try:
        with smtplib.LMTP(str(config.parent / "amends-lmtp.sock"), timeout=120) as client:
            return client.sendmail(her, [US], raw) == {}
    except (OSError, smtplib.SMTPException):
        return False


def letters(config: Path) -> dict[str, str]:
    """The state of the letter to each address."""
    with open_office(load(config)).book.read() as session:
        rows = list(session.connection().execute(select(col(Letter.to_address), col(Letter.state))))
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_a_complaint_by_lmtp_is_acknowledged_and_the_daemon_ends_cleanly(config, smtp):
    with amendsd(config) as process:
        assert deliver(config, 1)
        (letter,) = smtp.wait_for(1, seconds=180)
        assert letter.rcpt_to == ("edith1@example.org",)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not (config.parent / "amends-lmtp.sock").exists()


def test_killed_again_and_again_it_keeps_each_message_once_and_acknowledges_each_once(config, smtp):
    dice = random.Random(4)
    waiting = list(range(30))
    for life in range(4):
        with amendsd(config) as process:
            until_killed = time.monotonic() + (dice.uniform(0.05, 0.6) if life < 3 else 1000)
            while waiting and time.monotonic() < until_killed:
                if deliver(config, waiting[0]):
                    waiting.pop(0)
            if life < 3:
                process.kill()
                continue
            until(lambda: len(letters(config)) == 30 and not {"queued", "sending"} & set(letters(config).values()))
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    assert waiting == []
    assert len(kept(open_office(load(config)))) == 30
    arrived = Counter(letter.rcpt_to[0] for letter in smtp.letters)
    states = letters(config)
    assert set(arrived.values()) == {1}
    assert set(states) == {f"edith{number}@example.org" for number in range(30)}
    # a kill at the final dot leaves a letter of which nobody knows, and the daemon says so
    assert {to for to, state in states.items() if state != "uncertain"} <= set(arrived)
