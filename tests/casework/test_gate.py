"""The gate of automatic letters: blocked addresses, machines in disguise, the limit of a day, and the breaker."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends.casework import clockwork, correspondence, gate, intake, post, undelivered
from amends.casework.gate import Answered, Past, Verdict, judge
from amends.conversation.machines import Said
from amends.kernel.errors import NotFound, Refused
from amends.ledger.verify import verify
from amends.letters import tokens
from amends.letters.kinds import LetterKind
from amends.mail.facts import Kind
from tests.builders import (
    AMARA,
    AUDREY,
    NOW,
    a_mail,
    an_office,
    case_of,
    file_mail,
    later,
    open_case,
    post_all,
    store_mail,
)

OURS = "complaints@northwind.example"
EDITH = "edith@example.org"
DESK = "desk@helpdesk.example"


def acknowledged(office, case):
    return [one.kind for one in case_of(office, case).letters if not one.staff].count("acknowledgement")


def withheld(office, case):
    return [event.data["because"] for event in case_of(office, case).events if event.kind == "letter-withheld"]


def blocked(office, now=NOW):
    with office.book.read() as session:
        return gate.blocked(session, now=now)


def bounce_of(office, case_id, *, permanent=True, gave_up=True, kind="acknowledgement", **more):
    letter = next(one for one in case_of(office, case_id).letters if one.kind == kind)
    to = tokens.bounce_address(letter.message_id, OURS, key=office.key)
    sender = "mailer-daemon@mx.example.org"
    return a_mail(sender=sender, kind=Kind.BOUNCE, to=(to,), permanent_failure=permanent, gave_up=gave_up, **more)


# The rule


def answered(at, words="Again.", *, had_at=None, **more):
    return Answered(1, Said(at, had_at or at, words), **more)


def test_an_unknown_address_may_be_written_to():
    assert judge(Past(), answered(NOW), limit=4, now=NOW) == Verdict()


def test_a_message_that_may_not_be_answered_is_not_whatever_is_known_of_its_sender():
    shut = judge(Past(), answered(NOW, answerable=False, because="it came over a list"), limit=4, now=NOW).shut
    assert shut == "it came over a list"


@given(st.integers(0, 9), st.integers(1, 9))
def test_no_address_gets_more_than_the_limit_of_a_day(sent, limit):
    past = Past(letters=(NOW - timedelta(hours=3),) * sent)
    assert (judge(past, None, limit=limit, now=NOW).shut is None) == (sent < limit)


def test_only_what_came_after_a_letter_counts_for_the_breaker():
    past = Past(letters=(NOW - timedelta(minutes=5),))
    assert judge(past, answered(NOW), limit=4, now=NOW).again
    assert not judge(past, answered(NOW - timedelta(minutes=6)), limit=4, now=NOW).again  # it lay in the mailbox
    backlog = answered(NOW - timedelta(minutes=6), had_at=NOW)
    assert not judge(past, backlog, limit=4, now=NOW).again
    assert not judge(past, None, limit=4, now=NOW).again  # the clock's letter answers nobody
    assert not judge(Past(letters=(NOW - timedelta(minutes=11),)), answered(NOW), limit=4, now=NOW).again


# Blocked addresses


def test_after_a_permanent_bounce_nothing_automatic_goes_to_the_address_and_handlers_letters_do(office):
    case_id = open_case(office)
    post_all(office)
    file_mail(office, bounce_of(office, case_id))
    (row,) = blocked(office)
    assert (row.address, row.until, row.reference) == (EDITH, None, case_of(office, case_id).row.reference)
    other = open_case(office, a_mail(subject="Another matter"), now=later(days=3))
    assert acknowledged(office, other) == 0 and withheld(office, other) == [gate.UNDELIVERABLE]
    while clockwork.tick(office, now=later(days=15)):
        pass
    assert "progress-update" not in [one.kind for one in case_of(office, case_id).letters]
    letter = correspondence.draft(office, case_id, LetterKind.REPLY, actor=AMARA, now=later(days=15))
    correspondence.save(office, letter, "Does this reach you?", actor=AMARA, now=later(days=15))
    correspondence.send(office, letter, actor=AMARA, now=later(days=15))
    assert EDITH in [one.to for one in post_all(office, now=later(days=15, minutes=5))]
    assert verify(office.book).problems == ()


@pytest.mark.parametrize(("permanent", "gave_up"), [(False, False), (False, True)])
def test_a_failure_that_passes_blocks_nobody(office, permanent, gave_up):
    case_id = open_case(office)
    post_all(office)
    file_mail(office, bounce_of(office, case_id, permanent=permanent, gave_up=gave_up))
    assert blocked(office) == []


@pytest.mark.parametrize(
    ("answer", "blocks"),
    [
        ("550 5.1.1 <edith@example.org>: no such user", True),
        ("550-5.1.10 RESOLVER.ADR.RecipientNotFound", True),
        ("554 5.7.1 Message rejected as spam", False),
        ("550 go away", False),
    ],
)
def test_a_server_that_knows_no_such_address_blocks_it_and_one_that_dislikes_the_letter_does_not(
    office, answer, blocks
):
    open_case(office)
    post_all(office, result=post.Rejected(answer))
    assert bool(blocked(office)) is blocks
    assert verify(office.book).problems == ()


def test_a_handler_clears_an_address_or_corrects_it(office):
    case_id = open_case(office)
    post_all(office)
    file_mail(office, bounce_of(office, case_id))
    with pytest.raises(Refused, match="auditor"):
        gate.clear(office, EDITH, actor=AUDREY, now=NOW)
    gate.clear(office, " Edith@Example.org ", actor=AMARA, now=NOW)
    with pytest.raises(NotFound):
        gate.clear(office, EDITH, actor=AMARA, now=NOW)
    assert case_of(office, case_id).events[-1].kind == "address-cleared"
    assert acknowledged(office, open_case(office, now=later(days=2))) == 1
    file_mail(office, bounce_of(office, case_id))
    undelivered.correct_address(office, case_id, "edith.k@example.org", actor=AMARA, now=NOW)
    assert [row.address for row in blocked(office)] == [EDITH]
    undelivered.correct_address(office, case_id, EDITH, actor=AMARA, now=NOW)  # after all
    assert blocked(office) == [] and verify(office.book).problems == ()


def test_the_ledger_does_not_name_a_blocked_address(office):
    case_id = open_case(office)
    post_all(office)
    file_mail(office, bounce_of(office, case_id))
    assert EDITH not in str([event.data for event in case_of(office, case_id).events])


def test_a_bounce_of_a_warning_to_staff_stops_the_warnings_to_that_address(office):
    case_id = open_case(office)
    post_all(office)
    while clockwork.tick(office, now=later(days=13)):
        pass
    warning = next(one for one in case_of(office, case_id).letters if one.staff)
    to = tokens.bounce_address(warning.message_id, OURS, key=office.key)
    post_all(office, now=later(days=13))
    mail = a_mail(sender="mailer-daemon@x.example", kind=Kind.BOUNCE, to=(to,), permanent_failure=True, gave_up=True)
    file_mail(office, mail, now=later(days=13))
    assert [row.address for row in blocked(office)] == [warning.to_address]
    before = len(
        [one for one in case_of(office, case_id).letters if one.staff and one.to_address == warning.to_address]
    )
    while clockwork.tick(office, now=later(days=60)):
        pass
    after = [one for one in case_of(office, case_id).letters if one.staff and one.to_address == warning.to_address]
    assert len(after) == before and gate.UNDELIVERABLE in withheld(office, case_id)


# Machines in disguise


def a_ticket(n, **more):
    """What another help desk sends back: fresh ids, a number of its own, and nothing that says it is a machine."""
    words = f"Thank you for contacting us. Your request has been received and was given the number {7000 + n}. We will"
    return a_mail(
        sender=DESK, name="Help desk", subject=f"[#{7000 + n}] Received", text=f"{words} answer soon.", **more
    )


def test_a_help_desk_that_answers_every_letter_with_fresh_ids_gets_two_and_is_named(office):
    cases = []
    at = NOW
    for n in range(8):
        cases.append(open_case(office, a_ticket(n), now=at))
        post_all(office, now=at + timedelta(seconds=1))
        at += timedelta(minutes=4)
    assert sum(acknowledged(office, case_id) for case_id in cases) == 2
    assert withheld(office, cases[2]) == [gate.MACHINE] and withheld(office, cases[-1]) == [gate.MACHINE]
    (row,) = blocked(office, now=at)
    assert (row.address, row.because) == (DESK, gate.MACHINE)
    assert row.until - row.since == timedelta(days=1)
    assert verify(office.book).problems == ()


def test_a_machine_that_says_something_else_each_time_is_known_by_its_speed(office):
    words = ["Hello there", "We opened a request", "Somebody will call", "Bye for now"]
    cases = []
    at = NOW
    for one in words:
        cases.append(open_case(office, a_mail(sender=DESK, subject=one, text=one), now=at))
        at += timedelta(seconds=20)
    assert [acknowledged(office, case_id) for case_id in cases] == [1, 1, 0, 0]


def test_a_server_that_tells_whole_seconds_hides_no_machine(office):
    cases = []
    at = NOW.replace(microsecond=200_000)
    for n in range(4):  # each within half a second of our letter, so its INTERNALDATE is before it
        received = at.replace(microsecond=0)
        arrival = store_mail(office, a_ticket(n), now=at, received_at=received)
        (filed,) = intake.file(office, [arrival], now=at + timedelta(milliseconds=50))
        cases.append(filed.reference)
        at += timedelta(milliseconds=200)
    assert [acknowledged(office, case) for case in cases] == [1, 1, 0, 0]


def test_a_person_who_sends_one_complaint_three_times_before_we_write_is_no_machine(office):
    mails = [store_mail(office, a_mail(), received_at=NOW - timedelta(minutes=30 - n)) for n in range(3)]
    cases = [one.reference for one in intake.file(office, mails, now=NOW)]
    assert [acknowledged(office, case) for case in cases] == [1, 1, 1] and blocked(office) == []


def test_a_person_who_complains_of_three_things_in_an_afternoon_is_no_machine(office):
    words = ["The lift stands still.", "My parcel is not here.", "The bill is wrong."]
    cases = [open_case(office, a_mail(text=one), now=later(minutes=5 * n)) for n, one in enumerate(words)]
    assert [acknowledged(office, case_id) for case_id in cases] == [1, 1, 1] and blocked(office) == []


def test_a_machine_may_be_written_to_again_after_a_day(office):
    for n in range(3):
        open_case(office, a_ticket(n), now=later(minutes=n))
    assert acknowledged(office, open_case(office, a_ticket(9), now=later(hours=23))) == 0
    assert blocked(office, now=later(days=2)) == []
    assert acknowledged(office, open_case(office, a_ticket(10), now=later(days=2))) == 1


# Machines that answer from another address each time


@pytest.fixture
def strict(tmp_path, database_url):
    """An office that lets six letters a day go to one domain."""
    office = an_office(tmp_path, url=database_url, letters={"auto_limit_per_domain": 6, "undo_seconds": 0})
    yield office
    office.book.close()


def changing(office, sender, times, *, apart=timedelta(minutes=2)):
    """One machine that answers each of our letters with new words, from `sender`, in which its count stands."""
    cases = []
    for n in range(times):
        at = NOW + n * apart
        words = f"{('wind', 'rain', 'snow', 'hail', 'fog', 'sun', 'ice')[n % 7]} number"
        cases.append(open_case(office, a_mail(sender=sender.format(n), subject=words, text=f"{words} {n}"), now=at))
        post_all(office, now=at + timedelta(seconds=1))
    return [acknowledged(office, case) for case in cases], cases


@pytest.mark.parametrize(
    "sender",
    ["desk+{}@helpdesk.example", "reply-{:07}@helpdesk.example", "bounce.{:012x}a0.x@helpdesk.example"],
)
def test_an_address_that_changes_in_a_tag_or_a_number_is_one_address(office, sender):
    sent, cases = changing(office, sender, 7)
    assert sent == [1, 1, 1, 1, 0, 0, 0]
    assert "within a day (the limit is 4)" in withheld(office, cases[-1])[0]


def test_a_tag_is_one_address_with_the_bare_one_too(office):
    changing(office, "desk{}@helpdesk.example", 1)
    for n in range(4):
        open_case(office, a_mail(sender="desk@helpdesk.example", text=f"{n} thing"), now=later(hours=2 * n))
    assert acknowledged(office, open_case(office, a_mail(sender="desk+x@helpdesk.example"), now=later(hours=9))) == 0


def test_a_loop_whose_every_address_is_new_is_stopped_for_its_domain(strict):
    names = ["ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal", "ida", "jon"]
    cases = []
    for n, name in enumerate(names):
        mail = a_mail(sender=f"{name}@machines.example", subject=name, text=f"{name} {n}")
        cases.append(open_case(strict, mail, now=later(minutes=n)))
    assert [acknowledged(strict, case) for case in cases] == [1] * 6 + [0] * 4
    assert "went to the domain of this address" in withheld(strict, cases[-1])[0]
    others = open_case(strict, a_mail(sender="kit@home.example"), now=later(minutes=20))
    assert acknowledged(strict, others) == 1
    assert verify(strict.book).problems == ()


@pytest.mark.parametrize("domain", ["gmail.com", "yahoo.co.uk", "t-online.de", "orange.fr"])
def test_people_who_share_a_provider_are_not_counted_together(strict, domain):
    cases = [
        open_case(strict, a_mail(sender=f"person.{10000 + n}@{domain}", text=f"{n}"), now=later(minutes=n))
        for n in range(9)
    ]
    assert sum(acknowledged(strict, case) for case in cases) == 9


@pytest.mark.parametrize(
    "addresses",
    [
        [
            "v.ictim@gmail.com",
            "vi.ctim@gmail.com",
            "vic.tim+a@googlemail.com",
            "v.i.ctim@gmail.com",
            "vict.im@gmail.com",
        ],
        ["vic.tim@proton.me", "vic-tim@protonmail.com", "v_ictim@pm.me", "victim@protonmail.com", "v.i-c_tim@pm.me"],
    ],
)
def test_a_mailbox_that_is_written_in_many_ways_gets_the_letters_of_one(office, addresses):
    cases = [
        open_case(office, a_mail(sender=address, text=f"Of {word}"), now=later(hours=n))
        for n, (address, word) in enumerate(zip(addresses, ["rain", "ice", "mud", "rust", "soot"], strict=True))
    ]
    assert [acknowledged(office, case) for case in cases] == [1, 1, 1, 1, 0]


def test_mailboxes_that_only_look_alike_are_not_taken_for_one(office):
    names = ["a.b", "ab", "a.bc", "abc", "a.x.b", "axb", "%", "_", "a%b", "a_b"]
    cases = [
        open_case(office, a_mail(sender=f"{name}@gmail.com", text=name), now=later(minutes=n))
        for n, name in enumerate(names)
    ]
    assert sum(acknowledged(office, case) for case in cases) == len(names)


@pytest.mark.parametrize("domain", ["works.example", "works.co.uk", "council.gov.uk"])
def test_domains_below_one_are_counted_with_it(strict, domain):
    cases = [
        open_case(strict, a_mail(sender=f"victim@a{n}.{domain}", text=f"Request {n}"), now=later(minutes=n))
        for n in range(9)
    ]
    assert sum(acknowledged(strict, case) for case in cases) == 6


def test_below_a_domain_that_many_share_each_is_its_owners(strict):
    cases = [
        open_case(strict, a_mail(sender=f"me@person{n}.fastmail.com", text=f"{n}"), now=later(minutes=n))
        for n in range(9)
    ]
    assert sum(acknowledged(strict, case) for case in cases) == 9


def test_domains_beside_one_another_are_not_counted_together(strict):
    domains = [f"works{n}.co.uk" for n in range(5)] + [f"works{n}.example" for n in range(5)]
    cases = [
        open_case(strict, a_mail(sender=f"ann@{domain}", text=domain), now=later(minutes=n))
        for n, domain in enumerate(domains)
    ]
    assert sum(acknowledged(strict, case) for case in cases) == 10


def test_a_domain_that_many_share_can_be_named(tmp_path, sqlite_url):
    letters = {"auto_limit_per_domain": 2, "shared_domains": ["university.example"]}
    office = an_office(tmp_path, url=sqlite_url, letters=letters)
    names = ["ann", "bob", "cid", "dan"]
    cases = [
        open_case(office, a_mail(sender=f"{name}@university.example", text=name), now=later(minutes=n))
        for n, name in enumerate(names)
    ]
    assert sum(acknowledged(office, case) for case in cases) == 4
    office.book.close()


def test_a_backlog_of_many_people_of_one_domain_is_answered(strict):
    cases = []
    for n in range(12):
        mail = a_mail(sender=f"person{n}@works.example", text=f"{n}")
        (case,) = (file_mail(strict, mail, received_at=NOW - timedelta(hours=2), now=later(seconds=n)).reference,)
        cases.append(case)
    assert sum(acknowledged(strict, case) for case in cases) == 12


def test_whoever_answers_our_acknowledgement_from_new_addresses_gets_no_further_one(office):
    case_id = open_case(office)
    (ours,) = post_all(office)
    for n in range(5):
        mail = a_mail(sender=f"desk{n}@robots.example", text=f"Request {n}", in_reply_to=ours.message_id)
        file_mail(office, mail, now=later(minutes=n + 1))
    assert post_all(office, now=later(minutes=9)) == []
    assert [one.kind for one in case_of(office, case_id).letters if not one.staff] == ["acknowledgement"]


# The breaker


@pytest.fixture
def brittle(tmp_path, database_url):
    """An office whose breaker lets three letters pass."""
    office = an_office(tmp_path, url=database_url, letters={"breaker_per_ten_minutes": 3, "undo_seconds": 0})
    yield office
    office.book.close()


def loop(office, people, *, at=NOW):
    """Each of these writes, has our letter, and writes again at once; returns the instant after it."""
    for n in range(people):
        sender = f"person{n}@example.org"
        open_case(office, a_mail(sender=sender, text=f"One {n}"), now=at)
        open_case(office, a_mail(sender=sender, text=f"Another thing {n}"), now=at + timedelta(seconds=10))
        at += timedelta(seconds=20)
    return at


def face(office, now):
    with office.book.read() as session:
        return gate.breaker(office, session, now=now)


def test_many_answers_to_what_came_just_after_our_letters_are_held_and_nobody_elses_letter_is(brittle):
    at = loop(brittle, 3)
    assert len(post_all(brittle, now=at)) == 6 and not face(brittle, at).tripped
    at = loop(brittle, 4, at=at)
    bobs = open_case(brittle, a_mail(sender="bob@example.org"), now=at)
    letter = correspondence.draft(brittle, bobs, LetterKind.REPLY, actor=AMARA, now=at)
    correspondence.save(brittle, letter, "Words.", actor=AMARA, now=at)
    correspondence.send(brittle, letter, actor=AMARA, now=at)
    gone = [one.to for one in post_all(brittle, now=at)]
    assert gone == ["person3@example.org", "bob@example.org", "bob@example.org"]  # his acknowledgement, and by hand
    seen = face(brittle, at)
    assert seen.tripped and (seen.limit, seen.since, seen.held) == (3, at, 1)
    assert post.claim(brittle, "x", now=at) == []
    assert post.next_leaving(brittle, tripped=True) is None and post.next_leaving(brittle) is not None


def test_the_breaker_cools_and_what_it_held_leaves_once(brittle):
    at = loop(brittle, 4)
    assert len(post_all(brittle, now=at)) == 4
    cool = at + timedelta(minutes=11)
    assert not face(brittle, cool).tripped and face(brittle, cool).since == at
    assert len(post_all(brittle, now=cool)) == 4
    assert post_all(brittle, now=cool) == []
    assert verify(brittle.book).problems == ()


def test_an_operator_says_go(brittle):
    at = loop(brittle, 4)
    assert len(post_all(brittle, now=at)) == 4
    assert gate.let_go(brittle, now=at) == 4
    assert not face(brittle, at).tripped
    assert len(post_all(brittle, now=at + timedelta(seconds=1))) == 4


def test_a_backlog_of_many_people_who_wrote_more_than_once_does_not_trip_the_breaker(brittle):
    for n in range(12):
        for subject in ("One", "Two"):
            mail = a_mail(sender=f"person{n}@example.org", subject=subject, text=f"{subject} {n}")
            file_mail(brittle, mail, received_at=NOW - timedelta(days=10), now=NOW)
    assert not face(brittle, NOW).tripped
    assert len(post_all(brittle, now=NOW)) == 24
