"""A desk with cases in every state, and an app on it that waits for its answers.

desk = a_desk(tmp_path)                      # twelve cases; the clock stands at NOW
async with at(desk, size=(80, 24)) as pilot: # the queue is shown and settled
    await press(pilot, "enter", "n")         # each key, then everything that it set off
    assert "NOTE" in screen_of(pilot)
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from textual import events
from textual.app import App
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key
from textual.pilot import Pilot
from textual.timer import Timer

from amends.cases.outcomes import Assessment, Severity
from amends.cases.stages import Waiting
from amends.casework import clockwork, duty, handling, post
from amends.casework.actors import Actor
from amends.casework.office import Office
from tests.builders import AMARA, NOW, SAM, a_mail, an_office, file_mail, post_all
from tui.app import AmendsApp
from tui.desk import Desk
from tui.health import UNKNOWN
from tui.prefs import Prefs

PATIENCE = 180.0  # seconds
A_MOMENT = 0.25  # seconds: the longest of our pauses after which a screen follows a key
COMPLAINTS = (
    ("Edith Kowalski", "No heating since Friday", 33, "The boiler has been off since Friday and I am 81."),
    ("Sami Tanaka", "Refund promised, not paid", 29, "You promised a refund of £35 on 2 October."),
    ("Uma Jansen", "Rude engineer", 26, "The engineer shouted at my daughter."),
    ("Rosa Lindqvist", "Overcharged for the lift repair", 18, "My service charge went up by £412."),
    ("Dana Yilmaz", "Damp in the back bedroom", 13, "The wall is black. I have written three times."),
    ("Mona Petrov", "Nobody called me back", 12, "Three times I was promised a call."),
    ("Vera Schmidt", "Laute Musik aus der Wohnung nebenan", 7, "Seit Wochen jede Nacht."),
    ("Ines Ivanov", "Bins not emptied for four weeks", 4, "There are rats now."),
    ("Zoe Okafor", "Wrong name on every letter", 3, "I am not Mr Smith."),
    ("Nils Haddad", "Parking permit refused", 2, "I live at number 9."),
    ("Ada Fontaine", "Key fob does not work", 1, "I wait in the rain each evening."),
    ("Pavel Xu", "Repair cancelled without a word", 0, "I took a day off work for it."),
)


def ready(office: Office, now: datetime = NOW) -> None:
    """The daemon's duties as they look when all is well."""
    for name in ("intake.complaints", "outbox", "clock"):
        duty.report(office, name, "running", now=now)


def a_desk(tmp_path: Path, *, actor: Actor = AMARA, now: datetime = NOW, **sections: Any) -> Desk:
    """Twelve cases, received between 33 days ago and today, at every stage; the clock stands still at `now`."""
    path = tmp_path / "amends.db"
    if not path.exists():
        shutil.copy(_store(), path)
    return Desk(an_office(tmp_path, wall=lambda: now, **sections), actor)


@cache
def _store() -> Path:
    """The store of `a_desk`, made once a process and copied for each test."""
    folder = Path(tempfile.mkdtemp(prefix="amends-desk-"))
    office = an_office(folder, wall=lambda: NOW)
    for name, subject, days, text in sorted(COMPLAINTS, key=lambda one: -one[2]):
        _receive(office, name, subject, text, NOW - timedelta(days=days, hours=1))
    _catch_up(office, NOW)
    ready(office)
    _take_up(office, {name: id_of_complainant(office, name) for name, *_ in COMPLAINTS})
    office.book.close()
    return folder / "amends.db"


def _take_up(office: Office, cases: dict[str, int]) -> None:
    edith, ines = cases["Edith Kowalski"], cases["Ines Ivanov"]
    assessment = Assessment(Severity.HIGH, "", "no heating at 81", True, True)
    handling.assess(office, edith, assessment, actor=SAM, now=NOW)
    for name in ("Edith Kowalski", "Uma Jansen", "Dana Yilmaz", "Ines Ivanov"):
        handling.assign(office, cases[name], "amara", actor=SAM, now=NOW)
        handling.mark_read(office, cases[name], actor=AMARA, now=NOW)
    handling.assign(office, cases["Rosa Lindqvist"], "sam", actor=SAM, now=NOW)
    handling.note(office, edith, "Branch confirms: the engineer missed two visits.", actor=SAM, now=NOW)
    handling.wait(office, ines, Waiting.THIRD_PARTY, "the waste contractor", actor=AMARA, now=NOW)


def _receive(office: Office, name: str, subject: str, text: str, at: datetime) -> None:
    sender = f"{name.split()[-1].lower()}@example.org"
    mail = a_mail(sender=sender, name=name, subject=subject, text=f"{text}\n\nPlease put it right.\n\n{name}", date=at)
    file_mail(office, mail, now=at)
    post_all(office, now=at)


def _catch_up(office: Office, now: datetime) -> None:
    """Let the clock and the outbox do what fell due until now, each at its instant."""
    while True:
        due = [
            at
            for at in (clockwork.next_instant(office, now=office.now()), post.next_leaving(office))
            if at is not None and at <= now
        ]
        if not due:
            return
        clockwork.tick(office, now=min(due))
        post_all(office, now=min(due))


def id_of_complainant(office: Office, name: str) -> int:
    from sqlalchemy import select
    from sqlmodel import col

    from amends.ledger.tables import Case

    with office.book.read() as session:
        return session.connection().execute(select(col(Case.id)).where(col(Case.complainant_name) == name)).scalar_one()


@asynccontextmanager
async def at(desk: Desk, *, size: tuple[int, int] = (80, 24), prefs: Prefs | None = None) -> AsyncIterator[Pilot[None]]:
    """The app on this desk, with the queue on the screen; colours as on a good terminal."""
    app = AmendsApp(desk, chosen=prefs or Prefs(look="night"), watch=0.05)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        end = time.monotonic() + PATIENCE
        while app.health is UNKNOWN:  # the watch has not looked yet
            assert time.monotonic() < end, "the watch never looked"
            await asyncio.sleep(0.005)
        await settle(pilot)
        yield pilot


async def settle(pilot: Pilot[None]) -> None:
    """Wait until everything that was set off is done: keys, messages, workers, redrawing, and what waits a moment.

    The toolkit's own waiting ends when the process looks idle, which takes long and proves little.
    """
    app, end, quiet = pilot.app, time.monotonic() + PATIENCE, 0
    while quiet < 2:
        await pilot._wait_for_screen()  # every message that was waiting is through
        if app._exception is not None or not app.is_running:
            return
        app.screen._on_timer_update()  # draws now, and sets off what waited for the drawing
        under_way = _under_way(app)
        quiet = 0 if under_way else quiet + 1
        await asyncio.sleep(0.005 if under_way else 0)
        assert time.monotonic() < end, under_way


def _under_way(app: App[Any]) -> list[object]:
    """What has begun and not ended yet."""
    assert isinstance(app, AmendsApp)
    keys = [one for one in (app._key_under_way, app._opening, list(app._ahead)) if one]
    workers = [one for one in app.workers if not one.is_finished and one.group != "warm"]
    pumps = [app, *(pump for screen in app.screen_stack for pump in screen.walk_children(with_self=True))]
    messages = [one for one in pumps if not one._message_queue.empty() or one._next_callbacks]
    drawing = [app.screen] if app.screen._callbacks or app.screen._dirty_widgets else []
    return [*keys, *workers, *messages, *drawing, *(timer for pump in pumps for timer in pump._timers if _soon(timer))]


def _soon(timer: Timer) -> bool:
    """Whether it ends within a moment, once: a pause in which the handler may still type on."""
    waits = timer._task is not None and not timer._task.done() and timer._active.is_set()
    return waits and timer._repeat == 0 and timer._interval <= A_MOMENT


async def press(pilot: Pilot[None], *pressed: str) -> None:
    """Each of these keys, and everything that it set off."""
    for key in pressed:
        _send(pilot.app, key)
        await settle(pilot)


async def write(pilot: Pilot[None], words: str) -> None:
    """Type these words, without a pause between the letters."""
    for sign in words:
        _send(pilot.app, sign)
    await settle(pilot)


def _send(app: App[Any], key: str) -> None:
    """What the terminal's driver does with a key; a sign may stand for the key that makes it."""
    if len(key) == 1 and not key.isalnum():
        key = _character_to_key(key)
    name = _get_unicode_name_from_key(REPLACED_KEYS.get(key, key))
    try:
        sign: str | None = unicodedata.lookup(name)
    except KeyError:
        sign = key if len(key) == 1 else None
    event = events.Key(key, sign)
    event.set_sender(app)
    assert app._driver is not None
    app._driver.send_message(event)


def lines_of(pilot: Pilot[None]) -> list[str]:
    """What stands on the screen, line by line."""
    strips = pilot.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def screen_of(pilot: Pilot[None]) -> str:
    return "\n".join(lines_of(pilot))


def words_of(pilot: Pilot[None]) -> str:
    """The same as one long line, however it is wrapped; the frame of a dialog left out."""
    return " ".join(screen_of(pilot).replace("│", " ").split())
