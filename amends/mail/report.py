"""A reading as the JSON that `amendsd parse` prints; its names and shapes are public."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from amends.kernel.instants import iso
from amends.mail.facts import Mailbox, Reading


def as_json(file: str, reading: Reading) -> dict[str, Any]:
    """The facts of `reading`, which was read from `file`, ready for `json.dumps`; instants are ISO 8601 in UTC."""
    return {
        "file": file,
        "message_id": reading.message_id,
        "in_reply_to": list(reading.in_reply_to),
        "references": list(reading.references),
        "date": _instant(reading.date),
        "subject": reading.subject,
        "from": _mailbox(reading.sender),
        "reply_to": [_mailbox(one) for one in reading.reply_to],
        "to": [_mailbox(one) for one in reading.to],
        "cc": [_mailbox(one) for one in reading.cc],
        "text": reading.text,
        "new_text": reading.new_text,
        "language": reading.language,
        "attachments": [
            {"name": one.name, "media_type": one.media_type, "size": one.size, "sha256": one.sha256}
            for one in reading.attachments
        ],
        "kind": str(reading.kind),
        "answerable": reading.answerable,
        "failed_recipients": list(reading.failed_recipients),
        "permanent_failure": reading.permanent_failure,
        "authentication": dict(reading.authentication),
        "defects": list(reading.defects),
    }


def _mailbox(one: Mailbox) -> dict[str, str]:
    return {"name": one.name, "address": one.address}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else iso(at)
