"""Attachments leave the store as new private files, whatever their senders called them."""

from __future__ import annotations

import hashlib
from email.message import EmailMessage

import pytest
from sqlalchemy import text

from amends.casework import intake
from amends.kernel.instants import wall_clock
from amends.mail.read import read

PHOTO = bytes(range(256)) * 40


@pytest.fixture
def ref(office):
    """A case with three attachments: two of one name, and one with a name that wants out."""
    mail = EmailMessage()
    mail["From"], mail["To"] = "Edith <edith@example.org>", "complaints@northwind.example"
    mail["Subject"], mail["Message-ID"] = "Photographs", "<photos@example.org>"
    mail.set_content("See the photographs.")
    for name, data in (("boiler.jpg", PHOTO), ("boiler.jpg", b"other"), ("../../.ssh/authorized_keys", b"evil")):
        mail.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    now, raw = wall_clock(), mail.as_bytes()
    (stored,) = intake.store(office, [intake.Incoming("complaints", 1, 1, raw, now)], now=now)
    (filed,) = intake.file(office, [(stored.arrival_id, read(raw))], now=now)
    return filed.reference


def test_an_attachment_is_saved_as_it_came_and_only_for_its_owner(shell, ref, tmp_path):
    said = shell("save", ref, "1", "--to", str(tmp_path))
    assert (said.status, said.out) == (0, f"Saved as {tmp_path / 'boiler.jpg'}.\n")
    path = tmp_path / "boiler.jpg"
    assert path.read_bytes() == PHOTO and path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_over_and_no_link_is_followed(shell, ref, tmp_path):
    (tmp_path / "boiler.jpg").write_text("mine")
    (tmp_path / "boiler (2).jpg").symlink_to(tmp_path / "elsewhere")
    assert shell("save", ref, "2", "--to", str(tmp_path)).status == 0
    assert (tmp_path / "boiler.jpg").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "boiler (3).jpg").read_bytes() == b"other"


def test_a_name_stays_in_the_folder_and_hides_nothing(shell, ref, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    assert shell("save", ref, "3", "--to", str(inner)).status == 0
    assert [path.name for path in inner.iterdir()] == ["authorized_keys"]


def test_what_is_not_there_is_one_sentence(shell, ref, tmp_path):
    missing = shell("save", ref, "4", "--to", str(tmp_path))
    assert missing.status == 1 and "has no attachment 4; it has 3" in missing.err
    nowhere = shell("save", ref, "1", "--to", str(tmp_path / "none"))
    assert nowhere.status == 1 and "name a folder that is there" in nowhere.err


def test_an_attachment_that_is_not_what_was_filed_is_not_handed_out(shell, office, ref, tmp_path):
    forged = hashlib.sha256(b"forged").hexdigest()
    with office.book.write() as session:
        session.connection().execute(text("UPDATE attachments SET sha256 = :forged"), {"forged": forged})
    said = shell("save", ref, "1", "--to", str(tmp_path))
    assert said.status == 1 and "is not found in the message as it came" in said.err
    assert not (tmp_path / "boiler.jpg").exists()
