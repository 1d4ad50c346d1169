"""What a mail says is what a handler reads, to the letter and to the byte: scenarios 15 to 17 and 20."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from amends.kernel.errors import AmendsError
from tests.scenarios.town import FILED, Town, mail
from tui.saving import save_attachment

pytestmark = pytest.mark.server("dovecot")

EDITH = "edith@example.org"
PRICE = "Montréal £20"


@pytest.mark.parametrize(
    "declared", ["text/plain; charset=iso-8859-1", "text/plain; charset=us-ascii", "text/plain", ""]
)
def test_scenario_15_eight_bit_latin_is_read_as_it_was_written_and_kept_as_it_came(town: Town, declared: str) -> None:
    """Also where its charset is told wrongly, or not at all."""
    raw = mail(f"I paid {PRICE} for nothing.".encode("latin-1"), Content_Type=declared)
    town.deliver(raw)
    with town.at_work():
        town.until_quiet()
    first = town.case_of(EDITH).messages[0]
    assert first.text.strip() == first.new_text == f"I paid {PRICE} for nothing."
    assert town.bytes_of(first) == raw
    assert raw in town.box.raws(FILED), "and so has the server"


def test_scenario_16_backslashes_survive(town: Town) -> None:
    words = "I saved it in C:\\temp\\new\\r\\x41\\u0041\\0 and on \\\\server\\share, 100% {sure} $1."
    town.deliver(mail(words, subject="C:\\temp\\new \\1"))
    with town.at_work():
        town.until_quiet()
    case = town.case_of(EDITH)
    assert (case.messages[0].new_text, case.row.subject) == (words, "C:\\temp\\new \\1")
    with town.at_work():
        town.write(case, words)
        town.until_quiet()
    reply = town.letters_to(EDITH)[-1].message.get_body(("plain",))
    assert reply is not None and words in reply.get_content()


HTML = "<html><body><p>The <b>boiler</b> is broken.</p><script>alert(1)</script></body></html>"
UNUSUAL = {
    "only HTML": (HTML, {"Content-Type": "text/html; charset=utf-8"}),
    "no subject": ("The boiler is broken.", {"subject": ""}),
    "no Message-ID": ("The boiler is broken.", {"Message-ID": ""}),
    "no date": ("The boiler is broken.", {"Date": ""}),
    "a date to come": ("The boiler is broken.", {"Date": "Fri, 13 Nov 2099 10:00:00 +0000"}),
    "a date that is none": ("The boiler is broken.", {"Date": "yesterday"}),
    "none of them": ("The boiler is broken.", {"subject": "", "Message-ID": "", "Date": "", "MIME-Version": ""}),
}


@pytest.mark.parametrize("how", UNUSUAL)
def test_scenario_17_what_lacks_a_field_or_is_only_html_is_a_case_from_its_receipt(town: Town, how: str) -> None:
    words, fields = UNUSUAL[how]
    received = datetime(2024, 3, 1, 15, 30, tzinfo=UTC)
    town.deliver(mail(words, **fields), at=received)
    with town.at_work():
        town.until_quiet()
    case = town.case_of(EDITH)
    assert case.messages[0].new_text == "The boiler is broken."
    assert case.row.received_at == case.messages[0].at == received
    [response] = [deadline for deadline in case.deadlines if deadline.kind == "response"]
    assert response.due_date == "2024-04-02", "twenty working days, with Easter in between"
    assert len(town.letters_to(EDITH)) == 1 and case.row.stage == "acknowledged"


LONG = "a" * 300 + ".pdf"
NAMES = (
    'filename="photo.jpg"',
    'filename="photo.jpg"',
    'filename=""',
    "",
    f'filename="{LONG}"',
    "filename*0*=utf-8''B%C3%BC;\r\n filename*1*=cher%20und;\r\n filename*2=\" more.txt\"",
    'filename="../../../etc/passwd"',
    'filename="/etc/cron.d/evil"',
    'filename="C:\\\\Windows\\\\System32\\\\run.exe"',
    'filename=".bashrc"',
    'filename="=?utf-8?b?4oCuZ3BqLmV4ZQ==?="',
)
CONTENTS = [f"#!/bin/sh\necho number {n}\n".encode() for n in range(len(NAMES))]


def _with_files() -> bytes:
    parts = ["--b\r\nContent-Type: text/plain\r\n\r\nSee the files.\r\n"]
    for name, content in zip(NAMES, CONTENTS, strict=True):
        disposition = f"attachment; {name}" if name else "attachment"
        parts.append(
            f"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: {disposition}\r\n"
            f"Content-Transfer-Encoding: base64\r\n\r\n{_base64(content)}\r\n"
        )
    body = "".join(parts) + "--b--\r\n"
    return mail(body.encode(), Content_Type='multipart/mixed; boundary="b"', Content_Transfer_Encoding="")


def _base64(content: bytes) -> str:
    from base64 import b64encode

    return b64encode(content).decode()


def test_scenario_20_files_of_any_name_are_kept_and_saved_harmless_and_as_they_came(town: Town, tmp_path: Path) -> None:
    town.deliver(_with_files())
    with town.at_work():
        town.until_quiet()
    message = town.case_of(EDITH).messages[0]
    assert [one.sha256 for one in message.attachments] == [hashlib.sha256(content).hexdigest() for content in CONTENTS]
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    saved = [save_attachment(town.desk, message.id, one, folder) for one in message.attachments]
    assert [path.read_bytes() for path in saved] == CONTENTS
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in saved), "none over another"
    assert list((tmp_path / "outer").iterdir()) == [folder], "none beside the folder"
    for path in saved:
        assert path.parent == folder and path.is_file() and path.stat().st_mode & 0o777 == 0o600, "never to be run"
        assert path.name.isprintable() and not path.name.startswith(".") and len(path.name.encode()) <= 255
    assert "Bücher und more.txt" in {path.name for path in saved}


def test_scenario_20_a_file_that_is_not_what_was_filed_is_not_handed_out(town: Town, tmp_path: Path) -> None:
    town.deliver(_with_files())
    with town.at_work():
        town.until_quiet()
    with town.desk.book.write() as session:
        session.connection().execute(text("UPDATE attachments SET sha256 = :other"), {"other": "0" * 64})
    message = town.case_of(EDITH).messages[0]
    with pytest.raises(AmendsError, match="not found in the message as it came"):
        save_attachment(town.desk, message.id, message.attachments[0], tmp_path)
