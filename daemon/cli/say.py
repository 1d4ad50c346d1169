"""How the commands speak: results to standard output, one sentence of error to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import IO, Any

from amends.kernel import stdio


def line(text: str = "") -> None:
    """One line of result.  What stands in it from outside has gone through `harmless` before."""
    _write(sys.stdout, text)


def error(sentence: str) -> None:
    """One sentence to standard error, in one line and harmless to a terminal whatever it quotes."""
    _write(sys.stderr, f"amendsd: {harmless(sentence)}")


def notice(sentence: str) -> None:
    """A word to the person that is no result: to standard error, so that a pipe does not get it."""
    _write(sys.stderr, harmless(sentence))


def harmless(text: str, *, multiline: bool = False) -> str:
    """Text from outside as a terminal may show it."""
    from amends.kernel.text import clean  # compiles its tables: 40 ms that --help need not pay

    return clean(text, multiline=multiline).text


def document(value: Any) -> None:
    """A whole JSON document in UTF-8, readable by people too."""
    _write(sys.stdout, stdio.json_text(value, indent=2))


def record(value: Any) -> None:
    """One object of JSON lines in UTF-8."""
    _write(sys.stdout, stdio.json_text(value))


def table(rows: Sequence[Sequence[str]]) -> None:
    """Rows in columns as wide as they need; the last column runs on."""
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        line("  ".join([*cells, row[-1]]).rstrip())


def coloured(text: str, colour: str) -> str:
    """`text` in a colour (an SGR number such as "31") on a terminal that wants colours, else as it is."""
    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{colour}m{text}\x1b[0m" if wanted else text


def _write(stream: IO[str], text: str) -> None:
    stream.write(text + "\n")
