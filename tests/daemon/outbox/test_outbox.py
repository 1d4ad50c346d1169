"""The outbox on a real SMTP server: no crash and no answer of a server makes a letter go twice, or be forgotten."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import structlog

from amends.casework import clockwork, correspondence, gate
from amends.casework import post as casework_post
from amends.casework.doubts import mark_restored
from amends.kernel.errors import NeedsOperator
from amends.letters.kinds import LetterKind
from daemon.outbox import duty as outbox_duty
from daemon.outbox.courier import Courier
from daemon.outbox.duty import pause_after
from daemon.outbox.wire import Wire
from tests.builders import AMARA, HANDLERS, a_mail, file_mail
from tests.daemon.outbox.conftest import Killed, Post
from tests.servers import until
from tests.servers.smtp import (
    DROP,
    KEEP_AND_DROP,
    RESET,
    Slow,
    Torn,
)


def die(*_args: object, **_more: object) -> None:
    raise Killed


def lay_trap(monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """The next outbox dies at `point`; `monkeypatch.undo` takes the trap away again, with everything else."""
    if point == "claimed":
        monkeypatch.setattr(Courier, "begin", die)
    elif point == "body sent, before the commit":
        monkeypatch.setattr(outbox_duty.post, "before_dots", die)
    elif point == "committed, before the dot":
        monkeypatch.setattr(Courier, "dot", die)
    elif point == "dot sent, before the answer":
        listen = Wire.getreply
        monkeypatch.setattr(Wire, "getreply", lambda wire: die() if wire.at_dot else listen(wire))
    elif point == "answered, before the record":
        monkeypatch.setattr(outbox_duty.post, "record", die)


@pytest.mark.parametrize("point", ["claimed", "body sent, before the commit"])
def test_a_crash_before_the_point_of_no_return_sends_the_letter_once(
    point: str, make_post: Callable[..., Post], database_url: str
) -> None:
    office = make_post(url=database_url)
    office.complaints()
    with pytest.MonkeyPatch.context() as trap:
        lay_trap(trap, point)
        office.killed()
    assert office.states() == ["sending"]
    office.work_until(lambda: office.states() == ["sent"])
    assert len(office.server.letters) == 1


@pytest.mark.parametrize(
    ("point", "accepted"),
    [("committed, before the dot", 0), ("dot sent, before the answer", 1), ("answered, before the record", 1)],
)
def test_a_crash_after_the_point_of_no_return_leaves_the_letter_uncertain(
    point: str, accepted: int, make_post: Callable[..., Post], database_url: str
) -> None:
    office = make_post(url=database_url)
    office.complaints()
    with pytest.MonkeyPatch.context() as trap:
        lay_trap(trap, point)
        office.killed()
    office.work_until(lambda: office.states() == ["uncertain"])
    office.server.wait_for(accepted)
    office.whole_poll()  # too early to say anything
    with office.at_work(office.outbox("third")):
        time.sleep(0.2)  # an outbox that would send it again has had its chance
    assert office.states() == ["uncertain"]
    assert len(office.server.letters) == accepted


def test_of_many_letters_a_crash_leaves_only_the_last_uncertain(
    make_post: Callable[..., Post], database_url: str
) -> None:
    office = make_post(url=database_url)
    office.complaints(5)
    with pytest.MonkeyPatch.context() as trap:
        lay_trap(trap, "answered, before the record")
        office.killed()
    assert len(office.server.letters) == 5
    office.work_until(lambda: office.states() == ["sent"] * 4 + ["uncertain"])
    assert [one.answer for one in office.letters()][:4] == [
        one.answer for one in office.letters() if one.state == "sent"
    ]
    assert len(office.server.letters) == 5


def test_a_backlog_leaves_over_several_connections(post: Post) -> None:
    post.complaints(25)
    post.work_until(lambda: set(post.states()) == {"sent"})
    assert len(post.server.letters) == 25
    assert len({letter.session for letter in post.server.letters}) == post.office.settings.smtp.connections == 3


def test_of_a_backlog_a_crash_leaves_one_uncertain_for_each_connection(
    make_post: Callable[..., Post], database_url: str
) -> None:
    office = make_post(url=database_url)
    office.complaints(12)
    with pytest.MonkeyPatch.context() as trap:
        lay_trap(trap, "dot sent, before the answer")
        office.killed()
    office.work_until(lambda: sorted(set(office.states())) == ["sent", "uncertain"])
    assert office.states().count("uncertain") == 3
    assert len({letter.header("Message-ID") for letter in office.server.letters}) == len(office.server.letters) == 12


def test_a_server_that_allows_one_connection_gets_every_letter_over_that(post: Post) -> None:
    post.complaints(25)
    post.server.script("connect", Slow(0))
    post.server.script("connect", "421 4.7.0 Too many connections", times=float("inf"))
    with structlog.testing.capture_logs() as said:
        post.work_until(lambda: set(post.states()) == {"sent"})
    assert len({letter.session for letter in post.server.letters}) == 1
    assert [one["event"] for one in said].count("outbox.one-connection") == 1


def test_what_is_refused_among_others_is_a_matter_of_that_letter_alone(post: Post) -> None:
    bad = post.complaints(15)[1]
    post.server.script("rcpt", "550 5.1.1 No such user", to=post.letter(bad).to_address)
    post.work_until(lambda: sorted(set(post.states())) == ["failed", "sent"])
    assert [one.id for one in post.letters() if one.state == "failed"] == [bad]
    assert len(post.server.letters) == 14


def test_a_connection_that_breaks_beside_others_costs_no_letter(post: Post) -> None:
    post.complaints(25)
    post.server.script("data", RESET)
    post.work_until(lambda: set(post.states()) == {"sent"})
    assert len({letter.header("Message-ID") for letter in post.server.letters}) == len(post.server.letters) == 25


def test_an_uncertain_letter_whose_copy_comes_home_was_sent(post: Post) -> None:
    (letter,) = post.complaints()
    with pytest.MonkeyPatch.context() as trap:
        lay_trap(trap, "dot sent, before the answer")
        post.killed()
    post.work_until(lambda: post.states() == ["uncertain"])
    post.copy_comes_home(letter)
    assert post.letter(letter).state == "sent"
    post.clock.ahead += timedelta(days=1)
    post.whole_poll()
    with post.at_work(post.outbox("third")):
        time.sleep(0.3)
    assert len(post.server.letters) == 1


def test_an_uncertain_letter_without_a_copy_is_sent_again_after_a_complete_poll(post: Post) -> None:
    (letter,) = post.complaints()
    with pytest.MonkeyPatch.context() as trap:
        lay_trap(trap, "committed, before the dot")
        post.killed()
    post.work_until(lambda: post.states() == ["uncertain"])
    post.clock.ahead += timedelta(hours=1)
    with post.at_work(post.outbox("third")):  # an hour went by, but nobody could look at the mailbox
        time.sleep(0.3)
        assert post.states() == ["uncertain"]
    post.whole_poll()
    post.work_until(lambda: post.states() == ["sent"], owner="fourth")
    assert [one.header("Message-ID").strip("<>") for one in post.server.letters] == [post.letter(letter).message_id]


def test_a_letter_whose_receipt_copy_was_refused_is_never_sent_again_by_itself(post: Post) -> None:
    post.complaints()
    post.server.script("rcpt", "550 5.1.1 No such user", to="complaints+r.")
    post.server.script("dot", KEEP_AND_DROP)
    post.work_until(lambda: post.states() == ["uncertain"])
    post.clock.ahead += timedelta(hours=1)
    post.whole_poll()
    with post.at_work(post.outbox("third")):
        time.sleep(0.3)
    assert post.states() == ["uncertain"]
    assert len(post.server.letters) == 1


def test_a_letter_of_a_handler_is_never_sent_again_by_itself(post: Post) -> None:
    post.complaints()
    post.work_until(lambda: post.states() == ["sent"])
    case = post.letters()[0].case_id
    assert case is not None
    letter = correspondence.draft(post.office, case, LetterKind.REPLY, actor=AMARA, now=post.office.now())
    correspondence.save(post.office, letter, "We have asked the engineer.", actor=AMARA, now=post.office.now())
    correspondence.send(post.office, letter, actor=AMARA, now=post.office.now())
    post.clock.ahead += timedelta(minutes=1)
    post.server.script("dot", DROP)
    post.work_until(lambda: post.letter(letter).state == "uncertain")
    post.clock.ahead += timedelta(days=1)
    post.whole_poll()
    with post.at_work(post.outbox("third")):
        time.sleep(0.3)
    assert post.letter(letter).state == "uncertain"


@pytest.mark.parametrize(
    "action", [KEEP_AND_DROP, DROP, RESET, Torn(b"25"), Torn(b"250 2.0.0 Ok"), Torn(b"250-2.0.0\r\n")]
)
def test_anything_but_a_whole_answer_to_the_dot_leaves_the_letter_uncertain(action: str, post: Post) -> None:
    post.complaints()
    post.server.script("dot", action)
    post.work_until(lambda: post.states() == ["uncertain"])
    assert "had the whole letter" in (post.letters()[0].error or "")


def test_a_passing_refusal_is_tried_again_after_a_minute(post: Post) -> None:
    (letter,) = post.complaints()
    post.server.script("dot", "451 4.3.0 Later")
    post.work_until(lambda: post.letter(letter).tries == 1)
    row = post.letter(letter)
    assert (row.state, row.error) == ("queued", "451 4.3.0 Later")
    assert row.next_try_at is not None and row.next_try_at > post.office.now() + timedelta(seconds=50)
    post.clock.ahead += timedelta(minutes=2)
    post.work_until(lambda: post.states() == ["sent"], owner="third")
    assert len(post.server.letters) == 1


@pytest.mark.parametrize("step", ["rcpt", "data", "dot"])
def test_a_full_mailbox_counts_as_passing(step: str, post: Post) -> None:
    (letter,) = post.complaints()
    post.server.script(step, "552 5.2.2 Mailbox full")
    post.work_until(lambda: post.letter(letter).tries == 1)
    assert post.states() == ["queued"]


@pytest.mark.parametrize("step", ["rcpt", "data", "dot"])
def test_a_final_refusal_fails_the_letter_and_shows_it_on_the_case(step: str, post: Post) -> None:
    post.complaints()
    post.server.script(step, "550 5.1.1 No such person")
    post.work_until(lambda: post.states() == ["failed"])
    assert post.letters()[0].error == "550 5.1.1 No such person"
    post.complaints()
    post.work_until(lambda: post.states() == ["failed", "sent"], owner="third")


def test_five_days_of_passing_refusals_fail_the_letter(post: Post) -> None:
    (letter,) = post.complaints()
    post.server.script("rcpt", "450 4.2.1 Not now", times=float("inf"))
    with post.at_work(post.outbox()) as _:
        outbox_tries = 0
        while post.letter(letter).state == "queued" and outbox_tries < 60:
            outbox_tries += 1
            seen = post.letter(letter).tries
            post.clock.ahead += timedelta(hours=4, minutes=1)
            until(lambda seen=seen: post.letter(letter).tries > seen, what="the next try")
    row = post.letter(letter)
    assert (row.state, row.tries) == ("failed", len(casework_post.WAITS) + 1)


@pytest.mark.parametrize("answer", ["550 5.4.5 Daily user sending limit exceeded", "554 5.1.90 Over the quota"])
def test_the_providers_limit_holds_everything_and_fails_nothing(answer: str, post: Post) -> None:
    post.complaints(3)
    post.server.script("dot", answer)
    with post.at_work(post.outbox()) as heart:
        until(lambda: heart.state == "failing" and "enough for now" in (heart.error or ""))
        time.sleep(0.2)
        assert post.states() == ["queued"] * 3
    assert post.server.letters == []


def test_a_refused_sender_address_is_not_the_complainants_fault(post: Post) -> None:
    (letter,) = post.complaints()
    post.server.script("mail", "550 5.7.1 Sender not allowed")
    post.work_until(lambda: post.letter(letter).tries == 1)
    assert post.states() == ["queued"]


@pytest.mark.parametrize("answer", ["530 5.7.0 Authentication required", "554 5.7.1 Relay access denied"])
def test_a_server_that_will_not_relay_for_us_fails_no_letter(answer: str, post: Post) -> None:
    (letter,) = post.complaints()
    post.server.script("rcpt", answer)
    post.work_until(lambda: post.letter(letter).tries == 1)
    assert post.states() == ["queued"]


def test_a_dead_server_costs_no_letter_a_try(post: Post) -> None:
    post.complaints(3)
    post.server.stop()
    with post.at_work(post.outbox()) as heart:
        until(lambda: heart.state == "failing" and "cannot be reached" in (heart.error or ""))
        until(
            lambda: (
                post.states() == ["queued"] * 3
                and all("cannot be reached" in (one.error or "") for one in post.letters())
            )
        )
        post.server.start()
        until(lambda: post.states() == ["sent"] * 3, what="the letters to go when the server is back")
        until(lambda: heart.state == "running")
    assert [one.tries for one in post.letters()] == [1, 1, 1]
    assert [one.error for one in post.letters()] == [None] * 3


def test_a_server_that_comes_back_has_the_letters_within_a_minute_however_long_it_was_away() -> None:
    pauses = [pause_after(failures, spread=1.0) for failures in range(1, 5000)]
    assert pauses == sorted(pauses) and pauses[0] < 3 and pauses[-1] <= 60


def test_a_letter_that_breaks_every_connection_lets_the_others_pass(post: Post) -> None:
    first, second = post.complaints(2)
    post.server.script("rcpt", RESET, to="person1@", times=float("inf"))
    post.work_until(lambda: post.letter(second).state == "sent")
    assert post.letter(first).state == "queued"


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(post: Post) -> None:
    post.complaints()
    with post.at_work(post.outbox()) as heart:
        until(lambda: post.states() == ["sent"])
        post.server.stop()
        post.server.start()
        post.complaints()
        until(lambda: post.states() == ["sent", "sent"])
        assert heart.error is None


def test_some_letters_share_one_connection(post: Post) -> None:
    post.complaints(9)
    post.work_until(lambda: post.states() == ["sent"] * 9)
    assert post.server.sessions == 1
    assert sorted(one.rcpt_to[0] for one in post.server.letters) == sorted(one.to_address for one in post.letters())
    assert all(len(one.rcpt_to) == 2 and one.rcpt_to[1].startswith("complaints+r.") for one in post.server.letters)


def test_a_refusal_does_not_disturb_the_next_letter_of_the_connection(post: Post) -> None:
    post.complaints(3)
    post.server.script("rcpt", "550 5.1.1 No", to="person2@")
    post.work_until(lambda: post.states() == ["sent", "failed", "sent"])
    assert post.server.sessions == 1


def test_two_outboxes_on_one_store_send_each_letter_once(make_post: Callable[..., Post], database_url: str) -> None:
    office = make_post(url=database_url)
    office.complaints(30)
    office.server.script("dot", Slow(0.005), times=30)
    with office.at_work(office.outbox("one")), office.at_work(office.outbox("two")):
        until(lambda: office.states() == ["sent"] * 30)
    assert len(office.server.letters) == 30


def test_an_outbox_that_overslept_its_lease_does_not_send(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    (letter,) = post.complaints()
    asleep, awake = threading.Event(), threading.Event()
    before_dots = outbox_duty.post.before_dots

    def sleepy(office: object, owner: str, *args: object, **more: object) -> object:
        if owner == "first":
            asleep.set()
            awake.wait(60)
        return before_dots(office, owner, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(outbox_duty.post, "before_dots", sleepy)
    with post.at_work(post.outbox("first")):
        assert asleep.wait(60)
        post.clock.ahead += timedelta(minutes=16)
        post.work_until(lambda: post.letter(letter).state == "sent")
        awake.set()
        time.sleep(0.2)
    assert len(post.server.letters) == 1


def test_a_letter_called_back_in_time_never_leaves(post: Post) -> None:
    post.complaints()
    with post.at_work(post.outbox()):
        until(lambda: post.states() == ["sent"])
        case = post.letters()[0].case_id
        assert case is not None
        letter = correspondence.draft(post.office, case, LetterKind.REPLY, actor=AMARA, now=post.office.now())
        correspondence.save(post.office, letter, "We have asked the engineer.", actor=AMARA, now=post.office.now())
        correspondence.send(post.office, letter, actor=AMARA, now=post.office.now())
        time.sleep(0.2)
        correspondence.call_back(post.office, letter, actor=AMARA, now=post.office.now())
        post.clock.ahead += timedelta(minutes=5)
        time.sleep(0.3)
    assert post.letter(letter).state == "draft"
    assert len(post.server.letters) == 1


def test_while_the_clock_is_in_doubt_automatic_letters_wait(post: Post) -> None:
    post.doubt = "The clock of this machine was set forward by 3 d."
    post.complaints(2)
    with post.at_work(post.outbox()) as heart:
        until(lambda: "Automatic letters are held" in (heart.error or ""))
        time.sleep(0.2)
        assert post.server.letters == []
        post.doubt = None
        until(lambda: post.states() == ["sent", "sent"])


def test_while_the_store_is_in_doubt_staff_are_told_all_the_same(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_duty, "_BATCH", 1)  # what is held must not stand in front of what leaves
    post.complaints(2)
    with post.office.book.write() as session:
        mark_restored(session, now=post.office.now())
    post.clock.ahead += timedelta(days=40)
    while clockwork.tick(post.office, now=post.office.now()):
        pass
    with post.at_work(post.outbox()) as heart:
        until(lambda: "The database was restored" in (heart.error or ""))
    told = {letter.rcpt_to[0] for letter in post.server.letters}
    assert told and told <= {one.get("address") for one in HANDLERS}
    assert {one.state for one in post.letters() if one.staff} == {"sent"}
    assert {one.state for one in post.letters() if not one.staff} == {"queued"}


def test_letters_that_look_like_a_loop_wait_alone_and_the_duty_says_so(post: Post) -> None:
    now = post.office.now() - timedelta(minutes=1)
    for n in range(21):  # each wrote again just after our letter
        for words in (f"One {n}", f"Another thing {n}"):
            file_mail(post.office, a_mail(sender=f"person{n}@example.org", text=words), now=now)
            now += timedelta(seconds=1)
    with post.at_work(post.outbox()) as heart:
        until(lambda: "amendsd breaker --go" in (heart.error or ""))
        until(lambda: [one.error for one in post.letters()].count(gate.HELD) == 21)
        until(lambda: len(post.server.letters) == 21)  # everybody's first letter
        gate.let_go(post.office, now=post.office.now())
        until(lambda: set(post.states()) == {"sent"})
    assert len(post.server.letters) == 42


def test_an_outbox_told_to_stop_ends_its_letter_and_begins_no_other(post: Post) -> None:
    post.complaints(5)
    post.server.script("dot", Slow(0.5), times=5)
    with post.at_work(post.outbox()) as heart:
        until(lambda: any(one.dot_at is not None for one in post.letters()))
        heart.stop()
    assert sorted(post.states()) == ["queued"] * 4 + ["sent"]
    assert len(post.server.letters) == 1


def test_a_store_that_breaks_before_the_dot_lets_nothing_leave(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.complaints()
    with pytest.MonkeyPatch.context() as broken:

        def full(*_args: object, **_more: object) -> bool:
            raise NeedsOperator("The disk of the database is full; make room, nothing was lost.")

        broken.setattr(outbox_duty.post, "before_dots", full)
        with pytest.raises(NeedsOperator), post.at_work(post.outbox()) as heart:
            heart.thread.join(60)  # type: ignore[attr-defined]
    assert post.server.letters == []
    post.dead.add("first")
    post.work_until(lambda: post.states() == ["sent"])
    assert len(post.server.letters) == 1


def test_what_could_not_be_written_down_is_written_when_the_store_is_back(post: Post) -> None:
    post.complaints()
    outbox = post.outbox()
    with pytest.MonkeyPatch.context() as broken:

        def full(*_args: object, **_more: object) -> None:
            raise NeedsOperator("The disk of the database is full; make room, nothing was lost.")

        broken.setattr(outbox_duty.post, "record", full)
        with pytest.raises(NeedsOperator), post.at_work(outbox) as heart:
            heart.thread.join(60)  # type: ignore[attr-defined]
    assert post.states() == ["sending"]
    with post.at_work(outbox):  # as the supervisor starts it again
        until(lambda: post.states() == ["sent"])
    assert len(post.server.letters) == 1


def test_the_case_shows_that_it_was_acknowledged(post: Post) -> None:
    from amends.ledger.tables import Case

    post.complaints()
    post.work_until(lambda: post.states() == ["sent"])
    with post.office.book.read() as session:
        case = session.get(Case, post.letters()[0].case_id)
        assert case is not None
        assert (case.stage, case.messages_out) == ("acknowledged", 1)
