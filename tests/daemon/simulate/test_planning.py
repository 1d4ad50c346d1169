"""Small plans through the real verbs, and the estimate beside them."""

from __future__ import annotations

import gc
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from amends.casework.audit import verify_ledger
from amends.deadlines.packs import packs_in
from amends.kernel.share import config_folder
from daemon.simulate.arrivals import arrivals
from daemon.simulate.desk import Desk
from daemon.simulate.hours import WorkingTime
from daemon.simulate.planning import Unwatched, find, worker_out
from daemon.simulate.result import Complaint, Kept, spells
from daemon.simulate.scratch import Hand, scratch_office, with_handlers
from daemon.simulate.verbs import Verbs, play
from tests.daemon.simulate.scenes import MONDAY, a_plan, at

_DAYS = (MONDAY, MONDAY)


def _play(plan, come, handlers=1):
    settings = with_handlers(plan.settings, handlers)
    return play(settings, come, handlers, effort=plan.effort, facts=plan.facts, days=_DAYS)


def test_one_complaint_and_one_handler_are_what_one_counts_by_hand() -> None:
    played = _play(a_plan("iso-10002"), [at(1, 10)])
    assert played.complaints == (Complaint(MONDAY, MONDAY, MONDAY, late=False),)
    pack = "iso-10002-default"
    assert sorted(played.dates, key=lambda one: one.day) == [
        Kept(pack, "ack", "ACK", date(2027, 3, 2), late=False, answer=False),
        Kept(pack, "status", "UPDATE", date(2027, 3, 15), late=False, answer=False),
        Kept(pack, "response", "FINAL", date(2027, 3, 31), late=False, answer=True),  # Good Friday is the 26th
    ]
    assert played.letters == (MONDAY,)  # the acknowledgement
    assert played.warnings == ()
    assert played.busy == pytest.approx(1.5 / 8)


def test_an_answer_that_takes_longer_than_its_limit_is_late_by_the_real_clock_with_its_letters_and_warnings() -> None:
    plan = a_plan("iso-10002", minutes=22 * 8 * 60)  # 22 working days
    played = _play(plan, [at(1, 9)])
    (complaint,) = played.complaints
    assert complaint.late and complaint.answered == date(2027, 4, 1)
    assert [(one.deadline, one.day) for one in played.dates if one.late] == [("response", date(2027, 3, 31))]
    assert played.letters == (MONDAY, date(2027, 3, 15), date(2027, 3, 31))  # acknowledgement and two updates
    assert len(played.warnings) >= 3
    assert (played.late_answers, played.late_dates, played.first_late) == (1, 1, date(2027, 3, 31))


def test_an_acknowledgement_that_a_person_owes_is_written_first_and_starts_the_clock_of_the_answer() -> None:
    played = _play(a_plan("uk-housing-ombudsman-2024"), [at(1, 10)])
    assert [(one.deadline, one.day, one.late) for one in played.dates] == [
        ("s1_ack", date(2027, 3, 8), False),
        ("s1_response", date(2027, 3, 15), False),
    ]
    assert played.complaints[0].closed == MONDAY


def test_the_record_of_a_played_week_is_whole() -> None:
    plan = a_plan("uk-fca-disp", "uk-dp-complaints-2026", days=3, a_day=2)
    come = arrivals(MONDAY, 3, 2, plan.calendar, seed=1)
    hand = Hand(come[0])
    with scratch_office(with_handlers(plan.settings, 1), hand) as office:
        hours = WorkingTime(office.calendar, MONDAY)
        end = Desk(Verbs(office, hand, {}), 1, hours, plan.effort).work_through(come)
        assert end is not None
        verdict = verify_ledger(office, now=end)
    assert (verdict.intact, verdict.cases, verdict.problems) == (True, 6, ())


def test_the_same_seed_gives_the_same_and_another_gives_another() -> None:
    plan = a_plan(days=2, a_day=1.5, handlers=1)
    one, same, other = (find(replace(plan, seed=seed), Unwatched()) for seed in (4, 4, 5))
    assert one == same
    assert one != other


def test_the_number_that_keeps_every_date_is_found_and_one_less_misses_some() -> None:
    plan = a_plan("au-telco-2018", days=2, a_day=3, minutes=2400, region="AU-NSW")
    found = find(plan, Unwatched())
    assert found.enough == found.played.handlers > 1
    rows = {row.handlers: row for row in found.tried}
    assert (rows[found.enough].late_dates, rows[found.enough].verbs) == (0, True)
    assert rows[found.enough - 1].late_dates > 0 and rows[found.enough - 1].verbs


@pytest.mark.parametrize("pack", ["uk-housing-ombudsman-2024", "au-telco-2018"])
@pytest.mark.parametrize("handlers", [1, 2])
def test_what_is_worked_out_is_what_the_verbs_give(pack: str, handlers: int) -> None:
    plan = a_plan(pack, days=2, a_day=3, minutes=1900)
    come = arrivals(plan.first, plan.days, plan.a_day, plan.calendar, seed=plan.seed)
    played = find(replace(plan, handlers=handlers), Unwatched()).tried[0]
    assert replace(worker_out(plan, come)(handlers), verbs=True) == played
    assert played.late_answers > 0 or handlers == 2


@pytest.mark.parametrize("pack", sorted({file.pack.id for file in packs_in([config_folder() / "policies"])}))
def test_every_pack_can_be_played(pack: str) -> None:
    plan = a_plan(pack, days=1, a_day=1)
    played = _play(plan, [at(1, 10)])
    assert played.complaints == (Complaint(MONDAY, MONDAY, MONDAY, late=False),)
    assert played.late_dates == 0


def test_nothing_is_left_in_the_temporary_folder() -> None:
    before = set(Path(tempfile.gettempdir()).glob("*simulation*"))
    _play(a_plan(), [at(1, 10)])
    gc.collect()
    assert set(Path(tempfile.gettempdir()).glob("*simulation*")) == before
    assert not list(Path.cwd().glob("*mode=memory*"))


def test_weeks_add_up_to_what_was_played() -> None:
    plan = a_plan(days=8, a_day=0.5, handlers=1)
    played = find(plan, Unwatched()).played
    weeks = spells(played, plan.first, plan.last, days=7)
    days = spells(played, plan.first, plan.last, days=1)
    for rows in (weeks, days):
        assert sum(row.came for row in rows) == sum(row.answered for row in rows) == 4
        assert sum(row.dates for row in rows) == len(played.dates)
        assert sum(row.letters for row in rows) == len(played.letters)
        assert rows[-1].open_at_end == 0
    assert weeks[0].first == MONDAY and weeks[1].first == date(2027, 3, 8)
