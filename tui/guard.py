"""The second wall: whatever a widget draws, no control code leaves; and a paste never becomes commands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from unicodedata import normalize

from rich.cells import cell_len
from rich.segment import Segment
from textual._xterm_parser import XTermParser
from textual.color import Color
from textual.filter import LineFilter
from textual.message import Message

from amends.kernel.text import clean

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


_PLAIN: Final = str.maketrans("▲▾·✓–—…┄│─╭╮╰╯‹›→←↑↓•▏▎▌┃▔▁▂▃▄▅▆▇█", "^v.v--~-|-++++<>><^v*||||-___#####")


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


_PASTE_BEGINS: Final = "\x1b[200~"
_PASTE_ENDS: Final = "\x1b[201~"


class PasteGuard(XTermParser):
    """Reads the terminal; what is pasted reaches the app as text alone.

    Textual takes an ESC within a bracketed paste for the beginning of a key: what follows it would be pressed, so that
    a mail that was copied could assign, resolve or send.  Here control codes in a paste become their visible pictures
    before the parser sees them, and whatever comes in one breath with the end of a paste belongs to it and is dropped.
    """

    _pasting = False
    _kept = ""

    def feed(self, data: str) -> Iterable[Message]:
        if not data:  # the end of all input
            return super().feed(data)
        ready = self.guarded(data)
        return super().feed(ready) if ready else ()

    def guarded(self, data: str) -> str:
        """`data` as the parser may have it; a mark that is cut in two waits for its other half."""
        data, self._kept = self._kept + data, ""
        out = ""
        if not self._pasting:
            before, begins, after = data.partition(_PASTE_BEGINS)
            if not begins:
                return self._held_back(data, _PASTE_BEGINS, least=3)  # a lone ESC is a key and must not wait
            out, data, self._pasting = before + begins, after, True
        words, ends, _ = data.rpartition(_PASTE_ENDS)
        if not ends:
            return out + clean(self._held_back(data, _PASTE_ENDS, least=1), multiline=True).text
        self._pasting = False
        return out + clean(words, multiline=True).text + ends

    def _held_back(self, data: str, mark: str, *, least: int) -> str:
        for length in range(len(mark) - 1, least - 1, -1):
            if data.endswith(mark[:length]):
                self._kept = data[-length:]
                return data[:-length]
        return data
