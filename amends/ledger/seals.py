"""What an event seals of each row: one form for the verbs that write it and for the proof that reads it again.

All are salted digests, so that the words can be erased one day and the chain still stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from amends.ledger.chain import digest
from amends.ledger.tables import Case


def message_seal(
    salt: str,
    *,
    sha256: str,
    sender: str,
    subject: str,
    text: str,
    new_text: str,
    files: Iterable[tuple[str, str]],
) -> str:
    """A message in: its bytes, what the desk is shown of them, and its attachments as (name, SHA-256) in order."""
    return digest(salt, sha256, sender, subject, text, new_text, *(part for file in files for part in file))


def letter_seal(salt: str, *, to: str, subject: str, body: str) -> str:
    """The words of a letter, and to whom."""
    return digest(salt, to, subject, body)


def bytes_seal(salt: str, raw: bytes) -> str:
    """The bytes of a letter, as a server is given them."""
    return digest(salt, hashlib.sha256(raw).hexdigest())


def complaint_seal(row: Case) -> str:
    """Who complains of what."""
    return digest(row.salt, row.complainant_name, row.subject)


def address_seal(row: Case, address: str) -> str:
    """An address that belongs to a case."""
    return digest(row.salt, address)


def finding_seal(row: Case) -> str:
    """What puts it right, in words and money, and why it happened."""
    money = "" if row.remedy_amount is None else f"{row.remedy_amount} {row.remedy_currency}"
    return digest(row.salt, row.remedy or "", money, row.root_cause or "")


def words_seal(row: Case, *words: str) -> str:
    """What somebody wrote on the row of a case: the impact, the reason for waiting."""
    return digest(row.salt, *words)
