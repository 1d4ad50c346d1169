"""The four fixed lines, budgeted for 80 columns.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rich.cells import cell_len

from amends.ledger.shapes import Counts, Tally
from tui import keys, signs
from tui.health import Health
from tui.registry import MAIN
from tui.widgets.bar import Part
from tui.words import cut, name, plural

SMALLEST: Final = (60, 15)
WIDE: Final = 120
"""From so many columns on there is a pane beside the list or the thread."""


@dataclass(frozen=True, slots=True)
class Top:
    """What the first line knows."""

    place: str
    health: Health
    tally: Tally
    now: datetime
    zone: ZoneInfo
    login: str
    person: str
    demonstration: bool = False
    typing: bool = False
    """Digits go into a text: they are not shown as keys, and the names can still be clicked."""


def top_line(top: Top, width: int) -> tuple[list[Part], list[Part]]:
    """Screens on the left; health, clock and who on the right.  Health is never cut: names shrink, the clock goes."""
    health = Part(f" {top.health.words}", "bar" if top.health.role == "bar" else top.health.role, "app.go('status')")
    clock = Part(f" {top.now.astimezone(top.zone):%H:%M}", "bar")
    who = Part(f" {name(top.person or top.login) if width >= 120 else name(top.login, limit=8)} ", "bar")
    demo = [Part(" DEMO", "bar-on")] if top.demonstration else []
    for gap, titles, right in (
        ("  ", "long", [*demo, health, clock, who]),
        (" ", "short", [*demo, health, clock, who]),
        (" ", "short", [health, clock, who]),
        (" ", "tiny", [health, clock, who]),
        (" ", "tiny", [health, who]),
    ):
        left = _tabs(top, titles, gap)
        if sum(cell_len(part.words) for part in (*left, *right)) <= width - 1:
            break
    return left, right


def _tabs(top: Top, titles: str, gap: str) -> list[Part]:
    parts: list[Part] = []
    for entry in MAIN:
        title = {"long": f" {entry.title}", "short": entry.title, "tiny": entry.title[0]}[titles]
        on = entry.name == top.place
        parts.append(Part(" " if not parts else gap, "bar"))
        number = "" if top.typing else entry.key
        words = f"{number}{title}" if number else title.strip()
        parts.append(Part(words, "bar-on" if on else "bar", f"app.go('{entry.name}')"))
        waiting, sign = _number(entry.name, top.tally)
        if waiting:
            parts.append(Part(f"{sign}{waiting}", "late" if sign == "!" else "bar-on", f"app.go('{entry.name}')"))
    return parts


def _number(place: str, tally: Tally) -> tuple[int, str]:
    if place == "outbox":
        stuck = tally.failed + tally.uncertain
        return (stuck, "!") if stuck else (tally.queued, "·")
    if place == "tray":
        return tally.held + tally.quarantined, "·"
    return 0, ""


def queue_title(
    title: str, counts: Counts | None, *, marked: int, new: int, width: int, hint: str = ""
) -> tuple[list[Part], list[Part]]:
    """Which view, its numbers, what is marked, what is new."""
    wide = width >= 100
    left = [Part(f" {title}", "strong", "views"), Part(" ▾ " if not wide else " ▾  ", "muted", "views")]
    if counts is not None:
        left.append(Part(plural(counts.total, "case") if wide else f"{counts.total:,}", "strong"))
        if counts.late:
            left += [Part("   " if wide else "  "), Part("!!", "late-sign"), Part(f" {counts.late} late", "late")]
        if counts.today:
            left.append(Part(f"{'   ' if wide else '  '}! {counts.today} today", "today"))
        if counts.soon:
            left.append(
                Part(f"{'   ' if wide else '  '}▲ {counts.soon} {'within 3 working days' if wide else 'soon'}", "soon")
            )
    if hint:
        left.append(Part(f"   {hint}", "muted"))
    right = []
    if marked:
        right.append(Part(f"  {marked} marked ", "accent"))
    if new:
        words = f"  {plural(new, 'new case')}: press . " if wide else f"  {new} new: . "
        right.append(Part(words, "accent", "fresh"))
    return left, right


def keys_line(place: str, width: int, *, may_write: bool, typing: bool = False) -> list[Part]:
    """The line of keys, each of which can be clicked; while somebody types, those that are no text."""
    parts: list[Part] = [Part(" ")]
    for key in keys.footer(place, width - 2, may_write=may_write, typing=typing):
        parts += [Part(key.shown, "strong", key.action), Part(f"={key.short} ", "muted", key.action)]
    return parts


@dataclass(frozen=True, slots=True)
class Held:
    """A letter that waits to leave: to whom, and when (business time)."""

    to: str
    leaves_at: datetime
    more: int = 0


def held_words(held: Held, now: datetime, *, speed: float, sending: bool) -> str:
    """`Letter to A. Rossi leaves in 0:47 - press u to undo`."""
    to = cut(name(held.to), 24)
    more = f" (and {held.more} more)" if held.more else ""
    if not sending:
        return f"Letter to {to}{more} waits for the mail service - press u to undo"
    left = (held.leaves_at - now) / speed
    if left < timedelta(seconds=1):
        return f"Letter to {to}{more} is leaving"
    return f"Letter to {to}{more} leaves in {signs.countdown(left)} - press u to undo"


def too_small(width: int, height: int) -> str:
    """The one sentence for a window in which nothing can be read."""
    return f"Window too small: {width}x{height}. Make it {SMALLEST[0]}x{SMALLEST[1]}, or use: amends queue"
