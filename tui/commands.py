"""The palette's commands: what can be done here, the screens, the views, the looks.  All words are ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tui import keys, theme
from tui.desk import KINDS

if TYPE_CHECKING:
    from tui.app import AmendsApp


@dataclass(frozen=True, slots=True)
class Command:
    """`key` as people read it, or nothing; `run` may be a coroutine function."""

    words: str
    does: str
    key: str
    run: Callable[[], Any]


def commands(app: AmendsApp) -> Iterator[Command]:
    """What can be run on the uppermost screen: what belongs to it first."""
    place = app.place
    if place is None:
        return
    here = sorted(keys.keys_of(place.PLACE), key=lambda key: key.where is keys.Where.EVERYWHERE)
    for key in here:
        if key.menu and (app.desk.may_write or not key.writes) and key.action != "app.command_palette":
            yield Command(key.short, key.does, key.shown, partial(place.run_action, key.action))
    for kind in KINDS:
        yield Command(f"View: {kind.title}", "Show these cases in the queue", "", partial(app.show_view, kind.name))
    for look in theme.LOOKS:
        yield Command(f"Look: {look}", "How the screens are painted", "", partial(app.set_look, look))
