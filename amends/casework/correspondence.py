"""The verbs of letter-writing: draft, save, check, send, respond, call back, acknowledge."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import Session, col

from amends.cases.outcomes import WITHOUT_FINDING, Outcome, Remedy
from amends.cases.stages import Stage
from amends.casework import contents, course, effects, extending, gate, pausing, promising, reviewing
from amends.casework.actors import Actor
from amends.casework.casefile import CaseFile
from amends.casework.kin import must_stand_alone
from amends.casework.office import Office
from amends.casework.plans import begins_at, following_row
from amends.casework.promising import Promise
from amends.casework.writing import enqueue, facts_of, queue_automatic, thread_of
from amends.deadlines.clocks import meets
from amends.deadlines.words import a_day
from amends.kernel.errors import Conflict, NotFound, Refused
from amends.kernel.text import one_line, storable
from amends.ledger.book import add
from amends.ledger.seals import finding_seal
from amends.ledger.tables import Case, Deadline, Letter
from amends.letters.address import sendable
from amends.letters.kinds import LetterKind

GAP: Final = re.compile(r"\[\[(.+?)\]\]", re.DOTALL)
TWICE: Final = timedelta(hours=24)

BY_HAND: Final = (LetterKind.REPLY, LetterKind.PROGRESS_UPDATE, LetterKind.HOLDING, LetterKind.FINAL_RESPONSE)
"""The letters a handler writes."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a final response says: the outcome, what puts it right, and why it happened."""

    outcome: Outcome
    remedy: Remedy | None = None
    root_cause: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at before a letter may leave: `ok`, or not, and then whether it stops the letter.

    `wanted_by` names the policy pack that wants it said; "" for what this product looks at by itself.
    """

    ok: bool
    blocking: bool
    text: str
    wanted_by: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """What a writer says from the start; None leaves the gap in the draft, an empty string leaves the paragraph out."""

    message: str | None = None
    outcome: str | None = None
    reasons: str | None = None
    remedy: str | None = None
    next_steps: str | None = None

    def facts(self) -> dict[str, str]:
        names = ("outcome", "reasons", "remedy", "next_steps")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def draft(
    office: Office,
    case_id: int,
    kind: LetterKind,
    *,
    words: Words | None = None,
    counts_as: str = "",
    promise: Promise | None = None,
    actor: Actor,
    now: datetime,
) -> int:
    """A draft of this kind in this handler's hand: the one already begun, or a new one filled from its template.

    `counts_as` is the letter of a policy pack, by its id, that it is: it meets what that one meets.  Raises Refused for
    one that no pack of the case has, and if there are `words` for it and one was begun: nothing that somebody wrote is
    written over.

    `promise` becomes a clock when the letter has left; the template says it where the words do not name its day.
    """
    actor.may_write()
    if promise is not None:
        promising.must_be_possible(promise, today=office.calendar.day_of(now))
    if kind not in BY_HAND:
        raise Refused(f"A handler does not write the letter '{kind}'; choose one of {', '.join(BY_HAND)}.")
    with office.book.write() as session:
        file = CaseFile.open(office, session, case_id, actor=actor, now=now)
        must_stand_alone(file, "write on")
        if counts_as:
            _must_be_of_a_pack(file, counts_as, kind)
        if kind is LetterKind.FINAL_RESPONSE:
            reviewing.must_be_free(file, actor.login, course.stages_of(file))
        begun = select(Letter).where(
            col(Letter.case_id) == case_id,
            col(Letter.kind) == str(kind),
            col(Letter.state) == "draft",
            col(Letter.author) == actor.login,
        )
        same = (one for one in session.scalars(begun) if one.facts.get("counts_as", "") == counts_as)
        if (before := next(same, None)) is not None and before.id is not None:
            if words is not None or promise is not None:
                raise Refused(
                    f"You have begun a letter of this kind on {file.row.reference} (letter {before.id}); "
                    "finish it and send it, or discard it."
                )
            return before.id
        given = (words or Words()).facts()
        owed = [deadline for deadline in file.unmet() if not _met_by_this(session, deadline, kind, now)]
        letters = course.letters_of(office, file.row, kind, automatic=False, counts_as=counts_as)
        way_out = contents.way_to_name(office.settings.organisation.external_review, office.packs_of(file.row), letters)
        facts = facts_of(
            office,
            file.row,
            owed,
            handler=actor.name or actor.login,
            written_at=now,
            external_review=way_out,
            **given,
        )
        if facts.update_due is None:
            facts = replace(facts, update_due=_next_word(office, session, file.unmet(), kind))
        message = None if words is None else words.message
        if promise is not None and not _names(file.row, office, f"{message}\n{' '.join(given.values())}", promise.day):
            facts = replace(facts, promised=office.calendar.end_of(promise.day), promise=promise.as_facts()["what"])
        subject, body = office.templates.opening(kind, facts, message=message, known=given)
        kept = {"counts_as": counts_as} if counts_as else {}
        return add_draft(
            file, kind, subject, body, kept | ({effects.PROMISE: promise.as_facts()} if promise is not None else {})
        )


def _names(row: Case, office: Office, text: str, day: date) -> bool:
    return promising.names_day(text, day, language=row.language, region=office.settings.organisation.region)


def promise(office: Office, letter_id: int, promise: Promise | None, *, actor: Actor, now: datetime) -> None:
    """Let a draft promise something by a day, or nothing (None); its words must name the day before it leaves.

    It becomes a clock when the letter has left.  Raises Refused for a day that has passed, and for what is no draft.
    """
    if promise is not None:
        promising.must_be_possible(promise, today=office.calendar.day_of(now))
    with letter_file(office, letter_id, actor=actor, now=now) as (_, letter):
        _must_be_draft(letter)
        others = {name: value for name, value in letter.facts.items() if name != effects.PROMISE}
        letter.facts = others if promise is None else {**others, effects.PROMISE: promise.as_facts()}


def add_draft(file: CaseFile, kind: LetterKind, subject: str, body: str, facts: dict[str, Any]) -> int:
    """A new draft in the hand of who acts, addressed to the complainant; returns its id."""
    n = next_number(file.session, file.id, kind)
    in_reply_to, _ = thread_of(file.session, file.id)
    return add(
        file.session,
        Letter,
        {
            "case_id": file.id,
            "natural_key": f"{file.row.reference}/{kind}/by-hand/{n}",
            "kind": str(kind),
            "template": str(kind),
            "state": "draft",
            "automatic": False,
            "author": file.actor.login,
            "to_name": file.row.complainant_name,
            "to_address": file.row.complainant_address,
            "subject": subject,
            "body": body,
            "in_reply_to": in_reply_to,
            "facts": {"n": n} | facts,
            "case_version": file.row.version,
            "created_at": file.now,
        },
    )


def when_it_leaves(file: CaseFile) -> datetime:
    """When a letter that is sent now leaves; until then it can be called back."""
    return file.now + file.office.real(timedelta(seconds=file.office.settings.letters.undo_seconds))


def _must_be_of_a_pack(file: CaseFile, letter_id: str, kind: LetterKind) -> None:
    """Raises Refused unless some pack has this letter, and where it is an answer and a letter of this kind is none."""
    known = [letter for pack in file.office.packs_of(file.row) for letter in pack.letter if letter.form == "letter"]
    meant = [letter for letter in known if letter.id == letter_id]
    if not meant:
        them = ", ".join(sorted({letter.id for letter in known})) or "none"
        raise Refused(f"No policy pack of {file.row.reference} has a letter '{letter_id}'; it may be {them}.")
    answers = any(letter.kind == str(LetterKind.FINAL_RESPONSE) for letter in meant)
    if answers and kind is not LetterKind.FINAL_RESPONSE:
        raise Refused(f"'{letter_id}' is an answer and needs an outcome; write it as a final response.")


def _met_by_this(session: Session, deadline: Deadline, kind: LetterKind, now: datetime) -> bool:
    return meets(deadline.met_by, kind=kind) and begins_at(session, deadline) <= now


def _next_word(office: Office, session: Session, unmet: Sequence[Deadline], kind: LetterKind) -> datetime | None:
    """Until when the next word is owed once this letter has met the present update: what the letter may promise."""
    for deadline in reversed(unmet):
        if meets(deadline.met_by, kind=kind) and meets(deadline.met_by, kind=LetterKind.PROGRESS_UPDATE):
            following = following_row(office, session, deadline)
            return None if following is None else following["due_at"]
    return None


def next_number(session: Session, case_id: int, kind: LetterKind) -> int:
    """A number that no letter of this kind on the case ever had: by it the Message-ID is made, which is never reused.

    The automatic ones have theirs below 1000; one that was called back has used several.
    """
    statement = select(col(Letter.facts)).where(col(Letter.case_id) == case_id, col(Letter.kind) == str(kind))
    given = (int(facts.get("n", 0)) for facts in session.connection().execute(statement).scalars())
    return max([999, *given]) + 1


@contextmanager
def letter_file(office: Office, letter_id: int, *, actor: Actor, now: datetime) -> Iterator[tuple[CaseFile, Letter]]:
    """A letter and its case, locked, for one verb."""
    actor.may_write()
    with office.book.write() as session:
        case_id = session.connection().execute(select(col(Letter.case_id)).where(col(Letter.id) == letter_id)).scalar()
        if case_id is None:
            raise NotFound("There is no such letter.")
        file = CaseFile.open(office, session, case_id, actor=actor, now=now)
        letter = session.get(Letter, letter_id, with_for_update=True, populate_existing=True)
        if letter is None:
            raise NotFound("There is no such letter.")
        yield file, letter
        session.add(letter)
        file.save()


def _must_be_draft(letter: Letter) -> None:
    if letter.state != "draft":
        raise Refused(
            f"This letter is {letter.state} and cannot be changed any more; call it back first if it is held."
        )


def save(office: Office, letter_id: int, body: str, *, subject: str | None = None, actor: Actor, now: datetime) -> None:
    """Keep the draft as it stands."""
    with letter_file(office, letter_id, actor=actor, now=now) as (_, letter):
        _must_be_draft(letter)
        letter.body = storable(body)
        if subject is not None:
            letter.subject = one_line(subject, 300)


def reread(office: Office, letter_id: int, *, actor: Actor, now: datetime) -> None:
    """The writer has seen what is new on the case since the draft was begun."""
    with letter_file(office, letter_id, actor=actor, now=now) as (file, letter):
        _must_be_draft(letter)
        letter.case_version = file.row.version


def count_as(office: Office, letter_id: int, counts_as: str, *, actor: Actor, now: datetime) -> None:
    """Say which letter of a policy pack a draft is, by its id, or with "" that it is none that was named.

    Raises Refused for one that no pack of the case has, and for an answer that is no final response.
    """
    with letter_file(office, letter_id, actor=actor, now=now) as (file, letter):
        _must_be_draft(letter)
        _name(file, letter, counts_as)


def _name(file: CaseFile, letter: Letter, counts_as: str) -> None:
    if counts_as:
        _must_be_of_a_pack(file, counts_as, LetterKind(letter.kind))
    left = {name: value for name, value in letter.facts.items() if name != "counts_as"}
    letter.facts = left | ({"counts_as": counts_as} if counts_as else {})


def discard(office: Office, letter_id: int, *, actor: Actor, now: datetime) -> None:
    """Throw a draft away; the ledger says that there was one."""
    with letter_file(office, letter_id, actor=actor, now=now) as (file, letter):
        _must_be_draft(letter)
        letter.state = "cancelled"
        file.record("draft-discarded", letter=letter.id, letter_kind=letter.kind)


def checks(office: Office, letter_id: int, *, now: datetime, finding: Finding | None = None) -> list[Check]:
    """Everything looked at before the letter may leave, what stops it first.  Raises NotFound."""
    with office.book.read() as session:
        letter = session.get(Letter, letter_id)
        row = session.get(Case, letter.case_id) if letter is not None else None
        if letter is None or row is None:
            raise NotFound("There is no such letter.")
        found = list(_checks(office, session, letter, row, finding, now))
    return sorted(found, key=lambda check: (check.ok, not check.blocking))


def _checks(
    office: Office, session: Session, letter: Letter, row: Case, finding: Finding | None, now: datetime
) -> Iterator[Check]:
    gaps = [one_line(gap, 60) for gap in GAP.findall(letter.body)]
    yield Check(not gaps, True, f"Still to write: {', '.join(gaps)}" if gaps else "All gaps are filled")
    try:
        sendable(letter.to_address)
        yield Check(True, True, "The address can be written to")
    except Refused as unfit:
        yield Check(False, True, str(unfit))
    if (shut := gate.why_blocked(session, letter.to_address, now=now)) is not None:
        yield Check(False, False, f"This may not arrive: {shut}. Correct the address, or telephone as well")
    yield Check(
        bool(letter.body.strip()), True, "The letter has words" if letter.body.strip() else "The letter is empty"
    )
    moved_on = row.version != letter.case_version
    yield Check(
        not moved_on,
        True,
        "The case has changed since you began; read what is new"
        if moved_on
        else "Nothing new on the case since you began",
    )
    twin = select(col(Letter.sent_at), col(Letter.state)).where(
        col(Letter.case_id) == row.id,
        col(Letter.kind) == letter.kind,
        col(Letter.id) != letter.id,
        col(Letter.automatic).is_(False),
        col(Letter.state).in_(("queued", "sending", "sent", "uncertain")),
        col(Letter.queued_at) > now - TWICE,
    )
    again = session.connection().execute(twin.limit(1)).first() is not None
    unique = letter.kind == LetterKind.FINAL_RESPONSE
    yield Check(
        not again,
        unique,
        f"A letter of this kind ({letter.kind}) went out within a day"
        if again
        else "No letter of this kind within a day",
    )
    if letter.kind == LetterKind.FINAL_RESPONSE:
        answered = Stage(row.stage) in (Stage.RESPONDED, Stage.CLOSED)
        yield Check(
            not answered,
            True,
            "The case has been answered; reopen it first" if answered else "The case has had no final response yet",
        )
        if finding is None:
            yield Check(False, True, "A final response needs an outcome (upheld, partly upheld, not upheld)")
        else:
            yield Check(True, True, f"Outcome: {finding.outcome}")
            owed = finding.outcome in (Outcome.UPHELD, Outcome.PARTLY_UPHELD) and finding.remedy is None
            yield Check(
                not owed, False, "No remedy for a complaint that is upheld" if owed else "The remedy is recorded"
            )
    if (promised := promising.promise_of(letter)) is not None:
        yield from _of_promise(office, letter, row, promised, now)
    yield from _contents(office, letter, row)
    overdue = row.next_due_at is not None and row.next_due_at < now
    yield Check(
        not overdue,
        False,
        "A deadline has passed; say sorry for the delay, and why" if overdue else "No deadline has passed",
    )


def _of_promise(office: Office, letter: Letter, row: Case, promised: Promise, now: datetime) -> Iterator[Check]:
    day = a_day(promised.day)
    passed = promised.day < office.calendar.day_of(now)
    said = _names(row, office, letter.body, promised.day)
    yield Check(not passed, True, f"It promises {day}, which has passed" if passed else f"It promises something: {day}")
    if not row.is_open:
        yield Check(False, True, "It promises something on a closed case, where no clock runs; reopen the case first")
    yield Check(said, True, "It names the day that it promises" if said else f"It does not name the day, {day}")


def _contents(office: Office, letter: Letter, row: Case) -> Iterator[Check]:
    """What the packs of the case ask of this letter, as the one of theirs that it is."""
    letters = course.letters_of(office, row, letter.kind, automatic=False, counts_as=letter.facts.get("counts_as", ""))
    text = f"{letter.subject}\n{row.reference}\n{letter.body}"  # the reference is put into every subject
    for pack in office.packs_of(row):
        for found in contents.looked_at([pack], letters, text, reference=row.reference):
            yield Check(*found, wanted_by=pack.name)


def send(office: Office, letter_id: int, *, actor: Actor, now: datetime, anyway: bool = False) -> datetime:
    """Put the letter on its way; returns when it leaves (until then it can be called back).

    Raises Refused with the first check that stops it; Conflict if the case changed since the draft was begun and
    `anyway` does not say that the writer has read what is new.
    """
    with letter_file(office, letter_id, actor=actor, now=now) as (file, letter):
        if letter.kind == LetterKind.FINAL_RESPONSE:
            raise Refused("A final response needs an outcome; resolve the case with it.")
        _must_be_draft(letter)
        extending.must_still_be_possible(file, letter, leaves_at=when_it_leaves(file))
        pausing.must_still_be_possible(file, letter, leaves_at=when_it_leaves(file))
        return put_on_its_way(file, letter, None, anyway=anyway)


def respond(
    office: Office,
    letter_id: int,
    finding: Finding,
    *,
    counts_as: str | None = None,
    actor: Actor,
    now: datetime,
    anyway: bool = False,
) -> datetime:
    """The final response: outcome, remedy and reasons (ISO 10002:2018, 7.8); the case becomes `responded`.

    `counts_as` says which letter of a policy pack it is, by its id; None leaves what the draft says.
    Returns when the letter leaves.  Called back before then, the outcome and the stage go back with it.
    """
    if finding.outcome in WITHOUT_FINDING:
        raise Refused(f"'{finding.outcome}' needs no final response; close the case with it and a reason.")
    with letter_file(office, letter_id, actor=actor, now=now) as (file, letter):
        if letter.kind != LetterKind.FINAL_RESPONSE:
            raise Refused("Only a final response gives an outcome; write one.")
        if counts_as is not None:
            _must_be_draft(letter)
            _name(file, letter, counts_as)
        for login in {letter.author, actor.login}:
            reviewing.must_be_free(file, login, course.stages_of(file))
        row, remedy = file.row, finding.remedy
        leaves_at = put_on_its_way(file, letter, finding, anyway=anyway)
        letter.facts = {**letter.facts, "stage_before": row.stage}
        row.outcome = str(finding.outcome)
        row.remedy = storable(remedy.description) if remedy else None
        row.remedy_amount = remedy.amount if remedy else None
        row.remedy_currency = (remedy.currency or None) if remedy else None
        if finding.root_cause is not None:
            row.root_cause = storable(finding.root_cause).strip() or None
        row.responded_at = file.now
        course.at_moment(file, "investigation-completed", at=file.now)
        file.record("responded", letter=letter.id, outcome=row.outcome, digest=finding_seal(row))
        file.to_stage(Stage.RESPONDED)
        return leaves_at


def put_on_its_way(file: CaseFile, letter: Letter, finding: Finding | None, *, anyway: bool) -> datetime:
    """What `send` and `respond` do to a draft inside another verb; returns when it leaves.  Raises what they raise."""
    _must_be_draft(letter)
    must_stand_alone(file, "write on")
    for check in _checks(file.office, file.session, letter, file.row, finding, file.now):
        if check.ok or not check.blocking:
            continue
        if check.text.startswith("The case has changed"):
            if not anyway:
                raise Conflict(
                    f"{file.row.reference} has changed since you began this letter; read what is new, then send it."
                )
            continue
        raise Refused(f"The letter cannot leave yet. {check.text}.")
    office = file.office
    leaves_at = when_it_leaves(file)
    in_reply_to, references = thread_of(file.session, file.id)
    rendered = office.templates.by_hand(
        LetterKind(letter.kind),
        letter.subject,
        letter.body,
        reference=file.row.reference,
        language=file.row.language,
    )
    enqueue(
        file,
        LetterKind(letter.kind),
        rendered,
        natural=letter.natural_key,
        n=int(letter.facts["n"]),
        leaves_at=leaves_at,
        automatic=False,
        in_reply_to=in_reply_to,
        references=references,
        letter=letter,
    )
    file.touch()
    letter.case_version = file.row.version
    return leaves_at


def call_back(office: Office, letter_id: int, *, actor: Actor, now: datetime) -> None:
    """Undo a letter that has not left: the same draft stands there again.  Raises Refused when it is too late."""
    with letter_file(office, letter_id, actor=actor, now=now) as (file, letter):
        handed_over = letter.sent_at is not None or letter.facts.get("sent_again")
        if letter.state != "queued" or letter.tries or letter.automatic or handed_over:
            raise Refused("Too late: the letter has left or is leaving now.")
        letter.state, letter.raw, letter.next_try_at, letter.queued_at = "draft", None, None, None
        # The draft may be sent again with other words, so the next sending is another letter with its own identity.
        letter.message_id = None
        letter.facts = {**letter.facts, "n": next_number(file.session, file.id, LetterKind(letter.kind))}
        file.record("letter-called-back", letter=letter.id, letter_kind=letter.kind)
        if letter.kind == LetterKind.FINAL_RESPONSE and file.row.responded_at is not None:
            row = file.row
            before = Stage(letter.facts.get("stage_before", Stage.INVESTIGATING))
            file.record("stage", before=row.stage, after=str(before), because="the final response was called back")
            row.stage, row.is_open = str(before), True
            row.outcome = row.remedy = row.remedy_amount = row.remedy_currency = row.responded_at = None
        file.touch()
        letter.case_version = file.row.version


def acknowledge(office: Office, case_id: int, *, actor: Actor, now: datetime) -> None:
    """Send an acknowledgement where none went out by itself.  Raises Refused where one did, or none may."""
    actor.may_write()
    with office.book.write() as session:
        file = CaseFile.open(office, session, case_id, actor=actor, now=now)
        if file.row.acknowledged_at is not None:
            raise Refused(f"{file.row.reference} has been acknowledged.")
        if (shut := gate.ask(file, file.row.complainant_address).shut) is not None:
            raise Refused(f"No acknowledgement may go out: {shut.rstrip('.')}.")
        in_reply_to, references = thread_of(session, case_id)
        queued = queue_automatic(
            file,
            LetterKind.ACKNOWLEDGEMENT,
            key="acknowledgement/1",
            n=1,
            facts=facts_of(office, file.row, file.unmet()),
            in_reply_to=in_reply_to,
            references=references,
        )
        if queued is None:
            raise Refused(f"The acknowledgement of {file.row.reference} is on its way already.")
        file.save()
