"""The outbox logs in to a real SMTP server by tokens: first, again when they died, and slowly where it is of no use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amends.casework.post import Accepted, Claimed
from daemon.outbox.courier import Away, Courier
from tests.builders import some_settings
from tests.servers.smtp import SmtpServer
from tests.servers.tokens import TokenServer


@pytest.fixture
def server(token_server: TokenServer) -> Iterator[SmtpServer]:
    """A mail server that takes nothing but tokens, and asks the token server whether they are good."""
    server = SmtpServer(believes=lambda user, token: user == "complaints" and token_server.is_good(token)).start()
    yield server
    server.stop()


@pytest.fixture
def courier(tmp_path: Path, server: SmtpServer, token_server: TokenServer) -> Iterator[Callable[..., Courier]]:
    made: list[Courier] = []

    def make(*, username: str = "complaints", **oauth: Any) -> Courier:
        section = server.section(username=username, oauth=token_server.oauth(**oauth))
        made.append(Courier(some_settings(tmp_path, smtp=section)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def a_letter() -> Claimed:
    raw = b"From: complaints@northwind.example\r\nTo: edith@example.org\r\nSubject: x\r\n\r\nDear Edith\r\n"
    return Claimed(1, raw, "complaints@northwind.example", "edith@example.org", None, "one@northwind.example")


def carry(courier: Courier, letter: Claimed) -> object:
    return courier.carry(letter, lambda _: True)


@pytest.mark.parametrize("mechanism", ["auto", "xoauth2", "oauthbearer"])
def test_a_letter_leaves_by_a_log_in_with_a_token(courier, server, token_server, mechanism):
    assert isinstance(carry(courier(mechanism=mechanism), a_letter()), Accepted)
    assert len(server.letters) == 1 and len(token_server.asked) == 1


def test_a_token_that_has_died_is_replaced_within_the_log_in(courier, server, token_server):
    mine = courier()
    carry(mine, a_letter())
    mine.close()
    token_server.revoke_all()
    assert isinstance(carry(mine, a_letter()), Accepted)
    assert len(token_server.asked) == 2 and server.sessions == 2


@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
def test_a_token_that_the_server_does_not_want_is_one_sentence_and_asked_for_once(
    courier, server, token_server, mechanism
):
    mine = courier(username="somebody-else", mechanism=mechanism)
    with pytest.raises(Away) as refused:
        mine.open()
    assert "refuses the token for somebody-else: 535" in str(refused.value)
    assert "(401, it wants the scope mail.send)" in str(refused.value)
    assert "smtp.oauth.scopes" in str(refused.value) and refused.value.patience == 60
    assert len(token_server.asked) == 1
    for given in token_server.given_out:
        assert given not in str(refused.value)


def test_a_refused_secret_keeps_letters_waiting_and_no_mail_server_is_bothered(courier, server, token_server):
    token_server.refuse("invalid_client")
    mine = courier()
    for _ in range(5):
        with pytest.raises(Away, match="make a new client secret"):
            mine.open()
    assert server.sessions == 0 and len(token_server.asked) == 1


def test_a_server_without_such_log_ins_is_named(tmp_path, token_server):
    plain = SmtpServer(account=("complaints", "secret")).start()
    try:
        section = {**plain.section(), "password": None, "oauth": token_server.oauth()}
        with pytest.raises(Away, match=r"offers no log-in by OAuth; correct smtp.oauth.mechanism"):
            Courier(some_settings(tmp_path, smtp=section)).open()
    finally:
        plain.stop()
