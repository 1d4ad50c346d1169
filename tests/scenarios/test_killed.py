"""The daemon is killed at any point between a mail and its answer, and started again: scenario 5."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.house import ROOT, environment
from tests.scenarios.doomed import POINTS
from tests.scenarios.town import FILED, Town, mail

pytestmark = [pytest.mark.server("dovecot"), pytest.mark.slow]

EDITH = "edith@example.org"
PHOTO, PLAN = bytes(range(256)) * 20, b"%PDF-1.4 a plan"


def _with_photo_and_plan() -> bytes:
    from base64 import encodebytes

    parts = [b"--b\r\nContent-Type: text/plain\r\n\r\nSee the photo and the plan.\r\n"]
    for name, content in (("photo.jpg", PHOTO), ("plan.pdf", PLAN)):
        head = f'--b\r\nContent-Disposition: attachment; filename="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        parts.append(head.encode() + encodebytes(content).replace(b"\n", b"\r\n"))
    body = b"".join(parts) + b"--b--\r\n"
    return mail(body, Content_Type='multipart/mixed; boundary="b"', Content_Transfer_Encoding="")


@pytest.fixture(scope="module")
def doomed() -> Iterator[Callable[[Path, str], int]]:
    """`doomed(configuration, point)`: a daemon lives until it comes to the point; its exit status."""
    command = [sys.executable, "-m", "tests.scenarios.doomed"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=pipe, stdout=pipe, text=True) as nursery:
        assert nursery.stdin is not None and nursery.stdout is not None

        def live(configuration: Path, point: str) -> int:
            print(configuration, point, sep="\t", file=nursery.stdin, flush=True)
            return int(nursery.stdout.readline())  # type: ignore[union-attr]

        yield live
        nursery.stdin.close()
        nursery.wait(30)


@pytest.mark.parametrize("point", POINTS)
def test_scenario_05_killed_at_any_point_there_is_one_message_one_case_its_files_and_one_letter(
    town: Town, point: str, doomed: Callable[[Path, str], int]
) -> None:
    town.lives_now()
    raw = _with_photo_and_plan()
    town.deliver(raw)
    assert doomed(town.configuration(), point) == -signal.SIGKILL
    with town.at_work():
        town.until_quiet()
    [case] = town.cases()
    [message] = [one for one in case.messages if one.direction == "in"]
    assert [one.sha256 for one in message.attachments] == [hashlib.sha256(one).hexdigest() for one in (PHOTO, PLAN)]
    assert town.bytes_of(message) == raw and town.box.raws(FILED).count(raw) == 1
    assert town.fates() == ["filed"] and [letter.state for letter in case.letters] == ["sent"]
    assert len(town.letters_to(EDITH)) == 1
    town.prove_whole()
