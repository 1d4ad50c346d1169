"""A thousand mails waiting, and one at a time: the daemon beside the bare loop."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import Part, megabytes, seconds
from bench.house import ROOT, House, Postman, environment, until
from bench.mails import Generated, a_mailbox
from bench.processes import Cost, Watch
from tests.servers.dovecot import Account, Dovecot
from tests.servers.smtp import SmtpServer

COMPLAINTS: Final = 600
REPLIES: Final = 400
ROUNDS: Final = 3
SAMPLES: Final = 30
PATIENCE: Final = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Run:
    """One intake of the whole mailbox: seconds from the log-in to the last letter and the empty inbox."""

    seconds: float
    cost: Cost

    @property
    def rate(self) -> float:
        return (COMPLAINTS + REPLIES) / self.seconds


def measure() -> Part:
    """Daemon and bare loop in turn, `ROUNDS` times."""
    mails = a_mailbox(complaints=COMPLAINTS, replies=REPLIES)
    dovecot = Dovecot()
    dovecot.start()
    loops: list[Run] = []
    daemons: list[Run] = []
    with_copies: list[Run] = []
    try:
        for _ in range(ROUNDS):
            daemons.append(_daemon(_filled(dovecot, mails), receipts=False))
            loops.append(_loop(_filled(dovecot, mails)))
            with_copies.append(_daemon(_filled(dovecot, mails), receipts=True))
    finally:
        dovecot.close()
    pace = statistics.median(run.rate for run in loops)
    return Part(
        "A thousand mails waiting",
        f"{COMPLAINTS} complaints and {REPLIES} replies ({sum(len(mail.raw) for mail in mails) / 1e6:.1f} MB, 18 "
        "charsets, a fifth with attachments) wait in Dovecot; the time runs from the log-in until the inbox is empty "
        f"and the last of {COMPLAINTS} acknowledgements is at the SMTP server.  Medians of {ROUNDS} rounds in turn; "
        "processor time and memory are those of the whole tree of processes, its start included.",
        ("", "mails a second", "of the bare loop", "slowest and fastest", "processor", "peak memory"),
        (
            _row("bare loop", loops, pace),
            _row("amendsd", daemons, pace),
            _row("amendsd with plus addressing: 600 receipt copies come home besides", with_copies, pace),
        ),
    )


def _row(name: str, runs: Sequence[Run], pace: float) -> tuple[str, ...]:
    rate = statistics.median(run.rate for run in runs)
    return (
        name,
        f"{rate:.0f}",
        f"{rate / pace:.2f}",
        f"{min(run.rate for run in runs):.0f} and {max(run.rate for run in runs):.0f}",
        seconds(statistics.median(run.cost.processor_seconds for run in runs)),
        megabytes(max(run.cost.peak_memory for run in runs)),
    )


def _filled(dovecot: Dovecot, mails: Sequence[Generated]) -> Account:
    box = dovecot.account()
    box.deliver_all(mail.raw for mail in mails)
    return box


def _daemon(box: Account, *, receipts: bool) -> Run:
    smtp = SmtpServer().start()
    try:
        with tempfile.TemporaryDirectory(prefix="amends-bench-") as folder:
            house = House(Path(folder), [box], smtp, smtp={"plus_addressing": receipts})
            with Postman(smtp, box), house:
                assert house.daemon is not None
                watch = Watch(house.daemon.pid).start()
                until(lambda: house.events("intake.connected"), seconds=PATIENCE, what=lambda: f"{house.log}")
                began = time.monotonic()
                until(lambda: len(smtp.letters) >= COMPLAINTS, seconds=PATIENCE)
                with box.client("INBOX") as client:
                    until(lambda: not _waiting(client), seconds=PATIENCE)
                took = time.monotonic() - began
                return Run(took, watch.stop())
    finally:
        smtp.stop()


def _waiting(client) -> int:  # type: ignore[no-untyped-def]
    client.noop()
    return len(client.search("ALL"))


def _loop(box: Account) -> Run:
    smtp = SmtpServer().start()
    with tempfile.TemporaryDirectory(prefix="amends-bench-") as folder:
        words = (str(box.server.port), box.username, box.password, str(smtp.port), f"{folder}/loop.db")
        loop = subprocess.Popen(
            [sys.executable, "-m", "bench.bareloop", *words],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        watch = Watch(loop.pid).start()
        try:
            assert loop.stdout is not None and loop.stdin is not None
            assert loop.stdout.readline() == "connected\n"
            began = time.monotonic()
            assert loop.stdout.readline() == "done\n"
            took = time.monotonic() - began
            cost = watch.stop()
            loop.communicate("\n")  # it waits for this line, so that there is still something to measure
            assert len(smtp.letters) == COMPLAINTS and not box.uids()
            return Run(took, cost)
        finally:
            loop.kill()
            loop.wait()
            smtp.stop()


def measure_latency() -> Part:
    """From the delivery of one complaint into an idle mailbox to its acknowledgement at the SMTP server."""
    dice = random.Random(2)
    with _idle_house() as (smtp, box, house):
        until(lambda: house.events("intake.connected"), seconds=PATIENCE, what=lambda: f"{house.log}")
        time.sleep(5)  # the first look is over, and it idles
        waits = []
        for number, mail in enumerate(a_mailbox(complaints=SAMPLES, replies=0, seed=3), 1):
            time.sleep(dice.uniform(0.5, 1.5))
            box.deliver(mail.raw)
            delivered = time.monotonic()
            until(lambda count=number: len(smtp.letters) >= count, seconds=PATIENCE)  # type: ignore[misc]
            waits.append(smtp.letters[-1].at - delivered)
    waits.sort()
    return Part(
        "From delivery to the acknowledgement",
        f"{SAMPLES} complaints, one at a time, into a mailbox that the daemon watches by IDLE; the time runs from "
        "Dovecot's answer to the delivery until the final dot at the SMTP server.  Dovecot itself tells IDLE about "
        "half a second late: it collects changes before it speaks.",
        ("", "median", "nine of ten within", "slowest"),
        (
            (
                "delivery to acknowledgement",
                seconds(statistics.median(waits)),
                seconds(waits[int(len(waits) * 0.9) - 1]),
                seconds(waits[-1]),
            ),
        ),
    )


@contextmanager
def _idle_house():  # type: ignore[no-untyped-def]
    dovecot = Dovecot()
    dovecot.start()
    smtp = SmtpServer().start()
    try:
        with tempfile.TemporaryDirectory(prefix="amends-bench-") as folder:
            box = dovecot.account()
            with House(Path(folder), [box], smtp, smtp={"plus_addressing": False}) as house:
                yield smtp, box, house
    finally:
        smtp.stop()
        dovecot.close()
