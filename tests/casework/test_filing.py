"""The verb `file`: what becomes of each kind of message, on both databases."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from amends.cases.outcomes import Outcome
from amends.casework import filing, handling, intake, merging, post, tray
from amends.kernel.errors import Refused, TryLater
from amends.kernel.refs import find_refs
from amends.ledger import views
from amends.ledger.verify import verify
from amends.letters import tokens
from amends.mail import read as mail_read
from amends.mail.facts import Kind
from tests.builders import (
    AMARA,
    AUDREY,
    NOW,
    a_mail,
    an_office,
    bytes_of,
    case_of,
    file_mail,
    id_of,
    open_case,
    post_all,
    store_mail,
)

EDITH = "edith@example.org"
OURS = "complaints@northwind.example"


def tray_of(office, state):
    with office.book.read() as session:
        return views.tray(session, state)


def references(office):
    with office.book.read() as session:
        return [row.reference for row in views.queue(session, views.View(), now=NOW)]


def events_of(office, case, kind):
    return [event.data for event in case_of(office, case).events if event.kind == kind]


@pytest.fixture
def acknowledged(office):
    """The first case of the office with its acknowledgement sent; returns the case."""
    case_id = open_case(office, a_mail(message_id="first@mail.example.org"))
    post_all(office)
    return case_of(office, case_id)


# New complaints


def test_a_complaint_opens_a_case_with_number_clocks_letter_and_ledger(office):
    filed = file_mail(office, a_mail())
    assert filed.state == "filed" and filed.reference == "NW-2026-000001-10"
    case = case_of(office, filed.reference)
    assert (case.row.stage, case.row.unread, case.row.messages) == ("received", 1, 1)
    assert case.row.complainant_address == EDITH
    assert [d.kind for d in case.deadlines] == ["ack", "status", "response"]
    (letter,) = case.letters
    assert (letter.kind, letter.state, letter.to_address) == ("acknowledgement", "queued", EDITH)
    assert case.row.reference in letter.subject and case.row.reference in letter.body
    assert [e.kind for e in case.events] == ["opened", "participant", "message", "deadlines-started", "letter-queued"]
    assert verify(office.book).problems == ()


def test_numbers_follow_one_another_and_begin_anew_each_year(office):
    late = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    first = file_mail(office, a_mail(), now=late).reference
    second = file_mail(office, a_mail(), now=late).reference
    third = file_mail(office, a_mail(), now=late + timedelta(minutes=2)).reference
    assert [ref[:14] for ref in (first, second, third)] == ["NW-2026-000001", "NW-2026-000002", "NW-2027-000001"]


def test_the_year_of_a_number_is_that_of_the_office_and_not_of_greenwich(tmp_path, database_url):
    office = an_office(tmp_path, url=database_url, organisation={"timezone": "Asia/Tokyo", "region": "JP"})
    reference = file_mail(office, a_mail(), now=datetime(2026, 12, 31, 16, 0, tzinfo=UTC)).reference
    assert reference.startswith("NW-2027-")


def test_a_message_from_the_future_counts_from_when_it_was_stored(office):
    case_id = open_case(office, received_at=NOW + timedelta(days=3))
    assert case_of(office, case_id).row.received_at == NOW


def test_a_complaint_that_may_not_be_answered_gets_no_letter_and_says_why(office):
    case_id = open_case(office, a_mail(answerable=False, not_answerable_because="it came through a list"))
    assert case_of(office, case_id).letters == ()
    assert events_of(office, case_id, "letter-withheld") == [
        {"letter": "acknowledgement", "because": "it came through a list"}
    ]


@pytest.mark.parametrize("sender", ["", "edith@", "a b@example.org", "bücher@example.org", "x@" + "a" * 300 + ".org"])
def test_a_complaint_from_an_address_that_cannot_be_written_to_is_filed_all_the_same(office, sender):
    filed = file_mail(office, a_mail(sender=sender))
    assert filed.state == "filed"
    assert case_of(office, filed.reference).letters == ()
    (withheld,) = events_of(office, filed.reference, "letter-withheld")
    assert not sender or sender not in withheld["because"]  # the ledger holds no personal data


def test_automatic_letters_to_one_address_stop_at_the_limit_of_a_day(office):
    cases = [open_case(office, a_mail()) for _ in range(5)]
    letters = [len(case_of(office, case_id).letters) for case_id in cases]
    assert letters == [1, 1, 1, 1, 0]
    (withheld,) = events_of(office, cases[-1], "letter-withheld")
    assert "the limit is 4" in withheld["because"]
    tomorrow = open_case(office, a_mail(), now=NOW + timedelta(days=1, minutes=1))
    assert len(case_of(office, tomorrow).letters) == 1
    stranger = open_case(office, a_mail(sender="bob@example.org"))
    assert len(case_of(office, stranger).letters) == 1


def test_a_language_we_write_is_kept_and_another_becomes_our_first(office):
    assert case_of(office, open_case(office, a_mail(language="de"))).language == "en"


# Replies


def answering(case, **evidence):
    return a_mail(subject="More", text="It is still cold.", **evidence)


def test_a_reply_joins_by_the_signed_address_it_was_sent_to(office, acknowledged):
    to = tokens.plus_address(acknowledged.row.reference, OURS, key=office.key)
    filed = file_mail(office, answering(acknowledged, to=(to,)))
    assert filed.reference == acknowledged.row.reference
    assert case_of(office, filed.reference).messages[-1].match["because"] == "the signed address it was sent to"


def test_a_reply_joins_by_our_own_message_id_whatever_became_of_its_case(office, acknowledged):
    ours = acknowledged.letters[0].message_id
    for evidence in ({"in_reply_to": ours}, {"references": ("x@y", ours.upper())}):
        assert file_mail(office, answering(acknowledged, **evidence)).reference == acknowledged.row.reference
    assert case_of(office, acknowledged.row.reference).row.unread == 3


def test_a_reply_joins_by_a_message_id_of_the_thread(office, acknowledged):
    filed = file_mail(office, answering(acknowledged, references=("first@mail.example.org",)))
    assert filed.reference == acknowledged.row.reference
    assert case_of(office, filed.reference).messages[-1].match["confidence"] == "high"


def test_a_participant_joins_by_the_reference_in_the_subject(office, acknowledged):
    reference = acknowledged.row.reference
    mail = a_mail(subject=f"RE: [{reference.lower()}] more", text="x")
    assert file_mail(office, mail).reference == reference


def test_a_reply_ends_waiting_and_stands_unread_but_a_machines_does_not(office, acknowledged):
    case_id = acknowledged.row.id
    handling.wait(office, case_id, handling.Waiting.COMPLAINANT, "photographs", actor=AMARA, now=NOW)
    handling.mark_read(office, case_id, actor=AMARA, now=NOW)
    ours = acknowledged.letters[0].message_id
    machine = answering(acknowledged, in_reply_to=ours, kind=Kind.AUTO_REPLY)
    assert file_mail(office, machine).reference == acknowledged.row.reference
    case = case_of(office, case_id)
    assert (case.row.waiting, case.row.unread) == ("for complainant", 0)
    file_mail(office, answering(acknowledged, in_reply_to=ours))
    case = case_of(office, case_id)
    assert (case.row.waiting, case.row.unread) == (None, 1)
    assert len(case.letters) == 1  # no reply is acknowledged again


def test_mail_on_a_closed_case_leaves_it_closed_and_puts_it_into_the_queue(office, acknowledged):
    case_id = acknowledged.row.id
    handling.mark_read(office, case_id, actor=AMARA, now=NOW)
    outcome = handling.Outcome.WITHDRAWN
    handling.close(office, case_id, outcome=outcome, reason="sorted out", actor=AMARA, now=NOW)
    assert references(office) == []
    file_mail(office, answering(acknowledged, in_reply_to=acknowledged.letters[0].message_id))
    assert case_of(office, case_id).row.stage == "closed"
    assert references(office) == [acknowledged.row.reference]


def test_a_third_party_with_our_letter_joins_but_does_not_belong(office, acknowledged):
    ours = acknowledged.letters[0].message_id
    filed = file_mail(office, answering(acknowledged, sender="spouse@example.net", in_reply_to=ours))
    case = case_of(office, filed.reference)
    assert [(p.address, p.role, p.accepted) for p in case.participants][-1] == (
        "spouse@example.net",
        "third party",
        False,
    )
    # Without a letter of ours they are still held; once accepted, they join.
    bare = a_mail(sender="spouse@example.net", subject=f"About {case.row.reference}", text="bare")
    assert file_mail(office, bare).state == "held"
    handling.accept(office, case.row.id, "spouse@example.net", actor=AMARA, now=NOW)
    assert file_mail(office, replace(bare, message_id="again@x", text="again")).state == "filed"


def test_a_stranger_who_names_a_case_is_held_with_the_candidate(office, acknowledged):
    for evidence in ({"subject": f"Re {acknowledged.row.reference}"}, {"in_reply_to": "first@mail.example.org"}):
        filed = file_mail(office, a_mail(sender="eve@example.net", text=str(evidence), **evidence))
        assert (filed.state, filed.reference) == ("held", None)
    held = tray_of(office, "held")
    assert [one.candidates[0]["case"] for one in held] == [acknowledged.row.reference] * 2
    assert len(case_of(office, acknowledged.row.reference).messages) == 2
    assert verify(office.book).problems == ()


@pytest.mark.parametrize("forge", ["token", "id"])
def test_a_forged_signature_is_no_evidence(office, acknowledged, forge):
    if forge == "token":
        to = tokens.plus_address(acknowledged.row.reference, OURS, key=b"another key")
        mail = a_mail(sender="eve@example.net", to=(to,), text="forged")
    else:
        own = tokens.message_id(acknowledged.row.reference, "acknowledgement", 1, key=b"x", domain="northwind.example")
        mail = a_mail(sender="eve@example.net", in_reply_to=own, text="forged")
    filed = file_mail(office, mail)
    assert filed.reference != acknowledged.row.reference
    assert filed.state == "filed"


def test_a_mistyped_reference_opens_a_case_and_joins_none(office, acknowledged):
    wrong = acknowledged.row.reference[:-1] + str((int(acknowledged.row.reference[-1]) + 1) % 10)
    assert find_refs(wrong, prefix="NW") == ()
    assert file_mail(office, a_mail(subject=wrong, text="x")).reference != acknowledged.row.reference


def test_a_message_id_that_two_cases_know_belongs_to_the_older(office, acknowledged):
    """A second case whose first mail quotes the first one's thread takes no mail away from it."""
    other = open_case(office, a_mail(sender="bob@example.org", message_id="bob@mail.example.org"))
    reference = case_of(office, other).row.reference
    with office.book.write() as session:
        filing.remember(session, other, reference, ["first@mail.example.org"], source="mail")
    assert file_mail(office, answering(acknowledged, references=("first@mail.example.org",))).reference == (
        acknowledged.row.reference
    )


# Machines, bounces, our own


def test_automatic_mail_that_belongs_to_no_case_is_quarantined_and_not_answered(office):
    for kind in (Kind.AUTO_REPLY, Kind.BULK, Kind.BOUNCE):
        assert file_mail(office, a_mail(kind=kind, sender=f"{kind}@example.net")).state == "quarantined"
    assert all("looks automatic" in one.reason for one in tray_of(office, "quarantined"))
    assert post_all(office) == []


@pytest.mark.parametrize("gave_up", [True, False])
def test_a_bounce_comes_home_to_its_letter(office, acknowledged, gave_up):
    letter = acknowledged.letters[0]
    to = tokens.bounce_address(letter.message_id, OURS, key=office.key)
    bounce = a_mail(
        sender="mailer-daemon@example.org",
        kind=Kind.BOUNCE,
        to=(to,),
        gave_up=gave_up,
        subject="Undelivered",
    )
    assert file_mail(office, bounce).reference == acknowledged.row.reference
    case = case_of(office, acknowledged.row.reference)
    assert (case.letters[0].state, case.row.undelivered) == (("bounced", True) if gave_up else ("sent", False))
    assert case.row.unread == 1
    assert events_of(office, case.row.id, "letter-bounced" if gave_up else "letter-delayed")
    assert verify(office.book).problems == ()


def test_a_bounce_that_only_quotes_our_letter_finds_it_too(office, acknowledged):
    quoted = acknowledged.letters[0].message_id
    bounce = a_mail(sender="", kind=Kind.BOUNCE, failed_message_ids=(quoted,), permanent_failure=True)
    assert file_mail(office, bounce).reference == acknowledged.row.reference


def test_a_bounce_is_of_the_letter_whose_return_path_it_came_to_whatever_else_it_quotes(office, acknowledged):
    letter = acknowledged.letters[0]
    other = case_of(office, open_case(office, a_mail(sender="bob@example.org")))
    post_all(office)
    for one, quoted in ((letter, other.letters[0]), (other.letters[0], letter)):
        to = tokens.bounce_address(one.message_id, OURS, key=office.key)
        ids = {"failed_message_ids": (quoted.message_id,), "gave_up": True}
        bounce = a_mail(sender="mailer-daemon@example.org", kind=Kind.BOUNCE, to=(to,), subject="Undelivered", **ids)
        filed = file_mail(office, bounce)
        assert filed.reference == case_of(office, one.case_id).row.reference


def test_the_copy_of_our_own_letter_is_no_message(office, acknowledged):
    letter = acknowledged.letters[0]
    copy = a_mail(sender=OURS, kind=Kind.OWN, message_id=letter.message_id, text=letter.body)
    assert file_mail(office, copy).state == "own"
    assert len(case_of(office, acknowledged.row.reference).messages) == 2


def test_what_only_says_that_it_is_ours_is_quarantined_and_swallows_nothing(office, acknowledged):
    letter = acknowledged.letters[0]
    forged = a_mail(sender=OURS, kind=Kind.OWN, message_id=letter.message_id, text="I complain")
    spoofed = a_mail(sender=OURS, message_id="", text="I complain too")
    assert [file_mail(office, mail).state for mail in (forged, spoofed)] == ["quarantined"] * 2
    assert [one.reason for one in tray_of(office, "quarantined")] == [
        "it says that it comes from our own address, but it is no letter of ours"
    ] * 2


def uncertain(office, **mail):
    """A case whose acknowledgement is uncertain, with the letter as it was handed over; returns (case id, letter)."""
    case_id = open_case(office, a_mail(**mail))
    (letter,) = post_all(office, result=post.Unknown("the line was cut"))
    return case_id, letter


@pytest.mark.parametrize("kind", [Kind.OWN, Kind.PERSON, Kind.AUTO_REPLY])
def test_a_receipt_copy_that_a_gateway_changed_proves_its_letter_by_the_address_it_went_to(office, kind):
    case_id, letter = uncertain(office)
    words = f"CAUTION: this message came from outside.\n{case_of(office, case_id).letters[0].body}"
    for message_id in (letter.message_id, "rewritten@gateway.example"):
        copy = a_mail(
            sender=OURS, kind=kind, message_id=message_id, text=words, delivered_to=(letter.receipt_to.upper(),)
        )
        assert file_mail(office, copy).state == "own"
    case = case_of(office, case_id)
    assert case.letters[0].state == "sent" and len(case.messages) == 2
    assert tray_of(office, "quarantined") == []
    assert verify(office.book).problems == ()


def test_a_receipt_address_proves_its_own_letter_and_no_other(office):
    (one, first), (other, second) = (uncertain(office, sender=f"{n}@example.org") for n in (1, 2))
    token, at, domain = first.receipt_to.partition("@")
    forged = f"{token[:-1]}{'b' if token[-1] == 'a' else 'a'}{at}{domain}"
    for number, proof in enumerate(
        (
            {"message_id": first.message_id, "delivered_to": (second.receipt_to,)},
            {"delivered_to": (first.receipt_to, second.receipt_to)},
            {"message_id": first.message_id, "delivered_to": (forged,)},
            {"message_id": first.message_id},
        )
    ):
        copy = a_mail(sender=OURS, kind=Kind.OWN, text=f"Not word for word: {number}", **proof)
        assert file_mail(office, copy).state == "quarantined"
    assert [case_of(office, case).letters[0].state for case in (one, other)] == ["uncertain"] * 2


# Once and once only


def test_the_same_bytes_from_two_mailboxes_are_one_message(office):
    mail = a_mail()
    first = file_mail(office, mail, mailbox="complaints")
    again = file_mail(office, mail, mailbox="info")
    assert (again.state, again.reference) == ("duplicate", first.reference)
    assert len(references(office)) == 1


def test_the_same_mail_over_another_road_is_one_message(office):
    mail = a_mail()
    first = file_mail(office, mail, trace="mx1.example.org")
    again = file_mail(office, mail, trace="mx2.example.org")
    assert (again.state, again.reference) == ("duplicate", first.reference)


def test_equal_words_without_a_message_id_are_two_complaints(office):
    mail = a_mail(message_id="")
    assert file_mail(office, mail, trace="a").state == file_mail(office, mail, trace="b").state == "filed"
    assert len(references(office)) == 2


def test_a_message_id_used_twice_for_other_words_swallows_no_complaint(office):
    file_mail(office, a_mail(message_id="same@mailer"))
    filed = file_mail(office, a_mail(message_id="same@mailer", sender="bob@example.org", text="Other"))
    assert filed.state == "filed" and len(references(office)) == 2


def test_a_message_under_the_message_id_of_another_one_is_marked_and_the_first_is_not(office):
    """Not one whose Message-ID was only referred to before: a reply may be here sooner than what it answers."""
    early = file_mail(office, a_mail(text="one", message_id="same@old.example", references=["later@old.example"]))
    twin = file_mail(office, a_mail(text="two", message_id="same@old.example", sender="sami@example.net"))
    late = file_mail(office, a_mail(text="three", message_id="later@old.example", sender="uma@example.net"))
    marks = [case_of(office, filed.reference).messages[0].flags for filed in (early, twin, late)]
    assert marks == [(), ("message-id-used-before",), ()]
    assert "under its Message-ID" in case_of(office, twin.reference).messages[0].match["because"]


def test_storing_and_filing_again_changes_nothing(office):
    mail = a_mail()
    arrival, sealed = store_mail(office, mail, uid=7)
    assert intake.file(office, [(arrival, sealed)], now=NOW)[0].state == "filed"
    again, _ = store_mail(office, mail, uid=7)
    assert again == arrival
    (filed,) = intake.file(office, [(arrival, sealed)], now=NOW)
    assert filed.state == "filed"
    assert len(references(office)) == 1 and len(case_of(office, 1).messages) == 1


def test_a_file_is_known_by_its_bytes(office):
    mail = a_mail()
    first, _ = store_mail(office, mail, uidvalidity=None)
    again, _ = store_mail(office, mail, uidvalidity=None)
    assert first == again


# One bad message


def test_a_message_whose_filing_fails_is_quarantined_alone(office, monkeypatch):
    mails = [a_mail(subject=f"Number {n}") for n in range(5)]
    batch = [store_mail(office, mail) for mail in mails]
    acknowledge = filing._acknowledge

    def bad(file, reading, *rest):
        acknowledge(file, reading, *rest)
        if reading.subject == "Number 2":
            raise RuntimeError("boiler\x1b[31m exploded")

    monkeypatch.setattr(filing, "_acknowledge", bad)
    told = []
    filed = intake.file(office, batch, not_together=told.append, now=NOW)
    assert [type(fault) for fault in told] == [RuntimeError]
    assert [one.state for one in filed] == ["filed", "filed", "quarantined", "filed", "filed"]
    (parked,) = tray_of(office, "quarantined")
    assert parked.reason == "it could not be filed: RuntimeError: boiler[31m exploded"
    assert (parked.sender, parked.subject) == (EDITH, "Number 2")
    assert [ref[8:14] for ref in references(office)] == ["000001", "000002", "000003", "000004"]  # no gap
    assert verify(office.book).problems == ()


def test_a_message_that_cannot_be_read_is_quarantined_with_the_reason(office):
    arrival, _ = store_mail(office, a_mail())
    (filed,) = intake.file(office, [(arrival, "its reader ran out of memory three times")], now=NOW)
    assert filed.state == "quarantined"
    assert tray_of(office, "quarantined")[0].reason == "its reader ran out of memory three times"


def test_trouble_of_the_store_is_nobodys_fault_and_files_nothing(office, monkeypatch):
    batch = [store_mail(office, a_mail()) for _ in range(2)]
    monkeypatch.setattr(filing, "_acknowledge", lambda *_: (_ for _ in ()).throw(TryLater("busy")))
    with pytest.raises(TryLater):
        intake.file(office, batch, now=NOW)
    assert references(office) == [] and tray_of(office, "quarantined") == []


HOSTILE = (
    "\u202e\u0000\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace") + "'; DROP TABLE cases;--{{7*7}}"
)


def test_hostile_words_are_stored_as_words(office):
    mail = a_mail(name=HOSTILE.replace("\0", ""), subject=HOSTILE.replace("\0", ""), text=HOSTILE.replace("\0", ""))
    case = case_of(office, file_mail(office, mail).reference)
    assert case.row.subject == mail.subject and case.messages[0].text == mail.text
    assert "49" not in case.letters[0].body
    assert verify(office.book).problems == ()


# Two at once


def test_two_daemons_file_at_once_without_gap_or_double(office, tmp_path):
    """Four threads with stores of their own; every number is given once and none is left out."""
    offices = [an_office(tmp_path, url=office.settings.database.url) for _ in range(4)]
    mails = [[a_mail(sender=f"p{n}.{m}@example.org") for m in range(8)] for n in range(4)]
    errors = []

    def run(one, mine):
        try:
            for start in range(0, len(mine), 4):
                batch = [store_mail(one, mail) for mail in mine[start : start + 4]]
                patiently(lambda batch=batch: intake.file(one, batch, now=NOW))
        except Exception as fault:
            errors.append(fault)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(offices, mails, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(int(ref[8:14]) for ref in references(office)) == list(range(1, 33))
    assert verify(office.book).problems == ()
    for one in offices:
        one.book.close()


def patiently(act):
    """As the daemon does it: what may succeed later is tried again."""
    for _ in range(20):
        try:
            return act()
        except TryLater:
            continue
    raise AssertionError("busy for ever")


def test_two_daemons_that_file_the_same_message_open_one_case(office, tmp_path):
    """The same mail from two mailboxes, and the same arrival twice, at the same moment."""
    others = [an_office(tmp_path, url=office.settings.database.url) for _ in range(4)]
    for n in range(4):
        mail = a_mail(sender=f"p{n}@example.org")
        one = store_mail(office, mail, mailbox="a")
        two = store_mail(office, mail, mailbox="b", trace="other road")
        gate = threading.Barrier(4)

        def run(mine, arrival, gate=gate):
            gate.wait()
            patiently(lambda: intake.file(mine, [arrival], now=NOW))

        threads = [threading.Thread(target=run, args=pair) for pair in zip(others, (one, one, two, two), strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(references(office)) == n + 1
        assert len(case_of(office, id_of(office, references(office)[n])).messages) == 1
    assert verify(office.book).problems == ()
    for other in others:
        other.book.close()


# The tray


def test_a_held_message_joins_the_case_that_a_handler_names(office, acknowledged):
    filed = file_mail(office, a_mail(sender="eve@example.net", subject=f"Re {acknowledged.row.reference}"))
    tray.join(office, filed.arrival_id, acknowledged.row.reference, actor=AMARA, now=NOW)
    case = case_of(office, acknowledged.row.reference)
    assert case.messages[-1].from_address == "eve@example.net"
    assert case.messages[-1].match["because"] == "amara put it there"
    assert not case.participants[-1].accepted
    assert tray_of(office, "held") == []
    assert verify(office.book).problems == ()


def test_a_held_message_may_be_a_complaint_of_its_own(office, acknowledged):
    filed = file_mail(office, a_mail(sender="eve@example.net", subject=f"As bad as {acknowledged.row.reference}"))
    reference = tray.file_as_complaint(office, filed.arrival_id, actor=AMARA, now=NOW + timedelta(hours=1))
    case = case_of(office, reference)
    assert case.row.received_at == NOW and case.letters[0].to_address == "eve@example.net"
    assert len(case.messages) == 1
    assert verify(office.book).problems == ()


def test_reading_again_files_the_message_and_not_a_second_one(office):
    filed = file_mail(office, a_mail(kind=Kind.BULK, sender="news@example.net"))
    assert filed.state == "quarantined"
    assert tray.retry(office, filed.arrival_id, actor=AMARA, now=NOW) == "quarantined"
    assert len(tray_of(office, "quarantined")) == 1
    with office.book.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM messages").scalar() == 1


def test_a_message_that_failed_once_is_filed_when_it_is_tried_again(office, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(filing, "_acknowledge", lambda *_: 1 / 0)
        filed = file_mail(office, a_mail())
        assert filed.state == "quarantined"
        assert tray.retry(office, filed.arrival_id, actor=AMARA, now=NOW) == "quarantined"
    assert tray.retry(office, filed.arrival_id, actor=AMARA, now=NOW) == "filed"
    assert len(references(office)) == 1
    assert verify(office.book).problems == ()


def while_it_is_read(monkeypatch, act):
    """`act` once, in the middle of the next reading of a message."""
    real, acts = mail_read.read, [act]

    def read_slowly(*args, **how):
        if acts:
            acts.pop()()
        return real(*args, **how)

    monkeypatch.setattr(mail_read, "read", read_slowly)


@pytest.mark.parametrize("verb", ["retry", "complaint", "join", "review", "split"])
def test_nobody_waits_for_a_message_that_is_read_again(office, acknowledged, monkeypatch, tmp_path, verb):
    reply = {"in_reply_to": acknowledged.messages[0].message_id}
    held = file_mail(office, a_mail(sender="x@example.net", subject=acknowledged.row.reference))
    joined = file_mail(office, a_mail(**reply))
    assert (held.state, joined.state) == ("held", "filed")
    case = case_of(office, acknowledged.row.id)
    if verb == "review":
        handling.close(office, case.row.id, outcome=Outcome.WITHDRAWN, reason="x", actor=AMARA, now=NOW)
    verbs = {
        "retry": lambda: tray.retry(office, held.arrival_id, actor=AMARA, now=NOW),
        "complaint": lambda: tray.file_as_complaint(office, held.arrival_id, actor=AMARA, now=NOW),
        "join": lambda: tray.join(office, held.arrival_id, case.row.reference, actor=AMARA, now=NOW),
        "review": lambda: tray.review(office, held.arrival_id, case.row.reference, actor=AMARA, now=NOW),
        "split": lambda: merging.split(office, case.row.id, case.messages[-1].id, actor=AMARA, now=NOW),
    }
    noted = []

    def note():
        other = an_office(tmp_path, url=office.settings.database.url)
        worker = threading.Thread(
            target=lambda: noted.append(handling.note(other, case.row.id, "meanwhile", actor=AMARA, now=NOW))
        )
        worker.start()
        worker.join(60)
        assert not worker.is_alive()
        other.book.close()

    while_it_is_read(monkeypatch, note)
    verbs[verb]()
    assert len(noted) == 1
    assert verify(office.book).problems == ()


def test_what_somebody_decided_while_the_message_was_read_stands(office, acknowledged, monkeypatch):
    held = file_mail(office, a_mail(sender="x@example.net", subject=acknowledged.row.reference))
    while_it_is_read(monkeypatch, lambda: tray.dismiss(office, held.arrival_id, "spam", actor=AMARA, now=NOW))
    with pytest.raises(Refused, match="Somebody else decided on the message just now"):
        tray.join(office, held.arrival_id, acknowledged.row.reference, actor=AMARA, now=NOW)
    (dismissed,) = tray_of(office, "dismissed")
    assert dismissed.id == held.arrival_id


def test_what_is_dismissed_is_kept_and_can_be_filed_after_all(office):
    filed = file_mail(office, a_mail(kind=Kind.BULK, sender="news@example.net"))
    with pytest.raises(tray.Refused, match="Say in a few words"):
        tray.dismiss(office, filed.arrival_id, " \n", actor=AMARA, now=NOW)
    tray.dismiss(office, filed.arrival_id, "a newsletter", actor=AMARA, now=NOW)
    (dismissed,) = tray_of(office, "dismissed")
    assert dismissed.reason == "amara, 2026-11-23 09:00Z: a newsletter"
    assert tray.file_as_complaint(office, filed.arrival_id, actor=AMARA, now=NOW) == references(office)[0]
    with pytest.raises(tray.Refused, match="is filed and does not wait"):
        tray.dismiss(office, filed.arrival_id, "again", actor=AMARA, now=NOW)


def test_the_tray_refuses_auditors_and_unknown_messages_and_cases(office, acknowledged):

    filed = file_mail(office, a_mail(sender="eve@example.net", subject=f"Re {acknowledged.row.reference}"))
    acts = (
        lambda actor, n: tray.retry(office, n, actor=actor, now=NOW),
        lambda actor, n: tray.file_as_complaint(office, n, actor=actor, now=NOW),
        lambda actor, n: tray.join(office, n, acknowledged.row.reference, actor=actor, now=NOW),
        lambda actor, n: tray.dismiss(office, n, "why", actor=actor, now=NOW),
    )
    for act in acts:
        with pytest.raises(tray.Refused, match="is an auditor"):
            act(AUDREY, filed.arrival_id)
        with pytest.raises(tray.NotFound, match="no message 999"):
            act(AMARA, 999)
    with pytest.raises(tray.NotFound, match="There is no case NW-1"):
        tray.join(office, filed.arrival_id, "NW-1", actor=AMARA, now=NOW)


def test_the_mails_of_the_builders_say_in_bytes_what_their_readings_say(office):
    from amends.mail.read import read

    mail = a_mail(subject="Grüße", name="Édith", references=("a@b",), in_reply_to="c@d")
    found = read(bytes_of(mail), own_addresses=frozenset({OURS}), trusted_authserv="")
    for name in ("sha256", "message_id", "in_reply_to", "references", "date", "subject", "sender", "to", "kind"):
        assert getattr(found, name) == getattr(mail, name), name
    assert found.text.strip() == mail.text
