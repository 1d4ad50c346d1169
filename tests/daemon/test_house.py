"""What would stop a letter later stops the start, with words that say what to change."""

from __future__ import annotations

import pytest

from amends.kernel.errors import ConfigError, TryLater
from daemon import house
from daemon.house import require_whole
from daemon.reading.pool import ReadingPool
from daemon.supervision.bell import Bell
from daemon.supervision.systemd import Systemd
from daemon.supervision.witness import Witness
from tests.builders import an_office


@pytest.mark.parametrize(
    ("local", "fits"), [("complaints.and.feedback", True), ("complaints.and.feedback.of.the.council", False)]
)
def test_an_address_too_long_for_any_token_is_refused_at_the_start(tmp_path, local, fits):
    office = an_office(tmp_path, organisation={"address": f"{local}@northwind.example"})
    if fits:
        require_whole(office)
    else:
        with pytest.raises(ConfigError, match="too long before the @"):
            require_whole(office)
    office.book.close()


def test_a_database_that_goes_away_in_the_middle_of_the_start_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(house, "pause_after", lambda failures, *, spread: 0.0)
    office, bell, goes_away = an_office(tmp_path), Bell(), [True]

    def check(witness: Witness) -> bool:
        if goes_away.pop():
            goes_away.append(False)
            raise TryLater("The database went away.")
        return False

    monkeypatch.setattr(Witness, "check", check)
    pool = ReadingPool(office.settings)
    duties = house._begin(office, pool, Systemd(), bell)
    assert {duty.name for duty in duties or ()} == {"outbox", "clock", "self-check"} and not goes_away
    pool.close()
    bell.close()
    office.book.close()
