"""`amends`, also as `python -m tui`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, or open the screens where none is named; returns the exit status."""
    gc.disable()  # nothing made while the program starts is garbage; the screens turn it on when all is loaded
    words = list(sys.argv[1:] if argv is None else argv)
    status = None
    if (asked := screens_asked(words)) is not None:
        from tui.opening import open_screens

        status = open_screens(asked.get("--config"), asked.get("--as"))
    if status is None:
        from tui.cli import run_command

        status = run_command(words)
    return status


def screens_asked(words: Sequence[str]) -> dict[str, str] | None:
    """The options, if the words ask for nothing but the screens; None for all else, which the command line reads."""
    found: dict[str, str] = {}
    left = list(words)
    while left:
        name, equals, value = left.pop(0).partition("=")
        if name not in ("--config", "--as") or name in found or not (equals or left):
            return None
        found[name] = value if equals else left.pop(0)
        if not found[name] or found[name].startswith("-"):
            return None
    return found


if __name__ == "__main__":
    sys.exit(main())
