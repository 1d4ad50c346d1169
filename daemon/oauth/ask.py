"""One question to a token server (RFC 6749 3.2), by authlib: an answer with bounds on time, size and where it may go.

Only this module needs the extra `oauth`; it is imported where it is first used.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import JWTBearerGrant
from joserfc.jwk import RSAKey
from requests import PreparedRequest, RequestException, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import SSLError

from amends.config import is_loopback
from amends.kernel.text import one_line
from daemon.oauth.trouble import TokenTrouble

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 20.0
ANSWER_SECONDS: Final = 20.0
ANSWER_AT_MOST: Final = 256 * 1024  # bytes; Microsoft's tokens have some 2 kB
LIFE_UNTOLD: Final = 300.0  # seconds that a token is used for whose life nobody told (RFC 6749 5.1 only recommends it)
LONGEST_LIFE: Final = 86_400.0
LONGEST_PAUSE: Final = 900.0

_TOKEN: Final = re.compile(r"[!-~]{1,65536}")  # RFC 6749 A.12; nothing in it may end a line or a field of SASL
_PASSING: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_TRACES: Final = re.compile(r"[\s.]*\b(?:Trace ID|Correlation ID|Timestamp):.*", re.DOTALL)  # Microsoft's
_CLOCK_AND_JITTER: Final = 60.0


@dataclass(frozen=True, slots=True)
class Application:
    """Who asks: the id that the provider gave the application, its secret, and how both are shown (post, basic)."""

    client_id: str
    secret: str | None = field(repr=False)
    auth: str = "post"


@dataclass(frozen=True, slots=True)
class Granted:
    """A token, how many seconds it lives, and the refresh token that takes the place of the one shown, if any."""

    token: str = field(repr=False)
    life: float
    refresh_token: str | None = field(default=None, repr=False)


class Denied(Exception):
    """The server says no, and will say so again.

    `error` is its code (RFC 6749 5.2), `words` what it adds; `clock_off` how many seconds this machine's clock is ahead
    of the server's (behind: negative) if that is more than a network explains.
    """

    def __init__(self, error: str, words: str = "", *, clock_off: float | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.words = words
        self.clock_off = clock_off


class Asker:
    """Asks one token server.  `wall` is the machine's clock, which assertions are dated by."""

    def __init__(self, url: str, *, ca_file: Path | None, wall: Callable[[], datetime]) -> None:
        self._url = url
        self._host = urlsplit(url).netloc
        self._ca_file = ca_file
        self._wall = wall

    def by_client_credentials(self, application: Application, scopes: tuple[str, ...]) -> Granted:
        """RFC 6749 4.4.  Raises Denied or TokenTrouble, as the others do."""
        return self._asked(application, {"grant_type": "client_credentials", **_scope(scopes)})

    def by_refresh_token(self, application: Application, token: str, scopes: tuple[str, ...]) -> Granted:
        """RFC 6749 6."""
        form = {"grant_type": "refresh_token", "refresh_token": token, **_scope(scopes)}
        return self._asked(application, form, hide=(token,))

    def by_assertion(self, *, key: str, key_id: str, issuer: str, subject: str, scopes: tuple[str, ...]) -> Granted:
        """RFC 7523: a service account, which signs with its private `key` (PEM), in the name of `subject`.

        Raises ValueError for a key that cannot sign.
        """
        signed = JWTBearerGrant.sign(
            RSAKey.import_key(key),
            issuer=issuer,
            audience=self._url,
            subject=subject,
            issued_at=int(self._wall().timestamp()),
            claims=_scope(scopes),
            header={"alg": "RS256", "kid": key_id} if key_id else {"alg": "RS256"},
        )
        assertion = signed.decode("ascii") if isinstance(signed, bytes) else str(signed)
        form = {"grant_type": JWTBearerGrant.GRANT_TYPE, "assertion": assertion}
        return self._asked(None, form, hide=(assertion,))

    def _asked(self, application: Application | None, form: dict[str, str], hide: tuple[str, ...] = ()) -> Granted:
        secret = application.secret if application is not None else None
        hidden = [*hide, *([secret] if secret else [])]
        with _session(application, self._context()) as session:
            session.trust_env = not is_loopback(urlsplit(self._url).hostname or "")  # no proxy between us and ourselves
            try:
                document = session.fetch_token(self._url, **form, **_unsigned(application))
            except OAuthError as refused:
                raise self._refused(session.answer, str(refused.error), refused.description, hidden) from None
            except SSLError as fault:
                raise TokenTrouble(
                    f"{self._host} has a certificate that cannot be trusted ({_reason(fault)}); "
                    "correct oauth.token_url, or set oauth.ca_file to its authority."
                ) from None
            except (RequestException, ValueError) as fault:
                raise self._no_answer(session.answer, fault) from None
        return self._granted(document)

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
        except OSError as fault:  # also what is no certificate: SSLError is one
            raise TokenTrouble(
                f"oauth.ca_file: cannot read certificates from {self._ca_file}; correct it.", pause=60
            ) from fault

    def _refused(
        self, answer: Response | None, error: str, words: str | None, hidden: list[str]
    ) -> Denied | TokenTrouble:
        said = _TRACES.sub("", words or "")
        for secret in hidden:
            said, error = said.replace(secret, "[withheld]"), error.replace(secret, "[withheld]")
        error, said = one_line(error, 60), one_line(said, 240)
        if error in _PASSING or (answer is not None and _is_passing(answer.status_code)):
            return TokenTrouble(f"{self._host} gives out no token now: {said or error}.", pause=_pause_named(answer))
        return Denied(error, said, clock_off=self._clock_off(answer))

    def _no_answer(self, answer: Response | None, fault: Exception) -> Denied | TokenTrouble:
        """What is no answer of a token server: nothing, an error of HTTP, a page of whoever stands in between."""
        if answer is None:
            return TokenTrouble(f"{self._host} cannot be reached: {_reason(fault)}.")
        status = answer.status_code
        if 300 <= status < 500 and not _is_passing(status):
            where = "sends us elsewhere" if status < 400 else "has no token server there"
            return Denied(f"HTTP {status}", f"it {where}; correct oauth.token_url")
        return TokenTrouble(f"{self._host} answers what is no token (HTTP {status}).", pause=_pause_named(answer))

    def _granted(self, document: Mapping[str, Any]) -> Granted:
        token, kind = document.get("access_token"), document.get("token_type", "Bearer")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise TokenTrouble(f"{self._host} answers without a token that could be used.")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise Denied("unsupported token type", "it gives out tokens that mail servers do not take")
        fresh = document.get("refresh_token")
        usable = isinstance(fresh, str) and _TOKEN.fullmatch(fresh) is not None
        return Granted(token, _life(document.get("expires_in")), fresh if usable else None)

    def _clock_off(self, answer: Response | None) -> float | None:
        try:
            theirs = parsedate_to_datetime(answer.headers["Date"]) if answer is not None else None
        except (KeyError, ValueError, TypeError):
            return None
        if theirs is None:
            return None
        off = (self._wall() - (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC))).total_seconds()
        return off if abs(off) > _CLOCK_AND_JITTER else None


class _Session(OAuth2Session):  # type: ignore[misc]
    """authlib's session that follows nobody, waits for a bounded time and reads a bounded answer."""

    answer: Response | None = None

    def request(self, method: str, url: str, **options: Any) -> Response:
        options |= {"timeout": (CONNECT_SECONDS, READ_SECONDS), "allow_redirects": False, "stream": True}
        answer: Response = super().request(method, url, **options)
        self.answer = answer
        answer._content = _bounded(answer)
        answer._content_consumed = True
        return answer


def _bounded(answer: Response) -> bytes:
    """The body, unpacked.  Raises ValueError for one that is long or comes by drips, which no time-out ends."""
    body, until = b"", time.monotonic() + ANSWER_SECONDS
    while piece := answer.raw.read1(ANSWER_AT_MOST, decode_content=True):
        body += piece
        if len(body) > ANSWER_AT_MOST or time.monotonic() > until:
            answer.close()
            raise ValueError("the answer is too long or too slow")
    return body


class _Adapter(HTTPAdapter):
    """Verifies certificates by `context` alone, and not by the list that requests brings along."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **options)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


def _session(application: Application | None, context: ssl.SSLContext) -> _Session:
    methods = {"post": "client_secret_post", "basic": "escaped_basic"}
    session = _Session(
        client_id=application.client_id if application else None,
        client_secret=application.secret if application else None,
        token_endpoint_auth_method=methods[application.auth] if application and application.secret else "none",
    )
    session.register_client_auth_method(("escaped_basic", _escaped_basic))
    session.mount("https://", _Adapter(context))
    session.headers["User-Agent"] = "amends"
    return session


def _escaped_basic(client: Any, _method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    """RFC 6749 2.3.1: id and secret are form-encoded before they become HTTP Basic; authlib leaves that out."""
    from requests.auth import _basic_auth_str

    headers["Authorization"] = _basic_auth_str(quote(client.client_id, safe=""), quote(client.client_secret, safe=""))
    return uri, headers, body


def _unsigned(application: Application | None) -> dict[str, Callable[[PreparedRequest], PreparedRequest]]:
    """An assertion speaks for itself; without this, requests would look for a log-in in ~/.netrc."""
    return {} if application is not None else {"auth": lambda request: request}


def _scope(scopes: tuple[str, ...]) -> dict[str, str]:
    return {"scope": " ".join(scopes)} if scopes else {}


def _life(told: object) -> float:
    """Seconds; Microsoft once wrote them as text."""
    try:
        seconds = float(told) if isinstance(told, str | int | float) and not isinstance(told, bool) else 0.0
    except ValueError:
        seconds = 0.0
    return min(seconds, LONGEST_LIFE) if seconds > 0 else LIFE_UNTOLD


def _is_passing(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _pause_named(answer: Response | None) -> float:
    """The seconds for which the server wants to be left alone (Retry-After, RFC 9110 10.2.3), as far as we listen."""
    told = answer.headers.get("Retry-After", "") if answer is not None else ""
    return min(float(told), LONGEST_PAUSE) if told.isascii() and told.isdigit() else 0.0


def _reason(fault: BaseException) -> str:
    """The innermost words of an error that libraries have wrapped several times."""
    cause: BaseException | None = fault
    words = type(fault).__name__
    for _ in range(10):
        if cause is None:
            break
        if isinstance(cause, ssl.SSLCertVerificationError):
            return one_line(cause.verify_message, 200)
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            words = "it does not answer in time"
        elif isinstance(cause, OSError) and cause.strerror:
            words = one_line(cause.strerror, 200)
        inner = [one for one in (getattr(cause, "reason", None), *cause.args) if isinstance(one, BaseException)]
        cause = inner[0] if inner else cause.__cause__ or cause.__context__
    return words
