"""SMTP step by step, on smtplib, with the two things that it lacks: strict replies and time-outs that hold.

smtplib takes a torn `25` before the end of the connection for a reply, and restarts its time-out with every byte.  Here
only whole lines are a reply (RFC 5321 4.2), and each step has one end.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Final

_LINE: Final = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)
_LONGEST_LINE: Final = 8192
_MOST_LINES: Final = 500
_LISTEN: Final = 1.0  # seconds between two looks at whether we are to stop


class Broken(Exception):
    """The connection is of no more use: closed, silent, or answering what is no SMTP."""


class Wire(smtplib.SMTP):
    """One connection; `reply_within` is how long the next reply may take, in seconds.

    `hurry` is asked about once a second whether to break off; not at the dot, when breaking off would leave a letter of
    which nobody knows whether it was accepted.
    """

    def __init__(self, *, local_hostname: str | None, timeout: float, hurry: Callable[[], bool]) -> None:
        self.reply_within = timeout
        self.at_dot = False
        self._hurry = hurry
        self._unread = b""
        self._server = ""
        super().__init__(local_hostname=local_hostname, timeout=timeout)

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> tuple[int, bytes]:
        self._unread, self._server = b"", host
        return super().connect(host, port, source_address)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), timeout)
        # the dot is a small packet behind the letter: Nagle would hold it until the letter is acknowledged
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._wrapped(sock)

    def _wrapped(self, sock: socket.socket) -> socket.socket:
        return sock

    def encrypt(self, context: ssl.SSLContext) -> None:
        """STARTTLS (RFC 3207), with a certificate that `context` verifies.  Raises Broken, ssl.SSLError, OSError."""
        code, _ = self.docmd("STARTTLS")
        if code != 220 or self.sock is None:
            raise Broken(f"it refuses STARTTLS ({code})")
        if self._unread:  # somebody spoke before the encryption began, in the server's name
            self.close()
            raise Broken("it said something between STARTTLS and the encryption, which is not to be trusted")
        self.sock.settimeout(self.reply_within)
        self.sock = context.wrap_socket(self.sock, server_hostname=self._server)
        self.ehlo_resp, self.esmtp_features, self.does_esmtp = None, {}, False  # RFC 3207 4.2: forget what it said

    def getreply(self) -> tuple[int, bytes]:
        """The next whole reply.  Raises Broken for anything else."""
        until, code = time.monotonic() + self.reply_within, b""
        lines: list[bytes] = []
        while len(lines) < _MOST_LINES:
            found = _LINE.fullmatch(self._line(until).rstrip(b"\r\n"))
            if found is None or (code and found[1] != code):
                break
            code = found[1]
            lines.append((found[3] or b"").strip())
            if found[2] != b"-":
                return int(code), b"\n".join(lines)
        self.close()
        raise Broken("it answered what is no SMTP reply")

    def quiet(self) -> bool:
        """Whether the server has said nothing that nobody asked for: such a line would be taken for the next reply."""
        if self._unread or self.sock is None:
            return False
        self.sock.settimeout(0)
        try:
            self._unread = self.sock.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def send(self, s: Any) -> None:
        if self.sock is None:
            raise Broken("the connection is closed")
        self.sock.settimeout(self.reply_within)
        try:
            self.sock.sendall(s.encode(self.command_encoding) if isinstance(s, str) else s)
        except OSError as fault:
            self.close()
            raise Broken(f"the connection broke: {fault.strerror or fault}") from fault

    def _line(self, until: float) -> bytes:
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > _LONGEST_LINE:
                self.close()
                raise Broken("it answered an endless line")
            self._unread += self._more(until)
        line, self._unread = self._unread[: end + 1], self._unread[end + 1 :]
        return line

    def _more(self, until: float) -> bytes:
        while self.sock is not None:
            left = until - time.monotonic()
            if left <= 0 or (self._hurry() and not self.at_dot):
                self.close()
                raise Broken("it did not answer in time" if left <= 0 else "we were told to stop")
            self.sock.settimeout(min(left, _LISTEN))
            try:
                piece = self.sock.recv(65536)
            except TimeoutError:
                continue
            except OSError as fault:
                self.close()
                raise Broken(f"the connection broke: {fault.strerror or fault}") from fault
            if not piece:
                self.close()
                break
            return piece
        raise Broken("it closed the connection")


class TlsWire(Wire):
    """The same, encrypted from the first byte (RFC 8314)."""

    def __init__(self, *, context: ssl.SSLContext, **options: Any) -> None:
        self._context = context
        super().__init__(**options)

    def _wrapped(self, sock: socket.socket) -> socket.socket:
        return self._context.wrap_socket(sock, server_hostname=self._server)
