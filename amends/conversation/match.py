"""Which case a message belongs to: pure, over what the store knows.

Evidence is weighed in this order (design: how a complaint flows, 3): a signed plus-address token; a signed Message-ID
of ours in In-Reply-To or References; any Message-ID that is already on a case; the reference in the subject.  An equal
subject or a bare number is no evidence at all: it would join two people's complaints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Fate(StrEnum):
    JOIN = "join"  # the message belongs to the case
    HOLD = "hold"  # perhaps: a handler decides
    OPEN = "open"  # no case is meant: a new one


class Standing(StrEnum):
    """What the sender is to the case."""

    PARTICIPANT = "participant"
    THIRD_PARTY = "third party"


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of the evidence in one message; cases by their reference.

    `by_token` and `by_own_id` come from signatures that verified; `by_thread_id` maps a Message-ID (as written, newest
    first) to the case that holds it; `by_subject` are references in the subject whose cases exist.  `participants`
    has the accepted addresses of each case named.
    """

    by_token: tuple[str, ...] = ()
    by_own_id: tuple[str, ...] = ()
    by_thread_id: Mapping[str, str] = field(default_factory=dict)
    by_subject: tuple[str, ...] = ()
    participants: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """The decision with its reason, as the ledger and the screen show it."""

    fate: Fate
    case: str | None
    because: str
    evidence: str = ""
    confidence: str = "certain"
    standing: Standing = Standing.PARTICIPANT
    candidates: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "case": self.case,
            "because": self.because,
            "evidence": self.evidence,
            "confidence": self.confidence,
            "standing": str(self.standing),
        }


NEW_CASE = Match(Fate.OPEN, None, "a new complaint: nothing in it names a case")


def decide(sender: str, known: Known) -> Match:
    """Where a message from `sender` (an address in lower case) belongs.

    A signature proves that the writer holds a letter of ours, so the message joins the case even from a strange
    address, as a third party's.  Without a signature only a participant joins; anybody else is held.
    """
    for because, cases in (
        ("the signed address it was sent to", known.by_token),
        ("a signed letter of ours that it answers", known.by_own_id),
    ):
        if cases:
            return _signed(sender, cases, because, known)
    if known.by_thread_id:
        return _threaded(sender, known)
    if known.by_subject:
        return _by_subject(sender, known)
    return NEW_CASE


def _is_participant(sender: str, case: str, known: Known) -> bool:
    return sender in known.participants.get(case, frozenset())


def _signed(sender: str, cases: tuple[str, ...], because: str, known: Known) -> Match:
    distinct = tuple(dict.fromkeys(cases))
    mine = [case for case in distinct if _is_participant(sender, case, known)]
    case = mine[0] if mine else distinct[0]
    if len(distinct) > 1 and not mine:
        return Match(
            Fate.HOLD, None, "it answers letters of several cases", ", ".join(distinct), "low", candidates=distinct
        )
    standing = Standing.PARTICIPANT if mine else Standing.THIRD_PARTY
    return Match(Fate.JOIN, case, because, case, "certain", standing)


def _threaded(sender: str, known: Known) -> Match:
    for message_id, case in known.by_thread_id.items():
        if _is_participant(sender, case, known):
            return Match(Fate.JOIN, case, "a message of this case that it answers", message_id, "high")
    cases = tuple(dict.fromkeys(known.by_thread_id.values()))
    message_id = next(iter(known.by_thread_id))
    because = "it answers a message of this case, but its sender does not belong to it"
    return Match(Fate.HOLD, None, because, message_id, "medium", Standing.THIRD_PARTY, cases)


def _by_subject(sender: str, known: Known) -> Match:
    for case in known.by_subject:
        if _is_participant(sender, case, known):
            return Match(Fate.JOIN, case, "the reference in its subject, from a participant", case, "high")
    because = "its subject names this case, but its sender does not belong to it"
    return Match(Fate.HOLD, None, because, known.by_subject[0], "low", Standing.THIRD_PARTY, known.by_subject)
