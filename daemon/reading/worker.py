"""What runs inside a reading process.  The parser is loaded by `confine`, there and nowhere else."""

from __future__ import annotations

import gc
import importlib
import os
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from amends.kernel.text import one_line
from amends.mail.facts import Reading


@dataclass(frozen=True, slots=True)
class Limits:
    """What one reading process may use.  `seconds` are of the wall clock, `cpu_seconds` of the processor, a message.

    No mail that we know of takes the reader more than one second of the processor and 100 MB; what takes these is read
    by its header alone.
    """

    seconds: float = 15.0
    cpu_seconds: int = 5
    memory: int = 1024 * 1024 * 1024


_set_up: dict[str, Any] = {}
NEVER_SAY_MORE: Final = 300


@dataclass(frozen=True, slots=True)
class Desk:
    """Whose mail it is, as the reader must know it."""

    own_addresses: frozenset[str]
    trusted_authserv: str
    languages: tuple[str, ...]


def confine(limits: Limits, module: str, desk: Desk) -> None:
    """Give up whatever reading does not need, for good, and load the reader.

    No file may be written (pipes are not files), no process started (root is not held to that), no core left.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a reader that hangs in C code hears no Python handler
    reader = importlib.import_module(module)
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_AS, limits.memory),
    ):
        _, hard = resource.getrlimit(limit)
        lowest = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (lowest, lowest))
    os.environ.clear()
    sys.dont_write_bytecode = True
    _set_up.update(reader=reader, limits=limits, desk=desk)
    gc.collect()
    gc.freeze()


def read_some(raws: Sequence[bytes], headers_only: bool) -> list[Reading | str]:
    """Read these messages; where the whole cannot be read its headers are, and where they cannot either, why."""
    return [_read_one(raw, headers_only) for raw in raws]


def _read_one(raw: bytes, headers_only: bool) -> Reading | str:
    desk: Desk = _set_up["desk"]
    _allow_cpu_seconds(_set_up["limits"].cpu_seconds)
    if headers_only:
        return _read_headers(raw, "reading the whole took its process down; only the header was read")
    try:
        found: Reading = _set_up["reader"].read(
            raw,
            own_addresses=desk.own_addresses,
            trusted_authserv=desk.trusted_authserv,
            languages=desk.languages,
        )
    except Exception as fault:  # noqa: BLE001  (whatever a stranger's bytes do to the reader, the message has a fate)
        return _read_headers(raw, f"the whole could not be read ({_said(fault)}); only the header was")
    return found


def _read_headers(raw: bytes, reason: str) -> Reading | str:
    desk: Desk = _set_up["desk"]
    try:
        found: Reading = _set_up["reader"].read_headers(
            raw, own_addresses=desk.own_addresses, trusted_authserv=desk.trusted_authserv, reason=reason
        )
    except Exception as fault:  # noqa: BLE001  (see above)
        return f"it cannot be read, nor can its headers: {_said(fault)}"
    return found


def _said(fault: Exception) -> str:
    return one_line(f"{type(fault).__name__}: {fault}", NEVER_SAY_MORE)


def _allow_cpu_seconds(seconds: int) -> None:
    """The kernel ends this process (SIGXCPU) when the next message has used so many: the limit counts a whole life."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
