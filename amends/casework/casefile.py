"""One case inside one transaction: its row, the growing end of its ledger, its deadlines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import Session, col

from amends.cases.stages import Stage, step
from amends.casework.actors import SYSTEM, Actor
from amends.casework.ahead import of_case
from amends.casework.office import Office
from amends.casework.plans import Footing, begins_at, following_row, is_paused, is_void, rows_of, stands_on, with_pauses
from amends.deadlines.clocks import PlannedTick, TickKind, left_since, meets
from amends.deadlines.compute import Due
from amends.deadlines.model import RequiredLetter
from amends.deadlines.recount import Recount
from amends.kernel.errors import NotFound
from amends.kernel.instants import iso
from amends.ledger.book import add_all, add_loaded
from amends.ledger.chain import Chain
from amends.ledger.seals import words_seal
from amends.ledger.tables import Case, Deadline, Event, Message

Which = tuple[str, int, str]
"""A deadline of a case: its kind, its occurrence, the pack it is of."""
_TOGETHER: Final = "amends_together"  # in a session's info: the CaseFiles in which all its cases are opened and kept


class CaseFile:
    """A case opened for change.  The row is locked until the transaction ends; `save` seals what happened.

    Nothing else writes to `cases`, `deadlines` or `events`, so no verb can forget the ledger or the queue's order.
    """

    def __init__(self, office: Office, session: Session, row: Case, *, actor: Actor, now: datetime) -> None:
        self.office = office
        self.session = session
        self.row = row
        self.actor = actor
        self.now = now
        self._chain = Chain(row.reference, row.chain_length, row.chain_head)
        self._events: list[dict[str, Any]] = []
        self._sent: list[dict[str, Any]] = []
        self._due_changed = False
        self._owed: list[Deadline] | None = None
        self._started: list[dict[str, Any]] = []

    @classmethod
    def open(cls, office: Office, session: Session, case_id: int, *, actor: Actor, now: datetime) -> CaseFile:
        """The case, locked.  Raises NotFound."""
        together = _together(session)
        if together is not None and (found := together.find(case_id)) is not None:
            return found
        row = session.get(Case, case_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise NotFound("There is no such case.")
        return cls._opened(office, session, row, actor=actor, now=now)

    @classmethod
    def open_by(cls, reference: str, office: Office, session: Session, *, actor: Actor, now: datetime) -> CaseFile:
        """The case with this reference, locked.  Raises NotFound."""
        together = _together(session)
        if together is not None and (found := together.find_by(reference)) is not None:
            return found
        statement = select(Case).where(col(Case.reference) == reference).with_for_update()
        row = session.scalars(statement.execution_options(populate_existing=True)).first()
        if row is None:
            raise NotFound(f"There is no case {reference}; check the reference.")
        return cls._opened(office, session, row, actor=actor, now=now)

    @classmethod
    def look(cls, office: Office, session: Session, case_id: int, *, actor: Actor, now: datetime) -> CaseFile:
        """The case as it stands, for what only looks: not locked, and never saved.  Raises NotFound."""
        row = session.get(Case, case_id)
        if row is None:
            raise NotFound("There is no such case.")
        return cls(office, session, row, actor=actor, now=now)

    @classmethod
    def begin(
        cls, office: Office, session: Session, values: Mapping[str, Any], *, actor: Actor, now: datetime
    ) -> CaseFile:
        """A new case with these values; the row is in the store and has its id."""
        return cls._opened(office, session, add_loaded(session, Case, values), actor=actor, now=now)

    @classmethod
    def _opened(cls, office: Office, session: Session, row: Case, *, actor: Actor, now: datetime) -> CaseFile:
        file = cls(office, session, row, actor=actor, now=now)
        if (together := _together(session)) is not None:
            together.keep(file)
        return file

    @property
    def id(self) -> int:
        assert self.row.id is not None
        return self.row.id

    def record(self, kind: str, **data: Any) -> None:
        """Add one event.  `data` holds ids, states and digests, never what a person wrote."""
        self._events.append(self._chain.entry(self.now, self.actor.login, kind, data))

    def touch(self) -> None:
        """Say that somebody writing a letter on this case must look again before sending it."""
        self.row.version += 1

    def to_stage(self, stage: Stage) -> None:
        """Take the step, with its event.  Raises Refused."""
        before = Stage(self.row.stage)
        if before == stage:
            return
        self.row.stage = step(self.row.reference, before, stage)
        self.row.is_open = stage is not Stage.CLOSED
        self.record("stage", before=str(before), after=str(stage))

    def sent(self, message: dict[str, Any]) -> None:
        """Put a message that left on the case (a row of `messages` without its case_id)."""
        self._sent.append(message | {"case_id": self.id})
        self.row.messages_out += 1

    # Deadlines

    def unmet(self) -> list[Deadline]:
        """What is still owed, the earliest first; what is past due stays in it until it is met."""
        if self._owed is not None and self._started:
            self._owed += [add_loaded(self.session, Deadline, row) for row in self._started]
            self._owed.sort(key=lambda deadline: (deadline.due_at, deadline.id))
            self._started.clear()
        if self._owed is None:
            add_all(self.session, Deadline, self._started)
            self._started.clear()
            statement = select(Deadline).where(col(Deadline.case_id) == self.id, col(Deadline.settled_at).is_(None))
            self._owed = list(self.session.scalars(statement.order_by(col(Deadline.due_at), col(Deadline.id))))
        return [deadline for deadline in self._owed if deadline.settled_at is None]

    def pack_in_event(self, pack: str) -> dict[str, str]:
        """What an event says of the pack of a deadline: nothing where it is the main one."""
        return {} if pack == self.row.pack else {"pack": pack}

    def which(self, deadline: Deadline) -> dict[str, Any]:
        """A deadline as the events name it."""
        return {"deadline": deadline.kind, "occurrence": deadline.occurrence, **self.pack_in_event(deadline.pack)}

    def named(self, which: Sequence[Any]) -> Which:
        """(kind, occurrence, pack) of what a letter or an event names; without a pack it is the main one's."""
        kind, occurrence, *pack = which
        return kind, occurrence, pack[0] if pack else self.row.pack

    def start_deadlines(self, rows: Sequence[dict[str, Any]], *, earliest_is_known: bool = False) -> None:
        """Add deadlines (rows without case_id), one event for them all.

        `earliest_is_known`: the row says already which of them is due first.
        """
        if not rows:
            return
        self._started += [row | {"case_id": self.id} for row in rows]
        if (known := of_case(self.session, self.id)) is not None:
            for row in rows:
                numbers = known.occurrences.setdefault((row["pack"], row["kind"]), {})
                numbers[row["occurrence"]] = row["starts_at"], row["due_at"]
        facts = [
            {
                "deadline": row["kind"],
                "occurrence": row["occurrence"],
                **self.pack_in_event(row["pack"]),
                "due_at": iso(row["due_at"]),
                "basis": row["basis"],
            }
            for row in rows
        ]
        self.record("deadlines-started", deadlines=facts)
        self._due_changed = self._due_changed or not earliest_is_known

    def meet(
        self,
        letter_kind: str,
        *,
        at: datetime,
        automatic: bool = False,
        of: Which | None = None,
        letters: Mapping[str, RequiredLetter] | None = None,
        last: bool = False,
        written_at: datetime | None = None,
    ) -> None:
        """A letter of this kind was sent at `at`: what it meets is met, in time or late.

        An `automatic` letter meets only what the pack lets it: it is never an answer.
        A letter that the clock wrote `of` (deadline, occurrence) meets that one and those before it: it promised the
        next.  Any other meets what has begun to run.  What recurs goes on with its next occurrence, but after the
        `last` letter of a case.  `letters` says which letter of each pack it is; it meets nothing of another stage.
        What a review started after the letter was `written_at` is owed all the same.
        """
        for deadline in self.unmet():
            as_its = (letters or {}).get(deadline.pack)
            if as_its is not None and as_its.stage and deadline.stage not in ("", as_its.stage):
                continue
            kind, name = (as_its.kind or letter_kind, as_its.id) if as_its is not None else (letter_kind, "")
            met = meets(deadline.met_by, kind=kind, letter=name, automatic=automatic)
            if not met or self._is_of_later_review(deadline, written_at):
                continue
            if of is not None and (deadline.kind, deadline.pack) == (of[0], of[2]):
                meant = deadline.occurrence <= of[1]
            else:
                meant = begins_at(self.session, deadline) <= at
            if meant:
                self.meet_one(deadline, at=at)
                if not last:
                    self.start_following(deadline)

    def start_following(self, deadline: Deadline) -> dict[str, Any] | None:
        """Start the next occurrence of a recurring deadline; its row, or None where there is none to start."""
        row = following_row(self.office, self.session, deadline)
        if row is not None:
            self.start_deadlines([row])
        return row

    def meet_one(self, deadline: Deadline, *, at: datetime) -> None:
        """The deadline is met; if it was late, the breach goes on the record first and stays there.

        If a letter of ours left in time and we learn of that late, the breach that the clock recorded meanwhile is
        corrected; nobody's word does that.
        """
        self.end_pause(deadline, at=at, because="it was met")
        if at > deadline.due_at:
            self.breach(deadline)
        else:
            self._correct_breach(deadline)
        late = deadline.breached_at is not None
        deadline.met_at = at
        self._settle(deadline, "breached" if late else "met")
        self.record("deadline-met", **self.which(deadline), late=late)

    def move(self, deadline: Deadline, found: Due, ticks: Sequence[PlannedTick], *, because: str, by: str) -> None:
        """The deadline falls later, with what the clock has yet to do about it; a breach on the record stays there.

        A date that has passed as well is missed all the same: the clock finds that, however late it comes.
        """
        before, left = deadline.due_at, left_since(ticks, self.now)
        deadline.due_at, deadline.due_date = found.due_at, found.due_date.isoformat()
        deadline.derivation, deadline.moved = list(found.derivation), deadline.moved + 1
        deadline.ticks = rows_of(left)
        deadline.tick_no, deadline.tick_at = 0, left[0].at if left else None
        self.session.add(deadline)
        self._due_changed = True
        self.record(
            "deadline-extended",
            **self.which(deadline),
            due_at=iso(found.due_at),
            before_at=iso(before),
            because=because,
            approver=by,
        )
        self.touch()

    def recount(self, deadline: Deadline, found: Recount, *, derivation: Sequence[str], **why: Any) -> None:
        """The deadline is what it was counted anew to be; `why` goes into the event."""
        before = deadline.due_at
        deadline.due_at, deadline.due_date = found.due_at, found.due_date.isoformat()
        deadline.derivation = list(derivation)
        deadline.basis, deadline.label, deadline.stage = found.basis, found.label, found.stage
        deadline.met_by = list(found.met_by)
        deadline.ticks = [list(row) for row in found.ticks]
        deadline.tick_no, deadline.tick_at = found.tick_no, found.tick_at
        self.session.add(deadline)
        self.record(
            "deadline-recounted", **self.which(deadline), due_at=iso(found.due_at), before_at=iso(before), **why
        )
        self.look_what_is_next()
        if found.due_at != before:
            self.touch()

    def look_what_is_next(self) -> None:
        """Let the row say anew which deadline is owed next."""
        self._due_changed = True

    def begin_pause(self, deadline: Deadline, pause: Mapping[str, Any]) -> None:
        """The clock of a deadline stands still from now on; `pause` is an entry of its `pauses` that lasts."""
        on = stands_on(self.office, self.session, deadline)
        deadline.pauses = [*deadline.pauses, dict(pause)]
        deadline.state = "paused"
        self._replan(deadline, on)
        self.record(
            "deadline-paused",
            **self.which(deadline),
            begins_at=pause["begins_at"],
            until_at=pause["until"],
            due_at=iso(deadline.due_at),
            approver=pause["approver"],
            digest=words_seal(self.row, pause["reason"]),
        )
        self.touch()

    def end_pause(self, deadline: Deadline, *, at: datetime, because: str) -> bool:
        """The clock goes on since `at`, and the deadline falls when it would have, later by that; False if it ran."""
        if not is_paused(deadline):
            return False
        last, on = deadline.pauses[-1], stands_on(self.office, self.session, deadline)
        begins, until = (datetime.fromisoformat(last[name]) for name in ("begins_at", "until"))
        ended = max(begins, min(at, until))
        deadline.pauses = [*deadline.pauses[:-1], {**last, "ends_at": ended.isoformat()}]
        deadline.state = "breached" if deadline.breached_at else "open"
        self._replan(deadline, on)
        self.record(
            "deadline-resumed",
            **self.which(deadline),
            ends_at=ended.isoformat(),
            due_at=iso(deadline.due_at),
            because=because,
        )
        self.touch()
        return True

    def _replan(self, deadline: Deadline, on: Footing) -> None:
        """Date, reasons and ticks by its pauses.  While one lasts, its end is the first of the ticks."""
        last = deadline.pauses[-1]
        found, ticks = with_pauses(deadline, deadline.pauses, on)
        since = datetime.fromisoformat(last["ends_at"] or last["until"])
        left = left_since(ticks, since)
        if last["ends_at"] is None:
            left.insert(0, PlannedTick(since, TickKind.RESUME, "", "handler"))
        deadline.due_at, deadline.due_date = found.due_at, found.due_date.isoformat()
        deadline.derivation = list(found.derivation)
        deadline.ticks = rows_of(left)
        deadline.tick_no, deadline.tick_at = 0, left[0].at if left else None
        self.session.add(deadline)
        self._due_changed = True

    def put_back(
        self,
        deadline: Deadline,
        found: Due,
        ticks: Sequence[PlannedTick],
        *,
        moved: int,
        pauses: Sequence[Mapping[str, Any]],
        because: str,
    ) -> None:
        """The deadline, owed or not any more, falls when it would without a change that did not hold."""
        before, lasts = deadline.due_at, bool(pauses) and pauses[-1]["ends_at"] is None
        since = datetime.fromisoformat(pauses[-1]["until"]) if lasts else self.now
        left = left_since(ticks, since)
        if lasts:
            left.insert(0, PlannedTick(since, TickKind.RESUME, "", "handler"))
        elif deadline.state == "paused":
            deadline.state = "breached" if deadline.breached_at else "open"
        deadline.due_at, deadline.due_date = found.due_at, found.due_date.isoformat()
        deadline.derivation, deadline.moved = list(found.derivation), moved
        deadline.pauses = [dict(one) for one in pauses]
        deadline.ticks, deadline.tick_no = rows_of(left), 0
        deadline.tick_at = left[0].at if left and deadline.settled_at is None else None
        if deadline.breached_at is not None:
            deadline.breached_at = min(deadline.breached_at, found.due_at)
        self.session.add(deadline)
        self._due_changed = True
        self.record(
            "deadline-put-back",
            **self.which(deadline),
            due_at=iso(found.due_at),
            before_at=iso(before),
            void=[one["begins_at"] for one in pauses if is_void(one)],
            because=because,
        )
        self.touch()

    def miss_what_passed(self, deadline: Deadline) -> None:
        """Put the breach on the record if it has passed, or was met or given up after it had."""
        if is_paused(deadline):
            return  # the end of the pause is the clock's to find, and what follows from it
        settled = deadline.settled_at
        answered = self.row.responded_at
        if settled is not None and answered is not None and deadline.starts_at <= answered < settled:
            settled = answered  # when the answer left, and not when we learned that it had
        if (deadline.met_at or settled or self.now) > deadline.due_at:
            self.breach(deadline)

    def cancel_deadlines(
        self,
        *,
        because: str,
        only: Callable[[Deadline], bool] | None = None,
        at: datetime | None = None,
        written_at: datetime | None = None,
    ) -> list[Deadline]:
        """What need not be met any more (the case was answered, closed); a breach on the record stays there.

        `at`: since when, if that was before now; then nothing that was due later was breached.
        `written_at`: when the letter was written that ends them; what a review started later goes on.
        """
        cancelled = [
            deadline
            for deadline in self.unmet()
            if (only is None or only(deadline)) and not self._is_of_later_review(deadline, written_at)
        ]
        for deadline in cancelled:
            self.end_pause(deadline, at=at or self.now, because=because)
            if at is not None and at <= deadline.due_at:
                self._correct_breach(deadline)
            self._settle(deadline, "breached" if deadline.breached_at else "cancelled")
            self.record("deadline-cancelled", **self.which(deadline), because=because)
        return cancelled

    def restore_deadlines(self, named: Iterable[Which], *, because: str) -> None:
        """Owe again what was cancelled; the clock goes on with it where it had stopped."""
        wanted = set(named)
        self._owed = None
        for deadline in self.session.scalars(select(Deadline).where(col(Deadline.case_id) == self.id)):
            if (deadline.kind, deadline.occurrence, deadline.pack) not in wanted or deadline.met_at is not None:
                continue
            deadline.state, deadline.settled_at = "breached" if deadline.breached_at else "open", None
            left = deadline.ticks[deadline.tick_no :]
            deadline.tick_at = datetime.fromisoformat(left[0][0]) if left else None
            self.session.add(deadline)
            self._due_changed = True
            self.record("deadline-restored", **self.which(deadline), because=because)

    def breach(self, deadline: Deadline) -> None:
        """Put it on the record that the deadline passed unmet; it may still be met, late."""
        if deadline.breached_at is not None:
            return
        deadline.breached_at = deadline.due_at
        deadline.state = "breached"
        self.session.add(deadline)
        late = int((self.now - deadline.due_at) / timedelta(seconds=1))
        self.record("deadline-breached", **self.which(deadline), found_late_seconds=late)
        self.touch()

    def _is_of_later_review(self, deadline: Deadline, written_at: datetime | None) -> bool:
        """What receipt started is of no review, even if the mail server's clock, which dates it, is ahead of ours."""
        return written_at is not None and deadline.starts_at > max(written_at, self.row.received_at)

    def was_not_missed(self, deadline: Deadline, *, at: datetime) -> None:
        """A letter of ours that changes the date left at `at`: if that was in time, the old date was never missed."""
        if at <= deadline.due_at:
            self._correct_breach(deadline)

    def _correct_breach(self, deadline: Deadline) -> None:
        """Say that it was not breached after all, by an event of its own; the one of the breach stays in the ledger.

        Only on evidence of our own (the outbox learns late when a letter left): what somebody says of days that have
        passed takes no breach back.
        """
        if deadline.breached_at is None or self.actor.login != SYSTEM.login:
            return
        deadline.breached_at, deadline.state = None, "open"
        self.session.add(deadline)
        self.record("deadline-breach-corrected", **self.which(deadline))
        self.touch()

    def _settle(self, deadline: Deadline, state: str) -> None:
        deadline.state = state
        deadline.settled_at = self.now
        deadline.tick_at = None
        self.session.add(deadline)
        self._due_changed = True

    def save(self) -> None:
        """Write the events and the row.  Called once, at the end of a verb."""
        if _together(self.session) is None:
            save_all(self.session, [self])

    def _seal(self) -> None:
        """Let the row say what is due next, and where the ledger ends."""
        if self._due_changed:
            owed = [(deadline.due_at, deadline.kind, is_paused(deadline)) for deadline in self.unmet()]
            self.row.next_due_at, self.row.next_deadline, self.row.next_paused = min(owed, default=(None, None, False))
            self._due_changed = False
        self.row.chain_length, self.row.chain_head = self._chain.length, self._chain.head
        self.session.add(self.row)


def save_all(session: Session, files: Sequence[CaseFile]) -> None:
    """Save several cases by as few statements as one takes."""
    for file in files:
        file._seal()
    session.flush()
    for table, rows in (
        (Deadline, [row for file in files for row in file._started]),
        (Message, [row for file in files for row in file._sent]),
        (Event, [row | {"case_id": file.id} for file in files for row in file._events]),
    ):
        add_all(session, table, rows)
    for file in files:
        file._started.clear()
        file._sent.clear()
        file._events.clear()


def _together(session: Session) -> CaseFiles | None:
    found: CaseFiles | None = session.info.get(_TOGETHER)
    return found


class CaseFiles:
    """The cases that one transaction changes, each opened once, and saved together at its end."""

    def __init__(self, office: Office, session: Session, *, actor: Actor, now: datetime) -> None:
        self.office = office
        self.session = session
        self.actor = actor
        self.now = now
        self._files: dict[int, CaseFile] = {}
        self._by_reference: dict[str, CaseFile] = {}

    def open_all(self, case_ids: Iterable[int], *, with_owed: bool = True) -> None:
        """Open these by as few statements as one takes, locked in one order: nobody waits for another.

        `with_owed`: what they owe is looked up at once, and not when it is first asked for.
        """
        wanted = sorted({case_id for case_id in case_ids if case_id not in self._files})
        if not wanted:
            return
        fresh = {"populate_existing": True}
        cases = select(Case).where(col(Case.id).in_(wanted)).order_by(col(Case.id)).with_for_update()
        for row in self.session.scalars(cases.execution_options(**fresh)):
            file = CaseFile(self.office, self.session, row, actor=self.actor, now=self.now)
            file._owed = [] if with_owed else None
            self.keep(file)
        if not with_owed:
            return
        owed = select(Deadline).where(col(Deadline.case_id).in_(wanted), col(Deadline.settled_at).is_(None))
        for deadline in self.session.scalars(
            owed.order_by(col(Deadline.due_at), col(Deadline.id)).execution_options(**fresh)
        ):
            self._files[deadline.case_id]._owed.append(deadline)  # type: ignore[union-attr]

    @property
    def opened(self) -> list[CaseFile]:
        """All of them, in the order in which they were opened."""
        return list(self._files.values())

    def of(self, case_id: int) -> CaseFile:
        """The case, locked.  Raises NotFound."""
        if case_id not in self._files:
            self.keep(CaseFile.open(self.office, self.session, case_id, actor=self.actor, now=self.now))
        return self._files[case_id]

    def keep(self, file: CaseFile) -> None:
        self._files[file.id] = self._by_reference[file.row.reference] = file

    def find(self, case_id: int) -> CaseFile | None:
        return self._files.get(case_id)

    def find_by(self, reference: str) -> CaseFile | None:
        return self._by_reference.get(reference)

    def save(self) -> None:
        """Save them all; within `together` that is left to its end."""
        if _together(self.session) is None:
            save_all(self.session, self.opened)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Every case that is opened in the block, by whomever, is opened once and saved at its end.

        Until then changes of loaded rows are not seen by statements; what is added is.
        """
        self.session.info[_TOGETHER] = self
        try:
            with self.session.no_autoflush:
                yield
        finally:
            del self.session.info[_TOGETHER]
        self.save()
