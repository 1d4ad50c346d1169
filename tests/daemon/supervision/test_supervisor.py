"""Duties under the supervisor: started again when they fall, seen when they hang, ended when the bell rings."""

from __future__ import annotations

import gc
import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from amends.casework.office import Office
from amends.kernel.errors import NeedsOperator
from amends.ledger import views
from daemon import logs
from daemon.supervision import health, supervisor
from daemon.supervision.bell import Bell
from daemon.supervision.duty import Duty, Pulse
from daemon.supervision.health import Heart
from daemon.supervision.owner import is_dead, our_name
from daemon.supervision.supervisor import Supervisor, pause_after
from daemon.supervision.systemd import Systemd
from tests.builders import an_office
from tests.servers import until


class Plain:
    """A duty that does as the test says."""

    def __init__(self, work: Callable[[Pulse], None], *, name: str = "plain", silence: float = 60.0) -> None:
        self.name = name
        self.silence = silence
        self.runs = 0
        self._work = work

    def run(self, pulse: Pulse) -> None:
        self.runs += 1
        self._work(pulse)


def at_work(pulse: Pulse) -> None:
    while not pulse.stopping.is_set():
        pulse.beat()
        pulse.wait(0.02)


class Journal:
    """The socket of systemd, and what it was told."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.path = path
        self.told: list[str] = []

    def hear(self) -> list[str]:
        self._socket.setblocking(False)
        while True:
            try:
                self.told.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.told


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    found = Journal(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(found.path))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    return found


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    found = an_office(tmp_path)
    yield found
    found.book.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "pause_after", lambda failures, *, spread: 0.02)
    monkeypatch.setattr(health, "_AT_MOST_EVERY", 0.01)


@contextmanager
def supervised(office: Office, *duties: Duty, grace: float = 5.0) -> Iterator[list[str]]:
    """The duties at work; the list holds afterwards the names of those that did not end in time."""
    bell, unfinished = Bell(), []
    whole = Supervisor(office, duties, systemd=Systemd(), grace=grace)
    thread = threading.Thread(target=lambda: unfinished.extend(whole.run(bell)))
    thread.start()
    try:
        yield unfinished
    finally:
        bell.ring()
        thread.join(60)
        bell.close()
    assert not thread.is_alive()


def row(office: Office, name: str = "plain") -> views.DutyView | None:
    with office.book.read() as session:
        return next((one for one in views.duties(session) if one.name == name), None)


def state(office: Office, name: str = "plain") -> tuple[str, str | None]:
    found = row(office, name)
    return ("", None) if found is None else (found.state, found.last_error)


def test_a_duty_that_falls_is_started_again_and_its_row_says_why(office: Office) -> None:
    def fall_twice(pulse: Pulse) -> None:
        if duty.runs <= 2:
            raise ValueError("the ladder broke")
        at_work(pulse)

    duty = Plain(fall_twice)
    with supervised(office, duty):
        until(lambda: duty.runs == 3 and state(office) == ("running", None))
    assert state(office)[0] == "stopped"


def test_a_fallen_duty_says_its_error_until_it_runs(office: Office) -> None:
    mended = threading.Event()

    def broken(pulse: Pulse) -> None:
        if not mended.is_set():
            raise ValueError("the ladder broke")
        at_work(pulse)

    with supervised(office, Plain(broken)):
        until(lambda: state(office) == ("failing", "ValueError: the ladder broke"))
        mended.set()
        until(lambda: state(office) == ("running", None))


def test_one_duty_that_falls_does_not_disturb_the_others(office: Office) -> None:
    def fall(_pulse: Pulse) -> None:
        raise ValueError("the ladder broke")

    steady = Plain(at_work, name="steady")
    with supervised(office, Plain(fall), steady):
        until(lambda: state(office)[0] == "failing" and state(office, "steady")[0] == "running")
        assert steady.runs == 1


def test_a_fault_for_the_operator_is_logged_once_in_one_sentence(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[tuple[str, dict[str, object]]] = []

    class Log:
        def __getattr__(self, level: str) -> Callable[..., None]:
            return lambda event, **fields: lines.append((f"{level} {event}", fields))

    monkeypatch.setattr(supervisor, "log", Log())

    def full(_pulse: Pulse) -> None:
        raise NeedsOperator("The disk of the database is full; make room, nothing was lost.")

    duty = Plain(full)
    with supervised(office, duty):
        until(lambda: duty.runs > 5)
    errors = [fields for event, fields in lines if event == "error duty.failed"]
    assert [one["why"] for one in errors] == ["The disk of the database is full; make room, nothing was lost."]
    assert "exc_info" not in errors[0]


def test_the_dead_run_of_a_duty_keeps_nothing_open(office: Office) -> None:
    end_log = logs.configure(io.StringIO())
    gone = threading.Event()

    class Held:
        def __del__(self) -> None:
            gone.set()

    def hold_and_fall(pulse: Pulse) -> None:
        if duty.runs == 1:
            held = Held()
            raise ValueError(f"fell with {held.__class__.__name__} in hand")
        at_work(pulse)

    duty = Plain(hold_and_fall)
    with supervised(office, duty):
        until(lambda: gc.collect() >= 0 and gone.is_set(), what="the frame of the dead run to be let go")
    end_log()


def test_readiness_waits_for_every_duty_to_have_tried(office: Office, journal: Journal) -> None:
    tried = threading.Event()

    def slow(pulse: Pulse) -> None:
        tried.wait(60)
        pulse.failing("The server is away.")
        while not pulse.wait(1):
            pass

    with supervised(office, Plain(at_work, name="steady"), Plain(slow)):
        time.sleep(0.3)
        assert "READY=1" not in journal.hear()
        tried.set()
        until(lambda: "READY=1" in journal.hear())
        until(lambda: any(one.startswith("STATUS=failing: plain") for one in journal.hear()))
    assert "STOPPING=1" in journal.hear()


def test_a_hung_duty_stops_the_feeding_of_the_watchdog_and_is_seen(office: Office, journal: Journal) -> None:
    hang, on = threading.Event(), threading.Event()

    def fed_within(seconds: float) -> bool:
        before = journal.hear().count("WATCHDOG=1")
        time.sleep(seconds)
        return journal.hear().count("WATCHDOG=1") > before

    def hang_when_told(pulse: Pulse) -> None:
        while not pulse.stopping.is_set():
            pulse.beat()
            pulse.wait(0.02)
            if hang.is_set():
                on.wait(60)
                hang.clear()

    with supervised(office, Plain(at_work, name="steady"), Plain(hang_when_told, silence=0.3)):
        until(lambda: journal.hear().count("WATCHDOG=1") > 3)
        hang.set()
        until(lambda: any("failing: plain" in one for one in journal.hear()))
        until(lambda: not fed_within(0.4), what="the feeding of the watchdog to stop")
        fed = journal.hear().count("WATCHDOG=1")
        on.set()
        until(lambda: journal.hear().count("WATCHDOG=1") > fed)


def test_a_duty_that_sleeps_long_is_not_hung(office: Office, journal: Journal) -> None:
    def sleeper(pulse: Pulse) -> None:
        pulse.beat()
        pulse.wait(30)

    with supervised(office, Plain(sleeper, silence=0.1)):
        until(lambda: journal.hear().count("WATCHDOG=1") > 10)


def test_the_bell_wakes_a_sleeping_duty_and_ends_it(office: Office) -> None:
    bell = threading.Event()

    def sleeper(pulse: Pulse) -> None:
        pulse.beat()
        assert pulse.wait(600, woken_by=bell)

    with supervised(office, Plain(sleeper)) as unfinished:
        until(lambda: state(office)[0] == "running")
    assert unfinished == []
    assert state(office)[0] == "stopped"


def test_a_duty_that_will_not_end_is_left_behind_by_name(office: Office) -> None:
    free = threading.Event()

    def stubborn(pulse: Pulse) -> None:
        pulse.beat()
        free.wait(60)

    with supervised(office, Plain(stubborn), grace=0.2) as unfinished:
        until(lambda: state(office)[0] == "running")
    assert unfinished == ["plain"]
    free.set()


def test_rows_are_written_when_something_changed_and_otherwise_seldom(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    report = health.rows.report

    def counted(office: Office, name: str, state: str, **more: object) -> None:
        written.append(state)
        report(office, name, state, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(health.rows, "report", counted)
    with supervised(office, Plain(at_work)):
        until(lambda: "running" in written)
        time.sleep(0.5)  # some twenty beats
        assert written.count("running") == 1


def test_a_duty_that_another_daemon_does_leaves_the_row_to_it(office: Office) -> None:
    def stands_by(pulse: Pulse) -> None:
        pulse.beat(held_by="somebody else")
        pulse.wait(60)

    with supervised(office, Plain(stands_by), Plain(at_work, name="steady")):
        until(lambda: state(office, "steady")[0] == "running")
        time.sleep(0.1)
        assert row(office) is None


def test_pauses_grow_to_a_minute_and_no_further() -> None:
    pauses = [pause_after(failures, spread=0.0) for failures in range(1, 12)]
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 60.0
    assert pause_after(1, spread=0.99) < 1.4


def test_a_wait_is_ended_by_its_bell_which_is_then_quiet_again() -> None:
    heart, bell = Heart("plain", 60.0, threading.Event()), threading.Event()
    bell.set()
    assert heart.wait(60, woken_by=bell) is False
    assert not bell.is_set()


def test_we_are_alive_and_a_process_that_is_gone_is_dead() -> None:
    ours = our_name()
    host, boot, pids, pid, started, nonce = ours.split("/")
    assert not is_dead(ours)
    assert is_dead("/".join((host, boot, pids, pid, str(int(started) - 1), nonce))), "the number is another's now"
    assert is_dead("/".join((host, boot, pids, "4194305", started, nonce))), "no process can have this number"
    assert is_dead("/".join((host, "0ldb00t", pids, pid, started, nonce)))
    assert not is_dead("/".join(("elsewhere", boot, pids, pid, started, nonce)))
    assert not is_dead("/".join((host, boot, "1", "4194305", started, nonce))), "of another container nobody knows"
    assert not is_dead("whoever")
