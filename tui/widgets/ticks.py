"""Tick boxes and choices whose signs differ, not only their colours: [x] [ ] and (•) ( )."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Checkbox, RadioButton, RadioSet


class Tick(Checkbox):
    """`[x]` or `[ ]`."""

    @property
    def _button(self) -> Content:
        return Content("[x]" if self.value else "[ ]")


class Dot(RadioButton):
    """`(•)` or `( )`."""

    @property
    def _button(self) -> Content:
        return Content("(•)" if self.value else "( )")


class Dots(RadioSet):
    """Several of which one holds: an arrow chooses, and so does Enter or Space.  Nothing is chosen until then."""

    DEFAULT_CSS = """
    Dots { layout: horizontal; height: 1; border: none; padding: 0; background: transparent; width: 1fr; }
    Dots:focus { border: none; background-tint: transparent; }
    """

    def on_mount(self) -> None:
        self.call_after_refresh(self._stand_on_the_chosen)

    def _stand_on_the_chosen(self) -> None:
        if self.pressed_index >= 0:
            self._selected = self.pressed_index

    def action_next_button(self) -> None:
        super().action_next_button()
        self._choose()

    def action_previous_button(self) -> None:
        super().action_previous_button()
        self._choose()

    def _choose(self) -> None:
        """What the cursor stands on; the toolkit moves the cursor once before anybody has pressed anything."""
        if self.has_focus and self._selected != self.pressed_index:
            self.action_toggle_button()
