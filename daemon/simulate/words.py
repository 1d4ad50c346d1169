"""What the invented complainants and handlers write: enough for every pack to let a letter leave.  Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from email.utils import format_datetime

from amends.deadlines.model import Pack, RequiredLetter
from amends.mail.facts import Kind, Mailbox, Reading

_ABOUT = (
    "No heating since Friday",
    "The repair was not done",
    "Charged twice",
    "Nobody called me back",
    "The form was lost",
    "Rude on the telephone",
    "The parcel is missing",
    "A wrong bill again",
)


def complaint(number: int, *, to: str, at: datetime) -> tuple[bytes, Reading]:
    """The mail of complainant `number`, each of a house of their own: its bytes, and what is read in them."""
    about = _ABOUT[number % len(_ABOUT)]
    address, message_id = f"person{number}@home{number}.example", f"{number}@home{number}.example"
    text = f"I complain: {about.lower()}.\r\n"
    raw = (
        f"Date: {format_datetime(at)}\r\nFrom: Person {number} <{address}>\r\nTo: {to}\r\nSubject: {about}\r\n"
        f"Message-ID: <{message_id}>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    ).encode()
    said = text.replace("\r\n", "\n")
    reading = Reading(
        sha256=hashlib.sha256(raw).hexdigest(),
        size=len(raw),
        message_id=message_id,
        date=at.replace(microsecond=0),
        subject=about,
        sender=Mailbox(f"Person {number}", address),
        to=(Mailbox("", to),),
        text=said,
        new_text=said,
        kind=Kind.PERSON,
        answerable=True,
    )
    return raw, reading


def letter(packs: Iterable[Pack], letters: Iterable[RequiredLetter], *, reference: str, day: date) -> str:
    """A letter that says whatever these letters of the packs must say: `day` is the date that it promises."""
    said = [f"We write about your complaint {reference}.", f"You will hear from us again by {day.day} {day:%B %Y}."]
    said += [item.text for one in letters for item in one.must_contain]
    for pack in packs:
        said += _ways_out(pack)
    return "\n\n".join(dict.fromkeys(said))


def _ways_out(pack: Pack) -> Iterator[str]:
    for one in pack.ombudsman:
        window = f" within {one.window.amount} {one.window.unit.replace('_', ' ')}" if one.window is not None else ""
        yield f"You can go to {one.name}{window}. {one.url}".strip()


def promised(now: datetime) -> date:
    return (now + timedelta(days=14)).date()
