"""Each wrong configuration in bad/ beside the one sentence it must give."""

import os
from pathlib import Path

import pytest

from amends.config import load
from amends.kernel.errors import ConfigError

BAD = Path(__file__).parent / "bad"

GOOD = """\
[organisation]
name = "Northwind Homes"
address = "Complaints@Northwind.example"
reference_prefix = "NW"

[[mailbox]]
name = "complaints"
host = "127.0.0.1"
port = 1143
security = "none"
username = "complaints"
password = "secret"
since = "2026-01-01"

[smtp]
host = "localhost"
port = 1025
security = "none"
plus_addressing = true
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "amends.toml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("case", sorted(BAD.glob("*.toml")), ids=lambda path: path.stem)
def test_a_wrong_configuration_gives_one_sentence_with_key_and_line(case):
    with pytest.raises(ConfigError) as refused:
        load(case)
    sentence = str(refused.value).replace(str(case), "FILE")
    assert sentence == case.with_suffix(".expected").read_text().strip()
    assert "\n" not in sentence


def test_relative_paths_start_at_the_configuration(good):
    assert load(good).database_url() == f"sqlite:///{good.parent.resolve()}/amends.db"


def test_the_environment_overrides_a_setting(good, monkeypatch):
    monkeypatch.setenv("AMENDS_LETTERS__UNDO_SECONDS", "7")
    monkeypatch.setenv("AMENDS_ORGANISATION__NAME", "Southwind")
    settings = load(good)
    assert (settings.letters.undo_seconds, settings.organisation.name) == (7, "Southwind")


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        (
            "AMENDS_LETERS__X",
            "1",
            "AMENDS_LETERS__X in the environment: there is no section 'leters'; did you mean AMENDS_LETTERS?",
        ),
        (
            "AMENDS_LETTERS__UNDO_SECONDS",
            "abc",
            "AMENDS_LETTERS__UNDO_SECONDS in the environment: letters.undo_seconds: "
            "input should be a valid integer, unable to parse string as an integer (it is 'abc')",
        ),
        (
            "AMENDS_LETTERS__UNDO",
            "1",
            "AMENDS_LETTERS__UNDO in the environment: letters.undo: unknown key",
        ),
        (
            "AMENDS_LETTERS",
            "abc",
            "AMENDS_LETTERS in the environment: is no JSON; write one variable for each key, as AMENDS_LETTERS__KEY",
        ),
    ],
)
def test_a_mistake_in_the_environment_is_blamed_on_its_variable(good, monkeypatch, variable, value, sentence):
    good.write_text(GOOD + "[letters]\nundo_seconds = 5\n")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as refused:
        load(good)
    assert str(refused.value) == sentence


def test_a_database_of_another_make_is_refused_with_those_that_are_known(good):
    good.write_text(GOOD + '[database]\nurl = "mysql://x/y"\n')
    with pytest.raises(ConfigError, match="'mysql' is not known; write sqlite:///FILE or postgresql"):
        load(good).database_url()


def test_addresses_are_compared_in_lower_case(good):
    assert load(good).organisation.own_addresses == {"complaints@northwind.example"}


def test_a_password_never_shows(good):
    assert "secret" not in repr(load(good))


def test_a_password_comes_from_a_file_or_a_systemd_credential(good, tmp_path, monkeypatch):
    (tmp_path / "pw").write_text("from a file\n")
    good.write_text(GOOD.replace('password = "secret"', 'password_file = "pw"'))
    settings = load(good)
    assert settings.password(settings.mailbox[0]) == "from a file"
    good.write_text(GOOD.replace('password = "secret"', ""))
    settings = load(good)
    with pytest.raises(ConfigError, match="credential named imap-password"):
        settings.password(settings.mailbox[0])
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "imap-password").write_text("from systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert settings.password(settings.mailbox[0]) == "from systemd"


OAUTH = """
[mailbox.oauth]
provider = "microsoft"
tenant = "northwind.example"
client_id = "1f"
"""


def test_a_client_secret_comes_from_the_file_its_own_file_or_a_systemd_credential(good, tmp_path, monkeypatch):
    whole = GOOD.replace('password = "secret"', "").replace("\n[smtp]", f"{OAUTH}CLIENT\n\n[smtp]")
    good.write_text(whole.replace("CLIENT", 'client_secret = "c0ffee"'))
    settings = load(good)
    assert settings.client_secret(settings.mailbox[0]) == "c0ffee"
    assert "c0ffee" not in repr(settings)
    (tmp_path / "cs").write_text("from a file\n")
    good.write_text(whole.replace("CLIENT", 'client_secret_file = "cs"'))
    settings = load(good)
    assert settings.client_secret(settings.mailbox[0]) == "from a file"
    good.write_text(whole.replace("CLIENT", ""))
    settings = load(good)
    with pytest.raises(ConfigError, match="credential named imap-client-secret"):
        settings.client_secret(settings.mailbox[0])
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "imap-client-secret-complaints").write_text("from systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert settings.client_secret(settings.mailbox[0]) == "from systemd"


def test_an_application_with_a_refresh_token_may_have_no_secret(good):
    public = OAUTH + 'refresh_token_file = "token"\n'
    good.write_text(GOOD.replace('password = "secret"', "").replace("\n[smtp]", f"{public}\n[smtp]"))
    settings = load(good)
    assert settings.client_secret(settings.mailbox[0]) is None


def test_no_configuration_says_where_one_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AMENDS_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="amendsd init"):
        load()
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "missing.toml")


def with_secret_file(good, name="secret"):
    good.write_text(GOOD.replace('password = "secret"', f'password_file = "{name}"'))
    settings = load(good)
    return settings.password(settings.mailbox[0])


def test_a_secret_is_the_text_of_a_small_file(good):
    (good.parent / "secret").write_text("pässword\n")
    assert with_secret_file(good) == "pässword"
    (good.parent / "secret").write_bytes(b"x" * 4096)
    assert len(with_secret_file(good)) == 4096


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: os.mkfifo(path), "is no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b"x" * 4097), "is larger than 4096 bytes"),
        (lambda path: path.write_bytes(b"\xff"), "is not UTF-8"),
        (lambda path: None, "No such file"),
    ],
    ids=["pipe", "device", "folder", "large", "bytes", "missing"],
)
def test_a_secret_that_is_no_small_file_is_one_sentence_and_keeps_nobody_waiting(good, make, sentence):
    make(good.parent / "secret")
    with pytest.raises(ConfigError, match=rf"^mailbox 'complaints': password_file: .*{sentence}"):
        with_secret_file(good)
