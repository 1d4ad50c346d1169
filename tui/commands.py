"""The palette's commands: what can be done here, the screens, the views, the looks.  All words are ours."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui import keys, theme
from tui.desk import KINDS

if TYPE_CHECKING:
    from tui.app import AmendsApp


class Commands(Provider):
    """Each names its key, so that next time it is only a key."""

    def _all(self) -> Iterator[tuple[str, str, Any]]:
        app = cast("AmendsApp", self.app)
        place = app.place
        if place is None:
            return
        for key in keys.keys_of(place.PLACE):
            if key.menu and (app.desk.may_write or not key.writes) and key.action != "app.command_palette":
                yield f"{key.short}  ({key.shown})", key.does, partial(place.run_action, key.action)
        for kind in KINDS:
            yield f"View: {kind.title}", "Show these cases in the queue", partial(app.show_view, kind.name)
        for look in theme.LOOKS:
            yield f"Look: {look}", "How the screens are painted", partial(app.set_look, look)

    async def discover(self) -> Hits:
        for words, does, run in self._all():
            yield DiscoveryHit(words, run, help=does)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for words, does, run in self._all():
            score = max(matcher.match(words), matcher.match(does) * 0.9)
            if score > 0:
                yield Hit(score, matcher.highlight(words), run, help=does)
