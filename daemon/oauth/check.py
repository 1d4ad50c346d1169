"""What `amendsd check` finds about log-ins by OAuth: their secrets, how long these last, whether tokens come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from amends.config import Settings, where_of
from amends.kernel.errors import AmendsError
from daemon.checks.files import others_may_read
from daemon.checks.finding import Finding, ok, warning, wrong
from daemon.oauth import provider
from daemon.oauth.duty import expiring, servers_by_oauth
from daemon.oauth.login import require
from daemon.oauth.source import Server
from daemon.oauth.tokens import tokens_of


def check(settings: Settings, *, now: datetime) -> Iterator[Finding]:
    """One by one, so that a token is asked for once where several servers share it."""
    for server in servers_by_oauth(settings):
        yield from _server(settings, server)
    for where, due, words in expiring(settings, today=now.astimezone(settings.organisation.zone).date()):
        yield (wrong if due == 0 else warning)(_what(where), words)


def _server(settings: Settings, server: Server) -> Iterator[Finding]:
    oauth, where = server.oauth, where_of(server)
    assert oauth is not None
    what = _what(where)
    for path in (oauth.client_secret_file, oauth.service_account_file):
        if path is not None and (file := settings.path(path)).is_file() and others_may_read(file):
            yield warning(what, f"{file} can be read by others on this machine; run: chmod 600 {file}")
    try:
        require(settings, server)
        tokens = tokens_of(settings, server)
        tokens.access()
    except AmendsError as fault:
        yield wrong(what, str(fault).removeprefix(f"{where}: "))
        return
    minutes = tokens.seconds_left() / 60
    yield ok(what, f"{provider.name_of(oauth)} gives out tokens for {oauth.grant}, good for {minutes:.0f} minutes.")


def _what(where: str) -> str:
    """As the findings about the servers name them."""
    return f"oauth {where.replace(chr(39), '')}"
