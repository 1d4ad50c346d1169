"""Which case a message belongs to: pure, over what the store knows.

Evidence is weighed in this order (design: how a complaint flows, 3): a signed plus-address token; a signed Message-ID
of ours in In-Reply-To or References; any Message-ID that is already on a case; the reference in the subject.  An equal
subject or a bare number is no evidence at all: it would join two people's complaints.

What was decided is then `doubted`: mail that fails its check of authenticity, and what comes long after the case was
closed, join nothing without a handler's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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


class Proposal(StrEnum):
    """What a handler may say of a message that came long after its case was closed."""

    REVIEW = "review"  # take the old case up again, with this message on it
    NEW_CASE = "new linked case"  # it is another matter: a case of its own, linked to the old one


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of the evidence in one message; cases by their reference.

    `by_token` and `by_own_id` come from signatures that verified; `by_thread_id` maps a Message-ID (as written, newest
    first) to the case that holds it; `by_subject` are references in the subject whose cases exist.  `participants`
    has the accepted addresses of each case named.  A case that was merged stands here as the one that took it up:
    `merged` maps that one to what the mail named, and its participants are those of both.  `closed_at` has the cases
    that are closed.
    """

    by_token: tuple[str, ...] = ()
    by_own_id: tuple[str, ...] = ()
    by_thread_id: Mapping[str, str] = field(default_factory=dict)
    by_subject: tuple[str, ...] = ()
    participants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    merged: Mapping[str, str] = field(default_factory=dict)
    closed_at: Mapping[str, datetime] = field(default_factory=dict)


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
    proposals: tuple[Proposal, ...] = ()
    id_used_before: bool = False
    """Another message, with other words, came under the same Message-ID."""

    def as_json(self) -> dict[str, Any]:
        said = {
            "case": self.case,
            "because": self.because,
            "evidence": self.evidence,
            "confidence": self.confidence,
            "standing": str(self.standing),
        }
        return said | {"proposals": [str(one) for one in self.proposals]} if self.proposals else said


NEW_CASE = Match(Fate.OPEN, None, "a new complaint: nothing in it names a case")


def decide(sender: str, known: Known) -> Match:
    """Where a message from `sender` (an address in lower case) belongs.

    A signature proves that the writer holds a letter of ours, so the message joins the case even from a strange
    address, as a third party's.  Without a signature only a participant joins; anybody else is held.
    """
    match = _weighed(sender, known)
    named = known.merged.get(match.case or "")
    if named is None:
        return match
    return replace(match, because=f"{match.because}; {named} was merged into it")


def doubted(
    match: Match, known: Known, *, received_at: datetime, late_after: timedelta | None, unsafe: str = ""
) -> Match:
    """The same decision, or to hold the message where only a person may say that it joins.

    `unsafe` says why its sender may be forged, if so.  A case that was closed more than `late_after` before the message
    came is never taken up again unseen: the handler chooses a review of it or a new case linked to it.  None: whenever
    it came it may join (a machine's mail changes nothing).
    """
    if match.fate is not Fate.JOIN or match.case is None:
        return match
    if unsafe:
        because = f"{unsafe}; else it would belong to {match.case}: {match.because}"
        return _held(match, because)
    closed_at = known.closed_at.get(match.case)
    if closed_at is None or late_after is None or received_at - closed_at <= late_after:
        return match
    days = (received_at - closed_at) // timedelta(days=1)
    because = f"it came {days} days after {match.case} was closed: {match.because}"
    return replace(_held(match, because), proposals=(Proposal.REVIEW, Proposal.NEW_CASE))


def marked(match: Match) -> Match:
    """The same decision on a message whose Message-ID another one had, for whoever looks at either."""
    because = f"{match.because}; another message came before under its Message-ID"
    return replace(match, because=because, id_used_before=True)


def _held(match: Match, because: str) -> Match:
    return replace(match, fate=Fate.HOLD, case=None, because=because, candidates=(match.case or "",))


def _weighed(sender: str, known: Known) -> Match:
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
