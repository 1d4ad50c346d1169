"""Everything that can be done here, by name; what has a key teaches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tui.commands import Command
from tui.dialogs.finder import Finder
from tui.widgets.rowlist import RowList
from tui.words import Line, fit


class CommandList(RowList):
    """Commands as rows: the key, and what it does."""

    def __init__(self, commands: Sequence[Command]) -> None:
        super().__init__(id="found")
        self.find(commands)
        self.empty = "Nothing by that name. Other words?"

    def find(self, commands: Sequence[Command]) -> None:
        self.commands = list(commands)
        self._keys = range(len(self.commands))

    def row(self, key: int, width: int) -> Line:
        one = self.commands[key]
        return ((" " + fit(one.key, 8), "accent"), (one.does if one.key else one.words, "text"))


class Palette(Finder[Any]):
    """Answers with the command to run, or None."""

    ASKS = "What do you want to do?"

    def __init__(self, commands: Sequence[Command]) -> None:
        super().__init__("Commands")
        self._commands = commands

    def listed(self) -> RowList:
        return CommandList(self._commands)

    def hint(self) -> str:
        return "Enter=Run it  ↑↓=Move  Esc=Close   On the left: the key for next time"

    def find(self, words: list[str]) -> None:
        listed = self.query_one(CommandList)
        found = [one for one in self._commands if all(word in f"{one.words} {one.does}".lower() for word in words)]
        # What is called so comes before what only speaks of it.
        found.sort(key=lambda one: not all(word in one.words.lower() for word in words))
        listed.find(found)
        listed.show(listed.keys)

    def run(self, place: int) -> None:
        commands = self.query_one(CommandList).commands
        if place < len(commands):
            self.dismiss(commands[place])
