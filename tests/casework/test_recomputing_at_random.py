"""Whatever happened to a case, counting again finds its deadlines as they stand; and what a change moves is mended."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from amends.casework import clockwork, course, handling, moretime, policychange
from amends.casework.office import Office
from amends.casework.recomputing import Difference, look_through
from amends.deadlines.recount import Sort
from amends.kernel.errors import AmendsError
from amends.ledger.verify import verify
from tests.builders import NOW, SAM, a_mail, an_office, case_of, open_case, post_all
from tests.casework.test_course import answer, write
from tests.casework.test_pausing import HOUSE

PACKS = ("iso-10002", "uk-housing-ombudsman-2024", "uk-fca-disp", "ie-cbi-cpc-2025", "au-asic-rg271", "house")
REASON = "The surveyor can come on 4 January only."
seeds = st.integers(0, 2**32)
Step = Callable[[Office, int, datetime, random.Random], None]


def _facts(office: Office, case_id: int) -> dict[str, tuple[str, ...]]:
    return course.all_facts(_packs(office, case_id))


def _packs(office: Office, case_id: int) -> list[Any]:
    return office.packs_at(NOW)


def say_something(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    if facts := sorted(_facts(office, case_id).items()):
        name, values = dice.choice(facts)
        handling.set_fact(office, case_id, name, dice.choice(values), actor=SAM, now=now)


def something_happens(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    if names := sorted(course.all_events(_packs(office, case_id))):
        handling.record_event(office, case_id, dice.choice(names), actor=SAM, now=now)


def write_a_letter(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    letters = [one.id for pack in _packs(office, case_id) for one in pack.letter if one.form == "letter"]
    write(office, case_id, counts_as=dice.choice(["", *letters]), now=now)


def give_an_answer(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    answer(office, case_id, by=SAM, now=now)


def give_more_time(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    one = dice.choice([each for each in case_of(office, case_id).deadlines if each.state in ("open", "paused")])
    day = office.calendar.day_of(one.due_at) + timedelta(days=dice.randint(1, 12))
    leaves = moretime.extend(office, case_id, one.kind, day, REASON, actor=SAM, now=now)
    post_all(office, now=leaves or now)


def stop_the_clock(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    one = dice.choice([each for each in case_of(office, case_id).deadlines if each.state in ("open", "paused")])
    moretime.pause(office, case_id, one.kind, "A photo is missing", actor=SAM, now=now)
    post_all(office, now=now + timedelta(minutes=1))


def let_it_go_on(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    handling.resume(office, case_id, actor=SAM, now=now)


def take_it_up_again(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    handling.reopen(office, case_id, "They do not agree", actor=SAM, now=now)


def nothing(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    pass


STEPS: tuple[Step, ...] = (
    *(say_something, something_happens, write_a_letter, give_an_answer, give_more_time, stop_the_clock),
    *(let_it_go_on, take_it_up_again, nothing),
)


def live(office: Office, steps: list[Step], dice: random.Random) -> Iterator[tuple[Step, datetime]]:
    """A case that goes through these steps, with the clock and the post at work; after each the present instant."""
    now = NOW - timedelta(hours=dice.randint(0, 100))
    case_id = open_case(office, a_mail(), now=now)
    post_all(office, now=now)
    for step in steps:
        now += timedelta(minutes=dice.choice([1, 45, 700, 4000, 15_000]))
        work(office, now)
        with suppress(AmendsError, IndexError):  # it may not be possible now
            step(office, case_id, now, dice)
        now += timedelta(minutes=2)
        work(office, now)
        yield step, now


def work(office: Office, now: datetime) -> None:
    while clockwork.tick(office, now=now) or post_all(office, now=now):
        pass


def differences(office: Office, now: datetime) -> list[Difference]:
    found = [one.difference for looked in look_through(office, clock=lambda: now) for one in looked.found]
    return [one for one in found if one.sort is not Sort.STANDS]


def an_office_of(folder: Path, pack: str, **organisation: Any) -> Office:
    (folder / "packs").mkdir(exist_ok=True)
    (folder / "packs" / "house.toml").write_text(HOUSE)
    policy = {"pack": pack, "folder": "packs"}
    return an_office(folder, policy=policy, organisation={"region": "GB-ENG", **organisation})


@given(st.sampled_from(PACKS), st.lists(st.sampled_from(STEPS), min_size=1, max_size=7), seeds)
@settings(max_examples=25, deadline=None)
def test_what_the_verbs_leave_is_what_is_counted_again(pack: str, steps: list[Step], seed: int) -> None:
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        office = an_office_of(Path(folder), pack)
        for step, now in live(office, steps, dice):
            assert differences(office, now) == [], step.__name__
        assert verify(office.book).problems == ()
        office.book.close()


@given(st.sampled_from(PACKS), st.lists(st.sampled_from(STEPS), min_size=1, max_size=5), seeds)
@settings(max_examples=15, deadline=None)
def test_after_a_change_was_applied_nothing_differs(pack: str, steps: list[Step], seed: int) -> None:
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        office = an_office_of(Path(folder), pack)
        *_, (_, now) = live(office, steps, dice)
        office.book.close()
        days = [f"{NOW.date() + timedelta(days=dice.randint(1, 60))}" for _ in range(5)]
        changed = an_office_of(Path(folder), pack, closures=days[:4], openings=days[4:], opens="08:00")
        changed.wall = lambda: now
        policychange.apply(changed, "We are closed", actor=SAM, clock=changed.now)
        assert differences(changed, now) == []
        work(changed, now + timedelta(minutes=1))
        assert differences(changed, now + timedelta(minutes=2)) == []
        assert verify(changed.book).problems == ()
        changed.book.close()
