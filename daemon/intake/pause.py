"""How long to stay away from a server after a failure."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 300.0
_FIRST: Final = 1.0
_FIRST_REFUSED: Final = 60.0  # a wrong password tried often locks the account


def pause_after(failures: int, *, refused: bool, named: float | None, spread: float) -> float:
    """Seconds before the next try after `failures` in a row (1, 2, ...): 1, 2, 4 ... 300, or from 60 if refused.

    `named` is what the server asked for.  `spread` in [0, 1) lengthens it by up to a quarter, so that daemons and
    mailboxes do not knock together.
    """
    first = _FIRST_REFUSED if refused else _FIRST
    doubled = min(first * 2.0 ** min(failures - 1, 20), LONGEST)
    return max(doubled, named or 0.0) * (1 + spread / 4)
