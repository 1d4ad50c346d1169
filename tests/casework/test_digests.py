"""The daily letter to staff: once a day and person, in office hours, and only when there is something to say."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from amends.casework import clockwork, gate, handling, post, undelivered
from amends.casework import digests as digests_room
from amends.casework.actors import SYSTEM
from amends.casework.casefile import CaseFile
from amends.kernel.errors import Refused
from amends.ledger.tables import Deadline, Letter, Notice
from amends.mail.facts import Kind
from tests.builders import NOW, ORGANISATION, SAM, a_mail, an_office, case_of, file_mail, open_case, post_all
from tests.casework.test_clockwork import answer, live, tick_until

AMARA_WANTS = {"login": "amara", "name": "Amara Osei", "address": "amara@northwind.example", "digest": True}
SAM_WANTS = {"login": "sam", "address": "sam@northwind.example", "role": "supervisor", "digest": True}
SAM_DOES_NOT = {**SAM_WANTS, "digest": False}


@pytest.fixture
def make(tmp_path):
    with closing_all(tmp_path) as make:
        yield make


@pytest.fixture
def make_on(tmp_path, database_url):
    """The same on each of the two databases."""
    with closing_all(tmp_path, database_url) as make:
        yield make


@contextmanager
def closing_all(tmp_path, url=None):
    made = []

    def office(*people, **sections):
        made.append(an_office(tmp_path, url=url, handler=people or (AMARA_WANTS, SAM_DOES_NOT), **sections))
        return made[-1]

    yield office
    for one in made:
        one.book.close()


def at(*when):
    return datetime(*when, tzinfo=UTC)


def digests(office, login="amara"):
    with office.book.read() as session:
        wanted = (col(Letter.kind) == "staff-digest", col(Letter.to_name) == login)
        found = list(session.scalars(select(Letter).where(*wanted).order_by(col(Letter.id))))
        session.expunge_all()
    return found


def moments(office, login="amara"):
    return [letter.queued_at for letter in digests(office, login)]


def amaras_case(office, now=NOW, **mail):
    case_id = open_case(office, a_mail(**mail), now=now)
    handling.assign(office, case_id, "amara", actor=SAM, now=now)
    return case_id


def letters_to_amara(office, case_id):
    return [one.kind for one in case_of(office, case_id).letters if one.to_name == "amara"]


def test_warnings_come_together_in_the_morning_and_a_breach_at_once(make):
    office = make()
    first, second = amaras_case(office), amaras_case(office, sender="a@example.org", subject="Mould")
    live(office, NOW, at(2026, 12, 22, 12), hours=6)
    assert letters_to_amara(office, first) == ["staff-escalation"], "no warning came by itself"
    by_day = {one.queued_at: one.body for one in digests(office)}
    # UPDATE is warned of on 4 December and due on the 7th; FINAL warned of on 14, 17 and due on the 21st with UPDATE 2.
    assert list(by_day) == [at(2026, 12, day, 9) for day in (4, 7, 14, 17, 18, 21, 22)]
    warned, due = by_day[at(2026, 12, 14, 9)], by_day[at(2026, 12, 21, 9)]
    for case_id in (first, second):
        assert case_of(office, case_id).row.reference in warned
    assert "DUE SOON" in warned and "DUE TODAY" not in warned and "MISSED" not in warned and "Mould" in warned
    assert "DUE TODAY" in due and "DUE SOON" not in due
    assert "MISSED, AND STILL OWED" in by_day[at(2026, 12, 22, 9)]
    assert digests(office)[-1].subject == "Your deadlines today: 2 missed"


def test_nothing_is_sent_where_there_is_nothing_to_say(make):
    office = make()
    case_id = amaras_case(office)
    live(office, NOW, at(2026, 12, 3, 17), hours=6)
    assert digests(office) == []
    post_all(office, now=at(2026, 12, 3, 18))
    answer(office, case_id, at(2026, 12, 4, 9))
    post_all(office, now=at(2026, 12, 4, 9, 1))
    live(office, at(2026, 12, 4, 10), at(2027, 1, 15), hours=6)
    assert moments(office) == []


@pytest.mark.parametrize(
    ("wanted", "hours", "sent"),
    [
        ("", {}, (9, 0)),
        ("10:30", {}, (10, 30)),
        ("07:15", {}, (9, 0)),  # nobody is in
        ("22:00", {}, (16, 30)),
        ("12:45", {"mon": ["09:00-12:30", "13:30-17:00"]}, (13, 30)),  # the break
    ],
)
def test_it_leaves_in_office_hours_at_the_time_that_was_asked_for(make, wanted, hours, sent):
    office = make({**AMARA_WANTS, "digest_at": wanted}, SAM_DOES_NOT, organisation=ORGANISATION | {"hours": hours})
    amaras_case(office)
    now = at(2026, 12, 14, 0)
    while now < at(2026, 12, 15):
        tick_until(office, now)
        now += timedelta(minutes=30)
    assert moments(office) == [at(2026, 12, 14, *sent)]


def test_days_of_downtime_bring_one_digest_in_the_next_office_hours(make):
    office = make()
    amaras_case(office)
    post_all(office)
    tick_until(office, at(2026, 12, 18, 20))  # Friday evening; dead since 23 November
    assert moments(office) == []
    assert clockwork.next_instant(office, now=office.now()) is not None
    for hour in (8, 12, 9, 15):
        tick_until(office, at(2026, 12, 21, hour))
    assert moments(office) == [at(2026, 12, 21, 12)], "late on its day, and once"


def test_a_warning_that_would_come_too_late_with_the_next_one_comes_at_once(make):
    office = make()
    case_id = amaras_case(office)
    tick_until(office, at(2026, 11, 24, 9))  # the first digest of the day is done with
    tick_until(office, at(2026, 11, 24, 17))  # ACK, which nobody could send, is due tonight
    assert letters_to_amara(office, case_id) == ["staff-warning"]


def test_one_clock_set_back_sends_no_second_one(make):
    office = make()
    amaras_case(office)
    for now in (at(2026, 12, 14, 9), at(2026, 12, 10, 9), at(2026, 12, 14, 10), at(2026, 12, 14, 9)):
        tick_until(office, now)
    assert moments(office) == [at(2026, 12, 14, 9)]


def test_two_daemons_send_one(make_on):
    office, other = make_on(), make_on()
    for number in range(3):
        amaras_case(office, sender=f"p{number}@example.org")
    post_all(office)
    threads = [threading.Thread(target=tick_until, args=(one, at(2026, 12, 14, 9, 30))) for one in (office, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests(office)) == 1
    assert digests(office)[0].body.count("No heating") == 6, "of each case UPDATE, which was missed, and FINAL"


def test_what_was_met_meanwhile_stands_in_none(make):
    office = make({**AMARA_WANTS, "digest_at": "11:00"}, SAM_DOES_NOT)
    case_id = amaras_case(office)
    post_all(office)
    tick_until(office, at(2026, 12, 14, 9))
    answer(office, case_id, at(2026, 12, 14, 10))
    post_all(office, now=at(2026, 12, 14, 10, 1))
    tick_until(office, at(2026, 12, 14, 11))
    assert moments(office) == []


def test_a_supervisor_sees_what_anybody_missed_and_what_nobody_has(make):
    office = make({**AMARA_WANTS, "digest": False}, SAM_WANTS)
    hers = amaras_case(office)
    nobodys = open_case(office, a_mail(sender="n@example.org", subject="Nobody has it"), now=NOW + timedelta(days=1))
    post_all(office)
    tick_until(office, at(2026, 12, 22, 9))
    [letter] = digests(office, "sam")
    missed, _, today = letter.body.partition("DUE TODAY")
    assert case_of(office, hers).row.reference in missed and "handler: Amara Osei" in missed
    assert case_of(office, nobodys).row.reference in today
    assert "edith@example.org" not in letter.body and "Edith" not in letter.body, "no more of a person than before"


def test_who_no_longer_wants_it_gets_what_had_waited(make):
    office = make({**AMARA_WANTS, "digest_at": "11:00"}, SAM_DOES_NOT)
    case_id = amaras_case(office)
    post_all(office)
    tick_until(office, at(2026, 12, 14, 9))  # warned of FINAL, two hours before the digest
    without = make({**AMARA_WANTS, "digest": False}, SAM_DOES_NOT)
    tick_until(without, at(2026, 12, 14, 10))
    assert "DUE SOON" in digests(office)[0].body
    tick_until(without, at(2026, 12, 17, 10))
    assert len(digests(office)) == 1
    assert letters_to_amara(office, case_id).count("staff-warning") == 1


def test_it_is_a_letter_like_any_other_and_can_be_posted(make_on):
    office = make_on()
    amaras_case(office)
    tick_until(office, at(2026, 12, 14, 9))
    with office.book.read() as session:
        [letter] = session.scalars(select(Letter).where(col(Letter.kind) == "staff-digest"))
        assert letter.case_id is None and letter.message_id and b"Auto-Submitted: auto-generated" in (letter.raw or b"")
    sent = [one.message_id for one in post_all(office, now=at(2026, 12, 14, 9, 1))]
    assert digests(office)[0].message_id in sent
    assert digests(office)[0].state == "sent"
    assert post.claim(office, "test", now=at(2026, 12, 14, 9, 2)) == []


def test_one_that_did_not_arrive_is_seen_and_can_be_sent_again_or_given_up(make):
    office = make()
    amaras_case(office)
    post_all(office)
    tick_until(office, at(2026, 12, 14, 9))
    post_all(office, now=at(2026, 12, 14, 9, 1), result=post.Unknown("torn"))
    [stuck] = [one for one in digests(office) if one.state == "uncertain"]
    undelivered.resend(office, stuck.id, actor=SAM, now=at(2026, 12, 14, 10))
    post_all(office, now=at(2026, 12, 14, 10))
    assert digests(office)[0].state == "sent"
    with pytest.raises(Refused, match="nothing to settle"):
        undelivered.settle(office, stuck.id, False, actor=SAM, now=at(2026, 12, 14, 11))
    report = replace(
        a_mail(sender="mailer-daemon@northwind.example", kind=Kind.BOUNCE, subject="Undelivered"),
        failed_message_ids=(stuck.message_id,),
        permanent_failure=True,
        gave_up=True,
        failed_recipients=("amara@northwind.example",),
    )
    file_mail(office, report, now=at(2026, 12, 14, 12))
    assert digests(office)[0].state == "bounced"
    undelivered.settle(office, stuck.id, False, actor=SAM, now=at(2026, 12, 14, 13))
    assert digests(office)[0].state == "cancelled"
    again = replace(report, message_id="again@northwind.example")
    file_mail(office, again, now=at(2026, 12, 14, 14), trace="elsewhere")
    assert digests(office)[0].state == "cancelled", "what was given up stays so"


def test_a_long_list_says_how_many_more_there_are(make):
    office = make()
    for number in range(28):
        amaras_case(office, sender=f"p{number}@example.org")
    post_all(office)
    tick_until(office, at(2026, 12, 14, 9))
    assert "And 6 more." in digests(office)[0].body
    assert digests(office)[0].body.count("No heating") == 50, "25 of what was missed, and 25 of what is due soon"


def test_what_waited_for_somebody_who_has_left_is_told_to_the_supervisors(make):
    office = make({**AMARA_WANTS, "digest_at": "11:00"}, SAM_DOES_NOT)
    case_id = amaras_case(office)
    post_all(office)
    tick_until(office, at(2026, 12, 14, 9))  # warned of FINAL, two hours before the digest
    without = make(SAM_DOES_NOT, {**SAM_DOES_NOT, "login": "zoe", "address": "zoe@northwind.example"})
    tick_until(without, at(2026, 12, 14, 10))
    for login in ("sam", "zoe"):
        [letter] = digests(without, login)
        assert "DUE SOON" in letter.body and case_of(office, case_id).row.reference in letter.body
    tick_until(without, at(2026, 12, 15, 10))
    assert len(digests(without, "sam")) == 1


def test_what_comes_while_a_digest_is_written_waits_for_the_next(make, monkeypatch):
    office = make()
    case_id = amaras_case(office)
    post_all(office)
    real = digests_room._facts

    def and_then_one_comes(office, session, *how):
        facts = real(office, session, *how)
        deadline = session.scalars(select(Deadline.id).where(col(Deadline.case_id) == case_id).limit(1)).one()
        session.add(Notice(login="amara", deadline_id=deadline, at=NOW))
        session.flush()
        return facts

    monkeypatch.setattr(digests_room, "_facts", and_then_one_comes)
    tick_until(office, at(2026, 12, 14, 9))
    with office.book.read() as session:
        newest = session.scalars(select(Notice).order_by(col(Notice.id).desc()).limit(1)).one()
        assert newest.digest_id is None


def test_nothing_waits_for_a_digest_that_may_not_go_to_its_address(make):
    office = make()
    case_id = amaras_case(office)
    post_all(office)
    with office.book.write() as session:
        file = CaseFile.open(office, session, case_id, actor=SYSTEM, now=NOW)
        gate.block(file, "amara@northwind.example", "the address does not exist")
        file.save()
    tick_until(office, at(2026, 12, 14, 9))
    withheld = [one.data for one in case_of(office, case_id).events if one.kind == "letter-withheld"]
    assert {"letter": "staff-warning", "because": "the address does not exist"} in withheld
    assert digests(office) == []


def test_one_that_cannot_be_written_keeps_nobody_elses_and_no_deadline(make):
    office = make(AMARA_WANTS, {**AMARA_WANTS, "login": "ben", "address": "ben@northwind.example"}, SAM_DOES_NOT)
    hers, his = amaras_case(office), open_case(office, a_mail(sender="b@example.org", subject="Mould"))
    handling.assign(office, his, "ben", actor=SAM, now=NOW)
    post_all(office)
    now, failed, unwritten = at(2026, 12, 14, 9), {}, {}
    while clockwork.tick(office, now=now - timedelta(minutes=30), failed=failed, unwritten=unwritten):
        pass
    with office.book.write() as session:
        session.connection().execute(
            text("UPDATE cases SET subject = CAST(x'ff' AS TEXT) WHERE id = :hers"), {"hers": hers}
        )
    while clockwork.tick(office, now=now, failed=failed, unwritten=unwritten):
        pass
    assert list(unwritten) == ["amara"] and digests(office) == [] and len(digests(office, "ben")) == 1
    office.wall = lambda: now
    upcoming = clockwork.next_instant(office, now=office.now(), failed=failed, unwritten=unwritten)
    assert upcoming is not None and upcoming > now, "the clock does not turn on the spot"
