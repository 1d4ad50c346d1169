"""The kinds of letters, and what a letter may know of its case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final


class LetterKind(StrEnum):
    """What a letter is for; the value names its template, and its Message-ID."""

    ACKNOWLEDGEMENT = "acknowledgement"
    PROGRESS_UPDATE = "progress-update"
    HOLDING = "holding"  # we need longer, and here is why
    FINAL_RESPONSE = "final-response"
    STATUS_ANSWER = "status-answer"  # to somebody who asked how the case stands
    TOO_LARGE = "too-large"  # to a reply of which only the beginning could be taken in
    PAUSE = "pause"  # we wait for you, and until then our clock stands still
    REPLY = "reply"  # a handler's letter about anything else
    STAFF_WARNING = "staff-warning"
    STAFF_ESCALATION = "staff-escalation"
    STAFF_DIGEST = "staff-digest"

    @property
    def for_staff(self) -> bool:
        return self in (LetterKind.STAFF_WARNING, LetterKind.STAFF_ESCALATION, LetterKind.STAFF_DIGEST)

    @property
    def template(self) -> str:
        """Its place in the folder of a language, without the ending."""
        return f"staff/{self.removeprefix('staff-')}" if self.for_staff else str(self)


@dataclass(frozen=True, slots=True)
class StaffLine:
    """One deadline of one case in a letter to staff."""

    reference: str
    subject: str
    deadline: str
    due_at: datetime
    handler: str = ""


@dataclass(frozen=True, slots=True)
class LetterFacts:
    """What a template may know: words and instants, nothing that acts.  An empty string or None means: not known.

    Instants are aware; the letter says them as days in `timezone`, in the words of its own language.  A deadline is
    an instant at which something is missed, so one at midnight belongs to the day that ends with it.
    """

    organisation: str
    organisation_address: str
    reference: str
    received_at: datetime
    timezone: str = "UTC"
    language: str = ""
    """ISO 639-1, of the complainant; empty, or one without letters: the organisation's first."""
    region: str = ""
    """Where the organisation is (GB-ENG): it decides how a date is written."""
    phone: str = ""
    website: str = ""
    external_review: str = ""
    subject: str = ""
    complainant: str = ""
    """The display name as it came; the letter greets by it only if it looks like a name."""
    response_due: datetime | None = None
    update_due: datetime | None = None
    promised: datetime | None = None
    """Until when a handler promises something, and what: `promise`; empty for another word of ours."""
    promise: str = ""
    written_at: datetime | None = None
    """When the letter is written: a date that has passed by then is not promised again."""
    stage: str = ""
    """Where the case stands, as `cases.stages` names it."""
    too_large: str = ""
    """How large the message is that was too large to be stored whole (`41 MB`); empty: it was not."""
    size_limit: str = ""
    """How large one message may be (`35 MB`)."""
    handler: str = ""
    outcome: str = ""
    remedy: str = ""
    reasons: str = ""
    next_steps: str = ""
    deadline: str = ""
    deadline_due: datetime | None = None
    basis: str = ""
    derivation: tuple[str, ...] = ()
    """How the day was counted, step by step."""
    told_at: datetime | None = None
    """When staff should have been told, if they are told late."""
    former: str = ""
    """Who had the case until it became somebody else's by the same breach."""
    missing: str = ""
    """Why the letter that is demanded does not go out by itself; several lines."""
    missed: tuple[StaffLine, ...] = ()
    due_today: tuple[StaffLine, ...] = ()
    due_soon: tuple[StaffLine, ...] = ()
    more: str = ""
    """How many further deadlines the lists leave out."""


# What only a person can say; a draft shows it as a gap, and a letter with a gap does not leave.
GAPS: Final = {
    "en": {
        "outcome": "your decision: upheld, partly upheld or not upheld",
        "reasons": "what you looked into, what you found, and why, point by point",
        "remedy": "what you will do to put it right, and by when; delete this paragraph if there is nothing",
        "next_steps": "what happens next",
        "message": "your message",
    }
}

_LINE: Final = StaffLine(
    "NW-2026-000042-17", "No heating since Friday", "FINAL", datetime(2026, 12, 21, 17, 0, tzinfo=UTC), "Amara Osei"
)
SAMPLE: Final = LetterFacts(
    organisation="Northwind Homes",
    organisation_address="complaints@northwind.example",
    reference="NW-2026-000042-17",
    received_at=datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
    timezone="Europe/London",
    region="GB-ENG",
    phone="020 7946 0000",
    website="https://northwind.example",
    external_review="You can ask the ombudsman to look at it.\nTheir service is free.",
    subject="No heating since Friday",
    complainant="Edith Kowalski",
    response_due=datetime(2026, 12, 21, 17, 0, tzinfo=UTC),
    update_due=datetime(2026, 12, 7, 17, 0, tzinfo=UTC),
    promised=datetime(2026, 11, 27, 23, 59, 59, tzinfo=UTC),
    promise="an engineer will look at the boiler",
    written_at=datetime(2026, 11, 23, 9, 5, tzinfo=UTC),
    stage="investigating",
    too_large="41 MB",
    size_limit="35 MB",
    handler="Amara Osei",
    outcome="upheld",
    remedy="We will replace the boiler by 30 November.",
    reasons="The engineer came late.\n\nWe should have told you.",
    next_steps="Our engineer will telephone you tomorrow.",
    deadline="Final response",
    deadline_due=datetime(2026, 12, 21, 17, 0, tzinfo=UTC),
    basis="ISO 10002:2018, 7.8",
    derivation=("day 0: Mon 23 Nov 2026", "day 20: Mon 21 Dec 2026, 20 working days on"),
    told_at=datetime(2026, 12, 14, 9, 0, tzinfo=UTC),
    former="Sam Price",
    missing="It does not say until when the answer is expected.",
    missed=(_LINE, _LINE),
    due_today=(_LINE,),
    due_soon=(_LINE,),
    more="12",
)
"""Facts that know everything; every template is tried with it, with `OVERDUE` and with `SPARSE`."""

OVERDUE: Final = replace(SAMPLE, written_at=datetime(2027, 1, 4, 9, 0, tzinfo=UTC))
"""The same when the day that we had promised has passed."""

SPARSE: Final = replace(
    SAMPLE,
    phone="",
    website="",
    external_review="",
    subject="",
    complainant="",
    response_due=None,
    update_due=None,
    promised=None,
    promise="",
    stage="",
    too_large="",
    size_limit="",
    handler="",
    outcome="",
    remedy="",
    reasons="",
    next_steps="",
    deadline="",
    deadline_due=None,
    basis="",
    told_at=None,
    former="",
    missing="",
    missed=(),
    due_today=(),
    due_soon=(),
    more="",
)
"""Facts that know as little as a case can."""
