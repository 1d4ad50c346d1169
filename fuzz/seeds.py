"""The mails that the fuzzer begins with: a mailbox that was made up, and one of each form that the reader knows."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.mails import a_mailbox

_LONGEST: Final = 24 * 1024  # bytes; the shorter the seeds, the faster the fuzzer
_WHEN: Final = datetime(2026, 11, 2, 9, tzinfo=UTC)
_HEAD: Final = (
    "From: Ada Byron <ada@home.example>\r\nTo: complaints@northwind.example\r\nSubject: Broken boiler\r\n"
    "Message-ID: <1@home.example>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
)
_REPORT: Final = (
    'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\n\r\nIt failed.\r\n'
    "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
    "Final-Recipient: rfc822; x@home.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    "--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <2@northwind.example>\r\n--b--\r\n"
)
_FORMS: Final = (
    _REPORT,
    "Return-Path: <>\r\n\r\nHi. This is the qmail-send program at mx.example.\r\n\r\n<x@home.example>:\r\nno such "
    "user (#5.1.1)\r\n\r\n--- Below this line is a copy of the message.\r\n\r\nMessage-ID: <2@northwind.example>\r\n",
    "Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\n\r\nI am away.\r\n",
    "List-Id: <l.example>\r\nPrecedence: bulk\r\n\r\nNews.\r\n",
    "Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\n> quoted \r\n> on\r\nmine \r\nand on\r\n-- \r\nAda\r\n",
    "\r\nSee below.\r\n\r\nOn Mon, 2 Nov 2026 at 10:00, Ann <ann@example.org> wrote:\r\n> One\r\n> Two\r\n",
    "\r\nSiehe unten.\r\n\r\n-----Ursprüngliche Nachricht-----\r\nVon: Ann <ann@example.org>\r\nGesendet: Montag\r\n"
    "An: Ada\r\nBetreff: Heizung\r\n\r\nAlt.\r\n",
    "\r\nHere.\r\nbegin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\n",
    'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n'
    "Content-Transfer-Encoding: base64\r\n\r\neJ8+IgEAAgKQBgAIAAAAAQAAAAAAAAAAAAAA\r\n--b--\r\n",
    'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: b@x.example'
    '\r\nContent-Type: multipart/alternative; boundary="c"\r\n\r\n--c\r\n\r\nplain\r\n--c\r\nContent-Type: text/html'
    "\r\n\r\n<p>rich<br>&amp;<a href='http://x.example'>y</a>\r\n--c--\r\n--b--\r\n",
    "Content-Type: text/html; charset=utf-8\r\n\r\n<html><head><style>p{}</style></head><body><div "
    "style='display:none'>no</div><table><tr><td>a<td>b</table><blockquote type=cite>old</blockquote>new</body>\r\n",
    "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$3$s\x1b(B\r\n",
    "Authentication-Results: mx.northwind.example; spf=pass (a (b)) smtp.mailfrom=x; dkim=pass header.d=home.example; "
    "dmarc=fail\r\n\r\nHello.\r\n",
    "Content-Type: application/pdf; name*0*=utf-8''a%20; name*1=b.pdf\r\nContent-Disposition: attachment\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n",
)


def write_seeds(folder: Path) -> None:
    """Put them into `folder`, each under the hash of its bytes."""
    made = [mail.raw for mail in a_mailbox(complaints=60, replies=40, now=_WHEN) if len(mail.raw) <= _LONGEST]
    made += [(_HEAD + form).encode() for form in _FORMS]
    for raw in made:
        (folder / hashlib.sha1(raw, usedforsecurity=False).hexdigest()).write_bytes(raw)
