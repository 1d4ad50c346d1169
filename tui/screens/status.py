"""The status: is mail coming in and going out, and what waits where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from textual.binding import BindingType
from textual.widget import Widget

from amends.ledger import views
from amends.ledger.shapes import DutyView, Tally
from tui import keys
from tui.health import SILENCE, Health, kind_of
from tui.pulse import News
from tui.screens.base import DeskScreen
from tui.signs import age, moment
from tui.widgets.bar import Part
from tui.widgets.lineview import LineView, Sheet
from tui.words import Line, fit, plural, prose, wrap

DOES = {
    "intake": "fetches mail",
    "listener": "takes mail in",
    "reconcile": "proves that none is lost",
    "oauth": "renews the log-ins",
    "outbox": "sends letters",
    "clock": "watches the deadlines",
    "self-check": "counts deadlines again",
    "metrics": "counts for the operator",
}


_INCIDENTS: Final = 5  # so many are shown


@dataclass(frozen=True, slots=True)
class Proof:
    """The last verdict on each mailbox, the open incidents as (mailbox, words), why automatic letters wait, and what
    a change of the calendar or of a pack would move."""

    reconciled: tuple[dict[str, Any], ...] = ()
    incidents: tuple[tuple[str, str], ...] = ()
    doubts: tuple[str, ...] = ()
    change: str | None = None


class StatusScreen(DeskScreen):
    """For everybody in the first lines, for operators below."""

    PLACE = "status"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("status")

    def content(self) -> Iterator[Widget]:
        yield LineView(id="status-page")

    def on_mount(self) -> None:
        self.show_title([Part(" Status", "strong")])
        self.query_one(LineView).focus()
        self.action_fresh()

    def action_fresh(self) -> None:
        def look() -> tuple[list[DutyView], Tally, Proof]:
            from amends.casework import doubts, incidents, policychange, reconciling

            office = self.desk.office
            names = [box.name for box in office.settings.mailbox]
            with office.book.read() as session:
                proof = Proof(
                    tuple(reconciling.last_verdicts(session, names)),
                    tuple((one.mailbox, one.words) for one in incidents.open_incidents(session)),
                    tuple(one.words for one in doubts.doubts(session)),
                    None if (change := policychange.pending(session)) is None else change.sentence,
                )
                return views.duties(session), views.tally(session), proof

        self.ask("status", look, self._show)

    def _show(self, found: tuple[list[DutyView], Tally, Proof]) -> None:
        duties, tally, proof = found
        office, health = self.desk.office, self.house.health
        where = str(office.book.path or office.book.url.render_as_string(hide_password=True))
        now, zone = office.wall(), self.desk.zone
        packs = (office.settings.policy.pack, *office.settings.policy.packs)
        about = [
            ("You are", f"{self.desk.actor.name or self.desk.actor.login} ({self.desk.actor.role})"),
            ("Deadlines", f"{', '.join(packs)}; working days of {office.settings.organisation.region}"),
            ("Times", f"shown in {office.settings.organisation.timezone}"),
            ("Undo", f"a letter is held for {office.settings.letters.undo_seconds} seconds"),
            ("Store", where),
            ("Version", f"amends {version('amends')}"),
        ]
        self.query_one(LineView).show(
            lambda width: status_sheet(health, duties, tally, proof, about, now, zone, width), top=False
        )

    def news(self, news: News) -> None:
        self.action_fresh()

    def minute(self) -> None:
        self.action_fresh()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.action_fresh()


def status_sheet(
    health: Health,
    duties: list[DutyView],
    tally: Tally,
    proof: Proof,
    about: list[tuple[str, str]],
    now: datetime,
    zone: ZoneInfo,
    width: int,
) -> Sheet:
    """The page; pure."""
    role = "ok" if health.role == "bar" else health.role
    lines: list[Line] = [(), *((("  " + line, role),) for line in wrap(health.story, width - 4)), ()]
    lines.append((("  WHAT THE MAIL SERVICE DOES", "muted"),))
    for duty in duties:
        silent = now - duty.beat_at > SILENCE
        well = duty.state == "running" and not silent
        state = "not heard of" if silent else prose(duty.state)
        what = DOES.get(kind_of(duty), "")
        since = moment(duty.beat_at if silent else duty.since, now, zone)
        words = f"{state} since {since}, heard of {_ago(duty.beat_at, now)}"
        if len(words) > width - 52:  # how it is matters more than since when
            words = f"{state}, heard of {_ago(duty.beat_at, now)}" if not silent else f"silent since {since}"
        lines.append(
            (
                (" ok " if well else " !! ", "ok" if well else "late"),
                (fit(prose(duty.name), 22) + " " + fit(what, 24) + " ", "text"),
                (words, "muted" if well else "late"),
            )
        )
        if duty.last_error and not well:
            lines.extend((("      " + line, "late"),) for line in wrap(prose(duty.last_error), width - 8))
    if not duties:
        lines.append((("  It has never run on this store.", "late"),))
    lines += [(), (("  WHAT WAITS", "muted"),)]
    for number, words in (
        (tally.failed, "failed or came back: outbox (3)"),
        (tally.uncertain, "uncertain: outbox (3)"),
        (tally.queued, "on their way"),
        (tally.held, "held for a word: tray (4)"),
        (tally.quarantined, "set aside: tray (4)"),
    ):
        unit = ("letter" if "outbox" in words or "way" in words else "message") + ("" if number == 1 else "s")
        role = "late" if number and "failed" in words else "text"
        lines.append(((f"  {number:>5,} {unit:<8}  {words}", role),))
    lines += [*_proof(proof, now, zone, width), (), (("  ABOUT", "muted"),)]
    for title, words in about:
        for number, line in enumerate(wrap(prose(words), width - 16)):
            lines.append(((f"   {fit(title if not number else '', 11)}", "muted"), (line, "text")))
    return Sheet(tuple(lines))


def _proof(proof: Proof, now: datetime, zone: ZoneInfo, width: int) -> Iterator[Line]:
    """What shows that no mail is lost, and what speaks against it; the mailboxes, then the rest for the operator."""
    told: list[tuple[str, str]] = []
    for verdict in proof.reconciled:
        at = moment(datetime.fromisoformat(verdict["at"]), now, zone)
        counted = f"{verdict['without_fate']:,} of {verdict['messages']:,} without a fate"
        words = f"mailbox {verdict['mailbox']}: {counted}, compared {at}"
        told.append((words, "late" if verdict["without_fate"] else "text"))
    told += [(f"automatic letters wait: {words}", "late") for words in proof.doubts]
    told += [(proof.change, "warn")] if proof.change is not None else []
    told += [(f"incident, {mailbox}: {words}", "warn") for mailbox, words in proof.incidents[:_INCIDENTS]]
    if (more := len(proof.incidents) - _INCIDENTS) > 0:
        told.append((f"and {plural(more, 'more incident')}; your operator asks amendsd reconcile", "warn"))
    if told:
        yield from ((), (("  WHAT PROVES THAT NONE IS LOST", "muted"),))
    for words, role in told:
        yield from (((f"  {line}", role),) for line in wrap(prose(words, limit=600), width - 4))


def _ago(then: datetime, now: datetime) -> str:
    words = age(then, now)
    return "just now" if words == "now" else f"{words} ago"
