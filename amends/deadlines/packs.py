"""Policy packs: the obligations of one regime as data, each with the paragraph it rests on.

The format is described for its authors in docs/policy-packs.md.  A pack is read and checked whole: every mistake is
one sentence that names file, line and key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from amends.kernel.errors import ConfigError

Unit = Literal["hours", "calendar_days", "working_days", "weeks", "months", "immediately", "none"]
Confidence = Literal["verified", "verified_secondary", "memory", "product_default"]
DayCount = Literal["exclude_trigger_day", "include_trigger_day"]
RollOver = Literal["none", "next_working_day", "previous_working_day"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(_Part):
    """An amount of time: 5 working_days, 8 weeks."""

    amount: int = Field(ge=0)
    unit: Unit

    def in_words(self) -> str:
        words = self.unit.replace("_", " ")
        return f"{self.amount} {words[:-1] if self.amount == 1 else words}"


class Warn(_Part):
    """A warning before the deadline, moved into office hours."""

    before: Span
    to: Literal["handler", "supervisor"] = "handler"


class AutomaticLetter(_Part):
    """The letter the clock sends when nobody wrote: at the opening of the office on the last day."""

    kind: str


class Extension(_Part):
    condition: str = ""
    most: Span | None = None
    notice_letter: str = ""
    notice_must_contain: tuple[str, ...] = ()
    repeatable: bool = False


class Rule(_Part):
    """One deadline of a pack."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    label: str = Field(min_length=1, max_length=6)
    """What a list shows in its narrow column."""
    action: str
    starts: str = "receipt"
    """The trigger: `receipt`, or an event such as `acknowledgement_sent`."""
    applies_if: str | None = None
    amount: int | None = Field(default=None, ge=0)
    unit: Unit
    target: Span | None = None
    """The organisation's own target where the rule names no number ("immediately"); labelled as such."""
    recurring: bool = False
    day_count: DayCount = "exclude_trigger_day"
    if_last_day_non_working: RollOver = "none"
    out_of_hours: Literal["actual", "next_working_day"] | None = None
    """Overrides the pack's rule for mail out of hours."""
    met_by: tuple[str, ...] = ()
    """Kinds of letters (`final-response`) that meet it."""
    basis: str = Field(min_length=1)
    confidence: Confidence
    note: str = ""
    warn: tuple[Warn, ...] = ()
    on_breach: Literal["supervisor", "handler"] = "supervisor"
    letter: AutomaticLetter | None = None
    pausable: bool = False
    extension: Extension | None = None

    @model_validator(mode="after")
    def _number(self) -> Rule:
        numberless = self.unit in ("immediately", "none")
        if numberless and self.amount:
            raise ValueError(f'unit "{self.unit}" has no amount; give the organisation\'s own number as target')
        if not numberless and self.amount is None:
            raise ValueError("amount is missing")
        if self.target is not None and not numberless:
            raise ValueError("target is for a rule without a number; this one has amount")
        if self.recurring and self.span is not None and self.span.amount == 0:
            raise ValueError("a recurring deadline needs an amount above 0")
        return self

    @property
    def span(self) -> Span | None:
        """How long it is: the rule's number, else the own target, else None."""
        if self.unit in ("immediately", "none"):
            return self.target
        return Span(amount=self.amount or 0, unit=self.unit)


class Pack(_Part):
    """The obligations of one regime, in one version."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    aliases: tuple[str, ...] = ()
    name: str
    jurisdiction: str
    version: str
    effective_from: date
    effective_to: date | None = None
    verified: bool
    notes: str = ""
    sources: tuple[str, ...] = ()
    out_of_hours: Literal["actual", "next_working_day"] = "actual"
    region: str | None = None
    deadline: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct(self) -> Pack:
        ids = [rule.id for rule in self.deadline]
        if (twice := next((one for one in ids if ids.count(one) > 1), None)) is not None:
            raise ValueError(f"deadline '{twice}' stands there twice")
        return self

    def rule(self, rule_id: str) -> Rule:
        """Raises ConfigError for an id that the pack does not have (any more)."""
        for rule in self.deadline:
            if rule.id == rule_id:
                return rule
        raise ConfigError(f"The policy pack {self.id} has no deadline '{rule_id}'.")

    def out_of_hours_of(self, rule: Rule) -> str:
        return rule.out_of_hours or self.out_of_hours


@dataclass(frozen=True, slots=True)
class PackFile:
    path: Path
    pack: Pack


def read_pack(path: Path) -> Pack:
    """The pack in a file.  Raises ConfigError with one sentence for the first mistake."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(f"{path}: not valid TOML: {fault}") from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path}: cannot be read: {fault}") from fault
    try:
        return Pack.model_validate(tree)
    except ValidationError as fault:
        raise ConfigError(_sentence(path, text, fault)) from None


def _sentence(path: Path, text: str, fault: ValidationError) -> str:
    first = min(fault.errors(), key=lambda error: _line(text, error["loc"]) or 10**9)
    loc = first["loc"]
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in loc)
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = list((Rule if loc[0] == "deadline" else Pack).model_fields)
        near = "".join(f"; did you mean {name}?" for name in get_close_matches(str(loc[-1]), known, n=1))
        message = f"unknown key{near}"
    elif first["type"] == "missing":
        message = "is missing"
    elif not first["msg"].startswith("Value error"):
        message = message[0].lower() + message[1:]
    where = ":".join(str(part) for part in (path, _line(text, loc)) if part)
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"


def _line(text: str, loc: Sequence[str | int]) -> int | None:
    """The line (from 1) of a key, or of the n-th [[deadline]] it belongs to."""
    lines = text.splitlines()
    begin, end = 0, len(lines)
    if len(loc) > 1 and loc[0] == "deadline" and isinstance(loc[1], int):
        heads = [i for i, line in enumerate(lines) if re.match(r"\s*\[\[\s*deadline\s*\]\]", line)]
        begin = heads[loc[1]]
        end = heads[loc[1] + 1] if loc[1] + 1 < len(heads) else end
        loc = loc[2:]
    names = [part for part in loc if isinstance(part, str)]
    for number in range(begin, end):
        if names and re.match(rf"\s*(\[+\s*[\w.]*\.)?{re.escape(names[0])}\b", lines[number]):
            return number + 1
    return begin + 1 if begin or not names else None


def packs_in(folders: Iterable[Path]) -> list[PackFile]:
    """Every pack in these folders; of one id the first folder's stands before the others'."""
    found: dict[str, PackFile] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            pack = read_pack(path)
            found.setdefault(pack.id, PackFile(path, pack))
    return sorted(found.values(), key=lambda file: file.pack.id)


def load_pack(name: str, folders: Sequence[Path]) -> Pack:
    """The pack with this id or alias.  Raises ConfigError that names the ones there are."""
    packs = [file.pack for file in packs_in(folders)]
    for pack in packs:
        if name in (pack.id, *pack.aliases):
            return pack
    known = sorted({one for pack in packs for one in (pack.id, *pack.aliases)})
    near = "".join(f"; did you mean {one}?" for one in get_close_matches(name, known, n=1))
    raise ConfigError(f"policy.pack: there is no policy pack '{name}'{near or '; there are ' + ', '.join(known)}")
