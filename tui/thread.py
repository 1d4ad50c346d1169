"""A case as lines to read: its messages, letters and notes in the order of time.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from amends.cases.stages import Stage
from amends.ledger.shapes import CaseView, DeadlineView, LetterView, MessageView, NoteView
from amends.letters.kinds import LetterKind
from tui.names import LETTER_NAMES, LETTER_STATES, letter_name, letter_state, sentence, why_here
from tui.packs import pack_tag, tags
from tui.signs import SIGNS, Bounds, Heat, age, day, due_words, heat, moment, size
from tui.widgets.lineview import Sheet
from tui.words import Line, Span, cut, fit, letter, name, plural, prose, width_of, wrap

FLAGS: Final = {
    "escape": "terminal control codes",
    "bidi": "characters that turn the writing round",
    "invisible": "hidden characters",
    "marks": "heaps of accents",
}
SAME_ID: Final = "! Another message came before under the Message-ID of this one; each is kept as it came."
PRIVATE: Final = "    staff only, never sent"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing of a thread: a message, a letter that has not become one, or a note."""

    at: datetime
    thing: MessageView | LetterView | NoteView

    @property
    def unread(self) -> bool:
        return isinstance(self.thing, MessageView) and not self.thing.read


def entries(case: CaseView) -> list[Entry]:
    """Everything that was written, the oldest first."""
    sent = {message.letter_id for message in case.messages if message.letter_id}
    found = [Entry(message.at, message) for message in case.messages]
    found += [Entry(note.at, note) for note in case.notes]
    found += [
        Entry(one.queued_at or one.created_at, one)
        for one in case.letters
        if one.id not in sent and not one.staff and one.state not in ("cancelled", "sent")
    ]
    return sorted(found, key=lambda entry: entry.at)


def page(
    case: CaseView,
    at: Bounds,
    width: int,
    *,
    unfolded: frozenset[int],
    current: int,
    quotes: bool,
    unread: frozenset[int] = frozenset(),
) -> Sheet:
    """The thread for a width: `unfolded` entries whole, the others as a head and their first words.

    `unread` are the messages that were unread when the case was opened: they stay marked while it is open.
    """
    lines: list[Line] = []
    anchors: dict[int, int] = {}
    found = entries(case)
    states = {one.id: one for one in case.letters}
    accepted = _accepted(case)
    for number, entry in enumerate(found):
        anchors[number] = len(lines)
        fresh = isinstance(entry.thing, MessageView) and entry.thing.id in unread
        lines.append(_head(entry, number, len(found), at, width, on=number == current, states=states, unread=fresh))
        whole = number in unfolded
        if isinstance(entry.thing, MessageView):
            lines.extend(_warnings(entry.thing, states, width, accepted=entry.thing.from_address in accepted))
        elif isinstance(entry.thing, LetterView) and entry.thing.error:
            lines.extend(_block(f"Reason: {prose(entry.thing.error)}", width, "late"))
        lines.extend(_body(entry, width, quotes=quotes) if whole else _gist(entry, width))
        if whole and isinstance(entry.thing, MessageView) and (because := why_here(entry.thing.match)):
            lines.extend(_block(f"On this case because: {because}", width, "muted"))
        lines.append(())
    return Sheet(tuple(lines), anchors)


def _accepted(case: CaseView) -> frozenset[str]:
    """The addresses of those who belong to the case."""
    return frozenset(person.address for person in case.participants if person.accepted)


def some(chosen: Sequence[Entry], case: CaseView, at: Bounds, width: int) -> list[Line]:
    """These entries of a case, whole."""
    states = {one.id: one for one in case.letters}
    lines: list[Line] = []
    for number, entry in enumerate(chosen):
        lines.append(_head(entry, number, len(chosen), at, width, on=False, states=states))
        lines.extend(_body(entry, width, quotes=False))
        lines.append(())
    return lines


def _head(
    entry: Entry,
    number: int,
    total: int,
    at: Bounds,
    width: int,
    *,
    on: bool,
    states: Mapping[int, LetterView],
    unread: bool = False,
) -> Line:
    sign, who, role = _who(entry.thing, states)
    when = f"{moment(entry.at, at.now, at.zone)} ({age(entry.at, at.now)})"
    left = f"{'>' if on else ' '}{number + 1} of {total}  {fit(sign, 5)}"
    room = max(8, width - len(left) - len(when) - 1)
    spans: list[Span] = [
        (left, "accent" if on else "muted"),
        (fit(("* " if unread else "") + who, room), role),
        (" " + when, "muted"),
    ]
    return tuple(spans)


def _who(thing: MessageView | LetterView | NoteView, states: Mapping[int, LetterView]) -> tuple[str, str, str]:
    if isinstance(thing, NoteView):
        return "NOTE", f"{name(thing.author)}{PRIVATE}", "staff"
    if isinstance(thing, LetterView):
        return (
            "OUT",
            f"{letter_name(thing.kind)}, {letter_state(thing.state)}",
            _state_role(thing),
        )
    if thing.direction == "out":
        sent = states.get(thing.letter_id or 0)
        title = LETTER_NAMES.get(sent.kind, "Letter") if sent else "Letter"
        by = f" by {name(sent.author)}" if sent and not sent.automatic else ", by itself"
        back = f" {_not_arrived(sent)}" if sent else ""
        return "OUT", f"{title}{by}{back}".rstrip(), "late" if back.strip() else "ok"
    kind = "" if thing.kind == "person" else f" ({prose(thing.kind)})"
    address = name(thing.from_address)
    return "IN", (f"{name(thing.from_name)} <{address}>" if thing.from_name else address) + kind, "strong"


def _not_arrived(sent: LetterView) -> str:
    """What became of a letter that had left; nothing where it arrived as far as we know."""
    if sent.state == "cancelled":  # only what did not arrive is given up once it has left
        return f"{LETTER_STATES['bounced']}, {LETTER_STATES['cancelled']}"
    return LETTER_STATES[sent.state] if sent.state in ("bounced", "failed", "uncertain") else ""


def _state_role(one: LetterView) -> str:
    return {"failed": "late", "bounced": "late", "uncertain": "warn", "queued": "accent"}.get(one.state, "accent")


def _warnings(message: MessageView, states: Mapping[int, LetterView], width: int, *, accepted: bool) -> Iterator[Line]:
    """What a reader must know of a message before believing it; `accepted`: its writer belongs to the case by now."""
    standing = message.match.get("standing") if isinstance(message.match, Mapping) else None
    if message.direction == "in" and standing == "third party":
        now = "They are a participant now." if accepted else "p=accept them as a participant"
        yield from _block(f"! Not the complainant: a third party wrote this. {now}", width, "warn")
    odd = [FLAGS[flag] for flag in message.flags if flag in FLAGS]
    if odd:
        yield from _block(f"! This mail contains {' and '.join(odd)}; they were made harmless.", width, "warn")
    if "message-id-used-before" in message.flags:
        yield from _block(SAME_ID, width, "warn")
    failed = [f"{key.upper()} {value}" for key, value in sorted(message.authentication.items()) if value == "fail"]
    if failed:
        yield from _block(f"! {prose(', '.join(failed))}: the sender may not be who it says.", width, "warn")
    if message.defects:
        yield from _block(
            f"! It could not be read whole: {prose('; '.join(message.defects), limit=300)}", width, "warn"
        )
    sent = states.get(message.letter_id or 0)
    if sent is not None and sent.error and sent.state in ("failed", "bounced", "uncertain"):
        yield from _block(f"Reason: {prose(sent.error)}", width, "late")


def _block(words: str, width: int, role: str) -> Iterator[Line]:
    for line in wrap(words, width - 2):
        yield ((" " + line, role),)


def _body(entry: Entry, width: int, *, quotes: bool) -> Iterator[Line]:
    thing = entry.thing
    if isinstance(thing, NoteView):
        for line in wrap(letter(thing.text), width - 4):
            yield (("  │ ", "staff"), (line, "text"))
        return
    if isinstance(thing, LetterView):
        yield from _block(f"To {name(thing.to_address)}: {prose(thing.subject)}", width, "muted")
        for line in wrap(letter(thing.body).rstrip(), width - 2):
            yield ((" " + line, "text"),)
        return
    yield from _block(prose(thing.subject) or "(no subject)", width, "muted")
    new, whole = letter(thing.new_text).strip("\n"), letter(thing.text).strip("\n")
    folded = _quoted_lines(whole, new)
    shown = whole if quotes or not new else new
    for line in wrap(shown, width - 2):
        yield ((" " + line, "text"),)
    if folded and new:
        words = "┄ quotes shown, z folds them ┄" if quotes else f"┄ {plural(folded, 'quoted line')} folded, z opens ┄"
        yield ((f"   {words}", "muted"),)
    for attachment in thing.attachments:
        yield ((f"   @ {cut(name(attachment.name), width - 20)} {size(attachment.size)}", "accent"),)


def _quoted_lines(whole: str, new: str) -> int:
    return max(
        0, len([1 for line in whole.split("\n") if line.strip()]) - len([1 for line in new.split("\n") if line.strip()])
    )


def _gist(entry: Entry, width: int) -> Iterator[Line]:
    thing = entry.thing
    words = (
        thing.text
        if isinstance(thing, NoteView)
        else (thing.body if isinstance(thing, LetterView) else thing.new_text or thing.text)
    )
    files = f"  @ {len(thing.attachments)}" if isinstance(thing, MessageView) and thing.attachments else ""
    first = " ".join(letter(words[:2000]).split())
    role = "staff" if isinstance(thing, NoteView) else "muted"
    yield ((f"   {cut(first, width - 4 - len(files))}", role), (files, "accent"))


# Where it stands, the deadlines in one line, the details, the preview


def stage_words(case: CaseView, at: Bounds, me: str = "") -> str:
    """The stage; while the final response has not left yet, or did not arrive, that instead of `responded`.

    `me` is the login that may call its own letter back.
    """
    row = case.row
    if Stage(row.stage) is not Stage.RESPONDED:
        return row.stage
    final = next((one for one in reversed(case.letters) if one.kind == LetterKind.FINAL_RESPONSE), None)
    if final is None:
        return row.stage
    if final.state == "queued" and not final.tries and final.next_try_at is not None and final.next_try_at > at.now:
        mine = ", u=Undo" if final.author == me else ""
        return f"response held, leaves {final.next_try_at.astimezone(at.zone):%H:%M:%S}{mine}"
    return {
        "queued": "response on its way",
        "sending": "response on its way",
        "failed": "response NOT DELIVERED",
        "bounced": "response CAME BACK",
        "uncertain": "response uncertain",
    }.get(final.state, row.stage)


def not_told(case: CaseView, at: Bounds) -> str:
    """What no longer holds since the letter that told of it came back; "" where nothing hangs on such a letter."""
    for one in sorted(case.letters, key=lambda one: one.id, reverse=True):
        for effect, what in (("extends", "More time for"), ("pauses", "The pause of")):
            word = one.facts.get(effect) if one.state == "bounced" else None
            deadline = next((each for each in case.deadlines if word and _is_meant(each, word["of"], case)), None)
            if deadline is not None and deadline.met_at is None and deadline.state != "cancelled":
                due = moment(deadline.due_at, at.now, at.zone)
                return f"{what} {short_label(case, deadline)} is off: its letter came back (3, then C); due {due}"
    return ""


def _is_meant(deadline: DeadlineView, of: Sequence[str | int], case: CaseView) -> bool:
    kind, occurrence, *pack = of
    return (deadline.kind, deadline.occurrence, deadline.pack) == (kind, occurrence, pack[0] if pack else case.pack)


def clocks(case: CaseView, at: Bounds) -> list[Span]:
    """Every deadline with its sign: what is owed first, then what was met."""
    spans: list[Span] = []
    owed = [one for one in case.deadlines if one.met_at is None and one.state in ("open", "paused", "breached")]
    if case.row.due_at is None:
        owed = []
    met = [one for one in case.deadlines if one.met_at is not None]
    for one in owed:
        paused = one.state == "paused"
        band = heat(one.due_at, at, paused=paused)
        label, words = short_label(case, one), "paused" if paused else due_words(one.due_at, at)
        sign = SIGNS[band].strip()
        spans += [("  " if spans else " ", "text"), (sign, "late-sign" if band is Heat.LATE else str(band))]
        spans.append(
            (
                f"{' ' if sign else ''}{label} {'' if paused or band is Heat.LATE else 'due '}{words}",
                str(band),
            )
        )
    for one in met:
        late = ", late" if one.breached_at else ""
        label = short_label(case, one)
        spans.append(
            (
                f"  {label} {SIGNS[Heat.DONE]}{day(one.met_at or at.now, at.now, at.zone)}{late}",
                "done",
            )
        )
    return spans or [(" No deadline runs.", "muted")]


def short_label(case: CaseView, one: DeadlineView) -> str:
    """`FINAL`; with the rules it is of (`FINAL fca`) only where another deadline of the case is called the same."""
    label = prose(one.label, limit=12)
    if all(other.pack == one.pack for other in case.deadlines if other.label == one.label):
        return label
    return f"{label} {tags([case.pack, *(pack for pack, _ in case.packs)]).get(one.pack) or pack_tag(one.pack)}"


def details(case: CaseView, at: Bounds, width: int) -> Sheet:
    """Everything about a case that is not in its thread."""
    lines: list[Line] = [(("DETAILS", "strong"),)]
    row = case.row

    def fact(title: str, words: str, role: str = "text") -> None:
        for number, line in enumerate(wrap(words, width - 13)):
            lines.append(((fit(title if not number else "", 12) + " ", "muted"), (line, role)))

    fact("Reference", row.reference)
    fact("Stage", stage_words(case, at) + (f", waiting {row.waiting}" if row.waiting else ""), "strong")
    if case.waiting_reason:
        fact("Waits for", prose(case.waiting_reason))
    received, days = moment(row.received_at, at.now, at.zone), max(0, (at.now - row.received_at).days)
    fact("Received", f"{received}, open for {plural(days, 'day')}")
    fact("From", f"{name(row.complainant_name)} <{name(row.complainant_address)}>")
    if case.merged_into:
        fact("Merged into", case.merged_into, "warn")
    for taken in case.merged:
        fact("Took up", taken)
    for other, kind in case.links:
        fact("Linked", f"{other} ({kind})")
    fact("Handler", name(row.handler) if row.handler else "nobody")
    fact("Severity", row.severity or "not assessed")
    if row.vulnerable:
        fact("Care", "V  needs particular care", "warn")
    if case.immediate_action:
        fact("At once", "something must be done immediately", "warn")
    for title, words in (("Complexity", case.complexity), ("Impact", case.impact)):
        if words:
            fact(title, prose(words))
    fact("Outcome", case.outcome or "not decided")
    if case.remedy or case.remedy_amount:
        fact(
            "Remedy",
            " ".join(
                part
                for part in (prose(case.remedy or ""), f"({case.remedy_amount})" if case.remedy_amount else "")
                if part
            ),
        )
    if case.root_cause:
        fact("Root cause", prose(case.root_cause))
    lines += [(), (("DEADLINES", "strong"), ("   d=why, and what can be done", "muted"))]
    for words in wrap(_packs(case), width - 3):
        lines.append((("   " + words, "muted"),))
    for known, value in sorted(case.facts.items()):
        lines.append(((f"   {prose(known.replace('_', ' '))}: {prose(value)}", "text"),))
    owed = [one for one in case.deadlines if one.met_at is None and one.state not in ("met", "cancelled")]
    for one in [*owed, *(one for one in case.deadlines if one not in owed)]:
        lines.extend(_deadline(one, short_label(case, one), at, width, why=one in owed[:1]))
    asking = any(not person.accepted for person in case.participants)
    lines += [(), (("PEOPLE", "strong"), ("   p=accept" if asking else "", "muted"))]
    for person in case.participants:
        state = "" if person.accepted else "  not accepted yet"
        for line in wrap(f"{name(person.address)}  {prose(person.role)}{state}", width - 1):
            lines.append(((line, "warn" if not person.accepted else "text"),))
    lines += [
        (),
        (("HISTORY", "strong"), (f"   last {min(4, len(case.events))} of {len(case.events)}, H=all", "muted")),
    ]
    for event in reversed(case.events[-4:]):
        words = f"{moment(event.at, at.now, at.zone)} {sentence(event.kind, event.data)}"
        lines.append(((cut(words, width), "muted"),))
    return Sheet(tuple(lines))


def _packs(case: CaseView) -> str:
    return ", ".join(prose(f"{pack} {version}") for pack, version in ((case.pack, case.pack_version), *case.packs))


def _deadline(one: DeadlineView, label: str, at: Bounds, width: int, *, why: bool) -> Iterator[Line]:
    """One clock; `why` also how its day was counted, which is of what falls next."""
    number = f" no. {one.occurrence}" if one.occurrence > 1 else ""
    due = moment(one.due_at, at.now, at.zone)
    if one.met_at is not None:
        sign, role = SIGNS[Heat.DONE], "done"
        words = f"met {day(one.met_at, at.now, at.zone)}{', LATE' if one.breached_at else ''} (due {due})"
    elif one.state == "paused":
        sign, role = SIGNS[Heat.WAITING], str(Heat.WAITING)
        words = f"stands still for {plural(one.paused_days, 'day')}, due {due} at the latest"
    elif one.state == "cancelled":
        sign, role, words = "  ", "muted", f"no longer owed (was due {due})"
    else:
        band = heat(one.due_at, at)
        sign, role = SIGNS[band], str(band)
        words = f"due {due}, {due_words(one.due_at, at, left=True)}{' left' if one.due_at >= at.now else ''}"
    first, *rest = list(wrap(f"{label}{number} {words}", width - 3)) or [""]
    yield ((sign + " ", "late-sign" if sign == "!!" else role), (first, role))
    for line in rest:
        yield (("   " + line, role),)
    for reason in (*one.derivation, f"Basis: {one.basis}" if one.basis else "") if why else ():
        if reason:
            for line in wrap(prose(reason), width - 5):
                yield (("     " + line, "muted"),)


def preview(case: CaseView, at: Bounds, width: int, *, opens: bool = True) -> Sheet:
    """The case beside the list: its clocks, and the last thing that was written."""
    row = case.row
    lines: list[Line] = [((row.reference, "strong"), (f"  {cut(name(row.complainant_name), 30)}", "strong"))]
    lines.append(tuple(_cut_spans(clocks(case, at), width)))
    about = [
        stage_words(case, at) + (f", waiting {row.waiting}" if row.waiting else ""),
        row.severity or "not assessed",
    ]
    about.append(name(row.handler) if row.handler else "nobody's")
    lines.append(((cut(" · ".join(about), width), "text"),))
    if row.vulnerable:
        lines.append((("V  needs particular care", "warn"),))
    if row.undelivered:
        lines.append((("A letter did not arrive: see the outbox (3), or telephone.", "late"),))
    lines.append(())
    found = entries(case)
    inward = [entry for entry in found if isinstance(entry.thing, MessageView) and entry.thing.direction == "in"]
    for entry in inward[-1:]:
        _, who, role = _who(entry.thing, {})
        lines.append(((cut(who, width), role),))
        lines.append(((f"{moment(entry.at, at.now, at.zone)} ({age(entry.at, at.now)})", "muted"),))
        if isinstance(entry.thing, MessageView):
            belongs = entry.thing.from_address in _accepted(case)
            lines.extend(_warnings(entry.thing, {}, width, accepted=belongs))
        lines.extend(_body(entry, width, quotes=False))
    others = len(found) - len(inward[-1:])
    if others and opens:
        lines += [(), ((f"{plural(others, 'more thing')} in the case. Enter opens it.", "muted"),)]
    return Sheet(tuple(lines))


def _cut_spans(spans: Sequence[Span], width: int) -> Iterator[Span]:
    room = width
    for words, role in spans:
        if room <= 0:
            return
        shown = cut(words, room)
        room -= width_of(((shown, role),))
        yield (shown, role)


# The ledger in words


def history(case: CaseView, at: Bounds, width: int) -> Sheet:
    """Every event, the newest first."""
    lines: list[Line] = []
    for event in reversed(case.events):
        local = event.at.astimezone(at.zone)
        head = f"{event.seq:>4}  {local:%Y-%m-%d %H:%M:%S}  {fit(name(event.actor), 10)} "
        for number, line in enumerate(wrap(sentence(event.kind, event.data), width - len(head) - 1)):
            lines.append(((head if not number else " " * len(head), "muted"), (line, "text")))
    lines += [
        (),
        (
            (
                f"Sealed: {case.events[-1].hash[:16]}…  {plural(len(case.events), 'event')}"
                if case.events
                else "No events.",
                "muted",
            ),
        ),
    ]
    return Sheet(tuple(lines))
