"""Many lines to read, wrapped by us and drawn only where they are seen: a 2 MB mail scrolls like a short one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.geometry import Offset, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui import keys
from tui.widgets.painted import COMPONENTS, Painted
from tui.words import Line


@dataclass(frozen=True, slots=True)
class Sheet:
    """Lines ready for one width; `anchors` says on which line each part begins."""

    lines: tuple[Line, ...] = ()
    anchors: Mapping[int, int] = field(default_factory=dict)


Writer = Callable[[int], Sheet]
"""Makes the sheet for a width."""


class LineView(Painted, ScrollView, can_focus=True):
    """Shows what a writer writes for the present width."""

    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENTS
    BINDINGS: ClassVar[list[BindingType]] = keys.moving()

    @dataclass
    class Entered(Message):
        """Enter was pressed here."""

        sender: LineView

        @property
        def control(self) -> LineView:
            return self.sender

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._writer: Writer | None = None
        self._written_for = -1
        self.sheet = Sheet()

    def show(self, writer: Writer, *, top: bool = True) -> None:
        """Write anew; with `top` from the first line on, else where the reader is."""
        self._writer = writer
        self._written_for = -1
        self._write()
        if top:
            self.scroll_to(y=0, animate=False, immediate=True)

    def _write(self) -> None:
        width = self.scrollable_content_region.width
        if self._writer is None or width <= 0:
            return
        self._written_for = width
        self.sheet = self._writer(width)
        self.virtual_size = Size(width, len(self.sheet.lines))
        narrower = self.scrollable_content_region.width
        if narrower not in (width, 0):  # the scrollbar came or went
            self._written_for = narrower
            self.sheet = self._writer(narrower)
            self.virtual_size = Size(narrower, len(self.sheet.lines))
        self.refresh()

    def on_resize(self) -> None:
        self._fit()

    def watch_show_vertical_scrollbar(self) -> None:
        """The scrollbar takes a column of the text, or gives it back."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if self.scrollable_content_region.width != self._written_for:
            self._write()

    def reveal(self, part: int) -> None:
        """Bring the beginning of a part to the top."""
        line = self.sheet.anchors.get(part)
        if line is not None:
            self.scroll_to(y=line, animate=False, immediate=True)
            self._point()

    @property
    def text(self) -> str:
        """All of it, for a test or for copying."""
        return "\n".join("".join(words for words, _ in line) for line in self.sheet.lines)

    def render_line(self, y: int) -> Strip:
        place = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if place >= len(self.sheet.lines):
            return Strip.blank(width, self.rich_style)
        return self.paint(self.sheet.lines[place], width)

    def _point(self) -> None:
        if self.has_focus:
            self.app.cursor_position = Offset(self.content_region.x, self.content_region.y)

    def on_focus(self) -> None:
        self._point()

    def _by(self, lines: int) -> None:
        self.scroll_to(y=max(0, self.scroll_offset.y + lines), animate=False, immediate=True)

    def action_down(self) -> None:
        self._by(1)

    def action_up(self) -> None:
        self._by(-1)

    def action_page_down(self) -> None:
        self._by(max(1, self.scrollable_content_region.height - 1))

    def action_page_up(self) -> None:
        self._by(-max(1, self.scrollable_content_region.height - 1))

    def action_top(self) -> None:
        self.scroll_to(y=0, animate=False, immediate=True)

    def action_bottom(self) -> None:
        self.scroll_to(y=len(self.sheet.lines), animate=False, immediate=True)

    def action_open(self) -> None:
        self.post_message(self.Entered(self))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        event.prevent_default()
        self._by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        event.prevent_default()
        self._by(-3)
