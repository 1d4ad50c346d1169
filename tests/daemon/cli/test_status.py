"""`amendsd status`, `migrate`, `verify`, `init` and `clock` on a store with something in it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from amends.casework import duty, gate
from amends.casework.actors import SYSTEM
from amends.casework.casefile import CaseFile
from amends.casework.office import Office
from amends.config import load
from amends.ledger.book import Book
from tests.builders import AMARA, NOW, a_mail, file_mail, open_case
from tests.daemon.cli.conftest import Told

Run = Callable[..., Told]


def at_work(office: Office, *, beat_ago: timedelta = timedelta()) -> None:
    """The rows that a running daemon writes."""
    then = office.wall() - beat_ago
    box = {"mailbox": "complaints", "connected": True, "last_poll": "2026-11-23T09:00:00Z", "waiting": 2}
    duty.report(office, "clock", "running", now=then)
    duty.report(office, "intake complaints", "running", now=then, detail=box)
    duty.report(office, "outbox", "running", now=then)


def test_a_daemon_at_work_is_ready_and_the_document_has_the_public_shape(
    amendsd: Run, config: Path, office: Office
) -> None:
    at_work(office)
    told = amendsd("status", "--json", "--config", config)
    assert (told.status, told.err) == (0, "")
    shown = told.json
    assert list(shown) == [
        *("ready", "duties", "intake", "held", "quarantined", "outbox", "clock", "ledger", "reconciled", "incidents"),
        *("doubts", "blocked", "policy_change", "deadlines_checked"),
    ]
    assert shown["ready"] is True
    assert [set(one) for one in shown["duties"]] == [{"name", "state", "since", "last_error"}] * 3
    assert shown["intake"] == [
        {
            "mailbox": "complaints",
            "connected": True,
            "last_poll": "2026-11-23T09:00:00Z",
            "waiting": 2,
            "unaccounted": 0,
        }
    ]
    assert shown["outbox"] == {"queued": 0, "uncertain": 0, "failed": 0, "oldest": None}
    assert shown["clock"] == {"next": None, "overdue": 0}
    assert shown["ledger"] == {"verified_at": None, "intact": None}


def test_a_machine_that_the_gate_found_out_is_told_of_until_it_is_cleared(
    amendsd: Run, config: Path, office: Office
) -> None:
    at_work(office)
    now = office.now()
    case_id = open_case(office, now=now)
    with office.book.write() as session:
        file = CaseFile.open(office, session, case_id, actor=SYSTEM, now=now)
        gate.block(file, "robot@example.org", gate.MACHINE, until=now + gate.DAY)
        gate.block(file, "gone@example.org", gate.UNDELIVERABLE)
        file.save()
    assert amendsd("status", "--json", "--config", config).json["blocked"] == {"addresses": 2, "machines": 1}
    line = "1 address answers our letters as a machine does, and gets no automatic ones; amends blocked says which"
    assert line in amendsd("status", "--config", config).out.splitlines()
    gate.clear(office, "robot@example.org", actor=AMARA, now=now)
    assert "amends blocked" not in amendsd("status", "--config", config).out


def test_rows_that_nobody_renews_mean_that_the_daemon_is_not_running(
    amendsd: Run, config: Path, office: Office
) -> None:
    at_work(office, beat_ago=timedelta(minutes=3))
    told = amendsd("status", "--json", "--config", config)
    assert told.status == 1
    assert told.json["ready"] is False
    assert {one["state"] for one in told.json["duties"]} == {"silent"}
    assert told.json["intake"][0]["connected"] is False
    assert "The daemon is not running" in amendsd("status", "--config", config).out


def test_a_duty_that_cannot_work_is_shown_with_its_error(amendsd: Run, config: Path, office: Office) -> None:
    at_work(office)
    duty.report(office, "outbox", "failing", now=office.wall(), error="The server \x1b[31mis away.")
    told = amendsd("status", "--config", config)
    assert told.status == 1
    assert "Not ready" in told.out
    assert "is away." in told.out
    assert "\x1b" not in told.out


def test_something_overdue_is_status_1(amendsd: Run, config: Path, office: Office) -> None:
    at_work(office)
    file_mail(office, a_mail(), now=NOW - timedelta(days=400))
    told = amendsd("status", "--json", "--config", config)
    assert told.status == 1
    assert told.json["ready"] is True
    assert told.json["clock"]["overdue"] > 0
    assert told.json["outbox"]["queued"] == 1
    assert told.json["outbox"]["oldest"] == "2025-10-19T09:00:00Z"


def test_verify_is_kept_for_status(amendsd: Run, config: Path, office: Office) -> None:
    at_work(office)
    file_mail(office, a_mail())
    told = amendsd("verify", "--json", "--config", config)
    assert (told.status, told.err) == (0, "")
    assert told.json["intact"] is True
    assert told.json["cases"] == 1
    assert told.json["events"] > 0
    assert len(told.json["root"]) == 64
    ledger = amendsd("status", "--json", "--config", config).json["ledger"]
    assert ledger["intact"] is True
    assert ledger["verified_at"].endswith("Z")


def test_verify_names_the_first_broken_link_of_altered_history(amendsd: Run, config: Path, office: Office) -> None:
    filed = file_mail(office, a_mail())
    with office.book.write() as session:
        session.connection().execute(text("UPDATE cases SET stage = 'closed'"))
    told = amendsd("verify", "--config", config)
    assert told.status == 1
    assert told.out.startswith("wrong  ")
    assert str(filed.reference) in told.out
    assert "not intact" in told.sentence
    assert amendsd("status", "--json", "--config", config).json["ledger"]["intact"] is False
    assert amendsd("verify", "--json", "--config", config).status == 1


def test_migrate_makes_a_store_that_only_its_owner_reads(
    amendsd: Run, configured: Callable[..., Path], tmp_path: Path
) -> None:
    config = configured()
    first = amendsd("migrate", "--config", config)
    assert (first.status, first.err) == (0, "")
    assert "now at schema" in first.out
    assert stat.S_IMODE((tmp_path / "amends.db").stat().st_mode) == 0o600
    again = amendsd("migrate", "--config", config)
    assert (again.status, again.err) == (0, "")
    assert "Nothing to do" in again.out


@pytest.mark.server("postgres")
def test_status_and_verify_on_postgresql(amendsd: Run, configured: Callable[..., Path], postgres_url: str) -> None:
    config = configured(database={"url": postgres_url}, smtp={"host": "127.0.0.1", "port": 1, "security": "none"})
    office = Office(load(config), Book(postgres_url))
    at_work(office)
    file_mail(office, a_mail(), now=office.now())
    assert amendsd("verify", "--config", config).status == 0
    assert amendsd("status", "--config", config).status == 0
    office.book.close()


def test_init_writes_a_private_configuration_once_and_says_what_is_next(amendsd: Run, tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "amends"
    told = amendsd("init", folder)
    path = folder / "amends.toml"
    assert (told.status, told.err) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"amendsd --config {path} check" in told.out
    load(path)
    path.write_text("mine")
    again = amendsd("init", folder)
    assert again.status == 2
    assert again.sentence == f"{path} exists; move it away or name another folder."
    assert path.read_text() == "mine"


def test_init_into_a_place_that_cannot_be_is_one_sentence(amendsd: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = amendsd("init", tmp_path / "file" / "x")
    assert told.status == 1
    assert "cannot be made" in told.sentence


def test_the_clock_is_confirmed(amendsd: Run, config: Path) -> None:
    assert "This machine says 20" in amendsd("clock", "--config", config).out
    assert "is taken to be right" in amendsd("clock", "--confirm", "--config", config).out
