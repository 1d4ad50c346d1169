"""What is kept of a fault of the program: where it happened, and nothing of anybody's mail."""

from __future__ import annotations

import os
from pathlib import Path

from amends.kernel.errors import AmendsError
from amends.kernel.instants import iso, wall_clock


def write_report(fault: BaseException) -> str:
    """Write a report that only its owner can read, and return its path.

    It holds types, files and lines.  Messages of exceptions and local variables can hold a complainant's words, so
    they are left out, but for the sentences that we wrote ourselves.
    """
    import platform
    import tempfile  # these cost 20 ms together, and most days nobody needs them
    import traceback
    from importlib.metadata import version

    lines = [f"amends {version('amends')}, textual {version('textual')}, Python {platform.python_version()}"]
    lines.append(iso(wall_clock()))
    seen: BaseException | None = fault
    while seen is not None:
        lines.append(f"{type(seen).__module__}.{type(seen).__qualname__}")
        if isinstance(seen, AmendsError):
            lines.append(f"  {seen}")
        for frame in traceback.extract_tb(seen.__traceback__):
            lines.append(f"  {frame.filename}:{frame.lineno} in {frame.name}")
        seen = seen.__cause__ or seen.__context__
    handle, path = tempfile.mkstemp(prefix="report-", suffix=".txt", dir=_folder())  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


def state_folder() -> Path | None:
    """Where small things of this person are kept between two runs; None where nothing can be."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    folder = Path(base) / "amends"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


def _folder() -> Path:
    from tempfile import gettempdir

    folder = state_folder()
    return folder if folder is not None and os.access(folder, os.W_OK) else Path(gettempdir())
