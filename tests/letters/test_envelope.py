"""The envelope: whatever a stranger wrote, one letter to one recipient, in a form every server takes."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends.letters.address import CannotAnswer, sendable
from amends.letters.envelope import Envelope, build
from amends.letters.kinds import LetterKind
from tests.builders import NOW

KEY_ID = "nw-2026-000042-17.acknowledgement.1.aaaaaaaaaaaaaaaa.amends@northwind.example"
NASTY = st.text(max_size=300) | st.lists(
    st.sampled_from(
        [
            *(
                "\r\n",
                "\n",
                "\r",
                "\x00",
                "\u2028",
                "\x85",
                "\ud800",
                "Bcc: eve@example.net",
                "To: eve@example.net",
                "\r\n\r\n",
            ),
            *(
                "=?utf-8?q?x?=",
                "<eve@example.net>",
                ",",
                ";",
                '"',
                "\\",
                "ü",
                "長",
                "--=_",
                "a" * 80,
                " ",
                "\t",
                ".",
                "@",
            ),
        ]
    ),
    max_size=40,
).map("".join)
FIELDS = {
    *("Date", "From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Reply-To", "Auto-Submitted"),
    *("Precedence", "X-Auto-Response-Suppress", "X-Amends-Letter", "Content-Language", "MIME-Version", "Content-Type"),
}  # fmt: skip


def an_envelope(**changes) -> Envelope:
    values = {
        "from_name": "Northwind Homes",
        "from_address": "complaints@northwind.example",
        "to_name": "Edith Kowalski",
        "to_address": "edith@example.org",
        "subject": "We have received your complaint [NW-2026-000042-17]",
        "date": NOW,
        "message_id": KEY_ID,
        "kind": LetterKind.ACKNOWLEDGEMENT,
        "automatic": True,
        "text": "Dear Edith\n",
        "html": "<p>Dear Edith</p>\n",
        "language": "en",
    }
    return Envelope(**values | changes)


def read(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


@given(
    to_name=NASTY,
    subject=NASTY,
    in_reply_to=NASTY,
    references=st.lists(NASTY, max_size=30),
    text=NASTY,
    language=NASTY,
    automatic=st.booleans(),
    kind=st.sampled_from(LetterKind),
)
def test_nothing_that_a_stranger_wrote_becomes_a_header_a_recipient_or_a_part(references, text, **chosen):
    raw = build(an_envelope(references=tuple(references), text=text, html=f"<p>{len(text)}</p>", **chosen))
    head, _, _ = raw.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert set(names) <= FIELDS and len(names) == len(set(names))
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"") and b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\0" not in raw and raw.isascii()
    message = read(raw)
    assert [box.addr_spec for box in message["To"].addresses] == ["edith@example.org"]
    assert [box.addr_spec for box in message["From"].addresses] == ["complaints@northwind.example"]
    assert message["Message-ID"] == f"<{KEY_ID}>"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message.defects == [] and all(part.defects == [] for part in message.iter_parts())


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=3000))
def test_the_words_arrive_as_they_were_written(text):
    message = read(build(an_envelope(text=text, html="<p></p>")))
    found = message.get_body(("plain",)).get_content().replace("\r\n", "\n")  # on the wire lines end with CRLF
    assert found.rstrip("\n") == text.rstrip("\n")


@given(NASTY)
def test_the_same_letter_always_has_the_same_bytes(subject):
    assert build(an_envelope(subject=subject)) == build(an_envelope(subject=subject))


@given(st.text(max_size=120))
def test_an_address_is_sendable_or_refused_and_what_is_sendable_is_one_recipient(address):
    try:
        ready = sendable(address)
    except CannotAnswer as refused:
        assert "\n" not in str(refused)
        return
    assert [box.addr_spec for box in read(build(an_envelope(to_address=address)))["To"].addresses] == [ready]


@pytest.mark.parametrize(
    "address",
    [
        *("", "@", "a@", "@b", "a b@c.org", "a@b@c.org", "<a@b.org>", "a@b.org>", "a\r\nBcc: x@y.org", "a@b.org\0"),
        *("a@-b.org", "a..b@c.org", ".a@c.org", '"a b"@c.org', "a@b..org", f"{'a' * 65}@b.org", f"a@{'b' * 250}.org"),
        *("a@b_c.org", "bücher@example.org", "a@[127.0.0.1]", "a,b@c.org", "a@b.org,c@d.org", "\u202ea@b.org"),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address):
    with pytest.raises(CannotAnswer):
        sendable(address)


def test_an_international_domain_is_written_in_its_ascii_form():
    assert sendable("edith@bücher.example") == "edith@xn--bcher-kva.example"
    assert sendable("bücher@example.org", smtputf8=True) == "bücher@example.org"


def test_an_automatic_letter_says_that_it_is_one_and_a_persons_does_not():
    asked = {kind: read(build(an_envelope(kind=kind))) for kind in LetterKind}
    assert asked[LetterKind.ACKNOWLEDGEMENT]["Auto-Submitted"] == "auto-replied"
    assert asked[LetterKind.PROGRESS_UPDATE]["Auto-Submitted"] == "auto-generated"
    by_hand = read(build(an_envelope(automatic=False)))
    for header in ("Auto-Submitted", "Precedence", "X-Auto-Response-Suppress"):
        assert header in asked[LetterKind.HOLDING] and header not in by_hand


def test_the_thread_keeps_its_beginning_and_its_end():
    chain = tuple(f"{n}@example.org" for n in range(100))
    message = read(build(an_envelope(references=chain, in_reply_to="99@example.org")))
    ids = message["References"].split()
    assert ids[0] == "<0@example.org>" and ids[-1] == "<99@example.org>" and len(ids) <= 12
    assert message["In-Reply-To"] == "<99@example.org>"


@pytest.mark.parametrize("message_id", ["", "x", "<a@b>", "a@b\r\nBcc: x", "a b@c"])
def test_a_message_id_without_its_form_is_a_mistake_of_ours(message_id):
    with pytest.raises(ValueError, match="is not a Message-ID"):
        build(an_envelope(message_id=message_id))
