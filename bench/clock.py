"""The clock over a million open cases: a tick with nothing to do, and a thousand deadlines in the same minute."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import bindparam, event, select
from sqlmodel import col

from amends.casework import clockwork, policychange, post, recomputing
from amends.casework.actors import Actor
from amends.casework.office import Office, open_office
from amends.config import load
from amends.kernel.instants import wall_clock
from amends.ledger import views
from amends.ledger.tables import Deadline
from bench import million
from bench.figures import Part, megabytes, seconds
from bench.house import ROOT, House, environment, until
from daemon.clock.duty import BATCH
from tests.builders import AMARA, HANDLERS
from tests.servers.dovecot import Dovecot
from tests.servers.smtp import SmtpServer

CASES: Final = 1_000_000
DUE: Final = 1_000
LOOKS: Final = 500
TIMES: Final = 3
COUNTED: Final = 20_000
MOVED: Final = 5_000
FIRST: Final = 200
"""Of those that are due together; memory is looked at after them, and at the end."""


def measure() -> list[Part]:
    dovecot = Dovecot()
    dovecot.start()
    smtp = SmtpServer().start()
    try:
        with tempfile.TemporaryDirectory(prefix="amends-bench-") as folder:
            box = dovecot.account()
            house = House(Path(folder), [box], smtp, smtp={"plus_addressing": False}, handler=list(HANDLERS))
            with house.office() as office:
                made = million.make(office, cases=CASES, due=DUE, now=wall_clock())
            idle = _alone("idle", house)
            waits = _waits(house)
            work = _alone("work", house)
            dates = _alone("dates", house)
    finally:
        smtp.stop()
        dovecot.close()
    return [_nothing_due(made, idle), _all_due(work), _all_dates(dates), _for_a_person(waits)]


def _alone(what: str, house: House) -> Any:
    """What a process of its own measured on this store."""
    words = [sys.executable, "-m", "bench.clock", what, str(house.config)]
    done = subprocess.run(words, cwd=ROOT, env=environment(), check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def main(what: str, config: str) -> None:
    office = open_office(load(Path(config)))
    try:
        print(json.dumps({"idle": _idle, "work": _work, "dates": _dates}[what](office)))
    finally:
        office.book.close()


# A tick with nothing due


def _idle(office: Office) -> dict[str, Any]:
    now = office.now()

    def tick() -> None:
        assert clockwork.tick(office, now=now, failed={}) == 0, "there is something due"

    def look() -> None:
        assert clockwork.next_instant(office, now=office.now()) is not None

    return {"tick": _timed(tick), "look": _timed(look)}


def _timed(once: Callable[[], None]) -> dict[str, float]:
    """The first time apart: a daemon has it once in its life, at its start."""
    took, cpu = [], 0.0
    for _ in range(LOOKS + 1):
        began, used = time.perf_counter(), time.process_time()
        once()
        took.append(time.perf_counter() - began)
        cpu += time.process_time() - used
    first, *others = took
    return {"median": statistics.median(others), "slowest": max(others), "first": first, "cpu": cpu / len(took)}


def _nothing_due(made: million.Made, idle: dict[str, Any]) -> Part:
    rows = [
        (name, *(f"{1000 * found[one]:.2f} ms" for one in ("median", "slowest", "first", "cpu")))
        for name, found in (("a tick", idle["tick"]), ("when the next is due", idle["look"]))
    ]
    return Part(
        "The clock with nothing to do",
        f"{made.cases:,} open cases with their deadlines under iso-10002-default, in SQLite on the disk "
        f"({made.size / 1e9:.1f} GB, made in {made.seconds:.0f} s); {LOOKS} times each after the first, in a "
        "process of its own.",
        ("", "median", "slowest", "the first", "processor"),
        rows,
    )


# A thousand at once


@dataclass(slots=True)
class _Round:
    """One instant at which many deadlines want the same."""

    what: str
    fired: int
    seconds: float
    cpu: float
    statements: int
    before: int
    after_first: int
    after: int
    peak: int


def _work(office: Office) -> list[dict[str, Any]]:
    """All instants of the cases that fall due together, one after another; what they write leaves in between."""
    _ = office.key, office.calendar, office.templates, office.packs_at(office.now())  # as in a daemon that runs
    rounds = []
    while (at := clockwork.next_instant(office, now=office.now())) is not None:
        what = _wanted(office, at)
        rounds.append(_round(office, what, at))
        _leave(office, at)
        if what == "breach":
            break
    return [{name: getattr(one, name) for name in _Round.__slots__} for one in rounds]


def _wanted(office: Office, at: datetime) -> str:
    with office.book.read() as session:
        ticks, number = session.connection().execute(_DUE_THEN, {"at": at}).one()
        return str(ticks[number][1])


_DUE_THEN: Final = (
    select(col(Deadline.ticks), col(Deadline.tick_no)).where(col(Deadline.tick_at) == bindparam("at")).limit(1)
)


def _round(office: Office, what: str, at: datetime) -> _Round:
    before = _fresh_peak()
    fired, after_first = 0, 0
    with _counted(office) as statements:
        began, cpu = time.perf_counter(), time.process_time()
        while done := clockwork.tick(office, now=at, limit=BATCH):
            fired += done
            if fired >= FIRST and not after_first:
                after_first = _memory("VmRSS")
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    return _Round(what, fired, took, cpu, len(statements), before, after_first, _memory("VmRSS"), _memory("VmHWM"))


@contextmanager
def _counted(office: Office) -> Iterator[list[None]]:
    """A mark for each statement that is run in the block; many rows of one kind are one."""
    marks: list[None] = []

    def mark(*_: object) -> None:
        marks.append(None)

    event.listen(office.book.engine, "before_cursor_execute", mark)
    yield marks
    event.remove(office.book.engine, "before_cursor_execute", mark)


def _fresh_peak() -> int:
    """Resident memory now, in bytes, from which on the peak is taken anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{name}:"))


def _leave(office: Office, at: datetime) -> None:
    """What waits in the outbox is accepted, as it would be long before the next instant."""
    while claimed := post.claim(office, "bench", limit=200, now=at):
        done = [post.Carried(letter.letter_id, post.Accepted("250 2.0.0 Ok")) for letter in claimed]
        post.record(office, "bench", done, now=at)


_IN_WORDS: Final = {
    "warn": "warnings, with a letter to staff each",
    "letter": "updates to complainants, written by the clock",
    "breach": "breaches, escalated, with letters to the handler and the supervisor",
}


def _all_due(rounds: list[dict[str, Any]]) -> Part:
    return Part(
        "A thousand deadlines in the same minute",
        f"The same store: {DUE:,} cases whose deadlines want something at the same instant, {BATCH} in one durable "
        "transaction as in the daemon, in a process of its own.  Memory is the resident set before the first, after "
        f"{FIRST}, after the last, and its peak; many rows of one kind count as one statement.",
        ("", "how many", "a second", "processor each", "statements each", "memory", "peak"),
        [
            (
                _IN_WORDS[one["what"]],
                f"{one['fired']:,}",
                f"{one['fired'] / one['seconds']:.0f}",
                f"{1000 * one['cpu'] / one['fired']:.2f} ms",
                f"{one['statements'] / one['fired']:.1f}",
                ", ".join(megabytes(one[name]) for name in ("before", "after_first", "after")),
                megabytes(one["peak"]),
            )
            for one in rounds
        ],
    )


# Every date again


class _Enough(Exception):
    """So many were moved as are measured."""


@dataclass(slots=True)
class _Pace:
    """How quickly something was done with many cases; `held` is the longest that it kept others from writing."""

    cases: int
    seconds: float
    cpu: float
    before: int
    peak: int
    held: float


def _dates(office: Office) -> list[dict[str, Any]]:
    """All open cases counted again, as every night; then those moved that a closure of the office makes later."""
    _ = office.key, office.calendar, office.packs_at(office.now())
    with office.book.write() as session:
        policychange.first_look(office, session, now=office.now())
    paces = [_counted_again(office), _moved(_with_closure(office))]
    return [{name: getattr(one, name) for name in _Pace.__slots__} for one in paces]


def _counted_again(office: Office) -> _Pace:
    looks = recomputing.look_through(office, clock=office.now)
    with _paced(office) as pace:
        pace.cases = sum(looked.cases for looked in islice(looks, COUNTED // recomputing.CHUNK))
    return pace


def _with_closure(office: Office) -> Office:
    """The same store, with a day on which the office is closed before any of the answers is due."""
    settings, day = office.settings, office.calendar.day_of(office.now()) + timedelta(days=3)
    closed = {"closures": (office.calendar.this_or_next_working_day(day).isoformat(),)}
    organisation = settings.organisation.model_copy(update=closed)
    return Office(settings.model_copy(update={"organisation": organisation}), office.book)


def _moved(office: Office) -> _Pace:
    actor = Actor("olga", "Olga", "operator")

    def until_enough(done: policychange.Applied) -> None:
        pace.cases = done.cases
        if done.cases >= MOVED:
            raise _Enough

    with _paced(office) as pace, suppress(_Enough):
        policychange.apply(office, "We are closed.", actor=actor, clock=office.now, after_each=until_enough)
    return pace


@contextmanager
def _paced(office: Office) -> Iterator[_Pace]:
    """What the block costs; it says how many `cases` it did."""
    pace = _Pace(0, 0.0, 0.0, _fresh_peak(), 0, 0.0)
    with _held(office) as held:
        began, cpu = time.perf_counter(), time.process_time()
        yield pace
        pace.seconds, pace.cpu = time.perf_counter() - began, time.process_time() - cpu
    pace.peak, pace.held = _memory("VmHWM"), max(held, default=0.0)


@contextmanager
def _held(office: Office) -> Iterator[list[float]]:
    """The seconds of each transaction that kept others from writing, from its lock until it was committed."""
    held: list[float] = []
    since: list[float] = []

    def locks(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement == "BEGIN IMMEDIATE":
            since.append(time.perf_counter())

    def is_over(*_: object) -> None:
        held.extend(time.perf_counter() - since.pop() for _ in list(since))

    event.listen(office.book.engine, "after_cursor_execute", locks)
    event.listen(office.book.engine, "checkin", is_over)
    yield held
    event.remove(office.book.engine, "after_cursor_execute", locks)
    event.remove(office.book.engine, "checkin", is_over)


def _all_dates(paces: list[dict[str, Any]]) -> Part:
    names = ("counted again, as all are every night", "moved by `amendsd policy apply`")
    return Part(
        "Every date again",
        f"The same store: {COUNTED:,} cases counted again, and {MOVED:,} of which each open date moves, "
        f"{policychange.TOGETHER} in one durable transaction, in a process of its own.  Memory is the resident set "
        "before and its peak; the last column is the longest that others could not write.",
        ("", "cases a second", "processor each", "memory", "peak", "others waited"),
        [
            (
                name,
                f"{one['cases'] / one['seconds']:.0f}",
                f"{1000 * one['cpu'] / one['cases']:.2f} ms",
                megabytes(one["before"]),
                megabytes(one["peak"]),
                f"{one['held']:.2f} s" if one["held"] else "never",
            )
            for name, one in zip(names, paces, strict=True)
        ],
    )


# For a person


def _waits(house: House) -> list[tuple[str, float]]:
    with house.office() as office:
        asked = _asked(office)
    return [
        *asked,
        ("`amends queue --limit 200`", _seconds(lambda: _queue(house))),
        ("`amendsd status`", _seconds(lambda: house.command("status"))),
        ("`amendsd run` until it is ready", _start(house)),
    ]


def _queue(house: House) -> None:
    house.command("queue", "--limit", "200", "--as", AMARA.login, program="tui").check_returncode()


def _asked(office: Office) -> list[tuple[str, float]]:
    """What the screen asks each time that something has changed."""
    with office.book.read() as session:
        now = office.now()
        return [
            (
                "the first 200 rows of the queue",
                _seconds(lambda: views.queue(session, views.View(), now=now, limit=200)),
            ),
            ("the order of the whole queue", _seconds(lambda: views.queue_ids(session, views.View()))),
            (
                "the numbers above it",
                _seconds(lambda: views.counts(session, views.View(), now=now, today_end=now, soon_end=now)),
            ),
        ]


def _seconds(once: Callable[[], object]) -> float:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        once()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def _start(house: House) -> float:
    """Seconds from the start of the daemon until all its duties have begun their work."""
    with house:
        return until(lambda: house.events("house.ready"), seconds=120, what=lambda: f"{house.log} {house.rest}")


def _for_a_person(waits: list[tuple[str, float]]) -> Part:
    return Part(
        "A million cases before a person",
        f"The same store; medians of {TIMES}, but for the start of the daemon.",
        ("", "time"),
        [(name, seconds(took)) for name, took in waits],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
