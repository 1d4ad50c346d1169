"""An old copy in the place of the store is found out at the next start."""

from __future__ import annotations

import shutil
from pathlib import Path

from pytest import MonkeyPatch, raises

from amends.casework import doubts, restored
from amends.casework.office import Office, write_meta
from amends.ledger.book import Book
from daemon.supervision.witness import ENDING, Witness
from tests.builders import NOW, a_mail, an_office, file_mail


def reopened(office: Office) -> Office:
    office.book.close()
    return Office(office.settings, Book(office.book.url))


def in_doubt(office: Office) -> bool:
    with office.book.read() as session:
        return doubts.why_held(session) is not None


def test_a_store_that_goes_on_is_in_no_doubt(tmp_path: Path) -> None:
    office = an_office(tmp_path)
    assert not Witness(office).check()
    Witness(office).keep()
    Witness(office).keep()
    assert not Witness(reopened(office)).check() and not in_doubt(office)
    assert (tmp_path / f"amends.db{ENDING}").stat().st_mode & 0o777 == 0o600


def test_an_old_copy_in_its_place_holds_the_letters_until_an_operator_says_so(tmp_path: Path) -> None:
    office = an_office(tmp_path)
    file_mail(office, a_mail(), now=NOW)
    Witness(office).keep()
    office.book.close()
    path = office.book.path
    assert path is not None
    shutil.copy(path, tmp_path / "old.db")
    Witness(office).keep()
    office.book.close()
    shutil.copy(tmp_path / "old.db", path)
    old = reopened(office)
    assert Witness(old).check() and in_doubt(old)
    with old.book.read() as session:
        assert session.connection().exec_driver_sql("SELECT state FROM letters").scalar() == "uncertain"
    Witness(old).keep()
    restored.release(old)
    assert not Witness(reopened(old)).check() and not in_doubt(old)


def test_who_is_killed_while_an_old_store_is_held_finds_it_out_again(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    office = an_office(tmp_path)
    file_mail(office, a_mail(), now=NOW)
    witness = Witness(office)
    witness.keep()
    with office.book.write() as session:
        write_meta(session, restored.GENERATION, "0")
    with monkeypatch.context() as patched:
        patched.setattr(restored, "doubt_all", _killed)
        with raises(SystemExit):
            witness.check()
    assert Witness(reopened(office)).check()
    with office.book.read() as session:
        assert session.connection().exec_driver_sql("SELECT state FROM letters").scalar() == "uncertain"


def _killed(*_: object, **__: object) -> int:
    raise SystemExit


def test_a_store_that_was_restored_by_command_is_not_doubted_twice(tmp_path: Path) -> None:
    office = an_office(tmp_path)
    for _ in range(3):
        Witness(office).keep()
    restored.hold(office, now=NOW)
    restored.release(office)
    assert not Witness(office).check() and not in_doubt(office)
    Witness(office).keep()
    assert not Witness(office).check()


def test_the_file_of_another_store_and_one_that_cannot_be_read_say_nothing(tmp_path: Path) -> None:
    office = an_office(tmp_path)
    file = tmp_path / f"amends.db{ENDING}"
    ours = Witness(office)._store()
    endless = f'{{"store": "{ours}", "generation": Infinity}}'
    for content in ('{"store": "other", "generation": 99}', "nonsense", "[]", endless, "[" * 100_000):
        file.write_text(content)
        assert not Witness(office).check()
