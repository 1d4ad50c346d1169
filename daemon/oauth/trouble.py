"""What can go wrong between us and whoever gives out the tokens."""

from __future__ import annotations

from amends.kernel.errors import TryLater


class TokenTrouble(TryLater):
    """There is no token now, and may be one later.  `pause`: for so many seconds asking again is of no use."""

    def __init__(self, sentence: str, *, pause: float = 0.0) -> None:
        super().__init__(sentence)
        self.pause = pause


class TokenRefused(TokenTrouble):
    """There will be no token until somebody mends what the sentence says: a secret, a right, a file."""
