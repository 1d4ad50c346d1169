"""What every screen has: the four lines, questions to the store, and where their errors go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from amends.kernel.errors import AmendsError, TryLater
from amends.kernel.text import clean
from tui import frame
from tui.asking import Asking
from tui.desk import Desk
from tui.pulse import News
from tui.widgets.bar import Bar, Part

if TYPE_CHECKING:
    from tui.app import AmendsApp

T = TypeVar("T")


class DeskScreen(Asking, Screen[None]):
    """Subclasses give `PLACE` (its part of the key table) and `content`."""

    PLACE: ClassVar[str]

    @property
    def house(self) -> AmendsApp:
        return cast("AmendsApp", self.app)

    @property
    def desk(self) -> Desk:
        return self.house.desk

    @property
    def typing(self) -> bool:
        """Whether what is typed now is text."""
        return isinstance(self.focused, (Input, TextArea))

    # The frame

    def compose(self) -> ComposeResult:
        yield Bar(under="bar", id="top")
        yield Bar(id="title")
        yield from self.content()
        yield Bar(id="status")
        yield Bar(id="keys")
        yield Static(id="too-small", markup=False)

    def content(self) -> Iterator[Widget]:
        """The widgets between the second line and the last two."""
        raise NotImplementedError

    def bar(self, id: str) -> Bar:
        return self.query_one(f"#{id}", Bar)

    def show_title(self, left: Sequence[Part], right: Sequence[Part] = ()) -> None:
        self.bar("title").show(left, right)

    def show_frame(self) -> None:
        """The first, the status and the key line, as things stand."""
        if not self.size.width or not self.query("#keys"):  # not composed yet, or going
            return
        self.bar("top").show(*frame.top_line(self.house.top(self.PLACE, typing=self.typing), self.size.width))
        self.bar("status").show(*self.house.status_line())
        keys = frame.keys_line(self.PLACE, self.size.width, may_write=self.desk.may_write, typing=self.typing)
        self.bar("keys").show(keys)

    def on_descendant_focus(self) -> None:
        self.show_frame()

    def on_resize(self) -> None:
        width, height = self.size
        small = width < frame.SMALLEST[0] or height < frame.SMALLEST[1]
        self.set_class(small, "-small")
        self.set_class(width >= frame.WIDE, "-wide")
        if small:
            self.query_one("#too-small", Static).update(Content(frame.too_small(width, height)))
        self.show_frame()

    def on_screen_resume(self) -> None:
        self.show_frame()

    # What the app tells

    def news(self, news: News) -> None:
        """Something changed in the store."""

    def minute(self) -> None:
        """Another minute began: times on the screen may have to say something else."""

    # Doing

    def do(
        self, verb: Callable[[], T], then: Callable[[T], None] | None = None, *, said: str = "", opens: bool = False
    ) -> None:
        """Run a verb in a worker; say what was done, and look for its effects at once."""
        why_not = self.house.why_not_write()
        if why_not:
            self.house.say(why_not, "late")
            return

        def done(value: T) -> None:
            if said:
                self.house.say(said)
            self.house.hurry()
            if then is not None:
                then(value)

        self.ask("verb", verb, done, every=True, opens=opens)

    def opening(self, by: int) -> None:
        self.house.opening(by)

    def offer(self, dialog: Screen[T], then: Callable[[T], object]) -> None:
        """Ask, and go on with the answer; nothing happens where the dialog is left without one."""

        def answered(answer: T | None) -> None:
            if answer is not None:
                then(answer)

        self.app.push_screen(dialog, answered)

    def refused(self, fault: AmendsError) -> None:
        if isinstance(fault, TryLater) and self.house.trouble:
            return  # the first and the status line say so already
        words = str(fault)
        self.house.say(words, "late")
        if cell_len(words) > self.size.width - 2 and self.is_current:
            from tui.dialogs.confirm import Told

            self.app.push_screen(Told("That cannot be done", clean(words).text))

    def unexpected(self, fault: Exception) -> None:
        self.house.unexpected(fault)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A verb that writes is not there for an auditor."""
        if not self.desk.may_write and action in self.house.writing_actions:
            return False
        return super().check_action(action, parameters)

    def action_leave(self) -> None:
        """Back one step."""
        self.house.back()

    def focused_is(self, kind: type[Any]) -> bool:
        return isinstance(self.focused, kind)
