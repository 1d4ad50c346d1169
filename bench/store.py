"""A store with ten thousand open cases, filed and acknowledged by the same verbs as the daemon's."""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event

from amends.casework import intake, post
from amends.casework.office import Office
from tests.builders import a_mail, an_office, bytes_of

CASES: Final = 10_000
_BATCH: Final = 200


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="amends-bench-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    office = an_office(folder, smtp={"plus_addressing": False})
    event.listen(office.book.engine, "connect", _in_haste)
    for start in range(0, CASES, _BATCH):
        _file(office, range(start, start + _BATCH))
        _post(office)
    office.book.close()
    return folder


def _in_haste(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")  # if the power goes, the measurement has gone anyway


def _file(office: Office, numbers: range) -> None:
    dice, now = random.Random(numbers.start), office.now()
    mails = [
        a_mail(
            sender=f"writer{number}@people.example",
            name=f"Writer {number}",
            subject=f"Number {number}: no heating in the back bedroom since {dice.choice(('Friday', 'October'))}",
            text="I have rung three times and nobody has come.\n" * dice.randint(3, 20),
            date=now,
        )
        for number in numbers
    ]
    # Within three days: no deadline falls due while somebody measures.
    received = [now - timedelta(minutes=dice.randint(1, 3 * 24 * 60)) for _ in mails]
    stored = intake.store(
        office,
        [
            intake.Incoming("complaints", 1, number + 1, bytes_of(mail), at)
            for number, mail, at in zip(numbers, mails, received, strict=True)
        ],
        now=now,
    )
    filed = intake.file(office, [(one.arrival_id, mail) for one, mail in zip(stored, mails, strict=True)], now=now)
    assert all(one.state == "filed" for one in filed)
    intake.mark_moved(office, "complaints", 1, [number + 1 for number in numbers], now=now)


def _post(office: Office) -> None:
    now = office.now()
    while claimed := post.claim(office, "bench", limit=_BATCH, now=now):
        done = [post.Carried(letter.letter_id, post.Accepted("250 2.0.0 Ok")) for letter in claimed]
        post.record(office, "bench", done, now=now)


def a_full_store(folder: Path) -> None:
    """Put a copy of the store into `folder`, as amends.db.  The first call makes it, which takes a minute."""
    for path in _template().glob("amends.db*"):
        shutil.copy(path, folder / path.name)
