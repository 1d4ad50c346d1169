"""A widget that draws its own lines in the roles of the look."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.theme import ROLES
from tui.words import Span

if TYPE_CHECKING:
    from textual.widget import Widget as _Base
else:
    _Base = object  # a mixin that is no widget: the styles of a widget follow its first base

COMPONENTS: Final = {f"role--{role}" for role in ROLES}
"""To be named as the COMPONENT_CLASSES of whatever is painted."""


class Painted(_Base):
    """Gives `paint`: spans in, a strip of exact width out."""

    def role(self, name: str) -> Style:
        """The role's own colours and marks, to be laid over what is beneath."""
        return self.get_component_rich_style(f"role--{name}", partial=True)

    def paint(self, spans: Iterable[Span], width: int, *, under: str = "") -> Strip:
        """One line; with `under` the whole of it lies on that role."""
        base = self.rich_style + self.role(under) if under else self.rich_style
        segments = [Segment(words, base + self.role(role)) for words, role in spans]
        return Strip(segments).adjust_cell_length(width, base)
