"""Whatever happened to a case, counting again finds its deadlines as they stand; and what a change moves is mended."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from amends.casework import clockwork, course, handling, moretime, policychange, undelivered
from amends.casework.office import Office
from amends.casework.plans import pauses_of
from amends.casework.recomputing import Difference, look_through
from amends.deadlines.clocks import replanned
from amends.deadlines.recount import Sort
from amends.kernel.errors import AmendsError
from amends.ledger.tables import Deadline, Letter
from amends.ledger.verify import verify
from amends.mail.facts import Kind
from tests.builders import NOW, SAM, a_mail, an_office, case_of, file_mail, open_case, post_all
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


def they_write(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    newest = [one for one in case_of(office, case_id).letters if one.message_id][-1]
    file_mail(office, a_mail(in_reply_to=newest.message_id or "", text="Here it is."), now=now)


def a_letter_comes_back(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    """One that changed a clock, however long ago; sometimes it is sent again, to where they are reached."""
    letter = dice.choice([one for one in case_of(office, case_id).letters if one.state == "sent" and _word(one.facts)])
    report = a_mail(
        sender="mailer-daemon@mx.example.org",
        kind=Kind.BOUNCE,
        failed_message_ids=(letter.message_id or "",),
        gave_up=True,
        permanent_failure=True,
    )
    file_mail(office, report, now=now)
    if dice.random() < 0.5:
        undelivered.send_to(office, letter.id, f"edith{dice.random()}@example.org", actor=SAM, now=now)


def _word(facts: Mapping[str, Any]) -> Any:
    return facts.get("extends") or facts.get("pauses")


def nothing(office: Office, case_id: int, now: datetime, dice: random.Random) -> None:
    pass


STEPS: tuple[Step, ...] = (
    *(say_something, something_happens, write_a_letter, give_an_answer, give_more_time, stop_the_clock),
    *(let_it_go_on, take_it_up_again, nothing),
)
CLOCKS: tuple[Step, ...] = (
    *(give_more_time, give_more_time, stop_the_clock, stop_the_clock, let_it_go_on, they_write),
    *(a_letter_comes_back, a_letter_comes_back, give_an_answer, take_it_up_again, nothing),
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


@given(st.lists(st.sampled_from(CLOCKS), min_size=2, max_size=9), seeds)
@settings(max_examples=8, deadline=None)
def test_no_clock_is_moved_by_a_letter_that_did_not_arrive(steps: list[Step], seed: int) -> None:
    dice, breached = random.Random(seed), set[Any]()
    with tempfile.TemporaryDirectory() as folder:
        office = an_office_of(Path(folder), "house")
        for step, now in live(office, steps, dice):
            assert differences(office, now) == [], step.__name__
            with office.book.read() as session:
                deadlines, letters = session.scalars(select(Deadline)).all(), session.scalars(select(Letter)).all()
                session.expunge_all()
            missed = {(one.kind, one.occurrence) for one in deadlines if one.breached_at is not None}
            assert breached <= missed, step.__name__
            breached = missed
            assert len({one.natural_key for one in letters}) == len(letters)
            for one in deadlines:
                assert _is_as_told(office, one, letters), (step.__name__, one)
        assert verify(office.book).problems == ()
        office.book.close()


def _is_as_told(office: Office, one: Deadline, letters: Sequence[Letter]) -> bool:
    """Every change of it is in a letter that arrived; without any it falls when its rule says."""
    told = [each for each in letters if (word := _word(each.facts)) and word.get("begun") and _is_of(word, one)]
    stops = pauses_of(one)
    moves = sum("extends" in each.facts for each in told)
    assert all(each.state == "sent" for each in told)
    assert len(told) - moves >= len(stops)
    if moves or stops:
        return True
    planned = replanned(office.pack, office.calendar, rule_id=one.kind, occurrence=1, starts_at=one.starts_at)
    assert planned is not None
    late = (one.met_at or planned.due_at) > planned.due_at
    return (one.due_at, tuple(one.derivation)) == (planned.due_at, planned.derivation) and bool(
        one.breached_at or not late
    )


def _is_of(word: Mapping[str, Any], one: Deadline) -> bool:
    return bool(word["of"] == [one.kind, one.occurrence, one.pack])


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
