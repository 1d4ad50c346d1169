"""What never happens by itself: a case taken up again, a forged mail on it, a word to a stranger, a command by mail."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.cases.outcomes import Outcome
from amends.cases.stages import Waiting
from amends.casework import clockwork, correspondence, handling, intake, tray
from amends.kernel.errors import NotFound, Refused
from amends.ledger import views
from amends.ledger.verify import verify
from amends.letters import tokens
from amends.letters.kinds import LetterKind
from amends.mail.facts import Kind, Mailbox
from amends.mail.read import read
from tests.builders import (
    AMARA,
    NOW,
    a_mail,
    an_office,
    case_of,
    file_mail,
    id_of,
    later,
    open_case,
    post_all,
    store_mail,
)

OURS = "complaints@northwind.example"
EDITH = "edith@example.org"
SPOUSE = "spouse@example.net"
FORM = "web@northwind.example"


def reference(office, case_id):
    return case_of(office, case_id).row.reference


def token_of(office, case_id):
    return tokens.plus_address(reference(office, case_id), OURS, key=office.key)


def held(office):
    with office.book.read() as session:
        return views.tray(session, "held")


def quarantined(office):
    with office.book.read() as session:
        return views.tray(session, "quarantined")


def kinds(office, case):
    return [event.kind for event in case_of(office, case).events]


def letters(office, case, kind):
    return [one for one in case_of(office, case).letters if one.kind == kind]


def intact(office):
    return verify(office.book).problems == ()


# Long after the closure


@pytest.fixture
def closed(office):
    """A case that was closed today."""
    case_id = open_case(office, a_mail(message_id="first@mail.example.org"))
    post_all(office)
    handling.close(office, case_id, outcome=Outcome.WITHDRAWN, reason="settled", actor=AMARA, now=NOW)
    return case_id


def late_reply(office, case_id, *, days, **more):
    mail = a_mail(subject="Again", text="It is cold again.", to=(token_of(office, case_id),), **more)
    return file_mail(office, mail, now=later(days=days))


def test_a_reply_within_sixty_days_stands_on_the_closed_case_as_unread(office, closed):
    filed = late_reply(office, closed, days=60)
    case = case_of(office, closed)
    assert (filed.state, filed.reference) == ("filed", case.row.reference)
    assert (case.row.stage, case.row.unread) == ("closed", 2)


@pytest.mark.parametrize("days", [61, 200])
def test_a_later_reply_is_held_with_two_proposals_and_changes_nothing(office, closed, days):
    before = case_of(office, closed)
    assert late_reply(office, closed, days=days).state == "held"
    after = case_of(office, closed)
    assert (after.row.stage, after.events, after.messages) == ("closed", before.events, before.messages)
    (one,) = held(office)
    assert one.reason.startswith(f"it came {days} days after {reference(office, closed)} was closed")
    (candidate,) = one.candidates
    assert candidate["case"] == reference(office, closed)
    assert candidate["proposals"] == ["review", "new linked case"]
    assert post_all(office, now=later(days=days)) == []


def test_a_mail_that_waited_to_be_filed_counts_from_its_receipt(office, closed):
    mail = a_mail(text="x", to=(token_of(office, closed),))
    assert file_mail(office, mail, received_at=later(days=59), now=later(days=70)).state == "filed"


def test_a_machine_that_answers_late_is_filed_and_changes_nothing(office, closed):
    filed = late_reply(office, closed, days=100, kind=Kind.AUTO_REPLY)
    assert filed.state == "filed" and case_of(office, closed).row.stage == "closed"


def test_a_handler_takes_the_old_case_up_again_as_a_review(office, closed):
    late_reply(office, closed, days=200)
    (one,) = held(office)
    tray.review(office, one.id, reference(office, closed), actor=AMARA, now=later(days=200))
    case = case_of(office, closed)
    assert (case.row.stage, case.row.is_open) == ("investigating", True)
    assert case.messages[-1].subject == "Again" and case.messages[-1].match["because"] == "amara put it there"
    assert [d.kind for d in case.deadlines if d.state == "open"] == ["status", "response"]
    assert held(office) == [] and intact(office)
    late = late_reply(office, closed, days=200)
    assert late.state == "filed"
    with pytest.raises(Refused):
        tray.review(office, one.id, reference(office, closed), actor=AMARA, now=later(days=200))


def test_a_handler_makes_a_new_case_of_it_that_is_linked_to_the_old_one(office, closed):
    late_reply(office, closed, days=200)
    (one,) = held(office)
    with pytest.raises(NotFound):
        tray.file_as_complaint(office, one.id, linked_to="NW-2026-000099-99", actor=AMARA, now=later(days=200))
    old = reference(office, closed)
    new = tray.file_as_complaint(office, one.id, linked_to=old, actor=AMARA, now=later(days=200))
    assert case_of(office, new).links == ((old, "follows"),) and case_of(office, old).links == ((new, "follows"),)
    assert case_of(office, new).row.received_at == later(days=200)
    assert case_of(office, closed).row.stage == "closed" and intact(office)


# Third parties


def test_no_automatic_letter_and_no_handlers_letter_goes_to_an_address_that_was_not_accepted(office):
    case_id = open_case(office)
    post_all(office)
    for text in ("Here is more.", "STATUS\n"):
        for message_id in ("a@x", "b@x"):
            mail = a_mail(sender=SPOUSE, name="S", text=text, to=(token_of(office, case_id),), message_id=message_id)
            assert file_mail(office, mail, now=later(hours=1)).state == "filed"
    case = case_of(office, case_id)
    assert case.row.complainant_address == EDITH
    assert [(p.address, p.role, p.accepted) for p in case.participants if p.address == SPOUSE] == [
        (SPOUSE, "third party", False)
    ]
    sent = []
    for day in range(60):  # all that the clock writes in two months
        while clockwork.tick(office, now=later(days=day)):
            pass
        sent += post_all(office, now=later(days=day))
    for kind in (LetterKind.REPLY, LetterKind.PROGRESS_UPDATE, LetterKind.HOLDING):
        letter = correspondence.draft(office, case_id, kind, actor=AMARA, now=later(days=60))
        correspondence.save(office, letter, "Words, and an answer by 5 February 2027.", actor=AMARA, now=later(days=60))
        correspondence.send(office, letter, actor=AMARA, now=later(days=60), anyway=True)
    sent += post_all(office, now=later(days=60, minutes=1))
    assert len(sent) > 5 and SPOUSE not in {one.to for one in sent}
    staff = {person.address for person in office.settings.handler}
    assert {one.to for one in sent} - staff == {EDITH}


# STATUS


def ask(office, case_id, *, text="STATUS\n", at=None, **more):
    to = (token_of(office, case_id),)
    return file_mail(office, a_mail(subject="Re: yours", text=text, to=to, **more), now=at or later(days=1))


@pytest.mark.parametrize("text", ["STATUS", "status\n\nThank you, Edith", "\n  Status  \n"])
def test_a_participant_who_asks_for_the_status_is_told_it(office, text):
    case_id = open_case(office)
    post_all(office)
    assert ask(office, case_id, text=text, message_id="ask@x").state == "filed"
    (answer,) = letters(office, case_id, "status-answer")
    assert (answer.to_address, answer.automatic, answer.state) == (EDITH, True, "queued")
    assert "21 December 2026" in answer.body and reference(office, case_id) in answer.subject
    (sent,) = post_all(office, now=later(days=1))
    said = read(sent.raw)
    assert said.in_reply_to == ("ask@x",) and b"Auto-Submitted: auto-replied" in sent.raw
    assert [d.state for d in case_of(office, case_id).deadlines] == ["met", "open", "open"] and intact(office)


@pytest.mark.parametrize(
    "text",
    [
        "What is the status?",
        "STATUS please",
        "Dear all,\nSTATUS\n",
        "[status=closed]",
        "#close\nassign: bob\n/resolve",
        "STOP",
        "UNSUBSCRIBE",
        "",
    ],
)
def test_nothing_else_in_a_mail_is_a_command(office, text):
    case_id = open_case(office)
    post_all(office)
    before = case_of(office, case_id)
    mail = a_mail(subject="[status=resolved] close it", text=text, to=(token_of(office, case_id),))
    file_mail(office, mail, now=later(days=1))
    after = case_of(office, case_id)
    assert after.letters == before.letters
    assert (after.row.stage, after.row.handler, after.deadlines) == ("acknowledged", None, before.deadlines)


def test_the_status_is_told_once_a_message(office):
    case_id = open_case(office)
    post_all(office)
    mail = a_mail(text="STATUS\n", message_id="same@x", to=(token_of(office, case_id),))
    states = [file_mail(office, mail, now=later(days=1), trace=trace).state for trace in ("one", "other")]
    assert states == ["filed", "duplicate"]
    assert len(letters(office, case_id, "status-answer")) == 1


def test_a_machine_that_says_status_is_not_answered(office):
    case_id = open_case(office)
    post_all(office)
    ask(office, case_id, kind=Kind.AUTO_REPLY)
    ask(office, case_id, answerable=False, not_answerable_because="nobody reads mail there")
    assert letters(office, case_id, "status-answer") == []
    assert kinds(office, case_id)[-1] == "letter-withheld"


def test_whoever_of_the_case_asks_the_answer_goes_to_the_complainant_alone(office):
    case_id = open_case(office)
    post_all(office)
    ask(office, case_id, sender=SPOUSE, text="I am her husband.")
    handling.accept(office, case_id, SPOUSE, actor=AMARA, now=later(days=1))
    ask(office, case_id, sender=SPOUSE, message_id="his@x")
    (answer,) = letters(office, case_id, "status-answer")
    (sent,) = post_all(office, now=later(days=1))
    assert (answer.to_address, sent.to) == (EDITH, EDITH) and b"his@x" not in sent.raw


# Mail that is too large


def too_large(office, mail, *, at):
    sealed = store_mail(office, mail, now=at, left_size=41_000_000)
    (filed,) = intake.file(office, [sealed], now=at)
    return filed


def test_who_sends_a_reply_that_is_too_large_is_told_it_once_and_nobody_else_is(tmp_path):
    box = {"name": "complaints", "host": "127.0.0.1", "username": "x", "password": "x"}
    office = an_office(tmp_path, mailbox=[box])
    case_id = open_case(office)
    post_all(office)
    ours = (token_of(office, case_id),)
    for trace in ("one", "other"):
        mail = a_mail(subject="Photographs", message_id="large@x", to=ours, attachments=[(trace, "image/jpeg", b"x")])
        too_large(office, mail, at=later(days=1))
    too_large(office, a_mail(sender=SPOUSE, text="From me.", to=ours), at=later(days=1))
    too_large(office, a_mail(text="From a machine.", to=ours, kind=Kind.AUTO_REPLY), at=later(days=1))
    file_mail(office, a_mail(text="A small one.", to=ours), now=later(days=1))
    (told,) = letters(office, case_id, "too-large")
    assert (told.to_address, told.automatic) == (EDITH, True)
    assert "very large (41 MB)" in told.body and "less than 35 MB each" in told.body
    (sent,) = post_all(office, now=later(days=1))
    assert read(sent.raw).in_reply_to == ("large@x",) and b"Auto-Submitted: auto-replied" in sent.raw
    assert [d.state for d in case_of(office, case_id).deadlines] == ["met", "open", "open"] and intact(office)


def test_a_message_of_which_the_server_gave_the_header_alone_says_so_where_it_is_filed(tmp_path):
    box = {"name": "complaints", "host": "127.0.0.1", "username": "x", "password": "x"}
    office = an_office(tmp_path, mailbox=[box])

    def withheld(raw):
        incoming = intake.Incoming("complaints", 1, len(raw), raw, NOW, reason="the server gives no text", left_size=0)
        return intake.store(office, [incoming], now=NOW)[0].arrival_id

    header = b"From: Edith <edith@example.org>\r\nMessage-ID: <h@x>\r\nSubject: No heating\r\n\r\n"
    assert tray.retry(office, withheld(header), actor=AMARA, now=NOW) == "filed"
    (message,) = case_of(office, "NW-2026-000001-10").messages
    assert message.defects[0] == (
        "the server gave only the header of this message; look at it there in Amends/Quarantine of the mailbox "
        "'complaints'"
    )
    with pytest.raises(Refused, match="put it back into the inbox"):
        tray.retry(office, withheld(b""), actor=AMARA, now=NOW)


def test_a_question_for_the_status_alone_answers_no_question_of_ours(office):
    case_id = open_case(office)
    handling.wait(office, case_id, Waiting.COMPLAINANT, "her account number", actor=AMARA, now=NOW)
    ask(office, case_id, text="STATUS\n")
    assert case_of(office, case_id).row.waiting is not None
    ask(office, case_id, text="STATUS\nMy account is 12.")
    assert case_of(office, case_id).row.waiting is None


@pytest.mark.parametrize(("days", "said"), [(0, "It is with us"), (200, "have not kept to that")])
def test_the_answer_says_what_is_so(office, days, said):
    case_id = open_case(office)
    post_all(office)
    ask(office, case_id, at=later(days=days))
    assert said in letters(office, case_id, "status-answer")[0].body


def test_the_answer_on_a_closed_case_says_that_it_is_closed(office, closed):
    ask(office, closed)
    assert "We have closed it." in letters(office, closed, "status-answer")[0].body


# A sender who failed the check of authenticity


FORGED = {"authentication": {"dmarc": "fail", "spf": "fail"}}


@pytest.mark.parametrize("kind", [Kind.PERSON, Kind.AUTO_REPLY])
def test_mail_that_fails_dmarc_writes_into_no_case_without_a_handlers_word(office, kind):
    case_id = open_case(office)
    post_all(office)
    before = case_of(office, case_id)
    mail = a_mail(text="STATUS\n", to=(token_of(office, case_id),), kind=kind, **FORGED)
    assert file_mail(office, mail, now=later(days=1)).state == "held"
    assert case_of(office, case_id).events == before.events
    (one,) = held(office)
    assert "failed the check of authenticity (DMARC)" in one.reason
    assert one.candidates[0]["case"] == reference(office, case_id)
    tray.join(office, one.id, reference(office, case_id), actor=AMARA, now=later(days=1))
    assert len(case_of(office, case_id).messages) == len(before.messages) + 1 and intact(office)


def test_a_new_complaint_that_fails_dmarc_opens_a_case_and_is_answered_only_by_hand(office):
    case_id = open_case(office, a_mail(**FORGED))
    assert case_of(office, case_id).letters == () and "letter-withheld" in kinds(office, case_id)
    correspondence.acknowledge(office, case_id, actor=AMARA, now=NOW)
    assert [one.kind for one in case_of(office, case_id).letters] == ["acknowledgement"]


@pytest.mark.parametrize("said", ["pass", "none", "temperror", "permerror"])
def test_any_other_result_of_dmarc_changes_nothing(office, said):
    case_id = open_case(office, a_mail(authentication={"dmarc": said}))
    assert [one.kind for one in case_of(office, case_id).letters] == ["acknowledgement"]


def test_a_bounce_that_fails_dmarc_marks_a_letter_only_by_the_tag_of_its_return_path(office):
    case_id = open_case(office)
    post_all(office)
    letter = letters(office, case_id, "acknowledgement")[0].message_id
    bounce = {"kind": Kind.BOUNCE, "permanent_failure": True, "gave_up": True, **FORGED}
    file_mail(office, a_mail(sender="daemon@evil.example", failed_message_ids=(letter,), **bounce))
    assert letters(office, case_id, "acknowledgement")[0].state == "sent"
    to = tokens.bounce_address(letter, OURS, key=office.key)
    file_mail(office, a_mail(sender="daemon@mx.example", to=(to,), **bounce))
    assert letters(office, case_id, "acknowledgement")[0].state == "bounced"


# Web forms


@pytest.fixture
def with_form(tmp_path, database_url):
    """An office that trusts a web form, if its mail server confirms it."""
    office = an_office(
        tmp_path,
        url=database_url,
        organisation={"authserv_id": "mx.northwind.example"},
        conversation={"trusted_forms": [FORM]},
    )
    yield office
    office.book.close()


def from_form(*, reply_to=(EDITH,), kind=Kind.BULK, authentication=None, **more):
    return a_mail(
        sender=FORM,
        name="Web form",
        kind=kind,
        reply_to=tuple(Mailbox("Edith Kowalski", one) for one in reply_to),
        authentication={"dmarc": "pass"} if authentication is None else authentication,
        **more,
    )


@pytest.mark.parametrize("kind", [Kind.BULK, Kind.AUTO_REPLY, Kind.PERSON])
@pytest.mark.parametrize("proof", [{"dmarc": "pass"}, {"spf": "pass"}, {"dmarc": "none", "spf": "pass"}])
def test_a_trusted_form_brings_its_writers_complaint(with_form, kind, proof):
    case = case_of(with_form, file_mail(with_form, from_form(kind=kind, authentication=proof)).reference)
    assert (case.row.complainant_address, case.row.complainant_name) == (EDITH, "Edith Kowalski")
    assert [(one.kind, one.to_address) for one in case.letters] == [("acknowledgement", EDITH)]
    assert intact(with_form)
    post_all(with_form)
    reply = file_mail(with_form, a_mail(to=(token_of(with_form, id_of(with_form, case.row.reference)),)))
    assert reply.reference == case.row.reference
    assert case_of(with_form, case.row.reference).messages[-1].match["standing"] == "participant"


@pytest.mark.parametrize("proof", [{}, {"dmarc": "fail", "spf": "pass"}, {"spf": "fail"}, {"dkim": "pass"}])
@pytest.mark.parametrize("kind", [Kind.BULK, Kind.PERSON])
def test_mail_that_only_says_it_comes_from_the_form_is_quarantined(with_form, proof, kind):
    assert file_mail(with_form, from_form(authentication=proof, kind=kind)).state == "quarantined"
    (one,) = quarantined(with_form)
    assert "our mail server did not confirm it" in one.reason


@pytest.mark.parametrize(
    "reply_to", [(), (EDITH, "bob@example.org"), (OURS,), ("complaints+x@northwind.example",), (FORM,), ("a b@c",)]
)
def test_a_form_without_one_writer_to_answer_is_no_complaint_by_itself(with_form, reply_to):
    assert file_mail(with_form, from_form(reply_to=reply_to)).state == "quarantined"
    assert "looks automatic" in quarantined(with_form)[0].reason


def test_an_address_that_is_not_configured_is_no_form(office):
    assert file_mail(office, from_form()).state == "quarantined"


def test_a_bounce_to_the_form_is_no_complaint(with_form):
    assert file_mail(with_form, from_form(kind=Kind.BOUNCE)).state == "quarantined"


def test_a_form_that_sends_in_our_own_name_is_read_and_our_own_letters_are_still_known(tmp_path, database_url):
    office = an_office(tmp_path, url=database_url, conversation={"trusted_forms": [OURS]})
    mail = a_mail(sender=OURS, kind=Kind.OWN, reply_to=(Mailbox("", EDITH),))
    assert case_of(office, file_mail(office, mail).reference).row.complainant_address == EDITH
    (sent,) = post_all(office)
    own = read(sent.raw, own_addresses=[OURS])
    (stored,) = intake.store(office, [intake.Incoming("complaints", 1, 77, sent.raw, NOW)], now=NOW)
    (copy,) = intake.file(office, [(stored.arrival_id, own)], now=NOW + timedelta(seconds=1))
    assert copy.state == "own"
    office.book.close()


def test_a_handler_files_what_a_form_sent_as_its_writers(with_form):
    """Also when it is read again, from its bytes."""
    raw = (
        b"Authentication-Results: mx.northwind.example; dmarc=pass header.from=northwind.example\r\n"
        b"From: Web <web@northwind.example>\r\nReply-To: Edith <edith@example.org>\r\nTo: complaints@northwind.example"
        b"\r\n"
        b"Subject: Form\r\nMessage-ID: <form@x>\r\nAuto-Submitted: auto-generated\r\n\r\nNo heating.\r\n"
    )
    incoming = intake.Incoming("complaints", 1, 78, raw, NOW, reason="set aside for this test")
    (stored,) = intake.store(with_form, [incoming], now=NOW)
    assert tray.retry(with_form, stored.arrival_id, actor=AMARA, now=NOW) == "filed"
    with with_form.book.read() as session:
        (row,) = views.queue(session, views.View(), now=NOW)
    assert row.complainant_address == EDITH
