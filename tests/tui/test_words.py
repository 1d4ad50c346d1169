"""Text cut and wrapped to exact cells, whatever a stranger wrote."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui import words
from tui.drafts import gaps, offset_to_place


@given(st.text(), st.integers(0, 60))
def test_fitted_text_has_exactly_its_cells(text, cells):
    assert cell_len(words.fit(words.prose(text), cells)) == cells


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400), st.integers(8, 50))
def test_no_wrapped_line_is_wider_than_the_pane_and_no_letter_is_lost(text, cells):
    clean = words.letter(text)
    lines = list(words.wrap(clean, cells))
    assert all(cell_len(line) <= cells for line in lines)
    assert "".join("".join(lines).split()) == "".join(clean.split())


def test_lines_break_at_spaces_and_keep_their_indent():
    assert list(words.wrap("one two three four", 9)) == ["one two", "three", "four"]
    assert list(words.wrap("  indented", 20)) == ["  indented"]
    assert list(words.wrap("a\n\nb", 20)) == ["a", "", "b"]


def test_a_line_of_200_kilobytes_is_wrapped_in_no_time_worth_noticing():
    began = time.process_time()
    ascii_lines = list(words.wrap("x" * 200_000, 80))
    wide_lines = list(words.wrap("é" * 200_000, 80))
    assert len(ascii_lines) == len(wide_lines) == 2500
    assert time.process_time() - began < 20  # a runaway takes minutes


def test_wide_characters_count_two_cells():
    assert words.fit("日本語", 4) == "日…" + " " or cell_len(words.fit("日本語", 4)) == 4
    assert list(words.wrap("日本語日本語", 8)) == ["日本語日", "本語"]


def test_gaps_are_found_with_their_places():
    text = "Dear\n[[your message]] and [[more]]\n"
    found = gaps(text)
    assert [gap.words for gap in found] == ["your message", "more"]
    assert offset_to_place(text, found[0].start) == (1, 0)
    assert offset_to_place(text, found[1].end) == (1, 29)
