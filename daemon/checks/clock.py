"""This machine's clock: does anybody keep it?"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

from daemon.checks.finding import Finding, ok, warning

_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)


def check() -> Iterator[Finding]:
    kept = kept_by_ntp()
    if kept is None:
        return
    if kept:
        yield ok("clock", "The kernel says that it is synchronised.")
    else:
        yield warning(
            "clock", "Nobody keeps this machine's clock; run an NTP client (systemd-timesyncd), deadlines depend on it."
        )


def kept_by_ntp() -> bool | None:
    """Whether the kernel believes its clock is synchronised; None where it does not say."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    answer = adjtimex(ctypes.create_string_buffer(512))  # a struct timex of zeros asks and changes nothing
    return None if answer < 0 else answer != _UNSYNCHRONISED or Path("/run/systemd/timesync/synchronized").exists()
