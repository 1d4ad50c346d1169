"""`amendsd policy list`, `amendsd policy explain` and `amendsd policy check`."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from amends.config import Organisation, Settings
from amends.deadlines.calendar import WorkingCalendar, calendar_for, calendar_of, holidays_of
from amends.deadlines.check import check_file
from amends.deadlines.explain import explained, listed
from amends.deadlines.model import RECEIPT, Pack, name_of
from amends.deadlines.packs import Regime, find_regime, pack_folders, packs_in, regimes_of
from amends.deadlines.words import a_day, counted, in_a_row
from amends.kernel.errors import ConfigError, NotFound
from amends.kernel.instants import wall_clock
from daemon.cli import say

_YEARS: Final = range(1900, 2200)  # outside them nobody knows a public holiday

# Where most people of a country live, if it has several zones and CLDR names no primary one.
_CHIEF_ZONES: Final = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "ID": "Asia/Jakarta",
    "MX": "America/Mexico_City",
    "RU": "Europe/Moscow",
    "US": "America/New_York",
    "XECB": "Europe/Berlin",
    "DE": "Europe/Berlin",
    "ES": "Europe/Madrid",
    "NZ": "Pacific/Auckland",
    "PT": "Europe/Lisbon",
}


def list_packs(settings: Settings | None, *, as_json: bool) -> int:
    files = packs_in(pack_folders(settings))
    rows = listed(files, today=wall_clock().date())
    short = {file.pack.id: ", ".join(file.pack.aliases) for file in files}
    if as_json:
        say.document(rows)
    else:
        width = max(shutil.get_terminal_size((120, 24)).columns, 40) - 1
        for row in rows:
            names = row["id"] + (f" (short: {short[row['id']]})" if short[row["id"]] else "")
            say.line(say.harmless(f"{names}  {row['jurisdiction']}  {_verified(row['verified'])}"))
            for words in textwrap.wrap(
                say.harmless(f"{row['name']}; {row['version']}"), width, initial_indent="    ", subsequent_indent="    "
            ):
                say.line(words)
    return 0


def _verified(verified: bool) -> str:
    return "verified" if verified else "not verified"


def check_pack(file: Path) -> int:
    """Every mistake in a pack of one's own; exit status 1 if there is any.  What is only doubtful passes."""
    checked = check_file(file, today=wall_clock().date())
    for mistake in checked.mistakes:
        say.line(say.harmless(mistake))
    if checked.pack is None:
        say.line(f"{counted(len(checked.mistakes), 'mistakes')}; the pack cannot be used.")
        return 1
    for doubt in checked.warnings:
        say.line(f"warning: {say.harmless(doubt)}")
    pack = checked.pack
    say.line(
        f"{pack.id}, version {say.harmless(pack.version)}: {counted(len(pack.deadline), 'deadlines')}, "
        f"{counted(len(pack.letter), 'letters')}, {counted(len(checked.warnings), 'warnings')}; it can be used."
    )
    return 0


def explain(
    settings: Settings | None,
    name: str,
    *,
    received: str,
    region: str | None,
    timezone: str | None,
    events: Sequence[str],
    facts: Sequence[str],
    as_json: bool,
) -> int:
    """Every deadline of the pack for mail received then, with the reasons."""
    regime = _regime(settings, name)
    place = _place(settings, regime.newest, region)
    calendar = _calendar(settings, regime.newest, region=place, timezone=timezone)
    came = _instant("--received", received, calendar.zone)
    pack = regime.on(came.astimezone(calendar.zone).date())
    happened = _events(pack, events, calendar.zone, received=came)
    known = dict(_fact(pack, one) for one in facts)
    rows = explained(pack, calendar, received=came, events=happened, facts=known)
    if as_json:
        say.document(rows)
        return 0
    say.line(
        f"{say.harmless(pack.name)}, version {say.harmless(pack.version)}; "
        f"public holidays of {place}, days and times in {calendar.zone.key}"
    )
    if not pack.verified:
        say.line("This pack was not verified: compare its dates with the rules before you rely on them.")
    for row in rows:
        _print(row, calendar.zone)
    return 0


def _regime(settings: Settings | None, name: str) -> Regime:
    """The pack, with the organisation's own targets where the configuration names it."""
    regime = find_regime(name, pack_folders(settings))
    if regime is None:
        raise NotFound(
            f"There is no policy pack '{name}'; amendsd policy list shows those there are, "
            "and a file of your own belongs into the folder that policy.folder names."
        )
    ours = regimes_of(settings) if settings is not None else []
    return next((one for one in ours if one.id == regime.id), regime)


def _print(row: dict[str, Any], zone: ZoneInfo) -> None:
    due = "no date"
    if row["due"] is not None:
        local = datetime.fromisoformat(row["due"]).astimezone(zone)
        due = f"{a_day(local.date())} {local:%H:%M}"
    condition = f" (only if: {row['applies_if']})" if row["applies_if"] else ""
    say.line()
    say.line(f"{due}  {row['deadline']}{say.harmless(condition)}")
    say.line(f"  {say.harmless(row['rule'])}")
    say.line(f"  basis: {say.harmless(row['basis'])}")
    for step in row["derivation"]:
        say.line(f"  - {say.harmless(step)}")


def _place(settings: Settings | None, pack: Pack, region: str | None) -> str:
    """Whose public holidays: those asked for, those of the organisation whose pack it is, or those of the pack."""
    if region is not None:
        try:
            holidays_of(region)
        except ConfigError as wrong:
            raise ConfigError(str(wrong).replace("organisation.region", "--region", 1)) from wrong
        return region
    own = settings.organisation if settings is not None else None
    if own is not None and settings is not None and not {pack.id, *pack.aliases}.isdisjoint(settings.policy.names):
        return own.region
    usual: str = Organisation.model_fields["region"].default  # what a new configuration says
    return pack.calendar.region or (own.region if own is not None else usual)


def _calendar(settings: Settings | None, pack: Pack, *, region: str, timezone: str | None) -> WorkingCalendar:
    """The organisation's own calendar where it is the one meant, else that of the region alone."""
    own = settings.organisation if settings is not None else None
    if own is not None and region.upper() == own.region.upper():
        calendar = calendar_of(own)
        return replace(calendar, zone=_zone(timezone)) if timezone is not None else calendar
    return calendar_for(region=region, zone=_zone(timezone or pack.calendar.zone or zone_of(region, pack, own)))


def zone_of(region: str, pack: Pack, own: Organisation | None) -> str:
    """The zone in which most people of a region live; without a region that of the pack's country."""
    country = region.upper().partition("-")[0]
    if country == "NONE":
        country = (pack.calendar.region or pack.jurisdiction).upper().partition("-")[0]
    if country in _CHIEF_ZONES:
        return _CHIEF_ZONES[country]
    from babel.core import get_global

    zones = get_global("territory_zones").get(country, [])
    return zones[0] if zones else own.timezone if own is not None else "UTC"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as unknown:
        raise ConfigError(f"--timezone: '{name}' is no time zone; write one like Europe/London") from unknown


def _events(pack: Pack, events: Sequence[str], zone: ZoneInfo, *, received: datetime) -> dict[str, datetime]:
    happened = {RECEIPT: received}
    for name, at in (_event(pack, one, zone) for one in events):
        if happened.setdefault(name, at) != at:
            how = "--received" if name == RECEIPT else "--event"
            raise ConfigError(f"--event: '{name}' is told already by {how}, as of another time; leave one of them out")
    return happened


def _event(pack: Pack, words: str, zone: ZoneInfo) -> tuple[str, datetime]:
    name, equals, instant = words.partition("=")
    if not equals or not name:
        raise ConfigError(f"--event: '{words}' is not NAME=T, as in acknowledgement_sent=2026-11-23T09:00:00Z")
    if name_of(name) not in pack.triggers:
        raise ConfigError(
            f"--event: nothing in {pack.id} starts with '{name}'; it has {', '.join(sorted(pack.triggers))}"
        )
    return name_of(name), _instant("--event", instant, zone)


def _fact(pack: Pack, words: str) -> tuple[str, str]:
    name, equals, value = words.partition("=")
    facts = {fact.id: fact for fact in pack.fact}
    if not equals or not name:
        raise ConfigError(f"--fact: '{words}' is not NAME=VALUE, as in payment_service=yes")
    if (fact := facts.get(name_of(name))) is None:
        known = f"it has {', '.join(facts)}" if facts else "it has none"
        raise ConfigError(f"--fact: {pack.id} asks for no fact '{name}'; {known}")
    if value not in fact.values:
        raise ConfigError(f"--fact: '{value}' is no value of {fact.id}; write {in_a_row(fact.values)}")
    return fact.id, value


def _instant(option: str, words: str, zone: ZoneInfo) -> datetime:
    """An instant; without an offset the local time in `zone`, and a day alone is its noon."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", words):
            found = datetime.combine(date.fromisoformat(words), time(12))
        else:
            found = datetime.fromisoformat(words)
    except ValueError as wrong:
        raise ConfigError(
            f"{option}: '{words}' is neither a day nor an instant; write one like 2026-11-23 or 2026-11-23T09:00"
        ) from wrong
    if found.year not in _YEARS:
        raise ConfigError(f"{option}: '{words}' is too far off; write an instant of {_YEARS[0]} to {_YEARS[-1]}")
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)
