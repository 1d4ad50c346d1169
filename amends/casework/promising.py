"""Promises: a day that a handler's letter names becomes a clock when the letter has left.

It rests on no rule but on our word: it runs to the end of that day in the organisation's zone, the handler is warned
a working day before, and it is missed like any other.  The next letter of a handler that says something keeps it (a
reply, a progress update, a final response, but none that promises again or asks for more time), or a handler says that
it was kept by another way.  A letter that promises anew lets the earlier ones run, or stands `instead` of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from amends.casework import effects
from amends.casework.casefile import CaseFile
from amends.casework.plans import last_occurrence, rows_of
from amends.deadlines.clocks import PlannedTick, TickKind
from amends.deadlines.compute import before
from amends.deadlines.model import Span
from amends.deadlines.words import a_day
from amends.kernel.errors import Refused
from amends.kernel.text import one_line
from amends.ledger.seals import words_seal
from amends.ledger.tables import PROMISED, Deadline, Letter
from amends.letters.kinds import LetterKind

if TYPE_CHECKING:  # Babel is wanted only where there is a promise
    from babel import Locale

KIND: Final = "promise"
LABEL: Final = "PROM"
KEEPING: Final = (LetterKind.REPLY, LetterKind.PROGRESS_UPDATE, LetterKind.FINAL_RESPONSE)
"""The letters of handlers that keep what was promised before them."""
_WARNING: Final = Span(amount=1, unit="working_days")
_MOST_WORDS: Final = 200
FURTHEST: Final = timedelta(days=3 * 366)
"""A day further ahead is a slip of the finger."""


@dataclass(frozen=True, slots=True)
class Promise:
    """The last day of a promise, and what is promised ("" for another word of ours).

    `instead`: it takes the place of every promise that runs when the letter leaves; else they all run on.
    """

    day: date
    what: str = ""
    instead: bool = False

    def as_facts(self) -> dict[str, Any]:
        """What the letter keeps of it."""
        return {"day": self.day.isoformat(), "what": one_line(self.what, _MOST_WORDS), "instead": self.instead}


def promise_of(letter: Letter) -> Promise | None:
    """What a letter promises, or None."""
    word = effects.of(letter, effects.PROMISE)
    return None if word is None else Promise(date.fromisoformat(word["day"]), word["what"], word["instead"])


def must_be_possible(promise: Promise, *, today: date) -> None:
    """Raises Refused for a day that has passed, or is too far away to be meant."""
    if promise.day < today:
        raise Refused(f"{a_day(promise.day)} has passed; promise a day that is yet to come.")
    if promise.day - today > FURTHEST:
        raise Refused(f"{a_day(promise.day)} is years away; check the year.")


# The day in the words of a letter


def names_day(text: str, day: date, *, language: str, region: str = "") -> bool:
    """Whether a text names this day: `24 November`, `November 24, 2026`, `24. November`, `24/11/2026`, `2026-11-24`.

    Months are read in the language and in English; without a year the day is meant, with one it must be this.
    """
    plain = " ".join(text.casefold().split())
    if (full := _in_full(day, language)) and full in plain:
        return True
    return any(re.search(form, plain) is not None for form in _forms(day, language, region))


def _in_full(day: date, language: str) -> str:
    from babel.dates import format_date

    locale = _locale(language)
    return format_date(day, format="long", locale=locale).casefold() if locale is not None else ""


def _forms(day: date, language: str, region: str) -> Iterator[str]:
    number, year = rf"0?{day.day}", rf"(?:{day.year}|{day.year % 100:02})"
    month = f"(?:{'|'.join(map(re.escape, _names_of(day.month, language)))})"
    this_year = rf"(?:,?\s+(?:de\s+)?{day.year}\b|(?!,?\s+(?:de\s+)?\d{{4}}))"
    yield rf"(?<!\d){number}(?:st|nd|rd|th|er|º|\.)?\s+(?:of\s+|de\s+|d['’])?{month}\b\.?{this_year}"
    yield rf"\b{month}\.?\s+{number}(?:st|nd|rd|th)?(?!\d){this_year}"
    yield rf"(?<!\d){day.isoformat()}(?!\d)"
    if region.partition("-")[0].upper() == "US":
        yield rf"(?<!\d)0?{day.month}/{number}/{year}(?!\d)"
    else:
        yield rf"(?<!\d){number}([./-])0?{day.month}\1{year}(?!\d)"


@cache
def _names_of(month: int, language: str) -> tuple[str, ...]:
    """What the month is called, in full and short, the longest first."""
    from babel.dates import get_month_names

    locales = [locale for one in ("en", language) if (locale := _locale(one)) is not None]
    names = {
        get_month_names(width, context, locale)[month].casefold().rstrip(".")
        for locale in locales
        for width in ("wide", "abbreviated")
        for context in ("format", "stand-alone")
    }
    return tuple(sorted((name for name in names if not name.isdigit()), key=len, reverse=True))


@cache
def _locale(language: str) -> Locale | None:
    from babel import Locale
    from babel.core import UnknownLocaleError

    try:
        return Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        return None


# Its clock


def running(file: CaseFile) -> list[Deadline]:
    """The promises of a case that are not kept yet, the earliest first."""
    return [deadline for deadline in file.unmet() if deadline.pack == PROMISED]


def letter_left(file: CaseFile, letter: Letter, *, at: datetime) -> None:
    """A letter of ours left at `at`: it keeps what was promised before it was written, and what it promises begins."""
    if letter.automatic or letter.staff:
        return
    promise = promise_of(letter)
    kind = LetterKind(letter.kind)
    if kind is LetterKind.FINAL_RESPONSE or (kind in KEEPING and promise is None):
        for deadline in running(file):
            if letter.queued_at is None or deadline.starts_at <= letter.queued_at:
                file.meet_one(deadline, at=at)
    if promise is None or effects.begin(letter, effects.PROMISE) is None:
        return
    if file.row.is_open:
        _begin(file, promise, letter, at=at)
    else:  # it was closed, or merged, before anybody knew that the letter had left
        file.record("promise-lapsed", letter=letter.id, to=promise.day.isoformat(), because="the case was closed")


def _begin(file: CaseFile, promise: Promise, letter: Letter, *, at: datetime) -> None:
    from babel.dates import format_date

    calendar = file.office.calendar
    day = format_date(calendar.day_of(at), "d MMMM y", locale="en")
    if promise.instead:
        for deadline in running(file):
            if at > deadline.due_at:  # a promise that was broken stays so, also if nobody had seen it yet
                file.breach(deadline)
        because = f"replaced by our promise of {day}"
        file.cancel_deadlines(because=because, only=lambda one: one.pack == PROMISED, at=at)
    due_at = calendar.end_of(promise.day)
    planned = [
        PlannedTick(before(due_at, _WARNING, calendar), TickKind.WARN, f"{_WARNING.amount} {_WARNING.unit}", "handler"),
        PlannedTick(due_at + timedelta(seconds=1), TickKind.BREACH, "", "supervisor"),
    ]
    ticks = [tick for tick in planned if tick.at > at]
    occurrence = last_occurrence(file.session, file.id, PROMISED, KIND) + 1
    what = f": {promise.what}" if promise.what else ""
    file.start_deadlines(
        [
            {
                "pack": PROMISED,
                "pack_version": "",
                "stage": "",
                "kind": KIND,
                "label": LABEL,
                "occurrence": occurrence,
                "basis": f"our promise of {day}",
                "starts_at": at,
                "due_at": due_at,
                "due_date": promise.day.isoformat(),
                "derivation": [
                    f"promised in our letter of {a_day(calendar.day_of(at))}{what}",
                    f"due by the end of {a_day(promise.day)} ({calendar.zone.key})",
                ],
                "met_by": [],
                "state": "open",
                "ticks": rows_of(ticks),
                "tick_no": 0,
                "tick_at": ticks[0].at if ticks else None,
            }
        ]
    )
    file.record(
        "promised",
        deadline=KIND,
        occurrence=occurrence,
        **file.pack_in_event(PROMISED),
        letter=letter.id,
        to=promise.day.isoformat(),
        digest=words_seal(file.row, promise.what),
    )


def keep(file: CaseFile, *, occurrence: int | None, at: datetime) -> Deadline:
    """A handler's word that a promise was kept by another way than a letter: the earliest, or the one of this number.

    Raises Refused where none runs.
    """
    for deadline in running(file):
        if occurrence in (None, deadline.occurrence):
            if at < deadline.starts_at:
                raise Refused("It had not been promised then; check the day.")
            file.meet_one(deadline, at=at)
            return deadline
    numbers = ", ".join(str(one.occurrence) for one in running(file)) or "none"
    raise Refused(f"No such promise of {file.row.reference} is yet to be kept; there is {numbers}.")
