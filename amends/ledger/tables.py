"""The tables.  They are storage, not truth: values are parsed before they reach a row.

Personal data stands in rows with a `salt`; the events hold salted digests of it, so that it can be erased one day
without breaking a chain.  Migrations make the schema (`migrations/`); a test holds the two together.  Which rows an
index leaves out is said by its migration alone: said here, it would load the rules of both databases at every start.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from amends.ledger.columns import Exact, Instant
from amends.ledger.shapes import PROMISED as PROMISED

# SQLite gives a rowid only to INTEGER; PostgreSQL shall not run out of numbers.
_Id = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Any:
    return Field(default=None, sa_column=Column(_Id, primary_key=True, autoincrement=True))


class _Table(SQLModel):
    # Rows are never validated by pydantic, and what would do it costs a tenth of a second to build at every start.
    model_config = {"defer_build": True}


class Meta(_Table, table=True):
    """One value a name: the schema's own facts, keys, the clock's anchor and high-water mark."""

    __tablename__ = "meta"
    name: str = Field(primary_key=True)
    value: str = Field(sa_type=Text)


class Counter(_Table, table=True):
    """The last serial given a prefix and year; raised in the transaction that uses it, so numbers have no gaps."""

    __tablename__ = "counters"
    prefix: str = Field(primary_key=True)
    year: int = Field(primary_key=True)
    value: int


class Lease(_Table, table=True):
    """Who does a duty, until when.

    `epoch` grows with every new owner and tells the reigns apart; an owner that lost the lease learns so when it renews
    it, and until then what it does is kept safe by the locks and keys of the rows it touches.
    """

    __tablename__ = "leases"
    role: str = Field(primary_key=True)
    owner: str
    epoch: int
    until: datetime = Field(sa_type=Instant)


class Duty(_Table, table=True):
    """The health of one duty of the daemon, for `amendsd status` and the top line of the screens."""

    __tablename__ = "duties"
    name: str = Field(primary_key=True)
    state: str
    since: datetime = Field(sa_type=Instant)
    beat_at: datetime = Field(sa_type=Instant)
    last_error: str | None = Field(default=None, sa_type=Text)
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


class Raw(_Table, table=True):
    """The bytes of one message as they came, once, compressed (zstd); `sha256` is of the bytes themselves."""

    __tablename__ = "raws"
    id: int | None = _id()
    sha256: str = Field(unique=True)
    size: int
    zstd: bytes = Field(sa_type=LargeBinary)


class Arrival(_Table, table=True):
    """One message on a server (mailbox, UIDVALIDITY, UID), or one file taken in; every one of them has a fate.

    `state`: stored, filed, duplicate, own, quarantined, held, dismissed.  `uid` is null for a file.  `left_size` is
    null where the bytes are whole; else only the beginning is stored, and the whole of so many bytes (0: nobody knows)
    lies on the server.
    """

    __tablename__ = "arrivals"
    __table_args__ = (
        UniqueConstraint("mailbox", "uidvalidity", "uid"),
        Index("ix_arrivals_raw", "raw_id"),
        Index("ix_arrivals_state", "state", "id"),
    )
    id: int | None = _id()
    mailbox: str
    uidvalidity: int | None = Field(default=None, sa_type=BigInteger)
    uid: int | None = Field(default=None, sa_type=BigInteger)
    raw_id: int = Field(foreign_key="raws.id", sa_type=BigInteger)
    received_at: datetime = Field(sa_type=Instant)
    stored_at: datetime = Field(sa_type=Instant)
    history: bool = False
    state: str = "stored"
    tries: int = 0
    reason: str | None = Field(default=None, sa_type=Text)
    candidates: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    sender: str = ""
    subject: str = Field(default="", sa_type=Text)
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    moved_at: datetime | None = Field(default=None, sa_type=Instant)
    left_size: int | None = Field(default=None, sa_type=BigInteger)


class Incident(_Table, table=True):
    """What should not have happened to a mailbox, said once for each `key`, until it is settled."""

    __tablename__ = "incidents"
    key: str = Field(primary_key=True)
    mailbox: str
    at: datetime = Field(sa_type=Instant)
    words: str = Field(sa_type=Text)
    settled_at: datetime | None = Field(default=None, sa_type=Instant)
    settled_because: str | None = Field(default=None, sa_type=Text)


class Case(_Table, table=True):
    """One complaint from receipt to closure, as it stands now; how it got there is in its events.

    `version` grows with every change that a letter-writer must know of.  `next_due_at`, `next_deadline` and
    `next_paused` repeat the earliest deadline that is not met, so that the queue is one index scan.  `merged_into` is
    the case that took this one up: it is closed, and what answers it reaches that one.  `packs` are the others that
    apply beside `pack`, as [id, version]; `facts` is what is known, by name, and `happened` when each event last
    happened, by pack.
    """

    __tablename__ = "cases"
    __table_args__ = (
        UniqueConstraint("prefix", "year", "serial"),
        Index("ix_cases_queue", "is_open", "next_due_at", "id"),
        Index(
            "ix_cases_listed",  # in the order of the queue, and with all that its views and numbers ask
            text("undelivered DESC"),
            text("(next_due_at IS NULL)"),
            *("next_due_at", "id", "is_open", "unread", "handler", "waiting", "vulnerable"),
        ),
        Index("ix_cases_handler", "handler", "is_open"),
        Index("ix_cases_complainant", "complainant_address"),
        Index("ix_cases_merged", "merged_into"),
    )
    id: int | None = _id()
    reference: str = Field(unique=True)
    prefix: str
    year: int
    serial: int
    subject: str = Field(sa_type=Text)
    complainant_name: str
    complainant_address: str
    salt: str
    language: str
    stage: str
    is_open: bool = True
    waiting: str | None = None
    waiting_reason: str | None = Field(default=None, sa_type=Text)
    handler: str | None = None
    severity: str | None = None
    complexity: str = ""
    impact: str = ""
    immediate_action: bool = False
    vulnerable: bool = False
    escalated: bool = False
    undelivered: bool = False
    history: bool = False
    received_at: datetime = Field(sa_type=Instant)
    opened_at: datetime = Field(sa_type=Instant)
    acknowledged_at: datetime | None = Field(default=None, sa_type=Instant)
    responded_at: datetime | None = Field(default=None, sa_type=Instant)
    closed_at: datetime | None = Field(default=None, sa_type=Instant)
    outcome: str | None = None
    remedy: str | None = Field(default=None, sa_type=Text)
    remedy_amount: Decimal | None = Field(default=None, sa_type=Exact)
    remedy_currency: str | None = None
    root_cause: str | None = Field(default=None, sa_type=Text)
    pack: str
    pack_version: str
    packs: list[list[str]] = Field(default_factory=list, sa_type=JSON)
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    happened: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    merged_into: int | None = Field(default=None, sa_type=BigInteger)
    next_due_at: datetime | None = Field(default=None, sa_type=Instant)
    next_deadline: str | None = None
    next_paused: bool = False
    messages_in: int = 0
    messages_out: int = 0
    unread: int = 0
    version: int = 1
    chain_length: int = 0
    chain_head: str = ""


class Participant(_Table, table=True):
    """An address that belongs to a case; until `accepted`, nothing about the case goes to it."""

    __tablename__ = "participants"
    __table_args__ = (Index("ix_participants_address", "address"),)
    case_id: int = Field(primary_key=True, foreign_key="cases.id", sa_type=BigInteger)
    address: str = Field(primary_key=True)
    name: str = ""
    role: str = "complainant"
    accepted: bool = True


class Link(_Table, table=True):
    """Two cases that belong together: `case_id` is the earlier one.

    `kind`: related (a handler says so), split (the later one was split off), follows (it goes on after the closure).
    """

    __tablename__ = "links"
    __table_args__ = (Index("ix_links_other", "other_id"),)
    case_id: int = Field(primary_key=True, foreign_key="cases.id", sa_type=BigInteger)
    other_id: int = Field(primary_key=True, foreign_key="cases.id", sa_type=BigInteger)
    kind: str = "related"


class Blocked(_Table, table=True):
    """An address that no automatic letter goes to, since when and why; for ever, or until an instant.

    `case_id` is the case on which it showed.
    """

    __tablename__ = "blocked"
    address: str = Field(primary_key=True)
    since: datetime = Field(sa_type=Instant)
    until: datetime | None = Field(default=None, sa_type=Instant)
    because: str = Field(sa_type=Text)
    case_id: int = Field(foreign_key="cases.id", sa_type=BigInteger)


class Message(_Table, table=True):
    """One e-mail in or out.  A held one has no case yet.  The bytes are in `raws`, the rest was read from them."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_case", "case_id", "id"),
        Index("ix_messages_content", "content_key"),
    )
    id: int | None = _id()
    case_id: int | None = Field(default=None, foreign_key="cases.id", sa_type=BigInteger)
    raw_id: int | None = Field(default=None, foreign_key="raws.id", sa_type=BigInteger)
    letter_id: int | None = Field(default=None, sa_type=BigInteger)
    direction: str
    at: datetime = Field(sa_type=Instant)
    message_id: str = Field(sa_type=Text)
    in_reply_to: str = Field(default="", sa_type=Text)
    refs: list[str] = Field(default_factory=list, sa_type=JSON)
    from_name: str = ""
    from_address: str = ""
    to: list[str] = Field(default_factory=list, sa_type=JSON)
    cc: list[str] = Field(default_factory=list, sa_type=JSON)
    subject: str = Field(default="", sa_type=Text)
    text: str = Field(default="", sa_type=Text)
    new_text: str = Field(default="", sa_type=Text)
    language: str | None = None
    kind: str
    answerable: bool = False
    content_key: str = ""
    match: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    flags: list[str] = Field(default_factory=list, sa_type=JSON)
    authentication: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    defects: list[str] = Field(default_factory=list, sa_type=JSON)
    salt: str = ""
    read_at: datetime | None = Field(default=None, sa_type=Instant)


class Attachment(_Table, table=True):
    __tablename__ = "attachments"
    __table_args__ = (Index("ix_attachments_message", "message_id"),)
    id: int | None = _id()
    message_id: int = Field(foreign_key="messages.id", sa_type=BigInteger)
    name: str = Field(sa_type=Text)
    media_type: str = Field(sa_type=Text)
    size: int
    sha256: str


class ThreadId(_Table, table=True):
    """A Message-ID (ours, theirs, or one they referred to) and the case it speaks of."""

    __tablename__ = "thread_ids"
    digest: str = Field(primary_key=True)
    case_id: int = Field(primary_key=True, foreign_key="cases.id", sa_type=BigInteger)
    source: str


class Note(_Table, table=True):
    """A staff note; never quoted in a letter."""

    __tablename__ = "notes"
    __table_args__ = (Index("ix_notes_case", "case_id"),)
    id: int | None = _id()
    case_id: int = Field(foreign_key="cases.id", sa_type=BigInteger)
    at: datetime = Field(sa_type=Instant)
    author: str
    text: str = Field(sa_type=Text)
    salt: str


class Deadline(_Table, table=True):
    """One obligation on one case, by the rule `kind` of a pack.

    `ticks` is its plan: [[instant, action, step, to], ...] in order of time.

    `state` is open, paused, met, breached or cancelled; `settled_at` says since when nothing more is owed.
    The clock fires plan entry `tick_no` when `tick_at` has come, and looks again under the lock of the case, so each
    fires once.
    `moved` is how often it was given more time.  `pauses` are the times in which its clock stood still, in their order
    (`plans.pauses_of` reads them); of one that lasts `ends_at` is null, and it is over by `until` at the latest.
    `breached_at` is never taken back, unless it turns out that a letter of ours had left in time; a breached deadline
    may still be met, late.
    """

    __tablename__ = "deadlines"
    __table_args__ = (
        UniqueConstraint("case_id", "pack", "kind", "occurrence"),
        Index("ix_deadlines_tick", "tick_at"),
    )
    id: int | None = _id()
    case_id: int = Field(foreign_key="cases.id", sa_type=BigInteger)
    pack: str = ""
    pack_version: str = ""
    stage: str = ""
    kind: str
    label: str
    occurrence: int = 1
    basis: str = Field(sa_type=Text)
    starts_at: datetime = Field(sa_type=Instant)
    due_at: datetime = Field(sa_type=Instant)
    due_date: str
    derivation: list[str] = Field(default_factory=list, sa_type=JSON)
    met_by: list[str] = Field(default_factory=list, sa_type=JSON)
    state: str = "open"
    met_at: datetime | None = Field(default=None, sa_type=Instant)
    settled_at: datetime | None = Field(default=None, sa_type=Instant)
    breached_at: datetime | None = Field(default=None, sa_type=Instant)
    ticks: list[list[str]] = Field(default_factory=list, sa_type=JSON)
    moved: int = 0
    pauses: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    tick_no: int = 0
    tick_at: datetime | None = Field(default=None, sa_type=Instant)


class Letter(_Table, table=True):
    """An outgoing message from draft to sent or failed.

    `natural_key` says what the letter is for (case, kind, occurrence), so that it is written once.  The words and
    the bytes are made once, when it is queued, and do not change.  While `state` is sending, `dot_at` says whether
    the final dot may have gone out: before it a crash means queued again, after it uncertain.  `again` marks an
    automatic letter that answers what its address wrote just after another one: what the breaker counts.
    """

    __tablename__ = "letters"
    __table_args__ = (
        Index("ix_letters_next", "state", "next_try_at", "id"),
        Index("ix_letters_case", "case_id", "id"),
        Index("ix_letters_to", "to_address", "queued_at"),
        Index("ix_letters_automatic", "queued_at", "to_address"),
        Index("ix_letters_again", "queued_at"),
    )
    id: int | None = _id()
    case_id: int | None = Field(default=None, foreign_key="cases.id", sa_type=BigInteger)
    natural_key: str = Field(unique=True)
    kind: str
    template: str
    state: str
    automatic: bool
    staff: bool = False
    again: bool = False
    author: str
    to_name: str = ""
    to_address: str
    subject: str = Field(default="", sa_type=Text)
    body: str = Field(default="", sa_type=Text)
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    message_id: str | None = Field(default=None, unique=True)
    in_reply_to: str = Field(default="", sa_type=Text)
    raw: bytes | None = Field(default=None, sa_type=LargeBinary)
    salt: str = ""
    case_version: int = 0
    created_at: datetime = Field(sa_type=Instant)
    queued_at: datetime | None = Field(default=None, sa_type=Instant)
    next_try_at: datetime | None = Field(default=None, sa_type=Instant)
    tries: int = 0
    owner: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=Instant)
    dot_at: datetime | None = Field(default=None, sa_type=Instant)
    uncertain_at: datetime | None = Field(default=None, sa_type=Instant)
    receipt: bool = False
    sent_at: datetime | None = Field(default=None, sa_type=Instant)
    answer: str | None = Field(default=None, sa_type=Text)
    error: str | None = Field(default=None, sa_type=Text)


class Digest(_Table, table=True):
    """The daily letter to somebody of the staff, or that there was nothing to say on that day: one row for each."""

    __tablename__ = "digests"
    __table_args__ = (UniqueConstraint("login", "day"),)
    id: int | None = _id()
    login: str
    day: str
    at: datetime = Field(sa_type=Instant)
    letter_id: int | None = Field(default=None, sa_type=BigInteger)


class Notice(_Table, table=True):
    """A warning that waits for the next digest of the one whom it is for, or stood in `digest_id`."""

    __tablename__ = "notices"
    __table_args__ = (
        Index("ix_notices_waiting", "login"),  # of those without a digest
    )
    id: int | None = _id()
    login: str
    deadline_id: int = Field(foreign_key="deadlines.id", sa_type=BigInteger)
    at: datetime = Field(sa_type=Instant)
    digest_id: int | None = Field(default=None, sa_type=BigInteger)


class Event(_Table, table=True):
    """One sealed entry of a case's ledger; rows are only ever added (triggers refuse the rest)."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("case_id", "seq"),)
    id: int | None = _id()
    case_id: int = Field(foreign_key="cases.id", sa_type=BigInteger)
    seq: int
    at: datetime = Field(sa_type=Instant)
    actor: str
    kind: str
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    hash: str


class StoreEvent(_Table, table=True):
    """One sealed entry of the store's own ledger (`storewide`): what concerns no single case.  Rows are only added."""

    __tablename__ = "store_events"
    id: int | None = _id()
    seq: int = Field(unique=True)
    at: datetime = Field(sa_type=Instant)
    actor: str
    kind: str
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    hash: str
