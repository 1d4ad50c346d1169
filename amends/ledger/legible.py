"""Whether a row holds what its table says: somebody may have written into the file behind our back.

SQLite takes any value in any column, so that a date may be a word, a number a text, and a text bytes.
"""

from __future__ import annotations

import sqlite3
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.inspection import inspect
from sqlmodel import Session, SQLModel

from amends.kernel.errors import NeedsOperator, TryLater, Unreadable

Row = TypeVar("Row", bound=SQLModel)

MISREAD = (Unreadable, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, OperationalError)
"""What comes of working on values that are not what they should be; of the last only what `is_misread` says."""


def is_misread(fault: BaseException) -> bool:
    """Whether a fault is one of MISREAD that speaks of the values, and not of a store that is busy or away."""
    if isinstance(fault, OperationalError):
        return isinstance(fault.orig, sqlite3.Error) and "could not decode to utf-8" in str(fault.orig).lower()
    return isinstance(fault, MISREAD)


def is_of_the_store(fault: BaseException) -> bool:
    """Whether the store itself is in trouble, and not one row of it."""
    return isinstance(fault, (TryLater, NeedsOperator, OperationalError)) and not is_misread(fault)


def legible(row: Row) -> Row:
    """The same row.  Raises Unreadable unless each of its values is of the type that its table says."""
    check_values(type(row), row.__dict__)
    return row


def check_values(table: type[SQLModel], values: Mapping[str, Any]) -> None:
    """Raises Unreadable unless each of these values of one row is of the type that its table says."""
    for name, allowed in _types(table).items():
        if name in values and not isinstance(values[name], allowed):
            where = f"{table.__tablename__}.{name}"
            raise Unreadable(f"A value in the database ({where}) cannot be read; run: amendsd verify")


def illegible_columns(session: Session, table: type[SQLModel], *key: Any) -> Iterator[str]:
    """The columns of the row with this primary key whose values cannot be read, or are of another type."""
    mapper = inspect(table)
    where = [column == value for column, value in zip(mapper.primary_key, key, strict=True)]
    for column in mapper.columns:
        try:
            found = session.connection().execute(select(column).where(*where)).scalar()
        except MISREAD as fault:
            if not is_misread(fault):
                raise
            yield column.name
        else:
            if not isinstance(found, _types(table)[column.key]):
                yield column.name


@cache
def _types(table: type[SQLModel]) -> dict[str, tuple[type, ...]]:
    """For each column the classes of what may stand in it."""
    return {name: tuple(_classes(field.annotation)) for name, field in table.model_fields.items()}


def _classes(annotation: Any) -> Iterator[type]:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from _classes(one)
    else:
        yield origin or annotation
