"""A desk with its configuration on disk, and the command line run in this process."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from amends.casework.office import Office, open_office
from amends.config import load
from tests.builders import sqlite_store
from tui.__main__ import main

CONFIG = """\
[organisation]
name = "Northwind Homes"
address = "complaints@northwind.example"
reference_prefix = "NW"

[database]
url = "sqlite:///amends.db"

[smtp]
host = "127.0.0.1"
port = 1025
security = "none"
plus_addressing = true

[[handler]]
login = "amara"
name = "Amara Osei"
address = "amara@northwind.example"

[[handler]]
login = "sam"
role = "supervisor"

[[handler]]
login = "audrey"
role = "auditor"
"""


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """Runs `amends` as Amara on the configuration of this test."""

    config: Path
    _capture: pytest.CaptureFixture[str]
    _patch: pytest.MonkeyPatch

    @property
    def office(self) -> Office:
        return open_office(load(self.config))

    def __call__(self, *words: str, stdin: str | None = None, login: str = "amara") -> Said:
        if stdin is not None:
            self._patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode("utf-8", "surrogateescape"))))
        self._capture.readouterr()
        status = main(["--config", str(self.config), "--as", login, *words])
        said = self._capture.readouterr()
        return Said(status, said.out, said.err)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    sqlite_store(tmp_path)
    config = tmp_path / "amends.toml"
    config.write_text(CONFIG)
    return Shell(config, capsys, monkeypatch)


@pytest.fixture
def office(shell: Shell) -> Office:
    return shell.office
