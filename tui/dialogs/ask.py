"""Words from the person: one line, or several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from tui.dialogs.base import Dialog, label, note
from tui.widgets.editor import Editor
from tui.widgets.field import Field


class AskLine(Dialog[str]):
    """Answers with one line, or None."""

    def __init__(self, title: str, what: str, *, hint: str = "", value: str = "", required: bool = True) -> None:
        super().__init__(title)
        self._what, self._note, self._value, self._required = what, hint, value, required

    def content(self) -> Iterator[Widget]:
        yield label(self._what)
        yield Field(self._value, id="line")
        if self._note:
            yield note(self._note)

    def hint(self) -> str:
        return "Enter=Go on  Esc=Close"

    def on_input_submitted(self, message: Input.Submitted) -> None:
        if self._required and not message.value.strip():
            self.error("Still needed: write it, or press Esc.")
            return
        self.dismiss(message.value.strip())


class AskText(Dialog[str]):
    """Answers with several lines, or None.  What was written survives the dialog: give it as `value` next time."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+s,ctrl+r", "accept", "Save", show=False, priority=True),
    ]

    def __init__(self, title: str, what: str, *, hint: str = "", value: str = "") -> None:
        super().__init__(title)
        self._what, self._note, self._value = what, hint, value

    def content(self) -> Iterator[Widget]:
        yield label(self._what)
        editor = Editor(self._value, id="text")
        editor.styles.height = 8
        yield editor
        if self._note:
            yield note(self._note)

    def hint(self) -> str:
        return "F5 or Ctrl+S=Save  Esc=Close without saving"

    def action_accept(self) -> None:
        words = self.query_one(Editor).text.strip()
        if not words:
            self.error(f"{self._what}: write a few words first, or press Esc.")
            return
        self.dismiss(words)
