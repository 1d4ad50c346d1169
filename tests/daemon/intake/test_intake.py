"""The intake of one mailbox on a real Dovecot."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from amends.casework import doubts
from amends.casework import duty as leases
from daemon.intake import duty
from daemon.intake.pause import pause_after
from daemon.intake.reconcile import Effort, reconcile
from daemon.reading.pool import Underway
from tests.daemon.intake.bench import Desk, HandPulse, a_complaint
from tests.servers.dovecot import Account, Dovecot
from tests.servers.faults import FaultProxy

pytestmark = pytest.mark.server("dovecot")

FILED, QUARANTINE, OVERSIZED = "Amends/Filed", "Amends/Quarantine", "Amends/Oversized"


def test_what_waits_becomes_cases_and_leaves_the_inbox(
    desk_at: Callable[..., Desk], mailbox: Account, database_url: str
) -> None:
    desk = desk_at(mailbox, url=database_url)
    mails = [a_complaint(n) for n in range(120)]
    mailbox.deliver_all(mails)
    pulse = desk.look_once()
    assert desk.cases() == [f"complaint {n}" for n in range(120)], "oldest first"
    assert desk.acknowledgements() == 120
    assert mailbox.uids() == []
    assert mailbox.raws(FILED) == mails
    assert desk.woken >= 3, "the outbox need not wait for the whole backlog"
    assert pulse.detail["unaccounted"] == pulse.detail["waiting"] == 0
    assert pulse.detail["uidvalidity"] == mailbox.uidvalidity()
    assert datetime.fromisoformat(pulse.detail["last_poll"]) <= datetime.now(UTC)


def test_looking_again_changes_nothing(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver_all([a_complaint(n) for n in range(10)])
    desk.look_once()
    before = desk.rows("SELECT * FROM arrivals")
    desk.look_once()
    assert desk.rows("SELECT * FROM arrivals") == before


def test_new_mail_is_told_by_idle(desk: Desk, mailbox: Account) -> None:
    with desk.at_work(poll_seconds=3600) as pulse:
        desk.until(lambda: pulse.detail.get("last_poll"), pulse)
        for n in range(3):
            mailbox.deliver(a_complaint(n))
            desk.until(lambda n=n: len(desk.cases()) == n + 1, pulse)


def test_without_idle_it_is_found_by_polling(desk: Desk, mailbox: Account) -> None:
    with desk.at_work(poll_seconds=0.05, idle=False) as pulse:
        desk.until(lambda: pulse.detail.get("last_poll"), pulse)
        mailbox.deliver(a_complaint(1))
        desk.until(lambda: desk.cases() == ["complaint 1"], pulse)


def test_the_receipt_is_the_servers_own_time_and_never_in_the_future(desk: Desk, mailbox: Account) -> None:
    yesterday = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    mailbox.deliver(a_complaint(1), at=yesterday)
    mailbox.deliver(a_complaint(2), at=yesterday + timedelta(days=30))
    desk.look_once()
    with desk.office.book.read() as session:
        from amends.ledger.tables import Case

        first, second = (session.get(Case, number) for number in (1, 2))
        assert first is not None and second is not None
        assert first.received_at == yesterday
        assert second.received_at <= datetime.now(UTC)


def test_mail_older_than_since_is_history_without_letters(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver(a_complaint(1), at=datetime(2026, 1, 1, tzinfo=UTC))
    mailbox.deliver(a_complaint(2), at=datetime(2026, 3, 1, tzinfo=UTC))
    desk.look_once(since=datetime(2026, 2, 1, tzinfo=UTC))
    assert len(desk.cases()) == 2 and desk.acknowledgements() == 1


def test_the_flags_of_other_peoples_programs_decide_nothing(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver(a_complaint(1), flags=[b"\\Seen"])
    mailbox.deliver(a_complaint(2), flags=[b"\\Seen", b"\\Flagged", b"\\Answered"])
    mailbox.deliver(a_complaint(3))
    desk.look_once()
    assert len(desk.cases()) == 3
    assert sorted(set(f) - {b"\\Recent"} for f in mailbox.flags(FILED).values()) == sorted(
        [{b"\\Seen"}, {b"\\Seen", b"\\Flagged", b"\\Answered"}, set()]
    ), "and stay as they were"


def test_mail_that_others_marked_as_deleted_is_not_expunged_by_us(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver(a_complaint(1), flags=[b"\\Deleted"], folder="INBOX")
    desk.look_once()
    assert len(mailbox.raws(FILED)) == 1


def test_a_message_that_cannot_be_read_is_quarantined_alone(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver(a_complaint(1))
    bad = mailbox.deliver(a_complaint(2, headers="X-Do: die\r\nX-Headers: die\r\n"))
    mailbox.deliver(a_complaint(3))
    desk.look_once()
    assert desk.cases() == ["complaint 1", "complaint 3"]
    [(uid, reason)] = desk.rows("SELECT uid, reason FROM arrivals WHERE state = 'quarantined'")
    assert uid == bad and "cannot be read" in reason
    assert len(mailbox.uids(QUARANTINE)) == 1 and mailbox.uids() == []


def test_of_an_oversized_message_the_beginning_becomes_a_case_and_the_whole_stays_on_the_server(
    desk: Desk, mailbox: Account
) -> None:
    large = a_complaint(1, body="The lift is broken.\r\n" + "x" * 1_200_000)
    mailbox.deliver(large)
    mailbox.deliver(a_complaint(2))
    desk.look_once(max_megabytes=1)
    assert sorted(desk.cases()) == ["complaint 1", "complaint 2"] and desk.acknowledgements() == 2
    [(left, size)] = desk.rows("SELECT left_size, size FROM arrivals JOIN raws ON raws.id = raw_id WHERE left_size > 0")
    assert left == len(large) and 64 * 1024 < size < 70_000
    [(words, defects)] = desk.rows("SELECT new_text, defects FROM messages WHERE subject = 'complaint 1'")
    assert words.startswith("The lift is broken.")
    assert "the message was too large (1 MB) and was left on the server, in Amends/Oversized" in defects
    [(letter,)] = desk.rows("SELECT body FROM letters WHERE to_address = 'ann1@example.org'")
    assert "very large (1 MB)" in letter and "less than 35 MB each" in letter
    [(other,)] = desk.rows("SELECT body FROM letters WHERE to_address = 'ann2@example.org'")
    assert "very large" not in other
    assert mailbox.raws(OVERSIZED) == [large] and mailbox.uids() == [] and len(mailbox.uids(FILED)) == 1


def test_an_oversized_reply_joins_its_case_and_an_oversized_message_that_came_twice_is_one(
    desk: Desk, mailbox: Account
) -> None:
    mailbox.deliver(a_complaint(1))
    desk.look_once()
    reply = a_complaint(2, reply_to="complaint-1@example.org", body="x" * 1_200_000).replace(b"ann2@", b"ann1@")
    mailbox.deliver(reply)
    mailbox.deliver(b"Received: from elsewhere\r\n" + reply)
    desk.look_once(max_megabytes=1)
    assert desk.cases() == ["complaint 1"] and desk.states() == {"filed": 2, "duplicate": 1}
    [(defects,)] = desk.rows("SELECT defects FROM messages WHERE case_id = 1 AND subject = 'complaint 2'")
    assert "too large" in defects
    assert len(mailbox.raws(OVERSIZED)) == 2 and mailbox.uids() == []


def test_an_oversized_message_of_which_the_server_gives_not_even_the_beginning_is_set_aside(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox.deliver(a_complaint(1, body="x" * 1_200_000))
    monkeypatch.setattr(duty.Line, "beginning", lambda *_: b"")
    monkeypatch.setattr(duty, "MAX_FETCHES", 1)
    desk.look_once(max_megabytes=1)
    assert desk.states() == {"quarantined": 1} and len(mailbox.uids(QUARANTINE)) == 1


def test_a_large_message_is_fetched_in_pieces_and_kept_to_the_byte(desk: Desk, mailbox: Account) -> None:
    mails = [a_complaint(n, body="y" * size) for n, size in enumerate((1024 * 1024 - 200, 3 * 1024 * 1024, 2_500_001))]
    mailbox.deliver_all(mails)
    desk.look_once()
    assert len(desk.cases()) == 3
    assert sorted(desk.rows("SELECT size FROM raws")) == sorted((len(mail),) for mail in mails)


def _tells_sizes(monkeypatch: pytest.MonkeyPatch, told: int) -> None:
    """Let the server estimate sizes, and badly."""
    envelopes = duty.Line.envelopes
    monkeypatch.setattr(
        duty.Line,
        "envelopes",
        lambda self, uids: {uid: replace(one, size=told) for uid, one in envelopes(self, uids).items()},
    )


@pytest.mark.parametrize("told", [1_000, 2 * 1024 * 1024 - 50_000, 4_000_000])
def test_a_large_message_comes_whole_though_its_size_is_only_estimated(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    mail = a_complaint(1, body="y" * (2 * 1024 * 1024 + 300_000))
    mailbox.deliver(mail)
    _tells_sizes(monkeypatch, told)
    desk.look_once()
    assert desk.states() == {"filed": 1} and desk.rows("SELECT size FROM raws") == [(len(mail),)]


@pytest.mark.parametrize("told", [1_000, 990_000, 1_050_000])
def test_of_a_message_of_more_bytes_than_we_take_the_beginning_is_filed_whatever_size_was_told(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    large = a_complaint(1, body="x" * 3_000_000)
    mailbox.deliver(large)
    _tells_sizes(monkeypatch, told)
    desk.look_once(max_megabytes=1)
    [(left, size)] = desk.rows("SELECT left_size, size FROM arrivals JOIN raws ON raws.id = raw_id")
    assert left > 1_000_000 and 64 * 1024 < size < 70_000
    assert mailbox.raws(OVERSIZED) == [large] and desk.cases() == ["complaint 1"]


def test_a_message_that_vanishes_between_the_search_and_the_fetch_is_passed_over(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = [mailbox.deliver(a_complaint(n)) for n in range(4)]
    search = duty.Line.uids

    def then_somebody_deletes(self: Any) -> list[int]:
        found = search(self)
        if uids[0] in mailbox.uids():
            mailbox.remove(uids[:1])
        return found

    monkeypatch.setattr(duty.Line, "uids", then_somebody_deletes)
    pulse = desk.look_once()
    assert desk.cases() == ["complaint 1", "complaint 2", "complaint 3"]
    assert pulse.detail["unaccounted"] == 0


def test_a_message_that_vanishes_before_its_move_counts_as_moved(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = [mailbox.deliver(a_complaint(n)) for n in range(3)]
    move = duty.Line.move

    def but_first_somebody_deletes(self: Any, *arguments: Any) -> None:
        mailbox.remove(uids[1:2])
        move(self, *arguments)

    monkeypatch.setattr(duty.Line, "move", but_first_somebody_deletes)
    desk.look_once()
    assert len(desk.cases()) == 3 and mailbox.uids() == [] and len(mailbox.uids(FILED)) == 2
    assert desk.rows("SELECT count(*) FROM arrivals WHERE moved_at IS NULL") == [(0,)]


def test_uidvalidity_changes_and_nobody_is_written_to_twice(desk: Desk, mailbox: Account, monkeypatch: Any) -> None:
    mailbox.deliver_all([a_complaint(n) for n in range(5)])
    monkeypatch.setattr(duty.Line, "move", lambda *_: None)  # the old ones still lie there, as after a restored back-up
    desk.look_once()
    monkeypatch.undo()
    mailbox.change_uidvalidity()
    mailbox.deliver(a_complaint(99))
    desk.look_once()
    assert desk.cases() == [*(f"complaint {n}" for n in range(5)), "complaint 99"]
    assert desk.acknowledgements() == 6
    assert desk.states() == {"filed": 6, "duplicate": 5}
    assert mailbox.uids() == [] and len(mailbox.uids(FILED)) == 6


def _held(desk: Desk) -> list[str]:
    with desk.office.book.read() as session:
        return [one.words for one in doubts.doubts(session)]


def test_letters_wait_when_a_renumbered_mailbox_has_many_unknown_messages(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver(a_complaint(0))
    desk.look_once()
    mailbox.change_uidvalidity()
    mailbox.deliver_all([a_complaint(n) for n in range(1, 30)])
    desk.look_once()
    assert len(desk.cases()) == 30 and "numbered anew" in _held(desk)[0]
    mailbox.deliver(a_complaint(99))
    desk.look_once()
    assert len(_held(desk)) == 1, "until somebody says so"


def test_letters_do_not_wait_for_what_is_known_by_its_bytes_though_all_of_it_was_renumbered(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox.deliver_all([a_complaint(n) for n in range(30)])
    monkeypatch.setattr(duty.Line, "move", lambda *_: None)
    desk.look_once()
    monkeypatch.undo()
    mailbox.change_uidvalidity()
    mailbox.deliver(a_complaint(99))
    raised: list[bool] = []
    whole = doubts.weigh
    monkeypatch.setattr(doubts, "weigh", lambda *a, **k: raised.append(whole(*a, **k)) or raised[-1])
    desk.look_once()
    assert raised == [True, False] and _held(desk) == [], "they waited while it was not known"
    assert desk.states() == {"filed": 31, "duplicate": 30}


def test_a_plain_backlog_is_answered_at_once_however_long(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver_all([a_complaint(n) for n in range(60)])
    desk.look_once()
    assert desk.acknowledgements() == 60 and _held(desk) == []


def test_letters_wait_when_the_mailbox_shows_that_the_store_is_old(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver(a_complaint(0))
    desk.look_once()
    box = desk.office.settings.mailbox[0]
    reconcile(desk.office, box, Effort(), alive=lambda: None)
    later = [mailbox.deliver(a_complaint(n)) for n in range(1, 7)]  # what a later life of the store took in and filed
    mailbox.remove(later)
    desk.look_once(many_unknown=6)
    assert _held(desk) == []
    desk.look_once(many_unknown=5)
    assert "knows nothing of 6 messages" in _held(desk)[0]


def test_two_intakes_on_one_mailbox_take_turns(desk: Desk, mailbox: Account) -> None:
    with desk.at_work("first") as first:
        desk.until(lambda: first.detail.get("last_poll"), first)
        with desk.at_work("second") as second:
            desk.until(lambda: second.detail.get("held_by") == "first", second)
            mailbox.deliver(a_complaint(1))
            desk.until(lambda: desk.cases() == ["complaint 1"], first)
            assert not second.detail.get("connected")
            first.stopping.set()
            desk.until(lambda: second.detail.get("connected"), second)
            mailbox.deliver(a_complaint(2))
            desk.until(lambda: len(desk.cases()) == 2, second)


def test_even_two_intakes_that_both_believe_in_their_lease_file_nothing_twice(
    desk_at: Callable[..., Desk], mailbox: Account, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_at(mailbox, url=database_url)
    monkeypatch.setattr(leases, "lease", lambda *_, **__: 1)
    monkeypatch.setattr(duty, "BATCH_MESSAGES", 10)
    mailbox.deliver_all([a_complaint(n) for n in range(60)])
    with desk.at_work("first") as first, desk.at_work("second") as second:
        desk.until(lambda: len(desk.looks) >= 2 and not mailbox.uids(), first)
    assert first.errors == second.errors == []
    assert sorted(desk.cases()) == sorted(f"complaint {n}" for n in range(60))
    assert desk.acknowledgements() == 60


def test_the_lease_of_a_dead_daemon_need_not_run_out(desk: Desk, mailbox: Account) -> None:
    from daemon.supervision.owner import our_name

    name = our_name().split("/")
    dead = "/".join([*name[:4], "1", name[5]])  # our process number, started at another time
    leases.lease(desk.office, "mailbox:complaints", dead, seconds=90, now=desk.office.wall())
    mailbox.deliver(a_complaint(1))
    desk.look_once()
    assert desk.cases() == ["complaint 1"]


POINTS = [
    ("store", "before"),
    ("store", "after"),
    ("file", "before"),
    ("file", "after"),
    ("move", "before"),
    ("move", "after"),
    ("mark_moved", "before"),
    ("mark_moved", "after"),
]


class Killed(BaseException):
    """What kill -9 is to the code: it goes through everything."""


@pytest.mark.parametrize(("step", "when"), POINTS)
@pytest.mark.parametrize("occurrence", [1, 2])
def test_killed_at_any_step_nothing_is_lost_and_nothing_doubled(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch, step: str, when: str, occurrence: int
) -> None:
    mails = [a_complaint(n) for n in range(8)] + [
        a_complaint(8 + n, reply_to=f"complaint-{n}@example.org").replace(b"ann%d@" % (8 + n), b"ann%d@" % n)
        for n in range(3)
    ]
    mailbox.deliver_all(mails)
    place = duty.Line if step == "move" else duty.intake
    whole, calls = getattr(place, step), 0

    def dies(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += bool(arguments[-1]) or step == "move"
        if calls == occurrence and when == "before":
            raise Killed
        result = whole(*arguments, **named)
        if calls == occurrence:
            raise Killed
        return result

    monkeypatch.setattr(duty, "BATCH_MESSAGES", 4)
    monkeypatch.setattr(place, step, dies)
    with pytest.raises(Killed), desk.at_work() as pulse:
        desk.until(lambda: False, pulse)
    monkeypatch.setattr(place, step, whole)
    desk.look_once()
    assert len(desk.cases()) == 8 and desk.acknowledgements() == 8
    assert desk.states() == {"filed": 11}
    assert desk.rows("SELECT count(*) FROM messages WHERE direction = 'in'") == [(11,)]
    assert mailbox.uids() == [] and sorted(mailbox.raws(FILED)) == sorted(mails)
    assert desk.rows("SELECT count(*) FROM arrivals WHERE moved_at IS NULL") == [(0,)]


@pytest.mark.parametrize("fault", ["close", "reset"])
@pytest.mark.parametrize("count", [1_500, 30_000, 70_000])
def test_a_line_cut_inside_a_message_loses_nothing(
    desk_at: Callable[..., Desk], mailbox: Account, fault: Any, count: int
) -> None:
    mails = [a_complaint(n, body="z" * 9_000) for n in range(12)]
    mailbox.deliver_all(mails)
    with FaultProxy(mailbox.server.port) as proxy:
        desk = desk_at(mailbox, port=proxy.port)
        proxy.after_bytes(count, fault)
        pulse = desk.look_once()
        assert proxy.struck == [fault] and len(pulse.errors) == 1
    assert desk.cases() == [f"complaint {n}" for n in range(12)] and desk.acknowledgements() == 12
    assert sorted(desk.rows("SELECT size FROM raws")) == sorted((len(mail),) for mail in mails)


@pytest.mark.parametrize("fault", ["stall", "drip"])
def test_a_server_that_stalls_or_drips_is_left_and_tried_again(
    desk_at: Callable[..., Desk], mailbox: Account, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    monkeypatch.setattr("daemon.intake.line.STEP_SECONDS", 1.0)
    monkeypatch.setattr("daemon.intake.line.SLOWEST", 1_000_000)
    mailbox.deliver_all([a_complaint(n, body="z" * 9_000) for n in range(5)])
    with FaultProxy(mailbox.server.port) as proxy:
        desk = desk_at(mailbox, port=proxy.port)
        proxy.after_bytes(20_000, fault)
        pulse = desk.look_once()
        assert "it took too long" in pulse.errors[0]
    assert len(desk.cases()) == 5


def _dies_of(monkeypatch: pytest.MonkeyPatch, uid: int, *commands: str) -> None:
    """Let the server drop the line whenever one of these methods of it asks for this message."""
    for command in commands:
        whole = getattr(duty.Line, command)

        def ask(self: Any, asked: Any, whole: Any = whole, **more: Any) -> Any:
            if uid == asked or (isinstance(asked, list) and uid in asked):
                self._client.socket().shutdown(socket.SHUT_RDWR)
            return whole(self, asked, **more)

        monkeypatch.setattr(duty.Line, command, ask)


FETCHES = [
    (("messages",), "ann1@example.org"),
    (("messages", "header"), ""),
    (("envelopes", "messages", "header"), ""),
]


@pytest.mark.parametrize(("commands", "sender"), FETCHES)
def test_a_message_that_costs_us_the_line_each_time_is_set_aside_and_holds_up_no_other(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch, commands: tuple[str, ...], sender: str
) -> None:
    uids = [mailbox.deliver(a_complaint(n)) for n in range(4)]
    _dies_of(monkeypatch, uids[1], *commands)
    pulse = desk.look_once()
    assert sorted(desk.cases()) == ["complaint 0", "complaint 2", "complaint 3"]
    [(uid, reason, known)] = desk.rows("SELECT uid, reason, sender FROM arrivals WHERE state = 'quarantined'")
    assert (uid, known) == (uids[1], sender) and "gives no text of it" in reason
    assert mailbox.raws(QUARANTINE) == [a_complaint(1)] and mailbox.uids() == []
    assert pulse.detail["unaccounted"] == 0


def test_a_large_message_that_costs_us_the_line_each_time_is_set_aside(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = mailbox.deliver(a_complaint(1, body="y" * 1_500_000))
    mailbox.deliver(a_complaint(2))
    _dies_of(monkeypatch, bad, "large_message")
    desk.look_once()
    assert desk.cases() == ["complaint 2"] and desk.states() == {"filed": 1, "quarantined": 1}


def test_mail_that_came_when_the_line_died_again_and_again_is_not_set_aside_for_it(
    desk_at: Callable[..., Desk], mailbox: Account
) -> None:
    mailbox.deliver_all([a_complaint(n) for n in range(6)])
    with FaultProxy(mailbox.server.port) as proxy:
        for _ in range(4):
            proxy.at_command(b"(BODY.PEEK[])", "lose command")
        desk = desk_at(mailbox, port=proxy.port)
        desk.look_once()
        assert len(proxy.struck) == 4
    assert desk.states() == {"filed": 6}


def test_a_line_that_never_lasts_for_more_than_one_message_brings_them_one_by_one(
    desk_at: Callable[..., Desk], mailbox: Account
) -> None:
    """Where it breaks after it was of use, no message is to blame, however often that happens."""
    mailbox.deliver_all([a_complaint(n, body="The lift is broken.\r\n" * 1000) for n in range(12)])
    with FaultProxy(mailbox.server.port) as proxy:
        for _ in range(14):
            proxy.after_bytes(30_000, "close")
        desk = desk_at(mailbox, port=proxy.port)
        desk.look_once()
    assert desk.states() == {"filed": 12}


def test_an_intake_that_stands_by_says_once_for_whom(
    desk: Desk, mailbox: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    with desk.at_work("first") as first:
        desk.until(lambda: first.detail.get("last_poll"), first)
        with desk.at_work("second") as second:
            desk.until(lambda: second.detail.get("held_by"), second)
    said = [line for line in capsys.readouterr().out.splitlines() if "intake.stands-by" in line]
    assert len(said) == 1 and "held_by=first" in said[0]


@pytest.mark.parametrize("fault", ["lose answer", "lose command"])
def test_a_move_whose_answer_or_command_was_lost_is_repeated_without_harm(
    desk_at: Callable[..., Desk], mailbox: Account, fault: Any
) -> None:
    mailbox.deliver_all([a_complaint(n) for n in range(5)])
    with FaultProxy(mailbox.server.port) as proxy:
        desk = desk_at(mailbox, port=proxy.port)
        proxy.at_command(b"UID MOVE", fault)
        desk.look_once()
        assert proxy.struck == [fault]
    assert len(desk.cases()) == 5 and mailbox.uids() == [] and len(mailbox.uids(FILED)) == 5
    assert desk.rows("SELECT count(*) FROM arrivals WHERE moved_at IS NULL") == [(0,)]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_server_goes_while_we_wait_and_comes_again(
    own_dovecot: Dovecot, desk_at: Callable[..., Desk], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duty, "pause_after", pause_after)
    account = own_dovecot.account()
    desk = desk_at(account)
    with desk.at_work(poll_seconds=3600) as pulse:
        desk.until(lambda: pulse.detail.get("last_poll"), pulse)
        getattr(own_dovecot, how)()
        desk.until(lambda: pulse.error is not None and not pulse.detail["connected"], pulse)
        own_dovecot.start()
        account.deliver(a_complaint(1))
        desk.until(lambda: desk.cases() == ["complaint 1"], pulse)
        assert len(pulse.errors) < 10, "no tight loop"
        desk.until(lambda: pulse.error is None and pulse.detail["connected"], pulse)


def test_a_wrong_password_is_one_clear_sentence_and_no_lock_out(
    desk_at: Callable[..., Desk], mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duty, "pause_after", pause_after)
    desk = desk_at(mailbox, password="not this one")
    with desk.at_work() as pulse:
        desk.until(lambda: pulse.errors, pulse)
    assert "check username and password of mailbox 'complaints'" in pulse.errors[0]
    assert len(pulse.errors) == 1


def test_a_server_that_is_not_there_is_one_clear_sentence(desk: Desk) -> None:
    from tests.servers import free_port

    port = free_port()
    with desk.at_work(port=port) as pulse:
        desk.until(lambda: pulse.errors, pulse)
    assert pulse.errors[0] == f"Cannot connect to 127.0.0.1:{port}: Connection refused"


def test_tls_is_verified(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver(a_complaint(1))
    tls = {"port": mailbox.server.tls_port, "security": "tls"}
    for how in (tls, {"security": "starttls"}):
        with desk.at_work(**how) as pulse:
            desk.until(lambda seen=pulse: seen.errors, pulse)
        assert "is not trusted" in pulse.errors[0] and mailbox.uids() == [1]
    desk.look_once(**tls, ca_file=mailbox.server.ca_file)
    desk.look_once(port=mailbox.server.port, security="starttls", ca_file=mailbox.server.ca_file)
    assert desk.cases() == ["complaint 1"]


def test_a_large_message_shows_life_and_keeps_the_lease_while_it_comes(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox.deliver(a_complaint(1, body="y" * 3_000_000))
    whole, lease, signs, leased = duty.Line.large_message, leases.lease, [], []
    meanwhile: list[tuple[int, int]] = []

    def fetch(self: Any, *arguments: Any, **named: Any) -> bytes | None:
        before = len(signs), len(leased)
        try:
            return whole(self, *arguments, **named)
        finally:
            meanwhile.append((len(signs) - before[0], len(leased) - before[1]))

    def wait(self: HandPulse, seconds: float, *, woken_by: Any = None) -> bool:
        signs.append(seconds)
        return self.stopping.wait(seconds)

    def lease_again(*arguments: Any, **named: Any) -> int | None:
        leased.append(1)
        return lease(*arguments, **named)

    monkeypatch.setattr(duty, "RENEW_AFTER", 0.0)
    monkeypatch.setattr(duty.Line, "large_message", fetch)
    monkeypatch.setattr(leases, "lease", lease_again)
    monkeypatch.setattr(HandPulse, "wait", wait)
    desk.look_once()
    [(seen, renewed)] = meanwhile
    assert seen >= 3 and renewed >= 3, "for each piece"


def test_a_message_that_hangs_its_reader_shows_life_and_keeps_the_lease(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox.deliver(a_complaint(1, headers="X-Do: hang\r\n"))
    lease, results, reading, leased = leases.lease, Underway.results, threading.Event(), []

    def read(self: Underway, *alive: Any) -> Any:
        reading.set()
        try:
            return results(self, *alive)
        finally:
            reading.clear()

    def lease_again(*arguments: Any, **named: Any) -> int | None:
        leased.append(reading.is_set())
        return lease(*arguments, **named)

    monkeypatch.setattr(duty, "RENEW_AFTER", 0.0)
    monkeypatch.setattr("daemon.reading.pool._ALIVE_EVERY", 0.1, raising=False)
    monkeypatch.setattr(Underway, "results", read)
    monkeypatch.setattr(leases, "lease", lease_again)
    desk.look_once()
    assert leased.count(True) > 2 and desk.states() == {"filed": 1}
