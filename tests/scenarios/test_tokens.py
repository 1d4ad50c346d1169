"""The log-in to the mailbox is by tokens, and its end is told in time: scenario 14."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.cli.status import status
from tests.daemon.oauth.conftest import account, pair, tokens  # noqa: F401
from tests.scenarios.town import Town, mail
from tests.servers.dovecot import Account
from tests.servers.tokens import TokenServer

pytestmark = pytest.mark.server("dovecot")


def test_scenario_14_a_dead_refresh_token_is_an_alarm_at_once_and_the_end_of_a_secret_is_told_a_week_before(
    town_with: Callable[..., Town],
    account: Account,  # noqa: F811
    tokens: TokenServer,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tokens.refresh_token(tmp_path / "refresh")
    secret = {"refresh_token_file": "refresh", "secret_expires": "2024-03-11"}
    town = town_with(box=account, mailbox={"oauth": tokens.oauth(**secret), "password": None})
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
        town.until(lambda: _duty(town, "oauth").get("state") == "running")
        [warning] = town.duty("oauth").detail["warnings"]  # type: ignore[union-attr]
        assert "ends in 7 days, on 2024-03-11" in warning and "make a new one" in warning
    tokens.revoke_refresh_tokens()
    tokens.revoke_all()
    town.passes(days=1)
    with town.at_work():
        town.deliver(mail("Nobody hears me.", sender="Sami <sami@example.net>"))
        town.until(lambda: _duty(town, "intake.complaints").get("state") == "failing")
        said = _duty(town, "intake.complaints")["last_error"]
        assert "log in once more as" in said and "put the new refresh token into refresh" in said
        capsys.readouterr()
        assert status(town.desk, as_json=True) == 1
        assert re.search(r'"ready":\s*false', capsys.readouterr().out), "the log of the house stands there too"
        tokens.refresh_token(tmp_path / "refresh")
        town.until_quiet()
    assert town.case_of("sami@example.net").row.stage == "acknowledged", "it waited, and nothing is lost"


def _duty(town: Town, name: str) -> dict[str, str]:
    found = town.duty(name)
    return {} if found is None else {"state": found.state, "last_error": found.last_error or ""}
