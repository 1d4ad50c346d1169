"""A token server on loopback: grants of OAuth 2 (RFC 6749, RFC 7523), and token info for Dovecot's oauth2 passdb.

tokens.oauth()                      # the `oauth` table of the configuration: client credentials
tokens.oauth(refresh_token_file=f)  # with a refresh token, which `tokens.refresh_token()` gave out
tokens.refuse("invalid_grant")      # from now on, until `tokens.behave()`
tokens.revoke_all()                 # every access token is dead, whatever its life
"""

from __future__ import annotations

import itertools
import json
import secrets
import shutil
import ssl
import tempfile
import threading
import time
from base64 import b64decode
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "amends-client"
CLIENT_SECRET = "kept/very=secret&so%41"  # all that a form must escape
ACCOUNT = "robot@northwind.iam.example"


@dataclass
class TokenServer:
    """One server.  `start` and `stop` keep the port and what was given out."""

    username: str = "complaints"
    scope: str = "mail"
    """What its tokens are good for."""
    life: float | None = 3600
    """Seconds; None: not told to the client."""
    rotates: bool = False
    """A refresh token is replaced by each use; the old one is good until the new one is used."""
    clock_ahead: float = 0.0
    """Seconds that its clock is ahead of ours."""
    asked: list[dict[str, str]] = field(default_factory=list)
    """Every form that came to the token address, with the client's secret taken out of HTTP Basic if it was there."""

    def __post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="amends-tokens-"))
        self.folder.chmod(0o755)  # Dovecot reads its part here
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.port = 0
        self.most_at_once = 0
        self.delay = 0.0
        self.drips = False
        """Each byte of an answer comes by itself, slowly."""
        self._at_once = 0
        self._error: tuple[int, Any, dict[str, str]] | None = None
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._access: dict[str, tuple[float, str]] = {}  # when it dies (monotonic), its scope
        self._refresh: dict[str, str | None] = {}  # the one it takes the place of
        self._server: ThreadingHTTPServer | None = None
        self.given_out: list[str] = []

    # what a test does

    def start(self) -> TokenServer:
        kept = self

        class Handler(_Handler):
            tokens = kept

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def behind_tls(self, certificate: Path, key: Path) -> str:
        """Speak TLS from now on; the address of the tokens then."""
        assert self._server is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        return self.url.replace("http:", "https:")

    def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            server.shutdown()
            server.server_close()

    @property
    def stopped(self) -> bool:
        return self._server is None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    def oauth(self, **changes: Any) -> dict[str, Any]:
        """The `oauth` table of a configuration that asks this server."""
        table: dict[str, Any] = {"provider": "generic", "token_url": self.url, "scopes": [self.scope]}
        if "service_account_file" not in changes:
            table |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        return table | changes

    def refresh_token(self, file: Path | None = None) -> str:
        """A refresh token that is good here, written into `file` as an operator would."""
        with self._lock:
            token = self._new("refresh")
            self._refresh[token] = None
        if file is not None:
            file.touch(mode=0o600)
            file.write_text(f"{token}\n")
        return token

    def service_account(self, file: Path) -> Path:
        """The key file of a service account that this server knows."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        account = {
            "type": "service_account",
            "client_email": ACCOUNT,
            "private_key_id": "key-1",
            "private_key": pem,
            "token_uri": self.url,
        }
        file.touch(mode=0o600)
        file.write_text(json.dumps(account))
        return file

    def refuse(self, error: str, words: str = "", *, status: int = 400) -> None:
        """Answer every question by this error of RFC 6749 5.2."""
        self.answer(status, {"error": error, "error_description": words})

    def answer(self, status: int, document: Any, **headers: str) -> None:
        """Answer every question with this; text goes out as it is."""
        self._error = (status, document, headers)

    def behave(self) -> None:
        self._error, self.delay, self.drips = None, 0.0, False

    def revoke_all(self) -> None:
        """Every access token is dead."""
        with self._lock:
            self._access.clear()

    def revoke_refresh_tokens(self) -> None:
        with self._lock:
            self._refresh.clear()

    def is_good(self, token: str) -> bool:
        with self._lock:
            return token in self._access and time.monotonic() < self._access[token][0]

    def dovecot(self, *, scope: str = "", file: str = "oauth2.conf") -> str:
        """What to add to a Dovecot's configuration so that it takes our tokens, those with `scope` only."""
        (self.folder / file).write_text(
            f"tokeninfo_url = http://127.0.0.1:{self.port}/tokeninfo?access_token=\n"
            "username_attribute = username\nactive_attribute = active\nactive_value = true\n"
            "timeout_msecs = 5000\n" + (f"scope = {scope}\n" if scope else "")
        )
        return (
            "auth_mechanisms = plain login xoauth2 oauthbearer\n"
            "auth_cache_size = 0\n"
            "service anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}\n"  # else refusals come late
            "passdb {\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n"
            f"  args = {self.folder}/{file}\n}}\n"
        )

    # what it answers

    def token(self, form: dict[str, str], client: tuple[str, str] | None) -> tuple[int, Any, dict[str, str]]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.asked.append(form)
        try:
            time.sleep(self.delay)
            if self._error is not None:
                return self._error
            with self._lock:
                return self._granted(form, client)
        finally:
            with self._lock:
                self._at_once -= 1

    def _granted(self, form: dict[str, str], client: tuple[str, str] | None) -> tuple[int, Any, dict[str, str]]:
        kind = form.get("grant_type", "")
        if kind == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            if (wrong := self._wrong_assertion(form.get("assertion", ""))) is not None:
                return _no("invalid_grant", wrong)
            return self._given(form.get("scope", self.scope))
        if client is None:
            client = (form.get("client_id", ""), form.get("client_secret", ""))
        if client != (CLIENT_ID, CLIENT_SECRET) and not (kind == "refresh_token" and client == (CLIENT_ID, "")):
            return _no("invalid_client", "no such client", status=401)
        if form.get("scope", self.scope) != self.scope:
            return _no("invalid_scope", f"only {self.scope}")
        if kind == "client_credentials":
            return self._given(self.scope)
        if kind != "refresh_token":
            return _no("unsupported_grant_type")
        token = form.get("refresh_token", "")
        if token not in self._refresh:
            return _no("invalid_grant", f"the refresh token {token} has been revoked")
        if not self.rotates:
            return self._given(self.scope)
        if (old := self._refresh[token]) is not None:
            self._refresh.pop(old, None)
        new = self._new("refresh")
        self._refresh[new] = token
        return self._given(self.scope, refresh_token=new)

    def _given(self, scope: str, **more: str) -> tuple[int, Any, dict[str, str]]:
        token = self._new("access")
        self._access[token] = (time.monotonic() + (3600 if self.life is None else self.life), scope)
        told = {} if self.life is None else {"expires_in": self.life}
        return 200, {"access_token": token, "token_type": "Bearer", "scope": scope, **told, **more}, {}

    def _new(self, kind: str) -> str:
        token = f"{kind}-{next(self._numbers)}-{secrets.token_urlsafe(24)}"
        self.given_out.append(token)
        return token

    def _wrong_assertion(self, assertion: str) -> str | None:
        try:
            claims = jwt.decode(assertion, RSAKey.import_key(self.key.public_key()), algorithms=["RS256"]).claims
        except Exception as fault:
            return f"Invalid JWT Signature: {type(fault).__name__}"
        if (claims.get("iss"), claims.get("sub"), claims.get("aud")) != (ACCOUNT, self.username, self.url):
            return "Invalid JWT: wrong iss, sub or aud"
        if claims.get("scope") != self.scope:
            return "Invalid JWT: wrong scope"
        now = time.time() + self.clock_ahead
        if not now - 3900 < claims["iat"] < now + 300 or not now < claims["exp"] <= claims["iat"] + 3600:
            return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe"
        return None

    def token_info(self, token: str) -> tuple[int, Any, dict[str, str]]:
        with self._lock:
            dies_at, scope = self._access.get(token, (0.0, ""))
        if time.monotonic() >= dies_at:
            return _no("invalid_token", status=401)
        return 200, {"active": True, "username": self.username, "scope": scope}, {}


def _no(error: str, words: str = "", *, status: int = 400) -> tuple[int, Any, dict[str, str]]:
    return status, {"error": error, "error_description": words}, {}


class _Handler(BaseHTTPRequestHandler):
    tokens: TokenServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        form = {name: values[-1] for name, values in parse_qs(body, keep_blank_values=True).items()}
        self._send(*self.tokens.token(form, self._basic()))

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self._send(*self.tokens.token_info(query.get("access_token", [""])[0]))

    def _basic(self) -> tuple[str, str] | None:
        kind, _, words = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return None
        user, _, password = b64decode(words).decode().partition(":")
        return unquote(user), unquote(password)

    def _send(self, status: int, document: Any, headers: dict[str, str]) -> None:
        text = document if isinstance(document, str | bytes) else json.dumps(document)
        body = text if isinstance(text, bytes) else text.encode()
        self.send_response_only(status)
        self.send_header("Date", formatdate(time.time() + self.tokens.clock_ahead, usegmt=True))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        for piece in [body[n : n + 1] for n in range(len(body))] if self.tokens.drips else [body]:
            self.wfile.write(piece)
            time.sleep(0.05 if self.tokens.drips else 0)

    def log_message(self, *_: object) -> None:
        """Nothing: tokens stand in the paths."""
