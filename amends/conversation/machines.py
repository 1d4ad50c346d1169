"""How a machine shows that answers everything and says so nowhere: by saying the same again, or by its speed.

Pure.  A person is never judged by one sign alone: `gate` asks only about an address that had two automatic letters
within a day.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

SAME_WITHIN: Final = timedelta(hours=1)
"""Equal texts further apart than this are a person's, who writes once more."""
AT_ONCE: Final = timedelta(seconds=60)
"""Nobody reads our letter and writes another complaint in less."""
SLACK: Final = timedelta(seconds=2)  # mail servers tell whole seconds, and their clocks may be a little behind ours
TWICE: Final = 2
_ALIKE: Final = 0.9
_WORDS: Final = 2000

_WORD: Final = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Said:
    """One message of an address: when its server received it, when we had it, and what its writer added."""

    at: datetime
    had_at: datetime
    words: str

    def after(self, letter: datetime) -> bool:
        """Whether it came after a letter of ours was queued: by our clock surely, and by its server's not before."""
        return self.had_at > letter and self.at >= letter - SLACK


def alike(one: str, other: str) -> bool:
    """Whether two texts are the same but for numbers and a few words: nine tenths of their words agree.

    Numbers do not count, because a machine gives each of its answers another one.  Texts without words are alike only
    if they are equal.
    """
    if one == other:
        return True
    mine, theirs = (Counter(_WORD.findall(text.casefold())[:_WORDS]) for text in (one, other))
    longer = max(mine.total(), theirs.total())
    return longer > 0 and (mine & theirs).total() >= _ALIKE * longer


def repeats(now: Said, earlier: Sequence[Said], letters: Sequence[datetime]) -> bool:
    """Whether this message says what an earlier one of its address said within the hour, with a letter of ours between.

    `letters` are the instants at which our automatic letters to the address were queued.
    """
    return any(
        now.at - SAME_WITHIN <= before.at
        and any(now.after(letter) and not before.after(letter) for letter in letters)
        and alike(now.words, before.words)
        for before in earlier
    )


def answers_at_once(messages: Sequence[Said], letters: Sequence[datetime]) -> bool:
    """Whether a message of the address came within a minute after each of our last two automatic letters to it."""
    last = sorted(letters)[-TWICE:]
    return len(last) == TWICE and all(
        any(said.after(letter) and said.at <= letter + AT_ONCE for said in messages) for letter in last
    )
