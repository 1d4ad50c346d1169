"""The one word that a mail may ask by.  Nothing else that somebody writes is ever a command."""

from __future__ import annotations

from typing import Final

_WORD: Final = "status"


def asks_for_status(new_text: str) -> bool:
    """Whether what its writer added begins with the word STATUS alone on its line, in capitals or not."""
    return _lines(new_text)[:1] == [_WORD]


def says_only_that(new_text: str) -> bool:
    """Whether there is nothing else in it, so that it answers no question of ours."""
    return _lines(new_text) == [_WORD]


def _lines(text: str) -> list[str]:
    return [line for one in text[:10_000].split("\n") if (line := one.strip().casefold())]
