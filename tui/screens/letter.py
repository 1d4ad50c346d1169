"""Writing a letter: it saves itself, shows its gaps, and leaves only through the review."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, TextArea

from amends.kernel.errors import AmendsError
from amends.ledger.shapes import PROMISED, CaseView, LetterView
from amends.letters.kinds import LetterKind
from tui import frame, keys
from tui.desk import Dial
from tui.dialogs.promise import Promised
from tui.dials import is_owed
from tui.drafts import Gap, gaps, offset_to_place
from tui.names import letter_name
from tui.screens.base import DeskScreen
from tui.signs import Bounds
from tui.thread import preview
from tui.widgets.bar import Bar, Part
from tui.widgets.editor import Editor
from tui.widgets.field import Field
from tui.widgets.lineview import LineView
from tui.words import letter as lines_of
from tui.words import name, plural, prose

if TYPE_CHECKING:
    from amends.casework.correspondence import Finding

SAVE_SECONDS: Final = 1.5
"""So long after the last key the draft is saved."""


class LetterScreen(DeskScreen):
    """One draft.  Leaving keeps it; nothing is sent from here."""

    PLACE = "letter"
    AUTO_FOCUS = "#body"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("letter")
    DEFAULT_CSS = """
    LetterScreen .field { height: 1; }
    LetterScreen #subject { width: 1fr; }
    LetterScreen #body { width: 1fr; height: 1fr; }
    LetterScreen #beside { display: none; width: 52; border-left: vkey $am-bar-ground; padding: 0 0 0 1; }
    LetterScreen.-wide #beside { display: block; }
    LetterScreen.-beside #beside { display: block; width: 1fr; }
    LetterScreen.-beside #body { display: none; }
    LetterScreen.-beside.-wide #body { display: block; }
    LetterScreen.-beside.-wide #beside { display: none; }
    """

    def __init__(self, draft: LetterView) -> None:
        super().__init__()
        self.draft = draft
        self._saved = (draft.subject, draft.body)
        self._saving = False
        self._timer: Timer | None = None
        self._state = "Draft saved."
        self._thrown = False

    def content(self) -> Iterator[Widget]:
        yield Bar(id="to")
        with Horizontal(classes="field"):
            tag = Bar(id="tag")
            tag.styles.width = 9
            yield tag
            yield Field(prose(self.draft.subject), id="subject")
        with Horizontal():
            yield Editor(lines_of(self.draft.body), id="body")
            yield LineView(id="beside")
        yield Bar(id="gaps")

    @property
    def body(self) -> Editor:
        return self.query_one("#body", Editor)

    @property
    def subject(self) -> Input:
        return self.query_one("#subject", Input)

    def on_mount(self) -> None:
        self.bar("tag").show([Part(" Subject ", "muted")])
        who = f"{name(self.draft.to_name)} <{name(self.draft.to_address)}>"
        self.bar("to").show([Part(" To      ", "muted"), Part(who, "text")])
        self.body.focus()
        self._saved = (self.subject.value, self.body.text)
        if gaps(self.body.text):
            self.action_gap()
        self._draw()
        case_id = self.draft.case_id
        if case_id is not None:
            self.ask("case", lambda: self.desk.case(case_id), self._show_case)

    def _show_case(self, found: tuple[CaseView, Bounds]) -> None:
        case, at = found
        self.query_one("#beside", LineView).show(lambda width: preview(case, at, width, opens=False))

    def _draw(self) -> None:
        kind = letter_name(self.draft.kind)
        left = [Part(f" {kind}", "strong")]
        if self.draft.counts_as:
            left.append(Part(f"  as {prose(self.draft.counts_as.replace('_', ' '))}", "accent", "counts_as"))
        promised = _promised(self.draft)
        if promised is not None and promised.day is not None:
            left.append(Part(f"  promises {promised.day.day} {promised.day:%b}", "accent", "promise"))
        left.append(Part(f"  {self.draft.reference or ''} {name(self.draft.to_name)}", "text"))
        self.show_title(left, [Part(f" {self._state} ", "muted")])
        left_to_write = gaps(self.body.text)
        if left_to_write:
            words = f" {plural(len(left_to_write), 'gap')} left. F3 goes to: {prose(left_to_write[0].words)}"
            self.bar("gaps").show([Part(words, "warn")])
        else:
            self.bar("gaps").show([Part(" No gaps left. F5 looks it over before it is sent.", "ok")])

    def on_resize(self) -> None:
        super().on_resize()
        self._draw()

    # Keeping the draft

    def _changed(self) -> bool:
        return (self.subject.value, self.body.text) != self._saved

    def on_text_area_changed(self, message: TextArea.Changed) -> None:
        self._touched()

    def on_input_changed(self, message: Input.Changed) -> None:
        self._touched()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        self.body.focus()

    def _touched(self) -> None:
        if self._changed():
            self._state = "Not saved yet."
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(SAVE_SECONDS, self._save)
        self._draw()

    def _save(self) -> None:
        self.save_then(lambda: None)

    def save_then(self, go_on: Callable[[], object], *, opens: bool = False) -> None:
        """Save what changed, then go on; where it cannot be saved, stay and say why."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if not self._changed() or self._thrown:
            go_on()
            return
        words = (self.subject.value, self.body.text)
        desk, letter_id = self.desk, self.draft.id

        def save() -> None:
            from amends.casework import correspondence

            correspondence.save(desk.office, letter_id, words[1], subject=words[0], actor=desk.actor, now=desk.now())

        def saved(_: None) -> None:
            self._saved = words
            at = desk.now().astimezone(desk.zone)
            self._state = f"Draft saved {at:%H:%M:%S}."
            self._draw()
            go_on()

        def not_saved(why: AmendsError) -> None:
            self._state = "NOT SAVED"
            self._draw()
            self.house.say(f"Not saved: {why} Your words are still here; Ctrl+S tries again.", "late")
            self._timer = self.set_timer(5.0, self._save)

        self.ask("save", save, saved, otherwise=not_saved, every=True, opens=opens)

    def action_keep(self) -> None:
        self.save_then(lambda: self.house.say("Saved."))

    def action_leave(self) -> None:
        self.save_then(self._left, opens=True)

    def _left(self) -> None:
        if self.is_current:
            self.house.back()
            if not self._thrown:
                self.house.say("The draft is kept on the case: r and the same kind opens it again.")

    # Writing

    def action_gap(self) -> None:
        """Select the next gap after the cursor, so that typing fills it."""
        text = self.body.text
        found = gaps(text)
        if not found:
            self.house.say("No gaps left.")
            return
        here = self.body.cursor_location
        following = next((gap for gap in found if offset_to_place(text, gap.start) >= here), found[0])
        self._select(text, following)

    def _select(self, text: str, gap: Gap) -> None:
        start, end = offset_to_place(text, gap.start), offset_to_place(text, gap.end)
        self.body.focus()
        self.body.move_cursor(start)
        self.body.move_cursor(end, select=True)

    def action_beside(self) -> None:
        """Their mail beside the letter, or in a narrow window instead of it."""
        self.toggle_class("-beside")
        if self.size.width < frame.WIDE:
            shown = self.has_class("-beside")
            (self.query_one("#beside", LineView) if shown else self.body).focus()
            self.house.say("F6 brings you back to your letter." if shown else "")

    def action_throw_away(self) -> None:
        from tui.dialogs.confirm import Confirm

        def answered(yes: bool) -> None:
            if not yes:
                return
            from amends.casework import correspondence

            desk = self.desk
            self._thrown = True
            self.do(
                lambda: correspondence.discard(desk.office, self.draft.id, actor=desk.actor, now=desk.now()),
                lambda _: self._left(),
                said="The draft is thrown away; the history says that there was one.",
            )

        self.offer(Confirm("Throw the draft away?", "Its words are gone then.", yes="Throw away", no="Keep"), answered)

    def action_review(self) -> None:
        self.save_then(self._review, opens=True)

    def _review(self) -> None:
        if self.draft.kind == LetterKind.FINAL_RESPONSE and self.draft.id not in self.house.findings:
            self._decide(self._to_review)
        else:
            self._to_review()

    def action_decision(self) -> None:
        """What a final response decides; the words of the letter stay as they are."""
        if self.draft.kind != LetterKind.FINAL_RESPONSE:
            self.house.say("Only a final response has a decision.")
        else:
            self._decide(lambda: self.house.say("The decision is noted; see that the words of the letter say it too."))

    def action_promise(self) -> None:
        """Something that the letter promises by a day."""
        case_id = self.draft.case_id
        if case_id is not None:
            self.ask("dial", lambda: self.desk.dial(case_id), self._offer_promise, opens=True)

    def _offer_promise(self, dial: Dial) -> None:
        from tui.dialogs.promise import PromiseBy

        running = [one for one in dial.case.deadlines if one.pack == PROMISED and is_owed(one)]
        language = dial.case.language
        dialog = PromiseBy(self.desk, _promised(self.draft), running=len(running))
        self.offer(dialog, lambda said: self._promise(said, language))

    def _promise(self, said: Promised, language: str) -> None:
        desk, letter_id, region = self.desk, self.draft.id, self.desk.office.settings.organisation.region

        def promise() -> tuple[LetterView, str]:
            from amends.casework import correspondence
            from amends.casework.promising import Promise
            from amends.letters.render import day_in_words

            meant = None if said.day is None else Promise(said.day, said.what, said.instead)
            correspondence.promise(desk.office, letter_id, meant, actor=desk.actor, now=desk.now())
            return desk.letter(letter_id), day_in_words(said.day, language, region) if said.day is not None else ""

        self.do(promise, lambda found: self._promise_is_in(*found, said.what))

    def _promise_is_in(self, letter: LetterView, day: str, what: str) -> None:
        self.draft = letter
        if not day:
            self.house.say("The letter promises nothing now.")
        elif day in self.body.text:
            self.house.say(f"It promises {day}; that is a deadline of ours when it has left.")
        else:
            row, column = self.body.cursor_location
            line = self.body.document.get_line(row)
            before, behind = line[:column], line[column:]
            words = promised_words(day, what, after=before)
            lead = " " if before and not before.endswith(" ") else ""
            self.body.insert(f"{lead}{words}{' ' if behind[:1].isalnum() else ''}")
            done = "put it into your own words" if words != day else "write round it what you promise"
            self.house.say(f"{'The day' if words == day else 'The promise'} stands at your cursor now: {done}.")
        self._draw()

    def action_counts_as(self) -> None:
        """Which letter of the rules it is."""
        case_id = self.draft.case_id
        if case_id is not None:
            self.ask("dial", lambda: self.desk.dial(case_id), self._offer_to_count, opens=True)

    def _offer_to_count(self, dial: Dial) -> None:
        from tui.dialogs.choose import Choose, Option
        from tui.screens.verbs import in_row

        found = [one for one in dial.face.candidates if one.kind == self.draft.kind]
        if not found:
            self.house.say("The rules of this case have no letter of this kind; it is only what it says.")
            return
        found.sort(key=lambda one: not one.here)
        options = [Option("", "As the rules take it by themselves", "the only one of its kind in this stage, or none")]
        options += [Option(one.id, *in_row(one)) for one in found]
        self.offer(Choose("Which letter of the rules is it?", options, on=self.draft.counts_as), self._count_as)

    def _count_as(self, counts_as: str) -> None:
        desk, letter_id = self.desk, self.draft.id

        def count() -> LetterView:
            from amends.casework import correspondence

            correspondence.count_as(desk.office, letter_id, counts_as, actor=desk.actor, now=desk.now())
            return desk.letter(letter_id)

        def counted(letter: LetterView) -> None:
            self.draft = letter
            self._draw()

        named = f"It is the {prose(counts_as.replace('_', ' '))} now." if counts_as else "It is named as none now."
        self.do(count, counted, said=f"{named} F5 shows what the rules want of it.")

    def _decide(self, then: Callable[[], object]) -> None:
        from tui.dialogs.finding import Decide

        def decided(finding: Finding) -> None:
            self.house.findings[self.draft.id] = finding
            self._follow(before, finding)
            then()

        before = self.house.findings.get(self.draft.id)
        self.offer(Decide(self.draft.reference or "", before, currency=self.desk.currency), decided)

    def _follow(self, before: Finding | None, after: Finding) -> None:
        """Let the remedy in the letter be the one decided now, where it stands there as it was decided before."""
        old, new = (each.remedy.in_words() if each and each.remedy else "" for each in (before, after))
        if old and new and old != new and self.body.text.count(old) == 1:
            before_it = self.body.text.partition(old)[0]
            self.body.replace(new, _end_of(before_it), _end_of(before_it + old))

    def _to_review(self) -> None:
        from tui.screens.review import ReviewScreen

        self.app.push_screen(ReviewScreen(self.draft.id, self.house.findings.get(self.draft.id)))

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.call_after_refresh(self.body.focus)

    def rescue(self) -> None:
        """The program ends with words that are not saved yet: save them now."""
        from amends.casework import correspondence

        if self._changed() and not self._thrown:
            correspondence.save(
                self.desk.office,
                self.draft.id,
                self.body.text,
                subject=self.subject.value,
                actor=self.desk.actor,
                now=self.desk.now(),
            )


def _promised(draft: LetterView) -> Promised | None:
    """What a draft promises already."""
    word = draft.facts.get("promises")
    if not isinstance(word, Mapping):
        return None
    return Promised(date.fromisoformat(str(word["day"])), str(word.get("what", "")), bool(word.get("instead")))


def promised_words(day: str, what: str, *, after: str) -> str:
    """What a promise writes at the cursor: the day, where a sentence is under way before it; else a sentence whole."""
    what = " ".join(what.split())
    under_way = after.rstrip() and after.rstrip()[-1] not in ".!?;]"
    return day if under_way or not what else f"{what[:1].upper()}{what[1:].rstrip('.')}: {day}."


def _end_of(text: str) -> tuple[int, int]:
    """The line and the column at which this text ends."""
    return text.count("\n"), len(text) - text.rfind("\n") - 1
