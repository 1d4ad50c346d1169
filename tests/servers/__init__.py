"""Real servers for the tests, each private: on loopback, on free ports, in a folder that goes away.

How to use them (the fixtures stand in `tests/conftest.py`):

    @pytest.mark.server("dovecot")
    def test_x(mailbox, smtp, database_url):
        mailbox.deliver(raw)                       # Dovecot: a user of its own for each test
        mailbox.uids("INBOX"); mailbox.section()   # what stands there; the `[[mailbox]]` table for the configuration
        smtp.script("dot", "450 4.2.0 Later")      # aiosmtpd: the next letter is refused for now
        smtp.wait_for(2)[0].header("Subject")      # the letters it kept, with the instant of each

Dovecot and PostgreSQL run once for the whole session; what a test gets (a user, a database) is new for each test.  A
test that stops or kills a server takes `own_dovecot`, which nobody shares.  `@pytest.mark.server(name)`, with
`dovecot`, `postgres` or `tmux`, skips the test where that program is missing, unless AMENDS_REQUIRE_SERVERS is set:
then it fails.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(seen: Callable[[], object], *, seconds: float = 180.0, what: str = "it") -> None:
    """Return as soon as `seen()` is true; fail the test after so many seconds."""
    end = time.monotonic() + seconds
    while not seen():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s in vain: {what}")
        time.sleep(0.01)


def answers(port: int) -> bool:
    """Whether somebody listens on this port of the loopback interface."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def program_of(name: str) -> Path | None:
    """Where the program of a server stands on this machine, or None."""
    if name == "dovecot":
        found = shutil.which("dovecot") or shutil.which("/usr/sbin/dovecot")
        return Path(found) if found else None
    if name == "postgres":
        newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: p.parts[-3], reverse=True)
        found = shutil.which("initdb")
        return newest_first[0].parent if newest_first else Path(found).parent if found else None
    found = shutil.which(name)
    return Path(found) if found else None


def need(name: str) -> Path:
    """The program of a server.  Without it the test is skipped, or fails where AMENDS_REQUIRE_SERVERS is set."""
    program = program_of(name)
    if program is not None:
        return program
    why = f"{name} is not installed here"
    if os.environ.get("AMENDS_REQUIRE_SERVERS"):
        pytest.fail(f"{why}, and AMENDS_REQUIRE_SERVERS is set", pytrace=False)
    pytest.skip(why)


def self_signed(folder: Path, *, names: str = "DNS:localhost,IP:127.0.0.1") -> tuple[Path, Path]:
    """A certificate for these names and its key, made here; trust the certificate itself (`ca_file`)."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "30", "-subj", "/CN=localhost", "-addext", f"subjectAltName={names}"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key
