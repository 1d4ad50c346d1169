"""The intake logs in to a real Dovecot by tokens: first, again when they died, and slowly where it is of no use."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon import logs
from daemon.intake.line import Line, LoginRefused
from daemon.oauth.login import credentials
from daemon.reading.pool import ReadingPool
from tests.builders import an_office
from tests.daemon.intake.bench import Desk, a_complaint
from tests.daemon.intake.conftest import ends_at_once, pool  # noqa: F401
from tests.servers.dovecot import Account, Dovecot
from tests.servers.tokens import CLIENT_SECRET, TokenServer

pytestmark = pytest.mark.server("dovecot")


@pytest.fixture
def desk(tmp_path: Path, account: Account, tokens: TokenServer, pool: ReadingPool) -> Callable[..., Desk]:  # noqa: F811
    def make(**oauth: Any) -> Desk:
        section = account.section(oauth=tokens.oauth(**oauth), password=None)
        return Desk(an_office(tmp_path, mailbox=[section]), pool)

    return make


@pytest.mark.parametrize("mechanism", ["auto", "xoauth2", "oauthbearer"])
def test_mail_is_taken_in_by_a_log_in_with_a_token(desk, account, tokens, mechanism):
    account.deliver(a_complaint(1))
    at = desk(mechanism=mechanism)
    at.look_once()
    assert at.cases() == ["complaint 1"]
    assert len(tokens.asked) == 1


def test_a_refresh_token_and_a_service_account_open_the_mailbox_too(desk, account, tokens, tmp_path):
    tokens.refresh_token(tmp_path / "refresh")
    desk(refresh_token_file="refresh").look_once()
    tokens.service_account(tmp_path / "key.json")
    desk(provider="google", token_url="", service_account_file="key.json").look_once()
    assert len(tokens.asked) == 2


def test_when_the_token_has_died_within_the_session_the_next_log_in_is_with_a_new_one(desk, account, tokens, pair):
    """As Exchange does it: the session is cut, and the token from before is of no use any more."""
    at = desk()
    with at.at_work() as pulse:
        at.until(lambda: at.looks, pulse)
        tokens.revoke_all()
        pair[1].restart()
        account.deliver(a_complaint(2))
        at.until(lambda: at.cases(), pulse)
        assert len(tokens.asked) == 2
        assert not any("refuses" in error for error in pulse.errors)


def test_a_refused_refresh_token_is_an_alarm_at_once_and_no_loop_and_a_new_one_helps(desk, account, tokens, tmp_path):
    tokens.refresh_token(tmp_path / "refresh")
    tokens.revoke_refresh_tokens()
    account.deliver(a_complaint(3))
    at = desk(refresh_token_file="refresh")
    with at.at_work() as pulse:
        at.until(lambda: len(pulse.errors) >= 2, pulse)
        assert "log in once more as" in pulse.errors[0] and "put the new refresh token into refresh" in pulse.errors[0]
        assert len(tokens.asked) == 1
        tokens.refresh_token(tmp_path / "refresh")
        at.until(lambda: at.cases() == ["complaint 3"], pulse)
        assert pulse.error is None


def test_while_the_token_server_is_away_the_intake_says_so_and_goes_on_when_it_is_back(desk, account, tokens):
    account.deliver(a_complaint(4))
    tokens.stop()
    at = desk()
    with at.at_work() as pulse:
        at.until(lambda: pulse.errors, pulse)
        assert "cannot be reached: Connection refused" in pulse.errors[0]
        tokens.start()
        at.until(lambda: at.cases() == ["complaint 4"], pulse)


def test_a_token_without_the_scope_that_the_server_wants_is_told_so(desk, account, tokens, tmp_path):
    strict = Dovecot(extra=tokens.dovecot(scope="mail.read", file="strict.conf"))
    strict.start()
    try:
        settings = desk().office.settings
        box = settings.mailbox[0].model_copy(update={"port": strict.port})
        with pytest.raises(LoginRefused, match=r"\(invalid_token\); check that .* may use IMAP .*, and oauth.scopes"):
            Line.open(box, credentials(settings, box))
        tokens.scope = "mail.read"
        settings = desk().office.settings
        box = settings.mailbox[0].model_copy(update={"port": strict.port})
        Line.open(box, credentials(settings, box)).leave()
    finally:
        tokens.scope = "mail"
        strict.close()


def test_a_token_of_another_mailbox_opens_nothing(desk, account, tokens):
    tokens.username = "somebody-else"
    at = desk()
    with at.at_work() as pulse:
        at.until(lambda: pulse.errors, pulse)
        assert "refuses the token for" in pulse.errors[0]


def test_a_server_without_such_log_ins_is_named(desk, account, tokens, dovecot):
    settings = desk().office.settings
    box = settings.mailbox[0].model_copy(update={"port": dovecot.port})
    with pytest.raises(LoginRefused, match=r"offers no log-in by OAuth; correct oauth.mechanism, or use a password"):
        Line.open(box, credentials(settings, box))


def test_a_token_that_is_refused_though_new_is_asked_for_once(desk, account, tokens):
    tokens.username = "somebody-else"
    settings = desk().office.settings
    box = settings.mailbox[0]
    for asked in (1, 2):  # each log-in one, and no more
        with pytest.raises(LoginRefused):
            Line.open(box, credentials(settings, box))
        assert len(tokens.asked) == asked


def test_no_secret_comes_into_the_log_of_the_intake(desk, account, tokens, tmp_path):
    path = tmp_path / "log"
    chatty = ("imapclient", "imapclient.imaplib", "urllib3", "authlib")
    with path.open("w") as stream:
        end = logs.configure(stream, level="debug")
        before = {name: logging.getLogger(name).level for name in chatty}
        try:
            for name in chatty:
                logging.getLogger(name).setLevel(logging.DEBUG)
            at = desk()
            at.look_once()
            tokens.username = "somebody-else"
            with at.at_work("other") as pulse:
                at.until(lambda: pulse.errors, pulse)
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)
            end()
    text = path.read_text()
    assert "intake.trouble" in text and "oauth.renewed" in text
    for secret in [CLIENT_SECRET, *tokens.given_out]:
        assert secret not in text
