"""A derivation as one reads it who checks a date by hand: each day that counts, and each that does not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from amends.deadlines.calendar import calendar_for
from amends.deadlines.clocks import counting
from amends.deadlines.compute import Paused, due
from amends.deadlines.model import Pause, Rule, Span
from amends.deadlines.packs import load_regime
from amends.deadlines.words import in_days, in_spells
from amends.kernel.share import config_folder

FOLDERS = [config_folder() / "policies"]


def told(name: str, deadline: str, trigger: str, region: str = "GB-ENG", zone: str = "Europe/London") -> Sequence[str]:
    pack = load_regime(name, FOLDERS).newest
    days = counting(pack, calendar_for(region=region, zone=ZoneInfo(zone)))
    rule = pack.rule(deadline)
    at = datetime.fromisoformat(trigger)
    found = due(rule, at if at.tzinfo else at.replace(tzinfo=days.zone), days, out_of_hours=pack.out_of_hours_of(rule))
    assert found is not None
    return found.derivation


DERIVATIONS = [
    (
        told("uk-housing-ombudsman-2024", "s1_ack", "2026-08-28T17:59"),
        "day 0: Fri 28 Aug 2026",
        "days 1 to 4: Tue 01, Wed 02, Thu 03, Fri 04 Sep 2026",
        "day 5: Mon 07 Sep 2026, 5 working days on",
        "skipped 4 days of weekends",
        "skipped Mon 31 Aug 2026: Late Summer Bank Holiday",
        "due by the end of Mon 07 Sep 2026 (Europe/London)",
    ),
    (
        told("uk-fca-disp", "src_window", "2026-12-30T09:00"),
        "day 0: Wed 30 Dec 2026",
        "days 1 to 2: Thu 31 Dec 2026, Mon 04 Jan 2027",
        "day 3: Tue 05 Jan 2027, 3 business days on",
        "skipped 2 days of weekends",
        "skipped Fri 01 Jan 2027: New Year's Day",
        "due by the end of Tue 05 Jan 2027 (Europe/London)",
    ),
    (
        told("uk-fca-disp", "psd_15bd", "2026-12-18T09:00"),
        "day 0: Fri 18 Dec 2026",
        "days 1 to 14: Mon 21 to Thu 24, Tue 29 to Thu 31 Dec 2026, Mon 04 to Fri 08, Mon 11 to Tue 12 Jan 2027",
        "day 15: Wed 13 Jan 2027, 15 business days on",
        "skipped 7 days of weekends",
        "skipped Fri 25 Dec 2026: Christmas Day",
        "skipped Sat 26 Dec 2026: Boxing Day",
        "skipped Mon 28 Dec 2026: Boxing Day (observed)",
        "skipped Fri 01 Jan 2027: New Year's Day",
        "due by the end of Wed 13 Jan 2027 (Europe/London)",
    ),
    (
        told("uk-scotland-spso-mchp", "s1", "2026-11-27T18:00", region="GB-SCT"),
        "day 1: Fri 27 Nov 2026, which counts itself",
        "days 2 to 4: Tue 01, Wed 02, Thu 03 Dec 2026",
        "day 5: Fri 04 Dec 2026, 5 working days on",
        "skipped 2 days of weekends",
        "skipped Mon 30 Nov 2026: Saint Andrew's Day",
        "due by the end of Fri 04 Dec 2026 (Europe/London)",
    ),
    (
        told("uk-scotland-spso-mchp", "s1", "2026-12-05T10:00", region="GB-SCT"),
        "day 1: Mon 07 Dec 2026, the next working day (it came Sat 05 Dec 2026 10:00)",
        "days 2 to 4: Tue 08, Wed 09, Thu 10 Dec 2026",
        "day 5: Fri 11 Dec 2026, 5 working days on",
        "due by the end of Fri 11 Dec 2026 (Europe/London)",
    ),
    (
        told("uk-nhs-2009", "response", "2026-10-24T23:30+00:00"),  # already Sunday in England
        "day 1: Sun 25 Oct 2026, which counts itself",
        "6 months with that day: Sat 24 Apr 2027",
        "due by the end of Sat 24 Apr 2027 (Europe/London)",
    ),
    (
        told("us-finra-4530-4513", "quarterly", "2027-12-31T12:00", region="US", zone="America/New_York"),
        "day 0: Fri 31 Dec 2027",
        "15 calendar days on: Sat 15 Jan 2028",
        "Sat 15 Jan 2028 (Saturday), Sun 16 Jan 2028 (Sunday) and Mon 17 Jan 2028 (Martin Luther King Jr. Day) are no "
        "working days, so it moves to Tue 18 Jan 2028",
        "due by the end of Tue 18 Jan 2028 (America/New_York)",
    ),
]


@pytest.mark.parametrize("found", DERIVATIONS, ids=lambda found: found[0][0])
def test_a_derivation_reads_as_one_counts_on_a_calendar(found: tuple[Any, ...]) -> None:
    derivation, *expected = found
    assert list(derivation) == expected


def test_the_first_day_is_not_called_day_1_where_it_is_none() -> None:
    """A limit that counts the day of its trigger counts it only if it is a working day on which the clock runs."""
    rule = Rule(
        id="x", label="X", action="a", amount=3, unit="working_days", day_count="include_trigger_day", basis="b",
        pause=Pause(reason="r", most=Span(amount=4, unit="weeks"), basis="b", confidence="verified"),
        confidence="verified",
    )  # fmt: skip
    england = calendar_for(region="GB-ENG", zone=ZoneInfo("Europe/London"))
    friday = datetime(2026, 11, 13, 12, tzinfo=UTC)
    on_saturday = due(rule, friday + timedelta(days=1), england)
    assert on_saturday is not None and on_saturday.derivation[:2] == (
        "day 0: Sat 14 Nov 2026",
        "days 1 to 2: Mon 16, Tue 17 Nov 2026",
    )
    waits = Paused(friday, friday + timedelta(days=1), "a document is missing")
    paused = due(rule, friday, england, pauses=[waits])
    assert paused is not None and paused.derivation[:3] == (
        "day 0: Fri 13 Nov 2026",
        "days 1 to 2: Mon 16, Tue 17 Nov 2026",
        "day 3: Wed 18 Nov 2026, 3 working days on",
    )


@pytest.mark.parametrize(
    ("days", "one_by_one", "in_a_row"),
    [
        (["2026-11-30"], "Mon 30 Nov 2026", "Mon 30 Nov 2026"),
        (["2026-11-30", "2026-12-01"], "Mon 30 Nov, Tue 01 Dec 2026", "Mon 30 Nov to Tue 01 Dec 2026"),
        (["2026-12-31", "2027-01-01"], "Thu 31 Dec 2026, Fri 01 Jan 2027", "Thu 31 Dec 2026 to Fri 01 Jan 2027"),
        (["2026-12-31", "2027-12-31"], "Thu 31 Dec 2026, Fri 31 Dec 2027", "Thu 31 Dec 2026, Fri 31 Dec 2027"),
        (["2027-01-04", "2027-01-05", "2027-01-07"],
         "Mon 04, Tue 05, Thu 07 Jan 2027",
         "Mon 04 to Tue 05, Thu 07 Jan 2027"),
    ],
)  # fmt: skip
def test_days_are_told_with_the_month_after_the_last_of_it(days: list[str], one_by_one: str, in_a_row: str) -> None:
    given = [date.fromisoformat(day) for day in days]
    assert in_days(given) == one_by_one
    assert in_spells(given) == in_a_row


def test_a_pause_that_lasts_is_counted_for_now_and_no_longer_when_it_is_over() -> None:
    england = calendar_for(region="GB-ENG", zone=ZoneInfo("Europe/London"))
    friday = datetime(2026, 11, 13, 12, tzinfo=UTC)
    over = Paused(friday, friday + timedelta(days=1), "a document is missing", "sam")
    lasts = Paused(friday, friday + timedelta(days=1), "a document is missing", "sam", lasts=True)
    said = "from Fri 13 Nov 2026 12:00 GMT{} to Sat 14 Nov 2026 12:00 GMT (a document is missing, approved by sam)"
    assert over.in_words(england) == said.format("")
    assert lasts.in_words(england) == said.format(", for now")
