"""The handlers' commands: what the screens can do, for the shell, for scripts and for a screen reader.

Each command imports what it needs when it runs, so that `--help` answers at once.  Results go to standard output,
one sentence of error to standard error; exit status 0 done, 1 refused or not found, 2 wrong usage or configuration.
"""

from __future__ import annotations

# Each module puts its commands into `app`, and the order here is that of `--help`.
from tui.cli import lists, tray, cases, ties, addresses, letters  # isort: skip  # noqa: F401
from tui.cli.shell import hoisted, run_command

__all__ = ["hoisted", "run_command"]
