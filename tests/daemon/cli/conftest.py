"""The commands as an operator gives them: in this process, or as programs of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from amends.casework.office import Office, open_office
from amends.config import load
from daemon.__main__ import main
from tests.builders import HANDLERS, ORGANISATION


@dataclass(frozen=True)
class Told:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one line on standard error, without the name of the program."""
        (line,) = self.err.splitlines()
        assert line.startswith("amendsd: "), line
        return line.removeprefix("amendsd: ")


@pytest.fixture
def amendsd(capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Run a command in this process."""

    def run(*words: object) -> Told:
        capsys.readouterr()
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Told(status, out, err)

    return run


def as_program(*words: object, before: Sequence[str] = (), **how: Any) -> Told:
    """Run a command as `python -m daemon`, a program of its own; `before` stands before that."""
    command = [*before, sys.executable, "-m", "daemon", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **how)
    return Told(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Path]:
    """Write `amends.toml` into the test's folder; a table given takes the place of the values of the same name."""

    def write(**tables: Any) -> Path:
        tree: dict[str, Any] = {"organisation": dict(ORGANISATION), "handler": list(HANDLERS)}
        for name, value in tables.items():
            tree[name] = {**tree.get(name, {}), **value} if isinstance(value, dict) else value
        path = tmp_path / "amends.toml"
        path.touch(mode=0o600)
        path.write_text(toml(tree), encoding="utf-8")
        return path

    return write


def toml(tree: dict[str, Any]) -> str:
    lines: list[str] = []
    for name, value in tree.items():
        tables = value if isinstance(value, list) else [value]
        for table in tables:
            lines.append(f"[[{name}]]" if isinstance(value, list) else f"[{name}]")
            lines += [f"{key} = {json.dumps(one)}" for key, one in table.items() if not isinstance(one, dict)]
            for key, below in ((key, one) for key, one in table.items() if isinstance(one, dict)):
                lines += [f"[{name}.{key}]", *(f"{inner} = {json.dumps(one)}" for inner, one in below.items())]
    return "\n".join(lines) + "\n"


@pytest.fixture
def config(configured: Callable[..., Path], sqlite_url: str) -> Path:
    """A configuration without servers, whose store stands at the present schema."""
    return configured(smtp={"host": "127.0.0.1", "port": 1025, "security": "none", "plus_addressing": True})


@pytest.fixture
def office(config: Path) -> Office:
    return open_office(load(config))
