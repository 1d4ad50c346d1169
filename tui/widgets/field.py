"""One line to write in."""

from __future__ import annotations

from typing import Any

from textual.widgets import Input


class Field(Input):
    """An Input whose cursor does not blink: on a slow line every blink is a packet, and it distracts."""

    def __init__(self, value: str = "", **more: Any) -> None:
        super().__init__(value, **more)
        self.cursor_blink = False
