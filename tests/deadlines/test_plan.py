"""From a pack's rules to instants: amounts, units, recurrence, warnings, and the reasons for each."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends.deadlines.calendar import calendar_for
from amends.deadlines.clocks import TickKind, next_occurrence, plan
from amends.deadlines.compute import add_months, due
from amends.deadlines.model import Rule
from amends.deadlines.packs import load_pack, read_pack
from amends.kernel.errors import ConfigError
from amends.kernel.share import config_folder
from tests.builders import NOW

LONDON = ZoneInfo("Europe/London")
ENGLAND = calendar_for(region="GB-ENG", zone=LONDON)
PACK = load_pack("iso-10002", [config_folder() / "policies"])
instants = st.datetimes(datetime(2020, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC))
units = st.sampled_from(["hours", "calendar_days", "working_days", "weeks", "months"])


def a_rule(amount=10, unit="working_days", **more) -> Rule:
    return Rule(id="x", label="X", action="act", amount=amount, unit=unit, basis="b", confidence="verified", **more)


@given(instants, st.integers(0, 60), units)
def test_a_deadline_never_falls_before_its_trigger_and_says_why(at, amount, unit):
    found = due(a_rule(amount, unit), at, ENGLAND)
    assert found.due_at >= at.replace(microsecond=0) and found.due_at.tzinfo is UTC
    assert found.due_date == ENGLAND.day_of(found.due_at)
    assert found.derivation[-1].startswith("due ")


@given(instants, st.integers(1, 60), units)
def test_more_time_is_never_less(at, amount, unit):
    less, more = due(a_rule(amount, unit), at, ENGLAND), due(a_rule(amount + 1, unit), at, ENGLAND)
    assert less.due_at < more.due_at


@given(instants, st.integers(1, 40))
def test_working_days_are_counted_one_by_one(at, amount):
    found = due(a_rule(amount), at, ENGLAND)
    day, counted = ENGLAND.day_of(at), 0
    while counted < amount:
        day += timedelta(days=1)
        counted += ENGLAND.is_working_day(day)
    assert found.due_date == day


@given(instants, st.integers(1, 20), st.sampled_from(["calendar_days", "weeks", "months"]))
def test_a_last_day_without_work_moves_as_the_rule_says(at, amount, unit):
    plain = due(a_rule(amount, unit), at, ENGLAND).due_date
    forward = due(a_rule(amount, unit, if_last_day_non_working="next_working_day"), at, ENGLAND).due_date
    back = due(a_rule(amount, unit, if_last_day_non_working="previous_working_day"), at, ENGLAND).due_date
    assert back <= plain <= forward
    assert ENGLAND.is_working_day(forward) and ENGLAND.is_working_day(back)
    assert (back == plain == forward) == ENGLAND.is_working_day(plain)


@pytest.mark.parametrize(
    ("day", "months", "last"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2026, 11, 30), 3, date(2027, 2, 28)),
        (date(2026, 8, 31), 12, date(2027, 8, 31)),
        (date(2026, 5, 15), 0, date(2026, 5, 15)),
    ],
)
def test_months_end_on_the_same_day_or_the_last_there_is(day, months, last):
    assert add_months(day, months) == last


def test_the_holidays_over_the_turn_of_the_year_are_skipped_by_name():
    found = due(a_rule(10), datetime(2026, 12, 21, 10, tzinfo=UTC), ENGLAND)
    assert found.due_date == date(2027, 1, 7)
    said = " ".join(found.derivation)
    assert "Christmas Day" in said and "New Year" in said and "days of weekends" in said
    assert found.derivation[0] == "day 0: Mon 21 Dec 2026"


def test_the_day_of_the_trigger_counts_where_the_rule_says_so():
    at = datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert due(a_rule(1, day_count="include_trigger_day"), at, ENGLAND).due_date == date(2026, 11, 23)
    assert due(a_rule(1), at, ENGLAND).due_date == date(2026, 11, 24)


def test_hours_are_counted_exactly_over_the_change_of_the_clock():
    at = datetime(2026, 10, 24, 12, 30, tzinfo=LONDON)
    assert due(a_rule(24, "hours"), at, ENGLAND).due_at == at.astimezone(UTC) + timedelta(hours=24)
    assert due(a_rule(1, "calendar_days"), at, ENGLAND).due_at == datetime(2026, 10, 25, 23, 59, 59, tzinfo=UTC)


def test_a_rule_without_a_number_has_no_due_date():
    assert due(a_rule(None, "immediately"), NOW, ENGLAND) is None
    assert due(a_rule(None, "none"), NOW, ENGLAND) is None


# The plan


@given(instants)
def test_every_plan_is_in_order_and_each_deadline_ends_with_its_breach(at):
    planned = plan(PACK, ENGLAND, trigger="receipt", at=at)
    assert [one.rule_id for one in planned] == ["ack", "status", "response"]
    assert [one.due_at for one in planned] == sorted(one.due_at for one in planned)
    for one in planned:
        instants_of = [tick.at for tick in one.ticks]
        assert instants_of == sorted(instants_of) and instants_of[0] > at
        assert one.ticks[-1].kind is TickKind.BREACH and one.ticks[-1].at == one.due_at + timedelta(seconds=1)
        for tick in one.ticks[:-1]:
            local = tick.at.astimezone(LONDON)
            assert tick.at < one.due_at
            assert ENGLAND.is_working_day(local.date()) and local.hour in range(9, 18)


@given(instants)
def test_what_recurs_goes_on_from_the_same_beginning(at):
    first = next(one for one in plan(PACK, ENGLAND, trigger="receipt", at=at) if one.rule_id == "status")
    last = first.due_date
    for n in range(1, 5):
        following = next_occurrence(PACK, ENGLAND, rule_id="status", occurrence=n, starts_at=at)
        assert following.occurrence == n + 1
        steps = sum(
            ENGLAND.is_working_day(last + timedelta(days=d + 1)) for d in range((following.due_date - last).days)
        )
        assert steps == 10
        last = following.due_date
    assert next_occurrence(PACK, ENGLAND, rule_id="response", occurrence=1, starts_at=at) is None


def test_a_trigger_that_no_rule_has_starts_nothing():
    assert plan(PACK, ENGLAND, trigger="nothing", at=NOW) == []


# Packs


def test_a_pack_is_found_by_its_id_and_its_alias_and_a_wrong_name_by_its_nearest():
    assert load_pack("iso-10002-default", [config_folder() / "policies"]) == PACK
    with pytest.raises(ConfigError, match="no policy pack 'iso-1002'; did you mean iso-10002"):
        load_pack("iso-1002", [config_folder() / "policies"])


def test_an_own_pack_stands_before_the_shipped_one_of_the_same_id(tmp_path):
    shipped = next((config_folder() / "policies").glob("iso-10002-default.toml")).read_text()
    (tmp_path / "mine.toml").write_text(shipped.replace('name = "ISO', 'name = "Ours, after ISO'))
    assert load_pack("iso-10002", [tmp_path, config_folder() / "policies"]).name.startswith("Ours")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (('unit = "working_days"\nrecurring', 'unit = "fortnights"\nrecurring'), "unit"),
        (("amount = 20", "amont = 20"), "unknown key; did you mean amount?"),
        (('label = "FINAL"', 'label = "FINAL ANSWER"'), "label"),
        (('id = "response"', 'id = "status"'), "'status' stands there twice"),
        (('id = "iso-10002-default"', "id = 7"), "id"),
        (("jurisdiction", "jurisdiktion"), "jurisdiktion"),
        (("recurring = true", "recurring = "), "not valid TOML"),
    ],
)
def test_a_mistake_in_a_pack_is_one_sentence_with_file_and_key(tmp_path, wrong, sentence):
    text = (config_folder() / "policies" / "iso-10002-default.toml").read_text()
    assert wrong[0] in text
    path = tmp_path / "bad.toml"
    path.write_text(text.replace(*wrong))
    with pytest.raises(ConfigError) as refused:
        read_pack(path)
    assert str(refused.value).startswith(str(path)) and sentence in str(refused.value)
    assert "\n" not in str(refused.value)
