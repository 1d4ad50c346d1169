"""Split, merge and back, link: on both databases, and what the proof of the ledger makes of them."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from amends.cases.outcomes import Outcome
from amends.casework import clockwork, correspondence, handling, merging, tray
from amends.kernel.errors import AmendsError, NotFound, Refused
from amends.ledger import views
from amends.ledger.verify import verify
from amends.letters import tokens
from amends.letters.kinds import LetterKind
from amends.mail.facts import Kind
from tests.builders import AMARA, AUDREY, NOW, a_mail, case_of, file_mail, id_of, later, open_case, post_all

OURS = "complaints@northwind.example"
BOB = "bob@example.org"
WHO = {"actor": AMARA, "now": later(hours=1)}


def kinds(office, case_id):
    return [event.kind for event in case_of(office, case_id).events]


def reference(office, case_id):
    return case_of(office, case_id).row.reference


def token_of(office, case_id):
    return tokens.plus_address(reference(office, case_id), OURS, key=office.key)


def acknowledgement_of(office, case_id):
    return next(one.message_id for one in case_of(office, case_id).letters if one.kind == "acknowledgement")


def intact(office):
    return verify(office.book).problems == ()


def found(office, words):
    with office.book.read() as session:
        return views.search(session, words, prefix="NW")


# Merge


@pytest.fixture
def two(office):
    """Two complaints of one person about one thing, both acknowledged: (the first, the second)."""
    first = open_case(office, a_mail(message_id="first@mail.example.org"))
    second = open_case(office, a_mail(message_id="second@mail.example.org", subject="Heating again"))
    post_all(office)
    return first, second


def test_a_merged_case_is_closed_and_keeps_everything_but_its_deadlines(office, two):
    first, second = two
    before = case_of(office, second)
    merging.merge(office, second, first, **WHO)
    after, into = case_of(office, second), case_of(office, first)
    assert (after.row.stage, after.row.is_open, after.closed_at) == ("closed", False, later(hours=1))
    assert (after.messages, after.participants) == (before.messages, before.participants)
    assert [one.id for one in after.letters] == [one.id for one in before.letters]
    assert [d.state for d in after.deadlines] == ["met", "cancelled", "cancelled"]
    assert [d.state for d in into.deadlines] == ["met", "open", "open"]
    assert kinds(office, second)[-4:] == ["deadline-cancelled", "deadline-cancelled", "merged", "stage"]
    assert kinds(office, first)[-1] == "absorbed" and intact(office)


def test_the_clock_of_a_merged_case_stands_still(office, two):
    first, second = two
    merging.merge(office, second, first, **WHO)
    while clockwork.tick(office, now=later(days=60)):
        pass
    assert not [one for one in case_of(office, second).letters if one.kind == "progress-update"]
    assert "deadline-breached" in kinds(office, first) and "deadline-breached" not in kinds(office, second)


@pytest.mark.parametrize("evidence", ["token", "letter", "message", "subject"])
def test_an_answer_to_a_case_that_was_merged_twice_reaches_the_last(office, two, evidence):
    first, second = two
    third = open_case(office, a_mail())
    post_all(office)
    proof = {
        "token": {"to": (token_of(office, first),)},
        "letter": {"in_reply_to": acknowledgement_of(office, first)},
        "message": {"in_reply_to": "first@mail.example.org"},
        "subject": {"subject": f"Re: {reference(office, first)}"},
    }[evidence]
    merging.merge(office, first, second, **WHO)
    merging.merge(office, second, third, **WHO)
    filed = file_mail(office, a_mail(text="Still cold.", **proof), now=later(hours=2))
    assert (filed.state, filed.reference) == ("filed", reference(office, third))
    match = case_of(office, third).messages[-1].match
    assert match["because"].endswith(f"; {reference(office, first)} was merged into it")
    assert match["standing"] == "participant" and intact(office)


def test_those_who_belong_to_a_merged_case_belong_to_the_one_that_took_it_up(office):
    first = open_case(office, a_mail())
    second = open_case(office, a_mail(sender=BOB))
    merging.merge(office, second, first, different_people=True, **WHO)
    filed = file_mail(office, a_mail(sender=BOB, subject=reference(office, first)))
    assert filed.reference == reference(office, first)
    assert case_of(office, first).messages[-1].match["standing"] == "participant"


def test_a_bounce_of_a_letter_of_a_merged_case_marks_the_letter_and_shows_on_the_other(office, two):
    first, second = two
    letter = acknowledgement_of(office, second)
    merging.merge(office, second, first, **WHO)
    bounce = a_mail(
        sender="mailer-daemon@mx.example.org",
        kind=Kind.BOUNCE,
        to=(tokens.bounce_address(letter, OURS, key=office.key),),
        permanent_failure=True,
        gave_up=True,
    )
    assert file_mail(office, bounce).reference == reference(office, first)
    assert case_of(office, first).row.undelivered
    assert [one.state for one in case_of(office, second).letters if one.message_id == letter] == ["bounced"]
    assert kinds(office, second)[-2:] == ["letter-bounced", "address-blocked"] and intact(office)


def test_an_acknowledgement_that_waited_while_its_case_was_merged_still_leaves(office):
    first, second = open_case(office), open_case(office)
    merging.merge(office, second, first, **WHO)
    post_all(office, now=later(hours=1))
    assert case_of(office, second).letters[0].state == "sent"
    assert case_of(office, second).row.stage == "closed" and intact(office)


def test_a_merger_can_be_taken_back_and_the_deadlines_run_on(office, two):
    first, second = two
    before = case_of(office, second)
    merging.merge(office, second, first, **WHO)
    late = file_mail(office, a_mail(text="x", to=(token_of(office, second),)), now=later(hours=2))
    assert merging.unmerge(office, second, actor=AMARA, now=later(hours=3)) == reference(office, first)
    after = case_of(office, second)
    assert (after.row.stage, after.row.is_open, after.closed_at) == ("acknowledged", True, None)
    assert after.deadlines == before.deadlines and after.row.due_at == before.row.due_at
    assert late.reference == reference(office, first)  # what came meanwhile stays where it is
    again = file_mail(office, a_mail(text="y", to=(token_of(office, second),)), now=later(hours=4))
    assert again.reference == reference(office, second)
    assert kinds(office, first)[-1] == "released"
    assert intact(office)
    while clockwork.tick(office, now=later(days=60)):
        pass
    assert "deadline-breached" in kinds(office, second)


def test_a_closed_case_keeps_its_outcome_through_a_merger_and_back(office, two):
    first, second = two
    handling.close(office, second, outcome=Outcome.WITHDRAWN, reason="twice", **WHO)
    merging.merge(office, second, first, actor=AMARA, now=later(hours=2))
    assert intact(office)
    merging.unmerge(office, second, actor=AMARA, now=later(hours=3))
    after = case_of(office, second)
    assert (after.row.stage, after.outcome, after.closed_at) == ("closed", "withdrawn", later(hours=1))
    assert intact(office)


def test_what_may_not_be_merged_is_refused_and_named(office, two):
    first, second = two
    stranger = open_case(office, a_mail(sender=BOB))
    closed = open_case(office)
    handling.close(office, closed, outcome=Outcome.WITHDRAWN, reason="x", **WHO)
    leaving = open_case(office)
    letter = correspondence.draft(office, leaving, LetterKind.REPLY, actor=AMARA, now=NOW)
    correspondence.save(office, letter, "Words.", actor=AMARA, now=NOW)
    correspondence.send(office, letter, actor=AMARA, now=NOW)
    for one, other, sentence in (
        (first, first, "one and the same"),
        (stranger, first, "complainants of"),
        (first, closed, "reopen it first"),
        (leaving, first, "letter on its way"),
    ):
        with pytest.raises(Refused, match=sentence):
            merging.merge(office, one, other, **WHO)
    with pytest.raises(NotFound):
        merging.merge(office, first, 9999, **WHO)
    with pytest.raises(Refused, match="auditor"):
        merging.merge(office, second, first, actor=AUDREY, now=NOW)
    with pytest.raises(Refused, match="not merged"):
        merging.unmerge(office, first, **WHO)
    assert "merged" not in kinds(office, first) + kinds(office, leaving) and intact(office)


def test_a_merged_case_sends_its_handler_to_the_one_that_took_it_up(office, two):
    first, second = two
    merging.merge(office, second, first, **WHO)
    third = open_case(office)
    held = file_mail(office, a_mail(sender=BOB, subject=reference(office, third)))
    for verb in (
        lambda: handling.reopen(office, second, "again", **WHO),
        lambda: correspondence.draft(office, second, LetterKind.REPLY, **WHO),
        lambda: merging.merge(office, third, second, **WHO),
        lambda: merging.merge(office, second, third, **WHO),
        lambda: tray.join(office, held.arrival_id, reference(office, second), **WHO),
    ):
        with pytest.raises(Refused, match=f"merged into {reference(office, first)}"):
            verb()


def test_two_who_merge_each_into_the_other_make_no_ring(office, two):
    gate = threading.Barrier(2)
    refused = []

    def act(one, other):
        gate.wait()
        try:
            merging.merge(office, one, other, **WHO)
        except AmendsError as no:
            refused.append(no)

    threads = [threading.Thread(target=act, args=pair) for pair in (two, two[::-1])]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(refused) == 1 and intact(office)


# Split


@pytest.fixture
def mixed(office):
    """A case of Edith's with a second message of hers on it, about something else: (case, message)."""
    case_id = open_case(office, a_mail(message_id="first@mail.example.org"))
    post_all(office)
    file_mail(
        office,
        a_mail(
            subject="Noise",
            text="My neighbour drums at night.",
            message_id="drums@mail.example.org",
            to=(token_of(office, case_id),),
            attachments=[("drums.txt", "text/plain", b"boom")],
        ),
        now=later(days=1),
    )
    return case_id, case_of(office, case_id).messages[-1].id


def test_a_message_split_off_opens_a_case_whose_clocks_run_from_its_receipt(office, mixed):
    case_id, message_id = mixed
    assert found(office, "drums") == [case_id]
    new = merging.split(office, case_id, message_id, actor=AMARA, now=later(days=2))
    old, case = case_of(office, case_id), case_of(office, new)
    assert case.row.subject == "Noise" and case.row.received_at == later(days=1)
    assert [m.id for m in case.messages] == [message_id]
    assert case.messages[0].match["because"] == f"amara split it off {old.row.reference}"
    assert [one.kind for one in case.letters] == ["acknowledgement"]
    assert message_id not in [m.id for m in old.messages]
    assert (old.row.messages, old.row.unread, case.row.messages) == (2, 1, 1)
    assert found(office, "drums") == [id_of(office, new)]
    assert kinds(office, case_id)[-2:] == ["message-split", "linked"] and kinds(office, new)[-1] == "linked"
    assert intact(office)


def test_answers_to_a_message_that_was_split_off_reach_its_new_case(office, mixed):
    case_id, message_id = mixed
    new = merging.split(office, case_id, message_id, actor=AMARA, now=later(days=2))
    post_all(office, now=later(days=2))
    by_message = file_mail(office, a_mail(in_reply_to="drums@mail.example.org"), now=later(days=3))
    by_letter = file_mail(office, a_mail(in_reply_to=acknowledgement_of(office, id_of(office, new))), now=later(days=3))
    assert by_message.reference == by_letter.reference == new
    assert file_mail(office, a_mail(in_reply_to="first@mail.example.org")).reference == reference(office, case_id)


def test_a_message_can_be_split_off_into_the_tray_and_joined_to_another_case(office, mixed):
    case_id, message_id = mixed
    other = open_case(office, a_mail(subject="Drums"))
    assert merging.split(office, case_id, message_id, hold=True, **WHO) is None
    with office.book.read() as session:
        (held,) = views.tray(session, "held")
    assert held.reason == f"amara split it off {reference(office, case_id)}"
    assert held.candidates[0]["case"] == reference(office, case_id) and intact(office)
    tray.join(office, held.id, reference(office, other), **WHO)
    assert case_of(office, other).messages[-1].id == message_id and intact(office)
    tray_again = merging.split(office, other, message_id, actor=AMARA, now=later(days=3))
    assert case_of(office, tray_again).row.subject == "Noise" and intact(office)


def test_what_may_not_be_split_off_is_refused(office, mixed):
    case_id, _ = mixed
    opening, letter = (m.id for m in case_of(office, case_id).messages[:2])
    with pytest.raises(Refused, match="opened with this message"):
        merging.split(office, case_id, opening, **WHO)
    with pytest.raises(Refused, match="letter of ours"):
        merging.split(office, case_id, letter, **WHO)
    with pytest.raises(NotFound):
        merging.split(office, open_case(office), opening, **WHO)
    assert intact(office)


# Link


def test_cases_are_linked_and_unlinked_with_an_event_on_both(office, two):
    first, second = two
    merging.link(office, second, first, **WHO)
    with pytest.raises(Refused, match="linked already"):
        merging.link(office, first, second, **WHO)
    assert kinds(office, first)[-1] == kinds(office, second)[-1] == "linked" and intact(office)
    assert case_of(office, first).links == ((reference(office, second), "related"),)
    merging.unlink(office, first, second, **WHO)
    with pytest.raises(Refused, match="not linked"):
        merging.unlink(office, first, second, **WHO)
    assert case_of(office, first).links == () and intact(office)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE cases SET merged_into = NULL", "merged into"),
        ("UPDATE cases SET merged_into = 3 WHERE merged_into IS NOT NULL", "was merged into it"),
        ("DELETE FROM links", "its link with"),
        ("UPDATE links SET kind = 'split'", "its link with"),
    ],
)
def test_ties_that_were_changed_by_hand_are_found(office, two, change, problem):
    first, second = two
    third = open_case(office)
    merging.link(office, first, third, **WHO)
    merging.merge(office, second, first, **WHO)
    assert intact(office)
    with office.book.write() as session:
        session.connection().execute(text(change))
    assert any(problem in one for one in verify(office.book).problems)


def test_the_case_shows_what_it_was_merged_into_and_what_was_merged_into_it(office, two):
    first, second = two
    merging.merge(office, second, first, **WHO)
    assert case_of(office, second).as_json()["merged_into"] == reference(office, first)
    assert case_of(office, first).as_json()["merged"] == [reference(office, second)]
    assert case_of(office, first).as_json()["linked"] == []
