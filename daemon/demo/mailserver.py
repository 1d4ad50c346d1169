"""The demonstration's mail server: SMTP (aiosmtpd) and IMAP (pymap, in memory) on loopback, in a thread of its own.

It plays both ends of the post.  Mail to the organisation's address, plus-addressed or not, is delivered into the one
mailbox, where IDLE tells of it at once; a letter to anybody else comes into the hands of the cast (`Hands`), and a
letter to an address that does not exist comes back as a delivery report (RFC 3464).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from argparse import Namespace
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import format_datetime

from aiosmtpd.smtp import SMTP, Envelope, Session
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import Config, Login
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pymap.user import Passwords, UserMetadata

from daemon.demo.report import delivery_report

HOST = "127.0.0.1"
NAME = "mail.northwind.example"
BOUNCE_AFTER = 2.0  # seconds: long enough for the letter to be seen as sent before it comes back

log = logging.getLogger("amendsd.demo.mailserver")


class Hands:
    """The letters that the cast has received, each in the hands of its address.  Safe to use from any thread."""

    def __init__(self) -> None:
        self._letters: dict[str, list[bytes]] = {}
        self._changed = threading.Condition()

    def put(self, address: str, raw: bytes) -> None:
        with self._changed:
            self._letters.setdefault(address.lower(), []).append(raw)
            self._changed.notify_all()

    def of(self, address: str) -> list[bytes]:
        """The letters to `address` (any case), oldest first."""
        with self._changed:
            return list(self._letters.get(address.lower(), ()))

    def count(self) -> int:
        with self._changed:
            return sum(map(len, self._letters.values()))

    def wait(self, beyond: int, timeout: float) -> int:
        """Wait until more than `beyond` letters are here, or `timeout` seconds; the number that are."""
        with self._changed:
            self._changed.wait_for(lambda: sum(map(len, self._letters.values())) > beyond, timeout)
            return sum(map(len, self._letters.values()))


class MailServer:
    """`with MailServer(...) as server:` both servers listen on `smtp_port` and `imap_port` of 127.0.0.1.

    A port of 0 takes a free one.  `username` and `password` open the mailbox; SMTP asks for none.  Letters to an
    address in `nobody` bounce.  Raises OSError if a port is taken.
    """

    def __init__(
        self,
        *,
        address: str,
        username: str,
        password: str,
        imap_port: int = 0,
        smtp_port: int = 0,
        nobody: Iterable[str] = (),
        keep: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self.address = address.lower()
        self.imap_port = imap_port
        self.smtp_port = smtp_port
        self.hands = Hands()
        self.nobody = frozenset(one.lower() for one in nobody)
        self._keep = keep
        self._config = _ImapConfig(username, password)
        self._login = Login(self._config)
        self._up = threading.Event()
        self._fault: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._bounces: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="demo-mailserver", daemon=True)

    def __enter__(self) -> MailServer:
        self._thread.start()
        self._up.wait()
        if self._fault is not None:
            raise self._fault
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as fault:  # a port is taken: __enter__ raises it where the caller can say so
            self._fault = fault
        finally:
            self._up.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._config.apply_context()  # before the servers: their connections copy this context
        await self._open_mailbox()
        imap = ProxyProtocolReader(self._config.proxy_protocol).get_callback(IMAPServer(self._login, self._config))
        async with AsyncExitStack() as closing:
            imap_server = await asyncio.start_server(imap, HOST, self.imap_port)
            closing.callback(imap_server.close)
            smtp_server = await self._loop.create_server(
                lambda: SMTP(_PostOffice(self), hostname=NAME, ident="Amends demonstration", loop=self._loop),
                HOST,
                self.smtp_port,
            )
            closing.callback(smtp_server.close)
            self.imap_port = imap_server.sockets[0].getsockname()[1]
            self.smtp_port = smtp_server.sockets[0].getsockname()[1]
            self._up.set()
            await self._stop.wait()

    async def _open_mailbox(self) -> None:
        hashed = await Passwords(self._config).hash_password(self._config.demo_password)
        await self._login.demo_user_identity.set(
            UserMetadata(self._config, self._config.demo_user, password=hashed),
        )

    def is_ours(self, address: str) -> bool:
        """Whether `address` is the organisation's, with or without a `+detail` (RFC 5233)."""
        local, _, domain = address.lower().rpartition("@")
        return f"{local.partition('+')[0]}@{domain}" == self.address

    async def carry(self, sender: str, recipient: str, content: bytes) -> None:
        """Deliver one mail to one recipient: the mailbox, the cast, or back to its sender."""
        if self.is_ours(recipient):
            await self.deliver(sender, recipient, content)
        elif recipient.lower() in self.nobody:
            if sender:  # a report about a report would be a loop (RFC 5321, 6.1)
                task = asyncio.create_task(self._bounce(sender, recipient, content))
                self._bounces.add(task)
                task.add_done_callback(self._bounces.discard)
        else:
            letter = f"Return-Path: <{sender}>\r\n".encode() + content
            if self._keep is not None:
                self._keep(recipient, letter)
            self.hands.put(recipient, letter)

    async def _bounce(self, sender: str, recipient: str, content: bytes) -> None:
        await asyncio.sleep(BOUNCE_AFTER)
        report = delivery_report(content, sender=sender, recipient=recipient, host=NAME, now=datetime.now(UTC))
        await self.carry("", sender, report)

    async def deliver(self, sender: str, recipient: str, content: bytes) -> None:
        """Put `content` into the inbox with the trace lines of a final delivery (RFC 5321, 4.4)."""
        now = datetime.now(UTC)
        trace = (
            f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n"
            f"Received: by {NAME} for <{recipient}>; {format_datetime(now)}\r\n"
        )
        async with self._login.demo_user_identity.new_session() as session:
            await session.append_messages("INBOX", [AppendMessage(trace.encode() + content, now)])


class _ImapConfig(Config):
    """pymap's in-memory store with one user, no TLS and no look-up of this machine's name (it may take seconds)."""

    def __init__(self, username: str, password: str) -> None:
        super().__init__(
            Namespace(passlib_cfg=None, proxy_protocol="noop"),
            host=HOST,
            port=0,
            tls_enabled=False,
            reject_dnsbl=False,
            demo_data=False,
            demo_user=username,
            demo_password=password,
        )

    @property
    def greeting(self) -> bytes:
        return b"Amends demonstration ready"


class _PostOffice:
    """aiosmtpd's handler; `handle_DATA` is found by name."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        sender = (envelope.mail_from or "").removeprefix("<").removesuffix(">")  # aiosmtpd leaves the null path as <>
        for recipient in envelope.rcpt_tos:
            await self._server.carry(sender, recipient, content)
        return "250 2.0.0 Delivered"

    async def handle_exception(self, error: Exception) -> str:
        # aiosmtpd would answer a permanent 500 that quotes the error; our trouble is always "try later"
        log.error("a mail could not be delivered", exc_info=error)
        return "451 4.3.0 The demonstration's mail server is in trouble; try again"
