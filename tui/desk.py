"""What the screens ask of the store.  Every method may take its time: call it from a worker, never on the event loop.

Answers are frozen values.  Imports that only some questions need (templates, holidays, mail) stay inside them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

from amends.casework.actors import Actor
from amends.casework.office import Office
from amends.kernel.errors import NeedsHandler, NotFound
from amends.ledger.shapes import ArrivalView, CaseView, Counts, LetterView, MessageView, QueueRow, View
from tui import signs
from tui.later import Later
from tui.packs import tags
from tui.signs import Bounds

if TYPE_CHECKING:
    from amends.casework.clockface import Candidate, Face
    from amends.casework.correspondence import Check, Finding
    from amends.deadlines.model import Pack, RequiredLetter
    from amends.ledger import views
    from amends.letters.kinds import LetterKind
else:
    views = Later("amends.ledger.views")

FIRST_ROWS: Final = 128
PUT_AWAY: Final = 20
"""So many messages that were put away as no complaint stand at the end of the tray."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the views of the queue: `key` for the choice, `make` for the question."""

    name: str
    title: str
    make: Callable[[Bounds, str], View]

    def __reduce__(self) -> tuple[Callable[[str], Kind], tuple[str]]:
        return kind_named, (self.name,)  # between processes it goes by its name


KINDS: Final = (
    Kind("open", "All open", lambda at, me: View("open")),
    Kind("mine", "My open", lambda at, me: View("mine", handler=me)),
    Kind("nobody", "Nobody's", lambda at, me: View("nobody", handler="")),
    Kind("late", "Late", lambda at, me: View("late", late_at=at.now)),
    Kind("today", "Due today or late", lambda at, me: View("today", due_before=at.today_end)),
    Kind("soon", "Due within 3 working days", lambda at, me: View("soon", due_before=at.soon_end)),
    Kind("waiting", "Waiting for somebody", lambda at, me: View("waiting", waiting=True)),
    Kind("vulnerable", "Needs particular care", lambda at, me: View("vulnerable", vulnerable=True)),
    Kind("undelivered", "Not delivered", lambda at, me: View("undelivered", undelivered=True)),
    Kind("closed", "Closed, newest first", lambda at, me: View("closed", closed=True)),
)


def kind_named(name: str) -> Kind:
    return next((kind for kind in KINDS if kind.name == name), KINDS[0])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A view as it stood at one instant: all ids, the first rows and the numbers over it."""

    kind: Kind
    ids: array[int]
    rows: Mapping[int, QueueRow]
    counts: Counts
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Dial:
    """A case, the bands of urgency, and what stands behind its clocks."""

    case: CaseView
    at: Bounds
    face: Face


@dataclass(frozen=True, slots=True)
class ToWrite:
    """A letter that is to be begun: my drafts of its kind, and which letters of the rules it can be."""

    row: QueueRow
    begun: tuple[LetterView, ...]
    choices: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Bulk:
    """What came of a verb on several cases."""

    done: tuple[int, ...]
    refused: tuple[str, ...]


class Desk:
    """One person at one store."""

    def __init__(self, office: Office, actor: Actor) -> None:
        self.office = office
        self.actor = actor
        self.zone = office.settings.organisation.zone
        self.prefix = office.settings.organisation.reference_prefix

    @property
    def currency(self) -> str:
        """What is paid with here: an ISO 4217 code, or "" where none is known."""
        from amends.cases.outcomes import currency_of

        return currency_of(self.office.settings.organisation.region)

    @cached_property
    def tags(self) -> dict[str, str]:
        """What the policy packs are called in a narrow column, by their names; empty where only one applies."""
        every = self.office.settings.policy.names
        return tags(every) if len(every) > 1 else {}

    @property
    def may_write(self) -> bool:
        return self.actor.role != "auditor"

    def now(self) -> datetime:
        """The business clock."""
        return self.office.now()

    def bounds(self) -> Bounds:
        """The bands of urgency now; with holidays once `warm` has loaded them."""
        return signs.bounds(self.now(), self.zone, self.office.__dict__.get("calendar"))

    def load(self) -> None:
        """Load what every question to the store needs, where a child process has asked the first."""
        import amends.ledger.views  # noqa: F401

    def warm(self) -> None:
        """Load what the first screen does without, so that the next ones need not wait."""
        import amends.casework.correspondence
        import amends.casework.handling  # noqa: F401

        _ = self.office.calendar, self.office.regimes

    def require_store(self) -> None:
        """Raises NeedsOperator unless the store has this program's schema."""
        from amends.ledger.schema import require_current

        require_current(self.office.book)

    # The queue

    def snapshot(self, kind: Kind) -> Snapshot:
        at = self.bounds()
        view = kind.make(at, self.actor.login)
        with self.office.book.read() as session:
            ids = views.queue_ids(session, view)
            rows = views.queue_rows(session, ids[:FIRST_ROWS], now=at.now)
            numbers = views.counts(session, view, now=at.now, today_end=at.today_end, soon_end=at.soon_end)
        return Snapshot(kind, ids, rows, numbers, at)

    def rows(self, ids: Sequence[int]) -> dict[int, QueueRow]:
        now = self.now()
        with self.office.book.read() as session:
            return views.queue_rows(session, ids, now=now)

    def search(self, query: str) -> Snapshot:
        at = self.bounds()
        with self.office.book.read() as session:
            ids = array("q", views.search(session, query, prefix=self.prefix))
            rows = views.queue_rows(session, ids, now=at.now)
        return Snapshot(Kind("search", query, lambda *_: View()), ids, rows, Counts(len(ids), 0, 0, 0), at)

    # A case

    def case(self, case_id: int) -> tuple[CaseView, Bounds]:
        at = self.bounds()
        with self.office.book.read() as session:
            return views.case(session, case_id, now=at.now), at

    def read_case(self, case_id: int) -> tuple[CaseView, Bounds]:
        """The case as it is opened: what is unread in it is told, then counts as read."""
        from amends.casework import handling

        found = self.case(case_id)
        if found[0].row.unread and self.may_write:
            shown = [message.id for message in found[0].messages]
            handling.mark_read(self.office, case_id, shown=shown, actor=self.actor, now=self.now())
        return found

    def dial(self, case_id: int) -> Dial:
        """The case with what stands behind each of its clocks, as one look."""
        from amends.casework.clockface import face

        at = self.bounds()
        with self.office.book.read() as session:
            return Dial(views.case(session, case_id, now=at.now), at, face(self.office, session, case_id, now=at.now))

    def lacking(self, case_id: int) -> list[tuple[Pack, RequiredLetter]]:
        """The letters without which the packs let the case not be closed; nothing while a letter is on its way."""
        from amends.casework import contents, handling
        from amends.casework.casefile import CaseFile

        with self.office.book.read() as session:
            file = CaseFile.look(self.office, session, case_id, actor=self.actor, now=self.now())
            return [] if handling.letter_on_its_way(file) else contents.letters_lacking(file)

    def find_case(self, words: str) -> int:
        """The case that a reference, a part of one, or a number names.  Raises NotFound."""
        with self.office.book.read() as session:
            found = views.search(session, words, prefix=self.prefix, limit=2)
        if not found:
            raise NotFound(f"There is no case {words.strip()}; check the number, or search with /.")
        return found[0]

    def assign(self, case_ids: Sequence[int], handler: str | None, *, override: str = "") -> Bulk:
        from amends.casework import handling

        done, refused = [], []
        for case_id in case_ids:
            try:
                handling.assign(self.office, case_id, handler, override=override, actor=self.actor, now=self.now())
                done.append(case_id)
            except NeedsHandler as no:
                refused.append(str(no))
        return Bulk(tuple(done), tuple(refused))

    def handlers(self) -> list[tuple[str, str]]:
        """(login, name) of those who can have cases; with no list in the configuration, whoever has some, and me."""
        people = [(p.login, p.name) for p in self.office.settings.handler if p.role != "auditor"]
        return people or [(self.actor.login, self.actor.name)]

    def why_blocked(self, address: str) -> str | None:
        """Why no automatic letter goes to this address, or None."""
        from amends.casework import gate

        with self.office.book.read() as session:
            return gate.why_blocked(session, address, now=self.now())

    # Letters

    def to_write(self, case_id: int, kind: LetterKind) -> ToWrite:
        """What there is to begin a letter of this kind with."""
        from amends.casework.clockface import choices

        dial = self.dial(case_id)
        begun = [
            one
            for one in dial.case.letters
            if one.kind == kind and one.state == "draft" and one.author == self.actor.login
        ]
        return ToWrite(dial.case.row, tuple(begun), tuple(choices(dial.face.candidates, str(kind))))

    def draft(
        self, case_id: int, kind: LetterKind, finding: Finding | None = None, *, counts_as: str = ""
    ) -> LetterView:
        """The draft begun before, or a new one; with a finding it says the decision from the start."""
        from amends.casework import correspondence
        from amends.casework.correspondence import Words

        words = None
        if finding is not None:
            words = Words(outcome=str(finding.outcome), remedy=finding.remedy.in_words() if finding.remedy else "")
        letter_id = correspondence.draft(
            self.office, case_id, kind, words=words, counts_as=counts_as, actor=self.actor, now=self.now()
        )
        return self.letter(letter_id)

    def letter(self, letter_id: int) -> LetterView:
        with self.office.book.read() as session:
            return views.letter(session, letter_id)

    def checks(self, letter_id: int, finding: Finding | None) -> list[Check]:
        from amends.casework import correspondence

        return correspondence.checks(self.office, letter_id, now=self.now(), finding=finding)

    def held(self) -> list[LetterView]:
        """My letters that can still be called back."""
        with self.office.book.read() as session:
            return views.held_letters(session, self.actor.login, now=self.now())

    def outbox(self, since: datetime) -> list[LetterView]:
        with self.office.book.read() as session:
            return views.outbox(session, sent_since=since)

    # The tray

    def tray(self) -> list[ArrivalView]:
        """What waits, the oldest first; then what was put away last, should that have been a mistake."""
        with self.office.book.read() as session:
            put_away = views.tray(session, "dismissed", newest=PUT_AWAY)
            return [*views.tray(session, "held"), *views.tray(session, "quarantined"), *put_away]

    def waiting_mail(self, arrival: ArrivalView) -> tuple[MessageView | None, str]:
        """The message that waits, or the beginning of its bytes as text where it could not be read."""
        with self.office.book.read() as session:
            if arrival.message_id is not None:
                return views.message(session, arrival.message_id), ""
            _, packed = views.raw(session, arrival.raw_id)
        from amends.casework.intake import unpack

        return None, unpack(packed)[:20_000].decode("utf-8", "replace")
