"""A change of the calendar or of a pack: seen, shown before it is applied, and applied case by case, on the record.

New cases go by the new calendar at once.  The dates of open ones stand as they are until somebody applies the change:
then each case changes whole, under its lock, and each moved deadline is an event in its ledger.  The change itself,
who applied it and why, stands in the store's own ledger.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import delete
from sqlmodel import Session, col

from amends.casework import standing
from amends.casework.actors import SYSTEM, Actor
from amends.casework.casefile import CaseFile, CaseFiles
from amends.casework.office import Office, read_meta, remembered, write_meta
from amends.casework.recomputing import Found, Sum, examine, look_through
from amends.deadlines.fingerprint import changed, fingerprint, in_words, whole
from amends.deadlines.recount import OF_A_CHANGE, Recount, Sort, noted
from amends.deadlines.words import counted
from amends.kernel.errors import Refused
from amends.kernel.instants import iso, to_utc
from amends.kernel.text import one_line
from amends.ledger import storewide
from amends.ledger.seals import words_seal
from amends.ledger.tables import Deadline, Meta

_APPLIED: Final = "policy_applied"
"""In `meta`: the fingerprint by which the dates of the open cases were counted, and of which years it is."""
_PENDING: Final = "policy_pending"
"""In `meta`: what a change that was seen would move, until it is applied or undone."""
_YEARS: Final = (-2, 3)
"""The holidays of so many years before and after the present one are part of the fingerprint."""
CHECKED: Final = "deadlines_checked"
"""In `meta`: the verdict of the last self-check; forgotten when a change is applied, so that it is done again."""
TOGETHER: Final = 50
"""Cases that are moved in one transaction: it keeps others from writing for a tenth of a second."""
KIND: Final = "policy-changed"
"""The events of the store's ledger that tell of a change."""


@dataclass(frozen=True, slots=True)
class Change:
    """The calendar or packs are not those that were last applied: `parts` says which."""

    parts: tuple[str, ...]
    before: dict[str, str]
    after: dict[str, str]

    @property
    def words(self) -> str:
        return in_words(self.parts)

    @property
    def fingerprint(self) -> str:
        return whole(self.after)


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that was counted and waits to be applied; `at` is the wall clock."""

    at: datetime
    words: str
    numbers: dict[str, int]
    fingerprint: str

    @property
    def sentence(self) -> str:
        return f"{self.words}; {_would(self.numbers)}"

    def as_json(self) -> dict[str, Any]:
        return {"at": iso(self.at), "words": self.sentence, **self.numbers}


def _would(numbers: dict[str, int]) -> str:
    moves, other = numbers["moves"], numbers["other"]
    more = f"{counted(moves, 'open deadlines')} would move"
    if other:
        more += f" and {other} would {'be changed otherwise' if moves else 'be changed without moving'}"
    if numbers["missed_at_once"]:
        more += f", {numbers['missed_at_once']} of them to a day that has passed"
    return f"{more}: amendsd policy changes shows them, amendsd policy apply moves them."


# Seeing it


def first_look(office: Office, session: Session, *, now: datetime) -> None:
    """On a store of which nothing is known, take the calendar and packs of now for those that the dates go by."""
    if read_meta(session, _APPLIED) is None:
        _write_applied(office, session, _years(now))


def _years(now: datetime) -> tuple[int, int]:
    return now.year + _YEARS[0], now.year + _YEARS[1]


def _present(office: Office, years: tuple[int, int]) -> dict[str, str]:
    return fingerprint(office.calendar, office.regimes, first=years[0], last=years[1])


def _write_applied(office: Office, session: Session, years: tuple[int, int]) -> None:
    """The dates of the open cases stand on the calendar and packs of now."""
    write_meta(session, _APPLIED, json.dumps({"years": list(years), "parts": _present(office, years)}))
    standing.keep(office, session, years)


def seen(office: Office, session: Session) -> Change | None:
    """Whether the calendar and the packs are others than were last applied; None also where nothing was yet."""
    if (applied := remembered(session, _APPLIED, _applied_of)) is None:
        return None
    years, before = applied
    after = _present(office, years)
    parts = changed(before, after)
    return Change(tuple(parts), before, after) if parts else None


def _applied_of(kept: str) -> tuple[tuple[int, int], dict[str, str]]:
    applied = json.loads(kept)
    return standing.years_of(*applied["years"]), {str(name): str(mark) for name, mark in applied["parts"].items()}


def pending(session: Session) -> Pending | None:
    """The change that waits to be applied, as it was last counted, or None."""
    return remembered(session, _PENDING, _pending_of)


def _pending_of(kept: str) -> Pending:
    told = json.loads(kept)
    numbers = {name: int(told["numbers"][name]) for name in _NUMBERS}
    return Pending(to_utc(datetime.fromisoformat(told["at"])), str(told["words"]), numbers, str(told["fingerprint"]))


def sentence(office: Office, session: Session) -> str | None:
    """What an operator must know of a change that was not applied, in one sentence, or None where there is none."""
    if (change := seen(office, session)) is None:
        return None
    known = pending(session)
    if known is not None and known.fingerprint == change.fingerprint:
        return known.sentence
    return f"{change.words}; amendsd policy changes shows which deadlines would move, amendsd policy apply moves them."


def settle(office: Office, total: Sum, change: Change | None, *, wall: datetime) -> Pending | None:
    """After every open deadline was counted again: keep what `change` would move, or take it for applied where that is
    nothing; None then, and where nothing changed.  `wall` is the wall clock."""
    with office.book.write() as session:
        if change is None or not total.count(OF_A_CHANGE):
            if change is not None:
                _enter(session, change, SYSTEM, "", at=wall)
            _renew(office, session, now=wall)
            return None
        told = {
            "at": to_utc(wall).isoformat(),
            "words": change.words,
            "numbers": {name: total.as_json()[name] for name in _NUMBERS},
            "fingerprint": change.fingerprint,
        }
        write_meta(session, _PENDING, json.dumps(told))
        return pending(session)


_NUMBERS: Final = ("moves", "earlier", "later", "missed_at_once", "other")


def _renew(office: Office, session: Session, *, now: datetime) -> None:
    """What is now is what the dates go by; nothing waits."""
    _write_applied(office, session, _years(now))
    session.connection().execute(delete(Meta).where(col(Meta.name) == _PENDING))


def _enter(session: Session, change: Change | None, actor: Actor, reason: str, *, at: datetime) -> int:
    data = {
        "parts": list(change.parts) if change is not None else [],
        "before": whole(change.before) if change is not None else None,
        "after": change.fingerprint if change is not None else None,
        "reason": reason,
    }
    return storewide.enter(session, at=at, actor=actor.login, kind=KIND, data=data)


# Applying it


@dataclass(slots=True)
class Applied:
    """What applying a change did; `change` is its number in the store's ledger, `looked_at` counts the open cases."""

    change: int
    looked_at: int = 0
    cases: int = 0
    moved: int = 0
    earlier: int = 0
    later: int = 0
    missed: int = 0
    started: int = 0
    other: int = 0

    def as_json(self) -> dict[str, int]:
        return {
            "change": self.change,
            "cases": self.cases,
            "moved": self.moved,
            "earlier": self.earlier,
            "later": self.later,
            "missed_at_once": self.missed,
            "started": self.started,
            "other": self.other,
        }


def apply(
    office: Office,
    reason: str,
    *,
    actor: Actor,
    clock: Callable[[], datetime],
    after_each: Callable[[Applied], None] | None = None,
) -> Applied:
    """Let every open deadline be what the calendar and the packs of now make of it, a few cases in a transaction.

    Between two of them, while the next cases are counted, others can write.  What was breached, met or has passed stays
    as it is; a date given by an extension stands.  Broken off, it is gone on with by doing it again.  `clock` is asked
    before each of them, as by `look_through`: a million cases take minutes.  Raises Refused without a reason, and for
    who may only read.
    """
    actor.may_write()
    reason = one_line(reason, 500)
    if not reason:
        raise Refused("A change of dates needs a reason that can be read years later; write one: --reason WHY.")
    now = clock()
    with office.book.write() as session:
        first_look(office, session, now=now)
        change = seen(office, session)
        done = Applied(_enter(session, change, actor, reason, at=now))
    for looked in look_through(office, clock=clock, chunk=TOGETHER):
        if wanted := {one.difference.case_id for one in looked.found if _mends(one)}:
            _apply_to(office, wanted, reason, done, actor=actor, clock=clock)
        done.looked_at += looked.cases
        if after_each is not None:
            after_each(done)
    with office.book.write() as session:
        # The ledger first, as in `settle`: else the two wait for each other.
        storewide.enter(session, at=clock(), actor=actor.login, kind="policy-applied", data=done.as_json())
        _renew(office, session, now=clock())
        session.connection().execute(delete(Meta).where(col(Meta.name) == CHECKED))
    return done


def _mends(found: Found) -> bool:
    return found.recount is not None or found.row is not None or found.difference.sort is Sort.NEXT


def _apply_to(
    office: Office,
    case_ids: Collection[int],
    reason: str,
    done: Applied,
    *,
    actor: Actor,
    clock: Callable[[], datetime],
) -> None:
    """The same of these cases, which are counted again under their locks: meanwhile one may have been answered."""
    with office.book.write() as session:
        files = CaseFiles(office, session, actor=actor, now=clock())
        files.open_all(case_ids)
        with files.together():
            found = _mend(files, reason, done.change)
    done.cases += len({one.difference.case_id for one in found})
    _count(done, found)


def _mend(files: CaseFiles, reason: str, change: int) -> list[Found]:
    found = [one for one in examine(files.office, files.opened, now=files.now) if _mends(one)]
    for case_id, of_case in groupby(found, key=lambda one: one.difference.case_id):
        file, its = files.of(case_id), list(of_case)
        owed = {deadline.id: deadline for deadline in file.unmet()}
        for one in its:
            if one.recount is not None:
                told = one.difference.told
                _recount(file, owed[one.deadline_id], one.recount, told=told, change=change, reason=reason)
        file.start_deadlines([one.row for one in its if one.row is not None])
        file.look_what_is_next()
    return found


def _recount(file: CaseFile, deadline: Deadline, found: Recount, *, told: bool, change: int, reason: str) -> None:
    derivation = found.derivation
    if found.due_date.isoformat() != deadline.due_date:
        before = datetime.fromisoformat(deadline.due_date).date()
        derivation = noted(found, before=before, on=file.office.calendar.day_of(file.now), told=told)
    file.recount(
        deadline,
        found,
        derivation=derivation,
        sort=str(found.sort),
        change=change,
        digest=words_seal(file.row, reason),
        **({"told": True} if told else {}),
    )


def _count(done: Applied, found: Iterable[Found]) -> None:
    for one in found:
        sort = one.difference.sort
        done.missed += one.difference.missed
        if sort is Sort.MOVES:
            done.moved += 1
            done.earlier += one.difference.earlier
            done.later += not one.difference.earlier
        elif sort is Sort.MISSING:
            done.started += 1
        else:
            done.other += 1
