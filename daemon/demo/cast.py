"""The cast of the demonstration: invented complainants who write by real SMTP and answer what they are sent."""

from __future__ import annotations

import re
import smtplib
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.header import Header
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP as SMTP_POLICY
from email.policy import default as default_policy
from email.utils import format_datetime, make_msgid, parseaddr
from importlib.resources import files
from typing import Any, Final

from amends.kernel.text import clean
from daemon.demo.mailserver import HOST, Hands
from daemon.demo.photos import photo

DECISION: Final = "Our answer to your complaint"  # in the subject of a final response
THINKS: Final = 15  # so many times as long as between two mails somebody takes to answer a letter
QUICK: Final = 8  # so many write in the first seconds, the rest one at a time
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail of the cast, as `cast.toml` explains it."""

    name: str
    sender: str
    address: str
    subject: str = ""
    text: str = ""
    html: str = ""
    charset: str = "utf-8"
    photos: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    to_thread: str = ""
    quote: bool = False
    mistyped: bool = False
    kind: str = "person"
    temper: str = "plain"
    content: bool = True

    @property
    def is_complaint(self) -> bool:
        """Whether this mail must open a case and be acknowledged."""
        return self.kind == "person" and not self.to_thread


@dataclass(frozen=True, slots=True)
class Answer:
    """What people of one temper say to a handler's letter, as `cast.toml` explains it."""

    temper: str
    to: str
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """Who writes what, in order, and what they answer when a handler has written to them."""

    mails: tuple[Mail, ...]
    answers: tuple[Answer, ...]

    @property
    def nobody(self) -> frozenset[str]:
        """The addresses that do not exist: letters to them bounce."""
        return frozenset(mail.address for mail in self.mails if mail.mistyped)

    @property
    def arrivals(self) -> int:
        """How many mails reach the mailbox when the script has been played: these, and a bounce a mistyped address."""
        return len(self.mails) + len(self.nobody)

    @property
    def people(self) -> tuple[Mail, ...]:
        """The first mail of each person, in whose temper they go on."""
        persons = [mail for mail in self.mails if mail.kind == "person"]
        return tuple({mail.address: mail for mail in reversed(persons)}.values())[::-1]

    def named(self, name: str) -> Mail:
        return next(mail for mail in self.mails if mail.name == name)

    def answer_of(self, person: Mail, *, to_decision: bool) -> str:
        """What this person says to a handler's letter, or to the decision on the complaint."""
        to = "letter" if not to_decision else "decision accepted" if person.content else "decision refused"
        return next(answer.text for answer in self.answers if (answer.temper, answer.to) == (person.temper, to))


def read_script() -> Script:
    """The script in `cast.toml`, which ships beside this module."""
    tree = tomllib.loads(files("daemon.demo").joinpath("cast.toml").read_text(encoding="utf-8"))
    return Script(
        mails=tuple(_mail(entry) for entry in tree["mail"]),
        answers=tuple(Answer(one["temper"], one["to"], one["text"].strip() + "\n") for one in tree["answer"]),
    )


def _mail(entry: dict[str, Any]) -> Mail:
    sender, address = parseaddr(entry.pop("from"))
    for body in ("text", "html"):
        if body in entry:
            entry[body] = entry[body].strip() + "\n"
    return Mail(sender=sender, address=address, photos=tuple(entry.pop("photos", ())), **entry)


def compose(mail: Mail, *, to: str, thread: Thread | None = None, now: datetime) -> bytes:
    """`mail` as bytes with CRLF lines, addressed to `to`, answering the acknowledgement in `thread`."""
    message = _empty(mail, now=now)
    message["To"] = recipient_of(mail, thread) or to
    subject = mail.subject or (thread.subject if thread else "")
    if subject:
        message["Subject"] = "-" if _CONTROL.search(subject) else subject
    if thread:
        message["In-Reply-To"] = thread.message_id
        message["References"] = " ".join((*thread.references, thread.message_id))
    for name, value in mail.headers.items():
        message[name] = value
    if mail.html:
        message.set_content(mail.html, subtype="html", charset=mail.charset)
    else:
        quoted = thread.quoted() if thread and mail.quote else ""
        message.set_content(mail.text + quoted, charset=mail.charset)
    for name in mail.photos:
        content, media_type = photo(name)
        message.add_attachment(content, *media_type.split("/"), filename=name)
    raw = message.as_bytes(policy=SMTP_POLICY)
    if _CONTROL.search(subject):  # the library would refuse what a hostile sender does not
        raw = raw.replace(b"Subject: -\r\n", b"Subject: " + _encoded(subject) + b"\r\n", 1)
    return raw


def recipient_of(mail: Mail, thread: Thread | None) -> str:
    """Whom an answer is for: a person's goes to Reply-To, a machine's to the return path (RFC 3834, 4)."""
    if thread is None:
        return ""
    return thread.return_path if mail.kind == "auto-reply" else thread.answer_to


def _empty(mail: Mail, *, now: datetime) -> EmailMessage:
    message = EmailMessage()
    domain = mail.address.rpartition("@")[2]
    message["From"] = f"{Header(mail.sender, 'utf-8').encode()} <{mail.address}>" if mail.sender else mail.address
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=domain)
    return message


def _encoded(text: str) -> bytes:
    return Header(text, "utf-8", header_name="Subject").encode(linesep="\r\n").encode("ascii")


@dataclass(frozen=True, slots=True)
class Thread:
    """What a mail program takes from a letter when somebody presses "reply"."""

    message_id: str
    references: tuple[str, ...]
    answer_to: str
    return_path: str
    subject: str
    sent: str
    writer: str
    body: str

    def quoted(self) -> str:
        """The letter below the answer, as mail programs quote it."""
        lines = "".join(f"> {line}".rstrip() + "\n" for line in self.body.splitlines())
        return f"\nOn {self.sent}, {self.writer} wrote:\n{lines}"


def reply_to(letter: bytes) -> Thread:
    """Where an answer to `letter` goes and what it refers to (RFC 5322, 3.6.2 and 3.6.4)."""
    parsed = BytesParser(policy=default_policy).parsebytes(letter)
    body = parsed.get_body(("plain",))
    subject = str(parsed["Subject"] or "")
    return Thread(
        message_id=str(parsed["Message-ID"] or "").strip(),
        references=tuple(str(parsed["References"] or "").split()),
        answer_to=str(parsed["Reply-To"] or parsed["From"]),
        return_path=str(parsed["Return-Path"] or "").strip("<> "),
        subject=subject if subject.lower().startswith("re:") else f"Re: {subject}",
        sent=str(parsed["Date"] or "an unknown day"),
        writer=str(parsed["From"]),
        body=body.get_content() if body is not None else "",
    )


def is_automatic(letter: bytes) -> bool:
    """Whether `letter` says that no person wrote it (RFC 3834, 5)."""
    headers = BytesParser(policy=default_policy).parsebytes(letter, headersonly=True)
    return str(headers["Auto-Submitted"] or "no").strip().lower() != "no"


def is_decision(letter: bytes) -> bool:
    """Whether `letter` is the final answer to a complaint; people see it by its subject."""
    headers = BytesParser(policy=default_policy).parsebytes(letter, headersonly=True)
    return DECISION in str(headers["Subject"] or "")


class Cast(threading.Thread):
    """Plays `script` against the mail server on `smtp_port`, one mail `every` seconds after the first few.

    A mail that answers an acknowledgement waits until that has come.  `tell` hears of each mail as it goes.
    Meanwhile, and when the script has been played, they answer handlers: each person, and each of the `neighbours` who
    wrote in before, the first letter and the decision, once each, and nothing after the decision.
    """

    def __init__(
        self,
        script: Script,
        hands: Hands,
        *,
        smtp_port: int,
        to: str,
        every: float,
        tell: Callable[[str], None] = lambda line: None,
        neighbours: Sequence[Mail] = (),
    ) -> None:
        super().__init__(name="demo-cast", daemon=True)
        self.script = script
        self.sent: list[str] = []
        """The names of the mails that have gone, in order."""
        self.played = threading.Event()
        """Set when every mail of the script has gone."""
        self.failed: Exception | None = None
        self._hands = hands
        self._port = smtp_port
        self._to = to
        self._every = every
        self._tell = tell
        self._people = (*script.people, *neighbours)
        self._leave = threading.Event()
        self._answered: set[tuple[str, bool]] = set()
        """Who has answered, and whether it was the decision."""
        self._read_at: dict[tuple[str, bool], float] = {}
        """When each had their letter, by the monotonic clock."""

    def stop(self) -> None:
        self._leave.set()
        if self.is_alive():
            self.join(timeout=10)

    def run(self) -> None:
        try:
            self._play()
            self.played.set()
            self._linger()
        except (OSError, smtplib.SMTPException) as fault:
            if not self._leave.is_set():  # otherwise the mail server went first: the end of the show
                self.failed = fault
                self._tell(f"The cast fell silent, its mail was not taken: {fault}")

    def _play(self) -> None:
        left = list(self.script.mails)
        while left and not self._leave.is_set():
            letters = self._hands.count()
            ready = next((mail for mail in left if self._may_go(mail)), None)
            if ready is None:  # all that is left answers what has not come yet
                self._hands.wait(letters, timeout=0.5)
                continue
            left.remove(ready)
            self._answer_handlers()
            self._write(ready)
            self._leave.wait(min(self._every, 0.5) if len(self.sent) < QUICK else self._every)

    def _may_go(self, mail: Mail) -> bool:
        return not mail.to_thread or bool(self._hands.of(self.script.named(mail.to_thread).address))

    def _write(self, mail: Mail) -> None:
        thread = None
        if mail.to_thread:
            thread = reply_to(self._hands.of(self.script.named(mail.to_thread).address)[0])
        self._post(mail, thread)
        self.sent.append(mail.name)
        self._tell(f"{mail.sender} writes: {clean(mail.subject).text or '(no subject)'}")

    def _post(self, mail: Mail, thread: Thread | None) -> None:
        raw = compose(mail, to=self._to, thread=thread, now=datetime.now(UTC))
        recipient = parseaddr(recipient_of(mail, thread) or self._to)[1]
        sender = "" if mail.kind == "auto-reply" else mail.address  # RFC 3834, 3.3
        with smtplib.SMTP(HOST, self._port, local_hostname=mail.address.rpartition("@")[2], timeout=30) as server:
            server.sendmail(sender, [recipient], raw)

    def _linger(self) -> None:
        seen = 0
        while not self._leave.is_set():
            seen = self._hands.wait(seen, timeout=0.5)
            self._answer_handlers()

    def _answer_handlers(self) -> None:
        for person, letter, decides in list(self._unanswered()):
            mine, now = (person.address, decides), time.monotonic()
            if now - self._read_at.setdefault(mine, now) < THINKS * self._every:
                continue
            self._answered.add(mine)
            thread = reply_to(letter)
            text = self.script.answer_of(person, to_decision=decides)
            self._post(Mail(name="answer", sender=person.sender, address=person.address, text=text), thread)
            self._tell(f"{person.sender} answers: {clean(thread.subject).text}")

    def _unanswered(self) -> Iterator[tuple[Mail, bytes, bool]]:
        """Each person who has something to answer, the letter that they answer now, and whether it is the decision."""
        for person in self._people:
            if (person.address, True) in self._answered:
                continue
            letters = [letter for letter in self._hands.of(person.address) if not is_automatic(letter)]
            if decision := next(filter(is_decision, letters), None):
                yield person, decision, True
            elif letters and (person.address, False) not in self._answered:
                yield person, letters[0], False
