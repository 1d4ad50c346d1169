"""A policy pack as data: what docs/policy-packs.md describes for its authors, key by key.

These are shapes alone; `packs` reads them from files, `check` holds them against one another, `compute` counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from amends.deadlines.words import counted
from amends.kernel.errors import ConfigError

Unit = Literal[
    "hours",
    "working_hours",
    "calendar_days",
    "working_days",
    "business_days",
    "weeks",
    "months",
    "years",
    "immediately",
    "promptly",
    "without_undue_delay",
    "as_soon_as_reasonably_possible",
    "regularly",
    "with_letter",
    "none",
]
NUMBERLESS: Final = frozenset(get_args(Unit)[8:])
"""Units of rules that name no number."""
Confidence = Literal["verified", "verified_secondary", "memory", "product_default"]
DayCount = Literal["exclude_trigger_day", "include_trigger_day"]
RollOver = Literal["none", "next_working_day", "previous_working_day"]
OutOfHours = Literal["actual", "working_day", "next_working_day"]
Recipient = Literal["handler", "supervisor"]
Kind = Literal[
    "acknowledgement", "progress-update", "holding", "pause", "final-response", "status-answer", "too-large", "reply"
]
"""The product's own letters to complainants, as `letters.kinds` names them."""
Check = Literal[
    "reference", "reasons", "outcome", "remedy", "expected_date", "ombudsman", "ombudsman_url", "referral_period"
]
"""What can be looked for in a letter before it leaves."""
Moment = Literal["review-asked", "investigation-completed", "responded", "closed"]
"""What happens to a case in the product itself, and can be an event of a pack."""
RECEIPT: Final = "receipt"
OWN: Final = ".own"
"""What the id of an own clock ends with: `response.own` stands beside `response`."""
MOST: Final = 10_000  # a larger amount is a slip of the finger, and would run off the calendar
LONGEST: Final[Mapping[str, int]] = {"weeks": 5_200, "months": 1_200, "years": 100}
"""A hundred years, in the units of which MOST would be more."""

_Amount = Annotated[int, Field(strict=True, ge=0, le=MOST)]


def name_of(words: str) -> str:
    """A trigger or fact as it is compared: `other respondent identified` is `other_respondent_identified`."""
    return re.sub(r"[\s_-]+", "_", words.strip().lower())


_Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
_Name = Annotated[str, BeforeValidator(lambda value: name_of(value) if isinstance(value, str) else value), _Id]


def not_too_long(amount: int, unit: str) -> None:
    """Raises ValueError for more than a hundred years, at which a calendar ends sooner or later."""
    if amount > (most := LONGEST.get(unit, MOST)):
        raise ValueError(f"{counted(amount, unit)} are too long to be counted; write at most {counted(most, unit)}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(_Part):
    """An amount of time: 5 working_days, 8 weeks."""

    amount: _Amount
    unit: Unit

    @field_validator("unit")
    @classmethod
    def _numbered(cls, unit: Unit) -> Unit:
        if unit in NUMBERLESS:
            raise ValueError(f"'{unit}' cannot be counted; write a unit such as working_days")
        return unit

    @model_validator(mode="after")
    def _on_the_calendar(self) -> Self:
        not_too_long(self.amount, self.unit)
        return self

    def in_words(self) -> str:
        return counted(self.amount, self.unit)


class Other(Span):
    """The second limit of a rule with two: 24 hours, or 1 business day."""

    take: Literal["later", "earlier"] = "later"


class Warn(_Part):
    """A warning before the deadline, moved into office hours."""

    before: Span
    to: Recipient = "handler"


class Extension(_Part):
    """Who may give a deadline more time, how much, and what the complainant is owed for it."""

    condition: str = Field(min_length=1)
    most: Span | None = None
    """The most it may grow; None: no number in the rule."""
    counted_from: Literal["due", "start"] = "due"
    """Whether `most` begins at the old date, or at what started the deadline (15 business days become 35)."""
    by: Recipient = "supervisor"
    """Whose word it needs."""
    repeatable: bool = False
    repeat_condition: str = ""
    notice_letter: str = ""
    """The letter that tells the complainant."""
    notice_by: Literal["due", "start", "none"] = "due"
    """By when it must have gone: by the old date, at once when it is granted, or by no date of its own."""
    notice_must_contain: tuple[str, ...] = ()


class Pause(_Part):
    """When the clock may stand still.  Without this table nothing stops it."""

    reason: str = Field(min_length=1)
    by: Recipient = "supervisor"
    most: Span
    """All pauses of one deadline together: no complainant waits for a clock that never goes on."""
    notice_letter: str = ""
    basis: str = Field(min_length=1)
    confidence: Confidence


class Rule(_Part):
    """One deadline of a pack."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*(\.own)?$")
    label: str = Field(min_length=1, max_length=6)
    """What a list shows in its narrow column."""
    action: str = Field(min_length=1)
    starts: _Name = RECEIPT
    """The trigger: `receipt`, or an event such as `acknowledgement_sent`."""
    stage: str = ""
    applies_if: str | None = None
    """The condition in words, as the regime puts it; `when` is the same over facts of the case."""
    when: Mapping[_Name, tuple[str, ...]] = Field(default_factory=dict)
    mandatory: bool = True
    amount: _Amount | None = None
    unit: Unit
    other: Other | None = None
    target: Span | None = None
    """The organisation's own target where the rule names no number ("immediately"); labelled as such."""
    recurring: bool = False
    day_count: DayCount = "exclude_trigger_day"
    if_last_day_non_working: RollOver = "none"
    out_of_hours: OutOfHours | None = None
    """Overrides the pack's rule for mail out of hours."""
    met_by: tuple[str, ...] = ()
    """Ids of letters and events of the pack that meet it."""
    automatic_counts: bool = False
    """Whether a letter that the daemon writes by itself meets it."""
    basis: str = Field(min_length=1)
    confidence: Confidence
    source: str = ""
    note: str = ""
    warn: tuple[Warn, ...] = ()
    on_breach: Recipient = "supervisor"
    letter: str = ""
    """The letter that the clock sends when nobody wrote: at the opening of the office on the last day."""
    extension: Extension | None = None
    pause: Pause | None = None

    @model_validator(mode="after")
    def _number(self) -> Self:
        if not self.numberless and self.amount is not None:
            not_too_long(self.amount, self.unit)
        if self.numberless and self.amount:
            raise ValueError(f'unit "{self.unit}" has no amount; give the organisation\'s own number as target')
        if not self.numberless and self.amount is None:
            raise ValueError("amount is missing")
        if self.target is not None and not self.numberless:
            raise ValueError("target is for a rule without a number; this one has amount")
        if self.other is not None and self.numberless:
            raise ValueError("other stands beside an amount; this rule has none")
        if self.recurring and (self.span is None or self.span.amount == 0):
            raise ValueError("a recurring deadline needs an amount above 0")
        if self.recurring and self.pause is not None:
            raise ValueError("a recurring deadline cannot be paused: it goes on by itself; take pause out")
        if bool(self.applies_if) != bool(self.when):
            missing = "when, the facts that switch it on" if self.applies_if else "applies_if, the condition in words"
            raise ValueError(f"a condition needs both: {missing}, is missing")
        return self

    @property
    def may_be_told_late(self) -> bool:
        """Whether more time may be announced after the old date."""
        return self.extension is not None and self.extension.notice_by == "none"

    @property
    def numberless(self) -> bool:
        return self.unit in NUMBERLESS

    @property
    def beside(self) -> bool:
        """Whether it is the organisation's own clock beside one of the rules'."""
        return self.id.endswith(OWN)

    @property
    def own(self) -> bool:
        """Whether its number is the organisation's own, and no rule's."""
        return self.beside or (self.numberless and self.target is not None)

    @cached_property
    def span(self) -> Span | None:
        """How long it is: the rule's number, else the own target, else None."""
        return self.target if self.numberless else Span(amount=self.amount or 0, unit=self.unit)

    def changed(self, **update: Any) -> Rule:
        """The same with other values, and nothing kept that was worked out from the old ones."""
        return Rule(**({name: getattr(self, name) for name in Rule.model_fields} | update))

    def applies(self, facts: Mapping[str, str]) -> bool | None:
        """Whether these facts switch it on; None while one that decides is not known."""
        undecided = False
        for name, values in self.when.items():
            if (value := facts.get(name)) is None:
                undecided = True
            elif value not in values:
                return False
        return None if undecided else True


class Fact(_Part):
    """Something about a case that switches deadlines on and off."""

    id: _Name
    question: str = Field(min_length=1)
    values: tuple[str, ...] = ("yes", "no")
    default: str | None = None
    """What is taken until somebody knows better; None: the deadlines that ask for it wait."""
    set_by: tuple[str, ...] = ()
    """Letters and events that answer it with its first value."""

    @field_validator("values")
    @classmethod
    def _can_be_given(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not value.isprintable() or not value or value != value.strip():
                raise ValueError(f"{value!a} is an answer that nobody can give; write it in letters that can be seen")
        return values


class Event(_Part):
    """Something that starts or meets a deadline, besides receipt and letters."""

    id: _Name
    words: str = Field(min_length=1)
    letters: tuple[str, ...] = ()
    """The letters whose sending is this event."""
    moment: Moment | None = None
    """What in the product is this event; without it and `letters` a handler records it."""


class Stage(_Part):
    id: _Id
    name: str = Field(min_length=1)
    reviewer: Literal["anyone", "not_involved"] = "anyone"
    """Who may decide it: `not_involved` is nobody who decided an earlier stage."""
    opens: _Name | None = None
    """The event that begins it."""


BY_A_PERSON: Final = ("reasons", "outcome", "remedy")
"""What a letter can only say in a person's words."""


class Item(_Part):
    """One thing that a letter must contain; a text alone stands for one with nothing else said."""

    text: str = Field(min_length=1)
    check: Check | None = None
    required: bool = True


def _item(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


class RequiredLetter(_Part):
    """A letter, a record or a report to a regulator that the regime asks for."""

    id: _Id
    kind: Kind | None = None
    """Which of the product's letters it is; None: one that leaves or is kept outside of it."""
    form: Literal["letter", "record", "regulator"] = "letter"
    stage: str = ""
    action: str = ""
    when: str = ""
    medium: str = "writing"
    must_contain: tuple[Annotated[Item, BeforeValidator(_item)], ...] = ()
    closes: bool = False
    """Whether a case may not be closed without it."""
    basis: str = Field(min_length=1)
    confidence: Confidence
    source: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _of_a_kind(self) -> Self:
        if (self.form == "letter") != (self.kind is not None):
            needed = "kind is missing: which of our letters is it?" if self.form == "letter" else "take kind out"
            raise ValueError(f'form "{self.form}": {needed}')
        return self


def by_a_person(letter: RequiredLetter) -> bool:
    """Whether nothing can write it by itself: an answer, a letter about anything, or one that must give reasons."""
    if letter.kind not in ("acknowledgement", "progress-update", "holding"):
        return True
    return any(item.check in BY_A_PERSON and item.required for item in letter.must_contain)


class Window(_Part):
    """How long the way to an ombudsman is open."""

    amount: _Amount
    unit: Literal["calendar_days", "working_days", "weeks", "months", "years"]
    counted_from: str = Field(min_length=1)

    def in_words(self) -> str:
        return f"{counted(self.amount, self.unit)} from {self.counted_from}"


class Ombudsman(_Part):
    name: str = Field(min_length=1)
    url: str = ""
    address: str = ""
    phone: str = ""
    opens: str = ""
    """When a complainant may go there."""
    window: Window | None = None
    other_limits: str = ""
    basis: str = ""
    confidence: Confidence
    source: str = ""


class Retention(_Part):
    """The least time for which records are kept; without an amount the organisation sets it."""

    amount: _Amount | None = None
    unit: Literal["months", "years"] = "years"
    counted_from: str = "closure"
    applies_to: str = ""
    maximum: str = ""
    basis: str = ""
    confidence: Confidence
    source: str = ""


class Report(_Part):
    """What a regulator or the public is told at intervals."""

    name: str = Field(min_length=1)
    frequency: str = ""
    due: str = ""
    content: tuple[str, ...] = ()
    basis: str = ""
    confidence: Confidence
    source: str = ""


class Source(_Part):
    ref: str = Field(min_length=1)
    url: str = Field(default="", pattern=r"^(https?://\S+)?$")


class OwnTarget(_Part):
    """The organisation's own, shorter promise beside a deadline of the rules."""

    deadline: str = Field(min_length=1)
    amount: _Amount
    unit: Unit
    label: str = Field(default="", max_length=6)
    basis: str = ""
    warn: tuple[Warn, ...] = ()

    @model_validator(mode="after")
    def _on_the_calendar(self) -> Self:
        not_too_long(self.amount, self.unit)
        return self

    @property
    def span(self) -> Span:
        return Span(amount=self.amount, unit=self.unit)


class WorkingDays(_Part):
    """Which days count, where, and when mail out of hours counts as received."""

    region: str | None = Field(default=None, pattern=r"^([A-Z]{2,4}(-[A-Za-z0-9]{1,6})?|none)$")
    """As the `holidays` library names it; it is used where neither the configuration nor --region says another."""
    alternatives: tuple[str, ...] = ()
    zone: str | None = None
    """The zone of its days, such as Europe/London."""
    weekdays: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    """The working week of the rules; empty: the organisation's."""
    own_days: bool = True
    """Whether the organisation's own closures and openings change which days count."""
    definition: str = ""
    out_of_hours: OutOfHours = "actual"
    note: str = ""
    confidence: Confidence = "product_default"

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str | None) -> str | None:
        from zoneinfo import ZoneInfo

        try:
            return None if zone is None else ZoneInfo(zone).key
        except (KeyError, ValueError, OSError) as unknown:
            raise ValueError(f"'{zone}' is no time zone; write one like Europe/London") from unknown


class Pack(_Part):
    """The obligations of one regime, in one version."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    aliases: tuple[str, ...] = ()
    name: str = Field(min_length=1)
    jurisdiction: str = Field(min_length=1)
    sector: str = ""
    status: str = ""
    version: str = Field(min_length=1)
    effective_from: date
    effective_to: date | None = None
    verified: bool = Field(strict=True)
    notes: str = ""
    calendar: WorkingDays = WorkingDays()
    fact: tuple[Fact, ...] = ()
    event: tuple[Event, ...] = ()
    stage: tuple[Stage, ...] = ()
    deadline: Annotated[tuple[Rule, ...], Field(min_length=1)]
    letter: tuple[RequiredLetter, ...] = ()
    own_target: tuple[OwnTarget, ...] = ()
    ombudsman: tuple[Ombudsman, ...] = ()
    retention: tuple[Retention, ...] = ()
    report: tuple[Report, ...] = ()
    record: tuple[str, ...] = ()
    source: tuple[Source, ...] = ()

    def rule(self, rule_id: str) -> Rule:
        """Raises ConfigError for an id that the pack does not have (any more)."""
        for rule in self.deadline:
            if rule.id == rule_id:
                return rule
        raise ConfigError(f"The policy pack {self.id} has no deadline '{rule_id}'.")

    def letter_of(self, letter_id: str) -> RequiredLetter:
        """Raises ConfigError for an id that the pack does not have (any more)."""
        for letter in self.letter:
            if letter.id == letter_id:
                return letter
        raise ConfigError(f"The policy pack {self.id} has no letter '{letter_id}'.")

    def out_of_hours_of(self, rule: Rule) -> str:
        return rule.out_of_hours or self.calendar.out_of_hours

    @property
    def triggers(self) -> tuple[str, ...]:
        """What may start its deadlines, receipt first."""
        return tuple(dict.fromkeys([RECEIPT, *(rule.starts for rule in self.deadline)]))

    def events_of(self, letter_id: str) -> tuple[str, ...]:
        """What the sending of this letter sets going: `X_sent`, its own id, and the events that name it."""
        named = (event.id for event in self.event if letter_id in event.letters)
        return tuple(dict.fromkeys([f"{letter_id}_sent", letter_id, *named]))

    def events_at(self, moment: Moment) -> tuple[str, ...]:
        """The events that this moment in the product is."""
        return tuple(event.id for event in self.event if event.moment == moment)

    def facts(self, known: Mapping[str, str]) -> dict[str, str]:
        """What is known of the pack's facts, with the defaults where nothing is."""
        found = {fact.id: value for fact in self.fact if (value := fact.default) is not None}
        names = {fact.id for fact in self.fact}
        return found | {name: value for one, value in known.items() if (name := name_of(one)) in names}

    def with_targets(self, targets: Iterable[OwnTarget] = ()) -> Pack:
        """The pack with the organisation's own promises: a second clock beside a number, the target of none.

        The promises are the pack's own and `targets`; of two for one deadline the later stands.  Raises ConfigError.
        """
        promised = {target.deadline: target for target in (*self.own_target, *targets)}
        for target in promised.values():
            self.rule(target.deadline)
        rules: list[Rule] = []
        for rule in (one for one in self.deadline if one.id.removesuffix(OWN) not in promised or not one.beside):
            promise = promised.get(rule.id)
            if promise is not None and rule.numberless:
                rules.append(rule.changed(target=promise.span))
                continue
            rules.append(rule)
            if promise is not None:
                rules.append(_beside(rule, promise))
        return self.model_copy(update={"deadline": tuple(rules), "own_target": ()}) if promised else self


def _beside(rule: Rule, target: OwnTarget) -> Rule:
    return rule.changed(
        id=rule.id + OWN,
        label=target.label or f"{rule.label[:5]}*",
        amount=target.amount,
        unit=target.unit,
        other=None,
        mandatory=False,
        basis=target.basis or f"our own target beside {rule.basis}",
        confidence="product_default",
        source="",
        note="",
        warn=target.warn,
        letter="",
        extension=None,
        pause=None,
    )


# In words

SURE: Final[dict[Confidence, str]] = {
    "verified": "",
    "verified_secondary": " [from a secondary source]",
    "memory": " [not verified]",
    "product_default": " [our default, no rule of law]",
}
"""How sure a fact is, as it stands behind it wherever it is shown."""


def in_words(rule: Rule) -> str:
    """The rule as a sentence, with what is the organisation's own and how sure the fact is."""
    limit = limit_of(rule)
    if rule.numberless:
        if rule.span is not None:
            limit += f" (own target: {rule.span.in_words()})"
        limit += f", from {rule.starts.replace('_', ' ')}"
    else:
        limit = f"{'every' if rule.recurring else 'within'} {limit}"
    ours = "our own target, " if rule.own and not rule.numberless else ""
    return f"{rule.action}: {ours}{limit}{'' if ours else SURE[rule.confidence]}"


def limit_of(rule: Rule) -> str:
    """How long the rule itself gives, without a target of ours."""
    if rule.numberless:
        return {"immediately": "at once", "none": "no number"}.get(rule.unit, rule.unit.replace("_", " "))
    since = f"{'from' if rule.recurring else 'of'} {rule.starts.replace('_', ' ')}"
    words = f"{Span(amount=rule.amount or 0, unit=rule.unit).in_words()} {since}"
    return words if rule.other is None else f"{words} or {rule.other.in_words()}, whichever is {rule.other.take}"


def basis_of(rule: Rule) -> str:
    """The paragraph it rests on; a fact that nobody verified says so wherever it is shown."""
    return f"{rule.basis}{SURE['memory']}" if rule.confidence == "memory" else rule.basis
