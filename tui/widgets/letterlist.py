"""Letters as rows."""

from __future__ import annotations

from typing import Final

from amends.ledger.shapes import LetterView
from tui.columns import short_reference
from tui.names import LETTER_STATES, letter_name
from tui.signs import Bounds, countdown, moment
from tui.widgets.rowlist import RowList
from tui.words import Line, fit, name, prose

STATE_WORDS = {
    "draft": ("  ", "draft", "muted"),
    "approval": ("  ", "approval", "accent"),
    "queued": ("  ", "on its way", "text"),
    "sending": ("  ", "leaving", "text"),
    "sent": ("✓ ", "sent", "done"),
    "uncertain": ("? ", "UNCERTAIN", "warn"),
    "failed": ("!!", LETTER_STATES["failed"], "late"),
    "bounced": ("!!", LETTER_STATES["bounced"], "late"),
}

_STATE_ROOM: Final = 14


class LetterList(RowList):
    """What needs somebody first, then what is on its way, then what was sent."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.letters: dict[int, LetterView] = {}
        self._at: Bounds | None = None
        self._speed = 1.0

    def show_letters(self, letters: list[LetterView], at: Bounds, speed: float) -> None:
        self.letters = {one.id: one for one in letters}
        self._at, self._speed = at, speed
        self.show(list(self.letters))

    @property
    def letter(self) -> LetterView | None:
        return self.letters.get(self.current) if self.current is not None else None

    def row(self, key: int, width: int) -> Line:
        one, at = self.letters[key], self._at
        if at is None:
            return ()
        sign, words, role = STATE_WORDS.get(one.state, ("  ", prose(one.state), "text"))
        if one.state == "queued" and not one.automatic and one.next_try_at is not None and not one.tries:
            left = (one.next_try_at - at.now) / self._speed
            sign, words, role = "  ", f"HELD {countdown(left)}", "accent"
        when = one.sent_at or (one.next_try_at if one.tries else None) or one.queued_at or one.created_at
        what = letter_name(one.kind)
        room = max(8, width - 4 - _STATE_ROOM - 10 - 16 - 17)
        return (
            (" ", "text"),
            (sign, "late-sign" if sign == "!!" else role),
            (" " + fit(words, _STATE_ROOM), role),
            (fit(short_reference(one.reference or "") or "-", 10), "text"),
            (fit(what, 16), "text"),
            (fit(name(one.to_address), room) + " ", "text"),
            (moment(when, at.now, at.zone), "muted"),
        )
