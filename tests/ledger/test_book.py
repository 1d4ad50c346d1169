"""What the store says of its own trouble."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from amends.kernel.errors import NeedsOperator, TryLater
from amends.ledger.book import _translated

errors = pytest.importorskip("psycopg.errors")

FULL = 'could not extend file "base/16384/16397": No space left on device\nHINT:  Check free disk space.'


@pytest.mark.parametrize(
    ("fault", "trouble", "words"),
    [
        (OperationalError("INSERT", {}, errors.DiskFull(FULL)), NeedsOperator, "disk of the database is full"),
        (ProgrammingError("SELECT", {}, errors.UndefinedTable("relation is missing")), NeedsOperator, "run: amendsd"),
        (OperationalError("SELECT", {}, errors.AdminShutdown("going down")), TryLater, "did not answer: going down"),
    ],
)
def test_what_postgresql_says_is_told_to_whom_it_concerns(fault, trouble, words):
    with pytest.raises(trouble, match=words), _translated():
        raise fault
