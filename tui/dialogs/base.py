"""The box over a screen in which a question is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """Escape leaves it without an answer; `error` is its own last line."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Close", show=False)]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = Content(f" {self._title} ")
            yield from self.content()
            yield Static("", id="error", classes="error", markup=False)
            yield Static(Content(self.hint()), classes="hint", markup=False)

    def content(self) -> Iterator[Widget]:
        raise NotImplementedError

    def hint(self) -> str:
        """The keys of this dialog, in one line."""
        return "Esc=Close"

    def error(self, words: str) -> None:
        self.query_one("#error", Static).update(Content(words))

    def action_cancel(self) -> None:
        self.dismiss(None)


def label(words: str) -> Static:
    return Static(Content(words), classes="label", markup=False)


def note(words: str, **more: Any) -> Static:
    return Static(Content(words), classes="hint", markup=False, **more)
