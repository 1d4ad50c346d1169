"""`amendsd ingest` as an operator uses it: real reading processes, a summary, and safe to repeat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from amends.casework.office import Office
from tests.daemon.cli.conftest import Told, as_program

Run = Callable[..., Told]


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.eml").write_bytes(
            f"From: ann{number}@example.org\nTo: complaints@northwind.example\nSubject: Complaint {number}\n"
            f"Message-ID: <{number}@example.org>\nDate: Mon, 23 Nov 2026 09:00:00 +0000\n\nIt is cold.\n".encode()
        )
    return folder


def test_mail_from_files_becomes_cases_and_again_changes_nothing(amendsd: Run, config: Path, mail: Path) -> None:
    first = as_program("ingest", mail, "--config", config)
    assert (first.status, first.err, first.out) == (0, "", "3 messages: 3 new (3 filed).\n")
    again = as_program("ingest", mail, "--config", config)
    assert (again.status, again.err, again.out) == (0, "", "3 messages: 0 new; 3 were there already.\n")
    assert amendsd("verify", "--json", "--config", config).json["cases"] == 3
    assert amendsd("status", "--json", "--config", config).json["outbox"]["queued"] == 3


def test_history_gets_no_letters_and_no_clocks(amendsd: Run, config: Path, office: Office, mail: Path) -> None:
    assert as_program("ingest", "--no-letters", mail, "--config", config).status == 0
    shown = amendsd("status", "--json", "--config", config).json
    assert shown["outbox"]["queued"] == 0
    assert shown["clock"] == {"next": None, "overdue": 0}


def test_a_path_that_is_not_there_is_one_sentence(config: Path, mail: Path) -> None:
    told = as_program("ingest", mail, "/nowhere", "--config", config)
    assert (told.status, told.sentence) == (1, "There is no file or folder /nowhere.")
