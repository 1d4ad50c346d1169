"""The commands of `amendsd`, their options and their exit status.  What they do is in the modules beside this one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amends.kernel import stdio
from daemon.cli import say

if TYPE_CHECKING:  # pydantic and SQLAlchemy cost 300 ms; --help needs neither
    from amends.casework.office import Office
    from amends.config import Settings

app = typer.Typer(
    name="amendsd",
    help="Amends, the daemon that answers a complaints mailbox, and the commands of its operator.",
    epilog="Exit status: 0 done, 1 a check failed or not found, 2 wrong usage or configuration.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # Rich costs half of the time that --help may take
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
policy = typer.Typer(help="The policy packs: which there are, and what each demands.", no_args_is_help=True)
app.add_typer(policy, name="policy")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration; default: $AMENDS_CONFIG, ./amends.toml, /etc/amends/amends.toml.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print JSON lines for a program; the last is the sum.")]


def run_command(argv: Sequence[str]) -> int:
    """One command from its words to its exit status; every foreseeable fault is one sentence."""
    stdio.speak_utf8()
    try:
        status = _status_of(argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `amendsd ... | head`: who reads has seen enough
        stdio.drop_output()
        return 1
    except OSError as fault:
        if not stdio.is_of_output(fault):
            raise
        stdio.drop_output()
        say.error(f"The output cannot be written: {fault.strerror}; it is not whole.")
        return 1


def _status_of(argv: Sequence[str]) -> int:
    from amends.kernel.errors import AmendsError, ConfigError

    try:
        status = app(args=list(argv), prog_name="amendsd", standalone_mode=False)
    except ConfigError as wrong:
        say.error(str(wrong))
        return 2
    except AmendsError as fault:
        say.error(str(fault))
        return 1
    except typer.TyperException as usage:
        _explain(usage)
        return usage.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    return status if isinstance(status, int) else 0


def _explain(usage: typer.TyperException) -> None:
    words, context = usage.format_message(), getattr(usage, "ctx", None)
    if context is not None and words == context.get_help():  # no command at all: the help is the answer
        typer.echo(words, err=True)
        return
    say.error(f"{words.rstrip('.')}; see {context.command_path if context else 'amendsd'} --help.")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say.line(f"amendsd {version('amends')}")
        raise typer.Exit


@app.callback()
def _amendsd(
    context: typer.Context,
    config: Config = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = config


def _settings(context: typer.Context, config: Path | None) -> Settings:
    from amends.config import load

    return load(config or context.find_root().obj)


def _office(context: typer.Context, config: Path | None) -> Office:
    from amends.casework.office import open_office

    return open_office(_settings(context, config))


@app.command()
def run(context: typer.Context, config: Config = None) -> int:
    """Run the daemon in the foreground.

    It logs to standard error and ends within 10 seconds of SIGTERM or SIGINT.
    """
    from daemon.house import run_house

    os.umask(0o077)  # what it makes (the database, a socket) is its own user's
    return run_house(_settings(context, config)) or 0


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where amends.toml shall stand.")],
) -> int:
    """Write a configuration, ready to edit.

    Every setting is explained in it; only its owner can read it; an existing one is not touched.
    """
    from daemon.cli.starting import write_configuration

    return write_configuration(folder)


@app.command()
def check(context: typer.Context, as_json: Json = False, config: Config = None) -> int:
    """Try everything that the configuration names.

    Log-in to the mail servers, folders (the missing ones are made), database, letters, policy pack, clock; no mail is
    sent.  Exit status 1 if anything is wrong; a warning alone is none.
    """
    from amends.config import find_config
    from daemon.cli.checking import check

    settings = _settings(context, config)
    return check(settings, find_config(config or context.find_root().obj), as_json=as_json)


@app.command()
def migrate(context: typer.Context, config: Config = None) -> int:
    """Make the database, or bring it up to date."""
    from daemon.cli.store import migrate

    return migrate(_office(context, config))


@app.command()
def status(context: typer.Context, as_json: Json = False, config: Config = None) -> int:
    """Say how the daemon and its mail fare.

    Exit status 1 when it is not ready (not running, or a duty cannot do its work) or something is overdue.
    """
    from daemon.cli.status import status

    return status(_office(context, config), as_json=as_json)


@app.command()
def reconcile(
    context: typer.Context,
    mailbox: Annotated[
        str | None, typer.Argument(metavar="MAILBOX", help="Its name in the configuration; default: all.")
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", min=0, max=100_000, help="Messages of each folder to compare byte by byte.")
    ] = 20,
    settle: Annotated[
        str | None,
        typer.Option("--settle", metavar="WHY", help="You have looked into the incidents; asks no server."),
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> int:
    """Prove that every message on the server has a fate.

    Compares the inbox, the folder of filed mail and that of quarantine with the database, both ways; changes nothing.
    The daemon does so at its start and daily.  Exit status 1 if anything differs.
    """
    from daemon.cli import reconciling

    office = _office(context, config)
    if settle is not None:
        return reconciling.settle(office, settle, mailbox=mailbox)
    return reconciling.reconcile_all(office, mailbox, sample=sample, as_json=as_json)


@app.command()
def verify(context: typer.Context, as_json: Json = False, config: Config = None) -> int:
    """Prove that the ledger is whole.

    Re-computes every chain, compares it with the rows, and prints one root digest to keep elsewhere.
    Exit status 1, with the first broken link, if history was altered.
    """
    from daemon.cli.store import verify

    return verify(_office(context, config), as_json=as_json)


@app.command()
def ingest(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Messages, folders of them, Maildirs and mboxes.")
    ],
    no_letters: Annotated[bool, typer.Option("--no-letters", help="It is history: no answers, no clocks.")] = False,
    config: Config = None,
) -> int:
    """Take in mail from files.

    It goes through the same intake as mail from a mailbox.  Safe to repeat: what is there already is left alone.
    """
    from daemon.cli.ingesting import take_in

    return take_in(_office(context, config), paths, letters=not no_letters)


@app.command()
def parse(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Messages, one a file; - is standard input.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines for a program.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Tells which addresses are ours; not needed.", show_default=False
        ),
    ] = None,
) -> int:
    """Show what is read in messages.

    Needs no database and no configuration, and never fails on a message: what cannot be read is told.
    """
    from daemon.cli.parsing import parse

    given = config or context.find_root().obj
    return parse(files, _settings(context, given) if given is not None else None, as_json=as_json)


def _settings_if_any(context: typer.Context, config: Path | None) -> Settings | None:
    """The configuration, or None where there is none and none was named."""
    from amends.config import find_config, load
    from amends.kernel.errors import ConfigError

    given = config or context.find_root().obj
    try:
        path = find_config(given)
    except ConfigError:
        if given is not None or os.environ.get("AMENDS_CONFIG"):
            raise
        return None
    return load(path)


@policy.command("list")
def policy_list(context: typer.Context, as_json: Json = False, config: Config = None) -> int:
    """List the packs there are.

    Needs no configuration; one that is there may add packs of your own.
    """
    from daemon.cli.policies import list_packs

    return list_packs(_settings_if_any(context, config), as_json=as_json)


@policy.command("explain")
def policy_explain(
    context: typer.Context,
    pack: Annotated[str, typer.Argument(metavar="PACK", help="Its id, or an alias.")],
    received: Annotated[
        str,
        typer.Option(
            "--received", metavar="T", help="When the complaint came: 2026-11-23T09:00:00Z, or a day alone (its noon)."
        ),
    ],
    region: Annotated[
        str | None, typer.Option("--region", metavar="R", help="Whose working days: GB-ENG, IE, DE-BY, or none.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="Z", help="Whose days; default: that of the region.")
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option("--event", metavar="NAME=T", help="What else happened, and when; may be given again."),
    ] = None,
    fact: Annotated[
        list[str] | None,
        typer.Option("--fact", metavar="NAME=VALUE", help="A fact of the case: leaves out what it rules out."),
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> int:
    """Show the deadlines of a complaint.

    Every deadline of the pack, conditional ones too, in order, with its basis and how it was worked out.
    """
    from daemon.cli.policies import explain

    return explain(
        _settings_if_any(context, config),
        pack,
        received=received,
        region=region,
        timezone=timezone,
        events=event or [],
        facts=fact or [],
        as_json=as_json,
    )


@policy.command("check")
def policy_check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A pack of your own.")],
) -> int:
    """Tell the author of a pack what is wrong in it.

    Every mistake by line and key, and what is doubtful.  Exit status 1 if there is a mistake; doubts alone are none.
    """
    from daemon.cli.policies import check_pack

    return check_pack(file)


@app.command()
def simulate(
    context: typer.Context,
    pack: Annotated[
        list[str] | None,
        typer.Option("--pack", metavar="P", help="The policy pack, and further ones; default: the configured ones."),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", metavar="N", min=1, max=1100, help="Calendar days in which complaints come.")
    ] = 90,
    arrivals: Annotated[
        str, typer.Option("--arrivals", metavar="R", help="How many come: 12, 0.5/day or 40/week.")
    ] = "10/day",
    handlers: Annotated[
        int | None,
        typer.Option(
            "--handlers", metavar="H", min=1, max=500, help="What is late with so many; default: how many are needed."
        ),
    ] = None,
    minutes_per_answer: Annotated[
        int,
        typer.Option(
            "--minutes-per-answer", metavar="M", min=1, max=100_000, help="Working time that an answer takes."
        ),
    ] = 90,
    minutes_per_letter: Annotated[
        int,
        typer.Option(
            "--minutes-per-letter", metavar="M", min=1, max=100_000, help="The same of a shorter letter or record."
        ),
    ] = 15,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="The first day, as 2027-03-01; default: today.")
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="R", help="Whose working days: GB-ENG, IE, DE-BY, or none.")
    ] = None,
    fact: Annotated[
        list[str] | None,
        typer.Option("--fact", metavar="NAME=VALUE", help="A fact of every complaint; may be given again."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Another number, other days of arrival.")] = 1,
    as_json: Json = False,
    config: Config = None,
) -> int:
    """Plan how many handlers keep the dates.

    Invented complaints go through the real verbs on a fast clock, in memory: what falls due when, what is late, and how
    many handlers it takes.  Needs no configuration; one that is there gives its packs, promises and working days.
    """
    from daemon.cli.simulating import Asked, simulate

    asked = Asked(
        packs=tuple(pack or ()),
        days=days,
        arrivals=arrivals,
        handlers=handlers,
        minutes_per_answer=minutes_per_answer,
        minutes_per_letter=minutes_per_letter,
        first=first,
        region=region,
        facts=tuple(fact or ()),
        seed=seed,
    )
    return simulate(_settings_if_any(context, config), asked, as_json=as_json)


@policy.command("changes")
def policy_changes(
    context: typer.Context,
    as_json: JsonLines = False,
    config: Config = None,
) -> int:
    """Show what a change would move.

    A change of the calendar or of a pack: every open deadline is counted again by the configuration and the packs as
    they are now.  Nothing is changed.
    """
    from daemon.cli.recounting import changes

    return changes(_office(context, config), as_json=as_json)


@policy.command("apply")
def policy_apply(
    context: typer.Context,
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="Why, for the ledger; no personal data.")],
    login: Annotated[
        str | None, typer.Option("--as", metavar="LOGIN", help="Who you are; default: your name on this machine.")
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> int:
    """Move open deadlines after a change.

    Those that the calendar and the packs, as they are now, let fall on other days.  Each case is a transaction of its
    own, and each moved deadline an event in its ledger.  What was met, missed or given more time stays as it is.
    Broken off, it goes on where it was when it is run again.
    """
    from daemon.cli.recounting import apply

    return apply(_office(context, config), reason, login=login, as_json=as_json)


@policy.command("check-deadlines")
def policy_check_deadlines(
    context: typer.Context,
    as_json: JsonLines = False,
    config: Config = None,
) -> int:
    """Count every open deadline again.

    Says which are not what they should be.  The daemon does so every night; nothing is changed.  Exit status 1 if any
    differs in more than its words.
    """
    from daemon.cli.recounting import check_deadlines

    return check_deadlines(_office(context, config), as_json=as_json)


@app.command()
def demo(
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Where it lives, and stays; default: a scratch folder."),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option("--speed", min=0.001, max=100_000, help="How fast the clock runs; 1440 is a day in a minute."),
    ] = None,
    every: Annotated[float | None, typer.Option("--every", min=0.1, help="Seconds between two mails.")] = None,
    open_screen: Annotated[bool, typer.Option("--open", help="Open the handlers' screen on it.")] = False,
    imap_port: Annotated[int, typer.Option("--imap-port", min=0, max=65535, help="0: a free one.")] = 0,
    smtp_port: Annotated[int, typer.Option("--smtp-port", min=0, max=65535, help="0: a free one.")] = 0,
) -> int:
    """Run a demonstration.

    The real daemon on an embedded mail server in a scratch folder, with invented complainants writing in.
    """
    from daemon.demo.show import EVERY, SPEED, Options, show

    os.umask(0o077)  # invented people, but the password of the mail server is a real one
    options = Options(
        folder=folder,
        speed=SPEED if speed is None else speed,
        every=EVERY if every is None else every,
        open_screen=open_screen,
        imap_port=imap_port,
        smtp_port=smtp_port,
    )
    return show(options, say=say.line)


@app.command()
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; it is made with mode 0600.")],
    config: Config = None,
) -> int:
    """Copy the database while the daemon runs.

    The copy is consistent, and called good only when its ledger was verified.
    """
    from daemon.cli.backups import backup

    return backup(_office(context, config), file)


@app.command()
def restore(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="What amendsd backup wrote.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Set aside a database that is not empty.")] = False,
    hold: Annotated[bool, typer.Option("--hold", help="Hold the letters after a pg_restore; no FILE.")] = False,
    release: Annotated[bool, typer.Option("--release", help="Let automatic letters leave again; no FILE.")] = False,
    config: Config = None,
) -> int:
    """Put a backup in the place of the database.

    The daemon must be stopped.  The backup is verified first; letters that had not left become uncertain, and automatic
    letters are held until --release, because what was sent since the backup is not known.
    """
    from amends.kernel.errors import ConfigError
    from daemon.cli import backups

    if (file is not None) + hold + release != 1:
        raise ConfigError("Name one of FILE, --hold and --release; see amendsd restore --help.")
    if file is None:
        office = _office(context, config)
        return backups.hold_letters(office) if hold else backups.release_letters(office)
    from amends.kernel.instants import wall_clock

    return backups.restore(_settings(context, config), file, force=force, now=wall_clock())


@app.command()
def clock(
    context: typer.Context,
    confirm: Annotated[bool, typer.Option("--confirm", help="Say that the clock is right as it stands.")] = False,
    config: Config = None,
) -> int:
    """Show the clock, or settle a doubt about it.

    While this machine's clock contradicts its witnesses, automatic letters are held; --confirm believes it again.
    """
    from daemon.cli.clocks import clock

    return clock(_office(context, config), confirm=confirm)


@app.command()
def doubt(
    context: typer.Context,
    release: Annotated[bool, typer.Option("--release", help="Let automatic letters leave again.")] = False,
    config: Config = None,
) -> int:
    """Show why the database itself is in doubt, or end it.

    It was restored, or is older than the mailbox, or the mailbox was numbered anew and much of it is unknown: until
    --release, automatic letters wait.  Exit status 1 while they do.
    """
    from daemon.cli.doubts import doubt

    return doubt(_office(context, config), release=release)


@app.command()
def breaker(
    context: typer.Context,
    go: Annotated[bool, typer.Option("--go", help="Let the held letters leave.")] = False,
    config: Config = None,
) -> int:
    """Show what looks like a loop of letters, or end it.

    While too many automatic letters answer mail that came just after another one, all of them are held, until that is
    over or --go lets them leave.  Exit status 1 while letters are held.
    """
    from daemon.cli.breaker import breaker

    return breaker(_office(context, config), go=go)
