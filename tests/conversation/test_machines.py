"""The signs of a machine that says nowhere that it is one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends.conversation.machines import Said, alike, answers_at_once, repeats

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TICKET = "Thank you for your message. We opened request 4711 and a colleague will look at it within two working days."


def said(seconds: float, words: str = TICKET, *, delay: float = 0.5) -> Said:
    at = NOON + timedelta(seconds=seconds)
    return Said(at, at + timedelta(seconds=delay), words)


def letter(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (TICKET, True),
        (TICKET.replace("4711", "4712"), True),
        (TICKET.upper(), True),
        (TICKET + " Regards", True),
        (
            "The lift has been broken since Monday, and my mother cannot leave her flat. Please send somebody today.",
            False,
        ),
        ("Thank you.", False),
        ("", False),
    ],
)
def test_texts_are_alike_but_for_numbers_and_a_word_or_two(other, same):
    assert alike(TICKET, other) is same and alike(other, TICKET) is same


def test_texts_without_words_are_alike_only_if_they_are_equal():
    assert alike("", "") and alike("123", "123") and not alike("123", "124") and not alike("", "12")


@given(st.text(max_size=200), st.text(max_size=200))
def test_likeness_is_mutual_and_everything_is_like_itself(one, other):
    assert alike(one, one)
    assert alike(one, other) == alike(other, one)


def test_the_same_again_after_a_letter_is_a_repetition():
    assert repeats(said(60), [said(0)], [letter(10)])


@pytest.mark.parametrize(
    ("now", "earlier", "letters"),
    [
        (said(60), [said(0)], []),  # nothing of ours was there to answer
        (said(60), [said(0)], [letter(90)]),  # both came before our letter
        (said(60, delay=600), [said(0, delay=660)], [letter(100)]),  # both lay in the mailbox
        (said(60, "Something quite different is wrong now."), [said(0)], [letter(10)]),
        (said(3700), [said(0)], [letter(10)]),  # an hour later a person may write once more
    ],
)
def test_what_is_no_repetition(now, earlier, letters):
    assert not repeats(now, earlier, letters)


def test_two_letters_answered_within_a_minute_each_are_a_machines_work():
    assert answers_at_once([said(5, "a"), said(105, "b")], [letter(0), letter(100)])
    assert answers_at_once(
        [said(-1, "a", delay=1.5), said(99, "b", delay=1.5)], [letter(0), letter(100)]
    )  # whole seconds


@pytest.mark.parametrize(
    ("messages", "letters"),
    [
        ([said(5)], [letter(0)]),  # one letter proves nothing
        ([said(5), said(300)], [letter(0), letter(100)]),
        ([said(-10), said(105)], [letter(0), letter(100)]),
        ([said(0, delay=0), said(100, delay=0)], [letter(0), letter(100)]),  # what set our letters off
    ],
)
def test_what_is_not_at_once(messages, letters):
    assert not answers_at_once(messages, letters)
