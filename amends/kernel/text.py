"""Strangers' text made safe to show, to store, and to put into a header.

`clean` is the door to a terminal, `storable` the door to the database, `one_line` the door to a header.  Each is
total: any str goes in, and a harmless one comes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from unicodedata import category

ESCAPE: Final = "escape"  # terminal control codes, or what no text should hold
BIDI: Final = "bidi"  # overrides of the writing direction: they make gpj.exe look like exe.jpg
INVISIBLE: Final = "invisible"  # characters of no width: they make two different names look alike
MARKS: Final = "marks"  # more combining marks than any language stacks


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Text fit for the screen, and what had to be done to it (ESCAPE, BIDI, INVISIBLE, MARKS)."""

    text: str
    flags: frozenset[str] = frozenset()


_NOTHING: Final[frozenset[str]] = frozenset()

# The embeddings, overrides, isolates and marks of UAX #9, by the names it gives them.
_DIRECTIONS: Final = {
    0x061C: "ALM",
    0x200E: "LRM",
    0x200F: "RLM",
    0x202A: "LRE",
    0x202B: "RLE",
    0x202C: "PDF",
    0x202D: "LRO",
    0x202E: "RLO",
    0x2066: "LRI",
    0x2067: "RLI",
    0x2068: "FSI",
    0x2069: "PDI",
}
_ZERO_WIDTH: Final = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),
    (0x180B, 0x180E),
    (0x200B, 0x200B),  # zero width space
    (0x2060, 0x2065),
    (0x206A, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0E),  # variation selectors; FE0F, which asks for a coloured emoji, stays
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF9, 0xFFFB),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),  # tag characters and the supplementary variation selectors
)
_PRIVATE: Final = ((0xE000, 0xF8FF), (0xF0000, 0xFFFFD), (0x100000, 0x10FFFD))
_NO_CHARACTER: Final = (
    (0x80, 0x9F),  # C1: the 8-bit forms of CSI, OSC and DCS
    (0xD800, 0xDFFF),  # half a character
    (0xFDD0, 0xFDEF),
    *((plane << 16 | 0xFFFE, plane << 16 | 0xFFFF) for plane in range(17)),
)
_JOINERS: Final = ((0x200C, 0x200D),)
# Marks that stack above and below a letter: the general ones, and those of Hebrew, Arabic, Thai and Lao.
_STACKING: Final = (
    (0x0300, 0x036F),
    (0x0483, 0x0489),
    (0x0591, 0x05BD),
    (0x064B, 0x065F),
    (0x0E31, 0x0E31),
    (0x0E34, 0x0E3A),
    (0x0E47, 0x0E4E),
    (0x0EB1, 0x0EB1),
    (0x0EB4, 0x0EBC),
    (0x0EC8, 0x0ECE),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE20, 0xFE2F),
)
_MARKS_KEPT: Final = 3


def _class(*groups: Iterable[tuple[int, int]]) -> str:
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for group in groups for first, last in group)


_CONTROL: Final = ((0x00, 0x09), (0x0B, 0x1F), (0x7F, 0x7F))  # C0 and DEL; a newline alone is no reason to look closer
_DIRECTION_RANGES: Final = tuple((code, code) for code in _DIRECTIONS)
_SEPARATORS: Final = ((0x2028, 0x2029),)
_ODD_ASCII: Final = re.compile(f"[{_class(_CONTROL)}]")
_ODD: Final = re.compile(
    f"[{_class(_CONTROL, _NO_CHARACTER, _DIRECTION_RANGES, _ZERO_WIDTH, _JOINERS, _PRIVATE, _SEPARATORS)}]"
)
_NEWLINES: Final = re.compile("\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
_BROKEN: Final = re.compile(f"[{_class(_CONTROL, _NO_CHARACTER)}]")
_BENT: Final = re.compile(f"[{_class(_DIRECTION_RANGES)}]")
_HIDDEN: Final = re.compile(f"[{_class(_ZERO_WIDTH)}]")
_HIDDEN_OR_JOINER: Final = re.compile(f"[{_class(_ZERO_WIDTH, _JOINERS)}]")
_JOINER: Final = re.compile(f"[{_class(_JOINERS)}]")
_OWN_GLYPHS: Final = re.compile(f"[{_class(_PRIVATE)}]")
_FLOOD: Final = re.compile(f"([{_class(_STACKING)}]{{{_MARKS_KEPT}}})[{_class(_STACKING)}]+")


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return "\n" if code == 0x0A else chr(0x2400 + code)  # U+2400: CONTROL PICTURES
    return "\u2421" if code == 0x7F else "\ufffd"


def _direction_by_name(found: re.Match[str]) -> str:
    return f"‹{_DIRECTIONS[ord(found[0])]}›"


def _by_number(found: re.Match[str]) -> str:
    return f"‹{ord(found[0]):04X}›"


def clean(s: str, *, identifier: bool = False, multiline: bool = False, limit: int | None = None) -> Cleaned:
    """`s` fit for a terminal: no control code, nothing that turns, hides or floods.

    With `identifier` (names, addresses, file names, links) everything odd is shown, so that two different ones never
    look alike; in prose what has no width is dropped.  Both are flagged.  One line unless `multiline`, whose only
    control character is \\n.  Cut to `limit` characters of the original, with an ellipsis.  Sources: ECMA-48 (the
    control codes), UAX #9 (direction), UTR #36 (look-alikes).
    """
    cut = limit is not None and len(s) > limit
    if cut:
        s = s[:limit]
    end = "…" if cut else ""
    plain = not _ODD_ASCII.search(s) if s.isascii() else not (_ODD.search(s) or _FLOOD.search(s))
    if plain:  # nearly all mail
        if not multiline and "\n" in s:
            s = s.replace("\n", " ")
        return Cleaned(s + end, _NOTHING)

    flags: set[str] = set()

    def strike(pattern: re.Pattern[str], by: object, flag: str) -> None:
        nonlocal s
        s, times = pattern.subn(by, s)  # type: ignore[call-overload]
        if times:
            flags.add(flag)

    s = _NEWLINES.sub("\n" if multiline else " ", s)
    s = s.expandtabs(8) if multiline else s.replace("\t", " ")
    strike(_BROKEN, _picture, ESCAPE)
    strike(_BENT, _direction_by_name if identifier else "", BIDI)
    if identifier:
        strike(_HIDDEN_OR_JOINER, _by_number, INVISIBLE)
    else:
        strike(_HIDDEN, "", INVISIBLE)
        if _JOINER.search(s):
            s, hidden = _only_joining(s)
            flags |= {INVISIBLE} if hidden else set()
    s = _OWN_GLYPHS.sub("\u25a1", s)  # a private glyph could be any icon of ours
    strike(_FLOOD, r"\1", MARKS)
    return Cleaned(s + end, frozenset(flags))


def _only_joining(s: str) -> tuple[str, bool]:
    """Drop the joiners (ZWNJ, ZWJ) but where they shape a word, as in Persian and the scripts of India.

    Those inside an emoji go without a word: they hide nothing.  Says whether any other was dropped.
    """
    hidden = False

    def judge(found: re.Match[str]) -> str:
        nonlocal hidden
        before, after = s[found.start() - 1 : found.start()], s[found.end() : found.end() + 1]
        if before and after and not (before.isascii() or after.isascii()):
            sides = category(before)[0] + category(after)[0]
            if sides in ("LL", "LM", "ML"):
                return found[0]
            if before == "\ufe0f" or "S" in sides:
                return ""
        hidden = True
        return ""

    return _JOINER.sub(judge, s), hidden


_UNSTORABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSTORABLE_ASCII: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_ANY_NEWLINE: Final = re.compile("\r\n|[\r\x85]")


def storable(s: str) -> str:
    """`s` as both databases can keep it: newlines as \\n, and no other control character than the tab.

    Half characters become U+FFFD; NUL (which PostgreSQL refuses) and the rest go.  What is left is still a stranger's
    text: it goes through `clean` before it is shown.
    """
    if not (_UNSTORABLE_ASCII if s.isascii() else _UNSTORABLE).search(s):
        return s
    return _UNSTORABLE.sub(lambda found: "\ufffd" if found[0] >= "\ud800" else "", _ANY_NEWLINE.sub("\n", s))


_UNSAFE_IN_HEADER: Final = re.compile(
    f"[{_class(_NO_CHARACTER, _DIRECTION_RANGES, _ZERO_WIDTH)}\x00-\x08\x0e-\x1f\x7f]"
)


def one_line(s: str, limit: int = 200) -> str:
    """`s` as one line for a header or a subject: white space is single spaces, nothing hidden, at most `limit` long."""
    if not (s.isascii() and s.isprintable()):
        s = _UNSAFE_IN_HEADER.sub("", _NEWLINES.sub(" ", s))
    s = " ".join(s.split())
    return s if len(s) <= limit else s[: limit - 1].rstrip() + "…"
