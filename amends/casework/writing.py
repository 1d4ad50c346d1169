"""From facts to a letter in the outbox: what every letter has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlmodel import Session, col

from amends.casework import gate
from amends.casework.actors import SYSTEM, address_of
from amends.casework.ahead import of_case
from amends.casework.casefile import CaseFile, Which
from amends.casework.gate import Answered
from amends.casework.office import Office
from amends.casework.threads import remember
from amends.deadlines.clocks import meets
from amends.kernel.refs import CaseRef
from amends.ledger.book import add
from amends.ledger.chain import new_salt
from amends.ledger.seals import bytes_seal, letter_seal
from amends.ledger.tables import Case, Deadline, Letter, Message
from amends.letters import tokens
from amends.letters.envelope import Envelope, build
from amends.letters.kinds import LetterFacts, LetterKind
from amends.letters.render import Rendered


def facts_of(office: Office, row: Case, deadlines: Iterable[Deadline], **more: Any) -> LetterFacts:
    """What a template may know of a case: words and dates, nothing that acts.

    The days that it may promise are those of `deadlines`; `more` are facts that the caller knows better.
    """
    organisation = office.settings.organisation
    answer, update = promises((deadline.due_at, deadline.met_by) for deadline in deadlines)
    facts = LetterFacts(
        organisation=organisation.name,
        organisation_address=organisation.address,
        phone=organisation.phone,
        website=organisation.website,
        external_review=organisation.external_review,
        timezone=organisation.timezone,
        region=organisation.region,
        language=row.language,
        reference=row.reference,
        subject=row.subject,
        complainant=row.complainant_name,
        received_at=row.received_at,
        response_due=answer,
        update_due=update,
    )
    return replace(facts, **more)


def promises(deadlines: Iterable[tuple[datetime, Sequence[str]]]) -> tuple[datetime | None, datetime | None]:
    """Until when the answer, and until when the next word is owed: the earliest (due, met by) of each sort.

    What a progress update meets asks for word; what only a final response meets asks for the answer.
    """
    answer: datetime | None = None
    update: datetime | None = None
    for due_at, met_by in deadlines:
        if meets(met_by, kind=LetterKind.PROGRESS_UPDATE):
            update = due_at if update is None else min(update, due_at)
        elif meets(met_by, kind=LetterKind.FINAL_RESPONSE):
            answer = due_at if answer is None else min(answer, due_at)
    return answer, update


# Built once: building a statement costs as much as running it, and this is run for every letter.
_WITH_NATURAL_KEY = select(col(Letter.id)).where(col(Letter.natural_key) == bindparam("natural"))


def queue_automatic(
    file: CaseFile,
    kind: LetterKind,
    *,
    key: str,
    n: int,
    facts: LetterFacts,
    in_reply_to: str = "",
    references: Sequence[str] = (),
    of: Which | None = None,
    answered: Answered | None = None,
    first: bool = False,
    counts_as: str = "",
    lacks: Callable[[str], list[str]] = lambda text: [],
    withheld: list[str] | None = None,
) -> int | None:
    """Queue an automatic letter to the complainant, once for each `key`.

    `first`: the case was opened just now, so that it cannot have one.  `of` is the deadline and the occurrence that
    the clock writes it for, `counts_as` the letter of a pack that it is, `answered` the message that sets it off.
    `lacks` says what a text does not say though it must.  None, with the reasons in the ledger and added to `withheld`,
    if the gate is shut or the letter lacks something.
    """
    to = file.row.complainant_address
    natural = f"{file.row.reference}/{key}"
    if not first and _exists(file, natural):
        return None
    verdict = gate.ask(file, to, answered=answered)
    # A day that we had promised and that has passed is said as such and not promised again.
    rendered = file.office.templates.render(kind, replace(facts, written_at=file.now))
    shut = [_without(verdict.shut, to)] if verdict.shut is not None else lacks(rendered.text)
    if shut:
        file.record("letter-withheld", letter=str(kind), because="; ".join(shut))
        if withheld is not None:
            withheld += shut
        return None
    return enqueue(
        file,
        kind,
        rendered,
        natural=natural,
        n=n,
        leaves_at=file.now,
        automatic=True,
        in_reply_to=in_reply_to,
        references=references,
        of=of,
        counts_as=counts_as,
        again=verdict.again,
    )


def _without(reason: str, address: str) -> str:
    """The ledger holds no personal data."""
    return reason.replace(address, "the address") if address else reason


def queue_staff(file: CaseFile, kind: LetterKind, *, login: str | None, key: str, n: int, facts: LetterFacts) -> None:
    """Queue a letter to a handler or supervisor who has an address; the screens show the same without one."""
    to = address_of(file.office.settings, login)
    natural = f"{file.row.reference}/{key}/{login}"
    if not to or _exists(file, natural):
        return
    if (shut := gate.ask_for_staff(file.office, file.session, to, now=file.now).shut) is not None:
        file.record("letter-withheld", letter=str(kind), because=_without(shut, to))
        return
    rendered = file.office.templates.render(kind, facts)
    enqueue(file, kind, rendered, natural=natural, n=n, leaves_at=file.now, automatic=True, staff_to=(login or "", to))


def queue_digest(
    office: Office, session: Session, *, login: str, n: int, natural: str, facts: LetterFacts, now: datetime
) -> int | None:
    """Queue the daily letter to somebody of the staff, of many cases and on none; None if the gate is shut.

    `n` numbers all of them.  Its Message-ID names the serial 0 of the year, which no case has.
    """
    to = address_of(office.settings, login)
    if not to or gate.ask_for_staff(office, session, to, now=now).shut is not None:
        return None
    organisation, kind = office.settings.organisation, LetterKind.STAFF_DIGEST
    rendered = office.templates.render(kind, facts)
    reference = CaseRef(organisation.reference_prefix, now.year, 0)
    message_id = tokens.message_id(reference, str(kind), n, key=office.key, domain=organisation.domain)
    language = organisation.languages[0]
    envelope = _envelope(
        office, kind, rendered, to=(login, to), now=now, automatic=True, message_id=message_id, language=language
    )
    values = _values(envelope, natural=natural, author=SYSTEM.login, salt=new_salt(), leaves_at=now)
    return add(session, Letter, values | {"staff": True, "created_at": now})


def _envelope(
    office: Office, kind: LetterKind, rendered: Rendered, *, to: tuple[str, str], now: datetime, **more: Any
) -> Envelope:
    """These words from the organisation to somebody (name, address); `more` as `Envelope` has it."""
    organisation = office.settings.organisation
    return Envelope(
        from_name=organisation.name,
        from_address=organisation.address,
        to_name=to[0],
        to_address=to[1],
        subject=rendered.subject,
        date=now,
        kind=kind,
        text=rendered.text,
        html=rendered.html,
        **more,
    )


def _values(envelope: Envelope, *, natural: str, author: str, salt: str, leaves_at: datetime) -> dict[str, Any]:
    """What every letter in the outbox has in common, with its bytes."""
    return {
        "natural_key": natural,
        "kind": str(envelope.kind),
        "template": str(envelope.kind),
        "state": "queued",
        "automatic": envelope.automatic,
        "author": author,
        "to_name": envelope.to_name,
        "to_address": envelope.to_address,
        "subject": envelope.subject,
        "body": envelope.text,
        "message_id": envelope.message_id,
        "in_reply_to": envelope.in_reply_to,
        "raw": build(envelope),
        "salt": salt,
        "queued_at": envelope.date,
        "next_try_at": leaves_at,
    }


def _exists(file: CaseFile, natural: str) -> bool:
    if (known := of_case(file.session, file.id)) is not None:
        return natural in known.keys
    return file.session.connection().execute(_WITH_NATURAL_KEY, {"natural": natural}).first() is not None


def thread_of(session: Session, case_id: int) -> tuple[str, list[str]]:
    """(the Message-ID to answer, the References) from the newest message of the complainant on the case."""
    if (known := of_case(session, case_id)) is not None and known.thread is not None:
        return known.thread
    statement = (
        select(col(Message.message_id), col(Message.refs), col(Message.in_reply_to))
        .where(col(Message.case_id) == case_id, col(Message.direction) == "in", col(Message.kind) == "person")
        .where(col(Message.message_id) != "")
        .order_by(col(Message.at).desc(), col(Message.id).desc())
        .limit(1)
    )
    newest = session.connection().execute(statement).first()
    if newest is None:
        return "", []
    return newest[0], [*newest[1], newest[0]]


def enqueue(
    file: CaseFile,
    kind: LetterKind,
    rendered: Rendered,
    *,
    natural: str,
    n: int,
    leaves_at: datetime,
    automatic: bool,
    in_reply_to: str = "",
    references: Sequence[str] = (),
    staff_to: tuple[str, str] | None = None,
    of: Which | None = None,
    counts_as: str = "",
    again: bool = False,
    letter: Letter | None = None,
) -> int:
    """Fix the words, the bytes and the Message-ID of a letter and put it in the outbox; returns its id.

    `letter` is a handler's draft that becomes the letter; otherwise a new row is made.
    """
    office, row = file.office, file.row
    organisation, smtp = office.settings.organisation, office.settings.smtp
    to_name, to = staff_to or (row.complainant_name, row.complainant_address)
    message_id = tokens.message_id(row.reference, str(kind), n, key=office.key, domain=organisation.domain)
    plus = smtp is not None and smtp.plus_addressing
    reply_to = tokens.plus_address(row.reference, organisation.address, key=office.key) if plus else None
    envelope = _envelope(
        office,
        kind,
        rendered,
        to=(to_name, to),
        now=file.now,
        automatic=automatic,
        message_id=message_id,
        in_reply_to=in_reply_to,
        references=tuple(references),
        reply_to=None if staff_to else reply_to,
        language=organisation.languages[0] if staff_to else row.language,
    )
    salt = new_salt()
    values = _values(envelope, natural=natural, author=file.actor.login, salt=salt, leaves_at=leaves_at) | {
        "case_id": file.id,
        "staff": staff_to is not None,
        "again": again,
        "case_version": row.version,
        "receipt": automatic and staff_to is None and smtp is not None and smtp.wants_receipts,
    }
    if letter is None:
        facts = ({"of": list(of)} if of is not None else {}) | ({"counts_as": counts_as} if counts_as else {})
        letter_id = add(file.session, Letter, values | {"created_at": file.now, "facts": facts})
        if (known := of_case(file.session, file.id)) is not None:
            known.keys.add(natural)
            known.letters += 1
    else:
        for name, value in values.items():
            setattr(letter, name, value)
        file.session.add(letter)
        file.session.flush()
        letter_id = letter.id or 0
    if automatic and staff_to is None:
        gate.queued(file.session, to, file.now)
    if staff_to is None:
        remember(file.session, file.id, row.reference, (message_id,), source="letter")
    file.record(
        "letter-queued",
        letter=letter_id,
        letter_kind=str(kind),
        automatic=automatic,
        staff=staff_to is not None,
        digest=letter_seal(salt, to=to, subject=rendered.subject, body=rendered.text),
        bytes=bytes_seal(salt, values["raw"]),
    )
    return letter_id
