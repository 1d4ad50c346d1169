"""The tokens of one log-in: asked for early, by one thread at a time, kept in memory, and never asked for in haste."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from amends.config import Settings, Smtp, where_of
from daemon.oauth import provider
from daemon.oauth.source import Server, Source
from daemon.oauth.trouble import TokenRefused, TokenTrouble

if TYPE_CHECKING:
    from daemon.oauth.ask import Granted

log = structlog.get_logger()

RENEW_AT: Final = 0.8  # of a token's life: the rest is room for a token server that is away
ANSWER_WITHIN: Final = 45.0  # seconds that a log-in waits for a token
_SHORTEST_LIFE: Final = 1.0  # a token that is said to live less is tried all the same, or we would ask without a pause
_FIRST_REST: Final = 2.0
_LONGEST_REST: Final = 120.0
_FIRST_REST_REFUSED: Final = 60.0
_LONGEST_REST_REFUSED: Final = 3600.0


def rest_after(failures: int, *, refused: bool, named: float = 0.0, spread: float = 0.0) -> float:
    """Seconds before a token is asked for again after `failures` in a row (1, 2, ...): 2, 4 ... 120, or 60 ... 3600.

    The latter where the server refuses, and only a person can mend it.  `named` is what the server asked for; `spread`
    in [0, 1) lengthens it by up to a quarter.
    """
    first, longest = (_FIRST_REST_REFUSED, _LONGEST_REST_REFUSED) if refused else (_FIRST_REST, _LONGEST_REST)
    return max(min(first * 2.0 ** min(failures - 1, 20), longest), named) * (1 + spread / 4)


class Asks(Protocol):
    """Where tokens come from (`Source`)."""

    def ask(self) -> Granted: ...

    def secrets_as_they_are(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float
    dies_at: float


@dataclass(frozen=True, slots=True)
class Access:
    """A token to log in with.  `cached`: it was asked for before, and the mail server may have done with it."""

    token: str = field(repr=False)
    cached: bool
    tokens: Tokens = field(repr=False)

    def refused(self) -> Access | None:
        """To be told when a mail server refuses this token: it is thrown away.

        A new one if this one was cached, to try again with at once; else None: it was not the token's age.
        """
        self.tokens.throw_away(self.token)
        return self.tokens.access() if self.cached else None


class Tokens:
    """Thread-safe.  `clock` counts seconds and is never set: a token's life does not hang on the time of day."""

    def __init__(self, source: Asks, *, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._underway: Future[str] | None = None
        self._trouble: TokenTrouble | None = None
        self._refused_with = ""
        self._failures = 0
        self._rest_until = 0.0

    def access(self) -> Access:
        """A token that is alive: the one there is, while a new one may be on its way; else the new one, waited for.

        Raises TokenTrouble, at once where the server was asked in vain a moment ago.
        """
        with self._lock:
            underway = self._begun_if_due()
            if self._token is not None and self._clock() < self._token.dies_at:
                return Access(self._token.value, cached=True, tokens=self)
            if underway is None:
                raise self._trouble_again()
        return Access(self._awaited(underway), cached=False, tokens=self)

    def renew_if_due(self, *, patience: float = ANSWER_WITHIN) -> bool:
        """Have a token that is fresh; False if the answer is not there after `patience` (seconds).

        What keeps a new one from coming is raised as TokenTrouble, also while the old one is alive.
        """
        with self._lock:
            underway = self._begun_if_due()
            if underway is None:
                if self._trouble is not None:
                    raise self._trouble_again()
                return True
        try:
            underway.exception(patience)
        except TimeoutError:
            return False
        self._awaited(underway)
        return True

    def throw_away(self, token: str) -> None:
        """A mail server refuses this token, however long it might live."""
        with self._lock:
            if self._token is not None and self._token.value == token:
                self._token = None

    def seconds_left(self) -> float:
        """How long the token at hand is good for; 0 if there is none."""
        with self._lock:
            return max(0.0, self._token.dies_at - self._clock()) if self._token is not None else 0.0

    def seconds_to_renewal(self) -> float:
        """When there will be something to do; 0 now."""
        with self._lock:
            at = self._rest_until if self._trouble is not None else self._token.renew_at if self._token else 0.0
            return max(0.0, at - self._clock())

    def _begun_if_due(self) -> Future[str] | None:
        """The question that is under way, begun now if it is time for one.  With the lock held."""
        if self._underway is not None or self._is_fresh() or self._rests():
            return self._underway
        underway: Future[str] = Future()
        threading.Thread(target=self._ask, args=(underway,), name=f"oauth {self.name}", daemon=True).start()
        self._underway = underway
        return underway

    def _is_fresh(self) -> bool:
        return self._token is not None and self._clock() < self._token.renew_at

    def _rests(self) -> bool:
        """Whether asking again is of no use yet; it is as soon as somebody has replaced a secret that was refused."""
        if self._trouble is None or self._clock() >= self._rest_until:
            return False
        return not isinstance(self._trouble, TokenRefused) or self._source.secrets_as_they_are() == self._refused_with

    def _trouble_again(self) -> TokenTrouble:
        """The last trouble, for one more thread to raise.  With the lock held."""
        assert self._trouble is not None
        return type(self._trouble)(str(self._trouble), pause=max(0.0, self._rest_until - self._clock()))

    def _awaited(self, underway: Future[str]) -> str:
        try:
            return underway.result(ANSWER_WITHIN)
        except TimeoutError:
            raise TokenTrouble(f"The token server does not answer for {self.name}.") from None
        except TokenTrouble as trouble:
            raise type(trouble)(str(trouble), pause=trouble.pause) from None  # several threads wait for this one

    def _ask(self, underway: Future[str]) -> None:
        """In a thread of its own: whoever waits may go away, and what has been given out is kept all the same."""
        secrets, asked_at = "", self._clock()
        try:
            secrets = self._source.secrets_as_they_are()
            granted = self._source.ask()
        except TokenTrouble as trouble:
            self._in_vain(underway, trouble, secrets)
        except Exception as fault:  # else everybody would wait for this thread for ever
            log.error("oauth.fell", where=self.name, exc_info=fault)
            self._in_vain(underway, TokenTrouble(f"No token for {self.name} ({type(fault).__name__}: {fault})."), "")
        else:
            self._answered(underway, granted, asked_at)

    def _answered(self, underway: Future[str], granted: Granted, asked_at: float) -> None:
        life = max(granted.life, _SHORTEST_LIFE)
        token = _Token(granted.token, asked_at + life * RENEW_AT, asked_at + life)
        with self._lock:
            self._token, self._trouble, self._failures, self._underway = token, None, 0, None
        log.info("oauth.renewed", where=self.name, lives_s=round(granted.life))
        underway.set_result(granted.token)

    def _in_vain(self, underway: Future[str], trouble: TokenTrouble, secrets: str) -> None:
        refused = isinstance(trouble, TokenRefused)
        with self._lock:
            again = self._trouble is not None and str(self._trouble) == str(trouble)
            self._failures += 1
            rest = rest_after(self._failures, refused=refused, named=trouble.pause, spread=_dice())
            self._trouble, self._refused_with, self._underway = trouble, secrets, None
            self._rest_until = self._clock() + rest
            trouble.pause = rest
        say = log.debug if again else log.error if refused else log.warning
        say("oauth.refused" if refused else "oauth.away", where=self.name, why=str(trouble), again_in_s=round(rest))
        underway.set_exception(trouble)


_known: dict[tuple[object, ...], Tokens] = {}
_known_lock = threading.Lock()


def tokens_of(settings: Settings, server: Server) -> Tokens:
    """The tokens for this server, one keeper a process: mailbox and mail server share them if all else is alike."""
    oauth = server.oauth
    assert oauth is not None
    own_secret = oauth.client_secret is None and oauth.client_secret_file is None and oauth.grant != "service account"
    scopes = provider.scopes(oauth, sending=isinstance(server, Smtp))
    key = (settings.folder, oauth, server.username, scopes, where_of(server) if own_secret else "")
    with _known_lock:
        if key not in _known:
            _known[key] = Tokens(Source(settings, server), name=where_of(server))
        return _known[key]


def _dice() -> float:
    return random.random()  # noqa: S311  (dice, not a secret)
