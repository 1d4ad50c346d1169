"""The verbs of the desk: assess, assign, note, wait, resume, investigate, close, reopen, read, accept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import Select, func, select, update
from sqlmodel import col

from amends.cases.outcomes import WITHOUT_FINDING, Assessment, Outcome
from amends.cases.stages import Stage, Waiting
from amends.casework import contents, course, pausing, promising, reviewing
from amends.casework.actors import Actor
from amends.casework.casefile import CaseFile
from amends.casework.kin import must_stand_alone
from amends.casework.office import Office
from amends.casework.plans import is_paused, pauses_of, planned_rows
from amends.deadlines.model import RECEIPT, name_of
from amends.kernel.errors import NotFound, Refused
from amends.kernel.text import storable
from amends.ledger.book import add
from amends.ledger.chain import digest, new_salt
from amends.ledger.columns import key
from amends.ledger.seals import address_seal, finding_seal, words_seal
from amends.ledger.tables import PROMISED, Case, Event, Letter, Message, Note, Participant
from amends.letters.kinds import LetterKind
from amends.mail.facts import Kind

_AT_ONCE: Final = 500  # values in one IN list


@contextmanager
def _case(office: Office, case_id: int, *, actor: Actor, now: datetime) -> Iterator[CaseFile]:
    """One verb: the role is checked, the case locked, and everything saved in one transaction, or nothing."""
    actor.may_write()
    with office.book.write() as session:
        file = CaseFile.open(office, session, case_id, actor=actor, now=now)
        yield file
        file.save()


def _words(text: str, what: str) -> str:
    text = storable(text).strip()
    if not text:
        raise Refused(f"{what} is empty; write a few words.")
    return text


def _must_be_open(file: CaseFile, verb: str) -> None:
    if not file.row.is_open:
        raise Refused(f"{file.row.reference} is closed; reopen it before you {verb} it.")


def assess(office: Office, case_id: int, assessment: Assessment, *, actor: Actor, now: datetime) -> None:
    """Record the initial assessment (ISO 10002:2018, 7.5); a later one replaces it, and both are in the ledger."""
    with _case(office, case_id, actor=actor, now=now) as file:
        _must_be_open(file, "assess")
        row = file.row
        row.severity = str(assessment.severity)
        row.complexity, row.impact = storable(assessment.complexity), storable(assessment.impact)
        row.immediate_action, row.vulnerable = assessment.immediate_action, assessment.vulnerable
        file.record(
            "assessed",
            severity=row.severity,
            immediate_action=row.immediate_action,
            vulnerable=row.vulnerable,
            digest=words_seal(row, row.complexity, row.impact),
        )
        if Stage(row.stage) in (Stage.RECEIVED, Stage.ACKNOWLEDGED):
            file.to_stage(Stage.ASSESSED)
        file.touch()


def investigate(office: Office, case_id: int, *, actor: Actor, now: datetime) -> None:
    """The investigation has begun (ISO 10002:2018, 7.6)."""
    with _case(office, case_id, actor=actor, now=now) as file:
        _must_be_open(file, "investigate")
        if Stage(file.row.stage) is Stage.RESPONDED:
            raise Refused(f"{file.row.reference} has been answered; reopen it to investigate again.")
        file.to_stage(Stage.INVESTIGATING)


def assign(
    office: Office, case_id: int, handler: str | None, *, override: str = "", actor: Actor, now: datetime
) -> None:
    """Give the case to a handler, or to nobody.

    Raises Refused for a login that the configuration does not list, and for one who was involved before a stage that
    is for somebody else.  `override`: why they may decide it all the same, a supervisor's word; it is kept as a note.
    """
    actor.may_write()
    known = {person.login: person.role for person in office.settings.handler}
    if handler is not None and known and known.get(handler) in (None, "auditor"):
        people = ", ".join(login for login, role in known.items() if role != "auditor")
        raise Refused(f"'{handler}' cannot have cases; choose one of {people}.")
    with _case(office, case_id, actor=actor, now=now) as file:
        if handler is not None:
            _must_be_free(file, handler, override)
        if file.row.handler == handler:
            return
        file.record("assigned", before=file.row.handler, after=handler)
        file.row.handler = handler
        file.touch()


def _must_be_free(file: CaseFile, login: str, override: str) -> None:
    stages = course.stages_of(file)
    if override:
        reason = _words(override, "The reason for the override")
        reviewing.allow(file, login, reason, stages, actor=file.actor)
        _add_note(file, f"{login} may decide this although involved before: {reason}")
    else:
        reviewing.must_be_free(file, login, stages)


def note(office: Office, case_id: int, text: str, *, actor: Actor, now: datetime) -> int:
    """Add a staff note; it is never quoted in a letter.  Returns its id."""
    text = _words(text, "The note")
    with _case(office, case_id, actor=actor, now=now) as file:
        return _add_note(file, text)


def _add_note(file: CaseFile, text: str) -> int:
    salt = new_salt()
    row = {"case_id": file.id, "at": file.now, "author": file.actor.login, "text": text, "salt": salt}
    note_id = add(file.session, Note, row)
    file.record("note", note=note_id, digest=digest(salt, text))
    return note_id


def wait(office: Office, case_id: int, waiting: Waiting, reason: str, *, actor: Actor, now: datetime) -> None:
    """Say for whom the case waits and why; it stops no clock (`moretime.pause` does)."""
    reason = _words(reason, "The reason for waiting")
    with _case(office, case_id, actor=actor, now=now) as file:
        _must_be_open(file, "set waiting on")
        file.row.waiting, file.row.waiting_reason = str(waiting), reason
        file.record("waiting", waiting=str(waiting), digest=words_seal(file.row, reason))


def resume(office: Office, case_id: int, *, actor: Actor, now: datetime) -> None:
    """The case waits no longer, and clocks that stood still go on."""
    with _case(office, case_id, actor=actor, now=now) as file:
        end_waiting(file, because="by hand")


def end_waiting(file: CaseFile, *, because: str, at: datetime | None = None) -> None:
    """What an answer of the complainant that came at `at` does by itself; clocks that stood still go on since then."""
    if file.row.waiting is not None:  # which a case is as long as a clock of it stands still
        file.record("resumed", waited=file.row.waiting, because=because)
        file.row.waiting = file.row.waiting_reason = None
        for deadline in file.unmet():
            file.end_pause(deadline, at=at or file.now, because=because)


def keep_promise(
    office: Office,
    case_id: int,
    number: int | None = None,
    *,
    at: datetime | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Say that a promise was kept by another way than a letter: the earliest, or the one of this number.

    Raises Refused where none runs, and for an instant that is to come or before the promise.
    """
    if at is not None and at > now:
        raise Refused("That instant is yet to come; say that it was kept when it was.")
    with _case(office, case_id, actor=actor, now=now) as file:
        must_stand_alone(file, "keep a promise on")
        promising.keep(file, occurrence=number, at=at or now)
        file.touch()


def waits_since(file: CaseFile, instant: datetime) -> bool:
    """Whether the case waits since a later instant: what was here by then is no answer to what was asked."""
    asked_at = _asked_at(file)
    return asked_at is not None and instant < asked_at


def _asked_at(file: CaseFile) -> datetime | None:
    """Since when the case waits, or None; while a clock stands still, since the letter that asked had left."""
    if file.row.waiting is None:
        return None
    if asked := [pauses_of(one)[-1].begins_at for one in file.unmet() if is_paused(one)]:
        return max(asked)
    return file.session.connection().execute(_last_waiting(file)).scalar()


def _last_waiting(file: CaseFile) -> Select[datetime]:
    return select(func.max(col(Event.at))).where(col(Event.case_id) == file.id, col(Event.kind) == "waiting")


def close(
    office: Office,
    case_id: int,
    *,
    outcome: Outcome | None = None,
    reason: str = "",
    root_cause: str | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """End the case (ISO 10002:2018, 7.9).

    A case that was answered keeps the outcome its final response gave.  One that was not can only be withdrawn or
    out of scope, with a reason, which is kept as a note.  Raises Refused and names what is missing.
    """
    with _case(office, case_id, actor=actor, now=now) as file:
        row = file.row
        if not row.is_open:
            raise Refused(f"{row.reference} is closed already.")
        leaving = letter_on_its_way(file)
        if leaving:
            raise Refused(f"{row.reference} has a letter on its way ({leaving}); close it when the letter has left.")
        if Stage(row.stage) is not Stage.RESPONDED:
            if outcome not in WITHOUT_FINDING:
                raise Refused(
                    f"{row.reference} has had no final response; send one first, "
                    "or close it as withdrawn or out of scope with a reason."
                )
            reason = _words(reason, "The reason for closing without a final response")
            row.outcome = str(outcome)
            _add_note(file, f"Closed as {outcome}: {reason}")
        elif missing := contents.lacking(file):
            raise Refused(f"{row.reference} cannot be closed yet; it lacks: {'; '.join(missing)}.")
        if root_cause is not None:
            row.root_cause = storable(root_cause).strip() or None
        row.waiting = row.waiting_reason = None
        row.closed_at = now
        row.escalated = False
        course.at_moment(file, "closed", at=now)
        file.cancel_deadlines(because="closed")
        file.record("closed", outcome=row.outcome, digest=finding_seal(row))
        file.to_stage(Stage.CLOSED)
        file.touch()


def letter_on_its_way(file: CaseFile) -> str | None:
    """The kind of a handler's letter that is queued or leaving, or None."""
    statement = select(col(Letter.kind)).where(
        col(Letter.case_id) == file.id,
        col(Letter.state).in_(("queued", "sending", "approval")),
        col(Letter.automatic).is_(False),
    )
    return file.session.connection().execute(statement.limit(1)).scalar()


def reopen(office: Office, case_id: int, reason: str, *, actor: Actor, now: datetime) -> None:
    """Take up an answered or closed case again, as a review; its deadlines start anew from now.

    Where the pack has a second stage, those of that stage start instead.

    The reason is kept as a note, and what was breached stays on the record.
    Raises Refused for a case that is neither answered nor closed.
    """
    with _case(office, case_id, actor=actor, now=now) as file:
        take_up_again(file, reason)


def take_up_again(file: CaseFile, reason: str) -> None:
    """What `reopen` does, inside another verb; the caller saves the file."""
    reason = _words(reason, "The reason for reopening")
    row = file.row
    must_stand_alone(file, "reopen")
    if Stage(row.stage) not in (Stage.RESPONDED, Stage.CLOSED):
        raise Refused(f"{row.reference} is open; there is nothing to reopen.")
    if letter_on_its_way(file) == LetterKind.FINAL_RESPONSE:
        raise Refused(f"The final response of {row.reference} has not left yet; call it back instead.")
    _add_note(file, f"Reopened: {reason}")
    file.cancel_deadlines(because="reopened", only=lambda deadline: deadline.pack != PROMISED)
    packs = file.office.packs_of(row)
    anew = [pack for pack in packs if not any(rule.starts in pack.events_at("review-asked") for rule in pack.deadline)]
    for pack in anew:
        row.happened = {**row.happened, pack.id: {**row.happened.get(pack.id, {}), RECEIPT: file.now.isoformat()}}
    file.record(
        "reopened", outcome_before=row.outcome, anew=[pack.id for pack in anew], taken_up_at=file.now.isoformat()
    )
    row.outcome = row.remedy = row.remedy_amount = row.remedy_currency = None
    row.responded_at = row.closed_at = None
    file.to_stage(Stage.INVESTIGATING)
    file.start_deadlines(
        planned_rows(
            file.office, anew, at=file.now, session=file.session, case_id=file.id, facts=row.facts, review=True
        )
    )
    course.at_moment(file, "review-asked", at=file.now)
    file.touch()


def set_fact(office: Office, case_id: int, name: str, value: str, *, actor: Actor, now: datetime) -> None:
    """Say what is so on a case ("product is loan"): it switches deadlines of its packs on and off.

    Raises Refused for what no pack of the case asks, and for an answer that is none of its.
    """
    name, value = name_of(name), value.strip().lower()
    with _case(office, case_id, actor=actor, now=now) as file:
        _must_be_open(file, "say more of")
        known = course.all_facts(office.packs_of(file.row))
        if name not in known:
            raise Refused(f"No policy pack of {file.row.reference} asks for that; it may be {_any_of(known)}.")
        if value not in known[name]:
            raise Refused(f"That is no answer to '{name}'; it may be {_any_of(known[name])}.")
        if file.row.facts.get(name) != value:
            course.know(file, name, value, because=f"{name.replace('_', ' ')} is {value}")
            file.touch()


def record_event(
    office: Office, case_id: int, name: str, *, at: datetime | None = None, actor: Actor, now: datetime
) -> None:
    """Say that something happened to a case, at an instant or now: it starts and meets deadlines of its packs.

    A letter of a pack may be named as well, one that left by another way than this product's mail.  Raises Refused for
    what no pack of the case knows, for an instant that is to come, and for one before the receipt.
    """
    name, at = name_of(name), at or now
    with _case(office, case_id, actor=actor, now=now) as file:
        _must_be_open(file, "record more on")
        packs = office.packs_of(file.row)
        known = course.all_events(packs)
        if name not in known:
            raise Refused(f"No policy pack of {file.row.reference} knows that; it may be {_any_of(known)}.")
        if at > now:
            raise Refused("That instant is yet to come; record what happened when it has happened.")
        if at < file.row.received_at:
            raise Refused(f"{file.row.reference} had not been received then; check the day.")
        for pack in packs:
            letter = next((one for one in pack.letter if one.id == name), None)
            if letter is not None:
                file.meet("", at=at, letters={pack.id: letter})  # of no kind: what it is for the other packs, they say
                course.letter_left(file, {pack.id: letter}, at=at)
                if letter.kind == str(LetterKind.ACKNOWLEDGEMENT) and file.row.acknowledged_at is None:
                    file.row.acknowledged_at = at
            elif name in {event.id for event in pack.event} | set(pack.triggers):
                course.happen(file, pack, [name], at=at)
        file.record("event-recorded", event=name, happened_at=at.isoformat())
        file.touch()


def _any_of(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing: they ask for none"


def mark_read(office: Office, case_id: int, *, shown: Iterable[int] | None = None, actor: Actor, now: datetime) -> None:
    """The handler has seen what came in; nothing else about the case changes.

    `shown` are the ids of the messages that were before the handler: what came since stays unread.  None means all.
    """
    if actor.role == "auditor":
        return
    unread = (col(Message.case_id) == case_id, col(Message.direction) == "in", col(Message.read_at).is_(None))
    with office.book.write() as session:
        connection = session.connection()
        # The row first, as everybody does who brings a message: then nobody counts while we do.
        connection.execute(select(col(Case.id)).where(col(Case.id) == case_id).with_for_update())
        found = connection.execute(select(key(Message.id), col(Message.kind)).where(*unread)).all()
        seen = {row.id for row in found} if shown is None else {row.id for row in found}.intersection(shown)
        ids = sorted(seen)
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            connection.execute(update(Message).where(col(Message.id).in_(some)).values(read_at=now))
        left = 0 if shown is None else sum(row.kind == Kind.PERSON for row in found if row.id not in seen)
        connection.execute(update(Case).where(col(Case.id) == case_id).values(unread=left))


def accept(office: Office, case_id: int, address: str, *, actor: Actor, now: datetime) -> None:
    """A third party becomes a participant: from now on what they write joins the case as theirs.  Raises NotFound."""
    with _case(office, case_id, actor=actor, now=now) as file:
        person = file.session.get(Participant, (case_id, storable(address)))
        if person is None:
            raise NotFound(f"{address} has not written on {file.row.reference}.")
        person.accepted = True
        file.session.add(person)
        file.record("participant-accepted", digest=address_seal(file.row, address))
        if (wrote_at := _wrote_while_waiting(file, address)) is not None:
            end_waiting(file, because="somebody wrote who belongs to the case now", at=wrote_at)
        file.touch()


def _wrote_while_waiting(file: CaseFile, address: str) -> datetime | None:
    """When somebody first wrote since the case waits, or None."""
    asked_at = _asked_at(file)
    return None if asked_at is None else pausing.wrote_since(file, asked_at, address=storable(address))
