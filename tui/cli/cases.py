"""One case: who has it, how it stands, what is said on it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from tui.cli.base import (
    EndingName,
    FromFile,
    Json,
    Ref,
    SeverityName,
    WaitingName,
    app,
    instant_of,
    misuse,
    moment,
    report,
    sit,
    words_of,
)

Override = Annotated[
    str,
    typer.Option(
        "--override", metavar="REASON", help="A supervisor's word why somebody who was involved may decide a review."
    ),
]


@app.command()
def assign(
    context: typer.Context,
    ref: Ref,
    handler: Annotated[str, typer.Argument(help="A login of the configuration, or nobody.")],
    override: Override = "",
    as_json: Json = False,
) -> None:
    """Give the case to a handler."""
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    to = None if handler.lower() == "nobody" else handler.lower()
    handling.assign(seat.office, case_id, to, override=override, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, f"it is {to or 'nobody'}'s now.")


@app.command()
def take(context: typer.Context, ref: Ref, override: Override = "", as_json: Json = False) -> None:
    """Take the case yourself."""
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    handling.assign(seat.office, case_id, seat.actor.login, override=override, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, "it is yours now.")


@app.command()
def note(
    context: typer.Context,
    ref: Ref,
    text: Annotated[str | None, typer.Argument(help="The note; without it standard input is read.")] = None,
    file: FromFile = None,
    as_json: Json = False,
) -> None:
    """Add a staff note; no letter ever quotes it."""
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    words = words_of(text, file, what="note")
    handling.note(seat.office, case_id, words, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, "the note is kept.")


@app.command()
def assess(
    context: typer.Context,
    ref: Ref,
    severity: Annotated[SeverityName, typer.Option("--severity")],
    complexity: Annotated[str, typer.Option("--complexity", help="In a few words.")] = "",
    impact: Annotated[str, typer.Option("--impact", help="In a few words.")] = "",
    immediate: Annotated[bool, typer.Option("--immediate", help="It needs action at once.")] = False,
    vulnerable: Annotated[bool, typer.Option("--vulnerable", help="The complainant needs particular care.")] = False,
    as_json: Json = False,
) -> None:
    """Record the initial assessment."""
    from amends.cases.outcomes import Assessment, Severity
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    found = Assessment(Severity(severity.value), complexity, impact, immediate, vulnerable)
    handling.assess(seat.office, case_id, found, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, f"its severity is {severity.value} now.")


@app.command()
def wait(
    context: typer.Context,
    ref: Ref,
    whom: Annotated[WaitingName, typer.Option("--for", help="For whom it waits.")],
    reason: Annotated[str, typer.Option("--reason", help="What it waits for.")],
    as_json: Json = False,
) -> None:
    """Say for whom the case waits; it stops no clock, which is what `pause` is for."""
    from amends.cases.stages import Waiting
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    waiting = Waiting.COMPLAINANT if whom is WaitingName.COMPLAINANT else Waiting.THIRD_PARTY
    handling.wait(seat.office, case_id, waiting, reason, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, f"it waits {waiting} now.")


@app.command()
def resume(context: typer.Context, ref: Ref, as_json: Json = False) -> None:
    """The case waits no longer, and clocks that stood still go on."""
    from amends.casework import handling
    from amends.ledger import views

    seat = sit(context)
    case_id = seat.case_id(ref)
    with seat.office.book.read() as session:
        waited = views.queue_row(session, case_id, now=seat.now).waiting is not None
    handling.resume(seat.office, case_id, actor=seat.actor, now=seat.now)
    nothing = "nothing waits or stands still; a letter that would pause it is called back with amends undo."
    report(seat, case_id, as_json, "it waits no longer." if waited else nothing)


@app.command()
def fact(
    context: typer.Context,
    ref: Ref,
    said: Annotated[str, typer.Argument(metavar="NAME=VALUE", help="A fact that a policy pack asks for.")],
    as_json: Json = False,
) -> None:
    """Say what is so on the case; it switches deadlines of the policy packs on and off."""
    from amends.casework import handling

    name, equals, value = said.partition("=")
    if not (name.strip() and equals and value.strip()):
        misuse("Write the fact as NAME=VALUE, such as product=loan.")
    seat = sit(context)
    case_id = seat.case_id(ref)
    handling.set_fact(seat.office, case_id, name, value, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, f"{name.strip()} is {value.strip()} now.")


@app.command()
def event(
    context: typer.Context,
    ref: Ref,
    name: Annotated[str, typer.Argument(help="An event of a policy pack, or a letter of it that left by another way.")],
    at: Annotated[str | None, typer.Option("--at", help="When it happened; else now.")] = None,
    as_json: Json = False,
) -> None:
    """Record what happened; it starts and meets deadlines of the policy packs."""
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    handling.record_event(seat.office, case_id, name, at=instant_of(seat, at), actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, f"{name} is recorded.")


@app.command()
def extend(
    context: typer.Context,
    ref: Ref,
    deadline: Annotated[str, typer.Argument(help="Which deadline, as `amends show --json` names it: response.")],
    to: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], metavar="DAY", help="Its new last day.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; the complainant is told so.")],
    pack: Annotated[str, typer.Option("--pack", help="Of which policy pack, where several have such a one.")] = "",
    as_json: Json = False,
) -> None:
    """Give a deadline more time, where its rule allows it; the complainant is told before the old date."""
    from amends.casework import moretime

    seat = sit(context)
    case_id = seat.case_id(ref)
    leaves = moretime.extend(
        seat.office, case_id, deadline, to.date(), reason, pack=pack, actor=seat.actor, now=seat.now
    )
    done = f"{deadline} falls on {to:%Y-%m-%d} now."
    if leaves is not None:
        done = f"the notice leaves {moment(seat, leaves)}; with it {deadline} moves to {to:%Y-%m-%d}."
    report(seat, case_id, as_json, done)


@app.command()
def pause(
    context: typer.Context,
    ref: Ref,
    deadline: Annotated[str, typer.Argument(help="Which deadline, as `amends show --json` names it: response.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands on the record.")],
    text: Annotated[str, typer.Option("--text", help="What the complainant is asked for; else the reason.")] = "",
    pack: Annotated[str, typer.Option("--pack", help="Of which policy pack, where several have such a one.")] = "",
    as_json: Json = False,
) -> None:
    """Let a clock stand still until the complainant answers, where its rule allows that; they are told by a letter."""
    from amends.casework import moretime

    seat = sit(context)
    case_id = seat.case_id(ref)
    leaves = moretime.pause(
        seat.office, case_id, deadline, reason, text=text, pack=pack, actor=seat.actor, now=seat.now
    )
    report(seat, case_id, as_json, f"the letter leaves {moment(seat, leaves)}; with it the clock stands still.")


@app.command()
def kept(
    context: typer.Context,
    ref: Ref,
    number: Annotated[int | None, typer.Option("--number", help="Which of its promises; else the earliest.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="When it was kept; else now.")] = None,
    as_json: Json = False,
) -> None:
    """Say that we kept a promise by another way than a letter."""
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    handling.keep_promise(seat.office, case_id, number, at=instant_of(seat, at), actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, "the promise is kept.")


@app.command()
def investigate(context: typer.Context, ref: Ref, as_json: Json = False) -> None:
    """Say that the investigation has begun."""
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    handling.investigate(seat.office, case_id, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, "it is being investigated now.")


@app.command()
def read(context: typer.Context, ref: Ref, as_json: Json = False) -> None:
    """Mark what came in on the case as read."""
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    handling.mark_read(seat.office, case_id, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, "nothing on it is unread now.")


@app.command()
def accept(
    context: typer.Context,
    ref: Ref,
    address: Annotated[str, typer.Argument(help="The address of a third party who wrote on the case.")],
    as_json: Json = False,
) -> None:
    """Let a third party belong to the case."""
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    handling.accept(seat.office, case_id, address.strip().lower(), actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, f"{address} belongs to it now.")


@app.command()
def address(
    context: typer.Context,
    ref: Ref,
    address: Annotated[str, typer.Argument(help="Where letters to the complainant go from now on.")],
    as_json: Json = False,
) -> None:
    """Correct the address of the complainant."""
    from amends.casework import undelivered

    seat = sit(context)
    case_id = seat.case_id(ref)
    undelivered.correct_address(seat.office, case_id, address, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, f"letters go to {address} now.")


@app.command()
def close(
    context: typer.Context,
    ref: Ref,
    outcome: Annotated[
        EndingName | None, typer.Option("--outcome", help="For a case without a final response.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why it ends without a final response.")] = "",
    root_cause: Annotated[str | None, typer.Option("--root-cause", help="Why it happened.")] = None,
    as_json: Json = False,
) -> None:
    """Close the case."""
    from amends.cases.outcomes import Outcome
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    ending = None if outcome is None else Outcome(outcome.value)
    handling.close(
        seat.office, case_id, outcome=ending, reason=reason, root_cause=root_cause, actor=seat.actor, now=seat.now
    )
    report(seat, case_id, as_json, "it is closed.")


@app.command()
def reopen(
    context: typer.Context,
    ref: Ref,
    reason: Annotated[str, typer.Option("--reason", help="Why it is taken up again.")],
    as_json: Json = False,
) -> None:
    """Take an answered or closed case up again; its deadlines start anew."""
    from amends.casework import handling

    seat = sit(context)
    case_id = seat.case_id(ref)
    handling.reopen(seat.office, case_id, reason, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, "it is open again, and its deadlines start anew.")
