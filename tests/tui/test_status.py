"""The status: what the last comparison of each mailbox proved, and what an operator has to look into."""

from __future__ import annotations

import pytest

from amends.casework import doubts, duty, reconciling
from amends.casework.reconciling import Place, Reconciled, Seen
from tests.builders import NOW
from tests.tui.desk import a_desk, at, lines_of, press, screen_of

BOX = {"name": "complaints", "host": "127.0.0.1", "username": "x", "password": "x"}


def compared(desk, **found):
    verdict = Reconciled("complaints", NOW, (Place("INBOX", 1, 1204, **found),))
    reconciling.keep(desk.office, verdict, Seen(1, 1300), now=NOW)


async def test_the_last_comparison_stands_there_and_nothing_else_while_all_is_well(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    desk = a_desk(tmp_path, mailbox=[BOX])
    compared(desk)
    async with at(desk, size=(120, 40)) as pilot:
        await press(pilot, "5")
        text = screen_of(pilot)
        assert "mailbox complaints: 0 of 1,204 without a fate, compared Mon 23 Nov 09:00" in text
        assert "incident" not in text and "automatic letters wait" not in text


async def test_what_has_no_fate_incidents_and_doubts_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    desk = a_desk(tmp_path, mailbox=[BOX])
    compared(desk, without_fate=(7, 8), changed=(3,))
    doubts.behind_mailbox(desk.office, "complaints", 40, many=25, now=NOW)
    async with at(desk, size=(120, 40)) as pilot:
        await press(pilot, "5")
        text = " ".join(screen_of(pilot).split())
        assert "mailbox complaints: 3 of 1,204 without a fate" in text
        assert "incident, complaints: the store knows nothing of 2 messages in INBOX (UID 7-8)" in text
        assert "automatic letters wait: This database knows nothing of 40 messages" in text


@pytest.mark.parametrize("width", [80, 120])
async def test_each_duty_says_what_it_does_and_how_it_is(tmp_path, monkeypatch, width):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    desk = a_desk(tmp_path, mailbox=[BOX])
    duty.report(desk.office, "reconcile", "running", now=NOW)
    async with at(desk, size=(width, 40)) as pilot:
        await press(pilot, "5")
        text = " ".join(screen_of(pilot).split())
        assert "intake.complaints fetches mail running" in text
        assert "reconcile proves that none is lost running" in text


async def test_a_mailbox_that_cannot_be_reached_is_said_in_the_first_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    desk = a_desk(tmp_path, mailbox=[BOX])
    duty.report(desk.office, "intake.complaints", "failing", now=NOW, error="IMAP refuses the log-in.")
    async with at(desk) as pilot:
        assert "mail DOWN since 09:00 !!" in lines_of(pilot)[0]
        await press(pilot, "5")
        story = " ".join(screen_of(pilot).split())
        assert "intake.complaints does not work since 09:00: IMAP refuses the log-in. Deadlines keep running." in story
