"""The duty that keeps the tokens fresh, so that no log-in waits for one, and says in time what may prevent it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import structlog

from amends.casework.office import Office
from amends.config import Settings, where_of
from daemon.oauth.expiry import sentence, stage
from daemon.oauth.source import Server
from daemon.oauth.tokens import Tokens, tokens_of
from daemon.oauth.trouble import TokenTrouble
from daemon.supervision.duty import Pulse

log = structlog.get_logger()

_LOOK_EVERY: Final = 30.0
_WHILE_ASKING: Final = 0.2
_AT_LEAST: Final = 1.0  # seconds between two looks, however short the lives of tokens are


def servers_by_oauth(settings: Settings) -> list[Server]:
    """The servers of the configuration that are logged in to by tokens."""
    servers: list[Server] = [*settings.mailbox, *([settings.smtp] if settings.smtp is not None else [])]
    return [server for server in servers if server.oauth is not None]


def expiring(settings: Settings, *, today: date) -> Iterator[tuple[str, int, str]]:
    """(where, stage, sentence) for each client secret whose end is near or past."""
    for server in servers_by_oauth(settings):
        expires = server.oauth.secret_expires if server.oauth is not None else None
        if expires is not None and (due := stage(expires, today=today)) is not None:
            yield where_of(server), due, sentence(expires, today=today)


class TokenDuty:
    """Tokens are renewed at four fifths of their life; a refusal is in this duty's row as soon as it comes."""

    name = "oauth"
    silence = 120.0

    def __init__(self, office: Office) -> None:
        self._office = office
        self._told: dict[str, int] = {}

    def run(self, pulse: Pulse) -> None:
        tokens = self._all()
        while not pulse.stopping.is_set():
            if self._look(tokens, pulse):
                due = min((one.seconds_to_renewal() for one in tokens), default=_LOOK_EVERY)
                pulse.wait(min(max(due, _AT_LEAST), _LOOK_EVERY))
            else:
                pulse.wait(_WHILE_ASKING)

    def _all(self) -> list[Tokens]:
        found = (tokens_of(self._office.settings, server) for server in servers_by_oauth(self._office.settings))
        return list({id(one): one for one in found}.values())

    def _look(self, tokens: Sequence[Tokens], pulse: Pulse) -> bool:
        """Begin what is due and say how it is; False while an answer is still waited for."""
        troubles: list[str] = []
        answered = True
        for one in tokens:
            try:
                answered = one.renew_if_due(patience=0.0) and answered
            except TokenTrouble as trouble:
                troubles.append(str(trouble))
        detail = {"lives_s": {one.name: round(one.seconds_left()) for one in tokens}, "warnings": self._warnings()}
        if troubles:
            pulse.failing(" ".join(troubles), **detail)
        elif answered:
            pulse.beat(**detail)
        return answered

    def _warnings(self) -> list[str]:
        """What will end soon, for the row; in the log once when each warning falls due."""
        today = self._office.wall().astimezone(self._office.settings.organisation.zone).date()
        found = []
        for where, due, words in expiring(self._office.settings, today=today):
            found.append(f"{where}: {words}")
            if self._told.get(where) != due:
                self._told[where] = due
                say = log.error if due <= 1 else log.warning
                say("oauth.ends", where=where, why=words)
        return found
