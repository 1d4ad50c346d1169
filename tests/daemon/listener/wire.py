"""A listener on a store of its own, and a client that sends what it likes byte by byte."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from amends.casework.intake import unpack
from amends.casework.office import Office
from amends.config import Listener
from amends.ledger.tables import Arrival, Raw
from daemon.listener.network import Network

US = "complaints@northwind.example"
HER = "edith@example.org"
MAIL = b"From: Edith <edith@example.org>\r\nTo: complaints@northwind.example\r\nSubject: Cold\r\n\r\nNo heating.\r\n"


@contextmanager
def listening(office: Office, on_stored: Any = lambda: None, **keys: Any) -> Iterator[Network]:
    """The listener's network for this office; LMTP on amends-lmtp.sock in its folder unless `keys` say otherwise."""
    if "lmtp" not in keys and "smtp" not in keys:
        keys["lmtp"] = "unix:amends-lmtp.sock"
    with Network(office, Listener(**keys), on_stored=on_stored) as network:
        yield network


def socket_of(office: Office) -> Path:
    return office.settings.folder / "amends-lmtp.sock"


class Client:
    """A mail server's side of the wire, without manners."""

    def __init__(self, at: Path | int, *, timeout: float = 20.0) -> None:
        if isinstance(at, int):
            self.socket: socket.socket = socket.create_connection(("127.0.0.1", at), timeout=timeout)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(str(at))
        self._buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def line(self) -> str:
        """The next line; empty at the end of the connection."""
        while b"\r\n" not in self._buffer:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return ""
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode()

    def reply(self) -> str:
        """The last line of the next reply."""
        while (line := self.line())[3:4] == "-":
            pass
        return line

    def rest(self) -> list[str]:
        """All lines until the connection ends."""
        return list(iter(self.line, ""))

    def say(self, command: str) -> str:
        self.send(command.encode() + b"\r\n")
        return self.reply()

    def greet(self, hello: str = "LHLO") -> Client:
        assert self.reply().startswith("220 ")
        assert self.say(f"{hello} mx.northwind.example").startswith("250 ")
        return self

    def envelope(self, *recipients: str, sender: str = HER) -> Client:
        """Up to 354."""
        assert self.say(f"MAIL FROM:<{sender}>").startswith("250 ")
        for one in recipients or (US,):
            assert self.say(f"RCPT TO:<{one}>").startswith("250 ")
        assert self.say("DATA").startswith("354 ")
        return self

    def secure(self, trusted: Path) -> None:
        """Speak TLS from here on."""
        context = ssl.create_default_context(cafile=str(trusted))
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")


def stuffed(raw: bytes) -> bytes:
    """As a correct client sends it (RFC 5321 4.5.2), with the end of the data."""
    return (
        (b"\r\n" + raw).replace(b"\r\n.", b"\r\n..")[2:]
        + (b"" if raw.endswith(b"\r\n") or not raw else b"\r\n")
        + b".\r\n"
    )


def kept(office: Office) -> list[bytes]:
    """The stored messages in the order of their coming, with what the listener wrote above them."""
    with office.book.read() as session:
        packed = session.exec(
            select(Raw.zstd).join(Arrival, col(Arrival.raw_id) == col(Raw.id)).order_by(col(Arrival.id))
        )
        return [unpack(one) for one in packed]


def trace(*recipients: str, sender: str = HER) -> bytes:
    """What the listener writes above a message."""
    lines = [f"Return-Path: <{sender}>", *(f"Delivered-To: {one}" for one in recipients or (US,))]
    return "".join(line + "\r\n" for line in lines).encode()
