from decimal import Decimal

import pytest

from amends.cases.outcomes import currency_of, money
from amends.cases.stages import NEXT, Stage, step
from amends.kernel.errors import Refused


def test_every_stage_leads_to_closure_and_only_reopening_leads_back():
    order = list(Stage)
    for stage, following in NEXT.items():
        back = [to for to in following if order.index(to) < order.index(stage)]
        assert stage is Stage.CLOSED or Stage.CLOSED in following
        assert set(back) <= {Stage.INVESTIGATING}


def test_a_refused_step_names_the_steps_that_are_open():
    with pytest.raises(Refused, match=r"NW-1 is responded and cannot become assessed; .* investigating, closed"):
        step("NW-1", Stage.RESPONDED, Stage.ASSESSED)


@pytest.mark.parametrize(
    ("typed", "amount"), [("2,300.00", "2300.00"), (" 45 ", "45.00"), ("0.5", "0.50"), ("0", "0.00")]
)
def test_money_is_read_exactly_as_typed(typed, amount):
    assert money(typed, "GBP") == (Decimal(amount), "GBP")


@pytest.mark.parametrize("typed", ["", "ten", "-5", "1.005", "NaN", "Infinity", "1e400"])
def test_what_is_no_money_is_refused_with_an_example(typed):
    with pytest.raises(Refused, match=r"write it like 2300\.00"):
        money(typed, "GBP")


@pytest.mark.parametrize("words", ["£", "", "gbp", "VIS"])
def test_a_currency_is_one_that_there_is(words):
    with pytest.raises(Refused, match="like GBP"):
        money("1", words)


@pytest.mark.parametrize(("region", "currency"), [("GB-ENG", "GBP"), ("DE-BY", "EUR"), ("US-CA", "USD"), ("XX", "")])
def test_a_region_pays_in_the_currency_of_its_country(region, currency):
    assert currency_of(region) == currency
