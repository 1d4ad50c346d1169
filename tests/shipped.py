"""What ships with the product is read once by a process of the tests: its letters, and the rules that tests choose.

A daemon reads them once in its life.  Each test has an office of its own, and to compile the letters and to check a
pack costs more than most tests.  Whatever stands in a folder of a test is read anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from amends.deadlines import packs
from amends.deadlines.packs import Regime
from amends.kernel.share import config_folder, templates_folder
from amends.letters.render import Templates


def read_once() -> None:
    """From now on what is shipped is shared; nothing of it can be changed."""
    _share_letters()
    _share_packs()


def _share_letters() -> None:
    load = Templates.load

    @cache
    def shipped(languages: tuple[str, ...]) -> Templates:
        return load([templates_folder()], languages)

    def load_or_share(folders: Sequence[Path], languages: Sequence[str]) -> Templates:
        return shipped(tuple(languages)) if list(folders) == [templates_folder()] else load(folders, languages)

    Templates.load = staticmethod(load_or_share)  # type: ignore[method-assign]


def _share_packs() -> None:
    find, folder = packs.find_regime, config_folder() / "policies"

    @cache
    def shipped(name: str) -> Regime | None:
        return find(name, [folder])

    def find_or_share(name: str, folders: Sequence[Path]) -> Regime | None:
        return shipped(name) if list(folders) == [folder] else find(name, folders)

    packs.find_regime = find_or_share
