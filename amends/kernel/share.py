"""Where the shipped letters, settings and units are: beside `amends` in a checkout, inside it once installed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from amends.kernel.errors import NeedsOperator

_PACKAGE: Final = Path(__file__).resolve().parent.parent


def _folder(name: str) -> Path:
    # The wheel's own first: beside an installed package another project's `templates` could stand.
    for place in (_PACKAGE / "share" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise NeedsOperator(f"The folder '{name}' of this installation is missing; install amends again.")


def templates_folder() -> Path:
    """The shipped letters, one folder a language.  Raises NeedsOperator if the installation is broken."""
    return _folder("templates")


def config_folder() -> Path:
    """The explained `amends.toml` and the policy packs (`policies/`).  Raises NeedsOperator as above."""
    return _folder("config")


def systemd_folder() -> Path:
    """The units, sysusers and tmpfiles.  Raises NeedsOperator as above."""
    return _folder("systemd")
