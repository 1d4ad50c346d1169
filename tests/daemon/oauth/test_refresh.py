"""The file with the refresh token: replaced whole or not at all, by one at a time, whatever kills us."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemon.oauth.refresh import RefreshTokenFile
from daemon.oauth.trouble import TokenRefused
from tests.servers import until

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "refresh"
    path.touch(mode=0o600)
    path.write_text("old\n")
    return path


def test_a_new_token_takes_the_place_of_the_old_one_and_nobody_else_reads_it(path):
    file = RefreshTokenFile(path, what="x")
    with file.locked():
        assert file.read() == "old"
        file.replace("new")
        assert file.read() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(one.name for one in path.parent.iterdir()) == [".refresh.lock", "refresh"]


def test_a_link_keeps_leading_to_the_file(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)
    RefreshTokenFile(link, what="x").replace("new")
    assert link.is_symlink() and path.read_text() == "new\n"


def test_a_disk_that_is_full_leaves_the_old_one_as_it_is(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        RefreshTokenFile(path, what="x").replace("new")
    assert path.read_text() == "old\n"


@pytest.mark.parametrize("text", ["", "\n", "two words\n", "zwei Wörter"])
def test_a_file_without_a_token_says_so(path, text):
    path.write_text(text)
    with pytest.raises(TokenRefused, match=r"put a refresh token there|holds no refresh token"):
        RefreshTokenFile(path, what="x").read()


def test_a_pipe_keeps_nobody_waiting(path):
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(TokenRefused, match="holds no refresh token"):
        RefreshTokenFile(path, what="x").read()


def test_a_folder_that_cannot_be_written_is_found_before_a_token_is_asked_for(path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with (
        pytest.raises(TokenRefused, match="put the file into a folder of its own"),
        RefreshTokenFile(path, what="x").locked(),
    ):
        pytest.fail("it was locked")


def test_the_owner_of_the_file_stays_its_owner_when_root_replaces_it(path):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(path, 12345, 12345)
    file = RefreshTokenFile(path, what="x")
    with file.locked():
        file.replace("new")
    assert path.stat().st_uid == (path.parent / ".refresh.lock").stat().st_uid == 12345


def test_one_waits_until_the_other_has_written(path):
    file = RefreshTokenFile(path, what="x")
    read: list[str] = []

    def second() -> None:
        with RefreshTokenFile(path, what="x").locked():
            read.append(RefreshTokenFile(path, what="x").read())

    with file.locked():
        other = threading.Thread(target=second)
        other.start()
        other.join(0.2)
        assert not read
        file.replace("new")
    other.join(60)
    assert read == ["new"]


_KILLED_AT = """
import os, signal, sys
from pathlib import Path
from daemon.oauth.refresh import RefreshTokenFile

def dies(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

where = sys.argv[2]
if where == "before writing":
    os.fchmod = dies
elif where == "before fsync":
    os.fsync = dies
elif where == "before renaming":
    Path.replace = dies
elif where == "after renaming":
    replace = Path.replace
    def replaced(self, to):
        replace(self, to)
        dies()
    Path.replace = replaced
RefreshTokenFile(Path(sys.argv[1]), what="x").replace("new")
"""


@pytest.mark.parametrize(
    ("where", "stands"),
    [("before writing", "old"), ("before fsync", "old"), ("before renaming", "old"), ("after renaming", "new")],
)
def test_kill_9_within_the_writing_leaves_the_old_one_or_the_new_one_whole(path, where, stands):
    done = subprocess.run([sys.executable, "-c", _KILLED_AT, str(path), where], cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    file = RefreshTokenFile(path, what="x")
    assert file.read() == stands
    with file.locked():  # the lock died with its holder
        file.replace("newest")
    assert file.read() == "newest"
    assert not (path.parent / ".refresh.new").exists()


_HOLDS = """
import sys, time
from pathlib import Path
from daemon.oauth.refresh import RefreshTokenFile
with RefreshTokenFile(Path(sys.argv[1]), what="x").locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_of_a_killed_process_is_free(path):
    holder = subprocess.Popen([sys.executable, "-c", _HOLDS, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    entered = threading.Event()

    def enter() -> None:
        with RefreshTokenFile(path, what="x").locked():
            entered.set()

    threading.Thread(target=enter, daemon=True).start()
    assert not entered.wait(0.2)
    holder.kill()
    holder.wait(60)
    holder.stdout.close()
    until(entered.is_set, what="the lock")
