"""Several packs and versions at once, the facts that switch deadlines on, own targets, and what meets a deadline."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from amends.config import Organisation, OwnTarget, Policy, Settings
from amends.deadlines.calendar import calendar_for, calendar_of, week_of
from amends.deadlines.clocks import TickKind, meets, meets_event, plan, plan_all, replanned
from amends.deadlines.compute import Paused, due, extended
from amends.deadlines.explain import explained, listed
from amends.deadlines.model import Extension, Pause, Rule, Span, in_words
from amends.deadlines.model import OwnTarget as Promise
from amends.deadlines.packs import load_pack, load_regime, packs_in, regimes_of
from amends.kernel.errors import ConfigError, Refused
from amends.kernel.share import config_folder

FOLDERS = [config_folder() / "policies"]
LONDON = ZoneInfo("Europe/London")
ENGLAND = calendar_for(region="GB-ENG", zone=LONDON)
AT = datetime(2026, 12, 18, 12, tzinfo=UTC)
FCA, HOUSING, ISO = (load_pack(name, FOLDERS) for name in ("uk-fca-disp", "uk-housing-ombudsman-2024", "iso-10002"))


def settings(tmp_path: Path | None = None, **policy: object) -> Settings:
    return Settings(
        organisation=Organisation(name="N", address="c@n.example"),
        policy=Policy(**policy),  # type: ignore[arg-type]
        folder=tmp_path or Path(),
    )


def ids(pack, trigger="receipt", **facts):
    return [one.rule_id for one in plan(pack, ENGLAND, trigger=trigger, at=AT, facts=facts)]


# Facts


def test_a_default_decides_until_somebody_answers():
    assert ids(FCA) == ["ack", "src_window", "final_8w"]
    assert ids(FCA, payment_service="yes") == ["ack", "src_window", "psd_15bd"]
    assert ids(FCA, payment_service="yes", holding_response="yes")[-1] == "psd_35bd"
    assert ids(FCA, payment_service="no", holding_response="yes") == ["ack", "src_window", "final_8w"]


def test_while_a_fact_that_decides_is_not_known_a_deadline_waits():
    rule = Rule(
        id="x", label="X", action="a", amount=1, unit="weeks", basis="b", confidence="verified",
        applies_if="p and q", when={"p": ("yes",), "Q one": ("a", "b")},
    )  # fmt: skip
    assert rule.applies({}) is None
    assert rule.applies({"p": "yes"}) is None
    assert rule.applies({"p": "no"}) is False
    assert rule.applies({"p": "yes", "q_one": "b"}) is True


def test_explaining_shows_conditional_deadlines_and_leaves_out_what_a_fact_rules_out():
    def shown(**facts):
        return {row["deadline"] for row in explained(FCA, ENGLAND, received=AT, events={}, facts=facts)}

    assert {"final_8w", "psd_15bd", "psd_35bd"} <= shown()
    assert "psd_15bd" not in shown(payment_service="no") and "final_8w" in shown(payment_service="no")


def test_a_rule_without_a_number_has_no_date_and_our_own_target_is_called_ours():
    row = next(row for row in explained(FCA, ENGLAND, received=AT, events={}) if row["deadline"] == "ack")
    assert (row["due"], row["due_date"]) == (None, None)
    assert "promptly (own target: 3 business days)" in row["rule"]
    assert row["derivation"][0] == "the rule names no number: promptly"
    assert row["derivation"][-1] == "our own target: due by the end of Wed 23 Dec 2026 (Europe/London)"
    (clock,) = [one for one in plan(FCA, ENGLAND, trigger="receipt", at=AT) if one.rule_id == "ack"]
    assert clock.own and clock.due_date == date(2026, 12, 23)
    assert clock.derivation[0] == "the rule names no number (promptly); our own target is 3 business days"


def test_a_deadline_that_nobody_verified_says_so_on_the_case():
    (forward,) = plan(FCA, ENGLAND, trigger="other_respondent_identified", at=AT)
    assert forward.basis == "DISP 1.7 [not verified]" and forward.confidence == "memory"


def test_a_rule_says_how_sure_it_is():
    assert in_words(FCA.rule("forward")).endswith("[not verified]")
    assert in_words(HOUSING.rule("s2_response")).endswith("[from a secondary source]")
    assert in_words(HOUSING.rule("s1_ack")).endswith("within 5 working days of receipt")
    assert "24 hours of receipt or 1 business day, whichever is later" in in_words(
        load_pack("au-asic-rg271", FOLDERS).rule("ack")
    )


def test_a_trigger_is_known_however_it_is_spelt():
    for name in ("other_respondent_identified", "other respondent identified", "Other-Respondent-Identified"):
        assert ids(FCA, trigger=name) == ["forward"]
        rows = explained(FCA, ENGLAND, received=AT, events={name: AT})
        assert next(row for row in rows if row["deadline"] == "forward")["due_date"] == "2026-12-29"


def test_a_letter_sets_its_events_going_and_a_moment_its_own():
    assert HOUSING.events_of("s1_response") == ("s1_response_sent", "s1_response", "response_sent")
    assert HOUSING.events_at("review-asked") == ("stage2_request_received",)
    assert ids(HOUSING, trigger="s1_acknowledgement_sent") == ["s1_response"]
    assert HOUSING.stage[1].reviewer == "not_involved" and HOUSING.stage[1].opens == "stage2_request_received"


# Several packs


def test_all_clocks_of_all_packs_run_and_each_knows_its_pack():
    clocks = plan_all([HOUSING, ISO], ENGLAND, trigger="receipt", at=AT)
    assert [one.due_at for one in clocks] == sorted(one.due_at for one in clocks)
    assert {(one.pack, one.rule_id) for one in clocks} == {
        ("uk-housing-ombudsman-2024", "s1_ack"),
        *(("iso-10002-default", one) for one in ("ack", "status", "response")),
    }
    assert {one.pack_version for one in clocks} == {HOUSING.version, ISO.version}


def test_the_configuration_names_several_packs_the_main_one_first():
    found = regimes_of(settings(pack="uk-lgsco-code", packs=("iso-10002",)))
    assert [one.id for one in found] == ["uk-lgsco-code", "iso-10002-default"]


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ({"packs": ("iso-10002-default",)}, "policy.packs: 'iso-10002-default' is the pack .* named already"),
        ({"packs": ("uk-fca-dips",)}, "no policy pack 'uk-fca-dips'; did you mean uk-fca-disp"),
        ({"own_target": (OwnTarget(deadline="anwser", amount=1, unit="weeks"),)}, r"own_target\.1\.deadline: "),
        (
            {"own_target": (OwnTarget(deadline="response", amount=20, unit="working_days"),)},
            "20 is no promise beside the rule's own 20; make it shorter",
        ),
        (
            {"own_target": (OwnTarget(pack="uk-fca-disp", deadline="ack", amount=1, unit="weeks"),)},
            "none of your packs; add it to policy.packs",
        ),
    ],
)
def test_a_wrong_choice_of_packs_is_one_sentence(policy, sentence):
    with pytest.raises(ConfigError, match=sentence):
        regimes_of(settings(**policy))


def test_a_pack_named_twice_is_refused_with_the_configuration():
    with pytest.raises(ValueError, match="packs: 'a' stands there twice"):
        Policy(pack="b", packs=("a", "a"))
    with pytest.raises(ValueError, match="packs: 'b' stands there twice"):
        Policy(pack="b", packs=("b",))


# Own targets


def test_an_own_target_is_a_second_clock_beside_the_rules():
    (regime,) = regimes_of(settings(own_target=(OwnTarget(deadline="response", amount=10, unit="working_days"),)))
    clocks = {one.rule_id: one for one in plan(regime.newest, ENGLAND, trigger="receipt", at=AT)}
    assert set(clocks) == {"ack", "status", "response", "response.own"}
    ours, theirs = clocks["response.own"], clocks["response"]
    assert ours.due_date == date(2027, 1, 6) and theirs.due_date == date(2027, 1, 20)
    assert ours.own and not theirs.own and ours.label == "FINAL*"
    assert meets(ours.met_by, kind="final-response") and "our own target" in ours.basis
    assert "our own target, within 10 working days" in in_words(regime.newest.rule("response.own"))


def test_an_own_target_of_a_rule_without_a_number_takes_the_place_of_the_packs():
    pack = ISO.with_targets([Promise(deadline="ack", amount=2, unit="hours")])
    clocks = {one.rule_id: one for one in plan(pack, ENGLAND, trigger="receipt", at=AT)}
    assert clocks["ack"].due_at == datetime(2026, 12, 18, 14, tzinfo=UTC)
    assert "ack.own" not in clocks
    again = pack.with_targets([Promise(deadline="status", amount=5, unit="working_days")])
    twice = again.with_targets([Promise(deadline="status", amount=4, unit="working_days")])
    assert [rule.id for rule in twice.deadline].count("status.own") == 1
    assert twice.rule("status.own").amount == 4
    found = {one.rule_id: one.due_date for one in plan(twice, ENGLAND, trigger="receipt", at=AT)}
    assert found["status.own"] == date(2026, 12, 24) and found["status"] == date(2027, 1, 6)


# Versions

PACK = (
    'id = "house"\nname = "Ours"\njurisdiction = "*"\nversion = "{version}"\neffective_from = {begins}\n{more}'
    'verified = true\n[calendar]\nzone = "Europe/London"\n[[deadline]]\nid = "answer"\nlabel = "A"\naction = "Answer"\n'
    'amount = {weeks}\nunit = "weeks"\nbasis = "b"\nconfidence = "product_default"\n'
)


@pytest.fixture
def versions(tmp_path):
    old = PACK.format(version="old", begins="2020-01-01", more="effective_to = 2026-04-07\n", weeks=8)
    new = PACK.format(version="new", begins="2026-04-08", more='aliases = ["ours"]\n', weeks=6)
    (tmp_path / "house@2020.toml").write_text(old)
    (tmp_path / "house.toml").write_text(new)
    return tmp_path


@pytest.mark.parametrize(
    ("received", "version"),
    [
        ("2026-04-07T12:00+00:00", "old"),
        ("2026-04-07T22:59+00:00", "old"),
        ("2026-04-07T23:01+00:00", "new"),  # already the 8th in London
        ("2026-11-24T12:00+00:00", "new"),
        ("2019-01-01T12:00+00:00", "old"),  # before the first: never without clocks
    ],
)
def test_the_version_in_force_on_the_day_of_receipt_applies(versions, received, version):
    for name in ("house", "ours"):
        regime = load_regime(name, [versions])
        assert regime.at(datetime.fromisoformat(received), ZoneInfo("Asia/Tokyo")).version == version
    assert regime.version("old").rule("answer").amount == 8
    assert regime.version("lost") is None


def test_the_list_shows_the_version_of_today_once(versions):
    (row,) = listed(packs_in([versions]), today=date(2026, 4, 7))
    assert row["version"] == "old"
    (row,) = listed(packs_in([versions]), today=date(2026, 4, 8))
    assert row["version"] == "new"


def test_explaining_a_version_out_of_its_time_says_so(versions):
    pack = load_regime("house", [versions]).version("new")
    (row,) = explained(pack, ENGLAND, received=datetime(2025, 1, 6, 12, tzinfo=UTC), events={})
    assert row["derivation"][-1].startswith("not in force on Mon 06 Jan 2025: this version holds from Wed 08 Apr 2026")


def test_a_version_goes_on_for_what_happens_later_on_a_case_received_under_it():
    regime = load_regime("in-rbi-ios-2026", FOLDERS)
    india = ZoneInfo("Asia/Kolkata")
    came, forwarded = datetime(2026, 6, 30, 12, tzinfo=india), datetime(2026, 8, 3, 12, tzinfo=india)
    pack = regime.at(came, india)
    assert pack.effective_to == date(2026, 6, 30)
    days = calendar_for(region="IN", zone=india)
    rows = explained(pack, days, received=came, events={"rbi_forwarded": forwarded})
    (asked,) = [row for row in rows if row["deadline"] == "rbi_query_15"]
    assert asked["due_date"] == "2026-08-18"
    assert not any("not in force" in step for row in rows for step in row["derivation"])


def test_a_rule_that_comes_again_says_from_when_it_is_counted():
    assert "every 10 working days from receipt" in in_words(ISO.rule("status"))
    assert "within 20 working days of receipt" in in_words(ISO.rule("response"))


def test_two_files_of_one_version_are_refused_by_name(versions):
    (versions / "copy.toml").write_text((versions / "house.toml").read_text())
    with pytest.raises(ConfigError, match=r"house\.toml: version: 'house' new .* stands in .*copy\.toml too"):
        load_regime("house", [versions])


def test_a_mistake_in_a_pack_that_nobody_uses_stops_nobody(versions):
    (versions / "broken.toml").write_text("id = ")
    assert load_regime("house", [versions]).newest.version == "new"
    with pytest.raises(ConfigError, match="broken"):
        load_regime("broken", [versions])


def test_an_alias_of_two_packs_is_refused(versions):
    (versions / "zother.toml").write_text(PACK.format(version="1", begins="2020-01-01", more="", weeks=1).replace(
        'id = "house"', 'id = "other"\naliases = ["ours"]', 1))  # fmt: skip
    with pytest.raises(ConfigError, match=r"zother\.toml: aliases: 'ours' names the pack 'house' too"):
        load_regime("ours", [versions])


# What meets a deadline


def test_an_automatic_letter_meets_only_what_the_pack_lets_it():
    housing = {one.rule_id: one for one in plan(HOUSING, ENGLAND, trigger="receipt", at=AT)}
    generic = {one.rule_id: one for one in plan(ISO, ENGLAND, trigger="receipt", at=AT)}
    assert meets(generic["ack"].met_by, kind="acknowledgement", automatic=True)
    assert not meets(housing["s1_ack"].met_by, kind="acknowledgement", automatic=True)
    assert meets(housing["s1_ack"].met_by, kind="acknowledgement")
    assert not meets(generic["response"].met_by, kind="acknowledgement", automatic=True)
    assert meets(generic["status"].met_by, kind="progress-update", automatic=True)  # the one that the clock writes
    assert not any(meets(one.met_by, kind="reply") for one in generic.values())


def test_a_kind_of_which_only_one_letter_meets_a_deadline_meets_nothing_by_itself():
    final = next(one for one in plan(FCA, ENGLAND, trigger="receipt", at=AT) if one.rule_id == "final_8w")
    assert not meets(final.met_by, kind="holding")  # nobody can tell that it is the one of the eighth week
    assert not meets(final.met_by, kind="holding", letter="holding_response")
    assert meets(final.met_by, kind="holding", letter="eight_week_response")
    assert meets(final.met_by, kind="final-response")


def test_an_event_can_meet_a_deadline():
    assert meets_event(["event:customer_accepted"], "customer accepted")
    assert not meets_event(["letter:x"], "x")


def test_the_clock_writes_the_letter_that_the_pack_names():
    (update,) = [one for one in plan(ISO, ENGLAND, trigger="receipt", at=AT) if one.rule_id == "status"]
    assert [(tick.kind, tick.step) for tick in update.ticks if tick.kind is TickKind.LETTER] == [
        (TickKind.LETTER, "progress-update")
    ]


# Pauses and extensions


def a_rule(**more) -> Rule:
    return Rule(
        **{"id": "x", "label": "X", "action": "Answer", "amount": 10, "unit": "working_days", **more},
        basis="Rule 1", confidence="verified",
    )  # fmt: skip


WAITED = Paused(
    datetime(2026, 12, 21, 10, tzinfo=UTC), datetime(2026, 12, 23, 15, tzinfo=UTC), "a document is missing", "sam"
)


def test_waiting_stops_no_clock_unless_the_pack_says_so():
    plain = due(a_rule(), AT, ENGLAND)
    waited = due(a_rule(), AT, ENGLAND, pauses=[WAITED])
    assert waited.due_at == plain.due_at
    assert waited.derivation[-1] == (
        "waiting from Mon 21 Dec 2026 10:00 GMT to Wed 23 Dec 2026 15:00 GMT (a document is missing, approved by sam) "
        "stops no clock"
    )


@pytest.mark.parametrize(
    ("unit", "amount", "expected"),
    [
        ("working_days", 10, date(2027, 1, 8)),  # the 21st and 22nd do not count, the 23rd does
        ("calendar_days", 10, date(2026, 12, 30)),
        ("weeks", 2, date(2027, 1, 3)),
        ("months", 1, date(2027, 1, 20)),
        ("hours", 72, date(2026, 12, 23)),
    ],
)
def test_a_pause_that_the_pack_allows_is_no_time_of_the_limit(unit, amount, expected):
    pause = Pause(reason="a document", most=Span(amount=9, unit="months"), basis="Rule 2", confidence="verified")
    found = due(a_rule(unit=unit, amount=amount, pause=pause), AT, ENGLAND, pauses=[WAITED])
    assert found.due_date == expected
    assert any("stood still" in step and "approved by sam" in step for step in found.derivation)


@pytest.mark.parametrize("unit", ["working_days", "calendar_days", "hours", "working_hours"])
def test_a_pause_that_began_before_the_start_is_told_and_one_that_had_ended_is_not(unit):
    rule = a_rule(
        unit=unit,
        pause=Pause(reason="a document", most=Span(amount=9, unit="months"), basis="Rule 2", confidence="verified"),
    )
    around = Paused(AT - timedelta(days=3), AT + timedelta(days=4), "around the start")
    over = Paused(AT - timedelta(days=9), AT - timedelta(days=8), "long over")
    found = due(rule, AT, ENGLAND, pauses=[around, over])
    told = [step for step in found.derivation if "stood still" in step]
    assert len(told) == 1 and "around the start" in told[0]
    assert found.due_at > due(rule, AT, ENGLAND).due_at


def test_no_hours_are_over_at_once_also_in_a_pause():
    pause = Pause(reason="a document", most=Span(amount=9, unit="months"), basis="Rule 2", confidence="verified")
    during = datetime(2026, 12, 22, 12, tzinfo=UTC)
    assert due(a_rule(unit="hours", amount=0, pause=pause), during, ENGLAND, pauses=[WAITED]).due_at == during


def test_while_a_pause_lasts_there_is_no_date():
    pause = Pause(reason="a document", most=Span(amount=9, unit="months"), basis="Rule 2", confidence="verified")
    waits = Paused(WAITED.begins_at, None, "a document is missing")
    assert due(a_rule(pause=pause), AT, ENGLAND, pauses=[waits]) is None
    assert due(a_rule(), AT, ENGLAND, pauses=[waits]) is not None


def test_one_deadline_can_be_planned_anew():
    first = next(one for one in plan(ISO, ENGLAND, trigger="receipt", at=AT) if one.rule_id == "response")
    assert replanned(ISO, ENGLAND, rule_id="response", occurrence=1, starts_at=AT) == first
    closed = calendar_for(region="GB-ENG", zone=LONDON, closures=["2026-12-24"])
    assert replanned(ISO, closed, rule_id="response", occurrence=1, starts_at=AT).due_date == date(2027, 1, 21)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"reason": " "}, "needs a reason"),
        ({"to": date(2026, 12, 1)}, "is not later than"),
        ({"times": 1}, "allows it once"),
        ({"rule": a_rule()}, "Rule 1 allows none"),
        ({"to": date(2027, 3, 1)}, "to Fri 15 Jan 2027 at the latest"),
    ],
)
def test_more_time_is_refused_with_the_reason(how, sentence):
    rule = how.get("rule") or a_rule(extension=Extension(condition="c", most=Span(amount=7, unit="working_days")))
    given = {"to": date(2027, 1, 15), "reason": "it is complex", "times": 0} | {
        k: v for k, v in how.items() if k != "rule"
    }
    found = due(rule, AT, ENGLAND)
    assert found.due_date == date(2027, 1, 6)
    with pytest.raises(Refused, match=sentence):
        extended(rule, found, AT, ENGLAND, approver="sam", **given)


# Working hours


def test_hours_of_several_intervals_a_day_are_counted_exactly():
    organisation = Organisation(
        name="N",
        address="c@n.example",
        hours={"mon": ("09:00-12:30", "13:30-17:00"), "tue": ("09:00-12:30",), "sat": ("10:00-12:00",)},
        openings=("2026-12-25",),
    )
    calendar = calendar_of(organisation)
    monday = datetime(2026, 12, 14, 12, tzinfo=UTC)
    found = due(a_rule(unit="working_hours", amount=5), monday, calendar)
    assert found.due_at == datetime(2026, 12, 15, 10, tzinfo=UTC)  # half an hour, the afternoon, one hour
    assert calendar.is_working_day(date(2026, 12, 25)) and not calendar.is_working_day(date(2026, 12, 16))
    assert calendar.day_of_receipt(monday.replace(hour=13), out_of_hours="next_working_day") == date(2026, 12, 14)
    assert calendar.day_of_receipt(datetime(2026, 12, 15, 12, 31, tzinfo=UTC), out_of_hours="next_working_day") == date(
        2026, 12, 19
    )
    assert calendar.in_office_hours(datetime(2026, 12, 14, 13, tzinfo=UTC)) == datetime(
        2026, 12, 14, 12, 30, tzinfo=UTC
    )


def test_a_break_in_the_hour_that_is_shown_twice_is_swallowed():
    hours = week_of({"sun": ["00:30-01:30", "01:45-03:00"]})
    calendar = calendar_for(region="none", zone=LONDON, hours={"sun": ["00:30-01:30", "01:45-03:00"]})
    assert calendar.hours == hours
    ((begin, end),) = calendar.open_spells(date(2026, 10, 25))
    assert (begin, end) == (datetime(2026, 10, 24, 23, 30, tzinfo=UTC), datetime(2026, 10, 25, 3, tzinfo=UTC))
    ((begin, end),) = calendar.open_spells(date(2026, 3, 29))  # and in spring the hour is not there at all
    assert (begin, end) == (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 3, 29, 2, tzinfo=UTC))


def test_an_office_that_closes_when_the_hour_that_comes_twice_begins_closes_at_the_first():
    york = calendar_for(region="none", zone=ZoneInfo("America/New_York"), hours={"sun": ["00:00-01:00"]})
    ((begin, end),) = york.open_spells(date(2026, 11, 1))
    assert (begin, end) == (datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 1, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("hours", "sentence"),
    [
        ({"monday": ["09:00-17:00"]}, "'monday' is no day; write mon"),
        ({"mon": ["9-17"]}, r"organisation\.hours\.mon: '9-17' is no span of hours"),
        ({"mon": ["17:00-09:00"]}, "ends before it begins"),
        ({"mon": ["09:00-13:00", "12:00-17:00"]}, "overlap or stand out of order"),
        ({"mon": []}, "no day has hours"),
    ],
)
def test_wrong_hours_are_one_sentence(hours, sentence):
    with pytest.raises(ConfigError, match=sentence):
        calendar_for(region="none", zone=LONDON, hours=hours)


def test_a_market_is_a_region_too():
    europe = calendar_for(region="XECB", zone=ZoneInfo("Europe/Berlin"))
    assert europe.not_working_because(date(2026, 5, 1)) == "Labour Day"


def test_names_of_days_off_are_english_in_every_country():
    germany = calendar_for(region="DE-BY", zone=ZoneInfo("Europe/Berlin"))
    assert germany.not_working_because(date(2026, 12, 25)) == "Christmas Day"
