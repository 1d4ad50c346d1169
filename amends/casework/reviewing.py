"""Who may decide a review: where the rules want somebody who was not involved, nobody who handled the case before.

Involved is to whom the case was given, who wrote a letter to the complainant, and who decided it, in an earlier stage.
A supervisor can let somebody decide it all the same, with a reason; where there is no supervisor, anybody can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col

from amends.casework.actors import SYSTEM, Actor, supervisors
from amends.casework.casefile import CaseFile
from amends.deadlines.model import Pack, Stage
from amends.kernel.errors import Refused
from amends.ledger.seals import words_seal
from amends.ledger.tables import Event, Letter

_HAD: Final = "had the case"
_WROTE: Final = "wrote to the complainant"
_DECIDED: Final = "gave the decision"
_KINDS: Final = ("assigned", "responded", "letter-sent", "happened", "involvement-allowed")


def involved(file: CaseFile, stages: Sequence[tuple[Pack, Stage]] | None = None) -> dict[str, str]:
    """Who was involved before the stages began that want somebody else (None: until now), and how; by login.

    Empty where no stage of `stages` (those in which the case is, by pack) wants that.
    """
    events = _events(file)
    begun = len(events) and events[-1].seq + 1 if stages is None else _begun(file, stages, events)
    if not begun:
        return {}
    earlier = [event for event in events if event.seq < begun]
    found = {event.data["after"]: _HAD for event in earlier if event.kind == "assigned" and event.data["after"]}
    if stages is None and file.row.handler:
        found.setdefault(file.row.handler, _HAD)
    sent = {event.data["letter"] for event in earlier if event.kind == "letter-sent"}
    written = select(col(Letter.id), col(Letter.author)).where(
        col(Letter.case_id) == file.id, col(Letter.automatic).is_(False), col(Letter.staff).is_(False)
    )
    found |= {author: _WROTE for number, author in file.session.connection().execute(written) if number in sent}
    found |= {event.actor: _DECIDED for event in earlier if event.kind == "responded"}
    return {login: how for login, how in found.items() if login != SYSTEM.login}


def _events(file: CaseFile) -> list[Any]:
    statement = (
        select(col(Event.seq), col(Event.kind), col(Event.actor), col(Event.data))
        .where(col(Event.case_id) == file.id, col(Event.kind).in_(_KINDS))
        .order_by(col(Event.seq))
    )
    return list(file.session.connection().execute(statement))


def _begun(file: CaseFile, stages: Iterable[tuple[Pack, Stage]], events: Iterable[Any]) -> int:
    """The number of the event that last began one of these stages; 0 where none wants somebody else."""
    opening = {(pack.id, stage.opens) for pack, stage in stages if stage.reviewer == "not_involved" and stage.opens}
    named = (
        event.seq
        for event in events
        if event.kind == "happened" and (event.data.get("pack", file.row.pack), event.data["event"]) in opening
    )
    return max(named, default=0)


def _allowed(file: CaseFile, stages: Sequence[tuple[Pack, Stage]]) -> set[str]:
    events = _events(file)
    begun = _begun(file, stages, events)
    return {event.data["login"] for event in events if event.kind == "involvement-allowed" and event.seq > begun}


def barred(file: CaseFile, stages: Sequence[tuple[Pack, Stage]]) -> set[str]:
    """Who may not decide the stages in which the case is."""
    if not any(stage.reviewer == "not_involved" for _, stage in stages):
        return set()
    return set(involved(file, stages)) - _allowed(file, stages)


def must_be_free(file: CaseFile, login: str, stages: Sequence[tuple[Pack, Stage]]) -> None:
    """Raises Refused where the case is in a stage that `login` may not decide, having been involved before it."""
    if not any(stage.reviewer == "not_involved" for _, stage in stages):
        return
    found = involved(file, stages)
    if login not in found or login in _allowed(file, stages):
        return
    pack, stage = next((pack, stage) for pack, stage in stages if stage.reviewer == "not_involved")
    raise Refused(
        f"{login} {found[login]} before, and '{stage.name}' of {file.row.reference} is for somebody who was not "
        f"involved ({pack.name}); {_way_out(file, found)}."
    )


def _way_out(file: CaseFile, found: Iterable[str]) -> str:
    settings = file.office.settings
    taken = set(found)
    others = [one.login for one in settings.handler if one.role != "auditor" and one.login not in taken]
    who = " or ".join(supervisors(settings)) or "you"
    word = f"{who} can allow it with a reason: amends assign {file.row.reference} LOGIN --override REASON"
    return f"give it to {', '.join(others)}, or {word}" if others else word


def allow(file: CaseFile, login: str, reason: str, stages: Sequence[tuple[Pack, Stage]], *, actor: Actor) -> None:
    """A supervisor's word that somebody who was involved may decide the review, on the record; the caller keeps why.

    Raises Refused for anybody else, and where `login` needs no such word.
    """
    them = supervisors(file.office.settings)
    if actor.role != "supervisor" and them:
        raise Refused(f"To let somebody decide who was involved is a supervisor's word; ask {', '.join(them)}.")
    if login not in involved(file, stages):
        raise Refused(f"{login} was not involved in {file.row.reference} before; leave --override out.")
    file.record("involvement-allowed", login=login, digest=words_seal(file.row, reason))


def release(file: CaseFile) -> None:
    """A stage begins that is for somebody who was not involved: a handler who was has the case no longer."""
    handler = file.row.handler
    if handler is None or handler not in involved(file):
        return
    file.record("assigned", before=handler, after=None, because="the review is for somebody who was not involved")
    file.row.handler = None
    file.touch()
