"""`amends`: the handlers' screens.  Wiring only; what is shown stands in `screens`, what may be done in `casework`."""

from __future__ import annotations

import asyncio
import gc
import locale
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from textual import events
from textual.app import App
from textual.binding import Binding
from textual.driver import Driver
from textual.filter import LineFilter, Monochrome, NoColor
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.timer import Timer

from amends.casework.actors import Actor
from amends.casework.office import Office
from amends.config import Settings
from amends.kernel.errors import AmendsError, Refused
from amends.ledger.shapes import LetterView
from tui import frame, health, keys, prefs, registry, report, theme
from tui.desk import Desk
from tui.guard import AsciiOnly, EscGuard, PasteGuard
from tui.health import NOTHING, Health
from tui.pulse import News, Pulse
from tui.screens.base import DeskScreen
from tui.widgets.bar import Part

if TYPE_CHECKING:
    from amends.casework.correspondence import Finding
    from tui.firstlook import FirstLook

SAID_SECONDS: Final = 8.0  # a sentence about what has just been done is not true for ever
ALARM_SECONDS: Final = 60.0
"""How long a sentence stands in the status line before the countdown of a held letter takes its place."""


KEY_PATIENCE: Final = 0.25
"""Seconds after which it is seen whether word of a key can come at all."""
LOADED_SECONDS: Final = 3.0
"""Seconds after which all that the program always uses is loaded."""
LEAVING_SECONDS: Final = 10
"""Seconds that a program which was told to end has for its last words."""
OPENING_PATIENCE: Final = 15.0
"""Seconds for which keys wait for a screen whose data are being fetched, and for word of the key before.

A busy machine takes five for what takes half of one, and a key that comes too early goes to another screen.
"""


@dataclass(frozen=True, slots=True)
class Undo:
    """One thing that can be taken back: what to call it, and how; a letter only while it is held."""

    what: str
    back: Callable[[], object]
    letter_id: int | None = None


class AmendsApp(App[None]):
    """One handler at one store."""

    TITLE = "Amends"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False  # ours looks like our other dialogs
    BINDINGS = [  # noqa: RUF012
        Binding(one, key.action.removeprefix("app."), key.short, show=False)
        for key in keys.TABLE
        if key.where is keys.Where.EVERYWHERE and key.action.startswith("app.")
        for one in key.keys
    ]

    @dataclass
    class Told(Message):
        """The watch on the store saw something, or could not look."""

        news: News | AmendsError

    class KeyDone(Message):
        """Follows a key to the app: everything that the key set off on the event loop has begun."""

    def __init__(
        self,
        desk: Desk,
        *,
        chosen: prefs.Prefs | None = None,
        watch: float | None = None,
        look: FirstLook | None = None,
    ) -> None:
        self._guard = EscGuard()
        self._colourless = NoColor()
        self._ascii: LineFilter | None = None if _speaks_utf8() else AsciiOnly()
        super().__init__()
        self.desk = desk
        self.first_look = look
        self.prefs = chosen if chosen is not None else prefs.load()
        for one in theme.LOOKS.values():
            self.register_theme(one)
        self.look = theme.look_for(os.environ, wanted=self.prefs.look)
        self.theme = theme.LOOKS[self.look].name
        self.animation_level = "none"
        self.health: Health = health.UNKNOWN
        self.tally = NOTHING
        self.held: tuple[LetterView, ...] = ()
        self.trouble = ""
        """Why nothing can be read or changed now; empty while the store answers."""
        self.farewell = ""
        self.ended_by = 0
        """The signal that ended the program; 0 while none has."""
        self.undos: list[Undo] = []
        self.findings: dict[int, Finding] = {}
        """What was decided in a final response that is still a draft, by its letter."""
        self.last_key = time.monotonic()
        self._ahead: deque[events.Key] = deque()
        self._key_under_way = False
        self._key_since = 0.0
        self._word: Message | None = None
        self._way: MessagePump = self
        self._opening = 0
        self._opening_since = 0.0
        self._patience: Timer | None = None
        self._said: tuple[str, str, float] = ("", "text", 0.0)
        self._fresh_at: datetime | None = None
        self._minute = ""
        self._pulse = Pulse(desk, self._told, every=watch)

    def _told(self, told: News | AmendsError) -> None:
        """Called from the watch's thread."""
        self.post_message(self.Told(told))

    # Starting and ending

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme.NIGHT.variables

    def get_default_screen(self) -> Screen[Any]:
        """The queue lies beneath everything."""
        queue = registry.entry("queue").make()
        self.install_screen(queue, "queue")
        return queue

    def get_driver_class(self) -> type[Driver]:
        """The toolkit's own driver, reading through our guard of pastes."""
        from textual.drivers import linux_driver

        linux_driver.XTermParser = PasteGuard  # type: ignore[attr-defined]
        return linux_driver.LinuxDriver

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The guard stands last: nothing is drawn after it."""
        filters = list(super().get_line_filters())
        if self.no_color:  # the toolkit would still send greys
            filters = [one for one in filters if not isinstance(one, Monochrome)] + [self._colourless]
        if self._ascii is not None:
            filters.append(self._ascii)
        return [*filters, self._guard]

    def on_mount(self) -> None:
        if self._driver is not None and not self.is_headless:
            self._driver.write("\x1b[?25h")  # the terminal's own cursor follows the row
            self._heed_signals()
        self.set_interval(1.0, self._tick)
        self.set_timer(1.5, self.watch_the_store)  # at the latest: the first rows come first
        self.set_timer(LOADED_SECONDS, self._settled)

    def watch_the_store(self) -> None:
        """Begin to look for changes, if nobody has yet."""
        if self._pulse.ident is None:
            self._pulse.start()

    def _settled(self) -> None:
        """What was made till now stays, and is not looked through again; nothing where the collector never rested."""
        if not gc.isenabled():
            gc.enable()
            gc.freeze()

    def exit(self, *args: Any, **more: Any) -> None:
        """Leave; a draft that is not saved yet is saved first."""
        try:
            self._rescue()
        except AmendsError as why:
            self.say(f"Not left, for your draft cannot be saved: {why}", "late")
            return
        super().exit(*args, **more)

    def _rescue(self) -> None:
        for screen in self.screen_stack:
            rescue = getattr(screen, "rescue", None)
            if rescue is not None and not self.trouble:
                rescue()

    def _heed_signals(self) -> None:
        """Who ends the program from outside finds the draft saved and the terminal as it was."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            loop.add_signal_handler(number, self._end_by, number)

    def _end_by(self, number: signal.Signals) -> None:
        signal.alarm(LEAVING_SECONDS)  # a terminal that is gone may hold our last bytes for ever
        self.ended_by = number
        try:
            self._rescue()
        except AmendsError as why:
            self.farewell = f"Your draft could not be saved: {why}"
        super().exit()

    def on_unmount(self) -> None:
        self._pulse.stop()
        if self._pulse.ident is not None:
            self._pulse.join(3.0)

    def _handle_exception(self, error: Exception) -> None:
        """A fault of ours: a report without anybody's mail in it, and one plain sentence at the end."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self.farewell = fault_sentence(report.write_report(error))
        self._close_messages_no_wait()

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded:
            self.last_key = time.monotonic()
            self._ahead.append(event)
            await self._next_key()
        else:
            await super().on_event(event)

    async def _next_key(self) -> None:
        """One key after the other: the next waits until the one before has had its whole effect.

        Keys are typed ahead (`r1`: a letter, the first kind), and the toolkit would give the second to the screen that
        the first is about to cover.
        """
        if self._key_under_way or not self._ahead:
            return
        screen = self.screen
        listening = screen.is_mounted and (screen.focused is not None or not screen.focus_chain)
        opening = self._opening > 0 and time.monotonic() - self._opening_since < OPENING_PATIENCE
        if opening or not listening:
            self.set_timer(0.01, self._next_key)
            return
        key = self._ahead.popleft()
        self._key_under_way, self._key_since = True, time.monotonic()
        await super().on_event(key)
        self._send_word()

    def _send_word(self) -> None:
        """It goes the way of the key, behind it, and behind what the key brought about on that way."""
        self._word, self._way = self.KeyDone(), self.focused or self.screen
        self._way.post_message(self._word)
        self._patience = self.set_timer(KEY_PATIENCE, self._no_word)

    async def _no_word(self) -> None:
        """A busy machine needs longer; and where the way is gone, it goes the way that there is now."""
        if not self.is_running:
            return
        if time.monotonic() - self._key_since > OPENING_PATIENCE:
            await self._key_done()
        elif self._way.is_running:
            self._patience = self.set_timer(KEY_PATIENCE, self._no_word)
        else:
            self._send_word()

    def on_key(self, event: events.Key) -> None:
        """A key that no widget took: say so where it is none of this screen's either."""
        screen = self.screen
        if isinstance(screen, DeskScreen) and event.key not in screen.active_bindings:
            verb = any(key.writes and event.key in key.keys for key in keys.keys_of(screen.PLACE))
            words = self.why_not_write() if verb else keys.elsewhere(screen.PLACE, event.key)
            if words:
                self.say(words)

    def opening(self, by: int) -> None:
        """Something is being fetched that opens a screen (1), or has come (-1): keys wait for it."""
        if by > 0:
            self._opening_since = time.monotonic()
        self._opening = max(0, self._opening + by)

    async def on_amends_app_key_done(self, message: KeyDone) -> None:
        if message is self._word:  # not one that was given up
            await self._key_done()

    async def _key_done(self) -> None:
        if self._patience is not None:
            self._patience.stop()
            self._patience = None
        self._key_under_way, self._word = False, None
        await self._next_key()

    # The frame

    def top(self, place: str, *, typing: bool = False) -> frame.Top:
        """What the first line says now; `typing`: digits are text, and lead nowhere."""
        actor, office = self.desk.actor, self.desk.office
        now = self.desk.now() if office.settings.clock.speed == 1.0 or "_anchor" in office.__dict__ else office.wall()
        demonstration = office.settings.organisation.demonstration
        return frame.Top(
            place, self.health, self.tally, now, self.desk.zone, actor.login, actor.name, demonstration, typing
        )

    def status_line(self) -> tuple[list[Part], list[Part]]:
        """What was said last; beside it, or alone, the countdown of the next letter to leave."""
        words, role, at = self._said
        held = self._held_words()
        age = time.monotonic() - at
        if self.trouble and age > SAID_SECONDS:
            return [Part(f" {self.trouble}", "late")], []
        if words and (age < SAID_SECONDS or (role == "late" and age < ALARM_SECONDS)):
            return [Part(f" {words}", role)], []
        return [Part(f" {held}", "accent", "app.undo")], []

    def _held_words(self) -> str:
        if not self.held:
            return ""
        first, now = self.held[0], self.desk.now()
        held = frame.Held(first.to_name or first.to_address, first.next_try_at or now, len(self.held) - 1)
        return frame.held_words(held, now, speed=self.desk.office.settings.clock.speed, sending=self.health.sending)

    @property
    def said(self) -> str:
        """The sentence in the status line."""
        return self._said[0]

    def say(self, words: str, role: str = "text") -> None:
        """One sentence in the status line; it replaces the one before."""
        self._said = (words, role, time.monotonic())
        self._frames()

    def _frames(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, DeskScreen):
                screen.show_frame()

    @property
    def place(self) -> DeskScreen | None:
        """The uppermost screen that is no dialog."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, DeskScreen)), None)

    def _tick(self) -> None:
        if self.held:
            now = self.desk.now()
            self.held = tuple(letter for letter in self.held if letter.next_try_at and letter.next_try_at > now)
        self._frames()
        minute = f"{self.desk.office.wall():%H:%M}"
        if minute != self._minute:
            self._minute = minute
            for screen in self.screen_stack:
                if isinstance(screen, DeskScreen):
                    screen.minute()

    # The store

    def on_amends_app_told(self, message: Told) -> None:
        if not self.is_running:
            return  # the screens are being taken down
        told = message.news
        now = self.desk.office.wall()
        if isinstance(told, AmendsError):
            if not self.trouble:
                self.say(str(told), "late")
            self.trouble = str(told)
            self.health = health.away(self._fresh_at or now, self.desk.zone, self.trouble)
            self._frames()
            return
        back, self.trouble = bool(self.trouble), ""
        self._fresh_at = now
        self.tally, self.held = told.tally, told.held
        self.health = health.mail_health(told.duties, now=now, zone=self.desk.zone)
        self._frames()
        if told.changed or back:
            news = replace(told, cases=None) if back else told
            for screen in self.screen_stack:
                if isinstance(screen, DeskScreen):
                    screen.news(news)

    def hurry(self) -> None:
        """Something was just done here: look for its effects now."""
        self._pulse.hurry()

    def why_not_write(self) -> str:
        """Why no verb can be run now, or nothing."""
        if self.trouble:
            return f"Nothing can be changed now. {self.trouble}"
        if not self.desk.may_write:
            return f"{self.desk.actor.login} is an auditor: you may read everything and change nothing."
        return ""

    @cached_property
    def writing_actions(self) -> frozenset[str]:
        return frozenset(key.action for key in keys.TABLE if key.writes)

    def unexpected(self, fault: Exception) -> None:
        """A fault of ours in a worker: the screens go on."""
        self.say(fault_sentence(report.write_report(fault)), "late")

    # Going about

    def go(self, name: str) -> None:
        """To one of the main screens; what stood above it is closed (each keeps what was written in it)."""
        if not self.is_screen_installed(name):
            self.install_screen(registry.entry(name).make(), name)
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if name != "queue":
            self.push_screen(name)

    def _is_main(self, screen: Screen[Any]) -> bool:
        return any(self.is_screen_installed(name) and screen is self.get_screen(name) for name in registry.names())

    def action_go(self, name: str) -> None:
        self.say("")  # what was said on one screen is not about the next
        self.go(name)

    def back(self) -> None:
        """Close the uppermost screen; from a main screen back to the queue; from the queue ask to leave."""
        if not self._is_main(self.screen):
            self.pop_screen()
        elif self.screen is not self.get_screen("queue"):
            self.go("queue")
        else:
            self.action_quit_softly()

    def open_case(self, case_id: int, among: Sequence[int] = ()) -> None:
        """The case, with the list it was taken from for next and previous."""
        from tui.screens.case import CaseScreen

        self.push_screen(CaseScreen(case_id, among))

    def open_letter(self, letter: LetterView) -> None:
        """The draft, to write on."""
        from tui.screens.letter import LetterScreen

        self.push_screen(LetterScreen(letter))

    def action_find(self) -> None:
        """To the line of the search, also where its results had the keys: what is typed next is searched for."""
        from tui.screens.search import SearchScreen

        self.action_go("search")
        if isinstance(self.screen, SearchScreen):
            self.screen.begin()

    def action_go_to_case(self) -> None:
        from tui.dialogs.ask import AskLine

        place = self.place
        if place is None:
            return

        def named(words: str | None) -> None:
            if words:
                place.ask("find", lambda: self.desk.find_case(words), self.open_case)

        hint = f"The whole reference, or only its number, as in {self.desk.prefix}-2026-000042-17 or 42."
        self.push_screen(AskLine("Go to a case", "Reference or number", hint=hint), named)

    def action_help(self) -> None:
        from tui.dialogs.help import Help

        place = self.place
        if place is not None and not isinstance(self.screen, Help):
            self.push_screen(Help(place.PLACE, may_write=self.desk.may_write), self._run_from_help)

    def _run_from_help(self, action: str | None) -> None:
        place = self.place
        if action and place is not None:
            self.call_later(place.run_action, action)

    def action_command_palette(self) -> None:
        from tui.commands import Command, commands
        from tui.dialogs.palette import Palette

        def run(chosen: Command | None) -> None:
            if chosen is not None:
                self.call_later(chosen.run)

        if self.place is not None and not isinstance(self.screen, Palette):
            self.push_screen(Palette(list(commands(self))), run)

    def action_undo(self) -> None:
        place = self.place
        if place is None:
            return
        if self.held:
            self._call_back(place, self.held[-1] if len(self.held) == 1 else max(self.held, key=lambda one: one.id))
        elif self.undos:
            last = self.undos.pop()
            place.do(last.back, said=f"Undone: {last.what}.")
        else:
            self.say("There is nothing to undo: a letter that has left cannot be called back.")

    def _call_back(self, place: DeskScreen, letter: LetterView) -> None:
        def back() -> LetterView:
            from amends.casework import correspondence

            correspondence.call_back(self.desk.office, letter.id, actor=self.desk.actor, now=self.desk.now())
            return self.desk.letter(letter.id)

        def reopened(draft: LetterView) -> None:
            self.held = tuple(one for one in self.held if one.id != draft.id)
            self.undos = [one for one in self.undos if one.letter_id != draft.id]
            self.open_letter(draft)
            self.say("Called back. Nothing was sent; here is your letter again.")

        place.do(back, reopened, opens=True)

    def hold(self, letter: LetterView) -> None:
        """A letter was put on its way: until it leaves the status line counts down, and `u` calls it back."""
        others = (one for one in self.held if one.id != letter.id)  # the watch may have seen it already
        self.held = tuple(sorted([*others, letter], key=lambda one: one.next_try_at or self.desk.now()))
        self.undos.append(Undo("letter", _too_late, letter.id))
        self.say("")

    def remember(self, what: str, back: Callable[[], object]) -> None:
        """Let `u` take this back."""
        self.undos.append(Undo(what, back))
        del self.undos[:-20]

    def action_times(self) -> None:
        self.prefs = replace(self.prefs, left=not self.prefs.left)
        prefs.save(self.prefs)
        self.say("Deadlines show the time that is left." if self.prefs.left else "Deadlines show the day and hour.")
        for screen in self.screen_stack:
            if isinstance(screen, DeskScreen):
                screen.minute()

    def action_next_look(self) -> None:
        names = list(theme.LOOKS)
        self.set_look(names[(names.index(self.look) + 1) % len(names)])

    def show_view(self, name: str) -> None:
        """One of the views of the queue."""
        from tui.screens.queue import QueueScreen

        self.go("queue")
        queue = self.get_screen("queue")
        if isinstance(queue, QueueScreen):
            queue.show_view(name)

    def set_look(self, look: str) -> None:
        self.look = look
        self.theme = theme.LOOKS[look].name
        self.prefs = replace(self.prefs, look=look)
        prefs.save(self.prefs)
        self.say(f"Look: {look}. It is remembered for you.")

    def action_redraw(self) -> None:
        self.refresh(repaint=True, layout=True)

    def action_quit_softly(self) -> None:
        """Leave; ask first in the queue, and where a letter is still held."""
        from tui.dialogs.confirm import Confirm

        if isinstance(self.screen, Confirm):
            return
        if not self.held and self.place is not self.get_screen("queue"):
            self.exit()
            return
        question = f"{self._held_words().split(' - ')[0]}. It will still be sent if you leave now." if self.held else ""
        self.push_screen(Confirm("Leave Amends?", question, yes="Leave", no="Stay"), self._leave)

    def _leave(self, yes: bool | None) -> None:
        if yes:
            self.exit()


def fault_sentence(path: str) -> str:
    return f"The program has a fault. Nothing that was saved is lost. A report without personal data is in {path}"


def _speaks_utf8() -> bool:
    return "utf" in locale.getpreferredencoding(False).lower().replace("-", "")


def _too_late() -> None:
    raise Refused("Too late: the letter has left. Write another one, or telephone.")


def why_no_screens(environment: dict[str, str]) -> str:
    """Why this terminal cannot show screens, or nothing."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "The screens need a terminal; in a script use: amends queue --json"
    if environment.get("TERM", "") in ("dumb", ""):
        return "This terminal (TERM=dumb) cannot show screens; use: amends queue"
    return ""


def run(settings: Settings, actor: Actor, look: FirstLook | None = None) -> int:
    """Open the screens; returns the exit status (0 left, 1 ended by a fault, 2 no terminal to draw on, 128 and the
    number of the signal that ended them, as shells say it).

    Raises ConfigError and NeedsOperator for a store that cannot be there; `look` may know already that it can.
    """
    why = why_no_screens(dict(os.environ))
    if why:
        sys.stderr.write(f"{why}\n")
        return 2
    office = Office(settings)
    if look is None or not look.opened():
        _ = office.book
    app = AmendsApp(Desk(office, actor), look=look)
    try:
        app.run()
    finally:
        if office.has_opened:
            office.book.close()
    if app.farewell:
        sys.stderr.write(f"{app.farewell}\n")
        return 1
    return 128 + app.ended_by if app.ended_by else 0
