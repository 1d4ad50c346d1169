"""Files of ours: nobody but their owner reads them, and a fault of the disk is one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from amends.kernel.errors import NeedsOperator

PRIVATE = 0o600


@contextmanager
def told(path: Path, doing: str) -> Iterator[None]:
    """A fault of the file system as NeedsOperator: "<path>: cannot be <doing>: <why>"."""
    try:
        yield
    except OSError as fault:
        raise NeedsOperator(f"{path}: cannot be {doing}: {fault.strerror or fault}.") from fault


def touch_private(path: Path) -> None:
    """Make an empty file with mode 0600 if there is none."""
    with told(path, "made"):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
        except FileExistsError:
            return


def write_private(path: Path, text: str) -> None:
    """A new file with mode 0600; an existing one is never overwritten (FileExistsError)."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE), "w", encoding="utf-8") as file:
        file.write(text)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
