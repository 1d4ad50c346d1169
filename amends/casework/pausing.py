"""The verb `pause`: a clock that stands still while the complainant is asked, where its rule allows that.

It stands still when the letter that says so has left, and goes on by itself: with the complainant's answer, when the
longest pause that the rule allows is over, or on a handler's word (`handling.end_waiting`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from amends.cases.stages import Waiting
from amends.casework.actors import Actor, supervisors
from amends.casework.casefile import CaseFile
from amends.casework.extending import must_not_change_already, rule_of
from amends.casework.plans import is_paused, pauses_of
from amends.deadlines.clocks import counting
from amends.deadlines.compute import pause_ends
from amends.deadlines.model import Pack, Pause, Rule
from amends.kernel.errors import Refused
from amends.kernel.instants import iso
from amends.ledger.seals import words_seal
from amends.ledger.tables import Deadline, Letter

HORIZON: Final = timedelta(weeks=4)
"""How far ahead a pause without a longest one is planned; then it is planned anew."""


def grant(file: CaseFile, deadline: Deadline, *, reason: str, actor: Actor) -> datetime | None:
    """Check that the clock may be stopped, and put the word for it on the record.

    Returns when the pause is over at the latest if it begins now, or None where the rule names no number.  Raises
    Refused for what the rule does not allow, for somebody whose word it is not, and after the deadline has passed.
    """
    pack, rule = rule_of(file, deadline)
    pause = _allowed(rule)
    if not reason.strip():
        raise Refused("A pause needs a reason that stands on the record; write one.")
    if pause.by == "supervisor" and actor.role != "supervisor":
        them = ", ".join(supervisors(file.office.settings)) or "a supervisor"
        raise Refused(f"To stop the clock of '{deadline.kind}' is a supervisor's word ({pause.basis}); ask {them}.")
    must_not_change_already(file, deadline)
    until = _until(file, deadline, pack, pause, at=file.now)
    file.record("pause-granted", **file.which(deadline), approver=actor.login, digest=words_seal(file.row, reason))
    return until


def _allowed(rule: Rule) -> Pause:
    if rule.pause is None:
        raise Refused(f"'{rule.action}' cannot be paused: {rule.basis} lets nothing stop its clock.")
    return rule.pause


def _until(file: CaseFile, deadline: Deadline, pack: Pack, pause: Pause, *, at: datetime) -> datetime | None:
    if is_paused(deadline):
        since = pauses_of(deadline)[-1].begins_at
        raise Refused(f"The clock of '{deadline.kind}' stands still already, since {iso(since)}.")
    if at > deadline.due_at:
        raise Refused(f"'{deadline.kind}' has passed, and a clock that has run out cannot be stopped; answer it late.")
    return pause_ends(pause, at, counting(pack, file.office.calendar), before=pauses_of(deadline))


def granted(deadline: Deadline, *, reason: str, approver: str) -> dict[str, Any]:
    """What the letter to the complainant keeps of the pause that begins with it."""
    return {
        "of": [deadline.kind, deadline.occurrence, deadline.pack],
        "reason": reason,
        "approver": approver,
    }


def notice_left(file: CaseFile, letter: Letter, *, at: datetime) -> None:
    """The letter of a pause left at `at`: if that was in time the clock stands still; else it runs on, and why."""
    word = letter.facts.get("pauses")
    if word is None or word.get("begun"):
        return
    letter.facts = {**letter.facts, "pauses": {**word, "begun": True}}
    which = file.named(word["of"])
    deadline = next((one for one in file.unmet() if (one.kind, one.occurrence, one.pack) == which), None)
    if deadline is None:
        return
    try:
        pack, rule = rule_of(file, deadline)
        until = _until(file, deadline, pack, _allowed(rule), at=at)
    except Refused as late:
        file.record("pause-lapsed", **file.which(deadline), because=str(late).rstrip("."))
        return
    file.was_not_missed(deadline, at=at)
    file.begin_pause(
        deadline,
        {
            "begins_at": at.isoformat(),
            "ends_at": None,
            "until": (until or at + HORIZON).isoformat(),
            "limited": until is not None,
            "reason": word["reason"],
            "approver": word["approver"],
            "letter": letter.id,
            "zone": file.office.calendar.zone.key,
            "before": deadline.due_date,
            "before_at": deadline.due_at.isoformat(),
            "why": list(deadline.derivation),
        },
    )
    if file.row.waiting is None:
        file.row.waiting, file.row.waiting_reason = str(Waiting.COMPLAINANT), word["reason"]
        file.record("waiting", waiting=file.row.waiting, digest=words_seal(file.row, word["reason"]))


def notice_came_back(file: CaseFile, letter: Letter) -> None:
    """The letter of a pause came back: the complainant was never asked, and the clock never stood still."""
    if letter.facts.get("pauses") is None:
        return
    for deadline in file.unmet():
        if is_paused(deadline) and deadline.pauses[-1]["letter"] == letter.id:
            since = datetime.fromisoformat(deadline.pauses[-1]["begins_at"])
            file.end_pause(deadline, at=since, because="the letter that told of it came back")


def time_is_up(file: CaseFile, deadline: Deadline) -> None:
    """The planned end of a pause has come: the clock goes on since then, or is planned on where no rule ends it."""
    if not is_paused(deadline):
        return
    last = deadline.pauses[-1]
    until = datetime.fromisoformat(last["until"])
    if last["limited"]:
        file.end_pause(deadline, at=until, because="the longest pause that the rule allows is over")
        return
    while until <= file.now:
        until += HORIZON
    file.prolong_pause(deadline, until=until)
