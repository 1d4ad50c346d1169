"""Tokens as mail servers want to see them (RFC 7628 and its older kin)."""

from __future__ import annotations

import pytest

from daemon.oauth.sasl import Exchange, choose


def an_exchange(mechanism, user="someuser@example.com"):
    return Exchange(mechanism, user=user, token="vF9dft4qmT", host="server.example.com", port=143)


def test_oauthbearer_says_what_the_example_of_its_rfc_says():
    assert an_exchange("OAUTHBEARER", "user@example.com")(b"") == (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmT\x01\x01"
    )


def test_a_name_with_the_signs_of_the_syntax_is_escaped():
    assert an_exchange("OAUTHBEARER", "a=b,c")(b"").startswith(b"n,a=a=3Db=2Cc,\x01")


def test_xoauth2_says_what_the_example_of_its_makers_says():
    assert an_exchange("XOAUTH2")(b"") == b"user=someuser@example.com\x01auth=Bearer vF9dft4qmT\x01\x01"


@pytest.mark.parametrize(("mechanism", "answer"), [("OAUTHBEARER", b"\x01"), ("XOAUTH2", b"")])
def test_a_refusal_is_answered_as_the_mechanism_wants_and_kept(mechanism, answer):
    exchange = an_exchange(mechanism)
    exchange(b"")
    assert exchange.refusal == ""
    assert exchange(b'{"status":"insufficient_scope","schemes":"bearer","scope":"mail\\u0000.read"}') == answer
    assert exchange.refusal.startswith("insufficient_scope, it wants the scope mail")
    assert exchange.refusal.isprintable()


@pytest.mark.parametrize("said", [b"", b"no json", b"[" * 4000, b"[1]", b'{"status": {}}', b"\xff\xfe"])
def test_a_refusal_that_says_nothing_is_no_trouble(said):
    exchange = an_exchange("XOAUTH2")
    exchange(b"")
    exchange(said)
    assert exchange.refusal == ""


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("auto", ["PLAIN", "XOAUTH2", "OAUTHBEARER"], "OAUTHBEARER"),
        ("auto", ["xoauth2"], "XOAUTH2"),
        ("xoauth2", ["XOAUTH2", "OAUTHBEARER"], "XOAUTH2"),
        ("oauthbearer", ["XOAUTH2"], None),
        ("auto", ["PLAIN", "LOGIN"], None),
    ],
)
def test_the_standard_comes_first_among_what_is_wanted_and_offered(wanted, offered, chosen):
    assert choose(wanted, offered) == chosen
