"""The sealed record: each entry of a case carries a hash over the entry before it."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

_canonical_json: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def _canonical(value: object) -> bytes:
    return _canonical_json(value).encode()


def seal(
    previous: str, *, reference: str, seq: int, at: datetime, actor: str, kind: str, data: Mapping[str, Any]
) -> str:
    """SHA-256 (hex) over the previous seal and this entry as canonical JSON; the first has `previous` empty."""
    entry = [reference, seq, at.astimezone(UTC).isoformat(timespec="microseconds"), actor, kind, data]
    return hashlib.sha256(previous.encode() + _canonical(entry)).hexdigest()


def new_salt() -> str:
    """128 random bits (hex): kept beside personal data and erased with it."""
    return secrets.token_hex(16)


def digest(salt: str, *content: str) -> str:
    """The salted digest (SHA-256, hex) by which an event names content that may be erased one day."""
    return hashlib.sha256(salt.encode() + _canonical(content)).hexdigest()


@dataclass(slots=True)
class Chain:
    """The growing end of one case's ledger: add entries, then write `rows` and keep `length` and `head`."""

    reference: str
    length: int = 0
    head: str = ""

    def entry(self, at: datetime, actor: str, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """The next event as a row without its case_id.  `data` must survive JSON unchanged (no floats)."""
        self.length += 1
        self.head = seal(self.head, reference=self.reference, seq=self.length, at=at, actor=actor, kind=kind, data=data)
        return {"seq": self.length, "at": at, "actor": actor, "kind": kind, "data": data, "hash": self.head}


def first_broken(reference: str, events: Iterable[Any]) -> str | None:
    """What is wrong with the first entry whose seal or number does not agree, or None.

    `events` are rows with seq, at, actor, kind, data, hash in order of seq.
    """
    previous = ""
    for expected, event in enumerate(events, 1):
        if event.seq != expected:
            return f"{reference}: event {expected} is missing"
        sealed = seal(
            previous,
            reference=reference,
            seq=event.seq,
            at=event.at,
            actor=event.actor,
            kind=event.kind,
            data=event.data,
        )
        if sealed != event.hash:
            return f"{reference}: event {event.seq} ({event.kind}) was altered"
        previous = event.hash
    return None
