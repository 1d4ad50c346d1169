"""A store on disk with very many open cases, of which some fall due in the same minute.

Those that will be worked on are filed, acknowledged and clocked by the verbs of the daemon, from their receipt to the
present day.  The others are put in by the hundred thousand: their rows are what filing and the acknowledgement leave
of a complaint without its mail, with sealed chains that `amendsd verify` finds whole.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event, insert, select, update
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlmodel import SQLModel, col

from amends.casework import clockwork, handling, intake, post
from amends.casework.actors import SYSTEM
from amends.casework.doubts import HIGH_WATER
from amends.casework.office import Office, write_meta
from amends.casework.plans import planned_rows
from amends.deadlines.clocks import meets
from amends.kernel.instants import iso
from amends.kernel.refs import CaseRef
from amends.ledger.chain import Chain, digest, new_salt
from amends.ledger.schema import migrate
from amends.ledger.tables import Case, Counter, Deadline, Event
from tests.builders import AMARA, SAM, a_mail, bytes_of

_BATCH: Final = 200
_MOMENTS: Final = 200
_LONGEST: Final = timedelta(days=90)  # how far back a case may have been received whose answer is owed today
_SOON: Final = timedelta(hours=1)  # nothing falls due within it, however long somebody measures


@dataclass(frozen=True, slots=True)
class Made:
    """What was made: how many open cases, how many of them fall due together, seconds that took, bytes on the disk."""

    cases: int
    due: int
    seconds: float
    size: int


def make(office: Office, *, cases: int, due: int, now: datetime) -> Made:
    """Fill the empty SQLite store of `office`: `due` cases whose answers are missed together in a few days.

    At `now` nothing is due, nor within the hour; and nothing of the other cases before those have been missed.
    """
    began, path = time.monotonic(), office.book.path
    assert path is not None, "only for SQLite"
    event.listen(office.book.engine, "connect", _in_haste)
    migrate(office.book)
    missed_at = _file_due(office, due, now)
    office.book.close()  # the next connection is a durable one again
    event.remove(office.book.engine, "connect", _in_haste)
    _put_in(
        path, _others(office, first=due + 1, count=cases - due, since=_quiet_since(office, missed_at, now), now=now)
    )
    with office.book.write() as session:
        session.connection().execute(update(Counter).values(value=cases))
        write_meta(session, HIGH_WATER, now.isoformat())  # it was at work until now
    return Made(cases, due, time.monotonic() - began, path.stat().st_size)


def _in_haste(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")  # if the power goes, the measurement has gone anyway


# Those that fall due, by the verbs


def _file_due(office: Office, due: int, now: datetime) -> datetime:
    """File, acknowledge and clock them until `now`; returns when their answers are missed."""
    received = _received_of_next(office, now)
    evening = received + timedelta(hours=6)
    for start in range(1, due + 1, _BATCH):
        _file(office, range(start, min(start + _BATCH, due + 1)), received, evening)
        _post(office, evening)
    while (at := clockwork.next_instant(office, now=office.now())) is not None and at <= now:
        while clockwork.tick(office, now=at):
            pass
        _post(office, at)
    with office.book.read() as session:
        answers = select(col(Deadline.due_at)).where(col(Deadline.kind) == "response").limit(1)
        missed_at: datetime = session.connection().execute(answers).scalar_one()
    return missed_at


def _received_of_next(office: Office, now: datetime) -> datetime:
    """A morning on which those were received whose answer the clock has nothing to do about until soon."""
    mornings = (
        now.replace(hour=10, minute=0, second=0, microsecond=0) - _LONGEST + timedelta(days=n) for n in range(90)
    )
    return next(at for at in mornings if _next_tick(office, at, "response", -2) > now + _SOON)


def _next_tick(office: Office, received: datetime, kind: str, number: int) -> datetime:
    (row,) = (one for one in planned_rows(office, office.packs_at(received), at=received) if one["kind"] == kind)
    return datetime.fromisoformat(row["ticks"][number][0])


def _file(office: Office, numbers: range, received: datetime, now: datetime) -> None:
    """File these complaints, and give them to a handler."""
    mails = [
        a_mail(
            sender=f"writer{number}@people.example",
            name=f"Writer {number}",
            subject=f"Number {number}: no heating in the back bedroom since Friday",
            text="I have rung three times and nobody has come.\n" * 8,
            message_id=f"complaint-{number}@people.example",
            date=received,
        )
        for number in numbers
    ]
    incoming = [
        intake.Incoming("complaints", 1, number + 1, bytes_of(mail), received + timedelta(seconds=number))
        for number, mail in zip(numbers, mails, strict=True)
    ]
    stored = intake.store(office, incoming, now=now)
    filed = intake.file(office, [(one.arrival_id, mail) for one, mail in zip(stored, mails, strict=True)], now=now)
    assert all(one.state == "filed" for one in filed)
    intake.mark_moved(office, "complaints", 1, [number + 1 for number in numbers], now=now)
    for number in numbers:  # in an empty store the first is number 1
        handling.assign(office, number, AMARA.login, actor=SAM, now=now)


def _post(office: Office, now: datetime) -> None:
    """Every letter that waits is accepted."""
    while claimed := post.claim(office, "bench", limit=_BATCH, now=now):
        done = [post.Carried(letter.letter_id, post.Accepted("250 2.0.0 Ok")) for letter in claimed]
        post.record(office, "bench", done, now=now)


# The others, in bulk


def _quiet_since(office: Office, until: datetime, now: datetime) -> datetime:
    """Since when cases may have been received of which the clock wants nothing before `until`."""
    hours = [now - timedelta(hours=n) for n in range(1, 10 * 24)]
    since = next((at for at in hours if _first_tick(_open(_planned(office, at))) <= until + _SOON), hours[-1])
    assert since < now - timedelta(hours=12), "there is no room for so many cases"
    return since + timedelta(hours=1)


def _planned(office: Office, received: datetime) -> list[dict[str, Any]]:
    """The rows of the deadlines of a case that was acknowledged at once."""
    rows = planned_rows(office, office.packs_at(received), at=received)
    settled = {"state": "met", "met_at": received, "settled_at": received, "tick_at": None}
    return [row | settled if _is_acknowledged(row) else row for row in rows]


def _is_acknowledged(row: Mapping[str, Any]) -> bool:
    return meets(row["met_by"], kind="acknowledgement", automatic=True)


def _open(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["state"] == "open"]


def _first_tick(rows: Iterable[dict[str, Any]]) -> datetime:
    first: datetime = min(row["tick_at"] for row in rows)
    return first


@dataclass(slots=True)
class _Rows:
    """Some thousand cases with their events, and, once for all of a moment, the deadlines that each of them has."""

    cases: list[tuple[Any, ...]]
    events: list[tuple[Any, ...]]
    deadlines: list[tuple[Any, ...]]


def _others(office: Office, *, first: int, count: int, since: datetime, now: datetime) -> Iterator[_Rows]:
    """The rows of cases that were received one after another from `since` on until just now, moment by moment."""
    moments = min(count, _MOMENTS)
    apart = (now - since) / (moments + 1)
    for moment in range(moments):
        numbers = range(first + moment * count // moments, first + (moment + 1) * count // moments)
        received = (since + moment * apart).replace(microsecond=0)
        yield _of_a_moment(office, received, numbers)


def _of_a_moment(office: Office, received: datetime, numbers: Iterable[int]) -> _Rows:
    """Cases that were received and acknowledged at one moment.  Each number is a serial and an id."""
    organisation, pack = office.settings.organisation, office.packs_at(received)[0]
    planned = _planned(office, received)
    first = min(_open(planned), key=lambda row: row["due_at"])
    prefix, year = organisation.reference_prefix, received.astimezone(organisation.zone).year
    kept = {"pack": pack.id, "pack_version": pack.version}
    case = _Stored(
        Case,
        {
            **kept,
            "prefix": prefix,
            "year": year,
            "language": organisation.languages[0],
            "stage": "acknowledged",
            "received_at": received,
            "opened_at": received,
            "acknowledged_at": received,
            "next_due_at": first["due_at"],
            "next_deadline": first["kind"],
        },
    )
    entry = _Stored(Event, {"at": received, "actor": SYSTEM.login})
    opened = {**kept, "received_at": received.isoformat(), "history": False}
    later = [(kind, data, json.dumps(data)) for kind, data in _what_followed(planned)]
    rows = _Rows([], [], [_Stored(Deadline, row).row() for row in planned])
    for number in numbers:
        name, address = f"Writer {number}", f"writer{number}@people.example"
        subject, salt = f"Number {number}: no heating in the back bedroom since Friday", new_salt()
        chain = Chain(str(CaseRef(prefix, year, number)))
        data = opened | {"digest": digest(salt, name, subject), "address": digest(salt, address)}
        for kind, said, text in (("opened", data, json.dumps(data)), *later):
            chain.entry(received, SYSTEM.login, kind, said)
            rows.events.append(entry.row(case_id=number, seq=chain.length, kind=kind, data=text, hash=chain.head))
        rows.cases.append(
            case.row(
                id=number,
                reference=chain.reference,
                serial=number,
                subject=subject,
                complainant_name=name,
                complainant_address=address,
                salt=salt,
                chain_length=chain.length,
                chain_head=chain.head,
            )
        )
    return rows


def _what_followed(planned: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events after the opening, as the verbs would record them."""
    names = {"deadline": "kind", "occurrence": "occurrence", "due_at": "due_at", "basis": "basis"}
    started = [{name: row[of] for name, of in names.items()} for row in planned]
    yield "deadlines-started", {"deadlines": [one | {"due_at": iso(one["due_at"])} for one in started]}
    for row in planned:
        if row["state"] == "met":
            yield "deadline-met", {"deadline": row["kind"], "occurrence": row["occurrence"], "late": False}
    yield "stage", {"before": "received", "after": "acknowledged"}


class _Stored:
    """A row of a table as SQLite keeps it, of which a few columns are filled in later (as they are kept)."""

    def __init__(self, table: type[SQLModel], values: Mapping[str, Any]) -> None:
        columns = _columns(table)
        self._place = {column.name: n for n, column in enumerate(columns)}
        self._values = [_kept(column, _value(table, column.name, values)) for column in columns]

    def row(self, **filled: Any) -> tuple[Any, ...]:
        values = self._values.copy()
        for name, value in filled.items():
            values[self._place[name]] = value
        return tuple(values)


def _columns(table: type[SQLModel]) -> list[Any]:
    return list(table.__table__.columns)  # type: ignore[attr-defined]


def _value(table: type[SQLModel], name: str, values: Mapping[str, Any]) -> Any:
    if name in values:
        return values[name]
    field = table.model_fields[name]
    return None if field.is_required() else field.get_default(call_default_factory=True)


_SQLITE: Final = SQLiteDialect_pysqlite()


def _kept(column: Any, value: Any) -> Any:
    bind = column.type.dialect_impl(_SQLITE).bind_processor(_SQLITE)
    return value if bind is None or value is None else bind(value)


def _put_in(path: Path, moments: Iterable[_Rows]) -> None:
    """Insert all these rows, with the indexes made when they are there: sorting is quicker than searching."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -100000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        indexes = list(connection.execute(_INDEXES))
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')
        for rows in moments:
            connection.executemany(_insert(Case), rows.cases)
            connection.executemany(_insert(Event), rows.events)
            _put_in_deadlines(connection, rows)
        for _, statement in indexes:
            connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _insert(table: type[SQLModel]) -> str:
    return str(insert(table).compile(dialect=_SQLITE))


def _put_in_deadlines(connection: sqlite3.Connection, rows: _Rows) -> None:
    """The same deadlines for each of these cases, whose numbers follow one another; SQLite copies them itself."""
    names = [f'"{column.name}"' for column in _columns(Deadline)]
    copied = ", ".join(name for name in names if name not in ('"id"', '"case_id"'))
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS pattern AS SELECT * FROM deadlines WHERE 0")
    connection.execute("DELETE FROM pattern")
    connection.executemany(
        f"INSERT INTO pattern ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", rows.deadlines
    )
    connection.execute(
        f"INSERT INTO deadlines (case_id, {copied}) SELECT ours.number, {copied} FROM pattern, "
        "(SELECT id AS number FROM cases WHERE id BETWEEN ? AND ?) AS ours ORDER BY ours.number, pattern.rowid",
        (rows.cases[0][0], rows.cases[-1][0]),
    )


_INDEXES: Final = (
    "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
    "AND tbl_name IN ('cases', 'deadlines', 'events')"
)
