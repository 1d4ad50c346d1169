"""TOML that was made to stop its reader: a configuration and a pack of it are one sentence, at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from amends import config
from amends.deadlines.check import check_file
from amends.deadlines.packs import find_regime, read_pack
from amends.deadlines.places import places
from amends.kernel.errors import ConfigError
from amends.kernel.toml import LARGEST

BOMBS = {
    "deep lists": ("x = " + "[" * 5_000 + "]" * 5_000, "too deep"),
    "deep tables": ("x = " + "{a = " * 5_000 + "1" + "}" * 5_000, "too deep"),
    "a long number": ("x = " + "9" * 5_000, "too many digits"),
    "an endless key": (".".join(["a"] * 60_000) + " = 1", "too many parts"),
    "an endless key within": ("x = {" + " . ".join(["'a'"] * 30_000) + " = 1}", "too many parts"),
    "a large file": ("# " + "x" * LARGEST, "larger than 256 KB"),
}


@pytest.mark.parametrize(("text", "sentence"), BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("read", [config.load, read_pack])
def test_a_file_that_would_stop_its_reader_is_one_sentence(tmp_path, read, text, sentence):
    path = tmp_path / "amends.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=sentence) as told:
        read(path)
    assert str(path) in str(told.value)


def test_a_pipe_among_the_packs_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "house.toml")
    with pytest.raises(ConfigError, match="no regular file"):
        read_pack(tmp_path / "house.toml")
    assert find_regime("another", [tmp_path]) is None


def test_a_bad_file_beside_the_pack_stops_nobody(tmp_path):
    (tmp_path / "large.toml").write_text("# iso-10002\n" + "#" * LARGEST)
    (tmp_path / "bytes.toml").write_bytes(b"# iso-10002 \xff\n")
    assert find_regime("iso-10002", [tmp_path]) is None


def test_a_key_of_thousands_of_names_is_told_by_its_first_ones(tmp_path: Path):
    path = tmp_path / "house.toml"
    path.write_text(f'id = "house"\n[{".".join(["a"] * 900)}]\n')
    assert f"{path}:2: a: unknown key" in check_file(path).mistakes
    found = places(f"[{'.'.join(['a'] * 50_000)}]\n")  # each name had a place as long as all those before it
    assert max(map(len, found)) < 100
