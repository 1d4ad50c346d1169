"""The one word that a mail may ask by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends.conversation.request import asks_for_status, says_only_that


@pytest.mark.parametrize("text", ["STATUS", "status", "  Status \n", "\n\nSTATUS\nThank you", "STATUS\r\n\r\nBye"])
def test_the_word_alone_on_the_first_line_asks(text):
    assert asks_for_status(text)


@pytest.mark.parametrize(
    "text", ["", "STATUS?", "STATUS please", "My STATUS", "Hello\nSTATUS", "STATUS: closed", "> STATUS"]
)
def test_anything_else_does_not(text):
    assert not asks_for_status(text) and not says_only_that(text)


@given(st.text(max_size=300))
def test_no_other_first_line_ever_asks(text):
    first = next((line.strip() for line in text.split("\n") if line.strip()), "")
    assert asks_for_status(text) == (first.casefold() == "status")


def test_a_word_more_is_more_than_a_question():
    assert says_only_that("\nSTATUS\n\n") and not says_only_that("STATUS\nMy account is 12.")
