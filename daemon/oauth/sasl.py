"""How a token is shown to a mail server: OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's and Microsoft's)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, Literal

from amends.kernel.text import one_line

Mechanism = Literal["OAUTHBEARER", "XOAUTH2"]

_BEST_FIRST: Final[tuple[Mechanism, ...]] = ("OAUTHBEARER", "XOAUTH2")
_AND: Final = "\x01"


def choose(wanted: str, offered: Iterable[str]) -> Mechanism | None:
    """The mechanism to use, of those that the server offers; `wanted` is the setting, None: there is none."""
    names = {one.upper() for one in offered}
    return next((one for one in _BEST_FIRST if one in names and wanted in ("auto", one.lower())), None)


class Exchange:
    """One log-in: called with each challenge of the server, it gives our answer to that.

    A second challenge is the server's refusal, in JSON, which wants an answer before the refusal proper: a lone ^A
    (RFC 7628 3.2.3), an empty line with XOAUTH2.
    """

    def __init__(self, mechanism: Mechanism, *, user: str, token: str, host: str, port: int) -> None:
        self._mechanism = mechanism
        self._words = (
            ["n,a=" + user.replace("=", "=3D").replace(",", "=2C") + ",", f"host={host}", f"port={port}"]
            if mechanism == "OAUTHBEARER"
            else [f"user={user}"]
        )
        self._token = token
        self._begun = False
        self._refusal = b""

    def __call__(self, challenge: bytes) -> bytes:
        if not self._begun:
            self._begun = True
            return _AND.join([*self._words, f"auth=Bearer {self._token}", "", ""]).encode("utf-8")
        self._refusal = challenge
        return b"\x01" if self._mechanism == "OAUTHBEARER" else b""

    @property
    def refusal(self) -> str:
        """What the server had against the token, such as `invalid_token, it wants the scope mail`, or nothing."""
        try:
            said = json.loads(self._refusal[:4000])
        except (ValueError, RecursionError):
            return ""
        if not isinstance(said, dict):
            return ""
        status = said.get("status")
        words = [one_line(str(status), 60)] if isinstance(status, str | int) else []
        if isinstance(scope := said.get("scope"), str) and scope:
            words.append(f"it wants the scope {one_line(scope, 200)}")
        return ", ".join(words)
