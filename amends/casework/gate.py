"""The gate: the one function that every automatic letter passes, to a complainant or to staff (RFC 3834, 2).

Three things shut it for one address: a letter to it came back for good, until a handler corrects or clears it; it
answers like a machine that does not say so; it had as many automatic letters within a day as the configuration
allows.  Addresses that differ in a tag or in what a machine draws by lot are one.  A fourth shuts it for a domain, for
loops that answer from another address each time.  The breaker is for all addresses at once: while more letters than
the configuration allows answered what came just after another automatic letter, letters of that sort do not leave the
outbox; nobody's first letter is one.  Nothing is thrown away by it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Text, bindparam, cast, delete, func, null, or_, select, update
from sqlmodel import Session, col

from amends.casework import ahead
from amends.casework.actors import Actor
from amends.casework.casefile import CaseFile
from amends.casework.office import Office, read_meta, write_meta
from amends.conversation.domains import crowd, essence, is_shared, looks_like
from amends.conversation.machines import SLACK, TWICE, Said, answers_at_once, repeats
from amends.kernel.errors import NotFound, Refused
from amends.kernel.instants import iso
from amends.ledger.book import add_missing
from amends.ledger.columns import key
from amends.ledger.seals import address_seal
from amends.ledger.tables import Arrival, Blocked, Case, Letter, Message, Participant
from amends.letters.address import sendable

DAY: Final = timedelta(days=1)
WINDOW: Final = timedelta(minutes=10)
"""How far back the breaker looks."""
MACHINE: Final = "it answers our automatic letters as a machine does"
UNDELIVERABLE: Final = "a letter to it came back as undeliverable"
HELD: Final = "Held, as it may belong to a loop: too many letters answer mail that came just after another one."
NEWEST: Final = 500
"""How many of the newest letters are looked through for those to one domain."""

# A reply of a server that speaks of the recipient's address alone (RFC 3463, 3.2).
_NO_SUCH_ADDRESS: Final = re.compile(r"5\d\d[ -]5\.1\.(?:[0-36]|10)\b")


@dataclass(frozen=True, slots=True)
class Answered:
    """The message that a letter answers: its row, what it says, and whether it may be answered, or why not."""

    message_id: int
    said: Said
    answerable: bool = True
    because: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of an address: its automatic letters of a day, its messages of a day, and why it is blocked.

    `domain` counts the automatic letters of a day to its whole domain that were there when the message came.
    """

    letters: tuple[datetime, ...] = ()
    messages: tuple[Said, ...] = ()
    blocked: str | None = None
    domain: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`shut` says why the letter may not go, or is None.  `machine`: the address gave itself away just now.

    `again`: it answers what came just after another automatic letter, which is what the breaker counts.
    """

    shut: str | None = None
    machine: bool = False
    again: bool = False


def judge(past: Past, answered: Answered | None, *, limit: int, of_domain: int = 100, now: datetime) -> Verdict:
    """The rule, over what is known.  `limit` is of automatic letters to one address in a day, `of_domain` to a domain.

    Of a domain only those count that were there when the message came: a backlog is none of their doing.
    """
    if answered is not None and not answered.answerable:
        return Verdict(answered.because or "the message may not be answered automatically")
    if past.blocked is not None:
        return Verdict(past.blocked)
    if answered is not None and _is_machine(past, answered):
        return Verdict(MACHINE, machine=True)
    sent = len(past.letters)
    if sent >= limit:
        return Verdict(f"{sent} automatic letters went to this address within a day (the limit is {limit})")
    if past.domain >= of_domain:
        return Verdict(
            f"{past.domain} automatic letters went to the domain of this address within a day, and answers keep coming "
            f"(the limit is {of_domain})"
        )
    again = answered is not None and any(
        now - WINDOW <= letter and answered.said.after(letter) for letter in past.letters
    )
    return Verdict(again=again)


def _is_machine(past: Past, answered: Answered) -> bool:
    if len(past.letters) < TWICE:
        return False
    messages = [*past.messages, answered.said]
    return repeats(answered.said, past.messages, past.letters) or answers_at_once(messages, past.letters)


def ask_for_staff(office: Office, session: Session, to: str, *, now: datetime) -> Verdict:
    """May a letter to staff go to `to` now?  Each goes once for one deadline or day, and nobody's mail sets it off."""
    return _unfit(office, to) or Verdict(_why_staff_blocked(session, to, now))


def _why_staff_blocked(session: Session, to: str, now: datetime) -> str | None:
    if (known := ahead.ahead_of(session)) is not None and to in known.staff:
        return known.staff[to]
    return why_blocked(session, to, now=now)


def _unfit(office: Office, to: str) -> Verdict | None:
    if to in office.settings.organisation.own_addresses:
        return Verdict("the address is our own")
    try:
        sendable(to)
    except Refused as unfit:
        return Verdict(str(unfit))
    return None


def ask(file: CaseFile, to: str, *, answered: Answered | None = None) -> Verdict:
    """May an automatic letter on this case go to `to` now?  What it learns of the address is kept."""
    office, session, now = file.office, file.session, file.now
    if (unfit := _unfit(office, to)) is not None:
        return unfit
    past = _past_of(session, to, answered, now)
    letters = office.settings.letters
    domain, shared = to.rpartition("@")[2], letters.shared_domains
    if answered is not None and past.blocked is None and not is_shared(domain, shared):
        past = replace(past, domain=_letters_to_domain(session, domain, shared, answered.said, now))
    limits = {"limit": letters.auto_limit_per_day, "of_domain": letters.auto_limit_per_domain}
    verdict = judge(past, answered, **limits, now=now)
    if verdict.machine:
        block(file, to, MACHINE, until=now + DAY)
    return verdict


_AUTOMATIC: Final = (
    col(Letter.queued_at) > bindparam("since"),
    col(Letter.automatic).is_(True),
    col(Letter.staff).is_(False),
)
_HISTORY: Final = (
    select(col(Letter.to_address), col(Letter.queued_at), cast(null(), Text))
    .where(col(Letter.to_address).in_(bindparam("to", expanding=True)), *_AUTOMATIC)
    .union_all(
        select(col(Blocked.address), col(Blocked.since), col(Blocked.because)).where(
            col(Blocked.address).in_(bindparam("to", expanding=True)),
            or_(col(Blocked.until).is_(None), col(Blocked.until) > bindparam("now")),
        )
    )
)
_WROTE: Final = (
    select(col(Message.at), func.min(col(Arrival.stored_at)), col(Message.new_text))
    .join(Participant, col(Participant.case_id) == col(Message.case_id))
    .join(Arrival, col(Arrival.raw_id) == col(Message.raw_id))
    .where(
        col(Participant.address) == bindparam("to"),
        col(Message.from_address) == bindparam("to"),
        col(Message.direction) == "in",
        col(Message.at) > bindparam("since"),
        col(Message.id) != bindparam("own"),
    )
    .group_by(key(Message.id), col(Message.at), col(Message.new_text))
    .order_by(key(Message.id).desc())
    .limit(20)
)


def history(
    session: Session, addresses: Collection[str], now: datetime
) -> dict[str, tuple[list[datetime], str | None]]:
    """Of each address the instants of its automatic letters of a day, and why it is blocked or None."""
    found: dict[str, tuple[list[datetime], str | None]] = {address: ([], None) for address in addresses}
    values = {"to": list(addresses), "since": now - DAY, "now": now}
    for address, at, because in session.connection().execute(_HISTORY, values):
        letters, blocked = found[address]
        if because is None:
            letters.append(at)
        found[address] = letters, because or blocked
    return found


def queued(session: Session, address: str, at: datetime) -> None:
    """An automatic letter to this address goes out: so that the next of the same transaction knows of it."""
    if (known := ahead.ahead_of(session)) is not None and address in known.letters:
        known.letters[address][0].append(at)


def _past_of(session: Session, to: str, answered: Answered | None, now: datetime) -> Past:
    known = ahead.ahead_of(session)
    found = known.letters if known is not None and to in known.letters else history(session, [to], now)
    letters, blocked = tuple(found[to][0]), found[to][1]
    if (one := essence(to)) != to:
        letters = _letters_to_essence(session, one, now)
    if answered is None or len(letters) < TWICE:  # so hardly anybody's messages are looked up
        return Past(letters, (), blocked)
    if known is not None:
        known.write(session)
    wrote = session.connection().execute(_WROTE, {"to": to, "since": now - DAY, "own": answered.message_id})
    return Past(letters, tuple(Said(*row) for row in wrote), blocked)


_OF_A_DAY: Final = (  # answered by an index alone
    select(col(Letter.queued_at), col(Letter.to_address))
    .where(*_AUTOMATIC)
    .order_by(col(Letter.queued_at).desc())
    .limit(NEWEST)
)
_LIKE: Final = _OF_A_DAY.where(col(Letter.to_address).like(bindparam("like"), escape="\\"))


def _letters_to_essence(session: Session, one: str, now: datetime) -> tuple[datetime, ...]:
    """The automatic letters of a day to all addresses of this essence."""
    like = "%".join(map(_literal, looks_like(one)))
    rows = session.connection().execute(_LIKE, {"like": like, "since": now - DAY})
    return tuple(at for at, address in rows if at is not None and essence(address) == one)


def _letters_to_domain(session: Session, domain: str, shared: Collection[str], said: Said, now: datetime) -> int:
    """How many automatic letters to `domain`, and to those beside and below it, were queued before the message came.

    Of a day, and among the newest.
    """
    known = ahead.ahead_of(session)
    if known is None:
        letters = _by_domain(session, shared, now)
    elif known.domains is None:
        letters = known.domains = _by_domain(session, shared, now)
    else:  # what was queued since came after every message that this transaction files
        letters = known.domains
    until = min(said.had_at, said.at + SLACK)
    return sum(at < until for at in letters.get(crowd(domain, shared), ()))


def _by_domain(session: Session, shared: Collection[str], now: datetime) -> dict[str, list[datetime]]:
    letters: dict[str, list[datetime]] = {}
    of_one: dict[str, list[datetime]] = {}
    rows: Iterable[Any] = session.connection().execute(_OF_A_DAY, {"since": now - DAY})
    for at, address in rows:
        of_one.setdefault(address.rpartition("@")[2], []).append(at)
    for domain, times in of_one.items():
        letters.setdefault(crowd(domain, shared), []).extend(times)
    return letters


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


# Addresses that are blocked


@dataclass(frozen=True, slots=True)
class BlockedAddress:
    """An address that gets no automatic letters: since when, until when (None: until a handler's word), and why."""

    address: str
    since: datetime
    until: datetime | None
    because: str
    reference: str

    def as_json(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "since": iso(self.since),
            "until": None if self.until is None else iso(self.until),
            "because": self.because,
            "case": self.reference,
        }


def block(file: CaseFile, address: str, because: str, *, until: datetime | None = None) -> None:
    """From now on no automatic letter goes to `address`; the case on which it showed says so.  The caller saves it."""
    values: dict[str, Any] = {"since": file.now, "until": until, "because": because, "case_id": file.id}
    add_missing(file.session, Blocked, [{"address": address, **values}])
    file.session.connection().execute(update(Blocked).where(col(Blocked.address) == address).values(**values))
    if (known := ahead.ahead_of(file.session)) is not None and address in known.letters:
        known.letters[address] = known.letters[address][0], because
    file.record("address-blocked", digest=address_seal(file.row, address), because=because)
    file.touch()


def clear(office: Office, address: str, *, actor: Actor, now: datetime) -> None:
    """A handler's word that automatic letters may go to `address` again.  Raises NotFound if it is not blocked."""
    actor.may_write()
    address = address.strip().lower()
    with office.book.write() as session:
        row = session.get(Blocked, address)
        if row is None:
            raise NotFound("That address is not blocked; `amends blocked` lists those that are.")
        file = CaseFile.open(office, session, row.case_id, actor=actor, now=now)
        unblock(file, address)
        file.save()


def unblock(file: CaseFile, address: str) -> None:
    """The same inside another verb, and nothing where the address is not blocked."""
    gone = file.session.connection().execute(delete(Blocked).where(col(Blocked.address) == address))
    if gone.rowcount:
        file.record("address-cleared", digest=address_seal(file.row, address))
        file.touch()


def blocked(session: Session, *, now: datetime) -> list[BlockedAddress]:
    """The addresses that are blocked at `now`, the newest first."""
    statement = (
        select(col(Blocked.address), col(Blocked.since), col(Blocked.until), col(Blocked.because), col(Case.reference))
        .join(Case, col(Case.id) == col(Blocked.case_id))
        .where(or_(col(Blocked.until).is_(None), col(Blocked.until) > now))
        .order_by(col(Blocked.since).desc(), col(Blocked.address))
    )
    return [BlockedAddress(*row) for row in session.connection().execute(statement)]


def why_blocked(session: Session, address: str, *, now: datetime) -> str | None:
    """Why no automatic letter goes to this address now, or None."""
    return why_each_blocked(session, [address], now=now)[address]


def why_each_blocked(session: Session, addresses: Collection[str], *, now: datetime) -> dict[str, str | None]:
    """The same of each of these addresses."""
    found: dict[str, str | None] = dict.fromkeys(addresses)
    for address, because in session.connection().execute(_WHY_BLOCKED, {"to": list(addresses), "now": now}):
        found[address] = because
    return found


_WHY_BLOCKED: Final = select(col(Blocked.address), col(Blocked.because)).where(
    col(Blocked.address).in_(bindparam("to", expanding=True)),
    or_(col(Blocked.until).is_(None), col(Blocked.until) > bindparam("now")),
)


def names_no_address(answer: str) -> bool:
    """Whether a server refused a letter because there is no such address, and not for what the letter says."""
    return _NO_SUCH_ADDRESS.match(answer) is not None


# The breaker


@dataclass(frozen=True, slots=True)
class Breaker:
    """How many letters of the last ten minutes it counts, of how many that it lets pass; what it holds now.

    `since` is when it last opened, also if that is over.
    """

    counted: int
    limit: int
    held: int = 0
    since: datetime | None = None

    @property
    def tripped(self) -> bool:
        return self.counted > self.limit


_COUNT: Final = select(func.count()).where(col(Letter.again).is_(True), col(Letter.queued_at) > bindparam("since"))


def is_tripped(office: Office, session: Session, *, now: datetime) -> bool:
    """Whether letters that may belong to a loop are held now."""
    return _counted(session, now) > office.settings.letters.breaker_per_ten_minutes


def _counted(session: Session, now: datetime) -> int:
    since = now - WINDOW
    counted = session.connection().execute(_COUNT, {"since": since}).scalar() or 0
    if counted and (released := read_meta(session, "breaker_released_at")) is not None:
        since = max(since, datetime.fromisoformat(released))
        counted = session.connection().execute(_COUNT, {"since": since}).scalar() or 0
    return counted


def why_held(office: Office, *, now: datetime) -> str | None:
    """What an operator is told while the breaker holds letters, or None; the letters are marked."""
    with office.book.read() as session:
        if not is_tripped(office, session, now=now):
            return None
        marked = session.connection().execute(_unmarked().limit(1)).first() is None
    if not marked:
        with office.book.write() as session:
            mark_held(session, now=now)
    return (
        "Too many automatic letters answered mail that came just after another one, as in a loop, and letters of that "
        "sort are held; look at amendsd breaker and amends blocked, and let them leave by amendsd breaker --go."
    )


def breaker(office: Office, session: Session, *, now: datetime) -> Breaker:
    """The breaker whole, for whoever looks at it."""
    limit = office.settings.letters.breaker_per_ten_minutes
    counted = _counted(session, now)
    waiting = select(func.count()).where(col(Letter.state) == "queued", col(Letter.again).is_(True))
    held = session.connection().execute(waiting).scalar() or 0 if counted > limit else 0
    opened = read_meta(session, "breaker_opened_at")
    return Breaker(counted, limit, held, None if opened is None else datetime.fromisoformat(opened))


def _unmarked() -> Any:
    return select(key(Letter.id)).where(
        col(Letter.state) == "queued", col(Letter.again).is_(True), col(Letter.error).is_(None)
    )


def mark_held(session: Session, *, now: datetime) -> None:
    """The letters that the breaker holds say so where the outbox shows them."""
    marked = session.connection().execute(
        update(Letter)
        .where(col(Letter.state) == "queued", col(Letter.again).is_(True), col(Letter.error).is_(None))
        .values(error=HELD)
    )
    if marked.rowcount:
        write_meta(session, "breaker_opened_at", now.isoformat())


def let_go(office: Office, *, now: datetime) -> int:
    """An operator's word that the held letters may leave; what was counted counts no more.  Returns how many go."""
    with office.book.write() as session:
        write_meta(session, "breaker_released_at", now.isoformat())
        freed = session.connection().execute(
            update(Letter).where(col(Letter.state) == "queued", col(Letter.error) == HELD).values(error=None)
        )
        return freed.rowcount
