"""The outbox: at most one acceptance of each letter, whatever we crash in (RFC 5321, 4.5.3; RFC 1047).

A letter goes queued -> sending -> sent.  Just before the final dot `dot_at` is committed: a crash before it means the
letter was never accepted and is queued again; after it nobody can know, so the letter is uncertain until evidence
comes (the receipt copy in our own mailbox), and is never simply sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlmodel import Session, col

from amends.cases.stages import Stage
from amends.casework.actors import SYSTEM
from amends.casework.casefile import CaseFile
from amends.casework.office import Office
from amends.kernel.text import one_line
from amends.ledger.book import add
from amends.ledger.columns import key
from amends.ledger.tables import Case, Letter, Message
from amends.letters import tokens
from amends.letters.kinds import LetterKind

LEASE: Final = timedelta(minutes=15)  # longer than the ten minutes a server may take over the final dot
WAITS: Final = tuple(timedelta(minutes=m) for m in (1, 2, 5, 15, 30, 60, 120, *[240] * 29))  # 5 days in all


@dataclass(frozen=True, slots=True)
class Claimed:
    """A letter that is ours to send now."""

    letter_id: int
    raw: bytes
    envelope_from: str
    to: str
    receipt_to: str | None
    message_id: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has it; `answer` is its whole 2yz reply, with the queue id that an operator can trace."""

    answer: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now (4yz, or the connection failed before the dot): try again later."""

    answer: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never (5yz)."""

    answer: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The dot went out and no whole answer came."""

    answer: str


Result = Accepted | Deferred | Rejected | Unknown


@dataclass(frozen=True, slots=True)
class Carried:
    letter_id: int
    result: Result


def release(office: Office, *, owner_is_dead: Callable[[str], bool], now: datetime) -> int:
    """Take back the letters of owners that died or whose lease ran out; returns how many."""
    statement = select(key(Letter.id), col(Letter.owner), col(Letter.lease_until)).where(col(Letter.state) == "sending")
    with office.book.read() as session:
        rows = list(session.connection().execute(statement))
    lost = [row[0] for row in rows if row[2] is None or row[2] < office.wall() or owner_is_dead(row[1] or "")]
    if not lost:
        return 0
    with office.book.write() as session:
        for letter_id in lost:
            letter = _locked(session, letter_id)
            if letter is None or letter.state != "sending":
                continue
            if letter.dot_at is None:
                _requeue(letter, at=now)
            elif letter.answer is not None:  # noted by `before_dot`, and then the program ended
                _settle(office, session, Carried(letter_id, Accepted(letter.answer)), now=now)
            else:
                _uncertain(office, session, letter, "the program ended while the letter was handed over", now=now)
    return len(lost)


def _requeue(letter: Letter, *, at: datetime) -> None:
    letter.state, letter.owner, letter.lease_until, letter.dot_at = "queued", None, None, None
    letter.next_try_at = at


def _uncertain(office: Office, session: Session, letter: Letter, why: str, *, now: datetime) -> None:
    letter.state, letter.owner, letter.lease_until = "uncertain", None, None
    letter.uncertain_at, letter.error = now, one_line(why, 500)
    _record(office, session, letter, "letter-uncertain", now=now)


def _record(office: Office, session: Session, letter: Letter, kind: str, *, now: datetime, **data: Any) -> None:
    if letter.case_id is None:
        return
    file = CaseFile.open(office, session, letter.case_id, actor=SYSTEM, now=now)
    file.record(kind, letter=letter.id, **data)
    if kind in ("letter-failed", "letter-bounced") and not letter.staff:
        file.row.undelivered = True
    file.save()


def doubt_all(office: Office, why: str, *, now: datetime) -> int:
    """Make every letter that was to leave, or was leaving, uncertain; returns how many.

    What is known of them is not to be trusted (the store was restored).  They are not queued again by themselves: a
    copy that came home earlier is not seen again.  A copy that is seen, or a person, settles them.
    """
    with office.book.write() as session:
        letters = list(session.scalars(select(Letter).where(col(Letter.state).in_(("queued", "sending")))))
        for letter in letters:
            _uncertain(office, session, letter, why, now=now)
            letter.receipt = False
            session.add(letter)
        return len(letters)


def claim(office: Office, owner: str, *, limit: int = 50, by_hand_only: bool = False, now: datetime) -> list[Claimed]:
    """Make up to `limit` letters whose time has come ours, oldest first; nobody else can claim them.

    `by_hand_only` leaves the automatic ones where they are (the clock is in doubt).
    """
    organisation, smtp = office.settings.organisation, office.settings.smtp
    with office.book.write() as session:
        statement = (
            select(Letter)
            .where(*_waiting(by_hand_only), col(Letter.next_try_at) <= now)
            .order_by(col(Letter.next_try_at), col(Letter.id))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        letters = list(session.scalars(statement))
        if not letters:
            return []
        session.connection().execute(
            update(Letter)
            .where(col(Letter.id).in_([letter.id for letter in letters]))
            .values(state="sending", owner=owner, lease_until=office.wall() + LEASE, dot_at=None)
        )
        claimed = []
        for letter in letters:
            message_id = letter.message_id or ""
            bounce = (
                ""
                if smtp is not None and smtp.null_return_path and letter.automatic
                else tokens.bounce_address(message_id, organisation.address, key=office.key)
                if smtp is not None and smtp.plus_addressing
                else organisation.address
            )
            receipt = (
                tokens.receipt_address(message_id, organisation.address, key=office.key) if letter.receipt else None
            )
            claimed.append(Claimed(letter.id or 0, letter.raw or b"", bounce, letter.to_address, receipt, message_id))
        return claimed


def before_dot(
    office: Office,
    owner: str,
    letter_id: int,
    *,
    done: Sequence[Carried] = (),
    accepted: Sequence[Carried] = (),
    receipt: bool = True,
    now: datetime,
) -> bool:
    """The point of no return for `letter_id`, made durable together with what came of the letters before it.

    What is in `done` is settled.  What is in `accepted` (Accepted all) is only noted, which is quick and enough for a
    crash: `record` or, after the crash, `release` settles it.
    `receipt` is False when the server would not take the receipt copy: then no copy is evidence of nothing.
    False: the letter is not ours any more (our lease ran out), so the dot must not be sent.
    """
    values: dict[str, Any] = {"dot_at": now, "answer": None, "lease_until": office.wall() + LEASE}
    if not receipt:
        values["receipt"] = False
    with office.book.write() as session:
        for carried in accepted:
            _at_hand(session, carried.letter_id, owner, {"answer": one_line(carried.result.answer, 500)})
        for carried in done:
            _settle(office, session, carried, now=now)
        return _at_hand(session, letter_id, owner, values)


def _at_hand(session: Session, letter_id: int, owner: str, values: dict[str, Any]) -> bool:
    """Set these values of a letter that `owner` is handing over; False if it is not that one's any more."""
    hit = session.connection().execute(
        update(Letter)
        .where(col(Letter.id) == letter_id, col(Letter.owner) == owner, col(Letter.state) == "sending")
        .values(**values)
    )
    return hit.rowcount == 1


def record(office: Office, done: Sequence[Carried], *, now: datetime) -> None:
    """What came of these letters, all in one transaction."""
    if not done:
        return
    with office.book.write() as session:
        if not office.book.sqlite:  # two who record many cases lock them in one order, else each waits for the other
            ids = [carried.letter_id for carried in done]
            cases = select(col(Letter.case_id)).where(col(Letter.id).in_(ids))
            lock = select(key(Case.id)).where(col(Case.id).in_(cases)).order_by(col(Case.id)).with_for_update()
            session.connection().execute(lock)
        for carried in done:
            _settle(office, session, carried, now=now)


def give_back(
    office: Office, owner: str, letter_ids: Sequence[int], *, error: str | None = None, now: datetime
) -> None:
    """Letters that were claimed but not begun; with an `error` (no connection) the reason is kept for the screens."""
    if not letter_ids:
        return
    values: dict[str, Any] = {"state": "queued", "owner": None, "lease_until": None}
    if error is not None:
        values["error"] = one_line(error, 500)
    with office.book.write() as session:
        session.connection().execute(
            update(Letter)
            .where(
                col(Letter.id).in_(list(letter_ids)),
                col(Letter.owner) == owner,
                col(Letter.state) == "sending",
                col(Letter.dot_at).is_(None),
            )
            .values(**values)
        )


def next_try(tries: int, *, now: datetime) -> datetime | None:
    """When to try again after `tries` attempts (1, 2, ...), or None to give up (RFC 5321, 4.5.4.1: 4 to 5 days)."""
    return now + WAITS[tries - 1] if tries <= len(WAITS) else None


def _locked(session: Session, letter_id: int | None) -> Letter | None:
    """The letter for change.  Its case is locked first, as by the verbs of the desk: else two wait for each other."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        case_id = select(col(Letter.case_id)).where(col(Letter.id) == letter_id).scalar_subquery()
        connection.execute(select(key(Case.id)).where(col(Case.id) == case_id).with_for_update())
    return session.get(Letter, letter_id, with_for_update=True, populate_existing=True)


def _settle(office: Office, session: Session, carried: Carried, *, now: datetime) -> None:
    letter = _locked(session, carried.letter_id)
    if letter is None or letter.state != "sending":
        return  # a receipt copy was quicker than we are
    letter.tries += 1
    letter.answer = one_line(carried.result.answer, 500)
    match carried.result:
        case Accepted():
            _sent(office, session, letter, now=now)
        case Deferred(answer) if (again := next_try(letter.tries, now=now)) is not None:
            _requeue(letter, at=again)
            letter.error = one_line(answer, 500)
        case Deferred(answer) | Rejected(answer):
            letter.state, letter.owner, letter.lease_until = "failed", None, None
            letter.error = one_line(answer, 500)
            _record(office, session, letter, "letter-failed", now=now)
        case Unknown(answer):
            _uncertain(office, session, letter, answer, now=now)
    session.add(letter)


def _sent(office: Office, session: Session, letter: Letter, *, now: datetime, because: str = "accepted") -> None:
    """The letter left: it stands in the conversation, meets what it meets, and moves the case on."""
    letter.state, letter.owner, letter.lease_until, letter.error = "sent", None, None, None
    letter.sent_at = now
    if letter.case_id is None or letter.staff:
        if letter.case_id is not None:
            _record(office, session, letter, "letter-sent", now=now, because=because, staff=True)
        return
    file = CaseFile.open(office, session, letter.case_id, actor=SYSTEM, now=now)
    organisation = office.settings.organisation
    add(
        session,
        Message,
        {
            "case_id": letter.case_id,
            "letter_id": letter.id,
            "direction": "out",
            "at": now,
            "message_id": letter.message_id or "",
            "in_reply_to": letter.in_reply_to,
            "from_name": organisation.name,
            "from_address": organisation.address,
            "to": [letter.to_address],
            "subject": letter.subject,
            "text": letter.body,
            "new_text": letter.body,
            "kind": "own",
            "salt": letter.salt,
        },
    )
    file.record("letter-sent", letter=letter.id, letter_kind=letter.kind, because=because)
    file.row.messages_out += 1
    if not letter.automatic:
        file.touch()
    kind = LetterKind(letter.kind)
    written_for = letter.facts.get("of")
    file.meet(
        letter.kind,
        at=now,
        of=None if written_for is None else (written_for[0], written_for[1]),
        last=kind is LetterKind.FINAL_RESPONSE,
    )
    if kind is LetterKind.ACKNOWLEDGEMENT and file.row.acknowledged_at is None:
        file.row.acknowledged_at = now
        if Stage(file.row.stage) is Stage.RECEIVED:
            file.to_stage(Stage.ACKNOWLEDGED)
    if kind is LetterKind.FINAL_RESPONSE:
        file.cancel_deadlines(because="the final response was sent")
    file.save()


def note_receipt(office: Office, session: Session, letter: Letter, *, now: datetime) -> str | None:
    """The copy of a letter came home: the server had accepted it.  Returns the reference of its case."""
    if letter.state in ("uncertain", "sending", "queued"):  # queued: again, or by a store that was restored
        if letter.state != "sending":
            letter.answer = "settled by the receipt copy"
        _sent(office, session, letter, now=now, because="the receipt copy came home")
        session.add(letter)
    if letter.case_id is None:
        return None
    return CaseFile.open(office, session, letter.case_id, actor=SYSTEM, now=now).row.reference


def note_bounce(file: CaseFile, letter: Letter, *, permanent: bool, now: datetime) -> None:
    """A delivery report came on this letter.  Writes to the file; the caller saves it."""
    file.record("letter-bounced" if permanent else "letter-delayed", letter=letter.id)
    if permanent:
        letter.state, letter.error = "bounced", "the address could not be delivered to (see the report on the case)"
        file.row.undelivered = file.row.undelivered or not letter.staff
        file.touch()
        file.session.add(letter)


def settle_uncertain(office: Office, *, last_complete_poll: datetime | None, now: datetime) -> int:
    """Queue again the automatic letters of which no receipt copy came; returns how many.

    Only after a complete look at the mailbox that began later than the wait, counted from when the letter became
    uncertain: a copy that could not be seen is no evidence.  Handlers' letters are theirs to decide.
    """
    smtp = office.settings.smtp
    if smtp is None or last_complete_poll is None:
        return 0
    until = last_complete_poll - office.real(timedelta(seconds=smtp.receipt_wait_seconds))
    statement = select(Letter).where(
        col(Letter.state) == "uncertain", col(Letter.receipt).is_(True), col(Letter.uncertain_at) < until
    )
    with office.book.read() as session:
        if session.scalars(statement.limit(1)).first() is None:
            return 0
    with office.book.write() as session:
        again = 0
        for found in list(session.scalars(statement)):
            letter = _locked(session, found.id)
            if letter is None or letter.state != "uncertain":
                continue
            _requeue(letter, at=now)
            _record(office, session, letter, "letter-queued-again", now=now, because="no receipt copy came home")
            session.add(letter)
            again += 1
        return again


def _waiting(by_hand_only: bool) -> list[Any]:
    queued = col(Letter.state) == "queued"
    return [queued, col(Letter.automatic).is_(False)] if by_hand_only else [queued]


def next_leaving(office: Office, *, by_hand_only: bool = False) -> datetime | None:
    """When the next queued letter may leave, or None."""
    statement = select(func.min(col(Letter.next_try_at))).where(*_waiting(by_hand_only))
    with office.book.read() as session:
        return session.connection().execute(statement).scalar()
