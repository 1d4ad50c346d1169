"""The operators' pages cannot drift from the program: every command, option, key and example is held to it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import typer.main
from pydantic import BaseModel

from amends.deadlines import model
from amends.deadlines.check import check_file
from amends.letters.kinds import LetterKind
from daemon.checks.finding import Finding
from daemon.cli.app import app

DOCS: Final = Path(__file__).resolve().parent.parent.parent / "docs"
OPERATORS: Final = (DOCS / "operators.md").read_text(encoding="utf-8")
PACKS: Final = (DOCS / "policy-packs.md").read_text(encoding="utf-8")
INSTALL: Final = (DOCS / "install.md").read_text(encoding="utf-8")


def commands(group: Any, words: tuple[str, ...] = ("amendsd",)) -> Iterator[tuple[str, Any]]:
    """Every command with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


COMMANDS: Final = dict(commands(typer.main.get_command(app)))


def row_of(command: str) -> str:
    """Its row in the table of commands."""
    section = OPERATORS.split("\n## The commands\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if re.match(rf"\| `{command}[ `]", line)]
    assert len(rows) == 1, f"docs/operators.md has {len(rows)} rows for {command}"
    return rows[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_stands_in_the_operators_page(command: str) -> None:
    row = row_of(command)
    for parameter in COMMANDS[command].params:
        for word in parameter.opts:
            if word.startswith("--") and word not in ("--config", "--help"):
                assert word in row, f"{command} {word}"


def test_the_operators_page_names_no_command_or_option_that_there_is_not() -> None:
    known = {word for command in COMMANDS.values() for one in command.params for word in one.opts}
    for page in (OPERATORS, INSTALL, PACKS):
        for line in re.findall(r"amendsd ([^`\n]*)", page):
            words = line.split()
            if not words or not re.fullmatch(r"[a-z]+", words[0]):
                continue
            name = " ".join(words[:2]) if words[0] == "policy" else words[0]
            assert f"amendsd {name}" in COMMANDS, line
            for option in re.findall(r"(?<![\w-])--[a-z-]+", line.split("#")[0]):
                assert option in known | {"--config", "--help"}, line


def test_every_command_explains_itself() -> None:
    for name, command in COMMANDS.items():
        assert command.help, name
        first = command.help.strip().splitlines()[0]
        assert len(first) < 60, f"{name}: the list of commands would cut '{first}'"


def table(page: str, heading: str) -> dict[str, str]:
    """The rows of the table below a heading, by the names in their first cell."""
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \| (.*) \|$", section, re.MULTILINE)
    return {name: rest for names, rest in rows for name in re.findall(r"`([a-z_]+)`", names)}


@pytest.mark.parametrize(
    ("heading", "part"),
    [
        ("The pack", model.Pack),
        ("The calendar", model.WorkingDays),
        ("A deadline", model.Rule),
        ("An extension", model.Extension),
        ("A pause", model.Pause),
        ("A fact", model.Fact),
        ("An event", model.Event),
        ("A stage", model.Stage),
        ("A letter", model.RequiredLetter),
        ("An own target", model.OwnTarget),
        ("An ombudsman", model.Ombudsman),
        ("Retention", model.Retention),
        ("A report", model.Report),
        ("A source", model.Source),
    ],
)
def test_every_key_of_a_pack_is_explained_and_no_other(heading: str, part: type[BaseModel]) -> None:
    assert set(table(PACKS, heading)) == set(part.model_fields)


def test_every_unit_and_every_choice_of_a_pack_is_explained() -> None:
    assert set(table(PACKS, "Units")) - {"unit"} == set(get_args(model.Unit))
    for heading, key, choices in (
        ("A letter", "kind", model.Kind),
        ("A letter", "must_contain", model.Check),
        ("An event", "moment", model.Moment),
    ):
        for choice in get_args(choices):
            assert f"`{choice}`" in table(PACKS, heading)[key]
    assert all(f"`{choice}`" in PACKS for choice in get_args(model.Confidence))


def test_a_pack_names_the_letters_that_there_are() -> None:
    assert set(get_args(model.Kind)) == {str(kind) for kind in LetterKind if not kind.for_staff}


def test_the_example_of_a_pack_is_one_without_a_doubt(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PACKS, re.DOTALL)
    path = tmp_path / "house.toml"
    path.write_text(example, encoding="utf-8")
    checked = check_file(path, today=date(2026, 11, 24))
    assert checked.pack is not None, checked.mistakes
    assert not [one for one in checked.warnings if "no letter of ours meets 'visit'" not in one]
    assert [rule.id for rule in checked.pack.deadline] == ["ack", "visit", "response", "review"]


def test_examples_of_configuration_use_settings_that_there_are() -> None:
    from amends.config import Settings

    for example in re.findall(r"```toml\n(.*?)```", INSTALL, re.DOTALL):
        for section, keys in tomllib.loads(example).items():
            annotation = Settings.model_fields[section].annotation
            assert set(keys) <= set(annotation.model_fields)  # type: ignore[union-attr]


def test_the_settings_that_the_installation_names_exist() -> None:
    from tests.packaging.test_configuration_file import SECTIONS

    for section, key in re.findall(r"`([a-z]+)\.([a-z_]+)(?:[ `])", INSTALL + OPERATORS + PACKS):
        if section in SECTIONS:
            assert key in SECTIONS[section].model_fields, f"{section}.{key}"


def test_what_check_finds_is_printed_as_documented() -> None:
    assert set(Finding.__slots__) == {"state", "what", "sentence"}
    assert "findings: [{state, what, sentence}]" in OPERATORS
