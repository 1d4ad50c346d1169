"""The unit files are what systemd takes them for."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from amends.kernel.share import systemd_folder
from daemon.supervision import supervisor

UNIT = systemd_folder() / "amendsd.service"

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")


def settings() -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(UNIT)
    return found


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    here = tmp_path / UNIT.name
    program = settings()["Service"]["ExecStart"].split()[0]
    here.write_text(UNIT.read_text().replace(program, "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(here)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_daemon_is_locked_in_well() -> None:
    ask = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(UNIT)]
    done = subprocess.run(ask, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-400:]


def test_no_value_has_a_comment_behind_it() -> None:
    for name in ("amendsd.service", "amends.sysusers", "amends.tmpfiles"):
        for line in (systemd_folder() / name).read_text().splitlines():
            assert line.startswith("#") or "#" not in line, f"{name}: systemd would take this for the value: {line}"


def test_systemd_waits_longer_than_the_daemon_takes_to_end() -> None:
    service = settings()["Service"]
    assert service["Type"] == "notify"
    assert float(service["TimeoutStopSec"].removesuffix("s")) > supervisor.GRACE + 10
