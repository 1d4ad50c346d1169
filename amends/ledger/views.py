"""Read-only questions.  They hand out frozen values, never live rows, and are what the screens and `--json` show."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Integer, Select, and_, func, literal_column, or_, select, text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from amends.kernel.errors import NotFound, Refused, Unreadable
from amends.kernel.text import clean, storable
from amends.ledger.columns import key
from amends.ledger.legible import Row, check_values, is_misread, legible
from amends.ledger.shapes import ArrivalView as ArrivalView
from amends.ledger.shapes import AttachmentView, EventView, NoteView, ParticipantView, PauseView
from amends.ledger.shapes import CaseView as CaseView
from amends.ledger.shapes import Counts as Counts
from amends.ledger.shapes import DeadlineView as DeadlineView
from amends.ledger.shapes import DutyView as DutyView
from amends.ledger.shapes import LetterView as LetterView
from amends.ledger.shapes import MessageView as MessageView
from amends.ledger.shapes import QueueRow as QueueRow
from amends.ledger.shapes import Tally as Tally
from amends.ledger.shapes import View as View
from amends.ledger.tables import (
    Arrival,
    Attachment,
    Case,
    Deadline,
    Duty,
    Event,
    Letter,
    Link,
    Message,
    Note,
    Participant,
    Raw,
)

UNSENT: Final = ("draft", "approval", "queued", "sending", "uncertain", "failed", "bounced")
"""What `amends outbox` lists: the letters not yet sent, and the failed ones."""
MOST_ASKED: Final = 500
"""Characters of a query that are looked for; nobody writes so many words to find a case."""
_AT_ONCE: Final = 500  # ids that one statement names
_NONE: Final = literal_column("0", Integer)  # in words, or no planner would know the condition of the index again


def _where(view: View) -> list[Any]:
    # Mail on a closed case needs eyes: it stands in the open list until somebody has read it.
    where: list[Any] = [
        col(Case.is_open).is_(False)
        if view.closed
        else or_(col(Case.is_open).is_(True), col(Case.unread) > _NONE, col(Case.undelivered).is_(True))
    ]
    if view.handler is not None:
        where.append(col(Case.handler).is_(None) if view.handler == "" else col(Case.handler) == view.handler)
    if view.late_at is not None:
        where.append(col(Case.next_due_at) < view.late_at)
    if view.due_before is not None:
        where.append(col(Case.next_due_at) < view.due_before)
    if view.waiting is not None:
        where.append(col(Case.waiting).is_not(None) if view.waiting else col(Case.waiting).is_(None))
    if view.undelivered is not None:
        where.append(col(Case.undelivered).is_(view.undelivered))
    if view.vulnerable is not None:
        where.append(col(Case.vulnerable).is_(view.vulnerable))
    return where


def _ordered(statement: Select[*tuple[Any, ...]], view: View) -> Select[*tuple[Any, ...]]:
    if view.closed:
        return statement.order_by(col(Case.closed_at).desc(), col(Case.id).desc())
    # What could not be delivered stands first: its clocks run and the complainant knows nothing.
    return statement.order_by(
        col(Case.undelivered).desc(), col(Case.next_due_at).is_(None), col(Case.next_due_at), col(Case.id)
    )


def queue_ids(session: Session, view: View) -> array[int]:
    """The ids of the cases in `view`, most urgent first: a snapshot of 8 bytes a case."""
    statement = _ordered(select(key(Case.id)).where(*_where(view)), view)
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        return array("q", connection.execute(statement).scalars())
    # One text of them all, which SQLite keeps in the order of the inner SELECT: a row each takes four times as long.
    told = connection.execute(select(func.group_concat(statement.subquery().c.id))).scalar()
    return array("q", json.loads(f"[{told or ''}]"))


def queue_rows(session: Session, ids: Sequence[int], *, now: datetime) -> dict[int, QueueRow]:
    """The lines for these cases, by id; a case that is gone or cannot be read is left out."""
    if not ids:
        return {}
    try:
        rows = session.connection().execute(_ROW.where(col(Case.id).in_(list(ids))))
        return _with_labels(session, {row.id: _queue_row(row, now) for row in rows})
    except (Unreadable, OperationalError) as fault:
        if not is_misread(fault):
            raise
    if len(ids) == 1:
        return {}
    half = len(ids) // 2  # a few bad rows among many are found in a few steps
    return queue_rows(session, ids[:half], now=now) | queue_rows(session, ids[half:], now=now)


def _with_labels(session: Session, rows: dict[int, QueueRow]) -> dict[int, QueueRow]:
    """The same rows, each with what its next deadline is called and of which pack it is."""
    due = [row.id for row in rows.values() if row.due_at is not None]
    statement = (
        select(col(Deadline.case_id), col(Deadline.kind), col(Deadline.due_at), col(Deadline.label), col(Deadline.pack))
        .where(col(Deadline.case_id).in_(due), col(Deadline.settled_at).is_(None))
        .order_by(col(Deadline.id).desc())
    )
    for case_id, kind, due_at, label, pack in session.connection().execute(statement) if due else ():
        if (rows[case_id].deadline, rows[case_id].due_at) == (kind, due_at):
            rows[case_id] = replace(rows[case_id], label=label, pack=pack)
    return rows


def queue_row(session: Session, case_id: int, *, now: datetime) -> QueueRow:
    """The line of one case.  Raises NotFound and Unreadable."""
    row = session.connection().execute(_ROW.where(col(Case.id) == case_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such case.")
    return _queue_row(row, now)


def queue(session: Session, view: View, *, now: datetime, limit: int | None = None) -> list[QueueRow]:
    """The lines of `view`, most urgent first.  Raises Unreadable, where `legible_queue` goes on."""
    statement = _ordered(_ROW.where(*_where(view)), view)
    if limit is not None:
        statement = statement.limit(limit)
    return [_queue_row(row, now) for row in session.connection().execute(statement).all()]


def legible_queue(
    session: Session, view: View, *, now: datetime, limit: int | None = None
) -> tuple[list[QueueRow], int]:
    """The lines of `view` that can be read, and how many cannot."""
    try:
        found = queue(session, view, now=now, limit=limit)
        some = (found[start : start + _AT_ONCE] for start in range(0, len(found), _AT_ONCE))
        return [row for part in some for row in _with_labels(session, {one.id: one for one in part}).values()], 0
    except (Unreadable, OperationalError) as fault:
        if not is_misread(fault):
            raise
    ids = queue_ids(session, view)[:limit]
    rows = queue_rows(session, ids, now=now)
    return [rows[one] for one in ids if one in rows], len(ids) - len(rows)


def counts(session: Session, view: View, *, now: datetime, today_end: datetime, soon_end: datetime) -> Counts:
    due = col(Case.next_due_at)

    def how_many(*where: Any) -> Any:
        return func.count().filter(*where)

    statement = select(
        func.count(),
        how_many(due < now),
        how_many(and_(due >= now, due <= today_end)),
        how_many(and_(due > today_end, due <= soon_end)),
    ).where(*_where(view))
    return Counts(*session.connection().execute(statement).one())


# In the order of `QueueRow`'s fields, but for the two numbers of messages and the state of the deadline.
_ROW: Final[Select[*tuple[Any, ...]]] = select(
    *(
        col(column)
        for column in (
            Case.id,
            Case.reference,
            Case.subject,
            Case.complainant_name,
            Case.complainant_address,
            Case.stage,
            Case.is_open,
            Case.waiting,
            Case.severity,
            Case.handler,
            Case.received_at,
            Case.next_deadline,
            Case.next_due_at,
            Case.messages_in,
            Case.messages_out,
            Case.unread,
            Case.vulnerable,
            Case.escalated,
            Case.undelivered,
            Case.history,
            Case.version,
            Case.next_paused,
        )
    )
)


_SOUND: Final[set[tuple[type, ...]]] = set()
"""The types of whole rows that were found to be right; there are a dozen of them at most."""


def _queue_row(row: Any, now: datetime) -> QueueRow:
    """Raises Unreadable where somebody put into a column what is no value of it."""
    if (kinds := tuple(map(type, row))) not in _SOUND:
        check_values(Case, row._mapping)
        _SOUND.add(kinds)
    # By place and not by name: a list of ten thousand is asked for in one go.
    (
        case_id,
        reference,
        subject,
        complainant_name,
        complainant_address,
        stage,
        is_open,
        waiting,
        severity,
        handler,
        received_at,
        deadline,
        due_at,
        messages_in,
        messages_out,
        *rest,
    ) = row
    due_state = None if due_at is None else "paused" if rest[-1] else "breached" if due_at < now else "open"
    return QueueRow(
        case_id,
        reference,
        subject,
        complainant_name,
        complainant_address,
        stage,
        is_open,
        waiting,
        severity,
        handler,
        received_at,
        deadline,
        due_at,
        due_state,
        messages_in + messages_out,
        *rest,
    )


def case(session: Session, case_id: int, *, now: datetime) -> CaseView:
    """The case whole.  Raises NotFound."""
    line = queue_row(session, case_id, now=now)
    row = legible(session.get_one(Case, case_id))
    return CaseView(
        row=line,
        outcome=row.outcome,
        remedy=row.remedy,
        remedy_amount=None if row.remedy_amount is None else f"{row.remedy_amount} {row.remedy_currency}",
        root_cause=row.root_cause,
        complexity=row.complexity,
        impact=row.impact,
        immediate_action=row.immediate_action,
        waiting_reason=row.waiting_reason,
        language=row.language,
        pack=row.pack,
        pack_version=row.pack_version,
        acknowledged_at=row.acknowledged_at,
        responded_at=row.responded_at,
        closed_at=row.closed_at,
        deadlines=tuple(_deadlines(session, case_id, now)),
        messages=tuple(_messages(session, [col(Message.case_id) == case_id])),
        letters=tuple(_letters(session, [col(Letter.case_id) == case_id], newest_first=False)),
        notes=tuple(
            NoteView(n.id or 0, n.at, n.author, n.text)
            for n in _legible(session, select(Note).where(col(Note.case_id) == case_id).order_by(col(Note.id)))
        ),
        events=tuple(
            EventView(e.seq, e.at, e.actor, e.kind, e.data, e.hash)
            for e in _legible(session, select(Event).where(col(Event.case_id) == case_id).order_by(col(Event.seq)))
        ),
        participants=tuple(
            ParticipantView(p.address, p.name, p.role, p.accepted)
            for p in _legible(session, select(Participant).where(col(Participant.case_id) == case_id))
        ),
        merged_into=_reference(session, row.merged_into),
        merged=tuple(
            session.scalars(select(col(Case.reference)).where(col(Case.merged_into) == case_id).order_by(col(Case.id)))
        ),
        links=tuple(_links(session, case_id)),
        packs=tuple((one[0], one[1]) for one in row.packs),
        facts=row.facts,
    )


def _legible(session: Session, statement: Select[Row]) -> Iterable[Row]:
    return map(legible, session.scalars(statement))


def _reference(session: Session, case_id: int | None) -> str | None:
    return session.connection().execute(select(col(Case.reference)).where(col(Case.id) == case_id)).scalar()


def _links(session: Session, case_id: int) -> Iterable[tuple[str, str]]:
    either = or_(col(Link.case_id) == case_id, col(Link.other_id) == case_id)
    statement = select(col(Case.reference), col(Link.kind)).join(
        Link, and_(either, or_(col(Case.id) == col(Link.case_id), col(Case.id) == col(Link.other_id)))
    )
    statement = statement.where(col(Case.id) != case_id)
    return [(row[0], row[1]) for row in session.connection().execute(statement.order_by(col(Case.id)))]


def _deadlines(session: Session, case_id: int, now: datetime) -> Iterable[DeadlineView]:
    statement = (
        select(Deadline).where(col(Deadline.case_id) == case_id).order_by(col(Deadline.due_at), col(Deadline.id))
    )
    for d in _legible(session, statement):
        late = d.state == "open" and d.due_at < now  # between the instant and the clock's next look
        yield DeadlineView(
            id=d.id or 0,
            pack=d.pack,
            kind=d.kind,
            label=d.label,
            occurrence=d.occurrence,
            due_at=d.due_at,
            due_date=d.due_date,
            state="breached" if late else d.state,
            basis=d.basis,
            met_at=d.met_at,
            breached_at=d.breached_at,
            derivation=tuple(d.derivation),
            pauses=(pauses := tuple(_pauses(d))),
            paused_days=sum(one.days(now) for one in pauses),
        )


def _pauses(deadline: Deadline) -> Iterable[PauseView]:
    """Raises Unreadable where somebody wrote into the column what is no pause."""
    try:
        for one in deadline.pauses:
            begins, until = datetime.fromisoformat(one["begins_at"]), datetime.fromisoformat(one["until"])
            ends = None if one["ends_at"] is None else datetime.fromisoformat(one["ends_at"])
            zone = ZoneInfo(one["zone"])
            yield PauseView(begins, until, ends, str(one["reason"]), str(one["approver"]), zone)
    except (LookupError, TypeError, ValueError) as wrong:
        raise Unreadable("A value in the database (deadlines.pauses) cannot be read; run: amendsd verify") from wrong


def _messages(session: Session, where: Sequence[Any]) -> Iterable[MessageView]:
    rows = list(_legible(session, select(Message).where(*where).order_by(col(Message.at), col(Message.id))))
    files: dict[int, list[AttachmentView]] = {}
    ids = [row.id for row in rows]
    for a in _legible(
        session, select(Attachment).where(col(Attachment.message_id).in_(ids)).order_by(col(Attachment.id))
    ):
        files.setdefault(a.message_id, []).append(AttachmentView(a.name, a.media_type, a.size, a.sha256))
    for m in rows:
        yield MessageView(
            id=m.id or 0,
            direction=m.direction,
            at=m.at,
            message_id=m.message_id,
            from_name=m.from_name,
            from_address=m.from_address,
            to=tuple(m.to),
            cc=tuple(m.cc),
            subject=m.subject,
            kind=m.kind,
            text=m.text,
            new_text=m.new_text,
            attachments=tuple(files.get(m.id or 0, ())),
            match=m.match,
            flags=tuple(m.flags),
            defects=tuple(m.defects),
            authentication=m.authentication,
            letter_id=m.letter_id,
            read=m.read_at is not None or m.direction == "out",
        )


def message(session: Session, message_id: int) -> MessageView:
    """One message, with or without a case.  Raises NotFound."""
    for found in _messages(session, [col(Message.id) == message_id]):
        return found
    raise NotFound("There is no such message.")


def _letters(session: Session, where: Sequence[Any], *, newest_first: bool) -> Iterable[LetterView]:
    statement = select(Letter, col(Case.reference)).outerjoin(Case, col(Case.id) == col(Letter.case_id)).where(*where)
    order = col(Letter.id).desc() if newest_first else col(Letter.id)
    for letter, reference in session.execute(statement.order_by(order)):
        legible(letter)
        yield LetterView(
            id=letter.id or 0,
            case_id=letter.case_id,
            reference=reference,
            kind=letter.kind,
            template=letter.template,
            state=letter.state,
            automatic=letter.automatic,
            staff=letter.staff,
            author=letter.author,
            to_name=letter.to_name,
            to_address=letter.to_address,
            subject=letter.subject,
            body=letter.body,
            message_id=letter.message_id,
            created_at=letter.created_at,
            queued_at=letter.queued_at,
            next_try_at=letter.next_try_at,
            sent_at=letter.sent_at,
            tries=letter.tries,
            error=letter.error,
            case_version=letter.case_version,
            facts=letter.facts,
        )


def outbox(session: Session, *, sent_since: datetime | None = None) -> list[LetterView]:
    """The letters not yet sent and the failed ones, newest first; with `sent_since` also those sent since then."""
    where: ColumnElement[bool] = col(Letter.state).in_(UNSENT)
    if sent_since is not None:
        where = or_(where, and_(col(Letter.state) == "sent", col(Letter.sent_at) >= sent_since))
    return list(_letters(session, [where], newest_first=True))


def letter(session: Session, letter_id: int) -> LetterView:
    """Raises NotFound."""
    for found in _letters(session, [col(Letter.id) == letter_id], newest_first=True):
        return found
    raise NotFound("There is no such letter.")


def held_letters(session: Session, author: str, *, now: datetime) -> list[LetterView]:
    """The letters of `author` that can still be called back, the next to leave first."""
    where = [
        col(Letter.state) == "queued",
        col(Letter.automatic).is_(False),
        col(Letter.author) == author,
        col(Letter.tries) == 0,
        col(Letter.next_try_at) > now,
    ]
    return sorted(_letters(session, where, newest_first=False), key=lambda one: one.next_try_at or now)


def tray(session: Session, state: str, *, newest: int | None = None) -> list[ArrivalView]:
    """The messages in `state` (held, quarantined, dismissed), oldest first; `newest`: only so many, newest first."""
    statement = select(Arrival).where(col(Arrival.state) == state)
    if newest is None:
        statement = statement.order_by(col(Arrival.id))
    else:
        statement = statement.order_by(col(Arrival.id).desc()).limit(newest)
    return [
        ArrivalView(
            a.id or 0,
            a.state,
            a.received_at,
            a.sender,
            a.subject,
            a.reason or "",
            tuple(a.candidates),
            a.message_id,
            a.raw_id,
        )
        for a in _legible(session, statement)
    ]


def raw(session: Session, raw_id: int) -> tuple[str, bytes]:
    """The SHA-256 and the compressed bytes of one message.  Raises NotFound."""
    row = session.get(Raw, raw_id)
    if row is None:
        raise NotFound("There are no bytes of that message.")
    return row.sha256, row.zstd


def raw_id_of(session: Session, message_id: int) -> int | None:
    return session.connection().execute(select(col(Message.raw_id)).where(col(Message.id) == message_id)).scalar()


def duties(session: Session) -> list[DutyView]:
    statement = select(Duty).order_by(col(Duty.name))
    return [DutyView(d.name, d.state, d.since, d.beat_at, d.last_error, d.detail) for d in _legible(session, statement)]


def tally(session: Session) -> Tally:
    connection = session.connection()
    states = select(col(Arrival.state), func.count()).where(col(Arrival.state).in_(("held", "quarantined")))
    arrivals = {row[0]: row[1] for row in connection.execute(states.group_by(col(Arrival.state)))}
    wanted = ("queued", "sending", "uncertain", "failed", "bounced")
    by_state = select(col(Letter.state), func.count(), func.min(col(Letter.queued_at))).where(
        col(Letter.state).in_(wanted)
    )
    letters = {s: (n, oldest) for s, n, oldest in connection.execute(by_state.group_by(col(Letter.state)))}

    def number(*names: str) -> int:
        return sum(letters[name][0] for name in names if name in letters)

    oldest = [at for name in ("queued", "sending") if name in letters and (at := letters[name][1]) is not None]
    return Tally(
        held=arrivals.get("held", 0),
        quarantined=arrivals.get("quarantined", 0),
        queued=number("queued", "sending"),
        uncertain=number("uncertain"),
        failed=number("failed", "bounced"),
        oldest_queued=min(oldest, default=None),
    )


def case_id(session: Session, reference: str) -> int | None:
    """The id of the case with exactly this reference."""
    return session.connection().execute(select(key(Case.id)).where(col(Case.reference) == reference)).scalar()


def cases_with_serial(session: Session, serial: int, *, limit: int = 20) -> list[int]:
    """The cases with this serial, the newest year first: what a caller reads out is often only the number."""
    statement = select(key(Case.id)).where(col(Case.serial) == serial).order_by(col(Case.year).desc()).limit(limit)
    return list(session.connection().execute(statement).scalars())


def named_case(session: Session, name: str, *, prefix: str) -> int:
    """The one case that `name` is: a whole reference, or a serial that only one case has.

    Raises NotFound, or Refused with the references where several cases have the serial.
    """
    from amends.kernel.refs import CaseRef

    shown = clean(name, identifier=True, limit=60).text
    if (ref := CaseRef.parse(name, prefix=prefix)) is not None:
        if (found := case_id(session, str(ref))) is None:
            raise NotFound(f"There is no case {ref}; check the reference.")
        return found
    bare = name.strip().lstrip("#")
    if not (bare.isascii() and bare.isdigit() and len(bare) <= 9):
        raise NotFound(
            f"'{shown}' is no reference of ours; write it whole, with its check digits, or the serial alone."
        )
    ids = cases_with_serial(session, int(bare))
    if not ids:
        raise NotFound(f"There is no case with the serial {bare}.")
    if len(ids) > 1:
        statement = select(col(Case.reference)).where(col(Case.id).in_(ids)).order_by(col(Case.year).desc())
        several = ", ".join(session.connection().execute(statement).scalars())
        raise Refused(f"Several cases have the serial {bare}: {several}; write the whole reference.")
    return ids[0]


def search(session: Session, query: str, *, prefix: str, limit: int = 200) -> list[int]:
    """The cases that `query` finds, best first: by reference, else by name or address, else by the words of their mail.

    A quoted phrase stays together and -word leaves out; anything else is just words, all of which must occur.
    """
    from amends.kernel.refs import find_refs

    query = storable(query[:MOST_ASKED])  # a shell hands on bytes that are no text, and as many as you like
    found: dict[int, None] = {}
    for ref in find_refs(query, prefix=prefix):
        if (hit := case_id(session, str(ref))) is not None:
            found[hit] = None
    bare = query.strip().lstrip("#")
    if bare.isascii() and bare.isdigit() and len(bare) <= 9:  # "²" is a digit too, but no number
        found.update(dict.fromkeys(cases_with_serial(session, int(bare), limit=limit)))
    words = _words(query)
    if words and not found:
        found.update(dict.fromkeys(_by_name(session, bare, limit)))
        found.update(dict.fromkeys(_by_text(session, words, limit)))
    return list(found)[:limit]


def _words(query: str) -> list[tuple[str, bool]]:
    """(phrase, wanted) pairs of a query; what is not a letter or digit only separates."""
    pairs = []
    for minus, phrase, word in re.findall(r'(-?)(?:"([^"]+)"|(\S+))', query):
        tokens = re.findall(r"\w+", phrase or word)
        if tokens:
            pairs.append((" ".join(tokens), not minus))
    return pairs[:16]


def _by_name(session: Session, fragment: str, limit: int) -> Iterable[int]:
    if len(fragment) < 2:
        return []
    escaped = re.sub(r"([\\%_])", r"\\\1", fragment)
    like = f"%{escaped}%"
    statement = (
        select(key(Case.id))
        .where(
            or_(
                col(Case.complainant_name).ilike(like, escape="\\"),
                col(Case.complainant_address).ilike(like, escape="\\"),
            )
        )
        .order_by(col(Case.is_open).desc(), col(Case.id).desc())
        .limit(limit)
    )
    return session.connection().execute(statement).scalars().all()


def _by_text(session: Session, words: Sequence[tuple[str, bool]], limit: int) -> Iterable[int]:
    wanted = [phrase for phrase, want in words if want]
    unwanted = [phrase for phrase, want in words if not want]
    if not wanted:
        return []
    if session.connection().dialect.name == "sqlite":
        match = " ".join(f'"{phrase}"*' for phrase in wanted)
        match += "".join(f' NOT "{phrase}"' for phrase in unwanted)
        statement = "SELECT case_id FROM search WHERE search MATCH :match ORDER BY rowid DESC LIMIT :limit"
        hits = session.connection().execute(text(statement), {"match": match, "limit": limit * 5}).scalars()
        return list(dict.fromkeys(hits))[:limit]
    match = " & ".join(" <-> ".join(f"{word}:*" for word in phrase.split()) for phrase in wanted)
    match += "".join(f" & !({' <-> '.join(phrase.split())})" for phrase in unwanted)
    statement = (
        "SELECT case_id, max(message_id) AS newest FROM search "
        "WHERE to_tsvector('simple', body) @@ to_tsquery('simple', :match) "
        "GROUP BY case_id ORDER BY newest DESC LIMIT :limit"
    )
    return session.connection().execute(text(statement), {"match": match, "limit": limit}).scalars().all()


def recent_events(session: Session, after: int, *, limit: int = 500) -> list[tuple[int, int, str]]:
    """(event id, case id, kind) of the events after id `after`, oldest first: what a screen has to redraw."""
    statement = (
        select(key(Event.id), col(Event.case_id), col(Event.kind))
        .where(col(Event.id) > after)
        .order_by(col(Event.id))
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in session.connection().execute(statement)]


def events_among(session: Session, ids: Iterable[int]) -> list[tuple[int, int, str]]:
    """Those of these events that there are, as `recent_events` has them."""
    wanted = list(ids)
    if not wanted:
        return []
    statement = select(key(Event.id), col(Event.case_id), col(Event.kind)).where(col(Event.id).in_(wanted))
    return [(row[0], row[1], row[2]) for row in session.connection().execute(statement.order_by(col(Event.id)))]


def missing_events(session: Session, *, after: int, upto: int) -> set[int]:
    """The ids in between that no event has: of a transaction that has yet to commit, or that never will.

    PostgreSQL gives out ids when they are asked for, so that a higher one may be seen before a lower one.
    """
    statement = select(key(Event.id)).where(col(Event.id) > after, col(Event.id) <= upto)
    return set(range(max(after, 0) + 1, upto + 1)).difference(session.connection().execute(statement).scalars())


def last_event(session: Session) -> int:
    return session.connection().execute(select(func.max(col(Event.id)))).scalar() or 0


def clock_face(session: Session, *, now: datetime) -> tuple[datetime | None, int]:
    """The next instant at which the clock has something to do, and how many such instants are past."""
    following = select(func.min(col(Deadline.tick_at))).where(col(Deadline.tick_at).is_not(None))
    overdue = select(func.count()).where(col(Deadline.tick_at) <= now - timedelta(minutes=1))
    return session.connection().execute(following).scalar(), session.connection().execute(overdue).scalar() or 0
