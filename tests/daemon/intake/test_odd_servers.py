"""The intake of a mailbox on servers that lack what Dovecot has, and do what it never does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from daemon.intake import duty
from daemon.intake.reconcile import Effort, reconcile
from daemon.reading.pool import ReadingPool
from tests.builders import an_office
from tests.daemon.intake.bench import Desk, a_complaint
from tests.servers.imap import Action, ScriptedImap

FILED, QUARANTINE = "Amends/Filed", "Amends/Quarantine"
PLAIN = "IMAP4rev1"

At = Callable[..., Desk]


@pytest.fixture
def desk_on(tmp_path: Path, pool: ReadingPool) -> At:
    def make(server: ScriptedImap, **changes: Any) -> Desk:
        return Desk(an_office(tmp_path, mailbox=[server.section(**changes)]), pool)

    return make


def moved(desk: Desk) -> int:
    return int(desk.rows("SELECT count(*) FROM arrivals WHERE moved_at IS NOT NULL")[0][0])


# servers that lack something


def test_without_move_mail_is_copied_and_expunged_by_its_number_and_that_of_others_stays(desk_on: At) -> None:
    with ScriptedImap(offers=f"{PLAIN} UIDPLUS") as server:
        mails = [a_complaint(n) for n in range(3)]
        for mail in mails:
            server.deliver(mail)
        desk = desk_on(server)
        desk.look_once()
        assert server.raws(FILED) == mails and server.raws("INBOX") == [] and moved(desk) == 3
        assert server.heard("EXPUNGE") == ["UID EXPUNGE 1,2,3"]


def test_without_uidplus_mail_stays_with_a_keyword_and_nothing_is_ever_expunged(desk_on: At) -> None:
    with ScriptedImap(offers=PLAIN) as server:
        server.deliver(a_complaint(1))
        theirs = server.deliver(a_complaint(2), flags={r"\Deleted"})
        desk = desk_on(server)
        desk.look_once()
        desk.look_once()
        assert len(desk.cases()) == 2 and desk.acknowledgements() == 2 and moved(desk) == 2
        assert len(server.raws("INBOX")) == 2 and not server.heard("EXPUNGE") and not server.heard("CLOSE")
        assert r"\Deleted" in server.folders["INBOX"][theirs].flags
        assert all("$AmendsFiled" in held.flags for held in server.folders["INBOX"].values())


def test_on_a_server_that_keeps_no_keywords_mail_stays_and_the_store_remembers(desk_on: At) -> None:
    with ScriptedImap(offers=PLAIN, permanent=r"\Seen \Deleted") as server:
        server.deliver(a_complaint(1))
        desk = desk_on(server)
        desk.look_once()
        pulse = desk.look_once()
        assert desk.cases() == ["complaint 1"] and moved(desk) == 1 and pulse.error is None
        assert not server.heard("STORE") and not server.heard("EXPUNGE")
        server.deliver(a_complaint(2))
        desk.look_once()
        assert len(desk.cases()) == 2 and len(server.raws("INBOX")) == 2
        assert reconcile(desk.office, desk.office.settings.mailbox[0], Effort(), alive=lambda: None).clean


def test_a_mailbox_that_is_read_only_is_taken_in_and_the_duty_says_what_is_missing(desk_on: At) -> None:
    with ScriptedImap(read_only=True) as server:
        server.deliver(a_complaint(1))
        desk = desk_on(server)
        pulse = desk.look_once()
        assert desk.cases() == ["complaint 1"] and len(server.raws("INBOX")) == 1
        assert "is read-only" in str(pulse.error) and not server.heard("MOVE")


def test_a_folder_that_somebody_removes_is_made_again(desk_on: At) -> None:
    with ScriptedImap() as server:
        desk = desk_on(server)
        with desk.at_work() as pulse:
            desk.until(lambda: pulse.detail.get("last_poll"), pulse)
            del server.folders[FILED]
            server.deliver(a_complaint(1))
            desk.until(lambda: server.raws(FILED), pulse)
        assert server.raws("INBOX") == [] and desk.cases() == ["complaint 1"]


def test_a_folder_that_refuses_mail_holds_nothing_up_and_is_told(desk_on: At) -> None:
    with ScriptedImap() as server:
        server.script("MOVE", "no", times=None)
        server.deliver(a_complaint(1))
        desk = desk_on(server)
        pulse = desk.look_once()
        assert desk.cases() == ["complaint 1"] and desk.acknowledgements() == 1 and moved(desk) == 0
        assert "cannot be moved" in str(pulse.error)


# messages that are not given


@pytest.mark.parametrize("action", ["no", "bad", "nil", "empty"])
def test_a_message_that_is_not_given_is_asked_for_alone_and_then_set_aside(desk_on: At, action: Action) -> None:
    with ScriptedImap() as server:
        uids = [server.deliver(a_complaint(n)) for n in range(4)]
        server.script(rf"UID FETCH .*\b{uids[1]}\b.*BODY\.PEEK\[\]", action, times=None)
        if action in ("nil", "empty"):  # in an answer to several, those of the others would be empty too
            server.script(r"UID FETCH 1,2,3,4 .*BODY", "no", times=None)
        desk = desk_on(server)
        desk.look_once()
        assert sorted(desk.cases()) == ["complaint 0", "complaint 2", "complaint 3"]
        assert desk.rows("SELECT uid, sender FROM arrivals WHERE state = 'quarantined'") == [
            (uids[1], "ann1@example.org")
        ]
        assert server.raws(QUARANTINE) == [a_complaint(1)], "it stays whole on the server"


@pytest.mark.parametrize("action", ["no", "nil", "empty"])
def test_a_message_that_is_not_given_once_is_taken_in_at_the_next_look(desk_on: At, action: Action) -> None:
    with ScriptedImap() as server:
        server.deliver(a_complaint(1))
        server.script(r"BODY\.PEEK\[\]", action)
        desk = desk_on(server)
        with desk.at_work() as pulse:
            desk.until(lambda: server.raws(FILED), pulse)
        assert desk.states() == {"filed": 1}


def test_a_message_that_vanishes_between_search_and_fetch_is_passed_over_and_told_by_the_reconciliation(
    desk_on: At,
) -> None:
    with ScriptedImap() as server:
        desk = desk_on(server)
        desk.look_once()
        box = desk.office.settings.mailbox[0]
        reconcile(desk.office, box, Effort(), alive=lambda: None)
        gone = server.deliver(a_complaint(1))
        server.deliver(a_complaint(2))
        server.script(rf"UID FETCH {gone},\d .*RFC822.SIZE", "no")  # so that they are asked for one by one
        server.script(rf"UID FETCH {gone} .*RFC822.SIZE", "vanish")
        desk.look_once()
        assert desk.cases() == ["complaint 2"]
        assert reconcile(desk.office, box, Effort(), alive=lambda: None).vanished == ((gone, gone),)


@pytest.mark.parametrize("told", [1, 10_000_000])
def test_a_size_that_is_not_so_costs_no_message(desk_on: At, told: int) -> None:
    with ScriptedImap() as server:
        mail = a_complaint(1)
        server.deliver(mail, size=told)
        desk = desk_on(server)
        desk.look_once()
        assert desk.cases() == ["complaint 1"] and desk.rows("SELECT size FROM raws") == [(len(mail),)]


NO_MAILBOX_HAS = 2**64


@pytest.mark.parametrize(
    "text",
    [
        b"123",
        b"(one two)",
        b"(" * 20_000 + b")" * 20_000,
        b"{40000000}\r\n" + b"x" * 40_000_000,
        b"{99999999999999999999}\r\n" + b"x" * 20_000_000,
    ],
    ids=["number", "list", "deep", "longer than all that we take", "a length beyond all bounds"],
)
def test_what_is_no_text_of_a_message_sets_that_message_aside_and_the_others_are_filed(
    desk_on: At, text: bytes
) -> None:
    with ScriptedImap() as server:
        odd = server.deliver(a_complaint(1))
        server.deliver(a_complaint(2))
        server.script(rf"UID FETCH {odd}\b.*BODY", b"* 1 FETCH (UID %d BODY[] " % odd + text + b")\r\n", times=None)
        desk = desk_on(server, max_megabytes=1)
        with desk.at_work() as pulse:
            desk.until(lambda: desk.states() == {"filed": 1, "quarantined": 1}, pulse)
        assert desk.cases() == ["complaint 2"]


@pytest.mark.parametrize(
    ("step", "said", "sentence"),
    [
        ("SEARCH", b"* SEARCH 1 %d\r\n" % NO_MAILBOX_HAS, "a number that no mailbox has: 18446744073709551616"),
        ("SELECT", b"* 1 EXISTS\r\n* OK [UIDVALIDITY %d] it is\r\n" % NO_MAILBOX_HAS, "a number that no mailbox has"),
        ("SELECT", b"* 1 EXISTS\r\n", "gives INBOX no UIDVALIDITY"),
        ("NOOP", b"* OK all is well\r\n" * 20_000, "sends more than was asked for"),
    ],
)
def test_a_server_that_tells_the_impossible_is_left_with_a_sentence_and_tried_again(
    desk_on: At, step: str, said: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.intake.line.ROOM", 100_000)
    with ScriptedImap() as server:
        server.deliver(a_complaint(1))
        server.script(step, said)
        desk = desk_on(server)
        with desk.at_work() as pulse:
            desk.until(lambda: desk.cases() == ["complaint 1"], pulse)
        assert sentence in pulse.errors[0]


def test_a_size_beyond_all_bounds_is_that_of_a_message_that_is_too_large(desk_on: At) -> None:
    with ScriptedImap() as server:
        server.deliver(a_complaint(1), size=NO_MAILBOX_HAS)
        desk = desk_on(server)
        desk.look_once()
        assert desk.cases() == ["complaint 1"] and len(server.raws("Amends/Oversized")) == 1


def test_a_next_number_that_is_far_off_costs_no_endless_search(desk_on: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.intake.line.RANGES", 20)
    with ScriptedImap() as server:
        server.deliver(a_complaint(1))
        told = b"* 60000 EXISTS\r\n* OK [UIDVALIDITY 7] it is\r\n* OK [UIDNEXT 4294967295] next\r\n"
        server.script("SELECT", told)
        desk = desk_on(server)
        desk.look_once()
        assert desk.cases() == ["complaint 1"] and len(server.heard("SEARCH")) < 100


# a line that breaks


STEPS = [
    "CAPABILITY",
    "LOGIN",
    "LIST",
    "CREATE",
    "SELECT",
    "NOOP",
    "SEARCH",
    r"RFC822\.SIZE",
    r"BODY\.PEEK\[\]",
    "MOVE",
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("action", ["bye", "cut"])
def test_a_good_bye_or_a_broken_line_at_any_step_loses_and_doubles_nothing(
    desk_on: At, step: str, action: Action
) -> None:
    with ScriptedImap() as server:
        mails = [a_complaint(n) for n in range(3)]
        for mail in mails:
            server.deliver(mail)
        server.script(step, action)
        desk = desk_on(server)
        with desk.at_work() as pulse:
            desk.until(lambda: not server.raws("INBOX"), pulse)
        assert not any("log-in" in error for error in pulse.errors), "a broken line is no refusal"
        assert sorted(desk.cases()) == [f"complaint {n}" for n in range(3)]
        assert desk.acknowledgements() == 3 and desk.states() == {"filed": 3}
        assert set(server.raws(FILED)) == set(mails)


def test_a_good_bye_while_we_wait_is_heard_at_once(desk_on: At) -> None:
    with ScriptedImap() as server:
        desk = desk_on(server, poll_seconds=3600)
        server.script("IDLE", "bye")
        with desk.at_work() as pulse:
            desk.until(lambda: pulse.errors, pulse)
            server.deliver(a_complaint(1))
            desk.until(lambda: desk.cases(), pulse)


@pytest.mark.parametrize("step", ["LOGIN", "SELECT", "SEARCH", r"BODY\.PEEK\[\]", "MOVE", "IDLE"])
def test_a_server_that_falls_silent_at_any_step_is_left(
    desk_on: At, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr("daemon.intake.line.STEP_SECONDS", 0.5)
    with ScriptedImap() as server:
        server.deliver(a_complaint(1))
        server.script(step, "silent")
        desk = desk_on(server)
        with desk.at_work() as pulse:
            desk.until(lambda: pulse.errors and not server.raws("INBOX"), pulse)
            assert "it took too long" in pulse.errors[0]
        assert desk.states() == {"filed": 1} and desk.acknowledgements() == 1


# messages that are the same, and that only look so


def test_one_message_to_two_addresses_is_one_message_and_two_with_one_message_id_are_two(desk_on: At) -> None:
    with ScriptedImap() as server:
        mail = a_complaint(1)
        server.deliver(b"Delivered-To: complaints@northwind.example\r\n" + mail)
        server.deliver(b"Delivered-To: help@northwind.example\r\n" + mail)
        server.deliver(mail.replace(b"The lift is broken.", b"And now the roof leaks too."))
        desk = desk_on(server)
        desk.look_once()
        assert desk.states() == {"filed": 2, "duplicate": 1}
        assert desk.rows("SELECT count(*) FROM messages WHERE direction = 'in'") == [(2,)]


def test_the_mailbox_is_numbered_anew_between_two_looks_of_one_daemon(desk_on: At) -> None:
    with ScriptedImap(offers=PLAIN) as server:
        for n in range(3):
            server.deliver(a_complaint(n))
        desk = desk_on(server)
        with desk.at_work() as pulse:
            desk.until(lambda: len(desk.cases()) == 3, pulse)
            server.uidvalidity = 8
            server.script("NOOP", "bye")
            server.deliver(a_complaint(99))
            desk.until(lambda: len(desk.cases()) == 4, pulse)
        assert desk.acknowledgements() == 4 and desk.states() == {"filed": 4, "duplicate": 3}


def test_a_number_that_the_server_uses_twice_is_told(desk_on: At) -> None:
    with ScriptedImap(offers=PLAIN) as server:
        uid = server.deliver(a_complaint(1))
        desk = desk_on(server)
        desk.look_once()
        server.folders["INBOX"][uid].raw = a_complaint(2)
        verdict = reconcile(desk.office, desk.office.settings.mailbox[0], Effort(), alive=lambda: None)
        assert verdict.places[0].changed == (uid,)


# limits of time


def test_every_connection_has_a_limit_for_each_answer_and_is_kept_alive(desk_on: At) -> None:
    import socket

    with ScriptedImap() as server:
        desk = desk_on(server)
        with duty.Line.open(desk.office.settings.mailbox[0], "x") as line:
            sock = line._client.socket()
            assert 0 < (sock.gettimeout() or 0) <= 60
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60


def test_a_pass_that_goes_on_for_too_long_is_ended_and_taken_up_again(
    desk_on: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers each question, but slowly: no single step is too long."""
    whole = duty.Line.messages
    slow = threading.Event()

    def slowly(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not slow.wait(0.3):
            slow.set()
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(duty.Line, "messages", slowly)
    monkeypatch.setattr(duty, "BATCH_MESSAGES", 2)
    monkeypatch.setattr(duty, "PASS_SECONDS", 0.2)
    with ScriptedImap() as server:
        for n in range(6):
            server.deliver(a_complaint(n))
        desk = desk_on(server)
        pulse = desk.look_once()
        assert "took longer than" in pulse.errors[0]
        assert len(desk.cases()) == 6 and desk.acknowledgements() == 6
        with desk.office.book.read() as session:
            assert session.connection().execute(text("SELECT count(*) FROM arrivals")).scalar() == 6
