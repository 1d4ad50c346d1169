"""`amendsd parse`: JSON lines for programs, readable text for people, whatever the mail."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.cli.conftest import Told

Run = Callable[..., Told]

MAIL = (
    b"From: Ann Example <Ann@Example.org>\nTo: complaints@northwind.example\nSubject: No heating\n"
    b"Message-ID: <1@example.org>\nDate: Mon, 23 Nov 2026 09:00:00 +0000\n\nIt is cold.\n\x1b[31mred\n"
)


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    path = tmp_path / "mail.eml"
    path.write_bytes(MAIL)
    return path


def test_each_file_is_one_line_of_json_in_order(amendsd: Run, mail: Path, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(bytes(range(256)) * 20)
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    told = amendsd("parse", mail, junk, empty, "--json")
    assert (told.status, told.err) == (0, "")
    found = [json.loads(line) for line in told.out.splitlines()]
    assert [one["file"] for one in found] == [str(mail), str(junk), str(empty)]
    assert set(found[0]) == {
        *("file", "message_id", "in_reply_to", "references", "date", "subject", "from", "reply_to", "to", "cc", "text"),
        *("new_text", "language", "attachments", "kind", "answerable", "failed_recipients", "permanent_failure"),
        *("authentication", "defects"),
    }
    assert found[0]["from"] == {"name": "Ann Example", "address": "ann@example.org"}
    assert found[0]["date"] == "2026-11-23T09:00:00Z"


def test_a_file_that_is_missing_is_told_and_the_others_are_read(amendsd: Run, mail: Path, tmp_path: Path) -> None:
    told = amendsd("parse", "--json", tmp_path / "nowhere", tmp_path, mail)
    assert told.status == 1
    assert len(told.out.splitlines()) == 1
    assert len(told.err.splitlines()) == 2


def test_the_readable_text_is_harmless_to_a_terminal(amendsd: Run, mail: Path) -> None:
    told = amendsd("parse", mail)
    assert told.status == 0
    assert "Ann Example <ann@example.org>" in told.out
    assert "It is cold." in told.out
    assert "\x1b" not in told.out


def test_standard_input_is_a_dash(amendsd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(MAIL)))
    assert json.loads(amendsd("parse", "--json", "-").out)["subject"] == "No heating"


def test_a_configuration_tells_which_addresses_are_ours(
    amendsd: Run, configured: Callable[..., Path], tmp_path: Path
) -> None:
    ours = tmp_path / "ours.eml"
    ours.write_bytes(b"From: complaints@northwind.example\nSubject: x\n\nhello\n")
    assert json.loads(amendsd("parse", "--json", ours).out)["kind"] == "person"
    assert json.loads(amendsd("parse", "--json", ours, "--config", configured()).out)["kind"] == "own"
