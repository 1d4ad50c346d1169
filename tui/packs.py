"""Which rules a clock is of, in seven cells: `housing` of `uk-housing-ombudsman-2024`, `fca` of `uk-fca-disp`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from amends.kernel.text import clean
from tui.words import cut

CELLS: Final = 7


def pack_tag(pack: str) -> str:
    """The first part of a pack's name that says something: no country before it, no year behind."""
    return "ours" if pack.startswith("@") else _tag(pack)  # a promise of a handler is of no pack


@lru_cache(maxsize=256)
def _tag(pack: str) -> str:
    parts = [part for part in clean(pack, limit=60).text.split("-") if part]
    telling = [part for part in parts if not re.fullmatch(r"[a-z]{2}|\d+", part)] or parts
    first = telling[0] if telling else ""
    short = parts[1] if len(parts) > 2 and len(parts[1]) == 2 and parts[1].isalpha() else first  # `dp` of uk-dp-…
    return cut(short, CELLS)


def tags(packs: Iterable[str]) -> dict[str, str]:
    """The tags of packs that stand side by side, no two alike."""
    found: dict[str, str] = {}
    for pack in dict.fromkeys(packs):
        tag, number = _tag(pack), 2
        while tag in found.values():
            tag, number = f"{cut(_tag(pack), CELLS - 1)}{number}", number + 1
        found[pack] = tag
    return found
