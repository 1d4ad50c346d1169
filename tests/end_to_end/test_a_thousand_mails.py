"""A thousand mails through the real daemon, Dovecot and SMTP: nothing lost, nothing doubled, also when it is killed."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlmodel import col

from amends.ledger import views
from amends.ledger.tables import Arrival, Case, Letter, Message
from amends.ledger.verify import verify
from bench.house import House, Postman, until
from bench.mails import Generated, a_mailbox, an_answer
from tests.servers.smtp import Letter as Delivered

pytestmark = [pytest.mark.server("dovecot"), pytest.mark.slow]

COMPLAINTS = 600
WAITING_REPLIES = 340
ANSWERS = 60
"""Replies to acknowledgements, which somebody can only write when theirs has come."""
PATIENCE = 300.0
LOOKS = 0.3
"""Seconds between two looks into the store or the mailbox, which the daemon needs more than we."""
KILLS = 20


def _is_acknowledgement(letter: Delivered) -> bool:
    return "We have received your complaint" in letter.header("Subject")


class Complainants:
    """They answer, each once and by pressing "reply", the first acknowledgements that they are sent."""

    def __init__(self, many: int) -> None:
        self._left = many
        self._told: set[str] = set()
        self.post: Postman | None = None
        self.wrote: dict[str, str] = {}
        """The Message-ID of each answer, and the acknowledgement that it answers."""

    def read(self, letter: Delivered) -> None:
        if self._left <= 0 or letter.header("Message-ID") in self._told or not _is_acknowledgement(letter):
            return
        self._left -= 1
        number = len(self._told)
        self._told.add(letter.header("Message-ID"))
        # Some programs answer to From and forget Reply-To; then only the reference of our letter tells the case.
        to = letter.header("From") if number % 3 == 0 else letter.header("Reply-To")
        now, writer = datetime.now(UTC), letter.header("To")
        assert self.post is not None
        self.post.put(an_answer(letter.raw, to=to, sender=writer, number=number, now=now))
        self.wrote[f"answer-{number}@replies.example"] = letter.header("Message-ID").strip("<>")


@pytest.fixture(scope="module")
def mails():
    return a_mailbox(complaints=COMPLAINTS, replies=WAITING_REPLIES)


@pytest.fixture
def filled(dovecot, mails):
    """A mailbox in which the mails wait, and the mails."""
    box = dovecot.account()
    box.deliver_all(mail.raw for mail in mails)
    return box, mails


def test_a_thousand_mails_become_six_hundred_cases_and_a_second_run_changes_nothing(filled, smtp, tmp_path):
    box, mails = filled
    writers = Complainants(ANSWERS)
    house = House(tmp_path, [box], smtp)
    with Postman(smtp, box, told=writers.read) as post:
        writers.post = post
        with house:
            _until_all_is_done(house, box, smtp, post)
        before = _whole(house)
        _prove(house, mails, writers, smtp.letters)
        with house:  # the same again, with everything already in the store
            until(lambda: len(house.events("intake.connected")) > 1, seconds=180, what=lambda: f"{house.log[-5:]}")
            time.sleep(1)
        assert _whole(house) == before and len(smtp.letters) == COMPLAINTS
    assert not [event for event in house.log if event["level"] in ("error", "critical")] and not house.rest
    assert len(box.uids("Amends/Filed")) == len(mails) + ANSWERS + COMPLAINTS and not box.uids("Amends/Quarantine")


def test_kill_nine_at_twenty_random_moments_loses_nothing_and_doubles_nothing(filled, smtp, tmp_path):
    box, mails = filled
    dice = random.Random(20)
    writers = Complainants(ANSWERS)
    house = House(tmp_path, [box], smtp, smtp={"receipt_wait_seconds": 5})
    # Half of the moments are instants of the clock; the others the worst there is: the server has taken a letter, and
    # its answer is not there yet.
    at_the_dot = sorted(dice.sample(range(1, COMPLAINTS - 50), KILLS // 2))
    struck = threading.Event()

    def strike(letter: Delivered) -> None:
        writers.read(letter)
        if at_the_dot and len(smtp.letters) >= at_the_dot[0]:
            at_the_dot.pop(0)
            if house.daemon is not None:
                struck.set()  # first: whoever sees it fall asks at once by whose hand
                house.daemon.kill()

    with Postman(smtp, box, told=strike) as post:
        writers.post = post
        for _ in range(KILLS // 2):
            house.start()
            struck.wait(dice.uniform(0.4, 3.0))
            struck.clear()
            house.kill()
        while at_the_dot:
            house.start()
            until(lambda: struck.is_set() or not house.runs, seconds=PATIENCE, what=lambda: f"{house.log[-5:]}")
            assert struck.is_set(), (house.log[-5:], house.rest[-20:])  # it fell by itself
            struck.clear()
            house.kill()
        with house:
            _until_all_is_done(house, box, smtp, post)
        _prove(house, mails, writers, smtp.letters)
    until(lambda: not house.orphans(), seconds=180, what=lambda: f"the workers of the dead to end: {house.orphans()}")
    assert not [line for line in house.rest if "Traceback" in line]


def _until_all_is_done(house: House, box, smtp, post: Postman) -> None:
    """The inbox is empty, every letter has left or is settled, and every answer and copy has come home."""
    until(lambda: len(smtp.letters) >= COMPLAINTS, seconds=PATIENCE, what=lambda: f"letters: {len(smtp.letters)}")
    until(lambda: post.idle and _settled(house), seconds=PATIENCE, what=lambda: f"{_states(house)}", every=LOOKS)
    until(lambda: not box.uids(), seconds=PATIENCE, what=lambda: f"an empty inbox: {box.uids()}", every=LOOKS)


def _settled(house: House) -> bool:
    return set(_states(house)) <= {"sent"}


def _states(house: House) -> Counter[str]:
    with house.office() as office, office.book.read() as session:
        return Counter(session.scalars(select(Letter.state)))


def _whole(house: House) -> tuple[views.Tally, str, int]:
    with house.office() as office:
        with office.book.read() as session:
            tally, last = views.tally(session), views.last_event(session)
        return tally, verify(office.book).root, last


def _prove(house: House, mails: Sequence[Generated], writers: Complainants, letters: Sequence[Delivered]) -> None:
    """Every complaint is one case with one acknowledgement, every reply on the case that it belongs to."""
    told = Counter(letter.header("Message-ID") for letter in letters)
    assert len(letters) == COMPLAINTS and set(told.values()) == {1}
    with house.office() as office:
        with office.book.read() as session:
            assert set(session.scalars(select(Arrival.state))) == {"filed", "own"}
            assert len(list(session.scalars(select(Case.id)))) == COMPLAINTS
            rows = session.execute(
                select(col(Message.message_id), col(Message.case_id), col(Message.from_address)).where(
                    Message.direction == "in"
                )
            )
            where = {message_id: (case, address) for message_id, case, address in rows}
            sent = session.execute(select(col(Letter.message_id), col(Letter.case_id)))
            cases = dict(map(tuple, sent))
        verdict = verify(office.book)
    assert verdict.intact, verdict.problems
    assert len(where) == len(mails) + ANSWERS == COMPLAINTS + WAITING_REPLIES + ANSWERS
    opened = [where[mail.message_id.strip("<>")] for mail in mails if mail.is_complaint]
    assert len({case for case, _ in opened}) == COMPLAINTS
    for mail in mails:
        case, address = where[mail.message_id.strip("<>")]
        assert address == mail.address
        if mail.answers is not None:
            assert case == where[mails[mail.answers].message_id.strip("<>")][0], mail.subject
    assert len(writers.wrote) == ANSWERS
    for answer, letter in writers.wrote.items():
        assert where[answer][0] == cases[letter]
    references = [re.search(r"NW-\d{4}-\d{6}-\d\d", letter.header("Subject")) for letter in letters]
    assert len({found[0] for found in references if found}) == COMPLAINTS
