"""Every open deadline counted again: an unchanged store shows no difference, a changed calendar what would move."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import delete, text, update
from sqlmodel import col

from amends.casework import clockwork, moretime, policychange, selfcheck
from amends.casework.recomputing import Sum, look_through
from amends.deadlines.recount import Sort
from amends.kernel.errors import Refused
from amends.kernel.share import config_folder
from amends.ledger import storewide
from amends.ledger.tables import Case, Deadline
from amends.ledger.verify import verify
from tests.builders import (
    AMARA,
    AUDREY,
    NOW,
    SAM,
    a_mail,
    case_of,
    later,
    open_case,
    post_all,
    some_settings,
)


def found_in(office, now=NOW):
    """Every difference in the store."""
    return [one.difference for looked in look_through(office, clock=lambda: now) for one in looked.found]


def anew(office, tmp_path, **sections):
    """The same store under another configuration, as after a restart."""
    from amends.casework.office import Office
    from amends.ledger.book import Book

    settings = some_settings(tmp_path, url=office.settings.database_url(), **sections)
    return Office(settings, Book(settings.database_url()))


def closed_on(office, tmp_path, *days, **sections):
    return anew(office, tmp_path, organisation={"closures": days}, **sections)


def test_what_nobody_changed_shows_no_difference(office):
    open_case(office)
    post_all(office)
    assert found_in(office, later(days=2)) == []


def test_a_closure_moves_what_counts_over_it_and_says_why(office, tmp_path):
    case_id = open_case(office)
    post_all(office)
    changed = closed_on(office, tmp_path, "2026-12-01")
    moved = {one.deadline: one for one in found_in(changed)}
    answer = moved["response"]
    assert (answer.sort, answer.due_date, answer.new_date) == (Sort.MOVES, "2026-12-21", "2026-12-22")
    assert answer.why == "now skipped Tue 01 Dec 2026: closed"
    assert answer.reference == case_of(office, case_id).row.reference
    assert answer.told and not answer.missed and not answer.earlier


def one(office, case_id, kind="response"):
    return next(each for each in case_of(office, case_id).deadlines if each.kind == kind)


def events(office, case_id, kind):
    return [event for event in case_of(office, case_id).events if event.kind == kind]


def warned(office, case_id):
    found = events(office, case_id, "deadline-warning")
    return [each.data["step"] for each in found if each.data["deadline"] == "response"]


def at(office, when):
    """The office at another time."""
    office.wall = lambda: when
    return office


def applied(office, when=NOW, reason="We are closed on 1 December.", actor=SAM):
    return policychange.apply(at(office, when), reason, actor=actor, clock=office.now)


def test_applying_moves_each_deadline_with_an_event_of_its_case(office, tmp_path):
    case_id = open_case(office)
    post_all(office)
    changed = closed_on(office, tmp_path, "2026-12-01")
    done = applied(changed, later(days=1))
    assert (done.change, done.cases, done.moved, done.later, done.earlier) == (1, 1, 2, 2, 0)
    answer = one(changed, case_id)
    assert (answer.due_date, answer.state) == ("2026-12-22", "open")
    assert answer.derivation[-2] == (
        "counted anew on Tue 24 Nov 2026: it was Mon 21 Dec 2026 before, as the complainant was told"
    )
    (event,) = [each for each in events(changed, case_id, "deadline-recounted") if each.data["deadline"] == "response"]
    assert (event.actor, event.data["before_at"], event.data["due_at"]) == (
        "sam", "2026-12-21T23:59:59Z", "2026-12-22T23:59:59Z",
    )  # fmt: skip
    assert event.data["change"] == 1 and event.data["told"] and "closed" not in str(event.data["digest"])
    assert found_in(changed, later(days=1)) == []
    assert verify(changed.book).problems == ()
    with changed.book.read() as session:
        begun, ended = storewide.entries(session)
        assert (begun.actor, begun.data["reason"]) == ("sam", "We are closed on 1 December.")
        assert ended.data["moved"] == 2


def test_the_row_of_the_queue_goes_by_the_new_date(on_sqlite, tmp_path):
    case_id = open_case(on_sqlite)
    post_all(on_sqlite)
    before = case_of(on_sqlite, case_id).row.due_at
    changed = closed_on(on_sqlite, tmp_path, "2026-12-01")
    applied(changed)
    assert case_of(changed, case_id).row.due_at == before + timedelta(days=1)


def test_a_case_that_was_closed_meanwhile_is_left_alone_and_those_beside_it_move(on_sqlite, tmp_path, monkeypatch):
    cases = [open_case(on_sqlite, a_mail(sender=f"{name}@example.org")) for name in ("a", "b", "c")]
    post_all(on_sqlite)
    changed = closed_on(on_sqlite, tmp_path, "2026-12-01")
    looked = list(look_through(changed, clock=lambda: NOW))
    with on_sqlite.book.write() as session:
        session.connection().execute(update(Case).where(col(Case.id) == cases[1]).values(is_open=False))
    monkeypatch.setattr(policychange, "look_through", lambda *_, **__: iter(looked))
    assert applied(changed).cases == 2
    assert [len(events(changed, case_id, "deadline-recounted")) > 0 for case_id in cases] == [True, False, True]


def test_applying_twice_moves_nothing_twice(on_sqlite, tmp_path):
    case_id = open_case(on_sqlite)
    changed = closed_on(on_sqlite, tmp_path, "2026-12-01")
    applied(changed)
    again = applied(changed, later(days=1))
    assert (again.change, again.cases, again.moved) == (3, 0, 0)
    assert len(events(changed, case_id, "deadline-recounted")) == 2


def test_a_second_change_keeps_what_the_first_had_told(on_sqlite, tmp_path):
    case_id = open_case(on_sqlite)
    applied(closed_on(on_sqlite, tmp_path, "2026-12-01"))
    second = closed_on(on_sqlite, tmp_path, "2026-12-01", "2026-12-02")
    applied(second, later(days=1))
    notes = [step for step in one(second, case_id).derivation if step.startswith("counted anew")]
    assert ["Mon 21 Dec" in notes[0], "Tue 22 Dec" in notes[1]] == [True, True]
    applied(closed_on(on_sqlite, tmp_path), later(days=2))
    assert one(on_sqlite, case_id).due_date == "2026-12-21"
    assert verify(on_sqlite.book).problems == ()


def test_what_has_passed_or_was_breached_never_moves(on_sqlite, tmp_path):
    case_id = open_case(on_sqlite)
    day = later(days=29)  # 22 December
    changed = closed_on(on_sqlite, tmp_path, "2026-12-01")
    assert "response" not in {each.deadline for each in found_in(changed, day) if each.sort is Sort.MOVES}
    while clockwork.tick(on_sqlite, now=day):
        pass
    assert one(on_sqlite, case_id).state == "breached"
    applied(changed, day)
    late = one(changed, case_id)
    assert (late.due_date, late.state, late.breached_at) == ("2026-12-21", "breached", late.due_at)


def test_a_date_given_by_an_extension_stands_and_says_that_its_basis_changed(office, tmp_path):
    case_id = open_case(office)
    post_all(office)
    leaves = moretime.extend(
        office,
        case_id,
        "response",
        date(2027, 1, 8),
        "The surveyor can come on 4 January only.",
        actor=AMARA,
        now=later(days=9),
    )
    post_all(office, now=leaves)
    assert found_in(office, later(days=10)) == []
    changed = closed_on(office, tmp_path, "2026-12-01")
    (told,) = [each for each in found_in(changed, later(days=10)) if each.deadline == "response"]
    assert told.sort is Sort.STANDS and "would be Tue 22 Dec 2026 now" in told.why
    applied(changed, later(days=10))
    assert one(changed, case_id).due_date == "2027-01-08"


def test_a_nearer_date_that_has_passed_is_said_and_breached_at_once(on_sqlite, tmp_path):
    case_id = open_case(on_sqlite)
    day = later(days=28, hours=6)  # the last day of the answer, 21 December
    changed = anew(on_sqlite, tmp_path, organisation={"openings": ["2026-11-28"]})
    moved = {each.deadline: each for each in found_in(changed, day)}
    assert moved["response"].missed and moved["response"].earlier and moved["response"].new_date == "2026-12-18"
    assert applied(changed, day).missed == 1
    while clockwork.tick(changed, now=day):
        pass
    late = one(changed, case_id)
    assert (late.state, late.due_date) == ("breached", "2026-12-18")


def test_a_warning_that_was_given_is_not_given_again_for_the_new_date(on_sqlite, tmp_path):
    case_id = open_case(on_sqlite)
    post_all(on_sqlite)
    row = one(on_sqlite, case_id)
    day = row.due_at - timedelta(hours=20)
    while clockwork.tick(on_sqlite, now=day):
        pass
    steps = [
        each.data["step"]
        for each in events(on_sqlite, case_id, "deadline-warning")
        if each.data["deadline"] == "response"
    ]
    assert steps
    changed = closed_on(on_sqlite, tmp_path, "2026-12-24", "2026-12-21")
    applied(changed, day)
    assert found_in(changed, day) == []
    while clockwork.tick(changed, now=later(days=60)):
        pass
    again = [
        each.data["step"]
        for each in events(changed, case_id, "deadline-warning")
        if each.data["deadline"] == "response"
    ]
    assert sorted(again) == sorted(set(again)) and set(steps) <= set(again)


def test_whose_word_and_why_are_asked_for(on_sqlite):
    for reason, actor, said in (("  ", SAM, "needs a reason"), ("why", AUDREY, "auditor")):
        with pytest.raises(Refused, match=said):
            policychange.apply(on_sqlite, reason, actor=actor, clock=on_sqlite.now)


@pytest.mark.parametrize(
    ("values", "sort", "said"),
    [
        ({"tick_at": None}, Sort.BROKEN, "would not look at it"),
        ({"tick_no": 99}, Sort.BROKEN, "lies outside"),
        ({"tick_no": 1}, Sort.BROKEN, "would not look at it"),
        ({"ticks": [], "tick_no": 0, "tick_at": None}, Sort.BROKEN, "would not see that it is missed"),
        ({"due_date": "2026-12-24"}, Sort.MOVES, ""),
        ({"derivation": ["because"]}, Sort.WORDS, ""),
        ({"met_by": []}, Sort.PLAN, "meets it"),
    ],
)
def test_what_was_damaged_is_found_and_mended(on_sqlite, values, sort, said):
    case_id = open_case(on_sqlite)
    post_all(on_sqlite)
    with on_sqlite.book.write() as session:
        which = (col(Deadline.case_id) == case_id, col(Deadline.kind) == "response")
        session.connection().execute(update(Deadline).where(*which).values(**values))
    (found,) = found_in(on_sqlite, later(days=1))
    assert found.sort is sort and said in found.why
    applied(on_sqlite, later(days=1))
    assert found_in(on_sqlite, later(days=1)) == []
    while clockwork.tick(on_sqlite, now=later(days=60)):
        pass
    assert one(on_sqlite, case_id).state == "breached"


@pytest.mark.parametrize("said", [{"next_due_at": later(days=99)}, {"next_deadline": "visit"}, {"next_paused": True}])
def test_a_case_that_says_wrongly_what_is_next_is_found_and_mended(on_sqlite, said):
    case_id = open_case(on_sqlite)
    with on_sqlite.book.write() as session:
        session.connection().execute(update(Case).values(**said))
    (found,) = found_in(on_sqlite)
    assert found.sort is Sort.NEXT and found.due_at == said.get("next_due_at", found.new_at)
    applied(on_sqlite)
    assert found_in(on_sqlite) == [] and case_of(on_sqlite, case_id).row.due_at is not None


def test_a_deadline_that_should_be_there_is_found_and_started(on_sqlite):
    case_id = open_case(on_sqlite)
    with on_sqlite.book.write() as session:
        session.connection().execute(delete(Deadline).where(col(Deadline.kind) == "response"))
    found = {each.sort: each for each in found_in(on_sqlite)}
    assert found[Sort.MISSING].deadline == "response" and found[Sort.MISSING].new_date == "2026-12-21"
    applied(on_sqlite)
    assert found_in(on_sqlite) == [] and one(on_sqlite, case_id).due_date == "2026-12-21"


def test_what_passed_without_a_breach_is_found_once_the_clock_had_its_time(on_sqlite):
    open_case(on_sqlite)
    found = {each.deadline for each in found_in(on_sqlite, later(days=60)) if each.sort is Sort.PASSED}
    assert "response" in found
    while clockwork.tick(on_sqlite, now=later(days=60)):
        pass
    assert found_in(on_sqlite, later(days=60)) == []


def test_chunks_of_any_size_find_the_same(on_sqlite, tmp_path):
    for number in range(7):
        open_case(on_sqlite, a_mail(sender=f"person{number}@example.org"))
    changed = closed_on(on_sqlite, tmp_path, "2026-12-01")
    found = []
    for chunk in (1, 3, 200):
        looks = list(look_through(changed, clock=lambda: NOW, chunk=chunk))
        assert sum(look.cases for look in looks) == 7
        found.append([each.difference for look in looks for each in look.found])
    assert found[0] == found[1] == found[2] and len(found[0]) >= 14
    total = Sum()
    for look in looks:
        total.add(look)
    assert total.moves == total.later == len(found[0]) == total.differences


def test_one_case_that_cannot_be_read_hides_no_other(on_sqlite):
    bad, good = (open_case(on_sqlite, a_mail(sender=f"{name}@example.org")) for name in "ab")
    with on_sqlite.book.write() as session:
        session.connection().execute(text("UPDATE deadlines SET derivation = '{' WHERE case_id = :id"), {"id": bad})
        session.connection().execute(
            update(Deadline).where(col(Deadline.case_id) == good).values(due_date="2026-12-24")
        )
    found = found_in(on_sqlite)
    assert {each.case_id for each in found} == {bad, good}
    assert "amendsd verify" in next(each.why for each in found if each.case_id == bad)


def test_a_case_whose_reference_cannot_be_read_stops_no_count(on_sqlite):
    bad, good = open_case(on_sqlite), open_case(on_sqlite)
    with on_sqlite.book.write() as session:
        session.connection().execute(
            text("UPDATE cases SET reference = :it WHERE id = :bad"), {"it": b"\xff", "bad": bad}
        )
        session.connection().execute(
            update(Deadline).where(col(Deadline.case_id) == good).values(due_date="2026-12-24")
        )
    total = Sum()
    for each in look_through(on_sqlite, clock=lambda: NOW):
        total.add(each)
    assert total.cases == 2 and selfcheck.conclude(on_sqlite, total, began_at=NOW, wall=NOW)[0].wrong


# A change that was seen


def look(office, now=NOW):
    """What the daemon does: count everything, and keep what a change would move."""
    total = Sum()
    for each in look_through(office, clock=lambda: now):
        total.add(each)
    with office.book.read() as session:
        change = policychange.seen(office, session)
    return policychange.settle(office, total, change, wall=now)


def told(office):
    with office.book.read() as session:
        return policychange.sentence(office, session)


def test_a_change_is_seen_counted_and_over_when_it_is_applied_or_undone(office, tmp_path):
    open_case(office)
    assert look(office) is None and told(office) is None
    changed = closed_on(office, tmp_path, "2026-12-01")
    assert told(changed).startswith("The calendar changed; amendsd policy changes shows")
    waiting = look(changed)
    assert waiting is not None and told(changed) == waiting.sentence
    moves = waiting.numbers["moves"]
    assert waiting.sentence == (
        f"The calendar changed; {moves} open deadlines would move: amendsd policy changes shows them, "
        "amendsd policy apply moves them."
    )
    applied(changed)
    assert told(changed) is None and look(changed) is None
    assert told(office) is not None
    assert look(office) is not None


def test_a_change_that_moves_nothing_is_taken_as_it_is_and_put_on_record(on_sqlite, tmp_path):
    open_case(on_sqlite)
    look(on_sqlite)
    changed = closed_on(on_sqlite, tmp_path, "2029-07-04")
    assert told(changed) is not None
    assert look(changed) is None and told(changed) is None
    with on_sqlite.book.read() as session:
        (entry,) = storewide.entries(session, policychange.KIND)
        assert (entry.actor, entry.data["parts"]) == ("amends", ["calendar"])


def test_another_number_in_the_file_of_a_pack_is_a_change_of_that_pack(on_sqlite, tmp_path):
    folder = tmp_path / "packs"
    folder.mkdir()
    shipped = (config_folder() / "policies" / "iso-10002-default.toml").read_text()
    (folder / "iso.toml").write_text(shipped)
    office = anew(on_sqlite, tmp_path, policy={"folder": "packs"})
    case_id = open_case(office)
    look(office)
    old = 'amount = 20\nunit = "working_days"'
    assert old in shipped
    (folder / "iso.toml").write_text(shipped.replace(old, 'amount = 15\nunit = "working_days"'))
    changed = anew(on_sqlite, tmp_path, policy={"folder": "packs"})
    assert told(changed).startswith("The pack iso-10002-default changed; ")
    found = {each.deadline: each for each in found_in(changed)}
    assert found["response"].earlier and found["response"].new_date == "2026-12-14"
    assert found["response"].why.startswith("now day 15: ")
    applied(changed)
    assert one(changed, case_id).due_date == "2026-12-14" and found_in(changed) == []


def test_what_has_passed_is_not_written_down_by_every_application(on_sqlite):
    case_id = open_case(on_sqlite)
    for _ in range(2):
        assert applied(on_sqlite, when=later(days=40)).other == 0
    assert not [one for one in case_of(on_sqlite, case_id).events if one.kind == "deadline-recounted"]
    assert [one.sort for one in found_in(on_sqlite, later(days=40))].count(Sort.PASSED), "it is told all the same"
