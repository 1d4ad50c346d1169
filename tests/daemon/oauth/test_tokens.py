"""Tokens over time: fresh early, one question at a time, slow where asking is of no use, nothing lost, nothing told."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from daemon import logs
from daemon.oauth.source import Source
from daemon.oauth.tokens import Tokens, rest_after, tokens_of
from daemon.oauth.trouble import TokenRefused, TokenTrouble
from tests.servers import until
from tests.servers.tokens import CLIENT_SECRET

ROOT = Path(__file__).resolve().parents[3]


def test_a_token_serves_until_four_fifths_of_its_life_and_then_comes_a_new_one(tokens_with, token_server, hands):
    tokens = tokens_with()
    first = tokens.access()
    assert not first.cached
    hands.at += 3600 * 0.79
    assert tokens.access().token == first.token and tokens.access().cached
    assert len(token_server.asked) == 1
    hands.at += 3600 * 0.02
    tokens.renew_if_due()
    second = tokens.access()
    assert second.token != first.token and len(token_server.asked) == 2
    assert tokens.seconds_left() == 3600


def test_whoever_logs_in_never_waits_while_a_token_is_alive(tokens_with, token_server, hands):
    tokens = tokens_with()
    first = tokens.access().token
    hands.at += 3000
    token_server.delay = 3.0
    assert tokens.access().token == first  # the new one is asked for meanwhile
    until(lambda: len(token_server.asked) == 2, what="the question for a new token")


def test_a_token_that_has_died_is_never_given_out(tokens_with, token_server, hands):
    tokens = tokens_with()
    first = tokens.access().token
    hands.at += 3600
    assert tokens.access().token != first


def test_however_many_threads_want_a_token_one_question_is_asked(tokens_with, token_server):
    tokens = tokens_with()
    token_server.delay = 0.3
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(tokens.access().token)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 12 and len(set(found)) == 1
    assert (len(token_server.asked), token_server.most_at_once) == (1, 1)


def test_a_token_that_a_mail_server_refuses_is_thrown_away_and_asked_for_anew_once(tokens_with, token_server):
    tokens = tokens_with()
    tokens.access()
    stale = tokens.access()
    fresh = stale.refused()
    assert fresh is not None and fresh.token != stale.token and not fresh.cached
    assert fresh.refused() is None  # its age was not to blame
    assert len(token_server.asked) == 2


def test_a_token_server_that_is_down_is_asked_ever_more_slowly_and_is_no_reason_to_stop(
    tokens_with, token_server, hands
):
    tokens = tokens_with()
    first = tokens.access().token
    token_server.stop()
    hands.at += 3000
    with pytest.raises(TokenTrouble, match="cannot be reached"):
        tokens.renew_if_due()
    assert tokens.access().token == first  # it lives on
    hands.at += 601
    rests = []
    for _ in range(8):
        with pytest.raises(TokenTrouble) as trouble:
            tokens.access()
        rests.append(trouble.value.pause)
        hands.at += trouble.value.pause + 0.1
    assert rests[:6] == sorted(rests[:6]) and rests[5] > 60
    assert max(rests) <= 150
    token_server.start()
    hands.at += 200
    assert token_server.is_good(tokens.access().token)


def test_a_refusal_is_not_repeated_in_haste(tokens_with, token_server, hands):
    tokens = tokens_with()
    token_server.refuse("invalid_client")
    for _ in range(50):
        with pytest.raises(TokenRefused, match="make a new client secret"):
            tokens.access()
        hands.at += 1
    assert len(token_server.asked) == 1
    hands.at += 30
    with pytest.raises(TokenRefused):
        tokens.access()
    assert len(token_server.asked) == 2


def test_the_rests_grow_to_an_hour_where_only_a_person_can_help():
    assert [rest_after(n, refused=True) for n in (1, 2, 3, 10, 1000)] == [60, 120, 240, 3600, 3600]
    assert [rest_after(n, refused=False) for n in (1, 2, 3, 10)] == [2, 4, 8, 120]
    assert rest_after(1, refused=False, named=600) == 600
    assert rest_after(1, refused=True, spread=1.0) == 75


def test_a_replaced_secret_is_tried_at_once(tokens_with, token_server, tmp_path):
    token_server.refresh_token(tmp_path / "refresh")
    token_server.revoke_refresh_tokens()
    tokens = tokens_with(refresh_token_file="refresh")
    with pytest.raises(TokenRefused, match="log in once more"):
        tokens.access()
    with pytest.raises(TokenRefused):
        tokens.access()
    assert len(token_server.asked) == 1
    token_server.refresh_token(tmp_path / "refresh")
    assert token_server.is_good(tokens.access().token)


def test_a_refresh_token_that_is_replaced_is_on_the_disk_before_the_token_is_used(tokens_with, token_server, tmp_path):
    token_server.rotates = True
    first = token_server.refresh_token(tmp_path / "refresh")
    tokens = tokens_with(refresh_token_file="refresh")
    tokens.access()
    second = (tmp_path / "refresh").read_text().strip()
    assert second != first
    again = tokens.access().refused()
    assert again is not None and token_server.asked[-1]["refresh_token"] == second
    assert (tmp_path / "refresh").read_text().strip() not in (first, second)


def test_a_new_refresh_token_that_cannot_be_written_is_kept_and_written_later(
    tokens_with, token_server, tmp_path, hands, monkeypatch
):
    token_server.rotates = True
    first = token_server.refresh_token(tmp_path / "refresh")
    tokens = tokens_with(refresh_token_file="refresh")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(TokenRefused, match=r"cannot be written \(No space left on device\); make room"):
            tokens.access()
    assert (tmp_path / "refresh").read_text().strip() == first
    hands.at += 120
    assert token_server.is_good(tokens.access().token)
    assert token_server.asked[-1]["refresh_token"] not in (first, "")
    assert (tmp_path / "refresh").read_text().strip() == token_server.given_out[-2]


def test_what_a_person_puts_into_the_file_stands_before_what_could_not_be_written(
    tokens_with, token_server, tmp_path, hands, monkeypatch
):
    token_server.rotates = True
    token_server.refresh_token(tmp_path / "refresh")
    tokens = tokens_with(refresh_token_file="refresh")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(TokenRefused):
            tokens.access()
    theirs = token_server.refresh_token(tmp_path / "refresh")
    tokens.access()
    assert token_server.asked[-1]["refresh_token"] == theirs


_ASKS_AND_DIES = """
import os, signal, sys
from pathlib import Path
from daemon.oauth import refresh
from daemon.oauth.source import Source
from tests.builders import some_settings

folder, url, where = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
replace = refresh.RefreshTokenFile.replace

def dies(self, token):
    if where == "after":
        replace(self, token)
    os.kill(os.getpid(), signal.SIGKILL)

refresh.RefreshTokenFile.replace = dies
oauth = {"provider": "generic", "token_url": url, "client_id": "amends-client",
         "client_secret": "kept/very=secret&so%41", "refresh_token_file": "refresh"}
box = {"name": "complaints", "host": "127.0.0.1", "port": 1143, "security": "none", "username": "complaints",
       "oauth": oauth}
settings = some_settings(folder, url="sqlite:///none.db", mailbox=[box])
Source(settings, settings.mailbox[0]).ask()
"""


@pytest.mark.parametrize("where", ["before", "after"])
def test_kill_9_between_receiving_and_writing_a_refresh_token_locks_nobody_out(
    source_with, token_server, tmp_path, where
):
    token_server.rotates = True
    first = token_server.refresh_token(tmp_path / "refresh")
    arguments = [sys.executable, "-c", _ASKS_AND_DIES, str(tmp_path), token_server.url, where]
    done = subprocess.run(arguments, cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert ((tmp_path / "refresh").read_text().strip() == first) == (where == "before")
    assert token_server.is_good(source_with(refresh_token_file="refresh").ask().token)


def test_two_processes_with_one_refresh_token_ask_one_after_the_other(settings_with, token_server, tmp_path):
    token_server.rotates = True
    token_server.delay = 0.1
    token_server.refresh_token(tmp_path / "refresh")
    settings = settings_with(refresh_token_file="refresh")
    keepers = [Tokens(Source(settings, settings.mailbox[0]), name=str(n)) for n in range(4)]
    threads = [threading.Thread(target=keeper.access) for keeper in keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert token_server.most_at_once == 1
    shown = [asked["refresh_token"] for asked in token_server.asked]
    assert len(set(shown)) == 4  # each with what the one before had been given
    assert all(keeper.seconds_left() > 0 for keeper in keepers)


def test_a_token_does_not_hang_on_the_time_of_day(settings_with, token_server, monkeypatch, hands):
    token_server.clock_ahead = -7 * 86_400.0
    settings = settings_with()
    tokens = Tokens(Source(settings, settings.mailbox[0]), name="x", clock=hands)
    first = tokens.access().token
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert tokens.access().token == first and len(token_server.asked) == 1


def test_mailbox_and_mail_server_with_the_same_log_in_share_their_tokens(tmp_path, token_server):
    from tests.builders import some_settings

    alike = {"username": "complaints", "security": "none", "host": "127.0.0.1", "oauth": token_server.oauth()}
    settings = some_settings(tmp_path, mailbox=[{**alike, "name": "complaints", "port": 1143}], smtp=alike)
    assert settings.smtp is not None
    shared = tokens_of(settings, settings.mailbox[0])
    assert tokens_of(settings, settings.smtp) is shared
    other = settings.smtp.model_copy(update={"username": "other"})
    assert tokens_of(settings, other) is not shared


def test_something_unforeseen_is_told_and_does_not_stop_the_asking(hands):
    class Broken:
        asked = 0

        def secrets_as_they_are(self) -> str:
            return ""

        def ask(self):
            self.asked += 1
            raise RuntimeError("unforeseen")

    source = Broken()
    tokens = Tokens(source, name="x", clock=hands)
    for _ in range(2):
        with pytest.raises(TokenTrouble, match="RuntimeError: unforeseen"):
            tokens.access()
        hands.at += 60
    assert source.asked == 2


def test_no_secret_comes_into_the_log_whatever_happens(settings_with, token_server, tmp_path, hands):
    """Everything at its most talkative: our own log and those of the libraries, down to debug."""
    path = tmp_path / "log"
    token_server.rotates = True
    token_server.refresh_token(tmp_path / "refresh")
    with path.open("w") as stream:
        end = logs.configure(stream, level="debug")
        levels = {name: logging.getLogger(name).level for name in ("urllib3", "requests", "authlib")}
        for name in levels:
            logging.getLogger(name).setLevel(logging.DEBUG)
        try:
            settings = settings_with(refresh_token_file="refresh")
            tokens = Tokens(Source(settings, settings.mailbox[0]), name="x", clock=hands)
            logging.getLogger("test").debug(
                "%r %r %r", settings, tokens.access(), Source(settings, settings.mailbox[0]).ask()
            )
            shown = (tmp_path / "refresh").read_text().strip()
            for error in ("invalid_grant", "server_error"):
                token_server.refuse(error, f"{shown} {CLIENT_SECRET} are wrong")
                hands.at += 7200
                with pytest.raises(TokenTrouble):
                    tokens.access()
            token_server.answer(200, "no json")
            hands.at += 7200
            with pytest.raises(TokenTrouble):
                tokens.access()
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            end()
    text = path.read_text()
    assert "oauth.renewed" in text and "oauth.refused" in text and "oauth.away" in text
    for secret in [CLIENT_SECRET, *token_server.given_out]:
        assert secret not in text
