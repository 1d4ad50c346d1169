"""What a tree of processes costs: processor seconds and memory, from /proc (Linux)."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK: Final = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """`pid` and all of its living descendants."""
    children: dict[int, list[int]] = {}
    for one in processes():
        if fields := _stat(one):
            children.setdefault(int(fields[1]), []).append(one)
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def session_of(pid: int) -> int | None:
    """The leader of the session of a living process; None for one that has ended."""
    fields = _stat(pid)
    return int(fields[3]) if fields and fields[0] != "Z" else None


def processor_seconds(pid: int) -> float:
    """User and system time of the tree so far, with that of its members that ended and were waited for."""
    return sum(sum(map(int, fields[11:15])) for one in tree(pid) if (fields := _stat(one))) / _TICK


def memory(pid: int) -> int:
    """Bytes of the tree, each shared page once: the sum of the proportional set sizes."""
    return sum(map(_pss, tree(pid)))


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat from the state on (proc(5)); empty for one that has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _pss(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)


@dataclass(frozen=True, slots=True)
class Cost:
    processor_seconds: float
    peak_memory: int


class Watch:
    """Looks at the tree of `pid` five times a second between `start` and `stop`, for the peak of its memory."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> Watch:
        self._thread.start()
        return self

    def stop(self) -> Cost:
        """The cost up to now; the tree must still be there."""
        self._enough.set()
        self._thread.join()
        return Cost(processor_seconds(self._pid), max(self._peak, memory(self._pid)))

    def _look(self) -> None:
        while not self._enough.wait(0.2):
            self._peak = max(self._peak, memory(self._pid))
