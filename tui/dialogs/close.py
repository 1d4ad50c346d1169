"""The last step: why it happened, and where there was no final response, why it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from amends.cases.outcomes import Outcome
from tui.dialogs.base import Dialog, label, note
from tui.widgets.field import Field


@dataclass(frozen=True, slots=True)
class Closing:
    """`root_cause` is None where nothing was written: what stands in the case stays."""

    reason: str
    root_cause: str | None


class Close(Dialog[Closing]):
    """With an outcome the case ends without a final response, and the reason must be given."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+s,ctrl+r", "accept", "Close the case", show=False, priority=True)
    ]

    def __init__(self, who: str, outcome: Outcome | None) -> None:
        super().__init__(f"Close {who}" + (f" as {outcome}" if outcome else ""))
        self._outcome = outcome

    def content(self) -> Iterator[Widget]:
        if self._outcome is not None:
            yield label("Why it ends without a final response")
            yield Field(id="reason")
        else:
            yield note("It has had its final response. After this it can be reopened at any time.")
        yield label("Root cause: why it happened (may stay empty)")
        yield Field(id="cause")

    def hint(self) -> str:
        return "Tab=Next field  Enter or F5=Close the case  Esc=Leave it open"

    def on_input_submitted(self, message: Input.Submitted) -> None:
        if message.input.id == "reason":
            self.query_one("#cause", Input).focus()
        else:
            self.action_accept()

    def action_accept(self) -> None:
        reason = self.query_one("#reason", Input).value.strip() if self._outcome is not None else ""
        if self._outcome is not None and not reason:
            self.error("Still needed: why it ends without a final response.")
            self.query_one("#reason", Input).focus()
            return
        self.dismiss(Closing(reason, self.query_one("#cause", Input).value.strip() or None))
