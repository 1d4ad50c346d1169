"""What goes wrong for operators: each trouble is one clear sentence where its reader looks, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from amends.ledger.tables import Arrival, Case, Letter
from amends.ledger.verify import verify
from bench.house import House
from bench.house import until as until_seen
from bench.mails import a_mailbox

pytestmark = pytest.mark.server("dovecot")

MAILS = a_mailbox(complaints=5, replies=0, seed=11)
PATIENCE = 180.0
until = partial(until_seen, every=0.1)  # a look into the store takes its time from the daemon
PLAIN = {"plus_addressing": False}


def _states(house: House) -> tuple[Counter[str], int, Counter[str]]:
    """What became of the messages, how many cases there are, and how the letters fare."""
    with house.office() as office, office.book.read() as session:
        arrivals = Counter(session.scalars(select(Arrival.state)))
        return arrivals, len(list(session.scalars(select(Case.id)))), Counter(session.scalars(select(Letter.state)))


def _all_done(house: House, smtp) -> bool:
    return len(smtp.letters) >= len(MAILS) and _states(house) == (
        Counter(filed=len(MAILS)),
        len(MAILS),
        Counter(sent=len(MAILS)),
    )


def _prove_whole(house: House, smtp, box) -> None:
    """Each of MAILS is one case with one acknowledgement, and the record stands."""
    until(lambda: _all_done(house, smtp) and not box.uids(), seconds=PATIENCE, what=lambda: f"{_states(house)}")
    assert sorted(letter.rcpt_to[0] for letter in smtp.letters) == sorted(mail.address for mail in MAILS)
    with house.office() as office:
        assert verify(office.book).intact


def _said(house: House, event: str) -> str:
    """The first sentence that the log has under this event."""
    until(lambda: house.events(event), seconds=PATIENCE, what=lambda: f"{event} in {house.log}")
    return str(house.events(event)[0]["why"])


def test_a_wrong_password_is_said_in_log_status_and_check_and_the_mail_waits(mailbox, smtp, tmp_path):
    mailbox.deliver_all(mail.raw for mail in MAILS)
    with House(tmp_path, [mailbox], smtp, smtp=PLAIN, mailbox={"password": "wrong"}) as house:
        sentence = _said(house, "intake.trouble")
        assert "password" in sentence and "127.0.0.1" in sentence and "\n" not in sentence
        status = house.command("status", "--json")
        (intake,) = [duty for duty in json.loads(status.stdout)["duties"] if duty["name"].startswith("intake")]
        assert status.returncode == 1 and intake["last_error"] == sentence
        checked = house.command("check")
        assert checked.returncode == 1 and sum("password" in line for line in checked.stdout.splitlines()) >= 1
    assert len(mailbox.uids()) == len(MAILS)
    with House(tmp_path, [mailbox], smtp, smtp=PLAIN) as mended:
        _prove_whole(mended, smtp, mailbox)


def test_an_imap_server_that_goes_away_is_waited_for(own_dovecot, smtp, tmp_path):
    box = own_dovecot.account()
    with House(tmp_path, [box], smtp, smtp=PLAIN) as house:
        until(lambda: house.events("intake.connected"), seconds=PATIENCE)
        own_dovecot.stop()
        assert "127.0.0.1" in _said(house, "intake.trouble")
        own_dovecot.start()
        box.deliver_all(mail.raw for mail in MAILS)
        _prove_whole(house, smtp, box)


def test_letters_wait_while_the_smtp_server_is_away_and_leave_when_it_is_back(mailbox, smtp, tmp_path):
    smtp.stop()
    mailbox.deliver_all(mail.raw for mail in MAILS)
    with House(tmp_path, [mailbox], smtp, smtp=PLAIN) as house:
        sentence = _said(house, "outbox.waits")
        assert "127.0.0.1" in sentence and "\n" not in sentence
        until(lambda: _states(house)[1] == len(MAILS), seconds=PATIENCE, what=lambda: f"{_states(house)}")
        waiting = json.loads(house.command("outbox", "--json", program="tui").stdout)
        assert {letter["state"] for letter in waiting} <= {"queued", "sending"} and len(waiting) == len(MAILS)
        assert any(letter["error"] for letter in waiting)
        smtp.start()
        _prove_whole(house, smtp, mailbox)


def test_a_letter_that_is_refused_for_now_leaves_later_and_only_once(mailbox, smtp, tmp_path):
    smtp.script("rcpt", "450 4.2.1 Try again later", to=MAILS[2].address)
    mailbox.deliver_all(mail.raw for mail in MAILS)
    with House(tmp_path, [mailbox], smtp, smtp=PLAIN) as house:
        until(lambda: house.events("outbox.deferred"), seconds=PATIENCE, what=lambda: f"{house.log}")
        until(lambda: len(smtp.letters) == len(MAILS) - 1, seconds=PATIENCE)
        until(lambda: _states(house)[2] == Counter(sent=len(MAILS) - 1, queued=1), seconds=PATIENCE)
        (waiting,) = json.loads(house.command("outbox", "--json", program="tui").stdout)
        assert "4.2.1 Try again later" in waiting["error"] and waiting["to"]


def test_a_letter_with_a_mistake_stops_the_daemon_with_the_place_of_the_mistake(mailbox, smtp, tmp_path):
    own = tmp_path / "letters" / "en"
    own.mkdir(parents=True)
    (own / "acknowledgement.txt").write_text("Subject: Thank you\n\nDear {{ complainant,\n")
    mailbox.deliver_all(mail.raw for mail in MAILS)
    house = House(tmp_path, [mailbox], smtp, smtp=PLAIN, letters={"templates_folder": "letters"})
    with house:
        assert house.daemon is not None and house.daemon.wait(PATIENCE) == 2
        (wrong,) = house.events("house.wrong-configuration")
    assert "acknowledgement.txt" in wrong["why"] and "3" in wrong["why"] and not house.rest
    checked = house.command("check")
    assert checked.returncode in (1, 2) and "acknowledgement.txt" in checked.stdout + checked.stderr
    assert len(mailbox.uids()) == len(MAILS)


def test_a_mail_too_large_becomes_a_case_that_says_so_and_stays_whole_on_the_server(mailbox, smtp, tmp_path):
    large = MAILS[0].raw + b"\r\n" + b"A long line of nothing much.\r\n" * 50_000
    mailbox.deliver(large)
    with House(tmp_path, [mailbox], smtp, smtp=PLAIN, mailbox={"max_megabytes": 1}) as house:
        until(lambda: smtp.letters, seconds=PATIENCE, what=lambda: f"{house.log}")
        (case,) = json.loads(house.command("queue", "--json", program="tui").stdout)
        shown = house.command("show", case["reference"], program="tui").stdout
    assert "the message was too large (2 MB) and was left on the server" in " ".join(shown.split())
    assert mailbox.raws("Amends/Oversized") == [large] and len(smtp.letters) == 1
    assert "very large (2 MB)" in smtp.letters[0].raw.decode().replace("=\n", "")


@contextmanager
def _small_disk(place: Path):
    """A file system of four megabytes; needs the right to mount one."""
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this test mounts a small disk, and may not here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(disk: Path) -> Path:
    """Write until there is no room."""
    ballast = disk / "ballast"
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(file, b"\0" * 4096):
            pass
    os.close(file)
    return ballast


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_said_and_the_mail_stays_on_the_server_until_there_is_room(mailbox, smtp, tmp_path):
    with _small_disk(tmp_path / "disk") as disk, House(disk, [mailbox], smtp, smtp=PLAIN) as house:
        until(lambda: house.events("intake.connected"), seconds=PATIENCE, what=lambda: f"{house.log}")
        ballast = _fill(disk)
        mailbox.deliver_all(mail.raw for mail in MAILS)
        until(lambda: any("full" in str(event.get("why")) for event in house.log), seconds=PATIENCE)
        assert len(mailbox.uids()) == len(MAILS) and not smtp.letters
        ballast.unlink()
        _prove_whole(house, smtp, mailbox)
