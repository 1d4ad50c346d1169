"""The verb `extend`: more time for a deadline, where its rule allows it and the complainant is told in time."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from amends.casework import effects
from amends.casework.actors import Actor, whom_to_ask
from amends.casework.casefile import CaseFile
from amends.casework.plans import is_paused, pauses_of, rule_behind
from amends.deadlines.clocks import counting, ticks_of
from amends.deadlines.compute import Due, extended
from amends.deadlines.model import Pack, Rule
from amends.kernel.errors import Refused
from amends.kernel.instants import iso
from amends.kernel.text import clean
from amends.ledger.seals import words_seal
from amends.ledger.tables import PROMISED, Deadline, Letter


def running(file: CaseFile, kind: str, pack_id: str = "") -> Deadline:
    """The deadline of this kind that is owed next.  Raises Refused with those that there are."""
    owed = file.unmet()
    for deadline in owed:
        if deadline.kind == kind and (not pack_id or deadline.pack == pack_id):
            return deadline
    names = ", ".join(dict.fromkeys(deadline.kind for deadline in owed)) or "none"
    raise Refused(f"No deadline '{clean(kind, limit=60).text}' runs on {file.row.reference}; there is {names}.")


def rule_of(file: CaseFile, deadline: Deadline) -> tuple[Pack, Rule]:
    """Its pack and rule.  Raises Refused where the pack is gone or knows it no longer."""
    if deadline.pack == PROMISED:
        raise Refused("A promise rests on no rule that could change it; write to the complainant, and promise anew.")
    found = rule_behind(file.office, deadline)
    if found is None:
        raise Refused(f"The rule behind '{deadline.kind}' is in no policy pack any more; it is owed as it stands.")
    return found


def grant(file: CaseFile, deadline: Deadline, *, to: date, reason: str, actor: Actor) -> Due:
    """Check that the deadline may be moved to the end of that day, and put the word for it on the record.

    Raises Refused for what the rule does not allow, for somebody whose word it is not, and after the old date.
    """
    pack, rule = rule_of(file, deadline)
    found = _moved(file, deadline, pack, rule, to=to, reason=reason, approver=actor.login)
    effects.must_not_change_already(file, deadline)
    extension = rule.extension
    if extension is not None and extension.by == "supervisor" and actor.role != "supervisor":
        whom = whom_to_ask(file.office.settings)
        raise Refused(f"More time for '{deadline.kind}' is a supervisor's word ({rule.basis}); {whom}.")
    if extension is not None and extension.notice_by != "none" and file.now > deadline.due_at:
        raise Refused(f"'{deadline.kind}' has passed, and more time must be announced before; answer it late.")
    file.record(
        "extension-granted",
        **file.which(deadline),
        to=to.isoformat(),
        approver=actor.login,
        digest=words_seal(file.row, reason),
    )
    return found


def _moved(file: CaseFile, deadline: Deadline, pack: Pack, rule: Rule, *, to: date, reason: str, approver: str) -> Due:
    if is_paused(deadline):
        raise Refused(f"The clock of '{deadline.kind}' stands still and has no date to be moved; resume it first.")
    return extended(
        rule,
        Due(deadline.due_at, date.fromisoformat(deadline.due_date), tuple(deadline.derivation)),
        deadline.starts_at,
        counting(pack, file.office.calendar),
        to=to,
        reason=reason,
        approver=approver,
        out_of_hours=pack.out_of_hours_of(rule),
        times=deadline.moved,
        pauses=pauses_of(deadline),
    )


def move(
    file: CaseFile,
    deadline: Deadline,
    *,
    to: date,
    reason: str,
    approver: str,
    because: str,
    told_at: datetime | None = None,
) -> None:
    """The deadline falls at the end of that day from now on; `told_at` is when the notice of it left.

    Raises Refused for what the rule does not allow.
    """
    pack, rule = rule_of(file, deadline)
    found = _moved(file, deadline, pack, rule, to=to, reason=reason, approver=approver)
    if told_at is not None:
        file.was_not_missed(deadline, at=told_at)
    ticks = list(ticks_of(pack, rule, found.due_at, found.due_date, file.office.calendar))
    file.move(deadline, found, ticks, because=because, by=approver)


def granted(file: CaseFile, deadline: Deadline, *, to: date, reason: str, approver: str) -> dict[str, Any]:
    """What the notice to the complainant keeps of the extension that begins with it."""
    return {
        "of": [deadline.kind, deadline.occurrence, deadline.pack],
        "to": to.isoformat(),
        "reason": reason,
        "approver": approver,
    }


def must_still_be_possible(file: CaseFile, letter: Letter, *, leaves_at: datetime) -> None:
    """Raises Refused for a notice that was called back if it would tell of more time that cannot be given any more."""
    if (word := effects.of(letter, effects.MORE_TIME)) is None:
        return
    if (deadline := effects.deadline_of(file, word)) is None:
        raise Refused(f"It gives more time to '{word['of'][0]}', which is owed no more; discard it.")
    effects.must_not_change_already(file, deadline)
    must_be_in_time(file, deadline, at=leaves_at)
    pack, rule = rule_of(file, deadline)
    to, reason, approver = date.fromisoformat(word["to"]), word["reason"], word["approver"]
    _moved(file, deadline, pack, rule, to=to, reason=reason, approver=approver)


def must_be_in_time(file: CaseFile, deadline: Deadline, *, at: datetime) -> None:
    """Raises Refused where they must be told before the old date, and a notice that leaves at `at` would be late."""
    _, rule = rule_of(file, deadline)
    if at > deadline.due_at and not rule.may_be_told_late:
        due = iso(deadline.due_at)
        raise Refused(f"The old date of '{deadline.kind}', {due}, comes before the notice; it is too late for it.")


def notice_left(file: CaseFile, letter: Letter, *, at: datetime) -> None:
    """The notice of an extension left at `at`: if that was in time, the deadline moves; else it stands, and why."""
    word = effects.begin(letter, effects.MORE_TIME)
    deadline = None if word is None else effects.deadline_of(file, word)
    if word is None or deadline is None:
        return
    before = {"before": deadline.due_date, "before_at": deadline.due_at.isoformat(), "why": list(deadline.derivation)}
    try:
        must_be_in_time(file, deadline, at=at)
        move(
            file,
            deadline,
            to=date.fromisoformat(word["to"]),
            reason=word["reason"],
            approver=word["approver"],
            because="the notice was sent",
            told_at=at,
        )
        effects.keep(letter, effects.MORE_TIME, before)
    except Refused as late:
        file.record("extension-lapsed", **file.which(deadline), because=str(late).rstrip("."))
