"""From the shell and back: one command line to one exit status, and every trouble to one sentence."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

import typer

from amends.kernel import stdio
from tui.cli.base import (
    DONE,
    MISUSED,
    REFUSED,
    app,
    complain,
)

# Typer does not export what its wrong-usage errors have in common.
_Misuse: Final = typer.BadParameter.__mro__[2]

_SHARED: Final = ("--config", "--as")


def hoisted(argv: Sequence[str]) -> list[str]:
    """The same words with `--config FILE` and `--as LOGIN` before the command, wherever they were given.

    `file ID --as complaint` says something else with it and keeps it; what follows `--` is text.
    """
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    front: list[str] = []
    rest: list[str] = []
    place = 0
    while place < end:
        word = words[place]
        name, equals, _ = word.partition("=")
        mine = name in _SHARED and not (name == "--as" and rest[:2] in (["held", "file"], ["quarantine", "file"]))
        size = 1 if equals else 2
        (front if mine else rest).extend(words[place : min(place + size, end)] if mine else [word])
        place += size if mine else 1
    return [*front, *rest, *words[end:]]


def run_command(argv: Sequence[str]) -> int:
    """Run one command line; every trouble that is ours to tell becomes one sentence and an exit status."""
    stdio.speak_utf8()
    try:
        status = _status_of(argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `amends queue | head`: the reader has seen enough
        stdio.drop_output()
        return DONE
    except OSError as fault:
        if not stdio.is_of_output(fault):
            raise
        stdio.drop_output()
        return complain(f"The output cannot be written: {fault.strerror}; it is not whole.", REFUSED)


def _status_of(argv: Sequence[str]) -> int:
    try:
        # Typer's own `main` would answer a closed pipe with status 1.
        command = typer.main.get_command(app)
        with command.make_context("amends", hoisted(argv)) as context:
            command.invoke(context)
        return DONE
    except typer.Exit as finished:
        return finished.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130  # 128 + SIGINT, as shells say it
    except Exception as trouble:  # noqa: BLE001  (`_failed` raises what is a mistake of ours again)
        return _failed(trouble)


def _failed(trouble: Exception) -> int:
    """Tell what went wrong in one sentence.  Raises it again if it is a mistake of ours and not of anybody outside."""
    from amends.kernel.errors import AmendsError, NeedsOperator, Unreadable

    if isinstance(trouble, _Misuse):
        return complain(_sentence(trouble), MISUSED)
    if isinstance(trouble, AmendsError):
        misused = isinstance(trouble, NeedsOperator) and not isinstance(trouble, Unreadable)
        return complain(str(trouble), MISUSED if misused else REFUSED)
    raise trouble


def _sentence(misuse: Any) -> str:
    """Typer's complaint in one line, with where to look."""
    said = str(misuse.format_message()).strip().rstrip(".").replace(": Value error, ", ": ", 1)  # a word of Typer's own
    command = getattr(getattr(misuse, "ctx", None), "command_path", "amends")
    own = type(misuse) is typer.BadParameter and misuse.ctx is None
    return f"{said}." if own else f"{said}; see: {command} --help"
