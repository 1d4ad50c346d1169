"""The outbox: at most one acceptance of each letter, whatever we crash in (RFC 5321, 4.5.3; RFC 1047).

A letter goes queued -> sending -> sent.  Just before the final dot `dot_at` is committed: a crash before it means the
letter was never accepted and is queued again; after it nobody can know, so the letter is uncertain until evidence
comes (the receipt copy in our own mailbox), and is never simply sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, func, or_, select, update
from sqlmodel import Session, col

from amends.cases.stages import Stage
from amends.casework import course, doubts, extending, gate, pausing, promising, takingback
from amends.casework.actors import SYSTEM
from amends.casework.casefile import CaseFile, CaseFiles
from amends.casework.office import Office
from amends.kernel.errors import ConfigError, NeedsOperator, TryLater
from amends.kernel.text import one_line
from amends.ledger.columns import key
from amends.ledger.tables import Letter
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

    def is_lost(owner: str | None, lease_until: datetime | None) -> bool:
        return lease_until is None or lease_until < office.wall() or owner_is_dead(owner or "")

    def take_back(files: CaseFiles, letter: Letter) -> None:
        if letter.dot_at is None:
            _requeue(letter, at=now)
        elif letter.answer is not None:  # noted by `before_dot`, and then the program ended
            _settle(files, letter, Accepted(letter.answer), now=now)
        else:
            _uncertain(files, letter, "the program ended while the letter was handed over", now=now)

    lost = [row[0] for row in rows if is_lost(row[1], row[2])]
    _each(office, lost, take_back, lambda letter: is_lost(letter.owner, letter.lease_until), now=now)
    return len(lost)


def _each(
    office: Office,
    letter_ids: Sequence[int],
    act: Callable[[CaseFiles, Letter], None],
    ours: Callable[[Letter], bool],
    *,
    now: datetime,
) -> tuple[int, ...]:
    """`act` on these letters, as far as they are being sent and `ours`, all in one transaction.

    If that fails, each in its own: a letter that nobody can write down must not hold up the others.  It becomes
    uncertain, for a person to settle; returns such.  Raises TryLater and NeedsOperator, when nothing was done.
    """
    if not letter_ids:
        return ()
    try:
        with _at_work(office, letter_ids, now=now) as (files, letters):
            for letter in letters.values():
                if letter.state == "sending" and ours(letter):
                    act(files, letter)
        return ()
    except (TryLater, NeedsOperator):
        raise
    except Exception as fault:  # noqa: BLE001  (it stays with its letter, as the reason)
        if len(letter_ids) > 1:
            return tuple(bad for one in letter_ids for bad in _each(office, [one], act, ours, now=now))
        why = f"what came of the letter could not be written down: {type(fault).__name__}: {fault}"
    with _at_work(office, letter_ids, now=now) as (files, letters):
        for letter in letters.values():
            if letter.state == "sending" and ours(letter):
                _uncertain(files, letter, why, now=now)
                letter.receipt = False  # it may have been accepted: not to be queued again by itself
    return tuple(letter_ids)


@contextmanager
def _at_work(
    office: Office, letter_ids: Sequence[int | None], *, now: datetime
) -> Iterator[tuple[CaseFiles, dict[int, Letter]]]:
    """One transaction over these letters (by id, as they stand there) and their cases, all saved at its end.

    The cases are locked first, as by the verbs of the desk, and in one order: else two wait for each other.
    """
    with office.book.write() as session:
        files = CaseFiles(office, session, actor=SYSTEM, now=now)
        ids = sorted({letter_id for letter_id in letter_ids if letter_id is not None})
        cases = select(col(Letter.case_id)).where(col(Letter.id).in_(ids), col(Letter.case_id).is_not(None))
        files.open_all(session.connection().execute(cases).scalars())  # type: ignore[arg-type]
        wanted = select(Letter).where(col(Letter.id).in_(ids)).order_by(col(Letter.id)).with_for_update()
        letters = session.scalars(wanted.execution_options(populate_existing=True))
        yield files, {letter.id: letter for letter in letters if letter.id is not None}
        files.save()


def _requeue(letter: Letter, *, at: datetime) -> None:
    letter.state, letter.owner, letter.lease_until, letter.dot_at = "queued", None, None, None
    letter.next_try_at = at


def _uncertain(files: CaseFiles, letter: Letter, why: str, *, now: datetime) -> None:
    letter.state, letter.owner, letter.lease_until = "uncertain", None, None
    letter.uncertain_at, letter.error = now, one_line(why, 500)
    _record(files, letter, "letter-uncertain")


def _record(files: CaseFiles, letter: Letter, kind: str, **data: Any) -> None:
    if letter.case_id is None:
        return
    file = files.of(letter.case_id)
    file.record(kind, letter=letter.id, **data)
    if kind in ("letter-failed", "letter-bounced") and not letter.staff:
        file.row.undelivered = True
    if kind == "letter-failed" and gate.names_no_address(letter.error or ""):
        gate.block(file, letter.to_address, gate.UNDELIVERABLE)


def doubt_all(office: Office, why: str, *, now: datetime) -> int:
    """Make every letter that was to leave, or was leaving, uncertain; returns how many.

    What is known of them is not to be trusted (the store was restored).  They are not queued again by themselves: a
    copy that came home earlier is not seen again.  A copy that is seen, or a person, settles them.  What waits for
    staff leaves: told twice is better than not told.
    """
    to_others = (col(Letter.state) == "queued") & col(Letter.staff).is_(False)
    statement = select(key(Letter.id)).where(to_others | (col(Letter.state) == "sending"))
    with office.book.read() as session:
        ids = list(session.connection().execute(statement).scalars())
    with _at_work(office, ids, now=now) as (files, letters):
        doubted = [letter for letter in letters.values() if letter.state in ("queued", "sending")]
        for letter in doubted:
            _uncertain(files, letter, why, now=now)
            letter.receipt = False
    return len(doubted)


def claim(
    office: Office,
    owner: str,
    *,
    limit: int = 50,
    by_hand_only: bool = False,
    store_in_doubt: bool = False,
    now: datetime,
) -> list[Claimed]:
    """Make up to `limit` letters whose time has come ours, oldest first; nobody else can claim them.

    `by_hand_only` leaves the automatic ones where they are (the clock is in doubt).  A doubt about the store leaves
    those of them that go to others than staff; who knows of it already says `store_in_doubt`, so that the others have
    their turn.  The gate's breaker leaves those that may belong to a loop.
    """
    with office.book.write() as session:
        if tripped := gate.is_tripped(office, session, now=now):
            gate.mark_held(session, now=now)
        statement = (
            select(Letter)
            .where(*_waiting(by_hand_only, store_in_doubt, tripped), col(Letter.next_try_at) <= now)
            .order_by(col(Letter.next_try_at), col(Letter.id))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        letters = list(session.scalars(statement))
        # Asked after the letters were seen: whatever put the store in doubt stands before it lets one be written.
        if any(letter.automatic for letter in letters) and doubts.why_held(session) is not None:
            letters = [letter for letter in letters if letter.staff or not letter.automatic]
        if not letters:
            return []
        session.connection().execute(
            update(Letter)
            .where(col(Letter.id).in_([letter.id for letter in letters]))
            .values(state="sending", owner=owner, lease_until=office.wall() + LEASE, dot_at=None)
        )
        return [_claimed(office, letter) for letter in letters]


def _claimed(office: Office, letter: Letter) -> Claimed:
    message_id = letter.message_id or ""
    own, smtp = office.settings.organisation.address, office.settings.smtp
    if smtp is not None and smtp.null_return_path and letter.automatic:
        envelope_from = ""
    elif smtp is not None and smtp.plus_addressing:
        envelope_from = _signed(tokens.bounce_address, office, message_id) or own
    else:
        envelope_from = own
    receipt_to = _signed(tokens.receipt_address, office, message_id) if letter.receipt else None
    return Claimed(letter.id or 0, letter.raw or b"", envelope_from, letter.to_address, receipt_to, message_id)


def _signed(address: Callable[[str, str, bytes], str], office: Office, message_id: str) -> str | None:
    """The address that names this letter; None if our own is too long for it: the letter leaves all the same."""
    try:
        return address(message_id, office.settings.organisation.address, office.key)
    except (ConfigError, ValueError):
        return None


def before_dot(
    office: Office,
    owner: str,
    letter_id: int,
    *,
    accepted: Sequence[Carried] = (),
    receipt: bool = True,
    now: datetime,
) -> bool:
    """The point of no return for `letter_id`; False: it is not ours any more, so the dot must not be sent."""
    return letter_id in before_dots(office, owner, {letter_id: receipt}, accepted=accepted, now=now)


def before_dots(
    office: Office, owner: str, letters: Mapping[int, bool], *, accepted: Sequence[Carried] = (), now: datetime
) -> frozenset[int]:
    """The point of no return for these letters, made durable together with the acceptance of those before them.

    Returns those that are ours; of one that is not (our lease ran out) the dot must not be sent.  The value is False
    where the server would not take the receipt copy: then no copy is evidence of nothing.
    What is in `accepted` (Accepted all) is only noted, which is quick and enough for a crash: `record` or, after the
    crash, `release` settles it.
    The lease of all that we hold begins anew: a slow server must not cost us the letters that wait their turn.
    """
    until = office.wall() + LEASE
    with office.book.write() as session:
        connection = session.connection()
        if accepted:
            notes = [(one.letter_id, one_line(one.result.answer, 500)) for one in accepted]
            connection.execute(_NOTE, [{"of_id": one, "by": owner, "said": said} for one, said in notes])
        connection.execute(_RENEW, {"by": owner, "until": until, "soon": until - LEASE / 10})
        ours = set()
        for letter_id, receipt in sorted(letters.items()):
            at_dot = connection.execute(
                _AT_DOT if receipt else _AT_DOT_WITHOUT_COPY,
                {"of_id": letter_id, "by": owner, "at": now, "until": until},
            )
            if at_dot.rowcount == 1:
                ours.add(letter_id)
        return frozenset(ours)


# Built once: these are run for every letter, and building a statement costs more than running it.

_IN_HAND: Final = (
    update(Letter)
    .where(col(Letter.state) == "sending", col(Letter.owner) == bindparam("by"))
    .execution_options(synchronize_session=False)
)
_THIS_ONE: Final = _IN_HAND.where(col(Letter.id) == bindparam("of_id"))
_NOTE: Final = _THIS_ONE.values(answer=bindparam("said"))
_AT_DOT: Final = _THIS_ONE.values(dot_at=bindparam("at"), answer=None, lease_until=bindparam("until"))
_AT_DOT_WITHOUT_COPY: Final = _AT_DOT.values(receipt=False)
# Only leases that have lost a tenth are written anew, for every row goes to the disk with all its bytes; and a letter
# that somebody settles at this moment is not waited for.
_RENEW: Final = (
    update(Letter)
    .where(
        col(Letter.id).in_(
            select(key(Letter.id))
            .where(
                col(Letter.state) == "sending",
                col(Letter.owner) == bindparam("by"),
                col(Letter.lease_until) < bindparam("soon"),
            )
            .with_for_update(skip_locked=True)
        )
    )
    .values(lease_until=bindparam("until"))
    .execution_options(synchronize_session=False)
)


def record(office: Office, owner: str, done: Sequence[Carried], *, now: datetime) -> tuple[int, ...]:
    """What came of these letters, in one transaction; returns those of which it could not be written down.

    They are uncertain now, with the reason, and the others are settled.  A letter that is not `owner`'s any more is
    left alone: a receipt copy was quicker, or our lease ran out and what we know of it is no longer what counts.
    """
    results = {carried.letter_id: carried.result for carried in done}

    def settle(files: CaseFiles, letter: Letter) -> None:
        _settle(files, letter, results[letter.id or 0], now=now)

    return _each(office, list(results), settle, lambda letter: letter.owner == owner, now=now)


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


def _settle(files: CaseFiles, letter: Letter, result: Result, *, now: datetime) -> None:
    letter.tries += 1
    letter.answer = one_line(result.answer, 500)
    match result:
        case Accepted():
            _sent(files, letter, now=now)
        case Deferred(answer) if (again := next_try(letter.tries, now=now)) is not None:
            _requeue(letter, at=again)
            letter.error = one_line(answer, 500)
        case Deferred(answer) | Rejected(answer):
            letter.state, letter.owner, letter.lease_until = "failed", None, None
            letter.error = one_line(answer, 500)
            _record(files, letter, "letter-failed")
        case Unknown(answer):
            _uncertain(files, letter, answer, now=now)


def _sent(files: CaseFiles, letter: Letter, *, now: datetime, because: str = "accepted") -> None:
    """The letter left: it stands in the conversation, meets what it meets, and moves the case on.

    It left at its final dot, however much later we learn that it did.
    """
    at = letter.dot_at or now
    letter.state, letter.owner, letter.lease_until, letter.error = "sent", None, None, None
    letter.sent_at = at
    if letter.case_id is None or letter.staff:
        _record(files, letter, "letter-sent", because=because, staff=True)
        return
    file = files.of(letter.case_id)
    organisation = files.office.settings.organisation
    file.sent(
        {
            "letter_id": letter.id,
            "direction": "out",
            "at": at,
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
        }
    )
    file.record("letter-sent", letter=letter.id, letter_kind=letter.kind, because=because)
    if not letter.automatic:
        file.touch()
    _move_on(file, letter, at=at)


def _move_on(file: CaseFile, letter: Letter, *, at: datetime) -> None:
    """What a letter that left at `at` means for its case; nothing for what a review started after it was written."""
    kind = LetterKind(letter.kind)
    written_for = letter.facts.get("of")
    letters = course.letters_of(
        file.office, file.row, letter.kind, automatic=letter.automatic, counts_as=letter.facts.get("counts_as", "")
    )
    extending.notice_left(file, letter, at=at)
    file.meet(
        letter.kind,
        at=at,
        automatic=letter.automatic,
        of=None if written_for is None else file.named(written_for),
        letters=letters,
        last=kind is LetterKind.FINAL_RESPONSE,
        written_at=letter.queued_at,
    )
    promising.letter_left(file, letter, at=at)
    kinds = {kind, *(one.kind for one in letters.values())}
    if LetterKind.ACKNOWLEDGEMENT in kinds and file.row.acknowledged_at is None:
        file.row.acknowledged_at = at
        if Stage(file.row.stage) is Stage.RECEIVED:
            file.to_stage(Stage.ACKNOWLEDGED)
    if kind is LetterKind.FINAL_RESPONSE:
        course.answered(file, letters, at=at, written_at=letter.queued_at)
        course.at_moment(file, "responded", at=at)
    course.letter_left(file, letters, at=at)
    pausing.notice_left(file, letter, at=at)


def note_receipt(office: Office, session: Session, letter: Letter, *, now: datetime) -> str | None:
    """The copy of a letter came home: the server had accepted it.  Returns the reference of its case."""
    if letter.case_id is None:
        return None
    files = CaseFiles(office, session, actor=SYSTEM, now=now)
    file = files.of(letter.case_id)
    session.flush()
    session.refresh(letter, with_for_update=True)  # now that the case is ours nobody else moves its letters
    if letter.state in ("uncertain", "sending", "queued"):  # queued: again, or by a store that was restored
        if letter.state != "sending":
            letter.answer = "settled by the receipt copy"
        _sent(files, letter, now=now, because="the receipt copy came home")
        files.save()
    return file.row.reference


def note_arrival(file: CaseFile, letter: Letter) -> None:
    """A handler knows that an uncertain letter arrived.  Writes to the file; the caller saves it."""
    files = CaseFiles(file.office, file.session, actor=file.actor, now=file.now)
    files.keep(file)
    letter.answer = "settled by a handler"
    _sent(files, letter, now=file.now, because="a handler said that it arrived")


def note_bounce(file: CaseFile, letter: Letter, *, permanent: bool, bad_address: bool = False) -> None:
    """A delivery report came on this letter.  Writes to the file; the caller saves it.

    `permanent`: it will not be delivered any more.  `bad_address`: nor will another one (5.x.x).
    """
    file.record("letter-bounced" if permanent else "letter-delayed", letter=letter.id)
    if permanent and letter.state != "cancelled":  # what was given up, or written anew to another address, stays so
        letter.state, letter.error = "bounced", "the address could not be delivered to (see the report on the case)"
        file.row.undelivered = file.row.undelivered or not letter.staff
        takingback.letter_came_back(file, letter)
        file.touch()
        file.session.add(letter)
    if permanent and bad_address:
        gate.block(file, letter.to_address, gate.UNDELIVERABLE)


def settle_uncertain(office: Office, *, last_complete_poll: datetime | None, now: datetime) -> int:
    """Queue again the automatic letters of which no receipt copy came; returns how many.

    Only after a complete look at the mailbox that began later than the wait, counted from when the letter became
    uncertain: a copy that could not be seen is no evidence.  Handlers' letters are theirs to decide.
    """
    smtp = office.settings.smtp
    if smtp is None or last_complete_poll is None:
        return 0
    until = last_complete_poll - office.real(timedelta(seconds=smtp.receipt_wait_seconds))
    statement = select(key(Letter.id)).where(
        col(Letter.state) == "uncertain", col(Letter.receipt).is_(True), col(Letter.uncertain_at) < until
    )
    with office.book.read() as session:
        ids = list(session.connection().execute(statement).scalars())
    if not ids:
        return 0
    with _at_work(office, ids, now=now) as (files, letters):
        doubtful = [letter for letter in letters.values() if letter.state == "uncertain"]
        for letter in doubtful:
            _requeue(letter, at=now)
            _record(files, letter, "letter-queued-again", because="no receipt copy came home")
    return len(doubtful)


def _waiting(by_hand_only: bool, store_in_doubt: bool, tripped: bool) -> list[Any]:
    waiting: list[Any] = [col(Letter.state) == "queued"]
    if by_hand_only:
        waiting.append(col(Letter.automatic).is_(False))
    if store_in_doubt:
        waiting.append(or_(col(Letter.automatic).is_(False), col(Letter.staff).is_(True)))
    if tripped:
        waiting.append(col(Letter.again).is_(False))
    return waiting


def next_leaving(
    office: Office, *, by_hand_only: bool = False, store_in_doubt: bool = False, tripped: bool = False
) -> datetime | None:
    """When the next queued letter may leave, or None; `tripped` passes over those that the breaker holds."""
    statement = select(func.min(col(Letter.next_try_at))).where(*_waiting(by_hand_only, store_in_doubt, tripped))
    with office.book.read() as session:
        return session.connection().execute(statement).scalar()
