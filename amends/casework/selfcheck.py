"""The nightly proof that every open deadline is what the rules make of it: when it is due, and what came of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final

from sqlmodel import Session

from amends.casework import incidents, policychange
from amends.casework.office import Office, remembered, write_meta
from amends.casework.policychange import CHECKED, Change, Pending
from amends.casework.recomputing import Sum
from amends.deadlines.recount import ALARMING, OF_A_CHANGE
from amends.deadlines.words import in_a_row
from amends.kernel.instants import iso, to_utc

_PREFIX: Final = "deadlines/"
_AGAIN_AFTER: Final = timedelta(hours=1)
"""When something was wrong: the clock, or somebody, may have set it right."""
_PLACE: Final = "deadlines"
"""What stands in the place of the mailbox of an incident."""


@dataclass(frozen=True, slots=True)
class LastCheck:
    """When all open deadlines were last counted again (the business clock), how many, and what was wrong."""

    began_at: datetime
    cases: int
    deadlines: int
    wrong: int
    words: str

    def as_json(self) -> dict[str, Any]:
        return {"at": iso(self.began_at), "cases": self.cases, "deadlines": self.deadlines, "wrong": self.wrong}


def last_check(session: Session) -> LastCheck | None:
    return remembered(session, CHECKED, _check_of)


def _check_of(kept: str) -> LastCheck:
    told = json.loads(kept)
    began = to_utc(datetime.fromisoformat(told["began_at"]))
    return LastCheck(began, int(told["cases"]), int(told["deadlines"]), int(told["wrong"]), str(told["words"]))


def last_turn(office: Office, *, now: datetime) -> datetime:
    """The last instant before `now` at which the hour of the self-check came, in the organisation's zone."""
    hour = time.fromisoformat(office.settings.clock.self_check)
    calendar, day = office.calendar, office.calendar.day_of(now)
    turn = calendar.first_showing(day, hour)
    return turn if turn <= now else calendar.first_showing(day - timedelta(days=1), hour)


def is_due(office: Office, session: Session, *, now: datetime, ours_at: datetime | None = None) -> bool:
    """Whether its hour came since it was last done, or a change was made of which nobody knows yet what it moves.

    `ours_at` is when this program last did it.  What it had settled by then and finds unsettled, a program with another
    configuration has done; as the two will never agree, it is done again once an hour and not in turns without end.
    """
    last = last_check(session)
    if last is None or not last_turn(office, now=now) <= last.began_at <= now + _AGAIN_AFTER:
        return True  # what lies ahead is of a clock that was wrong
    if last.wrong and last.began_at < now - _AGAIN_AFTER:
        return True
    if ours_at is not None and now - _AGAIN_AFTER < ours_at <= now:
        return False
    change, waiting = policychange.seen(office, session), policychange.pending(session)
    if change is None:
        return waiting is not None  # it was undone
    return waiting is None or waiting.fingerprint != change.fingerprint


def conclude(
    office: Office, total: Sum, *, began_at: datetime, wall: datetime
) -> tuple[LastCheck, Pending | None, bool]:
    """Keep what came of it: the verdict, the change that waits to be applied if any, and whether the incident is new.

    What is wrong without a change being the reason is an incident, over by itself when it is found no more.
    `began_at` is the business clock, `wall` the wall clock.
    """
    with office.book.read() as session:
        change = policychange.seen(office, session)
    waiting = policychange.settle(office, total, change, wall=wall)
    verdict = _verdict(total, change if waiting is not None else None, began_at)
    key = _PREFIX + hashlib.sha256(verdict.words.encode()).hexdigest()[:16]
    with office.book.write() as session:
        told = {
            "began_at": began_at.isoformat(),
            "cases": verdict.cases,
            "deadlines": verdict.deadlines,
            "wrong": verdict.wrong,
            "words": verdict.words,
        }
        write_meta(session, CHECKED, json.dumps(told))
        incidents.pass_away(session, _PREFIX, but_for=[key] if verdict.wrong else [], now=wall)
        new = bool(verdict.wrong) and incidents.note(session, key, verdict.words, mailbox=_PLACE, now=wall)
    return verdict, waiting, new


def _verdict(total: Sum, change: Change | None, began_at: datetime) -> LastCheck:
    sorts = [sort for sort in ALARMING if change is None or sort not in OF_A_CHANGE]
    wrong = total.count(sorts)
    return LastCheck(began_at, total.cases, total.deadlines, wrong, _words(wrong, total.references(sorts)))


def _words(wrong: int, references: list[str]) -> str:
    if not wrong:
        return ""
    what = "1 open deadline is" if wrong == 1 else f"{wrong:,} open deadlines are"
    return (
        f"{what} not what the rules make of it, first on {in_a_row(references, last='and')}; "
        "amendsd policy check-deadlines names them"
    )
