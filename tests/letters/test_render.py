"""The templates: every letter with much, little and late facts, and a sandbox that gives nothing away."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amends.kernel.errors import ConfigError
from amends.kernel.share import templates_folder
from amends.letters.kinds import OVERDUE, SAMPLE, SPARSE, LetterKind
from amends.letters.render import Templates, addressee

SHIPPED = Templates.load([templates_folder()], ("en",))


def own(tmp_path, name, text):
    """The shipped letters with one of our own before them."""
    path = tmp_path / "en" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Templates.load([tmp_path, templates_folder()], ("en",))


@pytest.mark.parametrize("kind", LetterKind)
@pytest.mark.parametrize("facts", [SAMPLE, OVERDUE, SPARSE], ids=["sample", "overdue", "sparse"])
def test_every_letter_reads_well_whatever_is_known(kind, facts):
    rendered = SHIPPED.render(kind, facts)
    assert facts.reference in rendered.subject
    own_words = (LetterKind.REPLY, LetterKind.STAFF_DIGEST)  # the words of a handler, and many references or none
    assert facts.reference in rendered.text or kind in own_words
    assert "\n" not in rendered.subject
    for words in (rendered.text, rendered.html):
        assert not re.search(r"\bNone\b|\{\{|\{%|Undefined|\[\[", words)
    assert not re.search(r"Dear ,|\n{3,}| +\n|by \.|on \.", rendered.text)
    assert rendered.html.lstrip().lower().startswith("<!doctype html") and "</html>" in rendered.html


def test_a_day_that_has_passed_is_not_promised_again():
    update = SHIPPED.render(LetterKind.PROGRESS_UPDATE, OVERDUE).text
    assert "We have not kept to that, and we are sorry." in update
    assert "You will have our full answer by" not in update


@pytest.mark.parametrize("kind", [LetterKind.STAFF_WARNING, LetterKind.STAFF_ESCALATION])
def test_staff_read_how_the_date_was_counted_where_it_is_known(kind):
    days = ("day 0: Fri 28 Aug 2026", "skipped Mon 31 Aug 2026: Late Summer Bank Holiday")
    told = SHIPPED.render(kind, replace(SAMPLE, derivation=days)).text
    assert f"How the date was counted:\n- {days[0]}\n- {days[1]}\n" in told
    assert "counted" not in SHIPPED.render(kind, replace(SAMPLE, derivation=())).text


def test_a_complainant_without_a_name_is_greeted_without_one():
    assert "Hello," in SHIPPED.render(LetterKind.ACKNOWLEDGEMENT, SPARSE).text
    assert "Dear Edith Kowalski," in SHIPPED.render(LetterKind.ACKNOWLEDGEMENT, SAMPLE).text


@pytest.mark.parametrize(
    ("name", "greeted"),
    [
        ("Kowalski, Edith", "Edith Kowalski"),
        ("King, Jr", "King, Jr"),
        ("'Edith'", "Edith"),
        ("edith@example.org", ""),
        ("Click https://evil.example", ""),
        ("Win www.evil.example now", ""),
        ("{{ 7*7 }}", ""),
        ("<b>Edith</b>", ""),
        ("12345", ""),
        ("x" * 61, ""),
        ("Ed\u202eith\r\nBcc: x", "Edith Bcc: x"),
    ],
)
def test_a_display_name_is_greeted_only_if_it_looks_like_a_name(name, greeted):
    assert addressee(name) == greeted


@settings(max_examples=60)
@given(st.text(max_size=400))
def test_what_a_stranger_wrote_is_never_a_template_and_never_markup(words):
    hostile = f"{words} {{{{ 7*7 }}}} {{% for x in range(9) %}} <script>alert(1)</script>"
    facts = replace(SAMPLE, subject=hostile, complainant=hostile, reasons=hostile, remedy=hostile)
    for kind in LetterKind:
        rendered = SHIPPED.render(kind, facts)
        assert "<script" not in rendered.html
        assert "\n" not in rendered.subject and len(rendered.subject) <= 300


@pytest.mark.parametrize(
    "trick",
    [
        "{{ reference.__class__ }}",
        "{{ reference.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ reference.format }}",
        "{{ '{0.__class__}'.format(reference) }}",
        "{{ '%s' % reference }}",
        "{{ reference.join }}",
        "{{ range.__self__ }}",
        "{{ reference|attr('__class__') }}",
        "{{ self._TemplateReference__context }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 999999 }}",
        "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x ~ x %}" * 26 + "hello",
        "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x + x %}" * 26 + "hello",
        "{% set x = [1] %}" + "{% set x = x + x %}" * 24 + "hello",
        "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x | join(x) %}" * 4 + "hello",
        "{% for x in range(10000) %}{% for y in range(10000) %}x{% endfor %}{% endfor %}",
        "{% for x in range(9999) %}0123456789012345678901234567890{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{% include '../../../../etc/passwd' %}",
        "{% include 'nowhere.txt' %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ unknown }}",
        "{{ 1 / 0 }}",
        "{% if %}",
        "{{ config }}",
    ],
)
def test_a_template_that_reaches_out_is_refused_with_its_file(tmp_path, trick):
    with pytest.raises(ConfigError) as refused:
        own(tmp_path, "acknowledgement.txt", f"Subject: Yours\n\nHello {trick}\n")
    sentence = str(refused.value)
    assert "acknowledgement.txt" in sentence and "\n" not in sentence


def test_a_mistake_is_named_by_file_line_and_nearest_name(tmp_path):
    with pytest.raises(ConfigError, match=r"reply\.txt:4: 'referense' is not a name .* did you mean reference\?"):
        own(tmp_path, "reply.txt", "Subject: x\n\nHello\n{{ referense }}\n")
    with pytest.raises(ConfigError, match=r"reply\.txt:1: the first line must be the subject"):
        own(tmp_path, "reply.txt", "Hello\n\nNo subject\n")
    with pytest.raises(ConfigError, match="no words in this letter"):
        own(tmp_path, "reply.txt", "Subject: x\n\n   \n")
    with pytest.raises(ConfigError, match="no folder"):
        Templates.load([tmp_path / "none", templates_folder()], ("en",))


def test_an_own_letter_stands_before_the_shipped_one(tmp_path):
    mine = own(tmp_path, "acknowledgement.txt", "Subject: Ta\n\nGot it, {{ complainant }}.\n")
    rendered = mine.render(LetterKind.ACKNOWLEDGEMENT, SAMPLE)
    assert (rendered.subject, rendered.text) == ("[NW-2026-000042-17] Ta", "Got it, Edith Kowalski.\n")
    assert "Got it, Edith Kowalski." in rendered.html  # and not the shipped HTML form


@pytest.mark.parametrize("kind", [LetterKind.REPLY, LetterKind.FINAL_RESPONSE, LetterKind.HOLDING])
def test_a_draft_shows_as_gaps_what_only_a_person_knows(kind):
    _, body = SHIPPED.opening(kind, SPARSE)
    assert re.search(r"\[\[.+?\]\]", body)
    said = {"outcome": "upheld", "reasons": "r", "remedy": "", "next_steps": ""}
    _, whole = SHIPPED.opening(kind, replace(SPARSE, **said), message="m", known=said)
    assert "[[" not in whole


def test_a_handlers_words_are_sent_as_they_are():
    words = "Dear {{ complainant }}, <b>7*7</b> {% raw %}\n\n\n\nYours  \n"
    rendered = SHIPPED.by_hand(LetterKind.REPLY, "About\r\nit", words, reference="NW-2026-000042-17")
    assert rendered.subject == "[NW-2026-000042-17] About it"
    assert rendered.text == "Dear {{ complainant }}, <b>7*7</b> {% raw %}\n\nYours\n"
    assert "&lt;b&gt;7*7&lt;/b&gt;" in rendered.html
    with pytest.raises(ConfigError, match="shorten it"):
        SHIPPED.by_hand(LetterKind.REPLY, "x", "x" * 70_000, reference="NW-2026-000042-17")
