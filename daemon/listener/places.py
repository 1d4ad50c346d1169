"""A Unix socket that nobody else can take, reach or leave behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from amends.kernel.errors import NeedsOperator

_LONGEST: Final = 107  # octets of a path, unix(7)


class _Wrong(Exception):
    """What is wrong with the place, as a sentence."""


class UnixPlace:
    """The socket at `path`, mode 0660, bound while the `with` block lasts.

    A file beside it, `path`.lock, is locked for as long, so that of two daemons that find a stale socket only one
    replaces it.  Raises NeedsOperator with the one thing that is wrong.
    """

    def __init__(self, path: Path, *, key: str) -> None:
        self.path = path
        self._key = key
        self._lock = -1
        self._inode = -1

    def __enter__(self) -> Self:
        check_folder(self.path, key=self._key)
        try:
            self._lock = _locked(self.path)
            try:
                _remove_stale(self.path)
                self.socket = self._bound()
            except BaseException:
                os.close(self._lock)
                raise
        except _Wrong as wrong:
            raise NeedsOperator(f"{self._key}: {wrong}") from wrong
        return self

    def _bound(self) -> socket.socket:
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bound.bind(str(self.path))
            self.path.chmod(0o660)  # in time: until listen() nobody can connect
            self._inode = self.path.lstat().st_ino
        except OSError as fault:
            bound.close()
            raise _Wrong(f"cannot make the socket {self.path}: {fault.strerror}.") from fault
        return bound

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()
        with contextlib.suppress(OSError):  # gone already, or another's now
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()
        os.close(self._lock)


def check_folder(path: Path, *, key: str) -> None:
    """Raise NeedsOperator with the reason why no socket of ours can stand at `path`, for what `key` configures."""
    if (reason := _unfit(path)) is not None:
        raise NeedsOperator(f"{key}: {reason}")


def _unfit(path: Path) -> str | None:
    folder = path.parent
    if len(os.fsencode(path)) > _LONGEST:
        return f"{path} is longer than a socket's path may be ({_LONGEST} octets); use a shorter one."
    try:
        seen = folder.stat()
    except OSError as fault:
        return f"the folder {folder} is not there ({fault.strerror}); create it."
    if not stat.S_ISDIR(seen.st_mode):
        return f"{folder} is not a folder; use another path."
    if seen.st_mode & stat.S_IWOTH:
        return (
            f"everybody can write to {folder} and could put a socket of their own there; "
            f"use another folder, or run: chmod o-w {folder}"
        )
    if seen.st_uid not in (0, os.geteuid()):
        return f"the folder {folder} belongs to another user; use one of the daemon's own."
    return None


def _locked(path: Path) -> int:
    lock = path.with_name(path.name + ".lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise _Wrong(f"cannot write {lock}: {fault.strerror}.") from fault
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        os.close(handle)
        raise _Wrong(f"another amendsd listens at {path}; stop it first.") from fault
    return handle


def _remove_stale(path: Path) -> None:
    """Take away a socket that a daemon left when it was killed, and nothing else."""
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(seen.st_mode):
        raise _Wrong(f"{path} is there and is no socket; move it away.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            pass
        except OSError as fault:
            raise _Wrong(f"{path} is in use or not ours: {fault.strerror or fault}.") from fault
        else:
            raise _Wrong(f"another program listens at {path}; stop it first.")
    try:
        path.unlink()
    except OSError as fault:
        raise _Wrong(f"cannot remove the stale socket {path}: {fault.strerror}.") from fault
