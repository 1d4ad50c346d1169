"""Bytes in, facts out: the header, the text, the files, and what hostile bytes may cost."""

from __future__ import annotations

import base64
import hashlib
import pickle
import random
from dataclasses import fields as fields_of
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amends.kernel.text import storable
from amends.mail.facts import Attachment, Kind, Mailbox, Reading
from amends.mail.read import MESSAGE_BYTES, read, read_headers
from amends.mail.report import as_json
from tests.mail.letters import OURS, mail, multipart


def strings(value: object) -> list[str]:
    """Every str within a reading."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in strings(one)]
    if isinstance(value, tuple):
        return [text for one in value for text in strings(one)]
    if isinstance(value, Reading | Mailbox | Attachment):
        return [text for one in fields_of(value) for text in strings(getattr(value, one.name))]
    return []


def assert_clean(reading: Reading) -> None:
    for text in strings(reading):
        assert storable(text) == text
        text.encode()
    assert pickle.loads(pickle.dumps(reading)) == reading
    assert bool(reading.not_answerable_because) != reading.answerable


# ── The header ──


def test_an_ordinary_mail_is_read_whole():
    reading = read(mail(In_Reply_To="<0@x.example>", References="<a@x.example>\r\n <0@x.example>", Cc="c@d.example"))
    assert reading.sender == Mailbox("Ada Byron", "ada@home.example")
    assert reading.subject == "Broken boiler"
    assert reading.message_id == "1@home.example"
    assert reading.in_reply_to == ("0@x.example",)
    assert reading.references == ("a@x.example", "0@x.example")
    assert reading.date == datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
    assert reading.to == (Mailbox("", OURS),)
    assert reading.cc == (Mailbox("", "c@d.example"),)
    assert reading.text == reading.new_text == "The boiler is broken again."
    assert reading.kind is Kind.PERSON
    assert reading.answerable
    assert reading.defects == ()


@pytest.mark.parametrize(
    ("field", "name", "address"),
    [
        ("=?utf-8?q?J=C3=BCrgen_M=C3=BCller?= <J.Mueller@Home.Example>", "Jürgen Müller", "j.mueller@home.example"),
        ('"Byron, Ada" <ada@home.example>', "Byron, Ada", "ada@home.example"),
        ("ada@home.example (Ada Byron)", "Ada Byron", "ada@home.example"),
        ("Ada Byron ada@home.example", "", "ada@home.example"),
        ("ada@home.example <ada@home.example>", "ada@home.example", "ada@home.example"),
        ("<>", "", ""),
        ("undisclosed-recipients:;", "", ""),
    ],
)
def test_senders_are_read_in_every_form_that_mailers_write(field: str, name: str, address: str):
    assert read(mail(sender=field)).sender in (Mailbox(name, address), Mailbox("Ada Byron", address))


def test_a_subject_cut_within_a_character_is_put_together():
    subject = "=?utf-8?b?w6k=?=\r\n =?utf-8?b?w6k=?= =?utf-8?q?_caf=C3?=\r\n =?utf-8?q?=A9?="
    assert read(mail(subject=subject)).subject == "éé café"


def test_a_line_of_blanks_within_a_folded_field_does_not_end_the_head():
    assert read(mail(subject="one\r\n \r\n two", X_After="x")).subject == "one two"


def test_a_subject_cannot_bring_a_line_of_its_own():
    reading = read(mail(subject="=?utf-8?q?hi=0D=0ABcc:_evil@x.example?="))
    assert "\n" not in reading.subject
    assert "\r" not in reading.subject


def test_mail_from_an_mbox_and_with_a_mark_of_byte_order_is_read():
    assert read(b"From ada@home.example Mon Jan  1 10:00:00 2026\n" + mail()).subject == "Broken boiler"
    assert read(b"\xef\xbb\xbf" + mail()).subject == "Broken boiler"


def test_the_dates_of_strangers_cannot_hurt():
    for date in ("9" * 5000, "Mon, 1 Jan 99999 99:99:99 +9999", "no date at all", "1 Jan 0001 00:00:00 +2359"):
        assert read(mail(Date=date)).subject == "Broken boiler"


def test_authenticity_is_believed_of_our_own_server_alone():
    forged = "evil.example; dmarc=pass"
    ours = "mx.northwind.example 1; spf=pass smtp.mailfrom=h.example;\r\n dkim=fail (bad;) header.d=x; dmarc=pass"
    raw = mail(Authentication_Results=f"{ours}\r\nAuthentication-Results: {forged}")
    assert read(raw).authentication == {}
    assert read(raw, trusted_authserv="mx.northwind.example").authentication == {
        "spf": "pass",
        "dkim": "fail",
        "dmarc": "pass",
    }
    below = mail(
        Authentication_Results="mx.northwind.example; none\r\nAuthentication-Results: mx.northwind.example; dmarc=pass"
    )
    assert read(below, trusted_authserv="mx.northwind.example").authentication == {}


# ── The text ──


def test_of_two_forms_of_a_text_the_plain_one_is_read():
    plain = b"Content-Type: text/plain\r\n\r\nThe boiler\r\nis broken."
    rich = b"Content-Type: text/html\r\n\r\n<p>The <b>boiler</b> is <a href='https://x.example'>broken</a>.</p>"
    assert read(multipart(plain, rich, kind="alternative")).text == "The boiler\nis broken."


def test_what_only_the_other_form_says_is_shown_below_and_is_nobodys_new_text():
    plain = b"Content-Type: text/plain\r\n\r\nThe boiler is broken."
    rich = (
        b"Content-Type: text/html\r\n\r\n<p>The boiler is broken.</p><p>I owe you 305 pounds.</p>"
        b"<p style='display:none'>hidden</p>"
    )
    reading = read(multipart(plain, rich, kind="alternative"))
    assert reading.text.split("\n\n") == [
        "The boiler is broken.",
        "-------- Only in the HTML form --------\nI owe you 305 pounds.",
    ]
    assert reading.new_text == "The boiler is broken."


def test_html_alone_is_shown_as_text_without_what_it_hides():
    html = (
        "<html><head><style>p{color:red}</style></head><body><p>Dear all,</p>"
        "<div style='display:none'>secret</div><script>alert(1)</script>"
        "<p>see <a href='https://shop.example/o/1'>my order</a></p></body></html>"
    )
    text = read(mail(html, type_="text/html; charset=utf-8")).text
    assert "Dear all," in text
    assert "my order <https://shop.example/o/1>" in text
    assert "secret" not in text
    assert "alert" not in text
    assert "color" not in text


def test_a_plain_form_that_says_nothing_gives_way():
    plain = b"Content-Type: text/plain\r\n\r\nPlease use a mail client that can display HTML messages."
    rich = (
        b"Content-Type: text/html\r\n\r\n<p>My complaint stands only in this form, as some write it, and is long.</p>"
    )
    assert "My complaint" in read(multipart(plain, rich, kind="alternative")).text


@pytest.mark.parametrize(
    ("body", "type_", "text"),
    [
        ("Größe".encode("latin-1"), "text/plain; charset=iso-8859-1", "Größe"),
        ("Größe".encode(), "text/plain; charset=iso-8859-1", "Größe"),
        ("žluťoučký kůň a tak dále".encode(), "text/plain; charset=windows-1250", "žluťoučký kůň a tak dále"),
        ("Größe".encode("latin-1"), "text/plain; charset=utf-8", "Größe"),
        ("Größe".encode("latin-1"), "text/plain", "Größe"),
        ("Größe".encode("latin-1"), "text/plain; charset=no-such", "Größe"),
        ("“quoted”".encode("cp1252"), "text/plain; charset=us-ascii", "“quoted”"),
        ("①こんにちは".encode("cp932"), "text/plain; charset=shift_jis", "①こんにちは"),
        (b"\x1b$B-!$3$s\x1b(B", "text/plain; charset=iso-2022-jp", "①こん"),
        ("产品质量有很大的问题".encode("gb18030"), "text/plain", "产品质量有很大的问题"),
        ("Где мой заказ номер пять".encode("koi8-r"), "text/plain", "Где мой заказ номер пять"),
        ("Где мой заказ номер пять".encode("cp1251"), "text/plain", "Где мой заказ номер пять"),
    ],
)
def test_words_come_out_right_whatever_the_label_says(body: bytes, type_: str, text: str):
    assert read(mail(body, type_=type_, Content_Transfer_Encoding="8bit")).text == text


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "zlib_codec", "rot13", "undefined", "unicode_escape", "utf-8\0", ""]
)
def test_what_is_no_charset_of_text_is_not_used(charset: str):
    reading = read(mail("plain a-zz words", type_=f'text/plain; charset="{charset}"'))
    assert reading.text == "plain a-zz words"


def test_soft_line_breaks_are_undone():
    text = read(mail("One sentence \nover two lines.\n\n-- \nAda", type_="text/plain; format=flowed")).text
    assert text == "One sentence over two lines.\n\n-- \nAda"


# ── The files ──

PDF = (
    b"Content-Type: application/pdf; name=bill.pdf\r\nContent-Disposition: attachment; filename=bill.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(b"%PDF-1.4")
)


def test_attached_files_are_listed_with_the_digest_of_their_bytes():
    reading = read(multipart(b"Content-Type: text/plain\r\n\r\nsee the bill", PDF))
    (bill,) = reading.attachments
    assert (bill.name, bill.media_type, bill.size) == ("bill.pdf", "application/pdf", 8)
    assert bill.sha256 == hashlib.sha256(b"%PDF-1.4").hexdigest()
    assert reading.text == "see the bill"


def test_large_files_come_out_byte_for_byte_alone_and_within_a_forwarded_message():
    data = random.Random(1).randbytes(400_000)
    film = b"Content-Type: video/mp4; name=film.mp4\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(
        data
    ).replace(b"\n", b"\r\n")
    inner = multipart(b"Content-Type: text/plain\r\n\r\nthe first letter", film, boundary="inner")
    text = base64.encodebytes(("It is cold. " * 30_000).encode())
    long = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + text
    reading = read(multipart(long, film, b"Content-Type: message/rfc822; name=a.eml\r\n\r\n" + inner))
    digest = hashlib.sha256(data).hexdigest()
    assert [one.sha256 == digest for one in reading.attachments] == [True, False, True]
    assert reading.attachments[1].sha256 == hashlib.sha256(inner.replace(b"\r\n", b"\n")).hexdigest()
    assert reading.new_text.startswith("It is cold. It is cold.")


def test_a_block_that_is_no_base64_stays_in_the_text():
    lines = "word" * 15 + "\n"
    assert read(mail(lines * 6000)).text == (lines * 6000).strip("\n")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="C:\\\\Users\\\\ada\\\\bill.pdf"', "bill.pdf"),
        ("filename*=utf-8''R%C3%A9sum%C3%A9.pdf", "Résumé.pdf"),
        ("filename*0*=utf-8''R%C3%A9; filename*1*=sum%C3%A9; filename*2=.pdf", "Résumé.pdf"),
        ('filename="=?utf-8?q?R=C3=A9sum=C3=A9.pdf?="', "Résumé.pdf"),
        ('filename="inv\u202efdp.exe"', "invfdp.exe"),
        ('filename=".."', "attachment"),
    ],
)
def test_the_name_of_a_file_is_a_label_and_never_a_path(disposition: str, name: str):
    part = f"Content-Type: application/pdf\r\nContent-Disposition: attachment; {disposition}\r\n\r\nx".encode()
    assert [one.name for one in read(multipart(part)).attachments] == [name]


def test_what_lies_in_a_forwarded_message_is_listed_and_read():
    inner = multipart(b"Content-Type: text/plain\r\n\r\nthe first letter", PDF, subject="Bill", boundary="inner")
    raw = multipart(b"Content-Type: text/plain\r\n\r\nsee below", b"Content-Type: message/rfc822\r\n\r\n" + inner)
    reading = read(raw)
    assert [one.name for one in reading.attachments] == ["Bill.eml", "bill.pdf"]
    assert "the first letter" in reading.text
    assert reading.new_text == "see below"


def test_uuencoded_files_are_taken_out_of_the_text():
    reading = read(mail("See:\nbegin 644 note.txt\n#0V%T\n`\nend\nthanks"))
    assert [(one.name, one.size) for one in reading.attachments] == [("note.txt", 3)]
    assert reading.text == "See:\nthanks"
    assert read(mail("Please begin 644 things\nand end it\nend")).attachments == ()


def tnef(*files: tuple[bytes, bytes]) -> bytes:
    def attribute(number: int, value: bytes) -> bytes:
        return b"\2" + number.to_bytes(4, "little") + len(value).to_bytes(4, "little") + value + b"\0\0"

    out = b"\x78\x9f\x3e\x22\1\0"
    for name, data in files:
        out += attribute(0x00069002, b"\0" * 14) + attribute(0x00018010, name + b"\0") + attribute(0x0006800F, data)
    return out


@pytest.mark.parametrize("cut", [None, -3])
def test_files_in_winmail_dat_are_listed(cut: int | None):
    packed = base64.encodebytes(tnef((b"a.txt", b"one"), (b"b.txt", b"two!"))[:cut])
    part = b"Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n" + packed
    reading = read(multipart(b"Content-Type: text/plain\r\n\r\nhi", part))
    assert {"a.txt", "b.txt", "winmail.dat"} == {one.name for one in reading.attachments}
    assert bool(reading.defects) == (cut is not None)


# ── Bytes that mean harm ──


def test_a_mail_that_is_too_large_is_read_by_its_header():
    reading = read(mail("x" * MESSAGE_BYTES))
    assert (reading.subject, reading.text, reading.kind) == ("Broken boiler", "", Kind.PERSON)
    assert "only its header was read" in reading.defects[0]


def test_the_header_alone_tells_who_wrote_and_about_what():
    whole, head = read(mail()), read_headers(mail(), reason="it took its reader down")
    assert head.defects == ("it took its reader down",)
    for name in ("sha256", "size", "message_id", "sender", "subject", "date", "to", "kind", "answerable"):
        assert getattr(head, name) == getattr(whole, name)


def test_nesting_and_numbers_of_parts_have_an_end():
    head = b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n'
    deep = mail(type_="").removesuffix(b"\r\n\r\nThe boiler is broken again.") + b"\r\n" + head % 0
    deep += b"".join(b"--b%d\r\n" % level + head % (level + 1) for level in range(3000))
    reading = read(deep)
    assert any("deeper" in defect for defect in reading.defects)
    many = read(multipart(*[b"Content-Type: text/plain\r\n\r\nx"] * 5000))
    assert any("more than" in defect for defect in many.defects)


ATOMS = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b"=",
        b"?",
        b"@",
        b"<",
        b">",
        b'"',
        b"(",
        b")",
        b",",
        b"--b",
        b"--b--",
        b"From: a@b.c\n",
        b"From:",
        b"Subject: ",
        b"To:",
        b"Content-Type: multipart/mixed; boundary=b\n\n",
        b"Content-Type: ",
        b"text/html\n\n",
        b"text/plain; charset=",
        b"utf-7",
        b"message/rfc822\n\n",
        b"message/delivery-status\n\n",
        b"multipart/report; report-type=delivery-status; boundary=b\n\n",
        b"application/ms-tnef\n\n",
        b"\x78\x9f\x3e\x22",
        b"Content-Transfer-Encoding: ",
        b"base64\n\n",
        b"quoted-printable\n\n",
        b"x-uuencode\n\n",
        b"=?utf-8?q?=ff?=",
        b"=?x?b?",
        b"filename*0*=utf-8''%ff",
        b"name=",
        b"begin 644 x\n",
        b"end\n",
        b"<div>",
        b"</div>",
        b"<!--",
        b"<style>",
        b"&#0;",
        b"> ",
        b"On 1 May 2026 a@b.c wrote:\n",
        b"-- \n",
        b"Final-Recipient: rfc822;a@b.c\n",
        b"Action: failed\n",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\x1b$B",
        b"\xc3\xa9",
        b"MAILER-DAEMON@x.example",
        b"Return-Path: <>\n",
        b"Message-ID: <1@x>\n",
        b"Date: ",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.lists(ATOMS, max_size=60).map(b"".join)))
def test_no_bytes_can_raise_or_leave_anything_unclean(raw: bytes):
    for reading in (read(raw, trusted_authserv="b", languages=("en",)), read_headers(raw)):
        assert_clean(reading)
        assert reading.size == len(raw)
        assert set(as_json("f", reading)) >= {"file", "kind", "attachments", "defects"}


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.text(max_size=60), st.text(max_size=30))
def test_words_of_any_script_pass_through(body: str, subject: str, name: str):
    encoded = base64.b64encode(subject.encode("utf-8", "replace")).decode()
    named = base64.b64encode(name.encode("utf-8", "replace")).decode()
    raw = mail(
        body.encode("utf-8", "replace"),
        subject=f"=?utf-8?b?{encoded}?=",
        sender=f"=?utf-8?b?{named}?= <ada@home.example>",
        Content_Transfer_Encoding="8bit",
    )
    reading = read(raw)
    assert_clean(reading)
    assert reading.sender.address == "ada@home.example"


def test_the_printed_form_has_every_public_name():
    said = as_json("a.eml", read(mail()))
    assert list(said) == [
        "file", "message_id", "in_reply_to", "references", "date", "subject", "from", "reply_to", "to", "cc", "text",
        "new_text", "language", "attachments", "kind", "answerable", "failed_recipients", "permanent_failure",
        "authentication", "defects",
    ]  # fmt: skip
    assert said["date"] == "2026-11-02T09:00:00Z"
    assert said["from"] == {"name": "Ada Byron", "address": "ada@home.example"}
    assert said["kind"] == "person"
    assert said["permanent_failure"] is None
