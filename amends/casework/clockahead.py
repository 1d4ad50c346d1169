"""What the clock looks up at once for all cases of which something is due."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BindParameter, bindparam, func, select
from sqlmodel import Session, col

from amends.casework import gate
from amends.casework.ahead import Ahead, OfCase
from amends.casework.casefile import CaseFiles
from amends.ledger.tables import Deadline, Letter, Message


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the plan of a deadline that is due: `tick_no` of its `ticks`."""

    deadline_id: int
    case_id: int
    tick_no: int


def look_ahead(files: CaseFiles, due: Sequence[Entry]) -> Ahead:
    """Open these cases, locked, and look up what firing the entries will ask of each."""
    session, now, known = files.session, files.now, Ahead()
    files.open_all(entry.case_id for entry in due)
    opened = [file for entry in due if (file := files.find(entry.case_id)) is not None]
    known.of_cases = _of_cases(session, [file.id for file in opened])
    writing = {entry.case_id for entry in due if _action(files, entry) == "letter"}
    if writing:
        _look_for_threads(session, known, writing)
        known.letters = gate.history(session, {f.row.complainant_address for f in opened if f.id in writing}, now)
    staff = {person.address for person in files.office.settings.handler if person.address}
    known.staff = gate.why_each_blocked(session, staff, now=now)
    return known


def _action(files: CaseFiles, entry: Entry) -> str:
    """What is to be done, as far as the entry is still there."""
    file = files.find(entry.case_id)
    deadline = next((one for one in file.unmet() if one.id == entry.deadline_id), None) if file is not None else None
    return deadline.ticks[entry.tick_no][1] if deadline is not None and entry.tick_no < len(deadline.ticks) else ""


_OF_THEM: Final[BindParameter[Sequence[int]]] = bindparam("ids", expanding=True)
_LETTERS: Final = select(
    col(Letter.case_id), col(Letter.natural_key), col(Letter.automatic), col(Letter.sent_at)
).where(col(Letter.case_id).in_(_OF_THEM))
_OCCURRENCES: Final = select(
    col(Deadline.case_id),
    col(Deadline.pack),
    col(Deadline.kind),
    col(Deadline.occurrence),
    col(Deadline.starts_at),
    col(Deadline.due_at),
).where(col(Deadline.case_id).in_(_OF_THEM))


def _of_cases(session: Session, case_ids: Sequence[int]) -> dict[int, OfCase]:
    known = {case_id: OfCase() for case_id in case_ids}
    for case_id, natural, automatic, sent_at in session.connection().execute(_LETTERS, {"ids": case_ids}):
        one = known[case_id or 0]
        one.letters += 1
        one.keys.add(natural)
        if not automatic and sent_at is not None:
            one.by_hand.append(sent_at)
    for case_id, pack, kind, occurrence, starts_at, due_at in session.connection().execute(
        _OCCURRENCES, {"ids": case_ids}
    ):
        known[case_id].occurrences.setdefault((pack, kind), {})[occurrence] = starts_at, due_at
    return known


_NEWEST: Final = (  # of each case, as `writing.thread_of` finds it
    select(
        col(Message.case_id),
        col(Message.message_id),
        col(Message.refs),
        func.row_number()
        .over(partition_by=col(Message.case_id), order_by=(col(Message.at).desc(), col(Message.id).desc()))
        .label("place"),
    )
    .where(
        col(Message.case_id).in_(_OF_THEM),
        col(Message.direction) == "in",
        col(Message.kind) == "person",
        col(Message.message_id) != "",
    )
    .subquery()
)
_THREADS: Final = select(_NEWEST.c.case_id, _NEWEST.c.message_id, _NEWEST.c.refs).where(_NEWEST.c.place == 1)


def _look_for_threads(session: Session, known: Ahead, case_ids: Iterable[int]) -> None:
    wanted = list(case_ids)
    for case_id in wanted:
        known.of_cases[case_id].thread = "", []
    for case_id, message_id, refs in session.connection().execute(_THREADS, {"ids": wanted}):
        known.of_cases[case_id].thread = message_id, [*refs, message_id]
