"""What the clocks of a case promise: scenarios 34 and 35."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from daemon.__main__ import main as amendsd
from tests.builders import AMARA
from tests.deadlines.test_oracle import Question, questions, walk_and_compare
from tests.scenarios.town import Town, mail
from tests.tui.desk import at, press
from tui.__main__ import main as amends
from tui.desk import Desk

EDITH = "edith@example.org"
LONDON = ZoneInfo("Europe/London")


@given(questions())
def test_scenario_34_a_date_is_the_one_that_a_walk_from_minute_to_minute_ends_at(asked: Question) -> None:
    """With calendars, zones, pauses and beginnings at random, around the days on which the clock is moved."""
    walk_and_compare(asked)


DAYS_IN_WORDS = (
    "day 0: Fri 24 May 2024",
    "days 1 to 4: Tue 28, Wed 29, Thu 30, Fri 31 May 2024",
    "day 5: Mon 03 Jun 2024, 5 working days on",
    "skipped 4 days of weekends",
    "skipped Mon 27 May 2024: Spring Bank Holiday",
    "due by the end of Mon 03 Jun 2024 (Europe/London)",
)


@pytest.mark.server("dovecot")
async def test_scenario_35_a_date_is_shown_with_the_days_that_lead_to_it_wherever_one_looks(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    """Received on a Friday at 17:59, before a bank holiday; the acknowledgement is due in five working days."""
    came = datetime(2024, 5, 24, 17, 59, tzinfo=LONDON)
    town.passes(seconds=(came - town.now + timedelta(minutes=5)).total_seconds())
    town.deliver(mail(), at=came)
    with town.at_work():
        town.until_quiet()
    case = town.case_of(EDITH)
    assert case.row.received_at == came
    [owed] = [one for one in case.deadlines if one.kind == "s1_ack"]
    assert (owed.due_date, owed.derivation) == ("2024-06-03", DAYS_IN_WORDS)
    assert owed.due_at == datetime(2024, 6, 3, 23, 59, 59, tzinfo=LONDON)

    async with at(Desk(town.desk, AMARA), size=(140, 50)) as pilot:
        await press(pilot, "enter", "i")
        _stand_in_order(pilot.app.screen.query_one("#details").text, "S1ACK", "Mon 3 Jun 23:59")  # type: ignore[attr-defined]

    config = str(town.configuration())
    assert amends(["--config", config, "--as", "amara", "show", case.row.reference]) == 0
    _stand_in_order(capsys.readouterr().out, "S1ACK, due", "Mon 03 Jun 2024 23:59")
    explain = ("policy", "explain", "uk-housing-ombudsman-2024", "--received", came.isoformat(), "--config", config)
    assert amendsd(explain) == 0
    _stand_in_order(capsys.readouterr().out, "Mon 03 Jun 2024 23:59 s1_ack")


def _stand_in_order(text: str, *heading: str) -> None:
    """On one page, whatever its width: the heading, then each step."""
    page, found = " ".join(text.split()), 0
    for words in (*heading, *DAYS_IN_WORDS):
        assert words in page[found:], f"{words!r} is not (or not here) in: {page}"
        found = page.index(words, found) + len(words)


@pytest.fixture
def town(town_with) -> Town:  # type: ignore[no-untyped-def]
    """A landlord in England."""
    landlord: Town = town_with(policy={"pack": "uk-housing-ombudsman-2024"})
    return landlord
