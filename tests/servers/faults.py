"""A TCP proxy that does to a connection what networks do: cut it, reset it, stall it, drip, lose an answer.

with FaultProxy(dovecot.port) as proxy:
    proxy.after_bytes(30_000, "close")        # once: when so many bytes came from the server on one connection
    proxy.at_command(b"MOVE", "lose answer")  # once: the server hears the command, the client never the answer
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import Literal, Self

Fault = Literal["close", "reset", "stall", "drip", "lose answer", "lose command"]


@dataclass(slots=True)
class _Rule:
    fault: Fault
    after: int | None
    command: bytes | None
    used: bool = False


class FaultProxy:
    """Listens on a port of its own and forwards to `target`; each rule strikes once."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.connections = 0
        self.struck: list[Fault] = []
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ended = threading.Event()

    def after_bytes(self, count: int, fault: Fault) -> None:
        """Strike when `count` bytes have come from the server on one connection; just those are passed on."""
        self._rules.append(_Rule(fault, count, None))

    def at_command(self, words: bytes, fault: Fault) -> None:
        """Strike when the client sends a line with these words (in capitals or not)."""
        self._rules.append(_Rule(fault, None, words.upper()))

    def cut_all(self) -> None:
        """Close every connection now."""
        with self._lock:
            sockets, self._open = self._open, []
        for one in sockets:
            _close(one)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        _close(self._listener)
        self.cut_all()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                _close(client)
                continue
            server.settimeout(None)
            with self._lock:
                self._open += [client, server]
            mute = threading.Event()
            for run in (self._commands, self._answers):
                threading.Thread(target=run, args=(client, server, mute), daemon=True).start()

    def _take(self, *, passed: int = 0, line: bytes = b"") -> _Rule | None:
        with self._lock:
            for rule in self._rules:
                if not rule.used and (_is_in(rule.command, line) if line else _is_over(rule.after, passed)):
                    rule.used = True
                    self.struck.append(rule.fault)
                    return rule
        return None

    def _commands(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                rule = self._take(line=data)
                if rule is None:
                    server.sendall(data)
                    continue
                if rule.fault == "lose answer":
                    mute.set()
                    server.sendall(data)
                    time.sleep(0.3)  # time for the server to do it
                    break
                if rule.fault == "lose command":
                    break
                server.sendall(data)
                if not self._strike(rule.fault, client, b""):
                    return
        _close(client)
        _close(server)

    def _answers(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := server.recv(16384):
                if mute.is_set():
                    continue
                rule = self._take(passed=passed + len(data))
                if rule is not None and not self._strike(
                    rule.fault, client, data[: max((rule.after or 0) - passed, 0)]
                ):
                    _close(server)
                    return
                client.sendall(data)
                passed += len(data)
        _close(client)
        _close(server)

    def _strike(self, fault: Fault, client: socket.socket, rest: bytes) -> bool:
        """Do it, after passing on `rest`; False when nothing may follow."""
        client.sendall(rest)
        if fault == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.shutdown(socket.SHUT_RD)  # wakes the other thread: while it reads, a close would wait
            client.close()
        elif fault == "stall":
            self._ended.wait(3600)
        elif fault == "drip":
            while not self._ended.wait(0.2):
                client.sendall(b" ")
        else:
            _close(client)
        return False


def _is_in(command: bytes | None, line: bytes) -> bool:
    return command is not None and command in line.upper()


def _is_over(after: int | None, passed: int) -> bool:
    return after is not None and passed >= after


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        one.close()
