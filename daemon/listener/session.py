"""One conversation with a mail server: aiosmtpd's LMTP and SMTP, made strict, bounded and honest about the commit.

What differs from aiosmtpd:
- A command ends with CRLF alone; a bare CR, LF or NUL in it is an error.  DATA ends with CRLF . CRLF alone, and
  everything else in it is kept byte for byte, however long its lines are: none of the ways to smuggle a message, which
  all live on other ends of lines, makes two messages of one or ends it early.
- A message that is too large is thrown away while it comes, and cannot fill the memory.
- LMTP answers once for each recipient (RFC 2033 4.2), PIPELINING and ENHANCEDSTATUSCODES are offered (section 5).
- An error is 451 and never quotes itself; time-outs and the end of the daemon are said with 421 (RFC 5321 3.8).
- There is no AUTH, VRFY, EXPN, ETRN or HELP, and the greeting tells a name and a protocol.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import AnyStr, Final

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, TLSSetupException
from aiosmtpd.smtp import Session as Peer

from amends.casework.intake import Incoming
from amends.kernel.errors import AmendsError, TryLater
from daemon.listener.envelope import Recipients, read_path, with_trace
from daemon.listener.keeper import Keeper

log = structlog.get_logger()

END_OF_DATA: Final = b"\r\n.\r\n"
_PIECE: Final = 64 * 1024  # octets read at once; a client slower than this in a time-out is disconnected
_COMMAND: Final = 512  # RFC 5321 4.5.3.1.4
_MAIL_COMMAND: Final = _COMMAND + 26 + 10  # RFC 1870 3 (SIZE), RFC 6531 3.4 (SMTPUTF8)
_CALLS: Final = {"MAIL": 1000, "RCPT": 100_000, "DATA": 1000, "RSET": 1000, "NOOP": 100, "*": 20}
_NOT_IN_A_LINE: Final = frozenset(b"\r\n\0")
STORE_SECONDS: Final = 60.0
_LINGER: Final = 5.0  # seconds that the last words may take to leave

# RFC 3463, for the replies that aiosmtpd writes without one.
_ENHANCED: Final = {
    "221": "2.0.0",
    "250": "2.0.0",
    "454": "4.7.0",
    "500": "5.5.2",
    "501": "5.5.4",
    "502": "5.5.1",
    "503": "5.5.1",
    "530": "5.7.0",
    "552": "5.3.4",
    "553": "5.1.3",
    "554": "5.7.0",
    "555": "5.5.4",
}

TOO_LARGE: Final = "552 5.3.4 The message is larger than {} octets"
NO_ROOM: Final = "452 4.3.1 Too much mail at once; try again later"
NOT_KEPT: Final = "451 4.3.0 The message could not be kept; try again later"
CLOSING: Final = "421 4.3.2 Closing; try again later"
TOO_MANY: Final = "421 4.7.0 Too many connections; try again later"
SILENT: Final = "421 4.4.2 Closing: too slow"


@dataclass
class Room:
    """What all sessions share: the limits, who is ours, where messages are kept, and who is in."""

    keeper: Keeper
    recipients: Recipients
    hostname: str
    now: Callable[[], datetime]
    """The business clock: the instant of a message's receipt."""
    max_octets: int
    max_connections: int
    max_recipients: int
    timeout: float
    sessions: set[Session] = field(default_factory=set)
    stopping: bool = False
    kept: int = 0
    refused: int = 0
    """Messages (for LMTP: not recipients) answered 4yz or 5yz at their end."""
    _octets: int = 0

    @property
    def most_octets_at_once(self) -> int:
        return 4 * self.max_octets

    def take(self, octets: int) -> bool:
        """Room in memory for so many octets more, or False."""
        if self._octets + octets > self.most_octets_at_once:
            return False
        self._octets += octets
        return True

    def give_back(self, octets: int) -> None:
        self._octets -= octets


class Hooks:
    """What aiosmtpd asks: may this sender, may this recipient, what to say after an error."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def handle_MAIL(
        self, _server: SMTP, _peer: Peer, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not address.isascii() and not envelope.smtp_utf8:
            return "553 5.6.7 An address outside ASCII needs SMTPUTF8"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender taken"

    async def handle_RCPT(self, _server: SMTP, _peer: Peer, envelope: Envelope, address: str, _options: object) -> str:
        if len(envelope.rcpt_tos) >= self._room.max_recipients:
            return "452 4.5.3 Too many recipients"
        if not self._room.recipients.has(address):
            return "550 5.1.1 There is no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient taken"

    async def handle_exception(self, error: Exception) -> str:
        if isinstance(error, TLSSetupException):
            log.info("listener.no-tls", why=str(error.__cause__))
        elif not isinstance(error, ConnectionError):
            log.error("listener.fault", exc_info=error)
        return "451 4.3.0 Something went wrong; try again later"


class Session(SMTP):
    """A conversation, by either protocol."""

    line_length_limit = _PIECE
    protocol = "smtp"

    def __init__(self, room: Room, *, tls: ssl.SSLContext | None = None, demand_tls: bool = False) -> None:
        self.room = room
        self.receiving = False
        loop = asyncio.get_running_loop()
        self._patience_ends = loop.time() + 4 * room.timeout
        super().__init__(
            Hooks(room),
            data_size_limit=room.max_octets,
            enable_SMTPUTF8=True,
            hostname=room.hostname,
            ident=self.protocol.upper().replace("SMTP", "ESMTP"),
            tls_context=tls,
            require_starttls=demand_tls,
            timeout=room.timeout,
            command_call_limit=_CALLS,
            loop=loop,
        )
        # aiosmtpd keeps these in the class and lets each EHLO raise them for everybody.
        self.command_size_limits = defaultdict(lambda: _COMMAND, MAIL=_MAIL_COMMAND)

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.room.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.room.sessions.discard(self)
        super().connection_lost(error)

    def _cb_client_connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super()._cb_client_connected(reader, writer)
        whole_lines(reader)

    def _reset_timeout(self, duration: float | None = None) -> None:
        left = self._patience_ends - self.loop.time()
        super()._reset_timeout(max(0.001, min(duration or self._timeout_duration, left)))

    def _be_patient(self) -> None:
        """The client got something done: it may take its time again."""
        self._patience_ends = self.loop.time() + 4 * self.room.timeout

    def _timeout_cb(self) -> None:
        self.leave(SILENT)

    def leave(self, words: str) -> None:
        """Say why, and close; a client that does not even read that is cut off."""
        transport = self.transport
        if not isinstance(transport, asyncio.Transport) or transport.is_closing():
            return
        transport.write(words.encode() + b"\r\n")
        transport.close()
        self.loop.call_later(_LINGER, transport.abort)
        if self._handler_coroutine is not None:  # what it has read already must not be taken for commands
            self._handler_coroutine.cancel()

    # The replies

    async def push(self, status: AnyStr) -> None:
        text = status if isinstance(status, str) else status.decode()
        code, _, words = text.partition(" ")
        if code == "500" and '"' in words:
            words = "Unknown command"  # aiosmtpd would repeat what it was sent
        enhanced = _ENHANCED.get(code)
        if enhanced is not None and not words.startswith(f"{code[0]}."):
            words = f"{enhanced} {words}"
        await super().push(f"{code} {words}")

    async def _say_lines(self, lines: list[str]) -> None:
        said = [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]
        await super().push("\r\n".join(said))

    # The commands

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        return read_path(arg) or (None, None)

    async def _hello(self, name: str | None, *, extended: bool) -> None:
        if not name or self.session is None:
            await self.push("501 Your name is missing")
            return
        self.envelope = self._create_envelope()
        self.session.extended_smtp, self.session.host_name = extended, name
        offers = ["PIPELINING", f"SIZE {self.room.max_octets}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        if self.tls_context and not self._tls_protocol:
            offers.append("STARTTLS")
        await self._say_lines([self.hostname, *(offers if extended else ())])

    async def smtp_MAIL(self, arg: str | None) -> None:
        if self.room.stopping:
            self.leave(CLOSING)
            return
        await super().smtp_MAIL(arg)

    async def smtp_DATA(self, arg: str) -> None:
        if await self.check_helo_needed():
            return
        envelope = self.envelope
        if envelope is None or not envelope.rcpt_tos:
            await self.push("503 5.5.1 No recipient was taken")
            return
        if arg:
            await self.push("501 Syntax: DATA")
            return
        self.receiving = True
        try:
            await self._receive(envelope)
        finally:
            self.receiving = False
        if self.room.stopping:
            self.leave(CLOSING)

    async def _receive(self, envelope: Envelope) -> None:
        await self.push("354 End with <CR><LF>.<CR><LF>")
        incoming = _Data(self.room)
        try:
            going_on = await self._read(incoming)
            reply = incoming.refusal or await self._keep(envelope, incoming.message())
        finally:
            incoming.forget()
        self.envelope = self._create_envelope()
        self.room.refused += not reply.startswith("2")
        for _ in range(len(envelope.rcpt_tos) if self.protocol == "lmtp" else 1):
            await self.push(reply)
        if not going_on:
            self.leave(CLOSING)
        self._reset_timeout()

    async def _read(self, incoming: _Data) -> bool:
        """Read up to the end of the data; False if the client would not stop sending what is refused already."""
        reader = self._reader
        # The CRLF that ends the command DATA counts for the end of empty data: RFC 5321 4.1.1.4.
        put_back(reader, b"\r\n")
        while True:
            try:
                incoming.add(await reader.readuntil(END_OF_DATA))
            except asyncio.LimitOverrunError as more:
                incoming.add(await reader.read(more.consumed))
            else:
                self._be_patient()
                return True
            if incoming.endless:
                return False
            self._reset_timeout()

    async def _keep(self, envelope: Envelope, message: bytes | bytearray) -> str:
        """Have it committed; the reply is 250 only then."""
        if len(message) > self.room.max_octets:
            return TOO_LARGE.format(self.room.max_octets)
        raw = with_trace(message, envelope.mail_from or "<>", envelope.rcpt_tos)
        order = Incoming(f"listener:{self.protocol}", None, None, raw, self.room.now())
        self._reset_timeout(STORE_SECONDS + _LINGER)
        try:
            stored = await asyncio.wait_for(asyncio.wrap_future(self.room.keeper.keep(order)), STORE_SECONDS)
        except TimeoutError:
            log.error("listener.not-kept", why=f"the database did not answer within {STORE_SECONDS:.0f} s")
            return NOT_KEPT
        except AmendsError as trouble:
            level = log.warning if isinstance(trouble, TryLater) else log.error
            level("listener.not-kept", why=str(trouble))
            return NOT_KEPT
        except Exception as fault:  # each recipient of LMTP must be answered, whatever happened
            log.error("listener.not-kept", exc_info=fault)
            return NOT_KEPT
        self.room.kept += 1
        log.info("listener.kept", arrival=stored.arrival_id, new=stored.new, octets=len(raw), by=self.protocol)
        return f"250 2.0.0 Kept as {stored.arrival_id}"

    async def _not_here(self, arg: str) -> None:
        await self.push("502 5.5.1 Not here")

    smtp_AUTH = smtp_VRFY = smtp_EXPN = smtp_ETRN = smtp_HELP = _not_here

    async def smtp_BDAT(self, arg: str) -> None:
        """Not offered; the octets behind it must not be taken for commands."""
        self.leave("502 5.5.1 Not here")

    async def _no_mail_server(self, arg: str) -> None:
        """A web browser was led here to have its request taken for mail commands."""
        log.warning("listener.not-mail")
        self.leave("421 4.7.0 This is no web server")

    smtp_GET = smtp_POST = smtp_PUT = smtp_HEAD = smtp_OPTIONS = smtp_CONNECT = _no_mail_server


class SmtpSession(Session):
    """SMTP, RFC 5321."""

    async def smtp_EHLO(self, hostname: str) -> None:
        await self._hello(hostname, extended=True)

    async def smtp_HELO(self, hostname: str) -> None:
        await self._hello(hostname, extended=False)


class LmtpSession(Session, LMTP):
    """LMTP, RFC 2033: LHLO, and an answer a recipient."""

    protocol = "lmtp"

    async def smtp_LHLO(self, arg: str) -> None:
        await self._hello(arg, extended=True)


class Busy(asyncio.Protocol):
    """For a connection above the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.write(TOO_MANY.encode() + b"\r\n")
            transport.close()
            asyncio.get_running_loop().call_later(_LINGER, transport.abort)


class _Data:
    """The octets between DATA and its end, as long as they may be kept."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._most = 2 + room.max_octets + room.max_octets // 3 + len(END_OF_DATA)  # a dot for each three octets
        self._octets = bytearray()
        self._taken = 0
        self._dropped = 0
        self.refusal: str | None = None

    def add(self, piece: bytes) -> None:
        if self.refusal is not None:
            self._dropped += len(piece)
        elif len(self._octets) + len(piece) > self._most:
            self._refuse(TOO_LARGE.format(self._room.max_octets), len(piece))
        elif not self._room.take(len(piece)):
            self._refuse(NO_ROOM, len(piece))
        else:
            self._taken += len(piece)
            self._octets += piece

    def _refuse(self, reply: str, octets: int) -> None:
        self.forget()
        self.refusal = reply
        self._dropped = octets

    @property
    def endless(self) -> bool:
        """Whether it was told long enough: a client may finish what it began, but not go on for ever."""
        return self._dropped > self._most

    def message(self) -> bytearray:
        """The message without the dots that stood for transparency (RFC 5321 4.5.2); byte for byte else."""
        del self._octets[-len(b".\r\n") :]
        message = self._octets.replace(b"\r\n.", b"\r\n")
        del message[: len(b"\r\n")]
        return message

    def forget(self) -> None:
        self._room.give_back(self._taken)
        self._octets, self._taken = bytearray(), 0


def put_back(reader: asyncio.StreamReader, octets: bytes) -> None:
    """Let `octets` be read next.  asyncio has no public way; aiosmtpd reaches for the same buffer at STARTTLS."""
    reader._buffer[:0] = octets  # type: ignore[attr-defined]


def whole_lines(reader: asyncio.StreamReader) -> None:
    """Let `reader.readuntil()`, by which aiosmtpd reads commands, end a line with CRLF alone.

    A line with a bare CR or LF or a NUL comes out empty, which aiosmtpd answers with 500.
    """
    read = reader.readuntil

    async def readuntil(separator: bytes | None = None) -> bytes:
        if separator is not None:
            return await read(separator)
        line = await read(b"\r\n")
        return line if not _NOT_IN_A_LINE.intersection(line[:-2]) else b"\r\n"

    reader.readuntil = readuntil  # type: ignore[method-assign,assignment]


def listens_to(room: Room, make: Callable[[], Session]) -> Callable[[], asyncio.BaseProtocol]:
    """The factory for asyncio: a session, as long as there is room."""

    def connected() -> asyncio.BaseProtocol:
        return make() if len(room.sessions) < room.max_connections else Busy()

    return connected
