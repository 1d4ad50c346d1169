"""The verbs that put right what belongs together: split, merge and its way back, link and unlink.

What was merged stays whole on its own record: messages, letters, people, deadlines and ledger.  Only what comes later
goes to the case that took it up (`kin.survivor_of`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, text, update
from sqlmodel import Session, col

from amends.cases.stages import Stage
from amends.casework import filing
from amends.casework.actors import Actor
from amends.casework.casefile import CaseFile
from amends.casework.handling import end_waiting, letter_on_its_way
from amends.casework.kin import must_stand_alone, tie, untie
from amends.casework.office import Office
from amends.casework.threads import thread_digest
from amends.casework.tray import read_again
from amends.conversation.match import Fate, Match
from amends.kernel.errors import NotFound, Refused
from amends.ledger.columns import key
from amends.ledger.tables import Arrival, Case, Event, Message, ThreadId


@contextmanager
def _pair(
    office: Office, one_id: int, other_id: int, *, actor: Actor, now: datetime
) -> Iterator[tuple[CaseFile, CaseFile]]:
    """Two cases, locked in one order whoever asks for them, and saved in one transaction."""
    actor.may_write()
    if one_id == other_id:
        raise Refused("That is one and the same case; name another one.")
    with office.book.write() as session:
        files = {
            case_id: CaseFile.open(office, session, case_id, actor=actor, now=now)
            for case_id in sorted((one_id, other_id))
        }
        yield files[one_id], files[other_id]
        for file in files.values():
            file.save()


def link(office: Office, case_id: int, other_id: int, *, actor: Actor, now: datetime) -> None:
    """Say that two cases belong together, without making one of them.  Raises Refused if they are linked."""
    with _pair(office, case_id, other_id, actor=actor, now=now) as (one, other):
        tie(one, other, "related")


def unlink(office: Office, case_id: int, other_id: int, *, actor: Actor, now: datetime) -> None:
    """Take the link away again; both ledgers keep that there was one.  Raises Refused if there is none."""
    with _pair(office, case_id, other_id, actor=actor, now=now) as (one, other):
        untie(one, other)


def merge(
    office: Office, case_id: int, into_id: int, *, different_people: bool = False, actor: Actor, now: datetime
) -> None:
    """The case is the same complaint as another: it is closed, its deadlines are cancelled, and answers go there.

    The other one keeps its complainant and its own deadlines.  Raises Refused where letters are on their way, where
    the other one is closed or merged itself, and, unless `different_people` says that this is meant, where the
    complainants differ: the one of the merged case gets no more letters.
    """
    with _pair(office, case_id, into_id, actor=actor, now=now) as (file, into):
        must_stand_alone(file, "merge")
        must_stand_alone(into, "merge it into")
        if file.row.is_open and not into.row.is_open:
            raise Refused(f"{into.row.reference} is closed and would hide {file.row.reference}; reopen it first.")
        if (leaving := letter_on_its_way(file)) is not None:
            raise Refused(
                f"{file.row.reference} has a letter on its way ({leaving}); merge it when the letter has left."
            )
        if file.row.complainant_address != into.row.complainant_address and not different_people:
            raise Refused(
                f"The complainants of {file.row.reference} and {into.row.reference} differ, and letters would go to "
                "the latter alone; say that this is meant (--different-people), or link the cases instead."
            )
        _close_as_merged(file, into)
        into.record("absorbed", case=file.row.reference)
        into.touch()


def _close_as_merged(file: CaseFile, into: CaseFile) -> None:
    row = file.row
    stage, escalated = row.stage, row.escalated
    end_waiting(file, because="merged")
    cancelled = file.cancel_deadlines(because="merged")
    file.record(
        "merged",
        into=into.row.reference,
        stage=stage,
        escalated=escalated,
        deadlines=[list(file.which(deadline).values()) for deadline in cancelled],
    )
    row.merged_into, row.escalated = into.id, False
    if row.is_open:
        row.closed_at = file.now
        file.to_stage(Stage.CLOSED)
    file.touch()


def unmerge(office: Office, case_id: int, *, actor: Actor, now: datetime) -> str:
    """Take a merger back: stage and deadlines are what they were; returns the reference of the other case.

    What came meanwhile stays on the other one, from which it can be split off.  Raises Refused if it was not merged.
    """
    with office.book.read() as session:
        row = session.get(Case, case_id)
        into_id = None if row is None else row.merged_into
        if row is not None and into_id is None:
            raise Refused(f"{row.reference} was not merged; there is nothing to take back.")
    if into_id is None:
        raise NotFound("There is no such case.")
    with _pair(office, case_id, into_id, actor=actor, now=now) as (file, into):
        if file.row.merged_into != into_id:
            raise Refused(f"{file.row.reference} was changed by somebody else just now; look at it again.")
        told = _how_it_was_merged(file.session, case_id)
        row, stage = file.row, Stage(told["stage"])
        file.record("unmerged", out_of=into.row.reference, stage=str(stage))
        row.merged_into, row.stage, row.escalated = None, str(stage), told["escalated"]
        row.is_open = stage is not Stage.CLOSED
        if row.is_open:
            row.closed_at = None
        file.restore_deadlines([file.named(which) for which in told["deadlines"]], because="unmerged")
        into.record("released", case=row.reference)
        file.touch()
        into.touch()
        return into.row.reference


def _how_it_was_merged(session: Session, case_id: int) -> dict[str, Any]:
    """What stood on the case when it was merged, as its ledger has it."""
    statement = select(col(Event.data)).where(col(Event.case_id) == case_id, col(Event.kind) == "merged")
    return dict(session.connection().execute(statement.order_by(col(Event.seq).desc()).limit(1)).scalar_one())


def split(
    office: Office, case_id: int, message_id: int, *, hold: bool = False, actor: Actor, now: datetime
) -> str | None:
    """Take a message off a case that it does not belong to; it opens a case of its own, whose reference is returned.

    The clocks of the new case run from the receipt of the message, and the cases are linked.  With `hold` it waits in
    the tray for a handler's word instead (None).  The ledger of the old case keeps that it was there.  Raises Refused
    for the message that opened the case and for a letter of ours, NotFound for one that is not on the case.
    """
    actor.may_write()
    again = None if hold else read_again(office, lambda session: _arrival_of(session, case_id, message_id, lock=False))
    with office.book.write() as session:
        arrival = _arrival_of(session, case_id, message_id)
        if again is not None:
            again.must_still_hold(arrival)
        file = CaseFile.open(office, session, case_id, actor=actor, now=now)
        _take_off(file, message_id)
        because = f"{actor.login} split it off {file.row.reference}"
        if again is None:
            arrival.state, arrival.reason = "held", because
            arrival.candidates = [Match(Fate.HOLD, file.row.reference, because, "", "low").as_json()]
            file.record("message-split", message=message_id, to=None)
            file.save()
            session.add(arrival)
            return None
        reference = filing.open_case(
            office, session, arrival, again.reading, match=Match(Fate.OPEN, None, because), now=now, actor=actor
        )
        new = CaseFile.open_by(reference, office, session, actor=actor, now=now)
        file.record("message-split", message=message_id, to=reference)
        tie(file, new, "split")
        file.save()
        new.save()
        session.add(arrival)
        return reference


def _arrival_of(session: Session, case_id: int, message_id: int, *, lock: bool = True) -> Arrival:
    """The arrival by which a message came on this case, locked where it is to change."""
    message = session.get(Message, message_id)
    if message is None or message.case_id != case_id:
        raise NotFound(f"There is no message {message_id} on this case.")
    if message.direction == "out":
        raise Refused("A letter of ours stays on the case that it was written on.")
    if _opened_it(session, case_id, message_id):
        raise Refused("The case was opened with this message; merge the case into the right one, or close it.")
    came = select(Arrival).where(col(Arrival.message_id) == message_id, col(Arrival.state) == "filed")
    came = came.order_by(key(Arrival.id)).limit(1).execution_options(populate_existing=True)
    arrival = session.scalars(came.with_for_update() if lock else came).first()
    if arrival is None:
        raise Refused("The message did not come by mail and cannot be split off.")
    return arrival


def _opened_it(session: Session, case_id: int, message_id: int) -> bool:
    statement = select(col(Event.data)).where(col(Event.case_id) == case_id, col(Event.kind) == "message")
    first = session.connection().execute(statement.order_by(col(Event.seq)).limit(1)).scalar_one()
    return bool(first["message"] == message_id)


def _take_off(file: CaseFile, message_id: int) -> None:
    """The message leaves the case: its words, its place in the index of Message-IDs, and the counts."""
    session = file.session
    connection = session.connection()
    message = session.get(Message, message_id, with_for_update=True, populate_existing=True)
    if message is None or message.case_id != file.id:
        raise Refused("Somebody else took the message off the case just now; look at it again.")
    connection.execute(update(Message).where(col(Message.id) == message_id).values(case_id=None))
    session.expire(message)
    connection.execute(
        text("DELETE FROM search WHERE case_id = :case_id AND message_id = :id"), {"case_id": file.id, "id": message_id}
    )
    others = select(key(Message.id)).where(
        col(Message.case_id) == file.id, col(Message.message_id) == message.message_id
    )
    if connection.execute(others.limit(1)).first() is None:
        connection.execute(
            delete(ThreadId).where(
                col(ThreadId.digest) == thread_digest(message.message_id), col(ThreadId.case_id) == file.id
            )
        )
    file.row.messages_in -= 1
    if message.kind == "person" and message.read_at is None:
        file.row.unread = max(0, file.row.unread - 1)
    file.touch()
