"""What one transaction that does much looks up for all of it at once, and what it writes at its end.

It files many messages, or does what the clock wants of many cases.  A statement costs more than the row it finds.  What
is kept here is what the store would answer: whatever the transaction adds is added here too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session

_AHEAD: Final = "amends_ahead"  # in a session's info


@dataclass(slots=True)
class OfCase:
    """What the clock asks of one case, beside its row and what it owes.

    `keys`: the natural keys of its letters, which are `letters`.  `by_hand`: when those of handlers left.
    `occurrences`: of each of its deadlines (pack, kind), by number, (starts_at, due_at).
    `thread`: the Message-ID to answer and the References; None: nobody asked.
    """

    keys: set[str] = field(default_factory=set)
    letters: int = 0
    by_hand: list[datetime] = field(default_factory=list)
    occurrences: dict[tuple[str, str], dict[int, tuple[datetime, datetime]]] = field(default_factory=dict)
    thread: tuple[str, list[str]] | None = None


@dataclass(slots=True)
class Ahead:
    """`threads`: by digest of a Message-ID the case that it speaks of, (id, reference), or None if it speaks of none.
    `same_bytes`: by `raw_id` the (arrival, message) of those that came as these bytes.
    `same_words`: by content key the messages that say the same.
    `cases`: what `filing` knows of the cases that are spoken of.
    `serials`: by prefix and year the last number given.
    `letters`: by address what the gate knows of it: its automatic letters of a day, and why it is blocked.
    `staff`: by address of a handler why it is blocked, or None.
    `of_cases`: by id what the clock asks of a case.
    `domains`: by crowd of domains when the newest automatic letters that stood there before were queued; None: nobody
    asked.
    """

    threads: dict[str, tuple[int, str] | None] = field(default_factory=dict)
    same_bytes: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    same_words: dict[str, list[int]] = field(default_factory=dict)
    cases: Any = None
    serials: dict[tuple[str, int], int] = field(default_factory=dict)
    letters: dict[str, tuple[list[datetime], str | None]] = field(default_factory=dict)
    staff: dict[str, str | None] = field(default_factory=dict)
    of_cases: dict[int, OfCase] = field(default_factory=dict)
    domains: dict[str, list[datetime]] | None = None
    _rows: dict[Any, list[Mapping[str, Any]]] = field(default_factory=dict)

    def later(self, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run this statement with these rows at the end, in one go with all others of its kind."""
        self._rows.setdefault(statement, []).extend(rows)

    def write(self, session: Session) -> None:
        for statement, rows in self._rows.items():
            session.connection().execute(statement, rows)
        self._rows.clear()


def ahead_of(session: Session) -> Ahead | None:
    found: Ahead | None = session.info.get(_AHEAD)
    return found


def of_case(session: Session, case_id: int) -> OfCase | None:
    """What was looked up of this case; None where the store must be asked."""
    known = ahead_of(session)
    return None if known is None else known.of_cases.get(case_id)


def write(session: Session, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run an INSERT whose rows no statement of this transaction reads: now, or with others at the end."""
    if not rows:
        return
    if (ahead := ahead_of(session)) is not None:
        ahead.later(statement, rows)
    else:
        session.connection().execute(statement, rows)


@contextmanager
def looking(session: Session, ahead: Ahead) -> Iterator[None]:
    """Within the block `ahead` answers, and at its end it is written."""
    session.info[_AHEAD] = ahead
    try:
        yield
    finally:
        del session.info[_AHEAD]
    ahead.write(session)
