"""The clocks of a case as people are shown them: what runs and what it rests on, what does not run yet and why.

Everything here is words about rows and packs; it changes nothing and asks the store for nothing but the case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import select
from sqlmodel import Session, col

from amends.casework import course
from amends.casework.office import Office
from amends.casework.plans import begins_at, is_paused, pauses_of, rule_behind
from amends.deadlines.calendar import WorkingCalendar
from amends.deadlines.clocks import BY_HAND, counting, meets
from amends.deadlines.compute import Due, latest_extension
from amends.deadlines.model import RECEIPT, Confidence, Extension, Pack, RequiredLetter, Rule, in_words, name_of
from amends.deadlines.words import a_day, in_a_row
from amends.kernel.errors import AmendsError, NotFound, Unreadable
from amends.ledger.legible import MISREAD, is_misread
from amends.ledger.tables import PROMISED, Case, Deadline
from amends.letters.kinds import LetterKind

HOW_SURE: Final[dict[Confidence, str]] = {
    "verified": "read in the rule itself",
    "verified_secondary": "from somebody else's account of the rule",
    "memory": "NOT VERIFIED: nobody has compared it with the rule",
    "product_default": "a default of this product, no rule of law",
}
OURS: Final = "our own promise, no rule of law"
_SAID_IN_A_REPLY: Final = ("reply", "acknowledgement")
_KINDS: Final = {
    "acknowledgement": "acknowledgement",
    "progress-update": "progress update",
    "holding": "holding letter",
    "final-response": "final response",
    "reply": "reply",
}


@dataclass(frozen=True, slots=True)
class Clock:
    """What stands behind one deadline of a case; `meets` is what meets it, each in words.

    `own`: the number is the organisation's, and no rule's.  `more_time` is empty where the rule allows none; else
    `until` is the last day to which it may be moved (None: the rule names none), and `barred` why not now.
    """

    deadline_id: int
    pack: str
    pack_name: str
    kind: str
    label: str
    action: str
    stage: str
    rule: str
    own: bool
    mandatory: bool
    sure: str
    source: str
    note: str
    meets: tuple[str, ...]
    owed: bool
    more_time: str = ""
    until: date | None = None
    barred: str = ""
    pause: str = ""


@dataclass(frozen=True, slots=True)
class Dormant:
    """A deadline of a pack that does not run on this case, and why."""

    pack: str
    pack_name: str
    label: str
    action: str
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Question:
    """Something that the packs ask of a case.  `known` is what was said; None where nobody has said anything.

    `taken` is what a pack goes by until then.  `starts` and `ends` say of each answer which deadlines it switches on,
    and of which nothing more is owed.
    """

    name: str
    question: str
    values: tuple[str, ...]
    known: str | None
    taken: str | None
    packs: tuple[str, ...]
    starts: Mapping[str, tuple[str, ...]]
    ends: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Happening:
    """What a handler may say has happened: what it starts and meets now, and when it last happened."""

    name: str
    words: str
    packs: tuple[str, ...]
    starts: tuple[str, ...]
    meets: tuple[str, ...]
    before: datetime | None
    letter: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A letter of a pack that a letter of ours can be: what it is for, what it meets now, what it must say."""

    id: str
    pack: str
    pack_name: str
    kind: str
    words: str
    when: str
    basis: str
    meets: tuple[str, ...]
    closes: bool
    here: bool
    """Whether it belongs to the stage in which the case is."""
    by_hand: bool
    """Whether it meets what it meets only if a person writes it."""


@dataclass(frozen=True, slots=True)
class Face:
    """All of it, of one case."""

    clocks: Mapping[int, Clock]
    dormant: tuple[Dormant, ...]
    questions: tuple[Question, ...]
    happenings: tuple[Happening, ...]
    candidates: tuple[Candidate, ...]


def face(office: Office, session: Session, case_id: int, *, now: datetime) -> Face:
    """The clocks of a case, in words, with what can be done about them now.  Raises NotFound, Unreadable."""
    try:
        return _face(office, session, case_id, now=now)
    except AmendsError:
        raise
    except MISREAD as fault:
        if not is_misread(fault):
            raise
        raise Unreadable("The deadlines of this case cannot be read; run: amendsd verify") from fault


def _face(office: Office, session: Session, case_id: int, *, now: datetime) -> Face:
    row = session.get(Case, case_id)
    if row is None:
        raise NotFound("There is no such case.")
    deadlines = list(
        session.scalars(
            select(Deadline).where(col(Deadline.case_id) == case_id).order_by(col(Deadline.due_at), col(Deadline.id))
        )
    )
    packs = office.packs_of(row)
    owed = [one for one in deadlines if one.settled_at is None]
    return Face(
        {one.id or 0: clock_of(office, one, now=now) for one in deadlines},
        tuple(_dormant(row, packs, deadlines)),
        tuple(_questions(row, packs, owed)),
        tuple(_happenings(row, packs, owed)),
        tuple(candidates(session, row, packs, owed)),
    )


# What runs


def clock_of(office: Office, deadline: Deadline, *, now: datetime) -> Clock:
    """One deadline in words; of a rule that is in no pack any more only what the row itself says."""
    if deadline.pack == PROMISED:
        return _promise(deadline)
    found = rule_behind(office, deadline)
    if found is None:
        return Clock(
            deadline_id=deadline.id or 0,
            pack=deadline.pack,
            pack_name=deadline.pack,
            kind=deadline.kind,
            label=deadline.label,
            action=deadline.kind.replace("_", " "),
            stage=deadline.stage,
            rule="its rule is in no policy pack any more; it is owed as it stands",
            own=False,
            mandatory=True,
            sure="",
            source="",
            note="",
            meets=tuple(_meets_in_words(None, deadline.met_by)),
            owed=deadline.settled_at is None,
        )
    pack, rule = found
    more_time, until, barred = _more_time(pack, rule, deadline, counting(pack, office.calendar), now)
    return Clock(
        deadline_id=deadline.id or 0,
        pack=pack.id,
        pack_name=pack.name,
        kind=rule.id,
        label=deadline.label,
        action=rule.action,
        stage=next((stage.name for stage in pack.stage if stage.id == deadline.stage), deadline.stage),
        rule=in_words(rule),
        own=rule.own,
        mandatory=rule.mandatory,
        sure=OURS if rule.own else HOW_SURE[rule.confidence],
        source=rule.source,
        note=rule.note,
        meets=tuple(_meets_in_words(pack, deadline.met_by)),
        owed=deadline.settled_at is None,
        more_time=more_time,
        until=until,
        barred=barred,
        pause=_pause(rule),
    )


def _promise(deadline: Deadline) -> Clock:
    """What a handler's letter promised."""
    return Clock(
        deadline_id=deadline.id or 0,
        pack=deadline.pack,
        pack_name="a promise in a letter of ours",
        kind=deadline.kind,
        label=deadline.label,
        action="Keep what we promised",
        stage="",
        rule="by the day that the letter names",
        own=True,
        mandatory=False,
        sure="our own word, no rule of law",
        source="",
        note="",
        meets=(
            "the next reply, progress update or final response that a person writes",
            "your word that it was kept by another way (P)",
        ),
        owed=deadline.settled_at is None,
    )


def _meets_in_words(pack: Pack | None, met_by: Sequence[str]) -> Iterator[str]:
    letters = {letter.id: letter for letter in pack.letter} if pack is not None else {}
    events = {event.id: event.words for event in pack.event} if pack is not None else {}
    whole = {one.removesuffix(BY_HAND): one.endswith(BY_HAND) for one in met_by if ":" not in one}
    for kind, by_hand in whole.items():
        said = _KINDS.get(kind, kind)
        whose = f"{_a(said)} that a person wrote" if by_hand else f"{_a(said)}, also one that leaves by itself"
        yield f"the {said}" if kind == "final-response" else whose
    for one in met_by:
        sort, _, name = one.partition(":")
        letter = letters.get(name)
        if sort == "event":
            yield events.get(name, name.replace("_", " "))
        elif letter is not None and (letter.kind is None or letter.kind not in whole):
            yield letter_in_words(letter)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def letter_in_words(letter: RequiredLetter) -> str:
    """`S1 extension notice (holding letter)`: what a letter of a pack is called, and which of our kinds it is."""
    name, kind = _name_of(letter), _KINDS.get(letter.kind or "", "")
    return name if not kind or kind in name.lower() else f"{name} ({kind})"


def _name_of(letter: RequiredLetter) -> str:
    name = letter.action or letter.id.replace("_", " ")
    return f"{name[0].upper()}{name[1:]}"


def _more_time(
    pack: Pack, rule: Rule, deadline: Deadline, days: WorkingCalendar, now: datetime
) -> tuple[str, date | None, str]:
    """What the rule allows in words, until when, and why not now."""
    extension = rule.extension
    if extension is None:
        return "", None, ""
    found = Due(deadline.due_at, date.fromisoformat(deadline.due_date), tuple(deadline.derivation))
    until = latest_extension(
        rule, found, deadline.starts_at, days, out_of_hours=pack.out_of_hours_of(rule), pauses=pauses_of(deadline)
    )
    barred = ""
    if is_paused(deadline):
        barred = "its clock stands still, and has no date to be moved until it goes on"
    elif now > deadline.due_at and extension.notice_by != "none":
        barred = "it has passed, and they must be told before; answer it late"
    elif deadline.moved and not extension.repeatable:
        barred = "it was given more time already, and the rule allows it once"
    elif until is not None and until <= found.due_date:
        barred = f"it was moved as far as the rule allows, to {a_day(found.due_date)}"
    return _extension_in_words(extension, until), until, barred


def _extension_in_words(extension: Extension, until: date | None) -> str:
    most = f", to {a_day(until)} at the latest" if until is not None else ", the rule does not say how far"
    whose = "a supervisor's word" if extension.by == "supervisor" else "a handler's word"
    told = {"due": "before the old date", "start": "at once", "none": "with the new date"}[extension.notice_by]
    notice = f"; they are told {told}" if extension.notice_letter else ""
    again = f"; more than once {extension.repeat_condition}".rstrip() if extension.repeatable else "; once"
    return f"if {extension.condition}{most}; {whose}{notice}{again}"


def _pause(rule: Rule) -> str:
    pause = rule.pause
    if pause is None:
        return ""
    whose = "a supervisor's word" if pause.by == "supervisor" else "a handler's word"
    return f"while {pause.reason}, for {pause.most.in_words()} at most; {whose} ({pause.basis})"


# What does not run


def _dormant(row: Case, packs: Sequence[Pack], deadlines: Sequence[Deadline]) -> Iterator[Dormant]:
    seen = {(one.pack, one.kind) for one in deadlines}
    for pack in packs:
        known = pack.facts(row.facts)
        for rule in pack.deadline:
            if (pack.id, rule.id) not in seen:
                why = _why_not(row, pack, rule, rule.applies(known))
                yield Dormant(pack.id, pack.name, rule.label, rule.action, in_words(rule), why)


def _why_not(row: Case, pack: Pack, rule: Rule, applies: bool | None) -> str:
    known = pack.facts(row.facts)
    if applies is False:
        against = next(name for name, values in rule.when.items() if name in known and known[name] not in values)
        if against not in {name_of(one) for one in row.facts}:
            return f"{against.replace('_', ' ')} is taken as {known[against]}, for nobody has said"
        return f"not for this case: {against.replace('_', ' ')} is {known[against]}"
    if applies is None:
        asked = next(name for name in rule.when if name not in known)
        return f"nobody has said yet: {asked.replace('_', ' ')}"
    if rule.starts != RECEIPT and course.instant_of(row, pack, rule.starts) is None:
        return f"waits for: {trigger_in_words(pack, rule.starts)}"
    if rule.numberless and rule.span is None:
        return "the rule names no number, and you have set no target of your own"
    return "not started on this case"


def trigger_in_words(pack: Pack, trigger: str) -> str:
    """What an event of a pack is, for people."""
    for event in pack.event:
        if event.id == trigger:
            return event.words
    for letter in pack.letter:
        if trigger in (letter.id, f"{letter.id}_sent"):
            return f"{letter_in_words(letter)} is sent"
    return trigger.replace("_", " ")


# What may be asked and said


def _named(rule: Rule) -> str:
    return f"{rule.label}: {rule.action}"


def _questions(row: Case, packs: Sequence[Pack], owed: Sequence[Deadline]) -> Iterator[Question]:
    running = {(one.pack, one.kind) for one in owed}
    for name, values in course.all_facts(packs).items():
        asking = [(pack, fact) for pack in packs for fact in pack.fact if fact.id == name]
        rules = [(pack, rule) for pack, _ in asking for rule in pack.deadline if name in rule.when]
        starts: dict[str, tuple[str, ...]] = {}
        ends: dict[str, tuple[str, ...]] = {}
        for value in values:
            after = {**row.facts, name: value}
            on = [(pack, rule) for pack, rule in rules if rule.applies(pack.facts(after))]
            starts[value] = tuple(_named(rule) for pack, rule in on if (pack.id, rule.id) not in running)
            ends[value] = tuple(
                _named(rule) for pack, rule in rules if (pack.id, rule.id) in running and (pack, rule) not in on
            )
        yield Question(
            name,
            asking[0][1].question,
            values,
            row.facts.get(name),
            next((fact.default for _, fact in asking if fact.default is not None), None),
            tuple(dict.fromkeys(pack.name for pack, _ in asking)),
            starts,
            ends,
        )


def _happenings(row: Case, packs: Sequence[Pack], owed: Sequence[Deadline]) -> Iterator[Happening]:
    """What happens to a case first, then the letters that leave by another way than mail."""
    found = [_happening(row, packs, owed, name, words) for name, words in course.all_events(packs).items()]
    yield from sorted(found, key=lambda one: one.letter)


def _happening(row: Case, packs: Sequence[Pack], owed: Sequence[Deadline], name: str, words: str) -> Happening:
    mine = [pack for pack in packs if _knows(pack, name)]
    letters = {pack.id: letter for pack in mine for letter in pack.letter if letter.id == name}
    raised = {pack.id: (*pack.events_of(name), name) if pack.id in letters else (name,) for pack in mine}
    running = {(one.pack, one.kind) for one in owed}
    starts = [
        _named(rule)
        for pack in mine
        for rule in pack.deadline
        if rule.starts in raised[pack.id] and (pack.id, rule.id) not in running and rule.applies(pack.facts(row.facts))
    ]
    met = [one.label for one in owed if one.pack in raised and _is_met(one, letters.get(one.pack), raised[one.pack])]
    when = [at for pack in mine for one in raised[pack.id] if (at := course.instant_of(row, pack, one)) is not None]
    return Happening(
        name,
        _by_another_way(next(iter(letters.values()))) if letters else words,
        tuple(dict.fromkeys(pack.name for pack in mine)),
        tuple(dict.fromkeys(starts)),
        tuple(dict.fromkeys(met)),
        max(when, default=None),
        bool(letters),
    )


def _by_another_way(letter: RequiredLetter) -> str:
    way = {"letter": "by another way than mail", "record": "is on the record", "regulator": "went to the regulator"}
    return f"{letter_in_words(letter)}, {way[letter.form]}"


def _knows(pack: Pack, name: str) -> bool:
    return name in {letter.id for letter in pack.letter} | {event.id for event in pack.event} | set(pack.triggers)


def _is_met(deadline: Deadline, letter: RequiredLetter | None, events: Iterable[str]) -> bool:
    if letter is not None and letter.stage and deadline.stage not in ("", letter.stage):
        return False
    if letter is not None and meets(deadline.met_by, kind=letter.kind or "", letter=letter.id):
        return True
    return any(f"event:{name_of(event)}" in deadline.met_by for event in events)


# Which letter it is


def candidates(
    session: Session, row: Case, packs: Sequence[Pack], owed: Sequence[Deadline], *, at: datetime | None = None
) -> Iterator[Candidate]:
    """Every letter of the packs that a handler can write, with what it would meet now."""
    for pack in packs:
        stage = course.stage_of(row, pack)
        for letter in (one for one in pack.letter if one.form == "letter" and one.kind is not None):
            yield Candidate(
                letter.id,
                pack.id,
                pack.name,
                str(letter.kind),
                _name_of(letter),
                letter.when,
                letter.basis,
                tuple(
                    one.label
                    for one in owed
                    if one.pack == pack.id
                    and meets(one.met_by, kind=str(letter.kind), letter=letter.id)
                    and (not letter.stage or one.stage in ("", letter.stage))
                    and (at is None or begins_at(session, one) <= at)
                ),
                letter.closes,
                letter.stage in ("", stage),
                course.only_by_hand(pack, letter),
            )


def choices(found: Iterable[Candidate], kind: str) -> list[Candidate]:
    """The letters of the packs among which a letter of this kind can be, where that is a choice; else none.

    A reply may be about anything, an acknowledgement that only a person can write too: it is one of theirs only if
    somebody says so, and is asked where that would meet something.
    """
    if kind == str(LetterKind.REPLY):
        said = (one for one in found if one.kind == kind or one.by_hand)
        return [one for one in said if one.kind in _SAID_IN_A_REPLY and one.here and one.meets]
    here = [one for one in found if one.kind == kind and one.here]
    per_pack = {one.pack: [each for each in here if each.pack == one.pack] for one in here}
    return here if any(len(some) > 1 for some in per_pack.values()) else []


def meets_in_words(face: Face, kind: str, counts_as: str) -> str:
    """What a letter of this kind meets when it leaves: `ACK and FINAL`; empty for nothing."""
    named: list[Candidate] = []
    for pack in dict.fromkeys(one.pack for one in face.candidates):
        mine = [one for one in face.candidates if one.pack == pack]
        same = [one for one in mine if one.kind == kind and one.here and kind != str(LetterKind.REPLY)]
        named += [one for one in mine if one.id == counts_as] or (same if len(same) == 1 else [])
    return in_a_row(list(dict.fromkeys(label for one in named for label in one.meets)), "and")
