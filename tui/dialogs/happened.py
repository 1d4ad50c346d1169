"""Something happened: what, and when.  It starts and meets deadlines, which stands below before it is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from amends.kernel.errors import Refused
from tui.columns import short_reference
from tui.desk import Desk, Dial
from tui.dialogs.base import label
from tui.dialogs.working import Working
from tui.signs import Bounds, moment
from tui.when import HOW_AN_INSTANT, instant_said
from tui.widgets.field import Field
from tui.widgets.lineview import LineView, Sheet
from tui.widgets.rowlist import RowList
from tui.words import Line, Span, fit, name, prose, wrap

if TYPE_CHECKING:
    from amends.casework.clockface import Happening

MOST = 7


class HappeningList(RowList):
    """What may have happened, each in its words; a tick before what has."""

    DEFAULT_CSS = "HappeningList { height: auto; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.found: Sequence[Happening] = ()

    def show_found(self, found: Sequence[Happening]) -> None:
        self.found = found
        self.show(range(len(found)))

    def row(self, key: int, width: int) -> Line:
        one = self.found[key]
        starts = [each.partition(":")[0] for each in one.starts]
        some = (("starts", starts), ("meets", one.meets))
        does = "; ".join(f"{verb} {', '.join(labels)}" for verb, labels in some if labels)
        room = max(0, min(26, width // 3)) if does else 0
        tick: Span = ("✓ " if one.before is not None else "  ", "done")
        return (
            tick,
            (fit(prose(one.words), width - room - 2), "strong" if does else "text"),
            (fit(prose(does), room), "accent"),
        )


class Happened(Working[str]):
    """Type to find it, ↓ and ↑ choose, Enter goes to the hour, and Enter again says it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+s,ctrl+r", "accept", "Say it", show=False, priority=True),
        Binding("down", "move(1)", "Down", show=False, priority=True),
        Binding("up", "move(-1)", "Up", show=False, priority=True),
        Binding("pagedown", "move(6)", "Down", show=False, priority=True),
        Binding("pageup", "move(-6)", "Up", show=False, priority=True),
    ]

    def __init__(self, desk: Desk, dial: Dial) -> None:
        row = dial.case.row
        super().__init__(f"What happened on {short_reference(row.reference)} {name(row.complainant_name)}?", desk)
        self._dial = dial

    def content(self) -> Iterator[Widget]:
        yield Field(placeholder="Type to find it", id="find")
        found = HappeningList(id="found")
        found.styles.height = MOST
        yield found
        yield LineView(id="about", classes="-few")
        yield label("When")
        yield Field("now", id="when")
        yield Static(HOW_AN_INSTANT, id="understood", classes="hint", markup=False)

    def hint(self) -> str:
        return "↑↓=Choose  Tab=When  F5=Say it  Esc=Close"

    @property
    def listed(self) -> HappeningList:
        return self.query_one(HappeningList)

    def on_mount(self) -> None:
        self.listed.can_focus = self.query_one("#about", LineView).can_focus = False
        self.listed.empty = "The rules of this case know nothing by that name."
        self.listed.show_found(self._dial.face.happenings)
        self.query_one("#find", Input).focus()

    def action_move(self, by: int) -> None:
        self.listed.move_to(self.listed.cursor + by)

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        one = self._chosen()
        at = self._dial.at
        self.query_one("#about", LineView).show(lambda width: Sheet() if one is None else about(one, at, width))

    def _chosen(self) -> Happening | None:
        current = self.listed.current
        return None if current is None else self.listed.found[current]

    def on_row_list_opened(self, message: RowList.Opened) -> None:
        self.query_one("#when", Input).focus()

    def on_input_changed(self, message: Input.Changed) -> None:
        if message.input.id == "find":
            words = message.value.lower().split()
            every = self._dial.face.happenings
            found = [one for one in every if all(word in f"{one.words} {one.name}".lower() for word in words)]
            self.listed.show_found(found)
            self.listed.move_to(0)
        else:
            self._understand(message.value)

    def _understand(self, said: str) -> None:
        at = self._dial.at
        try:
            words = moment(instant_said(said, at.now, at.zone), at.now, at.zone)
        except Refused as no:
            words = str(no)
        self.query_one("#understood", Static).update(Content(words))

    def on_input_submitted(self, message: Input.Submitted) -> None:
        if message.input.id == "find":
            self.query_one("#when", Input).focus()
        else:
            self.action_accept()

    def action_accept(self) -> None:
        one, desk, case_id = self._chosen(), self.desk, self._dial.case.row.id
        if one is None:
            self.error("Still needed: what happened.")
            return
        now = desk.now()
        try:
            when = instant_said(self.query_one("#when", Input).value, now, desk.zone)
        except Refused as no:
            self.error(str(no))
            self.query_one("#when", Input).focus()
            return

        def say() -> None:
            from amends.casework import handling

            handling.record_event(desk.office, case_id, one.name, at=when, actor=desk.actor, now=now)

        def said(_: None) -> None:
            self.dismiss(done(one))

        self.do(say, said)


def done(one: Happening) -> str:
    """What was set going, in a sentence."""
    started = [each.partition(":")[0] for each in one.starts]
    parts = [f"{prose(', '.join(some))} {what}" for some, what in ((one.meets, "met"), (started, "started")) if some]
    return f"Noted: {prose(one.words, limit=60)}. {'; '.join(parts) or 'No deadline changes'}."


def about(one: Happening, at: Bounds, width: int) -> Sheet:
    """The whole of it, and what it does."""
    lines: list[Line] = [((line, "text"),) for line in wrap(prose(one.words), width - 1)]
    for verb, some in (("Meets", one.meets), ("Starts", one.starts)):
        for each in some:
            lines += [((line, "accent"),) for line in wrap(prose(f"{verb} {each}"), width - 1)]
    if not one.meets and not one.starts:
        lines.append((("It starts and meets no deadline now; it is kept in the history.", "muted"),))
    if one.before is not None:
        lines.append(((f"It has happened before, on {moment(one.before, at.now, at.zone)}.", "done"),))
    lines += [((line, "muted"),) for line in wrap(prose("; ".join(one.packs)), width - 1)]
    return Sheet(tuple(lines))
