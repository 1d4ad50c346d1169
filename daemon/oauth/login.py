"""What to log in to a server with: its password, or a token."""

from __future__ import annotations

from amends.config import Settings
from daemon.oauth.source import Server, Source
from daemon.oauth.tokens import Access, tokens_of


def credentials(settings: Settings, server: Server) -> str | Access:
    """The password of this server or, where log-ins are by OAuth, a token for it.

    Raises ConfigError for a password that cannot be found, TokenTrouble where no token is to be had.
    """
    return settings.password(server) if server.oauth is None else tokens_of(settings, server).access()


def require(settings: Settings, server: Server) -> None:
    """Raise ConfigError now for what would keep every log-in from succeeding; nobody is asked."""
    if server.oauth is None:
        settings.password(server)
    else:
        Source(settings, server).require()
