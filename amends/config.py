"""The configuration: one frozen tree, read once, checked whole, every mistake named by key and line."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from amends.kernel.errors import ConfigError
from amends.kernel.toml import text_of, tree_of

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings, SettingsError

DAEMON_LOGIN: Final = "amends"
"""In whose name the daemon acts; nobody else may have it."""
SECRET_BYTES: Final = 4096
"""A password, a token or a client secret is never longer."""
KEY_BYTES: Final = 65536
"""Nor is the key file of a service account."""
Security = Literal["tls", "starttls", "none"]
_NEVER_SHOWN = ("password", "client_secret")
_PREFIX_FORM: Final = r"^[A-Z][A-Z0-9]{0,7}$"
_TIME_FORM: Final = r"^([01]\d|2[0-3]):[0-5]\d$"
_TENANT_FORM: Final = r"^[A-Za-z0-9.-]*$"
_NAME_FORM: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_LOGIN_FORM: Final = r"^[a-z0-9][a-z0-9._-]{0,31}$"
_LANGUAGE_FORM: Final = r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$"  # the beginning of BCP 47; it names a folder
_TIME_OR_NONE_FORM: Final = rf"{_TIME_FORM}|^$"
_FORMS: Final = {
    _PREFIX_FORM: "write one to eight capitals and digits, a capital first, like NW",
    _TIME_FORM: "write a time of day like 09:00",
    _TIME_OR_NONE_FORM: "write a time of day like 09:00",
    _TENANT_FORM: "write letters, digits, dots and hyphens",
    _NAME_FORM: "write at most 64 small letters, digits, dots, hyphens and underscores, a letter or digit first",
    _LOGIN_FORM: "write at most 32 small letters, digits, dots, hyphens and underscores, a letter or digit first",
    _LANGUAGE_FORM: "write the code of a language like en or de-AT",
}
"""What each form is in words."""
_PREFIX: Final = "AMENDS_"
_NO_SETTINGS: Final = frozenset({"AMENDS_CONFIG", "AMENDS_NIGHTLY", "AMENDS_REQUIRE_SERVERS", "AMENDS_REWRITE"})
"""Variables with our prefix that are read elsewhere."""
_ADDRESS = re.compile(r"[^@\s<>\"]+@[^@\s<>\"]+\.?[^@\s<>\"]*")


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _address(value: str) -> str:
    value = value.strip().lower()
    if not _ADDRESS.fullmatch(value):
        raise ValueError("must be an e-mail address such as complaints@example.org")
    return value


class Organisation(Section):
    name: str = Field(min_length=1)
    """As complainants know you; it stands in every letter."""
    address: str
    """The From of every letter."""
    aliases: tuple[str, ...] = ()
    """Other addresses that are yours: mail from them is never a complaint."""
    timezone: str = "Europe/London"
    region: str = "GB-ENG"
    """Working days, as the `holidays` library names regions."""
    languages: tuple[Annotated[str, Field(pattern=_LANGUAGE_FORM)], ...] = Field(default=("en",), min_length=1)
    """The languages of your letters; the first is the default."""
    reference_prefix: str = Field(default="AM", pattern=_PREFIX_FORM)
    """The letters before every reference: one to eight capitals and digits."""
    phone: str = ""
    website: str = ""
    external_review: str = ""
    """How a complainant who stays dissatisfied takes the matter further (an ombudsman, a regulator)."""
    authserv_id: str = ""
    """The name your own mail server signs Authentication-Results with; empty: none is believed."""
    closures: tuple[str, ...] = ()
    """Days you are closed besides public holidays, as 2026-12-24."""
    openings: tuple[str, ...] = ()
    """Days you work although they are a weekend or a holiday."""
    opens: str = Field(default="09:00", pattern=_TIME_FORM)
    closes: str = Field(default="17:00", pattern=_TIME_FORM)
    hours: dict[str, tuple[str, ...]] = {}
    """The hours of each day of the week, as {"mon": ("09:00-12:30", "13:30-17:00")}, before opens and closes."""
    demonstration: bool = False

    _addresses = field_validator("address")(_address)

    @field_validator("aliases")
    @classmethod
    def _aliases(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_address(one) for one in value)

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as unknown:
            raise ValueError(f"'{value}' is no time zone; write one like Europe/London") from unknown
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def own_addresses(self) -> frozenset[str]:
        return frozenset({self.address, *self.aliases})

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


class OwnTarget(Section):
    """What you promise yourselves beside a deadline of a pack: a clock of its own, shown as yours."""

    pack: str = ""
    """Its id or alias; empty: `policy.pack`."""
    deadline: str = Field(min_length=1)
    amount: int = Field(ge=0, le=10_000)
    unit: Literal[
        "hours", "working_hours", "calendar_days", "working_days", "business_days", "weeks", "months", "years"
    ]

    @model_validator(mode="after")
    def _on_the_calendar(self) -> Self:
        most = {"weeks": 5_200, "months": 1_200, "years": 100}.get(self.unit, 10_000)
        if self.amount > most:
            raise ValueError(f"{self.amount} {self.unit} are too long to be counted; write at most {most}")
        return self


class Policy(Section):
    pack: str = "iso-10002"
    packs: tuple[str, ...] = ()
    """Further packs that apply to every case beside it: all their clocks run."""
    folder: Path | None = None
    """Your own packs, one TOML file each; they stand before the shipped ones of the same id."""
    own_target: tuple[OwnTarget, ...] = ()
    """Promises of your own beside the packs' deadlines."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every pack that applies, the first one first, as the configuration names them."""
        return tuple(dict.fromkeys((self.pack, *self.packs)))

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        twice = next((name for name in self.packs if name == self.pack or self.packs.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"packs: '{twice}' stands there twice; name each pack once, and none that is the pack")
        return self


class Database(Section):
    url: str = "sqlite:///amends.db"
    """`sqlite:///file` (relative to the configuration) or `postgresql+psycopg://user@host/name`."""
    password_file: Path | None = None
    """A file that holds the password of PostgreSQL alone."""


def is_loopback(host: str) -> bool:
    """Whether this address or name cannot be reached from another machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "localhost.localdomain")


class OAuth(Section):
    """How log-ins by OAuth 2 come to their tokens, instead of a password."""

    provider: Literal["microsoft", "google", "generic"]
    tenant: str = Field(default="", pattern=_TENANT_FORM)
    """Microsoft's directory: its id or one of its domains."""
    client_id: str = ""
    """The id of the application, as the provider shows it."""
    client_secret: SecretStr | None = None
    client_secret_file: Path | None = None
    """The secret alone in a file, or the name of a systemd credential."""
    client_auth: Literal["post", "basic"] = "post"
    """How id and secret are shown to the provider: in the form, or by HTTP Basic (RFC 6749 2.3.1)."""
    secret_expires: date | None = None
    """The day on which the client secret ends, as 2027-03-01: warnings come 30, 7 and 1 days before."""
    refresh_token_file: Path | None = None
    """The refresh token alone in a file in a folder that the daemon can write: providers replace it."""
    service_account_file: Path | None = None
    """The key of a Google service account, as Google gives it out (JSON), or the name of a systemd credential."""
    scopes: tuple[str, ...] = ()
    """What to ask for; empty: what the provider needs for mail."""
    token_url: str = ""
    """Where tokens are asked for; empty: the provider's."""
    ca_file: Path | None = None
    """Certificates to trust at token_url instead of the system's."""
    mechanism: Literal["auto", "xoauth2", "oauthbearer"] = "auto"
    """How the token is shown to the mail server; auto: OAUTHBEARER (RFC 7628) if it is offered, else XOAUTH2."""

    @field_validator("token_url")
    @classmethod
    def _encrypted(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            host, good = parts.hostname or "", parts.port is None or parts.port > 0
        except ValueError:
            host, good = "", False
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)) if host and good else False
        if value and not (safe and parts.username is None and value.isprintable() and " " not in value):
            raise ValueError("must be an https:// address (http:// is for loopback only) without a log-in in it")
        return value

    @field_validator("secret_expires", mode="before")
    @classmethod
    def _day(cls, value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            raise ValueError(f"'{value}' is no day; write one like 2027-03-01")
        return value

    @field_validator("scopes")
    @classmethod
    def _scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for scope in value:
            if not re.fullmatch(r"[!#-\[\]-~]+", scope):  # RFC 6749 3.3
                raise ValueError(f"{scope!r} is no scope; write each as a text of its own, without spaces")
        return value

    @model_validator(mode="after")
    def _fits_the_provider(self) -> Self:
        by_account, by_token = self.service_account_file is not None, self.refresh_token_file is not None
        if by_account and by_token:
            raise ValueError("give refresh_token_file or service_account_file, not both")
        if self.client_secret is not None and self.client_secret_file is not None:
            raise ValueError("give client_secret or client_secret_file, not both")
        if by_account and self.provider != "google":
            raise ValueError('service_account_file is for provider = "google"; take it out')
        if self.provider == "google" and not (by_account or by_token):
            raise ValueError('provider = "google" needs service_account_file or refresh_token_file')
        if self.provider == "microsoft" and not self.tenant:
            raise ValueError('provider = "microsoft" needs tenant, the id of your directory or one of its domains')
        if self.provider != "microsoft" and self.tenant:
            raise ValueError('tenant is for provider = "microsoft"; take it out')
        if self.provider == "generic" and not self.token_url:
            raise ValueError('provider = "generic" needs token_url, the address where it gives out tokens')
        if not by_account and not self.client_id:
            raise ValueError("client_id is missing; give the id of the application as the provider shows it")
        if by_account and (self.client_id or self.client_secret is not None or self.client_secret_file is not None):
            raise ValueError("with service_account_file neither client_id nor client_secret is used; take them out")
        return self

    @property
    def grant(self) -> Literal["client credentials", "refresh token", "service account"]:
        if self.service_account_file is not None:
            return "service account"
        return "client credentials" if self.refresh_token_file is None else "refresh token"


class _Server(Section):
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    security: Security = "tls"
    username: str = ""
    password: SecretStr | None = None
    password_file: Path | None = None
    """The password alone in a file, or the name of a systemd credential."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's, for a server with a private authority."""
    oauth: OAuth | None = None
    """Log in by OAuth 2 instead of a password."""

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError(
                f'security = "none" would send mail and password in clear to {self.host}; '
                'use "tls" or "starttls" (plain text is for loopback only)'
            )
        if self.password is not None and self.password_file is not None:
            raise ValueError("give password or password_file, not both")
        if self.oauth is not None and (self.password is not None or self.password_file is not None):
            raise ValueError("give oauth or a password, not both")
        if self.oauth is not None and not (self.username and self.username.isprintable()):
            raise ValueError("oauth needs username, the mailbox to log in to")
        return self


class Mailbox(_Server):
    name: str = Field(pattern=_NAME_FORM)
    port: int = Field(default=993, ge=1, le=65535)
    inbox: str = "INBOX"
    filed: str = "Amends/Filed"
    quarantine: str = "Amends/Quarantine"
    oversized: str = "Amends/Oversized"
    """Where mail lies whole that is too large to be stored whole; the only complete copy of it."""
    poll_seconds: int = Field(default=60, ge=1, le=3600)
    idle: bool = True
    since: AwareDatetime | None = None
    """Mail received before this day is history: filed without letters and without clocks."""
    max_megabytes: int = Field(default=35, ge=1, le=1000)
    """Of larger mail only the beginning is stored and filed; it stays whole on the server, in `oversized`."""

    many_unknown: int = Field(default=25, ge=0, le=1_000_000)
    """More unknown messages than this, when the server has numbered the mailbox anew or shows that the database is
    older than the mailbox, put the database in doubt: automatic letters then wait for an operator's word."""

    @field_validator("since", mode="before")
    @classmethod
    def _midnight(cls, value: object) -> object:
        text = str(value)
        return f"{text}T00:00:00+00:00" if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else value

    @model_validator(mode="after")
    def _folders(self) -> Self:
        if len({self.inbox, self.filed, self.quarantine, self.oversized}) != 4:
            raise ValueError("inbox, filed, quarantine and oversized must be four different folders")
        return self


class Smtp(_Server):
    port: int = Field(default=465, ge=1, le=65535)
    plus_addressing: bool = False
    """Whether mail to complaints+anything@ reaches the mailbox: then Reply-To carries a signed token."""
    receipt_copies: bool | None = None
    """A copy of each automatic letter to our own mailbox proves delivery after a crash; default: as plus_addressing."""
    receipt_wait_seconds: int = Field(default=900, ge=1)
    """How long a copy may take before an uncertain automatic letter is sent again under the same Message-ID."""
    null_return_path: bool = False
    """Send automatic letters with an empty return path (bounces then reach nobody)."""
    connections: int = Field(default=3, ge=1, le=10)
    """How many connections at once while many letters wait; servers allow few (Exchange Online three)."""
    hello: str = ""
    """The name to greet the server with; default: this machine's."""

    @model_validator(mode="after")
    def _receipts(self) -> Self:
        if self.receipt_copies and not self.plus_addressing:
            raise ValueError("receipt_copies needs plus_addressing = true, to know the copies when they come home")
        return self

    @property
    def wants_receipts(self) -> bool:
        return self.plus_addressing if self.receipt_copies is None else self.receipt_copies


class Letters(Section):
    undo_seconds: int = Field(default=30, ge=0, le=3600)
    """Handlers' letters wait this long before they leave, so that they can be called back."""
    auto_limit_per_day: int = Field(default=4, ge=1, le=100)
    """Automatic letters to one address in 24 hours; `+tags` and what a machine draws by lot make no other address."""
    auto_limit_per_domain: int = Field(default=100, ge=1, le=10_000)
    """Automatic letters to one domain in 24 hours, of those that were there when the message came that the next
    one would answer: for loops that change their address each time.  Providers of mail to the public do not count."""
    shared_domains: tuple[str, ...] = ()
    """Further domains that are not counted, as many people who write to you share them."""
    breaker_per_ten_minutes: int = Field(default=20, ge=1, le=10_000)
    """So many automatic letters, to all addresses together, may answer within ten minutes what came just after another
    one; more of them look like a loop, and letters of that sort are held until it is over.  A backlog is none."""
    templates_folder: Path | None = None
    """Your own letters; they stand before the shipped ones of the same name."""


class Conversation(Section):
    late_after_days: int = Field(default=60, ge=0, le=3650)
    """So long after its closure a reply still joins a case by itself; a later one is held for a handler's word."""
    trusted_forms: tuple[str, ...] = ()
    """Addresses from which web forms of yours send: the Reply-To of such mail is the complainant, whatever marks of a
    machine it carries."""

    @field_validator("trusted_forms")
    @classmethod
    def _forms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_address(one) for one in value)


def listening_at(value: str) -> Path | tuple[str, int]:
    """Where a server listens: the path of `unix:PATH`, or the host and port of `127.0.0.1:2424` or `[::1]:2424`.

    Raises ValueError with a sentence that shows the form.
    """
    kind, colon, path = value.partition(":")
    if colon and kind == "unix" and path:
        return Path(path)
    host, _, port = value.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    named = bool(bare) and not {"[", "]"} & set(bare) and (":" in bare) == (bare != host)
    if not named or not (port.isascii() and port.isdigit()):
        raise ValueError("must be unix:PATH, or an address and port such as 127.0.0.1:2424")
    if not 1 <= int(port) <= 65535:
        raise ValueError(f"the port must be from 1 to 65535 (it is {int(port)})")
    return bare, int(port)


class Listener(Section):
    lmtp: str = ""
    """Where your mail server hands mail over by LMTP: unix:amends-lmtp.sock (mode 0660) or 127.0.0.1:2424."""
    smtp: str = ""
    """The same by SMTP, as 127.0.0.1:2525; off loopback only with certificate and key, and STARTTLS demanded."""
    certificate: Path | None = None
    """PEM with the chain, for STARTTLS on smtp; a renewed file is taken up by itself."""
    key: Path | None = None
    """PEM; readable by the daemon alone."""
    max_megabytes: int = Field(default=35, ge=1, le=1000)
    """Larger mail is refused (552): your mail server tells its sender."""
    max_connections: int = Field(default=50, ge=1, le=1000)
    max_recipients: int = Field(default=100, ge=1, le=10_000)
    timeout_seconds: int = Field(default=300, ge=1, le=3600)
    """A client that is silent for so long is disconnected; so is one that hands nothing over in four times that."""

    @field_validator("lmtp", "smtp")
    @classmethod
    def _place(cls, value: str) -> str:
        if value:
            listening_at(value)
        return value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if not self.lmtp and not self.smtp:
            raise ValueError('give lmtp or smtp an address to listen on, such as lmtp = "unix:amends-lmtp.sock"')
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; give both or neither")
        for name, value in (("lmtp", self.lmtp), ("smtp", self.smtp)):
            at = listening_at(value) if value else None
            if not isinstance(at, tuple) or is_loopback(at[0]) or (name == "smtp" and self.certificate is not None):
                continue
            raise ValueError(
                f"{name} = {value!r} would take mail in clear from the network; use a loopback address or unix:PATH"
                + (", or give certificate and key" if name == "smtp" else "")
            )
        return self


class Metrics(Section):
    listen: str = ""


class Clock(Section):
    speed: float = Field(default=1.0, gt=0, le=100_000)
    self_check: str = Field(default="02:30", pattern=_TIME_FORM)
    """When, each night, every open deadline is counted again."""


class Escalation(Section):
    """What happens to a case of which a deadline was missed, besides that it is on its record and people are told."""

    on_breach: Literal["raise", "reassign"] = "raise"
    """`raise`: supervisors are told and the handler keeps the case; `reassign`: it becomes somebody else's."""
    to: str = ""
    """Whose it becomes, by login; empty: that supervisor's who has the fewest open cases."""

    @model_validator(mode="after")
    def _to_whom(self) -> Self:
        if self.to and self.on_breach == "raise":
            raise ValueError(
                'to: nobody gets a case with on_breach = "raise"; take it out, or set on_breach = "reassign"'
            )
        return self


class Handler(Section):
    login: str = Field(pattern=_LOGIN_FORM)
    name: str = ""
    address: str = ""
    """Where warnings go."""
    role: Literal["handler", "supervisor", "auditor"] = "handler"
    digest: bool = False
    """One letter each working day with all warnings, instead of one for each; what was missed is told at once."""
    digest_at: str = Field(default="", pattern=_TIME_OR_NONE_FORM)
    """At what time, in the organisation's zone; moved into its office hours.  Empty: when the office opens."""

    @field_validator("login")
    @classmethod
    def _not_the_daemon(cls, value: str) -> str:
        if value == DAEMON_LOGIN:
            raise ValueError(f"'{value}' is the daemon's own name in the ledger; give the handler another login")
        return value

    @field_validator("address")
    @classmethod
    def _mail(cls, value: str) -> str:
        return _address(value) if value else ""


class Settings(Section):
    """The whole configuration.  `folder` is where the file stands: relative paths start there."""

    organisation: Organisation
    policy: Policy = Policy()
    database: Database = Database()
    mailbox: tuple[Mailbox, ...] = ()
    smtp: Smtp | None = None
    letters: Letters = Letters()
    conversation: Conversation = Conversation()
    listener: Listener | None = None
    metrics: Metrics | None = None
    clock: Clock = Clock()
    escalation: Escalation = Escalation()
    handler: tuple[Handler, ...] = ()
    folder: Annotated[Path, Field(exclude=True)] = Path()

    @model_validator(mode="after")
    def _whole(self, info: ValidationInfo) -> Self:
        if self.clock.speed != 1.0 and not self.organisation.demonstration:
            raise ValueError("clock.speed: only a demonstration may run a fast clock; set it to 1.0")
        for what, names in (
            ("mailbox", [box.name for box in self.mailbox]),
            ("handler", [person.login for person in self.handler]),
        ):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"{what}: '{twice}' stands there twice; give each {what} its own name")
        self._check_escalation()
        return self

    def _check_escalation(self) -> None:
        able = [person.login for person in self.handler if person.role != "auditor"]
        if self.escalation.to and self.escalation.to not in able:
            raise ValueError(
                f"escalation.to: '{self.escalation.to}' cannot have cases; name a [[handler]] who is no auditor"
            )
        supervised = any(person.role == "supervisor" for person in self.handler)
        if self.escalation.on_breach == "reassign" and not self.escalation.to and not supervised:
            raise ValueError(
                "escalation.on_breach: there is no supervisor whose a case could become; give a [[handler]] "
                'role = "supervisor", or name somebody in escalation.to'
            )

    def path(self, path: Path) -> Path:
        return path if path.is_absolute() else self.folder / path

    def database_url(self) -> str:
        """The URL with a relative SQLite path made absolute and the password put in."""
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self.database.url)
        except ArgumentError as bad:
            raise ConfigError(f"database.url: '{self.database.url}' is no database URL") from bad
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigError(
                f"database.url: '{url.get_backend_name()}' is not known; write sqlite:///FILE "
                "or postgresql+psycopg://user@host/name"
            )
        if url.get_backend_name() == "sqlite":
            if not url.database:
                raise ConfigError("database.url: name a file, as in sqlite:///amends.db")
            url = url.set(database=str(self.path(Path(url.database)).resolve()))
        elif self.database.password_file is not None:
            url = url.set(password=_secret_from(self, self.database.password_file, "database.password_file"))
        return url.render_as_string(hide_password=False)

    def password(self, server: _Server) -> str:
        """The server's password, from wherever the configuration says.  Raises ConfigError if there is none."""
        where = where_of(server)
        if server.password is not None:
            return server.password.get_secret_value()
        if server.password_file is not None:
            return _secret_from(self, server.password_file, f"{where}: password_file")
        names = [f"imap-password-{server.name}", "imap-password"] if isinstance(server, Mailbox) else ["smtp-password"]
        for name in names:
            if (found := _credential(name)) is not None:
                return found
        raise ConfigError(
            f"{where}: no password; give password, password_file or a systemd credential named {names[-1]}"
        )

    def client_secret(self, server: _Server) -> str | None:
        """The secret of the application that asks for this server's tokens, or None if it has none.

        Raises ConfigError for one that cannot be read, and where there must be one.
        """
        oauth = server.oauth
        if oauth is None or oauth.grant == "service account":
            return None
        where = f"{where_of(server)}: oauth"
        if oauth.client_secret is not None:
            return oauth.client_secret.get_secret_value()
        if oauth.client_secret_file is not None:
            return _secret_from(self, oauth.client_secret_file, f"{where}: client_secret_file")
        names = (
            [f"imap-client-secret-{server.name}", "imap-client-secret"]
            if isinstance(server, Mailbox)
            else ["smtp-client-secret"]
        )
        for name in names:
            if (found := _credential(name)) is not None:
                return found
        if oauth.grant == "refresh token":
            return None  # a public client (RFC 6749 2.1)
        raise ConfigError(
            f"{where}: no client_secret; give client_secret, client_secret_file or a systemd credential "
            f"named {names[-1]}"
        )

    def service_account(self, server: _Server) -> str:
        """The text of the service account's key file.  Raises ConfigError if it cannot be read."""
        assert server.oauth is not None and server.oauth.service_account_file is not None
        path, key = server.oauth.service_account_file, f"{where_of(server)}: oauth: service_account_file"
        return _secret_from(self, path, key, most=KEY_BYTES)


def where_of(server: _Server) -> str:
    """How sentences name a server of the configuration."""
    return f"mailbox '{server.name}'" if isinstance(server, Mailbox) else "smtp"


def _credential(name: str, *, most: int = SECRET_BYTES) -> str | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder, name) if folder else None
    return _secret_in(path, f"credential {name}", most) if path is not None and path.is_file() else None


def _secret_from(settings: Settings, path: Path, key: str, *, most: int = SECRET_BYTES) -> str:
    if len(path.parts) == 1 and (found := _credential(path.name, most=most)) is not None:
        return found
    return _secret_in(settings.path(path), key, most)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _secret_in(path: Path, key: str, most: int) -> str:
    """The text of a regular file of at most `most` bytes: a pipe would keep us waiting, and a device may never end."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{key}: {path} is no regular file; name one that holds the secret alone")
            held = file.read(most + 1)
    except IsADirectoryError as fault:
        raise ConfigError(f"{key}: {path} is a folder; name a file that holds the secret alone") from fault
    except OSError as fault:
        raise ConfigError(f"{key}: cannot read {path}: {fault.strerror}") from fault
    if len(held) > most:
        raise ConfigError(f"{key}: {path} is larger than {most} bytes; name a file that holds the secret alone")
    try:
        return held.decode().rstrip("\r\n")
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{key}: {path} is not UTF-8; name a file that holds the secret alone") from fault


def find_config(given: Path | None) -> Path:
    """The configuration file: the one given, $AMENDS_CONFIG, ./amends.toml, /etc/amends/amends.toml."""
    if given is None and (named := os.environ.get("AMENDS_CONFIG")):
        given = Path(named)
    if given is not None:
        if not given.is_file():
            raise ConfigError(f"{given}: there is no such file; amendsd init DIR writes one to start from")
        return given
    for path in (Path("amends.toml"), Path("/etc/amends/amends.toml")):
        if path.is_file():
            return path
    raise ConfigError(
        "No configuration: neither ./amends.toml nor /etc/amends/amends.toml exists; "
        "name one with --config, or write one with amendsd init DIR"
    )


def load(given: Path | None = None) -> Settings:
    """The configuration, checked whole.  Raises ConfigError with one sentence for the first mistake."""
    path = find_config(given)
    try:
        text = text_of(path)
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be read: {fault}") from fault
    try:
        tree = tree_of(text)
    except tomllib.TOMLDecodeError as fault:
        said, at_line, column = _place_in_toml(text, str(fault))
        raise ConfigError(f"{path}:{at_line}: not valid TOML: {said} (column {column})") from fault
    if "folder" in tree:
        raise ConfigError(f"{path}:{line_of(text, ['folder'])}: folder: unknown key")
    try:
        return Settings(**_with_variables(tree), folder=path.resolve().parent)
    except ValidationError as fault:
        raise ConfigError(_sentence(path, text, fault)) from None


def _place_in_toml(text: str, fault: str) -> tuple[str, int, int]:
    """What tomllib says, apart from where: "... (at line 21, column 9)" or "... (at end of document)"."""
    said, _, where = fault.rpartition(" (at ")
    if numbers := re.fullmatch(r"line (\d+), column (\d+)\)", where):
        return said, int(numbers[1]), int(numbers[2])
    lines = text.splitlines() or [""]
    return said or fault, len(lines), len(lines[-1]) + 1


def _with_variables(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with what the environment says instead, if anything (`AMENDS_SECTION__KEY`)."""
    named = [
        variable
        for variable, value in sorted(os.environ.items())
        if variable.upper().startswith(_PREFIX) and variable.upper() not in _NO_SETTINGS and value
    ]
    if not named:
        return tree
    _refuse_unknown(named)
    from pydantic_settings import EnvSettingsSource, SettingsError  # 50 ms, which most starts need not wait for

    try:
        source = EnvSettingsSource(
            cast("type[BaseSettings]", Settings),  # it asks for the names and kinds of its fields alone
            case_sensitive=False,
            env_prefix=_PREFIX,
            env_nested_delimiter="__",
            env_ignore_empty=True,
        )
        return _merged(tree, source())
    except SettingsError as fault:
        raise ConfigError(_unreadable_variable(fault)) from None


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both trees as one; where both say something `above` counts."""
    both = {
        name: _merged(below[name], above[name])
        for name in below.keys() & above.keys()
        if isinstance(below[name], Mapping) and isinstance(above[name], Mapping)
    }
    return {**below, **above, **both}


def _refuse_unknown(variables: Sequence[str]) -> None:
    """A misspelt section would be ignored silently; misspelt keys of a known one are told by the model."""
    sections = [name for name in Settings.model_fields if name != "folder"]
    for variable in variables:
        section = variable[len(_PREFIX) :].partition("__")[0].lower()
        if section not in sections:
            near = get_close_matches(section, sections, n=1)
            meant = f"; did you mean {_PREFIX}{near[0].upper()}?" if near else "; take it out"
            raise ConfigError(f"{variable} in the environment: there is no section '{section}'{meant}")


def _unreadable_variable(fault: SettingsError) -> str:
    named = re.search(r'field "(\w+)"', str(fault))
    variable = f"{_PREFIX}{named[1].upper()}" if named else f"A variable {_PREFIX}..."
    return f"{variable} in the environment: is no JSON; write one variable for each key, as {variable}__KEY"


def _variable_of(loc: Sequence[str | int]) -> str | None:
    """The variable of the environment that gave the value at `loc`, or None if the file did."""
    names = [str(part).upper() for part in loc]
    have = {name.upper(): name for name, value in os.environ.items() if value}
    for length in range(len(names), 0, -1):
        if (found := have.get(_PREFIX + "__".join(names[:length]))) is not None:
            return found
    return None


def _sentence(path: Path, text: str, fault: ValidationError) -> str:
    first = min(fault.errors(), key=lambda e: (e["type"] != "extra_forbidden", line_of(text, e["loc"]) or 10**9))
    loc = first["loc"]
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in loc)
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        near = get_close_matches(str(loc[-1]), _keys_beside(loc), n=1)
        message = f"unknown key{f'; did you mean {near[0]}?' if near else ''}"
    elif first["type"] == "missing":
        message = "is missing"
    elif first["type"] == "string_pattern_mismatch":
        message = f"'{first['input']}' does not fit; {_FORMS[first['ctx']['pattern']]}"
    elif not first["msg"].startswith("Value error"):
        shown = "" if loc[-1] in _NEVER_SHOWN else f" (it is {_shown(first['input'])})"
        message = f"{message[0].lower()}{message[1:]}{shown}"
    if not loc and (named := re.match(r"([a-z_.]+): ", message)):  # a rule over the whole tree names its key itself
        loc = tuple(named[1].split("."))
        message, key = message[named.end() :], named[1]
    if variable := _variable_of(loc):
        return f"{variable} in the environment: {key}: {message}"
    line = line_of(text, loc)
    where = f"{path}:{line}" if line else str(path)
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"


def _shown(value: object) -> str:
    return "a table" if isinstance(value, Mapping) else repr(value)


def _keys_beside(loc: Sequence[str | int]) -> list[str]:
    model: Any = Settings
    for part in loc[:-1]:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), Settings)
    return [name for name in model.model_fields if name != "folder"]


def line_of(text: str, loc: Sequence[str | int]) -> int | None:
    """The line (from 1) where the key `loc` stands in the TOML `text`, or where its table begins, or None.

    A scanner for pointing only: tomllib has already accepted the text.
    """
    names = [part for part in loc if isinstance(part, str)]
    index = next((part for part in loc if isinstance(part, int)), 0)
    if not names:
        return None
    table: list[str] = []
    seen = -1
    table_line = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
            table = [part.strip().strip("\"'") for part in header[2].split(".")]
            if table == names[: len(table)]:
                seen += header[1] == "[["
                if seen == index or (header[1] == "[" and seen < 0):
                    table_line = number
            continue
        in_list = seen >= 0 and table == names[: len(table)] and seen != index
        if in_list or not (assigned := re.match(r"\s*([\w\"'.-]+)\s*=", line)):
            continue
        key = [part.strip("\"'") for part in assigned[1].split(".")]
        if [*table, *key][: len(names)] == names[: len(table) + len(key)]:
            return number
    return table_line
