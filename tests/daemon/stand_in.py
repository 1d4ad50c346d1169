"""A reader for the tests of what stands around the reader: quick, and it does what a message bids it (`X-Do: hang`)."""

from __future__ import annotations

import email
import hashlib
import os
import signal
import time
from dataclasses import replace
from datetime import datetime
from email.message import Message
from email.utils import parseaddr
from pathlib import Path

from amends.mail.facts import Kind, Mailbox, Reading


def read(raw: bytes, *, own_addresses: frozenset[str], trusted_authserv: str, languages: tuple[str, ...]) -> Reading:
    mail = email.message_from_bytes(raw)
    _obey(str(mail["X-Do"] or ""))
    part = next((p for p in mail.walk() if p.get_content_type() == "text/plain"), None)
    payload = part.get_payload(decode=True) if part is not None else b""
    text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    return _facts(raw, mail, text, own_addresses)


def read_headers(raw: bytes, *, own_addresses: frozenset[str], trusted_authserv: str, reason: str) -> Reading:
    mail = email.message_from_bytes(raw)
    if mail["X-Headers"]:
        _obey(str(mail["X-Headers"]))
    return replace(_facts(raw, mail, "", own_addresses), defects=(reason,))


def _facts(raw: bytes, mail: Message, text: str, own_addresses: frozenset[str]) -> Reading:
    name, address = parseaddr(str(mail["From"] or ""))
    return Reading(
        sha256=hashlib.sha256(raw).hexdigest(),
        size=len(raw),
        message_id=str(mail["Message-ID"] or "").strip("<> "),
        in_reply_to=tuple(str(mail["In-Reply-To"] or "").strip("<> ").split()),
        date=datetime(2026, 11, 23, 9).astimezone(),
        subject=str(mail["Subject"] or ""),
        sender=Mailbox(name, address.lower()),
        to=(Mailbox("", parseaddr(str(mail["To"] or ""))[1].lower()),),
        text=text,
        new_text=text,
        kind=Kind.OWN if address.lower() in own_addresses else Kind.PERSON,
        answerable=address.lower() not in own_addresses,
    )


def _obey(order: str) -> None:
    match order:
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(3600)
        case "spin":
            while True:
                pass
        case "eat":
            bytearray(8 * 1024**3)
        case "raise":
            raise ValueError("ouch")
        case "write":
            Path("/tmp/amends-must-not-be-written").write_bytes(b"x")
        case "environment":
            raise ValueError(f"environment: {dict(os.environ)}")
