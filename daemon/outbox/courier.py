"""The courier: one connection to the mail server, and one letter after the other over it.

The order of the steps is the promise (RFC 5321, RFC 1047): everything up to the last byte of the letter may fail and be
done again; then `post.before_dots` makes the point of no return durable; then the dot, and only a whole 2yz, 4yz or 5yz
reply to it is an answer.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from amends.casework.post import Accepted, Claimed, Deferred, Rejected, Result, Unknown
from amends.config import Settings, Smtp
from amends.kernel.errors import ConfigError, TryLater
from amends.kernel.text import one_line
from amends.letters.address import CannotAnswer, sendable
from daemon.oauth import sasl
from daemon.oauth.login import credentials, require
from daemon.oauth.tokens import Access
from daemon.oauth.trouble import TokenTrouble
from daemon.outbox.wire import Broken, TlsWire, Wire

CONNECT_SECONDS: Final = 30.0
STEP_SECONDS: Final = 60.0
DOT_SECONDS: Final = 600.0  # RFC 5321 4.5.3.2.6: a server may take ten minutes over the letter
_QUIT_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 1.0  # also when other answers took all the time: it may have come long ago
LETTERS_A_CONNECTION: Final = 100  # some servers count, and close the connection on the one who goes on

_BARE: Final = re.compile(rb"\r\n|\r|\n")
_DOT: Final = re.compile(rb"(?m)^\.")

_AGAINST_US: Final = re.compile(rb"(?i)relay(?:ing)?\b.{0,20}(?:denied|not permitted|prohibited)|unable to relay")

Reply = tuple[int, bytes]
BeforeDot = Callable[[bool], bool]
"""Makes the point of no return durable; told whether the receipt copy goes along.  False: the letter is not ours."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The server has all of a letter but its dot; `receipt`: and takes the receipt copy along."""

    receipt: bool


class Away(TryLater):
    """No letter can be handed over now: the server cannot be reached, or will not have us.  No letter is to blame."""

    def __init__(self, sentence: str, *, patience: float = 0.0) -> None:
        super().__init__(sentence)
        self.patience = patience
        """How many seconds it makes no sense to knock again."""


class CutOff(Away):
    """The connection broke within a letter, before its dot: by chance or because of that letter, nobody knows."""


class Courier:
    """Carries letters to the mail server of the configuration.  Not thread-safe; opens its connection when needed."""

    def __init__(self, settings: Settings, *, hurry: Callable[[], bool] = lambda: False) -> None:
        if settings.smtp is None:
            raise ConfigError("smtp: is missing; letters cannot leave without a mail server")
        self._settings = settings
        self._smtp: Smtp = settings.smtp
        if self._smtp.username:
            require(settings, self._smtp)
        self._ca_file = settings.path(settings.smtp.ca_file) if settings.smtp.ca_file else None
        self._hurry = hurry
        self._hello: str | None = settings.smtp.hello or None
        self._wire: Wire | None = None
        self._carried = 0
        self._begun = False
        self._answer_until = 0.0
        self._lost: Broken | None = None

    def open(self) -> None:
        """Have a connection on which a letter can be begun.  Raises Away."""
        if self._wire is not None and (self._wire.sock is None or self._carried >= LETTERS_A_CONNECTION):
            self.close()
        if self._wire is not None:
            return
        try:
            self._wire, self._carried, self._begun = self._connected(), 0, False
        except Broken as why:
            raise Away(f"{self._server} takes no letters: {why}.") from why
        except TokenTrouble as why:
            raise Away(str(why)) from why
        except ssl.SSLCertVerificationError as why:
            raise Away(
                f"{self._server} has a certificate that cannot be trusted: {why.verify_message}; "
                "set smtp.host to the name in it, or smtp.ca_file to its authority.",
                patience=60,
            ) from why
        except (OSError, UnicodeError) as why:
            raise Away(f"{self._server} cannot be reached: {getattr(why, 'strerror', None) or why}.") from why

    @property
    def _server(self) -> str:
        return f"The mail server {self._smtp.host}:{self._smtp.port}"

    def _connected(self) -> Wire:
        smtp, context = self._smtp, self._context() if self._smtp.security != "none" else None
        shown = credentials(self._settings, smtp) if smtp.username else None
        wire = (
            TlsWire(context=context, local_hostname=self._hello, timeout=CONNECT_SECONDS, hurry=self._hurry)
            if smtp.security == "tls" and context is not None
            else Wire(local_hostname=self._hello, timeout=CONNECT_SECONDS, hurry=self._hurry)
        )
        try:
            self._greet(wire, context, shown)
        except BaseException:
            wire.close()
            raise
        self._hello = wire.local_hostname  # finding it can ask the name servers: once is enough
        return wire

    def _greet(self, wire: Wire, context: ssl.SSLContext | None, shown: str | Access | None) -> None:
        code, words = wire.connect(self._smtp.host, self._smtp.port)
        if code != 220:
            raise Broken(f"it says {_said((code, words))}")
        wire.reply_within = STEP_SECONDS
        self._introduce(wire)
        if self._smtp.security == "starttls" and context is not None:
            if not wire.has_extn("starttls"):
                raise Broken('it does not offer STARTTLS; set smtp.security = "tls" if it is encrypted from the start')
            wire.encrypt(context)
            self._introduce(wire)
        if shown is not None:
            self._log_in(wire, shown)

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
        except OSError as fault:  # also what is no certificate: SSLError is one
            raise Away(
                f"smtp.ca_file: cannot read certificates from {self._ca_file}; correct it.", patience=60
            ) from fault

    def _introduce(self, wire: Wire) -> None:
        if (reply := wire.ehlo())[0] != 250 and (reply := wire.helo())[0] != 250:
            raise Broken(f"it refuses our greeting: {_said(reply)}")

    def _log_in(self, wire: Wire, shown: str | Access) -> None:
        """AUTH (RFC 4954), one way and not all in turn: each failure counts on the server's list."""
        offered = wire.esmtp_features.get("auth", "").upper().split()
        if isinstance(shown, Access):
            self._log_in_by_token(wire, offered, shown)
        else:
            self._log_in_by_password(wire, offered, shown)

    def _log_in_by_password(self, wire: Wire, offered: Sequence[str], password: str) -> None:
        user = self._smtp.username
        if "PLAIN" in offered:
            code = wire.docmd("AUTH", f"PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}")[0]
        elif "LOGIN" in offered:
            code = wire.docmd("AUTH", "LOGIN")[0]
            for answer in (user, password):
                if code == 334:
                    code = wire.docmd(_base64(answer))[0]
        elif "CRAM-MD5" in offered:
            wire.user, wire.password = user, password
            code = _tried(lambda: wire.auth("CRAM-MD5", wire.auth_cram_md5))[0]
        else:
            raise Away(
                f"{self._server} offers no log-in that we know; take smtp.username out if it wants none.", patience=60
            )
        if not _logged_in(code):
            raise Away(
                f"{self._server} refuses our log-in ({code}); check smtp.username and its password.", patience=60
            )

    def _log_in_by_token(self, wire: Wire, offered: Sequence[str], access: Access) -> None:
        """AUTH OAUTHBEARER (RFC 7628) or XOAUTH2.  A token from before that is refused: once more with a new one."""
        smtp = self._smtp
        mechanism = sasl.choose(smtp.oauth.mechanism if smtp.oauth else "auto", offered)
        if mechanism is None:
            raise Away(
                f"{self._server} offers no log-in by OAuth; correct smtp.oauth.mechanism, or use a password.",
                patience=60,
            )
        exchange = sasl.Exchange(mechanism, user=smtp.username, token=access.token, host=smtp.host, port=smtp.port)
        code, words = wire.docmd("AUTH", f"{mechanism} {_encoded(exchange(b''))}")
        if code == 334:  # what it has against the token; it wants an answer to that, and then refuses
            code, words = wire.docmd(_encoded(exchange(_decoded(words))))
        if _logged_in(code):
            return
        if (fresh := access.refused()) is not None:
            self._log_in_by_token(wire, offered, fresh)
            return
        why = f"{_said((code, words))} ({exchange.refusal})" if exchange.refusal else _said((code, words))
        raise Away(
            f"{self._server} refuses the token for {smtp.username}: {why}; check that the application may send as this "
            "mailbox (authenticated SMTP), and smtp.oauth.scopes.",
            patience=60,
        )

    def carry(self, letter: Claimed, before_dot: BeforeDot) -> Result | None:
        """Hand over one letter; None if `before_dot` said that it is not ours any more.

        Raises Away, and then the letter has not been accepted; and whatever `before_dot` raises, likewise.
        """
        ready = self.begin(letter)
        if not isinstance(ready, Ready):
            return ready
        try:
            ours = before_dot(ready.receipt)
        except BaseException:
            self.let_go()
            raise
        if not ours:
            self.let_go()
            return None
        self.dot()
        return self.answer()

    def begin(self, letter: Claimed) -> Result | Ready:
        """The whole letter but its dot; or what the server has against it.  Raises Away; nothing is accepted then."""
        self.open()
        used_before = self._begun
        try:
            return self._up_to_the_dot(letter)
        except Broken as why:
            self.let_go()
            if not used_before:
                raise CutOff(f"{self._server} broke off in the middle of a letter: {why}.") from why
        except BaseException:
            self.let_go()
            raise
        self.open()  # a connection that had been lying about: the server may have tired of it
        try:
            return self._up_to_the_dot(letter)
        except Broken as why:
            self.let_go()
            raise CutOff(f"{self._server} broke off in the middle of a letter: {why}.") from why
        except BaseException:
            self.let_go()
            raise

    def still_ready(self) -> bool:
        """Whether the server still waits in silence for the dot."""
        return self._wire is not None and self._wire.quiet()

    def _up_to_the_dot(self, letter: Claimed) -> Result | Ready:
        wire = self._wire
        if wire is None:
            raise Broken("the connection is closed")
        wire.reply_within, wire.at_dot = STEP_SECONDS, False
        try:
            to = sendable(letter.to, smtputf8=wire.has_extn("smtputf8"))
        except CannotAnswer as why:
            return Rejected(str(why))
        if self._begun:
            wire.docmd("RSET")
        self._begun = True
        receipt = letter.receipt_to
        mail, rcpt, copy = self._envelope(wire, letter, to)
        if not _is(mail, 2):
            # Our sender address, not the complainant's: the operator can mend it, so it is never final.
            return self._refused(Deferred(f"the sender address was refused: {_said(mail)}"), mail)
        if not _is(rcpt, 2):
            return self._refused(_refusal(rcpt), rcpt)
        if receipt is not None and not _is(copy, 2):
            receipt = None
        data = wire.docmd("DATA")
        if data[0] != 354:
            return self._refused(_refusal(data), data)
        wire.send(_stuffed(letter.raw))
        if not wire.quiet():
            raise Broken("it spoke in the middle of the letter")
        return Ready(receipt is not None)

    def _envelope(self, wire: Wire, letter: Claimed, to: str) -> tuple[Reply, Reply, Reply]:
        """MAIL, RCPT and the RCPT of the receipt copy, in one go where the server allows (RFC 2920).

        DATA is not among them: with the complainant refused and the copy accepted there would be no way back.
        """
        beyond_ascii = not (to.isascii() and letter.raw.isascii())
        wire.command_encoding = "utf-8" if beyond_ascii else "ascii"
        mail = f"MAIL FROM:<{letter.envelope_from}>"
        if wire.has_extn("size"):
            mail += f" SIZE={len(letter.raw)}"
        if beyond_ascii:
            mail += " BODY=8BITMIME SMTPUTF8"
        commands = [mail, f"RCPT TO:<{to}>", *([f"RCPT TO:<{letter.receipt_to}>"] if letter.receipt_to else [])]
        replies = self._pipelined(wire, commands) if wire.has_extn("pipelining") else self._in_turn(wire, commands)
        return replies[0], replies[1], replies[2] if len(replies) > 2 else (0, b"")

    def _pipelined(self, wire: Wire, commands: Sequence[str]) -> list[Reply]:
        wire.send("".join(f"{command}\r\n" for command in commands))
        return [wire.getreply() for _ in commands]

    def _in_turn(self, wire: Wire, commands: Sequence[str]) -> list[Reply]:
        replies: list[Reply] = []
        for command in commands:
            # after a refusal of MAIL or of the complainant nothing else is worth saying
            wanted = all(_is(reply, 2) for reply in replies[:2])
            replies.append(wire.docmd(command) if wanted else (503, b"not asked"))
        return replies

    def _refused(self, result: Result, reply: Reply) -> Result:
        if reply[0] == 421:  # it is closing the connection (RFC 5321 4.2.1)
            self.let_go()
        return result

    def dot(self) -> None:
        """End the letter that was begun; from here on it may be accepted, whatever becomes of us."""
        wire, self._lost = self._wire, None
        self._answer_until = time.monotonic() + DOT_SECONDS
        if wire is None:
            self._lost = Broken("the connection was closed")
            return
        wire.at_dot = True
        try:
            wire.send(b".\r\n")
        except Broken as why:
            self._lost = why

    def answer(self) -> Result:
        """What the server says to the dot."""
        try:
            if self._wire is None or self._lost is not None:
                raise self._lost or Broken("the connection was closed")
            self._wire.reply_within = max(self._answer_until - time.monotonic(), _ANSWER_SECONDS)
            reply = self._wire.getreply()
        except Broken as why:
            self.let_go()
            return Unknown(f"{self._server} had the whole letter, and then {why}")
        self._carried += 1
        self._begun = False
        result = _outcome(reply)
        if isinstance(result, Unknown):
            self.let_go()
        return self._refused(result, reply)

    def refuses_sender(self, address: str) -> str | None:
        """What the server says against letters from `address`, or None.  No letter is begun.  Raises Away."""
        self.open()
        wire = self._wire
        assert wire is not None
        wire.reply_within = STEP_SECONDS
        try:
            reply = wire.docmd(f"MAIL FROM:<{address}>")
            if reply[0] != 421:
                wire.docmd("RSET")
        except Broken as why:
            self.let_go()
            raise Away(f"{self._server} broke off: {why}.") from why
        return None if _is(reply, 2) else _said(reply)

    def close(self) -> None:
        """Take leave of the server; what it says to that is of no interest."""
        if self._wire is not None and self._wire.sock is not None:
            self._wire.reply_within = _QUIT_SECONDS
            with contextlib.suppress(Broken):
                self._wire.docmd("QUIT")
        self.let_go()

    def let_go(self) -> None:
        """Close the connection: what was begun and has no dot is accepted by nobody."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None


def _is(reply: Reply, hundreds: int) -> bool:
    return reply[0] // 100 == hundreds


def _said(reply: Reply) -> str:
    return one_line(f"{reply[0]} {reply[1].decode('utf-8', 'replace')}", 400)


def _refusal(reply: Reply) -> Result:
    """What a reply to RCPT or DATA, not the wanted one, means for the letter; nothing has been accepted.

    Only a 5yz about the letter is final: 552 counts as passing (RFC 5321 4.5.3.1.10), and what the server has against
    *us* (no log-in, no relaying) the operator can mend.
    """
    final = _is(reply, 5) and reply[0] not in (530, 552) and not _AGAINST_US.search(reply[1])
    return Rejected(_said(reply)) if final else Deferred(_said(reply))


def _outcome(reply: Reply) -> Result:
    """What a whole reply to the dot means for the letter (RFC 5321 4.2.1)."""
    if _is(reply, 2):
        return Accepted(_said(reply))
    if _is(reply, 4) or _is(reply, 5):
        return _refusal(reply)
    return Unknown(f"the mail server's answer has no meaning here: {_said(reply)}")


def _stuffed(raw: bytes) -> bytes:
    """`raw` as DATA carries it: every line ended by CRLF, a dot before each leading dot (RFC 5321 2.3.8, 4.5.2)."""
    body = _BARE.sub(b"\r\n", raw)
    return _DOT.sub(b"..", body if body.endswith(b"\r\n") else body + b"\r\n")


def _logged_in(code: int) -> bool:
    """Whether AUTH has succeeded; raises Broken if the server cannot tell now (RFC 4954 4, 6)."""
    if 400 <= code < 500:
        raise Broken(f"it cannot check our log-in now: {code}")
    return code == 235


def _base64(text: str) -> str:
    return _encoded(text.encode("utf-8"))


def _encoded(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _decoded(words: bytes) -> bytes:
    try:
        return b64decode(words, validate=True)
    except ValueError:
        return b""


def _tried(step: Callable[[], Reply]) -> Reply:
    from smtplib import SMTPAuthenticationError

    try:
        return step()
    except SMTPAuthenticationError as refused:
        return refused.smtp_code, b""
