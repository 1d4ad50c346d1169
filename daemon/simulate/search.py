"""How many handlers keep every date: worked out first, then played.  Pure, over the two ways to try a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from daemon.simulate.result import Played, Tried, tried

Work_out = Callable[[int], Tried]
Play = Callable[[Sequence[int]], Sequence[Played]]
"""Plays some numbers of handlers, at once if that can be."""


@dataclass(frozen=True, slots=True)
class Found:
    """`enough` is the number that keeps every date, as played, with its weeks in `played`.

    `enough` is None where no number does; then `played` is the smallest beyond which nothing gets better.  `tried` are
    the numbers that were looked at for the table, from few to many.
    """

    enough: int | None
    played: Played
    tried: tuple[Tried, ...]


def search(work_out: Work_out, play: Play, *, most: int, around: int = 4) -> Found:
    """The smallest number that keeps every date, of 1 to `most`; it and the one below it are played."""
    known: dict[int, Tried] = {}

    def worked_out(handlers: int) -> Tried:
        if handlers not in known:
            known[handlers] = work_out(handlers)
        return known[handlers]

    best = worked_out(most).late_dates
    handlers = _smallest(lambda number: worked_out(number).late_dates <= best, most)
    likely = [handlers, handlers - 1] if handlers > 1 else [handlers]
    games = {one.handlers: one for one in play(likely)}

    def played(number: int) -> Played:
        if number not in games:
            (games[number],) = play([number])
        return games[number]

    while best == 0 and played(handlers).late_dates and handlers < most:  # the packs are not all there is
        handlers += 1
    while handlers > 1 and played(handlers - 1).late_dates <= played(handlers).late_dates:
        handlers -= 1
    shown = range(max(1, handlers - around), min(handlers + 1, most) + 1)
    rows = tuple(tried(games[number]) if number in games else worked_out(number) for number in shown)
    kept = not played(handlers).late_dates
    return Found(handlers if kept else None, played(handlers), rows)


def _smallest(good: Callable[[int], bool], most: int) -> int:
    """The smallest number of 1 to `most` that is good, if more are never worse; `most` is taken to be."""
    low, high = 0, 1
    while high < most and not good(high):
        low, high = high, high * 2
    high = min(high, most)
    while high - low > 1:
        middle = (low + high) // 2
        if good(middle):
            high = middle
        else:
            low = middle
    return high
