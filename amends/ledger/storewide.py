"""The store's own ledger: sealed entries of what concerns no single case, such as a change of the calendar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlmodel import Session, col

from amends.ledger.book import add, add_missing
from amends.ledger.chain import Chain, first_broken
from amends.ledger.tables import Meta, StoreEvent

_END: Final = "store_ledger"
"""In `meta`: how many entries there are, and the seal of the last."""
_NAME: Final = "the store's ledger"
"""What stands in the seals in the place of a case's reference."""


def enter(session: Session, *, at: datetime, actor: str, kind: str, data: Mapping[str, Any]) -> int:
    """Add one sealed entry; its number, counted from 1.  `data` must survive JSON unchanged (no floats)."""
    add_missing(session, Meta, [{"name": _END, "value": "0 "}])
    row = session.get(Meta, _END, with_for_update=True, populate_existing=True)
    length, _, head = (row.value if row is not None else "0 ").partition(" ")
    chain = Chain(_NAME, int(length), head)
    add(session, StoreEvent, chain.entry(at, actor, kind, data))
    session.connection().execute(
        update(Meta).where(col(Meta.name) == _END).values(value=f"{chain.length} {chain.head}")
    )
    session.get(Meta, _END, populate_existing=True)
    return chain.length


def entries(session: Session, kind: str | None = None) -> list[StoreEvent]:
    """All of them, or those of one kind, in their order."""
    statement = select(StoreEvent).order_by(col(StoreEvent.seq))
    return list(session.scalars(statement if kind is None else statement.where(col(StoreEvent.kind) == kind)))


def proof(session: Session) -> tuple[int, str, Iterator[str]]:
    """How many entries there are, the seal of the last, and what is wrong with them."""
    found = entries(session)
    head = found[-1].hash if found else ""
    return len(found), head, _problems(session, found, head)


def _problems(session: Session, found: list[StoreEvent], head: str) -> Iterator[str]:
    if (broken := first_broken(_NAME, found)) is not None:
        yield broken
        return
    row = session.get(Meta, _END)
    told = row.value if row is not None else "0 "
    if told != f"{len(found)} {head}":
        yield f"{_NAME} ends at event {len(found)}, and it should at {told.partition(' ')[0]}"
