"""A witness outside the store of how far the store had come: who puts an old copy in its place is found out.

A number that grows by the minute stands in the store and, written after that, in a file beside it.  A store whose
number is behind the file's was taken back to an earlier state, and what it says of its letters is old.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Final

import structlog

from amends.casework import restored
from amends.casework.office import Office, read_meta, write_meta

log = structlog.get_logger()

ENDING: Final = ".witness"


class Witness:
    """For one store and one machine.  Without a place for the file (PostgreSQL outside systemd) it says nothing."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._path = _place(office)

    def check(self) -> bool:
        """To be asked once, before anything leaves: whether the store is an old one.  Its letters are held then."""
        kept = self._read()
        if kept is None:
            return False
        with self._office.book.read() as session:
            inside = read_meta(session, restored.GENERATION)
        if inside == restored.ANEW or kept <= int(inside or 0):
            return False
        doubted = restored.hold(self._office, now=self._office.now())
        log.error("house.store-is-old", file=str(self._path), letters=doubted)
        return True

    def keep(self) -> None:
        """Go on by one, in the store first."""
        if self._path is None:
            return
        with self._office.book.write() as session:
            inside = read_meta(session, restored.GENERATION)
            number = max(0 if inside in (None, restored.ANEW) else int(inside or 0), self._read() or 0) + 1
            write_meta(session, restored.GENERATION, str(number))
        self._write(number)

    def _read(self) -> int | None:
        """The number in the file; None if there is none, or it is of another store."""
        if self._path is None:
            return None
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            return int(kept["generation"]) if kept["store"] == self._store() else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as fault:
            log.warning("house.witness-not-read", file=str(self._path), why=f"{type(fault).__name__}: {fault}")
            return None

    def _write(self, number: int) -> None:
        if self._path is None:
            return
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            part.write_text(json.dumps({"store": self._store(), "generation": number}), encoding="utf-8")
            part.chmod(0o600)
            part.replace(self._path)
        except OSError as fault:
            log.warning("house.witness-not-written", file=str(self._path), why=str(fault))

    def _store(self) -> str:
        """Which store it is, without telling its key."""
        return hashlib.sha256(b"witness " + self._office.key).hexdigest()[:16]


def _place(office: Office) -> Path | None:
    if office.book.path is not None:
        return office.book.path.with_name(office.book.path.name + ENDING)
    folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(folder) / f"amends{ENDING}" if folder else None
