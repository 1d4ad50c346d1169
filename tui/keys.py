"""The one table of keys.  Bindings, the line of keys, help, the palette and the key card are all drawn from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from textual.binding import Binding, BindingType


class Where(StrEnum):
    """Where a key works; a screen takes several of these together."""

    EVERYWHERE = "Everywhere"
    MOVING = "Moving"
    VERBS = "On a case (queue, search, case)"
    LIST = "In a list of cases (queue, search)"
    QUEUE = "Queue"
    CASE = "Case"
    CLOCKS = "Deadlines of a case (case, deadlines)"
    WRITE = "Writing a letter"
    REVIEW = "Before it leaves"
    SEARCH = "Search"
    OUTBOX = "Outbox"
    TRAY = "Tray"
    STATUS = "Status"


@dataclass(frozen=True, slots=True)
class Key:
    """One thing to do: `keys` as Textual names them, the first is shown; `short` for the line of keys, `does` for help.

    `foot` orders the line of keys (0: not in it).  `writes`: not for an auditor.  `menu`: can be run from help.
    """

    action: str
    keys: tuple[str, ...]
    short: str
    does: str
    where: Where
    foot: int = 0
    writes: bool = False
    menu: bool = True

    @property
    def shown(self) -> str:
        return shown(self.keys[0])


def _key(where: Where, keys: str, action: str, short: str, does: str, foot: int = 0, *, writes: bool = False,
         menu: bool = True) -> Key:  # fmt: skip
    return Key(action, tuple(keys.split()), short, does, where, foot, writes, menu)


_E, _M, _V, _L = Where.EVERYWHERE, Where.MOVING, Where.VERBS, Where.LIST
_Q, _C, _W, _R = Where.QUEUE, Where.CASE, Where.WRITE, Where.REVIEW
_K = Where.CLOCKS
_S, _O, _T, _H = Where.SEARCH, Where.OUTBOX, Where.TRAY, Where.STATUS

TABLE: Final = (
    _key(_E, "question_mark f1", "app.help", "Help", "Help for where you are; type to search, Enter runs it", 1),
    _key(_E, "1", "app.go('queue')", "Queue", "Go to the queue"),
    _key(_E, "2", "app.go('search')", "Search", "Go to the search"),
    _key(_E, "3", "app.go('outbox')", "Outbox", "Go to the outbox: letters on their way, and failed ones"),
    _key(_E, "4", "app.go('tray')", "Tray", "Go to the tray: mail that waits for a word from you"),
    _key(_E, "5", "app.go('status')", "Status", "Go to the status: is mail coming in and going out?"),
    _key(_E, "slash", "app.find", "Find", "Search all cases", 55),
    _key(_E, "number_sign ctrl+g", "app.go_to_case", "Go to", "Go to a case by its reference or number"),
    _key(_E, "u", "app.undo", "Undo", "Undo: call a letter back, or take an assignment back"),
    _key(_E, "colon ctrl+p", "app.command_palette", "More", "All commands by name", 2),
    _key(_E, "T", "app.times", "Times", "Deadlines as day and hour, or as the time that is left"),
    _key(_E, "L", "app.next_look", "Look", "Another look: night, day, high contrast, 16 or no colours"),
    _key(_E, "escape left h", "leave", "Back", "Back one step; nothing that you wrote is lost"),
    _key(_E, "q", "leave", "Back", "Back; in the queue: leave the program", menu=False),
    _key(_E, "ctrl+l", "app.redraw", "Redraw", "Draw the screen again"),
    _key(_E, "ctrl+q", "app.quit_softly", "Leave", "Leave the program; drafts are kept, held letters still go"),
    _key(_M, "down j", "down", "Down", "Down", menu=False),
    _key(_M, "up k", "up", "Up", "Up", menu=False),
    _key(_M, "pagedown space", "page_down", "Page down", "Page down", menu=False),
    _key(_M, "pageup", "page_up", "Page up", "Page up", menu=False),
    _key(_M, "home g", "top", "Top", "To the top", menu=False),
    _key(_M, "end G", "bottom", "Bottom", "To the bottom", menu=False),
    _key(_M, "enter right l", "open", "Open", "Open, or unfold", 3, menu=False),
    _key(_V, "r", "letter", "Letter", "Write a letter: reply, update, holding, final response", 10,
         writes=True),
    _key(_V, "n", "note", "Note", "Add a note for colleagues; it is never sent", 20, writes=True),
    _key(_V, "a", "assign", "Assign", "Give the case, or all marked cases, to somebody", 30, writes=True),
    _key(_V, "A", "take", "Take", "Take the case, or all marked cases, yourself", 45, writes=True),
    _key(_V, "s", "stage", "Stage", "Stage: acknowledge, assess, investigate, close, reopen", 40,
         writes=True),
    _key(_V, "exclamation_mark", "assess", "Assess", "Assess: severity, impact, and who needs particular care",
         writes=True),
    _key(_V, "w", "wait", "Waiting", "Say for whom the case waits, or that it waits no longer", 50, writes=True),
    _key(_V, "e", "resolve", "Resolve", "Resolve: the final response with its outcome, or close", 25,
         writes=True),
    _key(_V, "m", "kin", "Merge", "Merge into another case, link, or take that back", writes=True),
    _key(_V, "d", "deadlines", "Deadlines", "Every deadline: why it falls so, what meets it", 28),
    _key(_V, "y", "copy", "Copy", "Copy the reference"),
    _key(_L, "x", "mark", "Mark", "Mark this case, or take the mark away", 60),
    _key(_L, "X", "mark_to", "Mark to", "Mark from the last mark to here"),
    _key(_L, "asterisk", "mark_all", "Mark all", "Mark all cases of this list"),
    _key(_L, "i", "preview", "Preview", "The case beside the list; in a narrow window over it"),
    _key(_Q, "v", "views", "Views", "Which cases: open, mine, nobody's, late, closed and more", 65),
    _key(_Q, "full_stop", "fresh", "New", "Show what is new; the cursor stays on its case"),
    _key(_C, "right_square_bracket", "message(1)", "Next mail", "Next message or note", 5),
    _key(_C, "left_square_bracket", "message(-1)", "Mail before", "The message or note before"),
    _key(_C, "J f8 ctrl+down", "case(1)", "Next case", "Next case of the list you came from", 55),
    _key(_C, "K f7 ctrl+up", "case(-1)", "Case before", "The case before in the list you came from"),
    _key(_C, "z", "quotes", "Quotes", "Fold or unfold what the mail quotes"),
    _key(_C, "i", "details", "Details", "Details: deadlines and why they fall so, people, outcome", 60),
    _key(_C, "H", "history", "History", "Everything that ever happened to the case"),
    _key(_C, "p", "people", "People", "People on the case; accept somebody who wrote in", writes=True),
    _key(_C, "o", "attachments", "Files", "The attached files; they are never opened here"),
    _key(_C, "S", "split", "Split off", "Take this message off: a case of its own, or the tray", writes=True),
    _key(_C, "b", "unblock", "Unblock", "Let automatic letters go to their address again", writes=True),
    _key(_C, "C", "correct", "Address", "Write to the complainant at another address from now on", writes=True),
    _key(_C, "full_stop", "fresh", "New", "Read the case again"),
    _key(_K, "f", "facts", "Facts", "What the rules ask of the case, and what answers start", 70, writes=True),
    _key(_K, "t", "happened", "It happened", "Say that something happened, or left by another way", 72, writes=True),
    _key(_K, "plus", "more_time", "More time", "Give a deadline more time, where its rule allows it", 71,
         writes=True),
    _key(_K, "W", "pause", "Pause", "Stop a clock, where its rule allows it, or let it go on", 73,
         writes=True),
    _key(_K, "P", "kept", "Promise kept", "Say that a promise was kept by another way", writes=True),
    _key(_W, "f5 ctrl+r", "review", "Review and send", "Look the letter over, then send it", 5),
    _key(_W, "f3 ctrl+n", "gap", "Next gap", "To the next [[gap]] that only you can fill", 10),
    _key(_W, "f6", "beside", "Their mail", "The complainant's mail beside the letter", 20),
    _key(_W, "f4 ctrl+t", "decision", "Decision", "Outcome, remedy and root cause of a final response", 45),
    _key(_W, "f7", "counts_as", "Counts as", "Which letter of the rules it is", 50),
    _key(_W, "f9", "promise", "Promise", "Promise something by a day; it becomes a deadline of ours", 25),
    _key(_W, "ctrl+s", "keep", "Save", "Save the draft now; it also saves itself", 30),
    _key(_W, "f8", "throw_away", "Throw away", "Throw the draft away", 40),
    _key(_W, "escape", "leave", "Leave", "Leave; the draft is kept", 15),
    _key(_R, "s", "send", "Send", "Send it; for a short while u still calls it back", 5, writes=True),
    _key(_R, "e", "leave", "Edit", "Back to the letter", 10),
    _key(_R, "m", "news", "What is new", "Read what came in since you began the letter", 20),
    _key(_S, "tab", "into", "Results", "From the search line into the results", 5, menu=False),
    _key(_O, "C", "correct", "Correct and send", "Correct the address and send the letter to it", 10, writes=True),
    _key(_O, "R", "resend", "Send again", "Send a failed or uncertain letter once more", 20, writes=True),
    _key(_O, "s", "arrived", "It arrived", "You know that an uncertain letter arrived", 30, writes=True),
    _key(_O, "d", "give_up", "Give up", "Give a letter up: you will write another, or telephone", 40, writes=True),
    _key(_T, "y", "belongs", "Belongs there", "Yes, it belongs to the case that it names", 10, writes=True),
    _key(_T, "c", "complaint", "New case", "It is a complaint: open a case, clocks run from receipt", 15, writes=True),
    _key(_T, "m", "join", "Other case", "It belongs to another case that there is", 20, writes=True),
    _key(_T, "d", "put_away", "No complaint", "It is no complaint, and why; it is kept", 30, writes=True),
    _key(_T, "R", "retry", "Try again", "Read and file it again, as if it came now", 40, writes=True),
    _key(_H, "full_stop", "fresh", "Look again", "Look again", 10),
)  # fmt: skip

SCREENS: Final[dict[str, tuple[Where, ...]]] = {
    "queue": (_E, _M, _V, _L, _Q),
    "search": (_E, _M, _V, _L, _S),
    "case": (_E, _M, _V, _K, _C),
    "deadlines": (_E, _M, _V, _K),
    "letter": (_W,),
    "review": (_E, _M, _R),
    "outbox": (_E, _M, _O),
    "tray": (_E, _M, _T),
    "status": (_E, _M, _H),
    "page": (_E, _M),
}
"""Which parts of the table each screen takes.  A part named later wins where both use a key."""

_OWN: Final = {"deadlines": Where.CLOCKS}
"""What a screen is for stands before what it has in common with others."""
# Help stays in reach while a letter is written, where letters are text.
_NOTHING_TO_OPEN: Final = ("review", "status", "page")
_F: Final = frozenset(f"f{number}" for number in range(1, 13))
_IN_TEXT: Final = ("f1", "ctrl+q", "ctrl+l")


def keys_of(screen: str) -> list[Key]:
    """What can be done on this screen, in the order of the table."""
    parts = SCREENS[screen]
    found = [key for key in TABLE if key.where in parts]
    if screen == "letter":
        for key in TABLE:
            if key.where is _E and (left := tuple(one for one in key.keys if one in _IN_TEXT)):
                found.append(replace(key, keys=left))
    return found


def bindings(screen: str, *, without: Iterable[Where] = (_M,)) -> list[BindingType]:
    """The bindings of a screen; those for moving belong to the list or page that has the focus."""
    left_out = set(without)
    made: dict[str, Binding] = {}
    for key in keys_of(screen):
        if key.where in left_out:
            continue
        for one in key.keys:
            made.pop(one, None)
            made[one] = Binding(
                one, key.action, key.short, show=False, priority=one.startswith("f") and one[1:].isdigit()
            )
    return list(made.values())


def moving() -> list[BindingType]:
    """The bindings of a list or a page."""
    return [Binding(one, key.action, key.short, show=False) for key in TABLE if key.where is _M for one in key.keys]


_PLACES: Final = {
    _V: "a case, and in lists of cases",
    _L: "a list of cases",
    _Q: "the queue",
    _C: "a case",
    _K: "a case",
    _W: "a letter that is being written",
    _R: "a letter that is looked over",
    _O: "the outbox",
    _T: "the tray",
    _H: "the status",
}


def elsewhere(screen: str, key: str) -> str:
    """What a key that does nothing on this screen is for and where, in a sentence; empty where it is for nothing."""
    if any(key in one.keys for one in keys_of(screen)):
        return ""
    one = next((one for one in TABLE if key in one.keys and one.where in _PLACES), None)
    if one is None:
        return ""
    first = " Open it first: Enter." if screen in ("queue", "search") and one.where in (_C, _K) else ""
    return f"{shown(key)}={one.short} works in {_PLACES[one.where]}.{first}"


def clashes(screen: str) -> Iterator[str]:
    """Keys that two different actions of one screen would share (moving and leaving included)."""
    taken: dict[str, str] = {}
    for key in keys_of(screen):
        for one in key.keys:
            if taken.setdefault(one, key.action) != key.action:
                yield f"{screen}: {one} is both {taken[one]} and {key.action}"


_NAMES: Final = {
    "question_mark": "?",
    "exclamation_mark": "!",
    "number_sign": "#",
    "asterisk": "*",
    "plus": "+",
    "full_stop": ".",
    "slash": "/",
    "colon": ":",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "right_curly_bracket": "}",
    "left_curly_bracket": "{",
    "escape": "Esc",
    "enter": "Enter",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "space": "Space",
    "tab": "Tab",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
    "home": "Home",
    "end": "End",
}


def shown(key: str) -> str:
    """A key as people read it: `escape` is Esc, `ctrl+p` is Ctrl+P."""
    *before, last = key.split("+")
    name = _NAMES.get(last, last.upper() if len(last) > 1 or before else last)
    return "+".join([*(part.capitalize() for part in before), name])


def _while_typing(found: Iterable[Key]) -> Iterator[Key]:
    """What is no text and does not move in it: function keys, Ctrl, Tab, Enter and Escape."""
    for key in found:
        left = tuple(one for one in key.keys if one in ("escape", "tab", "enter") or one[:5] == "ctrl+" or one in _F)
        if left:
            yield replace(key, keys=left, foot=key.foot or (90 if key.action == "leave" else 0))


def footer(screen: str, cells: int, *, may_write: bool = True, typing: bool = False) -> list[Key]:
    """The keys that fit into the line, the most wanted first; help is never the part that is cut.

    `typing`: a line or a letter is written, and what is text there does nothing else.
    """
    here = list(_while_typing(keys_of(screen))) if typing else keys_of(screen)
    here = [key for key in here if key.action != "open" or screen not in _NOTHING_TO_OPEN]
    own = _OWN.get(screen)
    wanted = sorted(
        (key for key in here if key.foot and (may_write or not key.writes)),
        key=lambda key: key.foot if key.where is Where.EVERYWHERE else 3 if key.where is own else key.foot,
    )
    chosen: list[Key] = []
    used = 0
    for key in wanted:
        width = len(key.shown) + 1 + len(key.short) + (1 if chosen else 0)
        if used + width <= cells:
            chosen.append(key)
            used += width
    # The door to everything else stands at the end of the line, though its place was kept first.
    return sorted(chosen, key=lambda key: key.action == "app.command_palette")


def key_card() -> str:
    """The table as Markdown, for the handlers' manual."""
    lines: list[str] = []
    for where in Where:
        rows = [key for key in TABLE if key.where is where]
        lines += [f"### {where}", "", "| key | what it does |", "| --- | --- |"]
        lines += [f"| {_keycaps(key)} | {key.does} |" for key in rows]
        lines.append("")
    return "\n".join(lines)


def _keycaps(key: Key) -> str:
    return " ".join(f"`{shown(one)}`" for one in key.keys)
