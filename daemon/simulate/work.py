"""What a policy pack asks of a handler's time, deadline by deadline.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from amends.deadlines.calendar import WorkingCalendar
from amends.deadlines.model import Pack, RequiredLetter, Rule


class Work(StrEnum):
    """What a handler does: the answer, a shorter letter, or a record that something was done."""

    ANSWER = "answer"
    LETTER = "letter"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class Meant:
    """What meets a deadline by hand: `name` is the letter or event of the pack.

    `at_once`: before the case is looked into (an acknowledgement, a record); others when their day is near.
    """

    work: Work
    pack: str
    name: str = ""
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Effort:
    """The working time that one answer, and one shorter letter or record, takes."""

    answer: timedelta
    letter: timedelta

    def of(self, work: Work) -> timedelta:
        return self.answer if work is Work.ANSWER else self.letter


_MOMENTS: Final = ("investigation-completed", "responded", "closed")  # what an answer brings about
_SHORT: Final = ("acknowledgement", "holding", "progress-update", "reply")


def meant_by(pack: Pack, rule: Rule) -> Meant | None:
    """What a handler does for a deadline; None where a letter leaves by itself, or where it is an option."""
    letters = [letter for letter in pack.letter if letter.id in rule.met_by]
    if goes_by_itself(rule, letters):
        return None
    by_kind = {letter.kind: letter for letter in reversed(letters) if letter.form == "letter"}
    if (first := by_kind.get("acknowledgement")) is not None:
        return Meant(Work.LETTER, pack.id, first.id, at_once=True)
    if "final-response" in by_kind or any(event.moment in _MOMENTS for event in pack.event if event.id in rule.met_by):
        return Meant(Work.ANSWER, pack.id)
    if is_option(pack, rule):
        return None
    short = next((by_kind[kind] for kind in _SHORT if kind in by_kind), None)
    if short is not None:
        return Meant(Work.LETTER, pack.id, short.id, at_once=short.kind == "reply")
    named = next(iter(rule.met_by), None)
    return Meant(Work.RECORD, pack.id, named, at_once=True) if named is not None else None


def goes_by_itself(rule: Rule, letters: Iterable[RequiredLetter]) -> bool:
    """Whether the daemon's own letter keeps the date: the acknowledgement, or one that the clock writes."""
    return bool(rule.letter) or (rule.automatic_counts and any(one.kind == "acknowledgement" for one in letters))


def is_option(pack: Pack, rule: Rule) -> bool:
    """Whether nobody owes it: a shorter way that the rules offer, such as to settle within three days by a word."""
    telling = ("acknowledgement", "holding", "progress-update", "final-response")
    kinds = {letter.kind for letter in pack.letter if letter.id in rule.met_by}
    return not rule.mandatory and kinds.isdisjoint(telling)


def ready_at(meant: Meant, due_date: date, starts_at: datetime, calendar: WorkingCalendar) -> datetime:
    """From when on it is worth doing: a letter that only bridges the time, on the working day before its last."""
    if meant.at_once or meant.work is Work.ANSWER:
        return starts_at
    day = calendar.this_or_previous_working_day(due_date)
    before = calendar.this_or_previous_working_day(day - timedelta(days=1))
    return max(starts_at, calendar.opening_of(before))
