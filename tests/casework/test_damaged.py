"""Bytes in the store that are no message any more, by a bad disk or hand: one is set aside, the others are read."""

from __future__ import annotations

import pytest
import zstandard
from sqlalchemy import text

from amends.casework import intake
from amends.kernel.errors import NotFound
from amends.ledger.verify import verify
from tests.builders import NOW, a_mail, an_office, open_case, store_mail

PACKED = {
    "rubbish": b"rubbish",
    "nothing": b"",
    "a frame without a length": zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 100),
    "a bomb": zstandard.compress(bytes(300_000_000)),
    "half of a frame": zstandard.compress(b"From: Ann <ann@example.org>\r\n\r\nThe lift is broken.\r\n" * 9)[:-9],
}


@pytest.fixture
def office(tmp_path, sqlite_url):
    office = an_office(tmp_path, url=sqlite_url)
    yield office
    office.book.close()


def damage(office, packed, which="(SELECT max(id) FROM raws)"):
    with office.book.write() as session:
        session.connection().execute(text(f"UPDATE raws SET zstd = :packed WHERE id = {which}"), {"packed": packed})


def states(office):
    with office.book.read() as session:
        return [tuple(row) for row in session.connection().execute(text("SELECT state, reason FROM arrivals"))]


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_a_message_whose_bytes_are_damaged_is_set_aside_and_the_others_are_read(office, packed):
    store_mail(office, a_mail(subject="damaged"))
    damage(office, packed)
    whole, _ = store_mail(office, a_mail(subject="whole"))
    assert [one.arrival_id for one in intake.pending(office, limit=1)] == [whole]
    assert states(office) == [("quarantined", intake.DAMAGED), ("stored", None)]


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_where_all_are_damaged_nothing_is_left_to_read(office, packed):
    store_mail(office, a_mail())
    damage(office, packed)
    assert intake.pending(office) == []


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_verification_names_it_and_whoever_opens_it_is_told(office, packed):
    open_case(office, a_mail(), now=NOW)
    damage(office, packed)
    (problem,) = verify(office.book).problems
    assert "message 1 is not what the ledger sealed" in problem
    with pytest.raises(NotFound, match="damaged"):
        intake.unpack(packed, size=1_000_000)
