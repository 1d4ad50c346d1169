"""`amendsd policy changes`, `policy apply` and `policy check-deadlines`, and what status and check say of a change."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from amends.casework import policychange, selfcheck
from amends.casework.office import Office, open_office
from amends.casework.recomputing import Sum, look_through
from amends.config import load
from amends.ledger.tables import Deadline
from tests.builders import case_of, open_case, post_all
from tests.daemon.cli.conftest import Told

Run = Callable[..., Told]


@pytest.fixture
def case_id(office: Office) -> int:
    """A case that was received today, in a store of which the calendar is known."""
    made = open_case(office, now=office.now())
    post_all(office, now=office.now())
    _look(office)
    return made


def _look(office: Office) -> None:
    total, began = Sum(), office.now()
    for looked in look_through(office, clock=office.now):
        total.add(looked)
    with office.book.write() as session:
        policychange.first_look(office, session, now=began)
    selfcheck.conclude(office, total, began_at=began, wall=office.wall())


@pytest.fixture
def closed(configured: Callable[..., Path], office: Office, case_id: int) -> Path:
    """The same configuration with a closure on the last day of the answer."""
    day = next(one.due_date for one in case_of(office, case_id, now=office.now()).deadlines if one.kind == "response")
    smtp = {"host": "127.0.0.1", "port": 1025, "security": "none", "plus_addressing": True}
    return configured(smtp=smtp, organisation={"closures": [day]})


def test_without_a_change_there_is_nothing_to_show(amendsd: Run, config: Path, case_id: int) -> None:
    told = amendsd("policy", "changes", "--config", config)
    assert (told.status, told.err) == (0, "")
    assert told.out.startswith("1 open case, ")
    assert told.out.endswith("all are what they should be.\n")
    assert amendsd("policy", "check-deadlines", "--config", config).status == 0


def test_what_would_move_is_shown_and_nothing_is_changed(
    amendsd: Run, closed: Path, office: Office, case_id: int
) -> None:
    before = case_of(office, case_id, now=office.now()).deadlines
    told = amendsd("policy", "changes", "--config", closed)
    assert told.status == 0
    reference = case_of(office, case_id, now=office.now()).row.reference
    (line,) = [one for one in told.out.splitlines() if f"{reference}  response: " in one]
    assert "later, the complainant was told the day before; now skipped" in line and line.endswith(": closed")
    assert "would move (0 earlier, " in told.out and "amendsd policy apply --reason WHY does it" in told.out
    assert case_of(office, case_id, now=office.now()).deadlines == before


def test_for_a_program_it_is_an_object_a_line_with_the_sum_last(amendsd: Run, closed: Path) -> None:
    *lines, last = map(json.loads, amendsd("policy", "changes", "--json", "--config", closed).out.splitlines())
    (moved,) = [one for one in lines if one["deadline"] == "response"]
    assert moved["sort"] == "moves" and moved["due_date"] < moved["would_be_due_date"]
    assert moved["complainant_was_told"] and not moved["missed_at_once"]
    assert last["summary"]["moves"] == len([one for one in lines if one["sort"] == "moves"]) == last["summary"]["later"]


def test_applying_it_says_what_was_moved_and_whose_word_it_was(
    amendsd: Run, closed: Path, office: Office, case_id: int
) -> None:
    told = amendsd("policy", "apply", "--reason", "We are closed", "--as", "sam", "--config", closed)
    assert (told.status, told.err) == (0, "")
    assert told.out.startswith("Change 1 is applied: in 1 case ") and " moved (0 earlier, " in told.out
    events = [one for one in case_of(office, case_id, now=office.now()).events if one.kind == "deadline-recounted"]
    assert events and {one.actor for one in events} == {"sam"}
    assert "all are what they should be" in amendsd("policy", "changes", "--config", closed).out
    again = amendsd("policy", "apply", "--reason", "Again", "--as", "sam", "--json", "--config", closed).json
    assert (again["cases"], again["moved"]) == (0, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--reason", " ", "--as", "sam"), "needs a reason that can be read years later"),
        (("--reason", "why", "--as", "amends"), "say who you are with --as LOGIN"),
        (("--reason", "why", "--as", "audrey"), "audrey is an auditor"),
    ],
)
def test_it_is_not_applied_without_a_reason_or_a_name(
    amendsd: Run, closed: Path, words: tuple[str, ...], said: str
) -> None:
    told = amendsd("policy", "apply", *words, "--config", closed)
    assert told.status == 1 and said in told.sentence


def test_somebody_at_a_terminal_sees_how_far_it_is(amendsd: Run, closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.cli.progress._is_looked_at", lambda: True)
    for words in (("changes",), ("apply", "--reason", "We are closed", "--as", "sam")):
        told = amendsd("policy", *words, "--config", closed)
        assert told.status == 0 and "100%  1 of 1 open case " in told.err
        assert told.err.endswith("\r\x1b[K"), "the bar is left behind"


def test_a_reason_is_asked_for(amendsd: Run, closed: Path) -> None:
    told = amendsd("policy", "apply", "--config", closed)
    assert told.status == 2 and "--reason" in told.sentence


def test_what_was_damaged_is_a_failed_check(amendsd: Run, config: Path, office: Office, case_id: int) -> None:
    with office.book.write() as session:
        session.connection().execute(update(Deadline).values(tick_at=None))
    told = amendsd("policy", "check-deadlines", "--config", config)
    assert told.status == 1 and "the clock would not look at it when its plan says so" in told.out
    assert "mends what can be mended" in told.out


def test_what_passed_while_no_daemon_ran_is_the_clocks_to_record(amendsd: Run, config: Path, office: Office) -> None:
    open_case(office, now=office.now() - timedelta(days=60))
    told = amendsd("policy", "check-deadlines", "--config", config)
    assert told.status == 1 and " passed without a breach on record" in told.out and "damaged" not in told.out
    assert "is a daemon at work?" in told.out


def test_status_and_check_tell_of_a_change_until_it_is_applied(amendsd: Run, closed: Path) -> None:
    changed = open_office(load(closed))
    said = "The calendar changed; "
    assert said + "amendsd policy changes shows" in amendsd("check", "--config", closed).out
    _look(changed)  # as the daemon does at its start
    assert "would move: amendsd policy changes shows them" in amendsd("check", "--config", closed).out
    shown = amendsd("status", "--json", "--config", closed).json
    assert shown["policy_change"]["words"].startswith(said) and shown["policy_change"]["moves"] > 0
    assert shown["deadlines_checked"]["wrong"] == 0
    amendsd("policy", "apply", "--reason", "We are closed", "--as", "sam", "--config", closed)
    assert amendsd("status", "--json", "--config", closed).json["policy_change"] is None
    assert said not in amendsd("check", "--config", closed).out
    changed.book.close()
