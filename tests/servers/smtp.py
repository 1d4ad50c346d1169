"""A real SMTP server (aiosmtpd) that keeps letters, answers by script, and knows when each letter came."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import ssl
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers import free_port, until

Step = Literal["connect", "ehlo", "mail", "rcpt", "data", "dot", "quit"]

DROP = "drop"
"""Close the connection without an answer; at the dot: the letter is not kept."""
RESET = "reset"
"""The same, by RST."""
KEEP_AND_DROP = "keep and drop"
"""At the dot: the letter is accepted and kept, and the connection closes before the answer."""
HANG = "hang"
"""Never answer; the connection stays open until the server ends."""
KEEP_AND_HANG = "keep and hang"
"""At the dot: accepted and kept, and no answer ever."""


@dataclass(frozen=True, slots=True)
class Slow:
    """Answer as usual, so many seconds late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Torn:
    """At the dot: accepted and kept; send just these bytes for an answer, and close."""

    answer: bytes


Action = str | Slow | Torn
"""A reply like "450 4.2.0 Later", or one of the words above."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One accepted letter: envelope, bytes, and when its dot came (monotonic seconds, and on the wall clock)."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    raw: bytes
    at: float
    received_at: datetime
    session: int

    @property
    def message(self) -> EmailMessage:
        """Parsed by the standard library: our own letters are not hostile."""
        found = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        return found

    def header(self, name: str) -> str:
        return str(self.message[name] or "")


@dataclass(slots=True)
class _Rule:
    step: Step
    action: Action
    to: str | None
    times: float


class _Wire(SMTP):
    """aiosmtpd, with the script asked before each step."""

    def __init__(self, kept: SmtpServer, *args: Any, **kwargs: Any) -> None:
        self.kept = kept
        self.number = kept._next_session()
        super().__init__(*args, **kwargs)

    async def _handle_client(self) -> None:
        if await self._played("connect") is not None:
            return
        await super()._handle_client()

    async def smtp_EHLO(self, hostname: str) -> None:
        if await self._played("ehlo") is None:
            await super().smtp_EHLO(hostname)

    async def smtp_MAIL(self, arg: str | None) -> None:
        if await self._played("mail") is None:
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:
        if await self._played("rcpt", to=arg or "") is None:
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:
        rule = self.kept._take("data", "")
        if rule in (DROP, RESET, HANG):  # in the middle of the letter: after 354, before the dot
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._reader.readline()
            await self._leave(rule)
            return
        if await self._play(rule) is None:
            await super().smtp_DATA(arg)

    async def smtp_QUIT(self, arg: str) -> None:
        if await self._played("quit") is None:
            await super().smtp_QUIT(arg)

    async def auth_XOAUTH2(self, _: object, args: list[str]) -> AuthResult:
        return await self._auth_by_token(args, rb"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01", b"")

    async def auth_OAUTHBEARER(self, _: object, args: list[str]) -> AuthResult:
        form = rb"n,a=([^,\x01]*),\x01(?:host=[^\x01]*\x01)?(?:port=\d+\x01)?auth=Bearer ([^\x01]*)\x01\x01"
        return await self._auth_by_token(args, form, b"\x01")

    async def _auth_by_token(self, args: list[str], form: bytes, last: bytes) -> AuthResult:
        """As the servers do that take tokens: a refusal is a challenge first, and refused when that is answered."""
        found = re.fullmatch(form, b64decode(args[1])) if len(args) == 2 else None
        assert self.kept.believes is not None
        if found is not None and self.kept.believes(found[1].decode(), found[2].decode()):
            return AuthResult(success=True)
        answer = await self.challenge_auth(b'{"status":"401","schemes":"Bearer","scope":"mail.send"}')
        assert answer == last, answer
        return AuthResult(success=False, handled=False)

    async def _played(self, step: Step, *, to: str = "") -> Action | None:
        return await self._play(self.kept._take(step, to))

    async def _play(self, action: Action | None) -> Action | None:
        """Carry out what the script says for this step; None when the server shall go on as usual."""
        if action is None:
            return None
        if isinstance(action, Slow):
            await asyncio.sleep(action.seconds)
            return None
        if isinstance(action, Torn):
            self._writer.write(action.answer)
            await self._writer.drain()
            self.transport.close()
        elif action in (DROP, RESET, HANG):
            await self._leave(action)
        else:
            await self.push(action)
        return action

    async def _leave(self, action: Action | None) -> None:
        if action == HANG:
            await asyncio.sleep(3600)
        if action == RESET:
            self.transport.abort()
        else:
            self.transport.close()


class _Handler:
    def __init__(self, kept: SmtpServer) -> None:
        self.kept = kept

    async def handle_DATA(self, server: _Wire, session: Session, envelope: Envelope) -> str:
        action = self.kept._take("dot", " ".join(envelope.rcpt_tos))
        if isinstance(action, Slow):
            await asyncio.sleep(action.seconds)
            action = None
        if action in (DROP, RESET, HANG):
            await server._leave(action)
            return "421 4.3.0 Gone"
        if isinstance(action, str) and action not in (KEEP_AND_DROP, KEEP_AND_HANG):
            return action
        self.kept._keep(envelope, server.number)
        if action == KEEP_AND_HANG:
            await server._leave(HANG)
        elif action == KEEP_AND_DROP:
            await server._leave(DROP)
        elif isinstance(action, Torn):
            await server._play(action)
        return f"250 2.0.0 Ok: queued as {len(self.kept.letters):08X}"


class _Controller(Controller):
    def __init__(self, kept: SmtpServer, **kwargs: Any) -> None:
        self.kept = kept
        super().__init__(_Handler(kept), hostname="127.0.0.1", **kwargs)

    def factory(self) -> SMTP:
        return _Wire(self.kept, self.handler, **self.SMTP_kwargs)


@dataclass
class SmtpServer:
    """One server on loopback.  `account` (user, password): log-in is demanded; `believes` (user, token): by a token.

    `security` is none, starttls or tls, with `certificate` and `key` (see `tests.servers.self_signed`).
    """

    port: int = 0
    security: Literal["none", "starttls", "tls"] = "none"
    certificate: Path | None = None
    key: Path | None = None
    account: tuple[str, str] | None = None
    believes: Callable[[str, str], bool] | None = None
    letters: list[Letter] = field(default_factory=list)
    sessions: int = 0
    """How many connections there were."""

    def __post_init__(self) -> None:
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._controller: _Controller | None = None
        self.on_letter: Callable[[Letter], None] | None = None
        """Called in the server's thread after each letter that was kept."""

    def start(self) -> SmtpServer:
        context = None
        if self.certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.certificate, self.key)
        options: dict[str, Any] = {"data_size_limit": 50_000_000, "enable_SMTPUTF8": True}
        if self.account is not None or self.believes is not None:
            options |= {"authenticator": self._authenticate, "auth_required": True, "auth_require_tls": False}
        unwanted = {"XOAUTH2", "OAUTHBEARER"} if self.believes is None else {"PLAIN", "LOGIN"}
        options["auth_exclude_mechanism"] = unwanted
        if self.security == "tls":
            options["ssl_context"] = context
        elif self.security == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        self.port = self.port or free_port()
        self._controller = _Controller(self, port=self.port, **options)
        self._controller.start()
        self.sessions = 0
        return self

    def stop(self) -> None:
        """End it and every connection; `start` opens it on the same port again."""
        if self._controller is not None:
            controller, self._controller = self._controller, None
            controller.stop(no_assert=True)

    def section(self, **changes: Any) -> dict[str, Any]:
        """The `[smtp]` table of the configuration for this server."""
        table: dict[str, Any] = {"host": "127.0.0.1", "port": self.port, "security": self.security}
        if self.account is not None:
            table |= {"username": self.account[0], "password": self.account[1]}
        if self.security != "none":
            table["ca_file"] = str(self.certificate)
        return table | changes

    def script(self, step: Step, action: Action, *, to: str | None = None, times: float = 1) -> None:
        """Play `action` at the next `times` occurrences of `step` (`to`: only where a recipient contains this).

        Rules are tried in the order given.  `times=float("inf")`: always.
        """
        with self._lock:
            self._rules.append(_Rule(step, action, to, times))

    def behave(self) -> None:
        """Forget the rest of the script."""
        with self._lock:
            self._rules.clear()

    def wait_for(self, count: int, *, seconds: float = 60.0) -> list[Letter]:
        """The letters, as soon as there are `count` of them."""
        until(lambda: len(self.letters) >= count, seconds=seconds, what=f"{count} letters, have {len(self.letters)}")
        return list(self.letters)

    def _take(self, step: Step, to: str) -> Action | None:
        with self._lock:
            for rule in self._rules:
                if rule.step == step and rule.times > 0 and (rule.to is None or rule.to in to):
                    rule.times -= 1
                    return rule.action
        return None

    def _keep(self, envelope: Envelope, session: int) -> None:
        raw = envelope.original_content or b""
        recipients = tuple(envelope.rcpt_tos)
        letter = Letter(envelope.mail_from or "", recipients, raw, time.monotonic(), datetime.now(UTC), session)
        self.letters.append(letter)
        if self.on_letter is not None:
            self.on_letter(letter)

    def _next_session(self) -> int:
        with self._lock:
            self.sessions += 1
            return self.sessions

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        good = isinstance(data, LoginPassword) and self.account == (data.login.decode(), data.password.decode())
        return AuthResult(success=good, handled=False)
