"""What a person chose and wants to find again: the look, the view, how deadlines are shown."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tui.report import state_folder


@dataclass(frozen=True, slots=True)
class Prefs:
    look: str = ""
    view: str = "open"
    left: bool = False
    pane: bool = True
    """The case beside the list, where the window is wide enough."""


def _path() -> Path | None:
    folder = state_folder()
    return None if folder is None else folder / "screens.json"


def load() -> Prefs:
    """The choices of last time; whatever cannot be read is as if it had never been chosen."""
    path = _path()
    try:
        tree = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return Prefs()
    if not isinstance(tree, dict):
        return Prefs()
    look, view = tree.get("look"), tree.get("view")
    return Prefs(
        look if isinstance(look, str) else "",
        view if isinstance(view, str) else "open",
        left=tree.get("left") is True,
        pane=tree.get("pane") is not False,
    )


def save(prefs: Prefs) -> None:
    """Keep them; where the disk refuses, they last until the end of the program."""
    path = _path()
    if path is None:
        return
    part = path.with_suffix(f".{os.getpid()}")
    try:
        part.write_text(json.dumps(asdict(prefs)), encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
