"""An office in memory with nobody outside: the organisation's rules, invented handlers, no mail server, no file."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from amends.casework.office import Office
from amends.config import Clock, Database, Handler, Organisation, Policy, Settings
from amends.deadlines.packs import find_regime, pack_folders
from amends.kernel.errors import ConfigError, NotFound
from amends.ledger.book import Book
from amends.ledger.schema import migrate

ADDRESS: Final = "complaints@simulation.example"


def login_of(handler: int) -> str:
    return f"handler{handler + 1}"


def settings_for(own: Settings | None, packs: Sequence[str], *, region: str | None, timezone: str) -> Settings:
    """The organisation's own configuration without what reaches outside; without one, nothing but packs and days.

    `packs` take the place of the configured ones where some are named.  Raises NotFound for a pack there is none of.
    """
    folders = pack_folders(own)
    for name in packs:
        if find_regime(name, folders) is None:
            raise NotFound(f"There is no policy pack '{name}'; amendsd policy list shows those there are.")
    base = own or Settings(
        organisation=Organisation(name="The organisation", address=ADDRESS, timezone=timezone, region=region or "none")
    )
    organisation = base.organisation.model_copy(
        update={"demonstration": True} | ({"region": region} if region is not None else {})
    )
    return base.model_copy(
        update={
            "organisation": organisation,
            "policy": _policy(base, packs, own),
            "database": Database(url="sqlite://"),
            "mailbox": (),
            "smtp": None,
            "listener": None,
            "metrics": None,
            "clock": Clock(),
            "letters": base.letters.model_copy(update={"undo_seconds": 0}),
            "handler": (),
        }
    )


def with_handlers(settings: Settings, handlers: int) -> Settings:
    """The same with so many invented handlers, who have no address: nobody writes to them."""
    people = tuple(Handler(login=login_of(one), name=f"Handler {one + 1}") for one in range(handlers))
    return settings.model_copy(update={"handler": people})


def _policy(base: Settings, packs: Sequence[str], own: Settings | None) -> Policy:
    """The packs that are named, with the organisation's promises beside those of them that are its own."""
    if not packs:
        return base.policy
    folders = pack_folders(own)
    ids = [regime.id for name in packs if (regime := find_regime(name, folders)) is not None]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise ConfigError(f"--pack: '{twice}' is named twice; name each pack once.")
    promises = []
    for promise in base.policy.own_target:
        regime = find_regime(promise.pack or base.policy.pack, folders)
        if regime is not None and regime.id in ids:
            promises.append(promise.model_copy(update={"pack": regime.id}))
    return base.policy.model_copy(update={"pack": ids[0], "packs": tuple(ids[1:]), "own_target": tuple(promises)})


@dataclass(slots=True)
class Hand:
    """The hand of the fast clock."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def scratch_office(settings: Settings, hand: Hand) -> Iterator[Office]:
    """An office on an empty store in memory; nothing of it is left at the end."""
    name = f"file:amends-simulation-{secrets.token_hex(8)}?mode=memory&cache=shared&uri=true"
    book = Book(f"sqlite:///{name}")
    try:
        migrate(book)
        yield Office(settings, book, wall=hand)
    finally:
        book.close()
