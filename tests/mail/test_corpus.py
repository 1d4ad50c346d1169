"""Real mail that nobody here wrote, where it lies beside the checkout: nothing crashes, nothing is lost, and what was
once read right stays so.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from amends.mail.facts import Kind, Reading
from amends.mail.read import read

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus" / "dev"
MANIFEST = CORPUS / "manifest.jsonl"
pytestmark = pytest.mark.skipif(not MANIFEST.is_file(), reason="the corpus of real mail is not here")

# The share of expectations met; a change that falls below one made reading worse.
SHARES = {
    "subject": 1.0,
    "from": 1.0,
    "from_name": 1.0,
    "body_contains": 0.96,
    "attachments": 1.0,
    "attachment_count": 1.0,
    "is_bounce": 0.99,
    "is_auto": 1.0,
    "no_auto_ack": 0.99,
    "failed_recipient": 0.98,
    "permanent_failure": 0.95,
    "new_text_contains": 0.98,
    "new_text_excludes": 1.0,
}


@cache
def readings() -> list[tuple[dict[str, Any], Reading]]:
    rows = [json.loads(line) for line in MANIFEST.open(encoding="utf-8")]
    return [(row, read((CORPUS / row["file"]).read_bytes())) for row in rows]


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u00a0\u200b-\u200d\ufeff\u00ad]+", "", unicodedata.normalize("NFC", text))


def met(key: str, wanted: Any, reading: Reading) -> bool | None:
    """Whether an expectation is met; None for one that is not looked at here."""
    text, new = squeezed(reading.text), squeezed(reading.new_text)
    names = {squeezed(one.name) for one in reading.attachments}
    checks = {
        "subject": lambda: squeezed(reading.subject) == squeezed(wanted),
        "from": lambda: reading.sender.address == wanted.lower(),
        "from_name": lambda: squeezed(reading.sender.name) == squeezed(wanted),
        "body_contains": lambda: all(squeezed(phrase) in text for phrase in wanted),
        "attachments": lambda: all(squeezed(name) in names for name in wanted),
        "attachment_count": lambda: len(reading.attachments) == wanted,
        "is_bounce": lambda: (reading.kind is Kind.BOUNCE) == wanted,
        "is_auto": lambda: (reading.kind is not Kind.PERSON) == wanted,
        "no_auto_ack": lambda: reading.answerable != wanted,
        "failed_recipient": lambda: {one.lower() for one in wanted} <= set(reading.failed_recipients),
        "permanent_failure": lambda: bool(reading.permanent_failure) == wanted,
        "new_text_contains": lambda: all(squeezed(phrase) in new for phrase in wanted),
        "new_text_excludes": lambda: not any(squeezed(phrase) in new for phrase in wanted),
    }
    return checks[key]() if key in checks else None


@pytest.mark.parametrize("key", SHARES)
def test_what_was_read_right_stays_so(key: str):
    verdicts: dict[bool, list[str]] = defaultdict(list)
    for row, reading in readings():
        if key in row["expect"] and (verdict := met(key, row["expect"][key], reading)) is not None:
            verdicts[verdict].append(row["file"])
    share = len(verdicts[True]) / (len(verdicts[True]) + len(verdicts[False]))
    assert share >= SHARES[key], verdicts[False]


def test_no_message_is_given_up():
    assert [
        row["file"] for row, reading in readings() if any("only the header" in one for one in reading.defects)
    ] == []


# Judged by their headers to be a person's, but reports of mail servers from their first line to their last.
REPORTS_AFTER_ALL = ("discourse--spec__fixtures__emails__invalid_from_2.eml", "message-rfc822-multipart2.eml")


def test_no_person_is_taken_for_a_bounce_or_an_automatic_answer():
    machines = (Kind.BOUNCE, Kind.AUTO_REPLY, Kind.OWN)
    mistaken = [
        row["file"]
        for row, reading in readings()
        if row["kind"] in ("complaint", "reply")
        and not row["expect"].get("no_auto_ack")
        and not row["file"].endswith(REPORTS_AFTER_ALL)
        and reading.kind in machines
    ]
    assert mistaken == []
