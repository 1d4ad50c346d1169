"""One of the four fixed lines: parts on the left, parts on the right, each of which may be clicked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.painted import COMPONENTS, Painted
from tui.words import Span, cut


@dataclass(frozen=True, slots=True)
class Part:
    """Words in a role; `action` runs when they are clicked (words of ours only)."""

    words: str
    role: str = "text"
    action: str = ""


class Bar(Painted, Widget):
    """The right side is never cut; the left side is, with an ellipsis."""

    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENTS
    ALLOW_SELECT = False

    def __init__(self, *, under: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self._under = under
        self._left: tuple[Part, ...] = ()
        self._right: tuple[Part, ...] = ()

    def show(self, left: Sequence[Part], right: Sequence[Part] = ()) -> None:
        """Draw these parts; nothing is sent to the terminal if they stand there already."""
        if (tuple(left), tuple(right)) != (self._left, self._right):
            self._left, self._right = tuple(left), tuple(right)
            self.refresh()

    @property
    def words(self) -> str:
        """What stands there, for a test or a screen reader."""
        return "".join(part.words for part in (*self._left, *self._right))

    def _placed(self) -> list[tuple[Span, str]]:
        width = self.size.width
        room = width - sum(cell_len(part.words) for part in self._right)
        placed: list[tuple[Span, str]] = []
        for part in self._left:
            words = cut(part.words, max(room, 0))
            placed.append(((words, part.role), part.action))
            room -= cell_len(words)
        placed.append(((" " * max(room, 0), "text"), ""))
        return placed + [((part.words, part.role), part.action) for part in self._right]

    def render_line(self, y: int) -> Strip:
        spans = [span for span, _ in self._placed()]
        if self._under:
            spans = [(words, self._under if role == "text" else role) for words, role in spans]
        return self.paint(spans, self.size.width, under=self._under)

    async def on_click(self, event: events.Click) -> None:
        at = 0
        for (words, _), action in self._placed():
            at += cell_len(words)
            if event.x < at:
                if action:
                    await self.screen.run_action(action)
                return
