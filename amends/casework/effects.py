"""What a letter does to the clocks of its case besides meeting them: more time, a pause, a promise.

The letter keeps the word for it among its facts from the start; it takes effect when the letter first leaves, and never
again however often the letter is sent, unless it came back and the effect with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col

from amends.casework.casefile import CaseFile
from amends.kernel.errors import Refused
from amends.ledger.tables import Deadline, Letter

MORE_TIME: Final = "extends"
PAUSE: Final = "pauses"
PROMISE: Final = "promises"
_BEGUN: Final = "begun"
BEFORE: Final = ("before", "before_at", "why")
"""How the deadline stood when more time was given to it; kept only as long as that holds."""


def of(letter: Letter, effect: str) -> Mapping[str, Any] | None:
    """The word for this effect that the letter keeps, or None."""
    found: Mapping[str, Any] | None = letter.facts.get(effect)
    return found


def begin(letter: Letter, effect: str) -> Mapping[str, Any] | None:
    """The same now that the letter left; None as well where the effect had begun with it already."""
    word = of(letter, effect)
    if word is None or word.get(_BEGUN):
        return None
    letter.facts = {**letter.facts, effect: {**word, _BEGUN: True}}
    return word


def has_begun(word: Mapping[str, Any]) -> bool:
    """Whether the letter left with its effect."""
    return bool(word.get(_BEGUN))


def keep(letter: Letter, effect: str, more: Mapping[str, Any]) -> None:
    """Let the letter keep this of its effect besides."""
    if (word := of(letter, effect)) is not None:
        letter.facts = {**letter.facts, effect: {**word, **more}}


def take_back(letter: Letter, effect: str) -> None:
    """The letter came back; sent again, to this address or another, it has its effect then."""
    if (word := of(letter, effect)) is not None:
        granted = {name: value for name, value in word.items() if name not in (_BEGUN, *BEFORE)}
        letter.facts = {**letter.facts, effect: granted}


def deadline_of(file: CaseFile, word: Mapping[str, Any]) -> Deadline | None:
    """The deadline that the word is about, or None where it is owed no more."""
    which = file.named(word["of"])
    return next((one for one in file.unmet() if (one.kind, one.occurrence, one.pack) == which), None)


def must_not_change_already(file: CaseFile, deadline: Deadline) -> None:
    """Raises Refused where a letter is on its way that will move this deadline, or stop its clock, when it leaves."""
    statement = select(Letter).where(
        col(Letter.case_id) == file.id,
        col(Letter.state).in_(("queued", "sending", "uncertain")),
        col(Letter.automatic).is_(False),
    )
    for letter in file.session.scalars(statement):
        words = [word for effect in (MORE_TIME, PAUSE) if (word := of(letter, effect)) is not None]
        if any(file.named(word["of"]) == (deadline.kind, deadline.occurrence, deadline.pack) for word in words):
            raise Refused(
                f"A letter that changes '{deadline.kind}' is on its way (letter {letter.id}); "
                "wait until it has left, or call it back."
            )
