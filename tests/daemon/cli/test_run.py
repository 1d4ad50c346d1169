"""`amendsd run` as systemd starts it: a program of its own, ended by a signal."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.daemon.cli.conftest import Told, as_program
from tests.servers import until
from tests.servers.smtp import SmtpServer

Run = Callable[..., Told]


@contextmanager
def running(config: Path, **how: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon", "run", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **how,  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


def test_it_makes_its_store_is_ready_and_ends_in_good_order(
    amendsd: Run, configured: Callable[..., Path], smtp: SmtpServer, tmp_path: Path
) -> None:
    config = configured(smtp=smtp.section())
    store = tmp_path / "amends.db"
    with running(config) as process:
        until(lambda: process.poll() is not None or store.exists(), what="the store")
        until(
            lambda: process.poll() is not None or amendsd("status", "--json", "--config", config).status == 0,
            seconds=60,
            what="the daemon to be ready",
        )
        assert stat.S_IMODE(store.stat().st_mode) == 0o600
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out == ""
    told = amendsd("status", "--json", "--config", config)
    assert told.status == 1
    assert {one["state"] for one in told.json["duties"]} == {"stopped"}


def test_without_a_password_it_ends_at_once_with_status_2_and_says_why(configured: Callable[..., Path]) -> None:
    box = {"name": "complaints", "host": "127.0.0.1", "port": 1143, "security": "none", "username": "us"}
    environment = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
    told = as_program("run", "--config", configured(mailbox=[box]), env=environment)
    assert told.status == 2
    assert "no password" in told.err
    assert "Traceback" not in told.err


def test_a_template_with_a_mistake_stops_it_before_it_writes_to_anybody(
    configured: Callable[..., Path], tmp_path: Path
) -> None:
    own = tmp_path / "own" / "en"
    own.mkdir(parents=True)
    (own / "acknowledgement.txt").write_text("Subject: x\n\nDear {{ complainannt }},\n")
    told = as_program("run", "--config", configured(letters={"templates_folder": "own"}))
    assert told.status == 2
    assert "complainannt" in told.err
    assert "Traceback" not in told.err
