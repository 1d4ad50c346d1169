"""The schema: brought up to date by Alembic, one program at a time, and never downwards."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from amends.kernel.errors import NeedsOperator
from amends.ledger.book import Book

HEAD: Final = "0010"
"""The newest migration this program knows; a test compares it with the folder."""

_LOCK: Final = 0x414D454E4453  # "AMENDS": the advisory lock that keeps two daemons from migrating at once


def revision(book: Book) -> str | None:
    """The migration the store stands at, or None for an empty one."""
    with book.read() as session:
        return _revision(session.connection())


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def require_current(book: Book) -> None:
    """Raise NeedsOperator, with what to do, unless the store's schema is this program's own."""
    if book.path is not None and not book.path.exists():  # SQLite would make an empty one by looking
        raise NeedsOperator(f"There is no database {book.path} yet; run: amendsd migrate")
    found = revision(book)
    if found is None or found < HEAD:
        raise NeedsOperator("The database is empty or older than this program; run: amendsd migrate")
    if found > HEAD:
        raise NeedsOperator("The database is newer than this program; start the newer program.")


def migrate(book: Book) -> bool:
    """Bring the store up to date, in one transaction, under a lock; True if there was anything to do."""
    found = revision(book)
    if found == HEAD:
        return False
    if found is not None and found > HEAD:
        raise NeedsOperator("The database is newer than this program; start the newer program.")
    from alembic import command  # Alembic and Mako cost 6 MB and 60 ms, and are wanted once a release
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with book.write() as session:
        connection = session.connection()
        if not book.sqlite:  # SQLite: BEGIN IMMEDIATE is the lock
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if _revision(connection) == HEAD:
            return False
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.execute(
            text(
                "INSERT INTO meta (name, value) SELECT 'hmac_key', :key "
                "WHERE NOT EXISTS (SELECT 1 FROM meta WHERE name = 'hmac_key')"
            ),
            {"key": secrets.token_hex(32)},
        )
    return True
