"""A letter came back that had given a deadline more time, or had stopped its clock: nobody was told, so neither holds.

The deadline is what it would be if that letter had never left, whatever happened since: later pauses and extensions
that the complainant was told of are counted again on top of it, as far as they still came in time, and what was missed
or met too late by that date goes on the record.  The letter has its effect anew if it is sent again and leaves in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from amends.casework import effects, pausing
from amends.casework.casefile import CaseFile
from amends.casework.plans import Footing, footing, is_paused, is_void, paused_times, rule_behind, with_pauses
from amends.deadlines.clocks import counting
from amends.deadlines.compute import Due, extended
from amends.kernel.errors import Refused
from amends.ledger.tables import Deadline, Letter

BECAUSE = "the letter that told of it came back"


def letter_came_back(file: CaseFile, letter: Letter) -> None:
    """Take back what a letter that will not be delivered did to the clocks of its case; twice does nothing more."""
    for effect in (effects.MORE_TIME, effects.PAUSE):
        word = effects.of(letter, effect)
        if word is None:
            continue
        effects.take_back(letter, effect)
        deadline = _deadline_of(file, word) if effects.has_begun(word) else None
        if deadline is not None and effect == effects.PAUSE:
            _never_paused(file, deadline, letter)
        elif deadline is not None and "before" in word:
            _never_moved(file, deadline, letter, word)
        if effect == effects.PAUSE:
            pausing.wait_no_more(file, word["reason"], because=BECAUSE)


def _deadline_of(file: CaseFile, word: Mapping[str, Any]) -> Deadline | None:
    """The deadline that a letter had changed, whether it is still owed or not."""
    if (owed := effects.deadline_of(file, word)) is not None:
        return owed
    kind, occurrence, pack = file.named(word["of"])
    statement = select(Deadline).where(
        col(Deadline.case_id) == file.id,
        col(Deadline.kind) == kind,
        col(Deadline.occurrence) == occurrence,
        col(Deadline.pack) == pack,
    )
    return file.session.scalars(statement).first()


def _never_paused(file: CaseFile, deadline: Deadline, letter: Letter) -> None:
    pauses = deadline.pauses
    n = next((n for n, one in enumerate(pauses) if one["letter"] == letter.id and not is_void(one)), None)
    if n is None:
        return
    began = datetime.fromisoformat(pauses[n]["begins_at"])
    if n == len(pauses) - 1 and is_paused(deadline):
        file.end_pause(deadline, at=began, because=BECAUSE)
        file.miss_what_passed(deadline)
        return
    voided = [*pauses[:n], {**pauses[n], "ends_at": pauses[n]["begins_at"]}, *pauses[n + 1 :]]
    _counted_without(file, deadline, _due_before(pauses[n]), voided, since=began, moved=deadline.moved, letter=letter)


def _never_moved(file: CaseFile, deadline: Deadline, letter: Letter, word: Mapping[str, Any]) -> None:
    since = letter.sent_at or file.now
    moved = deadline.moved - 1
    _counted_without(file, deadline, _due_before(word), deadline.pauses, since=since, moved=moved, letter=letter)


def _due_before(kept: Mapping[str, Any]) -> Due:
    """When the deadline fell before a pause or an extension, as that keeps it."""
    return Due(datetime.fromisoformat(kept["before_at"]), date.fromisoformat(kept["before"]), tuple(kept["why"]))


@dataclass(slots=True)
class _Counted:
    """A deadline while what happened to it is counted again, in order."""

    due: Due
    moved: int
    pauses: list[dict[str, Any]]


def _counted_without(
    file: CaseFile,
    deadline: Deadline,
    before: Due,
    pauses: list[dict[str, Any]],
    *,
    since: datetime,
    moved: int,
    letter: Letter,
) -> None:
    """The deadline falls when it fell before `since`, but for what changed it later and still holds."""
    later = _later(file, deadline, pauses, since=since, but_for=letter)
    moved -= sum(isinstance(one, Letter) for _, one in later)
    earlier = [one for one in pauses if datetime.fromisoformat(one["begins_at"]) < since]
    on = footing(file.office, file.session, deadline, stood_at=before.due_at, pauses=paused_times(earlier))
    if not moved and (planned := on.planned(deadline, paused_times(earlier))) is not None and _stands(file, on):
        before, on = Due(planned.due_at, planned.due_date, planned.derivation), replace(on, whole=True)
    now = _Counted(before, moved, list(pauses))
    for at, one in later:
        if isinstance(one, Letter):
            _move_again(file, deadline, now, one, on, at=at)
        else:
            _pause_again(deadline, now, one, on, at=at)
    file.put_back(deadline, now.due, on.ticks(now.due), moved=now.moved, pauses=now.pauses, because=BECAUSE)
    file.miss_what_passed(deadline)


def _stands(file: CaseFile, on: Footing) -> bool:
    """Whether it may be counted from its start: nothing waits to be applied that would move it by that."""
    return on.whole or on.calendar is file.office.calendar


def _later(
    file: CaseFile, deadline: Deadline, pauses: list[dict[str, Any]], *, since: datetime, but_for: Letter
) -> list[tuple[datetime, Letter | int]]:
    """The pauses (where they stand) and the letters of extensions that changed it after `since`, in order."""
    found: list[tuple[datetime, Letter | int]] = [
        (at, n)
        for n, one in enumerate(pauses)
        if (at := datetime.fromisoformat(one["begins_at"])) > since and not is_void(one)
    ]
    found += [(one.sent_at, one) for one in _moves(file, deadline) if one is not but_for and one.sent_at > since]  # type: ignore[misc,operator]
    return sorted(found, key=lambda one: one[0])


def _moves(file: CaseFile, deadline: Deadline) -> Iterator[Letter]:
    """The letters that gave it more time."""
    letters = select(Letter).where(
        col(Letter.case_id) == file.id, col(Letter.sent_at).is_not(None), col(Letter.automatic).is_(False)
    )
    for letter in file.session.scalars(letters):
        word = effects.of(letter, effects.MORE_TIME)
        if word is None or not effects.has_begun(word) or "before" not in word:
            continue
        if file.named(word["of"]) == (deadline.kind, deadline.occurrence, deadline.pack):
            yield letter


def _pause_again(deadline: Deadline, now: _Counted, n: int, on: Footing, *, at: datetime) -> None:
    """It stood still then; a clock that had run out by now did not."""
    stop = now.pauses[n]
    if at > now.due.due_at:
        now.pauses[n] = {**stop, "ends_at": stop["begins_at"]}
        return
    now.pauses[n] = {**stop, **before_it(now.due)}
    now.due, _ = with_pauses(deadline, now.pauses[: n + 1], on if not now.moved else on.of_a_set_date())


def _move_again(
    file: CaseFile, deadline: Deadline, now: _Counted, letter: Letter, on: Footing, *, at: datetime
) -> None:
    """It was given more time then; a notice that left after the date that stands now was late."""
    word = effects.of(letter, effects.MORE_TIME) or {}
    found = rule_behind(file.office, deadline)
    try:
        if found is None or (at > now.due.due_at and not found[1].may_be_told_late):
            raise Refused("The notice left after the date that stands without the one before it")
        pack, rule = found
        due = extended(
            rule,
            now.due,
            deadline.starts_at,
            counting(pack, on.calendar),
            to=date.fromisoformat(word["to"]),
            reason=word["reason"],
            approver=word["approver"],
            out_of_hours=pack.out_of_hours_of(rule),
            times=now.moved,
            pauses=paused_times(one for one in now.pauses if datetime.fromisoformat(one["begins_at"]) < at),
        )
    except Refused as why:
        effects.take_back(letter, effects.MORE_TIME)
        file.record("extension-lapsed", **file.which(deadline), because=str(why).rstrip("."))
    else:
        effects.keep(letter, effects.MORE_TIME, before_it(now.due))
        now.due, now.moved = due, now.moved + 1
    file.session.add(letter)


def before_it(due: Due) -> dict[str, Any]:
    """When a deadline fell, as a pause and an extension keep it."""
    return {"before": due.due_date.isoformat(), "before_at": due.due_at.isoformat(), "why": list(due.derivation)}
