"""The whole daemon with nothing but tokens, as an operator sets it up: check, run, status, and what it logs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from amends.kernel.instants import wall_clock
from daemon.oauth import source
from tests.daemon.cli.conftest import Told, amendsd, configured  # noqa: F401
from tests.daemon.intake.bench import a_complaint
from tests.servers.dovecot import Account
from tests.servers.smtp import SmtpServer
from tests.servers.tokens import CLIENT_SECRET, TokenServer

pytestmark = pytest.mark.server("dovecot")

Run = Callable[..., Told]


@pytest.fixture
def post(account: Account, tokens: TokenServer) -> Iterator[SmtpServer]:
    server = SmtpServer(believes=lambda user, token: user == account.username and tokens.is_good(token)).start()
    yield server
    server.stop()


@pytest.fixture
def config(
    configured: Callable[..., Path],  # noqa: F811
    account: Account,
    tokens: TokenServer,
    post: SmtpServer,
    tmp_path: Path,
    sqlite_url: str,
) -> Path:
    """Mailbox and mail server share a refresh token that is replaced by each use, and a secret that ends in a week."""
    tokens.rotates = True
    tokens.refresh_token(tmp_path / "refresh")
    (tmp_path / "secret").touch(mode=0o600)
    (tmp_path / "secret").write_text(CLIENT_SECRET)
    oauth = tokens.oauth(
        refresh_token_file="refresh",
        client_secret_file="secret",
        secret_expires=str((wall_clock() + timedelta(days=6)).date()),
    )
    del oauth["client_secret"]
    box = account.section(oauth=oauth)
    del box["password"]
    smtp = post.section(oauth=oauth, username=account.username, plus_addressing=True)
    return configured(mailbox=[box], smtp=smtp, database={"url": sqlite_url})


def test_a_complaint_comes_in_and_its_acknowledgement_leaves_by_tokens_and_no_secret_is_told(
    amendsd: Run,  # noqa: F811
    config: Path,
    account: Account,
    tokens: TokenServer,
    post: SmtpServer,
) -> None:
    account.deliver(a_complaint(1))
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon", "run", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        [letter] = post.wait_for(1, seconds=180)
        told = amendsd("status", "--config", config)
        for _ in range(60):  # the duties report in their own time
            if "oauth" in told.out and "The client secret ends in" in told.out:
                break
            told = amendsd("status", "--config", config)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert letter.header("To") == "Ann <ann1@example.org>"
    assert process.returncode == 0 and out == ""
    assert "oauth" in told.out and "mailbox 'complaints': The client secret ends in" in told.out
    for event in ("oauth.renewed", "oauth.refresh-replaced", "oauth.ends", "intake.filed", "outbox.sent"):
        assert f'"{event}"' in err
    for secret in [CLIENT_SECRET, *tokens.given_out]:
        assert secret not in err + told.out
    assert len({asked["refresh_token"] for asked in tokens.asked}) == len(tokens.asked)


def test_check_logs_in_by_tokens_and_tells_when_the_secret_ends(
    amendsd: Run,  # noqa: F811
    config: Path,
    tokens: TokenServer,
) -> None:
    told = amendsd("check", "--json", "--config", config)
    assert told.status == 0, told.out
    # the first sentence of each kind about each thing
    found = {(one["state"], one["what"]): one["sentence"] for one in reversed(told.json["findings"])}
    assert "the log-in as" in found["ok", "mailbox complaints"] and "the log-in as" in found["ok", "smtp"]
    assert found["ok", "oauth mailbox complaints"].startswith("The token server gives out tokens for refresh token")
    assert "ends in" in found["warning", "oauth mailbox complaints"] and ("warning", "oauth smtp") in found
    assert told.err == "" and CLIENT_SECRET not in told.out
    assert all(secret not in told.out for secret in tokens.given_out)


def test_check_names_what_keeps_tokens_from_coming_and_who_could_read_the_secrets(
    amendsd: Run,  # noqa: F811
    config: Path,
    tokens: TokenServer,
    tmp_path: Path,
) -> None:
    tokens.revoke_refresh_tokens()
    (tmp_path / "secret").chmod(0o644)
    told = amendsd("check", "--json", "--config", config)
    assert told.status == 1
    wrong = {one["what"]: one["sentence"] for one in told.json["findings"] if one["state"] == "wrong"}
    assert {"mailbox complaints", "smtp", "oauth mailbox complaints", "oauth smtp"} <= set(wrong)
    assert "log in once more as" in wrong["oauth mailbox complaints"]
    assert any("secret can be read by others" in one["sentence"] for one in told.json["findings"])
    assert len(tokens.asked) == 1


def test_without_the_extra_check_and_run_say_what_to_install(
    amendsd: Run,  # noqa: F811
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source, "find_spec", lambda name: None)
    told = amendsd("check", "--json", "--config", config)
    wrong = {one["what"]: one["sentence"] for one in told.json["findings"] if one["state"] == "wrong"}
    assert "pip install 'amends[oauth]'" in wrong["oauth mailbox complaints"]
    told = amendsd("run", "--config", config)
    assert told.status == 2 and "pip install 'amends[oauth]'" in told.err
    assert "Traceback" not in told.err
