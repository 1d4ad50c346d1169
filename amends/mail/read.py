"""One message read: bytes in, facts out.  The only caller of mail-parser.

mail-parser takes the body apart, within the bounds of `wire`; the header is read by `fields`, which does not raise and
does not slow down on what strangers write.  Heavy things (HTML, quotations, winmail.dat) are loaded when a mail needs
them.
"""

from __future__ import annotations

import email
import hashlib
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_tz
from typing import Any, Final

import mailparser

from amends.kernel.text import storable
from amends.mail.authentic import authentication
from amends.mail.bounce import bounce
from amends.mail.facts import Kind, Mailbox, Reading
from amends.mail.fields import Fields, addresses, message_ids, unencode
from amends.mail.kind import Judgement, judge, why_not
from amends.mail.language import language_of
from amends.mail.parts import TEXT_KEPT, Contents, File, Text, contents
from amends.mail.quotes import new_text
from amends.mail.wire import Wire, head_within_bounds, within_bounds

MESSAGE_BYTES: Final = 40 * 1024 * 1024
"""A larger message is read by its header alone."""
_DEFECTS_KEPT: Final = 50

logging.getLogger("mailparser").setLevel(logging.CRITICAL)  # it logs names of strangers' parts


def read(
    raw: bytes,
    *,
    own_addresses: Collection[str] = (),
    trusted_authserv: str = "",
    languages: Sequence[str] = (),
) -> Reading:
    """The facts of the message `raw`.  Never raises: what could not be read is in `defects`.

    `own_addresses` are ours (lower case): what comes from them is our own mail.  `trusted_authserv` is the name that
    our mail server signs Authentication-Results with.  `languages` are those that letters can be written in.
    """
    if len(raw) > MESSAGE_BYTES:
        reason = f"the message is larger than {MESSAGE_BYTES // 1024 // 1024} MiB; only its header was read"
        return read_headers(raw, own_addresses=own_addresses, trusted_authserv=trusted_authserv, reason=reason)
    try:
        return _read(raw, own_addresses, trusted_authserv, languages)
    except Exception as fault:  # noqa: BLE001 - a stranger's mail must always have a fate
        reason = f"the body could not be read ({type(fault).__name__}); only the header was"
        return read_headers(raw, own_addresses=own_addresses, trusted_authserv=trusted_authserv, reason=reason)


def read_headers(
    raw: bytes, *, own_addresses: Collection[str] = (), trusted_authserv: str = "", reason: str = ""
) -> Reading:
    """The facts that the header alone tells, in linear time and without a parser; `reason` joins the defects.

    For messages too large to read, and for those that no parser survives.
    """
    wire = head_within_bounds(raw)
    reading = _envelope(raw, wire.fields, trusted_authserv)
    defects = [*([reason] if reason else []), *wire.defects]
    return _judged(reading, wire.fields, Contents(), own_addresses, defects)


def _read(raw: bytes, own: Collection[str], trusted: str, languages: Sequence[str]) -> Reading:
    wire = within_bounds(raw)
    reading = _envelope(raw, wire.fields, trusted)
    defects = list(wire.defects)
    found = contents(_tree(wire, defects), wire.lifted)
    defects.extend(found.defects)
    text, new = _texts(found, languages)
    language = language_of(new or text, languages)
    reading = replace(
        reading,
        text=text,
        new_text=new,
        language=language,
        attachments=tuple(file.fact() for file in found.files),
    )
    return _judged(reading, wire.fields, found, own, defects)


def _tree(wire: Wire, defects: list[str]) -> Any:
    """The message as a tree; where mail-parser gives up, the parser of Python beneath it may not."""
    try:
        return mailparser.parse_from_bytes(wire.parsable).message
    except Exception as fault:  # noqa: BLE001 - it raises what it likes
        defects.append(f"mail-parser could not read it ({type(fault).__name__})")
        return email.message_from_bytes(wire.parsable)


def _envelope(raw: bytes, fields: Fields, trusted: str) -> Reading:
    return Reading(
        sha256=hashlib.sha256(raw).hexdigest(),
        size=len(raw),
        message_id=next(iter(message_ids(fields.first("message-id"))), ""),
        in_reply_to=message_ids(fields.first("in-reply-to")),
        references=message_ids(fields.first("references")),
        date=_date(fields.first("date")),
        subject=unencode(fields.first("subject")),
        sender=_sender(fields),
        reply_to=addresses(fields.first("reply-to")),
        to=addresses(", ".join(fields.every("to"))),
        cc=addresses(", ".join(fields.every("cc"))),
        delivered_to=_delivered_to(fields),
        authentication=authentication(fields.every("authentication-results"), trusted),
    )


def _sender(fields: Fields) -> Mailbox:
    for name in ("from", "sender", "reply-to", "resent-from"):
        if boxes := addresses(fields.first(name), most=1):
            return boxes[0]
    return Mailbox("", "")


def _delivered_to(fields: Fields) -> tuple[str, ...]:
    values = fields.every(
        "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to", "original-recipient"
    )
    return tuple(
        dict.fromkeys(box.address for value in values for box in addresses(value.partition(";")[2] or value, most=20))
    )


def _date(value: str) -> datetime | None:
    """The sender's date in UTC, or None: out of range, and unreadable ones."""
    try:
        parts = parsedate_tz(value[:200])
        if parts is None:
            return None
        naive = datetime(*parts[:6], tzinfo=UTC)
        return datetime.fromtimestamp(naive.timestamp() - (parts[9] or 0), UTC)
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        return None


def _texts(found: Contents, languages: Sequence[str]) -> tuple[str, str]:
    """The whole readable text, and what its writer added."""
    wholes: list[str] = []
    news: list[str] = []
    for text in found.texts:
        whole, outside = _as_text(text)
        wholes.append(whole)
        if text.beside:
            wholes.append(_said_elsewhere(text, whole))
        news.append(new_text(outside, languages))
    for text in found.forwarded:
        wholes.append(_as_text(text)[0])
    return _joined(wholes), _joined(news)


def _as_text(text: Text) -> tuple[str, str]:
    """A text as plain text, and the part of it outside of what its markup says is quoted."""
    if not text.html:
        plain = storable(text.text).strip("\n")
        return plain, plain
    from amends.mail.html import to_text

    return to_text(text.text)


def _said_elsewhere(text: Text, whole: str) -> str:
    """What only the HTML form of a text says: the sender may have seen no other."""
    from amends.mail.html import only_there

    lines = only_there(text.beside, whole)
    return f"-------- Only in the HTML form --------\n{lines}" if lines else ""


def _joined(texts: list[str]) -> str:
    return "\n\n".join(text for text in texts if text.strip())[:TEXT_KEPT]


def _judged(reading: Reading, fields: Fields, found: Contents, own: Collection[str], defects: list[str]) -> Reading:
    """`reading` with its kind, whether it may be answered, and what a bounce says."""
    kept = tuple(dict.fromkeys(storable(defect) for defect in defects))[:_DEFECTS_KEPT]
    sender = reading.sender
    returned = bounce(fields, found, sender, reading.subject, reading.text)
    if returned is not None:
        return replace(
            reading,
            kind=Kind.BOUNCE,
            not_answerable_because="it is a report on mail that was not delivered",
            failed_recipients=returned.recipients,
            permanent_failure=returned.permanent,
            gave_up=returned.gave_up,
            failed_message_ids=returned.message_ids,
            defects=kept,
        )
    judged: Judgement = judge(
        fields, sender.address, reading.subject, own_addresses=own, text=reading.new_text, enclosed=found.enclosed
    )
    because = why_not(fields, judged, sender.address, own_addresses=own)
    return replace(
        reading, kind=judged.kind, answerable=not because, not_answerable_because=storable(because), defects=kept
    )


def attached_files(raw: bytes) -> tuple[File, ...]:
    """The files attached to `raw` with their bytes, in the order of `Reading.attachments`."""
    wire = within_bounds(raw)
    return tuple(contents(_tree(wire, []), wire.lifted).files)
