"""The store: one engine, two kinds of transaction, and the settings that make a commit durable."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import class_mapper, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.pool import QueuePool
from sqlmodel import Session, SQLModel

from amends.kernel.errors import NeedsOperator, TryLater, Unreadable
from amends.ledger.columns import json_value

BUSY_SECONDS: Final = 10
JOURNAL_BYTES: Final = 4 * 2**20  # what a kept journal is cut to after a large transaction

# 3.7.0 to 3.51.2 can corrupt an index when two connections write and checkpoint a WAL at the wrong moment
# (the WAL-reset bug); below that, the rollback journal with FULL is as durable and safe; kept
# (persist) it costs a third of what shortening it at each commit does.
WAL_IS_SAFE_FROM: Final = (3, 51, 3)


def journal_mode(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    return "wal" if version >= WAL_IS_SAFE_FROM else "persist"


class Book:
    """The store behind every room above it.

    `write()` is a durable transaction that has the write lock from its first statement (BEGIN IMMEDIATE on SQLite);
    `read()` is a short snapshot.  Neither is held while somebody thinks or the network answers.
    """

    def __init__(self, url: URL | str, *, echo: bool = False) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = self._engine(echo=echo)
        self._writing = threading.Lock()
        self._writer = self.engine.execution_options(amends_write=True)
        # PostgreSQL shows each statement what was committed just before it, which is not one look.
        self._reader = (
            self.engine
            if self.sqlite
            else self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        )

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None."""
        return Path(self.url.database) if self.sqlite and self.url.database else None

    def _engine(self, *, echo: bool) -> Engine:
        if self.sqlite:
            if self.path is not None:
                self._refuse_missing_folder(self.path)
            engine = create_engine(
                self.url,
                echo=echo,
                json_deserializer=json_value,
                poolclass=QueuePool,
                pool_size=4,
                max_overflow=12,
                connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "isolation_level": None},
            )
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        try:
            engine = create_engine(
                self.url,
                echo=echo,
                json_deserializer=json_value,
                pool_size=4,
                max_overflow=12,
                pool_pre_ping=True,
                connect_args={
                    "connect_timeout": 10,
                    "options": "-c synchronous_commit=on -c idle_in_transaction_session_timeout=60000",
                    "keepalives_idle": 30,
                    "keepalives_interval": 10,
                    "keepalives_count": 3,
                },
            )
        except ModuleNotFoundError as missing:
            raise NeedsOperator(
                "PostgreSQL needs the extra 'postgres': install it with pip install 'amends[postgres]'."
            ) from missing
        return engine

    @staticmethod
    def _refuse_missing_folder(path: Path) -> None:
        if not path.parent.is_dir():
            raise NeedsOperator(f"The folder of the database, {path.parent}, does not exist; create it.")

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that commits at the end of the block, or leaves nothing.

        Raises TryLater when the store is busy or away, NeedsOperator when the disk is full or broken.
        """
        with self._turn(), _translated(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            session.connection()
            yield session

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One writer of this process at a time: SQLite's own waiting sleeps up to 0.1 s and may starve a thread."""
        if not self.sqlite:
            yield
            return
        if not self._writing.acquire(timeout=BUSY_SECONDS):
            raise TryLater("Another part of this program is using the database; try again in a moment.")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent look; nothing is written."""
        with _translated(), Session(self._reader, expire_on_commit=False) as session:
            yield session
            session.rollback()

    @contextmanager
    def watch(self) -> Iterator[Callable[[], bool]]:
        """A kept connection, and a function that says whether anything may have been committed since it last asked.

        PRAGMA data_version only compares with an earlier look of the same connection.  Where nobody can tell
        (PostgreSQL) the answer is always yes.
        """
        with _translated(), self.engine.connect() as connection:
            marks: list[object] = []

            def changed() -> bool:
                if not self.sqlite:
                    return True
                with _translated():
                    marks.append(connection.exec_driver_sql("PRAGMA data_version").scalar())
                    connection.rollback()  # or its shared lock would keep every writer out
                return len(marks) < 2 or marks.pop(0) != marks[-1]

            yield changed

    def close(self) -> None:
        self.engine.dispose()


_Row = TypeVar("_Row", bound=SQLModel)


def add(session: Session, table: type[SQLModel], row: Mapping[str, Any]) -> int:
    """Insert one row by Core (five times as fast as an object a row) and return its id."""
    result = session.connection().execute(insert_all(table), row)
    key = result.inserted_primary_key
    return int(key[0]) if key is not None else 0


def add_loaded(session: Session, table: type[_Row], row: Mapping[str, Any]) -> _Row:
    """The same for a table with an `id`, and the row as if it had been loaded.

    An object that SQLModel makes of values costs as much as several statements.
    """
    values = {**_defaults(table), **{name: make() for name, make in _made(table) if name not in row}, **row}
    made: _Row = class_mapper(table).class_manager.new_instance()
    for name, value in (values | {"id": add(session, table, values)}).items():
        set_committed_value(made, name, value)
    make_transient_to_detached(made)
    session.add(made)
    return made


@cache
def _defaults(table: type[SQLModel]) -> dict[str, Any]:
    """What a row has where nothing is said."""
    return {
        name: field.default
        for name, field in table.model_fields.items()
        if name != "id" and not field.is_required() and field.default_factory is None
    }


@cache
def _made(table: type[SQLModel]) -> tuple[tuple[str, Any], ...]:
    """The same for what could be changed in place, and so is made anew for each row."""
    fields = table.model_fields.items()
    return tuple((name, field.default_factory) for name, field in fields if field.default_factory is not None)


def add_all(session: Session, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        session.connection().execute(insert_all(table), rows)


def add_missing(session: Session, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert those of `rows` whose key is not there yet; the others are left as they are."""
    if not rows:
        return
    session.connection().execute(insert_missing(session, table), rows)


def insert_missing(session: Session, table: type[SQLModel]) -> Any:
    """The statement of `add_missing`, for whoever runs it later."""
    return _insert_missing(table, session.connection().dialect.name)


# Building a statement costs as much as running it.


@cache
def insert_all(table: type[SQLModel]) -> Any:
    """The statement of `add` and `add_all`."""
    return insert(table)


@cache
def _insert_missing(table: type[SQLModel], dialect: str) -> Any:
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert(table).on_conflict_do_nothing()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    wanted = journal_mode()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA foreign_keys = ON")
    got = cursor.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0]
    cursor.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA temp_store = MEMORY")
    cursor.execute("PRAGMA cache_size = -8000")
    synchronous = cursor.execute("PRAGMA synchronous").fetchone()[0]
    cursor.close()
    if synchronous != 2 or got.lower() not in (wanted, "memory"):
        raise NeedsOperator(f"SQLite will not commit durably here (journal {got}, synchronous {synchronous}).")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("amends_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the drivers in our words, sorted by who must act.

    PostgreSQL says what it means by a code (SQLSTATE), SQLite by its words alone.
    """
    try:
        yield
    except DBAPIError as fault:
        code = getattr(fault.orig, "sqlstate", None)
        if code == "42P01":
            raise NeedsOperator("The database is empty or older than this program; run: amendsd migrate") from fault
        if code == "53100":
            raise NeedsOperator("The disk of the database is full; make room, nothing was lost.") from fault
        if fault.connection_invalidated:
            raise TryLater(f"The database went away: {_first_line(fault)}") from fault
        words = str(fault.orig).lower()
        if "file is not a database" in words:
            raise NeedsOperator(
                "The database file is no SQLite database; check database.url, or put a backup there: amendsd restore"
            ) from fault
        if "malformed" in words and isinstance(fault.orig, sqlite3.DatabaseError):
            raise NeedsOperator("The database file is damaged; check its disk, then run: amendsd restore") from fault
        if not isinstance(fault, OperationalError):
            raise
        if "could not decode to utf-8" in words:
            raise Unreadable("A text in the database cannot be read; run: amendsd verify") from fault
        if "locked" in words or "busy" in words:
            raise TryLater("Another program is using the database; try again in a moment.") from fault
        if "full" in words:
            raise NeedsOperator("The disk of the database is full; make room, nothing was lost.") from fault
        if "disk i/o" in words:
            raise NeedsOperator("The disk of the database reports an error; check it before going on.") from fault
        if "unable to open" in words or "readonly" in words:
            raise NeedsOperator("The database file cannot be opened for writing; check its owner and mode.") from fault
        if "no such table" in words:
            raise NeedsOperator("The database is empty or older than this program; run: amendsd migrate") from fault
        raise TryLater(f"The database did not answer: {_first_line(fault)}") from fault


def _first_line(fault: DBAPIError) -> str:
    return str(fault.orig).strip().splitlines()[0] if str(fault.orig).strip() else type(fault.orig).__name__
