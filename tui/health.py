"""Is mail coming in and going out?  One short sentence for the top line, and the whole story for the status screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from amends.ledger.shapes import DutyView, Tally
from tui.words import prose

SILENCE: Final = timedelta(minutes=1)
"""A duty that has not been heard of for so long is not running."""
MAIL: Final = ("intake", "outbox", "listener")
"""The duties without which mail does not come in or go out."""

NOTHING: Final = Tally(0, 0, 0, 0, 0, None)


@dataclass(frozen=True, slots=True)
class Health:
    """`words` for the top line, `role` to paint them in, `story` for whoever asks."""

    words: str
    role: str
    story: str
    sending: bool = True
    """Whether held letters will leave."""


UNKNOWN: Final = Health("mail …", "muted", "Not known yet.")


def kind_of(duty: DutyView) -> str:
    """What sort of duty it is: the daemon calls that of the mailbox `complaints` `intake.complaints`."""
    return duty.name.partition(".")[0]


def away(since: datetime, zone: ZoneInfo, why: str) -> Health:
    """The store itself does not answer."""
    return Health(
        f"DATA FROM {since.astimezone(zone):%H:%M} !!",
        "late",
        f"{why} What you see is from {since.astimezone(zone):%H:%M}, and nothing can be changed until it answers.",
        sending=False,
    )


def mail_health(duties: Sequence[DutyView], *, now: datetime, zone: ZoneInfo) -> Health:
    """How the daemon's duties fare at `now` (the machine's clock)."""
    mine = [duty for duty in duties if kind_of(duty) in MAIL] or list(duties)
    if not mine:
        return Health(
            "mail OFF !!",
            "late",
            "The mail service has never run on this store: no mail comes in, and held letters do not leave. "
            "Ask your operator to start amendsd.",
            sending=False,
        )
    newest = max(duty.beat_at for duty in mine)
    if now - newest > SILENCE:
        since = newest.astimezone(zone)
        return Health(
            f"mail OFF since {since:%H:%M} !!",
            "late",
            f"The mail service has not been heard of since {since:%a} {since.day} {since:%b %H:%M}: no mail comes in, "
            "and held letters do not leave. Deadlines keep running. Ask your operator to start amendsd.",
            sending=False,
        )
    for duty in mine:
        since = duty.since.astimezone(zone)
        if duty.state == "failing":
            why = prose(duty.last_error or "it gives no reason", limit=300)
            return Health(
                f"mail DOWN since {since:%H:%M} !!",
                "late",
                f"{prose(duty.name)} does not work since {since:%H:%M}: {why.rstrip('.')}. Deadlines keep running.",
                sending=not duty.name.startswith("outbox"),
            )
        if now - duty.beat_at > SILENCE or duty.state == "stopped":
            return Health(
                "mail STALE !",
                "warn",
                f"{prose(duty.name)} has not been heard of since {duty.beat_at.astimezone(zone):%H:%M}.",
                sending=not duty.name.startswith("outbox"),
            )
    return Health("mail ok", "bar", "Mail comes in and goes out.")
