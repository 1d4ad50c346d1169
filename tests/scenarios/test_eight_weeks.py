"""Eight weeks in which nobody of the staff does anything: what the packs demand leaves by itself, in order, once.

The letters were counted out by hand from the calendars of the spring of 2024: in England Good Friday (29 March) and
Easter Monday (1 April) are free, in Ireland Easter Monday (Saint Patrick's Day was a Sunday).  The complaint comes on
Monday, 4 March, at nine; four weeks later it is Easter Monday, eight weeks later Monday, 29 April, ten o'clock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from typing import Any

import pytest

from amends.casework import handling
from tests.builders import SAM
from tests.scenarios.town import Town, mail

EDITH, AMARA, SAM_AT = "edith@example.org", "amara@northwind.example", "sam@northwind.example"
pytestmark = pytest.mark.server("dovecot")

ISO = {"organisation": {"region": "GB-ENG"}, "policy": {"pack": "iso-10002"}}
IRELAND = {
    "organisation": {"region": "IE", "timezone": "Europe/Dublin"},
    "policy": {"pack": "ie-cbi-cpc-2025"},
}

MARCH, APRIL = date(2024, 4, 1), date(2024, 4, 29)
"""The days on which the house works again after four weeks, and after eight."""

# Who is told what on which day; letters to staff say of which deadline, and "missed" or "due soon".
ISO_BY_HAND = {
    # UPDATE was due on 18 March (10 working days) and is found missed; FINAL and UPDATE 2 fall due on 3 April (20).
    MARCH: {
        EDITH: ["Where your complaint stands"],
        AMARA: ["Missed: UPDATE", "Due soon: FINAL", "Due soon: FINAL"],  # 5 and 2 working days: 25 and 28 March
        SAM_AT: ["Missed: UPDATE"],
    },
    # FINAL and UPDATE 2 are missed since 3 April, UPDATE 3 since 17 April (30): one update stands for both, and so does
    # what staff are told of them.
    APRIL: {
        EDITH: ["Where your complaint stands"],
        AMARA: ["Missed: FINAL", "Missed: UPDATE"],
        SAM_AT: ["Missed: FINAL", "Missed: UPDATE"],
    },
}
ISO_IN_ONE = {
    APRIL: {
        EDITH: ["Where your complaint stands"],  # for 18 March, 3 April and 17 April together
        # The first that was missed raises the case, the last tells of all.
        AMARA: ["Missed: UPDATE", "Missed: FINAL", "Missed: UPDATE"],
        SAM_AT: ["Missed: UPDATE", "Missed: FINAL", "Missed: UPDATE"],
    },
}
IRELAND_BY_HAND = {
    # SIMPLE and ACK (by a person) were due on 11 March (5); UPDATE falls due on 2 April (20), warned of on 28 March.
    MARCH: {
        EDITH: [],
        AMARA: ["Missed: SIMPLE", "Missed: ACK", "Due soon: UPDATE"],
        SAM_AT: ["Missed: SIMPLE", "Missed: ACK"],
    },
    # UPDATE was due on 2 April.  FORTY and UPDATE 2 fall due on 30 April (40): FORTY is warned of 10 and 3 working days
    # before, on 16 and 25 April, UPDATE 2 on 26 April, and the supervisor of FORTY on the morning of 29 April.
    APRIL: {
        EDITH: ["Where your complaint stands"],
        AMARA: ["Missed: UPDATE", "Due soon: FORTY", "Due soon: FORTY", "Due soon: UPDATE"],
        SAM_AT: ["Missed: UPDATE", "Due soon: FORTY"],
    },
}
IRELAND_IN_ONE = {
    APRIL: {
        EDITH: ["Where your complaint stands"],
        AMARA: [
            *("Missed: SIMPLE", "Missed: ACK", "Missed: UPDATE"),
            *("Due soon: FORTY", "Due soon: FORTY", "Due soon: UPDATE"),
        ],
        SAM_AT: ["Missed: SIMPLE", "Missed: ACK", "Missed: UPDATE", "Due soon: FORTY"],
    },
}


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.clock.duty._LOOK_EVERY", 0.05)


@pytest.mark.parametrize(
    ("pack", "expected"), [(ISO, ISO_BY_HAND), (IRELAND, IRELAND_BY_HAND)], ids=["iso-10002-default", "ie-cbi-cpc-2025"]
)
@pytest.mark.parametrize("daemons", [1, 2])
def test_half_of_it_jumped_over_and_half_of_it_dead_sends_what_the_pack_demands_in_order_once(
    town_with: Callable[..., Town], pack: dict[str, Any], expected: dict[date, dict[str, list[str]]], daemons: int
) -> None:
    town = town_with(**pack)
    with house(town, daemons):
        _received(town)
        town.passes(weeks=4)  # in one step, while the house works
        town.until_the_clock_rests()
    town.passes(weeks=4)  # while it does not
    with house(town, daemons):
        town.until_the_clock_rests()
    assert what_left(town) == expected
    proves_itself(town)


@pytest.mark.parametrize(
    ("pack", "expected"), [(ISO, ISO_IN_ONE), (IRELAND, IRELAND_IN_ONE)], ids=["iso-10002-default", "ie-cbi-cpc-2025"]
)
def test_eight_weeks_in_one_step_send_one_letter_for_all_that_were_missed(
    town_with: Callable[..., Town], pack: dict[str, Any], expected: dict[date, dict[str, list[str]]]
) -> None:
    town = town_with(**pack)
    with house(town, 1):
        _received(town)
    town.passes(weeks=8)
    with house(town, 1):
        town.until_the_clock_rests()
    assert what_left(town) == expected
    proves_itself(town)


class house(ExitStack):  # reads as a word
    """So many daemons on the store of the town, each with an office of its own."""

    def __init__(self, town: Town, daemons: int) -> None:
        super().__init__()
        self.town, self.daemons = town, daemons

    def __enter__(self) -> house:
        super().__enter__()
        for _ in range(self.daemons):
            office = self.town.another_office()
            self.callback(office.book.close)
            self.enter_context(self.town.at_work(office))
        return self


def _received(town: Town) -> None:
    """The complaint is filed and acknowledged, and Amara has it."""
    town.deliver(mail())
    town.until_quiet()
    town.until_the_clock_rests()
    town.do(handling.assign, town.case_of(EDITH), "amara", actor=SAM)
    assert len(town.letters_to(EDITH)) == 1
    town.smtp.letters.clear()


def what_left(town: Town) -> dict[date, dict[str, list[str]]]:
    """By day and recipient the subjects, in the order in which they left."""
    found: dict[date, dict[str, list[str]]] = {}
    [case] = town.cases()
    for letter in case.letters:
        if letter.kind == "acknowledgement":
            continue
        assert letter.sent_at is not None, letter
        of_day = found.setdefault(letter.sent_at.date(), {EDITH: [], AMARA: [], SAM_AT: []})
        of_day[letter.to_address].append(letter.subject.partition("] ")[2])
    by_server = [one.header("Message-ID") for one in town.smtp.letters if one.rcpt_to[0] in (EDITH, AMARA, SAM_AT)]
    assert len(by_server) == len(set(by_server)) == sum(len(one) for day in found.values() for one in day.values())
    return found


def proves_itself(town: Town) -> None:
    """Each thing once in the ledger, late things marked late, what was planned earlier first."""
    [case] = town.cases()
    done = [
        (event.kind, event.data["deadline"], event.data.get("occurrence"), event.data.get("step"))
        for event in case.events
        if event.kind in ("deadline-warning", "deadline-breached", "deadline-met", "letter-due")
    ]
    assert len(done) == len(set(done))
    breached = [event for event in case.events if event.kind == "deadline-breached"]
    assert all(event.data["found_late_seconds"] > 3600 for event in breached)
    for day in {event.at for event in breached}:
        late = [event.data["found_late_seconds"] for event in breached if event.at == day]
        assert late == sorted(late, reverse=True), "the oldest first"
    warned = [event for event in case.events if event.kind == "deadline-warning"]
    assert all(event.data["late_seconds"] > 300 for event in warned)
    assert {one.state for one in case.deadlines} >= {"breached"}
    town.prove_whole()
