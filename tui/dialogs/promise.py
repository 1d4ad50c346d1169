"""A promise in a letter: until when, and what; it becomes a clock when the letter has left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from amends.kernel.errors import Refused
from tui.desk import Desk
from tui.dialogs.base import Dialog, label, note
from tui.when import HOW_A_DAY, day_in_words, day_said
from tui.widgets.field import Field
from tui.widgets.ticks import Tick
from tui.words import prose


@dataclass(frozen=True, slots=True)
class Promised:
    """`day` is None where the letter shall promise nothing any more."""

    day: date | None
    what: str = ""
    instead: bool = False


class PromiseBy(Dialog[Promised]):
    """Starts from what the letter promises already, if anything."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+s,ctrl+r", "accept", "Promise", show=False, priority=True)
    ]

    def __init__(self, desk: Desk, before: Promised | None, *, running: int) -> None:
        super().__init__("Promise something in this letter")
        self._desk, self._before, self._others = desk, before, running

    def content(self) -> Iterator[Widget]:
        before = self._before
        yield note("When the letter has left it is a deadline of ours. Your next letter keeps it, or P in the case.")
        yield label("By when" + (" (empty: the letter promises nothing)" if before is not None else ""))
        yield Field(before.day.isoformat() if before is not None and before.day else "", id="day")
        yield Static("", id="understood", classes="hint", markup=False)
        yield label("What: for colleagues, a few words")
        yield Field(prose(before.what) if before is not None else "", id="what", placeholder="an engineer comes")
        if self._others:
            yield Tick("Instead of what was promised before", bool(before and before.instead), id="instead")

    def hint(self) -> str:
        return "Tab=Next field  F5=Promise it  Esc=Close"

    def on_mount(self) -> None:
        self.query_one("#day", Input).focus()
        self._understand()

    @property
    def _today(self) -> date:
        return self._desk.now().astimezone(self._desk.zone).date()

    def _understand(self) -> None:
        said = self.query_one("#day", Input).value
        words = HOW_A_DAY
        if said.strip():
            try:
                words = f"by the end of {day_in_words(day_said(said, self._today), self._today)}"
            except Refused as no:
                words = str(no)
        self.query_one("#understood", Static).update(Content(words))

    def on_input_changed(self, message: Input.Changed) -> None:
        if message.input.id == "day":
            self._understand()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        if message.input.id == "day":
            self.query_one("#what", Input).focus()
        else:
            self.action_accept()

    def action_accept(self) -> None:
        said = self.query_one("#day", Input).value
        if not said.strip():
            if self._before is not None:
                self.dismiss(Promised(None))
            else:
                self.error(f"Still needed: by when. {HOW_A_DAY}")
            return
        try:
            day = day_said(said, self._today)
        except Refused:
            self.error("That is no day. An example stands above.")
            self.query_one("#day", Input).focus()
            return
        if day < self._today:
            self.error(f"{day_in_words(day, self._today)}, has passed; choose a later day.")
            return
        ticks = self.query("#instead")
        instead = bool(ticks) and self.query_one("#instead", Tick).value
        self.dismiss(Promised(day, self.query_one("#what", Input).value.strip(), instead))
