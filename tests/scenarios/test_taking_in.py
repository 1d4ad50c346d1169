"""Mail becomes messages, each once, whatever the mailbox goes through: scenarios 1 to 4, 6 to 8, 10, 12 and 13."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from amends.casework import doubts, tray
from amends.kernel.refs import CaseRef
from daemon.intake import duty
from daemon.reading.pool import ReadingPool
from daemon.supervision.owner import our_name
from tests.builders import some_settings
from tests.scenarios.town import AUTHSERV, FILED, OVERSIZED, QUARANTINE, Town, mail
from tests.servers.dovecot import Account
from tests.servers.faults import FaultProxy

pytestmark = pytest.mark.server("dovecot")

EDITH = "edith@example.org"


def somebody(n: int, text: str = "The lift is broken.", **fields: str) -> bytes:
    """A complaint of a person of their own."""
    return mail(f"{text} {n}", sender=f"Ann <ann{n}@example.org>", subject=f"Complaint {n}", **fields)


def test_scenario_01_of_seven_mails_that_wait_every_one_has_a_fate_after_one_look(town: Town) -> None:
    reference = str(CaseRef("NW", 2024, 1))
    uids = [
        town.deliver(somebody(1)),
        town.deliver(mail("Buy now.", sender="shop@shop.example", Precedence="bulk")),
        town.deliver(somebody(2)),
        town.deliver(mail("I am away.", sender="joe@example.org", Auto_Submitted="auto-replied")),
        town.deliver(mail("I am you.", sender="complaints@northwind.example")),
        town.deliver(mail("About it.", sender="sam@example.net", subject=f"About {reference}")),
        town.deliver(b"not a mail at all"),
    ]
    with town.at_work():
        town.until_filed()
    first = {one.uid: one for one in town.arrivals()}
    assert all(first[uid].state != "stored" for uid in uids)
    assert Counter(first[uid].state for uid in uids) == {"filed": 3, "quarantined": 3, "held": 1}
    assert not town.box.uids() and len(town.box.uids(QUARANTINE)) == 3


def test_scenario_02_five_hundred_mails_arrive_in_their_order_though_thirty_are_taken_at_once(
    town_with: Callable[..., Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And though the daemon is stopped and started again while they come."""
    town = town_with(smtp=None)  # the letters stay where they are
    monkeypatch.setattr(duty, "BATCH_MESSAGES", 30)
    town.deliver_all(somebody(n) for n in range(500))
    with town.at_work():
        town.until(lambda: town.moved() >= 60)
    some = town.moved()
    with town.at_work():
        town.until_filed()
    assert town.fates() == ["filed"] * 500
    assert some < 500, "it was stopped on the way"
    cases = town.cases_in_brief()
    assert [case.subject for case in cases] == [f"Complaint {n}" for n in range(500)]
    assert [case.serial for case in cases] == list(range(1, 501))


def test_scenario_03_a_mail_that_somebody_has_read_elsewhere_is_filed_all_the_same(town: Town) -> None:
    town.deliver(somebody(1), flags=[b"\\Seen"])
    town.deliver(somebody(2), flags=[b"\\Seen", b"\\Answered", b"\\Flagged"])
    town.deliver(somebody(3))
    with town.at_work():
        town.until_quiet()
    assert [case.row.subject for case in town.cases()] == ["Complaint 1", "Complaint 2", "Complaint 3"]
    assert len(town.smtp.letters) == 3


def test_scenario_04_after_ten_days_off_everything_is_filed_and_its_clocks_run_from_its_receipt(town: Town) -> None:
    """Ten working days to an update, from the day on which the mail server had the mail: not from today."""
    received = {
        datetime(2024, 2, 23, 10, 30, tzinfo=UTC): "2024-03-08",  # a Friday
        datetime(2024, 2, 26, 9, 0, tzinfo=UTC): "2024-03-11",
        datetime(2024, 2, 28, 22, 15, tzinfo=UTC): "2024-03-14",  # after hours: as if on Thursday
        datetime(2024, 3, 2, 12, 0, tzinfo=UTC): "2024-03-18",  # a Saturday: as if on Monday
    }
    for n, at in enumerate(received):
        town.deliver(somebody(n, Date="Sat, 01 Jan 2000 00:00:00 +0000"), at=at)
    with town.at_work():
        town.until_quiet()
    cases = town.cases()
    assert [case.row.received_at for case in cases] == list(received)
    updates = [next(d for d in case.deadlines if d.kind == "status") for case in cases]
    assert [update.due_date for update in updates] == list(received.values())
    assert len(town.smtp.letters) == 4, "and every one is acknowledged"


def test_scenario_06_one_mail_that_is_delivered_again_is_one_message_on_one_case_with_one_letter(town: Town) -> None:
    """Twice in the mailbox, by another road, moved back by a person, and at the next start: always the same mail."""
    raw = mail()
    town.deliver(raw)
    town.deliver(raw)
    with town.at_work():
        town.until_quiet()
        town.deliver(b"Received: from elsewhere by mx.northwind.example; Mon, 4 Mar 2024 09:30:00 +0000\r\n" + raw)
        with town.box.client(FILED) as client:
            client.move([town.box.uids(FILED)[0]], "INBOX")
        town.brought += 1
        town.until_quiet()
    with town.at_work():
        town.deliver(raw)
        town.until_quiet()
    [case] = town.cases()
    assert Counter(town.fates()) == {"filed": 1, "duplicate": 4}
    assert len([message for message in case.messages if message.direction == "in"]) == 1
    assert len(town.smtp.letters) == 1


def test_scenario_07_two_mails_with_one_message_id_are_both_filed_and_the_second_is_marked(town: Town) -> None:
    one = {"Message_ID": "<the-same@broken.example>"}
    town.deliver(mail("The boiler.", **one))
    town.deliver(mail("The roof.", sender="Sami <sami@example.net>", subject="Roof", **one))
    with town.at_work():
        town.until_quiet()
    assert town.fates() == ["filed", "filed"]
    first, second = town.case_of(EDITH), town.case_of("sami@example.net")
    assert (first.messages[0].text.strip(), second.messages[0].text.strip()) == ("The boiler.", "The roof.")
    assert "message-id-used-before" in second.messages[0].flags
    assert "message-id-used-before" not in first.messages[0].flags


def test_scenario_08_when_the_server_numbers_its_mail_anew_nothing_doubles_and_the_new_is_found(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duty.Line, "move", lambda *_: None)  # what was filed still lies there, as in a restored mailbox
    for n in range(3):
        town.deliver(somebody(n))
    with town.at_work():
        town.until(lambda: town.fates() == ["filed"] * 3 and len(town.arrivals()) == town.brought == 6)
    monkeypatch.undo()
    town.box.change_uidvalidity()
    new = town.deliver(somebody(99))
    assert new == 7, "the numbers begin at 1 again"
    with town.at_work():
        town.until(lambda: not town.box.uids() and len(town.smtp.letters) == 4)
    assert [case.row.subject for case in town.cases()] == ["Complaint 0", "Complaint 1", "Complaint 2", "Complaint 99"]
    assert Counter(town.fates()) == {"filed": 4, "duplicate": 3}
    assert Counter(letter.rcpt_to[0] for letter in town.smtp.letters) == {
        f"ann{n}@example.org": 1 for n in (0, 1, 2, 99)
    }


def test_scenario_08_after_new_numbers_the_letters_to_many_unknown_mails_wait_for_a_word(
    town_with: Callable[..., Town],
) -> None:
    """The store may be older than the mailbox, and these people may have had their letters long ago."""
    town = town_with(mailbox={"many_unknown": 3})
    town.deliver(somebody(1))
    with town.at_work():
        town.until_quiet()
    town.box.change_uidvalidity()
    for n in range(10, 15):
        town.deliver(somebody(n))
    with town.at_work():
        town.until(lambda: len(town.cases()) == 6)
        town.until_filed()
        town.until(lambda: (told := town.duty("outbox")) is not None and "numbered anew" in (told.last_error or ""))
        assert len(town.smtp.letters) == 1
        assert doubts.release(town.desk) == 5
        town.until_quiet()
    assert len(town.smtp.letters) == 6


@pytest.fixture(scope="module")
def faulty_readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingPool]:
    """Readers with a fault: a mail with a certain field makes them raise, also where they read its header alone."""
    settings = some_settings(tmp_path_factory.mktemp("faulty"), organisation={"authserv_id": AUTHSERV})
    pool = ReadingPool(settings, workers=1, reader="tests.scenarios.faulty_reader")
    yield pool
    pool.close()


def test_scenario_10_a_mail_that_breaks_the_reader_is_set_aside_whole_and_filed_when_the_fault_is_mended(
    town_with: Callable[..., Town], faulty_readers: ReadingPool
) -> None:
    town = town_with(pool=faulty_readers)
    bad = mail("This one is strange.", X_Breaks_The_Reader="yes")
    for raw in (somebody(1), bad, somebody(2)):
        town.deliver(raw)
    with town.at_work():
        town.until_quiet()
        assert [case.row.subject for case in town.cases()] == ["Complaint 1", "Complaint 2"]
        [aside] = town.tray("quarantined")
        assert "cannot be read" in aside.reason and "a fault of the reader" in aside.reason
        assert town.raw(aside.raw_id) == bad == town.box.raws(QUARANTINE)[0]
        state = town.decide(tray.retry, aside)  # by today's reader, which has no fault
        town.until_quiet()
    assert state == "filed" and not town.tray("quarantined")
    case = town.case_of(EDITH)
    assert case.messages[0].new_text == "This one is strange."
    assert case.row.received_at == aside.received_at and len(town.letters_to(EDITH)) == 1


def test_scenario_11_of_a_mail_of_sixty_megabytes_there_is_a_case_and_both_sides_are_told(town: Town) -> None:
    """The limit is 35 MB.  The beginning is filed, and the whole stays on the server."""
    large = mail("My videos of the damp.\n" + "A" * 1000 + "\n", subject="Damp, on film") + b"QUJD" * 15_000_000
    town.deliver(large)
    town.deliver(somebody(2))
    with town.at_work():
        town.until_quiet()
    case = town.case_of(EDITH)
    assert case.row.subject == "Damp, on film" and case.row.stage == "acknowledged"
    [defect] = [one for one in case.messages[0].defects if "too large" in one]
    assert "60 MB" in defect and OVERSIZED in defect, "the handler is told what is not here, and where it is"
    assert "My videos of the damp." in case.messages[0].text
    [letter] = town.letters_to(EDITH)
    told = letter.message.get_body(("plain",))
    assert told is not None and "very large (60 MB)" in told.get_content(), "and so is the complainant"
    [kept] = town.box.raws(OVERSIZED)
    assert kept == large and len(town.bytes_of(case.messages[0])) < 1_000_000
    assert town.case_of("ann2@example.org").row.stage == "acknowledged", "and nobody waits behind it"


def test_scenario_12_of_two_daemons_on_one_mailbox_the_second_waits_and_names_the_first(
    town: Town, capfd: pytest.CaptureFixture[str]
) -> None:
    with town.at_work():
        town.until(lambda: town.intake()[0])
        second = town.another_office()
        with town.at_work(second):
            for n in range(5):
                town.deliver(somebody(n))
            town.until_quiet()
            town.until(lambda: "intake.stands-by" in _said(capfd), what="the second to say that it waits")
        second.book.close()
    [line] = [line for line in _said(capfd).splitlines() if "intake.stands-by" in line]
    assert our_name().rpartition("/")[0] in line, "the host, the process and when it began"
    assert len(town.cases()) == 5 and len(town.smtp.letters) == 5


_heard: dict[int, str] = {}


def _said(capfd: pytest.CaptureFixture[str]) -> str:
    """Everything that was logged so far."""
    _heard[id(capfd)] = _heard.get(id(capfd), "") + capfd.readouterr().out
    return _heard[id(capfd)]


def test_scenario_13_a_line_that_breaks_within_a_mail_twenty_times_is_taken_up_again_and_nothing_is_left_over(
    town_with: Callable[..., Town], mailbox: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duty, "pause_after", lambda *_, **__: 0.0)
    with FaultProxy(mailbox.server.port) as proxy:
        town = town_with(mailbox={"port": proxy.port})
        for _ in range(20):
            proxy.after_bytes(30_000, "close")
        town.deliver_all(somebody(n, text="The lift is broken.\n" * 1000) for n in range(22))
        with town.at_work():
            town.until(lambda: len(town.smtp.letters) == 22)
            town.until(lambda: town.intake() == (True, 0, 0), what="the figures to say that nothing is left")
        assert len(proxy.struck) == 20
    assert sorted(case.row.subject for case in town.cases()) == sorted(f"Complaint {n}" for n in range(22))
    assert Counter(town.fates()) == {"filed": 22}
    assert all(len(case.messages[0].text) > 19_000 for case in town.cases())
