"""The course of a case under its packs: what is known of it, what has happened, and what that starts, meets and ends.

A pack's events are raised by letters that left, by moments of the product, and by a handler's word; its facts are set
by letters and events, and by a handler.  Everything here writes to the file; the caller saves it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlmodel import col

from amends.casework import reviewing
from amends.casework.casefile import CaseFile
from amends.casework.office import Office
from amends.casework.plans import begins_at, last_occurrence, row_of
from amends.deadlines.clocks import meets_event, plan, replanned
from amends.deadlines.model import RECEIPT, Moment, Pack, RequiredLetter, Rule, name_of
from amends.deadlines.model import Stage as PackStage
from amends.ledger.tables import PROMISED, Case, Deadline
from amends.letters.kinds import LetterKind


def happened(row: Case, pack: Pack) -> Mapping[str, str]:
    """What has happened under a pack, and when it last did (ISO 8601)."""
    found: Mapping[str, str] = row.happened.get(pack.id, {})
    return found


def stage_of(row: Case, pack: Pack) -> str:
    """The stage of the pack's procedure in which the case is; "" where it has none."""
    events = happened(row, pack)
    begun = [stage.id for stage in pack.stage if stage.opens is not None and stage.opens in events]
    first = next((stage.id for stage in pack.stage if stage.opens is None), "")
    return begun[-1] if begun else first


def stages_of(file: CaseFile) -> list[tuple[Pack, PackStage]]:
    """The stage of each pack's procedure in which the case is, where it has stages."""
    return [
        (pack, stage)
        for pack in file.office.packs_of(file.row)
        for stage in pack.stage
        if stage.id == stage_of(file.row, pack)
    ]


def instant_of(row: Case, pack: Pack, trigger: str) -> datetime | None:
    """When a trigger last happened; receipt is the last time that the case was taken up."""
    if (at := happened(row, pack).get(trigger)) is not None:
        return datetime.fromisoformat(at)
    return row.received_at if trigger == RECEIPT else None


def _began(row: Case, pack: Pack) -> datetime:
    """When the present stage began."""
    opened = [instant_of(row, pack, stage.opens) for stage in pack.stage if stage.opens is not None]
    return max(at for at in (*opened, instant_of(row, pack, RECEIPT)) if at is not None)


# Letters


def letters_of(
    office: Office, row: Case, kind: str, *, automatic: bool, counts_as: str = ""
) -> dict[str, RequiredLetter]:
    """Which letter of each pack a letter of ours is: the one it was written as, else the only one of its kind here.

    An automatic one is none that only a person can write.  By pack id.
    """
    found: dict[str, RequiredLetter] = {}
    for pack in office.packs_of(row):
        letters = [letter for letter in pack.letter if letter.form == "letter"]
        named = [letter for letter in letters if letter.id == counts_as]
        stage = stage_of(row, pack)
        here = named or [
            letter for letter in letters if letter.kind == kind != str(LetterKind.REPLY) and letter.stage in ("", stage)
        ]
        if len(here) == 1 and not (automatic and only_by_hand(pack, here[0])):
            found[pack.id] = here[0]
    return found


def only_by_hand(pack: Pack, letter: RequiredLetter) -> bool:
    """Whether it meets deadlines, and none of them if the product writes it by itself."""
    meant = [rule for rule in pack.deadline if letter.id in rule.met_by]
    return bool(meant) and not any(rule.automatic_counts or rule.letter == letter.id for rule in meant)


def letter_left(file: CaseFile, letters: Mapping[str, RequiredLetter], *, at: datetime) -> None:
    """The events that the sending of these letters is."""
    for pack in file.office.packs_of(file.row):
        if (letter := letters.get(pack.id)) is None:
            continue
        its_own = {f"{letter.id}_sent", letter.id}
        before = instant_of(file.row, pack, f"{letter.id}_sent") or instant_of(file.row, pack, letter.id)
        again = before is not None and before >= _began(file.row, pack)
        happen(file, pack, [one for one in pack.events_of(letter.id) if not (again and one in its_own)], at=at)


def answered(
    file: CaseFile, letters: Mapping[str, RequiredLetter], *, at: datetime, written_at: datetime | None
) -> None:
    """A final response ends what its own stage still owes, under the main pack and those whose answer it is."""
    packs = {pack.id: pack for pack in file.office.packs_of(file.row)}

    def ends(deadline: Deadline) -> bool:
        if deadline.pack == PROMISED:
            return False  # it kept what was promised before it, and what it promises itself runs
        pack, letter = packs.get(deadline.pack), letters.get(deadline.pack)
        if pack is None:
            return True
        is_answer = letter is not None and letter.kind == str(LetterKind.FINAL_RESPONSE)
        if deadline.pack != file.row.pack and not is_answer:
            return False
        stage = letter.stage if letter is not None and letter.stage else stage_of(file.row, pack)
        return deadline.stage in ("", stage)

    file.cancel_deadlines(because="the final response was sent", only=ends, at=at, written_at=written_at)


# Events


def at_moment(file: CaseFile, moment: Moment, *, at: datetime) -> None:
    """What in the product is an event of its packs; once in a stage."""
    for pack in file.office.packs_of(file.row):
        new = []
        for event in pack.events_at(moment):
            before = instant_of(file.row, pack, event)
            if moment in ("review-asked", "closed") or before is None or before < _began(file.row, pack):
                new.append(event)
        happen(file, pack, new, at=at)


def happen(file: CaseFile, pack: Pack, events: Collection[str], *, at: datetime) -> None:
    """These events have happened under a pack: what they meet is met, what they start begins, facts that they answer.

    What runs already is not started again.
    """
    for event in (one for one in events if _matters(pack, one)):
        every = dict(file.row.happened)
        every[pack.id] = {**every.get(pack.id, {}), event: at.isoformat()}
        file.row.happened = every
        file.record("happened", event=event, happened_at=at.isoformat(), **file.pack_in_event(pack.id))
        for deadline in file.unmet():
            met = deadline.pack == pack.id and meets_event(deadline.met_by, event)
            if met and begins_at(file.session, deadline) <= at:
                file.meet_one(deadline, at=at)
                file.start_following(deadline)
        _start(file, pack, event, at)
        if any(stage.opens == event and stage.reviewer == "not_involved" for stage in pack.stage):
            reviewing.release(file)
    learnt = {fact.id: fact.values[0] for fact in pack.fact if set(events) & set(fact.set_by)}
    for name, value in learnt.items():
        if name not in file.row.facts:
            know(file, name, value, because=f"{name.replace('_', ' ')} is {value}")


def _matters(pack: Pack, event: str) -> bool:
    return (
        any(rule.starts == event or event in map(name_of, rule.met_by) for rule in pack.deadline)
        or any(stage.opens == event for stage in pack.stage)
        or any(event in fact.set_by for fact in pack.fact)
        or any(letter.closes and event == letter.id for letter in pack.letter)
    )


def _start(file: CaseFile, pack: Pack, event: str, at: datetime) -> None:
    running = {deadline.kind for deadline in file.unmet() if deadline.pack == pack.id}
    rows = [
        row_of(planned, occurrence=last_occurrence(file.session, file.id, pack.id, planned.rule_id) + 1)
        for planned in plan(pack, file.office.calendar, trigger=event, at=at, facts=file.row.facts)
        if planned.rule_id not in running
    ]
    file.start_deadlines(rows)


# Facts


def know(file: CaseFile, name: str, value: str, *, because: str) -> None:
    """A fact of the case: the deadlines that ask for it start from their trigger's instant, or are no longer owed."""
    before = file.row.facts.get(name)
    file.row.facts = {**file.row.facts, name: value}
    file.record("fact", fact=name, value=value, before=before)
    for pack in file.office.packs_of(file.row):
        known = pack.facts(file.row.facts)
        for rule in (one for one in pack.deadline if name in one.when):
            running = [one for one in file.unmet() if (one.pack, one.kind) == (pack.id, rule.id)]
            if not rule.applies(known):
                file.cancel_deadlines(because=because, only=running.__contains__)
            elif not running and (rule.starts != RECEIPT or file.row.responded_at is None):
                _start_late(file, pack, rule, because)


def _start_late(file: CaseFile, pack: Pack, rule: Rule, because: str) -> None:
    """The deadline from when its trigger happened, if it did: the one that stands there already, else a new one."""
    kind, start = rule.id, instant_of(file.row, pack, rule.starts)
    if start is None:
        return
    statement = select(Deadline).where(
        col(Deadline.case_id) == file.id,
        col(Deadline.pack) == pack.id,
        col(Deadline.kind) == kind,
        col(Deadline.starts_at) == start,
    )
    before = file.session.scalars(statement.order_by(col(Deadline.occurrence).desc()).limit(1)).first()
    if before is not None:
        if before.met_at is None:
            file.restore_deadlines([(before.kind, before.occurrence, before.pack)], because=because)
        return
    planned = replanned(pack, file.office.calendar, rule_id=kind, occurrence=1, starts_at=start)
    if planned is not None:
        file.start_deadlines([row_of(planned, occurrence=last_occurrence(file.session, file.id, pack.id, kind) + 1)])


def all_facts(packs: Iterable[Pack]) -> dict[str, tuple[str, ...]]:
    """What may be said of a case under these packs: by name of a fact the answers there are."""
    found: dict[str, tuple[str, ...]] = {}
    for pack in packs:
        for fact in pack.fact:
            found[fact.id] = tuple(dict.fromkeys([*found.get(fact.id, ()), *fact.values]))
    return found


def all_events(packs: Iterable[Pack]) -> dict[str, str]:
    """What a handler may say has happened: by name of an event, or of a letter that left by another way, its words."""
    found: dict[str, str] = {}
    for pack in packs:
        for letter in pack.letter:
            found.setdefault(letter.id, letter.action or letter.when or letter.id.replace("_", " "))
        for event in pack.event:
            found[event.id] = event.words
        for rule in pack.deadline:
            if rule.starts != RECEIPT and not rule.starts.endswith("_sent"):
                found.setdefault(rule.starts, rule.starts.replace("_", " "))
    return found
