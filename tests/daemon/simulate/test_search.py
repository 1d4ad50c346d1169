"""How many handlers are tried, and which of them are played."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.simulate.result import Complaint, Kept, Played, Tried
from daemon.simulate.search import search

_DAY = date(2027, 3, 3)


def _played(handlers: int, late: int) -> Played:
    dates = tuple(Kept("pack", "response", "FINAL", _DAY, True, True) for _ in range(late))
    return Played(handlers, (Complaint(_DAY, None, None, bool(late)),), dates, (), (), 0.5)


def _tried(handlers: int, late: int) -> Tried:
    return Tried(handlers, late, late, _DAY if late else None, 0.5, verbs=False)


@pytest.mark.parametrize(("enough", "most"), [(1, 1), (1, 9), (5, 9), (9, 9), (64, 500), (65, 500)])
def test_the_number_that_is_enough_and_the_one_below_it_are_played_and_no_other(enough: int, most: int) -> None:
    games: list[int] = []

    def play(numbers: Sequence[int]) -> list[Played]:
        games.extend(numbers)
        return [_played(handlers, max(enough - handlers, 0)) for handlers in numbers]

    found = search(lambda n: _tried(n, max(enough - n, 0)), play, most=most)
    assert found.enough == found.played.handlers == enough
    assert sorted(games) == sorted({enough, max(enough - 1, 1)})
    assert [row.handlers for row in found.tried if row.verbs] == sorted(games)


@given(st.integers(1, 30), st.integers(-3, 3))
def test_what_was_played_decides_where_the_estimate_is_wrong(enough: int, wrong: int) -> None:
    guess = max(enough + wrong, 1)
    found = search(
        lambda n: _tried(n, max(guess - n, 0)),
        lambda some: [_played(n, max(enough - n, 0)) for n in some],
        most=max(guess, enough),
    )
    assert found.enough == enough


def test_where_no_number_keeps_every_date_the_smallest_that_does_as_well_as_any_is_told() -> None:
    found = search(lambda n: _tried(n, max(7 - n, 3)), lambda some: [_played(n, max(7 - n, 3)) for n in some], most=100)
    assert found.enough is None
    assert found.played.handlers == 4
