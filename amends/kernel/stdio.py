"""What both programs do with their standard streams: UTF-8 for scripts, JSON that no terminal obeys, a quiet end.

Imported before anything is printed, `--help` too: it must cost nothing.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, Final

_WRITING: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def speak_utf8() -> None:
    """Scripts rely on UTF-8 whatever the locale says; half characters are written as escapes.

    Where a shell closed standard output (`>&-`) there is none, and what is printed goes nowhere.
    """
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream, errors in ((sys.stdin, "strict"), (sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace")):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors=errors)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON; on a terminal in ASCII alone, where a mail's escapes and changes of direction would work."""
    import json

    terminal = sys.stdout.isatty()
    text = json.dumps(value, ensure_ascii=terminal, indent=indent)
    return text.replace("\x7f", "\\u007f") if terminal else text


def is_of_output(fault: OSError) -> bool:
    """Whether standard output took no more: a full disk or quota, a device that is gone.

    What is written to a stream names no file in its error; whatever else we write does.
    """
    return fault.filename is None and fault.errno in _WRITING


def drop_output() -> None:
    """Send what is left to nowhere: at its end Python flushes once more, and would complain once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
