"""docs/oauth.md cannot drift: its examples are configurations, and its table is of our own sentences."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from amends.config import Settings
from tests.builders import ORGANISATION

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "oauth.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_is_a_configuration(example):
    tree = tomllib.loads(example)
    if isinstance(tree["mailbox"], dict):  # the table of a mailbox that stands elsewhere
        box = {"name": "complaints", "host": "imap.example.org", "username": "complaints@northwind.example"}
        tree["mailbox"] = [{**box, **tree["mailbox"]}]
    settings = Settings(organisation=ORGANISATION, **tree)
    assert settings.mailbox[0].oauth is not None


def test_every_setting_that_the_page_names_is_one_and_every_provider_has_an_example():
    assert {tomllib.loads(one).get("smtp", {}).get("oauth", {}).get("provider") for one in EXAMPLES} == {
        None,
        "microsoft",
    }
    providers = re.findall(r'^provider = "(\w+)"', PAGE, re.MULTILINE)
    assert set(providers) == {"microsoft", "google", "generic"}


def test_the_sentences_of_the_table_are_ours_or_the_protocols():
    sources = "".join(
        path.read_text() for folder in ("oauth", "intake", "outbox") for path in (ROOT / "daemon" / folder).glob("*.py")
    )
    table = PAGE.split("## What goes wrong")[1]
    words = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(words) >= 10
    for word in words:
        assert word in sources, word
