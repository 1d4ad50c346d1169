"""What is simulated, and how many handlers are tried: first worked out, then played by the verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Protocol

from amends.config import Settings
from amends.deadlines.calendar import WorkingCalendar
from amends.deadlines.model import Pack
from amends.deadlines.packs import regimes_of
from daemon.simulate.arrivals import arrivals, count_of
from daemon.simulate.beside import beside, has_room
from daemon.simulate.desk import Desk
from daemon.simulate.estimate import Estimate, Rules
from daemon.simulate.hours import WorkingTime
from daemon.simulate.result import Played, Tried, tried
from daemon.simulate.scratch import with_handlers
from daemon.simulate.search import Found, search
from daemon.simulate.verbs import play
from daemon.simulate.work import Effort

MOST_HANDLERS: Final = 500
WORTH_A_PROCESS: Final = 150
"""From so many complaints on, a second process is sooner done than a second game after the first."""
_MIDNIGHT: Final = time(0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated.  `handlers` None: as many as are needed."""

    settings: Settings
    calendar: WorkingCalendar
    packs: tuple[Pack, ...]
    facts: Mapping[str, str]
    effort: Effort
    first: date
    days: int
    a_day: float
    handlers: int | None
    seed: int

    @property
    def complaints(self) -> int:
        return count_of(self.days, self.a_day)

    @property
    def last(self) -> date:
        return self.first + timedelta(days=self.days - 1)


class Watcher(Protocol):
    """Who is told how far it is."""

    def begin(self, handlers: int) -> None: ...

    def step(self) -> None: ...


class Unwatched:
    """Nobody looks."""

    def begin(self, handlers: int) -> None: ...

    def step(self) -> None: ...


def find(plan: Plan, watcher: Watcher) -> Found:
    """What is late with the number of handlers that was given, or how many keep every date.

    There must be a complaint.
    """
    come = arrivals(plan.first, plan.days, plan.a_day, plan.calendar, seed=plan.seed)

    def played(numbers: Sequence[int]) -> list[Played]:
        if len(numbers) < 2 or len(come) < WORTH_A_PROCESS or not has_room():
            return [_played(plan, come, number, watcher) for number in numbers]
        first, second = numbers
        with beside(_played, plan, come, second, Unwatched()) as made:
            return [_played(plan, come, first, watcher), made()]

    if plan.handlers is not None:
        (one,) = played([plan.handlers])
        return Found(None if one.late_dates else one.handlers, one, (tried(one),))
    return search(worker_out(plan, come), played, most=min(plan.complaints, MOST_HANDLERS))


def _played(plan: Plan, come: Sequence[datetime], handlers: int, watcher: Watcher) -> Played:
    watcher.begin(handlers)
    settings, days = with_handlers(plan.settings, handlers), (plan.first, plan.last)
    return play(settings, come, handlers, effort=plan.effort, facts=plan.facts, days=days, step=watcher.step)


def worker_out(plan: Plan, come: Sequence[datetime]) -> Callable[[int], Tried]:
    """What works out from the packs what is late with so many handlers."""
    regimes = regimes_of(plan.settings)
    rules = Rules(lambda at: [regime.at(at, plan.calendar.zone) for regime in regimes], plan.calendar, plan.facts)
    hours = WorkingTime(plan.calendar, plan.first)
    spell = hours.between(plan.calendar.at(plan.first, _MIDNIGHT), plan.calendar.end_of(plan.last))

    def worked_out(handlers: int) -> Tried:
        world = Estimate(rules)
        desk = Desk(world, handlers, hours, plan.effort)
        desk.work_through(come)
        late = world.lateness()
        busy = desk.worked / (spell * handlers) if spell else 0.0
        return Tried(handlers, late.answers, late.dates, late.first, busy, verbs=False)

    return worked_out
