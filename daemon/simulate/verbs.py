"""The weeks as they come about: every complaint filed, every letter sent and every date kept by the real verbs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Final

from sqlalchemy import select
from sqlmodel import Session, col

from amends.cases.outcomes import Outcome, Remedy
from amends.cases.stages import Stage
from amends.casework import clockwork, correspondence, handling, intake, post
from amends.casework.actors import Actor
from amends.casework.office import Office
from amends.casework.plans import pack_of
from amends.config import Settings
from amends.deadlines.model import Pack, RequiredLetter
from amends.kernel.errors import NeedsOperator, Refused
from amends.ledger import views
from amends.ledger.tables import Case, Deadline, Event, Letter
from amends.letters.kinds import LetterKind
from daemon.simulate import words
from daemon.simulate.desk import Desk, Task
from daemon.simulate.estimate import offered
from daemon.simulate.hours import WorkingTime
from daemon.simulate.result import Complaint, Kept, Played
from daemon.simulate.scratch import Hand, login_of, scratch_office
from daemon.simulate.work import Effort, Meant, Work, is_option, meant_by

OWNER: Final = "simulation"
_AT_ONCE: Final = 50
_FINDING: Final = correspondence.Finding(Outcome.UPHELD, Remedy("We put it right.", None, ""), "invented")


class Verbs:
    """The world of an office: what a handler could do is what its store says, and is done by its verbs."""

    def __init__(
        self, office: Office, hand: Hand, facts: Mapping[str, str], *, step: Callable[[], None] = lambda: None
    ) -> None:
        self._office = office
        self._hand = hand
        self._facts = facts
        self._step = step
        self._ids: dict[int, int] = {}
        self._closed: set[int] = set()
        self._meant: dict[tuple[str, str, str], Meant | None] = {}

    def run_to(self, now: datetime) -> None:
        """Let the clock and the outbox do what falls due until now, each at its instant."""
        while True:
            coming = (clockwork.next_instant(self._office, now=self._office.now()), post.next_leaving(self._office))
            due = [instant for instant in coming if instant is not None and instant <= now]
            if not due:
                break
            self._hand.now = min(due)
            if not clockwork.tick(self._office, now=self._hand.now) + self._post():
                break
        self._hand.now = now

    def arrive(self, case: int, now: datetime) -> None:
        raw, reading = words.complaint(case, to=self._office.settings.organisation.address, at=now)
        incoming = intake.Incoming("simulation", 1, case + 1, raw, now, history=False)
        (stored,) = intake.store(self._office, [incoming], now=now)
        (filed,) = intake.file(self._office, [(stored.arrival_id, reading)], now=now)
        with self._office.book.read() as session:
            found = None if filed.reference is None else views.case_id(session, filed.reference)
        if found is None:
            raise NeedsOperator(f"An invented complaint was not filed but {filed.state}; tell the makers of Amends.")
        self._ids[case] = found
        for name, value in self._facts.items():
            handling.set_fact(self._office, found, name, value, actor=self._actor(0), now=now)
        self._post()
        self._step()

    def tasks(self, case: int) -> list[Task]:
        if case in self._closed:
            return []
        with self._office.book.read() as session:
            row = session.get_one(Case, self._ids[case])
            owed = select(Deadline).where(col(Deadline.case_id) == row.id, col(Deadline.settled_at).is_(None))
            return offered(
                case,
                [
                    (self._meant_by(one), one.due_at, date.fromisoformat(one.due_date), one.starts_at)
                    for one in session.scalars(owed)
                ],
                answered=Stage(row.stage) is Stage.RESPONDED,
                main=row.pack,
                calendar=self._office.calendar,
            )

    def take_up(self, task: Task, handler: int, now: datetime) -> None:
        actor, case_id = self._actor(handler), self._ids[task.case]
        handling.assign(self._office, case_id, actor.login, actor=actor, now=now)

    def carry_out(self, task: Task, handler: int, now: datetime) -> None:
        actor, case_id = self._actor(handler), self._ids[task.case]
        with self._office.book.read() as session:
            row = session.get_one(Case, case_id)
            packs, reference = self._office.packs_of(row), row.reference
        if task.meant.work is Work.ANSWER:
            self._answer(case_id, packs, reference, actor, now)
            self._closed.add(task.case)
            self._step()
            return
        letter = _named(packs, task.meant)
        if letter is None or letter.form != "letter" or not self._write(case_id, packs, letter, reference, actor, now):
            handling.record_event(self._office, case_id, task.meant.name, actor=actor, now=now)
        self._post()

    def _answer(self, case_id: int, packs: Sequence[Pack], reference: str, actor: Actor, now: datetime) -> None:
        """The final response, and with it the end of the case."""
        finals = [one for pack in packs for one in pack.letter if one.kind == str(LetterKind.FINAL_RESPONSE)]
        of_main = [one for one in finals if one in packs[0].letter]
        of_stage = [one for one in of_main if one.stage in ("", _first_stage(packs[0]))]
        counts_as = _decision(of_stage).id if len(of_stage) > 1 else ""
        office, kind = self._office, LetterKind.FINAL_RESPONSE
        letter = correspondence.draft(office, case_id, kind, counts_as=counts_as, actor=actor, now=now)
        text = words.letter(packs, finals, reference=reference, day=words.promised(now))
        correspondence.save(office, letter, text, actor=actor, now=now)
        try:
            correspondence.respond(office, letter, _FINDING, actor=actor, now=now)
        except Refused as refused:
            raise NeedsOperator(f"The invented answer does not suit {packs[0].id}: {refused}") from refused
        self._post()
        self._close(case_id, packs, actor, now)

    def _close(self, case_id: int, packs: Sequence[Pack], actor: Actor, now: datetime) -> None:
        """What the packs want before, besides the answer, is recorded as done by another way."""
        try:
            handling.close(self._office, case_id, actor=actor, now=now)
        except Refused:
            for one in [letter for pack in packs for letter in pack.letter if letter.closes]:
                handling.record_event(self._office, case_id, one.id, actor=actor, now=now)
            handling.close(self._office, case_id, actor=actor, now=now)

    def _write(
        self,
        case_id: int,
        packs: Sequence[Pack],
        letter: RequiredLetter,
        reference: str,
        actor: Actor,
        now: datetime,
    ) -> bool:
        """A shorter letter, as the one of its pack that it is; False where it may not leave as such."""
        kind = LetterKind(letter.kind or LetterKind.REPLY)
        kind = kind if kind in correspondence.BY_HAND else LetterKind.REPLY
        draft = correspondence.draft(self._office, case_id, kind, counts_as=letter.id, actor=actor, now=now)
        text = words.letter(packs, [letter], reference=reference, day=words.promised(now))
        correspondence.save(self._office, draft, text, actor=actor, now=now)
        try:
            correspondence.send(self._office, draft, actor=actor, now=now)
        except Refused:
            correspondence.discard(self._office, draft, actor=actor, now=now)
            return False
        return True

    def _post(self) -> int:
        """Every letter whose time has come is taken by a mail server that never fails."""
        gone, now = 0, self._hand.now
        while True:
            claimed = post.claim(self._office, OWNER, limit=_AT_ONCE, now=now)
            if claimed:
                ours = post.before_dots(self._office, OWNER, {one.letter_id: False for one in claimed}, now=now)
                taken = [post.Carried(one, post.Accepted("250 2.0.0 Ok")) for one in sorted(ours)]
                post.record(self._office, OWNER, taken, now=now)
            gone += len(claimed)
            if len(claimed) < _AT_ONCE:
                return gone

    def _meant_by(self, deadline: Deadline) -> Meant | None:
        key = (deadline.pack, deadline.pack_version, deadline.kind)
        if key not in self._meant:
            pack = pack_of(self._office, deadline)
            self._meant[key] = None if pack is None else meant_by(pack, pack.rule(deadline.kind))
        return self._meant[key]

    def _actor(self, handler: int) -> Actor:
        return Actor(login_of(handler), f"Handler {handler + 1}", "handler")


def _named(packs: Sequence[Pack], meant: Meant) -> RequiredLetter | None:
    pack = next(one for one in packs if one.id == meant.pack)
    return next((one for one in pack.letter if one.id == meant.name), None)


def _decision(letters: Sequence[RequiredLetter]) -> RequiredLetter:
    """Of several letters that answer, the one without which no case is closed."""
    return next((one for one in letters if one.closes), letters[0])


def _first_stage(pack: Pack) -> str:
    return next((stage.id for stage in pack.stage if stage.opens is None), "")


def play(
    settings: Settings,
    arrivals: Sequence[datetime],
    handlers: int,
    *,
    effort: Effort,
    facts: Mapping[str, str],
    days: tuple[date, date],
    step: Callable[[], None] = lambda: None,
) -> Played:
    """The weeks with so many handlers, on a store in memory.

    `days` are the first and the last day on which complaints come; `step` is called twice for each complaint.
    """
    hand = Hand(arrivals[0])
    with scratch_office(settings, hand) as office, _seldom_swept():
        hours = WorkingTime(office.calendar, days[0])
        desk = Desk(Verbs(office, hand, facts, step=step), handlers, hours, effort)
        desk.work_through(arrivals)
        spell = hours.between(office.calendar.at(days[0], datetime.min.time()), office.calendar.end_of(days[1]))
        return _told(office, handlers, busy=desk.worked / (spell * handlers) if spell else 0.0)


@contextmanager
def _seldom_swept() -> Iterator[None]:
    """Python looks for unreachable rings of objects less often: each look costs, and the rows leave few."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _told(office: Office, handlers: int, *, busy: float) -> Played:
    """What the store says of it all."""
    automatic = (col(Letter.automatic).is_(True), col(Letter.staff).is_(False), col(Letter.sent_at).is_not(None))
    letters = select(col(Letter.sent_at)).where(*automatic).order_by(col(Letter.sent_at))
    warnings = select(col(Event.at)).where(col(Event.kind) == "deadline-warning").order_by(col(Event.at))
    local = office.calendar.day_of
    with office.book.read() as session:
        dates, late = _dates(office, session)
        return Played(
            handlers=handlers,
            complaints=tuple(
                _complaint(office, case, late=case.id in late)
                for case in session.scalars(select(Case).order_by(col(Case.id)))
            ),
            dates=dates,
            letters=tuple(local(at) for at in session.connection().execute(letters).scalars() if at is not None),
            warnings=tuple(map(local, session.connection().execute(warnings).scalars())),
            busy=busy,
        )


def _complaint(office: Office, case: Case, *, late: bool) -> Complaint:
    def day(at: datetime | None) -> date | None:
        return None if at is None else office.calendar.day_of(at)

    return Complaint(office.calendar.day_of(case.received_at), day(case.responded_at), day(case.closed_at), late)


def _dates(office: Office, session: Session) -> tuple[tuple[Kept, ...], set[int]]:
    """Every date, and the cases, by id, whose answer missed one.

    Those of mere options are left out, and of what the closing of the case ended as it began.
    """
    dates: list[Kept] = []
    late: set[int] = set()
    for one in session.scalars(select(Deadline).order_by(col(Deadline.id))):
        pack = pack_of(office, one)
        at_once_over = one.state == "cancelled" and one.settled_at is not None and one.settled_at <= one.starts_at
        if pack is None or at_once_over or is_option(pack, rule := pack.rule(one.kind)):
            continue
        meant = meant_by(pack, rule)
        answer, missed = meant is not None and meant.work is Work.ANSWER, one.breached_at is not None
        dates.append(Kept(one.pack, one.kind, one.label, date.fromisoformat(one.due_date), missed, answer))
        if answer and missed:
            late.add(one.case_id)
    return tuple(dates), late
