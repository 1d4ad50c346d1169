"""The verbs for what did not arrive, or may not have: send again, send to another address, settle what became of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import insert, select, update
from sqlmodel import col

from amends.cases.stages import Stage
from amends.casework import gate
from amends.casework.actors import Actor
from amends.casework.casefile import CaseFile
from amends.casework.correspondence import letter_file, next_number
from amends.casework.kin import must_stand_alone
from amends.casework.office import Office
from amends.casework.post import note_arrival
from amends.casework.writing import enqueue, thread_of
from amends.kernel.errors import Refused
from amends.ledger.seals import address_seal
from amends.ledger.tables import Letter, Participant
from amends.letters.address import sendable
from amends.letters.kinds import LetterKind


def resend(office: Office, letter_id: int, *, actor: Actor, now: datetime) -> int:
    """Send a failed, bounced or uncertain letter once more; returns the id of the letter that leaves.

    It is the same letter, under the same Message-ID.  Only where the address of the complainant was corrected since is
    it another one: the same words to the address of now (`send_to`).
    """
    if _of_no_case(office, letter_id, None, actor=actor, now=now):
        return letter_id
    with letter_file(office, letter_id, actor=actor, now=now) as (file, letter):
        _must_be_stuck(file, letter)
        if not letter.staff and letter.to_address != file.row.complainant_address:
            return _write_anew(file, letter)
        if letter.raw is None or letter.message_id is None:
            raise Refused("This letter has no bytes any more; write a new one.")
        file.record("letter-sent-again", letter=letter.id, before=letter.state)
        letter.state, letter.tries, letter.next_try_at, letter.error = "queued", 0, now, None
        letter.facts = {**letter.facts, "sent_again": True}  # it may have arrived before: never a draft again
        letter.owner = letter.lease_until = letter.dot_at = letter.uncertain_at = None
        _clear_undelivered(file, except_for=letter_id)
        return letter_id


def send_to(office: Office, letter_id: int, address: str, *, actor: Actor, now: datetime) -> int:
    """Correct the complainant's address and send what did not reach them there: the words of the letter, made anew.

    The letter that failed stays on the record as given up.  Returns the id of the one that leaves; a handler's own is
    held like any other and can be called back.  Raises Refused for what is not failed, bounced or uncertain, for a
    letter to staff, and for the address that it went to.
    """
    with letter_file(office, letter_id, actor=actor, now=now) as (file, letter):
        _must_be_stuck(file, letter)
        if letter.staff:
            raise Refused(
                "This letter went to a colleague, whose address stands in the configuration; tell the operator."
            )
        address = sendable(address.strip().lower())
        if address == letter.to_address:
            raise Refused("That is the address that it could not be delivered to; send it again instead, or telephone.")
        if address != file.row.complainant_address:
            _correct(file, address)
        return _write_anew(file, letter)


def _must_be_stuck(file: CaseFile, letter: Letter) -> None:
    """Raises Refused unless the letter did not arrive for certain and is still what its case has to say."""
    if letter.state not in ("failed", "bounced", "uncertain"):
        raise Refused(f"This letter is {letter.state}; only a failed, bounced or uncertain one can be sent again.")
    must_stand_alone(file, "write on")
    if not file.row.is_open:
        raise Refused(f"{file.row.reference} is closed; reopen it before anything is sent again.")
    if letter.kind == LetterKind.FINAL_RESPONSE and Stage(file.row.stage) is not Stage.RESPONDED:
        raise Refused(
            f"{file.row.reference} is {file.row.stage}: this final response is no longer its answer; "
            "reopen the case if it is closed, and write a new one."
        )


def _write_anew(file: CaseFile, letter: Letter) -> int:
    """The words of a letter that did not arrive as another letter, to the address of now; the old one is given up."""
    office, kind = file.office, LetterKind(letter.kind)
    n = next_number(file.session, file.id, kind)
    rendered = office.templates.by_hand(
        kind, letter.subject, letter.body, reference=file.row.reference, language=file.row.language
    )
    held = timedelta() if letter.automatic else office.real(timedelta(seconds=office.settings.letters.undo_seconds))
    in_reply_to, references = thread_of(file.session, file.id)
    new_id = enqueue(
        file,
        kind,
        rendered,
        natural=f"{file.row.reference}/{kind}/anew/{n}",
        n=n,
        leaves_at=file.now + held,
        automatic=letter.automatic,
        in_reply_to=in_reply_to,
        references=references,
    )
    facts = {name: value for name, value in letter.facts.items() if name != "sent_again"}
    file.session.connection().execute(
        update(Letter).where(col(Letter.id) == new_id).values(facts={**facts, "n": n, "instead_of": letter.id})
    )
    file.record("letter-written-anew", letter=letter.id, before=letter.state, instead=new_id)
    letter.state, letter.next_try_at = "cancelled", None
    _clear_undelivered(file, except_for=letter.id or 0)
    file.touch()
    return new_id


def settle(office: Office, letter_id: int, sent: bool, *, actor: Actor, now: datetime) -> None:
    """A handler's word on an uncertain letter: it arrived, or it is given up (then write another, or telephone)."""
    if _of_no_case(office, letter_id, sent, actor=actor, now=now):
        return
    with letter_file(office, letter_id, actor=actor, now=now) as (file, letter):
        if letter.state not in ("uncertain", "failed", "bounced"):
            raise Refused(f"This letter is {letter.state}; there is nothing to settle.")
        if sent and letter.state != "uncertain":
            raise Refused("The server refused this letter, so it cannot have arrived.")
        file.record("letter-settled", letter=letter.id, before=letter.state, sent=sent)
        if sent:
            note_arrival(file, letter)
        else:
            letter.state = "cancelled"
            _clear_undelivered(file, except_for=letter_id)


def _of_no_case(office: Office, letter_id: int, sent: bool | None, *, actor: Actor, now: datetime) -> bool:
    """A daily letter to staff is on no case: it is sent again (`sent` None) or settled; False for any other letter."""
    actor.may_write()
    with office.book.write() as session:
        letter = session.get(Letter, letter_id, with_for_update=True, populate_existing=True)
        if letter is None or letter.case_id is not None:
            return False
        if letter.state not in ("uncertain", "failed", "bounced"):
            raise Refused(f"This letter is {letter.state}; there is nothing to settle.")
        if sent and letter.state != "uncertain":
            raise Refused("The server refused this letter, so it cannot have arrived.")
        if sent is None:
            letter.state, letter.tries, letter.next_try_at, letter.error = "queued", 0, now, None
            letter.owner = letter.lease_until = letter.dot_at = letter.uncertain_at = None
        elif sent:
            letter.state, letter.sent_at = "sent", letter.dot_at or now
        else:
            letter.state = "cancelled"
        session.add(letter)
    return True


def _clear_undelivered(file: CaseFile, *, except_for: int) -> None:
    statement = select(col(Letter.id)).where(
        col(Letter.case_id) == file.id,
        col(Letter.state).in_(("failed", "bounced")),
        col(Letter.staff).is_(False),
        col(Letter.id) != except_for,
    )
    file.row.undelivered = file.session.connection().execute(statement.limit(1)).first() is not None


def correct_address(office: Office, case_id: int, address: str, *, actor: Actor, now: datetime) -> None:
    """Write to the complainant at another address from now on; only a handler may say so.  Raises Refused."""
    actor.may_write()
    address = sendable(address.strip().lower())
    with office.book.write() as session:
        file = CaseFile.open(office, session, case_id, actor=actor, now=now)
        if file.row.complainant_address == address:
            raise Refused("That is the address we write to already.")
        _correct(file, address)
        file.touch()
        file.save()


def _correct(file: CaseFile, address: str) -> None:
    """The complainant has this address from now on, and is a participant under it."""
    row, session = file.row, file.session
    file.record(
        "address-corrected", before=address_seal(row, row.complainant_address), after=address_seal(row, address)
    )
    row.complainant_address = address
    gate.unblock(file, address)
    if session.get(Participant, (file.id, address)) is None:
        session.connection().execute(
            insert(Participant),
            {
                "case_id": file.id,
                "address": address,
                "name": row.complainant_name,
                "role": "complainant",
                "accepted": True,
            },
        )
