"""The watch on the store, where ids are given out before the commits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.casework import handling
from amends.casework.casefile import CaseFile
from tests.builders import AMARA, NOW, a_mail, an_office, open_case
from tui.desk import Desk
from tui.pulse import MISSED, Pulse


@pytest.fixture
def office(tmp_path, postgres_url):
    opened = an_office(tmp_path, url=postgres_url)
    yield opened
    opened.book.close()


@pytest.mark.server("postgres")
@pytest.mark.parametrize("begun", ["before the first look", "between two looks"])
def test_a_case_whose_change_is_committed_late_is_told_once(office, begun):
    slow, quick = (open_case(office, a_mail(sender=f"{name}@example.org")) for name in "ab")
    news = []
    pulse = Pulse(Desk(office, AMARA), news.append)
    if begun == "between two looks":
        pulse._look(NOW)
    with office.book.write() as session:
        file = CaseFile.open(office, session, slow, actor=AMARA, now=NOW)
        file.record("resumed", waited="nobody", because="by hand")
        file.save()
        handling.note(office, quick, "committed first", actor=AMARA, now=NOW)
        pulse._look(NOW)
    seen = len(news)
    pulse._look(NOW)
    pulse._look(NOW)
    assert [set(one.cases) for one in news[seen:]] == [{slow}, set()]
    pulse._look(NOW + MISSED + timedelta(seconds=1))
    assert pulse._missing == {}
