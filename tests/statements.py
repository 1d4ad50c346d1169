"""The databases of the tests share what SQLAlchemy has compiled.

Each test has a database of its own, and so an engine of its own, which would compile each statement anew: that cost
more than half of the time of most tests.  A daemon, with its one engine, compiles each once.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.util import LRUCache

_COMPILED: Final[LRUCache[Any, Any]] = LRUCache(4000)


def compile_once() -> None:
    """From now on one cache serves all engines of this process."""
    for kind in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        kind.__eq__ = _are_alike  # type: ignore[method-assign]
        kind.__hash__ = _hash  # type: ignore[method-assign]
    event.listen(Engine, "engine_connect", _share)


def _are_alike(one: Dialect, other: object) -> bool:
    """Whether what was compiled for the one serves the other: all else about them is as the Book makes them."""
    if type(one) is not type(other):
        return False
    return _reader(one) is _reader(other)


def _reader(dialect: Any) -> Any:
    return getattr(dialect, "_json_deserializer", None)


def _hash(dialect: Dialect) -> int:
    return hash(type(dialect))


def _share(connection: Connection) -> None:
    connection.engine._compiled_cache = _COMPILED
