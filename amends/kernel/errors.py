"""The errors we raise on purpose, sorted by who must act."""

from __future__ import annotations


class AmendsError(Exception):
    """Base of everything we raise on purpose; `str(error)` is one sentence that says what to do."""


class TryLater(AmendsError):
    """Nobody need act: the same call may succeed later (a 4yz reply, a timeout, a locked store)."""


class NeedsHandler(AmendsError):
    """A person at the desk must decide: a refused step, a letter that cannot go, a missing case."""


class NeedsOperator(AmendsError):
    """The machine or its configuration is wrong: stop, and say so."""


class NotFound(NeedsHandler):
    """There is no such case, letter or message."""


class Refused(NeedsHandler):
    """A rule says no: the stage, the actor's role or a missing fact forbids this verb now."""


class Conflict(NeedsHandler):
    """Somebody changed the case since it was last read."""


class Unreadable(NeedsOperator):
    """A value in the database is not what its column should hold: somebody wrote there behind our back."""


class ConfigError(NeedsOperator):
    """The configuration is wrong; the sentence names the file, the line and the key."""
