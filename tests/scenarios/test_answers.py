"""What is answered by itself, what never is, and what becomes of the letters: scenarios 9 and 29 to 33."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from amends.cases.stages import Waiting
from amends.casework import correspondence, gate, handling, tray, undelivered
from amends.ledger import views
from daemon.intake import duty as intake_duty
from daemon.outbox.duty import pause_after
from tests.builders import AMARA
from tests.scenarios.town import QUARANTINE, Town, answer, mail, not_delivered
from tests.servers.smtp import DROP, KEEP_AND_DROP, Letter

pytestmark = pytest.mark.server("dovecot")

EDITH = "edith@example.org"


def test_scenario_09_while_no_letter_can_leave_cases_are_opened_once_and_the_letters_wait_and_then_leave(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Counter[str]()
    look = intake_duty.ImapIntake._look

    def counted(self: intake_duty.ImapIntake, *arguments: object) -> None:
        looks["all"] += 1
        look(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(intake_duty.ImapIntake, "_look", counted)
    monkeypatch.setattr("daemon.outbox.duty.pause_after", lambda *_, **__: 0.3)
    town.smtp.stop()
    for n in range(5):
        town.deliver(mail(f"Number {n}.", sender=f"Ann <ann{n}@example.org>"))
    try:
        with town.at_work():
            town.until_filed()
            town.until(lambda: looks["all"] >= 10, what="ten looks")
            waiting = [letter for case in town.cases() for letter in case.letters]
            assert len(town.cases()) == 5 and Counter(one.kind for one in waiting) == {"acknowledgement": 5}
            assert {one.state for one in waiting} <= {"queued", "sending"}
            town.until(lambda: (told := town.duty("outbox")) is not None and told.state == "failing")
            town.smtp.start()
            town.until_quiet()
    finally:
        if town.smtp._controller is None:
            town.smtp.start()
    assert Counter(letter.rcpt_to[0] for letter in town.smtp.letters) == {f"ann{n}@example.org": 1 for n in range(5)}
    assert pause_after(1000, spread=1.0) <= 60, "within a minute, however long the server was away"


AUTOMATIC: dict[str, dict[str, str]] = {
    "Exchange, out of office": {
        "subject": "Automatic reply: Your complaint",
        "X-Auto-Response-Suppress": "DR, OOF, AutoReply",
        "Auto-Submitted": "auto-generated",
    },
    "Exchange, only the suppression": {
        "subject": "Abwesenheitsnotiz",
        "X-Auto-Response-Suppress": "DR, OOF, AutoReply",
    },
    "Exchange, all suppressed": {"subject": "Out of Office: on leave", "X-Auto-Response-Suppress": "All"},
    "Exchange, a rule": {"X-MS-Exchange-Generated-Message-Source": "Mailbox Rules Agent"},
    "Exchange, in a loop": {"X-MS-Exchange-Inbox-Rules-Loop": EDITH},
    "Gmail, vacation": {
        "subject": "Re: Your complaint",
        "Auto-Submitted": "auto-replied",
        "Precedence": "bulk",
        "X-Autoreply": "yes",
    },
    "Dovecot Sieve, vacation": {"Auto-Submitted": "auto-replied (vacation)", "Precedence": "bulk"},
    "cPanel, autoresponder": {"X-Autorespond": "Your complaint", "Auto-Submitted": "auto-replied", "X-Loop": EDITH},
    "Notes, out of office": {"subject": "AUTO: Edith Kowalski is out of the office (returning 01/04/2024)"},
    "GroupWise": {"subject": "Out of the office until Monday", "Precedence": "auto_reply"},
    "a French mailer": {"subject": "=?utf-8?q?R=C3=A9ponse_automatique_=3A_conges?="},
    "a Japanese mailer": {"subject": "=?utf-8?b?6Ieq5YuV6L+U5L+h?="},
    "a hand-made script": {"Precedence": "junk"},
    "a receipt of reading": {
        "subject": "Read: Your complaint",
        "Content-Type": 'multipart/report; report-type=disposition-notification; boundary="x"',
    },
    "a report of abuse": {"Content-Type": 'multipart/report; report-type=feedback-report; boundary="x"'},
    "a report on DMARC": {
        "sender": "noreply-dmarc-support@google.example",
        "subject": "Report domain: northwind.example Submitter: google.example Report-ID: 1",
    },
    "a mailing list": {
        "List-Id": "<talk.lists.example>",
        "Precedence": "list",
        "List-Unsubscribe": "<https://x.example>",
    },
    "a newsletter": {"List-Unsubscribe": "<mailto:off@shop.example>", "sender": "Shop <news@shop.example>"},
    "nobody reads this": {"sender": "no-reply@shop.example"},
    "a calendar's answer": {"Auto-Submitted": "auto-generated", "Content-Type": "text/calendar; method=REPLY"},
    "the challenge of a filter": {"X-Boxtrapper": "verify", "subject": "Your email requires verification"},
    "a cron job": {"X-Cron-Env": "<SHELL=/bin/sh>", "subject": "Cron <root@host> backup"},
    "RT": {"Precedence": "bulk", "X-RT-Loop-Prevention": "rt.example", "subject": "[rt.example #7] AutoReply: x"},
    "Zammad": {"Auto-Submitted": "auto-replied", "Precedence": "bulk", "X-Mailer": "Zammad Mail Service"},
    "osTicket": {"Auto-Submitted": "auto-replied", "X-Auto-Response-Suppress": "ALL, AutoReply", "X-Autoreply": "Yes"},
    "Znuny": {"Precedence": "bulk", "X-OTRS-Loop": "yes", "Auto-Submitted": "auto-generated"},
    "django-helpdesk": {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"},
    "Roundup": {"Precedence": "bulk", "X-Roundup-Loop": "hello", "X-Roundup-Name": "tracker"},
    "a postmaster without any sign": {
        "sender": "MAILER-DAEMON@mx.example.org",
        "subject": "Undelivered Mail Returned to Sender",
        "Return-Path": "<>",
    },
    "a warning of a delay": {
        "sender": "MAILER-DAEMON@mx.example.org",
        "subject": "Warning: message delayed 4 hours",
        "Return-Path": "<>",
        "Auto-Submitted": "auto-replied",
    },
}


OF_BOUNCES = ("letter-delayed", "letter-bounced", "address-blocked")


def _state(case: views.CaseView) -> tuple[object, ...]:
    row = case.row
    return row.stage, row.is_open, row.waiting, row.handler, row.severity, case.acknowledged_at, case.deadlines


def test_scenario_29_no_automatic_mail_is_answered_or_changes_stage_owner_or_clocks(town: Town) -> None:
    """Thirty of them, each as an answer to our letter that asks for the status, and each out of the blue."""
    assert len(AUTOMATIC) == 30
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
        case = town.case_of(EDITH)
        town.do(handling.assign, case, "amara")
        town.do(handling.wait, case, Waiting.COMPLAINANT, "the date that suits them")
        before, [letter] = town.case_of(EDITH), town.letters_to(EDITH)
        for fields in AUTOMATIC.values():
            town.deliver(answer(letter, "STATUS\n\nI am away until Monday.", **fields))
        for fields in AUTOMATIC.values():
            town.deliver(mail("I am away until Monday.", **{"sender": "Joe <joe@example.net>", **fields}))
        town.until_quiet()
    assert [one.rcpt_to[0] for one in town.smtp.letters] == [EDITH], "the acknowledgement and nothing more"
    after = town.case(before.row.reference)
    assert _state(after) == _state(before)
    assert {event.kind for event in after.events[len(before.events) :]} <= {"message", "participant", *OF_BOUNCES}
    assert len(after.messages) > 20, "they are filed where they belong"
    town.prove_whole()


FORM = "form@www.northwind.example"
PROVED = "mx.northwind.example; dmarc=pass header.from=www.northwind.example"


def test_scenario_30_what_a_web_form_of_ours_sends_as_bulk_is_the_complaint_of_its_writer(
    town_with: Callable[..., Town],
) -> None:
    town = town_with(conversation={"trusted_forms": [FORM]})
    form = {
        "sender": FORM,
        "Reply_To": "Sami <sami@example.net>",
        "Precedence": "bulk",
        "Auto_Submitted": "auto-generated",
    }
    town.deliver(mail("From the form.", Authentication_Results=PROVED, **form))
    town.deliver(mail("Forged.", Authentication_Results="mx.northwind.example; dmarc=fail", **form))
    with town.at_work():
        town.until_quiet()
    case = town.case_of("sami@example.net")
    assert case.messages[0].new_text == "From the form." and case.row.stage == "acknowledged"
    [letter] = town.smtp.letters
    assert letter.rcpt_to[0] == "sami@example.net"
    assert [one.subject for one in town.tray("quarantined")] == ["No heating since Friday"], "the forged one"


def test_scenario_30_a_person_whose_mail_says_bulk_is_acknowledged_when_a_handler_says_so(town: Town) -> None:
    town.deliver(mail("My mail program is odd.", Precedence="bulk"))
    with town.at_work():
        town.until_filed()
        [aside] = town.tray("quarantined")
        assert "bulk" in aside.reason and town.box.uids(QUARANTINE)
        town.decide(tray.file_as_complaint, aside)
        town.until_quiet()
        assert not town.smtp.letters, "not by itself"
        town.do(correspondence.acknowledge, town.case_of(EDITH))
        town.until_quiet()
    assert len(town.letters_to(EDITH)) == 1 and town.case_of(EDITH).row.stage == "acknowledged"


def test_scenario_30_a_mail_that_says_it_is_not_automatic_is_acknowledged_as_any_other(town: Town) -> None:
    town.deliver(mail(Auto_Submitted="no"))
    with town.at_work():
        town.until_quiet()
    assert len(town.letters_to(EDITH)) == 1 and town.case_of(EDITH).row.stage == "acknowledged"


def test_scenario_31_a_help_desk_that_answers_everything_gets_two_letters_in_a_day_and_is_named(town: Town) -> None:
    """It says nowhere that it is a machine, and each of its answers is a new mail to us."""
    desk = "help@desk.example"

    def answers(letter: Letter) -> bytes | None:
        if letter.rcpt_to[0] != desk:
            return None
        number = len(town.letters_to(desk)) + 700
        words = f"Thank you for contacting us. Your ticket {number} has been created; we shall be in touch."
        return mail(words, sender=f"Help Desk <{desk}>", subject=f"[Ticket#{number}] Your request")

    town.writes_back = answers
    town.deliver(mail("We have a complaint about your invoice.", sender=f"Help Desk <{desk}>"))
    with town.at_work():
        town.until_quiet()
        assert len(town.letters_to(desk)) == 2
        for _ in range(4):
            town.passes(hours=5)
            town.deliver(mail("One more thing.", sender=f"Help Desk <{desk}>", subject="[Ticket#9] News"))
            town.until_quiet()
    assert len(town.letters_to(desk)) == 2
    with town.desk.book.read() as session:
        [named] = gate.blocked(session, now=town.now)
    assert named.address == desk and "as a machine does" in named.because
    withheld = [event for case in town.cases() for event in case.events if event.kind == "letter-withheld"]
    assert len(withheld) == 5 and len(town.cases()) == 7, "what it wrote is kept, each with the reason"


def test_scenario_32_a_decision_that_comes_back_after_the_case_was_closed_stands_at_the_top_of_the_queue(
    town: Town,
) -> None:
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
        number = town.respond(town.case_of(EDITH))
        town.until_quiet()
        town.do(handling.close, town.case_of(EDITH))
        town.passes(days=2)
        town.deliver(mail("Another matter, due soon.", sender="Sami <sami@example.net>"))
        town.deliver(not_delivered(town.letters_to(EDITH)[-1]))
        town.until_quiet()
    case = town.case_of(EDITH)
    assert case.row.undelivered and case.row.stage == "closed"
    assert [letter.state for letter in case.letters if letter.id == number] == ["bounced"]
    with town.desk.book.read() as session:
        first, *_ = views.queue(session, views.View(), now=town.now)
    assert first.reference == case.row.reference, "before what is due"
    assert len(town.letters_to(EDITH)) == 2, "and nothing is answered to the report"
    town.prove_whole()


@pytest.mark.parametrize("taken", [True, False])
def test_scenario_33_an_acknowledgement_whose_fate_nobody_knows_arrives_once_under_its_one_name(
    town: Town, taken: bool
) -> None:
    """The line dies after the last dot.  The copy that comes home tells; where none comes it is sent once more."""
    town.smtp.script("dot", KEEP_AND_DROP if taken else DROP)
    town.deliver(mail())
    with town.at_work():
        if not taken:
            town.until(lambda: _letters(town) == ["uncertain"])
            town.passes(minutes=10)
            town.until_filed()
            assert _letters(town) == ["uncertain"], "a copy may take a while"
            town.passes(minutes=10)
        town.until(lambda: _letters(town) == ["sent"])
        town.until_quiet()
    [letter] = town.smtp.letters
    [case] = town.cases()
    assert case.letters[0].message_id == letter.header("Message-ID").strip("<>")
    kinds = [event.kind for event in case.events]
    assert ("letter-queued-again" in kinds) is not taken and case.row.stage == "acknowledged"


def test_scenario_33_a_letter_of_a_handler_whose_fate_nobody_knows_is_not_sent_again_without_a_word(
    town: Town,
) -> None:
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
        town.smtp.script("dot", KEEP_AND_DROP)
        number = town.write(town.case_of(EDITH), "An engineer comes on Tuesday.")
        town.until(lambda: _letters(town) == ["sent", "uncertain"])
        for _ in range(3):
            town.passes(days=1)
            town.deliver(mail("Anything new?"))
            town.until_filed()
        sent = [one for one in town.letters_to(EDITH) if b"engineer comes on Tuesday" in one.raw]
        assert len(sent) == 1 and _letters(town)[1] == "uncertain"
        undelivered.resend(town.desk, number, actor=AMARA, now=town.now)
        town.until_quiet()
    first, second = (one for one in town.letters_to(EDITH) if b"engineer comes on Tuesday" in one.raw)
    assert first.header("Message-ID") == second.header("Message-ID") and first.raw == second.raw


def _letters(town: Town) -> list[str]:
    """The states of the letters of the first case, in their order."""
    cases = town.cases()
    return [letter.state for letter in cases[0].letters] if cases else []
