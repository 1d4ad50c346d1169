"""The verb `pause`: a clock that stands still while the complainant is asked, where its rule allows that.

It stands still when the letter that says so has left, and goes on by itself: with the complainant's answer, when the
longest pause that the rule allows is over, or on a handler's word (`handling.end_waiting`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlmodel import col

from amends.cases.stages import Waiting
from amends.casework import effects
from amends.casework.actors import Actor, whom_to_ask
from amends.casework.casefile import CaseFile
from amends.casework.extending import rule_of
from amends.casework.plans import is_paused, pauses_of, stands_on
from amends.deadlines.clocks import counting
from amends.deadlines.compute import pause_ends
from amends.deadlines.model import Pack, Pause, Rule
from amends.kernel.errors import Refused
from amends.kernel.instants import iso
from amends.ledger.seals import words_seal
from amends.ledger.tables import Deadline, Letter, Message, Participant
from amends.mail.facts import Kind


def grant(file: CaseFile, deadline: Deadline, *, reason: str, actor: Actor) -> datetime:
    """Check that the clock may be stopped, and put the word for it on the record.

    Returns when the pause is over at the latest if it begins now.  Raises Refused for what the rule does not allow, for
    somebody whose word it is not, and after the deadline has passed.
    """
    pack, rule = rule_of(file, deadline)
    pause = _allowed(rule)
    if not reason.strip():
        raise Refused("A pause needs a reason that stands on the record; write one.")
    if pause.by == "supervisor" and actor.role != "supervisor":
        whom = whom_to_ask(file.office.settings)
        raise Refused(f"To stop the clock of '{deadline.kind}' is a supervisor's word ({pause.basis}); {whom}.")
    effects.must_not_change_already(file, deadline)
    until = _until(file, deadline, pack, pause, at=file.now)
    file.record("pause-granted", **file.which(deadline), approver=actor.login, digest=words_seal(file.row, reason))
    return until


def _allowed(rule: Rule) -> Pause:
    if rule.pause is None:
        raise Refused(f"'{rule.action}' cannot be paused: {rule.basis} lets nothing stop its clock.")
    return rule.pause


def _until(file: CaseFile, deadline: Deadline, pack: Pack, pause: Pause, *, at: datetime) -> datetime:
    if is_paused(deadline):
        since = pauses_of(deadline)[-1].begins_at
        raise Refused(f"The clock of '{deadline.kind}' stands still already, since {iso(since)}.")
    if at > deadline.due_at:
        raise Refused(f"'{deadline.kind}' has passed, and a clock that has run out cannot be stopped; answer it late.")
    calendar = stands_on(file.office, file.session, deadline).calendar
    return pause_ends(pause, at, counting(pack, calendar), before=pauses_of(deadline))


def granted(deadline: Deadline, *, reason: str, approver: str) -> dict[str, Any]:
    """What the letter to the complainant keeps of the pause that begins with it."""
    return {
        "of": [deadline.kind, deadline.occurrence, deadline.pack],
        "reason": reason,
        "approver": approver,
    }


def must_still_be_possible(file: CaseFile, letter: Letter, *, leaves_at: datetime) -> None:
    """Raises Refused for a letter that was called back if it would tell of a pause that cannot begin any more."""
    if (word := effects.of(letter, effects.PAUSE)) is None:
        return
    if (deadline := effects.deadline_of(file, word)) is None:
        raise Refused(f"It stops the clock of '{word['of'][0]}', which is owed no more; discard it.")
    effects.must_not_change_already(file, deadline)
    pack, rule = rule_of(file, deadline)
    _until(file, deadline, pack, _allowed(rule), at=leaves_at)


def notice_left(file: CaseFile, letter: Letter, *, at: datetime) -> None:
    """The letter of a pause left at `at`: if that was in time the clock stands still; else it runs on, and why.

    Where that is learned late and they have written meanwhile, it has gone on with what they wrote.
    """
    word = effects.begin(letter, effects.PAUSE)
    deadline = None if word is None else effects.deadline_of(file, word)
    if word is None or deadline is None:
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
            "until": until.isoformat(),
            "reason": word["reason"],
            "approver": word["approver"],
            "letter": letter.id,
            "zone": file.office.calendar.zone.key,
            "before": deadline.due_date,
            "before_at": deadline.due_at.isoformat(),
            "why": list(deadline.derivation),
        },
    )
    if (answered := wrote_since(file, at)) is not None:
        file.end_pause(deadline, at=answered, because="they had written before we knew that the letter had left")
    elif file.row.waiting is None:
        file.row.waiting, file.row.waiting_reason = str(Waiting.COMPLAINANT), word["reason"]
        file.record("waiting", waiting=file.row.waiting, digest=words_seal(file.row, word["reason"]))


def wrote_since(file: CaseFile, since: datetime, *, address: str | None = None) -> datetime | None:
    """When a person of the case (or the one with this address) first wrote after `since`, or None."""
    people = select(col(Participant.address)).where(
        col(Participant.case_id) == file.id, col(Participant.accepted).is_(True)
    )
    wrote = select(func.min(col(Message.at))).where(
        col(Message.case_id) == file.id,
        col(Message.direction) == "in",
        col(Message.kind) == str(Kind.PERSON),
        col(Message.from_address).in_(people) if address is None else col(Message.from_address) == address,
        col(Message.at) > since,
    )
    return file.session.connection().execute(wrote).scalar()


def wait_no_more(file: CaseFile, reason: str, *, because: str) -> None:
    """The case waits no more for what the letter of a pause asked, unless another clock stands still."""
    row, asked = file.row, (str(Waiting.COMPLAINANT), reason)
    if (row.waiting, row.waiting_reason) == asked and not any(map(is_paused, file.unmet())):
        file.record("resumed", waited=row.waiting, because=because)
        row.waiting = row.waiting_reason = None


def time_is_up(file: CaseFile, deadline: Deadline) -> None:
    """The latest end of a pause has come: the clock goes on since then."""
    if is_paused(deadline):
        until = datetime.fromisoformat(deadline.pauses[-1]["until"])
        file.end_pause(deadline, at=until, because="the longest pause that the rule allows is over")
