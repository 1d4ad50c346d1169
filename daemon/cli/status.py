"""`amendsd status`: how the daemon, its mailboxes, its letters and its clock fare, from what stands in the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from amends.casework import doubts, gate, incidents, policychange, reconciling, selfcheck
from amends.casework.audit import LastVerdict, last_verdict
from amends.casework.office import Office
from amends.kernel.instants import iso
from amends.ledger.schema import require_current
from amends.ledger.views import DutyView, Tally, clock_face, duties, tally
from daemon.cli import say
from daemon.supervision.owner import is_dead

FRESH: Final = timedelta(minutes=2)
"""A duty writes its row every quarter of a minute; one that has not for so long has no daemon behind it."""


def at_work(rows: Sequence[DutyView], *, now: datetime) -> bool:
    """Whether a daemon was there a moment ago.  `now` is the wall clock."""
    return any(_alive(row, now) for row in rows)


def _alive(row: DutyView, now: datetime) -> bool:
    owner = row.detail.get("owner")
    killed = isinstance(owner, str) and is_dead(owner)
    return row.state != "stopped" and now - row.beat_at <= FRESH and not killed


def status(office: Office, *, as_json: bool) -> int:
    """Exit status 1 when the daemon is not ready or something is overdue."""
    require_current(office.book)
    now = office.wall()
    with office.book.read() as session:
        rows = duties(session)
        counts = tally(session)
        following, overdue = clock_face(session, now=office.now())
        verdict = last_verdict(session)
        reconciled = reconciling.last_verdicts(session, [box.name for box in office.settings.mailbox])
        unsettled = incidents.open_incidents(session)
        in_doubt = doubts.doubts(session)
        change, checked = policychange.pending(session), selfcheck.last_check(session)
        blocked = gate.blocked(session, now=office.now())
    shown = _document(rows, counts, following, overdue, verdict, now=now) | {
        "reconciled": [_reconciled(one) for one in reconciled],
        "incidents": [one.as_json() for one in unsettled],
        "doubts": [one.as_json() for one in in_doubt],
        "blocked": {"addresses": len(blocked), "machines": sum(one.because == gate.MACHINE for one in blocked)},
        "policy_change": None if change is None else change.as_json(),
        "deadlines_checked": None if checked is None else checked.as_json(),
    }
    if as_json:
        say.document(shown)
    else:
        _print(shown, _warnings(rows), _not_running(rows, now))
    return 0 if shown["ready"] and not overdue else 1


def _document(
    rows: Sequence[DutyView],
    counts: Tally,
    following: datetime | None,
    overdue: int,
    verdict: LastVerdict,
    *,
    now: datetime,
) -> dict[str, Any]:
    shown = [_duty(row, now) for row in rows]
    return {
        "ready": bool(shown) and all(one["state"] == "running" for one in shown),
        "duties": shown,
        "intake": [_intake(row, now) for row in rows if "mailbox" in row.detail],
        "held": counts.held,
        "quarantined": counts.quarantined,
        "outbox": {
            "queued": counts.queued,
            "uncertain": counts.uncertain,
            "failed": counts.failed,
            "oldest": None if counts.oldest_queued is None else iso(counts.oldest_queued),
        },
        "clock": {"next": None if following is None else iso(following), "overdue": overdue},
        "ledger": {
            "verified_at": None if verdict.verified_at is None else iso(verdict.verified_at),
            "intact": verdict.intact,
        },
    }


def _duty(row: DutyView, now: datetime) -> dict[str, Any]:
    """As its row says, but `silent` where the row is too old to believe."""
    silent = row.state != "stopped" and not _alive(row, now)
    return {
        "name": row.name,
        "state": "silent" if silent else row.state,
        "since": iso(row.beat_at if silent else row.since),
        "last_error": row.last_error,
    }


def _intake(row: DutyView, now: datetime) -> dict[str, Any]:
    return {
        "mailbox": row.detail["mailbox"],
        "connected": bool(row.detail.get("connected")) and _alive(row, now),
        "last_poll": row.detail.get("last_poll"),
        "waiting": row.detail.get("waiting", 0),
        "unaccounted": row.detail.get("unaccounted", 0),
    }


def _reconciled(verdict: dict[str, Any]) -> dict[str, Any]:
    return {name: verdict[name] for name in ("mailbox", "at", "messages", "without_fate")}


def _warnings(rows: Sequence[DutyView]) -> list[str]:
    """What runs well and will not for ever, such as a secret that ends in a week."""
    return [str(warning) for row in rows if row.state != "stopped" for warning in row.detail.get("warnings", [])]


def _not_running(rows: Sequence[DutyView], now: datetime) -> str:
    """The sentence for a daemon that is not there, and since when; empty while one is."""
    if at_work(rows, now=now):
        return ""
    lost = [row.beat_at for row in rows if row.state != "stopped"]
    since = f": no sign of life since {iso(max(lost))}" if lost else ""
    return f"The daemon is not running{since}; start it with systemctl start amendsd."


def _print(shown: dict[str, Any], warnings: Sequence[str], not_running: str) -> None:
    if not_running:
        say.line(say.coloured(not_running, "31"))
    elif not shown["ready"]:
        say.line(say.coloured("Not ready: see the duties that do not run.", "31"))
    else:
        say.line(say.coloured("Ready.", "32"))
    rows = [
        ["  " + one["name"], one["state"], f"since {one['since']}", say.harmless(one["last_error"] or "")]
        for one in shown["duties"]
    ]
    say.table(rows)
    for warning in warnings:
        say.line(say.coloured(say.harmless(warning), "33"))
    for box in shown["intake"]:
        connected = "connected" if box["connected"] else "not connected"
        say.line(
            f"mailbox {box['mailbox']}: {connected}, last looked at {box['last_poll'] or 'never'}, "
            f"{box['waiting']} waiting, {box['unaccounted']} unaccounted for"
        )
    for one in shown["reconciled"]:
        line = f"mailbox {one['mailbox']}: reconciled {one['at']}: {one['without_fate']:,} of {one['messages']:,}"
        line += " without a fate"
        say.line(say.coloured(line, "31") if one["without_fate"] else line)
    for doubt in shown["doubts"]:
        say.line(say.coloured(f"automatic letters wait since {doubt['at']}: {say.harmless(doubt['words'])}", "31"))
    if shown["incidents"]:
        say.line(say.coloured(f"incidents: {len(shown['incidents'])}; amendsd reconcile names them", "33"))
    if machines := shown["blocked"]["machines"]:
        words = (
            "1 address answers our letters as a machine does, and gets"
            if machines == 1
            else (f"{machines:,} addresses answer our letters as machines do, and get")
        )
        say.line(say.coloured(f"{words} no automatic ones; amends blocked says which", "33"))
    letters, clock, ledger = shown["outbox"], shown["clock"], shown["ledger"]
    say.line(f"mail: {shown['held']} held, {shown['quarantined']} in quarantine")
    oldest = f", the oldest since {letters['oldest']}" if letters["oldest"] else ""
    say.line(
        f"letters: {letters['queued']} queued{oldest}, {letters['uncertain']} uncertain, {letters['failed']} failed"
    )
    say.line(f"clock: {'next at ' + clock['next'] if clock['next'] else 'nothing to come'}, {clock['overdue']} overdue")
    if (checked := shown["deadlines_checked"]) is not None:
        line = f"deadlines: {checked['deadlines']:,} counted again at {checked['at']}, {checked['wrong']:,} wrong"
        say.line(say.coloured(line, "31") if checked["wrong"] else line)
    if ledger["verified_at"] is None:
        say.line("ledger: never verified; run amendsd verify")
    else:
        say.line(f"ledger: {'intact' if ledger['intact'] else 'NOT INTACT'}, verified at {ledger['verified_at']}")
