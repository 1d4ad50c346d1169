"""Two transactions over the same cases never wait for each other."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import text

from amends.casework import clockwork, intake, policychange
from amends.casework.casefile import CaseFile
from amends.ledger import storewide
from tests.builders import AMARA, NOW, SAM, a_mail, an_office, case_of, open_case, post_all, store_mail

pytestmark = pytest.mark.server("postgres")


@pytest.fixture
def office(tmp_path, postgres_url):
    opened = an_office(tmp_path, url=postgres_url)
    yield opened
    opened.book.close()


def while_another_locks_in_order(office, cases, act):
    """`act` in a thread of its own, while a transaction has the first case and then asks for the second."""
    faults = []

    def run():
        try:
            act()
        except Exception as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    with office.book.write() as session:
        CaseFile.open(office, session, cases[0], actor=AMARA, now=NOW)
        thread.start()
        wait_until_somebody_waits(office)
        CaseFile.open(office, session, cases[1], actor=AMARA, now=NOW)
    thread.join(60)
    assert not thread.is_alive() and faults == []


def wait_until_somebody_waits(office):
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with office.book.read() as session:
            if session.connection().execute(waiting).scalar():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def two_cases(office):
    """The second is due first."""
    first = open_case(office, a_mail(sender="a@example.org"))
    second = open_case(office, a_mail(sender="b@example.org"), received_at=NOW - timedelta(days=3))
    post_all(office)
    return first, second


def test_the_clock_locks_its_cases_in_the_order_of_the_outbox(office):
    cases = two_cases(office)
    then, fired = NOW + timedelta(days=60), []
    while_another_locks_in_order(office, cases, lambda: fired.append(clockwork.tick(office, now=then)))
    assert fired[0] >= len(cases)


def test_filing_locks_its_cases_in_the_order_of_the_outbox(office):
    cases = two_cases(office)
    replies = [
        store_mail(office, a_mail(sender=sender, in_reply_to=case_of(office, case).messages[0].message_id))
        for sender, case in zip(("b@example.org", "a@example.org"), reversed(cases), strict=True)
    ]
    while_another_locks_in_order(office, cases, lambda: intake.file(office, replies, now=NOW))
    assert [case_of(office, case).row.unread for case in cases] == [2, 2]


def test_a_change_that_is_applied_locks_its_cases_in_the_order_of_the_outbox(office):
    cases, moved = two_cases(office), []
    with office.book.write() as session:  # what is damaged is mended too
        session.execute(text("UPDATE deadlines SET tick_at = NULL"))
    while_another_locks_in_order(
        office, cases, lambda: moved.append(policychange.apply(office, "We are closed.", actor=SAM, clock=office.now))
    )
    assert moved[0].cases == len(cases)


def test_a_change_that_is_applied_and_the_nightly_check_that_settles_one(office):
    open_case(office)
    holds, faults = threading.Event(), []

    def settle():
        try:
            with office.book.write() as session:
                storewide.enter(session, at=NOW, actor="amends", kind=policychange.KIND, data={})
                holds.set()
                wait_until_somebody_waits(office)
                policychange._renew(office, session, now=NOW)
        except Exception as fault:
            faults.append(fault)

    thread = threading.Thread(target=settle)

    def before_the_end(_):
        thread.start()
        assert holds.wait(20)

    policychange.apply(office, "We are closed.", actor=SAM, clock=office.now, after_each=before_the_end)
    thread.join(60)
    assert not thread.is_alive() and faults == []
