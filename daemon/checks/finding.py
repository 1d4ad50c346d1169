"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was looked at; `sentence` says how it is and, unless it is ok, what to do."""

    state: State
    what: str
    sentence: str


def ok(what: str, sentence: str) -> Finding:
    return Finding("ok", what, sentence)


def warning(what: str, sentence: str) -> Finding:
    return Finding("warning", what, sentence)


def wrong(what: str, sentence: str) -> Finding:
    return Finding("wrong", what, sentence)
