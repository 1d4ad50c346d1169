"""`amendsd simulate`: what a supervisor reads, what a program reads, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.cli.conftest import Told

Run = Callable[..., Told]

_SMALL = ("--days", "3", "--arrivals", "1", "--from", "2027-03-01")


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration to be found but the one that a test names."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    monkeypatch.delenv("AMENDS_CONFIG", raising=False)


def test_a_supervisor_reads_the_table_the_plot_and_the_answer(amendsd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = amendsd("simulate", "--pack", "iso-10002", *_SMALL, "--region", "GB-ENG")
    assert (told.status, told.err) == (0, "")
    lines = told.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "1 handler keeps every date."
    assert any("HANDLERS" in line for line in lines) and any("WEEK OF" in line for line in lines)
    assert any("█" in line for line in lines) and "\x1b" not in told.out


def test_a_program_reads_the_same_in_one_document(amendsd: Run) -> None:
    told = amendsd("simulate", "--pack", "iso-10002", *_SMALL, "--handlers", "2", "--json")
    assert (told.status, told.err) == (0, "")
    found = told.json
    assert [pack["id"] for pack in found["packs"]] == ["iso-10002-default"]
    assert (found["complaints"], found["enough"], found["answer"]) == (3, 2, "2 handlers keep every date.")
    assert [(row["handlers"], row["source"]) for row in found["handlers"]] == [(2, "verbs")]
    assert sum(spell["came"] for spell in found["spells"]) == 3
    assert sum(due["count"] for spell in found["spells"] for due in spell["due"]) == 9


def test_too_few_handlers_are_told_what_will_be_late_and_when(amendsd: Run) -> None:
    told = amendsd(
        *("simulate", "--pack", "us-cms-grievance", "--days", "1", "--arrivals", "3", "--from", "2027-03-01"),
        *("--handlers", "1", "--minutes-per-answer", "6000", "--region", "none"),
    )
    assert told.status == 0
    assert "With 1 handler, 2 of 3 answers are late, the first on 31 March 2027." in " ".join(told.out.split())
    assert "the pile grows" in " ".join(told.out.split())


def test_a_day_without_complaints_needs_nobody(amendsd: Run) -> None:
    told = amendsd("simulate", "--pack", "iso-10002", "--days", "1", "--arrivals", "0")
    assert (told.status, told.err) == (0, "")
    assert told.out.splitlines()[-1] == "No complaint comes, so nothing is due and nobody is needed."
    assert amendsd("simulate", "--pack", "iso-10002", "--arrivals", "0", "--json").json["complaints"] == 0


def test_a_pack_without_a_date_for_the_answer_says_so(amendsd: Run) -> None:
    told = amendsd("simulate", "--pack", "us-cfpb-portal", "--days", "1", "--arrivals", "0.5", "--from", "2027-03-01")
    assert told.status == 0
    assert "it has no date here" in told.out


def test_the_configuration_gives_packs_promises_days_and_is_left_as_it_is(
    amendsd: Run, configured: Callable[..., Path], tmp_path: Path
) -> None:
    config = configured(policy={"pack": "iso-10002"})
    with config.open("a", encoding="utf-8") as file:
        file.write('[[policy.own_target]]\ndeadline = "response"\namount = 10\nunit = "working_days"\n')
    before = sorted(tmp_path.rglob("*"))
    told = amendsd("--config", str(config), "simulate", *_SMALL, "--handlers", "1", "--json")
    assert told.status == 0, told.err
    assert {due["deadline"] for spell in told.json["spells"] for due in spell["due"]} >= {"response", "response.own"}
    assert (told.json["region"], told.json["timezone"]) == ("GB-ENG", "Europe/London")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "There is no configuration that names a policy pack; name one: amendsd simulate --pack PACK"),
        (["--pack", "no-such"], 1, "There is no policy pack 'no-such'; amendsd policy list shows those there are."),
        (["--pack", "iso-10002", "--arrivals", "many"], 2, "--arrivals: 'many' is no number of complaints"),
        (["--pack", "iso-10002", "--arrivals", "-3"], 2, "--arrivals"),
        (["--pack", "iso-10002", "--arrivals", "999/day"], 2, "complaints are more than can be played"),
        (["--pack", "iso-10002", "--days", "0"], 2, "--days"),
        (["--pack", "iso-10002", "--from", "tomorrow"], 2, "--from: 'tomorrow' is no day; write one like 2027-03-01."),
        (["--pack", "iso-10002", "--from", "9999-12-31"], 2, "--from: 9999-12-31 is too far away"),
        (["--pack", "iso-10002", "--region", "XQ-7"], 2, "--region: 'XQ-7' is no region the holidays library knows"),
        (["--pack", "iso-10002", "--pack", "iso-10002-default"], 2, "--pack: 'iso-10002-default' is named twice"),
        (["--pack", "iso-10002", "--fact", "weather=fine"], 2, "--fact: no pack asks for a fact 'weather'"),
        (["--pack", "iso-10002", "--handlers", "0"], 2, "--handlers"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(
    amendsd: Run, words: list[str], status: int, said: str
) -> None:
    told = amendsd("simulate", *words)
    assert told.status == status
    assert said in told.sentence
    assert told.out == ""


def test_escapes_in_a_pack_stay_out_of_the_table_and_the_heading(amendsd: Run, tmp_path: Path) -> None:
    evil = r"\u001b[2J\u202e"
    (tmp_path / "house.toml").write_text(
        f'id = "house"\nname = "Ours"\njurisdiction = "*"\nversion = "1{evil}"\neffective_from = 2020-01-01\n'
        f'verified = true\n[[fact]]\nid = "urgent"\nquestion = "Is it?"\nvalues = ["yes", "no"]\n'
        f'[[deadline]]\nid = "response"\nlabel = "F{evil}"\naction = "Answer"\namount = 5\nunit = "working_days"\n'
        f'met_by = ["answer"]\nbasis = "b"\nconfidence = "verified"\napplies_if = "urgent"\n'
        f'when = {{ urgent = ["yes"] }}\n[[letter]]\nid = "answer"\nkind = "final-response"\nbasis = "b"\n'
        'confidence = "verified"\n'
    )
    (tmp_path / "amends.toml").write_text(
        '[organisation]\nname = "N"\naddress = "c@n.example"\n[smtp]\nhost = "h.example"\n'
        '[policy]\npack = "house"\nfolder = "."\n'
    )
    told = amendsd("simulate", *_SMALL, "--fact", "urgent=yes", "--config", str(tmp_path / "amends.toml"))
    assert told.status == 0, told.err
    assert "response" in told.out and not {"\x1b", "\u202e"} & set(told.out + told.err)
