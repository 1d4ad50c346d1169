"""Who acts, and what their role lets them do."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from amends.config import DAEMON_LOGIN, Settings
from amends.kernel.errors import Refused

if TYPE_CHECKING:  # who acts is asked where no pack is read
    from amends.deadlines.model import Pack


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody, or the daemon, in whose name a verb runs; `login` stands in the ledger."""

    login: str
    name: str = ""
    role: str = "handler"

    def may_write(self) -> None:
        """Raises Refused for a role that only reads."""
        if self.role == "auditor":
            raise Refused(f"{self.login} is an auditor and may read everything but change nothing.")


SYSTEM: Final = Actor(DAEMON_LOGIN, "Amends", "system")


def identify(settings: Settings, login: str | None = None) -> Actor:
    """Who is at the desk: `login`, else the user of the operating system.

    Where the configuration lists no handlers, everybody who can open the store is a supervisor (a small desk, or a
    first try); where it does, only those in it.  Raises Refused for anybody else.
    """
    login = (login or getpass.getuser()).lower()
    if login == SYSTEM.login:
        raise Refused(f"'{login}' is the daemon's own name in the ledger; say who you are with --as LOGIN.")
    if not settings.handler:
        return Actor(login, login, "supervisor")
    for person in settings.handler:
        if person.login == login:
            return Actor(login, person.name or login, person.role)
    known = ", ".join(person.login for person in settings.handler)
    raise Refused(f"'{login}' is not among the handlers of the configuration ({known}); use --as LOGIN or add them.")


def address_of(settings: Settings, login: str | None) -> str:
    """Where letters for `login` go, or '' if there is no address."""
    return next((person.address for person in settings.handler if person.login == login), "")


def supervisors(settings: Settings) -> list[str]:
    return [person.login for person in settings.handler if person.role == "supervisor"]


def whom_to_ask(settings: Settings) -> str:
    """Where a supervisor's word is wanted: `ask sam`, or what to do where nobody is one."""
    if them := ", ".join(supervisors(settings)):
        return f"ask {them}"
    return 'nobody is one, so let the operator give a [[handler]] of the configuration role = "supervisor"'


def missing_supervisor(settings: Settings, packs: Iterable[Pack]) -> str | None:
    """In a sentence: that these packs want a supervisor's word, and that none of the handlers is one; else None.

    Without any handlers in the configuration everybody is a supervisor (`identify`).
    """
    if not settings.handler or supervisors(settings):
        return None
    wanted = [
        f"{rule.id} of {pack.id}"
        for pack in packs
        for rule in pack.deadline
        if any(part is not None and part.by == "supervisor" for part in (rule.extension, rule.pause))
    ]
    if not wanted:
        return None
    others = f" and {len(wanted) - 1} more" if len(wanted) > 1 else ""
    return (
        f"More time or a pause for {wanted[0]}{others} is a supervisor's word, and no [[handler]] has "
        'role = "supervisor", so nobody can give it; give that role to one.'
    )


def is_here(settings: Settings, login: str) -> bool:
    """Whether somebody is among the handlers of the configuration."""
    return any(person.login == login for person in settings.handler)


def name_of(settings: Settings, login: str | None) -> str:
    """What a handler is called in letters to staff; the login itself where nothing else is known, "" for nobody."""
    found = next((person.name for person in settings.handler if person.login == login), "")
    return found or login or ""
