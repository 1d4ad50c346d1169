"""Finding policy packs: files of one regime and version, and which of them was in force on a day.

The format is described for its authors in docs/policy-packs.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from amends.config import Settings
from amends.deadlines.check import check_file, read_tree
from amends.deadlines.model import OwnTarget, Pack
from amends.deadlines.words import counted
from amends.kernel.errors import ConfigError
from amends.kernel.share import config_folder
from amends.kernel.toml import text_of


@dataclass(frozen=True, slots=True)
class PackFile:
    path: Path
    pack: Pack


@dataclass(frozen=True, slots=True)
class Regime:
    """Every version of one pack, the oldest first, with the organisation's own targets."""

    versions: tuple[Pack, ...]

    @property
    def id(self) -> str:
        return self.versions[0].id

    @property
    def newest(self) -> Pack:
        return self.versions[-1]

    def on(self, day: date) -> Pack:
        """The version in force on `day`.

        Where none was, the last one before it, else the first there is: a complaint is never left without clocks.
        """
        begun = [pack for pack in self.versions if pack.effective_from <= day]
        in_force = [pack for pack in begun if pack.effective_to is None or day <= pack.effective_to]
        return (in_force or begun or list(self.versions[:1]))[-1]

    def at(self, received: datetime, zone: ZoneInfo) -> Pack:
        """The version for a complaint received then: by the day of receipt in the pack's zone, else in `zone`."""
        place = self.newest.calendar.zone
        return self.on(received.astimezone(ZoneInfo(place) if place else zone).date())

    def version(self, name: str) -> Pack | None:
        """The version that a case was opened under, or None if there is no file of it any more."""
        return next((pack for pack in self.versions if pack.version == name), None)


def read_pack(path: Path) -> Pack:
    """The pack in a file.  Raises ConfigError with the first mistake, and how many more there are."""
    checked = check_file(path)
    if checked.pack is None:
        more = len(checked.mistakes) - 1
        others = f" (and {counted(more, 'more mistakes')}; amendsd policy check {path} lists them)" if more else ""
        raise ConfigError(f"{checked.mistakes[0]}{others}")
    return checked.pack


def packs_in(folders: Iterable[Path]) -> list[PackFile]:
    """Every version of every pack in these folders, by id and age.

    A folder's packs stand before those of the same id in the folders after it.
    """
    found: dict[str, tuple[Path, list[PackFile]]] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            pack = read_pack(path)
            home, versions = found.setdefault(pack.id, (folder, []))
            if home == folder:
                versions.append(PackFile(path, pack))
    return [file for _, (_, files) in sorted(found.items()) for file in _in_order(files)]


def _in_order(files: Sequence[PackFile]) -> list[PackFile]:
    files = sorted(files, key=lambda file: file.pack.effective_from)
    for older, newer in pairwise(files):
        if older.pack.effective_from == newer.pack.effective_from or older.pack.version == newer.pack.version:
            raise ConfigError(
                f"{newer.path}: version: '{newer.pack.id}' {newer.pack.version} of {newer.pack.effective_from} stands "
                f"in {older.path} too; give each version its own name and day"
            )
    return list(files)


def find_regime(name: str, folders: Sequence[Path]) -> Regime | None:
    """Every version of the pack with this id or alias, or None.

    Only files that mention the name are checked whole: a mistake in a pack nobody uses stops nobody.  Raises
    ConfigError for a mistake in this one.
    """
    for folder in folders:
        files = [PackFile(path, read_pack(path)) for path in _files_of(name, folder)]
        if files:
            versions = _in_order(_whole(name, files, folder))
            return Regime(tuple(file.pack.with_targets() for file in versions))
    return None


def load_regime(name: str, folders: Sequence[Path]) -> Regime:
    """The same.  Raises ConfigError that names the packs there are where there is none of this name."""
    if (regime := find_regime(name, folders)) is not None:
        return regime
    known = sorted({one for folder in folders for path in folder.glob("*.toml") for one in _names(path)})
    near = "".join(f"; did you mean {one}?" for one in get_close_matches(name, known, n=1))
    raise ConfigError(f"policy.pack: there is no policy pack '{name}'{near or '; there are ' + ', '.join(known)}")


def _files_of(name: str, folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("*.toml")):
        if _mentions(path, name) and name in _names(path):
            yield path


def _mentions(path: Path, name: str) -> bool:
    """Whether the name may stand in this file; of one that cannot be read, whether it is called so."""
    try:
        return name in text_of(path)
    except (ConfigError, OSError):
        return name == path.stem


def _whole(name: str, files: Sequence[PackFile], folder: Path) -> Sequence[PackFile]:
    """With the versions of the same id that do not have the alias `name`."""
    one = files[0].pack.id
    other = next((file for file in files if file.pack.id != one), None)
    if other is not None:
        raise ConfigError(f"{other.path}: aliases: '{name}' names the pack '{one}' too; take one out")
    have = {file.path for file in files}
    return [*files, *(PackFile(path, read_pack(path)) for path in _files_of(one, folder) if path not in have)]


def _names(path: Path) -> list[str]:
    """The id and aliases in a file that was not checked yet."""
    try:
        _, tree = read_tree(path)
    except ConfigError:
        return [path.stem]  # asked for by the name of its file, it tells its mistake
    aliases = tree.get("aliases", [])
    return [str(tree.get("id", path.stem)), *(map(str, aliases) if isinstance(aliases, list) else [])]


def pack_folders(settings: Settings | None) -> list[Path]:
    """Where packs are: the configured folder, then the shipped ones."""
    own = settings.policy.folder if settings is not None else None
    return [*([settings.path(own)] if settings is not None and own is not None else []), config_folder() / "policies"]


def regimes_of(settings: Settings) -> list[Regime]:
    """Every pack that the configuration names, the main one first, with the organisation's own targets in it.

    Raises ConfigError for an unknown name, for one pack under two names, and for a target that fits no deadline.
    """
    folders, policy = pack_folders(settings), settings.policy
    regimes: dict[str, Regime] = {}
    for name in policy.names:
        regime = load_regime(name, folders)
        if regime.id in regimes:
            raise ConfigError(f"policy.packs: '{name}' is the pack '{regime.id}', which is named already; take it out")
        regimes[regime.id] = regime
    for n, target in enumerate(policy.own_target):
        name = target.pack or policy.pack
        regime_id = load_regime(name, folders).id
        if regime_id not in regimes:
            raise ConfigError(f"policy.own_target.{n + 1}.pack: '{name}' is none of your packs; add it to policy.packs")
        promise = OwnTarget(deadline=target.deadline, amount=target.amount, unit=target.unit)
        regimes[regime_id] = _promised(regimes[regime_id], promise, f"policy.own_target.{n + 1}")
    return list(regimes.values())


def _promised(regime: Regime, promise: OwnTarget, key: str) -> Regime:
    """The regime with an own target in each version that has the deadline."""
    known = [rule.id for rule in regime.newest.deadline]
    if promise.deadline not in known:
        near = "".join(f"; did you mean {one}?" for one in get_close_matches(promise.deadline, known, n=1))
        raise ConfigError(f"{key}.deadline: {regime.id} has no deadline '{promise.deadline}'{near}")
    rule = regime.newest.rule(promise.deadline)
    if rule.unit == promise.unit and rule.amount is not None and promise.amount >= rule.amount:
        raise ConfigError(
            f"{key}.amount: {promise.amount} is no promise beside the rule's own {rule.amount}; "
            "make it shorter, or take the table out"
        )
    return Regime(
        tuple(
            pack.with_targets([promise]) if any(one.id == promise.deadline for one in pack.deadline) else pack
            for pack in regime.versions
        )
    )


def load_pack(name: str, folders: Sequence[Path], *, on: date | None = None) -> Pack:
    """The pack with this id or alias: the version in force on a day, or the newest.  Raises ConfigError."""
    regime = load_regime(name, folders)
    return regime.newest if on is None else regime.on(on)


__all__ = [
    "Pack",
    "PackFile",
    "Regime",
    "find_regime",
    "load_pack",
    "load_regime",
    "pack_folders",
    "packs_in",
    "read_pack",
    "regimes_of",
]
