"""Proof that the record is whole: chains re-computed, and the rows compared with what the chains say of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Final

import zstandard
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.inspection import inspect
from sqlalchemy.orm import aliased
from sqlmodel import Session, SQLModel, col

from amends.kernel.instants import iso
from amends.ledger import storewide
from amends.ledger.book import Book
from amends.ledger.chain import digest, first_broken
from amends.ledger.columns import key
from amends.ledger.legible import MISREAD, illegible_columns, is_misread, legible
from amends.ledger.seals import (
    address_seal,
    bytes_seal,
    complaint_seal,
    finding_seal,
    letter_seal,
    message_seal,
    words_seal,
)
from amends.ledger.tables import (
    Attachment,
    Case,
    Counter,
    Deadline,
    Event,
    Letter,
    Link,
    Message,
    Note,
    Participant,
    Raw,
)

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


@dataclass(frozen=True, slots=True)
class _Checked:
    """One case that was looked at: its name and head, how many events it has, what is wrong with it."""

    reference: str
    head: str
    events: int
    problems: tuple[str, ...]


def verify(book: Book, *, most_problems: int = 100) -> Verdict:
    """Re-compute every chain and compare it with the rows.  Reads in batches; memory does not grow with the store.

    A row that cannot be read is a problem of its case; the others are looked at all the same.
    """
    events, head, problems = _store_ledger(book)
    problems += _number_problems(book)
    cases = last = 0
    root = hashlib.sha256()
    if events:
        root.update(f"store {head}\n".encode(errors="backslashreplace"))
    while len(problems) < most_problems and (ids := _next_ids(book, last)):
        for one in _checked(book, ids):
            problems.extend(one.problems)
            cases, events = cases + 1, events + one.events
            root.update(f"{one.reference} {one.head}\n".encode(errors="backslashreplace"))
        last = ids[-1]
    return Verdict(cases, events, root.hexdigest(), tuple(problems[:most_problems]))


def _store_ledger(book: Book) -> tuple[int, str, list[str]]:
    """How many events the store's own ledger has, the seal of the last, and what is wrong with them."""
    try:
        with book.read() as session:
            events, head, problems = storewide.proof(session)
            return events, head, list(problems)
    except MISREAD as fault:
        if not is_misread(fault):
            raise
        return 0, "", ["the store's ledger cannot be read"]


def _number_problems(book: Book) -> list[str]:
    try:
        with book.read() as session:
            return list(_missing_numbers(session))
    except MISREAD as fault:
        if not is_misread(fault):
            raise
        return ["the numbers of the cases or their counters cannot be read"]


def _next_ids(book: Book, last: int) -> list[int]:
    with book.read() as session:
        statement = select(key(Case.id)).where(col(Case.id) > last).order_by(col(Case.id)).limit(BATCH)
        return list(session.connection().execute(statement).scalars())


def _checked(book: Book, ids: list[int]) -> list[_Checked]:
    """These cases in one look, or each by itself where one of them cannot be read."""
    try:
        with book.read() as session:
            return list(_look(session, ids))
    except MISREAD as fault:
        if not is_misread(fault):
            raise
    if len(ids) == 1:
        return [_illegible(book, ids[0])]
    return [one for case_id in ids for one in _checked(book, [case_id])]


def _look(session: Session, ids: list[int]) -> Iterator[_Checked]:
    rows = list(session.scalars(select(Case).where(col(Case.id).in_(ids)).order_by(col(Case.id))))
    by_case, kin = _events_of(session, rows), _kin_of(session, rows)
    for row in map(legible, rows):
        own = by_case.get(row.id or 0, [])
        problems = tuple(_case_problems(session, row, own, kin[row.id or 0]))
        yield _Checked(row.reference, row.chain_head, len(own), problems)


def _illegible(book: Book, case_id: int) -> _Checked:
    """A case that cannot be read, with the rows to blame."""
    with book.read() as session:
        reference, head = _plain(session, Case.reference, case_id), _plain(session, Case.chain_head, case_id)
        events = select(func.count()).where(col(Event.case_id) == case_id)
        number = session.connection().execute(events).scalar() or 0
        reference = reference or f"number {case_id}"
        problems = [
            f"row {row} of {table.__tablename__} in case {reference} cannot be read ({', '.join(columns)})"
            for table, where in _belongings(case_id)
            for row, columns in _illegible_rows(session, table, where)
        ]
    return _Checked(reference, head, number, tuple(problems or [f"{reference}: its events cannot be replayed"]))


def _plain(session: Session, column: str, case_id: int) -> str:
    """A text of the case, or nothing where it cannot be read."""
    try:
        found = session.connection().execute(select(col(column)).where(col(Case.id) == case_id)).scalar()
    except MISREAD as fault:
        if not is_misread(fault):
            raise
        return ""
    return found if isinstance(found, str) else ""


def _belongings(case_id: int) -> Iterator[tuple[type[SQLModel], ColumnElement[bool]]]:
    """Each table that holds something of a case, and its rows."""
    yield Case, col(Case.id) == case_id
    for table in (Event, Participant, Message, Note, Letter, Deadline):
        yield table, col(table.case_id) == case_id
    yield Link, or_(col(Link.case_id) == case_id, col(Link.other_id) == case_id)
    yield Attachment, col(Attachment.message_id).in_(select(key(Message.id)).where(col(Message.case_id) == case_id))
    yield Raw, col(Raw.id).in_(select(col(Message.raw_id)).where(col(Message.case_id) == case_id))


def _illegible_rows(
    session: Session, table: type[SQLModel], where: ColumnElement[bool]
) -> Iterator[tuple[str, list[str]]]:
    """(primary key, columns) of the rows that do not hold what their table says."""
    keys = inspect(table).primary_key
    for found in session.connection().execute(select(*keys).where(where).order_by(*keys)).all():
        columns = list(illegible_columns(session, table, *found))
        if columns:
            yield " ".join(map(str, found)), columns


def _missing_numbers(session: Session) -> Iterator[str]:
    """Numbers have no gaps, so a case that was removed whole is missed."""
    statement = select(col(Case.prefix), col(Case.year), func.count(), func.max(col(Case.serial)))
    found = {
        (prefix, year): (count, highest)
        for prefix, year, count, highest in session.connection().execute(
            statement.group_by(col(Case.prefix), col(Case.year))
        )
    }
    counters = {(counter.prefix, counter.year): counter.value for counter in session.scalars(select(Counter))}
    for prefix, year in sorted(found.keys() | counters.keys()):
        given = counters.get((prefix, year), 0)
        count, highest = found.get((prefix, year), (0, 0))
        if count != given or highest != given:
            yield (
                f"{prefix}-{year}: {given} numbers were given, but {count} cases are there "
                f"(highest {highest}): a case or the counter was removed"
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


@dataclass(slots=True)
class _Kin:
    """How the rows tie a case to others, by their references."""

    merged_into: str | None = None
    absorbed: set[str] = field(default_factory=set)
    linked: dict[str, str] = field(default_factory=dict)


def _kin_of(session: Session, rows: list[Case]) -> dict[int, _Kin]:
    """The ties of these cases; three questions for all of them."""
    found = {row.id or 0: _Kin() for row in rows}
    ids = list(found)
    execute = session.connection().execute
    other = aliased(Case)
    merged = select(col(Case.id), col(Case.reference), col(other.id), col(other.reference)).join(
        other, col(Case.merged_into) == col(other.id)
    )
    for case_id, reference, into_id, into in execute(merged.where(or_(col(Case.id).in_(ids), col(other.id).in_(ids)))):
        if case_id in found:
            found[case_id].merged_into = into
        if into_id in found:
            found[into_id].absorbed.add(reference)
    for here, there in ((Link.case_id, Link.other_id), (Link.other_id, Link.case_id)):
        ties = select(col(here), col(Case.reference), col(Link.kind)).join(Case, col(Case.id) == col(there))
        for case_id, reference, kind in execute(ties.where(col(here).in_(ids))):
            found[case_id].linked[reference] = kind
    return found


def _case_problems(session: Session, row: Case, events: list[Any], kin: _Kin) -> Iterator[str]:
    broken = first_broken(row.reference, events)
    if broken is not None:
        yield broken
        return
    if len(events) != row.chain_length or (events and events[-1].hash != row.chain_head):
        yield f"{row.reference}: the ledger ends at event {len(events)}, the case says {row.chain_length}"
        return
    yield from _row_problems(session, row, events, kin)


_Which = tuple[str, str, int]
"""A deadline: its pack ("" for the main one), its kind and its occurrence."""


def _which(data: dict[str, Any]) -> _Which:
    return data.get("pack", ""), data["deadline"], data["occurrence"]


@dataclass(slots=True)
class _Told:
    """What the events of one case say of its row, replayed in order."""

    facts: dict[str, Any] = field(default_factory=lambda: {"stage": "received"})
    complaint: str = ""
    address: str = ""
    finding: str | None = None  # None: no event seals the present one
    waiting_reason: str | None = None
    people: dict[str, bool] = field(default_factory=dict)
    messages: dict[int, str] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)  # of the messages
    letters: dict[int, tuple[str, str]] = field(default_factory=dict)
    sorts: dict[int, tuple[str, bool, bool]] = field(default_factory=dict)  # of the letters: kind, automatic, staff
    stands: dict[int, str] = field(default_factory=dict)  # the state of each letter
    sent: set[int] = field(default_factory=set)
    due: dict[_Which, str] = field(default_factory=dict)
    breached: set[_Which] = field(default_factory=set)
    paused: dict[_Which, list[list[str | None]]] = field(default_factory=dict)
    met: set[_Which] = field(default_factory=set)
    settled: set[_Which] = field(default_factory=set)  # met, or owed no more
    packs: list[list[str]] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)
    happened: dict[str, dict[str, str]] = field(default_factory=dict)
    kin: _Kin = field(default_factory=_Kin)

    def hear(self, kind: str, data: dict[str, Any]) -> None:
        self._hear_of_letter(kind, data)
        match kind:
            case "opened":
                self.complaint, self.address = data["digest"], data["address"]
                self.facts["received_at"] = data["received_at"]
                self.packs = [[data["pack"], data["pack_version"]], *data.get("packs", [])]
            case "stage":
                self.facts["stage"] = data["after"]
                if data.get("because"):
                    self.facts["outcome"] = self.finding = None
            case "assigned":
                self.facts["handler"] = data["after"]
            case "assessed":
                self.facts |= {name: data[name] for name in ("severity", "immediate_action", "vulnerable")}
            case "waiting":
                self.facts["waiting"], self.waiting_reason = data["waiting"], data["digest"]
            case "resumed":
                self.facts["waiting"] = self.waiting_reason = None
            case "responded":
                self.facts["outcome"], self.finding = data["outcome"], data["digest"]
            case "closed":
                self.facts["outcome"], self.finding = data["outcome"], data["digest"]
                self.facts["waiting"] = self.waiting_reason = None
            case "reopened":
                self.facts["outcome"] = self.finding = None
                for pack in data.get("anew", ()):
                    self.happened.setdefault(pack, {})["receipt"] = data["taken_up_at"]
            case "fact":
                self.known[data["fact"]] = data["value"]
            case "happened":
                pack = data.get("pack", self.packs[0][0])
                self.happened.setdefault(pack, {})[data["event"]] = data["happened_at"]
            case "participant":
                self.people[data["digest"]] = data["accepted"]
            case "participant-accepted":
                self.people[data["digest"]] = True
            case "address-corrected":
                self.address = data["after"]
                self.people.setdefault(data["after"], True)
            case "message":
                self.messages[data["message"]], self.kinds[data["message"]] = data["digest"], data["message_kind"]
            case "message-split":
                self.messages.pop(data["message"], None)
            case "merged":
                self.kin.merged_into = data["into"]
            case "unmerged":
                self.kin.merged_into, self.facts["stage"] = None, data["stage"]
            case "absorbed":
                self.kin.absorbed.add(data["case"])
            case "released":
                self.kin.absorbed.discard(data["case"])
            case "linked":
                self.kin.linked[data["case"]] = data["link"]
            case "unlinked":
                self.kin.linked.pop(data["case"], None)
            case "note":
                self.notes[data["note"]] = data["digest"]
            case "letter-queued":
                self.letters[data["letter"]] = (data["digest"], data["bytes"])
                self.sorts[data["letter"]] = (data["letter_kind"], data["automatic"], data["staff"])
            case "letter-called-back":
                self.letters.pop(data["letter"], None)
                self.sorts.pop(data["letter"], None)
            case "letter-sent":
                self.sent.add(data["letter"])
            case "deadlines-started":
                self.due |= {_which(one): one["due_at"] for one in data["deadlines"]}
            case "deadline-extended" | "deadline-recounted":
                self.due[_which(data)] = data["due_at"]
            case "deadline-paused":
                self.due[_which(data)] = data["due_at"]
                self.paused.setdefault(_which(data), []).append([data["begins_at"], None, data["digest"]])
            case "deadline-paused-on":
                self.due[_which(data)] = data["due_at"]
            case "deadline-resumed":
                self.due[_which(data)] = data["due_at"]
                self.paused[_which(data)][-1][1] = data["ends_at"]
            case "deadline-put-back":
                self.due[_which(data)] = data["due_at"]
                for pause in self.paused.get(_which(data), []):
                    pause[1] = pause[0] if pause[0] in data["void"] else pause[1]
            case "deadline-breached":
                self.breached.add(_which(data))
            case "deadline-breach-corrected":
                self.breached.discard(_which(data))
            case "deadline-met":
                self.met.add(_which(data))
                self.settled.add(_which(data))
            case "deadline-cancelled":
                self.settled.add(_which(data))
            case "deadline-restored":
                self.settled.discard(_which(data))

    def _hear_of_letter(self, kind: str, data: dict[str, Any]) -> None:
        match kind:
            case "letter-written-anew" | "draft-discarded":
                self.stands[data["letter"]] = "cancelled"
            case "letter-settled" if not data["sent"]:
                self.stands[data["letter"]] = "cancelled"
            case "letter-bounced" if self.stands.get(data["letter"]) == "cancelled":
                pass  # what was given up stays so
            case _ if kind in _LETTER_STATES:
                self.stands[data["letter"]] = _LETTER_STATES[kind]


_LETTER_STATES: Final = {
    "letter-queued": "queued",
    "letter-queued-again": "queued",
    "letter-sent-again": "queued",
    "letter-called-back": "draft",
    "letter-sent": "sent",
    "letter-failed": "failed",
    "letter-bounced": "bounced",
    "letter-uncertain": "uncertain",
}


def _row_problems(session: Session, row: Case, events: list[Any], kin: _Kin) -> Iterator[str]:
    told = _Told()
    for event in events:
        told.hear(event.kind, event.data)
    for problem in (
        *_state_problems(row, told),
        *_people_problems(session, row, told),
        *_message_problems(session, row, told),
        *_note_problems(session, row, told),
        *_letter_problems(session, row, told),
        *_deadline_problems(session, row, told),
        *_kin_problems(told.kin, kin),
    ):
        yield f"{row.reference}: {problem}"


def _state_problems(row: Case, told: _Told) -> Iterator[str]:
    shown = {
        "stage": row.stage,
        "handler": row.handler,
        "outcome": row.outcome,
        "severity": row.severity,
        "waiting": row.waiting,
        "vulnerable": row.vulnerable,
        "immediate_action": row.immediate_action,
    }
    for name, value in shown.items():
        expected = told.facts.get(name, False if isinstance(value, bool) else None)
        if expected != value:
            yield f"the ledger says {name} {expected}, the case says {value}"
    if row.is_open != (row.stage != "closed"):
        yield f"it is {row.stage}, but the case says that it is {'open' if row.is_open else 'not open'}"
    if told.facts.get("received_at") != row.received_at.isoformat():
        yield f"it was received {told.facts.get('received_at')}, the case says {row.received_at.isoformat()}"
    if [[row.pack, row.pack_version], *row.packs] != told.packs:
        yield "the policy packs are not those that it was opened under"
    if row.facts != told.known or row.happened != told.happened:
        yield "what is known of it, or what happened to it, is not what the ledger says"
    if complaint_seal(row) != told.complaint:
        yield "the complainant's name or the subject is not what the ledger sealed"
    if told.finding is not None and finding_seal(row) != told.finding:
        yield "the remedy or the root cause is not what the ledger sealed"
    if told.waiting_reason is not None and words_seal(row, row.waiting_reason or "") != told.waiting_reason:
        yield "the reason for waiting is not what the ledger sealed"


def _kin_problems(told: _Kin, found: _Kin) -> Iterator[str]:
    if told.merged_into != found.merged_into:
        yield f"the ledger says that it was merged into {told.merged_into}, the case says {found.merged_into}"
    for reference in sorted(told.absorbed ^ found.absorbed):
        yield f"whether {reference} was merged into it does not agree with the ledger"
    for reference in sorted({one for one, _ in told.linked.items() ^ found.linked.items()}):
        yield f"its link with {reference} does not agree with the ledger"


def _people_problems(session: Session, row: Case, told: _Told) -> Iterator[str]:
    if address_seal(row, row.complainant_address) != told.address:
        yield "the complainant's address is not what the ledger sealed"
    people = map(legible, session.scalars(select(Participant).where(col(Participant.case_id) == row.id)))
    if {address_seal(row, one.address): one.accepted for one in people} != told.people:
        yield "the people who belong to it are not those of the ledger"


def _message_problems(session: Session, row: Case, told: _Told) -> Iterator[str]:
    statement = (
        select(Message, Raw).outerjoin(Raw, col(Raw.id) == col(Message.raw_id)).where(col(Message.case_id) == row.id)
    )
    rows = list(session.execute(statement))
    files: dict[int, list[tuple[str, str]]] = {}
    attached = select(Attachment).where(col(Attachment.message_id).in_([message.id for message, _ in rows]))
    for one in map(legible, session.scalars(attached.order_by(col(Attachment.id)))):
        files.setdefault(one.message_id, []).append((one.name, one.sha256))
    seen = set()
    carried = set()
    for message, raw in rows:
        legible(message)
        if message.direction == "out":
            carried.add(message.letter_id)
            to = message.to[0] if message.to else ""
            found = letter_seal(message.salt, to=to, subject=message.subject, body=message.text)
            if told.letters.get(message.letter_id or 0, ("", ""))[0] != found:
                yield f"message {message.id} is not the letter that the ledger sealed"
            continue
        seen.add(message.id)
        found = message_seal(
            message.salt,
            sha256="" if raw is None else hashlib.sha256(_unpacked(raw.zstd, raw.size)).hexdigest(),
            sender=message.from_address,
            subject=message.subject,
            text=message.text,
            new_text=message.new_text,
            files=files.get(message.id or 0, ()),
        )
        if told.messages.get(message.id or 0) != found:
            yield f"message {message.id} is not what the ledger sealed"
        elif message.kind != told.kinds[message.id or 0]:
            yield f"message {message.id} is called {message.kind}, the ledger says {told.kinds[message.id or 0]}"
    for missing in sorted(told.messages.keys() - seen):
        yield f"message {missing} is in the ledger but not in the store"
    staff = set(session.scalars(select(col(Letter.id)).where(col(Letter.case_id) == row.id, col(Letter.staff))))
    for missing in sorted(told.sent - carried - staff):
        yield f"letter {missing} was sent, but does not stand in the conversation"


def _unpacked(packed: bytes, size: int) -> bytes:
    """The bytes, or none where what is stored is no such message: then the seal does not agree either."""
    try:
        if zstandard.get_frame_parameters(packed).content_size == size:
            return zstandard.decompress(packed)
    except zstandard.ZstdError:
        pass
    return b""


def _note_problems(session: Session, row: Case, told: _Told) -> Iterator[str]:
    notes = {
        note.id: digest(note.salt, note.text)
        for note in map(legible, session.scalars(select(Note).where(col(Note.case_id) == row.id)))
    }
    for note_id in sorted({one for one, _ in notes.items() ^ told.notes.items()}, key=str):
        yield f"note {note_id} is not what the ledger sealed"


def _letter_problems(session: Session, row: Case, told: _Told) -> Iterator[str]:
    found = map(legible, session.scalars(select(Letter).where(col(Letter.case_id) == row.id)))
    letters = {one.id or 0: one for one in found}
    for letter_id, (words, raw) in told.letters.items():
        letter = letters.get(letter_id)
        if letter is None:
            yield f"letter {letter_id} is in the ledger but not in the store"
        elif letter_seal(letter.salt, to=letter.to_address, subject=letter.subject, body=letter.body) != words:
            yield f"letter {letter_id} is not what the ledger sealed"
        elif letter.raw is not None and bytes_seal(letter.salt, letter.raw) != raw:
            yield f"the bytes of letter {letter_id} are not what the ledger sealed"
    for letter_id, letter in letters.items():
        stands = told.stands.get(letter_id, "draft")
        if letter_id not in told.letters and letter.state not in ("draft", "cancelled"):
            yield f"letter {letter_id} is {letter.state}, but the ledger does not know it"
        elif {"sending": "queued"}.get(letter.state, letter.state) != stands:
            yield f"letter {letter_id} is {letter.state}, but the ledger says {stands}"
        if letter_id in told.sorts and (letter.kind, letter.automatic, letter.staff) != told.sorts[letter_id]:
            yield f"the kind of letter {letter_id}, or whether it is automatic or to staff, is not what the ledger says"
        if letter.raw is not None and f"<{letter.message_id}>".encode() not in letter.raw:
            yield f"letter {letter_id} does not bear the Message-ID that it left under"
        said_sent = letter.sent_at is not None
        if said_sent != (letter_id in told.sent) or (letter.state == "sent" and not said_sent):
            yield f"the ledger and the store do not agree on whether letter {letter_id} was sent"


def _in_words(which: _Which) -> str:
    pack, kind, occurrence = which
    return f"deadline {kind} {occurrence}{f' of {pack}' if pack else ''}"


def _deadline_problems(session: Session, row: Case, told: _Told) -> Iterator[str]:
    """No breach disappears and no due date moves without an event."""
    stored = map(legible, session.scalars(select(Deadline).where(col(Deadline.case_id) == row.id)))
    rows = {("" if d.pack == row.pack else d.pack, d.kind, d.occurrence): d for d in stored}
    for unknown in sorted(rows.keys() - told.due.keys()):
        yield f"{_in_words(unknown)} is not in the ledger"
    for which, due in told.due.items():
        name = _in_words(which)
        found = rows.get(which)
        if found is None:
            yield f"{name} was removed"
        elif iso(found.due_at) != due:
            yield f"{name} was due {due}, now it says {iso(found.due_at)}"
        elif not _is_day_of(found.due_at, found.due_date):
            yield f"{name} says that it is due on {found.due_date}, which is not the day of {due}"
        elif (found.breached_at is not None) != (which in told.breached):
            yield f"the breach of {name} does not agree with the ledger"
        elif (found.met_at is not None) != (which in told.met):
            yield f"the ledger and the store do not agree on whether {name} was met"
        elif (found.settled_at is not None or found.state in ("met", "cancelled")) and which not in told.settled:
            yield f"{name} stands as settled, but the ledger says that it is owed"
        elif _pauses(row, found) != told.paused.get(which, []):
            yield f"the times in which {name} stood still are not those of the ledger"


def _is_day_of(instant: datetime, day: str) -> bool:
    """Whether it can be the day of this instant somewhere on earth."""
    try:
        return abs(date.fromisoformat(day) - instant.date()) <= timedelta(days=1)
    except ValueError:
        return False


def _pauses(row: Case, deadline: Deadline) -> list[list[Any]]:
    """As the ledger tells them; what somebody else made of them is none of its."""
    return [
        [one.get("begins_at"), one.get("ends_at"), words_seal(row, str(one.get("reason")))]
        if isinstance(one, dict)
        else []
        for one in deadline.pauses
    ]
