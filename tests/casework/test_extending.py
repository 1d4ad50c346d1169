"""More time for a deadline: who may give it, how much, and that the complainant is told before the old date."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from amends.casework import clockwork, correspondence, handling, moretime, undelivered
from amends.kernel.errors import Refused
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
from tests.casework.test_course import answer, write
from tests.casework.test_pausing import HOUSE

LATER = NOW + timedelta(days=14)
NEW_DAY = date(2027, 1, 8)
REASON = "The surveyor can come on 4 January only."


@pytest.fixture
def case_id(office):
    made = open_case(office)
    post_all(office)
    return made


def extend(office, case_id, to=NEW_DAY, *, kind="response", reason=REASON, actor=AMARA, now=LATER):
    return moretime.extend(office, case_id, kind, to, reason, actor=actor, now=now)


def response_of(office, case_id):
    return next(one for one in case_of(office, case_id).deadlines if one.kind == "response")


def test_the_deadline_moves_when_the_notice_has_left_and_keeps_why(office, case_id):
    leaves_at = extend(office, case_id)
    assert leaves_at is not None and leaves_at > LATER
    assert response_of(office, case_id).due_date == "2026-12-21"
    post_all(office, now=leaves_at)
    moved = response_of(office, case_id)
    assert (moved.due_date, moved.state) == ("2027-01-08", "open")
    why = f"({REASON.rstrip('.')}, approved by amara)"
    assert moved.derivation[-2] == f"moved from Mon 21 Dec 2026 to Fri 08 Jan 2027 {why}"
    (notice,) = [one for one in case_of(office, case_id).letters if one.kind == LetterKind.HOLDING]
    assert REASON in notice.body and "Friday, 8 January 2027" in notice.body and notice.state == "sent"
    kinds = [event.kind for event in case_of(office, case_id).events]
    assert kinds.index("extension-granted") < kinds.index("letter-sent", kinds.index("extension-granted"))
    assert "deadline-extended" in kinds
    assert REASON not in str([event.data for event in case_of(office, case_id).events])
    assert verify(office.book).problems == ()


def test_what_the_clock_does_goes_by_the_new_date(office, case_id):
    post_all(office, now=extend(office, case_id))
    while clockwork.tick(office, now=NOW + timedelta(days=30)):
        pass
    assert response_of(office, case_id).breached_at is None
    while clockwork.tick(office, now=NOW + timedelta(days=60)):
        pass
    late = response_of(office, case_id)
    assert late.state == "breached" and late.breached_at == late.due_at and late.due_date == "2027-01-08"
    assert verify(office.book).problems == ()


def test_a_notice_that_leaves_after_the_old_date_moves_nothing(office, case_id):
    extend(office, case_id)
    while clockwork.tick(office, now=NOW + timedelta(days=40)):
        pass
    post_all(office, now=NOW + timedelta(days=40))
    found = response_of(office, case_id)
    assert (found.due_date, found.state) == ("2026-12-21", "breached")
    (lapsed,) = [event for event in case_of(office, case_id).events if event.kind == "extension-lapsed"]
    assert "comes before the notice" in lapsed.data["because"]
    assert verify(office.book).problems == ()


def test_a_notice_that_is_called_back_moves_nothing(office, case_id):
    extend(office, case_id)
    (notice,) = [one for one in case_of(office, case_id).letters if one.kind == LetterKind.HOLDING]
    correspondence.call_back(office, notice.id, actor=AMARA, now=LATER)
    post_all(office, now=LATER + timedelta(hours=1))
    assert response_of(office, case_id).due_date == "2026-12-21"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"to": date(2027, 3, 1)}, "at the latest"),
        ({"to": date(2026, 12, 18)}, "is not later than"),
        ({"reason": "  "}, "needs a reason"),
        ({"kind": "status"}, "allows none"),
        ({"kind": "visit"}, "No deadline 'visit' runs on .*; there is status, response"),
        ({"now": NOW + timedelta(days=40)}, "must be announced before"),
        ({"actor": AUDREY}, "auditor"),
    ],
)
def test_what_the_rule_does_not_allow_is_refused_and_leaves_nothing(on_sqlite, change, said):
    case_id = open_case(on_sqlite)
    post_all(on_sqlite)
    with pytest.raises(Refused, match=said):
        extend(on_sqlite, case_id, **change)
    assert not [one for one in case_of(on_sqlite, case_id).letters if one.kind == LetterKind.HOLDING]


def test_it_is_given_once_where_the_rule_says_so(on_sqlite):
    case_id = open_case(on_sqlite)
    post_all(on_sqlite, now=extend(on_sqlite, case_id))
    with pytest.raises(Refused, match="given more time already"):
        extend(on_sqlite, case_id, to=date(2027, 1, 12))


def test_more_time_by_the_code_is_a_supervisors_word_and_its_notice_names_the_ombudsman(tmp_path):
    office = an_office(tmp_path, policy={"pack": "uk-housing-ombudsman-2024"})
    case_id = open_case(office, a_mail())
    write(office, case_id, counts_as="s1_acknowledgement")
    to, day = date(2026, 12, 14), NOW + timedelta(days=3)
    with pytest.raises(Refused, match=r"is a supervisor's word .*; ask sam"):
        extend(office, case_id, to, kind="s1_response", now=day)
    post_all(office, now=extend(office, case_id, to, kind="s1_response", actor=SAM, now=day))
    (moved,) = [one for one in case_of(office, case_id).deadlines if one.kind == "s1_response"]
    assert moved.due_date == "2026-12-14" and "approved by sam" in moved.derivation[-2]
    (notice,) = [one for one in case_of(office, case_id).letters if one.kind == LetterKind.HOLDING]
    assert "Housing Ombudsman Service" in notice.body
    assert verify(office.book).problems == ()


def lived(office, now):
    while clockwork.tick(office, now=now):
        pass


@pytest.mark.parametrize("days", [40, 60])
def test_a_notice_that_had_left_in_time_takes_the_breach_back_that_the_clock_had_recorded_meanwhile(
    office, case_id, days
):
    post_and_die(office, now=extend(office, case_id))
    back = NOW + timedelta(days=days)  # before the new date, and after it
    lived(office, back)
    assert response_of(office, case_id).state == "breached"
    find_what_left(office, now=back)
    found = response_of(office, case_id)
    assert (found.due_date, found.state, found.breached_at) == ("2027-01-08", "open", None)
    kinds = [event.kind for event in case_of(office, case_id).events]
    assert kinds.index("deadline-breach-corrected") < kinds.index("deadline-extended")
    lived(office, NOW + timedelta(days=60))
    late = response_of(office, case_id)
    assert (late.state, late.breached_at) == ("breached", late.due_at)
    assert verify(office.book).problems == ()


def the_notice(office, case_id):
    return next(one for one in case_of(office, case_id).letters if one.kind == LetterKind.HOLDING)


def test_a_notice_that_was_called_back_leaves_only_while_it_can_still_give_more_time(office, case_id):
    extend(office, case_id)
    notice = the_notice(office, case_id).id
    correspondence.call_back(office, notice, actor=AMARA, now=LATER)
    extend(office, case_id, to=date(2027, 1, 4))
    with pytest.raises(Refused, match="is on its way"):
        correspondence.send(office, notice, actor=AMARA, now=LATER, anyway=True)
    post_all(office, now=LATER + timedelta(hours=1))
    with pytest.raises(Refused, match="given more time already"):
        correspondence.send(office, notice, actor=AMARA, now=LATER + timedelta(hours=1), anyway=True)
    with pytest.raises(Refused, match="comes before the notice"):
        correspondence.send(office, notice, actor=AMARA, now=NOW + timedelta(days=60), anyway=True)
    answer(office, case_id, now=LATER + timedelta(hours=2))
    with pytest.raises(Refused, match="which is owed no more; discard it"):
        correspondence.send(office, notice, actor=AMARA, now=LATER + timedelta(days=1), anyway=True)
    assert response_of(office, case_id).due_date == "2027-01-04"


def test_where_nobody_need_be_told_before_more_time_can_be_given_after_the_old_date(tmp_path):
    told_with_it = 'repeatable = true\nnotice_by = "none"'
    (tmp_path / "house.toml").write_text(HOUSE.replace("repeatable = true", told_with_it))
    office = an_office(tmp_path, policy={"pack": "house", "folder": "."})
    case_id = open_case(office)
    day = NOW + timedelta(days=30)
    lived(office, day)
    moretime.preview_extension(office, case_id, "response", date(2027, 1, 8), REASON, actor=SAM, now=day)
    post_all(office, now=extend(office, case_id, actor=SAM, now=day))
    late = response_of(office, case_id)
    assert (late.due_date, late.state, late.breached_at.date()) == ("2027-01-08", "breached", date(2026, 12, 21))
    assert verify(office.book).problems == ()


def came_back(office, letter, *, now, **how):
    """A report that the letter will not be delivered (or only that it is late)."""
    report = a_mail(
        sender="mailer-daemon@mx.example.org",
        kind=Kind.BOUNCE,
        failed_message_ids=(letter.message_id,),
        **{"gave_up": True, "permanent_failure": True, **how},
    )
    return file_mail(office, report, now=now)


def test_a_notice_that_came_back_gave_no_more_time_until_it_is_sent_again(office, case_id):
    before = response_of(office, case_id)
    post_all(office, now=extend(office, case_id))
    notice = the_notice(office, case_id)
    came_back(office, notice, gave_up=False, permanent_failure=None, now=LATER + timedelta(hours=1))
    assert response_of(office, case_id).due_date == "2027-01-08", "it is only late"
    for hours in (2, 3):
        came_back(office, notice, now=LATER + timedelta(hours=hours))
        found = response_of(office, case_id)
        assert (found.due_date, found.derivation, found.state) == (before.due_date, before.derivation, "open")
    kinds = [event.kind for event in case_of(office, case_id).events]
    assert kinds.count("deadline-put-back") == 1 and verify(office.book).problems == ()
    leaves = LATER + timedelta(hours=4)
    undelivered.send_to(office, notice.id, "edith@example.com", actor=AMARA, now=leaves)
    post_all(office, now=leaves + timedelta(hours=1))
    assert response_of(office, case_id).due_date == "2027-01-08"
    lived(office, NOW + timedelta(days=30))
    assert response_of(office, case_id).breached_at is None and verify(office.book).problems == ()


def test_a_notice_that_came_back_after_the_old_date_leaves_a_breach_and_comes_too_late_when_it_is_sent_again(
    office, case_id
):
    post_all(office, now=extend(office, case_id))
    late = NOW + timedelta(days=30)
    lived(office, late)
    came_back(office, the_notice(office, case_id), now=late)
    found = response_of(office, case_id)
    assert (found.due_date, found.state, found.breached_at) == ("2026-12-21", "breached", found.due_at)
    told = len([one for one in case_of(office, case_id).letters if one.kind == LetterKind.STAFF_ESCALATION])
    lived(office, late)
    staff = [one for one in case_of(office, case_id).letters if one.kind == LetterKind.STAFF_ESCALATION]
    assert len(staff) > told and "2026" in staff[-1].body
    undelivered.send_to(office, the_notice(office, case_id).id, "edith@example.com", actor=AMARA, now=late)
    post_all(office, now=late + timedelta(hours=1))
    (lapsed,) = [one for one in case_of(office, case_id).events if one.kind == "extension-lapsed"]
    assert "it is too late for it" in lapsed.data["because"]
    anew = [one for one in case_of(office, case_id).letters if one.kind == LetterKind.HOLDING][-1]
    came_back(office, anew, now=late + timedelta(hours=2))
    kinds = [event.kind for event in case_of(office, case_id).events]
    assert kinds.count("deadline-put-back") == 1, "a notice that was too late had given nothing to be taken back"
    assert response_of(office, case_id).due_date == "2026-12-21" and verify(office.book).problems == ()


def test_an_answer_that_came_between_the_old_date_and_the_one_that_nobody_was_told_of_was_late(office, case_id):
    post_all(office, now=extend(office, case_id))
    late = NOW + timedelta(days=30)
    answer(office, case_id, now=late)
    assert response_of(office, case_id).state == "met"
    came_back(office, the_notice(office, case_id), now=late + timedelta(hours=2))
    found = response_of(office, case_id)
    assert (found.state, found.breached_at) == ("breached", found.due_at) and found.met_at is not None
    assert verify(office.book).problems == ()


def test_what_they_were_told_later_counts_on_top_of_the_old_date_as_far_as_it_came_in_time(tmp_path):
    (tmp_path / "house.toml").write_text(HOUSE)
    office = an_office(tmp_path, policy={"pack": "house", "folder": "."}, letters={"undo_seconds": 0})
    made = open_case(office)
    post_all(office)
    extend(office, made, date(2027, 1, 4), actor=SAM, now=NOW + timedelta(days=2))
    post_all(office, now=NOW + timedelta(days=2))
    first = the_notice(office, made)
    moretime.pause(office, made, "response", "A statement.", actor=SAM, now=NOW + timedelta(days=3))
    post_all(office, now=NOW + timedelta(days=3))
    handling.resume(office, made, actor=SAM, now=NOW + timedelta(days=5))  # two working days
    extend(office, made, date(2027, 1, 20), actor=SAM, now=NOW + timedelta(days=7))
    post_all(office, now=NOW + timedelta(days=7))
    second = next(one for one in case_of(office, made).letters if one.kind == LetterKind.HOLDING and one.id != first.id)
    came_back(office, first, now=NOW + timedelta(days=8))
    assert response_of(office, made).due_date == "2027-01-20", "of this one they were told"
    came_back(office, second, now=NOW + timedelta(days=9))
    found = response_of(office, made)
    assert (found.due_date, found.paused_days) == ("2026-12-23", 2)
    assert verify(office.book).problems == ()
