"""The letters, the policy pack and the calendar."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from amends.casework.actors import missing_supervisor
from amends.config import Settings
from amends.deadlines.calendar import calendar_of
from amends.deadlines.packs import regimes_of
from amends.kernel.errors import ConfigError
from amends.kernel.share import templates_folder
from amends.letters.render import Templates
from daemon.checks.finding import Finding, ok, warning, wrong


def check_letters(settings: Settings) -> Iterator[Finding]:
    """Every letter of every language, rendered with facts that know much, little, and of a day that has passed."""
    own = settings.letters.templates_folder
    folders = [*([settings.path(own)] if own else []), templates_folder()]
    for language in settings.organisation.languages:
        what = f"letters {language}"
        try:
            Templates.load(folders, [language])
        except ConfigError as mistake:
            yield wrong(what, str(mistake))
            continue
        if any((folder / language).is_dir() for folder in folders):
            yield ok(what, "Every letter can be written.")
        else:
            yield warning(
                what, f"There are no letters in '{language}', so English ones go out; add them, or take it out."
            )


def check_policy(settings: Settings, *, now: datetime) -> Iterator[Finding]:
    organisation = settings.organisation
    own = settings.policy.folder
    if own is not None and not settings.path(own).is_dir():
        yield wrong(
            "policy", f"policy.folder: there is no folder {settings.path(own)}; make it or take the setting out."
        )
    today = now.astimezone(organisation.zone).date()
    packs = [regime.at(now, organisation.zone) for regime in regimes_of(settings)]
    if nobody := missing_supervisor(settings, packs):
        yield warning("policy", nobody)
    for pack in packs:
        yield from _age(pack.id, pack.effective_from, pack.effective_to, today)
        if pack.verified:
            yield ok("policy", f"{pack.name}, version {pack.version}, {len(pack.deadline)} deadlines.")
        else:
            yield warning(
                "policy", f"{pack.id} was not verified; have somebody who knows the rules look at its deadlines."
            )
    calendar = calendar_of(organisation)
    free = sum(1 for day in _days_of(today.year) if calendar.holidays.get(day) is not None)
    if not free and organisation.region.lower() != "none":
        yield warning(
            "calendar", f"No holidays of {today.year} are known for {organisation.region}; update `holidays`."
        )
    else:
        yield ok("calendar", f"{organisation.region}: {free} public holidays in {today.year}, {organisation.timezone}.")


def _age(name: str, begins: date, ends: date | None, today: date) -> Iterator[Finding]:
    if today < begins:
        yield warning("policy", f"{name} holds only from {begins}; choose the pack that holds today.")
    if ends is not None and today > ends:
        yield warning("policy", f"{name} held until {ends}; install a newer version of it.")


def _days_of(year: int) -> Iterator[date]:
    first = date(year, 1, 1).toordinal()
    return (date.fromordinal(one) for one in range(first, date(year + 1, 1, 1).toordinal()))
