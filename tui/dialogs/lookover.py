"""What a verb would do and the letter that it would send, read before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.dialogs.base import Dialog
from tui.widgets.lineview import LineView, Sheet
from tui.words import Line, letter, prose, wrap

if TYPE_CHECKING:
    from amends.casework.moretime import Preview


class LookOver(Dialog[bool]):
    """Answers True where it is to be done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+s,ctrl+r", "accept", "Do it", show=False, priority=True),
        Binding("s", "accept", "Do it", show=False),
        Binding("left,h,q", "cancel", "Back", show=False),
    ]

    def __init__(self, writer: Callable[[int], Sheet], *, sends: bool) -> None:
        super().__init__("Look it over: nothing has been sent" if sends else "Look it over: nothing has been done")
        self._writer, self._sends = writer, sends

    def content(self) -> Iterator[Widget]:
        yield LineView(id="letter", classes="-many")

    def hint(self) -> str:
        return f"s or F5={'Send it' if self._sends else 'Do it'}  ↑↓=Scroll  Esc=Back to your words"

    def on_mount(self) -> None:
        page = self.query_one(LineView)
        page.show(self._writer)
        page.focus()

    def action_accept(self) -> None:
        self.dismiss(True)


def letter_lines(preview: Preview, width: int) -> list[Line]:
    """The letter as they will read it."""
    lines: list[Line] = [(), (("Subject  ", "muted"), (prose(preview.subject), "strong")), ()]
    lines += [((" " + line, "text"),) for line in wrap(letter(preview.body).rstrip(), width - 2)]
    return lines
