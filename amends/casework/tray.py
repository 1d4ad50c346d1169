"""The verbs of the tray: what to do with a message that is held or quarantined.  Nothing in it is ever lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from amends.casework import filing, forms
from amends.casework.actors import Actor
from amends.casework.casefile import CaseFile
from amends.casework.handling import take_up_again
from amends.casework.intake import give_fate_alone, unpack
from amends.casework.kin import must_stand_alone, tie
from amends.casework.leftover import as_left, is_withheld
from amends.casework.office import Office
from amends.conversation.match import Fate, Match, Standing
from amends.kernel.errors import NotFound, Refused
from amends.kernel.text import storable
from amends.ledger import views
from amends.ledger.tables import Arrival
from amends.mail.facts import Reading


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """What a message says, and the arrival as it stood when it was read: no transaction is open meanwhile."""

    arrival_id: int
    raw_id: int
    state: str
    reading: Reading

    def must_still_hold(self, arrival: Arrival) -> None:
        """Raises Refused where somebody else decided on the message while it was read; `arrival` is locked."""
        if (arrival.id, arrival.raw_id, arrival.state) != (self.arrival_id, self.raw_id, self.state):
            raise Refused("Somebody else decided on the message just now; look at it again.")


def read_again(office: Office, find: Callable[[Session], Arrival]) -> ReadAgain:
    """The message read again, here and now: a person waits for it.  What a trusted form sent is the complainant's.

    A stranger's bytes may take long, so nobody else waits for them: `find` looks without a lock, and the verb asks
    `must_still_hold` when it has one.  Raises as `find`, and NotFound where the bytes are gone.
    """
    from amends.mail.read import read

    with office.book.read() as session:
        arrival = find(session)
        arrival_id, raw_id, state = arrival.id or 0, arrival.raw_id, arrival.state
        session.expunge(arrival)
        _, zstd = views.raw(session, raw_id)
    if is_withheld(arrival) and not unpack(zstd):
        raise Refused(
            "The server gave nothing of this message; put it back into the inbox there, and it is fetched once more."
        )
    organisation = office.settings.organisation
    found = read(
        unpack(zstd),
        own_addresses=organisation.own_addresses,
        trusted_authserv=organisation.authserv_id,
        languages=organisation.languages,
    )
    found = as_left(found, arrival, office.settings)
    return ReadAgain(arrival_id, raw_id, state, forms.as_complainant(found, office.settings)[0])


def _waiting(session: Session, arrival_id: int, *, lock: bool = True) -> Arrival:
    arrival = session.get(Arrival, arrival_id, with_for_update=lock or None, populate_existing=True)
    if arrival is None:
        raise NotFound(f"There is no message {arrival_id} in the tray.")
    if arrival.state not in ("held", "quarantined", "dismissed"):
        raise Refused(f"Message {arrival_id} is {arrival.state} and does not wait for a word any more.")
    return arrival


@contextmanager
def _decided(office: Office, arrival_id: int, *, actor: Actor) -> Iterator[tuple[Session, Arrival, Reading]]:
    """One verb on a message that waits: it is read, then locked, and saved in one transaction, or nothing is."""
    actor.may_write()
    again = read_again(office, lambda session: _waiting(session, arrival_id, lock=False))
    with office.book.write() as session:
        arrival = _waiting(session, arrival_id)
        again.must_still_hold(arrival)
        yield session, arrival, again.reading
        session.add(arrival)


def retry(office: Office, arrival_id: int, *, actor: Actor, now: datetime) -> str:
    """Read and file the message again, as if it came now; returns its new state.

    What fails again stays in quarantine, with the reason of this time.
    """
    with _decided(office, arrival_id, actor=actor) as (session, arrival, reading):
        give_fate_alone(office, session, arrival, reading, now=now)
    return arrival.state


def file_as_complaint(
    office: Office, arrival_id: int, *, linked_to: str | None = None, actor: Actor, now: datetime
) -> str:
    """A handler says that it is a complaint: it opens a case, its clocks run from receipt.  Returns the reference.

    `linked_to` is the reference of an earlier case that it goes on from.  Raises NotFound for an unknown one.
    """
    with _decided(office, arrival_id, actor=actor) as (session, arrival, reading):
        earlier = None if linked_to is None else _case(office, session, linked_to, actor=actor, now=now)
        reference = filing.open_case(office, session, arrival, reading, now=now, actor=actor)
        if earlier is not None:
            new = CaseFile.open_by(reference, office, session, actor=actor, now=now)
            tie(earlier, new, "follows")
            earlier.save()
            new.save()
    return reference


def _case(office: Office, session: Session, reference: str, *, actor: Actor, now: datetime) -> CaseFile:
    """The case of a reference, locked.  Raises NotFound."""
    case_id = views.case_id(session, reference.strip().upper())
    if case_id is None:
        raise NotFound(f"There is no case {reference}; check the reference.")
    return CaseFile.open(office, session, case_id, actor=actor, now=now)


def review(office: Office, arrival_id: int, reference: str, *, actor: Actor, now: datetime) -> None:
    """A handler says that it takes up an answered or closed case again: it joins, and its deadlines start anew.

    Raises NotFound for an unknown reference, Refused for a case that is open.
    """
    with _decided(office, arrival_id, actor=actor) as (session, arrival, reading):
        file = _case(office, session, reference, actor=actor, now=now)
        take_up_again(file, "a message came on it")
        file.save()
        _join(office, session, arrival, reading, file.row.reference, actor=actor, now=now)


def join(office: Office, arrival_id: int, reference: str, *, actor: Actor, now: datetime) -> None:
    """A handler says to which case it belongs.  Raises NotFound for an unknown reference."""
    with _decided(office, arrival_id, actor=actor) as (session, arrival, reading):
        _join(office, session, arrival, reading, reference, actor=actor, now=now)


def _join(
    office: Office, session: Session, arrival: Arrival, reading: Reading, reference: str, *, actor: Actor, now: datetime
) -> None:
    file = _case(office, session, reference, actor=actor, now=now)
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
