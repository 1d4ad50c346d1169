"""What the views answer with: frozen values that know nothing of SQL, so that a screen can be drawn without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from amends.kernel.instants import iso

PROMISED: Final = "@promise"
"""What stands for the pack of a deadline that a letter of ours promised: it rests on no rule."""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A case as one line of a list.  Text is a stranger's: clean it before it reaches a terminal."""

    id: int
    reference: str
    subject: str
    complainant_name: str
    complainant_address: str
    stage: str
    is_open: bool
    waiting: str | None
    severity: str | None
    handler: str | None
    received_at: datetime
    deadline: str | None
    due_at: datetime | None
    due_state: str | None
    messages: int
    unread: int
    vulnerable: bool
    escalated: bool
    undelivered: bool
    history: bool
    version: int
    paused: bool = False
    """Whether the clock of its next deadline stands still."""
    label: str = ""
    """The short name of its next deadline, as the pack has it; filled by `queue_rows` and `legible_queue`."""
    pack: str = ""
    """The pack of its next deadline; filled by the same."""

    def as_json(self) -> dict[str, Any]:
        deadline = {"kind": self.deadline, "due_at": iso(self.due_at), "state": self.due_state} if self.due_at else None
        return {
            "reference": self.reference,
            "subject": self.subject,
            "complainant": {"name": self.complainant_name, "address": self.complainant_address},
            "stage": self.stage,
            "waiting": self.waiting,
            "severity": self.severity,
            "handler": self.handler,
            "received_at": iso(self.received_at),
            "next_deadline": deadline,
            "messages": self.messages,
            "unread": self.unread,
        }


@dataclass(frozen=True, slots=True)
class View:
    """Which cases a list shows, always most urgent first.

    `handler`: only this login's; "" means nobody's.  `late_at`, `due_before`: by the next deadline.
    """

    name: str = "Open"
    handler: str | None = None
    late_at: datetime | None = None
    due_before: datetime | None = None
    waiting: bool | None = None
    undelivered: bool | None = None
    vulnerable: bool | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers over a list: in the view, late, due by `today_end`, due by `soon_end`."""

    total: int
    late: int
    today: int
    soon: int


@dataclass(frozen=True, slots=True)
class PauseView:
    """A time in which a clock stood still; `ends_at` is None while it lasts, `until` is its latest end."""

    begins_at: datetime
    until: datetime
    ends_at: datetime | None
    reason: str
    approver: str
    zone: ZoneInfo

    def days(self, now: datetime) -> int:
        """The local days at whose end the clock stood still, up to now."""
        end = self.ends_at or min(now, self.until)
        return max(0, (end.astimezone(self.zone).date() - self.begins_at.astimezone(self.zone).date()).days)

    def as_json(self) -> dict[str, Any]:
        return {
            "begins_at": iso(self.begins_at),
            "until_at": iso(self.until),
            "ends_at": _iso(self.ends_at),
            "reason": self.reason,
            "approver": self.approver,
        }


@dataclass(frozen=True, slots=True)
class DeadlineView:
    id: int
    pack: str
    kind: str
    label: str
    occurrence: int
    due_at: datetime
    due_date: str
    state: str
    basis: str
    met_at: datetime | None
    breached_at: datetime | None
    derivation: tuple[str, ...]
    pauses: tuple[PauseView, ...] = ()
    """The times in which its clock stood still, in their order."""
    paused_days: int = 0
    """The local days at whose end it did, up to now."""


@dataclass(frozen=True, slots=True)
class AttachmentView:
    name: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message of a case; `letter_id` is set on those that we sent."""

    id: int
    direction: str
    at: datetime
    message_id: str
    from_name: str
    from_address: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    kind: str
    text: str
    new_text: str
    attachments: tuple[AttachmentView, ...]
    match: Mapping[str, Any]
    flags: tuple[str, ...]
    defects: tuple[str, ...]
    authentication: Mapping[str, Any]
    letter_id: int | None
    read: bool


@dataclass(frozen=True, slots=True)
class LetterView:
    id: int
    case_id: int | None
    reference: str | None
    kind: str
    template: str
    state: str
    automatic: bool
    staff: bool
    author: str
    to_name: str
    to_address: str
    subject: str
    body: str
    message_id: str | None
    created_at: datetime
    queued_at: datetime | None
    next_try_at: datetime | None
    sent_at: datetime | None
    tries: int
    error: str | None
    case_version: int
    facts: Mapping[str, Any]

    @property
    def counts_as(self) -> str:
        """The letter of a policy pack that it was named as, by its id; "" for none."""
        return str(self.facts.get("counts_as", ""))

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "case": self.reference,
            "template": self.template,
            "state": self.state,
            "message_id": self.message_id,
            "to": self.to_address,
            "subject": self.subject,
            "queued_at": _iso(self.queued_at),
            "sent_at": _iso(self.sent_at),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class NoteView:
    id: int
    at: datetime
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class EventView:
    seq: int
    at: datetime
    actor: str
    kind: str
    data: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class ParticipantView:
    address: str
    name: str
    role: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case whole, as one consistent look."""

    row: QueueRow
    outcome: str | None
    remedy: str | None
    remedy_amount: str | None
    root_cause: str | None
    complexity: str
    impact: str
    immediate_action: bool
    waiting_reason: str | None
    language: str
    pack: str
    pack_version: str
    acknowledged_at: datetime | None
    responded_at: datetime | None
    closed_at: datetime | None
    deadlines: tuple[DeadlineView, ...]
    messages: tuple[MessageView, ...]
    letters: tuple[LetterView, ...]
    notes: tuple[NoteView, ...]
    events: tuple[EventView, ...]
    participants: tuple[ParticipantView, ...]
    merged_into: str | None = None
    merged: tuple[str, ...] = ()
    """The cases that were merged into this one, by their references."""
    links: tuple[tuple[str, str], ...] = ()
    """(reference, kind) of the cases it is linked with: related, split, follows."""
    packs: tuple[tuple[str, str], ...] = ()
    """(id, version) of the policy packs that apply beside `pack`."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What is known of the case, as its packs ask, by name."""

    def label_of(self, deadline: DeadlineView) -> str:
        """The short name of one of its deadlines, with the pack where several apply."""
        several = self.packs and deadline.pack != PROMISED
        return f"{deadline.label} ({deadline.pack})" if several else deadline.label

    def as_json(self) -> dict[str, Any]:
        return self.row.as_json() | {
            "outcome": self.outcome,
            "remedy": _remedy(self.remedy, self.remedy_amount),
            "root_cause": self.root_cause,
            "merged_into": self.merged_into,
            "merged": list(self.merged),
            "facts": dict(self.facts),
            "linked": [{"case": reference, "kind": kind} for reference, kind in self.links],
            "deadlines": [
                {
                    **({"pack": d.pack} if self.packs else {}),
                    "kind": d.kind,
                    "due_at": iso(d.due_at),
                    "state": d.state,
                    "basis": d.basis,
                    "met_at": _iso(d.met_at),
                    "derivation": list(d.derivation),
                    "paused_days": d.paused_days,
                    "pauses": [one.as_json() for one in d.pauses],
                }
                for d in self.deadlines
            ],
            "messages": [
                {
                    "message_id": m.message_id,
                    "direction": m.direction,
                    "at": iso(m.at),
                    "from": {"name": m.from_name, "address": m.from_address},
                    "to": list(m.to),
                    "subject": m.subject,
                    "kind": m.kind,
                    "text": m.text,
                    "new_text": m.new_text,
                    "attachments": [
                        {"name": a.name, "media_type": a.media_type, "size": a.size, "sha256": a.sha256}
                        for a in m.attachments
                    ],
                    "match": _said_on(m.match, self.row.reference),
                }
                for m in self.messages
            ],
            "letters": [letter.as_json() for letter in self.letters],
            "notes": [{"at": iso(n.at), "author": n.author, "text": n.text} for n in self.notes],
            "events": [
                {"at": iso(e.at), "actor": e.actor, "kind": e.kind, "data": _with_instants(e.data), "hash": e.hash}
                for e in self.events
            ],
        }


def _said_on(match: Mapping[str, Any], reference: str) -> dict[str, Any] | None:
    """Why a message stands on its case; one that opened it was matched with none, and was filed on it all the same."""
    return {**match, "case": match.get("case") or reference} if match else None


def _with_instants(data: Any) -> Any:
    """The data of an event with its instants (keys that end in _at) as everywhere else in JSON; the seal keeps its own.

    What is no instant with a zone stays as it is.
    """
    if isinstance(data, Mapping):
        return {
            name: _as_instant(value) if name.endswith("_at") and isinstance(value, str) else _with_instants(value)
            for name, value in data.items()
        }
    return [_with_instants(one) for one in data] if isinstance(data, list | tuple) else data


def _as_instant(value: str) -> str:
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return value
    return value if instant.tzinfo is None else iso(instant)


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else iso(instant)


def _remedy(words: str | None, amount: str | None) -> dict[str, Any] | None:
    return None if words is None and amount is None else {"description": words, "amount": amount}


@dataclass(frozen=True, slots=True)
class ArrivalView:
    """A message that waits for a handler's word, or that could not be filed."""

    id: int
    state: str
    received_at: datetime
    sender: str
    subject: str
    reason: str
    candidates: tuple[Mapping[str, Any], ...]
    message_id: int | None
    raw_id: int

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "received_at": iso(self.received_at),
            "from": self.sender,
            "subject": self.subject,
            "reason": self.reason,
            "candidates": [dict(c) for c in self.candidates],
        }


@dataclass(frozen=True, slots=True)
class DutyView:
    name: str
    state: str
    since: datetime
    beat_at: datetime
    last_error: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many wait where, for the tabs and for `amendsd status`."""

    held: int
    quarantined: int
    queued: int
    uncertain: int
    failed: int
    oldest_queued: datetime | None
