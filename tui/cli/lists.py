"""The lists, and one case whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui.cli.base import (
    REFUSED,
    Choice,
    Json,
    Ref,
    Seat,
    ViewName,
    app,
    complain,
    document,
    print_lines,
    say,
    settings_and_actor,
    sit,
)

if TYPE_CHECKING:
    from amends.ledger.shapes import View


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="The configuration (else $AMENDS_CONFIG, ./amends.toml, /etc/amends/amends.toml)."
        ),
    ] = None,
    login: Annotated[str | None, typer.Option("--as", metavar="LOGIN", help="Who acts (else you).")] = None,
) -> None:
    context.obj = Choice(config, login)
    if context.invoked_subcommand is None:
        from tui.app import run

        raise typer.Exit(run(*settings_and_actor(context)))


def _view(name: ViewName, seat: Seat) -> View:
    from amends.ledger.shapes import View

    return {
        ViewName.OPEN: View("Open"),
        ViewName.MINE: View("Mine", handler=seat.actor.login),
        ViewName.NOBODY: View("Nobody's", handler=""),
        ViewName.LATE: View("Late", late_at=seat.now),
        ViewName.WAITING: View("Waiting", waiting=True),
        ViewName.CLOSED: View("Closed", closed=True),
    }[name]


@app.command()
def queue(
    context: typer.Context,
    view: Annotated[ViewName, typer.Option("--view", help="Which cases.")] = ViewName.OPEN,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    as_json: Json = False,
) -> None:
    """List the open cases, what is most urgent first."""
    from amends.ledger import views
    from tui import lines

    seat = sit(context)
    with seat.office.book.read() as session:
        rows, missing = views.legible_queue(session, _view(view, seat), now=seat.now, limit=limit)
    document([row.as_json() for row in rows]) if as_json else print_lines(lines.queue(rows, seat.desk))
    _refuse_to_hide(missing)


def _refuse_to_hide(missing: int) -> None:
    """What cannot be read is not listed, and never without a word.  Raises Unreadable unless nothing is missing."""
    from amends.kernel.errors import Unreadable

    if missing:
        cases = "1 more case" if missing == 1 else f"{missing} more cases"
        raise Unreadable(f"{cases} cannot be read; run: amendsd verify")


@app.command()
def search(
    context: typer.Context,
    query: Annotated[
        list[str], typer.Argument(metavar="QUERY", help='A reference, name, address or words; "a phrase", -not.')
    ],
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 200,
    as_json: Json = False,
) -> None:
    """Find cases by reference, name, address or words, the best first; exit status 1 if there is none."""
    from amends.ledger import views
    from tui import lines

    seat = sit(context)
    prefix = seat.office.settings.organisation.reference_prefix
    with seat.office.book.read() as session:
        ids = views.search(session, " ".join(query), prefix=prefix, limit=limit)
        by_id = views.queue_rows(session, ids, now=seat.now)
    rows, missing = [by_id[one] for one in ids if one in by_id], len(ids) - len(by_id)
    if as_json:
        document([row.as_json() for row in rows])
    elif rows:
        print_lines(lines.queue(rows, seat.desk))
    _refuse_to_hide(missing)
    if not rows and not as_json:
        complain("No case is found; try fewer or other words.", REFUSED)
    if not rows:
        raise typer.Exit(REFUSED)


@app.command()
def show(
    context: typer.Context,
    ref: Ref,
    history: Annotated[bool, typer.Option("--history", help="Every event of the ledger too.")] = False,
    as_json: Json = False,
) -> None:
    """Show a case whole."""
    from amends.ledger import views
    from tui import lines

    seat = sit(context)
    case_id = seat.case_id(ref)
    with seat.office.book.read() as session:
        found = views.case(session, case_id, now=seat.now)
    document(found.as_json()) if as_json else print_lines(lines.case(found, seat.desk, history=history))


@app.command()
def save(
    context: typer.Context,
    ref: Ref,
    number: Annotated[int, typer.Argument(metavar="N", help="The number of the attachment, as `show` says it.")],
    folder: Annotated[Path, typer.Option("--to", help="An existing folder.")] = Path(),
) -> None:
    """Write an attachment of the case into a folder; nothing there is written over."""
    from amends.kernel.errors import NotFound
    from amends.ledger import views
    from tui.lines import numbered_attachments
    from tui.saving import save_attachment

    seat = sit(context)
    case_id = seat.case_id(ref)
    with seat.office.book.read() as session:
        found = views.case(session, case_id, now=seat.now)
    files = {n: (message, file) for n, message, file in numbered_attachments(found)}
    if number not in files:
        raise NotFound(f"{found.row.reference} has no attachment {number}; it has {len(files)}.")
    message, file = files[number]
    say(f"Saved as {save_attachment(seat.office, message.id, file, folder)}.")


@app.command()
def outbox(context: typer.Context, as_json: Json = False) -> None:
    """List the letters not yet sent, and the failed ones."""
    from amends.ledger import views
    from tui import lines

    seat = sit(context)
    with seat.office.book.read() as session:
        letters = views.outbox(session)
    document([one.as_json() for one in letters]) if as_json else print_lines(lines.outbox(letters, seat.desk))
