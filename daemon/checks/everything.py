"""All checks in order; those that wait for a network run beside one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from amends.config import Settings
from amends.kernel.errors import AmendsError
from daemon.checks import clock, deadlines, files, listener, mailserver, rules, smtpserver, store
from daemon.checks.finding import Finding, wrong
from daemon.oauth import check as tokens
from daemon.oauth.duty import servers_by_oauth

Check = tuple[str, Callable[[], Iterable[Finding]]]


def check_everything(settings: Settings, config: Path, *, now: datetime) -> list[Finding]:
    """Try whatever `settings` names, which were read from `config`.  `now` is the wall clock."""
    checks: list[Check] = [
        ("configuration", lambda: files.check(settings, config)),
        ("database", lambda: store.check(settings, now=now)),
        ("letters", lambda: rules.check_letters(settings)),
        ("policy", lambda: rules.check_policy(settings, now=now)),
        ("deadlines", lambda: deadlines.check(settings)),
        ("clock", lambda: clock.check(settings)),
    ]
    for box in settings.mailbox:
        checks.append((f"mailbox {box.name}", lambda box=box: mailserver.check(settings, box, now=now)))  # type: ignore[misc]
    if settings.smtp is not None:
        checks.append(("smtp", lambda: smtpserver.check(settings)))
    if servers_by_oauth(settings):
        checks.append(("oauth", lambda: tokens.check(settings, now=now)))
    if settings.listener is not None:
        checks.append(("listener", lambda: listener.check(settings)))
    with ThreadPoolExecutor(max_workers=max(4, len(settings.mailbox) + 2)) as pool:
        return [finding for findings in pool.map(lambda one: list(_tried(*one)), checks) for finding in findings]


def _tried(what: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What the check found until it could not go on."""
    try:
        yield from check()
    except AmendsError as fault:
        kind, _, name = what.partition(" ")
        yield wrong(what, str(fault).removeprefix(f"{kind} '{name}': " if name else f"{kind}: "))
