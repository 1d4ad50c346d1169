"""What the scenarios share: one mail server, one set of readers, and for each a town of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.clock import doubt
from daemon.reading.pool import ReadingPool
from tests.builders import some_settings
from tests.scenarios.town import AUTHSERV, Town
from tests.servers.dovecot import Account
from tests.servers.smtp import SmtpServer


@pytest.fixture(scope="session")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingPool]:
    """The real reading processes."""
    settings = some_settings(tmp_path_factory.mktemp("readers"), organisation={"authserv_id": AUTHSERV})
    pool = ReadingPool(settings, workers=2)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def _server() -> Iterator[SmtpServer]:
    server = SmtpServer().start()
    yield server
    server.stop()


@pytest.fixture
def server(_server: SmtpServer) -> Iterator[SmtpServer]:
    """The SMTP server of all scenarios, with nothing in its script and no letters."""
    _server.letters.clear()
    yield _server
    _server.behave()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sleeps long, and the time since the boot of the machine goes with the hours of the town."""
    monkeypatch.setattr("daemon.intake.line.ASK_EVERY", 0.05)
    monkeypatch.setattr("daemon.outbox.duty._LOOK_EVERY", 0.1)
    monkeypatch.setattr("daemon.supervision.health.WRITE_EVERY", 0.2)
    monkeypatch.setattr("daemon.supervision.health._AT_MOST_EVERY", 0.05)

    def in_town(wall: datetime) -> doubt.Reading:
        return doubt.Reading(wall, wall.timestamp(), "the boot of the town")

    monkeypatch.setattr(doubt, "read_clock", in_town)
    monkeypatch.setattr(doubt, "kept_by_ntp", lambda: True)


@pytest.fixture
def town_with(
    tmp_path: Path, mailbox: Account, server: SmtpServer, readers: ReadingPool
) -> Iterator[Callable[..., Town]]:
    """`town_with(mailbox={...}, letters={...})`: a town whose configuration has these values besides the usual."""
    with ExitStack() as stack:

        def make(*, box: Account = mailbox, pool: ReadingPool = readers, **sections: Any) -> Town:
            return stack.enter_context(Town(tmp_path, box, server, pool, sections).open())

        yield make


@pytest.fixture
def town(town_with: Callable[..., Town]) -> Town:
    return town_with()
