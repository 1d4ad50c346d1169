"""An incident is told once, and once more only where it was over by itself and came back."""

from __future__ import annotations

from pathlib import Path

import pytest

from amends.casework import incidents, reconciling
from amends.casework.office import Office
from amends.casework.reconciling import Place, Reconciled, Seen
from tests.builders import NOW, an_office


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Office:
    return an_office(tmp_path, url=database_url)


def compared(office: Office, *without_fate: int) -> list[str]:
    """The sentences that are new."""
    verdict = Reconciled("complaints", NOW, (Place("INBOX", 1, 9, without_fate=without_fate),))
    return reconciling.keep(office, verdict, Seen(1, 10), now=NOW)


def open_ones(office: Office) -> int:
    with office.book.read() as session:
        return len(incidents.open_incidents(session))


def test_what_was_over_by_itself_and_is_there_again_is_told_again(office: Office) -> None:
    assert len(compared(office, 5)) == 1 and compared(office, 5) == [] and open_ones(office) == 1
    assert compared(office) == [] and open_ones(office) == 0
    assert len(compared(office, 5)) == 1 and open_ones(office) == 1


def test_what_an_operator_settled_is_not_told_again(office: Office) -> None:
    compared(office, 5)
    assert incidents.settle(office, "the spam filter", now=NOW) == 1
    assert compared(office, 5) == [] and open_ones(office) == 0
