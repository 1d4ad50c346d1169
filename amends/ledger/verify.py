"""Proof that the record is whole: chains re-computed, and the rows compared with what the chains say of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import zstandard
from sqlalchemy import func, select
from sqlmodel import Session, col

from amends.kernel.instants import iso
from amends.ledger.book import Book
from amends.ledger.chain import digest, first_broken
from amends.ledger.tables import Case, Counter, Deadline, Event, Letter, Message, Note, Raw

BATCH = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification found.

    `root` is one digest over the heads of all chains: written down elsewhere (a minute, a report), it proves later
    that nothing up to that day was altered, not even by somebody who re-computed whole chains.
    """

    cases: int
    events: int
    root: str
    problems: tuple[str, ...]

    @property
    def intact(self) -> bool:
        return not self.problems


def verify(book: Book, *, most_problems: int = 100) -> Verdict:
    """Re-compute every chain and compare it with the rows.  Reads in batches; memory does not grow with the store."""
    problems: list[str] = []
    cases = events = 0
    root = hashlib.sha256()
    last = 0
    with book.read() as session:
        problems.extend(_missing_numbers(session))
    while len(problems) < most_problems:
        with book.read() as session:
            statement = select(Case).where(col(Case.id) > last).order_by(col(Case.id)).limit(BATCH)
            rows = list(session.scalars(statement))
            if not rows:
                break
            by_case = _events_of(session, rows)
            for row in rows:
                own = by_case.get(row.id or 0, [])
                problems.extend(_case_problems(session, row, own))
                cases, events = cases + 1, events + len(own)
                root.update(f"{row.reference} {row.chain_head}\n".encode())
            last = rows[-1].id or last
    return Verdict(cases, events, root.hexdigest(), tuple(problems[:most_problems]))


def _missing_numbers(session: Session) -> Iterator[str]:
    """Numbers have no gaps, so a case that was removed whole is missed."""
    statement = select(col(Case.prefix), col(Case.year), func.count(), func.max(col(Case.serial)))
    found = {
        (prefix, year): (count, highest)
        for prefix, year, count, highest in session.connection().execute(
            statement.group_by(col(Case.prefix), col(Case.year))
        )
    }
    for counter in session.scalars(select(Counter)):
        count, highest = found.get((counter.prefix, counter.year), (0, 0))
        if count != counter.value or highest != counter.value:
            yield (
                f"{counter.prefix}-{counter.year}: {counter.value} numbers were given, but {count} cases are there "
                f"(highest {highest}): a case was removed"
            )


def _events_of(session: Session, rows: list[Case]) -> dict[int, list[Any]]:
    statement = (
        select(
            col(Event.case_id),
            col(Event.seq),
            col(Event.at),
            col(Event.actor),
            col(Event.kind),
            col(Event.data),
            col(Event.hash),
        )
        .where(col(Event.case_id).in_([row.id for row in rows]))
        .order_by(col(Event.case_id), col(Event.seq))
    )
    return {key: list(group) for key, group in groupby(session.connection().execute(statement), lambda e: e.case_id)}


def _case_problems(session: Session, row: Case, events: list[Any]) -> Iterator[str]:
    broken = first_broken(row.reference, events)
    if broken is not None:
        yield broken
        return
    if len(events) != row.chain_length or (events and events[-1].hash != row.chain_head):
        yield f"{row.reference}: the ledger ends at event {len(events)}, the case says {row.chain_length}"
        return
    yield from _state_problems(row, events)
    yield from _content_problems(session, row, events)
    yield from _deadline_problems(session, row, events)


def _state_problems(row: Case, events: list[Any]) -> Iterator[str]:
    """Replay stage, handler and outcome from the events."""
    stage, handler, outcome = "received", None, None
    for event in events:
        match event.kind:
            case "stage":
                stage = event.data["after"]
                if event.data.get("because"):
                    outcome = None
            case "assigned":
                handler = event.data["after"]
            case "responded" | "closed":
                outcome = event.data["outcome"]
            case "reopened":
                outcome = None
    for name, told, shown in (
        ("stage", stage, row.stage),
        ("handler", handler, row.handler),
        ("outcome", outcome, row.outcome),
    ):
        if told != shown:
            yield f"{row.reference}: the ledger says {name} {told}, the case says {shown}"


def _content_problems(session: Session, row: Case, events: list[Any]) -> Iterator[str]:
    sealed = {"message": {}, "note": {}, "letter-queued": {}}  # type: dict[str, dict[int, str]]
    for event in events:
        if event.kind in sealed:
            key = {"message": "message", "note": "note", "letter-queued": "letter"}[event.kind]
            sealed[event.kind][event.data[key]] = event.data["digest"]
    statement = (
        select(Message, Raw).outerjoin(Raw, col(Raw.id) == col(Message.raw_id)).where(col(Message.case_id) == row.id)
    )
    seen = set()
    for message, raw in session.execute(statement):
        if message.direction == "out":
            continue
        seen.add(message.id)
        sha256 = "" if raw is None else hashlib.sha256(zstandard.decompress(raw.zstd)).hexdigest()
        found = digest(message.salt, sha256, message.from_address, message.subject, message.text, message.new_text)
        if sealed["message"].get(message.id) != found:
            yield f"{row.reference}: message {message.id} is not what the ledger sealed"
    for missing in sealed["message"].keys() - seen:
        yield f"{row.reference}: message {missing} is in the ledger but not in the store"
    notes = {
        note.id: digest(note.salt, note.text)
        for note in session.scalars(select(Note).where(col(Note.case_id) == row.id))
    }
    if notes != sealed["note"]:
        for note_id in sorted(set(notes.items()) ^ set(sealed["note"].items())):
            yield f"{row.reference}: note {note_id[0]} is not what the ledger sealed"
            break
    for letter in session.scalars(
        select(Letter).where(col(Letter.case_id) == row.id, col(Letter.message_id).is_not(None))
    ):
        found = digest(letter.salt, letter.to_address, letter.subject, letter.body)
        if sealed["letter-queued"].get(letter.id or 0) != found:
            yield f"{row.reference}: letter {letter.id} is not what the ledger sealed"


def _deadline_problems(session: Session, row: Case, events: list[Any]) -> Iterator[str]:
    """A breach that happened can never disappear, and no due date moves without an event."""
    due: dict[tuple[str, int], str] = {}
    breached = set()
    for event in events:
        if event.kind == "deadlines-started":
            due |= {(one["deadline"], one["occurrence"]): one["due_at"] for one in event.data["deadlines"]}
        elif event.kind == "deadline-breached":
            breached.add((event.data["deadline"], event.data["occurrence"]))

    rows = {(d.kind, d.occurrence): d for d in session.scalars(select(Deadline).where(col(Deadline.case_id) == row.id))}
    for key, told in due.items():
        if key not in rows:
            yield f"{row.reference}: deadline {key[0]} {key[1]} was removed"
        elif iso(rows[key].due_at) != told:
            yield f"{row.reference}: deadline {key[0]} {key[1]} was due {told}, now it says {iso(rows[key].due_at)}"
        elif (rows[key].breached_at is not None) != (key in breached):
            yield f"{row.reference}: the breach of deadline {key[0]} {key[1]} does not agree with the ledger"
