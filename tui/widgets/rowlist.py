"""A list of one-line rows that draws only what is seen: a million rows cost as much as twenty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.geometry import Offset, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui import keys
from tui.widgets.painted import COMPONENTS, Painted
from tui.words import Line, Span


class RowList(Painted, ScrollView, can_focus=True):
    """Rows have keys (ids); the cursor stays on its key, wherever the row moves."""

    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENTS
    BINDINGS: ClassVar[list[BindingType]] = keys.moving()
    ALLOW_SELECT = False

    @dataclass
    class Moved(Message):
        """The cursor stands on another row."""

        sender: RowList
        key: int | None

        @property
        def control(self) -> RowList:
            return self.sender

    @dataclass
    class Opened(Message):
        """Enter, or a second click, on this row."""

        sender: RowList
        key: int

        @property
        def control(self) -> RowList:
            return self.sender

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys: Sequence[int] = ()
        self.cursor = 0
        self.empty = ""
        """What stands there when there are no rows."""

    # What a list of something overrides

    def row(self, key: int, width: int) -> Line:
        """The spans of one row, without the cursor sign; may be shorter or longer than `width`."""
        raise NotImplementedError

    # What a screen asks and tells

    @property
    def keys(self) -> Sequence[int]:
        return self._keys

    @property
    def current(self) -> int | None:
        """The key under the cursor."""
        return self._keys[self.cursor] if 0 <= self.cursor < len(self._keys) else None

    def show(self, keys: Sequence[int], *, on: int | None = None) -> None:
        """These rows; the cursor goes to `on`, else stays on its key, else on its place."""
        wanted = self.current if on is None else on
        self._keys = keys
        place = self.place_of(wanted)
        self.cursor = place if place is not None else max(0, min(self.cursor, len(keys) - 1))
        self.virtual_size = Size(self.size.width, len(keys))
        self._reveal()
        self.refresh()
        self.post_message(self.Moved(self, self.current))

    def place_of(self, key: int | None) -> int | None:
        """Where a key stands, or None."""
        if key is None:
            return None
        try:
            return self._keys.index(key)
        except ValueError:
            return None

    def move_to(self, place: int) -> None:
        """Put the cursor there, as far as there are rows."""
        place = max(0, min(place, len(self._keys) - 1))
        if place == self.cursor or not self._keys:
            return
        before, self.cursor = self.cursor, place
        self.refresh_line(before)
        self.refresh_line(place)
        self._reveal()
        self.post_message(self.Moved(self, self.current))

    def redraw(self, key: int) -> None:
        """This row has changed."""
        place = self.place_of(key)
        if place is not None:
            self.refresh_line(place)

    # Drawing

    def render_line(self, y: int) -> Strip:
        place = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if place >= len(self._keys):
            words = self.empty if not self._keys and y == 1 else ""
            return self.paint(((f"   {words}", "muted"),), width)
        on = place == self.cursor
        sign: Span = (">" if on else " ", "accent")
        return self.paint((sign, *self.row(self._keys[place], width - 1)), width, under="row-on" if on else "")

    def _reveal(self) -> None:
        height = self.scrollable_content_region.height
        if not height:
            return
        top = self.scroll_offset.y
        if self.cursor < top:
            top = self.cursor
        elif self.cursor >= top + height:
            top = self.cursor - height + 1
        top = max(0, min(top, len(self._keys) - height))
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, immediate=True)
        self._point()

    def _point(self) -> None:
        """The terminal's own cursor follows the row, for magnifiers and braille displays."""
        if self.has_focus:
            region = self.content_region
            self.app.cursor_position = Offset(region.x, region.y + self.cursor - self.scroll_offset.y)

    def on_focus(self) -> None:
        self._point()

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._keys))
        self.call_after_refresh(self._reveal)

    # Moving

    @property
    def _page(self) -> int:
        return max(1, self.scrollable_content_region.height - 1)

    def action_down(self) -> None:
        self.move_to(self.cursor + 1)

    def action_up(self) -> None:
        self.move_to(self.cursor - 1)

    def action_page_down(self) -> None:
        self.move_to(self.cursor + self._page)

    def action_page_up(self) -> None:
        self.move_to(self.cursor - self._page)

    def action_top(self) -> None:
        self.move_to(0)

    def action_bottom(self) -> None:
        self.move_to(len(self._keys) - 1)

    def action_open(self) -> None:
        if self.current is not None:
            self.post_message(self.Opened(self, self.current))

    def on_click(self, event: events.Click) -> None:
        place = self.scroll_offset.y + event.y
        if place >= len(self._keys):
            return
        self.move_to(place)
        if event.chain == 2:
            self.action_open()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        event.prevent_default()
        self.scroll_to(y=self.scroll_offset.y + 3, animate=False, immediate=True)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        event.prevent_default()
        self.scroll_to(y=max(0, self.scroll_offset.y - 3), animate=False, immediate=True)
