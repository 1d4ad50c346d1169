"""Promises in letters: the day stands in the words, becomes a clock when the letter has left, and is kept or missed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from amends.cases.outcomes import Outcome
from amends.casework import clockwork, correspondence, handling, merging, moretime, post, recomputing, undelivered
from amends.casework.correspondence import Finding, Words
from amends.casework.promising import Promise, names_day
from amends.kernel.errors import Refused
from amends.ledger.tables import Event
from amends.ledger.verify import verify
from amends.letters.kinds import LetterKind
from tests.builders import (
    AMARA,
    NOW,
    a_mail,
    an_office,
    case_of,
    find_what_left,
    open_case,
    post_all,
    post_and_die,
)

FRIDAY = date(2026, 12, 4)
LATER = NOW + timedelta(hours=2)


@pytest.fixture
def case_id(office):
    made = open_case(office)
    post_all(office)
    return made


@pytest.fixture
def plain(on_sqlite):
    made = open_case(on_sqlite)
    post_all(on_sqlite)
    return made


def write(office, case_id, text="An engineer will come.", *, kind=LetterKind.REPLY, promise=None, now=LATER):
    """A letter of Amara's that has left."""
    words = None if kind is LetterKind.PROGRESS_UPDATE else Words(message=text, reasons=text)
    letter = correspondence.draft(office, case_id, kind, words=words, promise=promise, actor=AMARA, now=now)
    leaves_at = correspondence.send(office, letter, actor=AMARA, now=now, anyway=True)
    post_all(office, now=leaves_at)
    return letter


def promises(office, case_id):
    return [one for one in case_of(office, case_id).deadlines if one.kind == "promise"]


def tick(office, now):
    while clockwork.tick(office, now=now):
        pass


def body(office, letter):
    from amends.ledger import views

    with office.book.read() as session:
        return views.letter(session, letter).body


def sound(office):
    """The ledger proves the rows, and whoever counts every date again leaves promises alone."""
    with office.book.read() as session:
        newest = session.scalar(select(func.max(col(Event.at))))
    looks = recomputing.look_through(office, clock=lambda: newest)
    found = [one.difference for looked in looks for one in looked.found]
    assert [one for one in found if one.deadline == "promise"] == []
    return verify(office.book).problems == ()


def test_a_promised_day_becomes_a_clock_when_the_letter_has_left(office, case_id):
    promise = Promise(FRIDAY, "an engineer looks at the boiler")
    letter = correspondence.draft(
        office, case_id, LetterKind.REPLY, words=Words(message="We are on it."), promise=promise, actor=AMARA, now=LATER
    )
    leaves_at = correspondence.send(office, letter, actor=AMARA, now=LATER)
    assert promises(office, case_id) == []
    post_all(office, now=leaves_at)
    (made,) = promises(office, case_id)
    assert (made.due_at, made.state) == (datetime(2026, 12, 4, 23, 59, 59, tzinfo=UTC), "open")
    assert made.basis == "our promise of 23 November 2026"
    assert "an engineer looks at the boiler" in made.derivation[0]
    assert case_of(office, case_id).row.deadline == "promise"
    assert "We promise you by Friday, 4 December 2026: an engineer looks at the boiler" in body(office, letter)
    assert "engineer" not in str([event.data for event in case_of(office, case_id).events])
    assert sound(office)


def test_the_handler_is_warned_a_working_day_before_and_a_broken_promise_stays_on_the_record(office, case_id):
    write(office, case_id, promise=Promise(FRIDAY))
    tick(office, datetime(2026, 12, 3, 8, tzinfo=UTC))
    assert "deadline-warning" not in [e.kind for e in case_of(office, case_id).events]
    tick(office, datetime(2026, 12, 3, 9, tzinfo=UTC))
    (warned,) = [e for e in case_of(office, case_id).events if e.kind == "deadline-warning"]
    assert (warned.data["deadline"], warned.data["to"]) == ("promise", "handler")
    tick(office, datetime(2026, 12, 5, 9, tzinfo=UTC))
    (broken,) = promises(office, case_id)
    assert broken.state == "breached" and broken.breached_at == broken.due_at
    told = [one for one in case_of(office, case_id).letters if one.staff]
    assert any("PROM" in one.subject + one.body for one in told)
    write(office, case_id, "Sorry.", now=datetime(2026, 12, 7, 9, tzinfo=UTC))
    (broken,) = promises(office, case_id)
    assert broken.met_at is not None and broken.breached_at is not None and broken.state == "breached"
    assert sound(office)


@pytest.mark.parametrize("kind", [LetterKind.REPLY, LetterKind.PROGRESS_UPDATE])
def test_the_next_letter_that_says_something_keeps_it(on_sqlite, plain, kind):
    write(on_sqlite, plain, promise=Promise(FRIDAY))
    at = NOW + timedelta(days=2)
    write(on_sqlite, plain, kind=kind, now=at)
    (made,) = promises(on_sqlite, plain)
    assert made.state == "met" and made.met_at is not None and made.met_at >= at
    assert sound(on_sqlite)


def test_a_letter_that_asks_for_more_time_keeps_none(on_sqlite, plain):
    write(on_sqlite, plain, promise=Promise(FRIDAY))
    write(on_sqlite, plain, kind=LetterKind.HOLDING, now=NOW + timedelta(days=2))
    assert [one.state for one in promises(on_sqlite, plain)] == ["open"]


def test_an_automatic_letter_keeps_none(on_sqlite, plain):
    write(on_sqlite, plain, promise=Promise(date(2026, 12, 31)))
    for day in range(1, 30):
        now = NOW + timedelta(days=day)
        tick(on_sqlite, now)
        post_all(on_sqlite, now=now)
    assert [one.kind for one in case_of(on_sqlite, plain).letters if one.automatic and one.kind == "progress-update"]
    assert [one.state for one in promises(on_sqlite, plain)] == ["open"]
    assert sound(on_sqlite)


def test_several_promises_run_at_once_and_a_letter_keeps_them_all(on_sqlite, plain):
    write(on_sqlite, plain, promise=Promise(FRIDAY, "a visit"))
    write(on_sqlite, plain, promise=Promise(date(2026, 12, 11), "a refund"), now=NOW + timedelta(days=1))
    assert [(one.state, one.due_date) for one in promises(on_sqlite, plain)] == [
        ("open", "2026-12-04"),
        ("open", "2026-12-11"),
    ]
    handling.keep_promise(on_sqlite, plain, actor=AMARA, now=NOW + timedelta(days=2))
    assert [one.state for one in promises(on_sqlite, plain)] == ["met", "open"]
    with pytest.raises(Refused, match=r"No such promise of .* is yet to be kept; there is 2"):
        handling.keep_promise(on_sqlite, plain, 1, actor=AMARA, now=NOW + timedelta(days=2))
    write(on_sqlite, plain, now=NOW + timedelta(days=3))
    assert [one.state for one in promises(on_sqlite, plain)] == ["met", "met"]
    assert sound(on_sqlite)


def test_a_new_promise_may_take_the_place_of_the_earlier_and_what_was_broken_stays_so(on_sqlite, plain):
    write(on_sqlite, plain, promise=Promise(FRIDAY))
    write(on_sqlite, plain, promise=Promise(date(2026, 12, 11), instead=True), now=NOW + timedelta(days=2))
    assert [one.state for one in promises(on_sqlite, plain)] == ["cancelled", "open"]
    (gone,) = [e for e in case_of(on_sqlite, plain).events if e.kind == "deadline-cancelled"]
    assert gone.data["because"] == "replaced by our promise of 25 November 2026"
    at = datetime(2026, 12, 14, 9, tzinfo=UTC)  # nobody ticked since
    write(on_sqlite, plain, promise=Promise(date(2026, 12, 18), instead=True), now=at)
    assert [one.state for one in promises(on_sqlite, plain)] == ["cancelled", "breached", "open"]
    assert sound(on_sqlite)


def test_a_letter_that_was_called_back_leaves_no_clock(on_sqlite, plain):
    letter = correspondence.draft(
        on_sqlite, plain, LetterKind.REPLY, words=Words(message="x"), promise=Promise(FRIDAY), actor=AMARA, now=LATER
    )
    correspondence.send(on_sqlite, letter, actor=AMARA, now=LATER)
    correspondence.call_back(on_sqlite, letter, actor=AMARA, now=LATER)
    post_all(on_sqlite, now=LATER + timedelta(hours=1))
    assert promises(on_sqlite, plain) == []
    correspondence.promise(on_sqlite, letter, None, actor=AMARA, now=LATER)
    correspondence.send(on_sqlite, letter, actor=AMARA, now=LATER, anyway=True)
    post_all(on_sqlite, now=LATER + timedelta(hours=1))
    assert promises(on_sqlite, plain) == [] and sound(on_sqlite)


def test_a_letter_whose_words_do_not_name_the_day_does_not_leave(on_sqlite, plain):
    letter = correspondence.draft(
        on_sqlite, plain, LetterKind.REPLY, words=Words(message="An engineer will come."), actor=AMARA, now=LATER
    )
    correspondence.promise(on_sqlite, letter, Promise(FRIDAY), actor=AMARA, now=LATER)
    with pytest.raises(Refused, match="does not name the day, Fri 04 Dec 2026"):
        correspondence.send(on_sqlite, letter, actor=AMARA, now=LATER)
    correspondence.save(on_sqlite, letter, "An engineer comes by 4 December.", actor=AMARA, now=LATER)
    with pytest.raises(Refused, match="which has passed"):
        correspondence.send(on_sqlite, letter, actor=AMARA, now=NOW + timedelta(days=20), anyway=True)
    correspondence.send(on_sqlite, letter, actor=AMARA, now=LATER)


def test_words_that_name_the_day_get_no_second_sentence(on_sqlite, plain):
    letter = write(on_sqlite, plain, "An engineer comes on 4 December 2026.", promise=Promise(FRIDAY))
    assert "You will hear from us again" not in body(on_sqlite, letter)
    assert len(promises(on_sqlite, plain)) == 1


@pytest.mark.parametrize(
    ("day", "said"), [(date(2026, 11, 20), "has passed"), (date(2226, 11, 20), "is years away; check the year")]
)
def test_a_day_that_cannot_be_meant_is_refused(on_sqlite, plain, day, said):
    with pytest.raises(Refused, match=said):
        correspondence.draft(on_sqlite, plain, LetterKind.REPLY, promise=Promise(day), actor=AMARA, now=LATER)


def test_the_final_response_keeps_what_was_promised_and_its_own_promise_outlives_it_and_a_review(on_sqlite, plain):
    write(on_sqlite, plain, promise=Promise(FRIDAY))
    at = NOW + timedelta(days=3)
    words = Words(outcome="upheld", reasons="Late.", remedy="We pay 100.", next_steps="")
    promise = Promise(date(2026, 12, 18), "the money is on your account")
    letter = correspondence.draft(
        on_sqlite, plain, LetterKind.FINAL_RESPONSE, words=words, promise=promise, actor=AMARA, now=at
    )
    leaves = correspondence.respond(on_sqlite, letter, Finding(Outcome.UPHELD), actor=AMARA, now=at)
    post_all(on_sqlite, now=leaves)
    assert [one.state for one in promises(on_sqlite, plain)] == ["met", "open"]
    handling.reopen(on_sqlite, plain, "They disagree.", actor=AMARA, now=at + timedelta(days=1))
    assert [one.state for one in promises(on_sqlite, plain)] == ["met", "open"]
    assert sound(on_sqlite)


def test_it_cannot_be_extended_or_paused(on_sqlite, plain):
    write(on_sqlite, plain, promise=Promise(FRIDAY))
    with pytest.raises(Refused, match="rests on no rule"):
        moretime.extend(on_sqlite, plain, "promise", date(2026, 12, 8), "Ill.", actor=AMARA, now=LATER)
    with pytest.raises(Refused, match="rests on no rule"):
        moretime.pause(on_sqlite, plain, "promise", "Ill.", actor=AMARA, now=LATER)


def test_a_merger_and_its_way_back_keep_it(on_sqlite, plain):
    write(on_sqlite, plain, promise=Promise(FRIDAY))
    other = open_case(on_sqlite, a_mail(subject="Still no heating"), now=LATER)
    merging.merge(on_sqlite, plain, other, actor=AMARA, now=NOW + timedelta(days=1))
    assert [one.state for one in promises(on_sqlite, plain)] == ["cancelled"] and sound(on_sqlite)
    merging.unmerge(on_sqlite, plain, actor=AMARA, now=NOW + timedelta(days=2))
    assert [one.state for one in promises(on_sqlite, plain)] == ["open"] and sound(on_sqlite)


def test_it_stands_beside_the_clocks_of_several_packs(tmp_path):
    office = an_office(tmp_path, policy={"pack": "iso-10002", "packs": ["uk-dp-complaints-2026"]})
    case_id = open_case(office)
    post_all(office)
    write(office, case_id, promise=Promise(FRIDAY))
    (made,) = promises(office, case_id)
    assert case_of(office, case_id).label_of(made) == "PROM"
    tick(office, NOW + timedelta(days=30))
    assert promises(office, case_id)[0].state == "breached" and sound(office)


DAY = date(2026, 12, 4)


@pytest.mark.parametrize(
    ("text", "language", "region"),
    [
        ("by 4 December 2026", "en", "GB"),
        ("by the 4th of December", "en", "GB"),
        ("by 04 Dec. 2026", "en", "GB"),
        ("by December 4, 2026", "en", "US"),
        ("by Dec 4th", "en", "US"),
        ("by 12/04/2026", "en", "US"),
        ("by 4/12/26", "en", "GB"),
        ("until 2026-12-04.", "en", "GB"),
        ("bis zum 4. Dezember 2026", "de", "DE"),
        ("bis 04.12.2026", "de", "DE"),
        ("le 4 décembre", "fr", "FR"),
        ("el 4 de diciembre de 2026", "es", "ES"),
        ("2026年12月4日まで", "ja", "JP"),
    ],
)
def test_a_day_is_found_however_it_is_written(text, language, region):
    assert names_day(f"An engineer comes {text}", DAY, language=language, region=region)


@pytest.mark.parametrize(
    "text",
    [
        "by 14 December 2026",
        "by 4 December 2027",
        "by 4 November",
        "by 12/04/2026",
        "by 40 December",
        "Friday",
        "4/12/2027",
    ],
)
def test_another_day_is_not_taken_for_it(text):
    assert not names_day(text, DAY, language="en", region="GB")


def test_a_promise_replaced_in_time_is_not_broken_though_nobody_knew(plain, on_sqlite):
    write(on_sqlite, plain, promise=Promise(FRIDAY))
    friday = datetime(2026, 12, 4, 12, tzinfo=UTC)
    words, instead = Words(message="It takes longer."), Promise(date(2026, 12, 18), instead=True)
    letter = correspondence.draft(
        on_sqlite, plain, LetterKind.REPLY, words=words, promise=instead, actor=AMARA, now=friday
    )
    post_and_die(on_sqlite, now=correspondence.send(on_sqlite, letter, actor=AMARA, now=friday))
    monday = datetime(2026, 12, 7, 9, tzinfo=UTC)
    tick(on_sqlite, monday)
    assert promises(on_sqlite, plain)[0].state == "breached"
    find_what_left(on_sqlite, now=monday)
    old, new = promises(on_sqlite, plain)
    assert (old.state, old.breached_at, new.state) == ("cancelled", None, "open")
    assert sound(on_sqlite)


def test_what_a_final_response_promises_runs_on_also_if_it_leaves_at_once(tmp_path):
    office = an_office(tmp_path, letters={"undo_seconds": 0})
    case_id = open_case(office)
    post_all(office)
    words = Words(outcome="upheld", reasons="The engineer came late.", remedy="", next_steps="")
    letter = correspondence.draft(
        office, case_id, LetterKind.FINAL_RESPONSE, words=words, promise=Promise(FRIDAY), actor=AMARA, now=LATER
    )
    correspondence.respond(office, letter, Finding(Outcome.UPHELD), actor=AMARA, now=LATER)
    post_all(office, now=LATER)
    (made,) = promises(office, case_id)
    assert made.state == "open" and sound(office)


def test_a_letter_found_to_have_left_after_the_case_was_closed_starts_no_clock(plain, on_sqlite):
    letter = correspondence.draft(
        on_sqlite,
        plain,
        LetterKind.REPLY,
        words=Words(message="Soon."),
        promise=Promise(FRIDAY),
        actor=AMARA,
        now=LATER,
    )
    leaves_at = correspondence.send(on_sqlite, letter, actor=AMARA, now=LATER)
    assert len(post.claim(on_sqlite, "one", now=leaves_at)) == 1
    assert post.before_dot(on_sqlite, "one", letter, now=leaves_at)
    post.record(on_sqlite, "one", [post.Carried(letter, post.Unknown("no answer"))], now=leaves_at)
    at = LATER + timedelta(days=1)
    handling.close(on_sqlite, plain, outcome=Outcome.WITHDRAWN, reason="They moved.", actor=AMARA, now=at)
    undelivered.settle(on_sqlite, letter, True, actor=AMARA, now=at)
    assert promises(on_sqlite, plain) == []
    assert "promise-lapsed" in [event.kind for event in case_of(on_sqlite, plain).events]
    assert sound(on_sqlite)


def test_nothing_is_promised_on_a_closed_case(plain, on_sqlite):
    handling.close(on_sqlite, plain, outcome=Outcome.WITHDRAWN, reason="They moved.", actor=AMARA, now=LATER)
    with pytest.raises(Refused, match="on a closed case, where no clock runs; reopen the case first"):
        write(on_sqlite, plain, promise=Promise(FRIDAY))
