"""The words of a simulation's answer."""

from __future__ import annotations

import pytest

from daemon.simulate.result import Tried
from daemon.simulate.show import grows


@pytest.mark.parametrize(
    ("busy", "words"),
    [
        (0.6, None),
        (0.97, "97% of the hours of 2 handlers are taken, which leaves little room for leave"),
        (1.5, "More comes in than 2 handlers can do (150%)"),
    ],
)
def test_a_team_that_has_no_hours_left_is_told_however_the_dates_are_kept(busy: float, words: str | None) -> None:
    told = grows(Tried(2, 0, 0, None, busy, verbs=True))
    assert told is None if words is None else told is not None and told.startswith(words)
