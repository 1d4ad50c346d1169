"""`amends`, also as `python -m tui`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, or open the screens where none is named; returns the exit status."""
    gc.disable()  # nothing made while the program starts is garbage; the screens turn it on at their first rows
    from tui.cli import run_command

    return run_command(sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
