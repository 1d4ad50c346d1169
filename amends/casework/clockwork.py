"""What the clock does when an instant has come: warn, write, put a breach on the record, escalate.  Each once.

However late it finds what was to be done, it does it case by case in the order of the instants that were planned, and
what it finds more than five minutes late it marks as late, in the ledger and in what it tells the staff.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from sqlalchemy import func, select
from sqlmodel import Session, col

from amends.casework import contents, course, digests, pausing, reviewing
from amends.casework.actors import SYSTEM, is_here, name_of, supervisors
from amends.casework.ahead import looking, of_case
from amends.casework.casefile import CaseFile, CaseFiles
from amends.casework.clockahead import Entry, look_ahead
from amends.casework.kin import lock_cases
from amends.casework.office import Office
from amends.casework.plans import begins_at, pack_of, rule_behind
from amends.casework.writing import facts_of, queue_automatic, queue_staff, thread_of
from amends.deadlines.model import Pack, RequiredLetter
from amends.kernel.errors import Unreadable
from amends.kernel.instants import iso
from amends.kernel.text import one_line
from amends.ledger.columns import key
from amends.ledger.legible import is_of_the_store
from amends.ledger.tables import PROMISED, Case, Deadline, Letter
from amends.letters.kinds import LetterFacts, LetterKind

_APART: Final = 100_000  # above the numbers of handlers' letters, which begin at 1000
NOT_LATE: Final[Mapping[str, int]] = {}
LATE: Final = timedelta(minutes=5)  # a tick found later than this is marked late in the ledger


def next_instant(
    office: Office, *, now: datetime, failed: Collection[int] = (), unwritten: Collection[str] = ()
) -> datetime | None:
    """The next instant, seen from `now`, at which there is something to do.

    The deadlines in `failed` are passed over, and the daily letters to the logins in `unwritten`.
    """
    statement = (
        select(key(Deadline.id), col(Deadline.tick_at))
        .where(col(Deadline.tick_at).is_not(None))
        .order_by(col(Deadline.tick_at))
        .limit(len(failed) + 1)
    )
    with office.book.read() as session:
        rows = session.connection().execute(statement)
        planned = next((at for number, at in rows if number not in failed), None)
        digest = digests.next_at(office, session, now=now, unwritten=unwritten)
    return min((one for one in (planned, digest) if one is not None), default=None)


def tick(
    office: Office,
    *,
    now: datetime,
    limit: int = 200,
    failed: dict[int, str] | None = None,
    unwritten: dict[str, str] | None = None,
    not_together: Callable[[Exception], None] = lambda _: None,
) -> int:
    """Fire up to `limit` plan entries that are due, the oldest first; returns how many.  Call until it returns 0.

    When nothing of them is left, the daily letters to staff are written that are due, and count as well.

    However long nobody ticked, everything due is found; however many tick at once, each entry fires once.  What one
    case has due fires in the order of its instants: of each case the earliest alone goes at once, and the next call
    finds the one after it, which that one may have started.  All fire in one transaction, by as few statements as that
    takes; if one of them cannot, it is done again with each under its own savepoint, and `not_together` is told the
    fault.  With `failed` (deadline id: why), one that cannot be acted on is entered there, and those that stand there
    are passed over, so that one case never stops the clock of the others; without it, the error is raised.  `unwritten`
    (login: why) is the same of the daily letters.
    """
    with office.book.read() as session:
        due = _due(session, now, limit, failed)
    if not due:
        return digests.write(office, now=now, unwritten=unwritten)
    if len(due) > 1:
        try:
            return _fire_together(office, due, now)
        except Exception as fault:
            if is_of_the_store(fault):
                raise
            not_together(fault)  # one of them is bad: below each fires alone, which shows which, and why
    return _fire_one_by_one(office, due, now, failed)


def _due(session: Session, now: datetime, limit: int, failed: dict[int, str] | None) -> list[Entry]:
    """Of up to `limit` cases what each has due first, the oldest first: none waits for one that has much to do."""
    found: list[Entry] = []
    while len(found) < limit:
        rows, whole = _look_for_due(session, now, limit, failed or {}, but_for=[entry.case_id for entry in found])
        found += _first_of_each(_of_cases(rows, failed))
        if whole:
            break
    return found[:limit]


def _look_for_due(
    session: Session, now: datetime, limit: int, failed: Collection[int], *, but_for: Sequence[int]
) -> tuple[list[Entry], bool]:
    """Up to `limit` entries of other cases than `but_for` that are due, the oldest first, and whether that is all.

    Those of the deadlines in `failed` are passed over here: no statement takes ever so many numbers.
    """
    many = limit + len(failed)
    statement = (
        select(key(Deadline.id), col(Deadline.case_id), col(Deadline.tick_no))
        .where(col(Deadline.tick_at) <= now, *([col(Deadline.case_id).not_in(but_for)] if but_for else []))
        .order_by(col(Deadline.tick_at), col(Deadline.id))
        .limit(many)
    )
    rows = [Entry(*row) for row in session.connection().execute(statement)]
    return list(islice((one for one in rows if one.deadline_id not in failed), limit)), len(rows) < many


def _of_cases(due: Iterable[Entry], failed: dict[int, str] | None) -> Iterator[Entry]:
    """Those of a case; what somebody took away from its case behind our back is nobody's."""
    for entry in due:
        if isinstance(entry.case_id, int):
            yield entry
        elif failed is not None:
            failed[entry.deadline_id] = f"Deadline {entry.deadline_id} is of no case any more; run: amendsd verify"
        else:
            raise Unreadable(f"Deadline {entry.deadline_id} is of no case any more; run: amendsd verify")


def _first_of_each(due: Iterable[Entry]) -> list[Entry]:
    """Of each case the entry that stands first."""
    first: dict[int, Entry] = {}
    for entry in due:
        first.setdefault(entry.case_id, entry)
    return list(first.values())


def _fire_together(office: Office, due: Sequence[Entry], now: datetime) -> int:
    with office.book.write() as session:
        files = CaseFiles(office, session, actor=SYSTEM, now=now)
        with files.together(), looking(session, look_ahead(files, due)):
            return sum(_fire(files.of(entry.case_id), entry) for entry in due)


def _fire_one_by_one(office: Office, due: Sequence[Entry], now: datetime, failed: dict[int, str] | None) -> int:
    fired = 0
    with office.book.write() as session:
        lock_cases(session, [entry.case_id for entry in due])
        for entry in due:
            try:
                with session.begin_nested():
                    file = CaseFile.open(office, session, entry.case_id, actor=SYSTEM, now=now)
                    fired += _fire(file, entry)
            except Exception as fault:
                if failed is None or is_of_the_store(fault):
                    raise
                session.expire_all()
                failed[entry.deadline_id] = one_line(f"{type(fault).__name__}: {fault}", 300)
    return fired


def _fire(file: CaseFile, entry: Entry) -> int:
    """Do it, if it is still to be done: the case is locked, and nobody changes its deadlines without that."""
    now, tick_no = file.now, entry.tick_no
    deadline = next((one for one in file.unmet() if one.id == entry.deadline_id), None)
    if deadline is None or deadline.tick_no != tick_no or deadline.tick_at is None:
        return 0  # somebody else was here, or it was met meanwhile
    planned_at, action, step, to = deadline.ticks[tick_no]
    following = deadline.ticks[tick_no + 1] if tick_no + 1 < len(deadline.ticks) else None
    deadline.tick_no, deadline.tick_at = tick_no + 1, datetime.fromisoformat(following[0]) if following else None
    file.session.add(deadline)
    at = datetime.fromisoformat(planned_at)
    late = _late_by(now - at)
    if action == "warn":
        _warn(file, deadline, step, to, late)
    elif action == "letter":
        _write(file, deadline, step, late)
    elif action == "breach":
        _breach(file, deadline, to, late)
    elif action == "resume":
        pausing.time_is_up(file, deadline)
    file.save()
    return 1


def _late_by(span: timedelta) -> Mapping[str, int]:
    return {"late_seconds": int(span / timedelta(seconds=1))} if span > LATE else NOT_LATE


def _key(file: CaseFile, deadline: Deadline) -> str:
    """What tells it from every other deadline of the case, and from itself at an earlier date."""
    return "/".join(map(str, [*file.which(deadline).values(), *_changes(deadline)]))


def _changes(deadline: Deadline) -> Iterator[str]:
    """By what its date is another than it was."""
    if deadline.moved:
        yield f"moved-{deadline.moved}-{deadline.due_date}"  # one may be taken back, and given anew to another day
    if deadline.pauses:
        yield f"paused-{len(deadline.pauses)}"


def _label(file: CaseFile, deadline: Deadline) -> str:
    """Its short name for people, with the pack where it is not the main one's."""
    alone = deadline.pack in (file.row.pack, PROMISED)
    return deadline.label if alone else f"{deadline.label} ({deadline.pack})"


def _number_of(file: CaseFile, deadline: Deadline, letter: str) -> int:
    """The number in the Message-ID of the letter that the clock writes for a deadline, always the same.

    Those of the first rule of the main pack that has this letter count from 1; others, and those of a deadline that has
    another date than it began with, have a thousand numbers of their own each, far above those of handlers' letters.
    """
    pack, again = pack_of(file.office, deadline), [*_changes(deadline)]
    if (
        deadline.pack == file.row.pack
        and not again
        and (pack is None or _first_with(pack, letter) in (deadline.kind, None))
    ):
        return deadline.occurrence
    name = zlib.crc32("/".join([deadline.pack, deadline.kind, *again]).encode()) % _APART
    return (_APART + name) * 1000 + deadline.occurrence


def _first_with(pack: Pack, kind: str) -> str | None:
    """The first rule for which a letter of this kind goes out by itself."""
    return next((rule.id for rule in pack.deadline if rule.letter and pack.letter_of(rule.letter).kind == kind), None)


def _staff_facts(file: CaseFile, deadline: Deadline, late: Mapping[str, int] = NOT_LATE, **more: Any) -> LetterFacts:
    """What staff are told, in the organisation's own language; `late` by how many seconds it was found late."""
    seconds = late.get("late_seconds")
    return facts_of(
        file.office,
        file.row,
        (),
        language="",
        deadline=_label(file, deadline),
        deadline_due=deadline.due_at,
        basis=deadline.basis,
        derivation=tuple(deadline.derivation),
        handler=name_of(file.office.settings, file.row.handler),
        told_at=None if seconds is None else file.now - timedelta(seconds=seconds),
        **more,
    )


def _recipients(file: CaseFile, to: str) -> list[str]:
    """The logins that a step addressed to `to` reaches.

    A case without a handler, or with one who has left, is the supervisors' concern.
    """
    settings = file.office.settings
    if to == "handler" and file.row.handler and (is_here(settings, file.row.handler) or not settings.handler):
        return [file.row.handler]
    return supervisors(settings)


def _warn(file: CaseFile, deadline: Deadline, step: str, to: str, late: Mapping[str, int]) -> None:
    if deadline.due_at < file.now:
        return  # found so late that only the breach is worth saying
    file.record("deadline-warning", **file.which(deadline), step=step, to=to, **late)
    _tell(file, deadline, to, f"warning/{_key(file, deadline)}/{step}", _staff_facts(file, deadline, late))


def _tell(file: CaseFile, deadline: Deadline, to: str, key: str, facts: LetterFacts) -> None:
    """A warning to whom it concerns: a letter, or for those who want a digest a line in the next, if it is in time."""
    for login in _recipients(file, to):
        if not facts.missing and digests.takes(file.office, file.session, login, deadline, now=file.now):
            continue
        queue_staff(file, LetterKind.STAFF_WARNING, login=login, key=key, n=_letter_number(file), facts=facts)


def _write(file: CaseFile, deadline: Deadline, letter: str, late: Mapping[str, int]) -> None:
    """The letter that the pack demands, unless a handler wrote since the deadline began to run.

    Any letter of a handler is an update; any other letter is written unless its own deadline was met.  After a long
    silence of the clock the letter of the last occurrence that is due stands for them all.
    """
    kind = LetterKind(letter)
    since = begins_at(file.session, deadline)
    written_at = _wrote_since(file.session, file.id, since) if kind is LetterKind.PROGRESS_UPDATE else None
    if written_at is not None:
        file.record("update-not-needed", **file.which(deadline), because="a letter was sent")
        file.meet_one(deadline, at=written_at)
        file.start_following(deadline)
        return
    following = file.start_following(deadline)
    if following is not None and _letter_is_due(following, file.now):
        file.record("update-not-needed", **file.which(deadline), because="the next is due too")
        return
    if deadline.due_at < file.now:  # now: the letter may leave, and meet it late, before the breach has its turn
        to = next((to for _, action, _, to in deadline.ticks if action == "breach"), "")
        _missed(file, deadline, to, _late_by(file.now - deadline.due_at))
    if late:
        file.record("letter-due", **file.which(deadline), letter_kind=letter, **late)
    _write_by_itself(file, deadline, kind, following)


def _write_by_itself(file: CaseFile, deadline: Deadline, kind: LetterKind, following: dict[str, Any] | None) -> None:
    """Queue it if it says all that the pack demands of it, and else tell the handler what only a person can write."""
    pack, wanted = _demanded(file, deadline)
    in_reply_to, references = thread_of(file.session, file.id)
    others = [one for one in file.unmet() if (one.kind, one.pack) != (deadline.kind, deadline.pack)]
    promised: dict[str, Any] = {"update_due": following["due_at"]} if following else {}
    facts = facts_of(file.office, file.row, others, **promised)
    if pack is not None and wanted is not None:
        facts = replace(facts, external_review=contents.way_out(pack, wanted, facts))
    withheld: list[str] = []
    queued = queue_automatic(
        file,
        kind,
        key=f"{kind}/{_key(file, deadline)}",
        n=_number_of(file, deadline, str(kind)),
        facts=facts,
        in_reply_to=in_reply_to,
        references=references,
        of=(deadline.kind, deadline.occurrence, deadline.pack),
        counts_as=wanted.id if wanted is not None else "",
        lacks=lambda text: contents.not_said(pack, wanted, text, reference=file.row.reference),
        withheld=withheld,
    )
    if queued is None:
        file.touch()
    if withheld and deadline.due_at >= file.now:
        file.record("deadline-warning", **file.which(deadline), step="letter", to="handler")
        said = _staff_facts(file, deadline, missing="\n".join(withheld))
        _tell(file, deadline, "handler", f"warning/{_key(file, deadline)}/letter", said)


def _demanded(file: CaseFile, deadline: Deadline) -> tuple[Pack | None, RequiredLetter | None]:
    """The pack of a deadline, and the letter of it that goes out by itself."""
    found = rule_behind(file.office, deadline)
    if found is None or not found[1].letter:
        return None, None
    pack, rule = found
    return pack, pack.letter_of(rule.letter)


def _letter_is_due(row: dict[str, Any], now: datetime) -> bool:
    return any(action == "letter" and datetime.fromisoformat(at) <= now for at, action, _, _ in row["ticks"])


def _wrote_since(session: Session, case_id: int, since: datetime) -> datetime | None:
    """When a handler's letter was first sent after `since`, or None."""
    if (known := of_case(session, case_id)) is not None:
        return min((at for at in known.by_hand if at > since), default=None)
    statement = select(func.min(col(Letter.sent_at))).where(
        col(Letter.case_id) == case_id,
        col(Letter.automatic).is_(False),
        col(Letter.sent_at) > since,
    )
    return session.connection().execute(statement).scalar()


def _breach(file: CaseFile, deadline: Deadline, to: str, late: Mapping[str, int]) -> None:
    file.start_following(deadline)
    _missed(file, deadline, to, late)


def _missed(file: CaseFile, deadline: Deadline, to: str, late: Mapping[str, int]) -> None:
    """The breach goes on the record and its handler is told; unless the rule leaves it at that, it is escalated.

    That is: supervisors are told, and at the first one the case becomes somebody else's where the settings say so.
    Of one that recurs, and was missed again meanwhile, only what raises the case and the last are told by letter.
    """
    file.breach(deadline)
    told, before = _recipients(file, "handler"), file.row.handler
    raised = to != "handler" and not file.row.escalated
    if raised:
        file.row.escalated = True
        file.record("escalated", **file.which(deadline), to=to or "supervisor", due_at=iso(deadline.due_at))
        _reassign(file)
    others = _recurring(file, deadline)
    if not raised and any(one.occurrence > deadline.occurrence and one.due_at < file.now for one in others):
        return  # the next is missed too: after a long silence of the clock, the letter about the last tells of them all
    if to != "handler":
        told += [*([file.row.handler] if file.row.handler else ()), *supervisors(file.office.settings)]
    former = name_of(file.office.settings, before) if file.row.handler != before else ""
    earlier = sum(one.occurrence < deadline.occurrence and one.breached_at is not None for one in others)
    facts = _staff_facts(file, deadline, late, former=former, more=str(earlier or ""))
    for login in dict.fromkeys(told):
        key = f"breach/{_key(file, deadline)}"
        queue_staff(file, LetterKind.STAFF_ESCALATION, login=login, key=key, n=_letter_number(file), facts=facts)


def _recurring(file: CaseFile, deadline: Deadline) -> list[Deadline]:
    """Every occurrence of a recurring deadline that is owed; none where it does not recur."""
    found = rule_behind(file.office, deadline)
    if found is None or not found[1].recurring:
        return []
    return [one for one in file.unmet() if (one.kind, one.pack) == (deadline.kind, deadline.pack)]


def _reassign(file: CaseFile) -> None:
    """Give an escalated case to whom the settings say, but to nobody who may not decide its stage."""
    escalation, row = file.office.settings.escalation, file.row
    if escalation.on_breach != "reassign":
        return
    able = [escalation.to] if escalation.to else supervisors(file.office.settings)
    able = [login for login in able if login not in reviewing.barred(file, course.stages_of(file))]
    if row.handler in able or not able:
        return
    before, row.handler = row.handler, _least_loaded(file.session, able)
    file.record("assigned", before=before, after=row.handler, because="a deadline was missed")
    file.touch()


def _least_loaded(session: Session, logins: Sequence[str]) -> str:
    """Who of them has the fewest open cases; of several the one whom the configuration names first."""
    if len(logins) == 1:
        return logins[0]
    session.flush()  # what this transaction has given to whom counts too
    statement = (
        select(col(Case.handler), func.count())
        .where(col(Case.handler).in_(logins), col(Case.is_open).is_(True))
        .group_by(col(Case.handler))
    )
    load = {handler: int(number) for handler, number in session.connection().execute(statement)}
    return min(logins, key=lambda login: load.get(login, 0))


def _letter_number(file: CaseFile) -> int:
    """A number no letter of this case has yet: part of its Message-ID."""
    if (known := of_case(file.session, file.id)) is not None:
        return known.letters + 1
    statement = select(func.count()).where(col(Letter.case_id) == file.id)
    return (file.session.connection().execute(statement).scalar() or 0) + 1
