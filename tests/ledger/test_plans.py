"""What is asked again and again is found by an index, on either database, however many cases there are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event

from amends.casework import clockwork, recomputing
from amends.ledger import views
from tests.builders import NOW, open_case


def plan_of(office, ask):
    """What the database says of how it finds what `ask` asks of a session, statement by statement."""
    ran = []

    def note(_connection, _cursor, statement, parameters, *_):
        if statement.startswith("SELECT"):
            ran.append((statement, parameters))

    event.listen(office.book.engine, "before_cursor_execute", note)
    with office.book.read() as session:
        ask(session)
    event.remove(office.book.engine, "before_cursor_execute", note)
    how = "EXPLAIN QUERY PLAN" if office.book.sqlite else "EXPLAIN"
    plans = []
    with office.book.read() as session:
        connection = session.connection()
        if not office.book.sqlite:  # of a few rows it would rather look through them all
            for way in ("seqscan", "sort", "bitmapscan"):
                connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        for statement, parameters in ran:
            rows = connection.exec_driver_sql(f"{how} {statement}", parameters)
            plans.append("\n".join(str(row[-1]) for row in rows))
    return "\n".join(plans)


@pytest.mark.parametrize(
    "ask",
    [
        lambda session: views.queue_ids(session, views.View()),
        lambda session: views.queue(session, views.View(), now=NOW, limit=200),
        lambda session: views.counts(session, views.View(), now=NOW, today_end=NOW, soon_end=NOW),
    ],
    ids=["order", "first page", "numbers"],
)
def test_the_queue_is_read_in_its_order_and_sorted_for_nobody(office, ask):
    open_case(office)
    plan = plan_of(office, ask)
    assert "ix_cases_listed" in plan, plan
    assert "SORT" not in plan.upper() and "ORDER BY" not in plan, plan


def test_the_next_open_cases_to_count_again_are_found_without_sorting_all(office):
    open_case(office)
    plan = plan_of(office, lambda _: list(recomputing.look_through(office, clock=lambda: NOW)))
    assert "ix_cases" not in plan, plan


def test_the_clock_looks_only_at_what_has_a_tick(office):
    open_case(office)
    looks = {
        "next": lambda _: clockwork.next_instant(office, now=office.now()),
        "due": lambda _: clockwork.tick(office, now=NOW - timedelta(days=1)),
    }
    for name, look in looks.items():
        assert "ix_deadlines_tick" in plan_of(office, look), name
