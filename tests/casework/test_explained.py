"""What `policy explain` says of a pack is what a case gets that is opened under it, word for word."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from amends.deadlines.calendar import calendar_of
from amends.deadlines.explain import explained
from amends.deadlines.packs import load_regime
from amends.kernel.share import config_folder
from tests.builders import an_office, case_of, open_case

FOLDER = config_folder() / "policies"
NAMES = sorted({path.stem.partition("@")[0] for path in FOLDER.glob("*.toml")})
LATE = datetime(2026, 12, 18, 23, 30, tzinfo=UTC)
"""A Friday evening in London, already Saturday east of it, before Christmas."""


@pytest.mark.parametrize("name", NAMES)
def test_a_case_gets_the_dates_that_its_pack_is_explained_with(name: str, tmp_path: Path) -> None:
    regime = load_regime(name, [FOLDER])
    place = regime.newest.calendar
    office = an_office(
        tmp_path,
        organisation={"region": place.region or "GB-ENG", "timezone": place.zone or "Europe/London"},
        policy={"pack": name},
    )
    case = case_of(office, open_case(office, now=LATE), now=LATE)
    calendar = calendar_of(office.settings.organisation)
    pack = regime.at(LATE, ZoneInfo(calendar.zone.key))
    rows = {row["deadline"]: row for row in explained(pack, calendar, received=LATE, events={})}
    dated = [one for one in case.deadlines if not pack.rule(one.kind).numberless]
    assert {one.kind: (one.due_date, one.derivation) for one in dated} == {
        one.kind: (rows[one.kind]["due_date"], tuple(rows[one.kind]["derivation"])) for one in dated
    }
    owed = {rule.id for rule in pack.deadline if rule.starts == "receipt" and rule.applies_if is None}
    assert owed <= {one.kind for one in case.deadlines}
    office.book.close()
