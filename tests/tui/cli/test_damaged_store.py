"""A store that somebody wrote into by hand: one sentence, and what can be read is still shown."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from amends.kernel.instants import wall_clock
from tests.builders import a_mail, file_mail

RUN_VERIFY = "cannot be read; run: amendsd verify\n"


@pytest.fixture
def cases(office):
    """Two cases; the first cannot be read."""
    first, second = (file_mail(office, a_mail(), now=wall_clock()).reference for _ in range(2))
    doctor(office, f"UPDATE cases SET next_due_at = 'garbage' WHERE reference = '{first}'")
    return first, second


def doctor(office, statement):
    with office.book.write() as session:
        assert session.connection().execute(text(statement)).rowcount == 1


def test_the_queue_lists_the_others_and_says_that_one_is_missing(shell, cases):
    said = shell("queue")
    assert cases[1] in said.out and cases[0] not in said.out
    assert (said.status, said.err) == (1, f"amends: 1 more case {RUN_VERIFY}")
    said = shell("queue", "--json")
    assert [row["reference"] for row in said.json] == [cases[1]]
    assert (said.status, said.err) == (1, f"amends: 1 more case {RUN_VERIFY}")


def test_a_search_lists_the_others_and_says_that_one_is_missing(shell, cases):
    said = shell("search", "Kowalski")
    assert cases[1] in said.out and cases[0] not in said.out
    assert (said.status, said.err) == (1, f"amends: 1 more case {RUN_VERIFY}")
    said = shell("search", cases[0])
    assert (said.status, said.out, said.err) == (1, "", f"amends: 1 more case {RUN_VERIFY}")


@pytest.mark.parametrize("words", [("show",), ("show", "--json"), ("take",), ("note", "x")])
def test_the_case_itself_is_refused_in_one_sentence(shell, cases, words):
    said = shell(words[0], cases[0], *words[1:])
    assert (said.status, said.out) == (1, "")
    assert said.err == f"amends: A date in the database {RUN_VERIFY}"
    assert shell("show", cases[1]).status == 0
