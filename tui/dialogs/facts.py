"""What the rules ask of a case: each question, what is known, and what every answer starts and ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textual import events
from textual.widget import Widget

from tui.columns import short_reference
from tui.desk import Desk, Dial
from tui.dialogs.working import Working
from tui.dials import is_owed
from tui.widgets.lineview import LineView, Sheet
from tui.widgets.rowlist import RowList
from tui.words import Line, cut, fit, name, prose, wrap

if TYPE_CHECKING:
    from amends.casework.clockface import Question

MOST = 6


class QuestionList(RowList):
    """One row a question: what it is about, and the answer as it stands."""

    DEFAULT_CSS = "QuestionList { height: auto; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.questions: Sequence[Question] = ()

    def show_questions(self, questions: Sequence[Question]) -> None:
        self.questions = questions
        self.styles.height = min(max(len(questions), 1), MOST)
        self.show(range(len(questions)))

    def row(self, key: int, width: int) -> Line:
        one = self.questions[key]
        answer, role = answer_of(one)
        room = max(10, width - 34)
        return (
            ("  " if one.known is not None else "? ", "muted" if one.taken else "warn"),
            (fit(cut(prose(one.name.replace("_", " ")), 30), 31), "strong"),
            (fit(answer, room), role),
        )


class Facts(Working[bool]):
    """A digit answers the question under the cursor; the dialog stays, so that the next can be answered."""

    def __init__(self, desk: Desk, dial: Dial) -> None:
        row = dial.case.row
        super().__init__(f"What the rules ask of {short_reference(row.reference)} {name(row.complainant_name)}", desk)
        self._dial = dial

    def content(self) -> Iterator[Widget]:
        yield QuestionList(id="questions")
        yield LineView(id="about")

    def hint(self) -> str:
        return "↑↓=Question  1-9=Answer it  Esc=Close"

    @property
    def listed(self) -> QuestionList:
        return self.query_one(QuestionList)

    def on_mount(self) -> None:
        self.listed.show_questions(self._dial.face.questions)
        first = next((at for at, one in enumerate(self._dial.face.questions) if one.known is None), 0)
        self.listed.move_to(first)
        self.listed.focus()
        self.query_one("#about", LineView).can_focus = False

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        self._tell()

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        self.error("Press the digit before the answer.")

    def _asked(self) -> Question | None:
        current = self.listed.current
        return None if current is None else self.listed.questions[current]

    def _tell(self) -> None:
        asked = self._asked()
        if asked is not None:
            self.query_one("#about", LineView).show(lambda width: about(asked, width))

    def on_key(self, event: events.Key) -> None:
        asked = self._asked()
        if asked is None or event.character is None or not event.character.isdigit():
            return
        place = int(event.character) - 1
        if 0 <= place < len(asked.values):
            event.stop()
            self._answer(asked, asked.values[place])

    def _answer(self, asked: Question, value: str) -> None:
        desk, case_id = self.desk, self._dial.case.row.id

        def answer() -> Dial:
            from amends.casework import handling

            handling.set_fact(desk.office, case_id, asked.name, value, actor=desk.actor, now=desk.now())
            return desk.dial(case_id)

        def answered(dial: Dial) -> None:
            before = {one.id for one in self._dial.case.deadlines if is_owed(one)}
            new = [one for one in dial.case.deadlines if is_owed(one) and one.id not in before]
            late = prose(", ".join(one.label for one in new if one.due_at < dial.at.now))
            self._dial = dial
            self.listed.show_questions(dial.face.questions)
            self._tell()
            self.error("")
            said = f"Noted: {prose(asked.name.replace('_', ' '))} is {prose(value)}. {changed(asked, value)}"
            self.house.say(f"{said} Late already: {late}." if late else said, "late" if late else "text")

        self.do(answer, answered)


def answer_of(one: Question) -> tuple[str, str]:
    """The answer as it stands, and its role."""
    if one.known is not None:
        return prose(one.known), "ok"
    return (f"nobody has said; taken as {prose(one.taken)}", "muted") if one.taken else ("nobody has said yet", "warn")


def changed(asked: Question, value: str) -> str:
    """What an answer has set going, in a sentence."""
    started = [one.partition(":")[0] for one in asked.starts.get(value, ())]
    ended = [one.partition(":")[0] for one in asked.ends.get(value, ())]
    parts = [f"{prose(', '.join(some))} {what}" for some, what in ((started, "counts now"), (ended, "ends")) if some]
    return f"{'; '.join(parts)}." if parts else "No deadline changes."


def about(one: Question, width: int) -> Sheet:
    """The whole question, and below each answer what it does."""
    lines: list[Line] = [()]
    lines += [((line, "text"),) for line in wrap(prose(one.question), width - 1)]
    lines += [((line, "muted"),) for line in wrap(prose(f"Asked by: {'; '.join(one.packs)}"), width - 1)]
    lines.append(())
    for number, value in enumerate(one.values):
        now = (
            "  the answer now"
            if value == one.known
            else "  taken until somebody answers"
            if one.known is None and value == one.taken
            else ""
        )
        lines.append(((f" {number + 1 if number < 9 else ' '} ", "muted"), (prose(value), "strong"), (now, "ok")))
        for verb, some in (("starts", one.starts[value]), ("ends", one.ends[value])):
            for each in some:
                for at, line in enumerate(wrap(prose(f"{verb} {each}"), width - 8)):
                    lines.append((("     " if not at else "       ", "text"), (line, "text")))
    return Sheet(tuple(lines))
