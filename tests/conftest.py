"""What every test may ask for.  `tests/servers/__init__.py` says how to use the servers."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.servers import need
from tests.servers.dovecot import Account, Dovecot
from tests.servers.postgres import Postgres
from tests.servers.smtp import SmtpServer
from tests.shipped import read_once
from tests.statements import compile_once

MEMORY: Final = Path("/dev/shm")  # a file system of Linux that never touches a disk
ROOM: Final = 2 * 2**30  # bytes that the tests may need there

# No example has a deadline: how quick a machine is, is no property of our code.
settings.register_profile("ordinary", deadline=None, max_examples=60)
settings.register_profile("nightly", deadline=None, max_examples=5000)
settings.load_profile("nightly" if os.environ.get("AMENDS_NIGHTLY") else "ordinary")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "ignore:Requiring AUTH while not requiring TLS:UserWarning")
    _work_in_memory()
    compile_once()
    read_once()


def _work_in_memory() -> None:
    """Make temporary folders where a commit waits for no disk, unless TMPDIR says where they shall be.

    The stores commit as durably as ever; a test can kill a process, but cut nobody's power.
    """
    if os.environ.get("TMPDIR") or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        return
    os.environ["TMPDIR"] = str(MEMORY)  # for our workers, and for the programs that the tests start
    tempfile.tempdir = None  # it is asked for anew


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: begun last, one of them would leave every other worker idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("server"):
        for name in marker.args:
            need(name)


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """The Dovecot that the tests share; it is never stopped."""
    server = Dovecot()
    server.start()
    yield server
    server.close()


@pytest.fixture
def own_dovecot() -> Iterator[Dovecot]:
    """A Dovecot that this test alone uses, to stop and to kill."""
    server = Dovecot()
    server.start()
    yield server
    server.close()


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Account:
    """A user with an empty mailbox."""
    return dovecot.account()


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    """An SMTP server without log-in and TLS, with nothing in its script."""
    server = SmtpServer().start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL that the tests share."""
    server = Postgres()
    server.start()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A new PostgreSQL database at the present schema."""
    url = postgres.database()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from amends.ledger.book import Book
    from amends.ledger.schema import migrate

    path = tmp_path_factory.mktemp("store") / "template.db"
    book = Book(f"sqlite:///{path}")
    migrate(book)
    book.close()
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A new SQLite store at the present schema."""
    path = tmp_path / "amends.db"
    shutil.copy(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server("postgres"))])
def database_url(request: pytest.FixtureRequest) -> str:
    """A new store at the present schema; the test runs once on SQLite and once on PostgreSQL."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url
