"""The store that the clock is measured on: small, it must be as whole as the large one."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from amends.casework import clockwork, handling, recomputing
from amends.ledger.tables import Case, Deadline
from amends.ledger.verify import verify
from bench import million
from tests.builders import AMARA, NOW, SAM, an_office, case_of


def made(tmp_path):
    office = an_office(tmp_path)
    assert million.make(office, cases=50, due=10, now=NOW).cases == 50
    return office


def test_the_ledger_of_every_case_is_whole_and_none_is_closed(tmp_path):
    office = made(tmp_path)
    verdict = verify(office.book)
    assert (verdict.cases, verdict.problems) == (50, ())
    with office.book.read() as session:
        assert session.scalars(select(col(Case.is_open)).distinct()).all() == [True]


def test_nothing_is_due_now_and_then_the_same_thing_for_all_that_fall_due_together(tmp_path):
    office = made(tmp_path)
    assert clockwork.tick(office, now=NOW + timedelta(hours=1)) == 0
    fired = Counter()
    while "breach" not in fired:
        at = clockwork.next_instant(office, now=office.now())
        action = _action_at(office, at)
        while done := clockwork.tick(office, now=at):
            fired[action] += done
    assert fired["breach"] >= 10 and fired["letter"] == 10 and fired["warn"] >= 10
    assert verify(office.book).problems == ()


def _action_at(office, at):
    with office.book.read() as session:
        row = session.scalars(select(Deadline).where(col(Deadline.tick_at) == at)).first()
        return row.ticks[row.tick_no][1]


def test_every_deadline_is_what_it_would_be_if_it_were_counted_again(tmp_path):
    office = made(tmp_path)
    total = recomputing.Sum()
    for looked in recomputing.look_through(office, clock=lambda: NOW):
        total.add(looked)
    assert total.deadlines >= 100 and total.differences == 0, total


def test_the_verbs_work_on_a_case_that_was_put_in(tmp_path):
    office = made(tmp_path)
    handling.assign(office, 42, "amara", actor=SAM, now=NOW)
    handling.note(office, 42, "I have rung the plumber.", actor=AMARA, now=NOW)
    assert case_of(office, 42).row.handler == "amara"
    assert verify(office.book).problems == ()
