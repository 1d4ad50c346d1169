"""The first look at the queue by a child process: what it sees, and what becomes of it when it sees nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.house import ROOT
from tests.tui.desk import a_desk
from tui.__main__ import main, screens_asked

# In a process of its own: one with threads, as pytest may be, is not forked.
PROGRAM = """
import json, os, signal, sys
from pathlib import Path
from tests.builders import AMARA, some_settings
from tui import firstlook
from tui.desk import Desk, kind_named

folder = Path(sys.argv[1])

def settings(name="amends.db", **more):
    return some_settings(folder, url=f"sqlite:///{folder / name}", **more)

def seen(look, before=lambda look: None):
    opened = look.opened()
    before(look)
    found = look.take()
    look.close()
    try:
        os.waitpid(-1, os.WNOHANG)
        left = True
    except ChildProcessError:
        left = False
    ids = None if found is None else found.ids.tolist()
    return {"opened": opened, "ids": ids, "left": left, "again": look.take() is not None}, found

said = {}
said["there"], found = seen(firstlook.begin(settings(), AMARA))
(folder / "empty.db").touch()
said["empty"], _ = seen(firstlook.begin(settings("empty.db"), AMARA))
said["no folder"], _ = seen(firstlook.begin(settings("none/amends.db"), AMARA))
firstlook._look = lambda settings, actor, pipe: os.write(pipe, b"o\\x80\\x05\\x95")
said["cut short"], _ = seen(firstlook.begin(settings(), AMARA))
firstlook._look = lambda settings, actor, pipe: (os.write(pipe, b"o"), signal.pause())
said["killed"], _ = seen(firstlook.begin(settings(), AMARA), lambda look: os.kill(look._pid, signal.SIGKILL))
firstlook.PATIENCE = 0.05
said["stuck"], _ = seen(firstlook.begin(settings(), AMARA))
fast = settings(organisation={"demonstration": True}, clock={"speed": 60.0})
said["fast clock"] = firstlook.begin(fast, AMARA) is None
firstlook.os.cpu_count = lambda: 1
said["one core"] = firstlook.begin(settings(), AMARA) is None

from amends.casework.office import open_office
ordinary = Desk(open_office(settings()), AMARA).snapshot(kind_named("open"))
said["same"] = (found.ids, found.rows, found.kind.name) == (ordinary.ids, ordinary.rows, "open")
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("firstlook")
    a_desk(folder).office.book.close()
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    surroundings = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)


def test_the_child_sees_what_this_process_would_have_seen(said):
    assert said["same"] and said["there"]["opened"] and len(said["there"]["ids"]) == 12


@pytest.mark.parametrize(
    "what, opened", [("empty", True), ("no folder", False), ("cut short", True), ("killed", True), ("stuck", True)]
)
def test_a_child_that_cannot_look_leaves_it_to_this_process(said, what, opened):
    assert said[what]["ids"] is None
    assert said[what]["opened"] is opened or what == "killed"


@pytest.mark.parametrize("what", ["there", "empty", "no folder", "cut short", "killed", "stuck"])
def test_no_child_is_left_behind_and_nothing_is_told_twice(said, what):
    assert not said[what]["left"] and not said[what]["again"]


@pytest.mark.parametrize("what", ["fast clock", "one core"])
def test_no_child_looks_where_it_would_be_of_no_use(said, what):
    assert said[what]


@pytest.mark.parametrize(
    "words, asked",
    [
        ([], {}),
        (["--config", "a.toml"], {"--config": "a.toml"}),
        (["--as=sam", "--config=a=b.toml"], {"--as": "sam", "--config": "a=b.toml"}),
        (["--config"], None),
        (["--config", "--as", "sam"], None),
        (["--as", "sam", "--as", "amara"], None),
        (["--config="], None),
        (["queue"], None),
        (["--help"], None),
        (["--"], None),
    ],
)
def test_only_a_call_for_nothing_but_the_screens_goes_the_short_way(words, asked):
    assert screens_asked(words) == asked


@pytest.mark.parametrize(
    "url, sentence",
    [
        ("mysql://x/y", "'mysql' is not known"),
        ("sqlite:////none/such/amends.db", "/none/such, does not exist; create it."),
    ],
)
def test_a_store_that_cannot_be_there_is_told_before_the_screens(tmp_path, monkeypatch, capsys, url, sentence):
    config = tmp_path / "amends.toml"
    config.write_text(
        f'[organisation]\nname = "N"\naddress = "c@n.example"\n[database]\nurl = "{url}"\n', encoding="utf-8"
    )
    monkeypatch.setattr("tui.app.why_no_screens", lambda environment: "")
    assert main(["--config", str(config)]) == 2
    assert sentence in capsys.readouterr().err
