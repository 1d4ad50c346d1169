from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.reading.pool import ReadingPool
from daemon.reading.worker import Limits
from tests.builders import an_office, some_settings
from tests.daemon.intake.bench import Desk
from tests.servers.dovecot import Account


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingPool]:
    pool = ReadingPool(
        some_settings(tmp_path_factory.mktemp("pool")),
        workers=2,
        limits=Limits(seconds=3.0, cpu_seconds=3),
        reader="tests.daemon.stand_in",
    )
    yield pool
    pool.close()


@pytest.fixture(autouse=True)
def ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a moment lost that only spares a server."""
    monkeypatch.setattr("daemon.intake.line.ASK_EVERY", 0.02)
    monkeypatch.setattr("daemon.intake.duty.STAND_BY", 0.02)
    monkeypatch.setattr("daemon.intake.duty.pause_after", lambda *_, **__: 0.01)


@pytest.fixture
def desk_at(tmp_path: Path, pool: ReadingPool) -> Callable[..., Desk]:
    """`desk_at(account, port=..., url=..., idle=...)`: a desk whose mailbox is this account."""

    def make(account: Account, *, url: str | None = None, **changes: Any) -> Desk:
        return Desk(an_office(tmp_path, url=url, mailbox=[account.section(**changes)]), pool)

    return make


@pytest.fixture
def desk(desk_at: Callable[..., Desk], mailbox: Account) -> Desk:
    return desk_at(mailbox)
