"""A mailbox: reached, encrypted, logged in; what the server can do; whether the folders are there or can be made."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import CapabilityError, IMAPClientError, LoginError

from amends.config import Mailbox, Settings
from amends.kernel.errors import NeedsOperator
from amends.kernel.text import one_line
from daemon.checks.finding import Finding, ok, warning, wrong

MANY = 25  # messages that wait before the first start: more are probably history
LATE = timedelta(minutes=5)


def check(settings: Settings, box: Mailbox, *, now: datetime) -> Iterator[Finding]:
    """Raises NeedsOperator with the sentence of what keeps us out."""
    what, where = f"mailbox {box.name}", f"{box.host}:{box.port}"
    client = _logged_in(settings, box, where)
    try:
        yield ok(what, f"{where} answers ({box.security}), and the log-in as {box.username} holds.")
        yield from _abilities(client, box, what)
        yield from _folders(client, box, what, now=now)
    except (IMAPClientError, OSError, ValueError) as fault:
        yield wrong(what, f"{where} broke off ({one_line(str(fault), 120)}); look at the server's log.")
    finally:
        with contextlib.suppress(IMAPClientError, OSError):
            client.logout()


def _logged_in(settings: Settings, box: Mailbox, where: str) -> IMAPClient:
    password = settings.password(box)
    context = _context(settings, box)
    try:
        client = IMAPClient(
            box.host, box.port, ssl=box.security == "tls", ssl_context=context, timeout=SocketTimeout(10, 20)
        )
    except (IMAPClientError, OSError, ValueError) as fault:
        raise NeedsOperator(f"{where} {_why_not(box, fault)}") from fault
    try:
        client.normalise_times = False
        if box.security == "starttls":
            client.starttls(context)
        client.login(box.username, password)
    except LoginError as refused:
        _hang_up(client)
        raise NeedsOperator(
            f"{where} refuses the log-in as {box.username} ({_said(refused)}); check username and password."
        ) from refused
    except CapabilityError as missing:
        _hang_up(client)
        raise NeedsOperator(f'{where} does not offer STARTTLS; set security = "tls" and its port (993).') from missing
    except (IMAPClientError, OSError, ValueError) as fault:
        _hang_up(client)
        raise NeedsOperator(f"{where} {_why_not(box, fault)}") from fault
    return client


def _context(settings: Settings, box: Mailbox) -> ssl.SSLContext:
    path = settings.path(box.ca_file) if box.ca_file is not None else None
    try:
        return ssl.create_default_context(cafile=str(path) if path is not None else None)
    except OSError as fault:
        raise NeedsOperator(f"ca_file: cannot read certificates from {path}; correct it.") from fault


def _why_not(box: Mailbox, fault: Exception) -> str:
    """The rest of the sentence that begins with the server."""
    match fault:
        case ssl.SSLCertVerificationError():
            return (
                f"has a certificate that cannot be trusted ({fault.verify_message}); "
                "set host to the name in it, or ca_file to its authority."
            )
        case ssl.SSLError():
            other = "starttls" if box.security == "tls" else "tls"
            return f'does not speak TLS as configured ({fault.reason or fault}); try security = "{other}".'
        case socket.gaierror():
            return "is unknown: there is no machine of that name; check host."
        case ConnectionRefusedError():
            return "refuses the connection: nobody listens there; check host and port, and whether the server runs."
        case TimeoutError():
            return "does not answer; check host, port and the firewall."
        case OSError() if fault.strerror:
            return f"cannot be reached ({fault.strerror}); check host and port."
    return f"does not speak IMAP as configured ({one_line(str(fault), 120)}); check port and security."


def _said(fault: Exception) -> str:
    words = str(fault)
    return one_line(words[2:-1] if words.startswith(("b'", 'b"')) else words, 120)


def _hang_up(client: IMAPClient) -> None:
    with contextlib.suppress(IMAPClientError, OSError):
        client.shutdown()


def _abilities(client: IMAPClient, box: Mailbox, what: str) -> Iterator[Finding]:
    if box.idle and not client.has_capability("IDLE"):
        yield warning(
            what,
            f"The server has no IDLE, so mail is seen only every {box.poll_seconds} s; set idle = false, "
            "and poll_seconds as you need it.",
        )
    if not client.has_capability("MOVE"):
        if client.has_capability("UIDPLUS"):
            yield warning(what, "The server has no MOVE; filed mail is copied and expunged, which is slower.")
        else:
            yield warning(what, "The server has neither MOVE nor UIDPLUS, so filed mail is only marked in the inbox.")


def _folders(client: IMAPClient, box: Mailbox, what: str, *, now: datetime) -> Iterator[Finding]:
    if not client.folder_exists(box.inbox):
        yield wrong(what, f"There is no folder {box.inbox}; correct inbox.")
        return
    first_start = not client.folder_exists(box.filed)
    for key, folder in (("filed", box.filed), ("quarantine", box.quarantine)):
        if client.folder_exists(folder):
            continue
        try:
            client.create_folder(folder)
        except IMAPClientError as refused:
            yield wrong(what, f"The folder {folder} cannot be made ({_said(refused)}); make it, or correct {key}.")
        else:
            yield ok(what, f"The folder {folder} was made.")
    selected = client.select_folder(box.inbox)
    if selected.get(b"READ-ONLY") or not selected.get(b"READ-WRITE", True):
        yield wrong(what, f"{box.inbox} is read-only for {box.username}; give it the right to move mail.")
    waiting = int(selected.get(b"EXISTS", 0))
    yield ok(what, f"{waiting} messages in {box.inbox}; {box.filed} and {box.quarantine} are there.")
    if first_start and waiting > MANY and box.since is None:
        yield warning(
            what,
            f"{waiting} messages wait in {box.inbox} before the first start and would all be answered; "
            f'if they are history, set since = "{now:%Y-%m-%d}".',
        )
    if waiting:
        yield from _witness(client, waiting, what, now=now)


def _witness(client: IMAPClient, newest: int, what: str, *, now: datetime) -> Iterator[Finding]:
    """Mail that came after now: one of the two clocks is wrong."""
    client.use_uid = False
    found = client.fetch([newest], ["INTERNALDATE"])
    came = next((one[b"INTERNALDATE"] for one in found.values() if b"INTERNALDATE" in one), None)
    if came is not None and came.tzinfo is not None and came - now > LATE:
        yield wrong(
            what,
            f"Its newest mail came {(came - now).total_seconds() / 60:.0f} minutes from now by the server's clock; "
            "set this machine's clock, or the server's, by NTP.",
        )
