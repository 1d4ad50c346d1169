"""A private PostgreSQL cluster; a database with the present schema costs a copy of a template."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers import answers, free_port, need, until

if TYPE_CHECKING:
    import psycopg


class Postgres:
    """One cluster on loopback, without passwords and without fsync (what is tested here is not its disk)."""

    def __init__(self) -> None:
        self._bin = need("postgres")
        self.folder = Path(tempfile.mkdtemp(prefix="amends-postgres-"))
        self.port = free_port()
        self._numbers = itertools.count(1)
        self._template: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._errands: psycopg.Connection[Any] | None = None
        self._owner = self._somebody()
        os.chown(self.folder, self._owner.pw_uid, self._owner.pw_gid)
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", "amends", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"
        )

    @staticmethod
    def _somebody() -> pwd.struct_passwd:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid())
        try:
            return pwd.getpwnam("postgres")
        except KeyError:
            return pwd.getpwnam("nobody")

    def _as_owner(self) -> dict[str, int]:
        root = os.geteuid() == 0
        return {"user": self._owner.pw_uid, "group": self._owner.pw_gid} if root else {}

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments], capture_output=True, cwd=self.folder, **self._as_owner()
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "wal_level": "minimal",
            "max_wal_senders": 0,
            "max_connections": 100,
            "shared_buffers": "32MB",
            "autovacuum": "off",
            "log_min_messages": "fatal",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [str(self._bin / "postgres"), "-D", str(self.folder / "data"), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            start_new_session=True,
            **self._as_owner(),  # type: ignore[arg-type]
        )
        log.close()
        until(lambda: answers(self.port) and self._ready(), what="PostgreSQL to come up")

    def _ready(self) -> bool:
        ask = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ask, capture_output=True).returncode == 0

    def stop(self, *, hard: bool = False) -> None:
        """End it; `hard` as a crash would (immediate shutdown), and the clients lose their connections either way."""
        if self._errands is not None:
            self._errands.close()
            self._errands = None
        if self._process is not None:
            process, self._process = self._process, None
            self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate" if hard else "fast", "-w", "stop")
            process.wait(60)

    def close(self) -> None:
        self.stop(hard=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://amends@127.0.0.1:{self.port}/{database}"

    def empty_database(self) -> str:
        """The URL of a new database without a schema."""
        name = f"empty{next(self._numbers)}"
        self._sql(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def database(self) -> str:
        """The URL of a new database that stands at the present schema."""
        if self._template is None:
            from amends.ledger.book import Book
            from amends.ledger.schema import migrate

            self._template = f"empty{next(self._numbers)}"
            self._sql(f"CREATE DATABASE {self._template} TEMPLATE template0")
            book = Book(self.url(self._template))
            migrate(book)
            book.close()
        name = f"test{next(self._numbers)}"
        self._copy(self._template, name)
        return self.url(name)

    def copy_of(self, url: str) -> str:
        """The URL of a new database with all that stands in another one, to which nobody may be connected."""
        name = f"test{next(self._numbers)}"
        self._copy(url.rpartition("/")[2], name)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Take a database away, whoever is still connected to it."""
        self._sql(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def _copy(self, template: str, name: str) -> None:
        """Without the WAL that PostgreSQL 15 and later would write for it: that takes twice as long."""
        how = "STRATEGY FILE_COPY" if self._connected().info.server_version >= 150000 else ""
        self._sql(f"CREATE DATABASE {name} TEMPLATE {template} {how}")

    def _sql(self, statement: str) -> None:
        self._connected().execute(statement)  # type: ignore[call-overload]

    def _connected(self) -> psycopg.Connection[Any]:
        """One connection for all errands: to connect costs as much as to drop a database."""
        import psycopg

        if self._errands is None:
            place = f"host=127.0.0.1 port={self.port} user=amends dbname=postgres"
            self._errands = psycopg.connect(place, autocommit=True)
        return self._errands
