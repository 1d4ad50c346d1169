"""Letters: begun, written, sent, called back, settled."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.cli.base import (
    FindingName,
    FromFile,
    Json,
    KindName,
    LetterNumber,
    Ref,
    Seat,
    Text,
    app,
    document,
    misuse,
    moment,
    print_lines,
    report,
    say,
    sit,
    words_of,
)

if TYPE_CHECKING:
    from amends.casework.correspondence import Words
    from amends.casework.promising import Promise


@app.command()
def acknowledge(context: typer.Context, ref: Ref, as_json: Json = False) -> None:
    """Send an acknowledgement where none went out by itself."""
    from amends.casework import correspondence

    seat = sit(context)
    case_id = seat.case_id(ref)
    correspondence.acknowledge(seat.office, case_id, actor=seat.actor, now=seat.now)
    report(seat, case_id, as_json, "the acknowledgement is on its way.")


def _text_of(text: str | None, file: Path | None, *, what: str) -> str | None:
    """The text that was given with --text or --file, or None where neither was."""
    return None if text is None and file is None else words_of(text, file, what=what)


def _write(
    seat: Seat,
    case_id: int,
    kind: KindName,
    text: str | None,
    subject: str | None,
    *,
    whole: bool,
    counts_as: str = "",
    promise: Promise | None = None,
) -> int:
    """A draft with these words, in the gap of its template or as the whole letter; returns its number."""
    from amends.casework import correspondence
    from amends.ledger import views
    from amends.letters.kinds import LetterKind

    if whole and text is None:
        misuse("--whole needs the letter; give it with --text or --file.")
    if kind is KindName.PROGRESS_UPDATE and text is not None and not whole:
        misuse("A progress update has no gap to fill; leave the text out, or give the whole letter with --whole.")
    words = None if text is None else correspondence.Words() if whole else _in_the_gap(kind, text)
    letter = correspondence.draft(
        seat.office,
        case_id,
        LetterKind(kind.value),
        words=words,
        counts_as=counts_as,
        promise=promise,
        actor=seat.actor,
        now=seat.now,
    )
    if whole or subject is not None:
        with seat.office.book.read() as session:
            body = views.letter(session, letter).body
        body = text if whole and text is not None else body
        correspondence.save(seat.office, letter, body, subject=subject, actor=seat.actor, now=seat.now)
    return letter


def _in_the_gap(kind: KindName, text: str) -> Words:
    from amends.casework.correspondence import Words

    return Words(message=text) if kind is KindName.REPLY else Words(reasons=text)


Kind = Annotated[KindName, typer.Option("--kind", help="Which letter.")]
Subject = Annotated[str | None, typer.Option("--subject", help="Another subject; the reference stays in it.")]
CountsAs = Annotated[
    str, typer.Option("--counts-as", metavar="ID", help="The letter of the policy pack that it is, by its id.")
]
Whole = Annotated[bool, typer.Option("--whole", help="The text is the whole letter, not what fills its gap.")]
Promised = Annotated[
    str | None,
    typer.Option(
        "--promise", metavar="DAY [WHAT]", help='What the letter promises by when: "2026-12-01 an engineer comes".'
    ),
]
Instead = Annotated[
    bool, typer.Option("--instead", help="The promise takes the place of those made before; else they all run.")
]
Anyway = Annotated[bool, typer.Option("--anyway", help="You have read what is new on the case since the draft.")]


def _promised(said: str | None, *, instead: bool) -> Promise | None:
    from amends.casework.promising import Promise

    if said is None:
        if instead:
            misuse("--instead goes with --promise; say what you promise now.")
        return None
    day, _, what = said.strip().partition(" ")
    try:
        return Promise(date.fromisoformat(day), what.strip(), instead)
    except ValueError:
        misuse('Write the promise as a day and what you promise, such as "2026-12-01 an engineer comes".')


@app.command()
def draft(
    context: typer.Context,
    ref: Ref,
    kind: Kind = KindName.REPLY,
    text: Text = None,
    file: FromFile = None,
    subject: Subject = None,
    whole: Whole = False,
    counts_as: CountsAs = "",
    promise: Promised = None,
    instead: Instead = False,
    as_json: Json = False,
) -> None:
    """Begin a letter and print it; `send` sends it."""
    from amends.kernel.text import clean
    from amends.ledger import views

    meant = _promised(promise, instead=instead)
    seat = sit(context)
    case_id = seat.case_id(ref)
    said = _text_of(text, file, what="letter")
    letter = _write(seat, case_id, kind, said, subject, whole=whole, counts_as=counts_as, promise=meant)
    with seat.office.book.read() as session:
        found = views.letter(session, letter)
    if as_json:
        document(found.as_json() | {"body": found.body})
    else:
        print_lines([f"Letter {letter} is begun.", "", clean(found.subject).text, ""])
        print_lines(clean(found.body, multiline=True).text.split("\n"))


@app.command()
def letter(
    context: typer.Context,
    ref: Ref,
    kind: Kind = KindName.REPLY,
    text: Text = None,
    file: FromFile = None,
    subject: Subject = None,
    whole: Whole = False,
    counts_as: CountsAs = "",
    promise: Promised = None,
    instead: Instead = False,
    as_json: Json = False,
) -> None:
    """Write a letter and send it; without --text or --file the text comes from standard input."""
    if kind is KindName.FINAL_RESPONSE:
        misuse("A final response needs an outcome; use: amends respond REF --outcome ...")
    meant = _promised(promise, instead=instead)
    seat = sit(context)
    case_id = seat.case_id(ref)
    said = _text_of(text, file, what="letter")
    if said is None and kind is not KindName.PROGRESS_UPDATE:
        said = words_of(None, None, what="letter")
    written = _write(seat, case_id, kind, said, subject, whole=whole, counts_as=counts_as, promise=meant)
    _post(seat, written, as_json, anyway=False)


@app.command()
def send(context: typer.Context, letter: LetterNumber, anyway: Anyway = False, as_json: Json = False) -> None:
    """Send a draft."""
    _post(sit(context), letter, as_json, anyway=anyway)


def _post(seat: Seat, letter: int, as_json: bool, *, anyway: bool) -> None:
    from amends.casework import correspondence

    leaves = correspondence.send(seat.office, letter, actor=seat.actor, now=seat.now, anyway=anyway)
    _report_letter(seat, letter, as_json, f"leaves {moment(seat, leaves)}; until then: amends undo {letter}")


def _report_letter(seat: Seat, letter: int, as_json: bool, sentence: str) -> None:
    from amends.ledger import views

    with seat.office.book.read() as session:
        found = views.letter(session, letter)
    document(found.as_json()) if as_json else say(f"Letter {letter} on {found.reference} {sentence}")


@app.command()
def respond(
    context: typer.Context,
    ref: Ref,
    outcome: Annotated[FindingName, typer.Option("--outcome", help="What was found.")],
    text: Text = None,
    file: FromFile = None,
    remedy: Annotated[str, typer.Option("--remedy", help="What puts it right.")] = "",
    amount: Annotated[str | None, typer.Option("--amount", help="Money that is paid, like 120.00.")] = None,
    currency: Annotated[
        str | None, typer.Option("--currency", help="Its three letters, like GBP; else what your region pays in.")
    ] = None,
    root_cause: Annotated[str | None, typer.Option("--root-cause", help="Why it happened; stays in the house.")] = None,
    next_steps: Annotated[str, typer.Option("--next", help="What happens next.")] = "",
    counts_as: CountsAs = "",
    promise: Promised = None,
    instead: Instead = False,
    as_json: Json = False,
) -> None:
    """Give the final response: the outcome, the reasons (the text) and the remedy."""
    from amends.cases.outcomes import Outcome, currency_of
    from amends.casework import correspondence
    from amends.letters.kinds import LetterKind

    meant = _promised(promise, instead=instead)
    seat = sit(context)
    case_id = seat.case_id(ref)
    right = _remedy(remedy, amount, currency or currency_of(seat.office.settings.organisation.region))
    words = correspondence.Words(
        outcome=outcome.value,
        reasons=words_of(text, file, what="reasons"),
        remedy=right.in_words() if right else "",
        next_steps=next_steps,
    )
    finding = correspondence.Finding(Outcome(outcome.value), right, root_cause)
    kind = LetterKind.FINAL_RESPONSE
    letter = correspondence.draft(
        seat.office, case_id, kind, words=words, counts_as=counts_as, promise=meant, actor=seat.actor, now=seat.now
    )
    leaves = correspondence.respond(seat.office, letter, finding, actor=seat.actor, now=seat.now)
    _report_letter(seat, letter, as_json, f"leaves {moment(seat, leaves)}; until then: amends undo {letter}")


def _remedy(words: str, amount: str | None, currency: str) -> Any:
    from amends.cases.outcomes import Remedy, money
    from amends.kernel.errors import Refused

    if not words.strip():
        if amount is not None:
            misuse("Say with --remedy what the money is for.")
        return None
    try:
        return Remedy(words) if amount is None else Remedy(words, *money(amount, currency))
    except Refused as wrong:
        raise typer.BadParameter(str(wrong)) from wrong


@app.command()
def undo(
    context: typer.Context,
    letter: Annotated[int | None, typer.Argument(metavar="LETTER", help="Else your newest that has not left.")] = None,
    as_json: Json = False,
) -> None:
    """Call back a letter that has not left; it is a draft again."""
    from amends.casework import correspondence
    from amends.kernel.errors import NotFound
    from amends.ledger import views

    seat = sit(context)
    if letter is None:
        with seat.office.book.read() as session:
            waiting = views.held_letters(session, seat.actor.login, now=seat.now)
        if not waiting:
            raise NotFound("None of your letters can be called back; they have left, or there are none.")
        letter = max(waiting, key=lambda one: one.queued_at or seat.now).id
    correspondence.call_back(seat.office, letter, actor=seat.actor, now=seat.now)
    _report_letter(seat, letter, as_json, "is called back; it is a draft again.")


@app.command()
def discard(context: typer.Context, letter: LetterNumber, as_json: Json = False) -> None:
    """Throw a draft away."""
    from amends.casework import correspondence

    seat = sit(context)
    correspondence.discard(seat.office, letter, actor=seat.actor, now=seat.now)
    _report_letter(seat, letter, as_json, "is thrown away.")


@app.command()
def resend(
    context: typer.Context,
    letter: LetterNumber,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="ADDRESS", help="Correct the complainant's address, and send it there."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Send a failed, bounced or uncertain letter once more."""
    from amends.casework import undelivered

    seat = sit(context)
    if to is None:
        leaves = undelivered.resend(seat.office, letter, actor=seat.actor, now=seat.now)
    else:
        leaves = undelivered.send_to(seat.office, letter, to, actor=seat.actor, now=seat.now)
    instead = "" if leaves == letter else f", with the words of letter {letter}, which is given up"
    _report_letter(seat, leaves, as_json, f"is on its way{' again' if leaves == letter else instead}.")


@app.command()
def settle(
    context: typer.Context,
    letter: LetterNumber,
    arrived: Annotated[
        bool, typer.Option("--arrived/--given-up", help="It reached the complainant, or it never will.")
    ],
    as_json: Json = False,
) -> None:
    """Say what became of a letter that nobody can know of."""
    from amends.casework import undelivered

    seat = sit(context)
    undelivered.settle(seat.office, letter, arrived, actor=seat.actor, now=seat.now)
    _report_letter(seat, letter, as_json, "is settled as sent." if arrived else "is given up.")
