"""Before it leaves: the letter as it will be read, and everything that was looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from amends.casework import effects
from amends.casework.clockface import meets_in_words
from amends.casework.correspondence import Check, Finding
from amends.kernel.errors import AmendsError, Conflict
from amends.ledger.shapes import CaseView, LetterView
from tui import frame, keys, signs, thread
from tui.names import letter_name, sentence
from tui.pulse import News
from tui.screens.base import DeskScreen
from tui.widgets.bar import Bar, Part
from tui.widgets.lineview import LineView, Sheet
from tui.words import Line, letter, name, prose, wrap


@dataclass(frozen=True, slots=True)
class Looked:
    """A draft, what was looked at, and its case."""

    draft: LetterView
    checks: tuple[Check, ...]
    case: CaseView
    at: signs.Bounds
    meets: str = ""
    """The deadlines that it meets when it leaves, in words."""


class ReviewScreen(DeskScreen):
    """`s` sends where nothing stops it; the letter is then held for a short while."""

    PLACE = "review"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("review")
    DEFAULT_CSS = """
    ReviewScreen #both { layout: vertical; height: 1fr; }
    ReviewScreen #checks { border-top: solid $am-bar-ground; }
    ReviewScreen #words { height: 1fr; }
    ReviewScreen.-wide #both { layout: horizontal; }
    ReviewScreen.-wide #words { width: 1fr; }
    ReviewScreen.-wide #checks { width: 60; border-top: none; border-left: vkey $am-bar-ground; padding: 0 0 0 1; }
    """

    def __init__(self, letter_id: int, finding: Finding | None) -> None:
        super().__init__()
        self._letter_id = letter_id
        self._finding = finding
        self.looked: Looked | None = None
        self._sent = False

    def content(self) -> Iterator[Widget]:
        yield Bar(id="to")
        yield Bar(id="subject")
        with Container(id="both"):
            yield LineView(id="words")
            yield LineView(id="checks")

    def on_mount(self) -> None:
        self.query_one("#words", LineView).focus()
        self._look()

    def _look(self) -> None:
        self.ask("look", self._looked_over, self._show)

    def _looked_over(self) -> Looked:
        draft = self.desk.letter(self._letter_id)
        checks = tuple(self.desk.checks(self._letter_id, self._finding))
        dial = self.desk.dial(draft.case_id or 0)
        return Looked(draft, checks, dial.case, dial.at, meets_in_words(dial.face, draft.kind, draft.counts_as))

    def _show(self, looked: Looked) -> None:
        self.looked = looked
        draft = looked.draft
        kind = letter_name(draft.kind)
        named = f" as {prose(draft.counts_as.replace('_', ' '))}" if draft.counts_as else ""
        self.show_title(
            [
                Part(" Review", "strong"),
                Part(f"  {kind}", "text"),
                Part(named, "accent"),
                Part(f"  {draft.reference or ''}"),
            ]
        )
        self.bar("to").show([Part(" To      ", "muted"), Part(f"{name(draft.to_name)} <{name(draft.to_address)}>")])
        self.bar("subject").show([Part(" Subject ", "muted"), Part(prose(draft.subject))])
        self.query_one("#words", LineView).show(lambda width: _words(draft, width), top=False)
        checks = self.query_one("#checks", LineView)
        tall = len(_checks(looked, self._finding, self._undo_seconds, self.size.width).lines)
        checks.styles.height = "1fr" if self.size.width >= frame.WIDE else min(tall + 1, max(6, self.size.height - 13))
        checks.show(lambda width: _checks(looked, self._finding, self._undo_seconds, width), top=False)
        stopping = [check for check in looked.checks if check.blocking and not check.ok]
        if stopping:
            self.house.say(f"Cannot be sent yet: {stopping[0].text}.", "warn")
        else:
            self.house.say("Nothing stops it. s=Send")

    @property
    def _undo_seconds(self) -> int:
        return self.desk.office.settings.letters.undo_seconds

    def news(self, news: News) -> None:
        if self.looked is not None and not self._sent:
            self._look()

    def action_send(self) -> None:
        looked = self.looked
        if looked is None or self._sent:
            return
        stopping = [check for check in looked.checks if check.blocking and not check.ok]
        if stopping:
            more = " m=Read what is new" if "changed" in stopping[0].text else ""
            self.house.say(f"Cannot be sent yet: {stopping[0].text}.{more}", "late")
            return
        why_not = self.house.why_not_write()
        if why_not:
            self.house.say(why_not, "late")
            return
        self._sent = True
        self.ask("send", self._send, self._left, otherwise=self._stopped, every=True)

    def _send(self) -> LetterView:
        from amends.casework import correspondence

        desk = self.desk
        if self._finding is not None:
            correspondence.respond(desk.office, self._letter_id, self._finding, actor=desk.actor, now=desk.now())
        else:
            correspondence.send(desk.office, self._letter_id, actor=desk.actor, now=desk.now())
        return desk.letter(self._letter_id)

    def _left(self, letter: LetterView) -> None:
        house = self.house
        house.hurry()
        self.app.pop_screen()  # this one, then the letter
        house.back()
        house.hold(letter)

    def _stopped(self, why: AmendsError) -> None:
        self._sent = False
        more = " m=Read what is new" if isinstance(why, Conflict) else ""
        self.house.say(f"Not sent. {why}{more}", "late")
        self._look()

    def action_news(self) -> None:
        """What came since the draft was begun; read, it stops the letter no more."""
        looked = self.looked
        if looked is None:
            return
        from tui.screens.page import PageScreen

        fresh = [entry for entry in thread.entries(looked.case) if entry.at > looked.draft.created_at]
        fresh = [
            entry
            for entry in fresh
            if getattr(entry.thing, "id", None) != looked.draft.id or not isinstance(entry.thing, LetterView)
        ]
        events = [event for event in looked.case.events if event.at > looked.draft.created_at]
        case, at = looked.case, looked.at

        def writer(width: int) -> Sheet:
            lines: list[Line] = []
            for event in events:
                when = signs.moment(event.at, at.now, at.zone)
                lines.append(((f" {when}  {name(event.actor)}: ", "muted"), (sentence(event.kind, event.data), "text")))
            if not events and not fresh:
                lines.append(((" Nothing has happened on the case since you began this letter.", "muted"),))
            lines.append(())
            lines.extend(thread.some(fresh, case, at, width))
            return Sheet(tuple(lines))

        desk = self.desk

        def reread() -> None:
            from amends.casework import correspondence

            correspondence.reread(desk.office, self._letter_id, actor=desk.actor, now=desk.now())

        self.app.push_screen(PageScreen("What is new since you began this letter", writer))
        if any(not check.ok and "changed" in check.text for check in looked.checks):
            self.do(reread, lambda _: self._look())

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.looked is not None and not self._sent:
            self._look()


def _words(draft: LetterView, width: int) -> Sheet:
    return Sheet(tuple(((" " + line, "text"),) for line in wrap(letter(draft.body).rstrip(), width - 2)))


def _wanted(looked: Looked, width: int) -> Iterator[Line]:
    """What each of the rules wants of this letter: what is missing, what only a person can tell, what stands there."""
    wanted = [check for check in looked.checks if check.wanted_by]
    for pack in dict.fromkeys(check.wanted_by for check in wanted):
        for line in wrap(f"{prose(pack)} wants of it:", width - 2):
            yield ((f" {line}", "strong"),)
        for check in (one for one in wanted if one.wanted_by == pack):
            missing = check.text.startswith("It does not")
            sign = "ok" if check.ok else ("!!" if check.blocking else "! ") if missing else "? "
            role = "ok" if check.ok else ("late" if check.blocking else "warn") if missing else "accent"
            for number, line in enumerate(wrap(prose(check.text), width - 5)):
                yield ((f" {sign if not number else '  '} ", role), (line, "muted" if check.ok else role))


def moved_in_words(draft: LetterView, case: CaseView) -> Iterator[str]:
    """The deadline that moves, stands still or begins when the letter has left."""
    if isinstance(promise := draft.facts.get(effects.PROMISE), Mapping):
        yield f"PROM is due {_a_day(promise['day'])} when it has left: its promise is a deadline of ours."
    for effect in (effects.MORE_TIME, effects.PAUSE):
        word = draft.facts.get(effect)
        if not isinstance(word, Mapping):
            continue
        kind, occurrence, *pack = word["of"]
        which = (kind, occurrence, pack[0] if pack else case.pack)
        label = next((one.label for one in case.deadlines if (one.kind, one.occurrence, one.pack) == which), kind)
        if effect == effects.PAUSE:
            yield f"{prose(label)} stands still when it has left, until they answer."
        else:
            yield f"{prose(label)} is due {_a_day(word['to'])} when it has left in time."


def _a_day(said: str) -> str:
    day = date.fromisoformat(said)
    return f"{day:%a} {day.day} {day:%b} {day.year}"


def _checks(looked: Looked, finding: Finding | None, undo_seconds: int, width: int) -> Sheet:
    """What stops it first, then what is only to be thought of, then what is decided, then all that is well."""
    lines: list[Line] = []

    def block(sign: str, role: str, words: str, words_role: str) -> None:
        for number, line in enumerate(wrap(words, width - 5)):
            lines.append(((f" {sign if not number else '  '} ", role), (line, words_role)))

    for check in looked.checks:
        if not check.ok and not check.wanted_by:
            role = "late" if check.blocking else "warn"
            block("!!" if check.blocking else "! ", role, check.text, role)
    if finding is not None:
        remedy = f" Remedy: {prose(finding.remedy.in_words())}." if finding.remedy else ""
        block(
            "  ", "text", f"Outcome: {finding.outcome}.{remedy} The case becomes responded; e then closes it.", "strong"
        )
    lines.extend(_wanted(looked, width))
    if looked.meets:
        block("✓ ", "done", f"It meets {prose(looked.meets)} when it has left.", "done")
    for words in moved_in_words(looked.draft, looked.case):
        block("✓ ", "done", words, "done")
    fine = [
        check.text
        for check in looked.checks
        if check.ok and not check.wanted_by and not check.text.startswith("Outcome")
    ]
    block("ok", "ok", " · ".join(fine), "muted")
    block("  ", "text", f"It leaves {undo_seconds} seconds after s; until then u calls it back.", "muted")
    return Sheet(tuple(lines))
