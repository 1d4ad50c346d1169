"""A mailbox: reached, encrypted, logged in; what the server can do; whether the folders are there or can be made."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta

from imapclient.exceptions import CapabilityError

from amends.casework.intake import last_uidvalidity
from amends.casework.office import open_office
from amends.config import Mailbox, Settings
from amends.kernel.errors import AmendsError, NeedsOperator
from daemon.checks.finding import Finding, ok, warning, wrong
from daemon.intake.line import Line, LoginRefused, Trouble
from daemon.oauth.login import credentials

MANY = 25  # messages that wait before the first start: more are probably history
LATE = timedelta(minutes=5)


def check(settings: Settings, box: Mailbox, *, now: datetime) -> Iterator[Finding]:
    """By the same line as intake's, which makes the folders that are missing.

    Raises AmendsError with the sentence of what keeps us out.
    """
    what, where = f"mailbox {box.name}", f"{box.host}:{box.port}"
    shown = credentials(settings, box)
    box = box.model_copy(update={"ca_file": _authority(settings, box)})
    try:
        line = Line.open(box, shown)
    except Trouble as trouble:
        raise NeedsOperator(_sentence(box, where, trouble)) from trouble
    with line:
        yield ok(what, f"{where} answers ({box.security}), and the log-in as {box.username} holds.")
        yield from _abilities(line, box, what)
        yield from _inbox(settings, line, box, what, now=now)
        line.leave()


def _authority(settings: Settings, box: Mailbox) -> str | None:
    """The path of `ca_file`, which certificates can be read from."""
    if box.ca_file is None:
        return None
    path = settings.path(box.ca_file)
    try:
        ssl.create_default_context(cafile=str(path))
    except OSError as fault:
        raise NeedsOperator(f"ca_file: cannot read certificates from {path}; correct it.") from fault
    return str(path)


def _sentence(box: Mailbox, where: str, trouble: Trouble) -> str:
    """What keeps us out and what to do, from the cause of the trouble."""
    match trouble.__cause__:
        case _ if isinstance(trouble, LoginRefused):
            return f"{trouble}."
        case ssl.SSLCertVerificationError() as fault:
            return (
                f"{where} has a certificate that cannot be trusted ({fault.verify_message}); "
                "set host to the name in it, or ca_file to its authority."
            )
        case ssl.SSLError() as fault:
            other = "starttls" if box.security == "tls" else "tls"
            return f'{where} does not speak TLS as configured ({fault.reason or fault}); try security = "{other}".'
        case CapabilityError():
            return f'{where} does not offer STARTTLS; set security = "tls" and its port (993).'
        case socket.gaierror():
            return f"{where} is unknown: there is no machine of that name; check host."
        case ConnectionRefusedError():
            return f"{where} refuses the connection: nobody listens there; check host and port, and start the server."
        case TimeoutError():
            return f"{where} does not answer; check host, port and the firewall."
    return f"{trouble}; check host, port, security and the names of the folders."


def _abilities(line: Line, box: Mailbox, what: str) -> Iterator[Finding]:
    if box.idle and not line.can_idle:
        yield warning(
            what,
            f"The server has no IDLE, so mail is seen only every {box.poll_seconds} s; set idle = false, "
            "and poll_seconds as you need it.",
        )
    if line.keeps_filed_mail:
        yield warning(what, "The server has neither MOVE nor UIDPLUS, so filed mail stays in the inbox with a keyword.")


def _inbox(settings: Settings, line: Line, box: Mailbox, what: str, *, now: datetime) -> Iterator[Finding]:
    if line.read_only:
        yield wrong(what, f"{box.inbox} is read-only for {box.username}; give it the right to move mail.")
    uids = line.uids()
    folders = f"{box.filed}, {box.quarantine} and {box.oversized}"
    yield ok(what, f"{len(uids)} messages in {box.inbox}; {folders} are there.")
    if len(uids) > MANY and box.since is None and _never_read(settings, box):
        yield warning(
            what,
            f"{len(uids)} messages wait in {box.inbox} before the first start and would all be answered; "
            f'if they are history, set since = "{now:%Y-%m-%d}".',
        )
    newest = max((one.at for one in line.envelopes(uids[-1:]).values() if one.at is not None), default=None)
    if newest is not None and newest - now > LATE:
        yield wrong(
            what,
            f"Its newest mail came {(newest - now).total_seconds() / 60:.0f} minutes from now by the server's clock; "
            "set this machine's clock, or the server's, by NTP.",
        )


def _never_read(settings: Settings, box: Mailbox) -> bool:
    """Whether nothing of this mailbox is in the store, or there is no store yet."""
    office = open_office(settings)
    try:
        if office.book.path is not None and not office.book.path.exists():
            return True
        return last_uidvalidity(office, box.name) is None
    except AmendsError:  # said where the database is tried
        return True
    finally:
        office.book.close()
