"""The mail server that letters go to: reached, encrypted, logged in, and willing to take mail from our address."""

from __future__ import annotations

from collections.abc import Iterator

from amends.config import Settings
from daemon.checks.finding import Finding, ok, warning, wrong
from daemon.outbox.courier import Courier


def check(settings: Settings) -> Iterator[Finding]:
    """Nothing is sent: the transaction ends after MAIL FROM.  Raises Away with the sentence of what is wrong."""
    smtp, address = settings.smtp, settings.organisation.address
    assert smtp is not None
    courier = Courier(settings)
    try:
        courier.open()
        refused = courier.refuses_sender(address)
    finally:
        courier.close()
    where = f"{smtp.host}:{smtp.port}"
    if refused is not None:
        yield wrong(
            "smtp",
            f"{where} refuses letters from {address} ({refused}); "
            "let the server allow this sender, or log in as one that may use it.",
        )
        return
    logged_in = f"the log-in as {smtp.username} holds" if smtp.username else "no log-in is wanted"
    yield ok("smtp", f"{where} answers ({smtp.security}), {logged_in}, and it takes letters from {address}.")
    if not smtp.plus_addressing:
        yield warning(
            "smtp",
            "plus_addressing is off, so letters whose delivery is uncertain wait for a person; "
            "turn it on if mail to complaints+anything@ reaches the mailbox.",
        )
