"""The demonstration's own amends.toml and its policy pack, written into its scratch folder."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from daemon.demo.mailserver import HOST

ORGANISATION: Final = "Northwind Homes"
ADDRESS: Final = "complaints@northwind.example"
USERNAME: Final = "complaints"
PACKS: Final = "policies"

_PEOPLE: Final = (
    ("priya", "Priya Sharma", "priya.sharma@northwind.example", "handler"),
    ("tom", "Tom Wexford", "tom.wexford@northwind.example", "handler"),
    ("ruth", "Ruth Adeyemi", "ruth.adeyemi@northwind.example", "supervisor"),
    ("auditor", "Alan Brightwell", "alan.brightwell@northwind.example", "auditor"),
)


@dataclass(frozen=True, slots=True)
class Wiring:
    """What differs from one demonstration to the next."""

    imap_port: int
    smtp_port: int
    password: str
    speed: float
    user: str
    """Who started it, by the operating system's name."""


def write_configuration(folder: Path, wiring: Wiring) -> Path:
    """Write `folder`/amends.toml, readable by its owner alone, with the pack it names; return its path."""
    packs = folder / PACKS
    packs.mkdir(mode=0o700)
    pack = packs / "northwind.toml"
    pack.touch(mode=0o600)
    pack.write_bytes(files("daemon.demo").joinpath("northwind.toml").read_bytes())
    path = folder / "amends.toml"
    path.touch(mode=0o600)
    path.write_text(configuration(wiring), encoding="utf-8")
    return path


def configuration(wiring: Wiring) -> str:
    """The configuration as TOML."""
    q = json.dumps  # a JSON string is a TOML basic string
    return f"""\
# Written by `amendsd demo`.  Everything in it is invented, and nothing leaves this machine.

[organisation]
name = {q(ORGANISATION)}
address = {q(ADDRESS)}
timezone = "Europe/London"
region = "GB-ENG"
languages = ["en"]
reference_prefix = "NW"
phone = "01632 960 400"
website = "https://northwind.example"
external_review = "You can take your complaint to the Housing Ombudsman Service (www.housing-ombudsman.org.uk)."
demonstration = true

[policy]
pack = "iso-10002"
packs = ["house-promise"]
folder = {q(PACKS)}

# Our own, shorter promise beside the twenty working days of the general pack: a clock of its own.
[[policy.own_target]]
deadline = "response"
amount = 15
unit = "working_days"

[database]
url = "sqlite:///amends.db"

[[mailbox]]
name = "complaints"
host = {q(HOST)}
port = {wiring.imap_port}
security = "none"
username = {q(USERNAME)}
password = {q(wiring.password)}
poll_seconds = 5

[smtp]
host = {q(HOST)}
port = {wiring.smtp_port}
security = "none"
plus_addressing = true

[letters]
undo_seconds = 15

[clock]
speed = {wiring.speed!r}  # 1440: a day goes by in a minute
{"".join(_handler(*person) for person in people(wiring.user))}"""


def people(user: str) -> list[tuple[str, str, str, str]]:
    """The desk, as (login, name, address, role); whoever starts the demonstration is a supervisor on it."""
    login = login_of(user)
    if login in {person[0] for person in _PEOPLE}:
        return list(_PEOPLE)
    return [*_PEOPLE, (login, login.title(), "", "supervisor")]


def login_of(user: str) -> str:
    """The login at the desk of the operating system's `user`: their own, or Ruth's where theirs would be no login."""
    login = user.lower()
    return login if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,31}", login) else "ruth"


def _handler(login: str, name: str, address: str, role: str) -> str:
    lines = [f"login = {json.dumps(login)}", f"name = {json.dumps(name)}", f"role = {json.dumps(role)}"]
    if address:
        lines.append(f"address = {json.dumps(address)}")
    return "\n[[handler]]\n" + "\n".join(lines) + "\n"
