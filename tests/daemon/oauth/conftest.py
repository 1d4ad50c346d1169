from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amends.config import Settings
from daemon.oauth.source import Source
from daemon.oauth.tokens import Tokens
from tests.builders import some_settings
from tests.servers.dovecot import Account, Dovecot
from tests.servers.tokens import TokenServer


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    """A token server that this test alone uses; it gives out tokens for the user `complaints`."""
    server = TokenServer().start()
    yield server
    server.close()


@pytest.fixture(scope="package")
def pair() -> Iterator[tuple[TokenServer, Dovecot]]:
    tokens = TokenServer().start()
    server = Dovecot(extra=tokens.dovecot())
    server.start()
    yield tokens, server
    server.close()
    tokens.close()


@pytest.fixture
def tokens(pair: tuple[TokenServer, Dovecot]) -> Iterator[TokenServer]:
    """The token server that the Dovecot of these tests asks, with nothing asked yet."""
    tokens = pair[0]
    tokens.asked.clear()
    tokens.life, tokens.rotates = 3600, False
    yield tokens
    tokens.behave()
    if tokens.stopped:
        tokens.start()


@pytest.fixture
def account(pair: tuple[TokenServer, Dovecot], tokens: TokenServer) -> Account:
    """A user with an empty mailbox, whom the tokens are for."""
    account = pair[1].account()
    tokens.username = account.username
    return account


class Hands:
    """A clock that the test sets by hand, in seconds."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def settings_with(tmp_path: Path, token_server: TokenServer) -> Callable[..., Settings]:
    """`settings_with(refresh_token_file=...)`: a mailbox whose log-in asks the token server."""

    def make(**oauth: Any) -> Settings:
        box = {
            "name": "complaints",
            "host": "127.0.0.1",
            "port": 1143,
            "security": "none",
            "username": "complaints",
            "oauth": token_server.oauth(**oauth),
        }
        return some_settings(tmp_path, mailbox=[box])

    return make


@pytest.fixture
def source_with(settings_with: Callable[..., Settings]) -> Callable[..., Source]:
    def make(**oauth: Any) -> Source:
        settings = settings_with(**oauth)
        return Source(settings, settings.mailbox[0])

    return make


@pytest.fixture
def tokens_with(source_with: Callable[..., Source], hands: Hands) -> Callable[..., Tokens]:
    """Tokens whose life is told by `hands`."""

    def make(**oauth: Any) -> Tokens:
        return Tokens(source_with(**oauth), name="mailbox 'complaints'", clock=hands)

    return make
