"""What libFuzzer calls with each input: read it, and look whether what came out keeps the reader's promises.

A fault is kept with its input, once for each place that raised, and the fuzzer goes on.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["amends", "mailparser", "mailparser_reply", "inscriptis"]):
    from amends.mail import read as reader
    from amends.mail.facts import Kind, Reading
    from amends.mail.report import as_json

    # Loaded when first needed; here, so that they are instrumented.
    import amends.mail.html
    import amends.mail.tnef
    import inscriptis.html_engine
    import mailparser_reply

OURS: Final = frozenset({"complaints@northwind.example"})
SLOW: Final = 8.0  # seconds of processor time, at a fraction of the reader's own pace
TEXT: Final = 1024 * 1024


def one_input(data: bytes) -> None:
    began = time.process_time()
    try:
        reading = reader._read(data, OURS, "mx.northwind.example", ("en", "de", "fr"))
        promises(data, reading)
        promises(data, reader.read_headers(data, own_addresses=OURS))
        assert tuple(file.fact() for file in reader.attached_files(data)) == reading.attachments, "files differ"
    except Exception as fault:
        keep(data, fault)
    if time.process_time() - began > SLOW:
        keep(data, TimeoutError(f"{time.process_time() - began:.1f} s"))


def promises(data: bytes, reading: Reading) -> None:
    """What everybody who gets a reading relies on."""
    told = json.dumps(as_json("mail", reading), ensure_ascii=False)
    told.encode("utf-8")  # no lone surrogates
    assert "\\u0000" not in told and "\0" not in told, "NUL"
    assert reading.size == len(data)
    assert len(reading.text) <= TEXT and len(reading.new_text) <= TEXT, "too long a text"
    assert len(reading.references) <= 100 and len(reading.attachments) <= 500 and len(reading.defects) <= 50
    assert (reading.kind is Kind.BOUNCE) == (reading.permanent_failure is not None)
    assert not reading.answerable or (reading.kind is Kind.PERSON and "@" in reading.sender.address)
    assert bool(reading.not_answerable_because) != reading.answerable
    addresses = [reading.sender, *reading.reply_to, *reading.to, *reading.cc]
    assert not any(set(box.address) & set(" \t\r\n") or "\n" in box.name for box in addresses), "an address"
    assert "\n" not in reading.subject and "\r" not in reading.subject, "a subject of several lines"
    for one in (reading.message_id, *reading.in_reply_to, *reading.references, *reading.failed_message_ids):
        assert len(one) <= 998 and not set(one) & set(" \t\r\n<>"), f"a Message-ID: {one!r}"
    for file in reading.attachments:
        assert file.name and "/" not in file.name and file.name not in (".", ".."), f"a name: {file.name!r}"


def keep(data: bytes, fault: Exception) -> None:
    """Keep the input and the trace, once for each place of our own that raised."""
    frames = traceback.extract_tb(fault.__traceback__)
    place = f"{Path(frames[-1].filename).stem}-{frames[-1].lineno}" if frames else "slow"
    name = f"{type(fault).__name__}-{place}"
    folder = Path(os.environ["AMENDS_FINDINGS"])
    if not (folder / f"{name}.eml").exists():
        (folder / f"{name}.eml").write_bytes(data)
        (folder / f"{name}.txt").write_text("".join(traceback.format_exception(fault)), encoding="utf-8")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
