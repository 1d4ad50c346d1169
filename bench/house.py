"""A real `amendsd run` on real servers, for the measurements and for the tests of the whole."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from imapclient import IMAPClient

from amends.casework.office import Office, open_office
from amends.config import load
from bench.mails import OURS
from bench.processes import processes, session_of
from tests.servers.dovecot import Account
from tests.servers.smtp import Letter, SmtpServer

ROOT: Final = Path(__file__).resolve().parent.parent
ORGANISATION: Final[dict[str, Any]] = {"name": "Northwind Homes", "address": OURS, "reference_prefix": "NW"}


def write_configuration(folder: Path, tree: Mapping[str, Any]) -> Path:
    """`folder`/amends.toml with these tables; a list is an array of tables."""
    lines: list[str] = []
    for name, section in tree.items():
        for table in section if isinstance(section, list) else [section]:
            lines.append(f"[[{name}]]" if isinstance(section, list) else f"[{name}]")
            lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
    path = folder / "amends.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # strings, numbers, booleans and lists of them are written alike


class House:
    """The configuration in a folder, the daemon that runs on it, and what it logs."""

    def __init__(
        self,
        folder: Path,
        mailboxes: list[Account],
        server: SmtpServer | None,
        /,
        *,
        database: str = "sqlite:///amends.db",
        **sections: Any,
    ) -> None:
        self.folder = folder
        tree: dict[str, Any] = {"organisation": ORGANISATION, "database": {"url": database}}
        tree["mailbox"] = [box.section(name=f"complaints{n or ''}") for n, box in enumerate(mailboxes)]
        if server is not None:
            tree["smtp"] = server.section(plus_addressing=True)
        for name, change in sections.items():
            if isinstance(change, Mapping) and isinstance(tree.get(name), list):
                tree[name] = [table | change for table in tree[name]]
            else:
                tree[name] = {**tree.get(name, {}), **change} if isinstance(change, Mapping) else change
        self.config = write_configuration(folder, tree)
        self.log: list[dict[str, Any]] = []
        """The events that all daemons of this house logged, in order."""
        self.rest: list[str] = []
        """What stood on standard error and was no event."""
        self.daemon: subprocess.Popen[bytes] | None = None
        self._sessions: set[int] = set()

    def start(self) -> House:
        """Start the daemon; it is not waited for."""
        self.daemon = subprocess.Popen(
            [sys.executable, "-m", "daemon", "run", "--config", str(self.config)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._sessions.add(self.daemon.pid)  # it leads a session of its own, and its workers stay in it
        threading.Thread(target=self._read, args=(self.daemon,), daemon=True).start()
        return self

    def _read(self, daemon: subprocess.Popen[bytes]) -> None:
        assert daemon.stderr is not None
        for line in daemon.stderr:
            try:
                event = json.loads(line)
            except ValueError:
                self.rest.append(line.decode("utf-8", "replace"))
            else:
                self.log.append(event)

    @property
    def runs(self) -> bool:
        return self.daemon is not None and self.daemon.poll() is None

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in list(self.log) if event.get("event") == name]

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        daemon = self._forget()
        daemon.send_signal(signal.SIGTERM)
        try:
            return daemon.wait(60)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
            raise

    def kill(self) -> None:
        """kill -9 the daemon itself; what becomes of its workers is its own affair."""
        daemon = self._forget()
        daemon.kill()
        daemon.wait()

    def orphans(self) -> list[int]:
        """The processes that daemons of this house left behind."""
        running = self._sessions - ({self.daemon.pid} if self.daemon is not None else set())
        return [pid for pid in processes() if session_of(pid) in running]

    def _forget(self) -> subprocess.Popen[bytes]:
        daemon, self.daemon = self.daemon, None
        assert daemon is not None, "it does not run"
        return daemon

    def __enter__(self) -> House:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, where: TracebackType | None
    ) -> None:
        if self.daemon is not None:
            if kind is None:
                self.stop()
            else:
                self.kill()

    @contextmanager
    def office(self) -> Iterator[Office]:
        """The same store, looked at from outside."""
        office = open_office(load(self.config))
        try:
            yield office
        finally:
            office.book.close()

    def command(self, *words: str, program: str = "daemon") -> subprocess.CompletedProcess[str]:
        """`amendsd WORDS` (or `amends`: program="tui") on this configuration."""
        return subprocess.run(
            [sys.executable, "-m", program, *words, "--config", str(self.config)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )


def environment(**more: str) -> dict[str, str]:
    """Ours, without settings that would reach into the house."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AMENDS_", "NOTIFY_SOCKET"))}
    return kept | {"PYTHONPATH": str(ROOT), **more}


class Postman:
    """Does what the mail server of the organisation would: letters to it, plus-addressed or not, land in its mailbox.

    `smtp` keeps them all the same.  Letters to others go to `told`, in the server's thread.
    """

    def __init__(self, smtp: SmtpServer, mailbox: Account, *, told: Callable[[Letter], None] | None = None) -> None:
        self._mailbox = mailbox
        self._told = told
        self._bag: queue.SimpleQueue[tuple[bytes, str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._deliver, daemon=True)
        self._smtp = smtp
        smtp.on_letter = self._sort

    def _sort(self, letter: Letter) -> None:
        for recipient in letter.rcpt_to:
            local, _, domain = recipient.lower().rpartition("@")
            if f"{local.partition('+')[0]}@{domain}" == OURS:
                trace = f"Return-Path: <{letter.mail_from}>\r\nDelivered-To: {recipient}\r\n"
                self._bag.put((trace.encode() + letter.raw, recipient))
        if self._told is not None:
            self._told(letter)

    def put(self, raw: bytes) -> None:
        """Somebody writes to us."""
        self._bag.put((raw, OURS))

    @property
    def idle(self) -> bool:
        """Whether everything has been delivered."""
        return self._bag.empty()

    def _deliver(self) -> None:
        with self._mailbox.client() as client:
            while (item := self._bag.get()) is not None:
                self._append(client, item[0])

    def _append(self, client: IMAPClient, raw: bytes) -> None:
        client.append("INBOX", raw)

    def __enter__(self) -> Postman:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._smtp.on_letter = None
        self._bag.put(None)
        self._thread.join(timeout=30)


def until(
    seen: Callable[[], object], *, seconds: float, what: Callable[[], str] = lambda: "it", every: float = 0.01
) -> float:
    """Wait until `seen()` is true, looking `every` so many seconds; the seconds that took.

    A look that costs something must be seldom: it takes its time from the daemon.  Raises TimeoutError with `what()`.
    """
    begin = time.monotonic()
    while not seen():
        if time.monotonic() - begin > seconds:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what()}")
        time.sleep(every)
    return time.monotonic() - begin
