"""The daily letter to those of the staff who want one: what was missed, what is due today, and of what they are warned.

It leaves in office hours, once a day and person, whatever was down meanwhile and however many daemons run; and not at
all on a day on which there is nothing to say.  What was missed is told at once besides, and so is a warning that would
not come in time with the next digest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlmodel import Session, col

from amends.casework import gate
from amends.casework.actors import name_of, supervisors
from amends.casework.office import Office
from amends.casework.writing import queue_digest
from amends.config import Handler
from amends.kernel.text import one_line
from amends.ledger.book import add, add_all, insert_missing
from amends.ledger.columns import key
from amends.ledger.legible import MISREAD, is_misread, is_of_the_store
from amends.ledger.tables import Case, Deadline, Digest, Notice
from amends.letters.kinds import LetterFacts, StaffLine

_MOST: Final = 25
"""So many lines in each part of the letter; how many more there are stands below."""
_BEFORE_CLOSING: Final = timedelta(minutes=30)
_ONE_DAY: Final = timedelta(days=1)
_AHEAD: Final = timedelta(days=7)
_WAITS: Final = col(Notice.digest_id).is_(None)


def takes(office: Office, session: Session, login: str, deadline: Deadline, *, now: datetime) -> bool:
    """Whether `login` wants a digest and the next one comes in time for this warning; then it is kept for that."""
    person = next((one for one in office.settings.handler if one.login == login), None)
    if person is None or not person.digest or not person.address:
        return False
    if deadline.due_at <= _next_for(office, person, _last_day(office, session, login, now), now):
        return False
    if gate.ask_for_staff(office, session, person.address, now=now).shut is not None:
        return False  # a letter of its own says on the record that none goes there
    add(session, Notice, {"login": login, "deadline_id": deadline.id, "at": now})
    return True


def next_at(office: Office, session: Session, *, now: datetime, unwritten: Collection[str] = ()) -> datetime | None:
    """When the next digest may be due; `now` for one that is, None where nobody wants any.

    Those for the logins in `unwritten` are passed over.
    """
    people = (one for one in _people(office, session) if one.login not in unwritten)
    return min(
        (_next_for(office, one, _last_day(office, session, one.login, now), now) for one in people), default=None
    )


def write(office: Office, *, now: datetime, unwritten: dict[str, str] | None = None) -> int:
    """Write the digests that are due, each in a transaction of its own; returns how many days were done with.

    With `unwritten` (login: why), one that cannot be written is entered there, and those that stand there are passed
    over; without it, the error is raised.
    """
    _hand_on(office, now)
    with office.book.read() as session:
        due = [
            one
            for one in _people(office, session)
            if one.login not in (unwritten or ())
            and _next_for(office, one, _last_day(office, session, one.login, now), now) <= now
        ]
    return sum(_write_if_possible(office, person, now, unwritten) for person in due)


def _write_if_possible(office: Office, person: Handler, now: datetime, unwritten: dict[str, str] | None) -> int:
    try:
        return _write_one(office, person, now)
    except Exception as fault:
        if unwritten is None or is_of_the_store(fault):
            raise
        unwritten[person.login] = one_line(f"{type(fault).__name__}: {fault}", 300)
        return 0


# When


def _people(office: Office, session: Session) -> list[Handler]:
    """Who wants a digest, or wanted one while warnings still wait for it."""
    waiting = _waiting(session)
    return [one for one in office.settings.handler if one.address and (one.digest or one.login in waiting)]


def _waiting(session: Session) -> set[str]:
    """For whom warnings wait."""
    statement = select(col(Notice.login)).where(_WAITS).distinct()
    return set(session.connection().execute(statement).scalars())


def _hand_on(office: Office, now: datetime) -> None:
    """What waits for somebody who has left, or has no address any more, is told to the supervisors."""
    settings = office.settings
    reached = {one.login for one in settings.handler if one.address}
    them = [login for login in supervisors(settings) if login in reached]
    with office.book.read() as session:
        gone = _waiting(session) - reached
    if not gone or not them:
        return
    with office.book.write() as session:
        taken = update(Notice).where(_WAITS, col(Notice.login).in_(gone)).values(login=them[0])
        deadlines = set(session.connection().execute(taken.returning(col(Notice.deadline_id))).scalars())
        rows = [{"login": login, "deadline_id": one, "at": now} for login in them[1:] for one in sorted(deadlines)]
        add_all(session, Notice, rows)


def _last_day(office: Office, session: Session, login: str, now: datetime) -> date | None:
    """The last day that was done with; None for none, also where nobody can read which.

    Of a clock that was set back it may lie ahead.  What one that stood far ahead has written is passed over: it would
    take all the days until then their digests.
    """
    furthest = (office.calendar.day_of(now) + _AHEAD).isoformat()
    statement = select(func.max(col(Digest.day))).where(col(Digest.login) == login, col(Digest.day) <= furthest)
    try:
        found = session.connection().execute(statement).scalar()
        return None if found is None else date.fromisoformat(found)
    except MISREAD as fault:
        if not is_misread(fault):
            raise
        return None


def _next_for(office: Office, person: Handler, last: date | None, now: datetime) -> datetime:
    """The first instant from `now` on, in office hours, at which a digest is due that no day before has had."""
    calendar = office.calendar
    day = calendar.day_of(now)
    if last is not None:
        day = max(day, last + _ONE_DAY)
    while True:
        day = calendar.this_or_next_working_day(day)
        spells = calendar.open_spells(day)
        wanted = _moment(office, person, day, spells)
        for begin, end in spells:
            if (at := max(begin, wanted, now)) < end:
                return at
        day += _ONE_DAY


def _moment(office: Office, person: Handler, day: date, spells: Sequence[tuple[datetime, datetime]]) -> datetime:
    """When somebody wants it on this day; who wants it after closing time has it before that."""
    begin, end = spells[-1]
    last = max(begin, end - _BEFORE_CLOSING)
    return (
        min(office.calendar.at(day, time.fromisoformat(person.digest_at)), last) if person.digest_at else spells[0][0]
    )


# What


def _write_one(office: Office, person: Handler, now: datetime) -> int:
    day = office.calendar.day_of(now).isoformat()
    with office.book.write() as session:
        row = {"login": person.login, "day": day, "at": now}
        claim = insert_missing(session, Digest).returning(key(Digest.id))
        number = session.connection().execute(claim, row).scalar()
        if number is None:
            return 0  # another daemon has it
        # What comes for them from now on waits for the next.
        theirs = update(Notice).where(_WAITS, col(Notice.login) == person.login)
        session.connection().execute(theirs.values(digest_id=number))
        facts = _facts(office, session, person, number, now)
        if not (facts.missed or facts.due_today or facts.due_soon):
            return 1
        natural = f"digest/{person.login}/{day}"
        letter = queue_digest(office, session, login=person.login, n=number, natural=natural, facts=facts, now=now)
        if letter is None:  # none may go there; what it would have told waits on
            again = update(Notice).where(col(Notice.digest_id) == number)
            session.connection().execute(again.values(digest_id=None))
        session.connection().execute(update(Digest).where(col(Digest.id) == number).values(letter_id=letter))
    return 1


def _facts(office: Office, session: Session, person: Handler, number: int, now: datetime) -> LetterFacts:
    organisation = office.settings.organisation
    supervises = person.role == "supervisor"
    tonight = office.calendar.end_of(office.calendar.day_of(now))
    own = col(Case.handler) == person.login
    theirs = or_(own, col(Case.handler).is_(None)) if supervises else own
    everybody = [] if supervises else [own]
    missed = [*everybody, col(Case.next_due_at) <= now, col(Deadline.due_at) <= now]
    today = [theirs, col(Case.next_due_at) <= tonight, col(Deadline.due_at) > now, col(Deadline.due_at) <= tonight]
    noticed = select(col(Notice.deadline_id)).where(col(Notice.digest_id) == number)
    soon = [key(Deadline.id).in_(noticed), col(Deadline.due_at) > now]
    soon.append(~_all(today))
    parts = {"missed": missed, "due_today": today, "due_soon": soon}
    lines = {name: tuple(_lines(office, session, person.login, where)) for name, where in parts.items()}
    more = sum(_count(session, parts[name]) for name, found in lines.items() if len(found) == _MOST) - _MOST * sum(
        len(found) == _MOST for found in lines.values()
    )
    return LetterFacts(
        organisation=organisation.name,
        organisation_address=organisation.address,
        reference="",
        received_at=now,
        timezone=organisation.timezone,
        region=organisation.region,
        handler=name_of(office.settings, person.login),
        more=str(more) if more else "",
        written_at=now,
        **lines,  # type: ignore[arg-type]  # by name
    )


def _all(conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    joined = conditions[0]
    for one in conditions[1:]:
        joined = joined & one
    return joined


def _owed(what: Any, where: Sequence[Any]) -> Any:
    """What is owed on open cases, of those that stand still nothing."""
    return (
        select(*what)
        .join(Case, col(Case.id) == col(Deadline.case_id))
        .where(col(Case.is_open).is_(True), col(Deadline.settled_at).is_(None), col(Deadline.state) != "paused", *where)
    )


def _count(session: Session, where: Sequence[Any]) -> int:
    found: int = session.connection().execute(_owed([func.count(key(Deadline.id))], where)).scalar_one()
    return found


def _lines(office: Office, session: Session, login: str, where: Sequence[Any]) -> Iterable[StaffLine]:
    what = [
        *(col(Case.reference), col(Case.subject), col(Case.pack), col(Case.handler)),
        *(col(Deadline.label), col(Deadline.pack), col(Deadline.due_at)),
    ]
    statement = _owed(what, where).order_by(col(Deadline.due_at), key(Deadline.id)).limit(_MOST)
    for reference, subject, main, handler, label, pack, due_at in session.connection().execute(statement):
        yield StaffLine(
            reference,
            subject,
            label if pack == main else f"{label} ({pack})",
            due_at,
            "" if handler == login else name_of(office.settings, handler),
        )
