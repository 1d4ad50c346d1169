"""The decision: outcome, remedy with its money, root cause.  What is still needed stands in one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input

from amends.cases.outcomes import WITHOUT_FINDING, Outcome, Remedy, money
from amends.casework.correspondence import Finding
from amends.kernel.errors import Refused
from tui.dialogs.base import Dialog, label, note
from tui.widgets.field import Field
from tui.widgets.ticks import Dot, Dots

OUTCOMES = tuple(outcome for outcome in Outcome if outcome not in WITHOUT_FINDING)


class Decide(Dialog[Finding]):
    """Starts from what was decided before in this letter, if anything was; `currency` is what is usually paid in."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f5,ctrl+s,ctrl+r", "accept", "Go on", show=False, priority=True)]
    DEFAULT_CSS = """
    Decide Horizontal { height: 1; }
    Decide #amount { width: 16; margin: 0 1 0 0; }
    Decide #currency { width: 6; margin: 0 1 0 0; }
    Decide .words { width: auto; margin: 0 1 0 0; height: 1; }
    """

    def __init__(self, reference: str, before: Finding | None, *, currency: str) -> None:
        super().__init__(f"Decision on {reference}")
        self._before = before
        self._currency = currency

    def content(self) -> Iterator[Widget]:
        before = self._before
        remedy = before.remedy if before else None
        amount = "" if remedy is None or remedy.amount is None else str(remedy.amount)
        yield label("Outcome")
        with Dots(id="outcome"):
            for outcome in OUTCOMES:
                on = before is not None and before.outcome == outcome
                yield Dot(str(outcome), value=on, id=f"o-{outcome.replace(' ', '-')}")
        yield label("Remedy: what is done to put it right (empty if there is nothing)")
        yield Field(remedy.description if remedy else "", id="remedy")
        with Horizontal():
            yield note("Money, if any:", id="money-label")
            yield Field(amount, id="amount", placeholder="e.g. 2300.00")
            yield Field((remedy.currency if remedy else "") or self._currency, id="currency", max_length=3)
        yield label("Root cause: why it happened (may stay empty)")
        yield Field((before.root_cause if before else "") or "", id="cause")

    def hint(self) -> str:
        return "Tab=Next  ←→=Choose  F5=Go on  Esc=Close"

    def on_mount(self) -> None:
        self.query_one("#money-label").styles.width = 16

    def on_input_submitted(self, message: Input.Submitted) -> None:
        self.focus_next()

    def action_accept(self) -> None:
        pressed = self.query_one("#outcome", Dots).pressed_button
        if pressed is None or pressed.id is None:
            self.error("Still needed: the outcome.")
            self.query_one("#outcome", Dots).focus()
            return
        outcome = Outcome(pressed.id.removeprefix("o-").replace("-", " "))
        words = self.query_one("#remedy", Input).value.strip()
        paid = self.query_one("#amount", Input).value.strip()
        if paid and not words:
            self.error("Still needed: what the money is for.")
            self.query_one("#remedy", Input).focus()
            return
        try:
            amount = money(paid, self.query_one("#currency", Input).value.strip().upper()) if paid else None
        except Refused as no:
            self.error(str(no))
            self.query_one("#amount", Input).focus()
            return
        remedy = Remedy(words, *(amount or (None, ""))) if words else None
        self.dismiss(Finding(outcome, remedy, self.query_one("#cause", Input).value.strip() or None))
