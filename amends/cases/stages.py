"""Where a case stands, and the steps it may take (ISO 10002:2018, 7.2 to 7.9)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from amends.kernel.errors import Refused


class Stage(StrEnum):
    RECEIVED = "received"
    ACKNOWLEDGED = "acknowledged"
    ASSESSED = "assessed"
    INVESTIGATING = "investigating"
    RESPONDED = "responded"
    CLOSED = "closed"


class Waiting(StrEnum):
    """A status beside the stage; it stops no clock unless the policy pack says that it may."""

    COMPLAINANT = "for complainant"
    THIRD_PARTY = "for third party"


OPEN_STAGES: Final = frozenset(Stage) - {Stage.CLOSED}

# A stage may be passed over (a plain case is answered the day it comes), but never walked backwards:
# only `reopen` leads back, and it says why.
NEXT: Final[dict[Stage, frozenset[Stage]]] = {
    Stage.RECEIVED: frozenset({Stage.ACKNOWLEDGED, Stage.ASSESSED, Stage.INVESTIGATING, Stage.RESPONDED, Stage.CLOSED}),
    Stage.ACKNOWLEDGED: frozenset({Stage.ASSESSED, Stage.INVESTIGATING, Stage.RESPONDED, Stage.CLOSED}),
    Stage.ASSESSED: frozenset({Stage.INVESTIGATING, Stage.RESPONDED, Stage.CLOSED}),
    Stage.INVESTIGATING: frozenset({Stage.RESPONDED, Stage.CLOSED}),
    Stage.RESPONDED: frozenset({Stage.CLOSED, Stage.INVESTIGATING}),
    Stage.CLOSED: frozenset({Stage.INVESTIGATING}),
}


def step(reference: str, stage: Stage, to: Stage) -> Stage:
    """The stage after the step.  Raises Refused, naming the steps that are open from here."""
    if to in NEXT[stage]:
        return to
    possible = ", ".join(s for s in Stage if s in NEXT[stage])
    raise Refused(f"{reference} is {stage} and cannot become {to}; from here it can become {possible}.")
