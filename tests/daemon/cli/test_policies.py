"""`amendsd policy list` and `explain`, with and without a configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.cli.conftest import Told

Run = Callable[..., Told]
EVENTS = ("--event", "portal_sent=2026-11-24", "--event", "portal sent=2026-11-25")  # one of two times


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
    listed = amendsd("policy", "list").out
    assert "iso-10002-default (short: iso-10002)  *  verified\n    ISO 10002:2018" in listed
    assert max(map(len, listed.splitlines())) < 120


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


def test_without_a_configuration_a_pack_of_no_country_has_the_holidays_of_a_new_configuration(amendsd: Run) -> None:
    explain = ("policy", "explain", "iso-10002", "--received", "2026-12-24T10:00Z")
    assert {one["deadline"]: one["due_date"] for one in amendsd(*explain, "--json").json}["response"] == "2027-01-26"
    assert "public holidays of GB-ENG, days and times in Europe/London" in amendsd(*explain).out
    same = amendsd(*explain, "--event", "receipt=2026-12-24T10:00Z", "--json")
    assert same.status == 0


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
        (("nix", "--received", "2026-11-23"), 1, "belongs into the folder that policy.folder names"),
        (
            ("iso-10002", "--received", "yesterday"),
            2,
            "--received: 'yesterday' is neither a day nor an instant; write one like 2026-11-23",
        ),
        (
            ("iso-10002", "--received", "2026-02-30"),
            2,
            "--received: '2026-02-30' is neither a day nor an instant; write one like 2026-11-23",
        ),
        (("iso-10002",), 2, "--received"),
        (("iso-10002", "--received", "9999-12-31"), 2, "write an instant of 1900 to 2199"),
        (("us-cfpb-portal", "--received", "2026-11-23", "--event", "portal_sent=0001-01-01"), 2, "is too far off"),
        (("iso-10002", "--received", "2026-11-23", "--event", "receipt=2026-11-24"), 2, "told already by --received"),
        (
            ("us-cfpb-portal", "--received", "2026-11-23", *EVENTS),
            2,
            "'portal_sent' is told already by --event",
        ),
        (("iso-10002", "--received", "2026-11-23", "--region", "XX"), 2, "--region: 'XX' is no region"),
        (("iso-10002", "--received", "2026-11-23", "--timezone", "Mars/Base"), 2, "is no time zone"),
        (("iso-10002", "--received", "2026-11-23", "--event", "x"), 2, "is not NAME=T"),
        (("iso-10002", "--received", "2026-11-23", "--fact", "x"), 2, "is not NAME=VALUE"),
        (("iso-10002", "--received", "2026-11-23", "--fact", "x=yes"), 2, "asks for no fact 'x'; it has none"),
        (("uk-fca-disp", "--received", "2026-11-23", "--fact", "payment_service=2"), 2, "write yes or no"),
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


def test_a_fact_leaves_out_what_it_rules_out_and_an_event_starts_what_waits_for_it(amendsd: Run) -> None:
    words = ("policy", "explain", "uk-fca-disp", "--received", "2026-12-18", "--json")
    both = {one["deadline"]: one for one in amendsd(*words).json}
    assert both["final_8w"]["applies_if"] == "not PSD/EMD complaint" and both["psd_15bd"]["due_date"] == "2027-01-13"
    assert both["forward"]["due"] is None and both["ack"]["due"] is None
    paid = {one["deadline"]: one for one in amendsd(*words, "--fact", "payment_service=yes").json}
    assert "final_8w" not in paid and paid["psd_15bd"]["due"] == "2027-01-13T23:59:59Z"
    told = amendsd(*words, "--event", "other respondent identified=2026-12-21T10:00").json
    assert {one["deadline"]: one["due_date"] for one in told}["forward"] == "2026-12-30"
    scotland = amendsd(*words, "--region", "GB-SCT").json
    assert {one["deadline"]: one["due_date"] for one in scotland}["psd_15bd"] == "2027-01-14"


def test_an_own_target_is_shown_beside_the_rule(amendsd: Run, configured: Callable[..., Path]) -> None:
    config = configured(
        **{
            "policy": {"pack": "iso-10002", "packs": ["uk-lgsco-code"]},
            "policy.own_target": [
                {"deadline": "response", "amount": 10, "unit": "working_days"},
                {"pack": "uk-lgsco-code", "deadline": "s1_ack", "amount": 2, "unit": "working_days"},
            ],
        }
    )
    told = amendsd("policy", "explain", "iso-10002", "--received", "2026-11-23T10:00", "--json", "--config", config)
    due = {one["deadline"]: one["due_date"] for one in told.json}
    assert (due["response.own"], due["response"]) == ("2026-12-07", "2026-12-21")
    told = amendsd("policy", "explain", "uk-lgsco-code", "--received", "2026-11-23T10:00", "--json", "--config", config)
    due = {one["deadline"]: one["due_date"] for one in told.json}
    assert (due["s1_ack.own"], due["s1_ack"]) == ("2026-11-25", "2026-11-30")


def test_the_author_of_a_pack_is_told_every_mistake_and_what_is_doubtful(amendsd: Run, tmp_path: Path) -> None:
    path = tmp_path / "house.toml"
    text = (
        'id = "house"\nname = "Ours"\njurisdiction = "*"\nversion = "1"\neffective_from = 2026-01-01\n'
        'verified = true\n\n[[deadline]]\nid = "call"\nlabel = "CALL"\naction = "Call back"\n'
        'amount = 1\nunit = "working_days"\nbasis = "Our promise"\nconfidence = "product_default"\n'
    )
    path.write_text(text)
    told = amendsd("policy", "check", path)
    assert (told.status, told.err) == (0, "")
    assert f"warning: {path}:9: deadline.1.id: nobody's letter can meet 'call'" in told.out
    assert told.out.endswith("house, version 1: 1 deadline, 0 letters, 2 warnings; it can be used.\n")
    path.write_text(text.replace("amount = 1", "amuont = 1").replace("verified = true", "verified = maybe"))
    assert "not valid TOML" in amendsd("policy", "check", path).sentence
    path.write_text(text.replace("amount = 1", "amuont = 1").replace('jurisdiction = "*"', "jurisdiction = 7"))
    told = amendsd("policy", "check", path)
    assert told.status == 1
    assert told.out.splitlines() == [
        f"{path}:3: jurisdiction: 7 is no text; put it in quotes",
        f"{path}:12: deadline.1.amuont: unknown key; did you mean amount?",
        "2 mistakes; the pack cannot be used.",
    ]


def test_a_broken_pack_that_is_not_asked_for_hinders_no_explanation(
    amendsd: Run, configured: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "broken.toml").write_text('id = "broken"\n')
    config = configured(policy={"folder": "packs"})
    assert amendsd("policy", "explain", "iso-10002", "--received", "2026-11-23", "--config", config).status == 0
    assert (
        "is missing" in amendsd("policy", "explain", "broken", "--received", "2026-11-23", "--config", config).sentence
    )


def test_a_configuration_that_is_named_must_exist(amendsd: Run) -> None:
    assert amendsd("policy", "list", "--config", "/nowhere.toml").status == 2
