"""Who is told of a complete look at a mailbox: letters whose receipt copy did not come by then may be sent again."""

from __future__ import annotations

from datetime import datetime

from amends.casework.office import Office
from amends.casework.post import settle_uncertain
from amends.ledger import views

PREFIX = "intake."


def duty_name(mailbox: str) -> str:
    return PREFIX + mailbox


def last_complete_look(office: Office, *, mailbox: str, began: datetime) -> datetime | None:
    """When the last complete look at *every* mailbox began; `began` is this one's, the others' stand in their rows.

    None while a mailbox of the configuration was never looked at whole: a copy may lie in that one.
    """
    others = {duty_name(box.name) for box in office.settings.mailbox if box.name != mailbox}
    if not others:
        return began
    with office.book.read() as session:
        rows = {row.name: row.detail.get("last_poll") for row in views.duties(session) if row.name in others}
    if len(rows) < len(others) or not all(rows.values()):
        return None
    return min([began, *(datetime.fromisoformat(str(at)) for at in rows.values())])


def settle(office: Office, mailbox: str, began: datetime) -> int:
    """Queue again the automatic letters of which no receipt copy came; how many."""
    return settle_uncertain(
        office, last_complete_poll=last_complete_look(office, mailbox=mailbox, began=began), now=office.now()
    )
