"""What is wrong with a pack: every mistake of its author in one sentence with file, line and key, and what is doubtful.

The shapes are Pydantic's business; here the parts of a pack are held against one another.  That is done on the tree as
it was written, so that a wrong amount in one place hides no wrong letter in another.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from amends.deadlines.calendar import holidays_of
from amends.deadlines.model import NUMBERLESS, RECEIPT, Pack, Rule, by_a_person, name_of
from amends.deadlines.places import Place, line_of, places
from amends.deadlines.words import in_a_row
from amends.kernel.errors import ConfigError
from amends.kernel.toml import text_of, tree_of

Mistake = tuple[Place, str]
"""The way to a value, and what is wrong with it."""

_REQUIRED: Final = "is missing"
_NO_END: Final = (
    "is missing, and no clock may stand still without end; write how long at most, as in "
    '{ amount = 10, unit = "working_days" }'
)
_REGION: Final = re.compile(r"[A-Z]{2,4}(-[A-Za-z0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Checked:
    """A pack that was read, or why it cannot be used; sentences stand in the order of the file."""

    path: Path
    pack: Pack | None
    mistakes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def check_file(path: Path, *, today: date | None = None) -> Checked:
    """Read a pack and hold it against itself; with `today` also say what is doubtful.

    Raises ConfigError only where there is nothing to read: no such file, no text, no TOML.
    """
    text, tree = read_tree(path)
    found: list[Mistake] = []
    pack = None
    try:
        pack = Pack.model_validate(tree)
    except ValidationError as fault:
        found += _of_shape(fault)
    found += _of_the_whole(tree)
    if today is not None:
        found += _regions_wrong(tree)
    if found:
        return Checked(path, None, _sentences(path, text, found))
    warnings = _sentences(path, text, _doubts(pack, today)) if pack is not None and today is not None else ()
    return Checked(path, pack, (), warnings)


def read_tree(path: Path) -> tuple[str, dict[str, Any]]:
    """The text of a file and what it says as TOML.  Raises ConfigError."""
    try:
        text = text_of(path)
    except FileNotFoundError as fault:
        raise ConfigError(f"{path}: there is no such file; name the TOML file of a policy pack") from fault
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be read: {fault}") from fault
    try:
        return text, tree_of(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(f"{path}: not valid TOML: {fault}") from fault


def _sentences(path: Path, text: str, found: Iterable[Mistake]) -> tuple[str, ...]:
    where = places(text)
    lines = [(line_of(where, place) or 0, place, message) for place, message in found]
    lines.sort(key=lambda one: (not one[0], one[0]))  # what stands nowhere comes last
    return tuple(dict.fromkeys(_sentence(path, line, place, message) for line, place, message in lines))


def _sentence(path: Path, line: int, place: Place, message: str) -> str:
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in place)
    return ": ".join(part for part in (f"{path}:{line}" if line else str(path), key, message) if part)


# Shapes


def _of_shape(fault: ValidationError) -> Iterator[Mistake]:
    for error in fault.errors():
        if error["type"] == "too_short" and error["input"]:
            continue  # there are some, but each of them has a mistake, which is told by itself
        place = tuple(error["loc"])
        yield place, _said(place, dict(error))


def _said(place: Place, error: Mapping[str, Any]) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key{_near(str(place[-1]), _keys_beside(place))}"
    if kind == "missing":
        return _NO_END if place[-2:] == ("pause", "most") else _REQUIRED
    if kind == "literal_error" and isinstance(value, str):
        choices = _choices(str(context["expected"]))
        return f"'{value}' is none of {in_a_row(choices)}{_near(value, choices)}"
    if kind == "string_pattern_mismatch":
        return f"'{value}' does not fit; {_form(str(context['pattern']))}"
    message = str(error["msg"])
    if message.startswith("Value error, "):
        return message.removeprefix("Value error, ")
    if (wanted := _wanted(kind, place, context)) is not None:
        return f"{_shown(value)} {wanted}"
    return f"{message[0].lower()}{message[1:]} (it is {_shown(value)})"


def _wanted(kind: str, place: Place, context: Mapping[str, Any]) -> str | None:
    """What belongs there, after what stands there."""
    match kind:
        case "tuple_type" if len(place) == 1:
            return f"is none of several; write [[{place[0]}]] above each"
        case "tuple_type":
            return "is no list; put it in square brackets, as in [...]"
        case "int_type" | "int_from_float" | "int_parsing":
            return "is no whole number; write one without quotes, such as 20"
        case "greater_than_equal":
            return f"is too little; write {context['ge']} or more"
        case "less_than_equal":
            return f"is too much; write {context['le']} or less"
        case "string_type":
            return "is no text; put it in quotes"
        case "string_too_long":
            return f"is too long; write at most {context['max_length']} characters"
        case "string_too_short":
            return "says nothing; write something"
        case "bool_type" | "bool_parsing":
            return "is neither true nor false; write one of them without quotes"
        case "mapping_type" | "dict_type" | "model_type" | "model_attributes_type":
            return 'is no table; write one, as in { amount = 5, unit = "working_days" }'
        case _ if kind.startswith("date"):
            return "is no day; write one like 2026-04-01, without quotes"
    return None


def _choices(expected: str) -> list[str]:
    """Pydantic writes them as 'a', 'b' or 'c'."""
    return expected.replace(" or ", ", ").replace("'", "").split(", ")


def _form(pattern: str) -> str:
    if "https?" in pattern:
        return "write an address that begins with https://"
    if "A-Z" in pattern:
        return "write a region such as IE, GB-ENG or XECB"
    mark = "hyphens" if "9-]" in pattern else "underscores"
    return f"write small letters, digits and {mark}, a letter or digit first"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, bool):
        return str(value).lower()
    return "a list" if isinstance(value, list) else repr(value)


def _keys_beside(place: Place) -> list[str]:
    """The keys that there are in the table where an unknown one stands."""
    model: Any = Pack
    for part in place[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one)) is not None), None)


def _near(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


# Parts against one another, on the tree as it was written


def _of_the_whole(tree: Mapping[str, Any]) -> Iterator[Mistake]:
    letters, stages = _ids(tree, "letter"), _ids(tree, "stage")
    events, facts = [name_of(one) for one in _ids(tree, "event")], _facts(tree)
    for key in ("deadline", "letter", "stage", "event", "fact"):
        yield from _twice(key, _ids(tree, key))
    sent = [f"{letter}_sent" for letter in letters]
    triggers = [RECEIPT, *events, *letters, *sent]
    for n, rule in _tables(tree, "deadline"):
        place: Place = ("deadline", n)
        if isinstance(starts := rule.get("starts", RECEIPT), str) and name_of(starts) not in triggers:
            yield (
                (*place, "starts"),
                f"'{starts}' is neither receipt, nor an [[event]], nor a [[letter]]_sent{_near(starts, triggers)}",
            )
        yield from _unknown((*place, "met_by"), rule.get("met_by"), [*letters, *events], "letter or event")
        yield from _unknown((*place, "stage"), rule.get("stage"), stages, "stage")
        yield from _unknown((*place, "letter"), rule.get("letter"), letters, "letter")
        for part in ("extension", "pause"):
            if isinstance(table := rule.get(part), dict):
                yield from _unknown((*place, part, "notice_letter"), table.get("notice_letter"), letters, "letter")
        yield from _conditions(place, rule.get("when"), facts)
    for n, letter in _tables(tree, "letter"):
        yield from _unknown(("letter", n, "stage"), letter.get("stage"), stages, "stage")
    for n, event in _tables(tree, "event"):
        yield from _unknown(("event", n, "letters"), event.get("letters"), letters, "letter")
    for n, stage in _tables(tree, "stage"):
        yield from _unknown(("stage", n, "opens"), stage.get("opens"), triggers, "event", named=True)
    yield from _facts_wrong(tree, [*letters, *events])
    yield from _targets_wrong(tree)
    yield from _days_wrong(tree)


def _tables(tree: Mapping[str, Any], key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    tables = tree.get(key)
    if isinstance(tables, list):
        yield from ((n, table) for n, table in enumerate(tables) if isinstance(table, dict))


def _ids(tree: Mapping[str, Any], key: str) -> list[str]:
    return [str(table.get("id", "")) for _, table in _tables(tree, key)]


def _facts(tree: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name_of(str(fact.get("id", ""))): _values(fact) for _, fact in _tables(tree, "fact")}


def _values(fact: Mapping[str, Any]) -> list[str]:
    values = fact.get("values", ["yes", "no"])
    return [str(one) for one in values] if isinstance(values, list) else []


def _twice(key: str, ids: Sequence[str]) -> Iterator[Mistake]:
    for n, one in enumerate(ids):
        if one and one in ids[:n]:
            yield (key, n, "id"), f"{key} '{one}' stands there twice; give each its own id"


def _unknown(place: Place, value: object, known: Sequence[str], what: str, *, named: bool = False) -> Iterator[Mistake]:
    for n, one in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(one, str) and one and (name_of(one) if named else one) not in known:
            yield (
                (*place, n) if isinstance(value, list) else place,
                f"this pack has no {what} '{one}'{_near(one, known)}",
            )


def _conditions(place: Place, when: object, facts: Mapping[str, Sequence[str]]) -> Iterator[Mistake]:
    for name, values in when.items() if isinstance(when, dict) else ():
        if (known := facts.get(name_of(name))) is None:
            yield (*place, "when", name), f"this pack has no fact '{name}'{_near(name, facts)}"
            continue
        if values == []:
            yield (*place, "when", name), "no value stands there, so it would never apply; name one or more"
        yield from _unknown((*place, "when", name), values, known, f"value of the fact {name}")


def _facts_wrong(tree: Mapping[str, Any], setters: Sequence[str]) -> Iterator[Mistake]:
    for n, fact in _tables(tree, "fact"):
        if fact.get("values") == []:
            yield ("fact", n, "values"), "nobody could answer it; write the answers there are, or leave values out"
        yield from _unknown(("fact", n, "default"), fact.get("default"), _values(fact), "value")
        yield from _unknown(("fact", n, "set_by"), fact.get("set_by"), setters, "letter or event")


def _targets_wrong(tree: Mapping[str, Any]) -> Iterator[Mistake]:
    rules = {str(rule.get("id", "")): rule for _, rule in _tables(tree, "deadline")}
    for n, target in _tables(tree, "own_target"):
        yield from _unknown(("own_target", n, "deadline"), target.get("deadline"), list(rules), "deadline")
        rule = rules.get(str(target.get("deadline")), {})
        if rule.get("unit") == target.get("unit") and _longer(target.get("amount"), rule.get("amount")):
            yield (
                ("own_target", n, "amount"),
                f"{target['amount']} is no promise beside the rule's own {rule['amount']}; make it shorter",
            )
        if target.get("unit") in NUMBERLESS:
            yield ("own_target", n, "unit"), f"'{target['unit']}' cannot be counted; write a unit such as working_days"


def _longer(promised: object, owed: object) -> bool:
    return isinstance(promised, int) and isinstance(owed, int) and promised >= owed


def _days_wrong(tree: Mapping[str, Any]) -> Iterator[Mistake]:
    begins, ends = tree.get("effective_from"), tree.get("effective_to")
    if isinstance(begins, date) and isinstance(ends, date) and not isinstance(ends, datetime) and ends < begins:
        yield ("effective_to",), f"{ends} lies before effective_from, {begins}"
    if tree.get("verified") is True:
        for n, rule in _tables(tree, "deadline"):
            if rule.get("mandatory", True) is True and rule.get("confidence") == "memory":
                yield (
                    ("deadline", n, "confidence"),
                    "a pack is not verified while a mandatory deadline is from memory; "
                    "have it verified, or set verified = false",
                )


def _regions_wrong(tree: Mapping[str, Any]) -> Iterator[Mistake]:
    """Regions that nobody knows the holidays of.  Asked for an author alone: it costs what loading them costs."""
    days = tree.get("calendar")
    if not isinstance(days, dict):
        return
    named: list[tuple[Place, object]] = [(("calendar", "region"), days.get("region"))]
    if isinstance(others := days.get("alternatives"), list):
        named += [(("calendar", "alternatives", n), one) for n, one in enumerate(others)]
    for place, region in named:
        if isinstance(region, str) and _REGION.fullmatch(region):
            try:
                holidays_of(region)
            except ConfigError as unknown:
                yield place, str(unknown).removeprefix("organisation.region: ")


# What is doubtful


def _doubts(pack: Pack, today: date) -> Iterator[Mistake]:
    if pack.effective_to is not None and pack.effective_to < today:
        yield ("effective_to",), f"{pack.effective_to} has passed; the version that follows must be in the folder"
    if pack.effective_from > today:
        yield ("effective_from",), f"it comes into force on {pack.effective_from}; until then nothing starts by it"
    if not pack.verified:
        yield ("verified",), "nobody has compared this pack with its rules; it says so wherever it is shown"
    for n, rule in enumerate(pack.deadline):
        place: Place = ("deadline", n)
        if rule.confidence == "memory":
            yield (*place, "confidence"), f"'{rule.id}' is not verified; it says so wherever it is shown"
        for more, message in _doubts_of(pack, rule):
            yield (*place, *more), message
    for key in ("letter", "ombudsman", "retention", "report"):
        for n, one in enumerate(getattr(pack, key)):
            if one.confidence == "memory":
                yield (key, n, "confidence"), "this was not verified"
    for n, fact in enumerate(pack.fact):
        if not any(fact.id in rule.when for rule in pack.deadline):
            yield ("fact", n, "id"), f"no deadline asks for '{fact.id}'"
        elif fact.default is None and not fact.set_by:
            yield ("fact", n, "id"), f"until somebody answers '{fact.id}' the deadlines that ask for it do not start"


def _doubts_of(pack: Pack, rule: Rule) -> Iterator[Mistake]:
    kinds = {letter.id: letter for letter in pack.letter}
    if not rule.met_by:
        yield ("id",), f"nobody's letter can meet '{rule.id}': it has no met_by"
    elif not any(one not in kinds or kinds[one].form == "letter" for one in rule.met_by) and rule.mandatory:
        yield ("met_by",), f"no letter of ours meets '{rule.id}', only what is kept or sent outside of this product"
    if rule.numberless and rule.target is None:
        yield ("unit",), f"'{rule.id}' has neither a number nor a target of yours; it is shown, and never due"
    for n, warn in enumerate(rule.warn):
        span = rule.span
        if span is not None and warn.before.unit == span.unit and warn.before.amount >= span.amount:
            yield ("warn", n, "before"), f"'{rule.id}' has not begun so long before it is due; nobody is warned"
    if not rule.warn and rule.mandatory and not rule.numberless:
        yield ("id",), f"'{rule.id}' warns nobody before it is missed; give it warn"
    if rule.letter and by_a_person(kinds[rule.letter]):
        yield ("letter",), f"'{rule.letter}' must say what only a person can; it will not go out by itself"
    if rule.extension is not None and rule.extension.notice_letter and not rule.extension.notice_must_contain:
        yield ("extension", "notice_must_contain"), "nothing is said of what the notice must contain"
