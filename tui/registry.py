"""The screens behind the number keys.  A new one is a file in `tui/screens`, a line here and its keys in `keys.py`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tui.screens.base import DeskScreen


@dataclass(frozen=True, slots=True)
class Entry:
    """One screen; its module is imported when it is first wanted."""

    key: str
    name: str
    title: str
    module: str
    kind: str

    def make(self) -> DeskScreen:
        made: Any = getattr(import_module(self.module), self.kind)()
        return made  # type: ignore[no-any-return]


MAIN: Final = (
    Entry("1", "queue", "Queue", "tui.screens.queue", "QueueScreen"),
    Entry("2", "search", "Search", "tui.screens.search", "SearchScreen"),
    Entry("3", "outbox", "Outbox", "tui.screens.outbox", "OutboxScreen"),
    Entry("4", "tray", "Tray", "tui.screens.tray", "TrayScreen"),
    Entry("5", "status", "Status", "tui.screens.status", "StatusScreen"),
)


def entry(name: str) -> Entry:
    return next(one for one in MAIN if one.name == name)


def names() -> Iterable[str]:
    return (one.name for one in MAIN)
