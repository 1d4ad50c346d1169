"""The handlers' commands: what the screens can do, for the shell, for scripts and for a screen reader.

Each command imports what it needs when it runs, so that `--help` answers at once.  Results go to standard output,
one sentence of error to standard error; exit status 0 done, 1 refused or not found, 2 wrong usage or configuration.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from amends.kernel import stdio

if TYPE_CHECKING:
    from amends.casework.actors import Actor
    from amends.casework.correspondence import Words
    from amends.casework.office import Office
    from amends.config import Settings
    from amends.ledger.views import View
    from tui.lines import Desk

DONE, REFUSED, MISUSED = 0, 1, 2

# Typer does not export what its wrong-usage errors have in common.
_Misuse: Final = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="amends",
    help="Handle complaints: without a command the screens open.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="REF is a reference such as NW-2026-000042-17, or its serial (42) where only one case has it.",
)
held = typer.Typer(help="The messages whose case is uncertain; they wait for your word.")
quarantine = typer.Typer(help="The messages that could not be filed.")
app.add_typer(held, name="held", invoke_without_command=True)
app.add_typer(quarantine, name="quarantine", invoke_without_command=True)


class ViewName(StrEnum):
    OPEN = "open"
    MINE = "mine"
    NOBODY = "nobody"
    LATE = "late"
    WAITING = "waiting"
    CLOSED = "closed"


class SeverityName(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class KindName(StrEnum):
    REPLY = "reply"
    PROGRESS_UPDATE = "progress-update"
    HOLDING = "holding"
    FINAL_RESPONSE = "final-response"


class WaitingName(StrEnum):
    COMPLAINANT = "complainant"
    THIRD_PARTY = "third-party"


class FindingName(StrEnum):
    UPHELD = "upheld"
    PARTLY_UPHELD = "partly upheld"
    NOT_UPHELD = "not upheld"


class EndingName(StrEnum):
    WITHDRAWN = "withdrawn"
    OUT_OF_SCOPE = "out of scope"


class FateName(StrEnum):
    COMPLAINT = "complaint"


Ref = Annotated[str, typer.Argument(metavar="REF", help="The reference of the case, or its serial.")]
Message = Annotated[int, typer.Argument(metavar="ID", help="The number of the message in the list.")]
LetterNumber = Annotated[int, typer.Argument(metavar="LETTER", help="The number of the letter.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
FromFile = Annotated[Path | None, typer.Option("--file", help="Take the text from this file.")]
Text = Annotated[str | None, typer.Option("--text", help="The text; - takes it from standard input.")]


# Who is at the desk


@dataclass(slots=True)
class Choice:
    """What was said before the command."""

    config: Path | None = None
    login: str | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """An open office with somebody at it: what every command needs."""

    office: Office
    actor: Actor
    now: datetime

    @property
    def desk(self) -> Desk:
        from tui.lines import Desk

        return Desk(self.office.settings.organisation.zone, self.now, _columns())

    def case_id(self, ref: str) -> int:
        """The case of a reference or of a serial that only one case has.  Raises NotFound, or Refused where many do."""
        from amends.ledger import views

        with self.office.book.read() as session:
            return views.named_case(session, ref, prefix=self.office.settings.organisation.reference_prefix)

    def reference(self, ref: str) -> str:
        """The whole reference of the same.  Raises as `case_id`."""
        from amends.ledger import views

        case_id = self.case_id(ref)
        with self.office.book.read() as session:
            return views.queue_row(session, case_id, now=self.now).reference


def _columns() -> int:
    return max(40, shutil.get_terminal_size((80, 24)).columns) if sys.stdout.isatty() else 80


def _settings_and_actor(context: typer.Context) -> tuple[Settings, Actor]:
    from amends.casework.actors import identify
    from amends.config import load
    from amends.kernel.errors import Refused

    choice: Choice = context.find_root().obj
    settings = load(choice.config)
    try:
        return settings, identify(settings, choice.login)
    except Refused as stranger:
        raise typer.BadParameter(str(stranger)) from stranger


def _sit(context: typer.Context) -> Seat:
    """The office of the configuration with this person at the desk; the store must be there and at our schema."""
    from amends.casework.office import open_office
    from amends.kernel.errors import NeedsOperator
    from amends.ledger.schema import require_current

    settings, actor = _settings_and_actor(context)
    office = open_office(settings)
    if office.book.path is not None and not office.book.path.exists():
        raise NeedsOperator(f"There is no database {office.book.path} yet; start the daemon, or run: amendsd migrate")
    require_current(office.book)
    return Seat(office, actor, office.now())


# What is printed


def _print(lines: Iterable[str]) -> None:
    """Lines of words; they are clean already, and this is the second wall before the terminal."""
    from amends.kernel.text import clean

    left = iter(lines)
    while some := list(islice(left, 500)):
        sys.stdout.write(clean("\n".join(some), multiline=True).text + "\n")


def _document(value: Any) -> None:
    sys.stdout.write(stdio.json_text(value, indent=2) + "\n")


def _say(sentence: str) -> None:
    _print([sentence])


def _report(seat: Seat, case_id: int, as_json: bool, sentence: str) -> None:
    """What a verb did to a case: one sentence with its reference, or the case's line as JSON."""
    from amends.ledger import views

    with seat.office.book.read() as session:
        row = views.queue_row(session, case_id, now=seat.now)
    _document(row.as_json()) if as_json else _say(f"{row.reference}: {sentence}")


def _moment(seat: Seat, at: datetime) -> str:
    from tui.lines import moment

    return moment(at, seat.desk)


# What is read


def _words(text: str | None, file: Path | None, *, what: str) -> str:
    """The text of an argument, of a file, or of standard input (`-`, or nothing given)."""
    if text is not None and file is not None:
        _misuse(f"Give the {what} as text or with --file, not both.")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            _misuse(f"{file} cannot be read: {getattr(fault, 'strerror', None) or 'it is not UTF-8'}.")
    if text is not None and text != "-":
        return text
    if sys.stdin.isatty():
        sys.stderr.write(f"Write the {what}; end with Ctrl+D on a line of its own.\n")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        _misuse(f"The {what} on standard input is not UTF-8.")


def _misuse(sentence: str) -> NoReturn:
    raise typer.BadParameter(sentence)


# The lists


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

        raise typer.Exit(run(*_settings_and_actor(context)))


def _view(name: ViewName, seat: Seat) -> View:
    from amends.ledger.views import View

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

    seat = _sit(context)
    with seat.office.book.read() as session:
        rows, missing = views.legible_queue(session, _view(view, seat), now=seat.now, limit=limit)
    _document([row.as_json() for row in rows]) if as_json else _print(lines.queue(rows, seat.desk))
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

    seat = _sit(context)
    prefix = seat.office.settings.organisation.reference_prefix
    with seat.office.book.read() as session:
        ids = views.search(session, " ".join(query), prefix=prefix, limit=limit)
        by_id = views.queue_rows(session, ids, now=seat.now)
    rows, missing = [by_id[one] for one in ids if one in by_id], len(ids) - len(by_id)
    if as_json:
        _document([row.as_json() for row in rows])
    elif rows:
        _print(lines.queue(rows, seat.desk))
    _refuse_to_hide(missing)
    if not rows and not as_json:
        _complain("No case is found; try fewer or other words.", REFUSED)
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

    seat = _sit(context)
    case_id = seat.case_id(ref)
    with seat.office.book.read() as session:
        found = views.case(session, case_id, now=seat.now)
    _document(found.as_json()) if as_json else _print(lines.case(found, seat.desk, history=history))


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

    seat = _sit(context)
    case_id = seat.case_id(ref)
    with seat.office.book.read() as session:
        found = views.case(session, case_id, now=seat.now)
    files = {n: (message, file) for n, message, file in numbered_attachments(found)}
    if number not in files:
        raise NotFound(f"{found.row.reference} has no attachment {number}; it has {len(files)}.")
    message, file = files[number]
    _say(f"Saved as {save_attachment(seat.office, message.id, file, folder)}.")


@app.command()
def outbox(context: typer.Context, as_json: Json = False) -> None:
    """List the letters not yet sent, and the failed ones."""
    from amends.ledger import views
    from tui import lines

    seat = _sit(context)
    with seat.office.book.read() as session:
        letters = views.outbox(session)
    _document([one.as_json() for one in letters]) if as_json else _print(lines.outbox(letters, seat.desk))


# The tray: the same four words for held and for quarantined messages


def _tray(context: typer.Context, state: str, as_json: bool) -> None:
    from amends.ledger import views
    from tui import lines

    if context.invoked_subcommand is not None:
        return
    seat = _sit(context)
    with seat.office.book.read() as session:
        arrivals = views.tray(session, state)
    if as_json:
        _document([one.as_json() for one in arrivals])
    else:
        _print(lines.tray(arrivals, seat.desk, name="held" if state == "held" else "in quarantine"))


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

    seat = _sit(context)
    state = tray.retry(seat.office, message, actor=seat.actor, now=seat.now)
    _say(f"Message {message} is {state} now.")


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

    seat = _sit(context)
    earlier = None if linked is None else seat.reference(linked)
    reference = tray.file_as_complaint(seat.office, message, linked_to=earlier, actor=seat.actor, now=seat.now)
    _say(f"Message {message} has opened {reference}{f', linked with {earlier}' if earlier else ''}.")


@held.command("review")
@quarantine.command("review")
def review(context: typer.Context, message: Message, ref: Ref) -> None:
    """Take an answered or closed case up again, with the message on it."""
    from amends.casework import tray

    seat = _sit(context)
    reference = seat.reference(ref)
    tray.review(seat.office, message, reference, actor=seat.actor, now=seat.now)
    _say(f"{reference} is open again, with message {message} on it; its deadlines start anew.")


@held.command("join")
@quarantine.command("join")
def join(context: typer.Context, message: Message, ref: Ref) -> None:
    """Put the message on a case."""
    from amends.casework import tray

    seat = _sit(context)
    reference = seat.reference(ref)
    tray.join(seat.office, message, reference, actor=seat.actor, now=seat.now)
    _say(f"Message {message} is on {reference} now.")


@held.command("dismiss")
@quarantine.command("dismiss")
def dismiss(
    context: typer.Context,
    message: Message,
    why: Annotated[str, typer.Option("--why", help="Why it is no complaint.")],
) -> None:
    """Say that the message is no complaint; it is kept."""
    from amends.casework import tray

    seat = _sit(context)
    tray.dismiss(seat.office, message, why, actor=seat.actor, now=seat.now)
    _say(f"Message {message} is dismissed; it is kept, and can be filed after all.")


# The case


@app.command()
def assign(
    context: typer.Context,
    ref: Ref,
    handler: Annotated[str, typer.Argument(help="A login of the configuration, or nobody.")],
    as_json: Json = False,
) -> None:
    """Give the case to a handler."""
    from amends.casework import handling

    seat = _sit(context)
    case_id = seat.case_id(ref)
    to = None if handler.lower() == "nobody" else handler.lower()
    handling.assign(seat.office, case_id, to, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, f"it is {to or 'nobody'}'s now.")


@app.command()
def take(context: typer.Context, ref: Ref, as_json: Json = False) -> None:
    """Take the case yourself."""
    from amends.casework import handling

    seat = _sit(context)
    case_id = seat.case_id(ref)
    handling.assign(seat.office, case_id, seat.actor.login, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, "it is yours now.")


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

    seat = _sit(context)
    case_id = seat.case_id(ref)
    words = _words(text, file, what="note")
    handling.note(seat.office, case_id, words, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, "the note is kept.")


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

    seat = _sit(context)
    case_id = seat.case_id(ref)
    found = Assessment(Severity(severity.value), complexity, impact, immediate, vulnerable)
    handling.assess(seat.office, case_id, found, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, f"its severity is {severity.value} now.")


@app.command()
def wait(
    context: typer.Context,
    ref: Ref,
    whom: Annotated[WaitingName, typer.Option("--for", help="For whom it waits.")],
    reason: Annotated[str, typer.Option("--reason", help="What it waits for.")],
    as_json: Json = False,
) -> None:
    """Say for whom the case waits; it stops no clock."""
    from amends.cases.stages import Waiting
    from amends.casework import handling

    seat = _sit(context)
    case_id = seat.case_id(ref)
    waiting = Waiting.COMPLAINANT if whom is WaitingName.COMPLAINANT else Waiting.THIRD_PARTY
    handling.wait(seat.office, case_id, waiting, reason, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, f"it waits {waiting} now.")


@app.command()
def resume(context: typer.Context, ref: Ref, as_json: Json = False) -> None:
    """The case waits no longer."""
    from amends.casework import handling

    seat = _sit(context)
    case_id = seat.case_id(ref)
    handling.resume(seat.office, case_id, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, "it waits no longer.")


@app.command()
def investigate(context: typer.Context, ref: Ref, as_json: Json = False) -> None:
    """Say that the investigation has begun."""
    from amends.casework import handling

    seat = _sit(context)
    case_id = seat.case_id(ref)
    handling.investigate(seat.office, case_id, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, "it is being investigated now.")


@app.command()
def read(context: typer.Context, ref: Ref, as_json: Json = False) -> None:
    """Mark what came in on the case as read."""
    from amends.casework import handling

    seat = _sit(context)
    case_id = seat.case_id(ref)
    handling.mark_read(seat.office, case_id, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, "nothing on it is unread now.")


@app.command()
def accept(
    context: typer.Context,
    ref: Ref,
    address: Annotated[str, typer.Argument(help="The address of a third party who wrote on the case.")],
    as_json: Json = False,
) -> None:
    """Let a third party belong to the case."""
    from amends.casework import handling

    seat = _sit(context)
    case_id = seat.case_id(ref)
    handling.accept(seat.office, case_id, address.strip().lower(), actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, f"{address} belongs to it now.")


@app.command()
def address(
    context: typer.Context,
    ref: Ref,
    address: Annotated[str, typer.Argument(help="Where letters to the complainant go from now on.")],
    as_json: Json = False,
) -> None:
    """Correct the address of the complainant."""
    from amends.casework import correspondence

    seat = _sit(context)
    case_id = seat.case_id(ref)
    correspondence.correct_address(seat.office, case_id, address, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, f"letters go to {address} now.")


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

    seat = _sit(context)
    case_id = seat.case_id(ref)
    ending = None if outcome is None else Outcome(outcome.value)
    handling.close(
        seat.office, case_id, outcome=ending, reason=reason, root_cause=root_cause, actor=seat.actor, now=seat.now
    )
    _report(seat, case_id, as_json, "it is closed.")


@app.command()
def reopen(
    context: typer.Context,
    ref: Ref,
    reason: Annotated[str, typer.Option("--reason", help="Why it is taken up again.")],
    as_json: Json = False,
) -> None:
    """Take an answered or closed case up again; its deadlines start anew."""
    from amends.casework import handling

    seat = _sit(context)
    case_id = seat.case_id(ref)
    handling.reopen(seat.office, case_id, reason, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, "it is open again, and its deadlines start anew.")


# What belongs together


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

    seat = _sit(context)
    case_id, into_id = seat.case_id(ref), seat.case_id(other)
    merging.merge(seat.office, case_id, into_id, different_people=different, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, f"it is closed, and {seat.reference(other)} goes on with it.")


@app.command()
def unmerge(context: typer.Context, ref: Ref, as_json: Json = False) -> None:
    """Take a merger back: stage and deadlines are what they were."""
    from amends.casework import merging

    seat = _sit(context)
    case_id = seat.case_id(ref)
    other = merging.unmerge(seat.office, case_id, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, f"it stands alone again; what came meanwhile is on {other}.")


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

    seat = _sit(context)
    case_id = seat.case_id(ref)
    with seat.office.book.read() as session:
        found = views.case(session, case_id, now=seat.now)
    if not 1 <= number <= len(found.messages):
        raise NotFound(f"{found.row.reference} has no message {number}; it has {len(found.messages)}.")
    message_id = found.messages[number - 1].id
    new = merging.split(seat.office, case_id, message_id, hold=hold, actor=seat.actor, now=seat.now)
    _say(f"Message {number} of {found.row.reference} " + (f"has opened {new}." if new else "is held; see amends held."))


@app.command()
def link(context: typer.Context, ref: Ref, other: Other, as_json: Json = False) -> None:
    """Say that two cases belong together, without making one of them."""
    from amends.casework import merging

    seat = _sit(context)
    case_id = seat.case_id(ref)
    merging.link(seat.office, case_id, seat.case_id(other), actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, f"it is linked with {seat.reference(other)}.")


@app.command()
def unlink(context: typer.Context, ref: Ref, other: Other, as_json: Json = False) -> None:
    """Take a link away again."""
    from amends.casework import merging

    seat = _sit(context)
    case_id = seat.case_id(ref)
    merging.unlink(seat.office, case_id, seat.case_id(other), actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, f"it is not linked with {seat.reference(other)} any more.")


# Addresses without automatic letters


@app.command()
def blocked(context: typer.Context, as_json: Json = False) -> None:
    """List the addresses that get no automatic letters, and why."""
    from amends.casework import gate
    from tui import lines

    seat = _sit(context)
    with seat.office.book.read() as session:
        found = gate.blocked(session, now=seat.now)
    _document([one.as_json() for one in found]) if as_json else _print(lines.blocked(found, seat.desk))


@app.command("clear-address")
def clear_address(
    context: typer.Context, address: Annotated[str, typer.Argument(help="An address that `blocked` lists.")]
) -> None:
    """Let automatic letters go to an address again."""
    from amends.casework import gate

    seat = _sit(context)
    gate.clear(seat.office, address, actor=seat.actor, now=seat.now)
    _say(f"Automatic letters may go to {address} again.")


# Letters


@app.command()
def acknowledge(context: typer.Context, ref: Ref, as_json: Json = False) -> None:
    """Send an acknowledgement where none went out by itself."""
    from amends.casework import correspondence

    seat = _sit(context)
    case_id = seat.case_id(ref)
    correspondence.acknowledge(seat.office, case_id, actor=seat.actor, now=seat.now)
    _report(seat, case_id, as_json, "the acknowledgement is on its way.")


def _text_of(text: str | None, file: Path | None, *, what: str) -> str | None:
    """The text that was given with --text or --file, or None where neither was."""
    return None if text is None and file is None else _words(text, file, what=what)


def _write(seat: Seat, case_id: int, kind: KindName, text: str | None, subject: str | None, *, whole: bool) -> int:
    """A draft with these words, in the gap of its template or as the whole letter; returns its number."""
    from amends.casework import correspondence
    from amends.ledger import views
    from amends.letters.kinds import LetterKind

    if whole and text is None:
        _misuse("--whole needs the letter; give it with --text or --file.")
    if kind is KindName.PROGRESS_UPDATE and text is not None and not whole:
        _misuse("A progress update has no gap to fill; leave the text out, or give the whole letter with --whole.")
    words = None if text is None else correspondence.Words() if whole else _in_the_gap(kind, text)
    letter = correspondence.draft(
        seat.office, case_id, LetterKind(kind.value), words=words, actor=seat.actor, now=seat.now
    )
    if whole or subject is not None:
        with seat.office.book.read() as session:
            body = views.letter(session, letter).body
        body = text if whole and text is not None else body
        correspondence.save(seat.office, letter, body, subject=subject, actor=seat.actor, now=seat.now)
    return letter


def _in_the_gap(kind: KindName, text: str) -> Words:
    from amends.casework.correspondence import Words

    return Words(message=text) if kind is KindName.REPLY else Words(reasons=text)


Kind = Annotated[KindName, typer.Option("--kind", help="Which letter.")]
Subject = Annotated[str | None, typer.Option("--subject", help="Another subject; the reference stays in it.")]
Whole = Annotated[bool, typer.Option("--whole", help="The text is the whole letter, not what fills its gap.")]
Anyway = Annotated[bool, typer.Option("--anyway", help="You have read what is new on the case since the draft.")]


@app.command()
def draft(
    context: typer.Context,
    ref: Ref,
    kind: Kind = KindName.REPLY,
    text: Text = None,
    file: FromFile = None,
    subject: Subject = None,
    whole: Whole = False,
    as_json: Json = False,
) -> None:
    """Begin a letter and print it; `send` sends it."""
    from amends.kernel.text import clean
    from amends.ledger import views

    seat = _sit(context)
    case_id = seat.case_id(ref)
    letter = _write(seat, case_id, kind, _text_of(text, file, what="letter"), subject, whole=whole)
    with seat.office.book.read() as session:
        found = views.letter(session, letter)
    if as_json:
        _document(found.as_json() | {"body": found.body})
    else:
        _print([f"Letter {letter} is begun.", "", clean(found.subject).text, ""])
        _print(clean(found.body, multiline=True).text.split("\n"))


@app.command()
def letter(
    context: typer.Context,
    ref: Ref,
    kind: Kind = KindName.REPLY,
    text: Text = None,
    file: FromFile = None,
    subject: Subject = None,
    whole: Whole = False,
    as_json: Json = False,
) -> None:
    """Write a letter and send it; without --text or --file the text comes from standard input."""
    if kind is KindName.FINAL_RESPONSE:
        _misuse("A final response needs an outcome; use: amends respond REF --outcome ...")
    seat = _sit(context)
    case_id = seat.case_id(ref)
    said = _text_of(text, file, what="letter")
    if said is None and kind is not KindName.PROGRESS_UPDATE:
        said = _words(None, None, what="letter")
    _post(seat, _write(seat, case_id, kind, said, subject, whole=whole), as_json, anyway=False)


@app.command()
def send(context: typer.Context, letter: LetterNumber, anyway: Anyway = False, as_json: Json = False) -> None:
    """Send a draft."""
    _post(_sit(context), letter, as_json, anyway=anyway)


def _post(seat: Seat, letter: int, as_json: bool, *, anyway: bool) -> None:
    from amends.casework import correspondence

    leaves = correspondence.send(seat.office, letter, actor=seat.actor, now=seat.now, anyway=anyway)
    _report_letter(seat, letter, as_json, f"leaves {_moment(seat, leaves)}; until then: amends undo {letter}")


def _report_letter(seat: Seat, letter: int, as_json: bool, sentence: str) -> None:
    from amends.ledger import views

    with seat.office.book.read() as session:
        found = views.letter(session, letter)
    _document(found.as_json()) if as_json else _say(f"Letter {letter} on {found.reference} {sentence}")


@app.command()
def respond(
    context: typer.Context,
    ref: Ref,
    outcome: Annotated[FindingName, typer.Option("--outcome", help="What was found.")],
    text: Text = None,
    file: FromFile = None,
    remedy: Annotated[str, typer.Option("--remedy", help="What puts it right.")] = "",
    amount: Annotated[str | None, typer.Option("--amount", help="Money that is paid, like 120.00.")] = None,
    currency: Annotated[str, typer.Option("--currency", help="Its three letters, like GBP.")] = "GBP",
    root_cause: Annotated[str | None, typer.Option("--root-cause", help="Why it happened; stays in the house.")] = None,
    next_steps: Annotated[str, typer.Option("--next", help="What happens next.")] = "",
    as_json: Json = False,
) -> None:
    """Give the final response: the outcome, the reasons (the text) and the remedy."""
    from amends.cases.outcomes import Outcome
    from amends.casework import correspondence
    from amends.letters.kinds import LetterKind

    seat = _sit(context)
    case_id = seat.case_id(ref)
    right = _remedy(remedy, amount, currency)
    words = correspondence.Words(
        outcome=outcome.value,
        reasons=_words(text, file, what="reasons"),
        remedy=right.in_words() if right else "",
        next_steps=next_steps,
    )
    finding = correspondence.Finding(Outcome(outcome.value), right, root_cause)
    kind = LetterKind.FINAL_RESPONSE
    letter = correspondence.draft(seat.office, case_id, kind, words=words, actor=seat.actor, now=seat.now)
    leaves = correspondence.respond(seat.office, letter, finding, actor=seat.actor, now=seat.now)
    _report_letter(seat, letter, as_json, f"leaves {_moment(seat, leaves)}; until then: amends undo {letter}")


def _remedy(words: str, amount: str | None, currency: str) -> Any:
    from amends.cases.outcomes import Remedy, money
    from amends.kernel.errors import Refused

    if not words.strip():
        if amount is not None:
            _misuse("Say with --remedy what the money is for.")
        return None
    try:
        return Remedy(words) if amount is None else Remedy(words, *money(amount, currency))
    except Refused as wrong:
        raise typer.BadParameter(str(wrong)) from wrong


@app.command()
def undo(
    context: typer.Context,
    letter: Annotated[int | None, typer.Argument(metavar="LETTER", help="Else your newest that has not left.")] = None,
    as_json: Json = False,
) -> None:
    """Call back a letter that has not left; it is a draft again."""
    from amends.casework import correspondence
    from amends.kernel.errors import NotFound
    from amends.ledger import views

    seat = _sit(context)
    if letter is None:
        with seat.office.book.read() as session:
            waiting = views.held_letters(session, seat.actor.login, now=seat.now)
        if not waiting:
            raise NotFound("None of your letters can be called back; they have left, or there are none.")
        letter = max(waiting, key=lambda one: one.queued_at or seat.now).id
    correspondence.call_back(seat.office, letter, actor=seat.actor, now=seat.now)
    _report_letter(seat, letter, as_json, "is called back; it is a draft again.")


@app.command()
def discard(context: typer.Context, letter: LetterNumber, as_json: Json = False) -> None:
    """Throw a draft away."""
    from amends.casework import correspondence

    seat = _sit(context)
    correspondence.discard(seat.office, letter, actor=seat.actor, now=seat.now)
    _report_letter(seat, letter, as_json, "is thrown away.")


@app.command()
def resend(context: typer.Context, letter: LetterNumber, as_json: Json = False) -> None:
    """Send a failed, bounced or uncertain letter once more."""
    from amends.casework import correspondence

    seat = _sit(context)
    correspondence.resend(seat.office, letter, actor=seat.actor, now=seat.now)
    _report_letter(seat, letter, as_json, "is on its way again.")


@app.command()
def settle(
    context: typer.Context,
    letter: LetterNumber,
    arrived: Annotated[
        bool, typer.Option("--arrived/--given-up", help="It reached the complainant, or it never will.")
    ],
    as_json: Json = False,
) -> None:
    """Say what became of a letter that nobody can know of."""
    from amends.casework import correspondence

    seat = _sit(context)
    correspondence.settle(seat.office, letter, arrived, actor=seat.actor, now=seat.now)
    _report_letter(seat, letter, as_json, "is settled as sent." if arrived else "is given up.")


# From the shell and back


_SHARED: Final = ("--config", "--as")


def hoisted(argv: Sequence[str]) -> list[str]:
    """The same words with `--config FILE` and `--as LOGIN` before the command, wherever they were given.

    `file ID --as complaint` says something else with it and keeps it; what follows `--` is text.
    """
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    front: list[str] = []
    rest: list[str] = []
    place = 0
    while place < end:
        word = words[place]
        name, equals, _ = word.partition("=")
        mine = name in _SHARED and not (name == "--as" and rest[:2] in (["held", "file"], ["quarantine", "file"]))
        size = 1 if equals else 2
        (front if mine else rest).extend(words[place : min(place + size, end)] if mine else [word])
        place += size if mine else 1
    return [*front, *rest, *words[end:]]


def run_command(argv: Sequence[str]) -> int:
    """Run one command line; every trouble that is ours to tell becomes one sentence and an exit status."""
    stdio.speak_utf8()
    try:
        status = _status_of(argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `amends queue | head`: the reader has seen enough
        stdio.drop_output()
        return DONE
    except OSError as fault:
        if not stdio.is_of_output(fault):
            raise
        stdio.drop_output()
        return _complain(f"The output cannot be written: {fault.strerror}; it is not whole.", REFUSED)


def _status_of(argv: Sequence[str]) -> int:
    try:
        # Typer's own `main` would answer a closed pipe with status 1.
        command = typer.main.get_command(app)
        with command.make_context("amends", hoisted(argv)) as context:
            command.invoke(context)
        return DONE
    except typer.Exit as finished:
        return finished.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130  # 128 + SIGINT, as shells say it
    except Exception as trouble:  # noqa: BLE001  (`_failed` raises what is a mistake of ours again)
        return _failed(trouble)


def _failed(trouble: Exception) -> int:
    """Tell what went wrong in one sentence.  Raises it again if it is a mistake of ours and not of anybody outside."""
    from amends.kernel.errors import AmendsError, NeedsOperator, Unreadable

    if isinstance(trouble, _Misuse):
        return _complain(_sentence(trouble), MISUSED)
    if isinstance(trouble, AmendsError):
        misused = isinstance(trouble, NeedsOperator) and not isinstance(trouble, Unreadable)
        return _complain(str(trouble), MISUSED if misused else REFUSED)
    raise trouble


def _sentence(misuse: Any) -> str:
    """Typer's complaint in one line, with where to look."""
    said = str(misuse.format_message()).strip().rstrip(".").replace(": Value error, ", ": ", 1)  # a word of Typer's own
    command = getattr(getattr(misuse, "ctx", None), "command_path", "amends")
    own = type(misuse) is typer.BadParameter and misuse.ctx is None
    return f"{said}." if own else f"{said}; see: {command} --help"


def _complain(sentence: str, status: int) -> int:
    from amends.kernel.text import clean

    sys.stderr.write(f"amends: {clean(sentence).text}\n")
    return status
