"""What reading makes of one message.  Frozen, picklable (it comes back from a worker process), and clean:

every string here is valid Unicode without lone surrogates or NUL and can be stored, but it is still a stranger's
text: it goes through `amends.kernel.text.clean` again before it reaches a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What kind of mail a message is; only a person's is a complaint by itself."""

    PERSON = "person"
    AUTO_REPLY = "auto-reply"
    BOUNCE = "bounce"
    BULK = "bulk"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name (may be empty) and an addr-spec in lower case (may be empty if there was none)."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached file: `name` is a label and never a path; `sha256` is of the decoded bytes (hex)."""

    name: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The facts of one message.

    Message-IDs (`message_id`, `in_reply_to`, `references`) are without angle brackets and white space; an empty
    `message_id` means the message had none.  `date` is the sender's claim and is only ever shown.
    `text` is the whole readable text, `new_text` what its writer added; both use \\n.
    `language` is an ISO 639-1 code or None.  `permanent_failure` is None unless `kind` is a bounce; it is False for
    a failure that passes, and for a delay.  `gave_up` says which: the mail of a bounce that has not given up is still
    on its way.
    `failed_message_ids` are the Message-IDs of ours that a bounce quotes.
    """

    sha256: str
    size: int
    message_id: str = ""
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    date: datetime | None = None
    subject: str = ""
    sender: Mailbox = Mailbox("", "")
    reply_to: tuple[Mailbox, ...] = ()
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    delivered_to: tuple[str, ...] = ()
    text: str = ""
    new_text: str = ""
    language: str | None = None
    attachments: tuple[Attachment, ...] = ()
    kind: Kind = Kind.PERSON
    answerable: bool = False
    not_answerable_because: str = ""
    failed_recipients: tuple[str, ...] = ()
    permanent_failure: bool | None = None
    gave_up: bool = False
    failed_message_ids: tuple[str, ...] = ()
    authentication: dict[str, str] = field(default_factory=dict)
    defects: tuple[str, ...] = ()
