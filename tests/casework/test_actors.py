"""Who may act, and whose word is wanted."""

from __future__ import annotations

from datetime import date

import pytest

from amends.casework import handling, moretime
from amends.casework.actors import SYSTEM, identify, missing_supervisor
from amends.kernel.errors import Refused
from tests.builders import AMARA, HANDLERS, NOW, an_office, open_case, some_settings


def test_a_person_cannot_act_under_the_daemons_name(tmp_path):
    with pytest.raises(Refused, match="--as LOGIN"):
        identify(some_settings(tmp_path), SYSTEM.login)


def test_a_pack_that_wants_a_supervisors_word_needs_one_among_the_handlers(tmp_path):
    amara = HANDLERS[0]
    alone = an_office(tmp_path, handler=[amara], policy={"pack": "uk-housing-ombudsman-2024"})
    packs = alone.packs_at(NOW)
    told = missing_supervisor(alone.settings, packs)
    assert told is not None and told.startswith("More time or a pause for s1_response of uk-housing-ombudsman-2024")
    assert told.endswith('no [[handler]] has role = "supervisor", so nobody can give it; give that role to one.')
    assert missing_supervisor(some_settings(tmp_path), packs) is None
    assert missing_supervisor(some_settings(tmp_path, handler=[]), packs) is None
    assert missing_supervisor(alone.settings, an_office(tmp_path).packs_at(NOW)) is None
    case_id = open_case(alone)
    handling.record_event(alone, case_id, "s1_acknowledgement", actor=AMARA, now=NOW)
    with pytest.raises(Refused, match=r'nobody is one, so let the operator give a .* role = "supervisor"'):
        moretime.extend(alone, case_id, "s1_response", date(2026, 12, 10), "x", actor=AMARA, now=NOW)
