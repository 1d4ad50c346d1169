"""The weeks before the demonstration: complaints that the desk already has in hand.

Played with the same verbs as the daemon's and the handlers', on a clock of its own that jumps from event to event, so
that every letter, deadline and ledger entry stands where it would have come about.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from email.utils import parseaddr
from importlib.resources import files
from typing import Any, Final

from amends.cases.outcomes import Assessment, Outcome, Remedy, Severity, money
from amends.cases.stages import Waiting
from amends.casework import clockwork, correspondence, handling, intake, post
from amends.casework.actors import Actor, identify
from amends.casework.office import Office
from amends.kernel.errors import NeedsOperator, NotFound
from amends.ledger import views
from amends.letters.kinds import LetterKind
from daemon.demo.cast import Mail, compose

OWNER: Final = "demonstration"
_DESK_OPENS: Final = time(9, 40)

Step = tuple[datetime, Callable[[datetime], None]]


@dataclass(frozen=True, slots=True)
class Earlier:
    """One entry of `earlier.toml`."""

    mail: Mail
    days_ago: int
    at: time
    entry: dict[str, Any]


def read_earlier() -> list[Earlier]:
    """The entries of `earlier.toml`, which ships beside this module."""
    tree = tomllib.loads(files("daemon.demo").joinpath("earlier.toml").read_text(encoding="utf-8"))
    return [_earlier(entry) for entry in tree["earlier"]]


def still_open() -> list[Mail]:
    """The mails of those who wrote in those weeks and have had no decision."""
    return [earlier.mail for earlier in read_earlier() if "answer" not in earlier.entry]


def _earlier(entry: dict[str, Any]) -> Earlier:
    name, address = parseaddr(entry["from"])
    mail = Mail(name=name, sender=name, address=address, subject=entry["subject"], text=entry["text"].strip() + "\n")
    return Earlier(mail, entry["days_ago"], time.fromisoformat(entry["at"]), entry)


def play_earlier(office: Office, *, deliver: Callable[[str, bytes], None], now: datetime) -> int:
    """Put the weeks before `now` into an empty store; returns how many cases.

    `deliver(address, letter)` gets the letters that went out then, as they went.
    """
    history = _History(office, deliver)
    steps: list[Step] = []
    entries = read_earlier()
    for earlier in entries:
        steps += history.steps(earlier, now)
    for instant, act in sorted(steps, key=lambda step: step[0]):
        history.run_to(instant)
        act(instant)
        history.post(instant)
    history.run_to(now)
    return len(entries)


class _History:
    def __init__(self, office: Office, deliver: Callable[[str, bytes], None]) -> None:
        self._office = office
        self._deliver = deliver
        self._references: dict[str, str] = {}

    def steps(self, earlier: Earlier, now: datetime) -> list[Step]:
        """What happened to this complaint, and when; nothing that would lie beyond `now`."""
        zone = self._office.settings.organisation.zone
        today = now.astimezone(zone).date()
        received = datetime.combine(today - timedelta(days=earlier.days_ago), earlier.at, zone).astimezone(UTC)
        morning = datetime.combine(today - timedelta(days=earlier.days_ago - 1), _DESK_OPENS, zone)
        taken_up = _on_a_weekday(morning).astimezone(UTC)
        steps: list[Step] = [
            (received, lambda at: self._receive(earlier, at)),
            (taken_up, lambda at: self._take_up(earlier, at)),
        ]
        if "answer" in earlier.entry:
            answered = _on_a_weekday(taken_up + timedelta(days=earlier.entry["answer"]["after_days"]))
            leaves = answered + self._office.real(timedelta(seconds=self._office.settings.letters.undo_seconds))
            steps += [
                (answered, lambda at: self._answer(earlier, at)),
                (leaves + timedelta(hours=1), lambda at: self._close(earlier, at)),
            ]
        return [step for step in steps if step[0] <= now]

    def run_to(self, until: datetime) -> None:
        """Let the clock and the outbox do what fell due up to `until`, each at its instant."""
        while True:
            due = [
                instant
                for instant in (
                    clockwork.next_instant(self._office, now=self._office.now()),
                    post.next_leaving(self._office),
                )
                if instant is not None and instant <= until
            ]
            if not due:
                return
            instant = min(due)
            clockwork.tick(self._office, now=instant)
            self.post(instant)

    def post(self, now: datetime) -> None:
        """Hand over the letters whose time has come."""
        for letter in post.claim(self._office, OWNER, now=now):
            if post.before_dot(self._office, OWNER, letter.letter_id, now=now):
                self._deliver(letter.to, letter.raw)
                delivered = [post.Carried(letter.letter_id, post.Accepted("250 2.0.0 Delivered"))]
                post.record(self._office, OWNER, delivered, now=now)

    def _receive(self, earlier: Earlier, now: datetime) -> None:
        from amends.mail.read import read

        organisation = self._office.settings.organisation
        raw = compose(earlier.mail, to=organisation.address, now=now)
        incoming = intake.Incoming("complaints", None, None, raw, now, history=False)
        intake.store(self._office, [incoming], now=now)
        readings = [
            (pending.arrival_id, read(pending.raw, own_addresses=organisation.own_addresses))
            for pending in intake.pending(self._office)
        ]
        for filed in intake.file(self._office, readings, now=now):
            if filed.reference is None:
                raise NeedsOperator(f"The demonstration's own mail '{earlier.mail.subject}' was {filed.state}.")
            self._references[earlier.mail.address] = filed.reference

    def _take_up(self, earlier: Earlier, now: datetime) -> None:
        entry, case_id = earlier.entry, self._case(earlier)
        actor = self._actor(earlier)
        handling.mark_read(self._office, case_id, actor=actor, now=now)
        assessment = Assessment(
            Severity(entry["severity"]),
            entry.get("complexity", ""),
            entry.get("impact", ""),
            entry.get("immediate_action", False),
            entry.get("vulnerable", False),
        )
        handling.assess(self._office, case_id, assessment, actor=actor, now=now)
        if "handler" in entry:
            handling.assign(self._office, case_id, entry["handler"], actor=actor, now=now)
        handling.note(self._office, case_id, entry["note"].strip(), actor=actor, now=now)
        for fact, answer in entry.get("facts", {}).items():
            handling.set_fact(self._office, case_id, fact, answer, actor=actor, now=now)
        if entry.get("investigating"):
            handling.investigate(self._office, case_id, actor=actor, now=now)
        if "waiting" in entry:
            waiting = Waiting(entry["waiting"])
            handling.wait(self._office, case_id, waiting, entry["reason"], actor=actor, now=now)

    def _answer(self, earlier: Earlier, now: datetime) -> None:
        answer, case_id = earlier.entry["answer"], self._case(earlier)
        actor = self._actor(earlier)
        letter = correspondence.draft(self._office, case_id, LetterKind.FINAL_RESPONSE, actor=actor, now=now)
        greeting = f"Dear {earlier.mail.sender},\n\n"
        closing = f"\nYours sincerely,\n\n{actor.name}\n{self._office.settings.organisation.name}\n"
        correspondence.save(
            self._office, letter, greeting + answer["words"].strip() + "\n" + closing, actor=actor, now=now
        )
        amount, currency = money(answer["amount"], answer["currency"])
        finding = correspondence.Finding(
            Outcome(answer["outcome"]), Remedy(answer["remedy"], amount, currency), answer["root_cause"]
        )
        correspondence.respond(self._office, letter, finding, actor=actor, now=now)

    def _close(self, earlier: Earlier, now: datetime) -> None:
        handling.close(self._office, self._case(earlier), actor=self._actor(earlier), now=now)

    def _actor(self, earlier: Earlier) -> Actor:
        return identify(self._office.settings, earlier.entry.get("handler", "ruth"))

    def _case(self, earlier: Earlier) -> int:
        with self._office.book.read() as session:
            case_id = views.case_id(session, self._references[earlier.mail.address])
        if case_id is None:
            raise NotFound(f"The case of {earlier.mail.sender} is gone.")
        return case_id


def _on_a_weekday(instant: datetime) -> datetime:
    return instant + timedelta(days=max(0, 7 - instant.weekday())) if instant.weekday() >= 5 else instant
