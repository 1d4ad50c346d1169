"""Ready-made mails, offices and filed cases for the tests of every room.

    office = an_office(tmp_path)                            # SQLite at the present schema, in tmp_path
    office = an_office(tmp_path, url=database_url)          # the store of a fixture: SQLite and PostgreSQL in turn
    office = an_office(tmp_path, letters={"undo_seconds": 0}, handler=[])
    filed = file_mail(office, a_mail(subject="No heating")) # stored and filed as the daemon does it
    case = case_of(office, filed.reference)                 # the case whole
    post_all(office, now=NOW)                               # what is queued is sent, as by a server that accepts it

A mail is a `Reading` and has bytes that say the same (`bytes_of`), so that verification and reading again agree.
"""

from __future__ import annotations

import atexit
import hashlib
import itertools
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from amends.casework import intake, post
from amends.casework.actors import Actor
from amends.casework.office import Office
from amends.config import Settings
from amends.kernel.errors import NotFound
from amends.kernel.instants import wall_clock
from amends.ledger import views
from amends.ledger.book import Book
from amends.ledger.schema import migrate
from amends.mail.facts import Attachment, Kind, Mailbox, Reading

NOW: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday morning in London."""

AMARA: Final = Actor("amara", "Amara Osei", "handler")
SAM: Final = Actor("sam", "Sam Price", "supervisor")
AUDREY: Final = Actor("audrey", "Audrey Quill", "auditor")

ORGANISATION: Final[dict[str, Any]] = {
    "name": "Northwind Homes",
    "address": "complaints@northwind.example",
    "timezone": "Europe/London",
    "region": "GB-ENG",
    "reference_prefix": "NW",
}
SMTP: Final[dict[str, Any]] = {"host": "127.0.0.1", "port": 1025, "security": "none", "plus_addressing": True}
HANDLERS: Final[tuple[dict[str, Any], ...]] = (
    {"login": "amara", "name": "Amara Osei", "address": "amara@northwind.example", "role": "handler"},
    {"login": "sam", "name": "Sam Price", "address": "sam@northwind.example", "role": "supervisor"},
    {"login": "audrey", "name": "Audrey Quill", "role": "auditor"},
)

_numbers = itertools.count(1)


@cache
def _template_store() -> Path:
    """A SQLite store at the present schema, made once a process and copied for each test."""
    folder = Path(tempfile.mkdtemp(prefix="amends-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    book = Book(f"sqlite:///{folder / 'template.db'}")
    migrate(book)
    book.close()
    return folder / "template.db"


def sqlite_store(tmp_path: Path, name: str = "amends.db") -> str:
    """The URL of a new SQLite store at the present schema; one that stands there already is kept."""
    path = tmp_path / name
    if not path.exists():
        shutil.copy(_template_store(), path)
    return f"sqlite:///{path}"


def some_settings(tmp_path: Path, *, url: str | None = None, **sections: Any) -> Settings:
    """A whole configuration; a section given here takes the place of the values of the same name."""
    tree: dict[str, Any] = {"organisation": ORGANISATION, "smtp": SMTP, "handler": HANDLERS}
    for name, value in sections.items():
        tree[name] = {**tree.get(name, {}), **value} if isinstance(value, dict) else value
    return Settings(**tree, database={"url": url or sqlite_store(tmp_path)}, folder=tmp_path)


def an_office(tmp_path: Path, *, url: str | None = None, wall: Any = wall_clock, **sections: Any) -> Office:
    """An office on a new SQLite store, or on `url`; its handlers are Amara, Sam (supervisor) and Audrey (auditor)."""
    settings = some_settings(tmp_path, url=url, **sections)
    return Office(settings, Book(settings.database_url()), wall=wall)


def a_mail(
    *,
    sender: str = "edith@example.org",
    name: str = "Edith Kowalski",
    subject: str = "No heating since Friday",
    text: str = "My flat has had no heating since Friday.",
    new_text: str | None = None,
    message_id: str | None = None,
    in_reply_to: Sequence[str] | str = (),
    references: Sequence[str] = (),
    to: Sequence[str] = ("complaints@northwind.example",),
    cc: Sequence[str] = (),
    kind: Kind = Kind.PERSON,
    answerable: bool | None = None,
    date: datetime | None = NOW,
    attachments: Sequence[tuple[str, str, bytes]] = (),
    **more: Any,
) -> Reading:
    """What reading makes of a mail; each has its own Message-ID unless one is given ("" for none)."""
    if message_id is None:
        message_id = f"mail-{next(_numbers)}@mail.example.org"
    reading = Reading(
        sha256="",
        size=0,
        message_id=message_id,
        in_reply_to=(in_reply_to,) if isinstance(in_reply_to, str) else tuple(in_reply_to),
        references=tuple(references),
        date=date,
        subject=subject,
        sender=Mailbox(name, sender.lower()),
        to=tuple(Mailbox("", address) for address in to),
        cc=tuple(Mailbox("", address) for address in cc),
        text=text,
        new_text=text if new_text is None else new_text,
        attachments=tuple(
            Attachment(label, media_type, len(data), hashlib.sha256(data).hexdigest())
            for label, media_type, data in attachments
        ),
        kind=kind,
        answerable=kind is Kind.PERSON if answerable is None else answerable,
        **more,
    )
    return _sealed(reading, bytes_of(reading))


def _sealed(reading: Reading, raw: bytes) -> Reading:
    return replace(reading, sha256=hashlib.sha256(raw).hexdigest(), size=len(raw))


def bytes_of(reading: Reading, *, trace: str = "") -> bytes:
    """A mail that says what `reading` says (attachments aside); `trace` makes other bytes of the same mail."""
    fields = [
        ("Received", trace and f"from {trace} by mx.northwind.example; {format_datetime(NOW)}"),
        ("Date", reading.date and format_datetime(reading.date)),
        ("From", f"{_word(reading.sender.name)} <{reading.sender.address}>".strip()),
        ("To", ", ".join(box.address for box in reading.to)),
        ("Cc", ", ".join(box.address for box in reading.cc)),
        ("Subject", _word(reading.subject)),
        ("Message-ID", _ids([reading.message_id])),
        ("In-Reply-To", _ids(reading.in_reply_to)),
        ("References", _ids(reading.references)),
        ("Auto-Submitted", "auto-replied" if reading.kind is Kind.AUTO_REPLY else ""),
        ("Precedence", "bulk" if reading.kind is Kind.BULK else ""),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "8bit"),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields if value)
    return (head + "\r\n" + reading.text.replace("\n", "\r\n") + "\r\n").encode("utf-8", "surrogatepass")


def _word(text: str) -> str:
    return text if text.isascii() and text.isprintable() else Header(text, "utf-8").encode(linesep="\r\n")


def _ids(message_ids: Iterable[str]) -> str:
    return " ".join(f"<{one}>" for one in message_ids if one)


def store_mail(
    office: Office,
    reading: Reading,
    *,
    now: datetime = NOW,
    received_at: datetime | None = None,
    mailbox: str = "complaints",
    uidvalidity: int | None = 1,
    uid: int | None = None,
    trace: str = "",
    history: bool = False,
    left_size: int | None = None,
) -> tuple[int, Reading]:
    """Only the first step: the bytes are durable.  Returns the arrival, and the reading that fits these bytes."""
    raw = bytes_of(reading, trace=trace)
    uid = next(_numbers) if uid is None and uidvalidity is not None else uid
    incoming = intake.Incoming(mailbox, uidvalidity, uid, raw, received_at or now, history, left_size=left_size)
    (stored,) = intake.store(office, [incoming], now=now)
    return stored.arrival_id, _sealed(reading, raw)


def file_mail(office: Office, reading: Reading, *, now: datetime = NOW, **how: Any) -> intake.Filed:
    """Store and file one mail, as intake does; `how` goes to `store_mail`."""
    arrival_id, sealed = store_mail(office, reading, now=now, **how)
    (filed,) = intake.file(office, [(arrival_id, sealed)], now=now)
    return filed


def open_case(office: Office, reading: Reading | None = None, *, now: datetime = NOW, **how: Any) -> int:
    """The id of a new case that this mail opened."""
    filed = file_mail(office, reading or a_mail(), now=now, **how)
    assert filed.state == "filed", filed
    return id_of(office, filed.reference or "")


def id_of(office: Office, reference: str) -> int:
    """The id of a case.  Raises NotFound."""
    with office.book.read() as session:
        found = views.case_id(session, reference)
    if found is None:
        raise NotFound(f"There is no case {reference}.")
    return found


def case_of(office: Office, case: int | str | None, *, now: datetime = NOW) -> views.CaseView:
    """The case whole, by its id or its reference."""
    case_id = case if isinstance(case, int) else id_of(office, case or "")
    with office.book.read() as session:
        return views.case(session, case_id, now=now)


def post_all(
    office: Office, *, now: datetime = NOW, result: post.Result | None = None, owner: str = "test"
) -> list[post.Claimed]:
    """Carry every letter whose time has come to a server that accepts it (or gives `result`); returns what went."""
    gone: list[post.Claimed] = []
    while claimed := post.claim(office, owner, now=now):
        for letter in claimed:
            assert post.before_dot(office, owner, letter.letter_id, now=now)
            outcome = result if result is not None else post.Accepted("250 2.0.0 Ok: queued as TEST")
            post.record(office, owner, [post.Carried(letter.letter_id, outcome)], now=now)
        gone.extend(claimed)
    return gone


def post_and_die(office: Office, *, now: datetime) -> None:
    """Every letter whose time has come is accepted, and the daemon dies before it wrote down what that means."""
    for letter in post.claim(office, "dead", now=now):
        assert post.before_dot(office, "dead", letter.letter_id, now=now)
        accepted = post.Carried(letter.letter_id, post.Accepted("250 2.0.0 Ok: queued as TEST"))
        post.before_dots(office, "dead", {}, accepted=[accepted], now=now)


def find_what_left(office: Office, *, now: datetime) -> None:
    """The next daemon finds what the dead one had begun."""
    post.release(office, owner_is_dead=lambda owner: owner == "dead", now=now)


def later(**span: float) -> datetime:
    """NOW and so many days, hours, minutes on."""
    return NOW + timedelta(**span)
