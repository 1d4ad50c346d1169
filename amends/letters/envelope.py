"""From the words of a letter to the bytes of a message.  The same envelope always gives the same bytes.

The message is put together here and not by `email.generator`, which takes several milliseconds for it; what must be
encoded (RFC 2047) is still the library's work.  Nothing that a stranger wrote can become a header, a second recipient
or a boundary: every value is one line, every address passes `sendable`, every Message-ID has the form of one.

What our letters say to machines.  An automatic letter carries `Auto-Submitted` (RFC 3834 section 5: `auto-replied` for
the answer to a message, `auto-generated` for one that the clock sends), `X-Auto-Response-Suppress: All` for Exchange,
and `Precedence: auto_reply` for responders older than that RFC, which leaves the value open.  Not `bulk`: some
servers send no bounces for bulk mail and sort it with advertising, and we need the one and must not suffer the
other.  A handler's letter carries none of them: it is a person's.  All carry `X-Amends-Letter`, by which we know our
own mail when it comes round.
"""

from __future__ import annotations

import re
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from hashlib import sha256
from typing import Final

from amends.kernel.instants import to_utc
from amends.kernel.text import one_line, storable
from amends.letters.address import sendable
from amends.letters.kinds import LetterKind

_MAX_REFERENCES: Final = 900  # octets of the header; some servers cut or refuse longer ones (a line may have 998)
_LAST_REFERENCES: Final = 10
_LINE: Final = 76

_MESSAGE_ID: Final = re.compile(r"[!-;=?-~]{1,250}")  # printable ASCII but the angle brackets
_PLAIN: Final = re.compile(r"[ -~]*")
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_ENCODED_WORD: Final = "=?"
_ANSWERS: Final = (LetterKind.ACKNOWLEDGEMENT, LetterKind.STATUS_ANSWER, LetterKind.TOO_LARGE)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One letter to one recipient.  Message-IDs are without angle brackets; names may be empty; `date` is aware.

    What the complainant chose (`to_name`, `subject`, `in_reply_to`, `references`) is taken as it came and made safe.
    """

    from_name: str
    from_address: str
    to_name: str
    to_address: str
    subject: str
    date: datetime
    message_id: str
    kind: LetterKind
    automatic: bool
    text: str
    html: str
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    reply_to: str | None = None
    language: str = ""


def build(envelope: Envelope) -> bytes:
    """The message (CRLF, lines of at most 998 octets, 7-bit unless the address needs SMTPUTF8).

    Raises CannotAnswer if an address cannot be written to, ValueError if the Message-ID has not the form of one.
    """
    if not _MESSAGE_ID.fullmatch(envelope.message_id) or "@" not in envelope.message_id:
        raise ValueError(f"{envelope.message_id!r} is not a Message-ID")
    # "=_" cannot stand in quoted-printable or base64, so the boundary cannot stand in a part (RFC 2045 6.7).
    boundary = f"=_{sha256(envelope.message_id.encode()).hexdigest()[:32]}"
    lines = [
        f"Date: {format_datetime(to_utc(envelope.date))}",
        f"From: {_mailbox(envelope.from_name, envelope.from_address, 'From')}",
        f"To: {_mailbox(envelope.to_name, envelope.to_address, 'To')}",
        f"Subject: {_unstructured(one_line(envelope.subject, 250), 'Subject')}",
        f"Message-ID: <{envelope.message_id}>",
    ]
    answered = envelope.in_reply_to if _MESSAGE_ID.fullmatch(envelope.in_reply_to) else ""
    if answered:
        lines.append(f"In-Reply-To: <{answered}>")
    if chain := _references(envelope.references, answered):
        lines.append("References: " + "\r\n ".join(f"<{one}>" for one in chain))
    if envelope.reply_to:
        lines.append(f"Reply-To: {_mailbox(envelope.from_name, envelope.reply_to, 'Reply-To')}")
    if envelope.automatic:
        replied = envelope.kind in _ANSWERS
        lines += [
            f"Auto-Submitted: {'auto-replied' if replied else 'auto-generated'}",
            "Precedence: auto_reply",
            "X-Auto-Response-Suppress: All",
        ]
    lines.append(f"X-Amends-Letter: {envelope.message_id.rpartition('@')[0]}")
    if re.fullmatch(r"[a-z]{2,3}", envelope.language):
        lines.append(f"Content-Language: {envelope.language}")
    lines += [
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
        "",
        f"--{boundary}",
        _part("plain", envelope.text),
        f"--{boundary}",
        _part("html", envelope.html),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("utf-8")


_NOT_ASCII: Final = bytes(range(128, 256))


def _part(subtype: str, text: str) -> str:
    """One text part with its headers: quoted-printable, or base64 where most of it is not ASCII."""
    data = storable(text).replace("\n", "\r\n").encode("utf-8", "replace")
    if (len(data) - len(data.translate(None, _NOT_ASCII))) * 3 > len(data):
        coding, body = "base64", encodebytes(data)
    else:
        coding, body = "quoted-printable", b2a_qp(data, istext=True)
    body = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")  # b2a_qp breaks the lines of a text of one line with LF
    header = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {coding}\r\n\r\n"
    return header + body.decode("ascii")


def _references(chain: Sequence[str], answered: str) -> list[str]:
    """The first of the thread and the newest of it, the answered one last (RFC 5322 3.6.4), within the limit."""
    usable = [one for one in dict.fromkeys(chain) if one != answered and _MESSAGE_ID.fullmatch(one)]
    if answered:
        usable.append(answered)
    if not usable:
        return []
    first, rest = usable[0], usable[1:][-_LAST_REFERENCES:]
    room = _MAX_REFERENCES - len("References: ") - len(first) - 2
    kept: list[str] = []
    for one in reversed(rest):
        room -= len(one) + 5  # its brackets, the line end and the space before it
        if room < 0:
            break
        kept.append(one)
    return [first, *reversed(kept)]


def _unstructured(value: str, header: str) -> str:
    if _PLAIN.fullmatch(value) and _ENCODED_WORD not in value:
        return _folded(value, len(header) + 2)
    return Header(value, "utf-8", _LINE, header).encode(linesep="\r\n")


def _folded(value: str, used: int) -> str:
    """Printable ASCII, folded between words where a line would grow too long (RFC 5322 2.2.3)."""
    if used + len(value) <= _LINE:
        return value
    lines, line = [], ""
    for word in value.split(" "):
        if line and used + len(line) + 1 + len(word) > _LINE:
            lines.append(line)
            line, used = word, 1
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line])


def _mailbox(name: str, address: str, header: str) -> str:
    """`name <address>`; a name that looks like an address is left out, for some programs show or use only that."""
    address = sendable(address, smtputf8=True)
    name = one_line(name, 80)
    if not name or "@" in name:
        return address
    if not _PLAIN.fullmatch(name) or _ENCODED_WORD in name:
        phrase = Header(name, "utf-8", _LINE, header).encode(linesep="\r\n")
    elif _ATOMS.fullmatch(name):
        phrase = name
    else:
        phrase = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    last = len(phrase.rpartition("\n")[2]) + (len(header) + 2 if "\n" not in phrase else 0)
    return f"{phrase}{' ' if last + len(address) + 3 <= _LINE else chr(13) + chr(10) + ' '}<{address}>"
