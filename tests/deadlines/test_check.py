"""What an author is told of a pack: every mistake by line and key, and what is doubtful."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends.deadlines.check import check_file
from amends.deadlines.packs import read_pack
from amends.deadlines.places import line_of, places
from amends.kernel.errors import ConfigError
from amends.kernel.share import config_folder

TODAY = date(2026, 11, 24)
PACKS = sorted((config_folder() / "policies").glob("*.toml"))

GOOD = """\
id = "house"
name = "Ours"
jurisdiction = "*"
version = "1"
effective_from = 2026-01-01
verified = true

[[fact]]
id = "urgent"
question = "Is it urgent?"
default = "no"

[[stage]]
id = "first"
name = "First"

[[event]]
id = "looked_at"
words = "Somebody looked at it"

[[deadline]]
id = "ack"
label = "ACK"
action = "Acknowledge"
amount = 1
unit = "working_days"
met_by = ["acknowledgement"]
basis = "Our policy"
confidence = "product_default"
warn = [
    { before = { amount = 4, unit = "hours" }, to = "handler" },
]

[[deadline]]
id = "answer"
label = "ANSWER"
action = "Answer"
starts = "acknowledgement_sent"
stage = "first"
applies_if = "it is urgent"
when = { urgent = ["yes"] }
amount = 10
unit = "working_days"
met_by = ["answer"]
basis = "Our policy"
confidence = "product_default"
warn = [{ before = { amount = 1, unit = "working_days" } }]

[deadline.extension]
condition = "good reason"
notice_letter = "answer"
notice_must_contain = ["why"]

[[letter]]
id = "acknowledgement"
kind = "acknowledgement"
basis = "Our policy"
confidence = "product_default"

[[letter]]
id = "answer"
kind = "final-response"
basis = "Our policy"
confidence = "product_default"

[[own_target]]
deadline = "answer"
amount = 5
unit = "working_days"
"""


def line(text: str, words: str) -> int:
    return next(n for n, one in enumerate(text.splitlines(), 1) if words in one)


def checked(tmp_path: Path, *changes: tuple[str, str], today: date | None = TODAY) -> tuple[Path, str, Any]:
    text = GOOD
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = tmp_path / "house.toml"
    path.write_text(text, encoding="utf-8")
    return path, text, check_file(path, today=today)


def test_a_good_pack_is_told_so(tmp_path: Path) -> None:
    _, _, found = checked(tmp_path)
    assert found.pack is not None and found.mistakes == () and found.warnings == ()


@pytest.mark.parametrize(
    ("change", "key", "sentence", "on"),
    [
        (('unit = "working_days"\nmet_by = ["ack', 'unit = "fortnights"\nmet_by = ["ack'), "deadline.1.unit",
         "'fortnights' is none of hours, working_hours", 'unit = "fortnights"'),
        (("amount = 10", "amont = 10"), "deadline.2.amont", "unknown key; did you mean amount?", "amont"),
        (("amount = 10", 'amount = "ten"'), "deadline.2.amount", "'ten' is no whole number", '"ten"'),
        (("amount = 10", 'amount = "10"'), "deadline.2.amount", "one without quotes, such as 20", '"10"'),
        (("amount = 10", "amount = true"), "deadline.2.amount", "true is no whole number", "amount = true"),
        (('met_by = ["answer"]', 'met_by = "answer"'), "deadline.2.met_by", "put it in square brackets", None),
        (("verified = true", 'verified = "no"'), "verified", "neither true nor false", '"no"'),
        (('version = "1"', "version = 1"), "version", "1 is no text; put it in quotes", "version = 1"),
        (("amount = 10", "amount = 2.5"), "deadline.2.amount", "2.5 is no whole number", "2.5"),
        (("amount = 10", "amount = -3"), "deadline.2.amount", "-3 is too little; write 0 or more", "-3"),
        (("effective_from = 2026-01-01", "effective_from = 2026"), "effective_from", "is no day", "= 2026"),
        (("[[fact]]", '[calendar]\nregion = "GB-XYZ"\n\n[[fact]]'), "calendar.region", "is not a part of GB", "GB-XYZ"),
        (("[[fact]]", '[calendar]\nregion = "QQ"\n\n[[fact]]'), "calendar.region", "is no region the holidays", "QQ"),
        (("amount = 10", "amount = 100000"), "deadline.2.amount", "100000 is too much; write 10000 or less", "100000"),
        (('label = "ANSWER"', 'label = "ANSWERS"'), "deadline.2.label", "at most 6 characters", "ANSWERS"),
        (("effective_from = 2026-01-01", 'effective_from = "soon"'), "effective_from", "'soon' is no day", "soon"),
        (('id = "answer"\nlabel', 'id = "ack"\nlabel'), "deadline.2.id", "'ack' stands there twice", None),
        (("acknowledgement_sent", "acknowledgment_sent"), "deadline.2.starts",
         "neither receipt, nor an [[event]], nor a [[letter]]_sent; did you mean acknowledgement_sent?", "starts"),
        (('met_by = ["answer"]', 'met_by = ["anwser"]'), "deadline.2.met_by.1",
         "no letter or event 'anwser'; did you mean answer?", "anwser"),
        (('stage = "first"', 'stage = "fist"'), "deadline.2.stage", "no stage 'fist'; did you mean first?", "fist"),
        (("when = { urgent", "when = { urgnt"), "deadline.2.when.urgnt", "no fact 'urgnt'", "urgnt"),
        (('["yes"]', '["yeah"]'), "deadline.2.when.urgent.1", "no value of the fact urgent 'yeah'", "yeah"),
        (('applies_if = "it is urgent"\n', ""), "deadline.2", "applies_if, the condition in words, is missing", None),
        (('notice_letter = "answer"', 'notice_letter = "hold"'), "deadline.2.extension.notice_letter",
         "no letter 'hold'", "hold"),
        (('default = "no"', 'default = "maybe"'), "fact.1.default", "no value 'maybe'", "maybe"),
        (("amount = 5", "amount = 12"), "own_target.1.amount", "no promise beside the rule's own 10", "amount = 12"),
        (('deadline = "answer"', 'deadline = "answr"'), "own_target.1.deadline", "did you mean answer?", "answr"),
        (('kind = "final-response"', 'kind = "final"'), "letter.2.kind", "'final' is none of", '"final"'),
        (('kind = "final-response"\n', ""), "letter.2", "which of our letters is it?", None),
        (("effective_from = 2026-01-01", "effective_from = 2026-01-01\neffective_to = 2025-01-01"), "effective_to",
         "lies before effective_from", "effective_to"),
        (('amount = 4, unit = "hours"', 'amount = 4, unit = "promptly"'), "deadline.1.warn.1.before.unit",
         "'promptly' cannot be counted", "promptly"),
        (('amount = 1\nunit = "working_days"', 'amount = 1\nunit = "working_days"\nrecurring = true\n'
          'pause = { reason = "r", most = { amount = 1, unit = "weeks" }, basis = "b", confidence = "verified" }'),
         "deadline.1",
         "a recurring deadline cannot be paused: it goes on by itself; take pause out", None),
        (('amount = 1\nunit = "working_days"', 'amount = 1\nunit = "working_days"\n'
          'pause = { reason = "r", basis = "b", confidence = "verified" }'), "deadline.1.pause.most",
         "is missing, and no clock may stand still without end; write how long at most", None),
        (('amount = 1\nunit = "working_days"', 'unit = "promptly"\nrecurring = true'), "deadline.1",
         "a recurring deadline needs an amount above 0", None),
        (('basis = "Our policy"\nconfidence = "product_default"\nwarn = [\n', 'basis = "Our policy"\n'
          'confidence = "memory"\nwarn = [\n'), "deadline.1.confidence", "not verified while a mandatory", "memory"),
        (("[[fact]]", '[calendar]\nzone = "Mars/Base"\n\n[[fact]]'), "calendar.zone", "is no time zone", "Mars"),
        (("[[fact]]", '[calendar]\nregion = "England"\n\n[[fact]]'), "calendar.region", "write a region", "England"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_line_and_key(
    tmp_path: Path, change: tuple[str, str], key: str, sentence: str, on: str | None
) -> None:
    path, text, found = checked(tmp_path, change)
    assert found.pack is None
    (told,) = [one for one in found.mistakes if sentence in one] or [str(found.mistakes)]
    assert sentence in told and "\n" not in told
    where = told.removeprefix(f"{path}:")
    assert where.partition(": ")[2].startswith(f"{key}: ")
    if on is not None:
        assert where.partition(":")[0] == str(line(text, on))


def test_every_mistake_is_told_from_top_to_bottom_and_the_reader_says_how_many_there_are(tmp_path: Path) -> None:
    path, _, found = checked(
        tmp_path,
        ("jurisdiction", "jurisdiktion"),
        ('label = "ACK"', 'label = "ACKNOWLEDGE"'),
        ('met_by = ["answer"]', 'met_by = ["anwser"]'),
        ("amount = 5", 'amount = "five"'),
    )
    keys = [one.removeprefix(f"{path}:").partition(": ")[2].partition(": ")[0] for one in found.mistakes]
    assert keys[:4] == ["jurisdiktion", "deadline.1.label", "deadline.2.met_by.1", "own_target.1.amount"]
    assert found.mistakes[-1] == f"{path}: jurisdiction: is missing"
    with pytest.raises(ConfigError, match=r"jurisdiktion: unknown key.*\(and 4 more mistakes; amendsd policy check"):
        read_pack(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("effective_from = 2026-01-01", "effective_from = 2026-01-01\neffective_to = 2026-02-01"), "has passed"),
        (("effective_from = 2026-01-01", "effective_from = 2027-01-01"), "comes into force on 2027-01-01"),
        (("verified = true", "verified = false"), "nobody has compared this pack"),
        (('met_by = ["answer"]\n', ""), "nobody's letter can meet 'answer'"),
        (("warn = [{ before = { amount = 1, unit = \"working_days\" } }]\n", ""), "'answer' warns nobody"),
        (('amount = 1\nunit = "working_days"', 'unit = "promptly"'), "neither a number nor a target of yours"),
        (('default = "no"\n', ""), "until somebody answers 'urgent'"),
        (("warn = [{ before = { amount = 1,", "warn = [{ before = { amount = 10,"), "has not begun so long before"),
        (('kind = "final-response"', 'form = "record"'), "no letter of ours meets 'answer'"),
        (('notice_must_contain = ["why"]\n', ""), "nothing is said of what the notice must contain"),
        (('met_by = ["answer"]\n', 'met_by = ["answer"]\nletter = "answer"\n'), "must say what only a person can"),
    ],
)  # fmt: skip
def test_what_is_doubtful_is_told_and_hinders_nobody(tmp_path: Path, change: tuple[str, str], sentence: str) -> None:
    _, _, found = checked(tmp_path, change)
    assert found.pack is not None
    assert any(sentence in one for one in found.warnings), found.warnings
    assert checked(tmp_path, change, today=None)[2].warnings == ()


@pytest.mark.parametrize("words", ['id = "x', "\xff", "id = 1\nid = 2"])
def test_what_is_no_toml_is_told_at_once(tmp_path: Path, words: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(words.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"bad\.toml(: not valid TOML|:1: is not UTF-8 text; save the file as UTF-8)"):
        check_file(path)
    with pytest.raises(ConfigError, match="there is no such file"):
        check_file(tmp_path / "nowhere.toml")


# Places


def _leaves(tree: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(tree, dict):
        return [place for key, value in tree.items() for place in [(*at, key), *_leaves(value, (*at, key))]]
    if isinstance(tree, list):
        return [place for n, value in enumerate(tree) for place in [(*at, n), *_leaves(value, (*at, n))]]
    return []


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_every_key_of_a_pack_has_its_line(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = places(text)
    lines = text.splitlines()
    for place in _leaves(tomllib.loads(text)):
        assert place in found, place
        if isinstance(place[-1], str):
            assert place[-1] in lines[found[place] - 1], place


def test_a_key_is_found_in_whatever_way_it_is_written() -> None:
    text = (
        '# a = 1\n[a."b c"]\nd.e = """\nx = 1\n"""\nf = [\n  1, # "\n  [2, 3],\n  { g = "]" },\n]\n'
        "[[h]]\ni = '''\n[[h]]'''\n[h.j]\nk = 1\n[[h]]\ni = 1979-05-27T07:32:00Z\n[[h.l]]\nm = true\n"
    )
    found = places(text)
    for place in _leaves(tomllib.loads(text)):
        assert place in found, place
    for place, number in {
        ("a", "b c", "d", "e"): 3,
        ("a", "b c", "f", 2, "g"): 9,
        ("h", 0, "j", "k"): 15,
        ("h", 1, "i"): 17,
        ("h", 1, "l", 0, "m"): 19,
    }.items():
        assert found[place] == number, place
    assert line_of(found, ("h", 1, "missing")) == 16
    assert line_of(found, ("missing",)) is None


@given(st.text(alphabet="[]{}=.,\"'#\n ab1\\", max_size=40))
def test_whatever_the_text_is_the_search_for_places_ends(text: str) -> None:
    places(text)


def test_what_is_longer_than_a_hundred_years_is_refused_before_a_complaint_meets_it(tmp_path: Path) -> None:
    path = tmp_path / "house.toml"
    rule = '[[deadline]]\nid = "long"\nlabel = "L"\naction = "Answer"\nbasis = "b"\nconfidence = "verified"\n'
    for more in (
        'amount = 101\nunit = "years"\n',
        'amount = 1201\nunit = "months"\n',
        'amount = 5\nunit = "weeks"\nwarn = [{ before = { amount = 10000, unit = "years" } }]\n',
        'amount = 5\nunit = "weeks"\nother = { amount = 9999, unit = "weeks" }\n',
    ):
        path.write_text(GOOD + "\n" + rule + more)
        assert any("are too long to be counted; write at most" in one for one in check_file(path).mistakes), more
    path.write_text(GOOD + "\n" + rule + 'amount = 100\nunit = "years"\n')
    assert check_file(path).pack is not None


@pytest.mark.parametrize("answer", ["yes\\u001b[2J", "yes\\u202e", "", " yes"])
def test_an_answer_to_a_fact_that_nobody_can_give_is_refused(tmp_path: Path, answer: str) -> None:
    path = tmp_path / "house.toml"
    path.write_text(GOOD.replace('question = "Is it urgent?"', f'question = "Is it?"\nvalues = ["{answer}", "no"]'))
    assert any("an answer that nobody can give" in one and "\x1b" not in one for one in check_file(path).mistakes)
