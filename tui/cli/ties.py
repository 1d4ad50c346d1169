"""What belongs together: merging, splitting, linking."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.cli.base import (
    Json,
    Ref,
    app,
    report,
    say,
    sit,
)

Other = Annotated[str, typer.Argument(metavar="OTHER", help="The reference of the other case, or its serial.")]


@app.command()
def merge(
    context: typer.Context,
    ref: Ref,
    other: Annotated[str, typer.Argument(metavar="INTO", help="The case that goes on with both.")],
    different: Annotated[
        bool, typer.Option("--different-people", help="Also where the complainants differ: letters go to INTO's alone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Merge the case into another, which goes on with both; answers to it arrive there."""
    from amends.casework import merging

    seat = sit(context)
    case_id, into_id = seat.case_id(ref), seat.case_id(other)
    merging.merge(seat.office, case_id, into_id, different_people=different, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, f"it is closed, and {seat.reference(other)} goes on with it.")


@app.command()
def unmerge(context: typer.Context, ref: Ref, as_json: Json = False) -> None:
    """Take a merger back: stage and deadlines are what they were."""
    from amends.casework import merging

    seat = sit(context)
    case_id = seat.case_id(ref)
    other = merging.unmerge(seat.office, case_id, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, f"it stands alone again; what came meanwhile is on {other}.")


@app.command()
def split(
    context: typer.Context,
    ref: Ref,
    number: Annotated[int, typer.Argument(metavar="N", help="The number of the message, as `show` says it.")],
    hold: Annotated[bool, typer.Option("--hold", help="Into the tray, and not into a case of its own.")] = False,
) -> None:
    """Take a message off the case: it opens a case of its own, or waits in the tray."""
    from amends.casework import merging
    from amends.kernel.errors import NotFound
    from amends.ledger import views

    seat = sit(context)
    case_id = seat.case_id(ref)
    with seat.office.book.read() as session:
        found = views.case(session, case_id, now=seat.now)
    if not 1 <= number <= len(found.messages):
        raise NotFound(f"{found.row.reference} has no message {number}; it has {len(found.messages)}.")
    message_id = found.messages[number - 1].id
    new = merging.split(seat.office, case_id, message_id, hold=hold, actor=seat.actor, now=seat.now)
    say(f"Message {number} of {found.row.reference} " + (f"has opened {new}." if new else "is held; see amends held."))


@app.command()
def link(context: typer.Context, ref: Ref, other: Other, as_json: Json = False) -> None:
    """Say that two cases belong together, without making one of them."""
    from amends.casework import merging

    seat = sit(context)
    case_id = seat.case_id(ref)
    merging.link(seat.office, case_id, seat.case_id(other), actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, f"it is linked with {seat.reference(other)}.")


@app.command()
def unlink(context: typer.Context, ref: Ref, other: Other, as_json: Json = False) -> None:
    """Take a link away again."""
    from amends.casework import merging

    seat = sit(context)
    case_id = seat.case_id(ref)
    merging.unlink(seat.office, case_id, seat.case_id(other), actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, f"it is not linked with {seat.reference(other)} any more.")
