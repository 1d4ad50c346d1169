"""The duty that keeps tokens fresh: what its row says, what its log says, and how often it asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from amends.casework.office import Office
from daemon.house import build
from daemon.oauth.duty import TokenDuty
from daemon.reading.pool import ReadingPool
from tests.builders import an_office
from tests.daemon.intake.bench import HandPulse
from tests.servers import until
from tests.servers.tokens import TokenServer

END = date(2027, 3, 1)


@pytest.fixture
def office_with(tmp_path: Path, token_server: TokenServer) -> Callable[..., Office]:
    def make(*, now: datetime | None = None, **oauth: Any) -> Office:
        box = {
            "name": "complaints",
            "host": "127.0.0.1",
            "port": 1143,
            "security": "none",
            "username": "complaints",
            "oauth": token_server.oauth(**oauth),
        }
        clock = {} if now is None else {"wall": lambda: now}
        return an_office(tmp_path, mailbox=[box], **clock)

    return make


@contextmanager
def at_work(office: Office) -> Iterator[HandPulse]:
    pulse = HandPulse()
    thread = threading.Thread(target=TokenDuty(office).run, args=(pulse,), daemon=True)
    thread.start()
    try:
        yield pulse
    finally:
        pulse.stopping.set()
        thread.join(60)
        assert not thread.is_alive(), "the duty did not end"


def test_tokens_are_there_before_anybody_logs_in_and_stay_fresh(office_with, token_server):
    token_server.life = 2
    with at_work(office_with()) as pulse:
        until(lambda: len(token_server.asked) >= 3, what="renewals")
        assert pulse.detail["lives_s"]["mailbox 'complaints'"] <= 2
        assert pulse.errors == []
    assert token_server.most_at_once == 1


def test_lives_too_short_to_use_are_no_reason_to_ask_without_pause(office_with, token_server):
    token_server.life = 0.001
    with at_work(office_with()) as pulse:
        until(lambda: pulse.detail, what="the first look")
        pulse.stopping.wait(2.5)
    assert len(token_server.asked) <= 4


def test_a_refused_refresh_token_stands_in_the_row_at_once_and_is_asked_about_slowly(
    office_with, token_server, tmp_path
):
    token_server.refresh_token(tmp_path / "refresh")
    token_server.revoke_refresh_tokens()
    with at_work(office_with(refresh_token_file="refresh")) as pulse:
        until(lambda: pulse.errors, what="the alarm")
        assert "log in once more as complaints and put the new refresh token into refresh" in pulse.errors[0]
        pulse.stopping.wait(1.0)
        assert len(token_server.asked) == 1


def test_it_ends_at_once_while_a_token_server_does_not_answer(office_with, token_server):
    token_server.delay = 5.0
    with at_work(office_with()):
        until(lambda: token_server.asked, what="the question")


@pytest.mark.parametrize(
    ("days_before", "level", "words"),
    [(30, "warning", "ends in 30 days"), (7, "warning", "ends in 7 days"), (1, "error", "ends in 1 day,")],
)
def test_the_end_of_a_secret_is_told_in_the_row_and_once_in_the_log(
    office_with, token_server, days_before, level, words, monkeypatch
):
    monkeypatch.setattr("daemon.oauth.duty._AT_LEAST", 0.05)
    now = datetime(END.year, END.month, END.day, 12, tzinfo=UTC) - timedelta(days=days_before)
    token_server.life = 0.2
    with structlog.testing.capture_logs() as lines, at_work(office_with(now=now, secret_expires=END)) as pulse:
        until(lambda: len(token_server.asked) >= 3 and "warnings" in pulse.detail, what="some looks and the row")
    [warning] = pulse.detail["warnings"]
    assert warning.startswith(f"mailbox 'complaints': The client secret {words}")
    assert [(line["log_level"], line["where"]) for line in lines if line["event"] == "oauth.ends"] == [
        (level, "mailbox 'complaints'")
    ]


def test_a_secret_that_lasts_is_not_mentioned(office_with, token_server):
    now = datetime(2027, 1, 29, 12, tzinfo=UTC)
    with at_work(office_with(now=now, secret_expires=END)) as pulse:
        until(lambda: pulse.detail, what="the first look")
    assert pulse.detail["warnings"] == []


def test_the_house_has_this_duty_only_where_there_is_a_log_in_by_tokens(office_with, tmp_path):
    office = office_with()
    pool = ReadingPool(office.settings, workers=1, reader="tests.daemon.stand_in")
    try:
        assert "oauth" in [duty.name for duty in build(office, pool)]
        assert "oauth" not in [duty.name for duty in build(an_office(tmp_path), pool)]
    finally:
        pool.close()
