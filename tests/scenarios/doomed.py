"""`python -m tests.scenarios.doomed`: for each line on standard input, a configuration and a point with a tab between,

a daemon of its own, which kills itself (SIGKILL) when it comes to that point; its exit status is printed.  What stands
before and after each step of taking in a mail is a point: see POINTS.  All is loaded once, which takes seconds.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event

from amends.casework import filing, intake
from amends.config import load
from daemon.house import run_house
from daemon.intake.line import Line
from daemon.outbox.duty import OutboxDuty
from daemon.reading.pool import ReadingPool, Underway

POINTS: Final = (
    "fetched, nothing stored",
    "stored, nothing read",
    "read, nothing filed",
    "the case is known, nothing written",
    "written, before the commit",
    "committed, before the move",
    "moved, and nobody knows",
    "known to be moved",
    "the letter is being handed over",
)


def _die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _dies_before(place: Any, name: str) -> None:
    setattr(place, name, _die)


def _dies_after(place: Any, name: str, *, of_use: Callable[..., object] = lambda *_: True) -> None:
    """When it has done its work: `of_use` is asked about what it was given."""
    whole: Callable[..., Any] = getattr(place, name)

    def then(*arguments: Any, **named: Any) -> Any:
        found = whole(*arguments, **named)
        if of_use(*arguments):
            _die()
        return found

    setattr(place, name, then)


def _dies_before_the_commit_of_filing() -> None:
    """The rows of the case are written, and the transaction is not over."""
    whole = intake._file_all

    def armed(office: Any, *arguments: Any, **named: Any) -> Any:
        event.listen(office.book.engine, "commit", _die)
        return whole(office, *arguments, **named)

    intake._file_all = armed


def arm(point: str) -> None:
    """Lay the trap."""
    match point:
        case "fetched, nothing stored":
            _dies_after(Line, "messages")
        case "stored, nothing read":
            _dies_before(ReadingPool, "begin")
        case "read, nothing filed":
            _dies_after(Underway, "results")
        case "the case is known, nothing written":
            _dies_after(filing, "decide")
        case "written, before the commit":
            _dies_before_the_commit_of_filing()
        case "committed, before the move":
            _dies_before(Line, "move")
        case "moved, and nobody knows":
            _dies_after(Line, "move")
        case "known to be moved":
            _dies_after(intake, "mark_moved", of_use=lambda *given: given[-1])
        case "the letter is being handed over":
            _dies_before(OutboxDuty, "_before_dots")
        case _:
            raise SystemExit(f"there is no point '{point}'")


def _live_and_die(config: str, point: str) -> int:
    """Fork a daemon with the trap laid; its exit status, negative for the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        arm(point)
        os._exit(run_house(load(Path(config))))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    for line in sys.stdin:
        print(_live_and_die(*line.rstrip("\n").split("\t")), flush=True)
