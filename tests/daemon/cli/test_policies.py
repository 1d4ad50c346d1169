"""`amendsd policy list` and `explain`, with and without a configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.cli.conftest import Told

Run = Callable[..., Told]


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration to be found but the one that a test names."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    monkeypatch.delenv("AMENDS_CONFIG", raising=False)


def test_the_packs_are_listed_without_a_configuration(amendsd: Run) -> None:
    told = amendsd("policy", "list", "--json")
    assert (told.status, told.err) == (0, "")
    assert "iso-10002-default" in [one["id"] for one in told.json]
    assert all(set(one) == {"id", "name", "jurisdiction", "version", "verified"} for one in told.json)
    assert "iso-10002-default" in amendsd("policy", "list").out


def test_a_complaint_of_friday_evening_counts_from_monday_and_skips_christmas(amendsd: Run) -> None:
    told = amendsd(
        *("policy", "explain", "iso-10002", "--received", "2026-12-18T18:00:00Z", "--region", "GB-ENG", "--json")
    )
    assert (told.status, told.err) == (0, "")
    found = {one["deadline"]: one for one in told.json}
    assert found["ack"]["due"] is None and found["ack"]["due_date"] is None  # the standard names no number
    assert "own target: 1 working day" in found["ack"]["rule"]
    assert found["ack"]["derivation"][-1] == "our own target: due by the end of Tue 22 Dec 2026 (Europe/London)"
    assert found["response"]["due_date"] == "2027-01-21"
    assert found["response"]["due"] == "2027-01-21T23:59:59Z"
    assert set(found["ack"]) == {"deadline", "due", "due_date", "applies_if", "basis", "rule", "derivation"}


def test_without_holidays_and_in_another_zone_the_days_differ(amendsd: Run) -> None:
    explain = ("policy", "explain", "iso-10002", "--received", "2026-12-18", "--json")
    plain = {one["deadline"]: one["due_date"] for one in amendsd(*explain, "--region", "none").json}
    assert plain["response"] == "2027-01-15"
    dublin = amendsd("policy", "explain", "iso-10002", "--received", "2026-12-18", "--region", "IE")
    assert "Europe/Dublin" in dublin.out
    sydney = amendsd(*explain, "--region", "AU-NSW").json
    assert sydney[0]["due"] == "2027-01-06T12:59:59Z"
    tokyo = amendsd(*explain, "--region", "none", "--timezone", "Asia/Tokyo").json
    assert tokyo[0]["due"] == "2027-01-01T14:59:59Z"


def test_the_configuration_adds_packs_and_closures(
    amendsd: Run, configured: Callable[..., Path], tmp_path: Path
) -> None:
    own = tmp_path / "packs"
    own.mkdir()
    (own / "house.toml").write_text(
        'id = "house"\nname = "Our promise"\njurisdiction = "*"\nversion = "1"\neffective_from = 2026-01-01\n'
        'verified = true\n\n[[deadline]]\nid = "call"\nlabel = "CALL"\naction = "Call back"\nstarts = "receipt"\n'
        'amount = 1\nunit = "working_days"\nbasis = "Our promise"\nconfidence = "product_default"\n\n'
        '[[deadline]]\nid = "visit"\nlabel = "VISIT"\naction = "Visit"\nstarts = "assessed"\n'
        'amount = 2\nunit = "calendar_days"\nbasis = "Our promise"\nconfidence = "product_default"\n\n'
        '[[event]]\nid = "assessed"\nwords = "Somebody has looked at it"\n'
    )
    config = configured(policy={"folder": "packs", "pack": "house"}, organisation={"closures": ["2026-11-24"]})
    assert "house" in [one["id"] for one in amendsd("policy", "list", "--json", "--config", config).json]
    words = ("policy", "explain", "house", "--received", "2026-11-23T10:00", "--json", "--config", config)
    call, visit = amendsd(*words).json
    assert (call["deadline"], call["due_date"]) == ("call", "2026-11-25")
    assert (visit["due"], visit["derivation"]) == (None, ["'assessed' has not happened"])
    visited = amendsd(*words, "--event", "assessed=2026-11-30").json
    assert [one["due_date"] for one in visited if one["deadline"] == "visit"] == ["2026-12-02"]


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("nix", "--received", "2026-11-23"), 1, "There is no policy pack 'nix'"),
        (("iso-10002", "--received", "yesterday"), 2, "--received: 'yesterday' is no instant"),
        (("iso-10002", "--received", "2026-02-30"), 2, "--received: '2026-02-30' is no instant"),
        (("iso-10002",), 2, "--received"),
        (("iso-10002", "--received", "2026-11-23", "--region", "XX"), 2, "is no region"),
        (("iso-10002", "--received", "2026-11-23", "--timezone", "Mars/Base"), 2, "is no time zone"),
        (("iso-10002", "--received", "2026-11-23", "--event", "x"), 2, "is not NAME=T"),
        (
            ("iso-10002", "--received", "2026-11-23", "--event", "x=2026-11-23"),
            2,
            "nothing in iso-10002",
        ),
    ],
)
def test_a_wrong_question_is_one_sentence(words: tuple[str, ...], status: int, sentence: str, amendsd: Run) -> None:
    told = amendsd("policy", "explain", *words)
    assert told.status == status
    assert sentence in told.sentence


def test_a_configuration_that_is_named_must_exist(amendsd: Run) -> None:
    assert amendsd("policy", "list", "--config", "/nowhere.toml").status == 2
