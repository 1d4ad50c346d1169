"""What the commands print: aligned lines of plain words, for eyes, screen readers and 80 columns.

Everything a stranger wrote goes through `clean` here; colours and signs there are none.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING
from unicodedata import combining, east_asian_width

from amends.kernel.text import clean
from amends.ledger.shapes import (
    ArrivalView,
    AttachmentView,
    CaseView,
    EventView,
    LetterView,
    MessageView,
    QueueRow,
)
from tui.names import clock_name, letter_name, letter_state, sentence, why_here

if TYPE_CHECKING:
    from amends.casework.gate import BlockedAddress

INDENT = "    "


@dataclass(frozen=True, slots=True)
class Desk:
    """For whom it is printed: their zone, the business clock, and how many columns a line may have."""

    zone: tzinfo
    now: datetime
    columns: int = 80


def width(text: str) -> int:
    """The columns that `text` takes on a terminal (UAX #11: wide characters take two, combining ones none)."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, columns: int) -> str:
    """`text` in at most so many columns, with an ellipsis where something is missing."""
    if width(text) <= columns:
        return text
    kept = ""
    for c in text:
        if width(kept + c) > columns - 1:
            break
        kept += c
    return kept.rstrip() + "…"


def table(rows: Sequence[Sequence[str]], columns: int) -> Iterator[str]:
    """Rows under one another, each column as wide as its widest cell; the last takes the rest.

    The first row is the heading; a column that has no cell below its heading is left out.
    """
    used = [n for n in range(len(rows[0])) if any(row[n] for row in rows[1:])]
    cells = [[row[n] for n in used] for row in rows]
    widths = [max(width(row[n]) for row in cells) for n in range(len(used))]
    for row in cells:
        padded = [cell + " " * (size - width(cell)) for cell, size in zip(row[:-1], widths[:-1], strict=True)]
        yield cut("  ".join([*padded, *row[-1:]]).rstrip(), columns)


@lru_cache(maxsize=1024)  # a list says the same few stages and handlers again and again
def name_of(text: str) -> str:
    return clean(text, identifier=True).text


def person(name: str, address: str) -> str:
    """`Edith Kowalski <edith@example.org>`, or the address alone."""
    shown = clean(name).text.strip()
    return f"{shown} <{name_of(address)}>" if shown else name_of(address) or "(no sender)"


def moment(at: datetime, desk: Desk) -> str:
    """`Mon 23 Nov 2026 09:00`, in the desk's zone."""
    return f"{at.astimezone(desk.zone):%a %d %b %Y %H:%M}"


def due_in_words(due_at: datetime, desk: Desk) -> str:
    """How long there is: `late 3 days`, `today 17:00`, `tomorrow`, `21 Dec`, `4 Jan 2027`."""
    if due_at < desk.now:
        return f"late {_span(due_at, desk.now)}"
    due, today = due_at.astimezone(desk.zone), desk.now.astimezone(desk.zone).date()
    days = (due.date() - today).days
    if days <= 1:
        return f"today {due:%H:%M}" if days == 0 else "tomorrow"
    return f"{due.day} {due:%b}" + (f" {due:%Y}" if due.year != today.year else "")


def _span(since: datetime, until: datetime) -> str:
    minutes = int((until - since).total_seconds() // 60)
    for size, unit in ((24 * 60, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            n = minutes // size
            return f"{n} {unit}{'' if n == 1 else 's'}"
    return "just now"


def size_in_words(size: int) -> str:
    """`980 bytes`, `12 kB`, `3.4 MB`."""
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def queue(rows: Sequence[QueueRow], desk: Desk) -> Iterator[str]:
    """Two lines a case: what is due and when, where it stands and who has it; below, who complains of what."""
    if not rows:
        yield "No cases here."
        return
    cells = [("REFERENCE", "DUE", "STAGE", "NEW", "HANDLER"), *(_queue_cells(row, desk) for row in rows)]
    heading, *lines = table(cells, desk.columns)
    yield heading
    for row, line in zip(rows, lines, strict=True):
        who = clean(row.complainant_name).text.strip() or name_of(row.complainant_address) or "(no sender)"
        about = clean(row.subject).text.strip() or "(no subject)"
        yield line
        yield cut(f"{INDENT}{cut(who, 30)}: {about}", desk.columns)


def _queue_cells(row: QueueRow, desk: Desk) -> tuple[str, ...]:
    due = ""
    if row.due_at:
        clock = clean(row.label, limit=12).text if row.label else clock_name(row.deadline)
        due = f"{clock} {'= paused' if row.paused else due_in_words(row.due_at, desk)}"
    stage = f"{row.stage}, waiting" if row.waiting else row.stage
    new = "undelivered" if row.undelivered else f"{row.unread} new" if row.unread else ""
    return (name_of(row.reference), due, name_of(stage), new, name_of(row.handler or "nobody"))


def case(view: CaseView, desk: Desk, *, history: bool) -> Iterator[str]:
    """The case whole: facts, deadlines, messages, letters, notes and, where it is wanted, every event."""
    row = view.row
    yield cut(f"{name_of(row.reference)}  {clean(row.subject).text.strip() or '(no subject)'}", desk.columns)
    for label, value in _facts(view, desk):
        if value:
            yield from _wrapped(value, desk, first=f"{label + ':':<12}", rest=" " * 12)
    yield from _section("Deadlines", _deadlines(view, desk))
    yield from _section("Messages", _messages(view, desk))
    yield from _section("Letters", _letters(view, desk))
    yield from _section("Notes", _notes(view, desk))
    if history:
        yield from _section("History", (line for event in view.events for line in _event(event, desk)))


def _facts(view: CaseView, desk: Desk) -> Iterator[tuple[str, str]]:
    row = view.row
    yield "From", person(row.complainant_name, row.complainant_address)
    yield "Stage", name_of(row.stage)
    waiting = f"{name_of(row.waiting)}: {clean(view.waiting_reason or '').text}" if row.waiting else ""
    yield "Waiting", waiting
    yield "Handler", name_of(row.handler or "nobody")
    yield "Severity", name_of(row.severity or "")
    yield "Take care", "the complainant is vulnerable" if row.vulnerable else ""
    yield "At once", "needs immediate action" if view.immediate_action else ""
    yield "Undelivered", "a letter could not be delivered" if row.undelivered else ""
    yield "Received", moment(row.received_at, desk)
    yield "Answered", moment(view.responded_at, desk) if view.responded_at else ""
    yield "Closed", moment(view.closed_at, desk) if view.closed_at else ""
    yield "Outcome", name_of(view.outcome or "")
    money = f" ({name_of(view.remedy_amount)})" if view.remedy_amount else ""
    yield "Remedy", f"{clean(view.remedy).text}{money}" if view.remedy else ""
    yield "Root cause", clean(view.root_cause or "").text
    yield "Known", ", ".join(name_of(f"{one} {value}".replace("_", " ")) for one, value in sorted(view.facts.items()))
    others = [person(p.name, p.address) + ("" if p.accepted else " (not accepted)") for p in view.participants]
    yield "People", "; ".join(others) if len(others) > 1 else ""
    yield "Merged", f"into {name_of(view.merged_into)}; what answers this case is there" if view.merged_into else ""
    yield "Took up", ", ".join(map(name_of, view.merged))
    yield "Linked", ", ".join(name_of(f"{reference} ({kind})") for reference, kind in view.links)


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    first = next(lines, None)
    if first is not None:
        yield ""
        yield f"{title}:"
        yield first
        yield from lines


def _deadlines(view: CaseView, desk: Desk) -> Iterator[str]:
    for one in view.deadlines:
        met = f" {moment(one.met_at, desk)}" if one.met_at and one.state == "met" else ""
        late = f", met {moment(one.met_at, desk)}" if one.met_at and not met else ""
        days = f" for {one.paused_days} {'day' if one.paused_days == 1 else 'days'}" if one.pauses else ""
        state = f"{one.state}{days}" if one.state == "paused" else f"{one.state}{days and f', was paused{days}'}"
        said = f"{view.label_of(one)}, due {moment(one.due_at, desk)}, {state}{met}{late}. Basis: {one.basis}"
        yield from _wrapped(clean(said).text, desk, first="  ", rest=INDENT)
        if one.state != "cancelled":
            for step in one.derivation:
                yield from _wrapped(f"- {clean(step).text}", desk, first=INDENT, rest=f"{INDENT}  ")


def numbered_attachments(view: CaseView) -> list[tuple[int, MessageView, AttachmentView]]:
    """The attachments of the case, numbered from 1 in the order in which they are shown."""
    pairs = [(message, file) for message in view.messages for file in message.attachments]
    return [(n, message, file) for n, (message, file) in enumerate(pairs, 1)]


def _messages(view: CaseView, desk: Desk) -> Iterator[str]:
    files = numbered_attachments(view)
    for n, message in enumerate(view.messages, 1):
        way = "received" if message.direction == "in" else "sent"
        kind = f", {name_of(message.kind)}" if message.direction == "in" and message.kind != "person" else ""
        new = "" if message.read else ", not read yet"
        if n > 1:
            yield ""
        yield f"  Message {n}, {way} {moment(message.at, desk)}{kind}{new}"
        other = person(message.from_name, message.from_address)
        if message.direction == "out":
            other = ", ".join(map(name_of, message.to))
        yield from _wrapped(other, desk, first="  From: " if message.direction == "in" else "  To: ", rest=INDENT)
        yield from _wrapped(clean(message.subject).text, desk, first="  Subject: ", rest=INDENT)
        if because := why_here(message.match):
            yield from _wrapped(because, desk, first="  On this case because: ", rest=INDENT)
        if message.defects:
            unread = clean("; ".join(message.defects)).text
            yield from _wrapped(unread, desk, first="  Could not be read whole: ", rest=INDENT)
        yield from _text(message.new_text or message.text, desk)
        for number, holder, file in files:
            if holder.id == message.id:
                said = f"{name_of(file.name)}, {name_of(file.media_type)}, {size_in_words(file.size)}"
                yield from _wrapped(said, desk, first=f"  Attachment {number}: ", rest=INDENT)


def _text(text: str, desk: Desk) -> Iterator[str]:
    for line in clean(text, multiline=True).text.strip("\n").split("\n"):
        yield from _wrapped(line.rstrip(), desk, first=INDENT, rest=INDENT) if line.strip() else iter([""])


def _wrapped(text: str, desk: Desk, *, first: str, rest: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        desk.columns,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    ) or [first.rstrip()]


def _letters(view: CaseView, desk: Desk) -> Iterator[str]:
    for one in view.letters:
        if not one.staff:
            yield from _letter(one, desk)


def _letter_head(one: LetterView) -> str:
    """`Letter 7, acknowledgement`; an answer that a handler wrote is just a letter."""
    return f"Letter {one.id}" if one.kind == "reply" else f"Letter {one.id}, {letter_name(one.kind).lower()}"


def _letter(one: LetterView, desk: Desk) -> Iterator[str]:
    said = f"{_letter_head(one)}, {letter_state(one.state)}, to {name_of(one.to_address)}: "
    said += clean(one.subject).text
    when = one.sent_at or one.queued_at
    said += f" ({moment(when, desk)})" if when else ""
    yield from _wrapped(said, desk, first="  ", rest=INDENT)
    if one.error:
        yield from _wrapped(clean(one.error).text, desk, first=f"{INDENT}Trouble: ", rest=INDENT)


def _notes(view: CaseView, desk: Desk) -> Iterator[str]:
    for note in view.notes:
        yield f"  {moment(note.at, desk)}, {name_of(note.author)}"
        yield from _text(note.text, desk)


def _event(event: EventView, desk: Desk) -> Iterator[str]:
    said = f"{event.seq}. {moment(event.at, desk)}, {name_of(event.actor)}: {sentence(event.kind, event.data)}"
    yield from _wrapped(said, desk, first="  ", rest=INDENT)


def outbox(letters: Sequence[LetterView], desk: Desk) -> Iterator[str]:
    """One line a letter that is not sent, the newest first; what went wrong stands below it."""
    if not letters:
        yield "Every letter has been sent."
        return
    for one in letters:
        about = f" on {name_of(one.reference)}" if one.reference else ""
        leaves = f", leaves {moment(one.next_try_at, desk)}" if one.state == "queued" and one.next_try_at else ""
        said = f"{_letter_head(one)}{about}, {letter_state(one.state)}, to {name_of(one.to_address)}{leaves}"
        yield from _wrapped(said, desk, first="", rest=INDENT)
        if one.error:
            yield from _wrapped(clean(one.error).text, desk, first=f"{INDENT}Trouble: ", rest=INDENT)


def tray(arrivals: Sequence[ArrivalView], desk: Desk, *, name: str) -> Iterator[str]:
    """Each message that waits for a word: from whom, of what, why it waits, and the cases it may belong to."""
    if not arrivals:
        yield f"Nothing is {name}."
        return
    for one in arrivals:
        said = f"Message {one.id}, {moment(one.received_at, desk)}, from {name_of(one.sender) or '(no sender)'}"
        yield from _wrapped(said, desk, first="", rest=INDENT)
        yield from _wrapped(clean(one.subject).text.strip() or "(no subject)", desk, first=INDENT, rest=INDENT)
        yield from _wrapped(clean(one.reason).text, desk, first=f"{INDENT}Why: ", rest=INDENT)
        cases = ", ".join(name_of(str(candidate.get("case", ""))) for candidate in one.candidates)
        if cases:
            yield from _wrapped(cases, desk, first=f"{INDENT}Perhaps: ", rest=INDENT)
        for candidate in one.candidates:
            if candidate.get("proposals"):
                case = name_of(str(candidate.get("case", "")))
                yield f"{INDENT}amends held review {one.id} {case}    takes the old case up again"
                yield f"{INDENT}amends held file {one.id} --as complaint --linked {case}    is another matter"


def blocked(addresses: Sequence[BlockedAddress], desk: Desk) -> Iterator[str]:
    """Each address that gets no automatic letters: since when, until when, and why."""
    if not addresses:
        yield "Every address may have automatic letters."
        return
    for one in addresses:
        until = f", until {moment(one.until, desk)}" if one.until else ""
        said = f"{name_of(one.address)}, since {moment(one.since, desk)}{until}, on {name_of(one.reference)}: "
        yield from _wrapped(said + clean(one.because).text, desk, first="", rest=INDENT)
