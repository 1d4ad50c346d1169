"""The handlers' commands, each as the shell runs it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from amends.cases.outcomes import Outcome
from amends.casework import handling, post, undelivered
from amends.casework.actors import Actor
from amends.kernel.instants import wall_clock
from amends.ledger import views
from amends.mail.facts import Kind
from tests.builders import AMARA, a_mail, case_of, file_mail, id_of, post_all
from tui.cli import hoisted
from tui.lines import Desk, cut, due_in_words, width

QUEUE_FIELDS = {
    *("reference", "subject", "complainant", "stage", "waiting", "severity", "handler", "received_at"),
    *("next_deadline", "messages", "unread"),
}


@pytest.fixture
def ref(office):
    """A case that came just now."""
    return file_mail(office, a_mail(), now=wall_clock()).reference


def held_message(office):
    file_mail(office, a_mail(sender="stranger@example.net", subject="About NW-2026-000001-00", text="Me too"))
    (reference,) = [file_mail(office, a_mail(), now=wall_clock()).reference]
    filed = file_mail(office, a_mail(sender="stranger@example.net", subject=f"Re: {reference}"), now=wall_clock())
    assert filed.state == "held"
    return filed.arrival_id, reference


# Lists


def test_the_queue_as_json_has_the_fields_that_scripts_rely_on(shell, ref):
    (row,) = shell("queue", "--json").json
    assert set(row) == QUEUE_FIELDS
    assert row["complainant"] == {"name": "Edith Kowalski", "address": "edith@example.org"}
    assert row["next_deadline"]["state"] == "open"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["received_at"])


def test_the_queue_in_words_fits_eighty_columns_and_says_what_is_due(shell, office, ref):
    file_mail(office, a_mail(name="Wei " * 40, subject="長い件名" * 40), now=wall_clock())
    lines = shell("queue").out.splitlines()
    assert max(width(line) for line in lines) <= 80
    assert lines[0].split() == ["REFERENCE", "DUE", "STAGE", "NEW", "HANDLER"]
    assert re.fullmatch(rf"{ref}  ACK .*  received  1 new  nobody", lines[1])
    assert lines[2] == "    Edith Kowalski: No heating since Friday"


def test_an_empty_list_says_so(shell):
    assert shell("queue").out == "No cases here.\n"
    assert shell("outbox").out == "Every letter has been sent.\n"
    assert shell("held").out == "Nothing is held.\n"
    assert shell("quarantine").out == "Nothing is in quarantine.\n"
    assert shell("queue", "--json").json == []


def test_each_view_shows_its_own_cases(shell, office):
    mine, waiting, closed, late = (
        file_mail(office, a_mail(), now=wall_clock() - timedelta(days=n)).reference for n in (0, 0, 0, 60)
    )
    shell("take", mine)
    shell("wait", waiting, "--for", "complainant", "--reason", "photographs")
    shell("close", closed, "--outcome", "withdrawn", "--reason", "sorted out")

    def seen(view):
        return {row["reference"] for row in shell("queue", "--view", view, "--json").json}

    assert seen("mine") == {mine}
    assert seen("waiting") == {waiting}
    assert seen("late") == {late}
    assert seen("nobody") == {waiting, late, closed}  # what came on the closed case is not read yet
    shell("read", closed)
    assert seen("open") == {mine, waiting, late}
    assert seen("closed") == {closed}
    assert len(shell("queue", "--limit", "2", "--json").json) == 2


def test_search_finds_by_reference_name_and_words(shell, office, ref):
    other = file_mail(office, a_mail(sender="bob@example.org", name="Bob", text="mould"), now=wall_clock()).reference

    def found(*words):
        return [row["reference"] for row in shell("search", *words, "--json").json]

    assert found(ref.lower()) == [ref]
    assert found("kowal") == [ref]
    assert found("mould") == [other]
    assert found("no", "such", "thing") == []
    assert other in shell("search", "mould").out


def test_a_search_that_finds_nothing_has_status_1(shell, ref):
    said = shell("search", "zzzqq")
    assert (said.status, said.out) == (1, "")
    assert said.err == "amends: No case is found; try fewer or other words.\n"
    said = shell("search", "zzzqq", "--json")
    assert (said.status, said.json, said.err) == (1, [], "")


def test_a_word_that_an_option_does_not_know_is_told_without_the_words_of_a_library(shell, ref):
    said = shell("assess", ref, "--severity", "urgent")
    assert said.status == 2
    assert said.err.startswith("amends: Invalid value for '--severity': 'urgent' is not one of 'low', ")


# One case


def test_show_as_json_has_the_case_whole(shell, office, ref):
    post_all(office, now=wall_clock())
    case = shell("show", ref, "--json").json
    assert QUEUE_FIELDS | {"outcome", "remedy", "root_cause", "deadlines", "messages", "letters", "events"} <= set(case)
    assert {"kind", "due_at", "state", "basis", "met_at", "derivation"} <= set(case["deadlines"][0])
    assert case["deadlines"][0]["derivation"][-1].startswith("due by the end of ")
    assert [m["direction"] for m in case["messages"]] == ["in", "out"]
    assert {*case["messages"][0]} == {
        *("message_id", "direction", "at", "from", "to", "subject", "kind", "text", "new_text", "attachments", "match"),
    }
    assert case["messages"][0]["match"]["case"] == ref  # also of the message that opened it
    assert case["letters"][0]["state"] == "sent"
    assert set(case["events"][0]) == {"at", "actor", "kind", "data", "hash"}


def test_show_in_words_reads_from_top_to_bottom(shell, office, ref):
    shell("note", ref, "Rang her; no answer.")
    said = shell("show", ref, "--history").out
    places = [said.index(word) for word in (ref, "From:", "Deadlines:", "Messages:", "Letters:", "Notes:", "History:")]
    assert places == sorted(places)
    assert "My flat has had no heating since Friday." in said
    assert max(width(line) for line in said.splitlines()) <= 80


def test_the_commands_use_the_words_of_the_screens_and_json_those_of_the_machine(shell, office, ref):
    post_all(office, now=wall_clock())
    shell("letter", ref, "--text", "We look into it.")
    shell("draft", ref, "--kind", "progress-update")
    said = shell("show", ref, "--history").out
    assert "Letter 1, acknowledgement, sent, to " in said
    assert "Letter 2, on its way, to " in said
    assert "Letter 3, progress update, draft, not sent, to " in said
    assert ": letter sent: Acknowledgement\n" in said and ": ACK met\n" in said
    assert "UPDATE" in shell("queue").out
    assert "on its way" in shell("outbox").out
    for machine in ("letter-sent", "progress-update", "queued", "deadline-met"):
        assert machine not in said + shell("queue").out + shell("outbox").out
    assert [one["state"] for one in shell("show", ref, "--json").json["letters"]] == ["sent", "queued", "draft"]
    assert shell("queue", "--json").json[0]["next_deadline"]["kind"] == "status"


def test_what_strangers_wrote_cannot_reach_the_terminal_as_a_command(shell, office):
    evil = "\x1b]0;owned\x07\x9b31m\u202egpj.exe\x00"
    reading = a_mail(
        name=f"Edith{evil}", subject=f"Sub{evil}", text=f"Text{evil}\nmore", attachments=[(f"a{evil}.pdf", "x/y", b"1")]
    )
    ref = file_mail(office, reading, now=wall_clock()).reference
    said = shell("show", ref).out + shell("queue").out + shell("search", "Edith").out
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", said)


def test_a_case_is_named_by_its_reference_or_by_a_serial_that_is_its_own(shell, office, ref):
    for name in (ref, ref.lower(), ref.replace("-", " "), "1", "000001", "#1"):
        assert shell("show", name, "--json").json["reference"] == ref
    last_year = wall_clock() - timedelta(days=400)
    file_mail(office, a_mail(), now=last_year)
    said = shell("show", "1")
    assert said.status == 1
    assert "Several cases have the serial 1" in said.err and ref in said.err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NW-2026-000001-99", "is no reference of ours"),
        ("99", "no case with the serial 99"),
        ("nonsense", "is no reference of ours"),
        ("\x1b[31m1", "is no reference of ours"),
        ("²", "is no reference of ours"),
    ],
)
def test_a_case_that_is_not_there_is_one_sentence_and_status_1(shell, ref, name, words):
    said = shell("show", name)
    assert (said.status, said.out) == (1, "")
    assert words in said.err and said.err.count("\n") == 1 and "\x1b" not in said.err


# Verbs


def test_a_case_is_worked_from_receipt_to_closure(shell, office, ref):
    post_all(office, now=wall_clock())
    assert shell("take", ref).out == f"{ref}: it is yours now.\n"
    assert shell("assess", ref, "--severity", "high", "--vulnerable", "--json").json["severity"] == "high"
    assert shell("investigate", ref, "--json").json["stage"] == "investigating"
    said = shell(
        *("respond", ref, "--outcome", "upheld", "--text", "The engineer came late.", "--remedy", "A new boiler"),
        *("--amount", "120", "--currency", "GBP", "--root-cause", "no spare parts", "--json"),
    )
    assert said.status == 0, said.err
    assert said.json["state"] == "queued"
    post_all(office, now=wall_clock() + timedelta(minutes=1))
    assert shell("close", ref).status == 0
    case = shell("show", ref, "--json").json
    assert (case["stage"], case["outcome"], case["handler"]) == ("closed", "upheld", "amara")
    assert case["remedy"] == {"description": "A new boiler", "amount": "120.00 GBP"}
    letter = case["messages"][-1]["text"]
    assert "You were right to complain." in letter and "The engineer came late." in letter
    assert "A new boiler (120.00 GBP)" in letter and "[[" not in letter and "no spare parts" not in letter
    assert shell("reopen", ref, "--reason", "she disagrees", "--json").json["stage"] == "investigating"


def test_a_final_response_can_be_named_as_the_letter_of_the_rules_that_it_is(shell, office, ref):
    words = ("respond", ref, "--outcome", "not upheld", "--text", "We were in time.", "--counts-as")
    assert "No policy pack of" in shell(*words, "nonsense").err
    assert not [one for one in case_of(office, ref).letters if one.kind == "final-response"]
    said = shell(*words, "final_response")
    assert said.status == 0, said.err
    (letter,) = [one for one in case_of(office, ref).letters if one.kind == "final-response"]
    assert letter.counts_as == "final_response" and letter.state == "queued"


def test_a_reply_takes_the_place_of_the_gap_in_its_template(shell, office, ref):
    said = shell("letter", ref, "--text", "We will ring you at ten.")
    assert re.search(r"leaves .*; until then: amends undo \d+", said.out)
    letter = case_of(office, ref).letters[-1]
    assert "Dear Edith Kowalski," in letter.body and "We will ring you at ten." in letter.body
    assert "[[" not in letter.body


def test_a_letter_comes_from_standard_input_or_a_file(shell, office, ref, tmp_path):
    assert shell("letter", ref, stdin="From a pipe: ü\n").status == 0
    assert "From a pipe: ü" in case_of(office, ref).letters[-1].body
    (tmp_path / "words").write_text("From a file.")
    assert shell("letter", ref, "--kind", "holding", "--file", str(tmp_path / "words")).status == 0
    assert "From a file." in case_of(office, ref).letters[-1].body
    assert shell("letter", ref, "--text", "x", "--file", str(tmp_path / "words")).status == 2
    assert shell("letter", ref, "--file", str(tmp_path / "none")).status == 2
    assert shell("note", ref, stdin="\udcff").status == 2


def test_a_whole_letter_is_sent_as_it_is_written(shell, office, ref):
    assert shell("letter", ref, "--kind", "progress-update", "--text", "Hello", "--whole").status == 0
    assert case_of(office, ref).letters[-1].body == "Hello\n"
    assert shell("letter", ref, "--kind", "progress-update", "--text", "Hello").status == 2


def test_a_draft_is_printed_kept_and_never_written_over(shell, office, ref):
    said = shell("draft", ref, "--json").json
    assert "[[your message]]" in said["body"]
    again = shell("letter", ref, "--text", "Other words")
    assert again.status == 1 and f"letter {said['id']}" in again.err
    gap = shell("send", str(said["id"]))
    assert gap.status == 1 and "Still to write" in gap.err
    assert shell("discard", str(said["id"]), "--json").json["state"] == "cancelled"


def test_the_newest_letter_is_called_back_without_its_number(shell, office, ref):
    shell("letter", ref, "--text", "First")
    shell("letter", ref, "--kind", "holding", "--text", "Second")
    assert shell("undo", "--json").json["template"] == "holding"
    assert shell("undo", "--json").json["template"] == "reply"
    said = shell("undo")
    assert said.status == 1 and "None of your letters" in said.err


def test_a_letter_that_nobody_can_know_of_is_settled_or_sent_again(shell, office, ref):
    post_all(office, now=wall_clock(), result=post.Unknown("the line died"))
    (letter,) = shell("outbox", "--json").json
    assert letter["state"] == "uncertain"
    assert "the line died" in shell("outbox").out
    assert shell("resend", str(letter["id"]), "--json").json["state"] == "queued"
    post_all(office, now=wall_clock(), result=post.Unknown("again"))
    assert shell("settle", str(letter["id"]), "--arrived", "--json").json["state"] == "sent"
    assert shell("settle", str(letter["id"]), "--given-up").status == 1


def test_a_letter_that_did_not_arrive_is_sent_to_the_address_that_is_right(shell, office, ref):
    post_all(office, now=wall_clock(), result=post.Rejected("550 5.1.1 no such user"))
    (failed,) = shell("outbox", "--json").json
    said = shell("resend", str(failed["id"]), "--to", "Edith.K@example.org")
    (instead,) = shell("outbox", "--json").json
    assert (instead["to"], instead["state"]) == ("edith.k@example.org", "queued") and instead["id"] != failed["id"]
    assert said.out == (
        f"Letter {instead['id']} on {ref} is on its way, with the words of letter {failed['id']}, which is given up.\n"
    )
    post_all(office, now=wall_clock(), result=post.Rejected("550 5.1.1 no such user"))
    with office.book.read() as session:
        case_id = views.case_id(session, ref)
    undelivered.correct_address(office, case_id, "edith@example.com", actor=AMARA, now=wall_clock())
    third = shell("resend", str(instead["id"]), "--json").json
    assert (third["to"], third["state"]) == ("edith@example.com", "queued"), (
        "the letter that leaves, not the one that is given up"
    )
    assert shell("resend", str(third["id"])).status == 1


def test_nobody_and_only_those_who_handle_can_have_a_case(shell, ref):
    assert shell("assign", ref, "sam", "--json").json["handler"] == "sam"
    assert shell("assign", ref, "nobody", "--json").json["handler"] is None
    said = shell("assign", ref, "audrey")
    assert said.status == 1 and "choose one of amara, sam" in said.err


def test_an_auditor_reads_everything_and_changes_nothing(shell, ref):
    assert shell("show", ref, login="audrey").status == 0
    for words in (("note", ref, "x"), ("take", ref), ("letter", ref, "--text", "x"), ("close", ref)):
        said = shell(*words, login="audrey")
        assert said.status == 1 and "is an auditor" in said.err


# The tray


def test_a_held_message_is_listed_with_its_candidates_and_joined(shell, office):
    message, reference = held_message(office)
    (row,) = shell("held", "--json").json
    assert set(row) == {"id", "received_at", "from", "subject", "reason", "candidates"}
    assert (row["id"], row["candidates"][0]["case"]) == (message, reference)
    assert reference in shell("held").out
    said = shell("held", "join", str(message), reference.lower())
    assert said.out == f"Message {message} is on {reference} now.\n"
    assert shell("held", "--json").json == []
    assert shell("show", reference, "--json").json["messages"][-1]["from"]["address"] == "stranger@example.net"


def test_a_held_message_is_filed_as_a_complaint_or_read_again(shell, office):
    message, _ = held_message(office)
    assert shell("held", "retry", str(message)).out == f"Message {message} is held now.\n"
    assert shell("held", "file", str(message), "--as", "praise").status == 2
    said = shell("held", "file", str(message), "--as", "complaint")
    assert said.status == 0 and f"Message {message} has opened NW-" in said.out
    assert shell("held", "file", str(message), "--as", "complaint").status == 1


def test_a_case_is_merged_taken_back_and_linked(shell, office, ref):
    other = file_mail(office, a_mail(), now=wall_clock()).reference
    stranger = file_mail(office, a_mail(sender="bob@example.org"), now=wall_clock()).reference
    said = shell("merge", other, ref)
    assert (said.status, said.out) == (0, f"{other}: it is closed, and {ref} goes on with it.\n")
    assert f"into {ref}" in shell("show", other).out and f"Took up:    {other}" in shell("show", ref).out
    refused = shell("merge", stranger, ref)
    assert refused.status == 1 and "--different-people" in refused.err
    assert shell("merge", stranger, ref, "--different-people", "--json").json["stage"] == "closed"
    assert shell("unmerge", other).out == f"{other}: it stands alone again; what came meanwhile is on {ref}.\n"
    assert shell("link", ref, other).status == 0
    assert f"Linked:     {other} (related)" in shell("show", ref).out
    assert shell("show", ref, "--json").json["linked"] == [{"case": other, "kind": "related"}]
    assert shell("unlink", other, ref).status == 0 and shell("unlink", other, ref).status == 1


def test_a_message_is_split_off_by_its_number(shell, office, ref):
    for n in (1, 2):
        file_mail(office, a_mail(subject=f"Re: {ref}", text=f"Noise {n}"), now=wall_clock())
    assert shell("split", ref, "1").status == 1  # it opened the case
    assert shell("split", ref, "9").err == f"amends: {ref} has no message 9; it has 3.\n"
    assert shell("split", ref, "3", "--hold").out == f"Message 3 of {ref} is held; see amends held.\n"
    said = shell("split", ref, "2")
    new = re.fullmatch(rf"Message 2 of {ref} has opened (\S+)\.\n", said.out)[1]
    assert case_of(office, new).messages[0].text == "Noise 1"
    assert shell("held", "--json").json[0]["candidates"][0]["case"] == ref


def test_a_late_reply_is_reviewed_or_becomes_a_linked_case(shell, office):
    then = wall_clock() - timedelta(days=100)
    ref = file_mail(office, a_mail(), now=then).reference
    who = {"actor": Actor("amara"), "now": then}
    handling.close(office, id_of(office, ref), outcome=Outcome.WITHDRAWN, reason="x", **who)
    late = [
        file_mail(office, a_mail(subject=f"Re: {ref}", text=text), now=wall_clock()).arrival_id
        for text in ("Once more", "Something else")
    ]
    listed = shell("held").out
    assert f"amends held review {late[0]} {ref}" in listed
    assert f"amends held file {late[1]} --as complaint --linked {ref}" in listed
    said = shell("held", "file", str(late[1]), "--as", "complaint", "--linked", ref)
    assert said.out.endswith(f", linked with {ref}.\n")
    assert shell("held", "review", str(late[0]), ref).status == 0
    assert case_of(office, ref).row.stage == "investigating" and len(case_of(office, ref).links) == 1


def test_blocked_addresses_are_listed_and_cleared(shell, office, ref):
    assert shell("blocked").out == "Every address may have automatic letters.\n"
    post_all(office, now=wall_clock(), result=post.Rejected("550 5.1.1 no such user"))
    (row,) = shell("blocked", "--json").json
    assert (row["address"], row["until"], row["case"]) == ("edith@example.org", None, ref)
    assert "came back as undeliverable" in shell("blocked").out
    assert shell("clear-address", "edith@example.org", login="audrey").status == 1
    assert shell("clear-address", "Edith@example.org").status == 0
    assert shell("clear-address", "edith@example.org").status == 1


def test_a_message_is_dismissed_with_a_reason(shell, office):
    message, _ = held_message(office)
    assert shell("held", "dismiss", str(message)).status == 2
    assert shell("held", "dismiss", str(message), "--why", "advertising").status == 0
    assert shell("held", "--json").json == []
    assert shell("held", "dismiss", "999", "--why", "x").status == 1


def test_the_quarantine_lists_what_looked_automatic(shell, office):
    file_mail(office, a_mail(kind=Kind.BULK, sender="news@shop.example", subject="Sale"), now=wall_clock())
    (row,) = shell("quarantine", "--json").json
    assert row["from"] == "news@shop.example" and "looks automatic" in row["reason"]


# The shell itself


def test_config_and_as_may_stand_before_or_after_the_command():
    assert hoisted(["queue", "--as", "sam", "--json", "--config=x"]) == ["--as", "sam", "--config=x", "queue", "--json"]
    assert hoisted(["held", "file", "7", "--as", "complaint"]) == ["held", "file", "7", "--as", "complaint"]
    assert hoisted(["note", "1", "--", "--as", "x"]) == ["note", "1", "--", "--as", "x"]
    assert hoisted(["queue", "--as"]) == ["--as", "queue"]


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["queue", "--view", "mad"],
        ["queue", "--limit", "0"],
        ["show"],
        ["assess", "1", "--severity", "x"],
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(shell, words):
    said = shell(*words)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("amends: ") and said.err.count("\n") == 1


def test_a_stranger_at_the_desk_and_a_missing_configuration_are_status_2(shell, capsys, tmp_path):
    from tui.__main__ import main

    said = shell("queue", login="mallory")
    assert said.status == 2 and "not among the handlers" in said.err
    assert main(["queue", "--config", str(tmp_path / "none.toml")]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_a_store_that_is_missing_or_empty_is_said_and_not_made(shell, office):
    path = office.book.path
    path.unlink()
    said = shell("queue")
    assert said.status == 2 and "amendsd migrate" in said.err
    assert not path.exists()
    path.touch()
    assert shell("queue").status == 2


def test_money_without_form_is_wrong_usage(shell, ref):
    wrong = shell("respond", ref, "--outcome", "upheld", "--text", "x", "--remedy", "y", "--amount", "ten")
    assert wrong.status == 2 and "write it like 2300.00" in wrong.err
    assert case_of(shell.office, ref).letters[-1].kind == "acknowledgement"


def test_without_a_command_the_screens_open_for_whoever_acts(shell, monkeypatch):
    opened = []
    monkeypatch.setattr("tui.app.run", lambda settings, actor, look: opened.append((settings.folder, actor.login)) or 3)
    assert shell(login="sam").status == 3
    assert opened == [(shell.config.parent.resolve(), "sam")]


def test_help_and_the_program_need_nothing_heavy():
    heavy = "{'sqlalchemy', 'textual', 'pydantic'}"
    code = f"import sys\nfrom tui.__main__ import main\nmain(['--help'])\nprint({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def as_program(shell, *words, before="", **how):
    """Run `amends` as a program of its own, after `before` in the same process."""
    argv = [*words, "--config", str(shell.config), "--as", "amara"]
    code = f"import os, sys; {before}\nfrom tui.__main__ import main; sys.exit(main({argv!r}))"
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=60, **how)


def test_output_into_a_closed_pipe_is_no_error(shell, office, ref):
    done = as_program(shell, "queue", before="r, w = os.pipe(); os.close(r); os.dup2(w, 1)", stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("queue",), ("search", "zzzqq", "--json"), ("queue", "--help")])
def test_output_onto_a_full_disk_is_one_sentence_and_status_1(shell, office, ref, words, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with Path("/dev/full").open("w") as full:
        done = as_program(shell, *words, stdout=full)
    assert done.returncode == 1
    assert done.stderr == "amends: The output cannot be written: No space left on device; it is not whole.\n"


def test_without_a_standard_output_nothing_is_printed_and_nothing_breaks(shell, office, ref):
    done = as_program(shell, "queue", before="os.close(1); sys.stdout = None", stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")


def test_json_on_a_terminal_is_ascii_alone_and_says_the_same(shell, office, ref):
    evil = "\x9b31m\u202egpj.exe\x7f"
    file_mail(office, a_mail(subject=f"José{evil}"), now=wall_clock())
    ours, theirs = os.openpty()
    shown = as_program(shell, "queue", "--json", stdout=theirs)
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
        while piece := os.read(ours, 65536):
            written += piece
    os.close(ours)
    assert shown.returncode == 0
    assert not re.search(rb"[^\n\r -~]", written)
    assert json.loads(written) == shell("queue", "--json").json
    assert "José" in shell("queue", "--json").out


def test_what_somebody_wrote_into_the_store_by_hand_cannot_reach_the_terminal_as_a_command(shell, office, ref):
    case_id = id_of(office, ref)
    shell("note", ref, "Rang her.")
    evil = "'x' || char(27) || ']0;owned' || char(7) || char(8238)"
    columns = {
        "cases": ("reference", "stage", "handler", "severity", "waiting", "outcome", "next_deadline"),
        "deadlines": ("label", "state", "basis"),
        "letters": ("kind", "state", "error"),
        "notes": ("author",),
        "messages": ("kind", "from_address"),
    }
    with office.book.write() as session:
        for table, names in columns.items():
            for name in names:
                key = "id" if table == "cases" else "case_id"
                session.connection().exec_driver_sql(
                    f"UPDATE {table} SET {name} = {evil} || coalesce({name}, '') WHERE {key} = {case_id}"
                )
    said = shell("show", "1", "--history").out + shell("queue").out + shell("outbox").out
    assert said.count("owned") > 10
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", said)
    assert "‹RLO›" in said


def test_due_dates_are_said_in_words():
    now = wall_clock().replace(year=2026, month=11, day=23, hour=9, minute=0, second=0, microsecond=0)
    desk = Desk(now.tzinfo, now)
    said = [due_in_words(now + timedelta(**d), desk) for d in ({"days": -3}, {"hours": -1}, {"hours": 8}, {"days": 1})]
    assert said == ["late 3 days", "late 1 hour", "today 17:00", "tomorrow"]
    assert due_in_words(now + timedelta(days=42), desk) == "4 Jan 2027"


def test_wide_letters_are_cut_by_columns_not_by_number():
    assert cut("長い件名です", 7) == "長い件…"
    assert width("é") == 1 and json.dumps(cut("abc", 3)) == '"abc"'


def test_the_instants_of_an_event_are_written_as_all_others_in_json(shell, ref):
    case = shell("show", ref, "--json").json
    instants = [one for event in case["events"] for name, one in event["data"].items() if name.endswith("_at") and one]
    assert instants
    assert all(one.endswith("Z") for one in instants)


# What the policy packs ask


def test_what_no_pack_asks_or_knows_is_refused_with_what_may_be_said(shell, office, ref):
    assert (shell("fact", ref, "product").status, shell("event", ref, "x", "--at", "soon").status) == (2, 2)
    said = shell("fact", ref, "product=loan")
    assert (said.status, said.out) == (1, "") and "No policy pack of" in said.err
    said = shell("event", ref, "eclipse")
    assert said.status == 1 and "acknowledgement" in said.err


def test_an_event_that_a_handler_records_stands_in_the_ledger(shell, office, ref):
    assert shell("event", ref, "acknowledgement").out.endswith("acknowledgement is recorded.\n")
    case = shell("show", ref, "--json").json
    assert case["events"][-1]["kind"] == "event-recorded"
    assert {one["kind"]: one["state"] for one in case["deadlines"]}["ack"] == "met"


def test_more_time_is_given_with_a_notice_and_refused_where_the_rule_allows_none(shell, office, ref):
    day = f"{wall_clock() + timedelta(days=40):%Y-%m-%d}"
    said = shell("extend", ref, "response", "--to", day, "--reason", "The surveyor is ill.")
    assert said.status == 0 and f"with it response moves to {day}.\n" in said.out
    assert shell("extend", ref, "ack", "--to", day, "--reason", "x").status == 1
    assert shell("extend", ref, "response", "--to", "soon", "--reason", "x").status == 2
