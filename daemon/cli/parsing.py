"""`amendsd parse`: what is read in messages.  It never fails on a message; what cannot be read is in `defects`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from amends.mail.facts import Mailbox, Reading
from amends.mail.read import read
from amends.mail.report import as_json as report
from daemon.cli import say

if TYPE_CHECKING:
    from amends.config import Settings


def parse(files: Sequence[Path], settings: Settings | None, *, as_json: bool) -> int:
    """Exit status 1 if a file could not be opened; the others are read all the same."""
    own, authserv, languages = _ours(settings)
    missing = 0
    for number, file in enumerate(files):
        try:
            raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        except OSError as fault:
            say.error(f"{file}: cannot be read: {fault.strerror or fault}.")
            missing += 1
            continue
        reading = read(raw, own_addresses=own, trusted_authserv=authserv, languages=languages)
        if as_json:
            say.record(report(str(file), reading))
        else:
            if number:
                say.line()
            _print(str(file), reading)
    return 1 if missing else 0


def _ours(settings: Settings | None) -> tuple[frozenset[str], str, tuple[str, ...]]:
    if settings is None:
        return frozenset(), "", ()
    organisation = settings.organisation
    return organisation.own_addresses, organisation.authserv_id, organisation.languages


def _print(file: str, reading: Reading) -> None:
    facts = [
        ("File", file),
        ("From", _shown(reading.sender)),
        ("Reply-To", ", ".join(map(_shown, reading.reply_to))),
        ("To", ", ".join(map(_shown, reading.to))),
        ("Cc", ", ".join(map(_shown, reading.cc))),
        ("Date", "" if reading.date is None else reading.date.isoformat(sep=" ")),
        ("Subject", reading.subject),
        ("Message-ID", reading.message_id),
        ("Answers", " ".join(reading.in_reply_to)),
        ("Kind", f"{reading.kind}, {_answerable(reading)}"),
        ("Language", reading.language or ""),
        ("Failed", " ".join(reading.failed_recipients)),
        ("Authentication", ", ".join(f"{name} {value}" for name, value in reading.authentication.items())),
        *(("Attached", f"{one.name} ({one.media_type}, {one.size} bytes)") for one in reading.attachments),
        *(("Defect", defect) for defect in reading.defects),
    ]
    say.table([[f"{name}:", say.harmless(value)] for name, value in facts if value])
    say.line()
    say.line(say.harmless(reading.new_text or reading.text, multiline=True))


def _shown(one: Mailbox) -> str:
    return f"{one.name} <{one.address}>" if one.name else one.address or "(no address)"


def _answerable(reading: Reading) -> str:
    if reading.answerable:
        return "may be answered automatically"
    because = f": {reading.not_answerable_because}" if reading.not_answerable_because else ""
    return f"may not be answered automatically{because}"
