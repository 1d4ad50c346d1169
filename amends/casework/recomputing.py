"""Every open deadline counted again, beside what is stored: reads only, a few cases at a time, in flat memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, cast

from sqlalchemy import BindParameter, Select, bindparam, func, select
from sqlmodel import Session, col

from amends.casework import course
from amends.casework.casefile import CaseFile
from amends.casework.office import Office
from amends.casework.plans import is_paused, pack_of, pauses_of, row_of
from amends.deadlines.clocks import PlannedDeadline, meets, replanned
from amends.deadlines.model import RECEIPT, Pack, Rule
from amends.deadlines.recount import GRACE, Recount, Sort, Standing, recounted
from amends.kernel.errors import Unreadable
from amends.kernel.instants import iso
from amends.ledger.columns import key
from amends.ledger.legible import MISREAD, is_misread
from amends.ledger.tables import PROMISED, Case, Deadline, Letter

CHUNK: Final = 200
"""Cases in one look; each is a short transaction of its own."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One open deadline that is not what it would be if it were counted now.

    `due_at` and `due_date` are as stored (null for one that is missing), `new_at` and `new_date` as counted.  `pack` is
    "" for the main one of the case.  `told`: a letter to the complainant names the stored date.
    """

    case_id: int
    reference: str
    deadline: str
    occurrence: int
    pack: str
    sort: Sort
    why: str
    due_at: datetime | None = None
    due_date: str = ""
    new_at: datetime | None = None
    new_date: str = ""
    told: bool = False
    missed: bool = False
    """It would be missed at once."""

    @property
    def earlier(self) -> bool:
        return self.due_at is not None and self.new_at is not None and self.new_at < self.due_at

    def as_json(self) -> dict[str, Any]:
        return {
            "case": self.reference,
            "deadline": self.deadline,
            "occurrence": self.occurrence,
            "pack": self.pack or None,
            "sort": str(self.sort),
            "due_at": None if self.due_at is None else iso(self.due_at),
            "due_date": self.due_date or None,
            "would_be_due_at": None if self.new_at is None else iso(self.new_at),
            "would_be_due_date": self.new_date or None,
            "missed_at_once": self.missed,
            "complainant_was_told": self.told,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """A difference with what would mend it: a row counted again, or one to be started."""

    difference: Difference
    deadline_id: int | None = None
    recount: Recount | None = None
    row: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look at some cases found."""

    cases: int
    deadlines: int
    last: int
    found: Sequence[Found]


@dataclass(slots=True)
class Sum:
    """What many looks found, in numbers, and the first references of each."""

    cases: int = 0
    deadlines: int = 0
    earlier: int = 0
    later: int = 0
    missed: int = 0
    stands: int = 0
    other: int = 0
    of_sort: dict[Sort, int] = field(default_factory=lambda: defaultdict(int))
    first: dict[Sort, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, looked: Looked) -> None:
        self.cases += looked.cases
        self.deadlines += looked.deadlines
        for one in looked.found:
            self._count(one.difference)

    def _count(self, one: Difference) -> None:
        self.of_sort[one.sort] += 1
        if len(self.first[one.sort]) < 3 and one.reference not in self.first[one.sort]:
            self.first[one.sort].append(one.reference)
        self.missed += one.missed
        if one.sort is Sort.MOVES:
            self.earlier += one.earlier
            self.later += not one.earlier
        elif one.sort is Sort.STANDS:
            self.stands += 1
        else:
            self.other += 1

    @property
    def moves(self) -> int:
        return self.of_sort[Sort.MOVES]

    @property
    def differences(self) -> int:
        """All but those that are only worth knowing."""
        return sum(self.of_sort.values()) - self.stands

    def count(self, sorts: Iterable[Sort]) -> int:
        return sum(self.of_sort[sort] for sort in sorts)

    def references(self, sorts: Iterable[Sort], *, most: int = 3) -> list[str]:
        """The first of them, in the order of the cases within each sort."""
        return list(dict.fromkeys(one for sort in sorts for one in self.first[sort]))[:most]

    def as_json(self) -> dict[str, Any]:
        return {
            "cases": self.cases,
            "deadlines": self.deadlines,
            "differences": self.differences,
            "moves": self.moves,
            "earlier": self.earlier,
            "later": self.later,
            "missed_at_once": self.missed,
            "stand": self.stands,
            "other": self.other,
        }


def open_cases(office: Office) -> int:
    """How many open cases there are to look through."""
    with office.book.read() as session:
        return session.connection().execute(_HOW_MANY).scalar_one()


def look_through(
    office: Office, *, clock: Callable[[], datetime], chunk: int = CHUNK, after: int = 0
) -> Iterator[Looked]:
    """Every open case in order of its id, `chunk` of them in one look; nothing is held between two of them.

    `clock` is asked after each reading, so that what was done meanwhile never looks like done too early.
    """
    while True:
        looked = _look(office, after, chunk, clock)
        if looked is None:
            return
        yield looked
        after = looked.last


def _look(office: Office, after: int, chunk: int, clock: Callable[[], datetime]) -> Looked | None:
    try:
        with office.book.read() as session:
            found = session.connection().execute(_OPEN.where(col(Case.id) > after).limit(chunk))
            rows = [cast(Case, row) for row in found]  # the same names, and read alone, at a third of the price
            return _examined(office, session, rows, _unmet(session, rows), clock) if rows else None
    except MISREAD as fault:
        if not is_misread(fault):
            raise
    if chunk > 1:
        return _one_by_one(office, after, chunk, clock)
    return _illegible(office, after)


def _one_by_one(office: Office, after: int, chunk: int, clock: Callable[[], datetime]) -> Looked | None:
    """One of these cases cannot be read; the others can."""
    looks: list[Looked] = []
    while len(looks) < chunk and (one := _look(office, looks[-1].last if looks else after, 1, clock)) is not None:
        looks.append(one)
    if not looks:
        return None
    return Looked(
        sum(one.cases for one in looks),
        sum(one.deadlines for one in looks),
        looks[-1].last,
        [found for one in looks for found in one.found],
    )


def _illegible(office: Office, after: int) -> Looked | None:
    which = select(key(Case.id), col(Case.reference)).where(col(Case.is_open).is_not(False), col(Case.id) > after)
    with office.book.read() as session:
        row = session.connection().execute(which.order_by(col(Case.id)).limit(1)).first()
    if row is None:
        return None
    why = "the case cannot be read; run: amendsd verify"
    return Looked(1, 0, row[0], [Found(Difference(row[0], str(row[1]), "", 0, "", Sort.BROKEN, why))])


_OPEN: Final[Select[*tuple[Any, ...]]] = (
    select(*(col(getattr(Case, name)) for name in Case.model_fields))  # all: whoever mends one reads it whole
    # Never "is true": SQLite would take the index of all open cases for that, and sort them anew at each look.
    .where(col(Case.is_open).is_not(False))
    .order_by(col(Case.id))
)
_HOW_MANY: Final = select(func.count()).select_from(Case).where(col(Case.is_open))
_STANDING: Final = tuple(
    col(getattr(Deadline, name))
    for name in (
        *("id", "case_id", "pack", "pack_version", "stage", "kind", "label", "occurrence", "basis", "starts_at"),
        *("due_at", "due_date", "derivation", "met_by", "state", "breached_at", "ticks", "moved", "pauses"),
        *("tick_no", "tick_at"),
    )
)
_OF_THEM: Final[BindParameter[Sequence[int]]] = bindparam("ids", expanding=True)
_OWED: Final = (
    select(*_STANDING)
    .where(col(Deadline.case_id).in_(_OF_THEM), col(Deadline.settled_at).is_(None))
    .order_by(col(Deadline.due_at), col(Deadline.id))
)
_SETTLED: Final = select(
    *map(col, (Deadline.case_id, Deadline.pack, Deadline.kind, Deadline.occurrence, Deadline.starts_at)),
    col(Deadline.settled_at),
).where(col(Deadline.case_id).in_(_OF_THEM), col(Deadline.settled_at).is_not(None))
_Kind = tuple[int, str, str]
"""A case, a pack, a rule."""


@dataclass(frozen=True, slots=True)
class _Start:
    """One row of a deadline, as short as it gets."""

    occurrence: int
    starts_at: datetime
    settled_at: datetime | None


def examine(office: Office, files: Sequence[CaseFile], *, now: datetime) -> Sequence[Found]:
    """What differs on cases that were opened together, and so are locked; on what is closed nothing does."""
    files = [file for file in files if file.row.is_open]
    if not files:
        return []
    unmet = {file.id: file.unmet() for file in files}
    return _examined(office, files[0].session, [file.row for file in files], unmet, lambda: now).found


def _unmet(session: Session, rows: Sequence[Case]) -> Mapping[int, Sequence[Deadline]]:
    """What these cases owe, by their ids, the earliest first."""
    unmet: dict[int, list[Deadline]] = {row.id or 0: [] for row in rows}
    for one in session.connection().execute(_OWED, {"ids": list(unmet)}):
        unmet[one.case_id].append(cast(Deadline, one))
    return unmet


def _examined(
    office: Office,
    session: Session,
    rows: Sequence[Case],
    unmet: Mapping[int, Sequence[Deadline]],
    clock: Callable[[], datetime],
) -> Looked:
    if not all(isinstance(row.reference, str) for row in rows):
        raise Unreadable("The reference of a case cannot be read; run: amendsd verify")
    starts: dict[_Kind, list[_Start]] = defaultdict(list)
    for owed in (one for every in unmet.values() for one in every):
        starts[owed.case_id, owed.pack, owed.kind].append(_Start(owed.occurrence, owed.starts_at, None))
    for one in session.connection().execute(_SETTLED, {"ids": list(unmet)}):
        starts[one.case_id, one.pack, one.kind].append(_Start(one.occurrence, one.starts_at, one.settled_at))
    now = clock()
    found: list[Found] = []
    for row in rows:
        mine = unmet[row.id or 0]
        found += _differing(office, row, mine, starts, now)
        found += _missing(office, row, mine, starts, now)
        found += _next(row, mine)
    return Looked(len(rows), sum(map(len, unmet.values())), rows[-1].id or 0, _as_told(office, session, rows, found))


# Deadlines that there are


def _differing(
    office: Office, row: Case, unmet: Sequence[Deadline], starts: dict[_Kind, list[_Start]], now: datetime
) -> Iterator[Found]:
    for deadline in unmet:
        pack = None if deadline.pack in ("", PROMISED) else pack_of(office, deadline)
        before = [
            one.occurrence
            for one in starts[deadline.case_id, deadline.pack, deadline.kind]
            if one.starts_at < deadline.starts_at
        ]
        standing = _standing(deadline, of_this_start=deadline.occurrence - max(before, default=0))
        recount = recounted(standing, pack, office.calendar, now=now, grace=office.real(GRACE))
        if recount is None:
            continue
        difference = Difference(
            row.id or 0,
            row.reference,
            deadline.kind,
            deadline.occurrence,
            "" if deadline.pack == row.pack else deadline.pack,
            recount.sort,
            recount.why,
            deadline.due_at,
            deadline.due_date,
            recount.due_at,
            recount.due_date.isoformat(),
            missed=recount.sort is Sort.MOVES and recount.due_at < now,
        )
        mends = recount.sort is not Sort.STANDS and _changes(recount, standing)
        yield Found(difference, deadline_id=deadline.id, recount=recount if mends else None)


def _changes(recount: Recount, standing: Standing) -> bool:
    """Whether anything would be another; what has passed is the clock's to record, and its plan may be as it should."""
    names = ("due_at", "basis", "label", "stage", "tick_no", "tick_at")
    lists = ("derivation", "met_by", "ticks")
    return (
        recount.due_date.isoformat() != standing.due_date
        or any(getattr(recount, name) != getattr(standing, name) for name in names)
        or any([*map(_plain, getattr(recount, name))] != [*map(_plain, getattr(standing, name))] for name in lists)
    )


def _plain(one: Any) -> Any:
    return list(one) if isinstance(one, (list, tuple)) else one


def _standing(deadline: Deadline, *, of_this_start: int) -> Standing:
    until = datetime.fromisoformat(deadline.pauses[-1]["until"]) if is_paused(deadline) else None
    return Standing(
        kind=deadline.kind,
        occurrence=of_this_start,
        starts_at=deadline.starts_at,
        due_at=deadline.due_at,
        due_date=deadline.due_date,
        derivation=deadline.derivation,
        basis=deadline.basis,
        label=deadline.label,
        stage=deadline.stage,
        met_by=deadline.met_by,
        ticks=deadline.ticks,
        tick_no=deadline.tick_no,
        tick_at=deadline.tick_at,
        moved=deadline.moved,
        breached=deadline.breached_at is not None,
        pauses=pauses_of(deadline) if deadline.pauses else (),
        paused_until=until,
    )


# Deadlines that there should be


def _missing(
    office: Office, row: Case, unmet: Sequence[Deadline], starts: dict[_Kind, list[_Start]], now: datetime
) -> Iterator[Found]:
    """Rules whose trigger happened, and which the facts switch on, that started nothing then."""
    running = {(one.pack, one.kind) for one in unmet}
    for pack in _packs_with_files(office, row):
        known = pack.facts(row.facts)
        for rule in pack.deadline:
            at = course.instant_of(row, pack, rule.starts)
            if at is None or (pack.id, rule.id) in running or rule.applies(known) is not True:
                continue
            if any(_covers(one, at) for one in starts[row.id or 0, pack.id, rule.id]):
                continue
            planned = replanned(pack, office.calendar, rule_id=rule.id, occurrence=1, starts_at=at)
            if planned is None or not _asked(row, pack, rule, planned):
                continue
            last = max((one.occurrence for one in starts[row.id or 0, pack.id, rule.id]), default=0)
            difference = Difference(
                row.id or 0,
                row.reference,
                rule.id,
                last + 1,
                "" if pack.id == row.pack else pack.id,
                Sort.MISSING,
                f"its rule starts with {rule.starts.replace('_', ' ')}, and it was not started",
                new_at=planned.due_at,
                new_date=planned.due_date.isoformat(),
                missed=planned.due_at < now,
            )
            yield Found(difference, row=row_of(planned, occurrence=last + 1))


def _packs_with_files(office: Office, row: Case) -> Iterator[Pack]:
    """The packs of a case in the versions that it was opened under, of which there are files."""
    for pack_id, version in [[row.pack, row.pack_version], *row.packs]:
        regime = office.regime(pack_id)
        pack = regime.version(version) if regime is not None else None
        if pack is not None:
            yield pack


def _covers(one: _Start, at: datetime) -> bool:
    """Whether it was started then, or ran at the time: what runs is not started again."""
    return one.starts_at == at or (one.starts_at < at and (one.settled_at is None or one.settled_at >= at))


def _asked(row: Case, pack: Pack, rule: Rule, planned: PlannedDeadline) -> bool:
    """Whether the verbs start it: nothing starts with the closure, or with the receipt of what is history or answered,
    and a review is not acknowledged."""
    if rule.starts in pack.events_at("closed"):
        return False
    if rule.starts != RECEIPT:
        return True
    review = RECEIPT in course.happened(row, pack)
    if row.responded_at is not None or (row.history and not review):
        return False
    return not (review and meets(planned.met_by, kind="acknowledgement"))


# What the case says


def _next(row: Case, unmet: Sequence[Deadline]) -> Iterator[Found]:
    """The case repeats which of its deadlines is owed next, and whether that stands still; the queue goes by it."""
    first = min((one.due_at for one in unmet), default=None)
    any_of: set[tuple[str | None, bool]] = {(one.kind, is_paused(one)) for one in unmet if one.due_at == first}
    if row.next_due_at == first and (row.next_deadline, row.next_paused) in (any_of or {(None, False)}):
        return
    why = "the case does not say which of its deadlines is owed next"
    yield Found(
        Difference(
            *(row.id or 0, row.reference, row.next_deadline or "", 0, "", Sort.NEXT, why),
            due_at=row.next_due_at,
            new_at=first,
        )
    )


# What the complainant was told


def _as_told(office: Office, session: Session, rows: Sequence[Case], found: list[Found]) -> list[Found]:
    """The same, with what letters to the complainants name the dates that would move."""
    moving = {one.difference.case_id for one in found if one.difference.sort is Sort.MOVES}
    if not moving:
        return found
    letters = select(col(Letter.case_id), col(Letter.body)).where(
        col(Letter.case_id).in_(moving),
        col(Letter.staff).is_(False),
        col(Letter.state).not_in(("draft", "cancelled", "failed")),
    )
    bodies: dict[int, list[str]] = defaultdict(list)
    for case_id, body in session.connection().execute(letters):
        bodies[case_id or 0].append(body)
    languages = {row.id: row.language for row in rows}
    return [_told(one, bodies[one.difference.case_id], languages, office) for one in found]


def _told(found: Found, bodies: Sequence[str], languages: dict[int | None, str], office: Office) -> Found:
    one = found.difference
    if one.sort is not Sort.MOVES or not bodies:
        return found
    from amends.letters.render import day_in_words  # Babel and Jinja cost 150 ms; to look at what is owed needs neither

    language, region = languages.get(one.case_id, "en"), office.settings.organisation.region
    day = day_in_words(date.fromisoformat(one.due_date), language, region)
    if not any(day in " ".join(body.split()) for body in bodies):
        return found
    values = {name: getattr(one, name) for name in one.__slots__} | {"told": True}
    return Found(Difference(**values), found.deadline_id, found.recount, found.row)
