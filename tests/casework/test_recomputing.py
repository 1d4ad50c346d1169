"""Every open deadline counted again: an unchanged store shows no difference, a changed calendar what would move."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col

from amends.casework import clockwork, correspondence, handling
from amends.casework.recomputing import Sum, look_through
from amends.deadlines.recount import Sort
from amends.ledger.tables import Case, Deadline
from amends.ledger.verify import verify
from tests.builders import AMARA, NOW, SAM, a_mail, an_office, case_of, later, open_case, post_all, some_settings


def found_in(office, now=NOW):
    """Every difference in the store."""
    return [one.difference for looked in look_through(office, clock=lambda: now) for one in looked.found]


def anew(office, tmp_path, **sections):
    """The same store under another configuration, as after a restart."""
    from amends.casework.office import Office
    from amends.ledger.book import Book

    settings = some_settings(tmp_path, url=office.settings.database_url(), **sections)
    return Office(settings, Book(settings.database_url()))


def closed_on(office, tmp_path, *days, **sections):
    return anew(office, tmp_path, organisation={"closures": days}, **sections)


def test_what_nobody_changed_shows_no_difference(office):
    open_case(office)
    post_all(office)
    assert found_in(office, later(days=2)) == []


def test_a_closure_moves_what_counts_over_it_and_says_why(office, tmp_path):
    case_id = open_case(office)
    post_all(office)
    changed = closed_on(office, tmp_path, "2026-12-01")
    moved = {one.deadline: one for one in found_in(changed)}
    answer = moved["response"]
    assert (answer.sort, answer.due_date, answer.new_date) == (Sort.MOVES, "2026-12-21", "2026-12-22")
    assert answer.why == "now skipped Tue 01 Dec 2026: closed"
    assert answer.reference == case_of(office, case_id).row.reference
    assert answer.told and not answer.missed and not answer.earlier
