"""Web forms that an operator trusts: what they send is the complaint of whom their Reply-To names."""

from __future__ import annotations

from dataclasses import replace

from amends.config import Settings
from amends.kernel.errors import Refused
from amends.letters.address import sendable
from amends.mail.facts import Kind, Mailbox, Reading


def as_complainant(reading: Reading, settings: Settings) -> tuple[Reading, str]:
    """(the message as its complainant's, "") if it comes from a form of `conversation.trusted_forms`.

    A form sends with marks of a machine (`Auto-Submitted`, `Precedence: bulk`), which count for nothing then.  Any
    other message comes back as it is.  One that only says that it comes from a form has in second place what is wrong
    with it: where our mail server tells of authenticity, it must have found it good.
    """
    form = reading.sender.address
    if form not in settings.conversation.trusted_forms or reading.kind is Kind.BOUNCE:
        return reading, ""
    complainant = _complainant(reading, settings)
    if complainant is None:
        return reading, ""
    if settings.organisation.authserv_id and not _proved(reading):
        return reading, "it says that it comes from a web form that is trusted, but our mail server did not confirm it"
    return replace(
        reading, sender=complainant, reply_to=(), kind=Kind.PERSON, answerable=True, not_answerable_because=""
    ), ""


def _complainant(reading: Reading, settings: Settings) -> Mailbox | None:
    """The one address that answers go to, if a letter can be sent there and it is not our own."""
    if len(reading.reply_to) != 1:
        return None
    (box,) = reading.reply_to
    local, _, domain = box.address.partition("@")
    plain = f"{local.partition('+')[0]}@{domain}"
    if {box.address, plain} & (settings.organisation.own_addresses | set(settings.conversation.trusted_forms)):
        return None
    try:
        sendable(box.address)
    except Refused:
        return None
    return box


def _proved(reading: Reading) -> bool:
    said = reading.authentication
    return said.get("dmarc") == "pass" or (said.get("dmarc", "none") == "none" and said.get("spf") == "pass")
