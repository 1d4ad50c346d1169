"""Who may import whom: the contracts of pyproject.toml, and the two rules that import-linter cannot say."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import ROOT, sources

_CLOCK = ROOT / "amends" / "kernel" / "instants.py"
_READS_THE_CLOCK = {"now", "today", "utcnow", "time", "time_ns", "localtime", "gmtime"}
_MODULES_WITH_A_CLOCK = {"datetime", "date", "time"}


def test_the_contracts_of_the_house_hold():
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_reader_of_mail_imports_mail_parser():
    importers = {
        str(path.relative_to(ROOT))
        for path in sources("amends", "daemon", "tui")
        if any(name.partition(".")[0] == "mailparser" for name in _imports(path))
    }
    assert importers == {"amends/mail/read.py"}


@pytest.mark.parametrize("path", sources("amends"), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_in_the_core_reads_a_clock_but_the_one_function_that_may(path):
    assert path == _CLOCK or not (found := list(_clock_readings(path))), found


def test_a_reading_of_the_clock_is_noticed_however_it_is_written(tmp_path):
    written = tmp_path / "late.py"
    for line in ("datetime.now(UTC)", "datetime.datetime.utcnow()", "date.today()", "time.time()", "time()"):
        written.write_text(f"from time import time\n{line}\n")
        assert list(_clock_readings(written)), line
    written.write_text("office.now()\ntime(9, 0)\ndatetime.combine(day, time.min)\n")
    assert not list(_clock_readings(written))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _clock_readings(path: Path) -> Iterator[str]:
    """`datetime.now(...)`, `date.today()`, `time.time()` and a bare `time()` that came from the module `time`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
        if alias.name in _READS_THE_CLOCK
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr in _READS_THE_CLOCK:
            owner = ast.unparse(called.value)
            reads = owner.rpartition(".")[2] in _MODULES_WITH_A_CLOCK and (called.attr != "time" or owner == "time")
        else:
            reads = isinstance(called, ast.Name) and called.id in bare
        if reads:
            yield f"{path.name}:{node.lineno}: {ast.unparse(node)}"
