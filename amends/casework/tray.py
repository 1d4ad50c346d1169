"""The verbs of the tray: what to do with a message that is held or quarantined.  Nothing in it is ever lost."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from amends.casework import filing
from amends.casework.actors import Actor
from amends.casework.casefile import CaseFile
from amends.casework.intake import give_fate_alone, unpack
from amends.casework.kin import must_stand_alone
from amends.casework.office import Office
from amends.conversation.match import Fate, Match, Standing
from amends.kernel.errors import NotFound, Refused
from amends.kernel.text import storable
from amends.ledger import views
from amends.ledger.tables import Arrival, Raw
from amends.mail.facts import Reading


def _waiting(session: Session, arrival_id: int) -> Arrival:
    arrival = session.get(Arrival, arrival_id, with_for_update=True, populate_existing=True)
    if arrival is None:
        raise NotFound(f"There is no message {arrival_id} in the tray.")
    if arrival.state not in ("held", "quarantined", "dismissed"):
        raise Refused(f"Message {arrival_id} is {arrival.state} and does not wait for a word any more.")
    return arrival


def read_again(office: Office, session: Session, arrival: Arrival) -> Reading:
    """The message read again, here and now: a person waits for it."""
    from amends.mail.read import read

    row = session.get(Raw, arrival.raw_id)
    if row is None:
        raise NotFound("The bytes of this message are gone.")
    organisation = office.settings.organisation
    return read(unpack(row.zstd), own_addresses=organisation.own_addresses, trusted_authserv=organisation.authserv_id)


def retry(office: Office, arrival_id: int, *, actor: Actor, now: datetime) -> str:
    """Read and file the message again, as if it came now; returns its new state.

    What fails again stays in quarantine, with the reason of this time.
    """
    actor.may_write()
    with office.book.write() as session:
        arrival = _waiting(session, arrival_id)
        reading = read_again(office, session, arrival)
        give_fate_alone(office, session, arrival, reading, now=now)
        session.add(arrival)
        return arrival.state


def file_as_complaint(office: Office, arrival_id: int, *, actor: Actor, now: datetime) -> str:
    """A handler says that it is a complaint: it opens a case, its clocks run from receipt.  Returns the reference."""
    actor.may_write()
    with office.book.write() as session:
        arrival = _waiting(session, arrival_id)
        reading = read_again(office, session, arrival)
        reference = filing.open_case(office, session, arrival, reading, now=now, actor=actor)
        session.add(arrival)
        return reference


def join(office: Office, arrival_id: int, reference: str, *, actor: Actor, now: datetime) -> None:
    """A handler says to which case it belongs.  Raises NotFound for an unknown reference."""
    actor.may_write()
    with office.book.write() as session:
        arrival = _waiting(session, arrival_id)
        case_id = views.case_id(session, reference.strip().upper())
        if case_id is None:
            raise NotFound(f"There is no case {reference}; check the reference.")
        reading = read_again(office, session, arrival)
        file = CaseFile.open(office, session, case_id, actor=actor, now=now)
        must_stand_alone(file, "put it on")
        known = filing.known_of(office, session, reading)
        standing = (
            Standing.PARTICIPANT
            if reading.sender.address in known.participants.get(file.row.reference, ())
            or reading.sender.address == file.row.complainant_address
            else Standing.THIRD_PARTY
        )
        match = Match(Fate.JOIN, file.row.reference, f"{actor.login} put it there", "", "certain", standing)
        filing.join(office, session, arrival, reading, match, now=now, actor=actor)
        session.add(arrival)


def dismiss(office: Office, arrival_id: int, why: str, *, actor: Actor, now: datetime) -> None:
    """Not a complaint, and why; the message stays where it is and can be filed after all."""
    actor.may_write()
    why = storable(why).strip()
    if not why:
        raise Refused("Say in a few words why this is not a complaint.")
    with office.book.write() as session:
        arrival = _waiting(session, arrival_id)
        arrival.state = "dismissed"
        arrival.reason = f"{actor.login}, {now:%Y-%m-%d %H:%M}Z: {why}"
        session.add(arrival)
