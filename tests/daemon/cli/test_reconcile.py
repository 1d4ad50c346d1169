"""`amendsd reconcile`: clean is status 0, a difference is status 1 and named, and an operator's word settles it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.cli.conftest import Told
from tests.daemon.intake.bench import a_complaint
from tests.servers.dovecot import Account

Run = Callable[..., Told]


@pytest.fixture
def with_mailbox(configured: Callable[..., Path], sqlite_url: str, mailbox: Account) -> Path:
    return configured(mailbox=[mailbox.section()])


@pytest.mark.server("dovecot")
def test_a_clean_mailbox_is_status_0_and_stands_in_the_status(
    amendsd: Run, with_mailbox: Path, mailbox: Account
) -> None:
    told = amendsd("reconcile", "--config", with_mailbox)
    assert (told.status, told.err) == (0, "")
    assert ": 0 of 0 without a fate" in told.out
    shown = amendsd("status", "--config", with_mailbox)
    assert "mailbox complaints: reconciled 20" in shown.out and "0 of 0 without a fate" in shown.out


@pytest.mark.server("dovecot")
def test_a_difference_is_status_1_and_named_until_it_is_settled(
    amendsd: Run, with_mailbox: Path, mailbox: Account
) -> None:
    mailbox.deliver(a_complaint(1))
    told = amendsd("reconcile", "complaints", "--json", "--config", with_mailbox)
    assert told.status == 1
    [box] = told.json["mailboxes"]
    assert told.json["clean"] is False and box["without_fate"] == 1
    assert box["folders"][0] | {"uidvalidity": 0} == {
        "folder": "INBOX",
        "uidvalidity": 0,
        "messages": 1,
        "without_fate": [1],
        "changed": [],
        "gone": 0,
        "sampled": 0,
        "not_compared": 0,
    }
    [incident] = told.json["incidents"]
    assert "UID 1" in incident["words"]
    assert amendsd("status", "--json", "--config", with_mailbox).json["incidents"] == [incident]
    assert 'amendsd reconcile --settle "' in amendsd("reconcile", "--config", with_mailbox).out
    assert amendsd("reconcile", "--settle", "a test", "--config", with_mailbox).out == "1 incident is settled.\n"
    assert amendsd("status", "--json", "--config", with_mailbox).json["incidents"] == []


def test_wrong_names_and_empty_words_are_one_sentence(
    amendsd: Run, configured: Callable[..., Path], config: Path, sqlite_url: str
) -> None:
    assert "no mailbox in the configuration" in amendsd("reconcile", "--config", config).sentence
    box = {"name": "complaints", "host": "127.0.0.1", "port": 9, "security": "none", "username": "x", "password": "x"}
    config = configured(mailbox=[box])
    assert amendsd("reconcile", "enquiries", "--config", config).sentence == (
        "No mailbox is named 'enquiries'; name one of these: complaints."
    )
    assert "Cannot connect" in amendsd("reconcile", "--config", config).sentence
    assert "Say in a few words" in amendsd("reconcile", "--settle", " ", "--config", config).sentence
    assert amendsd("reconcile", "--settle", "x", "--config", config).sentence == "There is no incident to settle."
