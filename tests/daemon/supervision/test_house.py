"""The daemon as a process: what it exits with, and how it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col

from amends.casework.office import Office
from amends.kernel.instants import wall_clock
from amends.ledger import views
from amends.ledger.tables import Letter
from tests.builders import a_mail, an_office, open_case
from tests.servers import until
from tests.servers.smtp import KEEP_AND_HANG, Slow, SmtpServer

CONFIGURATION = """
[organisation]
name = "Northwind Homes"
address = "complaints@northwind.example"
reference_prefix = "NW"

[database]
url = "sqlite:///amends.db"
"""


class House:
    """A daemon in a process of its own, on a store in `folder`."""

    def __init__(self, folder: Path, smtp: SmtpServer) -> None:
        self.office: Office = an_office(folder, smtp=smtp.section())
        self.config = folder / "amends.toml"
        self.write(f'[smtp]\nhost = "127.0.0.1"\nport = {smtp.port}\nsecurity = "none"\nplus_addressing = true\n')
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, more: str) -> None:
        self.config.write_text(CONFIGURATION + more)

    def start(self, *, ready: bool = True) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "daemon", "run", "--config", str(self.config)]
            self.process = subprocess.Popen(command, stderr=log, cwd=Path(__file__).parents[3])
        if ready:
            until(lambda: "house.ready" in self.log.read_text(), seconds=180, what="the daemon to be ready")
        return self.process

    def complaints(self, count: int) -> None:
        for number in range(count):
            open_case(self.office, a_mail(sender=f"person{number}@example.org"), now=wall_clock())

    def states(self) -> list[str]:
        with self.office.book.read() as session:
            return list(session.connection().execute(select(col(Letter.state)).order_by(col(Letter.id))).scalars())

    def duties(self) -> dict[str, str]:
        with self.office.book.read() as session:
            return {row.name: row.state for row in views.duties(session)}


@pytest.fixture
def house(tmp_path: Path, smtp: SmtpServer) -> Iterator[House]:
    found = House(tmp_path, smtp)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.kill()
        found.process.wait()
    found.office.book.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_daemon_cleanly(number: signal.Signals, house: House) -> None:
    process = house.start()
    process.send_signal(number)
    assert process.wait(60) == 0
    assert set(house.duties().values()) == {"stopped"}
    assert "house.ended" in house.log.read_text()


def test_a_signal_in_the_middle_of_letters_leaves_none_uncertain(house: House, smtp: SmtpServer) -> None:
    house.complaints(8)
    smtp.script("dot", Slow(0.3), times=8)
    process = house.start(ready=False)
    until(lambda: len(smtp.letters) >= 2, seconds=180)
    process.terminate()
    assert process.wait(60) == 0
    assert set(house.states()) == {"sent", "queued"}
    assert house.states().count("sent") == len(smtp.letters)
    smtp.behave()
    house.start(ready=False)
    until(lambda: house.states() == ["sent"] * 8, seconds=180)
    assert len(smtp.letters) == 8


def test_a_server_that_never_answers_does_not_keep_the_daemon_from_ending(house: House, smtp: SmtpServer) -> None:
    house.complaints(1)
    smtp.script("dot", KEEP_AND_HANG)
    process = house.start(ready=False)
    until(lambda: len(smtp.letters) == 1, seconds=180)
    process.terminate()
    assert process.wait(60) == 0
    house.start(ready=False)
    until(lambda: house.states() == ["uncertain"], seconds=180)


def test_the_second_signal_ends_it_at_once(house: House, smtp: SmtpServer) -> None:
    house.complaints(1)
    smtp.script("dot", KEEP_AND_HANG)
    process = house.start(ready=False)
    until(lambda: len(smtp.letters) == 1, seconds=180)
    process.terminate()
    until(lambda: "house.stopping" in house.log.read_text())
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM


def test_a_hang_up_changes_nothing(house: House) -> None:
    process = house.start()
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None


def test_killed_at_random_while_it_sends_it_loses_and_doubles_nothing(house: House, smtp: SmtpServer) -> None:
    house.complaints(20)
    smtp.script("dot", Slow(0.02), times=float("inf"))
    for goal in (3, 8, 13):
        process = house.start(ready=False)
        until(lambda goal=goal: len(smtp.letters) >= goal, seconds=180)
        process.kill()
        process.wait()
    house.start(ready=False)
    until(lambda: not {"queued", "sending"} & set(house.states()), seconds=180)
    went = [letter.rcpt_to[0] for letter in smtp.letters]
    assert len(went) == len(set(went)), "no letter went twice"
    uncertain = house.states().count("uncertain")
    assert house.states().count("sent") + uncertain == 20
    assert uncertain <= 3 * 3, "a kill leaves at most one letter uncertain for each of three connections"
    assert len(went) >= 20 - uncertain


def test_a_wrong_configuration_is_one_sentence_and_exit_status_2(house: House) -> None:
    house.write('[smtp]\nhost = "127.0.0.1"\nsecurity = "none"\nusername = "complaints"\n')
    process = house.start(ready=False)
    assert process.wait(90) == 2
    text = house.log.read_text()
    assert "no password" in text
    assert "Traceback" not in text


def test_a_store_of_a_newer_program_is_refused_in_one_sentence(house: House) -> None:
    from sqlalchemy import text as sql

    with house.office.book.write() as session:
        session.connection().execute(sql("UPDATE alembic_version SET version_num = '9999'"))
    process = house.start(ready=False)
    assert process.wait(90) == 1
    assert "newer than this program" in house.log.read_text()
    assert "Traceback" not in house.log.read_text()


def test_the_watchdogs_signal_writes_down_where_every_thread_stands(house: House) -> None:
    process = house.start()
    process.send_signal(signal.SIGABRT)
    assert process.wait(60) == -signal.SIGABRT
    text = house.log.read_text()
    assert "Current thread" in text
    assert "outbox" in text


def test_a_killed_daemon_is_told_at_once_and_since_when(house: House) -> None:
    def status() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "daemon", "status", "--config", str(house.config)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])

    process = house.start()
    until(lambda: status().stdout.startswith("Ready.\n"), seconds=180, what="the daemon's rows")
    process.kill()
    process.wait()
    said = status()
    assert said.returncode == 1
    first, *rest = said.stdout.splitlines()
    assert re.fullmatch(
        r"The daemon is not running: no sign of life since [-0-9T:]+Z; start it with systemctl start amendsd\.", first
    )
    assert re.match(r"  clock +silent +since ", rest[0])
