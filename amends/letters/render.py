"""From a template and the facts to the words of a letter.

A template is the organisation's own text, but it is still kept in a sandbox: it sees strings only, calls next to
nothing, and cannot run or grow without bound.  What a complainant wrote is a value in it and never a template: a
`Rendered` goes to the envelope and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from jinja2 import (
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
    pass_eval_context,
)
from jinja2.exceptions import SecurityError
from jinja2.filters import do_join
from jinja2.meta import find_undeclared_variables
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from amends.kernel.errors import ConfigError
from amends.kernel.text import one_line, storable
from amends.letters.kinds import GAPS, OVERDUE, SAMPLE, SPARSE, LetterFacts, LetterKind, StaffLine

MAX_LETTER: Final = 64 * 1024  # characters; no letter to a person is longer
MAX_STEPS: Final = 10_000  # of all `range()` in one letter together
MAX_SUBJECT: Final = 200

# What a mistake in a template can raise while it runs.
_MISTAKES: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

_SUBJECT: Final = re.compile(r"Subject:[ \t]*(.*?)[ \t]*\n\s*")
_WIDE_GAP: Final = re.compile(r"\n{3,}")
_TRAILING: Final = re.compile(r"[ \t]+\n")
_BLANK_LINE: Final = re.compile(r"\n[ \t]*\n\s*")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The words of a letter, final.  `text` uses \\n and ends with one; `html` is a whole document."""

    subject: str
    text: str
    html: str


# The sandbox


_STR_METHODS: Final = frozenset(
    ("upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "startswith", "endswith", "split")
)
_FILTERS: Final = frozenset(
    {
        *("capitalize", "d", "default", "e", "escape", "first", "forceescape", "int", "join", "last", "length", "list"),
        *("lower", "reverse", "select", "reject", "sort", "string", "striptags", "title", "trim", "truncate", "unique"),
        *("upper", "wordcount", "wordwrap"),
    }
)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with less in it: few filters, no globals, no arithmetic that can fill the memory."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self, loader: FileSystemLoader) -> None:
        super().__init__(
            loader=loader,
            undefined=StrictUndefined,
            autoescape=lambda name: name is not None and name.endswith(".html"),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
        )
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in _FILTERS} | {"paragraphs": paragraphs}
        self.filters["join"] = _bounded_join

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """For included files too: `~`, repeated, doubles what it joins, and cannot be caught while it runs."""
        tree = super()._parse(source, name, filename)
        if (joined := tree.find(nodes.Concat)) is not None:
            raise TemplateSyntaxError(
                "a letter cannot join texts with '~'; write them side by side", joined.lineno, name, filename
            )
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        raise SecurityError(f"a letter cannot calculate with '{operator}'")

    def wrap_str_format(self, value: Any) -> None:
        """Jinja lends templates a `str.format` of its own; letters have no use for one."""
        return

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str):
            return attr in _STR_METHODS
        return super().is_safe_attribute(obj, attr, value)


def paragraphs(text: str) -> Markup:
    """`text` as HTML paragraphs, escaped: a blank line parts two, a newline breaks one."""
    blocks = (block.strip("\n") for block in _BLANK_LINE.split(str(escape(str(text).strip()))))
    return Markup("\n".join("<p>" + block.replace("\n", "<br>\n") + "</p>" for block in blocks if block))  # noqa: S704  (all of it was escaped)


@pass_eval_context
def _bounded_join(context: EvalContext, values: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    """Jinja's `join`, of no more than a letter may hold."""
    given = list(islice(values, MAX_LETTER + 1))
    if len(given) * (1 + len(between)) > MAX_LETTER:
        raise OverflowError(f"a letter may not join more than {MAX_LETTER} characters")
    joined: str = do_join(context, given, between, attribute)
    return joined


def _bounded_range() -> Callable[..., range]:
    left = MAX_STEPS

    def bounded(*bounds: int) -> range:
        nonlocal left
        steps = range(*bounds)
        if len(steps) > left:
            raise OverflowError(f"a letter may not take more than {MAX_STEPS} steps")
        left -= len(steps)
        return steps

    return bounded


# The facts as words

_LINES: Final = ("external_review", "remedy", "reasons", "next_steps", "missing")  # may have several lines
_LISTS: Final = ("missed", "due_today", "due_soon")  # of deadlines, in letters to staff
_SUFFIXES: Final = frozenset(
    ("jr", "sr", "ii", "iii", "phd", "md", "mba", "ba", "bsc", "ma", "msc", "esq", "obe", "mbe", "cbe", "kc", "qc")
) | {"jp", "rn", "ltd", "llc", "llp", "plc", "inc", "gmbh", "co"}
_NO_NAME: Final = re.compile(r"[@<>{}\[\]|\\/]|https?:|www\.|\.[a-z]{2,4}\b", re.IGNORECASE)


def addressee(name: str) -> str:
    """The display name of a mail as a greeting can use it: `Kowalski, Edith` turned round, and '' for what is no name.

    A stranger chooses it and we send it on, so nothing in it may be an address, a link or a message.
    """
    name = one_line(name, 200).strip(" '\"`,;")
    if not name or len(name) > 60 or _NO_NAME.search(name) or not any(c.isalpha() for c in name):
        return ""
    last, comma, first = (part.strip() for part in name.partition(","))
    if comma and first and "," not in first and first.replace(".", "").casefold() not in _SUFFIXES:
        name = f"{first} {last}"
    return name


@lru_cache(maxsize=256)
def _locale(language: str, region: str) -> Locale:
    """How dates are written: `en` in GB-ENG is en_GB; `en` somewhere unknown is the world's English, not America's."""
    country = region.partition("-")[0].upper()
    for territory in (country, "001", None):
        try:
            return Locale(language, territory)
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en", "001")


@lru_cache(maxsize=4096)
def day_in_words(day: date, language: str, region: str = "") -> str:
    """`Monday 23 November 2026`, as the language and the country write it."""
    return format_date(day, format="full", locale=_locale(language, region))


def _local_day(instant: datetime, zone: str) -> date:
    return instant.astimezone(ZoneInfo(zone)).date()


def _last_day(due: datetime | None, zone: str, language: str, region: str) -> str:
    """The last day on which it is not yet missed."""
    return "" if due is None else day_in_words(_local_day(due - timedelta(microseconds=1), zone), language, region)


def _moment(instant: datetime | None, zone: str, language: str, region: str) -> str:
    if instant is None:
        return ""
    local = instant.astimezone(ZoneInfo(zone))
    time = format_time(local, format="short", locale=_locale(language, region))
    return f"{day_in_words(local.date(), language, region)}, {time}"


_NAMES: Final = frozenset(
    {field.name for field in fields(LetterFacts)}
    - {
        "received_at",
        "response_due",
        "update_due",
        "deadline_due",
        "timezone",
        "region",
        "written_at",
        "told_at",
        "promised",
    }
) | {"told_late", "received_on", "response_by", "update_by", "promised_by", "late", "due", "message", "range"}
"""All that a template may name."""


def _context(facts: LetterFacts, language: str) -> dict[str, Any]:
    zone, region = facts.timezone, facts.region
    response, update, written = facts.response_due, facts.update_due, facts.written_at
    late = response is not None and written is not None and response <= written
    if update is not None and (
        (written is not None and update <= written) or (response and not late and update >= response)
    ):
        update = None  # nobody is told to wait for a day that has passed, or for news after the answer
    return {
        "organisation": one_line(facts.organisation),
        "organisation_address": one_line(facts.organisation_address),
        "phone": one_line(facts.phone),
        "website": one_line(facts.website),
        "reference": one_line(facts.reference),
        "subject": one_line(facts.subject, 120),
        "complainant": addressee(facts.complainant),
        "stage": one_line(facts.stage),
        "too_large": one_line(facts.too_large),
        "size_limit": one_line(facts.size_limit),
        "handler": one_line(facts.handler),
        "outcome": one_line(facts.outcome),
        "deadline": one_line(facts.deadline),
        "basis": one_line(facts.basis),
        "derivation": [one_line(step, 1000) for step in facts.derivation],
        **{name: storable(getattr(facts, name)).strip() for name in _LINES},
        "language": language,
        "received_on": day_in_words(_local_day(facts.received_at, zone), language, region),
        "response_by": "" if late else _last_day(response, zone, language, region),
        "update_by": _last_day(update, zone, language, region),
        "promised_by": _last_day(facts.promised, zone, language, region),
        "promise": one_line(facts.promise),
        "late": _last_day(response, zone, language, region) if late else "",
        "due": _moment(facts.deadline_due, zone, language, region),
        "told_late": _moment(facts.told_at, zone, language, region),
        "former": one_line(facts.former),
        "more": one_line(facts.more),
        **{name: [_line(one, facts, language) for one in getattr(facts, name)] for name in _LISTS},
        "message": "",
        "range": _bounded_range(),
    }


def _line(line: StaffLine, facts: LetterFacts, language: str) -> dict[str, str]:
    return {
        "reference": one_line(line.reference),
        "subject": one_line(line.subject, 80),
        "deadline": one_line(line.deadline),
        "due": _moment(line.due_at, facts.timezone, language, facts.region),
        "handler": one_line(line.handler),
    }


# The templates


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two forms of one letter in one language; without an HTML form it is made from the text."""

    language: str
    text: Template
    html: Template


class Templates:
    """Every letter in every language, read, checked and compiled.  Immutable: to read them again, load another."""

    def __init__(self, pairs: dict[tuple[str, LetterKind], _Pair], plain: dict[str, _Pair], default: str) -> None:
        self._pairs = pairs
        self._plain = plain
        self._default = default
        self._last: tuple[LetterKind, LetterFacts, Rendered] | None = None  # staff are told the same one after another

    @classmethod
    def load(cls, folders: Sequence[Path], languages: Sequence[str]) -> Templates:
        """Read the letters of `languages` (the first is the default) from `folders`, what stands first wins.

        A language that lacks a letter has it in the next one that does not.  Raises ConfigError, with the file and the
        line, if a letter is missing or has a mistake: each is rendered with much and with little known of a case.
        """
        for folder in folders:
            if not folder.is_dir():
                raise ConfigError(
                    f"letters.templates_folder: there is no folder {folder}; make it or take the setting out"
                )
        order = list(dict.fromkeys([*languages, "en"]))  # the shipped letters are in English
        pairs: dict[tuple[str, LetterKind], _Pair] = {}
        plain: dict[str, _Pair] = {}
        for language in languages:
            here = [language, *(other for other in order if other != language)]
            environments = {one: _Sandbox(FileSystemLoader([str(folder / one) for folder in folders])) for one in here}
            shell = _find("letter.html", environments)
            if shell is None:
                raise ConfigError(
                    f"No letter.html in {_places(folders, language)}; it frames the letters that handlers write"
                )
            plain[language] = _Pair(shell[0], shell[1], shell[1])
            for kind in LetterKind:
                pairs[language, kind] = _pair(kind, environments, shell[1], folders, language)
        loaded = cls(pairs, plain, languages[0])
        loaded._try_all()
        return loaded

    def _try_all(self) -> None:
        for (language, kind), pair in self._pairs.items():
            for facts in (SAMPLE, OVERDUE, SPARSE, _with_gaps(SPARSE, pair.language)):
                rendered = self.render(kind, replace(facts, language=language))
                if not rendered.text.strip():
                    raise ConfigError(f"{pair.text.filename}: no words in this letter; write some below its subject")

    def _choose(self, kind: LetterKind, language: str) -> _Pair:
        return self._pairs.get((language, kind)) or self._pairs[self._default, kind]

    def render(self, kind: LetterKind, facts: LetterFacts) -> Rendered:
        """The letter in the complainant's language, or in the default one.  The reference is always in its subject."""
        last = self._last
        if last is not None and last[:2] == (kind, facts):
            return last[2]
        rendered = self._rendered(kind, facts)
        self._last = kind, facts, rendered
        return rendered

    def _rendered(self, kind: LetterKind, facts: LetterFacts) -> Rendered:
        pair = self._choose(kind, facts.language)
        context = _context(facts, pair.language)
        subject, text = _parted(pair.text, _words(pair.text, context))
        html = _words(pair.html, {**context, "message": text, "subject": subject, "range": _bounded_range()})
        return Rendered(_with_reference(subject, facts.reference), text, html)

    def opening(
        self, kind: LetterKind, facts: LetterFacts, *, message: str | None = None, known: Collection[str] = ()
    ) -> tuple[str, str]:
        """(subject, body) of a draft for a handler to finish; what only a person knows stands there as `[[what]]`.

        `message` is what the writer says already; a fact named in `known` has its say even where it is empty.
        """
        pair = self._choose(kind, facts.language)
        context = _context(_with_gaps(facts, pair.language, known), pair.language)
        context["message"] = _gap("message", pair.language) if message is None else storable(message).strip()
        subject, text = _parted(pair.text, _words(pair.text, context))
        return _with_reference(subject, facts.reference), text

    def by_hand(self, kind: LetterKind, subject: str, body: str, *, reference: str, language: str = "") -> Rendered:
        """A handler's own words as a letter: as they wrote them, and framed in HTML.  Nothing in them is a template."""
        pair = self._plain.get(language) or self._plain[self._default]
        text = _tidy(storable(body))
        if len(text) > MAX_LETTER:
            raise ConfigError(f"The letter is longer than {MAX_LETTER} characters; shorten it.")
        subject = _with_reference(one_line(subject, MAX_SUBJECT), reference)
        context = _context(SPARSE, pair.language) | {"message": text, "subject": subject, "reference": reference}
        return Rendered(subject, text, _words(pair.html, context, room=8 * MAX_LETTER))


def _find(name: str, environments: dict[str, _Sandbox]) -> tuple[str, Template] | None:
    for language, environment in environments.items():
        try:
            return language, _checked(environment, name)
        except TemplateNotFound as missing:
            if missing.name != name:
                raise ConfigError(f"{name} includes {missing.name}, which is in no folder of letters") from missing
    return None


def _pair(
    kind: LetterKind, environments: dict[str, _Sandbox], shell: Template, folders: Sequence[Path], language: str
) -> _Pair:
    found = _find(f"{kind.template}.txt", environments)
    if found is None:
        raise ConfigError(f"No letter '{kind}' in {_places(folders, language)}; write {kind.template}.txt there")
    language, text = found
    html = _find(f"{kind.template}.html", {language: environments[language]})
    # An HTML form counts only beside its own text: else a letter rewritten in one form would say two things.
    beside = html is not None and _path(html[1]).parent == _path(text).parent
    return _Pair(language, text, html[1] if html is not None and beside else shell)


def _places(folders: Sequence[Path], language: str) -> str:
    return " or ".join(str(folder / language) for folder in folders)


def _path(template: Template) -> Path:
    return Path(template.filename or "")


def _checked(environment: _Sandbox, name: str) -> Template:
    """The compiled template.  Raises ConfigError for a mistake in its form or a name that no letter knows."""
    assert environment.loader is not None  # it was made with one
    source, path, _ = environment.loader.get_source(environment, name)
    try:
        tree = environment.parse(source, name, path)
        unknown = find_undeclared_variables(tree) - _NAMES
        if unknown:
            line, word = min((node.lineno, node.name) for node in tree.find_all(nodes.Name) if node.name in unknown)
            near = "".join(f"; did you mean {one}?" for one in get_close_matches(word, _NAMES, n=1))
            raise ConfigError(f"{path}:{line}: '{word}' is not a name that letters know{near}")
        return environment.get_template(name)
    except TemplateSyntaxError as wrong:
        raise _misformed(wrong, path) from wrong
    except UnicodeDecodeError as wrong:
        raise ConfigError(f"{path}: not UTF-8; save it again as UTF-8") from wrong


def _words(template: Template, context: dict[str, Any], *, room: int = MAX_LETTER) -> str:
    """What the template says.  Raises ConfigError with the file and the line where it went wrong or too far."""
    written: list[str] = []
    try:
        for piece in template.generate(context):
            room -= len(piece)
            if room < 0:
                raise OverflowError(f"the letter is longer than {MAX_LETTER} characters")
            written.append(piece)
    except TemplateSyntaxError as wrong:
        raise _misformed(wrong, template.filename) from wrong
    except (
        TemplateError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as wrong:
        what = f"'{wrong}' is in no folder of letters" if isinstance(wrong, TemplateNotFound) else _lower(str(wrong))
        raise ConfigError(f"{_place_in(wrong.__traceback__) or template.filename}: {what}") from wrong
    return "".join(written)


def _place_in(trace: TracebackType | None) -> str | None:
    """The file and line of the template that was at work last: Jinja puts its own lines into the traceback."""
    place = None
    while trace is not None:
        if (name := trace.tb_frame.f_code.co_filename).endswith((".txt", ".html")):
            place = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _misformed(wrong: TemplateSyntaxError, path: str | None) -> ConfigError:
    named = wrong.filename is not None and not wrong.filename.startswith(
        "<"
    )  # Jinja looks at names as "<introspection>"
    return ConfigError(f"{wrong.filename if named else path}:{wrong.lineno}: {_lower(wrong.message or 'wrong form')}")


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _parted(template: Template, words: str) -> tuple[str, str]:
    found = _SUBJECT.match(words)
    if found is None or not found[1]:
        raise ConfigError(f"{template.filename}:1: the first line must be the subject, as in: Subject: Your complaint")
    return one_line(found[1], MAX_SUBJECT), _tidy(words[found.end() :])


def _tidy(text: str) -> str:
    return _WIDE_GAP.sub("\n\n", _TRAILING.sub("\n", text)).strip() + "\n"


def _with_reference(subject: str, reference: str) -> str:
    return subject if reference in subject else f"[{reference}] {subject}".rstrip()


def _gap(name: str, language: str) -> str:
    return f"[[{GAPS.get(language, GAPS['en'])[name]}]]"


def _with_gaps(facts: LetterFacts, language: str, known: Collection[str] = ()) -> LetterFacts:
    gaps = (name for name in ("outcome", "reasons", "remedy", "next_steps") if name not in known)
    missing = {name: _gap(name, language) for name in gaps if not getattr(facts, name)}
    return replace(facts, **missing)  # type: ignore[arg-type]  # all of them are strings
