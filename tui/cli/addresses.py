"""Addresses without automatic letters."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.cli.base import (
    Json,
    app,
    document,
    print_lines,
    say,
    sit,
)


@app.command()
def blocked(context: typer.Context, as_json: Json = False) -> None:
    """List the addresses that get no automatic letters, and why."""
    from amends.casework import gate
    from tui import lines

    seat = sit(context)
    with seat.office.book.read() as session:
        found = gate.blocked(session, now=seat.now)
    document([one.as_json() for one in found]) if as_json else print_lines(lines.blocked(found, seat.desk))


@app.command("clear-address")
def clear_address(
    context: typer.Context, address: Annotated[str, typer.Argument(help="An address that `blocked` lists.")]
) -> None:
    """Let automatic letters go to an address again."""
    from amends.casework import gate

    seat = sit(context)
    gate.clear(seat.office, address, actor=seat.actor, now=seat.now)
    say(f"Automatic letters may go to {address} again.")
