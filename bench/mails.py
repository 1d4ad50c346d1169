"""A complaints mailbox made up: the same seed gives the same mails, byte for byte but for the dates.

Complaints and replies to them in the charsets, encodings and shapes that mail programs write: plain, HTML alone, both,
pictures and documents attached, headers of relays and signatures.  The measurements and the tests share it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

OURS: Final = "complaints@northwind.example"

# Charset, transfer encoding, and people and words that it can write.
_VOICES: Final = (
    ("utf-8", "quoted-printable", "Margaret Holloway", "The heating has failed again – the third time since October."),
    ("utf-8", "base64", "Zoë Björklund", "Nobody came on Tuesday, and the ceiling drips: 14 °C in the nursery…"),
    ("utf-8", "8bit", "Siobhán Ní Bhriain", "I was told “within five days”. It has been five weeks."),
    ("us-ascii", "7bit", "Gordon Pike", "The fence is down and nobody has been. I have rung three times."),
    ("iso-8859-1", "quoted-printable", "François Lemoine", "La façade est terminée, et mon chauffage reste coupé."),
    ("iso-8859-1", "8bit", "Jürgen Groß", "Seit zwei Wochen fällt die Heizung aus, und niemand meldet sich."),
    (
        "iso-8859-15",
        "quoted-printable",
        "Anneliese Vögele",
        "Die Rechnung über 412 € ist falsch, ich bitte um Prüfung.",
    ),
    (
        "windows-1252",
        "quoted-printable",
        "Rupert Aldous-Grey",
        "The “service charge” – £305.50 – has never been explained.",
    ),
    ("windows-1250", "base64", "Tomasz Zieliński", "Hałas każdej nocy; zgłaszałem to już cztery razy."),
    ("koi8-r", "base64", "Ольга Коваленко", "Лифт не работает с понедельника, я живу на пятом этаже."),
    ("windows-1251", "8bit", "Иван Петров", "В подъезде нет света, моя жена упала на лестнице."),
    ("iso-2022-jp", "7bit", "田中 裕子", "給湯器が金曜日から故障しています。"),
    ("shift_jis", "base64", "佐藤 健", "窓の鍵が壊れていて、とても危険です。"),
    ("gb18030", "base64", "王 芳", "电梯坏了三天了,没有人来修。"),
    ("big5", "base64", "陳 大文", "天花板漏水,已經投訴三次。"),
    ("euc-kr", "base64", "김 지수", "보일러가 고장 나서 온수가 나오지 않습니다."),
    ("iso-8859-7", "base64", "Νίκος Παπαδόπουλος", "Το ασανσέρ δεν λειτουργεί εδώ και μία εβδομάδα."),
    ("utf-16", "base64", "Ahmed Rahman", "Boiler leaking again, third visit, same part."),
)
_MATTERS: Final = (
    "damp in the back bedroom", "no hot water", "lift out of order", "service charge", "noise from the flat above",
    "missed appointment", "overpaid rent", "roof leak", "letters to my late mother", "parking permit", "broken window",
)  # fmt: skip
_SENTENCES: Final = (
    "I rang on Monday and was promised a call back that never came.",
    "Your colleague said that it was on the system, and that I had to wait.",
    "I took a day off work for the appointment and nobody came.",
    "My neighbour in number 12 has the same trouble and has written to you too.",
    "I should like to know who is dealing with this and by when it will be put right.",
    "I have kept a list of the dates and can send it to you.",
    "Please do not tell me again that it is with the contractor.",
    "The children have had colds since it began.",
)


@dataclass(frozen=True, slots=True)
class Generated:
    """One mail.  `answers` is the place, in the list, of the complaint to which this is a reply, or None."""

    raw: bytes
    address: str
    message_id: str
    subject: str
    answers: int | None = None

    @property
    def is_complaint(self) -> bool:
        return self.answers is None


def a_mailbox(*, complaints: int, replies: int, seed: int = 1, now: datetime | None = None) -> list[Generated]:
    """So many complaints and replies to them, in the order of their arrival; a reply comes after its complaint.

    Some people complain twice, of different things.  A reply is its writer's own next mail in the thread: In-Reply-To
    and References name the complaint.
    """
    dice = random.Random(seed)
    at = (now or datetime.now(UTC)) - timedelta(seconds=2 * (complaints + replies))
    order = ["complaint"] * (complaints - 1) + ["reply"] * replies
    dice.shuffle(order)
    mails: list[Generated] = []
    places: list[int] = []
    for what in ["complaint", *order]:
        at += timedelta(seconds=1)
        if what == "complaint":
            places.append(len(mails))
            mails.append(_complaint(dice, len(places), at))
        else:
            mails.append(_reply(dice, mails, dice.choice(places), len(mails), at))
    return mails


def an_answer(letter: bytes, *, to: str, sender: str, number: int, now: datetime) -> bytes:
    """What somebody writes who presses "reply" on our `letter`, of which its Message-ID and its words are taken."""
    from email import message_from_bytes, policy

    read = message_from_bytes(letter, policy=policy.default)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, f"Re: {read['Subject']}"
    message["Date"], message["Message-ID"] = format_datetime(now), f"<answer-{number}@replies.example>"
    message["In-Reply-To"] = message["References"] = str(read["Message-ID"])
    body = read.get_body(("plain",))
    quoted = "".join(f"> {line}\n" for line in body.get_content().splitlines()) if body is not None else ""
    message.set_content(f"Thank you. One thing more, number {number}.\n\nOn Tuesday you wrote:\n{quoted}")
    return message.as_bytes(policy=SMTP)


def _complaint(dice: random.Random, number: int, at: datetime) -> Generated:
    voice = _VOICES[number % len(_VOICES)]
    writer = number - 40 if number > 40 and number % 25 == 0 else number  # every 25th has complained before
    address = f"writer{writer:04}@people{number % 7}.example"
    if writer != number:
        address = f"writer{writer:04}@people{writer % 7}.example"
    subject = f"{dice.choice(_MATTERS).capitalize()}, {dice.randint(1, 99)} {dice.choice(('Larch Court', 'Mill Lane'))}"
    message_id = f"<complaint-{number}.{dice.getrandbits(64):x}@{address.partition('@')[2]}>"
    raw = _mail(dice, voice, address, subject, message_id, number, at)
    return Generated(raw, address, message_id, subject)


def _reply(dice: random.Random, mails: list[Generated], place: int, number: int, at: datetime) -> Generated:
    first = mails[place]
    voice = dice.choice(_VOICES)
    message_id = f"<reply-{number}.{dice.getrandbits(64):x}@{first.address.partition('@')[2]}>"
    subject = dice.choice(("Re: ", "RE: ", "AW: ", "Fwd: ", "")) + first.subject
    raw = _mail(dice, voice, first.address, subject, message_id, number, at, answers=first)
    return Generated(raw, first.address, message_id, subject, place)


def _mail(
    dice: random.Random,
    voice: tuple[str, str, str, str],
    address: str,
    subject: str,
    message_id: str,
    number: int,
    at: datetime,
    *,
    answers: Generated | None = None,
) -> bytes:
    charset, encoding, name, words = voice
    message = EmailMessage()
    # In a charset of the East the ASCII sentences stay as they are: all of these charsets hold ASCII.
    text = "\n\n".join((words, *dice.sample(_SENTENCES, dice.randint(2, 6)), f"Number {number}", f"{name}\n"))
    if answers is not None:
        text += f"\nOn {format_datetime(at)}, somebody wrote:\n" + "".join(
            f"> {line}\n" for line in dice.sample(_SENTENCES, 4)
        )
    shape = dice.random()
    body = text.encode("utf-8", "replace") if charset == "utf-16" else None
    if body is not None:
        message.set_content(text.encode("utf-16"), "text", "plain", cte="base64")
        message.set_param("charset", "utf-16")
    elif shape < 0.12:
        message.set_content(_html(text), subtype="html", charset=charset, cte=encoding)
    else:
        message.set_content(text, charset=charset, cte=encoding)
        if shape < 0.35:
            message.add_alternative(_html(text), subtype="html", charset=charset, cte=encoding)
    for part in range(_attachments(dice)):
        _attach(dice, message, part)
    return _headers(dice, name, address, subject, message_id, charset, at, answers) + message.as_bytes(policy=SMTP)


def _headers(
    dice: random.Random,
    name: str,
    address: str,
    subject: str,
    message_id: str,
    charset: str,
    at: datetime,
    answers: Generated | None,
) -> bytes:
    domain = address.partition("@")[2]
    lines = [f"Return-Path: <{address}>"]
    lines += [
        f"Received: from relay{hop}.{domain} (relay{hop}.{domain} [192.0.2.{dice.randint(1, 254)}])\r\n"
        f"\tby mx{hop}.northwind.example with ESMTPS id {dice.getrandbits(48):x};\r\n\t{format_datetime(at)}"
        for hop in range(3)
    ]
    signature = "".join(dice.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=340))
    folded = "\r\n\t".join(signature[start : start + 70] for start in range(0, len(signature), 70))
    lines.append(f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=s1;\r\n\tb={folded}")
    wide = "utf-8" if charset in ("utf-16", "us-ascii") else charset
    lines.append(f"From: {Header(name, wide).encode(linesep=chr(13) + chr(10))} <{address}>")
    lines.append(f"To: <{OURS}>")
    lines.append(f"Subject: {subject}")
    lines.append(f"Date: {format_datetime(at)}")
    lines.append(f"Message-ID: {message_id}")
    if answers is not None:
        lines += [f"In-Reply-To: {answers.message_id}", f"References: {answers.message_id}"]
    lines.append(f"X-Mailer: {dice.choice(('Apple Mail (2.3774)', 'Mutt/2.2', 'Microsoft Outlook 16.0'))}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n"


def _html(text: str) -> str:
    paragraphs = "".join(f"<p style='margin:0 0 8pt 0;font-family:Calibri'>{line}</p>" for line in text.split("\n"))
    return f"<html><head><style>p {{ color: #222 }}</style></head><body>{paragraphs}</body></html>\n"


def _attachments(dice: random.Random) -> int:
    return 0 if dice.random() < 0.8 else dice.randint(1, 3)


def _attach(dice: random.Random, message: EmailMessage, number: int) -> None:
    name, maintype, subtype, most = dice.choice(
        (
            ("IMG_20{}.jpg", "image", "jpeg", 120_000),
            ("Überweisung {}.pdf", "application", "pdf", 60_000),
            ("Liste {}.docx", "application", "vnd.openxmlformats-officedocument.wordprocessingml.document", 30_000),
            ("dates {}.csv", "text", "csv", 4_000),
        )
    )
    content = dice.randbytes(dice.randint(1_000, most))
    if maintype == "text":
        content = b"date,time\r\n" + b"".join(b"2026-11-%02d,23:00\r\n" % (day % 28 + 1) for day in range(90))
    message.add_attachment(content, maintype, subtype, filename=name.format(40 + number))
