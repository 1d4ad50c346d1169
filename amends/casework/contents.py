"""What a policy pack asks of a letter's words, and which of its letters a case still lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from amends.casework import course
from amends.casework.casefile import CaseFile
from amends.deadlines.model import BY_A_PERSON, Item, Ombudsman, Pack, RequiredLetter, Window, by_a_person
from amends.ledger.tables import Letter
from amends.letters.kinds import LetterFacts

_DATE: Final = re.compile(
    r"\b\d{1,2}(st|nd|rd|th|\.)?\s+(de\s+)?[^\W\d_]{3,}\.?\s+(de\s+)?\d{4}\b"  # 8 January 2027, 8. Januar 2027
    r"|\b[^\W\d_]{3,}\s+\d{1,2},?\s+\d{4}\b"  # January 8, 2027
    r"|\b\d{4}-\d\d-\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b"
)
_NUMBERS: Final = {1: "one", 2: "two", 3: "three", 4: "four", 6: "six", 8: "eight", 9: "nine", 10: "ten", 12: "twelve"}


def says(item: Item, text: str, *, reference: str, pack: Pack) -> bool | None:
    """Whether a letter says what it must; None for what only a person can tell."""
    plain = _plain(text)
    match item.check:
        case "reference":
            return reference.casefold() in plain
        case "expected_date":
            return _DATE.search(text) is not None
        case "ombudsman":
            return any(_name(one.name) in plain for one in pack.ombudsman) if pack.ombudsman else None
        case "ombudsman_url":
            hosts = [_host(one.url) for one in pack.ombudsman if one.url]
            return any(host in plain for host in hosts) if hosts else None
        case "referral_period":
            windows = [one.window for one in pack.ombudsman if one.window is not None]
            return any(_names(window, plain) for window in windows) if windows else None
    return None


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _name(name: str) -> str:
    return _plain(name).removeprefix("the ")


def _host(url: str) -> str:
    return url.casefold().split("://")[-1].split("/")[0].removeprefix("www.")


def _names(window: Window, plain: str) -> bool:
    """Whether a period stands there: `12 months`, `twelve-month`, `12 calendar months`."""
    amounts = "|".join(filter(None, (str(window.amount), _NUMBERS.get(window.amount, ""))))
    unit = window.unit.split("_")[-1].removesuffix("s")
    return re.search(rf"\b({amounts})[\s-]+(calendar |working |business )?{unit}s?\b", plain) is not None


def looked_at(
    packs: Sequence[Pack], letters: Mapping[str, RequiredLetter], text: str, *, reference: str
) -> Iterator[tuple[bool, bool, str]]:
    """(ok, blocking, words) of everything that the packs ask of these letters, by pack id, with this text.

    The outcome and the remedy are no words of the letter: the finding has them, and is looked at by itself.
    """
    for pack in packs:
        if (letter := letters.get(pack.id)) is None:
            continue
        for item in letter.must_contain:
            if item.check in ("outcome", "remedy"):
                continue
            found = says(item, text, reference=reference, pack=pack)
            if found is None and item.required:
                yield False, False, f"See that it says {item.text} ({letter.basis})"
            elif found:
                yield True, True, f"It says {item.text}"
            elif found is False:
                yield False, item.required, f"It does not say {item.text} ({letter.basis})"


def way_to_name(own: str, packs: Sequence[Pack], letters: Mapping[str, RequiredLetter]) -> str:
    """Where a complainant can go next: in the organisation's own words, with the ombudsman that a pack wants named."""
    said = own
    for pack in packs:
        letter = letters.get(pack.id)
        if letter is not None and any(item.check == "ombudsman" for item in letter.must_contain):
            for one in pack.ombudsman[:1]:
                if one.name.casefold() not in said.casefold():
                    said = "\n".join(part for part in (said, one.name, one.address, one.phone, one.url) if part)
    return said


# Letters that leave by themselves


_WAY_OUT: Final = ("ombudsman", "ombudsman_url", "referral_period")


def not_said(pack: Pack | None, letter: RequiredLetter | None, text: str, *, reference: str) -> list[str]:
    """What a letter that no person wrote does not say though the pack wants it in it, in sentences.

    What only a person can tell is taken as said, since the pack lets the letter go out by itself; reasons are not.
    """
    if pack is None or letter is None:
        return []
    missing = [
        f"It does not say {item.text} ({letter.basis})."
        for item in letter.must_contain
        if item.required and says(item, text, reference=reference, pack=pack) is False
    ]
    if by_a_person(letter):
        theirs = [item.text for item in letter.must_contain if item.check in BY_A_PERSON and item.required]
        missing.append(f"Only a person can write {', '.join(theirs) or 'this letter'} ({letter.basis}).")
    return missing


def way_out(pack: Pack, letter: RequiredLetter, facts: LetterFacts) -> str:
    """The way to an ombudsman for a letter that must name it: the organisation's own words, if they say what they must.

    Else what the pack knows of it, where that was verified.
    """
    items = [item for item in letter.must_contain if item.check in _WAY_OUT and item.required]
    own = facts.external_review
    if all(says(item, own, reference=facts.reference, pack=pack) is not False for item in items):
        return own
    known = [_way_to(one) for one in pack.ombudsman if one.confidence != "memory"]
    return "\n".join([*([own] if own else []), *known])


def _way_to(one: Ombudsman) -> str:
    where = f" ({one.url})" if one.url else ""
    when = f"You have {one.window.in_words()}." if one.window is not None else ""
    name = one.name.removeprefix("the ").removeprefix("The ")
    return f"You can take your complaint to the {name}{where}. {when}".rstrip()


def lacking(file: CaseFile) -> list[str]:
    """The letters, in words, without which a pack of the case does not let it be closed in the stage it has reached."""
    return [
        f"{letter.action or letter.id.replace('_', ' ')} ({pack.name}, {letter.basis})"
        for pack, letter in letters_lacking(file)
    ]


def letters_lacking(file: CaseFile) -> list[tuple[Pack, RequiredLetter]]:
    """The same as the packs have them."""
    sent = select(col(Letter.kind), col(Letter.facts)).where(
        col(Letter.case_id) == file.id, col(Letter.sent_at).is_not(None), col(Letter.staff).is_(False)
    )
    letters = [(kind, facts.get("counts_as", "")) for kind, facts in file.session.connection().execute(sent)]
    return [
        (pack, letter)
        for pack in file.office.packs_of(file.row)
        for letter in _closing(file, pack)
        if not _was_sent(file, pack, letter, letters)
    ]


def _closing(file: CaseFile, pack: Pack) -> list[RequiredLetter]:
    stages = [stage.id for stage in pack.stage]
    stage = course.stage_of(file.row, pack)
    reached = stages[: stages.index(stage) + 1] if stage in stages else stages
    return [letter for letter in pack.letter if letter.closes and (not letter.stage or letter.stage in reached)]


def _was_sent(file: CaseFile, pack: Pack, letter: RequiredLetter, sent: Sequence[tuple[str, str]]) -> bool:
    """By us, as this letter or as one of its kind that was named as no other; or by another way, as a handler says."""
    events = course.happened(file.row, pack)
    if letter.id in events or f"{letter.id}_sent" in events:
        return True
    named = {one.id for one in pack.letter}
    return any(
        counts_as == letter.id or (kind == letter.kind and (counts_as not in named or not counts_as))
        for kind, counts_as in sent
    )
