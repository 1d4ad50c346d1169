"""A message that is too large: only its beginning is stored and read, and the whole of it is left on the server."""

from __future__ import annotations

from dataclasses import replace

from amends.config import Mailbox, Settings
from amends.ledger.tables import Arrival
from amends.mail.facts import Reading


def is_left(arrival: Arrival) -> bool:
    """Whether only the beginning of it is here."""
    return bool(arrival.left_size)


def is_withheld(arrival: Arrival) -> bool:
    """Whether the server gave at most its header."""
    return arrival.left_size == 0


def as_left(reading: Reading, arrival: Arrival, settings: Settings) -> Reading:
    """What may be said of a message by its beginning: no attachment is whole, so they are named and not listed.

    The first defect tells a handler where the whole message lies.
    """
    box = _mailbox(arrival, settings)
    if is_withheld(arrival):
        where = f" in {box.quarantine} of the mailbox '{box.name}'" if box else ""
        return replace(reading, defects=(f"the server gave only the header of this message; look at it there{where}",))
    if not is_left(arrival):
        return reading
    where = f", in {box.oversized} of the mailbox '{box.name}'" if box else ""
    told = f"the message was too large ({size_in_words(arrival.left_size or 0)}) and was left on the server{where}"
    names = [attachment.name for attachment in reading.attachments if attachment.name]
    attached = f"; attached there, as far as can be told: {', '.join(names[:20])}" if names else ""
    return replace(reading, attachments=(), defects=(f"{told}; this is its beginning{attached}",))


def told_to_sender(arrival: Arrival, settings: Settings) -> dict[str, str]:
    """The facts for the letter that answers it: how large it was, and how large it may be."""
    if not is_left(arrival):
        return {}
    box = _mailbox(arrival, settings)
    limit = f"{box.max_megabytes} MB" if box else ""
    return {"too_large": size_in_words(arrival.left_size or 0), "size_limit": limit}


def size_in_words(size: int) -> str:
    """Bytes as people say them: `41 MB`."""
    return f"{max(round(size / 1_000_000), 1)} MB"


def _mailbox(arrival: Arrival, settings: Settings) -> Mailbox | None:
    return next((box for box in settings.mailbox if box.name == arrival.mailbox), None)
