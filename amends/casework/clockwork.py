"""What the clock does when an instant has come: warn, write, put a breach on the record, escalate.  Each once."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from amends.casework import pausing
from amends.casework.actors import SYSTEM, supervisors
from amends.casework.casefile import CaseFile
from amends.casework.kin import lock_cases
from amends.casework.office import Office
from amends.casework.plans import begins_at, pack_of
from amends.casework.writing import facts_of, queue_automatic, queue_staff, thread_of
from amends.deadlines.model import Pack
from amends.kernel.errors import NeedsOperator, TryLater
from amends.kernel.instants import iso
from amends.kernel.text import one_line
from amends.ledger.columns import key
from amends.ledger.tables import Deadline, Letter
from amends.letters.kinds import LetterKind

_APART: Final = 100_000  # above the numbers of handlers' letters, which begin at 1000
LATE: Final = timedelta(minutes=5)  # a tick found later than this is marked late in the ledger


def next_instant(office: Office, *, failed: Collection[int] = ()) -> datetime | None:
    """The next instant at which there is something to do; the deadlines in `failed` are passed over."""
    statement = select(func.min(col(Deadline.tick_at))).where(col(Deadline.tick_at).is_not(None), *_but_for(failed))
    with office.book.read() as session:
        return session.connection().execute(statement).scalar()


def _but_for(failed: Collection[int]) -> list[Any]:
    return [col(Deadline.id).not_in(list(failed))] if failed else []


def tick(office: Office, *, now: datetime, limit: int = 200, failed: dict[int, str] | None = None) -> int:
    """Fire up to `limit` plan entries that are due, the oldest first; returns how many.  Call until it returns 0.

    However long nobody ticked, everything due is found; however many tick at once, each entry fires once.
    Each fires under its own savepoint.  With `failed` (deadline id: why), one that cannot be acted on is entered there,
    and those that stand there are passed over, so that one case never stops the clock of the others; without it, the
    error is raised.
    """
    statement = (
        select(key(Deadline.id), col(Deadline.case_id), col(Deadline.tick_no))
        .where(col(Deadline.tick_at) <= now, *_but_for(failed or ()))
        .order_by(col(Deadline.tick_at), col(Deadline.id))
        .limit(limit)
    )
    with office.book.read() as session:
        due = list(session.connection().execute(statement))
    if not due:
        return 0
    fired = 0
    with office.book.write() as session:
        lock_cases(session, [case_id for _, case_id, _ in due])
        for deadline_id, case_id, tick_no in due:
            try:
                with session.begin_nested():
                    fired += _fire(office, session, deadline_id, case_id, tick_no, now)
            except (TryLater, NeedsOperator, OperationalError):
                raise
            except Exception as fault:
                if failed is None:
                    raise
                session.expire_all()
                failed[deadline_id] = one_line(f"{type(fault).__name__}: {fault}", 300)
    return fired


def _fire(office: Office, session: Session, deadline_id: int, case_id: int, tick_no: int, now: datetime) -> int:
    file = CaseFile.open(office, session, case_id, actor=SYSTEM, now=now)
    deadline = session.get(Deadline, deadline_id, populate_existing=True)
    if deadline is None or deadline.tick_no != tick_no or deadline.tick_at is None:
        return 0  # somebody else was here, or it was met meanwhile
    planned_at, action, step, to = deadline.ticks[tick_no]
    following = deadline.ticks[tick_no + 1] if tick_no + 1 < len(deadline.ticks) else None
    hit = session.connection().execute(
        update(Deadline)
        .where(col(Deadline.id) == deadline_id, col(Deadline.tick_no) == tick_no)
        .values(tick_no=tick_no + 1, tick_at=datetime.fromisoformat(following[0]) if following else None)
    )
    if hit.rowcount != 1:
        return 0
    session.refresh(deadline)
    at = datetime.fromisoformat(planned_at)
    late = {"late_seconds": int((now - at) / timedelta(seconds=1))} if now - at > LATE else {}
    if action == "warn":
        _warn(file, deadline, step, to, late)
    elif action == "letter":
        _write(file, deadline, step)
    elif action == "breach":
        _breach(file, deadline, to)
    elif action == "resume":
        pausing.time_is_up(file, deadline)
    file.save()
    return 1


def _key(file: CaseFile, deadline: Deadline) -> str:
    """What tells it from every other deadline of the case, and from itself at an earlier date."""
    moved = [f"moved-{deadline.moved}"] if deadline.moved else []
    paused = [f"paused-{len(deadline.pauses)}"] if deadline.pauses else []
    return "/".join(map(str, [*file.which(deadline).values(), *moved, *paused]))


def _label(file: CaseFile, deadline: Deadline) -> str:
    """Its short name for people, with the pack where it is not the main one's."""
    return deadline.label if deadline.pack == file.row.pack else f"{deadline.label} ({deadline.pack})"


def _number_of(file: CaseFile, deadline: Deadline, letter: str) -> int:
    """The number in the Message-ID of the letter that the clock writes for a deadline, always the same.

    Those of the first rule of the main pack that has this letter count from 1; others have a thousand numbers of their
    own each, far above those of handlers' letters.
    """
    pack = pack_of(file.office, deadline)
    if deadline.pack == file.row.pack and (pack is None or _first_with(pack, letter) in (deadline.kind, None)):
        return deadline.occurrence
    name = zlib.crc32(f"{deadline.pack}/{deadline.kind}".encode()) % _APART
    return (_APART + name) * 1000 + deadline.occurrence


def _first_with(pack: Pack, kind: str) -> str | None:
    """The first rule for which a letter of this kind goes out by itself."""
    return next((rule.id for rule in pack.deadline if rule.letter and pack.letter_of(rule.letter).kind == kind), None)


def _staff_facts(file: CaseFile, deadline: Deadline, handler: str) -> Any:
    return facts_of(
        file.office,
        file.row,
        (),
        deadline=_label(file, deadline),
        deadline_due=deadline.due_at,
        basis=deadline.basis,
        handler=handler,
    )


def _recipients(file: CaseFile, to: str) -> list[str]:
    """The logins that a step addressed to `to` reaches: a case without a handler is the supervisors' concern."""
    if to == "handler" and file.row.handler:
        return [file.row.handler]
    return supervisors(file.office.settings)


def _warn(file: CaseFile, deadline: Deadline, step: str, to: str, late: dict[str, int]) -> None:
    if deadline.due_at < file.now:
        return  # found so late that only the breach is worth saying
    file.record("deadline-warning", **file.which(deadline), step=step, to=to, **late)
    for login in _recipients(file, to):
        queue_staff(
            file,
            LetterKind.STAFF_WARNING,
            login=login,
            key=f"warning/{_key(file, deadline)}/{step}",
            n=_letter_number(file),
            facts=_staff_facts(file, deadline, login),
        )


def _write(file: CaseFile, deadline: Deadline, letter: str) -> None:
    """The letter that the pack demands, unless a handler wrote since the deadline began to run.

    After a long silence of the clock the letter of the last occurrence that is due stands for them all.
    """
    written_at = _wrote_since(file.session, file.id, begins_at(file.session, deadline))
    if written_at is not None:
        file.record("update-not-needed", **file.which(deadline), because="a letter was sent")
        file.meet_one(deadline, at=written_at)
        file.start_following(deadline)
        return
    following = file.start_following(deadline)
    if following is not None and _letter_is_due(following, file.now):
        file.record("update-not-needed", **file.which(deadline), because="the next is due too")
        return
    kind = LetterKind(letter)
    in_reply_to, references = thread_of(file.session, file.id)
    others = [one for one in file.unmet() if (one.kind, one.pack) != (deadline.kind, deadline.pack)]
    promised = {"update_due": following["due_at"]} if following else {}
    queued = queue_automatic(
        file,
        kind,
        key=f"{kind}/{_key(file, deadline)}",
        n=_number_of(file, deadline, letter),
        facts=facts_of(
            file.office,
            file.row,
            others,
            **promised,
        ),
        in_reply_to=in_reply_to,
        references=references,
        of=(deadline.kind, deadline.occurrence, deadline.pack),
    )
    if queued is None:
        file.touch()


def _letter_is_due(row: dict[str, Any], now: datetime) -> bool:
    return any(action == "letter" and datetime.fromisoformat(at) <= now for at, action, _, _ in row["ticks"])


def _wrote_since(session: Session, case_id: int, since: datetime) -> datetime | None:
    """When a handler's letter was first sent after `since`, or None."""
    statement = select(func.min(col(Letter.sent_at))).where(
        col(Letter.case_id) == case_id,
        col(Letter.automatic).is_(False),
        col(Letter.sent_at) > since,
    )
    return session.connection().execute(statement).scalar()


def _breach(file: CaseFile, deadline: Deadline, to: str) -> None:
    file.breach(deadline)
    file.start_following(deadline)
    if not file.row.escalated:
        file.row.escalated = True
        file.record("escalated", **file.which(deadline), to=to or "supervisor", due_at=iso(deadline.due_at))
    for login in dict.fromkeys([*_recipients(file, "handler"), *supervisors(file.office.settings)]):
        queue_staff(
            file,
            LetterKind.STAFF_ESCALATION,
            login=login,
            key=f"breach/{_key(file, deadline)}",
            n=_letter_number(file),
            facts=_staff_facts(file, deadline, login),
        )


def _letter_number(file: CaseFile) -> int:
    """A number no letter of this case has yet: part of its Message-ID."""
    statement = select(func.count()).where(col(Letter.case_id) == file.id)
    return (file.session.connection().execute(statement).scalar() or 0) + 1
