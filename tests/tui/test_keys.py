"""One table of keys: no clash, no screen without help, nothing cut that matters, and a card that is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house import ROOT
from tui import keys
from tui.dialogs.help import Help
from tui.keys import SCREENS, TABLE, Where

MANUAL = ROOT / "docs" / "handlers.md"


@pytest.mark.parametrize("screen", SCREENS)
def test_no_key_does_two_things_on_one_screen(screen):
    assert list(keys.clashes(screen)) == []


def test_a_clash_is_noticed(monkeypatch):
    twice = keys.Key("other", ("n",), "Other", "Another thing", Where.VERBS)
    monkeypatch.setattr(keys, "TABLE", (*TABLE, twice))
    assert list(keys.clashes("queue")) == ["queue: n is both note and other"]


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("width", [60, 80, 120, 140])
def test_the_line_of_keys_fits_and_help_is_never_cut(screen, width):
    chosen = keys.footer(screen, width - 2)
    line = " ".join(f"{key.shown}={key.short}" for key in chosen)
    assert len(line) <= width - 2
    assert any(key.action == "app.help" for key in chosen)


def test_an_auditor_is_offered_no_key_that_writes():
    assert not [key for key in keys.footer("queue", 200, may_write=False) if key.writes]


@pytest.mark.parametrize("key", TABLE, ids=lambda key: f"{key.where.name}-{key.keys[0]}")
def test_every_key_says_in_one_line_what_it_does(key):
    assert key.does and len(key.does) <= 57
    assert not key.does.endswith(".")


@pytest.mark.parametrize("key", TABLE, ids=lambda key: f"{key.where.name}-{key.keys[0]}")
def test_no_key_is_one_that_terminals_keep_for_themselves(key):
    assert not set(key.keys) & {"ctrl+b", "ctrl+a", "ctrl+i", "ctrl+m", "ctrl+j", "f10", "f11", "ctrl+enter"}


def test_the_same_verbs_have_the_same_keys_in_queue_search_and_case():
    verbs = {key.action: key.keys for key in TABLE if key.where is Where.VERBS}
    for screen in ("queue", "search", "case"):
        here = {key.action: key.keys for key in keys.keys_of(screen)}
        assert verbs.items() <= here.items()


def test_help_lists_every_key_of_its_screen():
    for screen in SCREENS:
        assert {key.action for key in Help(screen, may_write=True)._here} == {
            key.action for key in keys.keys_of(screen)
        }


def test_the_key_card_in_the_manual_is_the_table():
    begin, end = "<!-- keys -->\n", "<!-- /keys -->"
    text = MANUAL.read_text(encoding="utf-8")
    card = text.partition(begin)[2].partition(end)[0]
    written = text.partition(begin)[0] + begin + keys.key_card() + end + text.partition(end)[2]
    if card != keys.key_card() and _rewrite():
        MANUAL.write_text(written, encoding="utf-8")
    assert Path(MANUAL).read_text(encoding="utf-8").partition(begin)[2].partition(end)[0] == keys.key_card()


def _rewrite() -> bool:
    """AMENDS_REWRITE=1 writes the generated parts of the documents anew."""
    import os

    return bool(os.environ.get("AMENDS_REWRITE"))


@pytest.mark.parametrize(
    ("screen", "key", "said"),
    [
        ("queue", "W", "W=Pause works in a case. Open it first: Enter."),
        ("search", "plus", "+=More time works in a case. Open it first: Enter."),
        ("case", "x", "x=Mark works in a list of cases."),
        ("tray", "n", "n=Note works in a case, and in lists of cases."),
        ("queue", "f9", "F9=Promise works in a letter that is being written."),
        ("case", "W", ""),
        ("queue", "ctrl+y", ""),
    ],
)
def test_a_key_that_does_nothing_here_says_where_it_works(screen, key, said):
    assert keys.elsewhere(screen, key) == said
