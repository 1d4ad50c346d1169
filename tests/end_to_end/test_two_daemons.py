"""Two daemons on one PostgreSQL and one mailbox: one works, the other stands by, and nothing happens twice."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from sqlalchemy import select

from amends.ledger.tables import Arrival, Case, Letter
from amends.ledger.verify import verify
from bench.house import House
from bench.house import until as until_seen
from bench.mails import a_mailbox

pytestmark = [pytest.mark.server("dovecot", "postgres"), pytest.mark.slow]

PATIENCE = 180.0
until = partial(until_seen, every=0.3)  # a look into the store takes its time from the daemons


def test_two_daemons_share_a_store_and_one_goes_on_when_the_other_is_killed(mailbox, smtp, postgres, tmp_path):
    mails = a_mailbox(complaints=80, replies=40, seed=5)
    later = a_mailbox(complaints=40, replies=20, seed=6)
    mailbox.deliver_all(mail.raw for mail in mails)
    url = postgres.empty_database()
    try:
        one, two = (_house(tmp_path / name, mailbox, smtp, url) for name in ("one", "two"))
        with one, two:
            until(lambda: _done(one) == (80, Counter(sent=80)), seconds=PATIENCE, what=lambda: f"{_done(one)}")
            at_work = one if one.events("intake.connected") else two
            at_work.kill()
            # other people: the same ones would look like machines that answer at once
            mailbox.deliver_all(mail.raw.replace(b"@people", b"@others") for mail in later)
            until(lambda: _done(one) == (120, Counter(sent=120)), seconds=PATIENCE, what=lambda: f"{_done(one)}")
            until(lambda: not mailbox.uids(), seconds=PATIENCE)
        with one.office() as office, office.book.read() as session:
            assert Counter(session.scalars(select(Arrival.state))) == Counter(filed=len(mails) + len(later))
            serials = sorted(session.scalars(select(Case.serial)))
        with one.office() as office:
            assert verify(office.book).intact
        assert serials == list(range(1, 121))
        assert set(Counter(letter.header("Message-ID") for letter in smtp.letters).values()) == {1}
        assert len(smtp.letters) == 120
    finally:
        postgres.drop(url)


def _house(folder, mailbox, smtp, url) -> House:
    folder.mkdir()
    return House(folder, [mailbox], smtp, database=url, smtp={"plus_addressing": False})


def _done(house: House) -> tuple[int, Counter[str]]:
    from amends.kernel.errors import AmendsError

    try:
        with house.office() as office, office.book.read() as session:
            return len(list(session.scalars(select(Case.id)))), Counter(session.scalars(select(Letter.state)))
    except AmendsError:  # the schema is being made
        return 0, Counter()
