"""The clocks of a case as lines to read: one row each, and behind each what it rests on.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amends.ledger.shapes import CaseView, DeadlineView, PauseView
from tui.packs import CELLS, tags
from tui.signs import SIGNS, Bounds, Heat, due_words, heat, moment
from tui.widgets.lineview import Sheet
from tui.words import Line, fit, prose, wrap

if TYPE_CHECKING:
    from amends.casework.clockface import Clock, Dormant, Face

SETTLED = ("met", "cancelled")


@dataclass(frozen=True, slots=True)
class Row:
    """One clock of the list: a deadline with what stands behind it, or one that does not run."""

    key: int
    one: DeadlineView | None
    clock: Clock | None
    dormant: Dormant | None = None

    @property
    def pack(self) -> str:
        return self.one.pack if self.one is not None else (self.dormant.pack if self.dormant is not None else "")


def rows_of(case: CaseView, face: Face) -> list[Row]:
    """What is owed first, the earliest at the top; then what does not run; then what is settled, the newest first."""
    found = [Row(one.id, one, face.clocks.get(one.id)) for one in case.deadlines]
    owed = [row for row in found if row.one is not None and is_owed(row.one)]
    settled = [row for row in found if row.one is not None and not is_owed(row.one)]
    asleep = [Row(-1 - number, None, None, one) for number, one in enumerate(face.dormant)]
    return [*owed, *asleep, *reversed(settled)]


def is_owed(one: DeadlineView) -> bool:
    return one.met_at is None and one.state not in SETTLED


def band(one: DeadlineView, at: Bounds) -> Heat:
    """How soon it is; what stands still is never late."""
    if one.met_at is not None:
        return Heat.DONE
    if one.state == "cancelled":
        return Heat.NONE
    return Heat.WAITING if one.state == "paused" else heat(one.due_at, at)


def tags_of(case: CaseView) -> Mapping[str, str]:
    """Which rules each clock is of, where there are several; else nothing."""
    return tags([case.pack, *(pack for pack, _ in case.packs)]) if case.packs else {}


# The list


def row_line(row: Row, at: Bounds, width: int, *, tags: Mapping[str, str], left: bool = False) -> Line:
    """`!! 4d late  Wed 18 Nov  FINAL  ours  Give the full response`."""
    sign, role, state, day = _state(row, at, left=left)
    clock, what = row.clock, row.dormant
    label = prose(row.one.label if row.one is not None else what.label if what is not None else "", limit=12)
    whose = "ours" if clock is not None and clock.own else "??" if clock is not None and _unsure(clock) else ""
    action = clock.action if clock is not None else what.action if what is not None else ""
    number = f" no. {row.one.occurrence}" if row.one is not None and row.one.occurrence > 1 else ""
    owed = row.one is not None and is_owed(row.one)
    spans = [
        (" ", "text"),
        (sign, "late-sign" if sign == SIGNS[Heat.LATE] else role),
        (f" {fit(state, 8)} {fit(day, 10)} ", role),
        (fit(label, 6) + " ", "strong" if owed else "muted"),
    ]
    if tags:
        spans.append((fit(tags.get(row.pack, ""), CELLS) + " ", "muted"))
    spans.append((fit(whose, 4) + " ", "accent"))
    taken = sum(len(words) for words, _ in spans)
    spans.append((fit(prose(f"{action}{number}"), max(8, width - taken)), "text" if owed else "muted"))
    return tuple(spans)


def head_line(width: int, *, tags: Mapping[str, str]) -> Line:
    rules = f"{fit('Rules', CELLS)} " if tags else ""
    return ((f"     {fit('State', 8)} {fit('Day', 10)} {fit('Clock', 6)} {rules}{fit('', 4)} What is owed", "muted"),)


def _unsure(clock: Clock) -> bool:
    return clock.sure.startswith("NOT VERIFIED")


def _state(row: Row, at: Bounds, *, left: bool) -> tuple[str, str, str, str]:
    """Sign, role, a word of at most eight cells, and the day."""
    one = row.one
    if one is None:
        return SIGNS[Heat.NONE], "muted", "not on", ""
    local = (one.met_at or one.due_at).astimezone(at.zone)
    this_year = local.year == at.now.astimezone(at.zone).year
    day = f"{local:%a} {local.day} {local:%b}" if this_year else f"{local.day} {local:%b} {local:%y}"  # ten cells
    now = band(one, at)
    if now is Heat.DONE:
        late = one.breached_at is not None
        return SIGNS[now], "late" if late else "done", "met LATE" if late else "met", day
    if now is Heat.NONE:
        return "  ", "muted", "ended", day
    if now is Heat.WAITING:
        return SIGNS[now], "accent", "paused", day
    return SIGNS[now], str(now), due_words(one.due_at, at, left=left), day


# What stands behind one


def page(row: Row, case: CaseView, at: Bounds, width: int, *, may_write: bool) -> Sheet:
    """One clock whole: when and why so, what meets it, the paragraph and how sure it is, what can be done."""
    if row.one is None:
        return Sheet(tuple(_asleep(row, width, may_write=may_write)))
    return Sheet(tuple(_running(row.one, row.clock, case, at, width, may_write=may_write)))


def _running(
    one: DeadlineView, clock: Clock | None, case: CaseView, at: Bounds, width: int, *, may_write: bool
) -> Iterator[Line]:
    now = band(one, at)
    label = prose(one.label, limit=50)
    title = f"{label}  {prose(clock.action if clock is not None else one.kind)}"
    yield from _lines("", title, width, "strong")
    sign = SIGNS[now].strip()
    yield from _lines(sign, when_words(one, at), width, "accent" if now is Heat.WAITING else str(now))
    if clock is not None and clock.own:
        yield from _lines("", "OURS: nobody but us set this number.", width, "accent")
    yield from derivation(one, width)
    for pause in (each for each in one.pauses if each.ends_at is None):  # the way to the day tells of the others
        yield from _lines("", pause_words(pause, at), width, "accent")
    if clock is None:
        yield from _fact("Basis", one.basis, width)
        return
    owed = is_owed(one)
    if clock.meets:
        yield from _fact("Met by", "; ".join(clock.meets), width)
    yield from _fact("Rule", f"{clock.rule.partition(': ')[2] or clock.rule}", width)
    yield from _fact("Basis", one.basis, width)
    if clock.sure:
        role = "warn" if _unsure(clock) else "text"
        yield from _fact("How sure", clock.sure, width, role)
    pack = next((f"{clock.pack_name}, version {version}" for each, version in _packs(case) if each == one.pack), "")
    yield from _fact("Rules", pack or clock.pack_name, width)
    if clock.stage:
        yield from _fact("Stage", clock.stage, width)
    if not clock.mandatory and not clock.own:
        yield from _fact("Duty", "the rules recommend it or leave it open; nobody must", width)
    if owed:
        yield from _fact("More time", _more_time(clock, may_write=may_write), width)
        allowed = (
            f"{clock.pause}{'. W does it' if may_write else ''}" if clock.pause else "never: these rules stop no clock"
        )
        yield from _fact("Pause", allowed, width)
    if clock.note:
        yield from _fact("Note", clock.note, width)
    if clock.source:
        yield from _fact("Read at", clock.source, width, "muted")


def _packs(case: CaseView) -> list[tuple[str, str]]:
    return [(case.pack, case.pack_version), *case.packs]


def _more_time(clock: Clock, *, may_write: bool) -> str:
    if not clock.more_time:
        return "the rule allows none"
    if clock.barred:
        return f"no more: {clock.barred}"
    return f"{clock.more_time}{'. + gives it' if may_write else ''}"


def when_words(one: DeadlineView, at: Bounds) -> str:
    """`due Mon 30 Nov 23:59 London, 7d 14h left`; `met Tue 24 Nov 10:12, LATE (was due Mon 23 Nov 23:59)`."""
    due = f"{moment(one.due_at, at.now, at.zone)} {at.zone.key.rpartition('/')[2].replace('_', ' ')}"
    if one.met_at is not None:
        late = ", LATE" if one.breached_at is not None else ""
        return f"met {moment(one.met_at, at.now, at.zone)}{late} (was due {due})"
    if one.state == "cancelled":
        return f"nothing is owed here any more (was due {due})"
    if one.state == "paused":
        return f"stands still; due {due} at the latest"
    if one.due_at < at.now:
        return f"was due {due}: {due_words(one.due_at, at)}"
    return f"due {due}, {due_words(one.due_at, at, left=True)} left"


def pause_words(pause: PauseView, at: Bounds) -> str:
    """`Paused from Mon 2 Nov 09:00 to Thu 5 Nov 10:00: she has the papers (approved by sam)`."""
    began = moment(pause.begins_at, at.now, at.zone)
    ends = pause.ends_at
    until = moment(pause.until, at.now, at.zone)
    to = f"to {moment(ends, at.now, at.zone)}" if ends is not None else f"until {until} at the latest"
    reason, approver = prose(pause.reason), prose(pause.approver, limit=60)
    return f"Paused from {began} {to}: {reason}" + (f" (approved by {approver})" if approver else "")


def derivation(one: DeadlineView, width: int) -> Iterator[Line]:
    """How the day was counted, step by step."""
    for step in one.derivation:
        for number, line in enumerate(wrap(prose(step), width - 4)):
            yield (("  · " if not number else "    ", "muted"), (line, "text"))


def _asleep(row: Row, width: int, *, may_write: bool) -> Iterator[Line]:
    what = row.dormant
    if what is None:
        return
    yield from _lines("", f"{prose(what.label, limit=50)}  {prose(what.action)}", width, "strong")
    yield from _lines(SIGNS[Heat.NONE].strip(), f"It does not run: {prose(what.why)}", width, "text")
    yield from _fact("Rule", what.rule.partition(": ")[2] or what.rule, width)
    yield from _fact("Rules", what.pack_name, width)
    if may_write and what.why.startswith("waits"):
        yield from _lines("", "t says that it has happened.", width, "muted")
    elif may_write and what.why.startswith(("nobody", "not for")):
        yield from _lines("", "f answers what the rules ask.", width, "muted")


def _lines(sign: str, words: str, width: int, role: str) -> Iterator[Line]:
    lead = f"{sign} " if sign else ""
    for number, line in enumerate(wrap(words, width - len(lead) - 1)):
        if number or sign != SIGNS[Heat.LATE]:
            yield ((lead if not number else " " * len(lead), role), (line, role))
        else:
            yield ((sign, "late-sign"), (f" {line}", role))


def _fact(title: str, words: str, width: int, role: str = "text") -> Iterator[Line]:
    for number, line in enumerate(wrap(prose(words), width - 11)):
        yield ((fit(title if not number else "", 10) + " ", "muted"), (line, role))
