"""`amendsd check`: prints what the checks found."""

from __future__ import annotations

from pathlib import Path

from amends.config import Settings
from amends.kernel.instants import wall_clock
from daemon import logs
from daemon.checks.everything import check_everything
from daemon.cli import say

_COLOURS = {"ok": "32", "warning": "33", "wrong": "31"}


def check(settings: Settings, config: Path, *, as_json: bool) -> int:
    """Exit status 1 if anything is wrong; warnings alone are 0."""
    end_of_log = logs.configure(level="critical")  # what its parts would log, they also tell as findings
    try:
        findings = check_everything(settings, config, now=wall_clock())
    finally:
        end_of_log()
    found_wrong = sum(1 for one in findings if one.state == "wrong")
    if as_json:
        say.document(
            {
                "ok": not found_wrong,
                "findings": [{"state": one.state, "what": one.what, "sentence": one.sentence} for one in findings],
            }
        )
        return 1 if found_wrong else 0
    for one in findings:
        state = say.coloured(one.state, _COLOURS[one.state]) + " " * (7 - len(one.state))
        say.line(f"{state}  {one.what}: {say.harmless(one.sentence)}")
    return 1 if found_wrong else 0
