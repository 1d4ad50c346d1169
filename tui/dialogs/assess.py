"""The assessment: severity, complexity, impact, immediate action, particular care (ISO 10002:2018, 7.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input

from amends.cases.outcomes import Assessment, Severity
from amends.ledger.shapes import CaseView
from tui.columns import short_reference
from tui.dialogs.base import Dialog, label
from tui.widgets.field import Field
from tui.widgets.ticks import Dot, Dots, Tick
from tui.words import name, prose


class Assess(Dialog[Assessment]):
    """Starts from the assessment that the case has."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f5,ctrl+s,ctrl+r", "accept", "Save", show=False, priority=True)]
    DEFAULT_CSS = """
    Assess Horizontal { height: auto; }
    """

    def __init__(self, case: CaseView) -> None:
        super().__init__(f"Assess {short_reference(case.row.reference)} {name(case.row.complainant_name)}")
        self._case = case

    def content(self) -> Iterator[Widget]:
        now = self._case.row.severity
        yield label("Severity")
        with Dots(id="severity"):
            for severity in Severity:
                yield Dot(str(severity), value=str(severity) == now, id=f"s-{severity}")
        yield label("Complexity: what makes it hard (may stay empty)")
        yield Field(prose(self._case.complexity), id="complexity")
        yield label("Impact: what it does to them")
        yield Field(prose(self._case.impact), id="impact")
        with Horizontal():
            yield Tick("Something must be done at once", self._case.immediate_action, id="immediate")
            yield Tick("They need particular care (V)", self._case.row.vulnerable, id="vulnerable")

    def hint(self) -> str:
        return "Tab=Next  ←→=Choose  Space=Tick  F5=Save  Esc=Close"

    def action_accept(self) -> None:
        pressed = self.query_one("#severity", Dots).pressed_button
        if pressed is None or pressed.id is None:
            self.error("Still needed: the severity.")
            return
        self.dismiss(
            Assessment(
                Severity(pressed.id.removeprefix("s-")),
                self.query_one("#complexity", Input).value,
                self.query_one("#impact", Input).value,
                self.query_one("#immediate", Tick).value,
                self.query_one("#vulnerable", Tick).value,
            )
        )
