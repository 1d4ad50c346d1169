"""The clock: what is planned at receipt, and what happens when each instant has come, once."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

from sqlalchemy import event, select, text
from sqlmodel import col

from amends.casework import clockwork, correspondence, handling, moretime, post
from amends.ledger.tables import Deadline, Letter, Meta
from amends.ledger.verify import verify
from amends.letters.kinds import LetterKind
from tests.builders import AMARA, HANDLERS, NOW, SAM, a_mail, an_office, case_of, open_case, post_all


def tick_until(office, now):
    """Let the clock stand at `now`; returns how much it did."""
    total = 0
    while fired := clockwork.tick(office, now=now):
        total += fired
    return total


def live(office, start, end, hours=1):
    """The daemon's life: the clock ticks and letters leave, hour by hour."""
    now = start
    while now <= end:
        tick_until(office, now)
        post_all(office, now=now)
        now += timedelta(hours=hours)


def events_of(office, case, kind):
    return [event.data for event in case_of(office, case).events if event.kind == kind]


def letters_of(office, case, kind):
    return [letter for letter in case_of(office, case).letters if letter.kind == kind]


def at(*when):
    return datetime(*when, tzinfo=UTC)


def test_receipt_plans_acknowledgement_update_and_answer(office):
    case = case_of(office, open_case(office))
    assert [(d.kind, d.state, d.due_date) for d in case.deadlines] == [
        ("ack", "open", "2026-11-24"),
        ("status", "open", "2026-12-07"),
        ("response", "open", "2026-12-21"),
    ]
    assert case.row.deadline == "ack"
    assert clockwork.next_instant(office, now=office.now()) is not None


def test_an_acknowledgement_in_time_meets_its_deadline_and_the_queue_moves_on(office):
    case_id = open_case(office)
    post_all(office)
    case = case_of(office, case_id)
    assert case.deadlines[0].state == "met" and case.deadlines[0].met_at == NOW
    assert case.row.deadline == "status"
    assert case.row.stage == "acknowledged"


def test_each_update_is_sent_once_and_promises_the_next(office):
    case_id = open_case(office)
    live(office, NOW, at(2027, 1, 8), hours=6)
    updates = letters_of(office, case_id, "progress-update")
    assert [letter.sent_at.date().isoformat() for letter in updates] == ["2026-12-07", "2026-12-21", "2027-01-07"]
    assert "our full answer by Monday, 21 December 2026" in updates[0].body  # no word is promised for that day
    assert "we will write to you again by Thursday, 21 January 2027" in updates[2].body
    deadlines = [(d.occurrence, d.state, d.due_date) for d in case_of(office, case_id).deadlines if d.kind == "status"]
    assert deadlines == [
        (1, "met", "2026-12-07"),
        (2, "met", "2026-12-21"),
        (3, "met", "2027-01-07"),
        (4, "open", "2027-01-21"),
    ]
    assert verify(office.book).problems == ()


def test_a_handlers_update_meets_the_present_one_and_promises_the_one_after(office):
    case_id = open_case(office)
    post_all(office)
    early = NOW + timedelta(days=2)
    letter = correspondence.draft(office, case_id, LetterKind.PROGRESS_UPDATE, actor=AMARA, now=early)
    correspondence.send(office, letter, actor=AMARA, now=early)
    post_all(office, now=early + timedelta(minutes=1))
    body = letters_of(office, case_id, "progress-update")[0].body
    assert "we will write to you again" not in body  # the next word falls on the day of the answer
    case = case_of(office, case_id)
    assert [(d.occurrence, d.state) for d in case.deadlines if d.kind == "status"] == [(1, "met"), (2, "open")]
    live(office, early, at(2026, 12, 8), hours=6)
    assert len(letters_of(office, case_id, "progress-update")) == 1


def test_a_second_update_on_the_same_day_does_not_stand_for_the_next(office):
    """The clock wrote this morning and promised word by the 21st; a handler's letter at noon breaks no promise."""
    case_id = open_case(office)
    post_all(office)
    morning = at(2026, 12, 7, 9)
    tick_until(office, morning)
    post_all(office, now=morning)
    noon = at(2026, 12, 7, 12)
    words = correspondence.Words(reasons="The part is late.")
    letter = correspondence.draft(office, case_id, LetterKind.HOLDING, words=words, actor=AMARA, now=noon)
    correspondence.send(office, letter, actor=AMARA, now=noon)
    post_all(office, now=noon + timedelta(minutes=1))
    state = {d.occurrence: d.state for d in case_of(office, case_id).deadlines if d.kind == "status"}
    assert state == {1: "met", 2: "open"}


def test_any_letter_of_a_handler_stands_for_the_update(office):
    case_id = open_case(office)
    post_all(office)
    on_day = NOW + timedelta(days=3)
    words = correspondence.Words(message="We will ring you.")
    letter = correspondence.draft(office, case_id, LetterKind.REPLY, words=words, actor=AMARA, now=on_day)
    correspondence.send(office, letter, actor=AMARA, now=on_day)
    live(office, on_day, at(2026, 12, 8), hours=6)
    case = case_of(office, case_id)
    assert letters_of(office, case_id, "progress-update") == []
    assert [(d.occurrence, d.state) for d in case.deadlines if d.kind == "status"] == [(1, "met"), (2, "open")]
    assert events_of(office, case_id, "update-not-needed")[0]["because"] == "a letter was sent"


def test_warnings_go_once_to_the_handler_and_then_to_the_supervisor(office):
    case_id = open_case(office)
    handling.assign(office, case_id, "amara", actor=SAM, now=NOW)
    live(office, NOW, at(2026, 12, 19), hours=6)
    warned = [
        (w["deadline"], w["occurrence"], w["step"], w["to"]) for w in events_of(office, case_id, "deadline-warning")
    ]
    assert warned == [
        ("status", 1, "1 working_days", "handler"),
        ("response", 1, "5 working_days", "handler"),
        ("response", 1, "2 working_days", "handler"),
        ("response", 1, "1 working_days", "supervisor"),
        ("status", 2, "1 working_days", "handler"),
    ]
    sent = [(letter.to_address, letter.state) for letter in letters_of(office, case_id, "staff-warning")]
    assert Counter(sent) == {("amara@northwind.example", "sent"): 4, ("sam@northwind.example", "sent"): 1}


def test_a_breach_is_recorded_and_escalated_once(office):
    case_id = open_case(office)
    live(office, NOW, at(2026, 12, 23), hours=6)
    (breach,) = events_of(office, case_id, "deadline-breached")
    assert breach["deadline"] == "response"
    assert len(events_of(office, case_id, "escalated")) == 1
    (told,) = letters_of(office, case_id, "staff-escalation")
    assert told.to_address == "sam@northwind.example"
    case = case_of(office, case_id, now=at(2026, 12, 23))
    [missed] = [d for d in case.deadlines if d.kind == "response"]
    assert missed.derivation[0] == "day 0: Mon 23 Nov 2026"
    with office.book.read() as session:
        words = session.get_one(Letter, told.id).body
    assert all(f"- {step}" in " ".join(words.split()) for step in missed.derivation)
    assert case.row.escalated and case.row.due_state == "breached"
    assert [d.state for d in case.deadlines if d.kind == "response"] == ["breached"]
    assert verify(office.book).problems == ()


def test_a_deadline_met_late_stays_a_breach(office):
    case_id = open_case(office)
    late = at(2026, 12, 28, 10)
    tick_until(office, late)
    post_all(office, now=late)
    answer(office, case_id, late)
    post_all(office, now=late + timedelta(minutes=1))
    case = case_of(office, case_id)
    assert {
        (d.kind, d.occurrence): (d.state, d.met_at is not None) for d in case.deadlines if d.kind == "response"
    } == {("response", 1): ("breached", True)}
    assert clockwork.next_instant(office, now=office.now()) is None
    assert verify(office.book).problems == ()


def answer(office, case_id, now):
    words = correspondence.Words(outcome="upheld", reasons="It was our mistake.", remedy="", next_steps="")
    letter = correspondence.draft(office, case_id, LetterKind.FINAL_RESPONSE, words=words, actor=AMARA, now=now)
    finding = correspondence.Finding(correspondence.Outcome.UPHELD)
    correspondence.respond(office, letter, finding, actor=AMARA, now=now)
    return letter


def test_days_of_downtime_write_one_update_and_put_every_breach_on_record(office):
    """Down from the first day to the 29th of December: two updates and the answer were missed."""
    case_id = open_case(office)
    back = at(2026, 12, 29, 12)
    post_all(office)
    tick_until(office, back)
    assert len(letters_of(office, case_id, "progress-update")) == 1
    breached = {(b["deadline"], b["occurrence"]) for b in events_of(office, case_id, "deadline-breached")}
    assert breached == {("status", 1), ("status", 2), ("response", 1)}
    post_all(office, now=back)
    update = letters_of(office, case_id, "progress-update")[0]
    assert "We have not kept to that, and we are sorry." in update.body
    assert "again by Thursday, 7 January 2027" in update.body
    state = {d.occurrence: (d.state, d.met_at) for d in case_of(office, case_id).deadlines if d.kind == "status"}
    assert state == {1: ("breached", back), 2: ("breached", back), 3: ("open", None)}
    assert events_of(office, case_id, "deadline-warning") == []
    assert tick_until(office, back) == 0
    assert verify(office.book).problems == ()


def test_downtime_to_the_day_of_an_update_writes_only_that_one(office):
    case_id = open_case(office)
    post_all(office)
    back = at(2026, 12, 21, 12)  # the second update is due today, and the first was missed
    tick_until(office, back)
    post_all(office, now=back)
    assert len(letters_of(office, case_id, "progress-update")) == 1
    state = {d.occurrence: d.state for d in case_of(office, case_id).deadlines if d.kind == "status"}
    assert state == {1: "breached", 2: "met", 3: "open"}


def test_a_handlers_letter_in_time_is_in_time_however_late_the_clock_finds_it(office):
    case_id = open_case(office)
    post_all(office)
    on_day = NOW + timedelta(days=3)
    words = correspondence.Words(message="We will ring you.")
    letter = correspondence.draft(office, case_id, LetterKind.REPLY, words=words, actor=AMARA, now=on_day)
    correspondence.send(office, letter, actor=AMARA, now=on_day)
    post_all(office, now=on_day + timedelta(minutes=1))
    tick_until(office, at(2026, 12, 9))
    state = {d.occurrence: d.state for d in case_of(office, case_id).deadlines if d.kind == "status"}
    assert state == {1: "met", 2: "open"}


def test_the_answer_ends_every_deadline(office):
    case_id = open_case(office)
    post_all(office)
    answer(office, case_id, NOW)
    post_all(office, now=NOW + timedelta(minutes=1))
    assert {d.state for d in case_of(office, case_id).deadlines} == {"met"}
    assert clockwork.next_instant(office, now=office.now()) is None
    assert case_of(office, case_id).row.due_at is None


def test_a_review_counts_its_updates_from_its_own_beginning(office):
    case_id = open_case(office)
    live(office, NOW, at(2026, 12, 8), hours=12)
    answer(office, case_id, at(2026, 12, 8, 13))
    post_all(office, now=at(2026, 12, 8, 14))
    handling.reopen(office, case_id, "she disagrees", actor=AMARA, now=at(2027, 1, 11, 10))
    live(office, at(2027, 1, 11, 11), at(2027, 2, 9), hours=12)
    status = [(d.occurrence, d.due_date, d.state) for d in case_of(office, case_id).deadlines if d.kind == "status"]
    assert status[-3:] == [(3, "2027-01-25", "met"), (4, "2027-02-08", "met"), (5, "2027-02-22", "open")]
    kinds = [d.kind for d in case_of(office, case_id).deadlines]
    assert kinds.count("ack") == 1 and kinds.count("response") == 2
    assert verify(office.book).problems == ()


def test_however_many_clocks_tick_each_entry_fires_once(office, tmp_path):
    cases = [open_case(office, now=NOW) for _ in range(4)]
    post_all(office)
    others = [an_office(tmp_path, url=office.settings.database.url) for _ in range(3)]
    back = at(2026, 12, 29, 12)
    errors = []

    def run(one):
        try:
            tick_until(one, back)
        except Exception as fault:
            errors.append(fault)

    threads = [threading.Thread(target=run, args=(one,)) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    tick_until(office, back)
    for case_id in cases:
        assert len(letters_of(office, case_id, "progress-update")) == 1
        breached = Counter((b["deadline"], b["occurrence"]) for b in events_of(office, case_id, "deadline-breached"))
        assert breached == {("status", 1): 1, ("status", 2): 1, ("response", 1): 1}
    assert verify(office.book).problems == ()
    for one in others:
        one.book.close()


def test_a_case_of_history_has_no_clocks_and_no_letters(office):
    case_id = open_case(office, history=True)
    case = case_of(office, case_id)
    assert (case.deadlines, case.letters, case.row.unread) == ((), (), 0)
    assert tick_until(office, at(2027, 6, 1)) == 0


def test_what_fires_together_is_what_fires_one_by_one(tmp_path, monkeypatch):
    """Five cases over six weeks, by few statements and under a savepoint each: the same events, letters, deadlines."""
    faults = []
    together = _six_weeks(tmp_path / "together", faults)
    assert faults == []

    def never(*_):
        raise ValueError("one by one")

    monkeypatch.setattr(clockwork, "_fire_together", never)
    one_by_one = _six_weeks(tmp_path / "one-by-one", faults)
    assert faults and together == one_by_one
    assert {letter[1] for letter in together[0]["letters"]} >= {"progress-update", "staff-warning", "staff-escalation"}


def _six_weeks(folder, faults):
    folder.mkdir()
    office = an_office(folder)
    with office.book.write() as session:
        session.get(Meta, "hmac_key").value = "00" * 32  # or their Message-IDs would differ
    cases = [
        open_case(office, a_mail(sender=f"writer{n}@example.org", message_id=f"mail-{n}@example.org")) for n in range(5)
    ]
    handling.assign(office, cases[1], "amara", actor=SAM, now=NOW)
    for hours in range(0, 24 * 42, 6):
        now = NOW + timedelta(hours=hours)
        while clockwork.tick(office, now=now, not_together=faults.append):
            pass
        post_all(office, now=now)
        if hours == 24 * 10:
            answer(office, cases[2], now)
    assert verify(office.book).problems == ()
    return [_as_told(case_of(office, case)) for case in cases]


def _as_told(case):
    sealed = {"digest", "bytes", "address"}
    return {
        "events": [(e.at, e.kind, {n: v for n, v in e.data.items() if n not in sealed}) for e in case.events],
        "letters": [(x.message_id, x.kind, x.to_address, x.state, x.subject, x.body, x.sent_at) for x in case.letters],
        "deadlines": [(d.kind, d.occurrence, d.due_at, d.state, d.met_at, d.breached_at) for d in case.deadlines],
        "row": (case.row.version, case.row.escalated, case.row.deadline, case.row.due_at),
    }


def test_the_more_fire_together_the_fewer_statements_each_takes(on_sqlite):
    for n in range(12):
        open_case(on_sqlite, a_mail(sender=f"writer{n}@example.org"))
    post_all(on_sqlite)
    ran = []
    event.listen(on_sqlite.book.engine, "before_cursor_execute", lambda *_: ran.append(None))
    assert tick_until(on_sqlite, clockwork.next_instant(on_sqlite, now=on_sqlite.now())) == 12
    assert len(ran) < 12 * 4, len(ran)


def test_a_case_that_cannot_be_read_stops_the_clock_of_no_other(on_sqlite):
    damaged, whole = (open_case(on_sqlite, a_mail(sender=f"{name}@example.org")) for name in ("a", "b"))
    post_all(on_sqlite)
    with on_sqlite.book.write() as session:
        session.connection().execute(text("UPDATE cases SET subject = CAST(x'ff' AS TEXT) WHERE id = 1"))
    failed, faults = {}, []
    end = NOW + timedelta(days=60)
    while clockwork.tick(on_sqlite, now=end, failed=failed, not_together=faults.append):
        pass
    assert faults and set(failed) == {
        deadline_id for deadline_id, case_id in _unsettled(on_sqlite) if case_id == damaged
    }
    assert [event["deadline"] for event in events_of(on_sqlite, whole, "deadline-breached")]


def test_however_many_deadlines_cannot_be_acted_on_the_others_are(office):
    case_id = open_case(office)
    post_all(office)
    failed = dict.fromkeys(range(10**6, 10**6 + 300_000), "its case cannot be read")
    assert clockwork.next_instant(office, now=office.now(), failed=failed) == clockwork.next_instant(
        office, now=office.now()
    )
    while clockwork.tick(office, now=NOW + timedelta(days=60), failed=failed):
        pass
    assert "response" in [event["deadline"] for event in events_of(office, case_id, "deadline-breached")]


def test_a_letter_that_was_refused_and_is_due_again_after_a_pause_is_another_letter(tmp_path):
    (tmp_path / "news.toml").write_text(NEWS)
    office = an_office(tmp_path, policy={"pack": "news", "folder": "."}, letters={"undo_seconds": 0})
    case_id = open_case(office)
    post_all(office)
    last_day = at(2026, 12, 7, 9)
    tick_until(office, last_day)
    post_all(office, now=last_day, result=post.Rejected("552 5.2.2 Mailbox full"))
    moretime.pause(office, case_id, "news", "We need the form.", actor=SAM, now=last_day)
    post_all(office, now=last_day)
    handling.resume(office, case_id, actor=SAM, now=at(2026, 12, 9, 10))
    tick_until(office, at(2026, 12, 9, 11))
    refused, again = letters_of(office, case_id, "holding")
    assert (refused.state, again.state) == ("failed", "queued") and refused.message_id != again.message_id
    assert verify(office.book).problems == ()


NEWS = """id = "news"
name = "Ours"
jurisdiction = "*"
version = "1"
effective_from = 2020-01-01
verified = true

[[deadline]]
id = "news"
label = "NEWS"
action = "Say how it stands"
amount = 10
unit = "working_days"
met_by = ["news"]
letter = "news"
automatic_counts = true
basis = "Policy 1"
confidence = "product_default"

[deadline.pause]
reason = "a form that only the complainant has"
by = "handler"
most = { amount = 6, unit = "weeks" }
basis = "Policy 2"
confidence = "product_default"

[[letter]]
id = "news"
kind = "holding"
basis = "Policy 1"
confidence = "product_default"
"""


def _unsettled(office):
    with office.book.read() as session:
        return session.connection().execute(text("SELECT id, case_id FROM deadlines WHERE settled_at IS NULL")).all()


def test_cases_that_are_escalated_together_are_given_to_those_who_have_the_fewest(tmp_path):
    zoe = {"login": "zoe", "name": "Zoe Adams", "address": "zoe@northwind.example", "role": "supervisor"}
    office = an_office(tmp_path, handler=[*HANDLERS, zoe], escalation={"on_breach": "reassign"})
    cases = [open_case(office, a_mail(sender=f"writer{n}@example.org")) for n in range(6)]
    for case in cases:
        handling.assign(office, case, "amara", actor=SAM, now=NOW)
    tick_until(office, NOW + timedelta(days=60))
    assert Counter(case_of(office, case).row.handler for case in cases) == {"sam": 3, "zoe": 3}


def test_no_case_waits_for_one_that_has_ever_so_much_to_do(on_sqlite):
    much, little = open_case(on_sqlite), open_case(on_sqlite)
    post_all(on_sqlite)
    with on_sqlite.book.write() as session:
        one = session.scalars(select(Deadline).where(col(Deadline.case_id) == much)).first()
        values = one.model_dump(exclude={"id", "kind", "tick_at"})
        session.add_all(Deadline(**values, kind=f"copy_{n}", tick_at=NOW) for n in range(60))
    clockwork.tick(on_sqlite, now=at(2027, 1, 20), limit=20)
    with on_sqlite.book.read() as session:
        rows = session.scalars(select(Deadline).where(col(Deadline.case_id) == little))
        assert any(row.tick_no for row in rows), "its turn came at once"
