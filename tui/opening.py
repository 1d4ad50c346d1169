"""From the shell to the first picture, by the shortest way: the command line with its sixty commands is not loaded."""

from __future__ import annotations

import sys
from pathlib import Path

from amends.casework.actors import identify
from amends.config import load
from amends.kernel import stdio
from amends.kernel.errors import AmendsError
from tui import firstlook


def open_screens(config: str | None, login: str | None) -> int | None:
    """Open the screens; returns the exit status, or None where something is wrong that the command line must tell."""
    look = None
    try:
        stdio.speak_utf8()
        settings = load(Path(config) if config else None)
        actor = identify(settings, login)
        look = firstlook.begin(settings, actor) if sys.stdin.isatty() else None  # else nothing will be drawn
        from tui.app import run  # the toolkit is loaded while the child looks

        return run(settings, actor, look)
    except AmendsError:
        return None
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as shells say it
    finally:
        if look is not None:
            look.close()
