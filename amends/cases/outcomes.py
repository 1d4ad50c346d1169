"""What was found and what was done to put it right (ISO 10002:2018, 7.7 to 7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from amends.kernel.errors import Refused


class Outcome(StrEnum):
    UPHELD = "upheld"
    PARTLY_UPHELD = "partly upheld"
    NOT_UPHELD = "not upheld"
    WITHDRAWN = "withdrawn"
    OUT_OF_SCOPE = "out of scope"


# These end a case without a finding, so no final response is owed before it closes.
WITHOUT_FINDING = frozenset({Outcome.WITHDRAWN, Outcome.OUT_OF_SCOPE})


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Assessment:
    """The initial assessment (ISO 10002:2018, 7.5): severity, complexity, impact, need for immediate action.

    `vulnerable` says that the complainant needs particular care; it is shown wherever the case is.
    """

    severity: Severity
    complexity: str = ""
    impact: str = ""
    immediate_action: bool = False
    vulnerable: bool = False


@dataclass(frozen=True, slots=True)
class Remedy:
    """What is done to put it right: words, and money where some is paid (`amount` with its ISO 4217 `currency`)."""

    description: str
    amount: Decimal | None = None
    currency: str = ""

    def in_words(self) -> str:
        return f"{self.description} ({self.amount} {self.currency})" if self.amount is not None else self.description


def money(text: str, currency: str) -> tuple[Decimal, str]:
    """Money as a person types it (`2,300.00`, `45`), exact, in a currency there is.  Raises Refused with an example."""
    from babel.numbers import is_currency  # here, as few commands pay anything

    try:
        amount = Decimal(text.strip().replace(",", ""))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount < Decimal(10) ** 12 or amount != round(amount, 2):
        raise Refused(f"'{text}' is not an amount of money; write it like 2300.00.")
    if not is_currency(currency):
        raise Refused(f"'{currency}' is not a currency; write its three letters, like GBP.")
    return amount.quantize(Decimal("0.01")), currency


def currency_of(region: str) -> str:
    """What is paid with in the country of a region (`GB-ENG`, `DE`): an ISO 4217 code, or "" where none is known."""
    from babel.numbers import get_territory_currencies

    return next(iter(get_territory_currencies(region.partition("-")[0])), "")
