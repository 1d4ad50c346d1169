"""The second wall, and what is pasted: no code leaves, no paste presses a key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.events import Key, Paste

from tests.tui.test_terminal import PAYLOADS
from tui.guard import AsciiOnly, EscGuard, PasteGuard, plain
from tui.words import prose

BLACK = Color(0, 0, 0)


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_no_control_code_and_no_link_leaves_whatever_a_widget_draws(payload):
    link = Style(link="https://evil.example", bold=True)
    (found,) = EscGuard().apply([Segment(payload, link)], BLACK)
    assert not any(c < " " or "\x7f" <= c <= "\x9f" or "\u202a" <= c <= "\u202e" for c in found.text)
    assert found.style is not None and found.style.link is None and found.style.bold
    assert cell_len(found.text) >= cell_len(payload)


def test_harmless_lines_pass_as_they_are():
    line = [Segment("Edith Kowalski", None)]
    assert EscGuard().apply(line, BLACK) is line


@given(st.text(max_size=40))
def test_plain_text_is_ascii_and_as_wide_as_before(text):
    shown = prose(text)
    assert plain(shown).isascii() and len(plain(shown)) == cell_len(shown)


def test_signs_stay_different_without_utf8():
    (found,) = AsciiOnly().apply(
        [
            Segment("▲ · = ✓ – … Zoë"),
        ],
        BLACK,
    )
    assert found.text == "^ . = v - ~ Zoe"


def keys_and_pastes(*chunks: str) -> tuple[list[str], str]:
    parser = PasteGuard()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    pressed = [event.key for event in events if isinstance(event, Key)]
    return pressed, "".join(event.text for event in events if isinstance(event, Paste))


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        (["\x1b[200~hello\x1b[201~"], "hello"),
        (["\x1b[200~hello \x1b[31m esu\x1b[201~"], "hello ␛[31m esu"),
        (["\x1b[200~a\x1b[201~esu\x1b[201~"], "a␛[201~esu"),
        (["\x1b[200~a\x1b[201~esu"], "a"),
        (["\x1b[20", "0~hel", "lo\x1b", "[201~"], "hello"),
        (["\x1b[200~one\x1b", "x two\x1b[20", "1~"], "one␛x two"),
        (["\x1b[200~\x9b31m\x00\x08\x1b[201~"], "\ufffd31m␀␈"),
        (["\x1b[200~line\r\nline\x1b[201~"], "line\nline"),
    ],
)
def test_a_paste_is_text_and_presses_no_key(chunks, text):
    assert keys_and_pastes(*chunks) == ([], text)


def test_keys_before_and_after_a_paste_are_keys():
    assert keys_and_pastes("a\x1b[200~x\x1b[201~", "b") == (["a", "b"], "x")
    assert keys_and_pastes("\x1b[A", "\x1b[2~") == (["up", "insert"], "")
