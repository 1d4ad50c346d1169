"""The reconciliation on a real Dovecot: what is accounted for, and what is named because it is not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from amends.casework import duty as rows
from amends.casework import incidents, reconciling
from amends.casework.reconciling import Reconciled
from daemon.intake import duty
from daemon.intake.line import Line
from daemon.intake.reconcile import Effort, reconcile
from daemon.intake.reconciler import ReconcileDuty
from tests.daemon.intake.bench import Desk, HandPulse, a_complaint
from tests.servers.dovecot import Account

pytestmark = pytest.mark.server("dovecot")

FILED, QUARANTINE = "Amends/Filed", "Amends/Quarantine"


def compared(desk: Desk, **effort: Any) -> Reconciled:
    box = desk.office.settings.mailbox[0]
    return reconcile(desk.office, box, Effort(**effort), alive=lambda: None)


def unsettled(desk: Desk) -> list[str]:
    with desk.office.book.read() as session:
        return [one.words for one in incidents.open_incidents(session)]


def test_a_mailbox_that_was_taken_in_is_clean_and_the_verdict_is_kept(
    desk_at: Callable[..., Desk], mailbox: Account, database_url: str
) -> None:
    desk = desk_at(mailbox, url=database_url)
    mailbox.deliver_all([a_complaint(n) for n in range(12)])
    mailbox.deliver(a_complaint(12, headers="X-Do: die\r\nX-Headers: die\r\n"))
    desk.look_once()
    verdict = compared(desk, sample=5)
    assert (verdict.messages, verdict.without_fate, verdict.vanished) == (13, 0, ())
    assert verdict.clean and unsettled(desk) == []
    assert [(place.folder, place.messages, place.sampled) for place in verdict.places] == [
        ("INBOX", 0, 0),
        (FILED, 12, 5),
        (QUARANTINE, 1, 1),
        ("Amends/Oversized", 0, 0),
    ]
    with desk.office.book.read() as session:
        assert reconciling.last_verdicts(session, ["complaints"]) == [verdict.as_json()]
    assert all(b"\\Seen" not in flags for flags in mailbox.flags(FILED).values())


def test_mail_that_nobody_took_in_has_no_fate_until_it_is_taken_in(desk: Desk, mailbox: Account) -> None:
    desk.look_once()
    uids = [mailbox.deliver(a_complaint(n)) for n in range(3)]
    verdict = compared(desk)
    assert verdict.places[0].without_fate == tuple(uids) and not verdict.clean
    [words] = unsettled(desk)
    assert words == "the store knows nothing of 3 messages in INBOX (UID 1-3)"
    assert compared(desk).without_fate == 3 and len(unsettled(desk)) == 1, "said once"
    desk.look_once()
    assert compared(desk).clean and unsettled(desk) == []


def test_mail_that_is_just_being_taken_in_is_waited_for(desk: Desk, mailbox: Account) -> None:
    with desk.at_work(poll_seconds=0.05, idle=False) as pulse:
        desk.until(lambda: pulse.detail.get("last_poll"), pulse)
        mailbox.deliver(a_complaint(1))
        assert compared(desk, patience=20).clean
    assert desk.cases() == ["complaint 1"]


def test_filed_mail_that_the_store_knows_nothing_of_is_named(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver(a_complaint(1))
    desk.look_once()
    stranger = mailbox.deliver(a_complaint(2), folder=FILED)
    moved = mailbox.deliver(a_complaint(1), folder=FILED, at=datetime(2026, 3, 1, tzinfo=UTC))
    verdict = compared(desk)
    assert verdict.places[1].without_fate == (stranger,), f"but not {moved}, whose bytes are known"
    assert f"1 message in {FILED} (UID {stranger})" in unsettled(desk)[0]


def test_filed_mail_from_before_since_is_not_ours(desk_at: Callable[..., Desk], mailbox: Account) -> None:
    desk = desk_at(mailbox, since="2026-02-01")
    desk.look_once()
    mailbox.deliver(a_complaint(1), folder=FILED, at=datetime(2026, 1, 1, tzinfo=UTC))
    assert compared(desk).clean
    mailbox.deliver(a_complaint(2), folder=FILED, at=datetime(2026, 3, 1, tzinfo=UTC))
    assert compared(desk).without_fate == 1


def test_a_message_that_vanished_before_it_was_stored_is_an_incident_with_its_number(
    desk: Desk, mailbox: Account
) -> None:
    mailbox.deliver(a_complaint(1))
    desk.look_once()
    assert compared(desk).clean, "what was before us nobody knows"
    stolen = [mailbox.deliver(a_complaint(n)) for n in (2, 3)]
    mailbox.remove(stolen)
    mailbox.deliver(a_complaint(4))
    mailbox.remove([mailbox.deliver(a_complaint(5))])
    desk.look_once()
    verdict = compared(desk)
    assert verdict.vanished == ((2, 3), (5, 5)) and verdict.without_fate == 0 and not verdict.clean
    assert "3 messages of INBOX vanished before Amends could store anything (UID 2-3, 5)" in unsettled(desk)[0]
    assert compared(desk).clean, "it is told once"
    assert len(unsettled(desk)) == 1, "and stands until somebody settles it"
    assert incidents.settle(desk.office, "the spam filter", now=desk.office.wall()) == 1
    assert unsettled(desk) == []


def test_a_message_without_fate_that_vanishes_is_told_though_others_came_after_it(desk: Desk, mailbox: Account) -> None:
    desk.look_once()
    compared(desk)
    first = mailbox.deliver(a_complaint(1))
    mailbox.deliver(a_complaint(2))
    assert compared(desk).without_fate == 2
    mailbox.remove([first])
    desk.look_once()
    assert compared(desk).vanished == ((first, first),)


def test_mail_that_others_took_out_of_the_inbox_after_it_was_stored_is_no_loss(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = [mailbox.deliver(a_complaint(n)) for n in range(3)]
    monkeypatch.setattr(duty.Line, "move", lambda *_: None)
    desk.look_once()
    desk.rows("SELECT 1")
    with desk.office.book.write() as session:
        session.connection().execute(text("UPDATE arrivals SET moved_at = NULL"))
    mailbox.remove(uids[:2])
    verdict = compared(desk)
    assert verdict.clean and verdict.places[0].gone == 2
    assert desk.rows("SELECT uid FROM arrivals WHERE moved_at IS NULL") == [(uids[2],)]


def test_a_number_that_the_server_gave_twice_is_found_by_the_bytes(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = mailbox.deliver(a_complaint(1))
    monkeypatch.setattr(duty.Line, "move", lambda *_: None)
    desk.look_once()
    assert compared(desk).places[0].sampled == 1
    other = hashlib.sha256(b"other").hexdigest()
    with desk.office.book.write() as session:
        session.connection().execute(text("UPDATE raws SET sha256 = :other"), {"other": other})
    verdict = compared(desk)
    assert verdict.places[0].changed == (uid,) and not verdict.clean
    assert f"for 1 message in INBOX (UID {uid})" in unsettled(desk)[0]


def test_a_stored_message_without_a_fate_is_named_when_it_should_have_one(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver(a_complaint(1))
    desk.look_once()
    with desk.office.book.write() as session:
        session.connection().execute(text("UPDATE arrivals SET state = 'stored'"))
    assert compared(desk).clean, "it came just now"
    late = desk.office.wall() - timedelta(hours=1)
    with desk.office.book.write() as session:
        session.connection().execute(text("UPDATE arrivals SET stored_at = :late"), {"late": late.isoformat()})
    [arrival] = compared(desk).unread
    assert f"nothing came of 1 message that the store has (arrival {arrival})" in unsettled(desk)[0]
    desk.look_once()
    assert compared(desk).clean and unsettled(desk) == []


def test_an_oversized_message_that_stayed_on_the_server_is_accounted_for(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver(a_complaint(1, body="x" * 1_200_000))
    desk.look_once(max_megabytes=1)
    assert compared(desk).clean


def test_what_there_was_no_time_for_is_counted_and_not_called_clean_by_silence(desk: Desk, mailbox: Account) -> None:
    mailbox.deliver_all([a_complaint(n) for n in range(4)])
    desk.look_once()
    verdict = compared(desk, seconds=0.0)
    assert verdict.places[1].not_compared == 4 and verdict.places[1].messages == 4


def test_a_folder_that_is_missing_is_passed_over(desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.look_once()
    monkeypatch.setattr(Line, "_make", lambda *_: None)
    with mailbox.client() as client:
        client.delete_folder(QUARANTINE)
    assert [place.messages for place in compared(desk).places] == [0, 0, 0, 0]


def test_the_duty_reconciles_after_the_first_look_and_says_when_mail_has_no_fate(
    desk: Desk, mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.intake.reconciler._LOOK_EVERY", 0.05)
    pulse = HandPulse()
    work = ReconcileDuty(desk.office, desk.office.settings.mailbox, owner="us", effort=Effort())

    def intake_says(**detail: Any) -> None:
        rows.report(desk.office, "intake.complaints", "running", now=desk.office.wall(), detail=detail)

    import threading

    thread = threading.Thread(target=work.run, args=(pulse,), daemon=True)
    thread.start()
    try:
        desk.until(lambda: pulse.detail.get("without_fate") == 0, pulse)
        with mailbox.client() as client:
            for folder in ("Amends", FILED, QUARANTINE):
                client.create_folder(folder)
        mailbox.deliver(a_complaint(1))
        intake_says(connected=True, waiting=1)
        assert not thread.join(0.5) and desk.rows("SELECT 1 FROM meta WHERE name LIKE 'reconciled:%'") == []
        intake_says(connected=True, waiting=0)
        desk.until(lambda: pulse.error is not None, pulse)
        assert pulse.error == "1 message has no fate; amendsd reconcile names them and says what to do."
    finally:
        pulse.stopping.set()
        thread.join(60)
    assert not thread.is_alive()
