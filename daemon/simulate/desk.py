"""The desk: so many handlers in office hours take what is due first, one thing after the other.  Pure.

What there is to do, and what becomes of it when it is done, a `World` says: one that works it out from the packs
(`estimate`), and one that does it by the verbs (`verbs`).  Both are worked at by the same desk.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Protocol

from daemon.simulate.hours import WorkingTime
from daemon.simulate.work import Effort, Meant


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do on case number `case`: from `ready_at` on, until `due_at` (None: no date)."""

    case: int
    meant: Meant
    ready_at: datetime
    due_at: datetime | None


class World(Protocol):
    def run_to(self, now: datetime) -> None:
        """Let what happens by itself happen until now."""

    def arrive(self, case: int, now: datetime) -> None: ...

    def tasks(self, case: int) -> list[Task]:
        """What a handler could do on this case now or later."""

    def take_up(self, task: Task, handler: int, now: datetime) -> None: ...

    def carry_out(self, task: Task, handler: int, now: datetime) -> None: ...


class Desk:
    """So many handlers at work.  A thing once begun is ended before the next is taken, also over a night."""

    def __init__(self, world: World, handlers: int, hours: WorkingTime, effort: Effort) -> None:
        self._world = world
        self._hours = hours
        self._effort = effort
        self._free = list(range(handlers))
        self._busy: list[tuple[datetime, int, Task]] = []
        self._offers: list[tuple[float, int, int, int, Task]] = []
        """What is due first, first: (due, case, number, generation, task); without a date last, as they came."""
        self._later: list[tuple[datetime, int, int, Task]] = []
        self._generation: dict[int, int] = {}
        self._numbers = count()
        self.worked = timedelta()
        """The working time that all have spent."""

    def work_through(self, arrivals: Sequence[datetime]) -> datetime | None:
        """Take in complaint n at `arrivals[n]`, and work until nothing is left to do; returns when that was."""
        come = 0
        now: datetime | None = None
        while (at := self._next_instant(arrivals[come : come + 1], now)) is not None:
            now = at
            self._world.run_to(now)
            self._finish(now)
            while come < len(arrivals) and arrivals[come] <= now:
                self._world.arrive(come, now)
                self._offer(come, now)
                come += 1
            self._call(now)
            self._begin(now)
        return now

    def _next_instant(self, arriving: Sequence[datetime], now: datetime | None) -> datetime | None:
        coming = [*arriving, *(entry[0] for entry in self._busy[:1]), *(entry[0] for entry in self._later[:1])]
        if now is not None and self._free and self._offers:  # nobody is in: they begin in the morning
            coming.append(self._hours.opening(now))
        return min(coming, default=None)

    def _offer(self, case: int, now: datetime) -> None:
        """Put on the list what there is to do on a case, in the place of what stood there before."""
        self._withdraw(case)
        for task in self._world.tasks(case):
            if task.ready_at <= now:
                self._put(task, self._generation[case])
            else:
                heapq.heappush(self._later, (task.ready_at, next(self._numbers), self._generation[case], task))

    def _withdraw(self, case: int) -> None:
        self._generation[case] = self._generation.get(case, 0) + 1

    def _put(self, task: Task, generation: int) -> None:
        due = task.due_at.timestamp() if task.due_at is not None else math.inf
        heapq.heappush(self._offers, (due, task.case, next(self._numbers), generation, task))

    def _call(self, now: datetime) -> None:
        """What was for later, and whose time has come."""
        while self._later and self._later[0][0] <= now:
            _, _, generation, task = heapq.heappop(self._later)
            if generation == self._generation[task.case]:
                self._put(task, generation)

    def _begin(self, now: datetime) -> None:
        if self._hours.opening(now) > now:
            return
        while self._free and self._offers:
            _, case, _, generation, task = heapq.heappop(self._offers)
            if generation != self._generation[case]:
                continue
            self._withdraw(case)
            handler = heapq.heappop(self._free)
            self._world.take_up(task, handler, now)
            effort = self._effort.of(task.meant.work)
            self.worked += effort
            heapq.heappush(self._busy, (self._hours.after(now, effort), handler, task))

    def _finish(self, now: datetime) -> None:
        while self._busy and self._busy[0][0] <= now:
            _, handler, task = heapq.heappop(self._busy)
            heapq.heappush(self._free, handler)
            self._world.carry_out(task, handler, now)
            self._offer(task.case, now)
