"""Where letters and notes are written."""

from __future__ import annotations

from typing import Any

from textual import events
from textual.widgets import TextArea

from amends.kernel.text import clean


class Editor(TextArea):
    """Plain text that wraps; what is pasted is cleaned first.  Tab leaves it."""

    def __init__(self, text: str = "", *, id: str | None = None, **more: Any) -> None:
        super().__init__(text, id=id, soft_wrap=True, show_line_numbers=False, tab_behavior="focus", **more)
        self.cursor_blink = False

    async def _on_paste(self, event: events.Paste) -> None:
        """Textual runs the handler of every class: this one first, then TextArea's, which puts the text in."""
        event.text = clean(event.text, multiline=True).text
