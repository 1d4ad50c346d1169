"""`amendsd policy list` and `amendsd policy explain`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from amends.config import Organisation, Settings
from amends.deadlines.calendar import WorkingCalendar, calendar_for
from amends.deadlines.explain import explained, listed
from amends.deadlines.packs import Pack, packs_in
from amends.kernel.errors import ConfigError, NotFound
from amends.kernel.share import config_folder
from daemon.cli import say

# Where most people of a country live, if it has several zones and CLDR names no primary one.
_CHIEF_ZONES: Final = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "ID": "Asia/Jakarta",
    "MX": "America/Mexico_City",
    "RU": "Europe/Moscow",
    "US": "America/New_York",
    "DE": "Europe/Berlin",
    "ES": "Europe/Madrid",
    "NZ": "Pacific/Auckland",
    "PT": "Europe/Lisbon",
}


def folders(settings: Settings | None) -> list[Path]:
    """Where packs are: the configured folder, then the shipped ones."""
    own = settings.policy.folder if settings is not None else None
    return [*([settings.path(own)] if settings is not None and own is not None else []), config_folder() / "policies"]


def list_packs(settings: Settings | None, *, as_json: bool) -> int:
    rows = listed(packs_in(folders(settings)))
    if as_json:
        say.document(rows)
    else:
        say.table(
            [
                [
                    row["id"],
                    row["jurisdiction"],
                    row["version"],
                    "verified" if row["verified"] else "not verified",
                    say.harmless(row["name"]),
                ]
                for row in rows
            ]
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
    as_json: bool,
) -> int:
    """Every deadline of the pack for mail received then, with the reasons."""
    pack = _pack(name, folders(settings))
    calendar = _calendar(settings, pack, region=region, timezone=timezone)
    happened = dict(_event(one, calendar.zone) for one in events)
    known = {rule.starts for rule in pack.deadline}
    for trigger in happened:
        if trigger not in known:
            raise ConfigError(
                f"--event: nothing in {pack.id} starts with '{trigger}'; it has {', '.join(sorted(known))}"
            )
    rows = explained(pack, calendar, received=_instant("--received", received, calendar.zone), events=happened)
    if as_json:
        say.document(rows)
        return 0
    say.line(f"{pack.name}, version {pack.version}; days and times in {calendar.zone.key}")
    for row in rows:
        _print(row, calendar.zone)
    return 0


def _pack(name: str, folders: Sequence[Path]) -> Pack:
    for file in packs_in(folders):
        if name in (file.pack.id, *file.pack.aliases):
            return file.pack
    raise NotFound(f"There is no policy pack '{name}'; amendsd policy list shows those there are.")


def _print(row: dict[str, Any], zone: ZoneInfo) -> None:
    due = "no date"
    if row["due"] is not None:
        local = datetime.fromisoformat(row["due"]).astimezone(zone)
        due = f"{local:%a %Y-%m-%d %H:%M}"
    condition = f" (only if: {row['applies_if']})" if row["applies_if"] else ""
    say.line()
    say.line(f"{due}  {row['deadline']}{say.harmless(condition)}")
    say.line(f"  {say.harmless(row['rule'])}")
    say.line(f"  basis: {say.harmless(row['basis'])}")
    for step in row["derivation"]:
        say.line(f"  - {say.harmless(step)}")


def _calendar(settings: Settings | None, pack: Pack, *, region: str | None, timezone: str | None) -> WorkingCalendar:
    """The organisation's own calendar where it is the one meant, else that of the region alone."""
    own = settings.organisation if settings is not None else None
    if own is not None and settings is not None and settings.policy.pack in (pack.id, *pack.aliases):
        region = region or own.region
    region = region or pack.region or (own.region if own is not None else "none")
    if own is not None and region.upper() == own.region.upper():
        return calendar_for(
            region=region,
            zone=_zone(timezone or own.timezone),
            closures=own.closures,
            opens=own.opens,
            closes=own.closes,
        )
    return calendar_for(region=region, zone=_zone(timezone or _zone_of(region, pack, own)))


def _zone_of(region: str, pack: Pack, own: Organisation | None) -> str:
    country = region.upper().partition("-")[0]
    if country == "NONE":
        country = (pack.region or pack.jurisdiction).upper().partition("-")[0]
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


def _event(words: str, zone: ZoneInfo) -> tuple[str, datetime]:
    name, equals, instant = words.partition("=")
    if not equals or not name:
        raise ConfigError(f"--event: '{words}' is not NAME=T, as in acknowledgement_sent=2026-11-23T09:00:00Z")
    return name, _instant("--event", instant, zone)


def _instant(option: str, words: str, zone: ZoneInfo) -> datetime:
    """An instant; without an offset the local time in `zone`, and a day alone is its noon."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", words):
            return datetime.combine(date.fromisoformat(words), time(12), zone)
        found = datetime.fromisoformat(words)
    except ValueError as wrong:
        raise ConfigError(f"{option}: '{words}' is no instant; write one like 2026-11-23T09:00:00Z") from wrong
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)
