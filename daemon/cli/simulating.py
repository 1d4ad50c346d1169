"""`amendsd simulate`: what would be due when, and how many handlers keep it."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Final

from amends.casework.course import all_facts
from amends.config import Settings
from amends.deadlines.calendar import WorkingCalendar, calendar_of
from amends.deadlines.model import Pack, name_of
from amends.deadlines.packs import find_regime, pack_folders, regimes_of
from amends.deadlines.words import a_day, in_a_row
from amends.kernel.errors import ConfigError
from amends.kernel.instants import wall_clock
from daemon.cli import say
from daemon.cli.policies import zone_of
from daemon.simulate import show
from daemon.simulate.arrivals import count_of
from daemon.simulate.document import document
from daemon.simulate.planning import Plan, find
from daemon.simulate.result import Played, Spell, spells
from daemon.simulate.scratch import settings_for
from daemon.simulate.search import Found
from daemon.simulate.work import Effort

MOST_COMPLAINTS: Final = 20_000
_NOON: Final = time(12)
_A_DAY: Final = {"day": 1.0, "week": 1 / 7}
_BY_DAY: Final = 35  # so many days are shown each, more as weeks
_WIDTH: Final = 30


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's options, as they were written."""

    packs: tuple[str, ...]
    days: int
    arrivals: str
    handlers: int | None
    minutes_per_answer: int
    minutes_per_letter: int
    first: str | None
    region: str | None
    facts: tuple[str, ...]
    seed: int


def simulate(own: Settings | None, asked: Asked, *, as_json: bool) -> int:
    """Play the days, and print what a supervisor plans with."""
    plan = planned(own, asked)
    if plan.complaints == 0:
        return _nothing(plan, as_json=as_json)
    with _Progress(plan.complaints * 2) as progress:
        found = find(plan, progress)
    days = 1 if plan.days <= _BY_DAY and _spread(found.played, plan) <= _BY_DAY else 7
    weeks = spells(found.played, plan.first, plan.last, days=days)
    answer = _answer(plan, found)
    if as_json:
        say.document(document(plan, found, weeks, days, answer))
    else:
        _print(plan, found, weeks, days, answer)
    return 0


def _spread(played: Played, plan: Plan) -> int:
    return (max([plan.last, *(one.day for one in played.dates)]) - plan.first).days + 1


# What was asked


def planned(own: Settings | None, asked: Asked) -> Plan:
    """Raises ConfigError for what cannot be meant, NotFound for a pack that there is not."""
    if own is None and not asked.packs:
        raise ConfigError("There is no configuration that names a policy pack; name one: amendsd simulate --pack PACK")
    a_day = _rate(asked.arrivals)
    if (total := count_of(asked.days, a_day)) > MOST_COMPLAINTS:
        raise ConfigError(
            f"{total:,} complaints are more than can be played; choose fewer days or arrivals, at most "
            f"{MOST_COMPLAINTS:,} in all."
        )
    region, timezone = asked.region, "UTC"
    if own is None:
        regime = find_regime(asked.packs[0], pack_folders(None))
        pack = regime.newest if regime is not None else None
        region = region or (pack.calendar.region if pack is not None else None) or "none"
        if pack is not None:
            timezone = pack.calendar.zone or zone_of(region, pack, None)
    settings = settings_for(own, asked.packs, region=region, timezone=timezone)
    calendar = _calendar(settings, asked.region)
    first = _first_day(asked.first, calendar)
    received = calendar.at(first, _NOON)
    packs = tuple(regime.at(received, calendar.zone) for regime in regimes_of(settings))
    return Plan(
        settings=settings,
        calendar=calendar,
        packs=packs,
        facts=dict(_fact(packs, one) for one in asked.facts),
        effort=Effort(timedelta(minutes=asked.minutes_per_answer), timedelta(minutes=asked.minutes_per_letter)),
        first=first,
        days=asked.days,
        a_day=a_day,
        handlers=asked.handlers,
        seed=asked.seed,
    )


def _calendar(settings: Settings, region: str | None) -> WorkingCalendar:
    try:
        return calendar_of(settings.organisation)
    except ConfigError as wrong:
        if region is None:
            raise
        raise ConfigError(str(wrong).replace("organisation.region:", "--region:", 1)) from wrong


def _rate(words: str) -> float:
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(?:/(day|week))?", words.strip())
    if found is None:
        raise ConfigError(f"--arrivals: '{words}' is no number of complaints; write one like 12, 0.5/day or 40/week.")
    return float(found[1]) * _A_DAY[found[2] or "day"]


def _first_day(words: str | None, calendar: WorkingCalendar) -> date:
    if words is None:
        return calendar.day_of(wall_clock())
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", words):
            raise ValueError
        found = date.fromisoformat(words)
    except ValueError as wrong:
        raise ConfigError(f"--from: '{words}' is no day; write one like 2027-03-01.") from wrong
    if not 1990 <= found.year <= 2100:
        raise ConfigError(f"--from: {words} is too far away; choose a day from 1990 to 2100.")
    return found


def _fact(packs: Sequence[Pack], words: str) -> tuple[str, str]:
    name, equals, value = words.partition("=")
    known = all_facts(packs)
    if not equals or not name:
        raise ConfigError(f"--fact: '{words}' is not NAME=VALUE, as in payment_service=yes.")
    if (name := name_of(name)) not in known:
        there = f"they ask for {in_a_row(sorted(known))}" if known else "they ask for none"
        raise ConfigError(f"--fact: no pack asks for a fact '{name}'; {there}.")
    if value not in known[name]:
        raise ConfigError(f"--fact: '{value}' is no value of {name}; write {in_a_row(known[name])}.")
    return name, value


class _Progress:
    """One line on standard error while somebody looks, gone at the end."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._looked_at = sys.stderr.isatty()
        self._done = self._shown = 0
        self._handlers = 0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._write("\r\x1b[K")

    def begin(self, handlers: int) -> None:
        self._handlers, self._done, self._shown = handlers, 0, -1

    def step(self) -> None:
        self._done += 1
        full = min(self._done * _WIDTH // self._steps, _WIDTH)
        if full != self._shown:
            self._shown = full
            team = show.a_number(self._handlers, "handler")
            self._write(f"\r\x1b[K[{'#' * full}{' ' * (_WIDTH - full)}] {team}")

    def _write(self, text: str) -> None:
        if self._looked_at:
            sys.stderr.write(text)
            sys.stderr.flush()


# Telling


def _answer(plan: Plan, found: Found) -> str:
    if plan.handlers is not None:
        return show.verdict(found.tried[0], plan.complaints)
    return show.sentence(found.enough, found.tried, plan.complaints)


def _print(plan: Plan, found: Found, weeks: Sequence[Spell], days: int, answer: str) -> None:
    look = show.Look(_width(), _fancy(), say.coloured)
    for paragraph in _heading(plan):
        for row in textwrap.wrap(paragraph, look.width, subsequent_indent="  "):
            say.line(row)
    say.line()
    for row in show.handlers_table(found.tried, look):
        say.line(row)
    say.line()
    team = show.a_number(found.played.handlers, "handler")
    say.line(f"With {team}, {'week by week' if days == 7 else 'day by day'}, as the real verbs gave it:")
    for row in show.weeks_table(weeks, found.played, look, days=days):
        say.line(row)
    say.line()
    for row in show.plot(weeks, look, days=days):
        say.line(row)
    say.line()
    for sentence in _conclusions(found, answer):
        for row in textwrap.wrap(sentence, look.width):
            say.line(row)


def _conclusions(found: Found, answer: str) -> list[str]:
    told = next(row for row in found.tried if row.handlers == found.played.handlers)
    more = show.grows(told)
    undated = not any(one.answer for one in found.played.dates)
    return [
        *(["No deadline of these packs asks for the answer itself: it has no date here."] if undated else []),
        *([more] if more is not None else []),
        answer,
    ]


def _heading(plan: Plan) -> list[str]:
    organisation = plan.settings.organisation
    packs = [
        f"{pack.id}, version {say.harmless(pack.version)}{'' if pack.verified else ' (not verified)'}"
        for pack in plan.packs
    ]
    facts = [f"{name}={say.harmless(value)}" for name, value in plan.facts.items()]
    return [
        f"Simulated: {'; '.join(packs)}{', ' if facts else ''}{', '.join(facts)}.",
        f"{show.a_number(plan.complaints, 'complaint')} in {show.a_number(plan.days, 'calendar day')} from "
        f"{a_day(plan.first)} to {a_day(plan.last)}, seed {plan.seed}; days of {organisation.region} in "
        f"{organisation.timezone}.",
        f"An answer takes {_span(plan.effort.answer)} of working time, a shorter letter or a record "
        f"{_span(plan.effort.letter)}; what is due first is done first.",
    ]


def _span(span: timedelta) -> str:
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)


def _nothing(plan: Plan, *, as_json: bool) -> int:
    answer = "No complaint comes, so nothing is due and nobody is needed."
    if as_json:
        say.document(document(plan, None, (), 7, answer))
    else:
        for paragraph in [*_heading(plan), answer]:
            for row in textwrap.wrap(paragraph, _width(), subsequent_indent="  "):
                say.line(row)
    return 0


def _width() -> int:
    """The terminal's columns ($COLUMNS stands before it), 80 where there is none; never too few for a table."""
    return max(shutil.get_terminal_size((80, 24)).columns, show.NARROW)


def _fancy() -> bool:
    """Whether blocks can be shown: not on a terminal that has no UTF-8."""
    import locale

    return not sys.stdout.isatty() or locale.getencoding().lower().replace("-", "") == "utf8"
