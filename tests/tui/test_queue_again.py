"""What became of a long list since it was shown, without looking at all of it."""

from __future__ import annotations

import random
from array import array

import pytest

from tui.screens.queue import _but_for_ends

MANY = array("q", range(5_000))


def without(*places):
    return array("q", (key for place, key in enumerate(MANY) if place not in places))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (MANY, MANY),
        (MANY, array("q")),
        ((), MANY),
        (MANY, without(0)),
        (MANY, without(4_999)),
        (without(2_600), MANY),
        (without(3, 1_024), without(1_023)),
        (MANY, array("q", [*MANY[1:], 9_999])),
        (MANY, array("q", random.Random(5).sample(MANY, 4_990))),
    ],
)
def test_what_came_and_what_went_is_between_the_ends_that_are_alike(before, now):
    came, went = map(set, _but_for_ends(now, before))
    assert came - went == set(now) - set(before)
    assert went - came == set(before) - set(now)


def test_a_list_that_is_as_it_was_costs_nothing_and_one_change_little():
    assert [*map(len, _but_for_ends(MANY, array("q", MANY)))] == [0, 0]
    assert max(map(len, _but_for_ends(without(2_600), MANY))) < 1_500
