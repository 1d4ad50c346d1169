"""Strangers' text never becomes markup: a subject of `[@click=app.quit]` would be a button, `[/x]` an end."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import ROOT, sources


@pytest.mark.parametrize("path", sources("tui"), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_screen_turns_changing_text_into_markup(path):
    assert not (found := list(_markup(path))), found


def test_markup_is_noticed_unless_it_is_written_out_in_the_program(tmp_path):
    written = tmp_path / "screen.py"
    for line in ("Text.from_markup(subject)", "Content.from_markup(f'[b]{subject}')", "Static(subject, markup=True)"):
        written.write_text(line)
        assert list(_markup(written)), line
    written.write_text(
        "Content.from_markup('[b]Help[/b]')\nStatic('[b]Help[/b]', markup=True)\nStatic(s, markup=False)"
    )
    assert not list(_markup(written))


def _markup(path: Path) -> Iterator[str]:
    """Calls that read markup out of anything but a literal of the program."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        named = isinstance(node.func, ast.Attribute) and node.func.attr == "from_markup"
        asked = any(
            keyword.arg == "markup" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
            for keyword in node.keywords
        )
        literal = bool(node.args) and all(isinstance(argument, ast.Constant) for argument in node.args)
        if (named or asked) and not literal:
            yield f"{path.name}:{node.lineno}: {ast.unparse(node)}"
