"""Who else says what time it is: NTP, by way of the kernel, and mail that another machine has just taken in."""

from __future__ import annotations

import ctypes
import ipaddress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import func, select
from sqlmodel import Session, col

from amends.config import Settings
from amends.ledger.columns import key
from amends.ledger.tables import Arrival

_UNSYNCHRONISED: Final = 5  # TIME_ERROR of adjtimex(2)
_BY_TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
_NEWEST: Final = 50  # of the messages: so many are looked at


def kept_by_ntp() -> bool | None:
    """Whether the kernel believes its clock is synchronised; None where it does not say."""
    if _BY_TIMESYNCD.exists():
        return True
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    answer = adjtimex(ctypes.create_string_buffer(512))  # a struct timex of zeros asks and changes nothing
    return None if answer < 0 else answer != _UNSYNCHRONISED


def mail_agrees(session: Session, settings: Settings, *, since: datetime, within: timedelta) -> bool:
    """Whether a mail server dated a message that came after `since`, by our clock, `within` so much of when we saw it.

    One on this machine goes by the same clock, and says nothing.
    """
    elsewhere = [box.name for box in settings.mailbox if not _is_here(box.host)]
    newest = select(col(Arrival.received_at), col(Arrival.stored_at)).where(
        col(Arrival.mailbox).in_(elsewhere), col(Arrival.uid).is_not(None)
    )
    rows = session.connection().execute(newest.order_by(key(Arrival.id).desc()).limit(_NEWEST)) if elsewhere else ()
    return any(received >= since and abs(stored - received) <= within for received, stored in rows)


def newest_mail(session: Session) -> datetime | None:
    """When the newest message came that the store has."""
    newest: datetime | None = session.connection().execute(select(func.max(col(Arrival.received_at)))).scalar()
    return newest


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() in ("localhost", "localhost.localdomain")
