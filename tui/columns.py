"""A case as one line of a list, for every width.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from amends.cases.stages import Stage
from amends.ledger.shapes import QueueRow
from tui.names import clock_name
from tui.packs import CELLS, pack_tag
from tui.signs import SIGNS, Bounds, Heat, day, due_words, heat
from tui.words import Line, Span, fit, name, prose


@dataclass(frozen=True, slots=True)
class Layout:
    """Cells a column takes; 0 leaves it out."""

    due: int
    clock: int
    reference: int
    complainant: int
    subject: int
    handler: int
    rules: int = 0

    @classmethod
    def of(cls, width: int, *, rules: bool = False) -> Layout:
        """What fits into `width` cells after the cursor: handler, then clock go first when it gets narrow.

        `rules`: several packs apply, and whose each clock is has a column of its own, while there is one of clocks.
        """
        reference, complainant = (17, 20) if width >= 100 else (9, 16)
        handler, clock = (7, 6) if width >= 74 else (0, 6)
        if width < 66:
            clock, complainant = 0, 13
        whose = CELLS if rules and clock else 0
        taken = (
            3
            + 3
            + 9
            + (clock + 1 if clock else 0)
            + (whose + 1 if whose else 0)
            + reference
            + 1
            + 3
            + complainant
            + 1
            + (handler + 1 if handler else 0)
        )
        return cls(8, clock, reference, complainant, max(6, width - taken), handler, whose)


def short_reference(reference: str) -> str:
    """The part of a reference that people say: `000042-17` of `NW-2026-000042-17`."""
    return "-".join(reference.split("-")[-2:])


def head(layout: Layout) -> Line:
    """The line over the list."""
    words = f"      {fit('Due', layout.due)} "
    if layout.clock:
        words += fit("Clock", layout.clock) + " "
    if layout.rules:
        words += fit("Rules", layout.rules) + " "
    words += f"{fit('Reference' if layout.reference > 9 else 'Ref', layout.reference)}    "
    words += f"{fit('Complainant', layout.complainant)} {fit('Subject', layout.subject)}"
    if layout.handler:
        words += " " + fit("By", layout.handler)
    return ((words, "muted"),)


def row_spans(
    row: QueueRow,
    layout: Layout,
    at: Bounds,
    *,
    marked: bool = False,
    gone: str | None = None,
    left: bool = False,
    tags: Mapping[str, str] | None = None,
) -> Line:
    """One case.  Signs and words say everything; the roles only repeat it.  `tags` names the packs, by their ids."""
    band = heat(row.due_at, at, waiting=row.waiting is not None, paused=row.paused, is_open=row.is_open)
    plain = "muted" if gone else ("strong" if row.unread else "text")
    sign = SIGNS[Heat.LATE] if row.undelivered else SIGNS[band]
    sign_role = "late-sign" if sign == SIGNS[Heat.LATE] else str(band)
    due = "closed" if not row.is_open else "paused" if row.paused else due_words(row.due_at, at, left=left)
    spans: list[Span] = [
        ("x" if marked else " ", "accent"),
        ("*" if row.unread else " ", "accent"),
        (" ", "text"),
        (sign, "muted" if gone else sign_role),
        (" " + fit(due, layout.due) + " ", "muted" if gone else str(band)),
    ]
    if layout.clock:
        spans.append((fit(_clock(row), layout.clock) + " ", plain))
    if layout.rules:
        spans.append((fit((tags or {}).get(row.pack) or pack_tag(row.pack), layout.rules) + " ", "muted"))
    reference = row.reference if layout.reference > 9 else short_reference(row.reference)
    spans.append((fit(reference, layout.reference) + " ", plain))
    spans.append((("V" if row.vulnerable else " ") + ("E" if row.escalated else " ") + " ", "warn"))
    who = name(row.complainant_name) or name(row.complainant_address) or "(no name)"
    spans.append((fit(who, layout.complainant) + " ", plain))
    spans.extend(_subject(row, layout.subject, plain, gone))
    if layout.handler:
        spans.append(
            (" " + fit(name(row.handler) if row.handler else "—", layout.handler), plain if row.handler else "muted")
        )
    return tuple(spans)


def _clock(row: QueueRow) -> str:
    return prose(row.label, limit=12) if row.label else clock_name(row.deadline)


def _subject(row: QueueRow, cells: int, plain: str, gone: str | None) -> list[Span]:
    if gone:
        before, role = f"{gone} · ", "muted"
    elif row.undelivered:
        before, role = "NOT DELIVERED · ", "late"
    elif row.waiting:
        before, role = f"waits {row.waiting} · ", "waiting"
    else:
        before, role = "", plain
    words = prose(row.subject) or "(no subject)"
    whole = fit(before + words, cells)
    return [(whole[: len(before)], role), (whole[len(before) :], plain)]


def summary(row: QueueRow, at: Bounds) -> str:
    """A row in words: for a screen reader, a confirmation, a test."""
    band = heat(row.due_at, at, waiting=row.waiting is not None, paused=row.paused, is_open=row.is_open)
    due = "paused" if row.paused else due_words(row.due_at, at)
    return f"{row.reference} {name(row.complainant_name)} {band} {due} {clock_name(row.deadline)}".strip()


def stage_words(row: QueueRow, at: Bounds) -> str:
    """`investigating`, `closed 3 May`, with for whom it waits."""
    words = row.stage
    if row.waiting and row.stage != Stage.CLOSED:
        words += f", waiting {row.waiting}"
    return words


def received(row: QueueRow, at: Bounds) -> str:
    return day(row.received_at, at.now, at.zone)
