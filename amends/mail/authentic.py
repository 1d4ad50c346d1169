"""What our own mail server found out about a message's authenticity (RFC 8601)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from amends.kernel.text import storable

_COMMENT: Final = re.compile(r"\([^()]*\)")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_RESULT: Final = re.compile(r"([a-z][a-z0-9-]{0,40})(?:/\d+)?\s*=\s*([a-z]{1,20})\b", re.IGNORECASE)
_DOMAIN: Final = re.compile(r"\bheader\.(?:d|i)\s*=\s*@?([^\s;@]{1,255})", re.IGNORECASE)
_METHODS: Final = 20

# Where a method speaks more than once (a signature each), the best of it counts: one good signature is enough.
_RANK: Final = ("pass", "policy", "neutral", "temperror", "permerror", "softfail", "hardfail", "fail", "none")


def authentication(fields: Sequence[str], trusted: str) -> dict[str, str]:
    """The result of each method (`spf`, `dkim`, `dmarc`, ...) in the topmost field of our own authserv-id.

    `fields` are the Authentication-Results in order; `trusted` is the authserv-id of our server, "" believes nobody.
    Only the topmost field of that name counts: a server adds its own above what the sender wrote (RFC 8601 5), and
    must remove forged ones (1.6, 5).  {} when there is none.  `dkim-domain` is the domain of a signature that passed.
    """
    if not trusted:
        return {}
    for field in fields:
        identity, _, results = _without_comments(field).partition(";")
        words = identity.split()
        if words and words[0].strip('"').lower().rstrip(".") == trusted.lower().rstrip("."):
            return _results(results)
    return {}


def _without_comments(field: str) -> str:
    field = _QUOTED.sub(lambda found: found[1].replace(";", " ").replace("(", " ").replace(")", " "), storable(field))
    for _ in range(3):  # comments nest, hardly ever deeper
        field, times = _COMMENT.subn(" ", field)
        if not times:
            break
    return field


def _results(results: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in results.split(";")[: _METHODS * 2]:
        named = _RESULT.match(item.strip())
        if named is None:
            continue
        method, result = named[1].lower(), named[2].lower()
        if method in found and _rank(found[method]) <= _rank(result):
            continue
        if len(found) >= _METHODS:
            break
        found[method] = result
        if method == "dkim" and result == "pass" and (domain := _DOMAIN.search(item)):
            found["dkim-domain"] = domain[1].lower()
    return found


def _rank(result: str) -> int:
    return _RANK.index(result) if result in _RANK else len(_RANK)
