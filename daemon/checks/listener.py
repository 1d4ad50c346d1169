"""The places where the own mail server shall hand mail over: free, or ours already, and their certificate usable."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from amends.config import Settings, listening_at
from amends.kernel.errors import NeedsOperator
from daemon.checks.finding import Finding, ok, wrong
from daemon.listener.places import check_folder
from daemon.listener.tls import Certificate

_ANSWER = 5.0  # seconds


def check(settings: Settings) -> Iterator[Finding]:
    """Nothing is changed: no socket is made or removed, no mail handed over."""
    listener = settings.listener
    assert listener is not None
    if listener.certificate is not None and listener.key is not None:
        Certificate(settings.path(listener.certificate), settings.path(listener.key))
        yield ok("listener", f"{settings.path(listener.certificate)} and its key belong together.")
    for protocol, value in (("lmtp", listener.lmtp), ("smtp", listener.smtp)):
        if value:
            yield _place(settings, protocol, listening_at(value))


def _place(settings: Settings, protocol: str, at: Path | tuple[str, int]) -> Finding:
    where = settings.path(at).absolute() if isinstance(at, Path) else at
    shown = str(where) if isinstance(where, Path) else f"{where[0]}:{where[1]}"
    if isinstance(where, Path):
        check_folder(where, key=f"listener.{protocol}")
    try:
        greeting = _greeting(where)
    except (ConnectionRefusedError, FileNotFoundError):
        return _free(protocol, where, shown)
    except OSError as fault:
        return wrong(
            "listener", f"{protocol}: {shown} does not answer ({fault.strerror or fault}); run the check as the daemon."
        )
    if greeting.startswith(f"220 {settings.organisation.domain} {'LMTP' if protocol == 'lmtp' else 'ESMTP'}"):
        return ok("listener", f"{protocol}: amendsd listens at {shown}.")
    return wrong("listener", f"{protocol}: another program listens at {shown}; stop it, or name another address.")


def _greeting(where: Path | tuple[str, int]) -> str:
    kind = socket.AF_UNIX if isinstance(where, Path) else _family(where)
    with socket.socket(kind, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER)
        probe.connect(str(where) if isinstance(where, Path) else where)
        return probe.recv(512).decode("ascii", "replace")


def _free(protocol: str, where: Path | tuple[str, int], shown: str) -> Finding:
    """Nobody answers there: whether we could."""
    if isinstance(where, Path):
        if where.exists() and not where.is_socket():
            return wrong("listener", f"{protocol}: {shown} is there and is no socket; move it away.")
        if not os.access(where.parent, os.W_OK):
            raise NeedsOperator(f"listener.{protocol}: nothing can be written to {where.parent}; check owner and mode.")
        return ok("listener", f"{protocol}: {shown} can be listened on.")
    try:
        socket.create_server(where, family=_family(where)).close()
    except OSError as fault:
        why = os.strerror(fault.errno) if fault.errno and fault.errno > 0 else str(fault)
        return wrong("listener", f"{protocol}: cannot listen on {shown}: {why}; name another address.")
    return ok("listener", f"{protocol}: {shown} can be listened on.")


def _family(where: tuple[str, int]) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in where[0] else socket.AF_INET
