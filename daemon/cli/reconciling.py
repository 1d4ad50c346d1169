"""`amendsd reconcile`: proof that every message on the server has a fate in the store."""

from __future__ import annotations

from typing import Final

from amends.casework import incidents
from amends.casework.office import Office
from amends.casework.reconciling import Place, Reconciled
from amends.config import Mailbox
from amends.kernel.errors import NotFound, Refused
from amends.kernel.instants import iso
from amends.kernel.text import storable
from amends.ledger.schema import require_current
from amends.ledger.views import duties
from daemon import logs
from daemon.cli import say
from daemon.cli.status import at_work
from daemon.intake.reconcile import Effort, reconcile

_SECONDS: Final = 3600.0
_PATIENCE: Final = 10.0  # while a daemon is at work, new mail gets its fate in this time


def reconcile_all(office: Office, name: str | None, *, sample: int, as_json: bool) -> int:
    """Exit status 1 if anything differs now; an incident of the past that nobody settled is shown, and is none."""
    require_current(office.book)
    now = office.wall()
    with office.book.read() as session:
        patience = _PATIENCE if at_work(duties(session), now=now) else 0.0
    effort = Effort(sample=sample, seconds=_SECONDS, patience=patience)
    boxes = _named(office, name)
    end_of_log = logs.configure(level="critical")  # what is found is printed
    try:
        verdicts = [reconcile(office, box, effort, alive=lambda: None) for box in boxes]
    finally:
        end_of_log()
    with office.book.read() as session:
        unsettled = incidents.open_incidents(session)
    if as_json:
        say.document(
            {
                "clean": all(one.clean for one in verdicts),
                "mailboxes": [one.as_json() for one in verdicts],
                "incidents": [one.as_json() for one in unsettled],
            }
        )
        return 0 if all(one.clean for one in verdicts) else 1
    for verdict in verdicts:
        _print(verdict)
    for incident in unsettled:
        say.line(f"incident of {iso(incident.at)}, {incident.mailbox}: {say.harmless(incident.words)}.")
    if unsettled:
        say.line('When you have looked into them: amendsd reconcile --settle "what it was"')
    return 0 if all(one.clean for one in verdicts) else 1


def settle(office: Office, why: str, *, mailbox: str | None) -> int:
    """Exit status 1 if there is nothing to settle."""
    require_current(office.book)
    why = storable(why).strip()
    if not why:
        raise Refused('Say in a few words what it was: amendsd reconcile --settle "the spam filter took them".')
    if mailbox is not None:
        _named(office, mailbox)
    count = incidents.settle(office, why, mailbox=mailbox, now=office.wall())
    if not count:
        raise NotFound("There is no incident to settle.")
    say.line(f"{count} {'incident is' if count == 1 else 'incidents are'} settled.")
    return 0


def _named(office: Office, name: str | None) -> list[Mailbox]:
    """The mailboxes that are meant.  Raises NotFound for a name that no mailbox has, and where there is none."""
    boxes = [box for box in office.settings.mailbox if name in (None, box.name)]
    if not boxes:
        names = ", ".join(box.name for box in office.settings.mailbox)
        raise NotFound(
            f"No mailbox is named '{name}'; name one of these: {names}."
            if names
            else "There is no mailbox in the configuration, so there is nothing to reconcile."
        )
    changes = [{"ca_file": office.settings.path(box.ca_file) if box.ca_file else None} for box in boxes]
    return [box.model_copy(update=change) for box, change in zip(boxes, changes, strict=True)]


def _print(verdict: Reconciled) -> None:
    say.line(
        f"mailbox {verdict.mailbox}: reconciled {iso(verdict.at)}: "
        f"{verdict.without_fate:,} of {verdict.messages:,} without a fate"
    )
    say.table([["  " + place.folder, _counts(place)] for place in verdict.places])
    for _, sentence in verdict.problems():
        say.line(say.coloured(f"  {say.harmless(sentence)}.", "31"))


def _counts(place: Place) -> str:
    words = [f"{place.messages:,} messages", f"{place.sampled:,} compared byte by byte"]
    if place.gone:
        words.append(f"{place.gone:,} were taken out by others after they were stored")
    if place.not_compared:
        words.append(f"{place.not_compared:,} not looked at")
    return ", ".join(words)
