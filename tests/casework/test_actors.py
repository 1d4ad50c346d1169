"""Nobody signs as the daemon."""

from __future__ import annotations

import pytest

from amends.casework.actors import SYSTEM, identify
from amends.kernel.errors import Refused
from tests.builders import some_settings


def test_a_person_cannot_act_under_the_daemons_name(tmp_path):
    with pytest.raises(Refused, match="--as LOGIN"):
        identify(some_settings(tmp_path), SYSTEM.login)
