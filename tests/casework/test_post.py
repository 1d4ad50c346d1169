"""The outbox: every letter is accepted at most once, whatever the server or a crash makes of it."""

from __future__ import annotations

import threading
from datetime import timedelta
from email import message_from_bytes, policy

import pytest

from amends.cases.outcomes import Outcome
from amends.casework import clockwork, correspondence, filing, handling, post, undelivered
from amends.casework.correspondence import Finding, Words
from amends.kernel.errors import Refused, TryLater
from amends.kernel.share import config_folder
from amends.ledger.tables import Letter
from amends.ledger.verify import verify
from amends.letters import tokens
from amends.letters.kinds import LetterKind
from amends.mail.facts import Kind
from tests.builders import AMARA, NOW, a_mail, an_office, case_of, file_mail, open_case, post_all

OURS = "complaints@northwind.example"
SOON = NOW + timedelta(minutes=1)


@pytest.fixture
def case_id(office):
    return open_case(office)


def letter_of(office, case_id, n=0):
    return case_of(office, case_id).letters[n]


def claim(office, now=NOW, owner="one"):
    return post.claim(office, owner, now=now)


def case_raw(office, letter_id):
    with office.book.read() as session:
        return (session.get(Letter, letter_id).raw or b"").decode()


def never(owner):
    return False


def copy_of(office, letter):
    return a_mail(sender=OURS, kind=Kind.OWN, message_id=letter.message_id, text=letter.body)


def test_a_letter_is_claimed_by_one_only(office, case_id):
    (mine,) = claim(office)
    assert claim(office, owner="two") == []
    message = message_from_bytes(mine.raw, policy=policy.default)
    assert (mine.to, message["To"].addresses[0].addr_spec) == ("edith@example.org", "edith@example.org")
    assert tokens.verify_bounce_address(mine.envelope_from, OURS, key=office.key) == mine.message_id
    assert tokens.verify_receipt_address(mine.receipt_to, OURS, key=office.key) == mine.message_id
    assert tokens.verify_plus_address(message["Reply-To"].addresses[0].addr_spec, OURS, key=office.key) == (
        case_of(office, case_id).row.reference
    )


def test_the_dot_is_durable_before_it_is_sent_and_only_for_the_owner(office, case_id):
    (mine,) = claim(office)
    assert not post.before_dot(office, "two", mine.letter_id, now=NOW)
    assert post.before_dot(office, "one", mine.letter_id, now=NOW)
    assert letter_of(office, case_id).state == "sending"


@pytest.mark.parametrize("dot", [False, True])
def test_a_crash_before_the_dot_is_harmless_and_after_it_uncertain(office, case_id, dot):
    (mine,) = claim(office)
    if dot:
        post.before_dot(office, "one", mine.letter_id, now=NOW)
    assert post.release(office, owner_is_dead=never, now=SOON) == 0
    assert post.release(office, owner_is_dead=lambda owner: owner == "one", now=SOON) == 1
    assert letter_of(office, case_id).state == ("uncertain" if dot else "queued")
    assert len(claim(office, now=SOON, owner="two")) == (0 if dot else 1)
    assert verify(office.book).problems == ()


def test_the_receipt_copy_settles_what_nobody_could_know(office, case_id):
    post_all(office, result=post.Unknown("the line died"))
    letter = letter_of(office, case_id)
    assert letter.state == "uncertain"
    assert file_mail(office, copy_of(office, letter), now=SOON).state == "own"
    case = case_of(office, case_id)
    assert (case.letters[0].state, case.row.stage) == ("sent", "acknowledged")
    assert post.settle_uncertain(office, last_complete_poll=NOW + timedelta(days=1), now=NOW + timedelta(days=1)) == 0
    assert verify(office.book).problems == ()


def test_without_a_receipt_copy_the_same_letter_goes_again_after_a_complete_look(office, case_id):
    post_all(office, result=post.Unknown("the line died"))
    first = letter_of(office, case_id).message_id
    wait = timedelta(seconds=900)
    assert post.settle_uncertain(office, last_complete_poll=None, now=NOW + 2 * wait) == 0
    assert post.settle_uncertain(office, last_complete_poll=NOW + wait, now=NOW + 2 * wait) == 0
    later = NOW + wait + timedelta(seconds=1)
    assert post.settle_uncertain(office, last_complete_poll=later, now=later) == 1
    assert [claimed.message_id for claimed in post_all(office, now=later)] == [first]
    assert len(case_of(office, case_id).messages) == 2


def test_a_handlers_uncertain_letter_is_never_sent_again_by_itself(office, case_id):
    post_all(office)
    words = Words(message="Hello")
    letter = correspondence.draft(office, case_id, LetterKind.REPLY, words=words, actor=AMARA, now=NOW)
    correspondence.send(office, letter, actor=AMARA, now=NOW)
    post_all(office, now=SOON, result=post.Unknown("the line died"))
    much_later = NOW + timedelta(days=9)
    assert post.settle_uncertain(office, last_complete_poll=much_later, now=much_later) == 0
    assert letter_of(office, case_id, 1).state == "uncertain"
    undelivered.settle(office, letter, False, actor=AMARA, now=much_later)
    assert letter_of(office, case_id, 1).state == "cancelled"
    with pytest.raises(Refused, match="there is nothing to settle"):
        undelivered.settle(office, letter, True, actor=AMARA, now=much_later)


def test_a_letter_put_off_is_tried_for_days_and_then_fails(office, case_id):
    now, tries = NOW, 0
    while claimed := claim(office, now=now):
        post.before_dot(office, "one", claimed[0].letter_id, now=now)
        post.record(office, "one", [post.Carried(claimed[0].letter_id, post.Deferred("450 later"))], now=now)
        tries += 1
        now = letter_of(office, case_id).next_try_at or now
        if letter_of(office, case_id).state == "failed":
            break
    assert timedelta(days=4) < now - NOW < timedelta(days=6)
    case = case_of(office, case_id)
    assert (case.letters[0].state, case.letters[0].error, case.row.undelivered) == ("failed", "450 later", True)
    assert case.row.stage == "received" and tries > 10
    assert verify(office.book).problems == ()


def test_a_refused_letter_stands_first_in_the_queue_until_it_is_sent_again(office, case_id):
    post_all(office, result=post.Rejected("550 no such user"))
    case = case_of(office, case_id)
    assert (case.letters[0].state, case.row.undelivered) == ("failed", True)
    with pytest.raises(Refused, match="cannot have arrived"):
        undelivered.settle(office, case.letters[0].id, True, actor=AMARA, now=SOON)
    undelivered.resend(office, case.letters[0].id, actor=AMARA, now=SOON)
    with pytest.raises(Refused, match="only a failed, bounced or uncertain"):
        undelivered.resend(office, case.letters[0].id, actor=AMARA, now=SOON)
    post_all(office, now=SOON)
    case = case_of(office, case_id)
    assert (case.letters[0].state, case.row.undelivered, case.row.stage) == ("sent", False, "acknowledged")
    assert verify(office.book).problems == ()


def test_a_letter_that_came_back_goes_as_another_one_to_the_corrected_address(office, case_id):
    post_all(office)
    letter = written(office, case_id)
    post_all(office, now=SOON)
    back = letter_of(office, case_id, 1).message_id

    def report():
        return a_mail(sender="", kind=Kind.BOUNCE, failed_message_ids=(back,), gave_up=True, permanent_failure=True)

    file_mail(office, report(), now=SOON)
    assert letter_of(office, case_id, 1).state == "bounced"
    with pytest.raises(Refused, match="could not be delivered to"):
        undelivered.send_to(office, letter, "edith@example.org", actor=AMARA, now=SOON)
    new = undelivered.send_to(office, letter, " Edith.K@example.org", actor=AMARA, now=SOON)
    case = case_of(office, case_id)
    old, anew = (next(one for one in case.letters if one.id == number) for number in (letter, new))
    assert (old.state, old.to_address, anew.state, anew.to_address) == (
        "cancelled",
        "edith@example.org",
        "queued",
        "edith.k@example.org",
    )
    assert anew.body == old.body and anew.message_id != old.message_id
    assert (case.row.complainant_address, case.row.undelivered) == ("edith.k@example.org", False)
    assert {"address-corrected", "letter-written-anew"} <= {event.kind for event in case.events}
    assert post_all(office, now=SOON) == []  # it is held, as any letter of a handler
    (claimed,) = post_all(office, now=SOON + timedelta(seconds=31))
    message = message_from_bytes(claimed.raw, policy=policy.default)
    assert (claimed.to, message["To"].addresses[0].addr_spec) == ("edith.k@example.org", "edith.k@example.org")
    assert message["Message-ID"] == f"<{anew.message_id}>"
    file_mail(office, report(), now=SOON + timedelta(minutes=5))
    assert not case_of(office, case_id).row.undelivered  # a second report on the old one changes nothing
    assert verify(office.book).problems == ()


def test_what_is_sent_again_follows_an_address_that_was_corrected_meanwhile(office, case_id):
    post_all(office, result=post.Rejected("550 no such user"))
    failed = letter_of(office, case_id).id
    undelivered.correct_address(office, case_id, "new@example.org", actor=AMARA, now=SOON)
    new = undelivered.resend(office, failed, actor=AMARA, now=SOON)
    assert new != failed
    assert [claimed.to for claimed in post_all(office, now=SOON)] == ["new@example.org"]
    case = case_of(office, case_id)
    assert (case.row.stage, case.row.undelivered) == ("acknowledged", False)
    assert "Auto-Submitted" in case_raw(office, new)
    assert verify(office.book).problems == ()


def test_a_letter_written_anew_is_called_back_like_any_other(office, case_id):
    post_all(office)
    letter = written(office, case_id, LetterKind.FINAL_RESPONSE)
    post_all(office, now=SOON, result=post.Rejected("550 no such user"))
    new = undelivered.send_to(office, letter, "new@example.org", actor=AMARA, now=SOON)
    correspondence.call_back(office, new, actor=AMARA, now=SOON)
    case = case_of(office, case_id)
    assert (case.outcome, case.row.stage) == (None, "acknowledged")
    assert verify(office.book).problems == ()


def test_what_was_claimed_and_not_begun_is_given_back(office, case_id):
    (mine,) = claim(office)
    post.give_back(office, "one", [mine.letter_id], error="no connection", now=NOW)
    assert (letter_of(office, case_id).state, letter_of(office, case_id).error) == ("queued", "no connection")
    assert len(claim(office, owner="two")) == 1


def test_an_answer_that_comes_after_the_copy_changes_nothing(office, case_id):
    (mine,) = claim(office)
    post.before_dot(office, "one", mine.letter_id, now=NOW)
    file_mail(office, copy_of(office, letter_of(office, case_id)))
    post.record(office, "one", [post.Carried(mine.letter_id, post.Unknown("timeout"))], now=SOON)
    case = case_of(office, case_id)
    assert case.letters[0].state == "sent" and len(case.messages) == 2


def test_four_daemons_claim_every_letter_once(office, tmp_path):
    for n in range(12):
        open_case(office, a_mail(sender=f"p{n}@example.org"))
    others = [an_office(tmp_path, url=office.settings.database.url) for _ in range(4)]
    gone, errors = [], []

    def run(n, mine):
        try:
            while claimed := patiently(lambda: post.claim(mine, f"daemon {n}", limit=2, now=NOW)):
                for letter in claimed:
                    if patiently(lambda i=letter.letter_id: post.before_dot(mine, f"daemon {n}", i, now=NOW)):
                        gone.append(letter.letter_id)
                        done = [post.Carried(letter.letter_id, post.Accepted("250 ok"))]
                        patiently(lambda done=done: post.record(mine, f"daemon {n}", done, now=NOW))
        except Exception as fault:
            errors.append(fault)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and sorted(gone) == list(range(1, 13))
    assert verify(office.book).problems == ()
    for other in others:
        other.book.close()


def test_a_letter_is_either_called_back_or_sent_and_never_both(office, tmp_path):
    """Undo at the very moment at which the outbox claims."""
    other = an_office(tmp_path, url=office.settings.database.url)
    for _ in range(8):
        case_id = open_case(office, a_mail(answerable=False))
        words = Words(message="Hello")
        letter = correspondence.draft(office, case_id, LetterKind.REPLY, words=words, actor=AMARA, now=NOW)
        correspondence.send(office, letter, actor=AMARA, now=NOW)
        gate = threading.Barrier(2)
        told = {}

        def undo(letter=letter, gate=gate, told=told):
            gate.wait()
            try:
                patiently(lambda: correspondence.call_back(office, letter, actor=AMARA, now=SOON))
                told["back"] = True
            except Refused:
                told["back"] = False

        def send(gate=gate, told=told):
            gate.wait()
            told["sent"] = len(patiently(lambda: post_all(other, now=SOON)))

        threads = [threading.Thread(target=undo), threading.Thread(target=send)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert told["back"] != bool(told["sent"]), told
        assert letter_of(office, case_id).state == ("draft" if told["back"] else "sent")
    assert verify(office.book).problems == ()
    other.book.close()


def patiently(act):
    for _ in range(30):
        try:
            return act()
        except TryLater:
            continue
    raise AssertionError("busy for ever")


def test_our_own_words_are_known_whatever_the_road_did_to_their_spaces():
    assert filing._same_words("Dear Edith,\n\nHello", "Dear Edith,\r\n Hello\n")
    assert not filing._same_words("Dear Edith", "Dear Eve")


def test_a_letter_is_stored_with_the_bytes_that_leave(office, case_id):
    (mine,) = claim(office)
    with office.book.read() as session:
        assert session.get(Letter, mine.letter_id).raw == mine.raw


def written(office, case_id, kind=LetterKind.REPLY, *, text="Hello.", now=NOW):
    """A letter by Amara on its way (or, a final response, resolved)."""
    letter = correspondence.draft(office, case_id, kind, actor=AMARA, now=now)
    correspondence.save(office, letter, text, actor=AMARA, now=now)
    if kind is LetterKind.FINAL_RESPONSE:
        correspondence.respond(office, letter, Finding(Outcome.NOT_UPHELD), actor=AMARA, now=now, anyway=True)
    else:
        correspondence.send(office, letter, actor=AMARA, now=now, anyway=True)
    return letter


def test_an_undone_letter_takes_no_number_from_those_that_follow(on_sqlite):
    case_id = open_case(on_sqlite)
    post_all(on_sqlite)
    first = written(on_sqlite, case_id, text="One.")
    correspondence.call_back(on_sqlite, first, actor=AMARA, now=NOW)
    correspondence.send(on_sqlite, first, actor=AMARA, now=NOW, anyway=True)
    post_all(on_sqlite, now=SOON)
    written(on_sqlite, case_id, text="Two.", now=NOW + timedelta(days=2))
    replies = [one for one in case_of(on_sqlite, case_id).letters if one.kind == "reply"]
    assert [one.state for one in replies] == ["sent", "queued"]
    assert len({one.message_id for one in replies}) == 2


def test_a_letter_whose_name_does_not_fit_into_our_address_leaves_without_it(tmp_path):
    ours = "complaints.and.feedback@northwind.example"
    office = an_office(tmp_path, organisation={"address": ours}, letters={"undo_seconds": 0})
    case_id = open_case(office)
    post_all(office)
    written(office, case_id)
    open_case(office, a_mail(sender="other@example.org"))
    by_hand, automatic = claim(office, now=SOON)
    assert by_hand.envelope_from == ours
    assert tokens.verify_bounce_address(automatic.envelope_from, ours, key=office.key) == automatic.message_id
    office.book.close()


def renamed_pack(tmp_path):
    """A folder with a pack of the same name as the shipped one, whose recurring deadline has another id."""
    shipped = (config_folder() / "policies" / "iso-10002-default.toml").read_text(encoding="utf-8")
    assert '"status"' in shipped
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "iso-10002-default.toml").write_text(shipped.replace('"status"', '"news"'), encoding="utf-8")
    return str(folder)


def test_a_deadline_that_left_the_pack_is_met_and_stops_no_letter(on_sqlite, tmp_path):
    case_id = open_case(on_sqlite)
    post_all(on_sqlite)
    url = on_sqlite.settings.database.url
    changed = an_office(tmp_path, url=url, policy={"folder": renamed_pack(tmp_path)}, letters={"undo_seconds": 0})
    written(changed, case_id, LetterKind.PROGRESS_UPDATE)
    other = open_case(changed, a_mail(sender="other@example.org"))
    post_all(changed)
    assert [letter.state for letter in case_of(changed, case_id).letters] == ["sent", "sent"]
    assert [letter.state for letter in case_of(changed, other).letters] == ["sent"]
    assert verify(changed.book).problems == ()
    changed.book.close()


@pytest.mark.parametrize("by", ["record", "release"])
def test_a_letter_that_cannot_be_written_down_is_uncertain_alone(office, monkeypatch, by):
    cases = [open_case(office, a_mail(sender=f"p{n}@example.org")) for n in range(3)]
    claimed = claim(office)
    for letter in claimed:
        post.before_dot(office, "one", letter.letter_id, now=NOW)
    done = [post.Carried(letter.letter_id, post.Accepted("250 ok")) for letter in claimed]
    moves_on = post._move_on

    def stumble(file, letter, **how):
        if letter.case_id == cases[1]:
            raise KeyError("no such rule")
        moves_on(file, letter, **how)

    monkeypatch.setattr(post, "_move_on", stumble)
    if by == "record":
        assert post.record(office, "one", done, now=NOW) == (claimed[1].letter_id,)
    else:
        last = claim_one_more(office)
        assert post.before_dot(office, "one", last, accepted=done, now=NOW)
        assert post.release(office, owner_is_dead=lambda owner: True, now=SOON) == 4
    assert [letter_of(office, case_id).state for case_id in cases] == ["sent", "uncertain", "sent"]
    assert "no such rule" in letter_of(office, cases[1]).error
    much_later = NOW + timedelta(days=1)
    post.settle_uncertain(office, last_complete_poll=much_later, now=much_later)
    assert letter_of(office, cases[1]).state == "uncertain"
    assert verify(office.book).problems == ()


def claim_one_more(office):
    open_case(office, a_mail(sender="last@example.org"))
    (last,) = claim(office)
    return last.letter_id


@pytest.mark.parametrize("stale", [post.Deferred("450 later"), post.Rejected("550 not from here")])
def test_what_a_late_owner_says_does_not_count(office, monkeypatch, stale):
    """Its lease ran out, another took the letter over and has sent the dot."""
    case_id = open_case(office)
    (mine,) = claim(office, owner="slow")
    wall = office.wall
    office.wall = lambda: wall() + post.LEASE + timedelta(minutes=1)
    assert post.release(office, owner_is_dead=never, now=SOON) == 1
    assert len(claim(office, now=SOON, owner="quick")) == 1
    assert post.before_dot(office, "quick", mine.letter_id, now=SOON)
    post.record(office, "slow", [post.Carried(mine.letter_id, stale)], now=SOON)
    assert letter_of(office, case_id).state == "sending"
    post.record(office, "quick", [post.Carried(mine.letter_id, post.Accepted("250 ok"))], now=SOON)
    assert letter_of(office, case_id).state == "sent"
    assert claim(office, now=NOW + timedelta(hours=1)) == []


def test_letters_that_wait_their_turn_behind_a_slow_server_stay_ours(office):
    for n in range(3):
        open_case(office, a_mail(sender=f"p{n}@example.org"))
    claimed, wall = claim(office), office.wall
    for n, letter in enumerate(claimed):
        office.wall = lambda n=n: wall() + n * timedelta(minutes=10)
        assert post.release(office, owner_is_dead=never, now=SOON) == 0
        assert post.before_dot(office, "one", letter.letter_id, now=SOON)


@pytest.mark.parametrize("by", ["release", "receipt"])
def test_a_letter_that_left_in_time_is_no_breach_however_late_we_learn_of_it(office, by):
    case_id = open_case(office)
    (mine,) = claim(office)
    assert post.before_dot(office, "one", mine.letter_id, now=NOW)
    late = NOW + timedelta(days=9)
    while (due := clockwork.next_instant(office, now=office.now())) is not None and due <= late:
        clockwork.tick(office, now=late)
    assert [d.state for d in case_of(office, case_id).deadlines if d.kind == "ack"] == ["breached"]
    if by == "release":
        last = claim_one_more(office)
        accepted = [post.Carried(mine.letter_id, post.Accepted("250 ok"))]
        assert post.before_dot(office, "one", last, accepted=accepted, now=NOW)
        post.release(office, owner_is_dead=lambda owner: True, now=late)
    else:
        file_mail(office, copy_of(office, letter_of(office, case_id)), now=late)
    case = case_of(office, case_id, now=late)
    (owed,) = [deadline for deadline in case.deadlines if deadline.kind == "ack"]
    assert (owed.state, owed.met_at, owed.breached_at) == ("met", NOW, None)
    assert (case.letters[0].sent_at, case.row.stage) == (NOW, "acknowledged")
    told = [event.kind for event in case.events if event.kind.startswith("deadline-") and "ack" in str(event.data)]
    told = [kind for kind in told if kind not in ("deadlines-started", "deadline-warning")]
    assert told == ["deadline-breached", "deadline-breach-corrected", "deadline-met"]
    assert verify(office.book).problems == ()


def test_an_old_final_response_does_not_stop_the_clocks_of_the_review(on_sqlite):
    office, case_id = on_sqlite, open_case(on_sqlite)
    post_all(office)
    final = written(office, case_id, LetterKind.FINAL_RESPONSE)
    post_all(office, now=SOON, result=post.Unknown("cut"))
    review = NOW + timedelta(days=3)
    handling.reopen(office, case_id, "They disagree.", actor=AMARA, now=review)
    owed = sorted(d.kind for d in case_of(office, case_id, now=review).deadlines if d.state == "open")
    with pytest.raises(Refused, match="no longer its answer"):
        undelivered.resend(office, final, actor=AMARA, now=review)
    undelivered.settle(office, final, True, actor=AMARA, now=review + timedelta(hours=1))
    case = case_of(office, case_id, now=review)
    assert case.letters[1].state == "sent" and "response" in owed
    assert sorted(d.kind for d in case.deadlines if d.state == "open") == owed
    assert verify(office.book).problems == ()


def test_a_letter_that_is_sent_again_cannot_be_called_back(on_sqlite):
    office, case_id = on_sqlite, open_case(on_sqlite)
    post_all(office)
    letter = written(office, case_id)
    post_all(office, now=SOON, result=post.Unknown("cut"))
    undelivered.resend(office, letter, actor=AMARA, now=SOON)
    with pytest.raises(Refused, match="Too late"):
        correspondence.call_back(office, letter, actor=AMARA, now=SOON)
    assert letter_of(office, case_id, 1).state == "queued"


def test_nothing_is_sent_again_on_a_closed_case(on_sqlite):
    office, case_id = on_sqlite, open_case(on_sqlite)
    post_all(office)
    letter = written(office, case_id)
    post_all(office, now=SOON, result=post.Rejected("550 no such user"))
    handling.close(office, case_id, outcome=Outcome.WITHDRAWN, reason="They said so.", actor=AMARA, now=SOON)
    with pytest.raises(Refused, match="is closed; reopen it"):
        undelivered.resend(office, letter, actor=AMARA, now=SOON)


def test_what_a_handler_knows_of_a_letter_is_told_as_theirs(on_sqlite):
    office, case_id = on_sqlite, open_case(on_sqlite)
    post_all(office, result=post.Unknown("cut"))
    undelivered.settle(office, letter_of(office, case_id).id, True, actor=AMARA, now=SOON)
    told = [event for event in case_of(office, case_id).events if event.kind in ("letter-settled", "letter-sent")]
    assert [(event.actor, event.kind) for event in told] == [("amara", "letter-settled"), ("amara", "letter-sent")]
    assert told[1].data["because"] == "a handler said that it arrived"
    assert verify(office.book).problems == ()
