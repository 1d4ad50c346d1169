"""What each provider calls things: where it gives out tokens, and what one asks for to read and to send mail."""

from __future__ import annotations

from typing import Final

from amends.config import OAuth

_MICROSOFT: Final = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
_GOOGLE: Final = "https://oauth2.googleapis.com/token"


def token_url(oauth: OAuth) -> str:
    """Where tokens are asked for."""
    if oauth.token_url:
        return oauth.token_url
    return _MICROSOFT.format(tenant=oauth.tenant) if oauth.provider == "microsoft" else _GOOGLE


def scopes(oauth: OAuth, *, sending: bool) -> tuple[str, ...]:
    """What to ask for; none: whatever the provider grants by itself."""
    if oauth.scopes or oauth.provider == "generic":
        return oauth.scopes
    if oauth.provider == "google":
        return ("https://mail.google.com/",)
    if oauth.grant == "client credentials":
        return ("https://outlook.office365.com/.default",)  # whatever the administrator has consented to
    return (f"https://outlook.office.com/{'SMTP.Send' if sending else 'IMAP.AccessAsUser.All'}", "offline_access")


def name_of(oauth: OAuth) -> str:
    """The provider in a sentence."""
    return {"microsoft": "Microsoft", "google": "Google", "generic": "The token server"}[oauth.provider]
