"""The bare loop: the least that takes complaints from IMAP into a database and answers them.

No threading, no cases, no deadlines, no ledger, and nothing holds when it is killed.  It is the yardstick of what the
libraries and the disk cost.  Prints `connected` when it has logged in, and `done` at the
end, and stays until it is given a line.

    python -m bench.bareloop IMAP_PORT USERNAME PASSWORD SMTP_PORT DATABASE
"""

from __future__ import annotations

import smtplib
import sqlite3
import sys
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Final

import mailparser
from imapclient import IMAPClient

BATCH: Final = 50
HOST: Final = "127.0.0.1"


def main(imap_port: str, username: str, password: str, smtp_port: str, database: str) -> None:
    store = sqlite3.connect(database)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA synchronous = FULL")
    store.execute("CREATE TABLE mail (id INTEGER PRIMARY KEY, sender TEXT, subject TEXT, text TEXT, raw BLOB)")
    with (
        IMAPClient(HOST, int(imap_port), ssl=False) as box,
        smtplib.SMTP(HOST, int(smtp_port), local_hostname="localhost") as smtp,
    ):
        box.login(username, password)
        if not box.folder_exists("Filed"):
            box.create_folder("Filed")
        box.select_folder("INBOX")
        print("connected", flush=True)
        waiting = box.search()
        for start in range(0, len(waiting), BATCH):
            _take(store, box, smtp, waiting[start : start + BATCH])
    print("done", flush=True)
    sys.stdin.readline()  # who measures reads our processor time before we go


def _take(store: sqlite3.Connection, box: IMAPClient, smtp: smtplib.SMTP, uids: list[int]) -> None:
    complainants = []
    for data in box.fetch(uids, ["BODY.PEEK[]"]).values():
        raw = data[b"BODY[]"]
        mail = mailparser.parse_from_bytes(raw)
        sender = mail.from_[0][1]
        store.execute(
            "INSERT INTO mail (sender, subject, text, raw) VALUES (?, ?, ?, ?)",
            (sender, mail.subject, "\n".join(mail.text_plain or mail.text_html), raw),
        )
        if not mail.in_reply_to:
            complainants.append((sender, mail.subject))
    store.commit()
    box.move(uids, "Filed")
    for sender, subject in complainants:
        smtp.send_message(_acknowledgement(sender, subject))


def _acknowledgement(to: str, subject: str) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"] = "complaints@northwind.example", to
    letter["Subject"] = "We have received your complaint"
    letter["Message-ID"] = make_msgid(domain="northwind.example")
    letter.set_content(f"Thank you for writing to us about:\n\n    {' '.join(subject.split())}\n\nWe will answer.\n")
    return letter


if __name__ == "__main__":
    main(*sys.argv[1:])
