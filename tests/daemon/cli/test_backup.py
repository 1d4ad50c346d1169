"""`amendsd backup` and `restore`: nothing is called good that is not, and no letter is sent twice after a restore."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from amends.casework import duty, post
from amends.casework.doubts import why_held
from amends.casework.office import Office, open_office
from amends.config import load
from amends.ledger import views
from tests.builders import NOW, a_mail, case_of, file_mail, later, post_all
from tests.daemon.cli.conftest import Told

Run = Callable[..., Told]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "copy.db"


@pytest.fixture(autouse=True)
def _folder(copy: Path) -> None:
    copy.parent.mkdir()


@pytest.fixture
def reopened(config: Path) -> Iterator[Callable[[], Office]]:
    """An office on the store as it stands now."""
    opened: list[Office] = []

    def again() -> Office:
        opened.append(open_office(load(config)))
        return opened[-1]

    yield again
    for office in opened:
        office.book.close()


def state_of_letters(office: Office) -> list[str]:
    with office.book.read() as session:
        return [letter.state for letter in views.outbox(session)]


def test_a_backup_is_private_complete_and_verified(amendsd: Run, config: Path, office: Office, copy: Path) -> None:
    file_mail(office, a_mail())
    told = amendsd("backup", copy, "--config", config)
    assert (told.status, told.err) == (0, "")
    assert told.out.startswith(f"{copy}: 1 case, ")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [one.name for one in copy.parent.iterdir()] == ["copy.db"]
    root = amendsd("verify", "--json", "--config", config).json["root"]
    assert root in told.out


def test_a_backup_while_mail_is_filed_is_consistent(amendsd: Run, config: Path, office: Office, copy: Path) -> None:
    stop = threading.Event()
    filed: list[object] = []

    def keep_filing() -> None:
        own = open_office(load(config))
        while not stop.is_set():
            filed.append(file_mail(own, a_mail(sender=f"person{len(filed)}@example.org"), now=NOW))
        own.book.close()

    writer = threading.Thread(target=keep_filing)
    writer.start()
    try:
        for number in range(5):
            assert amendsd("backup", copy.with_name(f"{number}.db"), "--config", config).status == 0
    finally:
        stop.set()
        writer.join()
    assert len(filed) > 1
    assert amendsd("verify", "--config", config).status == 0


def test_a_backup_never_overwrites_a_file(amendsd: Run, config: Path, copy: Path) -> None:
    copy.write_text("an older backup")
    told = amendsd("backup", copy, "--config", config)
    assert told.status == 1
    assert "a backup never overwrites another" in told.sentence
    assert copy.read_text() == "an older backup"


def test_a_backup_into_a_folder_that_is_not_there_is_one_sentence(amendsd: Run, config: Path, copy: Path) -> None:
    told = amendsd("backup", copy.parent / "nowhere" / "copy.db", "--config", config)
    assert told.status == 1
    assert "cannot be made: No such file or directory" in told.sentence


def test_a_backup_of_altered_history_is_kept_and_said(amendsd: Run, config: Path, office: Office, copy: Path) -> None:
    file_mail(office, a_mail())
    with office.book.write() as session:
        session.connection().execute(text("UPDATE cases SET stage = 'closed'"))
    told = amendsd("backup", copy, "--config", config)
    assert told.status == 1
    assert "not intact" in told.sentence
    assert copy.exists()


def test_a_restore_brings_back_the_cases_and_sets_aside_what_stood_there(
    amendsd: Run, config: Path, office: Office, copy: Path, reopened: Callable[[], Office]
) -> None:
    first = file_mail(office, a_mail())
    amendsd("backup", copy, "--config", config)
    file_mail(office, a_mail(sender="mo@example.org"))
    office.book.close()
    refused = amendsd("restore", copy, "--config", config)
    assert refused.status == 1
    assert "--force" in refused.sentence
    told = amendsd("restore", copy, "--force", "--config", config)
    assert (told.status, told.err) == (0, "")
    assert case_of(reopened(), first.reference).events
    assert amendsd("verify", "--json", "--config", config).json["cases"] == 1
    store = config.parent / "amends.db"
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    (aside,) = config.parent.glob("amends.db.before-restore-*[Z]")
    assert sqlite3.connect(aside).execute("SELECT count(*) FROM cases").fetchone() == (2,)
    assert copy.exists()


def test_what_sqlite_kept_beside_the_old_store_is_set_aside_with_it(
    amendsd: Run, config: Path, office: Office, copy: Path
) -> None:
    """A journal or WAL of another database, left beside the restored one, would be played into it."""
    amendsd("backup", copy, "--config", config)
    office.book.close()
    (config.parent / "amends.db").unlink()
    (config.parent / "amends.db-wal").write_bytes(b"pages of a former life")
    assert amendsd("restore", copy, "--config", config).status == 0
    (aside,) = config.parent.glob("amends.db.before-restore-*-wal")
    assert aside.read_bytes() == b"pages of a former life"
    assert not (config.parent / "amends.db-wal").exists()


def test_after_a_restore_no_letter_leaves_until_somebody_says_so(
    amendsd: Run, config: Path, office: Office, copy: Path, reopened: Callable[[], Office]
) -> None:
    file_mail(office, a_mail())
    amendsd("backup", copy, "--config", config)
    assert len(post_all(office)) == 1  # it went out after the backup: the restored store does not know
    office.book.close()
    told = amendsd("restore", copy, "--force", "--config", config)
    assert "1 letters that had not left by then are uncertain now" in told.out
    restored = reopened()
    assert state_of_letters(restored) == ["uncertain"]
    assert post.settle_uncertain(restored, last_complete_poll=later(days=2), now=later(days=2)) == 0
    file_mail(restored, a_mail(sender="mo@example.org"), now=later(hours=1))
    assert post.claim(restored, "test", by_hand_only=True, now=later(hours=2)) == []
    with restored.book.read() as session:
        assert "amendsd restore --release" in str(why_held(session))
    released = amendsd("restore", "--release", "--config", config)
    assert (released.status, released.out) == (0, "Automatic letters leave again; 1 wait.\n")
    with restored.book.read() as session:
        assert why_held(session) is None
    assert amendsd("verify", "--config", config).status == 0
    assert amendsd("restore", "--release", "--config", config).status == 1


def test_a_store_that_a_daemon_works_on_is_not_replaced_even_by_force(
    amendsd: Run, config: Path, office: Office, copy: Path
) -> None:
    amendsd("backup", copy, "--config", config)
    duty.report(office, "clock", "running", now=office.wall())
    told = amendsd("restore", copy, "--force", "--config", config)
    assert told.status == 1
    assert "systemctl stop amendsd" in told.sentence
    duty.report(office, "clock", "running", now=office.wall() - timedelta(minutes=3))
    office.book.close()
    assert amendsd("restore", copy, "--force", "--config", config).status == 0


def test_a_restore_into_an_empty_place_needs_no_force(amendsd: Run, config: Path, office: Office, copy: Path) -> None:
    amendsd("backup", copy, "--config", config)
    office.book.close()
    for file in config.parent.glob("amends.db*"):
        file.unlink()
    assert amendsd("restore", copy, "--config", config).status == 0


def test_a_restore_over_a_destroyed_store(amendsd: Run, config: Path, office: Office, copy: Path) -> None:
    file_mail(office, a_mail())
    amendsd("backup", copy, "--config", config)
    office.book.close()
    store = config.parent / "amends.db"
    store.write_bytes(b"the disk made this up" * 1000)
    assert amendsd("restore", copy, "--force", "--config", config).status == 0
    assert amendsd("verify", "--json", "--config", config).json["cases"] == 1


@pytest.mark.parametrize("what", ["missing", "no database", "damaged", "another database"])
def test_a_restore_of_what_is_no_sound_backup_changes_nothing(
    what: str, amendsd: Run, config: Path, office: Office, copy: Path
) -> None:
    file_mail(office, a_mail())
    amendsd("backup", copy, "--config", config)
    office.book.close()
    store = config.parent / "amends.db"
    before = store.read_bytes()
    if what == "missing":
        copy.unlink()
    elif what == "no database":
        copy.write_bytes(b"hello" * 1000)
    elif what == "damaged":
        pages = bytearray(copy.read_bytes())
        pages[4096 * 3 : 4096 * 8] = bytes(4096 * 5)
        copy.write_bytes(pages)
    else:
        copy.unlink()
        other = sqlite3.connect(copy)
        other.execute("CREATE TABLE songs (name TEXT)")
        other.commit()
        other.close()
    told = amendsd("restore", copy, "--force", "--config", config)
    assert told.status == 1
    assert told.sentence
    if what in ("no database", "another database"):
        assert "is no backup of Amends; name " in told.sentence
    assert store.read_bytes() == before
    assert not list(config.parent.glob(".amends.db*"))


def test_restore_wants_one_thing_at_a_time(amendsd: Run, config: Path) -> None:
    assert amendsd("restore", "--config", config).status == 2
    assert amendsd("restore", "x", "--release", "--config", config).status == 2


@pytest.mark.server("postgres")
def test_on_postgresql_they_name_its_own_programs_and_hold_the_letters(
    amendsd: Run, configured: Callable[..., Path], postgres_url: str, copy: Path
) -> None:
    config = configured(database={"url": postgres_url})
    assert "pg_dump" in amendsd("backup", copy, "--config", config).sentence
    assert "pg_restore" in amendsd("restore", copy, "--config", config).sentence
    assert amendsd("restore", "--hold", "--config", config).status == 0
    assert amendsd("restore", "--release", "--config", config).status == 0


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_a_backup_onto_a_full_disk_is_one_sentence_and_leaves_nothing(config: Path, office: Office, copy: Path) -> None:
    from tests.daemon.cli.conftest import as_program

    office.book.close()
    told = as_program("backup", copy, "--config", config, before=["prlimit", "--fsize=65536"])
    assert told.status == 1
    assert told.sentence
    assert list(copy.parent.iterdir()) == []
