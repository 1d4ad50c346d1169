"""Questions to the store, off the event loop: a worker only brings the answer back, and widgets change here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from textual.message import Message

from amends.kernel.errors import AmendsError

if TYPE_CHECKING:
    from textual.widget import Widget as _Base
else:
    _Base = object  # a mixin that is no widget: the styles of a widget follow its first base

T = TypeVar("T")


class Asking(_Base):
    """Gives `ask`.  A later question of the same group makes the answer of an earlier one void."""

    @dataclass
    class Answer(Message, bubble=False):
        """What a worker brought back."""

        group: str
        number: int
        then: Callable[[Any], None]
        value: Any
        opens: bool

    @dataclass
    class Trouble(Message, bubble=False):
        """Why a worker brought nothing back."""

        group: str
        number: int
        otherwise: Callable[[AmendsError], None] | None
        fault: Exception
        opens: bool

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._numbers: dict[str, int] = {}

    def ask(
        self,
        group: str,
        work: Callable[[], T],
        then: Callable[[T], None],
        *,
        otherwise: Callable[[AmendsError], None] | None = None,
        every: bool = False,
        opens: bool = False,
    ) -> None:
        """Run `work` in a thread and hand its value to `then` on the event loop.

        An error of ours goes to `otherwise`, else into the status line.  With `every` no answer is dropped.
        With `opens` the answer opens something: keys that are typed meanwhile are meant for that, and wait for it.
        """
        number = self._numbers[group] = self._numbers.get(group, 0) + 1

        if opens:
            self.opening(1)

        def run() -> None:
            try:
                value = work()
            except Exception as fault:  # noqa: BLE001  (the one place where a worker's fault becomes a message)
                self.post_message(self.Trouble(group, 0 if every else number, otherwise, fault, opens))
            else:
                self.post_message(self.Answer(group, 0 if every else number, then, value, opens))

        self.run_worker(run, thread=True, exclusive=not every, group=group, name=group, exit_on_error=False)

    def _void(self, group: str, number: int) -> bool:
        return bool(number) and number != self._numbers.get(group)

    def on_asking_answer(self, message: Answer) -> None:
        if not self._void(message.group, message.number):
            message.then(message.value)
        if message.opens:
            self.opening(-1)

    def on_asking_trouble(self, message: Trouble) -> None:
        if message.opens:
            self.opening(-1)
        if self._void(message.group, message.number):
            return
        if not isinstance(message.fault, AmendsError):
            self.unexpected(message.fault)
        elif message.otherwise is not None:
            message.otherwise(message.fault)
        else:
            self.refused(message.fault)

    def opening(self, by: int) -> None:
        """One more thing is being opened (1), or one less (-1)."""
        raise NotImplementedError

    def refused(self, fault: AmendsError) -> None:
        """Show the one sentence."""
        raise NotImplementedError

    def unexpected(self, fault: Exception) -> None:
        """A fault of ours: keep a report and say so; the program goes on."""
        raise NotImplementedError
