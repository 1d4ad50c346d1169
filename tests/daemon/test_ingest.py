"""Mail from files goes through the same intake, whatever holds it, and may be taken in again."""

from __future__ import annotations

import mailbox as mailboxes
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from amends.kernel.errors import NotFound
from daemon import ingest as module
from daemon.ingest import MAILBOX, ingest, received_at
from daemon.reading.pool import ReadingPool
from daemon.reading.worker import Limits
from tests.builders import an_office, some_settings
from tests.daemon.intake.bench import Desk, a_complaint


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingPool]:
    settings = some_settings(tmp_path_factory.mktemp("pool"))
    pool = ReadingPool(settings, workers=2, limits=Limits(seconds=3.0), reader="tests.daemon.stand_in")
    yield pool
    pool.close()


@pytest.fixture
def desk(tmp_path: Path, pool: ReadingPool) -> Desk:
    return Desk(an_office(tmp_path), pool)


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    folder.mkdir()
    return folder


def take_in(desk: Desk, *paths: Path, letters: bool = True) -> module.Tally:
    return ingest(desk.office, desk.pool, paths, letters=letters)


def subjects(desk: Desk) -> list[str]:
    return sorted(desk.cases())


def test_files_and_folders_of_them(desk: Desk, mail: Path) -> None:
    (mail / "deep" / "er").mkdir(parents=True)
    (mail / "one.eml").write_bytes(a_complaint(1))
    (mail / "deep" / "er" / "two").write_bytes(a_complaint(2))
    (mail / ".hidden").write_bytes(a_complaint(3))
    (mail / "empty").touch()
    single = mail.parent / "single.eml"
    single.write_bytes(a_complaint(4))
    tally = take_in(desk, mail, single)
    assert subjects(desk) == ["complaint 1", "complaint 2", "complaint 4"]
    assert (tally.messages, tally.known, dict(tally.fates)) == (3, 0, {"filed": 3, "quarantined": 0})
    assert desk.acknowledgements() == 3


def test_a_maildir_with_its_folders(desk: Desk, mail: Path) -> None:
    maildir = mailboxes.Maildir(mail / "box")
    maildir.add(a_complaint(1))
    maildir.add_folder("Old").add(a_complaint(2))
    (mail / "box" / "tmp" / "half").write_bytes(a_complaint(3)[:40])
    (mail / "box" / "dovecot-uidlist").write_text("3 V1 N1\n")
    take_in(desk, mail)
    assert subjects(desk) == ["complaint 1", "complaint 2"]


def test_an_mbox_message_by_message_to_the_byte(desk: Desk, mail: Path) -> None:
    quoted = a_complaint(2, body="From here on it got worse.\r\n>From the start, in truth.\r\nFrom")
    bodies = [a_complaint(1), quoted, a_complaint(3, body="Hello\n\nFrom me to you\n")]
    path = mail / "old.mbox"
    path.write_bytes(
        b"".join(
            b"From ann@example.org Mon Mar  2 09:30:00 2026\n"
            + b"\n".join(b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in one.split(b"\n"))
            + b"\n"
            for one in (body.replace(b"\r\n", b"\n") for body in bodies)
        )
    )
    take_in(desk, path)
    assert subjects(desk) == ["complaint 1", "complaint 2", "complaint 3"]
    sizes = sorted(len(one.replace(b"\r\n", b"\n")) for one in bodies)
    assert sorted(row[0] for row in desk.rows("SELECT size FROM raws")) == sizes


def test_taking_it_in_again_changes_nothing(desk: Desk, mail: Path) -> None:
    for n in range(120):
        (mail / f"{n:03}").write_bytes(a_complaint(n))
    take_in(desk, mail)
    before = desk.rows("SELECT * FROM arrivals")
    again = take_in(desk, mail)
    assert (again.messages, again.known, +again.fates) == (120, 120, {})
    assert desk.rows("SELECT * FROM arrivals") == before and desk.acknowledgements() == 120


def test_what_an_ingest_that_was_cut_off_had_stored_is_filed_by_the_next(
    desk: Desk, mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(70):
        (mail / f"{n:03}").write_bytes(a_complaint(n))

    def ends(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.intake, "file", ends)
    with pytest.raises(KeyboardInterrupt):
        take_in(desk, mail)
    monkeypatch.undo()
    assert desk.states()["stored"] >= 50
    take_in(desk, mail)
    assert len(desk.cases()) == 70 and desk.states() == {"filed": 70}


def test_history_gets_no_letters(desk: Desk, mail: Path) -> None:
    (mail / "one").write_bytes(a_complaint(1))
    take_in(desk, mail, letters=False)
    assert desk.acknowledgements() == 0 and desk.rows("SELECT history FROM cases") == [(1,)]


def test_a_file_that_cannot_be_read_is_named_and_the_others_go_on(
    desk: Desk, mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mail / "a").write_bytes(a_complaint(1))
    (mail / "b").symlink_to(mail / "nowhere")
    (mail / "c").write_bytes(a_complaint(2))
    whole = Path.open

    def may_not(self: Path, *arguments: object, **named: object) -> object:
        if self.name == "a":
            raise PermissionError(13, "Permission denied")
        return whole(self, *arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", may_not)
    tally = take_in(desk, mail)
    assert tally.unread == [(mail / "a", "Permission denied")]
    assert subjects(desk) == ["complaint 2"]


def test_a_path_that_is_not_there_is_said_before_anything_is_done(desk: Desk, mail: Path) -> None:
    (mail / "one").write_bytes(a_complaint(1))
    with pytest.raises(NotFound, match="There is no file or folder"):
        take_in(desk, mail, mail / "two")
    assert desk.cases() == []


def test_too_large_a_message_is_set_aside_by_its_header(
    desk: Desk, mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MESSAGE_BYTES", 100_000)
    monkeypatch.setattr(module, "_HEADER_BYTES", 10_000)
    (mail / "one").write_bytes(a_complaint(1, body="x" * 200_000))
    (mail / "two.mbox").write_bytes(
        b"From ann@example.org Mon Mar  2 09:30:00 2026\n" + a_complaint(2, body="x\n" * 70_000) + b"\n"
    )
    tally = take_in(desk, mail)
    assert dict(tally.fates) == {"quarantined": 2}
    rows = desk.rows("SELECT mailbox, sender, subject FROM arrivals ORDER BY id")
    assert rows == [(MAILBOX, f"ann{n}@example.org", f"complaint {n}") for n in (1, 2)]


def test_progress_runs_from_nothing_to_all(desk: Desk, mail: Path) -> None:
    for n in range(60):
        (mail / f"{n:03}").write_bytes(a_complaint(n))
    seen: list[tuple[int, int]] = []
    ingest(desk.office, desk.pool, [mail], letters=True, progress=lambda done, total: seen.append((done, total)))
    total = sum(path.stat().st_size for path in mail.iterdir())
    assert seen[0] == (0, total) and seen[-1] == (total, total) and len(seen) >= 4 and seen == sorted(seen)


FALLBACK = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            b"Received: from a by us; Mon, 2 Mar 2026 10:00:00 +0100\r\nReceived: from b by a; "
            b"Sun, 1 Mar 2026 10:00:00 +0000\r\nDate: Sat, 28 Feb 2026 10:00:00 +0000",
            datetime(2026, 3, 2, 9, tzinfo=UTC),
        ),
        (b"Received: from a\r\n by us;\r\n\tMon, 2 Mar 2026 10:00:00 -0000", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        (
            b"Received: from a by us; at noon\r\nDate: Sat, 28 Feb 2026 10:00:00 +0000",
            datetime(2026, 2, 28, 10, tzinfo=UTC),
        ),
        (b"Subject: no date\r\n\r\nDate: Sat, 28 Feb 2026 10:00:00 +0000", FALLBACK),
        (b"Date: Sat, 28 Feb 99999 10:00:00 +0000", FALLBACK),
        (b"Date: " + b"1" * 5000, FALLBACK),
        (b"", FALLBACK),
    ],
)
def test_the_receipt_of_a_file_is_its_topmost_received_field(headers: bytes, expected: datetime) -> None:
    assert received_at(headers + b"\r\n\r\nText", otherwise=FALLBACK) == expected


def test_a_receipt_in_the_future_is_now_and_without_any_date_the_file_tells(desk: Desk, mail: Path) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=400)).strftime("%a, %d %b %Y %H:%M:%S +0000")
    (mail / "a").write_bytes(a_complaint(1, headers=f"Date: {ahead}\r\n"))
    (mail / "b").write_bytes(a_complaint(2))
    os.utime(mail / "b", (1_700_000_000, 1_700_000_000))
    take_in(desk, mail)
    first, second = (str(row[0]) for row in desk.rows("SELECT received_at FROM arrivals ORDER BY id"))
    assert first[:10] == datetime.now(UTC).strftime("%Y-%m-%d")
    assert second[:10] == "2023-11-14"
