"""What is held or in quarantine: the same words for both."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.cli.base import (
    FateName,
    Json,
    Message,
    Ref,
    document,
    held,
    print_lines,
    quarantine,
    say,
    sit,
)


def _tray(context: typer.Context, state: str, as_json: bool) -> None:
    from amends.ledger import views
    from tui import lines

    if context.invoked_subcommand is not None:
        return
    seat = sit(context)
    with seat.office.book.read() as session:
        arrivals = views.tray(session, state)
    if as_json:
        document([one.as_json() for one in arrivals])
    else:
        print_lines(lines.tray(arrivals, seat.desk, name="held" if state == "held" else "in quarantine"))


@held.callback()
def list_held(context: typer.Context, as_json: Json = False) -> None:
    """List the messages whose case is uncertain, and say where they belong."""
    _tray(context, "held", as_json)


@quarantine.callback()
def list_quarantined(context: typer.Context, as_json: Json = False) -> None:
    """List the messages that could not be filed, and say what becomes of them."""
    _tray(context, "quarantined", as_json)


@held.command("retry")
@quarantine.command("retry")
def retry(context: typer.Context, message: Message) -> None:
    """Read and file the message again, as if it came now."""
    from amends.casework import tray

    seat = sit(context)
    state = tray.retry(seat.office, message, actor=seat.actor, now=seat.now)
    say(f"Message {message} is {state} now.")


@held.command("file")
@quarantine.command("file")
def file(
    context: typer.Context,
    message: Message,
    fate: Annotated[FateName, typer.Option("--as", help="What it is.")],
    linked: Annotated[
        str | None, typer.Option("--linked", metavar="REF", help="An earlier case that it goes on from.")
    ] = None,
) -> None:
    """File the message as a complaint: it opens a case, whose clocks run from receipt."""
    from amends.casework import tray

    seat = sit(context)
    earlier = None if linked is None else seat.reference(linked)
    reference = tray.file_as_complaint(seat.office, message, linked_to=earlier, actor=seat.actor, now=seat.now)
    say(f"Message {message} has opened {reference}{f', linked with {earlier}' if earlier else ''}.")


@held.command("review")
@quarantine.command("review")
def review(context: typer.Context, message: Message, ref: Ref) -> None:
    """Take an answered or closed case up again, with the message on it."""
    from amends.casework import tray

    seat = sit(context)
    reference = seat.reference(ref)
    tray.review(seat.office, message, reference, actor=seat.actor, now=seat.now)
    say(f"{reference} is open again, with message {message} on it; its deadlines start anew.")


@held.command("join")
@quarantine.command("join")
def join(context: typer.Context, message: Message, ref: Ref) -> None:
    """Put the message on a case."""
    from amends.casework import tray

    seat = sit(context)
    reference = seat.reference(ref)
    tray.join(seat.office, message, reference, actor=seat.actor, now=seat.now)
    say(f"Message {message} is on {reference} now.")


@held.command("dismiss")
@quarantine.command("dismiss")
def dismiss(
    context: typer.Context,
    message: Message,
    why: Annotated[str, typer.Option("--why", help="Why it is no complaint.")],
) -> None:
    """Say that the message is no complaint; it is kept."""
    from amends.casework import tray

    seat = sit(context)
    tray.dismiss(seat.office, message, why, actor=seat.actor, now=seat.now)
    say(f"Message {message} is dismissed; it is kept, and can be filed after all.")
