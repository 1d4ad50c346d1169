"""What a duty is: one small loop of the daemon, and the pulse by which it shows that it lives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol


class Pulse(Protocol):
    """Handed to a duty by its supervisor; all of it may be called from the duty's thread."""

    stopping: threading.Event
    """Set when the duty is to end: finish what cannot be left half done, and return."""

    def beat(self, **detail: Any) -> None:
        """The duty is at work: the watchdog may be fed, and its row says `running`, with this detail for `status`.

        `held_by` in the detail: another daemon does this work, and the row is that one's to write.
        """

    def failing(self, error: str, **detail: Any) -> None:
        """The duty lives but cannot do its work (the server is away): its row says so; it goes on by itself."""

    def wait(self, seconds: float, *, woken_by: threading.Event | None = None) -> bool:
        """Sleep, still alive to the watchdog; True at once when the duty is to end.

        `woken_by` ends the sleep early and is cleared.
        """


class Duty(Protocol):
    """One loop.  It holds no state that the store does not have, so it can be ended and started at any instruction.

    An exception out of `run` is a failure: the supervisor logs it, says so in the duty's row, and starts the duty again
    after a growing pause.  NeedsOperator is reported as its one sentence, without a traceback.
    """

    name: str
    silence: float
    """After so many seconds without a beat the duty counts as hung, and the watchdog is not fed."""

    def run(self, pulse: Pulse) -> None: ...


Wake = Callable[[], None]
"""What one duty calls when another has work to do (intake queued a letter: the outbox need not wait for its turn)."""
