"""The daemon at rest, with ten thousand open cases in its store."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

from bench.figures import Part, megabytes
from bench.house import House, until
from bench.processes import memory, processor_seconds, tree
from bench.store import CASES, a_full_store
from tests.servers.dovecot import Dovecot
from tests.servers.smtp import SmtpServer

SETTLES: Final = 20.0  # seconds: the first looks of every duty, and the readers that are warmed up
LOOKS: Final = 30.0  # seconds


def measure() -> Part:
    dovecot = Dovecot()
    dovecot.start()
    smtp = SmtpServer().start()
    try:
        with tempfile.TemporaryDirectory(prefix="amends-bench-") as folder:
            a_full_store(Path(folder))
            box = dovecot.account()
            house = House(Path(folder), [box], smtp, smtp={"plus_addressing": False})
            with house:
                assert house.daemon is not None
                until(lambda: house.events("intake.connected"), seconds=60, what=lambda: f"{house.log}")
                time.sleep(SETTLES)
                before, began = processor_seconds(house.daemon.pid), time.monotonic()
                time.sleep(LOOKS)
                used = processor_seconds(house.daemon.pid) - before
                share = 100 * used / (time.monotonic() - began)
                size, processes = memory(house.daemon.pid), len(tree(house.daemon.pid))
    finally:
        smtp.stop()
        dovecot.close()
    return Part(
        "The daemon at rest",
        f"{CASES:,} open cases in SQLite, nothing to do, IDLE on the mailbox; over {LOOKS:.0f} seconds.  Memory is the "
        "sum of the proportional set sizes of all its processes.",
        ("", "memory", "of one core", "processes"),
        (("amendsd", megabytes(size), f"{share:.2f} %", str(processes)),),
    )
