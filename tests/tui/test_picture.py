"""The picture of the queue in the README stays true: AMENDS_REWRITE=1 draws it anew."""

from __future__ import annotations

import os
import re

from tests.house import ROOT
from tests.tui.desk import a_desk, at, press, settle
from tui.prefs import Prefs

PICTURE = ROOT / "docs" / "queue.svg"


async def test_the_picture_of_the_queue_is_what_a_handler_sees(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)
    async with at(a_desk(tmp_path), size=(120, 24), prefs=Prefs(look="night")) as pilot:
        await press(pilot, "down")
        await pilot.pause(0.3)
        await settle(pilot)
        drawn = _tidy(pilot.app.export_screenshot(title="amends"))
    if os.environ.get("AMENDS_REWRITE"):
        PICTURE.write_text(drawn, encoding="utf-8")
    assert _words(PICTURE.read_text(encoding="utf-8")) == _words(drawn), "run this test with AMENDS_REWRITE=1"


def _tidy(svg: str) -> str:
    """No address of somebody else's server in it, spaces kept, and the same names in every run."""
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+", "terminal", svg).replace("Fira Code", "monospace")
    svg = "\n".join(line.rstrip() for line in svg.splitlines() if line.strip())
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    return svg.replace("<svg ", '<svg xml:space="preserve" ', 1) + "\n"


def _words(svg: str) -> list[str]:
    return [text.replace("&#160;", " ") for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]
