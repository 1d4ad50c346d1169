"""The real program in a real pseudo-terminal, its bytes kept as they came and drawn by pyte."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyte
import pytest

from tests.house import ROOT
from tui.health import UNKNOWN


class Terminal:
    """`python -m tui` with this configuration; `raw` is every byte it has sent."""

    def __init__(
        self,
        config: Path,
        *,
        login: str = "amara",
        size: tuple[int, int] = (80, 24),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.raw = b""
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        # AMENDS_REQUIRE_SERVERS and friends would be read as settings.
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("AMENDS_", "TEXTUAL", "NO_COLOR"))
        }
        clean |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        clean |= {"XDG_STATE_HOME": str(config.parent / "state"), **(env or {})}
        command = [sys.executable, "-m", "tui", "--config", str(config), "--as", login]
        self.began = time.monotonic()
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(ROOT)
            os.execve(command[0], command, clean)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self._ended = False

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def pump(self, seconds: float = 0.05) -> bool:
        """Take what comes within so many seconds; False when the program has ended."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            data = b""
        if not data:
            self._ended = True
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def wait(self, seen: Callable[[], object], *, seconds: float = 180.0) -> None:
        end = time.monotonic() + seconds
        while not seen():
            if not self.pump() or time.monotonic() > end:
                pytest.fail(f"waited in vain; the screen shows:\n{self.text}")

    def wait_for(self, words: str, *, seconds: float = 180.0) -> None:
        self.wait(lambda: words in self.text, seconds=seconds)

    def send(self, data: str | bytes) -> None:
        os.write(self._fd, data.encode() if isinstance(data, str) else data)

    def quiet(self, seconds: float = 0.4) -> None:
        """Wait until nothing has come for so long, and it has looked at the store: until then keys may wait."""
        began = last = time.monotonic()
        size = len(self.raw)
        while time.monotonic() - last < seconds or (UNKNOWN.words in self.text and time.monotonic() - began < 60.0):
            if not self.pump():
                return
            if len(self.raw) != size:
                last, size = time.monotonic(), len(self.raw)

    def status(self, seconds: float = 120.0) -> int:
        """The exit status, once it has ended by itself."""
        end = time.monotonic() + seconds
        while not self._ended and time.monotonic() < end:
            self.pump()
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._pid, number)

    def close(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0
        os.close(self._fd)
