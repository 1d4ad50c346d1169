"""`amendsd verify` on a store that somebody wrote into by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from amends.casework.office import Office
from tests.builders import a_mail, file_mail
from tests.daemon.cli.conftest import Told

Run = Callable[..., Told]


def test_verify_names_what_cannot_be_read_and_goes_on(amendsd: Run, config: Path, office: Office) -> None:
    first, second = (file_mail(office, a_mail()).reference for _ in range(2))
    with office.book.write() as session:
        session.connection().execute(text("UPDATE deadlines SET due_at = 'garbage' WHERE case_id = 1 AND id = 1"))
        session.connection().execute(text("UPDATE cases SET stage = 'closed' WHERE id = 2"))
    told = amendsd("verify", "--config", config)
    assert told.status == 1
    assert f"wrong  row 1 of deadlines in case {first} cannot be read (due_at)\n" in told.out
    assert f"wrong  {second}: the ledger says stage" in told.out
    assert "not intact" in told.sentence
