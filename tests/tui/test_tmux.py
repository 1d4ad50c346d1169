"""The whole program in tmux, as a handler on SSH has it: open, write, send, undo, send, leave."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import uuid

import pytest

from amends.kernel.instants import wall_clock
from tests.builders import a_mail, an_office, case_of, file_mail
from tests.house import ROOT
from tests.servers import until
from tests.tui.desk import ready
from tests.tui.test_terminal import configuration


class Tmux:
    """One session on a socket of its own."""

    def __init__(self, command: str, env: dict[str, str]) -> None:
        self._name = f"amends-{uuid.uuid4().hex[:8]}"
        self._env = env
        self._run("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", command)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._name, *arguments], env=self._env, capture_output=True, text=True, timeout=120
        )
        return done.stdout

    @property
    def text(self) -> str:
        return self._run("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def type(self, words: str) -> None:
        self._run("send-keys", "-l", words)

    def wait_for(self, words: str) -> None:
        until(lambda: words in self.text, seconds=180, what=f"'{words}' on:\n{self.text}")

    def close(self) -> None:
        self._run("kill-server")


@pytest.mark.server("tmux")
def test_a_handler_answers_a_complaint_in_tmux(tmp_path):
    office = an_office(tmp_path)
    ready(office, wall_clock())
    filed = file_mail(office, a_mail(), now=wall_clock())
    config = configuration(office)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AMENDS_", "TMUX", "NO_COLOR"))}
    env |= {"LC_ALL": "C.UTF-8", "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)}
    command = shlex.join([sys.executable, "-m", "tui", "--config", str(config), "--as", "amara"])
    tmux = Tmux(command, env)
    try:
        tmux.wait_for("Edith Kowalski")
        tmux.keys("Enter")
        tmux.wait_for("My flat has had no heating")
        tmux.type("r1")
        tmux.wait_for("1 gap left")
        tmux.type("Our engineer comes on Monday.")
        tmux.wait_for("No gaps left")
        tmux.keys("F5")
        tmux.wait_for("Nothing stops it. s=Send")
        tmux.type("s")
        tmux.wait_for("press u to undo")
        tmux.wait_for("Outbox·2")  # the acknowledgement and ours
        tmux.type("u")
        tmux.wait_for("Nothing was sent")
        tmux.keys("F5")
        tmux.wait_for("Nothing stops it. s=Send")
        tmux.type("s")
        tmux.wait_for("press u to undo")
        tmux.keys("Left")
        tmux.wait_for("All open")
        tmux.type("q")
        tmux.wait_for("It will still be")
        tmux.type("y")
    finally:
        tmux.close()
    letters = [one for one in case_of(office, filed.reference).letters if not one.automatic]
    assert [one.state for one in letters] == ["queued"]
    assert "Our engineer comes on Monday." in letters[0].body
