"""What a supervisor reads: the answer in a sentence, the table of handlers, the weeks, and the plot.  Pure.

Everything is plain text of at most `width` columns; with `fancy` the bars are blocks, else ASCII.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from amends.deadlines.words import a_day
from amends.kernel.text import clean
from daemon.simulate.result import Played, Spell, Tried

Paint = Callable[[str, str], str]
"""A text in a colour (an SGR number), or as it is."""
NARROW: Final = 60
_RED: Final = "31"
_BAR: Final = 24


@dataclass(frozen=True, slots=True)
class Look:
    width: int
    fancy: bool
    paint: Paint

    @property
    def blocks(self) -> tuple[str, str, str]:
        """An answer that is due, another date, and one that is missed."""
        return ("█", "░", "×") if self.fancy else ("#", ".", "x")


TIGHT: Final = 0.85
"""From this share of the hours on a plan has no room for what it leaves out."""


def a_number(count: int, thing: str) -> str:
    """`1 handler`, `5 handlers`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def sentence(enough: int | None, rows: Sequence[Tried], complaints: int) -> str:
    """The answer: how many keep every date, and what happens with one less; or what one number misses."""
    played = [row for row in rows if row.verbs]
    if enough is None:
        best = min(played, key=lambda row: (row.late_dates, row.handlers))
        return f"No number of handlers keeps every date: with {best.handlers} as with more, {_late(best, complaints)}."
    first = f"{a_number(enough, 'handler')} {'keeps' if enough == 1 else 'keep'} every date"
    fewer = next((row for row in played if row.handlers == enough - 1), None)
    return f"{first}; with {fewer.handlers}, {_late(fewer, complaints)}." if fewer is not None else f"{first}."


def verdict(row: Tried, complaints: int) -> str:
    """The answer where the number of handlers was given."""
    team = a_number(row.handlers, "handler")
    if not row.late_dates:
        return f"{team} {'keeps' if row.handlers == 1 else 'keep'} every date."
    return f"With {team}, {_late(row, complaints)}."


def _late(row: Tried, complaints: int) -> str:
    others = row.late_dates - row.late_answers
    first = f", the first on {_the_day(row.first_late)}" if row.first_late is not None else ""
    if not row.late_answers:
        return f"{a_number(others, 'date')} {'is' if others == 1 else 'are'} missed, none of them an answer's{first}"
    verb = "is" if row.late_answers == 1 else "are"
    more = f" and {a_number(others, 'other date')} missed" if others > 0 else ""
    return f"{row.late_answers:,} of {a_number(complaints, 'answer')} {verb} late{more}{first}"


def _the_day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def grows(row: Tried) -> str | None:
    """A warning where more comes in than so many can do, however the dates are kept for now, or hardly less."""
    if row.busy <= TIGHT:
        return None
    if row.busy <= 1.0:
        return (
            f"{row.busy:.0%} of the hours of {a_number(row.handlers, 'handler')} are taken, which leaves little room "
            "for leave, illness and those who write again; plan for more."
        )
    enough = math.ceil(row.busy * row.handlers)
    return (
        f"More comes in than {a_number(row.handlers, 'handler')} can do ({row.busy:.0%}), so that the pile grows as "
        f"long as it goes on like this; {enough} keep up with it."
    )


def handlers_table(rows: Sequence[Tried], look: Look) -> list[str]:
    """How many handlers keep it: a line for each number, with a bar of what is late."""
    head = ["HANDLERS", "LATE ANSWERS", "DATES MISSED", "FIRST", "BUSY", ""]
    cells = [
        [
            str(row.handlers),
            f"{row.late_answers:,}",
            f"{row.late_dates:,}",
            a_day(row.first_late) if row.first_late is not None else "-",
            f"{row.busy:.0%}",
            "played" if row.verbs else "estimate",
        ]
        for row in rows
    ]
    lines = columns([head, *cells], left=(3, 5))
    room = min(look.width - max(map(len, lines)) - 2, _BAR)
    most = max((row.late_dates for row in rows), default=0)
    if room < 4 or not most:
        return lines
    width = max(map(len, lines))
    bars = [_scaled(row.late_dates, most, room) * look.blocks[2] for row in rows]
    drawn = [look.paint(bar, _RED) if bar else "" for bar in bars]
    return [lines[0], *(f"{line:<{width}}  {bar}".rstrip() for line, bar in zip(lines[1:], drawn, strict=True))]


def weeks_table(spells: Sequence[Spell], played: Played, look: Look, *, days: int) -> list[str]:
    """A line for each week or day: what came, what falls due by kind, what was done, and what is left."""
    labels = {(one.pack, one.deadline): clean(one.label).text for one in played.dates}
    answers = {(one.pack, one.deadline) for one in played.dates if one.answer}
    by_weight = sorted(labels, key=lambda kind: kind not in answers)
    for number in range(len(by_weight), -1, -1):
        kept = by_weight[:number]
        kinds = {kind: label for kind, label in labels.items() if kind in kept}
        lines = _lines(spells, kinds, days, rest=len(kinds) < len(labels))
        if max(map(len, lines)) <= look.width:
            break
    several = len({pack for pack, _ in kinds}) > 1
    named = [f"{label} is {kind}{f' of {pack}' if several else ''}" for (pack, kind), label in kinds.items()]
    others = ["OTHER are the others"] if 0 < len(kinds) < len(labels) else []
    return [*(line[: look.width] for line in lines), *_filled("What falls due: ", [*named, *others], look.width)]


def _lines(spells: Sequence[Spell], kinds: Mapping[tuple[str, str], str], days: int, *, rest: bool) -> list[str]:
    others = ["OTHER"] if rest else []
    busiest = ["BUSIEST"] if days == 7 else []
    first = "WEEK OF" if days == 7 else "DAY"
    rows = [[first, "CAME", *kinds.values(), *others, "ANSWERED", "LATE", "OPEN", "LETTERS", *busiest]]
    for spell in spells:
        due = [spell.due[kind] for kind in kinds]
        left_over = [spell.dates - sum(due)] if rest else []
        counts = [spell.came, *due, *left_over, spell.answered, spell.late, spell.open_at_end, spell.letters]
        last = [_busiest(spell)] if days == 7 else []
        rows.append([_label(spell), *(f"{count:,}" if count else "-" for count in counts), *last])
    return columns(rows, left=(0,))


def _label(spell: Spell) -> str:
    return f"{spell.first:%a} {spell.first.day:>2} {spell.first:%b}"


def _busiest(spell: Spell) -> str:
    if spell.busiest is None:
        return "-"
    day, count = spell.busiest
    return f"{day:%a} {day.day}: {count:,}"


def plot(spells: Sequence[Spell], look: Look, *, days: int) -> list[str]:
    """What falls due when: a bar for each week or day, answers first, then other dates, then what is missed."""
    most = max((spell.dates for spell in spells), default=0)
    if not most:
        return []
    answer, other, late = look.blocks
    title = f"Due each {'week' if days == 7 else 'day'}   {answer} answers   {other} other dates   {late} missed"
    labels = [_label(spell) for spell in spells]
    numbers = [f"{spell.dates:,}" for spell in spells]
    room = max(look.width - max(map(len, labels)) - max(map(len, numbers)) - 4, 10)
    lines = [title]
    for spell, label, number in zip(spells, labels, numbers, strict=True):
        whole = _scaled(spell.dates, most, room)
        missed = min(_scaled(spell.late, most, room), whole)
        answers = min(_scaled(spell.answers_due, most, room), whole - missed)
        bar = (
            answer * answers + other * (whole - missed - answers) + (look.paint(late * missed, _RED) if missed else "")
        )
        lines.append(f"{label}  {bar}{' ' * (room - whole)}  {number:>{max(map(len, numbers))}}".rstrip())
    return lines


def _scaled(count: int, most: int, room: int) -> int:
    """So many characters of `room`; what is there at all is seen."""
    return max(round(count * room / most), 1) if count else 0


def columns(rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)) -> list[str]:
    """Rows in columns: numbers to the right, those in `left` to the left."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if n in left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _filled(first: str, parts: Sequence[str], width: int) -> list[str]:
    return textwrap.wrap(first + ", ".join(parts) + ".", width) if parts else []
