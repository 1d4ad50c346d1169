"""What all commands share: their options, who is at the desk, what is read and what is printed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from amends.kernel import stdio

if TYPE_CHECKING:
    from amends.casework.actors import Actor
    from amends.casework.office import Office
    from amends.config import Settings
    from tui.lines import Desk

DONE, REFUSED, MISUSED = 0, 1, 2


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


def settings_and_actor(context: typer.Context) -> tuple[Settings, Actor]:
    from amends.casework.actors import identify
    from amends.config import load
    from amends.kernel.errors import Refused

    choice: Choice = context.find_root().obj
    settings = load(choice.config)
    try:
        return settings, identify(settings, choice.login)
    except Refused as stranger:
        raise typer.BadParameter(str(stranger)) from stranger


def sit(context: typer.Context) -> Seat:
    """The office of the configuration with this person at the desk; the store must be there and at our schema."""
    from amends.casework.office import open_office
    from amends.kernel.errors import NeedsOperator
    from amends.ledger.schema import require_current

    settings, actor = settings_and_actor(context)
    office = open_office(settings)
    if office.book.path is not None and not office.book.path.exists():
        raise NeedsOperator(f"There is no database {office.book.path} yet; start the daemon, or run: amendsd migrate")
    require_current(office.book)
    return Seat(office, actor, office.now())


# What is printed


def print_lines(lines: Iterable[str]) -> None:
    """Lines of words; they are clean already, and this is the second wall before the terminal."""
    from amends.kernel.text import clean

    left = iter(lines)
    while some := list(islice(left, 500)):
        sys.stdout.write(clean("\n".join(some), multiline=True).text + "\n")


def document(value: Any) -> None:
    sys.stdout.write(stdio.json_text(value, indent=2) + "\n")


def say(sentence: str) -> None:
    print_lines([sentence])


def report(seat: Seat, case_id: int, as_json: bool, sentence: str) -> None:
    """What a verb did to a case: one sentence with its reference, or the case's line as JSON."""
    from amends.ledger import views

    with seat.office.book.read() as session:
        row = views.queue_row(session, case_id, now=seat.now)
    document(row.as_json()) if as_json else say(f"{row.reference}: {sentence}")


def moment(seat: Seat, at: datetime) -> str:
    from tui.lines import moment

    return moment(at, seat.desk)


# What is read


def words_of(text: str | None, file: Path | None, *, what: str) -> str:
    """The text of an argument, of a file, or of standard input (`-`, or nothing given)."""
    if text is not None and file is not None:
        misuse(f"Give the {what} as text or with --file, not both.")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            misuse(f"{file} cannot be read: {getattr(fault, 'strerror', None) or 'it is not UTF-8'}.")
    if text is not None and text != "-":
        return text
    if sys.stdin.isatty():
        sys.stderr.write(f"Write the {what}; end with Ctrl+D on a line of its own.\n")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        misuse(f"The {what} on standard input is not UTF-8.")


def instant_of(seat: Seat, said: str | None) -> datetime | None:
    """An instant, or a local time of the organisation; a day is its noon.  None where nothing was said."""
    if said is None:
        return None
    try:
        found = datetime.fromisoformat(said.strip())
    except ValueError:
        misuse("Write the instant as 2026-11-23, 2026-11-23T09:00 or 2026-11-23T09:00:00Z.")
    if len(said.strip()) == len("2026-11-23"):
        found = found.replace(hour=12)
    return found if found.tzinfo is not None else found.replace(tzinfo=seat.office.settings.organisation.zone)


def misuse(sentence: str) -> NoReturn:
    raise typer.BadParameter(sentence)


def complain(sentence: str, status: int) -> int:
    from amends.kernel.text import clean

    sys.stderr.write(f"amends: {clean(sentence).text}\n")
    return status
