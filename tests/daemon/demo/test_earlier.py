"""The weeks before the demonstration are played with the verbs, so the store is as if they had been lived."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest

from amends.casework.office import open_office
from amends.config import load
from amends.ledger import views
from amends.ledger.verify import verify
from daemon.demo.cast import is_automatic
from daemon.demo.configuration import Wiring, write_configuration
from daemon.demo.earlier import play_earlier, read_earlier


@pytest.mark.parametrize("now", [datetime(2026, 11, 24, 16, 0, tzinfo=UTC), datetime(2027, 1, 3, 3, 0, tzinfo=UTC)])
def test_the_desk_has_cases_in_hand_in_every_state(tmp_path, sqlite_url, now):
    settings = load(write_configuration(tmp_path, Wiring(1143, 1025, "pw", 1440.0, "sam")))
    office = open_office(settings, wall=lambda: now)
    delivered: list[tuple[str, bytes]] = []
    assert play_earlier(office, deliver=lambda to, raw: delivered.append((to, raw)), now=now) == 5
    with office.book.read() as session:
        rows = views.queue(session, views.View(), now=now)
        closed = views.queue(session, views.View(closed=True), now=now)
        cases = {row.complainant_name: views.case(session, row.id, now=now) for row in rows}
    assert not verify(office.book).problems
    writers = {earlier.mail.address for earlier in read_earlier()}
    told = [to for to, letter in delivered if is_automatic(letter) and "We have received" in _subject(letter)]
    assert len(rows) + len(closed) == 5 and sorted(told) == sorted(writers)
    assert {row.complainant_address for row in (*rows, *closed)} == writers
    assert {row.handler for row in rows} > {None} and {row.severity for row in rows} >= {"high"}
    assert any(row.waiting for row in rows) and [row.stage for row in closed] == ["closed"]
    assert now - timedelta(days=32) < min(row.received_at for row in rows) < now
    clocks = {name: {one.label for one in case.deadlines} for name, case in cases.items()}
    assert clocks["Graham Tull"] >= {"FINAL", "FINAL*", "REPAIR"} and "REPAIR" not in clocks["Bernadette Quinn"]
    assert [row.complainant_name for row in rows if row.due_at and row.due_at < now] == ["Walter Strickland"]
    office.book.close()


def _subject(letter: bytes) -> str:
    return str(message_from_bytes(letter, policy=policy.default)["Subject"])
