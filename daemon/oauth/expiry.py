"""The day on which a client secret ends is known beforehand, and so is what happens to those who forget it."""

from __future__ import annotations

from datetime import date
from typing import Final

WARN_DAYS_BEFORE: Final = (30, 7, 1)


def stage(expires: date, *, today: date) -> int | None:
    """The last warning that has fallen due: 30, 7 or 1 (days before), 0 from the day itself on; None before them."""
    left = (expires - today).days
    if left <= 0:
        return 0
    return min((days for days in WARN_DAYS_BEFORE if left <= days), default=None)


def sentence(expires: date, *, today: date) -> str:
    """What the operator must know and do."""
    left = (expires - today).days
    when = f"ends in {left} day{'s' if left != 1 else ''}, on" if left > 0 else "has ended on"
    return (
        f"The client secret {when} {expires:%Y-%m-%d}; make a new one at the provider, put it in place, "
        "and correct secret_expires."
    )
