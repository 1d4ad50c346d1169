"""Signed names: what was signed comes back, in any case, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends.kernel.errors import ConfigError
from amends.kernel.refs import CaseRef
from amends.letters import tokens
from amends.letters.kinds import LetterKind
from amends.letters.tokens import LetterName

KEY, OTHER = b"k" * 32, b"o" * 32
OURS = "complaints@northwind.example"
REF = str(CaseRef("NW", 2026, 42))
refs = st.builds(
    CaseRef,
    prefix=st.from_regex(r"[A-Z][A-Z0-9]{0,7}", fullmatch=True),
    year=st.integers(2000, 2099),
    serial=st.integers(1, 999_999_999),
).map(str)
kinds = st.sampled_from([str(kind) for kind in LetterKind])
numbers = st.integers(1, 999_999_999)


@given(refs, kinds, numbers, st.sampled_from([str.lower, str.upper, str.title, str.swapcase]))
def test_a_message_id_names_its_letter_in_any_case(ref, kind, n, fold):
    made = tokens.message_id(ref, kind, n, KEY, "northwind.example")
    assert tokens.verify_message_id(fold(f"<{made}>"), KEY) == LetterName(ref, kind, n)
    assert tokens.verify_message_id(made, OTHER) is None


@given(refs, st.sampled_from([str.lower, str.upper, str.title]))
def test_a_reply_address_names_its_case_in_any_case(ref, fold):
    address = tokens.plus_address(ref, OURS, KEY)
    assert len(address.partition("@")[0]) <= 64
    assert tokens.verify_plus_address(fold(address), OURS, KEY) == ref
    assert tokens.verify_plus_address(address, OURS, OTHER) is None


@given(refs, kinds, st.integers(1, 9999))
def test_bounce_and_receipt_addresses_name_their_letter_and_are_not_each_others(ref, kind, n):
    made = tokens.message_id(ref, kind, n, KEY, "northwind.example")
    short = "c@northwind.example"  # the longest names need a short address
    bounce, receipt = tokens.bounce_address(made, short, KEY), tokens.receipt_address(made, short, KEY)
    assert tokens.verify_bounce_address(bounce.upper(), short, KEY) == made
    assert tokens.verify_receipt_address(receipt, short, KEY) == made
    assert tokens.verify_receipt_address(bounce, short, KEY) is None
    assert tokens.verify_bounce_address(receipt, short, KEY) is None
    assert tokens.verify_plus_address(bounce, short, KEY) is None


@given(st.data())
def test_one_changed_letter_is_a_forgery(data):
    for made, verify in (
        (
            tokens.message_id(REF, "reply", 1, KEY, "x.org").partition("@")[0],
            lambda s: tokens.verify_message_id(s + "@x.org", KEY),
        ),
        (
            tokens.plus_address(REF, OURS, KEY).partition("@")[0],
            lambda s: tokens.verify_plus_address(s + "@northwind.example", OURS, KEY),
        ),
    ):
        place = data.draw(st.integers(0, len(made) - 1))
        letter = data.draw(st.sampled_from([c for c in "abcdefghijklmnopqrstuvwxyz234567-.+" if c != made[place]]))
        forged = made[:place] + letter + made[place + 1 :]
        assert verify(made) is not None
        assert verify(forged) is None, forged


@given(st.text(max_size=200))
def test_any_text_is_no_token_and_no_error(text):
    assert tokens.verify_message_id(text, KEY) is None
    for verify in (tokens.verify_plus_address, tokens.verify_bounce_address, tokens.verify_receipt_address):
        assert verify(text, OURS, KEY) is None
        assert verify(f"complaints+{text}@northwind.example", OURS, KEY) is None


def test_a_token_counts_only_at_our_own_address():
    token = tokens.plus_token(REF, KEY)
    for address in (
        f"info+{token}@northwind.example",
        f"complaints+{token}@evil.example",
        f"complaints{token}@northwind.example",
    ):
        assert tokens.verify_plus_address(address, OURS, KEY) is None


def test_an_own_address_with_a_plus_of_its_own_carries_tokens_too():
    own = "desk+in@northwind.example"
    assert tokens.verify_plus_address(tokens.plus_address(REF, own, KEY), own, KEY) == REF


def test_an_own_address_too_long_for_a_token_is_said():
    with pytest.raises(ConfigError, match="too long before the @"):
        tokens.plus_address(REF, f"{'c' * 50}@northwind.example", KEY)


def test_every_letter_we_send_fits_an_address_of_usual_length():
    for kind in LetterKind:
        made = tokens.message_id(REF, str(kind), 1000, KEY, "northwind.example")
        assert len(tokens.bounce_address(made, OURS, KEY).partition("@")[0]) <= 64
