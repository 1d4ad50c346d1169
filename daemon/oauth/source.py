"""Where the tokens of one log-in come from: the secrets of the configuration, shown to its token server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from amends.config import Mailbox, OAuth, Settings, Smtp, where_of
from amends.kernel.errors import ConfigError
from amends.kernel.instants import wall_clock
from daemon.oauth import provider
from daemon.oauth.refresh import RefreshTokenFile
from daemon.oauth.trouble import TokenRefused, TokenTrouble

if TYPE_CHECKING:
    from daemon.oauth.ask import Application, Asker, Denied, Granted

log = structlog.get_logger()

Server = Mailbox | Smtp

NEEDS_THE_EXTRA: Final = (
    "log-ins by OAuth need the extra `oauth`, which is not installed; run: pip install 'amends[oauth]'"
)


class _Unwritten(NamedTuple):
    """A refresh token that could not be written, and the one in whose place it was given out."""

    token: str
    instead_of: str


class Source:
    """Asks for tokens in the name of one server of the configuration.

    Secrets in files are read anew each time, so that a person who replaces one need not restart the daemon.
    """

    def __init__(self, settings: Settings, server: Server, *, wall: Callable[[], datetime] = wall_clock) -> None:
        if server.oauth is None:
            raise ConfigError(f"{where_of(server)}: oauth: is missing")
        self._settings = settings
        self._server = server
        self._oauth: OAuth = server.oauth
        self._wall = wall
        self._where = where_of(server)
        self._scopes = provider.scopes(self._oauth, sending=isinstance(server, Smtp))
        path = self._oauth.refresh_token_file
        self._file = (
            None
            if path is None
            else RefreshTokenFile(settings.path(path), what=f"{self._where}: oauth: refresh_token_file")
        )
        self._unwritten: _Unwritten | None = None

    def ask(self) -> Granted:
        """A new token.  Raises TokenTrouble or, for what somebody must mend, TokenRefused."""
        _need_the_extra()
        from daemon.oauth.ask import Denied

        try:
            match self._oauth.grant:
                case "service account":
                    return self._by_service_account()
                case "client credentials":
                    return self._asker(provider.token_url(self._oauth)).by_client_credentials(
                        self._application(), self._scopes
                    )
                case "refresh token":
                    return self._by_refresh_token()
        except Denied as denied:
            raise TokenRefused(self._sentence(denied)) from None
        except ConfigError as wrong:
            raise TokenRefused(f"{wrong}.") from wrong

    def secrets_as_they_are(self) -> str:
        """A digest of all the secrets that an answer hangs on: it changes when somebody mends one."""
        found = hashlib.sha256()
        for read in (self._settings_secret, self._refresh_token, self._account_text):
            try:
                text = read()
            except (ConfigError, TokenTrouble) as fault:
                text = f"cannot be read: {fault}"
            found.update(hashlib.sha256(text.encode()).digest())
        return found.hexdigest()

    def _settings_secret(self) -> str:
        return self._settings.client_secret(self._server) or ""

    def _refresh_token(self) -> str:
        return self._file.read() if self._file is not None else ""

    def _account_text(self) -> str:
        return self._settings.service_account(self._server) if self._oauth.grant == "service account" else ""

    def require(self) -> None:
        """Raise ConfigError now for what would keep every log-in from succeeding."""
        _need_the_extra()
        try:
            self._settings.client_secret(self._server)
            if self._oauth.grant == "service account":
                self._service_account()
            if self._file is not None:
                self._file.read()
        except TokenRefused as wrong:
            raise ConfigError(str(wrong).removesuffix(".")) from wrong

    def _asker(self, url: str) -> Asker:
        from daemon.oauth.ask import Asker

        ca_file = self._settings.path(self._oauth.ca_file) if self._oauth.ca_file else None
        return Asker(url, ca_file=ca_file, wall=self._wall)

    def _application(self) -> Application:
        from daemon.oauth.ask import Application

        secret = self._settings.client_secret(self._server)
        return Application(self._oauth.client_id, secret, self._oauth.client_auth)

    # a refresh token

    def _by_refresh_token(self) -> Granted:
        file = self._file
        assert file is not None
        with file.locked():
            token = file.read()
            if self._unwritten is not None:
                token = self._written_late(file, token)
            granted = self._asker(provider.token_url(self._oauth)).by_refresh_token(
                self._application(), token, self._scopes
            )
            if granted.refresh_token is not None and granted.refresh_token != token:
                self._write(file, _Unwritten(granted.refresh_token, instead_of=token))
            return granted

    def _written_late(self, file: RefreshTokenFile, found: str) -> str:
        """Write what could not be written before, unless somebody has put another token there meanwhile."""
        unwritten, self._unwritten = self._unwritten, None
        if unwritten is None or unwritten.instead_of != found:
            return found
        self._write(file, unwritten)
        return unwritten.token

    def _write(self, file: RefreshTokenFile, fresh: _Unwritten) -> None:
        try:
            file.replace(fresh.token)
        except OSError as fault:
            self._unwritten = fresh
            raise TokenRefused(
                f"{self._where}: oauth: the provider has replaced the refresh token, and the new one cannot be written "
                f"({fault.strerror}); make room and give the daemon its folder before it ends, or it is lost."
            ) from fault
        log.info("oauth.refresh-replaced", where=self._where)

    # a service account

    def _by_service_account(self) -> Granted:
        account = self._service_account()
        asker = self._asker(account.token_url)
        try:
            return asker.by_assertion(
                key=account.key,
                key_id=account.key_id,
                issuer=account.name,
                subject=self._server.username,
                scopes=self._scopes,
            )
        except ValueError as fault:
            raise TokenRefused(_no_account(self._where, "its private_key is no key")) from fault

    def _service_account(self) -> _Account:
        try:
            found = json.loads(self._settings.service_account(self._server))
        except ValueError as fault:  # also what is no UTF-8
            raise TokenRefused(_no_account(self._where, "it is no JSON")) from fault
        account = found if isinstance(found, dict) else {}
        name, key, key_id = (account.get(one) for one in ("client_email", "private_key", "private_key_id"))
        if account.get("type") != "service_account" or not isinstance(name, str) or not isinstance(key, str):
            raise TokenRefused(_no_account(self._where, "it is not of the type service_account"))
        url = self._oauth.token_url or account.get("token_uri") or provider.token_url(self._oauth)
        try:
            OAuth.model_validate({"provider": "generic", "client_id": "-", "token_url": url})
        except ValueError as fault:
            raise TokenRefused(_no_account(self._where, "its token_uri is no https:// address")) from fault
        return _Account(name, key, key_id if isinstance(key_id, str) else "", url)

    # what to do about a refusal

    def _sentence(self, denied: Denied) -> str:
        said = f"{denied.error}: {denied.words}" if denied.words else denied.error
        return (
            f"{provider.name_of(self._oauth)} gives out no token for {self._where} ({said.rstrip('.')}); "
            f"{self._remedy(denied)}."
        )

    def _remedy(self, denied: Denied) -> str:
        oauth = self._oauth
        match denied.error:
            case "invalid_client":
                return "make a new client secret at the provider and put it in place of the old one"
            case "invalid_scope":
                return "correct oauth.scopes, or let the administrator grant them to the application"
            case "unauthorized_client" if oauth.grant == "service account":
                return (
                    "let the administrator delegate the scope of mail to the service account (domain-wide delegation)"
                )
            case "unauthorized_client":
                return f"let the application use {oauth.grant} and mail at the provider, and check oauth.tenant"
            case "invalid_grant" if oauth.grant == "refresh token":
                return (
                    f"log in once more as {self._server.username} and put the new refresh token "
                    f"into {oauth.refresh_token_file}"
                )
            case "invalid_grant" if oauth.grant == "service account" and denied.clock_off is not None:
                return (
                    f"this machine's clock is {abs(denied.clock_off) / 60:.0f} minutes "
                    f"{'ahead' if denied.clock_off > 0 else 'behind'}; set it by NTP"
                )
            case "invalid_grant" if oauth.grant == "service account":
                return f"check that {self._server.username} exists, and that the account's key is still valid"
        return "check the settings of oauth against the application at the provider"


class _Account(NamedTuple):
    name: str
    key: str
    key_id: str
    token_url: str


def _no_account(where: str, why: str) -> str:
    return (
        f"{where}: oauth: service_account_file holds no key of a service account ({why}); "
        "put the JSON file there that Google gives out for it."
    )


def _need_the_extra() -> None:
    """Raise ConfigError unless what `daemon.oauth.ask` stands on is installed.

    That module is imported only where a token is asked for: it costs a third of a second and 16 MB.
    """
    if any(find_spec(name) is None for name in ("authlib", "joserfc", "requests")):
        raise ConfigError(NEEDS_THE_EXTRA)
