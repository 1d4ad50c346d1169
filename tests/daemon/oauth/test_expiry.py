"""The end of a client secret is told 30, 7 and 1 days before, and from its day on."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from daemon.oauth.expiry import sentence, stage

END = date(2027, 3, 1)


@pytest.mark.parametrize(
    ("days_before", "told"),
    [(400, None), (31, None), (30, 30), (8, 30), (7, 7), (2, 7), (1, 1), (0, 0), (-5, 0)],
)
def test_each_warning_falls_due_on_its_day_and_stands_until_the_next(days_before, told):
    assert stage(END, today=END - timedelta(days=days_before)) == told


def test_the_sentence_says_when_and_what_to_do():
    assert sentence(END, today=date(2027, 2, 22)).startswith("The client secret ends in 7 days, on 2027-03-01; make a")
    assert "ends in 1 day, on" in sentence(END, today=date(2027, 2, 28))
    assert "has ended on 2027-03-01" in sentence(END, today=date(2027, 3, 2))
