"""What a stranger can send to wear the reader out: each is read within bounds of processor time and memory.

The bounds are the promise (two seconds, 200 MB) with room for a busy machine; each mail that breaks one took many
times as long once, or would where a bound were missing.
"""

# ruff: noqa: E501 - one line a mail

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from amends.mail.facts import Reading
from amends.mail.read import read
from tests.mail.letters import OURS, mail, multipart

SECONDS = 2.0
MEGABYTES = 200
MILLION = 1_000_000


def head(name: str, value: bytes) -> bytes:
    return f"From: a@x.example\r\nTo: {OURS}\r\n{name}: ".encode() + value + b"\r\n\r\nThe boiler is broken.\r\n"


def html(markup: str) -> bytes:
    return mail(markup, type_="text/html; charset=utf-8")


def nested(levels: int, kind: str = "mixed") -> bytes:
    lines = [f'--b{n}\r\nContent-Type: multipart/{kind}; boundary="b{n + 1}"\r\n\r\n' for n in range(levels)]
    return mail("".join(lines) + f"--b{levels}\r\n\r\ndeep\r\n", type_=f'multipart/{kind}; boundary="b0"')


def messages(levels: int) -> bytes:
    lines = [f"Content-Type: message/rfc822\r\n\r\nSubject: x{n}\r\n" for n in range(levels)]
    return "".join(["From: a@x.example\r\n", *lines, "\r\nend"]).encode()


def parts(count: int, part: bytes) -> bytes:
    return multipart(*[part] * count)


def report(groups: int) -> bytes:
    group = "Final-Recipient: rfc822;a@x.example\r\nAction: failed\r\n\r\n"
    body = "--b\r\nContent-Type: message/delivery-status\r\n\r\n" + group * groups + "--b--\r\n"
    return mail(body, type_="multipart/report; report-type=delivery-status; boundary=b")


ATTACHED = b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA"

HOSTILE: dict[str, Callable[[], bytes]] = {
    # depth and parts
    "ten thousand levels": lambda: nested(10_000),
    "alternatives within alternatives": lambda: nested(2_000, "alternative"),
    "messages within messages": lambda: messages(2_000),
    "a hundred thousand parts": lambda: parts(100_000, b"\r\nx"),
    "ten thousand files": lambda: parts(10_000, ATTACHED),
    "one boundary for all levels": lambda: mail(
        "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 3_000, type_="multipart/mixed; boundary=b"
    ),
    "boundaries that begin alike": lambda: mail(
        "".join(f"--a\r\nContent-Type: multipart/mixed; boundary=a{'a' * n}\r\n\r\n" for n in range(900)),
        type_="multipart/mixed; boundary=a",
    ),
    "a report on ten thousand recipients": lambda: report(10_000),
    "a report of blank lines": lambda: mail("\r\n" * 200_000, type_="message/delivery-status"),
    # header
    "a field of twenty megabytes": lambda: head("X-Big", b"a" * 20 * MILLION),
    "a field folded half a million times": lambda: head("X-Big", b"a\r\n " * 500_000),
    "a hundred thousand fields": lambda: b"".join(b"X-%d: v\r\n" % n for n in range(100_000)) + b"\r\nx",
    "a hundred thousand addresses": lambda: head("Cc", b", ".join(b'"U %d" <u%d@x.example>' % (n, n) for n in range(100_000))),
    "a million commas": lambda: head("Cc", b"," * MILLION),
    "parentheses that open": lambda: head("Reply-To", b"(" * MILLION + b"a@x.example"),
    "parentheses within parentheses": lambda: head("Reply-To", b"(" * 500_000 + b")" * 500_000 + b"a@x.example"),
    "quotes": lambda: head("Reply-To", b'"' * (MILLION + 1) + b"<a@x.example>"),
    "backslashes": lambda: head("Reply-To", b'"' + b"\\" * MILLION + b'" <a@x.example>'),
    "angles": lambda: head("Reply-To", b"<" * MILLION),
    "at signs": lambda: head("Reply-To", b"a@" * 500_000),
    "references without end": lambda: head("References", b" ".join(b"<%d@x.example>" % n for n in range(60_000))),
    "encoded words": lambda: head("Subject", b" ".join([b"=?utf-8?b?w6nDqcOp?="] * 40_000)),
    "halves of encoded words": lambda: head("Subject", b"=?" * 500_000),
    "an encoded word of a megabyte": lambda: head("Subject", b"=?utf-8?q?" + b"=E9" * 300_000 + b"?="),
    "spaces in a subject": lambda: head("Subject", b"Automatic reply" + b" " * MILLION + b"x"),
    "a date of digits": lambda: head("Date", b"9" * MILLION),
    "results in comments in results": lambda: head("Authentication-Results", b"mx.example; (" * 100_000),
    "a return path of a megabyte": lambda: head("Return-Path", b"<" + b"a-" * 500_000 + b"@x.example>"),
    "parameters": lambda: head("Content-Type", b"text/plain; " + b"; ".join(b'p%d="v"' % n for n in range(60_000))),
    "semicolons": lambda: head("Content-Type", b"text/plain" + b";" * MILLION),
    "quotes in parameters": lambda: head("Content-Type", b"text/plain; a=" + b'";' * 200_000),
    "a name in twenty thousand pieces": lambda: head(
        "Content-Disposition", b"attachment; " + b"; ".join(b"filename*%d=a" % n for n in range(20_000))
    ),
    "lines that are no fields": lambda: b"x\r\n" * 500_000 + b"From: a@x.example\r\n\r\nx",
    # text
    "a line of twenty megabytes": lambda: mail("a" * 20 * MILLION),
    "five million lines": lambda: mail("a\n" * 5 * MILLION),
    "quotation marks": lambda: mail(">" * MILLION),
    "lines of quotation": lambda: mail("> x\n" * 300_000),
    "quotations within quotations": lambda: mail("".join(">" * (n % 900) + " x\n" for n in range(3_000))),
    "blank lines": lambda: mail("x" + "\n" * MILLION + "y"),
    "spaces": lambda: mail("x" + " " * MILLION + "y"),
    "lines of spaces": lambda: mail("x\n" + (" " * 500 + "\n") * 5_000 + "y"),
    "colons": lambda: mail(":" * MILLION),
    "lines that end in a colon": lambda: mail("On Monday Ada <ada@x.example> wrote:\n" * 30_000),
    "heads of mails": lambda: mail("From: a@x.example\nSent: x\nTo: y\nSubject: z\n" * 20_000),
    "almost a head": lambda: mail("From: \n" * 100_000),
    "at signs in the text": lambda: mail("a@" * 500_000),
    "one word that never ends in wrote": lambda: mail(("On " + "a " * 240 + "wrot:\n") * 2_000),
    "rules": lambda: mail(("-" * 900 + "x\n") * 1_000),
    "almost a telephone's line": lambda: mail("x\n" + "Sent from " + " " * 150 + "(" * 30 + "x" * 90 + "\n"),
    "telephones' lines": lambda: mail("x\n" + ("*" * 60 + " sent from my iPhone" + "!" * 60 + "x\n") * 2_000),
    "signatures": lambda: mail("-- \nx\n" * 100_000),
    "soft line breaks": lambda: mail("> a \n" * 200_000, type_="text/plain; format=flowed"),
    "soft line breaks of quoted-printable": lambda: mail("=\r\n" * MILLION, Content_Transfer_Encoding="quoted-printable"),
    "beginnings of uuencode": lambda: mail("begin 644 a\n" * 50_000 + "end\n" * 50_000),
    "uuencode": lambda: mail("begin 644 a\n" + "M" + "a" * 60 + "\n" + "end\n" * 10_000),
    "base64 of nothing": lambda: mail("=" * MILLION, Content_Transfer_Encoding="base64"),
    "thirty megabytes of base64": lambda: multipart(
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(bytes(22 * MILLION))
    ),
    "punycode for a charset": lambda: mail("a-" + "zz" * 200_000, type_="text/plain; charset=punycode"),
    "idna for a charset": lambda: mail("a." * 200_000, type_="text/plain; charset=idna"),
    "escapes of Japan": lambda: mail(b"\x1b$B\x1b(B" * 200_000, type_="text/plain; charset=iso-2022-jp"),
    "shifts of UTF-7": lambda: mail("+-" * 500_000, type_="text/plain; charset=utf-7"),
    # what machines write
    "words of a bounce without end": lambda: mail(
        "Your message could not be " * 20_000, sender="MAILER-DAEMON@x.example", subject="failure notice"
    ),
    "addresses in a bounce": lambda: mail(
        "the following address: \n" * 500 + "<a@x.example>:\n" * 20_000, sender="MAILER-DAEMON@x.example"
    ),
    "almost an original message": lambda: mail(
        "- " * 20_000 + "original", sender="MAILER-DAEMON@x.example", subject="Undeliverable"
    ),
    # HTML
    "elements within elements": lambda: html("<div>" * 200_000 + "x"),
    "open angles": lambda: html("<" * MILLION),
    "attributes": lambda: html("<a " + "a=b " * 250_000 + ">x"),
    "an attribute of a megabyte": lambda: html(f"<a href='https://x.example/{'a' * MILLION}'>x</a>"),
    "entities": lambda: html("&amp;" * 200_000),
    "entities that are none": lambda: html("&" * MILLION),
    "numbers of characters": lambda: html("&#x" + "1" * MILLION + ";"),
    "comments": lambda: html("<!--" * 200_000),
    "style sheets": lambda: html("<style>" * 100_000),
    "a style sheet of a megabyte": lambda: html(f"<style>{'p{a:b}' * 160_000}</style>x"),
    "styles": lambda: html("<p style='display:" + " " * 100_000 + "x'>y</p>" * 9),
    "many styles": lambda: html("<p style='a:b;font-size: 0 ;c:d'>x</p>" * 25_000),
    "a table of a million cells": lambda: html("<table>" + "<tr>" + "<td>" * MILLION),
    "a table of nineteen thousand cells": lambda: html("<table><tr>" + "<td>x" * 19_000 + "</table>"),
    "rows": lambda: html("<table>" + "<tr><td>x<td>y" * 9_000 + "</table>"),
    "wide tables": lambda: html("<table>" + "<tr><td>x<td>" + "y " * 900 + "</table>" * 200),
    "tables within tables": lambda: html("<table><tr><td>" * 5_000 + "x"),
    "spans of a million columns": lambda: html("<table><tr><td colspan=1000000 rowspan=1000000>x</table>" * 50),
    "lists within lists": lambda: html("<ul><li>" * 5_000 + "x"),
    "quotations by markup": lambda: html("<blockquote type=cite>" * 10_000 + "x"),
    "links": lambda: html("<a href='https://x.example/1'>x</a>" * 9_000),
    "spaces in HTML": lambda: html("<pre>x" + " " * MILLION + "y</pre>"),
    "hard spaces": lambda: html("x" + "&nbsp;" * 150_000 + "y"),
    "breaks": lambda: html("x" + "<br>" * 100_000 + "y"),
    "two forms that differ throughout": lambda: multipart(
        b"Content-Type: text/plain\r\n\r\n" + b" ".join(b"word%d" % n for n in range(60_000)),
        b"Content-Type: text/html\r\n\r\n" + b"".join(b"<p>other%d</p>" % n for n in range(9_000)),
        kind="alternative",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_mail_takes_long(name: str):
    raw = HOSTILE[name]()
    began = time.process_time()
    reading = read(raw, own_addresses={OURS}, trusted_authserv="mx.example", languages=("en", "de", "fr"))
    took = time.process_time() - began
    assert isinstance(reading, Reading)
    assert took < SECONDS
    assert not any("could not be read (" in defect for defect in reading.defects)


MEMORY_OF_READING = """
import gc
from amends.mail.read import read
from tests.mail.letters import mail
from tests.mail.test_hostile import HOSTILE

def megabytes(what):
    return int(open("/proc/self/status").read().split(what + ":")[1].split()[0]) // 1024

read(mail("<p>x", type_="text/html"))  # what is loaded when first needed
for name, make in HOSTILE.items():
    raw = make()
    if len(raw) < 2_000_000 and not name.startswith(("a table", "rows", "links", "spans", "attributes", "two forms")):
        continue
    gc.collect()
    open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
    before = megabytes("VmRSS")
    read(raw, languages=("en", "de"))
    print(megabytes("VmHWM") - before, name, sep="\\t")
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak")
def test_no_mail_takes_much_memory():
    """The large ones and those that make many objects, beyond the bytes of the mail itself."""
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [sys.executable, "-c", MEMORY_OF_READING], cwd=root, capture_output=True, text=True, check=True
    )
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    assert len(rows) > 10
    assert [(name, grown) for grown, name in rows if int(grown) > MEGABYTES] == []
