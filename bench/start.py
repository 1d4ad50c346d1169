"""How long a person waits: for help, for a list, for the queue on the screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from amends.ledger import views
from bench.figures import Part, seconds
from bench.house import ROOT, House, environment
from bench.store import CASES, a_full_store

TIMES: Final = 7
_ESCAPES: Final = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def measure() -> Part:
    _compile()
    with tempfile.TemporaryDirectory(prefix="amends-bench-") as folder:
        a_full_store(Path(folder))
        house = House(Path(folder), [], None)
        with house.office() as office, office.book.read() as session:
            first = views.queue(session, views.View(), now=office.now(), limit=1)[0].reference
        config, short = str(house.config), first.partition("-")[2].partition("-")[2].encode()  # without NW-2026
        rows = (
            _row("`amends --help`", lambda: _ends("tui", "--help")),
            _row("`amendsd --help`", lambda: _ends("daemon", "--help")),
            _row(f"`amends queue` of {CASES:,} cases", lambda: _ends("tui", "queue", "--config", config)),
            _row(f"`amends`: the queue of {CASES:,} cases on the screen", lambda: _shows(config, short)),
        )
    return Part(
        "How long a person waits",
        f"From the start of the program, {TIMES} times each with warm disk caches; the screen is a terminal of 120 x "
        "40, and it counts when the reference of the most urgent case has been written to it.",
        ("", "median", "slowest"),
        rows,
    )


def _compile() -> None:
    """As pip does with what it installs: a shell that forbids Python to write would have it done at every start."""
    programs = [str(ROOT / package) for package in ("amends", "daemon", "tui")]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *programs], check=True)


def _row(name: str, once: Callable[[], float]) -> tuple[str, str, str]:
    once()
    took = [once() for _ in range(TIMES)]
    return name, seconds(statistics.median(took)), seconds(max(took))


def _ends(module: str, *words: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", module, *words], cwd=ROOT, env=environment(), check=True, capture_output=True)
    return time.monotonic() - began


def _shows(config: str, reference: bytes) -> float:
    """Seconds until the terminal has shown `reference`."""
    began = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        # What somebody chose at their own desk on this machine is no part of the measurement.
        state = str(Path(config).parent / "state")
        surroundings = environment(TERM="xterm-256color", LANG="C.UTF-8", XDG_STATE_HOME=state)
        os.execve(sys.executable, [sys.executable, "-m", "tui", "--config", config], surroundings)
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        _read_until(terminal, reference)
        return time.monotonic() - began
    finally:
        os.kill(pid, 15)
        os.close(terminal)
        os.waitpid(pid, 0)


def _read_until(terminal: int, words: bytes) -> None:
    seen, end = b"", time.monotonic() + 30
    while words not in _ESCAPES.sub(b"", seen):
        if time.monotonic() > end or not select.select([terminal], [], [], 30)[0]:
            raise TimeoutError(f"the screen never showed {words!r}; it wrote {seen[-2000:]!r}")
        seen += os.read(terminal, 65536)
