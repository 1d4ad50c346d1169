"""The dates of each pack, worked out by hand from the text of its rules: never with this program's own arithmetic.

Over weekends, public holidays, the turn of the year, the changes of the clock, leap days, mail out of hours and
extensions.  A trigger is an instant: where it has no offset it is the local time of the pack; a day alone is its noon.
"""

from __future__ import annotations

import json
import os
from datetime import date, datetime, time
from functools import cache
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from amends.deadlines.calendar import WorkingCalendar, calendar_for
from amends.deadlines.check import check_file
from amends.deadlines.clocks import counting, next_occurrence
from amends.deadlines.compute import due, extended, latest_extension
from amends.deadlines.explain import explained
from amends.deadlines.model import Pack
from amends.deadlines.packs import Regime, load_regime
from amends.kernel.errors import Refused
from amends.kernel.share import config_folder

FOLDER = config_folder() / "policies"
NAMES = sorted({path.stem.partition("@")[0] for path in FOLDER.glob("*.toml")})
ZONES = {"IE": "Europe/Dublin", "AU": "Australia/Sydney", "GB": "Europe/London"}


@cache
def regime_of(name: str) -> Regime:
    return load_regime(name, [FOLDER])


def pack_of(name: str) -> Pack:
    return regime_of(name).newest


@cache
def days_of(name: str, region: str) -> WorkingCalendar:
    pack = pack_of(name)
    zone = pack.calendar.zone or ZONES[region[:2]]
    return counting(pack, calendar_for(region=region, zone=ZoneInfo(zone)))


def instant(words: str, zone: ZoneInfo) -> datetime:
    if len(words) == 10:
        return datetime.combine(date.fromisoformat(words), time(12), zone)
    at = datetime.fromisoformat(words)
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)


# pack, region, deadline, trigger, last day
DATES = [
    # FCA DISP: business days of the place, eight weeks without roll-over
    ("uk-fca-disp", "GB-ENG", "src_window", "2026-12-24T18:00", "2026-12-31"),  # mail of the evening counts that day
    ("uk-fca-disp", "GB-ENG", "psd_15bd", "2026-12-18", "2027-01-13"),
    ("uk-fca-disp", "GB-SCT", "psd_15bd", "2026-12-18", "2027-01-14"),  # 4 January is a holiday in Scotland
    ("uk-fca-disp", "GB-NIR", "psd_15bd", "2027-03-11", "2027-04-06"),  # 17 March is one in Northern Ireland
    ("uk-fca-disp", "GB-ENG", "psd_15bd", "2027-03-11", "2027-04-05"),
    ("uk-fca-disp", "GB-ENG", "final_8w", "2027-01-02", "2027-02-27"),  # a Saturday stays
    ("uk-fca-disp", "GB-ENG", "final_8w", "2028-01-10", "2028-03-06"),  # over 29 February
    ("uk-fca-disp", "GB-ENG", "src_window", "2027-06-30T23:30+00:00", "2027-07-06"),  # already 1 July in London
    ("uk-fca-disp", "GB-ENG", "src_window", "2026-11-15", "2026-11-18"),  # a Sunday
    ("uk-fca-disp", "GB-ENG", "psd_35bd", "2026-12-24", "2027-02-16"),
    ("uk-fca-disp", "GB-ENG", "forward", "2026-08-26", "2026-09-03"),
    ("uk-fca-disp", "GB-ENG", "ack", "2026-12-24", "2026-12-31"),  # our own target of three business days
    # Housing Ombudsman: responses run from the acknowledgement
    ("uk-housing-ombudsman-2024", "GB-ENG", "s1_ack", "2026-12-18T20:00", "2026-12-29"),
    ("uk-housing-ombudsman-2024", "GB-ENG", "s1_ack", "2025-12-31", "2026-01-08"),
    ("uk-housing-ombudsman-2024", "GB-ENG", "s1_ack", "2028-02-25", "2028-03-03"),
    ("uk-housing-ombudsman-2024", "GB-ENG", "s1_ack", "2026-08-27T23:30+00:00", "2026-09-07"),
    ("uk-housing-ombudsman-2024", "GB-ENG", "s1_response", "2027-01-05", "2027-01-19"),
    ("uk-housing-ombudsman-2024", "GB-ENG", "s1_response", "2026-03-23", "2026-04-08"),  # Easter
    ("uk-housing-ombudsman-2024", "GB-ENG", "s1_response", "2026-10-23", "2026-11-06"),
    ("uk-housing-ombudsman-2024", "GB-ENG", "s2_ack", "2026-05-02", "2026-05-11"),
    ("uk-housing-ombudsman-2024", "GB-ENG", "s2_response", "2026-11-30", "2026-12-30"),
    ("uk-housing-ombudsman-2024", "GB-ENG", "actions_updates", "2026-11-30", "2026-12-30"),  # our own target of twenty
    # Councils
    ("uk-lgsco-code", "GB-ENG", "s1_ack", "2026-04-02", "2026-04-13"),
    ("uk-lgsco-code", "GB-ENG", "s1_ack", "2026-12-29", "2027-01-06"),
    ("uk-lgsco-code", "GB-ENG", "s1_ack", "2028-02-25", "2028-03-03"),
    ("uk-lgsco-code", "GB-ENG", "s1_ack", "2026-07-05T23:30+00:00", "2026-07-13"),  # already Monday in England
    ("uk-lgsco-code", "GB-ENG", "s1_response", "2026-05-20", "2026-06-04"),
    ("uk-lgsco-code", "GB-ENG", "s1_response", "2027-03-25", "2027-04-12"),
    ("uk-lgsco-code", "GB-ENG", "s2_ack", "2026-08-30", "2026-09-07"),
    ("uk-lgsco-code", "GB-ENG", "s2_response", "2026-12-18", "2027-01-20"),
    ("uk-lgsco-code", "GB-ENG", "s2_response", "2027-04-30", "2027-06-01"),
    ("uk-lgsco-code", "GB-ENG", "s1_response", "2026-10-20", "2026-11-03"),  # over the change of the clock
    ("uk-lgsco-code", "GB-ENG", "actions_updates", "2027-04-30", "2027-06-01"),  # our own target of twenty
    # NHS: six months that begin on the day of receipt
    ("uk-nhs-2009", "GB-ENG", "ack", "2026-12-18", "2026-12-23"),
    ("uk-nhs-2009", "GB-ENG", "ack", "2026-12-24T17:30", "2026-12-31"),
    ("uk-nhs-2009", "GB-ENG", "ack", "2027-03-27", "2027-04-01"),
    ("uk-nhs-2009", "GB-ENG", "response", "2027-03-25", "2027-09-24"),
    ("uk-nhs-2009", "GB-ENG", "response", "2027-03-01", "2027-08-31"),
    ("uk-nhs-2009", "GB-ENG", "response", "2027-08-31", "2028-02-29"),
    ("uk-nhs-2009", "GB-ENG", "response", "2027-09-01", "2028-02-29"),
    ("uk-nhs-2009", "GB-ENG", "response", "2026-08-30", "2027-02-28"),
    ("uk-nhs-2009", "GB-ENG", "response", "2026-08-15", "2027-02-14"),  # a Sunday stays
    ("uk-nhs-2009", "GB-ENG", "response", "2026-09-30T23:30+00:00", "2027-03-31"),  # already 1 October
    ("uk-nhs-2009", "GB-ENG", "next_day_exempt", "2026-12-11", "2026-12-14"),
    # Ireland: Good Friday is a working day
    ("ie-cbi-cpc-2025", "IE", "ack", "2026-12-18", "2026-12-28"),
    ("ie-cbi-cpc-2025", "IE", "ack", "2027-03-25", "2027-04-02"),
    ("ie-cbi-cpc-2025", "IE", "ack", "2026-07-01T23:30+00:00", "2026-07-09"),
    ("ie-cbi-cpc-2025", "IE", "ack", "2028-02-25", "2028-03-03"),
    ("ie-cbi-cpc-2025", "IE", "update", "2026-09-28", "2026-10-27"),  # over the October holiday and the clock's change
    ("ie-cbi-cpc-2025", "IE", "resolve_40", "2026-12-18", "2027-02-17"),
    ("ie-cbi-cpc-2025", "IE", "resolve_40", "2026-12-24", "2027-02-23"),
    ("ie-cbi-cpc-2025", "IE", "outcome_5", "2027-01-29", "2027-02-08"),
    ("ie-cbi-cpc-2025", "IE", "psr_15", "2027-03-04", "2027-03-26"),
    ("ie-cbi-cpc-2025", "IE", "simple_5", "2026-08-01", "2026-08-10"),
    # Australia: calendar days, and a day or 24 hours for the acknowledgement
    ("au-asic-rg271", "AU-NSW", "ack", "2026-12-18T16:00", "2026-12-21"),
    ("au-asic-rg271", "AU-NSW", "ack", "2026-12-24", "2026-12-29"),
    ("au-asic-rg271", "AU-NSW", "ack", "2027-02-09T10:00", "2027-02-10"),
    ("au-asic-rg271", "AU-NSW", "std_30", "2027-03-25", "2027-04-24"),
    ("au-asic-rg271", "AU-NSW", "std_30", "2027-01-01T13:30+00:00", "2027-02-01"),  # already 2 January in Sydney
    ("au-asic-rg271", "AU-NSW", "five_bd", "2027-10-01", "2027-10-11"),  # Labour Day, and the clock's change
    ("au-asic-rg271", "AU-NSW", "credit_21", "2027-12-20", "2028-01-10"),
    ("au-asic-rg271", "AU-NSW", "super_45", "2028-01-17", "2028-03-02"),
    ("au-asic-rg271", "AU-NSW", "death_90", "2026-12-01", "2027-03-01"),
    ("au-asic-rg271", "AU-NSW", "hardship_info", "2027-03-05", "2027-03-26"),
    # No regulator: mail out of hours counts as the next working day's
    ("iso-10002-default", "GB-ENG", "ack", "2026-12-18T16:59", "2026-12-21"),
    ("iso-10002-default", "GB-ENG", "ack", "2026-12-18T17:00", "2026-12-22"),
    ("iso-10002-default", "GB-ENG", "status", "2026-12-21T10:00", "2027-01-07"),
    ("iso-10002-default", "GB-ENG", "status", "2028-02-14", "2028-02-28"),
    ("iso-10002-default", "GB-ENG", "response", "2026-12-18T18:00", "2027-01-21"),
    ("iso-10002-default", "GB-ENG", "response", "2026-03-02", "2026-03-30"),
    ("iso-10002-default", "GB-ENG", "response", "2026-12-05", "2027-01-07"),  # a Saturday
    ("iso-10002-default", "GB-ENG", "response", "2026-12-24T18:00", "2027-01-27"),
    ("iso-10002-default", "GB-ENG", "response", "2028-02-14", "2028-03-13"),  # over 29 February
    # Energy: eight weeks without roll-over; Scotland's 2 January, on a Saturday, is kept on Monday
    ("uk-ofgem-chs-2008", "GB-ENG", "reportable", "2026-12-24", "2026-12-29"),  # Christmas, weekend, Boxing Day
    ("uk-ofgem-chs-2008", "GB-SCT", "reportable", "2026-12-31", "2027-01-05"),
    ("uk-ofgem-chs-2008", "GB-ENG", "reportable", "2026-08-30T23:30+00:00", "2026-09-01"),  # already the bank holiday
    ("uk-ofgem-chs-2008", "GB-ENG", "signpost", "2027-01-02", "2027-02-27"),  # a Saturday stays
    ("uk-ofgem-chs-2008", "GB-ENG", "signpost", "2028-01-31", "2028-03-27"),  # 29 days to the leap day, and 27
    ("uk-ofgem-chs-2008", "GB-ENG", "record", "2026-12-24", "2026-12-29"),  # our own target of a working day
    # Telecommunications: eight weeks until 7 April 2026, six from the 8th
    ("uk-ofcom-gc-c4", "GB-ENG", "adr_letter_6w", "2026-04-07", "2026-06-02"),  # 23 days of April, 31, and 2
    ("uk-ofcom-gc-c4", "GB-ENG", "adr_letter_6w", "2026-04-08", "2026-05-20"),
    ("uk-ofcom-gc-c4", "GB-ENG", "adr_letter_6w", "2026-04-07T23:30+00:00", "2026-05-20"),  # already the 8th
    ("uk-ofcom-gc-c4", "GB-ENG", "adr_letter_6w", "2028-01-31", "2028-03-13"),  # over 29 February
    ("uk-ofcom-gc-c4", "GB-ENG", "adr_letter_deadlock", "2027-03-25", "2027-03-31"),  # our own target of two
    # Water
    ("uk-water-gss", "GB-ENG", "s1", "2026-12-18", "2027-01-06"),  # four before Christmas, three, three after New Year
    ("uk-water-gss", "GB-ENG", "s1", "2026-08-26T23:30+00:00", "2026-09-11"),  # already Thursday; then a bank holiday
    ("uk-water-gss", "GB-ENG", "s2", "2027-03-25", "2027-04-12"),  # Easter takes Friday and Monday
    ("uk-water-gss", "GB-ENG", "gss_pay", "2028-02-25", "2028-03-10"),
    # Data protection: thirty days, and a last day that is none moves on
    ("uk-dp-complaints-2026", "GB-ENG", "ack", "2026-12-18", "2027-01-18"),  # the 17th is a Sunday
    ("uk-dp-complaints-2026", "GB-ENG", "ack", "2026-12-02", "2027-01-04"),  # New Year's Day, a Friday
    ("uk-dp-complaints-2026", "GB-SCT", "ack", "2026-12-02", "2027-01-05"),
    ("uk-dp-complaints-2026", "GB-ENG", "ack", "2027-02-24", "2027-03-30"),  # Good Friday
    ("uk-dp-complaints-2026", "GB-ENG", "ack", "2028-01-31", "2028-03-01"),
    ("uk-dp-complaints-2026", "GB-ENG", "outcome", "2026-12-18", "2027-01-20"),  # our own target of twenty
    # With the letter itself: our own target of a working day
    ("uk-dmcca-adr", "GB-ENG", "adr_info", "2026-12-18", "2026-12-21"),
    ("uk-dmcca-adr", "GB-ENG", "adr_info", "2026-12-24", "2026-12-29"),
    ("uk-dmcca-adr", "GB-ENG", "adr_info", "2027-03-25", "2027-03-30"),
    # Scotland: a working day of receipt is day 1 of stage 1, and a free day passes its mail on
    ("uk-scotland-spso-mchp", "GB-SCT", "s1", "2026-12-21", "2026-12-29"),  # 21 to 24 are four, the 29th is the fifth
    ("uk-scotland-spso-mchp", "GB-SCT", "s1", "2026-12-19", "2026-12-29"),  # a Saturday's counts as Monday's
    ("uk-scotland-spso-mchp", "GB-SCT", "s1", "2026-12-21T18:00", "2026-12-29"),  # an evening's does not wait
    ("uk-scotland-spso-mchp", "GB-SCT", "s1", "2026-11-27", "2026-12-04"),  # St Andrew's Day is the Monday
    ("uk-scotland-spso-mchp", "GB-SCT", "s2_ack", "2027-01-02", "2027-01-08"),  # as of Tuesday the 5th, then three
    ("uk-scotland-spso-mchp", "GB-SCT", "s2", "2026-12-18", "2027-01-21"),
    ("uk-scotland-spso-mchp", "GB-SCT", "s2_request_window", "2027-12-31", "2028-02-29"),  # February has no 31st
    ("uk-scotland-spso-mchp", "GB-SCT", "s2_request_window", "2026-11-28", "2027-01-28"),  # sent on a Saturday
    # Solicitors: eight weeks
    ("uk-legal-ombudsman", "GB-ENG", "final_8w", "2026-12-24", "2027-02-18"),
    ("uk-legal-ombudsman", "GB-ENG", "final_8w", "2027-02-06", "2027-04-03"),  # a Saturday stays
    ("uk-legal-ombudsman", "GB-ENG", "final_8w", "2028-01-04", "2028-02-29"),
    # Airlines: eight weeks
    ("uk-caa-airline", "GB-ENG", "reply_8w", "2026-12-31", "2027-02-25"),
    ("uk-caa-airline", "GB-ENG", "reply_8w", "2026-10-24T23:30+00:00", "2026-12-20"),  # already Sunday
    ("uk-caa-airline", "GB-ENG", "reply_8w", "2027-07-01", "2027-08-26"),
    # Payments in the Union: TARGET's days, or those of the member state
    ("eu-psd2-101", "XECB", "reply_15", "2026-12-18", "2027-01-12"),  # four, four, and seven after New Year
    ("eu-psd2-101", "XECB", "reply_15", "2027-03-18", "2027-04-12"),  # Easter takes Friday and Monday
    ("eu-psd2-101", "XECB", "reply_15", "2027-01-02", "2027-01-22"),  # a Saturday
    ("eu-psd2-101", "IE", "reply_15", "2026-10-16", "2026-11-09"),  # the October holiday, and the clock's change
    # No number in the rule: our own target of twenty working days
    ("eu-mifid-jc", "XECB", "response", "2026-12-18", "2027-01-19"),
    ("eu-mifid-jc", "XECB", "response", "2027-03-18", "2027-04-19"),
    ("eu-mifid-jc", "XECB", "response", "2028-02-15", "2028-03-14"),
    # Crypto-assets: two months, and Regulation 1182/71 moves a last day that is none
    ("eu-mica-casp", "XECB", "decision", "2026-12-31", "2027-03-01"),  # 28 February is a Sunday
    ("eu-mica-casp", "XECB", "decision", "2027-12-31", "2028-02-29"),
    ("eu-mica-casp", "XECB", "decision", "2027-01-26", "2027-03-30"),  # Good Friday
    ("eu-mica-casp", "XECB", "ack_ecsp", "2026-12-23", "2027-01-08"),
    ("eu-mica-casp", "XECB", "ack", "2026-12-24", "2026-12-29"),
    # Consumer ADR and airlines
    ("eu-adr-airline", "XECB", "adr_notice", "2026-12-31", "2027-01-04"),
    ("eu-adr-airline", "XECB", "adr_reply_20", "2026-12-18", "2027-01-19"),
    ("eu-adr-airline", "XECB", "airline_2m", "2026-12-31", "2027-02-28"),  # a Sunday stays
    ("eu-adr-airline", "XECB", "airline_2m", "2027-06-30", "2027-08-30"),
    # Germany: holidays of the Land
    ("de-bafin", "DE-BY", "psp_15", "2026-12-18", "2027-01-13"),  # Epiphany is one in Bavaria
    ("de-bafin", "DE-NW", "psp_15", "2026-12-18", "2027-01-12"),
    ("de-bafin", "DE-NW", "psp_15", "2026-05-04", "2026-05-27"),  # Ascension and Whit Monday
    ("de-bafin", "DE", "response", "2027-03-18", "2027-04-19"),
    # France: Saturdays count
    ("fr-acpr-2024", "FR", "ack", "2026-12-18", "2026-12-31"),  # the 19th, four, the 26th, and four
    ("fr-acpr-2024", "FR", "ack", "2026-05-04", "2026-05-18"),  # 8 May and Ascension
    ("fr-acpr-2024", "FR-57", "ack", "2026-12-18", "2027-01-02"),  # 26 December is a holiday in Moselle
    ("fr-acpr-2024", "FR", "response", "2026-12-31", "2027-02-28"),  # a Sunday stays
    # Spain
    ("es-ley-10-2025", "ES", "resolve", "2026-12-18", "2027-01-13"),  # Christmas, New Year, Epiphany
    ("es-ley-10-2025", "ES", "resolve", "2026-04-20", "2026-05-12"),  # 1 May
    ("es-ley-10-2025", "ES", "resolve", "2026-10-05", "2026-10-27"),  # 12 October, and the clock's change
    ("es-ley-10-2025", "ES", "resolve", "2028-02-15", "2028-03-07"),
    # Australian telecommunications: mail out of hours counts as the next working day's
    ("au-telco-2018", "AU-NSW", "ack_written", "2026-12-18T16:00", "2026-12-22"),
    ("au-telco-2018", "AU-NSW", "ack_written", "2026-12-18T18:00", "2026-12-23"),
    ("au-telco-2018", "AU-NSW", "ack_live", "2026-12-18T16:30", "2026-12-21"),  # our own hour: half of it on Monday
    ("au-telco-2018", "AU-NSW", "proposal", "2026-12-14", "2026-12-30"),  # eight, then Christmas and Boxing Day
    ("au-telco-2018", "AU-NSW", "implement", "2027-01-22", "2027-02-01"),  # Australia Day is the Tuesday
    ("au-telco-2018", "AU-NSW", "implement", "2026-12-12T20:00", "2026-12-18"),  # accepted on a Saturday evening
    ("au-telco-2018", "AU-NSW", "urgent", "2027-10-01", "2027-10-06"),  # Labour Day, and the clock's change
    # US portal: calendar days from its own timestamp
    ("us-cfpb-portal", "US", "respond_15", "2026-12-24", "2027-01-08"),
    ("us-cfpb-portal", "US", "respond_15", "2027-01-01T04:30+00:00", "2027-01-15"),  # still 31 December in New York
    ("us-cfpb-portal", "US", "respond_15", "2028-02-20", "2028-03-06"),
    ("us-cfpb-portal", "US", "final_60", "2026-12-24", "2027-02-22"),
    # US error resolution
    ("us-reg-e-z-x", "US", "e_10", "2026-12-18", "2027-01-05"),
    ("us-reg-e-z-x", "US", "e_3", "2027-01-14", "2027-01-20"),  # Martin Luther King's day
    ("us-reg-e-z-x", "US", "z_30", "2028-01-31", "2028-03-01"),
    ("us-reg-e-z-x", "US", "z_90", "2026-12-01", "2027-03-01"),
    ("us-reg-e-z-x", "US", "x_5", "2027-02-10", "2027-02-18"),  # Washington's birthday
    ("us-reg-e-z-x", "US", "x_30", "2026-11-24", "2027-01-08"),  # Thanksgiving, Christmas, New Year
    # US Medicare: hours are counted exactly
    ("us-cms-grievance", "US", "std_30", "2026-12-18", "2027-01-17"),  # a Sunday stays
    ("us-cms-grievance", "US", "std_30", "2028-01-31", "2028-03-01"),
    ("us-cms-grievance", "US", "exp_24", "2026-10-31T23:30", "2026-11-01"),  # a day of 25 hours follows: 22:30
    ("us-cms-grievance", "US", "exp_24", "2027-03-13T23:30", "2027-03-15"),  # and one of 23: half past midnight
    # US broker-dealers: a last day that is none moves on
    ("us-finra-4530-4513", "US", "quarterly", "2026-12-31", "2027-01-15"),
    ("us-finra-4530-4513", "US", "quarterly", "2027-12-31", "2028-01-18"),  # a Saturday, and Monday is a holiday
    ("us-finra-4530-4513", "US", "quarterly", "2028-03-31", "2028-04-17"),
    # Canada
    ("ca-fcac-banks", "CA-ON", "escalate_14", "2026-12-24", "2027-01-07"),
    ("ca-fcac-banks", "CA-ON", "deal_56", "2026-12-18", "2027-02-12"),
    ("ca-fcac-banks", "CA-ON", "deal_56", "2027-01-02", "2027-02-27"),  # a Saturday stays
    ("ca-fcac-banks", "CA-ON", "deal_56", "2028-01-10", "2028-03-06"),
    # India
    ("in-rbi-ios-2026", "IN", "reply_30", "2026-12-18", "2027-01-17"),
    ("in-rbi-ios-2026", "IN", "reply_30", "2026-12-31T19:00+00:00", "2027-01-31"),  # already New Year in India
    ("in-rbi-ios-2026", "IN", "reply_30", "2026-06-30", "2026-07-30"),  # under the scheme of 2021
    ("in-rbi-ios-2026", "IN", "rbi_query_15", "2028-02-20", "2028-03-06"),
    ("in-rbi-ios-2026", "IN", "internal_ombudsman", "2026-12-24", "2027-01-13"),
    ("in-irdai-2024", "IN", "ack", "2026-12-24", "2026-12-28"),  # our own target of a working day, over Christmas
    ("in-irdai-2024", "IN", "info_1w", "2028-02-25", "2028-03-03"),
    ("in-irdai-2024", "IN", "resolve_2w", "2026-12-24", "2027-01-07"),
    ("in-irdai-2024", "IN", "close_8w", "2027-01-02", "2027-02-27"),
    ("in-sebi-scores", "IN", "atr_21", "2026-12-18", "2027-01-08"),
    ("in-sebi-scores", "IN", "atr_21", "2027-01-01T18:45+00:00", "2027-01-23"),  # already the 2nd in India
    ("in-sebi-scores", "IN", "atr_21", "2028-02-10", "2028-03-02"),
    ("in-sebi-scores", "IN", "review_15", "2026-12-24", "2027-01-08"),
    # South Africa
    ("za-fais", "ZA", "ack_3w", "2026-12-24", "2026-12-30"),  # our own target; 26 December is a Saturday and stays one
    ("za-fais", "ZA", "ack_3w", "2026-12-15", "2026-12-21"),  # the Day of Reconciliation
    ("za-fais", "ZA", "six_weeks", "2026-12-18", "2027-01-29"),
    ("za-fais", "ZA", "six_weeks", "2028-01-31", "2028-03-13"),
    # Singapore
    ("sg-fa-chr-2021", "SG", "ack_2", "2026-12-24", "2026-12-29"),
    ("sg-fa-chr-2021", "SG", "ack_2", "2026-08-07", "2026-08-12"),  # National Day is a Sunday, kept on Monday
    ("sg-fa-chr-2021", "SG", "final_20", "2027-01-20", "2027-02-18"),  # New Year on 6 and 7 February, kept on the 8th
    ("sg-fa-chr-2021", "SG", "final_20", "2027-01-02", "2027-01-29"),
    # New Zealand: two months
    ("nz-fsp", "NZ", "two_months", "2026-12-31", "2027-02-28"),
    ("nz-fsp", "NZ", "two_months", "2027-12-31", "2028-02-29"),
    ("nz-fsp", "NZ", "two_months", "2026-12-18T11:30+00:00", "2027-02-19"),  # already the 19th
]


def last_day(name: str, region: str, deadline: str, trigger: str) -> date:
    days = days_of(name, region)
    at = instant(trigger, days.zone)
    pack = regime_of(name).at(at, days.zone)
    rule = pack.rule(deadline)
    found = due(rule, at, days, out_of_hours=pack.out_of_hours_of(rule))
    assert found is not None
    assert found.due_date == days.day_of(found.due_at)
    return found.due_date


@pytest.mark.parametrize(("name", "region", "deadline", "trigger", "expected"), DATES)
def test_a_date_is_the_one_worked_out_by_hand(
    name: str, region: str, deadline: str, trigger: str, expected: str
) -> None:
    assert last_day(name, region, deadline, trigger) == date.fromisoformat(expected)


FULL = {
    *("iso-10002-default", "uk-fca-disp", "uk-housing-ombudsman-2024", "uk-lgsco-code", "uk-nhs-2009"),
    *("ie-cbi-cpc-2025", "au-asic-rg271"),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_pack_has_dates_worked_out_by_hand(name: str) -> None:
    assert sum(row[0] == name for row in DATES) >= (8 if name in FULL else 3)
    assert {row[2] for row in DATES if row[0] == name} == {rule.id for rule in pack_of(name).deadline}


@pytest.mark.parametrize(
    ("name", "deadline", "trigger", "expected"),
    [
        ("uk-fca-disp", "final_8w", "2027-03-05", "2027-04-30T22:59:59+00:00"),  # summer time has begun
        ("uk-housing-ombudsman-2024", "s1_response", "2026-10-23", "2026-11-06T23:59:59+00:00"),  # and ended
        ("au-asic-rg271", "std_30", "2027-03-15", "2027-04-14T13:59:59+00:00"),
        ("iso-10002-default", "response", "2026-03-02", "2026-03-30T22:59:59+00:00"),
    ],
)
def test_a_day_ends_at_the_local_midnight(name: str, deadline: str, trigger: str, expected: str) -> None:
    pack = pack_of(name)
    days = days_of(name, pack.calendar.region or "GB-ENG")
    rule = pack.rule(deadline)
    found = due(rule, instant(trigger, days.zone), days, out_of_hours=pack.out_of_hours_of(rule))
    assert found is not None and found.due_at == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("name", "region", "deadline", "trigger", "latest"),
    [
        ("uk-fca-disp", "GB-ENG", "psd_15bd", "2026-12-18", "2027-02-10"),  # 35 business days from receipt
        ("uk-housing-ombudsman-2024", "GB-ENG", "s1_response", "2027-01-05", "2027-02-02"),  # ten on top of ten
        ("uk-housing-ombudsman-2024", "GB-ENG", "s2_response", "2026-11-30", "2027-01-28"),
        ("uk-lgsco-code", "GB-ENG", "s1_response", "2026-05-20", "2026-06-18"),
        ("uk-lgsco-code", "GB-ENG", "s2_response", "2026-12-18", "2027-02-17"),  # twenty on top of 20 January
        ("ie-cbi-cpc-2025", "IE", "psr_15", "2027-03-04", "2027-04-26"),
        ("iso-10002-default", "GB-ENG", "response", "2026-12-18T18:00", "2027-02-18"),
        ("uk-scotland-spso-mchp", "GB-SCT", "s1", "2026-12-21", "2027-01-07"),  # five on top of the 29th
        ("eu-psd2-101", "XECB", "reply_15", "2026-12-18", "2027-02-09"),  # 35 from receipt
        ("eu-adr-airline", "XECB", "adr_reply_20", "2026-12-18", "2027-02-02"),  # thirty instead of twenty
        ("de-bafin", "DE-BY", "psp_15", "2026-12-18", "2027-02-10"),
        ("us-cfpb-portal", "US", "respond_15", "2026-12-24", "2027-02-22"),  # sixty from the portal
        ("us-reg-e-z-x", "US", "e_10", "2026-12-18", "2027-02-01"),  # 45 calendar days from receipt
        ("us-reg-e-z-x", "US", "x_30", "2026-11-24", "2027-02-01"),  # fifteen business days on top
        ("us-cms-grievance", "US", "std_30", "2026-12-18", "2027-01-31"),  # fourteen calendar days on top
        ("sg-fa-chr-2021", "SG", "final_20", "2027-01-20", None),
        ("eu-mica-casp", "XECB", "decision", "2026-12-31", None),
        ("fr-acpr-2024", "FR", "response", "2026-12-31", None),
        ("uk-nhs-2009", "GB-ENG", "response", "2027-03-25", None),
        ("au-asic-rg271", "AU-NSW", "std_30", "2027-03-25", None),
    ],
)
def test_an_extension_reaches_as_far_as_the_rule_lets_it(
    name: str, region: str, deadline: str, trigger: str, latest: str | None
) -> None:
    pack, days = pack_of(name), days_of(name, region)
    rule, at = pack.rule(deadline), instant(trigger, days_of(name, region).zone)
    how = pack.out_of_hours_of(rule)
    found = due(rule, at, days, out_of_hours=how)
    assert found is not None
    last = latest_extension(rule, found, at, days, out_of_hours=how)
    assert last == (None if latest is None else date.fromisoformat(latest))
    to = last or date(found.due_date.year + 1, 1, 4)
    moved = extended(rule, found, at, days, to=to, reason="it is complex", approver="sam", out_of_hours=how)
    assert moved.due_date == to
    assert "it is complex, approved by sam" in moved.derivation[-2]
    if last is not None:
        with pytest.raises(Refused, match="at the latest"):
            too_late = date.fromordinal(last.toordinal() + 1)
            extended(rule, found, at, days, to=too_late, reason="r", approver="", out_of_hours=how)


def test_more_time_is_given_again_only_where_the_rule_lets_it() -> None:
    again = {
        (name, rule.id)
        for name in NAMES
        for rule in pack_of(name).deadline
        if rule.extension is not None and rule.extension.repeatable
    }
    codes = ("uk-housing-ombudsman-2024", "uk-lgsco-code")
    assert again == {
        *((code, stage) for code in codes for stage in ("s1_response", "s2_response")),
        ("uk-nhs-2009", "response"),
        ("uk-scotland-spso-mchp", "s2"),
        ("ie-cbi-cpc-2025", "resolve_40"),
        ("eu-mica-casp", "decision"),
        ("fr-acpr-2024", "response"),
        ("sg-fa-chr-2021", "final_20"),
    }


def test_the_second_update_in_ireland_counts_from_the_same_beginning() -> None:
    pack = pack_of("ie-cbi-cpc-2025")
    calendar = calendar_for(region="IE", zone=ZoneInfo("Europe/Dublin"))
    at = instant("2026-09-28", calendar.zone)
    second = next_occurrence(pack, calendar, rule_id="update", occurrence=1, starts_at=at)
    assert second is not None and second.due_date == date(2026, 11, 24)


def test_closing_the_office_moves_no_limit_of_law() -> None:
    shut = calendar_for(region="GB-ENG", zone=ZoneInfo("Europe/London"), closures=["2026-12-24"])
    at = instant("2026-12-21T10:00", shut.zone)
    own, law = pack_of("iso-10002-default"), pack_of("uk-housing-ombudsman-2024")
    ours = due(own.rule("response"), at, counting(own, shut))
    theirs = due(law.rule("s1_ack"), at, counting(law, shut))
    assert ours is not None and ours.due_date == date(2027, 1, 22)
    assert theirs is not None and theirs.due_date == date(2026, 12, 30)
    assert any("Thu 24 Dec 2026: closed" in step for step in ours.derivation)
    assert any(step.startswith("counted Thu 24 Dec 2026: we are closed") for step in theirs.derivation)


def test_dates_worked_out_elsewhere_agree() -> None:
    """REGIME_VECTORS names a file of them: [{regime, deadline, trigger_date, calendar, expected_due}]."""
    path = os.environ.get("REGIME_VECTORS")
    if not path:
        pytest.skip("REGIME_VECTORS names no file")
    wrong = []
    for one in json.loads(Path(path).read_text(encoding="utf-8")):
        if not (FOLDER / f"{one['regime']}.toml").exists():
            continue
        found = last_day(one["regime"], one["calendar"], one["deadline"], one["trigger_date"])
        if found != date.fromisoformat(one["expected_due"]):
            wrong.append((one, found))
    assert not wrong


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_pack_is_whole_and_stands_under_its_own_name(path: Path) -> None:
    checked = check_file(path, today=date(2026, 11, 24))
    assert checked.pack is not None, checked.mistakes
    assert path.stem.partition("@")[0] == checked.pack.id
    doubts = [one for one in checked.warnings if "not verified" not in one and "compared" not in one]
    assert not [one for one in doubts if "no deadline asks for" in one or "nobody's letter" in one]
    for rule in checked.pack.deadline:
        assert rule.span is not None or rule.unit == "none" or rule.numberless
        assert len({other.label for other in checked.pack.deadline}) == len(checked.pack.deadline)


@pytest.mark.parametrize("name", NAMES)
def test_every_deadline_of_a_shipped_pack_can_be_explained(name: str) -> None:
    for pack in regime_of(name).versions:
        days = days_of(name, pack.calendar.region or "GB-ENG")
        at = instant("2027-02-02", days.zone)
        rows = explained(pack, days, received=at, events=dict.fromkeys(pack.triggers, at))
        assert {row["deadline"] for row in rows} == {rule.id for rule in pack.deadline}
        for row in rows:
            rule = pack.rule(row["deadline"])
            assert (row["due_date"] is None) == rule.numberless
            assert not any("has not happened" in step for step in row["derivation"])
            assert rule.confidence != "memory" or "[not verified]" in row["rule"]


@pytest.mark.parametrize("name", NAMES)
def test_the_versions_of_a_shipped_pack_follow_each_other_without_a_gap(name: str) -> None:
    versions = regime_of(name).versions
    assert versions[-1].effective_to is None
    for older, newer in pairwise(versions):
        assert older.effective_to is not None
        assert older.effective_to.toordinal() + 1 == newer.effective_from.toordinal()
        assert {rule.id for rule in older.deadline} == {rule.id for rule in newer.deadline}
