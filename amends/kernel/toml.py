"""TOML files of other people's making: read within bounds, so that none of them stops whoever reads it."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

from amends.kernel.errors import ConfigError

_ENDLESS_KEY: Final = re.compile(
    r"""(?m)(?:^|[{,\[])[ \t]*+(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){1000}"""
)
"""A key of a thousand parts, where one can begin: tomllib takes the square of their number in time."""
LARGEST: Final = 256 * 1024  # bytes; a whole regime takes a tenth of that


def text_of(path: Path) -> str:
    """The text of a regular file of at most LARGEST bytes: a pipe would keep us waiting, and a device may never end.

    Raises OSError, or ConfigError for what is no such file or no UTF-8.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ConfigError(f"{path}: is no regular file; name a TOML file")
        held = file.read(LARGEST + 1)
    if len(held) > LARGEST:
        raise ConfigError(
            f"{path}: is larger than {LARGEST // 1024} KB; name a TOML file, or take out what is not needed"
        )
    try:
        return held.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as fault:
        line = held.count(b"\n", 0, fault.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text; save the file as UTF-8") from fault


def tree_of(text: str) -> dict[str, Any]:
    """What the text says.  Raises tomllib.TOMLDecodeError, also for what tomllib itself stumbles over."""
    if _ENDLESS_KEY.search(text):
        raise tomllib.TOMLDecodeError("a key has too many parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as fault:
        raise tomllib.TOMLDecodeError("lists or tables stand too deep in one another") from fault
    except ValueError as fault:
        raise tomllib.TOMLDecodeError("a number has too many digits") from fault


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
