"""What a writer added, told apart from what the writer's program quoted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amends.mail.quotes import new_text
from amends.mail.read import read
from tests.mail.letters import mail

QUOTED = "> Dear Ada,\n> we are looking into it.\n>\n> Northwind"


@pytest.mark.parametrize(
    "attribution",
    [
        "On Mon, 2 Nov 2026 at 10:00, Northwind <complaints@northwind.example> wrote:",
        "On Mon, 2 Nov 2026 at 10:00, Northwind Homes\n<complaints@northwind.example> wrote:",
        "Am 02.11.2026 um 10:00 schrieb Northwind <complaints@northwind.example>:",
        "Le 2 nov. 2026 à 10:00, Northwind <complaints@northwind.example> a écrit :",
        "El 2/11/2026 a las 10:00, Northwind escribió:",
        "Il giorno lun 2 nov 2026 alle ore 10:00 Northwind <c@northwind.example> ha scritto:",
        "Op ma 2 nov 2026 om 10:00 schreef Northwind <c@northwind.example>:",
        "Den 2 nov. 2026 kl. 10:00 skrev Northwind <c@northwind.example>:",
        "W dniu 2.11.2026 o 10:00, Northwind napisał(a):",
        "2 ноября 2026 г., в 10:00, Northwind <c@northwind.example> написал(а):",
        "2026年11月2日(月) 10:00 Northwind <c@northwind.example>:",
        "2026-11-02 10:00 GMT+01:00 Northwind <c@northwind.example>:",
        "-----Original Message-----",
        "---------- Forwarded message ---------",
        "_____________________\nFrom: Northwind <c@northwind.example>\nSent: 2 November 2026\nTo: Ada\nSubject: x",
        "Von: Northwind <c@northwind.example>\nGesendet: Montag, 2. November 2026 10:00\nAn: Ada\nBetreff: x",
        "De : Northwind <c@northwind.example>\nEnvoyé : lundi 2 novembre 2026 10:00\nÀ : Ada\nObjet : x",
        "*From:* Northwind <c@northwind.example>\n*Sent:* Monday\n*To:* Ada\n*Subject:* x",
        "===== Please reply above this line =====",
    ],
)
def test_the_mail_below_an_answer_is_cut(attribution: str):
    assert new_text(f"No, it is not solved.\n\n{attribution}\n\n{QUOTED}") == "No, it is not solved."


def test_answers_within_a_quotation_are_kept():
    text = (
        "On Mon, 2 Nov 2026 at 10:00, Northwind <c@northwind.example> wrote:\n\n"
        "> Was the engineer there?\n\nNo.\n\n> Shall we send one?\n\nYes, please.\n\n-- \nAda"
    )
    assert new_text(text) == "No.\n\nYes, please."


def test_an_answer_below_the_quotation_is_kept():
    text = f"On Mon, 2 Nov 2026 at 10:00, Northwind <c@northwind.example> wrote:\n{QUOTED}\n\nIt is not solved."
    assert new_text(text) == "It is not solved."


def test_what_a_writer_quotes_of_a_contract_is_the_writers_own():
    text = "> Repairs are done within 24 hours.\n\nThat is what you promised."
    assert new_text(text) == text


@pytest.mark.parametrize(
    "ending",
    [
        "-- \nAda Byron\n12 Mill Lane",
        "--\nAda",
        "Sent from my iPhone",
        "Von meinem iPhone gesendet",
        "Get Outlook for Android<https://x.example>",
    ],
)
def test_signatures_are_cut(ending: str):
    assert new_text(f"It is broken.\n\n{ending}") == "It is broken."


@pytest.mark.parametrize(
    "text",
    [
        "I wrote:\nplease help.\nAnd nothing happened.",
        "The dates:\nDate: 3 May\nFrom: London\nThen nothing.",
        "I was told the following:\n\n- wait\n- wait longer",
        "On Monday I called. On Tuesday I wrote to you again about this.",
        "--\nI begin with a line.",
        "Option A -- the better one -- was refused.",
        "Facts:\n------\n1. It is cold.",
        "Order no: 12\nSize: 3\nColour: red\n\nAll wrong.",
    ],
)
def test_nothing_that_a_person_wrote_is_cut(text: str):
    assert new_text(text) == text


def test_a_mail_that_only_quotes_says_nothing_new():
    assert new_text(f"On Mon, 2 Nov 2026 at 10:00, N <c@northwind.example> wrote:\n\n{QUOTED}") == ""


def test_quotations_that_html_marks_are_cut_and_kept_in_the_whole():
    html = '<p>Still cold.</p><div class="gmail_quote">On Monday N wrote:<blockquote>Dear Ada</blockquote></div>'
    reading = read(mail(html, type_="text/html"))
    assert reading.new_text == "Still cold."
    assert "Dear Ada" in reading.text


LINES = st.sampled_from(
    [
        "",
        "words",
        "> words",
        ">",
        "--",
        "-- ",
        "On 1 May 2026, a@b.c wrote:",
        "From: a@b.c",
        "To: x",
        "Subject: x",
        "Sent: x",
        "____________",
        "-----Original Message-----",
        "Sent from my x",
        "wrote:",
        "> On 1 May a@b.c wrote:",
        "* From:",
        "x" * 300,
        "a@b.c 2026:",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, max_size=40))
def test_every_line_that_is_kept_was_written(lines: list[str]):
    kept = new_text("\n".join(lines)).split("\n")
    assert set(kept) <= {line.rstrip() for line in lines} | {""}


def test_mail_that_is_quoted_without_marks_is_cut_too():
    text = "It is not solved.\n\nOn Mon, 2 Nov 2026 at 10:00, N <c@northwind.example> wrote:\n\nDear Ada,\nwait."
    assert new_text(text) == "It is not solved."
