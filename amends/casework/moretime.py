"""More time: the verbs `extend` and `pause`, each with the letter that tells the complainant of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from amends.casework import contents, effects, extending, pausing
from amends.casework.actors import Actor
from amends.casework.casefile import CaseFile
from amends.casework.correspondence import add_draft, put_on_its_way, when_it_leaves
from amends.casework.kin import must_stand_alone
from amends.casework.office import Office
from amends.casework.writing import facts_of
from amends.deadlines.compute import Due
from amends.deadlines.model import Pack, RequiredLetter
from amends.kernel.errors import Refused
from amends.kernel.text import storable
from amends.ledger.tables import Deadline, Letter
from amends.letters.kinds import LetterKind


@dataclass(frozen=True, slots=True)
class Preview:
    """What a verb with a letter would do: the instants before and after, why, and the letter; "" where none is wanted.

    The instants are those of an extension's dates; of a pause `after` is its latest end.
    """

    before: datetime
    after: datetime
    derivation: tuple[str, ...]
    subject: str = ""
    body: str = ""


def extend(
    office: Office,
    case_id: int,
    kind: str,
    to: date,
    reason: str,
    *,
    pack: str = "",
    actor: Actor,
    now: datetime,
) -> datetime | None:
    """Give a deadline more time, to the end of the day `to`, for a reason that the complainant is told.

    Where the rule wants a notice, it is written and put on its way; the deadline moves when it has left before the old
    date, and can be called back until then.  Returns when it leaves, or None where none is wanted: then the deadline
    has moved.  `pack` says whose, where several have one of this kind.  Raises Refused for what the rule forbids.
    """
    actor.may_write()
    reason = storable(reason).strip()
    with office.book.write() as session:
        file = CaseFile.open(office, session, case_id, actor=actor, now=now)
        deadline, found, rules, wanted = _granted(file, kind, pack, to, reason)
        leaves_at = None
        if wanted is not None:
            leaves_at = _give_notice(file, wanted, rules, deadline, found, reason)
        else:
            extending.move(file, deadline, to=to, reason=reason, approver=actor.login, because="granted")
        file.save()
        return leaves_at


def _granted(
    file: CaseFile, kind: str, pack: str, to: date, reason: str
) -> tuple[Deadline, Due, Pack, RequiredLetter | None]:
    """The deadline, its new date, its pack and the notice that its rule wants.  Raises Refused."""
    must_stand_alone(file, "give more time to")
    if not file.row.is_open:
        raise Refused(f"{file.row.reference} is closed; reopen it before you give it more time.")
    deadline = extending.running(file, kind, pack)
    found = extending.grant(file, deadline, to=to, reason=reason, actor=file.actor)
    rules, rule = extending.rule_of(file, deadline)
    wanted = rule.extension.notice_letter if rule.extension is not None else ""
    return deadline, found, rules, rules.letter_of(wanted) if wanted else None


def _give_notice(
    file: CaseFile, wanted: RequiredLetter, pack: Pack, deadline: Deadline, found: Due, reason: str
) -> datetime:
    """The letter that tells of the new date, on its way.  Raises Refused where it would leave too late."""
    subject, body = _notice(file, wanted, pack, found, reason)
    word = extending.granted(file, deadline, to=found.due_date, reason=reason, approver=file.actor.login)
    letter_id = add_draft(file, LetterKind.HOLDING, subject, body, {"counts_as": wanted.id, effects.MORE_TIME: word})
    letter = file.session.get_one(Letter, letter_id)
    leaves_at = put_on_its_way(file, letter, None, anyway=True)
    extending.must_be_in_time(file, deadline, at=leaves_at)
    file.session.add(letter)
    return leaves_at


def _notice(file: CaseFile, wanted: RequiredLetter, pack: Pack, found: Due, reason: str) -> tuple[str, str]:
    """Subject and words of the letter that tells of the new date."""
    facts = facts_of(
        file.office,
        file.row,
        (),
        handler=file.actor.name or file.actor.login,
        written_at=file.now,
        reasons=reason,
        response_due=found.due_at,
        external_review=contents.way_to_name(
            file.office.settings.organisation.external_review, [pack], {pack.id: wanted}
        ),
    )
    return file.office.templates.opening(LetterKind.HOLDING, facts, known=("reasons",))


def preview_extension(
    office: Office, case_id: int, kind: str, to: date, reason: str, *, pack: str = "", actor: Actor, now: datetime
) -> Preview:
    """What `extend` with the same words would do, and the letter that would tell of it; nothing is written.

    Raises what `extend` raises for what the rule forbids.
    """
    actor.may_write()
    reason = storable(reason).strip()
    with office.book.read() as session:
        file = CaseFile.look(office, session, case_id, actor=actor, now=now)
        deadline, found, rules, wanted = _granted(file, kind, pack, to, reason)
        if wanted is None:
            return Preview(deadline.due_at, found.due_at, found.derivation)
        extending.must_be_in_time(file, deadline, at=when_it_leaves(file))
        subject, body = _notice(file, wanted, rules, found, reason)
        return Preview(deadline.due_at, found.due_at, found.derivation, subject, body)


def pause(
    office: Office,
    case_id: int,
    kind: str,
    reason: str,
    *,
    text: str = "",
    pack: str = "",
    actor: Actor,
    now: datetime,
) -> datetime:
    """Let the clock of a deadline stand still until the complainant answers, where its rule allows that.

    `reason` stands on the record; `text` asks the complainant for what is missing (else the reason does).  The letter
    is put on its way by this, and can be called back; the clock stands still when it has left.  Returns when it
    leaves.  `pack` says whose, where several have a deadline of this kind.  Raises Refused for what the rule forbids.
    """
    actor.may_write()
    reason = storable(reason).strip()
    with office.book.write() as session:
        file = CaseFile.open(office, session, case_id, actor=actor, now=now)
        deadline, until = _stopped(file, kind, pack, reason)
        subject, body, counts_as = _pause_notice(file, deadline, storable(text).strip() or reason, until)
        word = pausing.granted(deadline, reason=reason, approver=actor.login)
        facts = {effects.PAUSE: word} | ({"counts_as": counts_as} if counts_as else {})
        letter = session.get_one(Letter, add_draft(file, LetterKind.PAUSE, subject, body, facts))
        leaves_at = put_on_its_way(file, letter, None, anyway=True)
        _must_leave_before(deadline, leaves_at)
        session.add(letter)
        file.save()
        return leaves_at


def _stopped(file: CaseFile, kind: str, pack: str, reason: str) -> tuple[Deadline, datetime]:
    """The deadline, and when its pause would be over at the latest.  Raises Refused."""
    must_stand_alone(file, "stop a clock of")
    if not file.row.is_open:
        raise Refused(f"{file.row.reference} is closed, and no clock of it runs; reopen it first.")
    deadline = extending.running(file, kind, pack)
    return deadline, pausing.grant(file, deadline, reason=reason, actor=file.actor)


def _must_leave_before(deadline: Deadline, leaves_at: datetime) -> None:
    if leaves_at > deadline.due_at:
        raise Refused(f"The letter could not leave before '{deadline.kind}' falls due; it is too late for a pause.")


def preview_pause(
    office: Office, case_id: int, kind: str, reason: str, *, text: str = "", pack: str = "", actor: Actor, now: datetime
) -> Preview:
    """What `pause` with the same words would do, and the letter that would tell of it; nothing is written.

    `after` is when the pause is over at the latest if it began now.  Raises what `pause` raises for what the rule
    forbids.
    """
    actor.may_write()
    reason = storable(reason).strip()
    with office.book.read() as session:
        file = CaseFile.look(office, session, case_id, actor=actor, now=now)
        deadline, until = _stopped(file, kind, pack, reason)
        _must_leave_before(deadline, when_it_leaves(file))
        subject, body, _ = _pause_notice(file, deadline, storable(text).strip() or reason, until)
        return Preview(deadline.due_at, until, tuple(deadline.derivation), subject, body)


def _pause_notice(file: CaseFile, deadline: Deadline, words: str, until: datetime) -> tuple[str, str, str]:
    """Subject, words, and which letter of the pack it is ("" for none), of the letter that tells of a pause."""
    rules, rule = extending.rule_of(file, deadline)
    wanted = rule.pause.notice_letter if rule.pause is not None else ""
    facts = facts_of(
        file.office,
        file.row,
        (),
        handler=file.actor.name or file.actor.login,
        written_at=file.now,
        reasons=words,
        update_due=until,
        external_review=contents.way_to_name(
            file.office.settings.organisation.external_review,
            [rules],
            {rules.id: rules.letter_of(wanted)} if wanted else {},
        ),
    )
    subject, body = file.office.templates.opening(LetterKind.PAUSE, facts, known=("reasons",))
    return subject, body, wanted
