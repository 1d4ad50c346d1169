"""How far a long command is, while somebody looks."""

from __future__ import annotations

import sys
from typing import Final

_WIDTH: Final = 30


def _is_looked_at() -> bool:
    return sys.stderr.isatty()


class Progress:
    """One line on standard error, written over and over, and gone at the end; nothing where that is no terminal."""

    def __init__(self, steps: int) -> None:
        self._steps = max(steps, 1)
        self._looked_at = _is_looked_at()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.hide()

    def show(self, done: int, told: str) -> None:
        share = min(done / self._steps, 1.0)
        full = round(share * _WIDTH)
        self._write(f"\r\x1b[K[{'#' * full}{' ' * (_WIDTH - full)}] {share:4.0%}  {told} ")

    def hide(self) -> None:
        """Make room for a line of the result."""
        self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        if self._looked_at:
            sys.stderr.write(text)
            sys.stderr.flush()
