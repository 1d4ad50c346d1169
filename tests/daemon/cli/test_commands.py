"""What all commands share: help, the configuration's place, exit status, one sentence of error."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.cli.conftest import Told, as_program

Run = Callable[..., Told]


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from daemon.__main__ import main; status = main(['--help']);"
        "heavy = {'sqlalchemy', 'pydantic', 'rich', 'mailparser', 'imapclient', 'jinja2', 'holidays', 'structlog'};"
        "print(sorted(heavy & set(sys.modules)), status, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"
    listed = re.findall(r"^  ([a-z]+) ", done.stdout.partition("Commands:")[2].partition("\n\n")[0], re.MULTILINE)
    assert set(listed) == {
        *("run", "check", "init", "status", "ingest", "parse", "verify", "migrate", "demo", "policy", "backup"),
        *("restore", "clock", "breaker", "reconcile", "doubt", "simulate"),
    }


def test_a_command_that_does_not_exist_is_one_sentence_and_status_2(amendsd: Run) -> None:
    told = amendsd("chekc")
    assert (told.status, told.out) == (2, "")
    assert "chekc" in told.sentence
    assert told.sentence.endswith("see amendsd --help.")


def test_a_missing_argument_is_one_sentence_and_status_2(amendsd: Run) -> None:
    told = amendsd("backup")
    assert told.status == 2
    assert "FILE" in told.sentence


def test_without_a_command_the_help_goes_to_standard_error(amendsd: Run) -> None:
    told = amendsd()
    assert (told.status, told.out) == (2, "")
    assert told.err.startswith("Usage: amendsd")


@pytest.mark.parametrize("command", ["run", "status", "check", "verify", "migrate", "clock"])
def test_without_a_configuration_it_is_status_2_and_says_what_to_do(
    command: str, amendsd: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AMENDS_CONFIG", raising=False)
    told = amendsd(command)
    assert told.status == 2
    assert "--config" in told.sentence
    assert "amendsd init DIR" in told.sentence


def test_the_configuration_may_be_named_before_or_after_the_command_or_by_the_environment(
    amendsd: Run, config: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert amendsd("--config", config, "migrate").status == 0
    assert amendsd("migrate", "--config", config).status == 0
    assert amendsd("--config", "/nowhere.toml", "migrate", "--config", config).status == 0
    monkeypatch.setenv("AMENDS_CONFIG", str(config))
    assert amendsd("migrate").status == 0
    monkeypatch.chdir(config.parent)
    monkeypatch.delenv("AMENDS_CONFIG")
    assert amendsd("migrate").status == 0


def test_a_mistake_in_the_configuration_is_one_sentence_with_its_line_and_status_2(
    amendsd: Run, tmp_path: Path
) -> None:
    path = tmp_path / "amends.toml"
    path.write_text('[organisation]\nname = "N"\naddress = "a@b.example"\ntimezoen = "UTC"\n')
    told = amendsd("status", "--config", path)
    assert told.status == 2
    assert told.sentence == f"{path}:4: organisation.timezoen: unknown key; did you mean timezone?"


def test_a_store_without_tables_is_told_to_be_migrated(amendsd: Run, configured: Callable[..., Path]) -> None:
    config = configured()
    (config.parent / "amends.db").touch()
    told = amendsd("status", "--config", config)
    assert (told.status, told.sentence) == (
        1,
        "The database is empty or older than this program; run: amendsd migrate",
    )


def test_an_unreachable_database_is_one_sentence_and_status_1(amendsd: Run, configured: Callable[..., Path]) -> None:
    told = amendsd("status", "--config", configured(database={"url": "postgresql+psycopg://nobody@127.0.0.1:1/x"}))
    assert told.status == 1
    assert told.sentence.startswith("The database")


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    mail = tmp_path / "mail.eml"
    mail.write_bytes(b"From: ann@example.org\nSubject: hello\n\n" + b"word " * 50_000)
    command = f"{sys.executable} -m daemon parse --json {mail} {mail} {mail} | head -c 10"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""


def test_output_is_utf8_in_any_locale(tmp_path: Path) -> None:
    mail = tmp_path / "mail.eml"
    mail.write_bytes("From: ann@example.org\nSubject: Grüße\n\nEs regnet herein, schönen Gruß".encode())
    told = as_program("parse", "--json", mail, env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "latin-1"})
    assert told.status == 0
    assert json.loads(told.out)["subject"] == "Grüße"


def test_what_is_quoted_in_an_error_cannot_speak_to_the_terminal(amendsd: Run) -> None:
    assert "\x1b" not in amendsd("\x1b]0;owned\x07").err
    assert "\x1b" not in amendsd("parse", "\x1b[31mred").err


def test_the_version_is_the_distributions_own(amendsd: Run) -> None:
    from importlib.metadata import version

    assert amendsd("--version").out == f"amendsd {version('amends')}\n"


@pytest.mark.parametrize("command", [["migrate"], ["status"], ["verify"], ["backup", "copy.db"], ["clock"], ["check"]])
def test_a_file_that_is_no_database_is_one_sentence(
    command: list[str], amendsd: Run, configured: Callable[..., Path], tmp_path: Path
) -> None:
    junk = tmp_path / "junk.db"
    junk.write_text("no database " * 1000)
    junk.chmod(0o600)
    told = amendsd(*command, "--config", configured(database={"url": f"sqlite:///{junk}"}))
    said = told.out if command == ["check"] else told.sentence
    assert told.status == 1
    assert "The database file is no SQLite database; check database.url" in said
    assert "sqlalche" not in told.out + told.err


@pytest.mark.parametrize("command", ["status", "verify", "clock", "breaker"])
def test_a_look_at_a_database_that_is_not_there_makes_none(
    command: str, amendsd: Run, configured: Callable[..., Path], tmp_path: Path
) -> None:
    told = amendsd(command, "--config", configured(database={"url": "sqlite:///none.db"}))
    assert told.status == 1
    assert told.sentence == f"There is no database {tmp_path / 'none.db'} yet; run: amendsd migrate"
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("words", [["policy", "list"], ["policy", "list", "--json"], ["--help"]])
def test_output_onto_a_full_disk_is_one_sentence_and_status_1(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "daemon", *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr == "amendsd: The output cannot be written: No space left on device; it is not whole.\n"


def test_json_on_a_terminal_is_ascii_alone(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.write_bytes("From: a@example.org\nSubject: José \u202egpj\x9b31m\n\nx\n".encode())
    command = [sys.executable, "-m", "daemon", "parse", str(mail), "--json"]
    ours, theirs = os.openpty()
    subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, timeout=60, check=True)
    os.close(theirs)
    written = os.read(ours, 65536)
    os.close(ours)
    assert not re.search(rb"[^\n\r -~]", written)
    assert "José" in json.loads(written)["subject"]
