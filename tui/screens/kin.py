"""Cases that belong together: merge, take that back, link, unlink.  What will happen is said before it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from amends.ledger.shapes import CaseView, QueueRow
from tui.words import name, prose

if TYPE_CHECKING:
    from tui.screens.verbs import CaseVerbs

REFERENCE = "Reference or number of the other case"
SAME = "That is one and the same case; name another one."


def offer(place: CaseVerbs, case: CaseView) -> None:
    """Ask what is meant for this case, by what it is to others now."""
    from tui.dialogs.choose import Choose, Option

    mine = case.row.reference
    options = [
        Option(lambda: _ask_other(place, case, "Merge into", _confirm_merge), "Merge into another case…",
               "the same complaint: this one is closed"),
    ]  # fmt: skip
    if case.merged_into:
        into = case.merged_into
        options = [Option(lambda: _unmerge(place, mine, into), f"Take it out of {into}", "it stands alone as before")]
    options += [
        Option(lambda one=one: _unmerge(place, one, mine), f"Take {one} out again", "it stands alone as before")
        for one in case.merged
    ]
    options.append(
        Option(lambda: _ask_other(place, case, "Link", _link), "Link with another case…", "they belong together")
    )
    options += [Option(lambda one=one: _unlink(place, case, one), f"Unlink {one}", kind) for one, kind in case.links]
    place.offer(Choose(f"{mine} and other cases", options), lambda go_on: go_on())


def _ask_other(
    place: CaseVerbs, case: CaseView, title: str, then: Callable[[CaseVerbs, CaseView, CaseView], None]
) -> None:
    from tui.dialogs.ask import AskLine

    def named(words: str) -> None:
        place.ask(
            "other",
            lambda: place.desk.case(place.desk.find_case(words))[0],
            lambda other: then(place, case, other) if other.row.id != case.row.id else place.house.say(SAME),
            opens=True,
        )

    place.offer(AskLine(f"{title}: {_told(case.row)}", REFERENCE), named)


def _told(row: QueueRow) -> str:
    return f"{row.reference} {name(row.complainant_name) or name(row.complainant_address)}"


def merge_words(case: CaseView, into: CaseView) -> str:
    """What a merger does, and to whom."""
    mine = case.row.reference
    words = (
        f"{mine} is closed, and its open deadlines are no longer owed. {_told(into.row)} “{prose(into.row.subject)}” "
        f"goes on with its own deadlines; answers to {mine} arrive there. It can be taken back (m)."
    )
    if _different(case, into):
        words += (
            f"\n! They are different people: {name(case.row.complainant_address)} gets no more letters, only "
            f"{name(into.row.complainant_address)} does."
        )
    return words


def _different(case: CaseView, into: CaseView) -> bool:
    return case.row.complainant_address != into.row.complainant_address


def _confirm_merge(place: CaseVerbs, case: CaseView, into: CaseView) -> None:
    from tui.dialogs.confirm import Confirm

    desk = place.desk
    mine, other = case.row, into.row

    def merge() -> None:
        from amends.casework import merging

        merging.merge(
            desk.office,
            mine.id,
            other.id,
            different_people=_different(case, into),
            actor=desk.actor,
            now=desk.now(),
        )

    def answered(yes: bool) -> None:
        if yes:
            place.do(
                merge, lambda _: _done(place, f"{mine.reference} is closed, and {other.reference} goes on with it.")
            )

    title = f"Merge {mine.reference} into {other.reference}?"
    yes = "Merge them, though the people differ" if _different(case, into) else "Merge"
    place.offer(Confirm(title, merge_words(case, into), yes=yes, no="No"), answered)


def _unmerge(place: CaseVerbs, reference: str, out_of: str) -> None:
    from tui.dialogs.confirm import Confirm

    desk = place.desk

    def unmerge() -> str:
        from amends.casework import merging

        return merging.unmerge(desk.office, desk.find_case(reference), actor=desk.actor, now=desk.now())

    def answered(yes: bool) -> None:
        if yes:
            place.do(unmerge, lambda _: _done(place, f"{reference} stands alone again."))

    words = (
        f"{reference} has the stage and the deadlines again that it had. What came in meanwhile stays on {out_of}; S "
        "there splits a message off."
    )
    place.offer(Confirm(f"Take {reference} out of {out_of}?", words, yes="Take it out", no="No"), answered)


def _link(place: CaseVerbs, case: CaseView, other: CaseView) -> None:
    desk = place.desk

    def link() -> None:
        from amends.casework import merging

        merging.link(desk.office, case.row.id, other.row.id, actor=desk.actor, now=desk.now())

    place.do(link, lambda _: _done(place, f"{case.row.reference} is linked with {_told(other.row)}."))


def _unlink(place: CaseVerbs, case: CaseView, other: str) -> None:
    desk = place.desk

    def unlink() -> None:
        from amends.casework import merging

        merging.unlink(desk.office, case.row.id, desk.find_case(other), actor=desk.actor, now=desk.now())

    place.do(unlink, lambda _: _done(place, f"{case.row.reference} and {other} are no longer linked."))


def _done(place: CaseVerbs, said: str) -> None:
    place.house.say(said)
    place.house.hurry()
    place.changed([row.id for row in (place.looked_at(),) if row is not None])
