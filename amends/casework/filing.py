"""The verb `file`: what becomes of one message that was read.

Runs inside the transaction of `intake.file`; raises whatever it raises, and then nothing of it remains.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, text, update
from sqlmodel import Session, col

from amends.cases.stages import Stage
from amends.casework import ahead, forms, gate
from amends.casework.actors import SYSTEM, Actor
from amends.casework.ahead import Ahead
from amends.casework.casefile import CaseFile, CaseFiles
from amends.casework.gate import Answered
from amends.casework.handling import end_waiting, waits_since
from amends.casework.kin import lock_cases, survivor_of, taken_up_by
from amends.casework.leftover import told_to_sender
from amends.casework.office import Office
from amends.casework.plans import earliest, planned_rows
from amends.casework.post import note_bounce, note_receipt
from amends.casework.threads import cases_of, look_up, remember, thread_digest
from amends.casework.writing import facts_of, promises, queue_automatic
from amends.conversation.machines import Said
from amends.conversation.match import NEW_CASE, Fate, Known, Match, Standing, decide, doubted, marked
from amends.conversation.request import asks_for_status, says_only_that
from amends.kernel.refs import CaseRef, find_refs
from amends.kernel.text import clean, one_line
from amends.ledger.book import add, add_all, add_missing, insert_all
from amends.ledger.chain import new_salt
from amends.ledger.columns import key
from amends.ledger.seals import address_seal, complaint_seal, message_seal
from amends.ledger.tables import Arrival, Attachment, Case, Counter, Letter, Message, Participant, ThreadId
from amends.letters import tokens
from amends.letters.kinds import LetterKind
from amends.mail.facts import Kind, Reading


def give_fate(office: Office, session: Session, arrival: Arrival, reading: Reading, *, now: datetime) -> str | None:
    """Decide and carry out; sets `arrival.state` and returns the reference of the case, if there is one."""
    settings = office.settings
    reading, unproved = forms.as_complainant(reading, settings)
    arrival.sender, arrival.subject = reading.sender.address, one_line(reading.subject, 500)
    if (copied := _proved_by_address(office, session, reading)) is not None:
        return _receipt(office, session, arrival, copied, now=now)
    if (twin := _seen_before(session, arrival, reading)) is not None:
        arrival.state, arrival.message_id = "duplicate", twin
        return _reference_of(session, twin)
    if unproved:
        _quarantine(session, arrival, reading, NEW_CASE, unproved)
        return None
    if reading.kind is Kind.OWN or reading.sender.address in settings.organisation.own_addresses:
        return _own(office, session, arrival, reading, now=now)
    if reading.kind is Kind.BOUNCE and (done := _bounce(office, session, arrival, reading, now=now)) is not None:
        return done
    known = known_of(office, session, reading)
    match = doubted(
        decide(reading.sender.address, known),
        known,
        received_at=arrival.received_at,
        late_after=timedelta(days=settings.conversation.late_after_days) if reading.kind is Kind.PERSON else None,
        unsafe=_unsafe(reading),
    )
    if _id_used_before(session, reading):
        match = marked(match)
    if match.fate is Fate.JOIN and match.case is not None:
        return join(office, session, arrival, reading, match, now=now)
    if match.fate is Fate.HOLD:
        arrival.state, arrival.reason = "held", match.because
        arrival.candidates = [match.as_json() | {"case": case} for case in match.candidates]
        arrival.message_id = _set_aside(session, arrival, reading, match)
        return None
    if reading.kind is not Kind.PERSON:
        because = f"looks automatic ({reading.kind}) and belongs to no case; it was not answered"
        _quarantine(session, arrival, reading, match, because)
        return None
    return open_case(office, session, arrival, reading, match=match, now=now)


def _quarantine(session: Session, arrival: Arrival, reading: Reading, match: Match, because: str) -> None:
    arrival.state, arrival.reason = "quarantined", because
    arrival.message_id = _set_aside(session, arrival, reading, match)


def _set_aside(session: Session, arrival: Arrival, reading: Reading, match: Match) -> int:
    """The message as a row without a case: the one from the last time, where it is read again."""
    return arrival.message_id or add_message(session, arrival, reading, case_id=None, match=match)


def content_key(reading: Reading) -> str:
    """The same message delivered twice, whatever its trace headers say: Message-ID, sender, date and words agree.

    Empty for a message without a Message-ID: two such mails with equal words may be two complaints.
    """
    if not reading.message_id:
        return ""
    files = [attachment.sha256 for attachment in reading.attachments]
    parts = [reading.message_id, reading.sender.address, reading.subject, str(reading.date), reading.text, *files]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _seen_before(session: Session, arrival: Arrival, reading: Reading) -> int | None:
    """The message that this arrival is once more, if we have it; its own (when it is read again) does not count."""
    words = content_key(reading)
    known = ahead.ahead_of(session)
    if known is None:
        known = Ahead()
        _look_for_twins(session, known, [(arrival, words)])
    found = [
        *(one for other, one in known.same_bytes.get(arrival.raw_id, ()) if other != arrival.id),
        *known.same_words.get(words, ()),
    ]
    return next((one for one in found if one != arrival.message_id), None)


def _look_for_twins(session: Session, known: Ahead, arrivals: Sequence[tuple[Arrival, str]]) -> None:
    """What came as the same bytes, or says the same, as these arrivals with their content keys."""
    connection = session.connection()
    raw_ids, keys = [arrival.raw_id for arrival, _ in arrivals], [words for _, words in arrivals if words]
    if connection.dialect.name == "postgresql":  # another daemon may be filing the same message from another mailbox
        names = (words or f"raw {arrival.raw_id}" for arrival, words in arrivals)
        locks = (int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True) for name in names)
        for lock in sorted(locks):  # in one order: two daemons never wait for one another
            connection.execute(_LOCK, {"key": lock})
    for raw_id, arrival_id, message_id in connection.execute(_SAME_BYTES, {"raw_ids": raw_ids}):
        known.same_bytes.setdefault(raw_id, []).append((arrival_id, message_id or 0))
    for words, message_id in connection.execute(_SAME_WORDS, {"keys": keys}):
        known.same_words.setdefault(words, []).append(message_id)


_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_SAME_BYTES = select(col(Arrival.raw_id), key(Arrival.id), col(Arrival.message_id)).where(
    col(Arrival.raw_id).in_(bindparam("raw_ids", expanding=True)), col(Arrival.message_id).is_not(None)
)
_SAME_WORDS = select(col(Message.content_key), key(Message.id)).where(
    col(Message.content_key).in_(bindparam("keys", expanding=True))
)


def look_ahead(files: CaseFiles, readings: Sequence[tuple[Arrival, Reading]]) -> Ahead:
    """What filing these will ask, looked up at once; and the cases that they speak of, opened."""
    office, session, known = files.office, files.session, Ahead()
    as_theirs = [(arrival, forms.as_complainant(reading, office.settings)[0]) for arrival, reading in readings]
    _look_for_twins(session, known, [(arrival, content_key(reading)) for arrival, reading in as_theirs])
    said = [_evidence(office, reading) for _, reading in as_theirs]
    ids = {reading.message_id for _, reading in as_theirs} | {one for evidence in said for one in evidence.thread}
    threads = look_up(session, map(thread_digest, ids), known.threads)
    known.cases = _Cases(session)
    known.cases.learn([ref for evidence in said for ref in evidence.references])
    known.cases.learn([case[1] for case in threads.values() if case is not None])
    files.open_all(known.cases.living, with_owed=False)
    known.letters = gate.history(session, {reading.sender.address for _, reading in as_theirs}, files.now)
    return known


def _id_used_before(session: Session, reading: Reading) -> bool:
    """Whether a message on a case has this Message-ID already; it is another one, or it would have been its twin."""
    if not reading.message_id:
        return False
    digest = thread_digest(reading.message_id)
    if (known := ahead.ahead_of(session)) is not None:
        if look_up(session, [digest], known.threads)[digest] is None:
            return False
        known.write(session)
    which = {"digest": digest, "message_id": reading.message_id}
    return session.connection().execute(_WITH_ITS_ID, which).first() is not None


_WITH_ITS_ID = (  # by the index of Message-IDs, which also has those that were only referred to
    select(key(Message.id))
    .join(ThreadId, col(ThreadId.case_id) == col(Message.case_id))
    .where(
        col(ThreadId.digest) == bindparam("digest"),
        col(Message.message_id) == bindparam("message_id"),
        col(Message.direction) == "in",
    )
    .limit(1)
)


def _reference_of(session: Session, message_id: int) -> str | None:
    statement = (
        select(col(Case.reference))
        .join(Message, col(Message.case_id) == col(Case.id))
        .where(col(Message.id) == message_id)
    )
    return session.connection().execute(statement).scalar()


def _own(office: Office, session: Session, arrival: Arrival, reading: Reading, *, now: datetime) -> str | None:
    """Mail from our own address, without the signed address of a receipt copy: a letter, or what only says it is ours.

    It must be the letter itself, word for word: a forged Message-ID of ours must not swallow a complaint.
    """
    letter = _letter_of(session, [reading.message_id])
    if letter is not None and _same_words(letter.body, reading.text):
        return _receipt(office, session, arrival, letter, now=now)
    because = "it says that it comes from our own address, but it is no letter of ours"
    _quarantine(session, arrival, reading, NEW_CASE, because)
    return None


def _proved_by_address(office: Office, session: Session, reading: Reading) -> Letter | None:
    """The letter whose receipt copy this is by the signed address it was sent to, whatever a gateway made of its words.

    Nobody but our own mail server is told that address.  What names another letter of ours as well proves neither.
    """
    ours = office.settings.organisation.address
    addresses = (*reading.delivered_to, *(box.address for box in (*reading.to, *reading.cc)))
    letter_ids = {tokens.verify_receipt_address(address, ours, key=office.key) for address in addresses} - {None}
    if len(letter_ids) != 1:
        return None
    (letter_id,) = letter_ids
    said = tokens.verify_message_id(reading.message_id, key=office.key)
    if said is not None and said != tokens.verify_message_id(letter_id or "", key=office.key):
        return None
    return _letter_of(session, [letter_id or ""])


def _letter_of(session: Session, message_ids: Sequence[str]) -> Letter | None:
    """A letter of ours that was made ready to leave under one of these Message-IDs."""
    statement = select(Letter).where(col(Letter.message_id).in_(message_ids), col(Letter.raw).is_not(None))
    return session.scalars(statement.limit(1)).first()


def _receipt(office: Office, session: Session, arrival: Arrival, letter: Letter, *, now: datetime) -> str | None:
    arrival.state = "own"
    return note_receipt(office, session, letter, now=now)


def _same_words(ours: str, theirs: str) -> bool:
    return "".join(ours.split()) == "".join(theirs.split())


def _bounce(office: Office, session: Session, arrival: Arrival, reading: Reading, *, now: datetime) -> str | None:
    """A bounce of one of our letters marks the letter and stands on its case; None if no letter of ours is meant."""
    named = _failed_letters(office, reading)
    meant = {one.message_id: one for one in session.scalars(select(Letter).where(col(Letter.message_id).in_(named)))}
    letter = next((meant[one] for one in named if one in meant), None)
    if letter is not None and letter.case_id is None and reading.gave_up and letter.state != "cancelled":
        letter.state, letter.error = "bounced", "the address could not be delivered to (see the tray for the report)"
        session.add(letter)
    if letter is None or letter.case_id is None:
        return None
    survivor = survivor_of(session, letter.case_id)
    files = {
        case_id: CaseFile.open(office, session, case_id, actor=SYSTEM, now=now)
        for case_id in sorted({letter.case_id, survivor})
    }
    file = files[survivor]
    match = Match(Fate.JOIN, file.row.reference, "a delivery report on a letter of ours", letter.message_id or "")
    _attach(file, arrival, reading, match)
    note_bounce(files[letter.case_id], letter, permanent=reading.gave_up, bad_address=bool(reading.permanent_failure))
    if reading.gave_up and survivor != letter.case_id and not letter.staff:
        file.row.undelivered = True
        file.touch()
    for one in files.values():
        one.save()
    return file.row.reference


def _failed_letters(office: Office, reading: Reading) -> list[str]:
    """The Message-IDs of the letters that a bounce may mean, the likeliest first."""
    letter_ids = [
        letter_id
        for address in reading.delivered_to + tuple(m.address for m in reading.to)
        if (letter_id := tokens.verify_bounce_address(address, office.settings.organisation.address, key=office.key))
    ]
    if not _unsafe(reading):  # what a forger may quote; the tag of a return path he cannot make
        letter_ids += reading.failed_message_ids
    return letter_ids


def lock_for(office: Office, session: Session, readings: Sequence[Reading]) -> None:
    """Lock every case that these messages may change, before the first of them is filed.

    The clock and the outbox lock by id; in the order of the mail, filing and they would wait for each other.
    """
    if session.connection().dialect.name == "sqlite":  # whoever writes is alone there
        return
    references: set[str] = set()
    letter_ids: set[str] = set()
    for one in readings:
        reading = forms.as_complainant(one, office.settings)[0]
        if (copied := _proved_by_address(office, session, reading)) is not None and copied.message_id:
            letter_ids.add(copied.message_id)
        letter_ids.add(reading.message_id)
        letter_ids.update(_failed_letters(office, reading) if reading.kind is Kind.BOUNCE else ())
        known = known_of(office, session, reading)
        references.update(known.by_token, known.by_own_id, known.by_thread_id.values(), known.by_subject)
    connection = session.connection()
    of_letters = select(col(Letter.case_id)).where(col(Letter.message_id).in_(letter_ids))
    case_ids = {case_id for case_id in connection.execute(of_letters).scalars() if case_id is not None}
    case_ids |= {survivor_of(session, case_id) for case_id in case_ids}
    case_ids.update(connection.execute(select(key(Case.id)).where(col(Case.reference).in_(references))).scalars())
    lock_cases(session, case_ids)


def known_of(office: Office, session: Session, reading: Reading) -> Known:
    """Collect what the store knows of the evidence in a message."""
    said = _evidence(office, reading)
    by_thread = cases_of(session, said.thread)
    references = [*said.references, *by_thread.values()]
    known = ahead.ahead_of(session)
    cases = _Cases(session) if known is None else known.cases
    cases.learn(references)
    living = cases.now(references)
    return Known(
        by_token=cases.now(said.by_token),
        by_own_id=cases.now(said.by_own),
        by_thread_id={one: cases.survivor[ref] for one, ref in by_thread.items()},
        by_subject=cases.now(said.by_subject),
        participants={ref: cases.participants[ref] for ref in living},
        merged={cases.survivor[ref]: ref for ref in references if cases.survivor.get(ref, ref) != ref},
        closed_at={ref: cases.closed_at[ref] for ref in living if ref in cases.closed_at},
    )


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The references that a message names, by what proves them, and the Message-IDs that it answers."""

    by_token: list[str]
    by_own: list[str]
    by_subject: list[str]
    thread: list[str]
    """None where a token or a name of ours says more."""

    @property
    def references(self) -> list[str]:
        return [*self.by_token, *self.by_own, *self.by_subject]


def _evidence(office: Office, reading: Reading) -> _Evidence:
    organisation = office.settings.organisation
    addresses = {m.address for m in (*reading.to, *reading.cc)} | set(reading.delivered_to)
    by_token = [
        ref
        for address in sorted(addresses)
        if (ref := tokens.verify_plus_address(address, organisation.address, key=office.key)) is not None
    ]
    ids = list(dict.fromkeys([*reading.in_reply_to, *reversed(reading.references)]))
    by_own = [verified[0] for one in ids if (verified := tokens.verify_message_id(one, key=office.key)) is not None]
    by_subject = [str(ref) for ref in find_refs(reading.subject, prefix=organisation.reference_prefix)]
    return _Evidence(by_token, by_own, by_subject, [] if by_token or by_own else ids[:60])


_NAMED = select(key(Case.id), col(Case.reference), col(Case.merged_into), col(Case.closed_at))
_BY_REFERENCE = _NAMED.where(col(Case.reference).in_(bindparam("refs", expanding=True)))
_BY_ID = _NAMED.where(col(Case.id).in_(bindparam("ids", expanding=True)))
_ACCEPTED = select(col(Participant.case_id), col(Participant.address)).where(
    col(Participant.case_id).in_(bindparam("ids", expanding=True)),
    col(Participant.accepted).is_(True),
    col(Participant.address) != "",
)


class _Cases:
    """What the store has on the cases of these references; one that was merged counts as the one that took it up."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._asked: set[str] = set()
        self.survivor: dict[str, str] = {}
        self.participants: dict[str, frozenset[str]] = {}
        self.closed_at: dict[str, datetime] = {}
        self.living: list[int] = []
        """The ids of the cases that these references mean today."""

    def opened(self, row: Case) -> None:
        """There is this case now, of its complainant alone."""
        self._asked.add(row.reference)
        self.survivor[row.reference] = row.reference
        self.participants[row.reference] = frozenset({row.complainant_address} - {""})

    def learn(self, references: Sequence[str]) -> None:
        """Look up those that were not looked up before."""
        if not (new := [ref for ref in dict.fromkeys(references) if ref not in self._asked]):
            return
        self._asked.update(new)
        session, connection = self._session, self._session.connection()
        named = list(connection.execute(_BY_REFERENCE, {"refs": new}))
        if not named:
            return
        survivors = {row.id: survivor_of(session, row.id) if row.merged_into else row.id for row in named}
        rows = {row.id: row for row in named}
        if elsewhere := [one for one in survivors.values() if one not in rows]:
            rows |= {row.id: row for row in connection.execute(_BY_ID, {"ids": elsewhere})}
        for row in named:
            self.survivor[row.reference] = rows[survivors[row.id]].reference
        living = list(dict.fromkeys(survivors.values()))
        family = taken_up_by(session, living) | {one: one for one in living}
        people: dict[int, set[str]] = {one: set() for one in living}
        for case_id, address in connection.execute(_ACCEPTED, {"ids": list(family)}):
            people[family[case_id]].add(address)
        self.participants |= {rows[one].reference: frozenset(addresses) for one, addresses in people.items()}
        self.closed_at |= {rows[one].reference: at for one in living if (at := rows[one].closed_at) is not None}
        self.living += living

    def now(self, references: Iterable[str]) -> tuple[str, ...]:
        """Those of them that exist, each as the case that it is today."""
        return tuple(dict.fromkeys(self.survivor[one] for one in references if one in self.survivor))


def add_message(
    session: Session, arrival: Arrival, reading: Reading, *, case_id: int | None, match: Match, salt: str | None = None
) -> int:
    """The message as a row, with its attachments and its words in the search index; returns its id."""
    subject = clean(reading.subject, limit=1000)
    flags = subject.flags | clean(reading.text, multiline=True).flags
    if match.id_used_before:
        flags |= {"message-id-used-before"}
    words = content_key(reading)
    row = {
        "case_id": case_id,
        "raw_id": arrival.raw_id,
        "direction": "in",
        "at": arrival.received_at,
        "message_id": reading.message_id,
        "in_reply_to": reading.in_reply_to[0] if reading.in_reply_to else "",
        "refs": list(reading.references[-50:]),
        "from_name": reading.sender.name,
        "from_address": reading.sender.address,
        "to": [m.address for m in reading.to],
        "cc": [m.address for m in reading.cc],
        "subject": reading.subject,
        "text": reading.text,
        "new_text": reading.new_text,
        "language": reading.language,
        "kind": str(reading.kind),
        "answerable": reading.answerable,
        "content_key": words,
        "match": match.as_json(),
        "flags": sorted(flags),
        "authentication": dict(reading.authentication),
        "defects": list(reading.defects),
        "salt": salt or new_salt(),
    }
    message_id = add(session, Message, row)
    if (known := ahead.ahead_of(session)) is not None and words:
        known.same_words.setdefault(words, []).append(message_id)
    ahead.write(
        session,
        insert_all(Attachment),
        [
            {"message_id": message_id, "name": a.name, "media_type": a.media_type, "size": a.size, "sha256": a.sha256}
            for a in reading.attachments
        ],
    )
    if case_id is not None:
        index_words(session, case_id, message_id, reading.subject, reading.new_text)
    return message_id


_INDEX = text("INSERT INTO search (body, case_id, message_id) VALUES (:body, :case_id, :message_id)")


def index_words(session: Session, case_id: int, message_id: int | None, subject: str, words: str) -> None:
    """Let `search` find these words; the first 100,000 characters of them."""
    row = {"body": f"{subject}\n{words}"[:100_000], "case_id": case_id, "message_id": message_id}
    ahead.write(session, _INDEX, [row])


def _seal_of_reading(salt: str, reading: Reading) -> str:
    return message_seal(
        salt,
        sha256=reading.sha256,
        sender=reading.sender.address,
        subject=reading.subject,
        text=reading.text,
        new_text=reading.new_text,
        files=[(attachment.name, attachment.sha256) for attachment in reading.attachments],
    )


def _seal_of(session: Session, message_id: int, sha256: str) -> str:
    """From the rows and not from the reading: a message that was held may be read otherwise today."""
    statement = select(
        col(Message.salt), col(Message.from_address), col(Message.subject), col(Message.text), col(Message.new_text)
    ).where(col(Message.id) == message_id)
    salt, sender, subject, words, new_words = session.connection().execute(statement).one()
    files = select(col(Attachment.name), col(Attachment.sha256)).where(col(Attachment.message_id) == message_id)
    return message_seal(
        salt,
        sha256=sha256,
        sender=sender,
        subject=subject,
        text=words,
        new_text=new_words,
        files=[(row[0], row[1]) for row in session.connection().execute(files.order_by(col(Attachment.id)))],
    )


def _attach(file: CaseFile, arrival: Arrival, reading: Reading, match: Match) -> int:
    """Put the message on the case with its event, and its Message-IDs into the index."""
    session = file.session
    if arrival.message_id is None:
        salt = new_salt()
        message_id = add_message(session, arrival, reading, case_id=file.id, match=match, salt=salt)
        seal = _seal_of_reading(salt, reading)
    else:  # it was held or set aside before
        message_id = arrival.message_id
        seal = _seal_of(session, message_id, reading.sha256)
        session.connection().execute(
            update(Message).where(col(Message.id) == message_id).values(case_id=file.id, match=match.as_json())
        )
        index_words(session, file.id, message_id, reading.subject, reading.new_text)
    arrival.state, arrival.message_id, arrival.reason, arrival.candidates = "filed", message_id, None, []
    file.record(
        "message",
        message=message_id,
        message_kind=str(reading.kind),
        because=match.because,
        confidence=match.confidence,
        standing=str(match.standing),
        digest=seal,
    )
    ids = (reading.message_id, *reading.in_reply_to, *reading.references)
    remember(session, file.id, file.row.reference, ids, source="mail")
    file.row.messages_in += 1
    return message_id


def join(
    office: Office,
    session: Session,
    arrival: Arrival,
    reading: Reading,
    match: Match,
    *,
    now: datetime,
    actor: Actor = SYSTEM,
) -> str:
    """The message joins the case.  A machine's is filed and changes nothing; a person's ends a waiting status.

    A participant who asks for the status is told it.  A closed case stays closed, but stands in the queue until
    somebody has read what came.
    """
    file = CaseFile.open_by(match.case or "", office, session, actor=actor, now=now)
    if file.row.merged_into is not None:  # just now
        file = CaseFile.open(office, session, survivor_of(session, file.id), actor=actor, now=now)
    message_id = _attach(file, arrival, reading, match)
    if reading.kind is Kind.PERSON:
        file.row.unread += 1
        file.touch()
        if match.standing is Standing.PARTICIPANT:
            if not says_only_that(reading.new_text) and not waits_since(file, arrival.stored_at):
                end_waiting(file, because="the complainant wrote", at=arrival.received_at)
            if asks_for_status(reading.new_text) and not arrival.history:
                _tell_status(file, arrival, reading, message_id)
            if not arrival.history and reading.sender.address == file.row.complainant_address:
                _tell_too_large(file, arrival, reading, message_id)
        else:
            _add_participant(session, file, reading, role="third party", accepted=False)
    file.save()
    return file.row.reference


def _add_participant(
    session: Session, file: CaseFile, reading: Reading, *, role: str, accepted: bool, first: bool = False
) -> None:
    address = reading.sender.address
    if not address or (not first and session.get(Participant, (file.id, address)) is not None):
        return
    row = {"case_id": file.id, "address": address, "name": reading.sender.name, "role": role, "accepted": accepted}
    if first:
        ahead.write(session, insert_all(Participant), [row])
    else:
        add_all(session, Participant, [row])
    file.record("participant", role=role, accepted=accepted, digest=address_seal(file.row, address))


def next_reference(session: Session, prefix: str, year: int) -> CaseRef:
    """The next number of the year, without gaps or doubles: the counter's row stays locked until we commit."""
    known = ahead.ahead_of(session)
    if known is not None and (prefix, year) in known.serials:  # the row is ours already
        known.serials[prefix, year] += 1
        return CaseRef(prefix, year, known.serials[prefix, year])
    connection, which = session.connection(), {"of_prefix": prefix, "of_year": year}
    serial = connection.execute(_RAISE_COUNTER, which).scalar()
    if serial is None:
        add_missing(session, Counter, [{"prefix": prefix, "year": year, "value": 0}])
        serial = connection.execute(_RAISE_COUNTER, which).scalar_one()
    if known is not None:
        known.serials[prefix, year] = serial
    return CaseRef(prefix, year, serial)


def write_counters(session: Session, serials: Mapping[tuple[str, int], int]) -> None:
    """Let the counters stand at the last numbers given."""
    for (prefix, year), serial in serials.items():
        session.connection().execute(_SET_COUNTER, {"of_prefix": prefix, "of_year": year, "serial": serial})


_SET_COUNTER = (
    update(Counter)
    .where(col(Counter.prefix) == bindparam("of_prefix"), col(Counter.year) == bindparam("of_year"))
    .values(value=bindparam("serial"))
)
_RAISE_COUNTER = (
    update(Counter)
    .where(col(Counter.prefix) == bindparam("of_prefix"), col(Counter.year) == bindparam("of_year"))
    .values(value=col(Counter.value) + 1)
    .returning(col(Counter.value))
)


def open_case(
    office: Office,
    session: Session,
    arrival: Arrival,
    reading: Reading,
    *,
    match: Match = NEW_CASE,
    now: datetime,
    actor: Actor = SYSTEM,
) -> str:
    """A new complaint: number, deadlines, acknowledgement and ledger, at once (ISO 10002:2018, 7.2 to 7.4)."""
    settings = office.settings
    received = arrival.received_at.astimezone(settings.organisation.zone)
    ref = next_reference(session, settings.organisation.reference_prefix, received.year)
    languages = settings.organisation.languages
    language = reading.language if reading.language in languages else languages[0]
    pack, *others = packs = office.packs_at(arrival.received_at)
    deadlines = [] if arrival.history else planned_rows(office, packs, at=arrival.received_at)
    first = earliest(deadlines)
    values: dict[str, Any] = {
        "reference": str(ref),
        "prefix": ref.prefix,
        "year": ref.year,
        "serial": ref.serial,
        "subject": reading.subject,
        "complainant_name": reading.sender.name,
        "complainant_address": reading.sender.address,
        "salt": new_salt(),
        "language": language or "en",
        "stage": str(Stage.RECEIVED),
        "received_at": arrival.received_at,
        "opened_at": now,
        "history": arrival.history,
        "pack": pack.id,
        "pack_version": pack.version,
        "packs": [[one.id, one.version] for one in others],
        "facts": {},
        "happened": {},
        "next_due_at": first["due_at"] if first else None,
        "next_deadline": first["kind"] if first else None,
        "unread": 0 if arrival.history else 1,
    }
    file = CaseFile.begin(office, session, values, actor=actor, now=now)
    row = file.row
    if (known := ahead.ahead_of(session)) is not None:
        known.cases.opened(row)
    file.record(
        "opened",
        pack=row.pack,
        pack_version=row.pack_version,
        **({"packs": row.packs} if row.packs else {}),
        received_at=arrival.received_at.isoformat(),
        history=arrival.history,
        digest=complaint_seal(row),
        address=address_seal(row, row.complainant_address),
    )
    _add_participant(session, file, reading, role="complainant", accepted=True, first=True)
    message_id = _attach(file, arrival, reading, match)
    file.start_deadlines(deadlines, earliest_is_known=True)
    if not arrival.history:
        too_large = told_to_sender(arrival, settings)
        _acknowledge(file, reading, deadlines, _answered(message_id, arrival, reading), too_large)
    file.save()
    return row.reference


def _acknowledge(
    file: CaseFile,
    reading: Reading,
    deadlines: Sequence[dict[str, Any]],
    answered: Answered,
    more: Mapping[str, str],
) -> None:
    answer, update = promises((row["due_at"], row["met_by"]) for row in deadlines)
    facts = facts_of(file.office, file.row, (), response_due=answer, update_due=update, **more)
    queue_automatic(
        file,
        LetterKind.ACKNOWLEDGEMENT,
        key="acknowledgement/1",
        n=1,
        facts=facts,
        in_reply_to=reading.message_id,
        references=[*reading.references, reading.message_id],
        answered=answered,
        first=True,
    )


def _answered(message_id: int, arrival: Arrival, reading: Reading) -> Answered:
    """What the gate must know of the message that a letter answers."""
    said = Said(arrival.received_at, arrival.stored_at, reading.new_text)
    if unsafe := _unsafe(reading):
        return Answered(message_id, said, False, unsafe)
    because = reading.not_answerable_because or "it may not be answered automatically"
    return Answered(message_id, said, reading.answerable, because)


def _unsafe(reading: Reading) -> str:
    """Why the sender may be forged, as our own mail server found (RFC 8601, 7489); "" if it found nothing."""
    if reading.authentication.get("dmarc") != "fail":
        return ""
    return "its sender failed the check of authenticity (DMARC), so that somebody else may have written it"


def _tell_too_large(file: CaseFile, arrival: Arrival, reading: Reading, message_id: int) -> None:
    """Tell who wrote a reply that is too large what became of it; nothing where it is whole."""
    if not (too_large := told_to_sender(arrival, file.office.settings)):
        return
    queue_automatic(
        file,
        LetterKind.TOO_LARGE,
        key=f"{LetterKind.TOO_LARGE}/{message_id}",
        n=message_id,
        facts=facts_of(file.office, file.row, (), **too_large),
        in_reply_to=reading.message_id,
        references=[*reading.references, reading.message_id],
        answered=_answered(message_id, arrival, reading),
    )


def _tell_status(file: CaseFile, arrival: Arrival, reading: Reading, message_id: int) -> None:
    """Answer the one question that a mail may ask; to the complainant's address, whoever of the case asked."""
    asker = reading.sender.address == file.row.complainant_address
    queue_automatic(
        file,
        LetterKind.STATUS_ANSWER,
        key=f"{LetterKind.STATUS_ANSWER}/{message_id}",
        n=message_id,
        facts=facts_of(file.office, file.row, file.unmet(), stage=file.row.stage),
        in_reply_to=reading.message_id if asker else "",
        references=[*reading.references, reading.message_id] if asker else (),
        answered=_answered(message_id, arrival, reading),
    )
