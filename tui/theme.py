"""The looks: what each role is painted in.  Signs and words carry every meaning; colour only helps to find them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from textual.theme import Theme

ROLES: Final = (
    "text",
    "strong",
    "muted",
    "accent",
    "late",
    "late-sign",
    "today",
    "soon",
    "week",
    "later",
    "waiting",
    "done",
    "none",
    "ok",
    "warn",
    "staff",
    "bar",
    "bar-on",
    "row-on",
    "match",
)
"""Each is a component class `role--NAME` in app.tcss."""

_NIGHT: Final = {
    "ground": "#0f1419",
    "ink": "#e6eaef",
    "dim": "#9ba6b2",
    "red": "#ff8a80",
    "orange": "#ffb454",
    "blue": "#7cc5ff",
    "amber": "#f2c76e",
    "green": "#86dd95",
    "violet": "#d2b3ff",
    "bar-ground": "#1d2733",
    "row-ground": "#26374a",
    "sign-ink": "#1a0503",
}
_DAY: Final = {
    "ground": "#fcfdfe",
    "ink": "#14181d",
    "dim": "#545d68",
    "red": "#a50e18",
    "orange": "#854100",
    "blue": "#0b4a9e",
    "amber": "#684a00",
    "green": "#0e5a27",
    "violet": "#5b2c91",
    "bar-ground": "#dfe7ee",
    "row-ground": "#d3e2f1",
    "sign-ink": "#ffffff",
}
_CONTRAST: Final = {
    "ground": "#000000",
    "ink": "#ffffff",
    "dim": "#ffffff",
    "red": "#ffffff",
    "orange": "#ffffff",
    "blue": "#ffffff",
    "amber": "#ffffff",
    "green": "#ffffff",
    "violet": "#ffffff",
    "bar-ground": "#333333",
    "row-ground": "#333333",
    "sign-ink": "#000000",
}
_SIXTEEN: Final = {
    "ground": "ansi_default",
    "ink": "ansi_default",
    "dim": "ansi_default",
    "red": "ansi_red",
    "orange": "ansi_yellow",
    "blue": "ansi_blue",
    "amber": "ansi_magenta",
    "green": "ansi_green",
    "violet": "ansi_cyan",
    "bar-ground": "ansi_default",
    "row-ground": "ansi_default",
    "sign-ink": "ansi_bright_white",
}
_NONE: Final = dict.fromkeys(_SIXTEEN, "ansi_default")

# How a look marks without colour: the bars, the row under the cursor, the filled sign, and the near bands.
_COLOURED: Final = {"bar-how": "bold", "row-how": "none", "sign-how": "bold", "near-how": "none", "dim-how": "none"}
_MARKED: Final = {
    "bar-how": "reverse",
    "row-how": "bold underline",
    "sign-how": "bold reverse",
    "near-how": "underline",
    "dim-how": "none",
}


def _look(name: str, colours: Mapping[str, str], how: Mapping[str, str], *, dark: bool, ansi: bool = False) -> Theme:
    ground, ink, row, bar = colours["ground"], colours["ink"], colours["row-ground"], colours["bar-ground"]
    inverse = {
        "block-cursor-foreground": ink,
        "block-cursor-background": row,
        "block-cursor-text-style": how["row-how"] if ansi else "bold",
        "input-cursor-background": ink,
        "input-cursor-foreground": ground,
        "input-cursor-text-style": "reverse" if ansi else "none",
        "input-selection-background": row if not ansi else "ansi_bright_black",
        "input-selection-foreground": ink,
        "scrollbar": colours["dim"],
        "scrollbar-hover": ink,
        "scrollbar-active": ink,
        "scrollbar-background": bar,
        "scrollbar-background-hover": bar,
        "scrollbar-background-active": bar,
        "scrollbar-corner-color": bar,
        "screen-selection-background": row if not ansi else "ansi_bright_black",
        "screen-selection-foreground": ink,
    }
    if ansi:
        inverse |= {"ansi-background": "ansi_black", "ansi-foreground": "ansi_white", "border-blurred": "ansi_default"}
    return Theme(
        name=name,
        primary=colours["blue"],
        secondary=colours["violet"],
        warning=colours["orange"],
        error=colours["red"],
        success=colours["green"],
        accent=colours["amber"],
        foreground=ink,
        background=ground,
        surface=ground,
        panel=bar,
        boost=ground,
        dark=dark,
        ansi=ansi,
        text_alpha=1.0,
        variables={**inverse, **{f"am-{key}": value for key, value in {**colours, **how}.items()}},
    )


NIGHT: Final = _look("amends-night", _NIGHT, _COLOURED, dark=True)
DAY: Final = _look("amends-day", _DAY, _COLOURED, dark=False)
HIGH_CONTRAST: Final = _look(
    "amends-high-contrast", _CONTRAST, {**_MARKED, "bar-how": "bold", "sign-how": "bold"}, dark=True
)
SIXTEEN: Final = _look("amends-16-colours", _SIXTEEN, {**_MARKED, "sign-how": "bold"}, dark=True, ansi=True)
NO_COLOUR: Final = _look("amends-no-colour", _NONE, _MARKED, dark=True, ansi=True)

LOOKS: Final = {
    "night": NIGHT,
    "day": DAY,
    "high contrast": HIGH_CONTRAST,
    "16 colours": SIXTEEN,
    "no colour": NO_COLOUR,
}


def look_for(environment: Mapping[str, str], *, wanted: str = "") -> str:
    """The look to start with: what the terminal cannot show is not offered, then the person's own choice, then night.

    `wanted` is a key of LOOKS, or anything.
    """
    if environment.get("NO_COLOR"):
        return "no colour"
    term = environment.get("TERM", "")
    colours = environment.get("COLORTERM", "") in ("truecolor", "24bit") or "256" in term or "kitty" in term
    if not colours:
        return wanted if wanted in ("16 colours", "no colour") else "16 colours"
    return wanted if wanted in LOOKS else "night"
