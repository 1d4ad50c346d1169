"""Yes or no; Enter is the safe answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.dialogs.base import Dialog, note
from tui.dialogs.choose import ChoiceList, Option
from tui.widgets.rowlist import RowList


class Confirm(Dialog[bool]):
    """`no` stands first and under the cursor; y and n answer at once."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n", "answer(False)", "No", show=False),
    ]

    def __init__(self, title: str, question: str, *, yes: str = "Yes", no: str = "No") -> None:
        super().__init__(title)
        self._question = question
        self._answers = ((0, no), (1, yes))

    def content(self) -> Iterator[Widget]:
        if self._question:
            yield note(self._question)
        yield ChoiceList([Option(key, words) for key, words in self._answers], id="answers")

    def hint(self) -> str:
        return "Enter=Choose  y=Yes  n=No  Esc=Close"

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        self.dismiss(bool(message.key))

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)

    def action_cancel(self) -> None:
        self.dismiss(False)


class Told(Dialog[bool]):
    """Something that does not fit into a line, to read and close."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space,q,left,h", "cancel", "Close", show=False)]

    def __init__(self, title: str, words: str) -> None:
        super().__init__(title)
        self._words = words

    def content(self) -> Iterator[Widget]:
        yield Static(Content(self._words), markup=False)

    def hint(self) -> str:
        return "Enter=Close"
