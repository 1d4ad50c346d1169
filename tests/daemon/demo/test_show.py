"""The demonstration whole: the real daemon, the whole cast, and nothing left behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select as rows
from sqlmodel import Session, col

from amends.casework.office import open_office
from amends.config import load
from amends.ledger import views
from amends.ledger.tables import Arrival, Letter, Message
from amends.ledger.verify import verify
from amends.letters.kinds import LetterKind
from daemon.demo.cast import read_script
from daemon.demo.earlier import read_earlier
from tests.house import ROOT

pytestmark = pytest.mark.slow

SCRIPT = read_script()
PATIENCE = 90.0


@pytest.fixture
def scratch(monkeypatch):
    """Where temporary folders of the demonstration go; its path is short, as that of a socket must be."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def _demo(*words: str, **more) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "daemon", "demo", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "AMENDS_ORGANISATION__NAME": "The real house"},
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        **more,
    )


def _ended(demo: subprocess.Popen[str]) -> int:
    demo.send_signal(signal.SIGINT)
    try:
        return demo.wait(30)
    finally:
        demo.kill()


def test_the_whole_cast_is_heard_and_nothing_is_said_to_a_machine(tmp_path, scratch):
    home = tmp_path / "demo"
    with (tmp_path / "log").open("w") as log:
        demo = _demo("--folder", str(home), "--every", "0.1", "--speed", "60", stdout=log, stderr=log)
        try:
            _until(lambda: "is open" in (tmp_path / "log").read_text())
            _until(lambda: _looked(home, _all_has_come_of_it))
            _prove(home)
        finally:
            status = _ended(demo)
    said = (tmp_path / "log").read_text()
    assert status == 0 and "Traceback" not in said, said
    assert all(mail.sender in said for mail in SCRIPT.mails) and "The real house" not in said
    assert (home / "amends.db").exists() and not list(scratch.iterdir())
    open_to_others = [path for path in (home, *home.rglob("*")) if path.stat().st_mode & 0o077]
    assert not open_to_others


def _prove(home: Path) -> None:
    office = open_office(load(home / "amends.toml"))
    with office.book.read() as session:
        queue = views.queue(session, views.View(), now=office.now())
        cases = {row.complainant_address: views.case(session, row.id, now=office.now()) for row in queue}
        received = Counter(session.scalars(rows(Message.from_address).where(col(Message.direction) == "in")))
    assert verify(office.book).intact
    office.book.close()
    # Every complaint is a case, acknowledged once.
    complaints = [mail for mail in SCRIPT.mails if mail.is_complaint]
    for mail in complaints:
        letters = cases[mail.address].letters
        assert [one.kind for one in letters].count(LetterKind.ACKNOWLEDGEMENT) == 1, mail.name
    assert len({row.reference for row in queue}) == len(complaints) + sum(
        e.mail.address in cases for e in read_earlier()
    )
    # Replies stand on the case that they answer, the wife's on her husband's.
    for mail in SCRIPT.mails:
        if mail.to_thread and mail.kind == "person":
            thread = cases[SCRIPT.named(mail.to_thread).address]
            assert any(m.from_address == mail.address and mail.text.split("\n")[0] in m.text for m in thread.messages)
    # Machines are heard and not answered.
    assert received["news@housingmatters.example"] == 0 or "news@housingmatters.example" not in cases
    to = Counter(_recipient(path) for path in (home / "letters").iterdir())
    assert to["news@housingmatters.example"] == 0 and "bounce" not in to
    away = cases["r.aldousgrey@chambers.example"]
    assert [m.kind for m in away.messages if m.direction == "in"] == ["person", "auto-reply"]
    assert to["r.aldousgrey@chambers.example"] == 1
    # The letter that came back stands first in the queue, and says so.
    assert queue[0].complainant_address in SCRIPT.nobody and queue[0].undelivered


def _recipient(path: Path) -> str:
    return str(message_from_bytes(path.read_bytes(), policy=policy.default)["To"]).rpartition("<")[2].strip("> ")


def _looked(home: Path, look: Callable[[Session], Any]) -> Any:
    office = open_office(load(home / "amends.toml"))
    try:
        with office.book.read() as session:
            return look(session)
    finally:
        office.book.close()


def _all_has_come_of_it(session: Session) -> bool:
    """Every mail and the report have their fate, every letter has left, and the one that came back is known."""
    fates = [fate for fate in session.scalars(rows(Arrival.state)) if fate not in ("own", "stored")]
    letters = set(session.scalars(rows(Letter.state)))
    return len(fates) >= SCRIPT.arrivals + len(read_earlier()) and letters == {"sent", "bounced"}


def test_without_a_folder_nothing_stays_behind(scratch):
    demo = _demo("--every", "30", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert demo.stdout is not None
        said = demo.stdout.readline()
        assert "Northwind Homes is open" in said
        (home,) = scratch.iterdir()
        assert home.stat().st_mode & 0o777 == 0o700
    finally:
        assert _ended(demo) == 0
    assert not list(scratch.iterdir())


def test_the_screen_opens_on_it_and_leaving_it_ends_all(scratch, tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-of-their-own-desk"))
    for size in ("COLUMNS", "LINES"):  # what runs the tests on every core sets them; ours is that of the terminal
        monkeypatch.delenv(size, raising=False)
    words = [sys.executable, "-m", "daemon", "demo", "--open", "--every", "0.2"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(words[0], words, os.environ | {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"})
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 130, 0, 0))
        _wait_for(terminal, b"Strickland")  # from the weeks before
        _wait_for(terminal, b"press .")  # somebody has just written in
        os.write(terminal, b".")
        _wait_for(terminal, b"Margaret")
        os.write(terminal, b"q")
        _wait_for(terminal, b"Leave Amends?")
        os.write(terminal, b"y")
        status = _last_words(pid, terminal)
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGTERM)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert not list(scratch.iterdir()) and not (tmp_path / "state-of-their-own-desk").exists()


def _wait_for(terminal: int, words: bytes) -> None:
    """Read what the terminal is written until these words came, whatever colours stand between."""
    seen, end = b"", time.monotonic() + PATIENCE
    while words not in re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen):
        assert time.monotonic() < end and select.select([terminal], [], [], PATIENCE)[0], seen[-2000:]
        seen += os.read(terminal, 65536)


def _last_words(pid: int, terminal: int) -> int:
    """Read on until the program has ended; its wait status."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            with suppress(OSError):  # EIO: nobody holds the other end any more
                os.read(terminal, 65536)
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
    pytest.fail("the demonstration did not end")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda place: (place / "x").write_text("x"), "is not empty; a demonstration wants a new or an empty folder"),
        (lambda place: place.rmdir() or place.write_text("x"), "cannot be used for a demonstration"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path, make, sentence):
    place = tmp_path / "place"
    place.mkdir()
    make(place)
    demo = _demo("--folder", str(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, said = demo.communicate(timeout=60)
    assert demo.returncode == 2 and sentence in said and len(said.splitlines()) == 1


def _until(seen, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.2)
