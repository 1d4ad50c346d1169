"""`amendsd check` against real servers, and against everything that an operator gets wrong."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.checks.store import file_system_in
from tests.daemon.cli.conftest import Told, as_program
from tests.servers import free_port, self_signed
from tests.servers.dovecot import Account
from tests.servers.smtp import SmtpServer

Run = Callable[..., Told]
Configured = Callable[..., Path]

MAIL = b"From: ann@example.org\r\nSubject: hello\r\n\r\nNo heating.\r\n"


def findings(told: Told, what: str, state: str | None = None) -> list[str]:
    """The sentences about `what`, of one state or of all."""
    assert told.err == ""
    return [
        one["sentence"]
        for one in told.json["findings"]
        if one["what"] == what and (state is None or one["state"] == state)
    ]


@pytest.fixture
def check(amendsd: Run) -> Callable[[Path], Told]:
    return lambda config: amendsd("check", "--json", "--config", config)


@pytest.mark.server("dovecot")
def test_a_sound_house_passes(
    amendsd: Run, configured: Configured, mailbox: Account, smtp: SmtpServer, sqlite_url: str
) -> None:
    config = configured(
        mailbox=[mailbox.section()], smtp=smtp.section(plus_addressing=True), database={"url": sqlite_url}
    )
    told = amendsd("check", "--config", config)
    assert told.status == 0, told.out
    assert told.err == ""
    lines = told.out.splitlines()
    assert all(line.startswith(("ok       ", "warning  ")) for line in lines)
    for what in ("configuration", "database", "letters en", "policy", "calendar", "mailbox complaints", "smtp"):
        assert any(line.startswith(f"ok       {what}: ") for line in lines), what
    assert smtp.letters == []
    assert {"Amends/Filed", "Amends/Quarantine"} <= folders_of(mailbox)


@pytest.mark.server("postgres")
def test_a_postgresql_that_would_forget_commits_is_refused(
    check: Callable[[Path], Told], configured: Configured, postgres_url: str
) -> None:
    """The server of the tests runs without fsync; all else about it is in order."""
    told = check(configured(database={"url": postgres_url}))
    assert told.status == 1
    assert findings(told, "database", "wrong") == [
        "The server has fsync = off, so that a power cut loses mail; turn it on."
    ]
    assert len(findings(told, "database", "ok")) == 1


def folders_of(mailbox: Account) -> set[str]:
    with mailbox.client() as client:
        return {name for _, _, name in client.list_folders()}


@pytest.mark.server("dovecot")
def test_a_wrong_imap_password(check: Callable[[Path], Told], configured: Configured, mailbox: Account) -> None:
    told = check(configured(mailbox=[mailbox.section(password="guesswork")]))
    assert told.status == 1
    (sentence,) = findings(told, "mailbox complaints", "wrong")
    assert "refuses the log-in of" in sentence
    assert "check username and password" in sentence
    assert "guesswork" not in told.out


def test_a_closed_port(check: Callable[[Path], Told], configured: Configured) -> None:
    told = check(configured(mailbox=[box(port=free_port())], smtp=smtp_table(port=free_port())))
    assert told.status == 1
    assert "refuses the connection: nobody listens there" in findings(told, "mailbox complaints", "wrong")[0]
    assert "Connection refused" in findings(told, "smtp", "wrong")[0]


def test_a_host_that_does_not_exist(check: Callable[[Path], Told], configured: Configured) -> None:
    nowhere = "mail.nowhere.invalid"
    told = check(configured(mailbox=[box(host=nowhere, security="tls")], smtp=smtp_table(host=nowhere, security="tls")))
    assert told.status == 1
    assert nowhere in findings(told, "mailbox complaints", "wrong")[0]
    assert nowhere in findings(told, "smtp", "wrong")[0]


@pytest.mark.server("dovecot")
def test_a_certificate_that_nobody_vouches_for_and_one_that_a_file_does(
    check: Callable[[Path], Told], configured: Configured, mailbox: Account
) -> None:
    encrypted = {"port": mailbox.server.tls_port, "security": "tls"}
    for how in (encrypted, {"security": "starttls"}):
        told = check(configured(mailbox=[mailbox.section(**how)]))
        assert told.status == 1
        assert "certificate that cannot be trusted" in findings(told, "mailbox complaints", "wrong")[0]
    told = check(configured(mailbox=[mailbox.section(**encrypted, ca_file=str(mailbox.server.ca_file))]))
    assert (told.status, findings(told, "mailbox complaints", "wrong")) == (0, [])
    told = check(configured(mailbox=[mailbox.section(security="starttls", ca_file=str(mailbox.server.ca_file))]))
    assert (told.status, findings(told, "mailbox complaints", "wrong")) == (0, [])


@pytest.mark.server("dovecot")
def test_tls_on_the_port_for_plain_text(
    check: Callable[[Path], Told], configured: Configured, mailbox: Account
) -> None:
    told = check(configured(mailbox=[mailbox.section(security="tls")]))
    assert 'try security = "starttls"' in findings(told, "mailbox complaints", "wrong")[0]


def test_an_smtp_certificate_that_nobody_vouches_for(
    check: Callable[[Path], Told], configured: Configured, tmp_path: Path
) -> None:
    certificate, key = self_signed(tmp_path)
    with tls_listener(certificate, key) as port:
        told = check(configured(smtp=smtp_table(port=port, security="tls")))
    assert "certificate that cannot be trusted" in findings(told, "smtp", "wrong")[0]


def test_a_wrong_smtp_password_and_a_sender_that_is_refused(
    check: Callable[[Path], Told], configured: Configured
) -> None:
    server = SmtpServer(account=("us", "secret")).start()
    try:
        told = check(configured(smtp=server.section(username="us", password="guess")))
        assert "refuses our log-in" in findings(told, "smtp", "wrong")[0]
        server.script("mail", "553 5.7.1 Not yours")
        told = check(configured(smtp=server.section(username="us", password="secret")))
        assert "553 5.7.1 Not yours" in findings(told, "smtp", "wrong")[0]
        told = check(configured(smtp=server.section(username="us", password="secret")))
        assert (told.status, findings(told, "smtp", "wrong"), server.letters) == (0, [], [])
    finally:
        server.stop()


@pytest.mark.parametrize(("section", "what"), [("mailbox", "mailbox complaints"), ("smtp", "smtp")])
def test_a_credential_that_is_missing(
    section: str, what: str, check: Callable[[Path], Told], configured: Configured
) -> None:
    tables: dict[str, Any] = {"mailbox": [box()]} if section == "mailbox" else {"smtp": smtp_table(username="us")}
    if section == "mailbox":
        del tables["mailbox"][0]["password"]
    told = check(configured(**tables))
    assert told.status == 1
    assert "no password; give password, password_file or a systemd credential" in findings(told, what, "wrong")[0]


def test_a_systemd_credential_is_found(
    check: Callable[[Path], Told], configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = SmtpServer(account=("us", "secret")).start()
    try:
        (tmp_path / "smtp-password").write_text("secret\n")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        assert check(configured(smtp=server.section(username="us"))).status == 0
    finally:
        server.stop()


def test_a_template_with_a_mistake_is_named_with_its_line(
    check: Callable[[Path], Told], configured: Configured, tmp_path: Path
) -> None:
    own = tmp_path / "own" / "en"
    own.mkdir(parents=True)
    (own / "acknowledgement.txt").write_text("Subject: x\n\nDear {{ complainannt }},\n")
    told = check(configured(letters={"templates_folder": str(tmp_path / "own")}))
    assert told.status == 1
    (sentence,) = findings(told, "letters en", "wrong")
    assert str(own / "acknowledgement.txt") in sentence
    assert "complainannt" in sentence


def test_the_examples_of_a_new_configuration_are_warned_of(
    check: Callable[[Path], Told], configured: Configured
) -> None:
    own = {"name": "Southwind", "address": "complaints@southwind.example"}
    left = {"name": "Northwind Homes", "address": "complaints@northwind.example"}

    def warned(**organisation: Any) -> list[str]:
        told = check(configured(organisation=organisation, handler=[]))
        return [one for one in findings(told, "configuration", "warning") if "still the example" in one]

    assert warned(**left) == [
        "organisation.name is still the example Northwind Homes; write your own.",
        "organisation.address is still the example complaints@northwind.example; write your own.",
    ]
    assert warned(**own) == []
    assert warned(**left, demonstration=True) == []


def test_a_language_without_letters_is_a_warning(check: Callable[[Path], Told], configured: Configured) -> None:
    told = check(configured(organisation={"languages": ["en", "tlh"]}))
    assert told.status == 0
    assert "no letters in 'tlh'" in findings(told, "letters tlh", "warning")[0]


@pytest.mark.parametrize(
    ("tables", "what", "words"),
    [
        ({"policy": {"pack": "iso-1002"}}, "policy", "there is no policy pack 'iso-1002'; did you mean iso-10002?"),
        ({"policy": {"folder": "nowhere"}}, "policy", "there is no folder"),
        ({"organisation": {"region": "GB-ENGLAND"}}, "policy", "is not a part of GB"),
        ({"organisation": {"closures": ["2026-13-01"]}}, "policy", "write days like 2026-12-24"),
        ({"database": {"url": "sqlite:///nowhere/amends.db"}}, "database", "does not exist; create it"),
        ({"database": {"url": "sqlite:///"}}, "database", "name a file"),
        ({"database": {"url": "nonsense"}}, "database", "is no database URL"),
        ({"database": {"url": "postgresql+psycopg://u@127.0.0.1:1/x"}}, "database", "did not answer"),
    ],
)
def test_a_mistake_in_the_rules_or_the_store_is_one_sentence(
    tables: dict[str, Any], what: str, words: str, check: Callable[[Path], Told], configured: Configured
) -> None:
    told = check(configured(**tables))
    assert told.status == 1
    sentences = findings(told, what, "wrong")
    assert any(words in sentence for sentence in sentences), sentences
    assert all("\n" not in sentence for sentence in sentences)


def test_files_that_others_may_read_are_warned_of(
    check: Callable[[Path], Told], configured: Configured, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open sesame")
    secret.chmod(0o640)
    config = configured(smtp=smtp_table(username="us", password_file=str(secret)))
    config.chmod(0o644)
    told = check(config)
    assert f"chmod 600 {config}" in findings(told, "configuration", "warning")[0]
    assert f"chmod 600 {secret}" in findings(told, "smtp", "warning")[0]
    config.chmod(0o640)  # it holds no password, so a group may share it
    secret.chmod(0o600)
    told = check(config)
    assert not any("chmod" in one for one in [*findings(told, "configuration"), *findings(told, "smtp")])


def test_a_configuration_with_a_password_in_it_is_for_its_owner_alone(
    check: Callable[[Path], Told], configured: Configured
) -> None:
    config = configured(smtp=smtp_table(username="us", password="secret"))
    config.chmod(0o640)
    assert f"chmod 600 {config}" in findings(check(config), "configuration", "warning")[0]


def test_a_folder_that_the_daemon_may_not_write_in(configured: Configured, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir(mode=0o500)
    config = configured(database={"url": f"sqlite:///{store}/amends.db"})
    told = as_program("check", "--json", "--config", config, before=without_the_rights_of_root())
    assert told.status == 1
    assert "Nothing can be written in" in findings(told, "database", "wrong")[0]


def without_the_rights_of_root() -> list[str]:
    """What to put before a command so that the modes of files bind it, also in a test that root runs."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and setpriv is not installed")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


def test_a_full_disk(config: Path) -> None:
    """A limit on the size of files stands in for the disk: what SQLite writes fails in the same way."""

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    told = as_program("check", "--json", "--config", config, preexec_fn=full)
    assert told.status == 1
    sentences = findings(told, "database", "wrong")
    assert any("Nothing can be written in" in one for one in sentences)
    assert any("disk of the database" in one for one in sentences)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="only root can mount a small disk")
def test_a_small_disk(check: Callable[[Path], Told], configured: Configured, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "amends-test", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        (disk / "filler").write_bytes(bytes(2**20 - 4096))
        told = check(configured(database={"url": f"sqlite:///{disk}/amends.db"}))
        assert told.status == 1
        sentences = findings(told, "database", "wrong")
        assert any("Only 0 MB are free" in one for one in sentences)
        assert any("Nothing can be written in" in one for one in sentences)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_store_on_a_network_file_system_is_refused(
    check: Callable[[Path], Told], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.checks.store.file_system_of", lambda _folder: "nfs4")
    told = check(config)
    assert told.status == 1
    assert "network file system (nfs4)" in findings(told, "database", "wrong")[0]


def test_a_network_file_system_is_known_by_the_mount_above_the_folder() -> None:
    mounts = [
        "41 40 0:41 / /srv/the\\040share/local rw - xfs /dev/sdb rw",
        r"40 21 0:40 / /srv/the\040share rw shared:7 - nfs4 server:/x rw",
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw",
    ]
    assert file_system_in(mounts, Path("/srv/the share/amends")) == "nfs4"
    assert file_system_in(mounts, Path("/srv/the share/local/amends")) == "xfs"
    assert file_system_in(mounts, Path("/srv/the shareholders")) == "ext4"


def test_a_store_that_is_newer_than_the_program(check: Callable[[Path], Told], config: Path, sqlite_url: str) -> None:
    import sqlite3

    store = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    store.execute("UPDATE alembic_version SET version_num = '9999'")
    store.commit()
    store.close()
    assert "newer than this program" in findings(check(config), "database", "wrong")[0]


def test_a_store_that_does_not_exist_is_a_warning_and_is_not_made(
    check: Callable[[Path], Told], configured: Configured, tmp_path: Path
) -> None:
    told = check(configured())
    assert told.status == 0
    assert "amendsd migrate" in findings(told, "database", "warning")[0]
    assert not (tmp_path / "amends.db").exists()


@pytest.mark.server("dovecot")
def test_history_in_the_inbox_before_the_first_start_is_warned_of(
    check: Callable[[Path], Told], configured: Configured, mailbox: Account
) -> None:
    mailbox.deliver_all([MAIL] * 30)
    told = check(configured(mailbox=[mailbox.section()]))
    assert any(
        "30 messages wait" in one and "set since" in one for one in findings(told, "mailbox complaints", "warning")
    )
    assert len(mailbox.uids()) == 30
    assert not any(mailbox.flags().values())


@pytest.mark.server("dovecot")
def test_mail_from_the_future_puts_the_clock_in_doubt(
    check: Callable[[Path], Told], configured: Configured, mailbox: Account
) -> None:
    mailbox.deliver(MAIL, at=datetime.now(UTC) + timedelta(hours=2))
    told = check(configured(mailbox=[mailbox.section()]))
    assert any("set this machine's clock" in one for one in findings(told, "mailbox complaints", "wrong"))


@pytest.mark.server("dovecot")
def test_an_inbox_that_does_not_exist(check: Callable[[Path], Told], configured: Configured, mailbox: Account) -> None:
    told = check(configured(mailbox=[mailbox.section(inbox="Complaints")]))
    (sentence,) = findings(told, "mailbox complaints", "wrong")
    assert "opening Complaints" in sentence
    assert "check host, port, security and the names of the folders" in sentence


def box(**changes: Any) -> dict[str, Any]:
    table = {"name": "complaints", "host": "127.0.0.1", "port": 1143, "security": "none"}
    return table | {"username": "us", "password": "secret"} | changes


def smtp_table(**changes: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": 1025, "security": "none", **changes}


class tls_listener:
    """A server that speaks TLS with this certificate, and nothing after it."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._port = free_port()
        self._process = subprocess.Popen(
            [
                *("openssl", "s_server", "-quiet", "-accept", str(self._port)),
                *("-cert", str(certificate), "-key", str(key)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> int:
        from tests.servers import until

        until(lambda: _listens(self._port), what="openssl s_server")
        return self._port

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(60)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
