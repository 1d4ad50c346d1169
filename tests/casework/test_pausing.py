"""A clock that stands still: who may stop it, that the complainant is told, and what lets it go on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlmodel import col

from amends.cases.outcomes import Outcome
from amends.cases.stages import Waiting
from amends.casework import (
    clockwork,
    correspondence,
    handling,
    merging,
    moretime,
    policychange,
    post,
    recomputing,
    tray,
    undelivered,
)
from amends.casework.correspondence import Finding, Words
from amends.kernel.errors import Refused, Unreadable
from amends.ledger.tables import Event
from amends.ledger.verify import verify
from amends.letters.kinds import LetterKind
from amends.mail.facts import Kind
from tests.builders import (
    AMARA,
    AUDREY,
    NOW,
    SAM,
    a_mail,
    an_office,
    case_of,
    file_mail,
    find_what_left,
    open_case,
    post_all,
    post_and_die,
)

HOUSE = """id = "house"
name = "Ours"
jurisdiction = "*"
version = "1"
effective_from = 2020-01-01
verified = true

[[deadline]]
id = "response"
label = "FINAL"
action = "Answer"
amount = 20
unit = "working_days"
met_by = ["answer"]
basis = "Policy 1"
confidence = "product_default"
warn = [{ before = { amount = 5, unit = "working_days" }, to = "handler" }]

[deadline.pause]
reason = "a document that only the complainant has"
by = "supervisor"
most = { amount = 10, unit = "working_days" }
notice_letter = "question"
basis = "Policy 2"
confidence = "product_default"

[deadline.extension]
condition = "it needs a surveyor"
most = { amount = 20, unit = "working_days" }
by = "supervisor"
basis = "x"
notice_letter = "delay"
repeatable = true

[[deadline]]
id = "visit"
label = "VISIT"
action = "Send somebody"
amount = 100
unit = "hours"
met_by = ["answer"]
basis = "Policy 3"
confidence = "product_default"

[deadline.pause]
reason = "nobody opens the door"
by = "handler"
most = { amount = 6, unit = "weeks" }
basis = "Policy 4"
confidence = "product_default"

[[letter]]
id = "answer"
kind = "final-response"
basis = "Policy 1"
confidence = "product_default"

[[letter]]
id = "question"
kind = "pause"
basis = "Policy 2"
confidence = "product_default"

[[letter]]
id = "delay"
kind = "holding"
basis = "Policy 1"
confidence = "product_default"
""".replace('basis = "x"\n', "")
REASON = "The bank statement of May is missing."
DAY_3 = NOW + timedelta(days=3)  # Thursday 26 November


@pytest.fixture
def house(tmp_path, database_url):
    office = _house(tmp_path, database_url)
    yield office
    office.book.close()


@pytest.fixture
def desk(tmp_path, sqlite_url):
    """For rules that do not depend on the database."""
    office = _house(tmp_path, sqlite_url)
    yield office
    office.book.close()


def _house(tmp_path, url, pack=HOUSE, **more):
    (tmp_path / "house.toml").write_text(pack)
    return an_office(tmp_path, url=url, policy={"pack": "house", "folder": "."}, letters={"undo_seconds": 0}, **more)


def an_open_case(office):
    case_id = open_case(office)
    post_all(office)
    return case_id


def pause(office, case_id, *, kind="response", reason=REASON, words="", actor=SAM, now=DAY_3):
    return moretime.pause(office, case_id, kind, reason, text=words, actor=actor, now=now)


def paused(office, *, now=DAY_3, **how):
    """A case whose answer stands still since `now`."""
    case_id = an_open_case(office)
    pause(office, case_id, now=now, **how)
    post_all(office, now=now)
    return case_id


def clock(office, case_id, kind="response", *, now=NOW):
    return next(one for one in case_of(office, case_id, now=now).deadlines if one.kind == kind)


def answer(office, case_id, *, now, **how):
    """What the complainant answers, filed at `now`."""
    (newest, *_) = reversed(case_of(office, case_id).letters)
    return file_mail(office, a_mail(in_reply_to=newest.message_id, text="Here it is.", **how), now=now)


def tick(office, now):
    while clockwork.tick(office, now=now):
        pass
    post_all(office, now=now)


def kinds(office, case_id):
    return [event.kind for event in case_of(office, case_id).events]


def sound(office):
    """The ledger proves the rows, and whoever counts every date again finds what stands there."""
    with office.book.read() as session:
        newest = session.scalar(select(func.max(col(Event.at))))
    looks = recomputing.look_through(office, clock=lambda: newest)
    found = [one for looked in looks for one in looked.found]
    assert [one.difference for one in found if one.difference.deadline != "visit"] == []  # nobody ticks for that one
    return verify(office.book).problems == ()


def test_the_clock_stands_still_when_the_letter_has_left_and_goes_on_with_the_answer(house):
    case_id = an_open_case(house)
    assert clock(house, case_id).due_date == "2026-12-21"
    pause(house, case_id, words="Please send us the statement of May.")
    assert clock(house, case_id).state == "open"
    post_all(house, now=DAY_3)
    still = case_of(house, case_id, now=DAY_3 + timedelta(days=4))
    found = clock(house, case_id, now=DAY_3 + timedelta(days=4))
    assert (found.state, found.due_date, found.paused_days) == ("paused", "2027-01-07", 4)
    assert still.row.waiting == Waiting.COMPLAINANT
    (notice,) = [one for one in still.letters if one.kind == LetterKind.PAUSE]
    assert "Please send us the statement of May." in notice.body and "Thursday, 10 December 2026" in notice.body
    assert sound(house)

    answer(house, case_id, now=NOW + timedelta(days=7, hours=1))  # Monday 30 November
    found = clock(house, case_id)
    assert (found.state, found.due_date, found.paused_days) == ("open", "2026-12-23", 4)
    assert f"({REASON.rstrip('.')}, approved by sam)" in " ".join(found.derivation)
    assert case_of(house, case_id).row.waiting is None
    told = kinds(house, case_id)
    assert told.index("pause-granted") < told.index("deadline-paused") < told.index("deadline-resumed")
    assert REASON not in str([event.data for event in case_of(house, case_id).events])
    assert sound(house)


def test_while_it_stands_still_it_neither_warns_nor_is_missed_and_after_the_longest_pause_it_does(house):
    case_id = paused(house, now=NOW + timedelta(days=18))  # Friday 11 December, until the end of the 29th
    found = clock(house, case_id)
    assert (found.due_date, found.pauses[0].until) == ("2027-01-07", datetime(2026, 12, 29, 23, 59, 59, tzinfo=UTC))
    tick(house, datetime(2026, 12, 29, 12, tzinfo=UTC))
    assert clock(house, case_id).state == "paused" and "deadline-warning" not in kinds(house, case_id)[5:]
    tick(house, datetime(2026, 12, 30, 9, tzinfo=UTC))
    assert clock(house, case_id).state == "open"
    (ended,) = [one for one in case_of(house, case_id).events if one.kind == "deadline-resumed"]
    assert ended.data["because"] == "the longest pause that the rule allows is over"
    tick(house, datetime(2027, 1, 8, 9, tzinfo=UTC))
    missed = clock(house, case_id)
    assert missed.state == "breached" and missed.breached_at == missed.due_at
    assert missed.due_date == "2027-01-07"
    assert sound(house)


def test_a_long_silence_of_the_daemon_ends_the_pause_when_it_was_over_and_then_misses(desk):
    case_id = paused(desk)
    tick(desk, NOW + timedelta(days=90))
    found = clock(desk, case_id, now=NOW + timedelta(days=90))
    assert (found.state, found.due_date) == ("breached", "2027-01-07")
    assert found.pauses[0].ends_at == datetime(2026, 12, 10, 23, 59, 59, tzinfo=UTC)
    told = [one.kind for one in case_of(desk, case_id).events if one.data.get("deadline") == "response"]
    assert told.index("deadline-resumed") < told.index("deadline-breached")
    assert sound(desk)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reason": "  "}, "needs a reason"),
        ({"actor": AMARA}, r"is a supervisor's word \(Policy 2\); ask sam"),
        ({"actor": AUDREY}, "auditor"),
        ({"now": NOW + timedelta(days=40)}, "a clock that has run out cannot be stopped"),
        ({"kind": "ack"}, "No deadline 'ack' runs"),
    ],
)
def test_what_the_rule_does_not_allow_is_refused_and_leaves_nothing(desk, change, said):
    case_id = an_open_case(desk)
    with pytest.raises(Refused, match=said):
        pause(desk, case_id, **change)
    assert not [one for one in case_of(desk, case_id).letters if one.kind == LetterKind.PAUSE]
    assert "pause-granted" not in kinds(desk, case_id)


def test_a_rule_without_a_pause_cannot_be_paused(on_sqlite):
    case_id = open_case(on_sqlite)
    post_all(on_sqlite)
    with pytest.raises(Refused, match=r"cannot be paused: ISO 10002:2018, .* lets nothing stop its clock"):
        pause(on_sqlite, case_id)


def test_a_letter_that_leaves_too_late_or_not_at_all_stops_no_clock(desk):
    case_id = an_open_case(desk)
    pause(desk, case_id)
    (notice,) = [one for one in case_of(desk, case_id).letters if one.kind == LetterKind.PAUSE]
    correspondence.call_back(desk, notice.id, actor=SAM, now=DAY_3)
    post_all(desk, now=DAY_3)
    assert clock(desk, case_id).state == "open"
    correspondence.send(desk, notice.id, actor=SAM, now=DAY_3, anyway=True)
    tick(desk, NOW + timedelta(days=40))
    assert clock(desk, case_id).state == "breached" and clock(desk, case_id).pauses == ()
    (lapsed,) = [one for one in case_of(desk, case_id).events if one.kind == "pause-lapsed"]
    assert "has passed" in lapsed.data["because"]
    assert sound(desk)


def test_several_pauses_of_one_deadline_share_the_longest_one(desk):
    case_id = paused(desk)
    answer(desk, case_id, now=NOW + timedelta(days=10))  # Thursday: 5 working days gone
    assert clock(desk, case_id).due_date == "2026-12-30"
    second = NOW + timedelta(days=14)  # Monday 7 December
    pause(desk, case_id, now=second)
    with pytest.raises(Refused, match="is on its way"):
        pause(desk, case_id, now=second)
    post_all(desk, now=second)
    with pytest.raises(Refused, match="stands still already"):
        pause(desk, case_id, now=second)
    assert clock(desk, case_id).pauses[1].until == datetime(2026, 12, 14, 23, 59, 59, tzinfo=UTC)
    tick(desk, NOW + timedelta(days=22))
    assert (clock(desk, case_id).due_date, clock(desk, case_id).paused_days) == ("2027-01-07", 14)
    with pytest.raises(Refused, match="has stood still for 10 working days, and Policy 2 allows no more"):
        pause(desk, case_id, now=NOW + timedelta(days=22))
    assert sound(desk)


def test_an_extension_before_and_after_a_pause_adds_up(desk):
    case_id = an_open_case(desk)
    moretime.extend(desk, case_id, "response", date(2027, 1, 4), "A surveyor.", actor=SAM, now=DAY_3)
    post_all(desk, now=DAY_3)
    pause(desk, case_id, now=NOW + timedelta(days=7))
    post_all(desk, now=NOW + timedelta(days=7))
    with pytest.raises(Refused, match="resume it first"):
        moretime.extend(desk, case_id, "response", date(2027, 1, 8), "x", actor=SAM, now=NOW + timedelta(days=8))
    answer(desk, case_id, now=NOW + timedelta(days=9, hours=2))  # Monday to Wednesday: 2 working days
    assert clock(desk, case_id).due_date == "2027-01-06"
    at = NOW + timedelta(days=10)
    moretime.extend(desk, case_id, "response", date(2027, 1, 8), "The surveyor is ill.", actor=SAM, now=at)
    post_all(desk, now=at)
    found = clock(desk, case_id)
    assert (found.due_date, found.paused_days, found.state) == ("2027-01-08", 2, "open")
    assert [words.split(" ")[0] for words in found.derivation if words.startswith(("moved", "stood"))] == [
        "moved",
        "stood",
        "moved",
    ]
    assert sound(desk)


def test_the_screen_offers_the_last_day_that_an_extension_after_a_pause_may_reach(tmp_path):
    in_all = 'most = { amount = 40, unit = "working_days" }\ncounted_from = "start"'
    desk = _house(tmp_path, None, HOUSE.replace('most = { amount = 20, unit = "working_days" }', in_all))

    def shown(now):
        from amends.casework import clockface

        with desk.book.read() as session:
            return next(
                one for one in clockface.face(desk, session, case_id, now=now).clocks.values() if one.kind == "response"
            )

    case_id = paused(desk)
    assert shown(NOW + timedelta(days=4)).barred.startswith("its clock stands still")
    answer(desk, case_id, now=NOW + timedelta(days=7, hours=1))
    at = NOW + timedelta(days=8)
    until = shown(at).until
    assert until is not None and shown(at).barred == ""
    with pytest.raises(Refused, match="at the latest"):
        moretime.extend(desk, case_id, "response", until + timedelta(days=1), "x", actor=SAM, now=at)
    moretime.extend(desk, case_id, "response", until, "A surveyor.", actor=SAM, now=at)


def test_the_final_response_ends_a_pause_and_counts_by_its_date(desk):
    case_id = paused(desk)
    at = NOW + timedelta(days=15)
    words = Words(outcome="upheld", reasons="The engineer came late.", remedy="", next_steps="")
    letter = correspondence.draft(desk, case_id, LetterKind.FINAL_RESPONSE, words=words, actor=AMARA, now=at)
    correspondence.respond(desk, letter, Finding(Outcome.UPHELD), actor=AMARA, now=at)
    post_all(desk, now=at)
    found = clock(desk, case_id)
    assert (found.state, found.met_at, found.pauses[0].ends_at) == ("met", at, at)
    handling.reopen(desk, case_id, "They disagree.", actor=AMARA, now=at + timedelta(days=1))
    anew = [one for one in case_of(desk, case_id).deadlines if one.kind == "response"][-1]
    assert (anew.state, anew.pauses) == ("open", ())
    assert sound(desk)


def test_closing_ends_a_pause(desk):
    case_id = paused(desk)
    at = NOW + timedelta(days=5)
    handling.close(desk, case_id, outcome=Outcome.WITHDRAWN, reason="They moved.", actor=AMARA, now=at)
    found = clock(desk, case_id)
    assert (found.state, found.pauses[0].ends_at) == ("cancelled", at)
    tick(desk, NOW + timedelta(days=90))
    assert clock(desk, case_id).state == "cancelled"
    assert sound(desk)


def test_a_merger_ends_a_pause_and_its_way_back_lets_the_clock_run(desk):
    case_id = paused(desk)
    other = open_case(desk, a_mail(subject="Still no heating"), now=DAY_3)
    at = NOW + timedelta(days=7, hours=1)
    merging.merge(desk, case_id, other, actor=AMARA, now=at)
    assert clock(desk, case_id).state == "cancelled" and sound(desk)
    merging.unmerge(desk, case_id, actor=AMARA, now=at + timedelta(days=1))
    found = clock(desk, case_id)
    assert (found.state, found.due_date, found.paused_days) == ("open", "2026-12-23", 4)
    assert sound(desk)


def test_an_answer_that_waited_in_the_tray_ends_the_pause_when_it_came(desk):
    case_id = paused(desk)
    reference = case_of(desk, case_id).row.reference
    filed = file_mail(
        desk, a_mail(sender="cousin@example.net", subject=f"Re: {reference}"), now=NOW + timedelta(days=7, hours=1)
    )
    assert filed.state == "held" and clock(desk, case_id).state == "paused"
    tray.join(desk, filed.arrival_id, reference, actor=AMARA, now=NOW + timedelta(days=9))
    assert clock(desk, case_id).state == "paused"  # a stranger's, until a handler takes them for one of the case
    handling.accept(desk, case_id, "cousin@example.net", actor=AMARA, now=NOW + timedelta(days=9))
    found = clock(desk, case_id)
    assert (found.state, found.due_date) == ("open", "2026-12-23")
    assert sound(desk)


@pytest.mark.parametrize("waited_already", [False, True])
def test_what_waited_in_the_tray_before_is_no_answer(desk, waited_already):
    case_id = an_open_case(desk)
    if waited_already:
        handling.wait(desk, case_id, Waiting.THIRD_PARTY, "The surveyor.", actor=AMARA, now=NOW)
    filed = answer(desk, case_id, now=NOW + timedelta(days=1), authentication={"dmarc": "fail"})
    assert filed.state == "held"
    pause(desk, case_id)
    post_all(desk, now=DAY_3)
    reference = case_of(desk, case_id).row.reference
    tray.join(desk, filed.arrival_id, reference, actor=AMARA, now=NOW + timedelta(days=4))
    assert clock(desk, case_id).state == "paused" and sound(desk)


def test_a_letter_that_comes_back_has_stopped_no_clock(desk):
    case_id = paused(desk)
    (notice,) = [one for one in case_of(desk, case_id).letters if one.kind == LetterKind.PAUSE]
    bounce = a_mail(
        sender="mailer-daemon@mx.example.org",
        kind=Kind.BOUNCE,
        failed_message_ids=(notice.message_id,),
        gave_up=True,
        permanent_failure=True,
    )
    file_mail(desk, bounce, now=NOW + timedelta(days=8))
    found = clock(desk, case_id)
    assert (found.state, found.due_date, found.paused_days) == ("open", "2026-12-21", 0)
    (ended,) = [one for one in case_of(desk, case_id).events if one.kind == "deadline-resumed"]
    assert ended.data["because"] == "the letter that told of it came back"
    assert case_of(desk, case_id).row.waiting is None and sound(desk)
    again = NOW + timedelta(days=9)
    undelivered.send_to(desk, notice.id, "edith@example.com", actor=AMARA, now=again)
    post_all(desk, now=again)
    found = clock(desk, case_id)
    assert (found.state, found.pauses[-1].begins_at) == ("paused", again), "now they are asked, and the letter says so"
    assert sound(desk)


def test_a_machine_ends_no_pause(desk):
    case_id = paused(desk)
    answer(desk, case_id, now=NOW + timedelta(days=4), kind=Kind.AUTO_REPLY)
    assert clock(desk, case_id).state == "paused"


def test_the_queue_and_the_case_say_that_a_clock_stands_still(desk):
    case_id = paused(desk)
    with desk.book.read() as session:
        from amends.ledger import views

        (row,) = views.queue(session, views.View(), now=DAY_3)
        whole = views.case(session, case_id, now=NOW + timedelta(days=6)).as_json()
    assert row.as_json()["next_deadline"]["state"] in ("open", "paused")
    (said,) = [one for one in whole["deadlines"] if one["kind"] == "response"]
    assert said["state"] == "paused" and said["paused_days"] == 3
    assert said["pauses"][0]["approver"] == "sam" and said["pauses"][0]["ends_at"] is None


@pytest.mark.parametrize(
    "change",
    [
        "pauses = '[]'",
        "pauses = replace(pauses, '2026-11-26', '2026-11-24')",
        "pauses = replace(pauses, 'bank', 'book')",
        "pauses = '[{}]'",
    ],
)
def test_a_pause_that_somebody_changed_behind_our_back_is_found(desk, change):
    paused(desk)
    with desk.book.write() as session:
        session.connection().execute(text(f"UPDATE deadlines SET {change} WHERE kind = 'response'"))
    assert any("stood still are not those of the ledger" in one for one in verify(desk.book).problems)
    if "{}" in change:
        with pytest.raises(Unreadable, match="run: amendsd verify"):
            clock(desk, 1)


def test_a_letter_that_had_left_in_time_takes_the_breach_back_that_the_clock_had_recorded_meanwhile(house):
    case_id = an_open_case(house)
    last_day = NOW + timedelta(days=28)
    pause(house, case_id, now=last_day)
    post_and_die(house, now=last_day)
    back = last_day + timedelta(days=3)
    while clockwork.tick(house, now=back):
        pass
    assert clock(house, case_id).state == "breached"
    find_what_left(house, now=back)
    found = clock(house, case_id)
    assert (found.state, found.breached_at, found.pauses[0].begins_at) == ("paused", None, last_day)
    assert sound(house)


def test_an_answer_that_came_before_we_knew_that_the_letter_had_left_ends_the_pause(house):
    case_id = an_open_case(house)
    pause(house, case_id)
    post_and_die(house, now=DAY_3)
    answer(house, case_id, now=NOW + timedelta(days=7, hours=1))
    find_what_left(house, now=NOW + timedelta(days=8))
    found = clock(house, case_id)
    assert (found.state, found.due_date) == ("open", "2026-12-23")
    assert case_of(house, case_id).row.waiting is None
    assert sound(house)


def test_a_case_waits_on_where_another_letter_still_asks(desk):
    case_id = paused(desk)
    pause(desk, case_id, kind="visit", actor=AMARA)
    post_all(desk, now=DAY_3)
    first, _ = [one for one in case_of(desk, case_id).letters if one.kind == LetterKind.PAUSE]
    bounce = a_mail(
        sender="mailer-daemon@mx.example.org",
        kind=Kind.BOUNCE,
        failed_message_ids=(first.message_id,),
        gave_up=True,
        permanent_failure=True,
    )
    file_mail(desk, bounce, now=NOW + timedelta(days=4))
    assert (clock(desk, case_id).state, clock(desk, case_id, "visit").state) == ("open", "paused")
    answer(desk, case_id, now=NOW + timedelta(days=5))
    assert clock(desk, case_id, "visit").state == "open" and sound(desk)


def test_a_handlers_word_that_the_letter_had_left_hides_no_breach(desk):
    case_id = an_open_case(desk)
    last_day = NOW + timedelta(days=28)
    pause(desk, case_id, now=last_day)
    post_all(desk, now=last_day, result=post.Unknown("no answer"))
    tick(desk, last_day + timedelta(days=3))
    (notice,) = [one for one in case_of(desk, case_id).letters if one.kind == LetterKind.PAUSE]
    undelivered.settle(desk, notice.id, True, actor=AMARA, now=last_day + timedelta(days=3))
    assert clock(desk, case_id).state == "paused" and clock(desk, case_id).breached_at is not None
    handling.resume(desk, case_id, actor=AMARA, now=last_day + timedelta(days=4))
    assert clock(desk, case_id).state == "breached"
    assert sound(desk)


def test_a_change_of_the_calendar_that_waits_moves_no_date_by_a_pause(tmp_path):
    desk = _house(tmp_path, None)
    with desk.book.write() as session:
        policychange.first_look(desk, session, now=NOW)
    case_id = an_open_case(desk)
    desk.book.close()
    closed = {"closures": ["2026-12-01", "2026-12-22"]}
    changed = _house(tmp_path, None, organisation=closed)
    pause(changed, case_id)
    post_all(changed, now=DAY_3)
    found = clock(changed, case_id)
    assert (found.due_date, found.pauses[0].until.date()) == ("2027-01-07", date(2026, 12, 10))
    answer(changed, case_id, now=NOW + timedelta(days=7, hours=1))
    assert clock(changed, case_id).due_date == "2026-12-23"
    new = open_case(changed, a_mail(sender="new@example.org"), now=DAY_3)
    post_all(changed, now=DAY_3)
    assert clock(changed, new).due_date == "2026-12-30", "a new case goes by the new calendar at once"
    changed.wall = lambda: NOW + timedelta(days=8)
    policychange.apply(changed, "We are closed", actor=SAM, clock=changed.now)
    assert clock(changed, case_id).due_date == "2026-12-29"
    changed.book.close()


def the_letter_comes_back(office, case_id, *, now):
    (notice,) = [one for one in case_of(office, case_id).letters if one.kind == LetterKind.PAUSE]
    report = a_mail(
        sender="mailer-daemon@mx.example.org",
        kind=Kind.BOUNCE,
        failed_message_ids=(notice.message_id,),
        gave_up=True,
        permanent_failure=True,
    )
    file_mail(office, report, now=now)


@pytest.mark.parametrize("days", [8, 40])
def test_a_letter_that_comes_back_after_the_pause_has_given_no_days_either(desk, days):
    case_id = paused(desk)
    handling.resume(desk, case_id, actor=AMARA, now=NOW + timedelta(days=7))
    assert clock(desk, case_id).due_date == "2026-12-23"
    tick(desk, NOW + timedelta(days=days))
    the_letter_comes_back(desk, case_id, now=NOW + timedelta(days=days))
    found = clock(desk, case_id)
    assert (found.due_date, found.paused_days, found.breached_at) == (
        ("2026-12-21", 0, None) if days == 8 else ("2026-12-21", 0, found.due_at)
    )
    assert not any("stood still" in words for words in found.derivation)
    tick(desk, NOW + timedelta(days=days))
    assert sound(desk)


def test_an_answer_that_was_in_time_by_a_pause_of_which_nobody_was_told_was_late(desk):
    case_id = paused(desk)
    handling.resume(desk, case_id, actor=AMARA, now=NOW + timedelta(days=7))
    at = NOW + timedelta(days=29)  # Tuesday 22 December
    words = Words(outcome="upheld", reasons="The engineer came late.", remedy="", next_steps="")
    letter = correspondence.draft(desk, case_id, LetterKind.FINAL_RESPONSE, words=words, actor=AMARA, now=at)
    correspondence.respond(desk, letter, Finding(Outcome.UPHELD), actor=AMARA, now=at)
    post_all(desk, now=at)
    assert clock(desk, case_id).state == "met"
    the_letter_comes_back(desk, case_id, now=at + timedelta(days=1))
    found = clock(desk, case_id)
    assert (found.state, found.due_date, found.breached_at) == ("breached", "2026-12-21", found.due_at)
    assert sound(desk)
