"""What would stop a letter later stops the start, with words that say what to change."""

from __future__ import annotations

import pytest

from amends.kernel.errors import ConfigError
from daemon.house import require_whole
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
