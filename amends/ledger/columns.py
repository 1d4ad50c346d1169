"""Column types that keep their meaning on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, cast

from sqlalchemy import DateTime, String
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapped
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import col

from amends.kernel.errors import Unreadable


def key(column: int | None) -> Mapped[int]:
    """The primary key of a table in a statement.  An object that is not stored yet has None; no stored row has."""
    return cast("Mapped[int]", col(column))


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC: timestamptz on PostgreSQL, text that sorts by time on SQLite.

    A naive one is refused at the door, because SQLite would keep it without a word.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(27))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: give it a zone")
        instant = value.astimezone(UTC)
        return f"{instant.isoformat(timespec='microseconds')[:-6]}Z" if dialect.name == "sqlite" else instant

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else _instant(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        # SQLAlchemy's own goes through `process_result_value` and the type beneath: twice the time, and lists are long.
        return lambda value: None if value is None else _instant(value)


class Exact(TypeDecorator[Decimal]):
    """A Decimal kept as text, so that no database rounds it."""

    impl = String(40)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        try:
            return None if value is None else Decimal(value)
        except (InvalidOperation, TypeError, ValueError) as wrong:
            _unreadable("An amount", wrong)


def _instant(value: Any) -> datetime:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)
    except (AttributeError, ValueError) as wrong:
        _unreadable("A date", wrong)
    if found.tzinfo is None:
        _unreadable("A date", None)
    return cast("datetime", found)


def json_value(text: str | bytes) -> Any:
    """What the engine reads JSON with.  Raises Unreadable for what is none."""
    if text in ("[]", "{}"):  # most of them
        return [] if text == "[]" else {}
    try:
        return json.loads(text)
    except (RecursionError, TypeError, ValueError) as wrong:
        _unreadable("A record", wrong)


def _unreadable(what: str, because: Exception | None) -> NoReturn:
    raise Unreadable(f"{what} in the database cannot be read; run: amendsd verify") from because
