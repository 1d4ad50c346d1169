"""How figures are shown, and on what machine they were taken."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.servers import program_of

_BUSY: Final = os.getloadavg()[1]  # of the five minutes before we began: others' work, and none of ours


@dataclass(frozen=True, slots=True)
class Part:
    """One table: a title, a sentence on how it was measured, the columns, and the rows."""

    title: str
    how: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def markdown(parts: Sequence[Part]) -> str:
    return "\n".join(_table(part) for part in parts)


def _table(part: Part) -> str:
    lines = [f"### {part.title}", "", part.how, ""]
    lines.append("| " + " | ".join(part.columns) + " |")
    lines.append("| --- |" + " ---: |" * (len(part.columns) - 1))
    lines += ["| " + " | ".join(row) + " |" for row in part.rows]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Processor, memory and versions; nothing that tells whose machine it is."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return (
        f"Measured on {datetime.now(UTC):%d %B %Y}: {os.cpu_count()} cores of {cpu}, {memory / 2**20:.0f} GiB; "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, Dovecot {_dovecot()}, "
        f"imapclient {version('imapclient')}, mail-parser {version('mail-parser')}, textual {version('textual')}; "
        f"load before: {_BUSY:.1f}."
    )


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _dovecot() -> str:
    program = program_of("dovecot")
    if program is None:
        return "none"
    told = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[0]
