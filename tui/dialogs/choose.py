"""One of several; a letter or digit chooses at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from textual import events
from textual.widget import Widget

from tui.dialogs.base import Dialog, note
from tui.widgets.rowlist import RowList
from tui.words import Line, fit


@dataclass(frozen=True, slots=True)
class Option:
    """`value` is the answer; `hint` stands beside the words."""

    value: Any
    words: str
    hint: str = ""


class ChoiceList(RowList):
    """Options as rows, numbered."""

    DEFAULT_CSS = "ChoiceList { height: auto; }"

    def __init__(self, options: Sequence[Option], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._options = options
        self._keys = range(len(options))
        self.styles.height = min(max(len(options), 1), 16)

    def row(self, key: int, width: int) -> Line:
        option = self._options[key]
        number = f"{key + 1} " if key < 9 else "  "
        words = max((len(one.words) for one in self._options), default=0)
        hint = fit(option.hint, max(0, width - words - 7)) if option.hint else ""
        return ((" " + number, "muted"), (fit(option.words, words + 3), "strong"), (hint, "muted"))


class Choose(Dialog[Any]):
    """Answers with the value of the chosen option, or None."""

    def __init__(self, title: str, options: Sequence[Option], *, intro: str = "", on: Any = None) -> None:
        super().__init__(title)
        self._options = list(options)
        self._intro = intro
        self._on = on

    def content(self) -> Iterator[Widget]:
        if self._intro:
            yield note(self._intro)
        yield ChoiceList(self._options, id="options")

    def hint(self) -> str:
        return "↑↓=Move  Enter=Choose  1-9=Choose at once  Esc=Close"

    def on_mount(self) -> None:
        place = next((at for at, option in enumerate(self._options) if option.value == self._on), 0)
        self.query_one(ChoiceList).move_to(place)

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        self.dismiss(self._options[message.key].value)

    def on_key(self, event: events.Key) -> None:
        if event.character and event.character.isdigit() and 0 < int(event.character) <= min(9, len(self._options)):
            event.stop()
            self.dismiss(self._options[int(event.character) - 1].value)
