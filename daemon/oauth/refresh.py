"""The file with the refresh token: read by one at a time, and replaced whole or not at all.

Providers may give out a new refresh token with any answer, and may take the old one back as soon as the new one is
used.  So the new one is on the disk before anything else happens, and of two processes of ours (the daemon, and
`amendsd check` beside it) only one asks at a time: both hold the same lock from reading to writing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from daemon.oauth.trouble import TokenRefused, TokenTrouble

LOCK_SECONDS: Final = 40.0  # longer than one question to a token server may take
_LOOK_EVERY: Final = 0.05
_AT_MOST: Final = 65_536
_FORM: Final = re.compile(r"[!-~]+")  # RFC 6749 A.17, without the space


class RefreshTokenFile:
    """The file at `path`; `what` names the setting in sentences."""

    def __init__(self, path: Path, *, what: str) -> None:
        self._path = path.resolve()  # where a link leads: the link itself is not replaced
        self._what = what

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else reads or writes meanwhile.  Raises TokenRefused where the folder cannot be written.

        That is found out here, before a token is asked for that could not be kept.
        """
        lock = self._opened_lock()
        try:
            until = time.monotonic() + LOCK_SECONDS
            while not _locked(lock):
                if time.monotonic() > until:
                    raise TokenTrouble(f"{self._path} is in use by another program of ours for very long.")
                time.sleep(_LOOK_EVERY)
            yield
        finally:
            os.close(lock)

    def _opened_lock(self) -> int:
        path = self._path.with_name(f".{self._path.name}.lock")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            lock = os.open(path, flags, 0o600)
            self._owned_alike(lock)
            if not os.access(self._path.parent, os.W_OK | os.X_OK):
                os.close(lock)
                raise PermissionError
        except OSError as fault:
            raise TokenRefused(
                f"{self._what}: the daemon cannot write in {self._path.parent} ({fault.strerror or 'no permission'}), "
                "and providers replace refresh tokens; put the file into a folder of its own, as /var/lib/amends."
            ) from fault
        return lock

    def read(self) -> str:
        """The token.  Raises TokenRefused for a file that is missing, readable by others, or no token."""
        try:
            with open(self._path, "rb", opener=_without_waiting) as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read(_AT_MOST).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as fault:
            why = fault.strerror if isinstance(fault, OSError) else "it is no text"
            raise TokenRefused(f"{self._what}: cannot read {self._path}: {why}; put a refresh token there.") from fault
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise TokenRefused(
                f"{self._what}: {self._path} is open to others on this machine, and whoever reads it can read the "
                f"mailbox; run: chmod 600 {self._path}"
            )
        if not _FORM.fullmatch(text):
            raise TokenRefused(f"{self._what}: {self._path} holds no refresh token; put it there, alone on one line.")
        return text

    def replace(self, token: str) -> None:
        """The new token takes the place of the old one, durably.  Raises OSError, and then the old one stands."""
        beside = self._path.with_name(f".{self._path.name}.new")  # always this one, so that a crash leaves no heap
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(file, 0o600)
            self._owned_alike(file)
            _write_all(file, f"{token}\n".encode("ascii"))
            os.fsync(file)
        finally:
            os.close(file)
        beside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # or the rename itself may be lost
        finally:
            os.close(folder)

    def _owned_alike(self, file: int) -> None:
        """Root, who runs `amendsd check`, must not lock the daemon out of its own file."""
        with contextlib.suppress(OSError):
            owner = (self._path if self._path.exists() else self._path.parent).stat()
            if os.geteuid() == 0 and os.fstat(file).st_uid != owner.st_uid:
                os.fchown(file, owner.st_uid, owner.st_gid)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe that nobody writes to holds no token
