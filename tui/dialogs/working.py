"""A dialog that works itself: what is refused stands in its own last line, and nothing that was written is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from amends.kernel.errors import AmendsError
from tui.asking import Asking
from tui.desk import Desk
from tui.dialogs.base import Dialog

if TYPE_CHECKING:
    from tui.app import AmendsApp

T = TypeVar("T")
Result = TypeVar("Result")


class Working(Asking, Dialog[Result]):
    """Asks the store while it stands there."""

    def __init__(self, title: str, desk: Desk) -> None:
        super().__init__(title)
        self.desk = desk

    @property
    def house(self) -> AmendsApp:
        return cast("AmendsApp", self.app)

    def do(self, verb: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run a verb in a worker, and go on with what it brings; refused, its sentence stands in the dialog."""
        why_not = self.house.why_not_write()
        if why_not:
            self.error(why_not)
            return

        def done(value: T) -> None:
            self.house.hurry()
            then(value)

        self.ask("verb", verb, done, opens=True)

    def opening(self, by: int) -> None:
        self.house.opening(by)

    def refused(self, fault: AmendsError) -> None:
        self.error(str(fault))

    def unexpected(self, fault: Exception) -> None:
        self.house.unexpected(fault)
