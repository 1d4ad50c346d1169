"""The configuration file, its secrets, and what is missing in it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from amends.config import Mailbox, Settings
from amends.kernel.errors import AmendsError
from daemon.checks.finding import Finding, ok, warning, wrong

PLACEHOLDER_NAME: Final = "Northwind Homes"
PLACEHOLDER_DOMAIN: Final = "northwind.example"


def check(settings: Settings, config: Path) -> Iterator[Finding]:
    what = "configuration"
    if others_may_read(config, group=_holds_a_password(settings)):
        yield warning(what, f"{config} can be read by others on this machine; run: chmod 600 {config}")
    else:
        yield ok(what, f"{config} is understood, and nobody can read it who should not.")
    yield from _placeholders(what, settings)
    if not settings.mailbox:
        yield warning(what, "There is no [[mailbox]], so no mail is read; add one.")
    if settings.smtp is None:
        yield warning(what, "There is no [smtp], so no letter can leave; add it.")
    if not settings.handler:
        yield warning(what, "There is no [[handler]], so nobody can be given a case; add one for each person.")
    elif not any(person.role == "supervisor" and person.address for person in settings.handler):
        yield warning(
            what, 'No handler with role = "supervisor" has an address, so nobody is written to about a breach; add one.'
        )
    yield from _secrets(settings)


def _placeholders(what: str, settings: Settings) -> Iterator[Finding]:
    """What `amendsd init` wrote and nobody changed; the demonstration is called so on purpose."""
    if settings.organisation.demonstration:
        return
    named = [("organisation.name", settings.organisation.name), ("organisation.address", settings.organisation.address)]
    named += [(f"mailbox '{box.name}': host", box.host) for box in settings.mailbox]
    named += [(f"mailbox '{box.name}': username", box.username) for box in settings.mailbox]
    if settings.smtp is not None:
        named += [("smtp.host", settings.smtp.host), ("smtp.username", settings.smtp.username)]
    named += [(f"handler '{person.login}': address", person.address) for person in settings.handler]
    for key, value in named:
        if value == PLACEHOLDER_NAME or value.lower().endswith(PLACEHOLDER_DOMAIN):
            yield warning(what, f"{key} is still the example {value}; write your own.")


def _holds_a_password(settings: Settings) -> bool:
    servers = [*settings.mailbox, *([settings.smtp] if settings.smtp is not None else [])]
    return any(
        server.password is not None or (server.oauth is not None and server.oauth.client_secret is not None)
        for server in servers
    )


def _secrets(settings: Settings) -> Iterator[Finding]:
    servers = [(f"mailbox {box.name}", box) for box in settings.mailbox]
    named = [(what, server.password_file) for what, server in servers]
    if settings.smtp is not None:
        named.append(("smtp", settings.smtp.password_file))
    named.append(("database", settings.database.password_file))
    for what, path in named:
        if path is not None and (file := settings.path(path)).is_file() and others_may_read(file):
            yield warning(what, f"{file} can be read by others on this machine; run: chmod 600 {file}")
    for what, server in [*servers, *([("smtp", settings.smtp)] if settings.smtp is not None else [])]:
        if not server.username:
            if isinstance(server, Mailbox):
                yield wrong(what, f"mailbox '{server.name}' has no username; give the one to log in with.")
            continue
        try:
            secret = settings.password(server)
        except AmendsError:
            continue  # said where the server is tried
        if secret != secret.strip() or not secret:
            yield warning(what, "Its password is empty, or begins or ends with a space; check it.")


def others_may_read(path: Path, *, group: bool = True) -> bool:
    """Whether others, or with `group` the file's group, may read it.

    What holds no secret may be shared with a group: handlers who run their screens as themselves need it so.
    """
    try:
        return bool(path.stat().st_mode & (stat.S_IROTH | (stat.S_IRGRP if group else 0)))
    except OSError:
        return False
