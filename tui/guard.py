"""The second wall: whatever a widget draws, no control code leaves; and a paste never becomes commands."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.color import Color
from textual.filter import LineFilter

if TYPE_CHECKING:
    from textual.app import App

    _Base = App[None]
else:
    _Base = object

_DENY: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")


class EscGuard(LineFilter):
    """Strikes control codes, direction overrides and links out of every line of every widget, width unchanged."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if not any(_DENY.search(text) or (style is not None and style.link) for text, style, _ in segments):
            return segments
        return [_harmless(segment) for segment in segments]


def _harmless(segment: Segment) -> Segment:
    text, style, control = segment
    if _DENY.search(text):
        width = cell_len(text)
        text = _DENY.sub("", text)
        text += "\ufffd" * max(0, width - cell_len(text))
    if style is not None and style.link:
        style = style.update_link(None)
    return Segment(text, style, control)


_PLAIN: Final = str.maketrans("▲·✓–—…┄│─╭╮╰╯‹›→←↑↓•", "^.v--~-|-++++<>><^v*")


class AsciiOnly(LineFilter):
    """For a terminal that is not in UTF-8: every sign and letter has a plain stand-in of the same width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(plain(segment.text), segment.style, segment.control)
            for segment in segments
        ]


def plain(text: str) -> str:
    """`text` in ASCII, as wide as before."""
    return "".join(_stand_in(c) for c in text.translate(_PLAIN))


def _stand_in(character: str) -> str:
    if character.isascii():
        return character
    width = cell_len(character)
    bare = normalize("NFKD", character).encode("ascii", "ignore").decode()
    return (bare[:width] if len(bare) == 1 else "?" * width).ljust(width)


class PasteGuard(_Base):
    """An app that drops the tail of a paste cut short by an escape code: it would arrive as key presses.

    Textual ends a bracketed paste at an ESC within it and delivers the rest as keys.
    """

    PASTE_GAP: Final = 0.06
    """Seconds: no hand follows a paste with a key this fast."""
    _deaf_until = 0.0
    _dropped = 0

    async def on_event(self, event: events.Event) -> None:
        now = time.monotonic()
        if isinstance(event, events.Paste):
            self._deaf_until = now + self.PASTE_GAP
        elif isinstance(event, events.Key):
            if now < self._deaf_until:
                self._deaf_until = now + self.PASTE_GAP  # a stream at machine speed: deaf until it pauses
                self._dropped += 1
                return
            if self._dropped:
                self._dropped = 0
                self.paste_cut_short()
        await super().on_event(event)

    def paste_cut_short(self) -> None:
        """Told once after a paste lost its tail."""
