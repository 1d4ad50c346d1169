"""An IMAP server that does as a test bids it: what Dovecot never does, real servers do.

with ScriptedImap(offers="IMAP4rev1 UIDPLUS") as server:
    server.deliver(b"...")                                # the UID
    server.script(r"FETCH 2 .*BODY", "no")                # once: the command that matches is answered with NO
    server.script(r"FETCH 2 .*BODY", "no", times=None)    # each time

What it can be bidden: `no`, `bad`, `bye`, `close`, `cut` (half of the answer, then closed), `nil` and `empty` (no text
of the messages), `silent` (not a word, for ever), `vanish` (the messages are gone before it looks), `forget` (OK, and
nothing was done).  Bytes are said as they stand, before an OK, and the command is not done.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

Action = Literal["no", "bad", "bye", "close", "cut", "nil", "empty", "silent", "vanish", "forget"]

DATE: Final = "23-Nov-2026 09:00:00 +0000"


@dataclass(slots=True)
class Held:
    """One message in a folder."""

    raw: bytes
    flags: set[str] = field(default_factory=set)
    size: int | None = None
    """What the server says of its size, where that is not so."""


@dataclass(slots=True)
class _Rule:
    pattern: re.Pattern[str]
    action: Action | bytes
    left: int | None


class _Gone(Exception):
    """The connection ends."""


class ScriptedImap:
    """One user, any password.  `offers` are its capabilities, `permanent` the flags that it keeps."""

    def __init__(
        self,
        *,
        offers: str = "IMAP4rev1 IDLE MOVE UIDPLUS",
        permanent: str = r"\Deleted \Seen \*",
        read_only: bool = False,
        uidvalidity: int = 7,
    ) -> None:
        self.offers, self.permanent, self.read_only, self.uidvalidity = offers, permanent, read_only, uidvalidity
        self.folders: dict[str, dict[int, Held]] = {"INBOX": {}}
        self._next: dict[str, int] = {}
        self.said: list[str] = []
        """Every command, without its tag."""
        self._rules: list[_Rule] = []
        self._open: list[socket.socket] = []
        self._ended = threading.Event()
        self._lock = threading.RLock()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]

    # what the tests do

    def section(self, **changes: Any) -> dict[str, Any]:
        """The `[[mailbox]]` table of the configuration."""
        table = {"name": "complaints", "host": "127.0.0.1", "port": self.port, "security": "none"}
        return table | {"username": "complaints", "password": "x", "poll_seconds": 1} | changes

    def deliver(
        self, raw: bytes, *, folder: str = "INBOX", flags: set[str] | None = None, size: int | None = None
    ) -> int:
        with self._lock:
            uid = self.next_uid(folder)
            self._next[folder] = uid + 1
            self.folders.setdefault(folder, {})[uid] = Held(raw, set(flags or ()), size)
            return uid

    def next_uid(self, folder: str) -> int:
        return self._next.get(folder, 1)

    def raws(self, folder: str) -> list[bytes]:
        with self._lock:
            return [held.raw for _, held in sorted(self.folders.get(folder, {}).items())]

    def script(self, pattern: str, action: Action | bytes, *, times: int | None = 1) -> None:
        self._rules.append(_Rule(re.compile(pattern), action, times))

    def heard(self, word: str) -> list[str]:
        return [line for line in self.said if word in line]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for one in (self._door, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                one.close()

    # the server

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, _Gone), client, client.makefile("rb") as lines:
            client.sendall(b"* OK ready\r\n")
            session = _Session(self, client)
            for line in lines:
                tag, _, command = line.decode("latin-1").strip().partition(" ")
                self.said.append(command)
                session.answer(tag, command, lines)

    def take(self, command: str) -> Action | bytes | None:
        with self._lock:
            for rule in self._rules:
                if rule.left != 0 and rule.pattern.search(command):
                    rule.left = None if rule.left is None else rule.left - 1
                    return rule.action
        return None


class _Session:
    def __init__(self, server: ScriptedImap, client: socket.socket) -> None:
        self._server = server
        self._client = client
        self._folder = "INBOX"

    @property
    def _here(self) -> dict[int, Held]:
        return self._server.folders[self._folder]

    def answer(self, tag: str, command: str, lines: Any) -> None:
        action = self._server.take(command)
        if isinstance(action, bytes):
            self._client.sendall(action + f"{tag} OK [READ-WRITE] done\r\n".encode())
            return
        if action in ("no", "bad"):
            self._client.sendall(f"{tag} {action.upper()} it is not to be\r\n".encode())
            return
        if action == "bye":
            self._client.sendall(b"* BYE good night\r\n")
        if action in ("bye", "close"):
            raise _Gone
        if action == "silent":
            self._server._ended.wait(3600)
            raise _Gone
        if command.upper() == "IDLE":
            self._client.sendall(b"+ idling\r\n")
            lines.readline()
            self._client.sendall(f"{tag} OK done\r\n".encode())
            return
        with self._server._lock:
            told, end = self._do(command, action)
        whole = told + f"{tag} {end}\r\n".encode()
        if action == "cut":
            self._client.sendall(told[: len(told) // 2])
            raise _Gone
        self._client.sendall(whole)
        if command.upper() == "LOGOUT":
            raise _Gone

    def _do(self, command: str, action: Action | None) -> tuple[bytes, str]:
        words = command.split(" ")
        verb = words[0].upper()
        if verb == "UID":
            return self._uid(words[1].upper(), command.split(" ", 2)[2], action)
        name = _name(command)
        if verb == "CAPABILITY":
            return f"* CAPABILITY {self._server.offers}\r\n".encode(), "OK done"
        if verb == "LIST":
            there = name in self._server.folders
            return (f'* LIST () "/" "{name}"\r\n'.encode() if there else b""), "OK done"
        if verb == "CREATE":
            self._server.folders.setdefault(name, {})
        if verb in ("SELECT", "EXAMINE"):
            return self._select(verb, name)
        if verb == "NOOP":
            return f"* {len(self._here)} EXISTS\r\n".encode(), "OK done"
        if verb == "EXPUNGE":
            for uid in [uid for uid, held in self._here.items() if r"\Deleted" in held.flags]:
                del self._here[uid]
        return b"", "OK done"

    def _select(self, verb: str, name: str) -> tuple[bytes, str]:
        server = self._server
        if name not in server.folders:
            return b"", "NO there is no such folder"
        self._folder = name
        told = (
            f"* FLAGS (\\Seen \\Deleted)\r\n* OK [PERMANENTFLAGS ({server.permanent})] kept\r\n"
            f"* {len(self._here)} EXISTS\r\n* OK [UIDVALIDITY {server.uidvalidity}] it is\r\n"
            f"* OK [UIDNEXT {server.next_uid(name)}] next\r\n"
        )
        right = "READ-ONLY" if verb == "EXAMINE" or server.read_only else "READ-WRITE"
        return told.encode(), f"OK [{right}] done"

    def _uid(self, verb: str, rest: str, action: Action | None) -> tuple[bytes, str]:
        if verb == "SEARCH":
            return b"* SEARCH " + " ".join(map(str, self._meant(rest.split(" ")[-1]))).encode() + b"\r\n", "OK done"
        which, _, what = rest.partition(" ")
        uids = self._meant(which)
        if action == "vanish":
            for uid in uids:
                del self._here[uid]
            uids = []
        if action == "forget":
            return b"", "OK done"
        if verb == "FETCH":
            return b"".join(self._fetched(uid, what, action) for uid in uids), "OK done"
        if verb in ("MOVE", "COPY"):
            return self._carried(verb, uids, _name(rest))
        if verb == "STORE":
            flags = set(re.findall(r"[\\$]?\w+", what.split("(")[1]))
            for uid in uids:
                self._here[uid].flags |= flags
        if verb == "EXPUNGE":
            for uid in uids:
                if r"\Deleted" in self._here[uid].flags:
                    del self._here[uid]
        return b"", "OK done"

    def _carried(self, verb: str, uids: list[int], name: str) -> tuple[bytes, str]:
        if name not in self._server.folders:
            return b"", "NO [TRYCREATE] there is no such folder"
        for uid in uids:
            held = self._here[uid]
            self._server.deliver(held.raw, folder=name, flags=held.flags)
            if verb == "MOVE":
                del self._here[uid]
        return b"", "OK done"

    def _meant(self, which: str) -> list[int]:
        found: set[int] = set()
        for part in which.split(","):
            first, colon, last = part.partition(":")
            end = (2**32 if last == "*" else int(last)) if colon else int(first)
            found.update(uid for uid in self._here if int(first) <= uid <= end)
        return sorted(found)

    def _fetched(self, uid: int, what: str, action: Action | None) -> bytes:
        held = self._here[uid]
        number = sorted(self._here).index(uid) + 1
        told = [f"UID {uid}".encode()]
        if "RFC822.SIZE" in what:
            told.append(b"RFC822.SIZE %d" % (len(held.raw) if held.size is None else held.size))
        if "INTERNALDATE" in what:
            told.append(f'INTERNALDATE "{DATE}"'.encode())
        for part, start, count in re.findall(r"BODY\.PEEK\[(HEADER|TEXT|)\](?:<(\d+)\.(\d+)>)?", what):
            told.append(_part(held.raw, part, start, count, action))
        return b"* %d FETCH (" % number + b" ".join(told) + b")\r\n"


def _part(raw: bytes, part: str, start: str, count: str, action: Action | None) -> bytes:
    header, gap, text = raw.partition(b"\r\n\r\n")
    content = {"": raw, "HEADER": header + gap, "TEXT": text}[part]
    label = f"BODY[{part}]" + (f"<{start}>" if start else "")
    if start:
        content = content[int(start) : int(start) + int(count)]
    if action == "nil":
        return f"{label} NIL".encode()
    if action == "empty":
        return f'{label} ""'.encode()
    return f"{label} {{{len(content)}}}\r\n".encode() + content


def _name(command: str) -> str:
    return command.rpartition(" ")[2].strip('"')
