"""The commands that stop a clock, promise a day and allow a reviewer, as the shell runs them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.casework.office import open_office
from amends.config import load
from amends.kernel.instants import wall_clock
from tests.builders import a_mail, case_of, file_mail, post_all
from tests.casework.test_pausing import HOUSE


@pytest.fixture
def ref(office):
    """A case that came just now."""
    return file_mail(office, a_mail(), now=wall_clock()).reference


def a_day(days):
    return (wall_clock() + timedelta(days=days)).date().isoformat()


def test_a_clock_is_stopped_and_goes_on(shell, office, tmp_path):
    (tmp_path / "house.toml").write_text(HOUSE)
    config = tmp_path / "amends.toml"
    config.write_text(config.read_text().replace("[database]", '[policy]\npack = "house"\nfolder = "."\n\n[database]'))
    house = open_office(load(config))
    ref = file_mail(house, a_mail(), now=wall_clock()).reference
    said = shell("pause", ref, "response", "--reason", "A statement is missing.")
    assert (said.status, said.out) == (1, "") and "is a supervisor's word (Policy 2); ask sam" in said.err
    words = ("--reason", "A statement is missing.", "--text", "Please send it.")
    said = shell("pause", ref, "response", *words, login="sam")
    assert said.status == 0 and "the letter leaves " in said.out and "the clock stands still" in said.out
    assert "a letter that would pause it is called back with amends undo" in shell("resume", ref).out
    post_all(house, now=wall_clock() + timedelta(minutes=1))
    (clock,) = [one for one in shell("show", ref, "--json").json["deadlines"] if one["kind"] == "response"]
    assert clock["state"] == "paused" and clock["pauses"][0]["approver"] == "sam"
    assert shell("resume", ref).out.endswith("it waits no longer.\n")
    (clock,) = [one for one in shell("show", ref, "--json").json["deadlines"] if one["kind"] == "response"]
    assert clock["state"] == "open" and clock["pauses"][0]["ends_at"] is not None
    house.book.close()


def test_the_queue_shows_a_clock_that_stands_still(shell, office, tmp_path):
    (tmp_path / "house.toml").write_text(HOUSE)
    config = tmp_path / "amends.toml"
    config.write_text(config.read_text().replace("[database]", '[policy]\npack = "house"\nfolder = "."\n\n[database]'))
    house = open_office(load(config))
    ref = file_mail(house, a_mail(), now=wall_clock()).reference
    for kind in ("response", "visit"):
        assert shell("pause", ref, kind, "--reason", "A statement is missing.", login="sam").status == 0
    post_all(house, now=wall_clock() + timedelta(minutes=1))
    (row,) = shell("queue", "--json").json
    assert row["next_deadline"]["state"] == "paused"
    said = shell("queue").out
    assert "VISIT = paused" in said or "FINAL = paused" in said  # whichever is due first, from today
    assert "paused for 0 days" in shell("show", ref).out
    house.book.close()


def test_the_queue_calls_each_clock_as_its_pack_does(shell, tmp_path):
    config = tmp_path / "amends.toml"
    policy = '[policy]\npack = "uk-housing-ombudsman-2024"\n\n[database]'
    config.write_text(config.read_text().replace("[database]", policy))
    house = open_office(load(config))
    file_mail(house, a_mail(), now=wall_clock())
    said = shell("queue").out
    assert "S1ACK " in said and "S1_ACK" not in said
    house.book.close()


def test_a_letter_promises_a_day_and_it_is_kept(shell, office, ref):
    said = shell("letter", ref, "--text", "We are on it.", "--promise", f"{a_day(9)} an engineer comes")
    assert said.status == 0, said.err
    post_all(office, now=wall_clock() + timedelta(minutes=1))
    (clock,) = [one for one in shell("show", ref, "--json").json["deadlines"] if one["kind"] == "promise"]
    assert clock["state"] == "open" and clock["basis"].startswith("our promise of ")
    assert "an engineer comes" in case_of(office, ref).letters[-1].body
    assert "PROM" in shell("show", ref).out and "@promise" not in shell("show", ref, "--history").out
    later = wall_clock() + timedelta(minutes=2)
    assert "yet to come" in shell("kept", ref, "--at", later.isoformat()).err
    assert "No such promise" in shell("kept", ref, "--number", "7").err
    assert "had not been promised then" in shell("kept", ref, "--at", "2020-01-01").err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--promise", "soon"), "Write the promise as a day and what you promise"),
        (("--instead",), "--instead goes with --promise"),
        (("--promise", "2020-01-01"), "has passed; promise a day that is yet to come"),
    ],
)
def test_a_promise_that_cannot_be_meant_is_one_sentence(shell, ref, options, words):
    said = shell("letter", ref, "--text", "We are on it.", *options)
    assert said.status != 0 and words in said.err and said.out == ""


def test_who_was_involved_is_allowed_to_review_by_a_supervisor_alone(shell, office, ref):
    post_all(office, now=wall_clock())
    shell("take", ref)
    shell("respond", ref, "--outcome", "upheld", "--text", "The engineer came late.")
    post_all(office, now=wall_clock() + timedelta(minutes=1))
    assert shell("reopen", ref, "--reason", "She disagrees.").status == 0
    assert shell("queue", "--json").json[0]["handler"] is None
    said = shell("take", ref)
    assert said.status == 1 and "amara gave the decision before" in said.err and "--override REASON" in said.err
    assert shell("take", ref, "--override", "Nobody else.").status == 1
    assert shell("assign", ref, "amara", "--override", "Nobody else.", login="sam").status == 0
    assert shell("queue", "--json").json[0]["handler"] == "amara"
