"""Persons and machines: a machine is never answered, and a person is never taken for one."""

from __future__ import annotations

import pytest

from amends.mail.facts import Kind
from amends.mail.read import read
from tests.mail.letters import OURS, mail

MACHINES = [
    {"Auto_Submitted": "auto-replied"},
    {"Auto_Submitted": 'auto-replied; owner-email="ada@home.example"'},
    {"Auto_Submitted": "auto-generated (rejected)"},
    {"Auto_Submitted": "Auto-Notified"},
    {"X_Auto_Submitted": "auto-replied"},
    {"X_Autoreply": "yes"},
    {"X_Autorespond": "Re: boiler"},
    {"X_Auto_Response_From": "ada@home.example"},
    {"X_Mail_Autoreply": "vacation"},
    {"Precedence": "auto_reply"},
    {"X_Precedence": "auto_reply"},
    {"Preference": "auto_reply"},
    {"X_POST_MessageClass": "9; Autoresponder"},
    {"Delivered_To": "Autoresponder"},
    {"X_FC_MachineGenerated": "true"},
    {"X_MS_Exchange_Inbox_Rules_Loop": "ada@home.example"},
    {"X_MS_Exchange_Generated_Message_Source": "Mailbox Rules Agent"},
    {"subject": "Automatic reply: Your reference NW-2026-000001-10"},
    {"subject": "Out of Office: away until Monday"},
    {"subject": "Out of office"},
    {"subject": "Out of Office AutoReply: boiler"},
    {"subject": "=?utf-8?q?R=C3=A9ponse_automatique_=3A_boiler?="},
    {"subject": "Automatische Antwort: Ihre Beschwerde"},
    {"subject": "Abwesenheitsnotiz"},
    {"subject": "Respuesta =?utf-8?q?autom=C3=A1tica?=: x"},
    {"subject": "Automatisch antwoord: uw klacht"},
    {"subject": "AUTO: Byron, Ada is out of the office. (returning 05/01/2027)"},
    {"subject": "Ada Byron is out of the office", "In_Reply_To": "<1@northwind.example>"},
    {"type_": "multipart/report; report-type=disposition-notification; boundary=b"},
    {"type_": "multipart/report; report-type=feedback-report; boundary=b"},
    {"subject": "Report Domain: northwind.example Submitter: mail.example Report-ID: <1>"},
]


@pytest.mark.parametrize("signs", MACHINES)
def test_an_automatic_answer_is_known_and_not_answered(signs: dict[str, str]):
    reading = read(mail(**signs))
    assert reading.kind is Kind.AUTO_REPLY
    assert not reading.answerable
    assert reading.not_answerable_because


PERSONS = [
    {},
    {"Auto_Submitted": "no"},
    {"X_Autoreply": "no"},
    {"subject": "Re: Automatic reply: Your reference NW-2026-000001-10"},
    {"subject": "AW: Automatische Antwort: Ihre Beschwerde"},
    {"subject": "Out of office hours nobody answers your telephone"},
    {"subject": "Automatic replies are all I ever get from you"},
    {"subject": "Vacation ruined"},
    {"subject": "Delivery failed again: where is my parcel?"},
    {"subject": "Undelivered parcel"},
    {"subject": "Auto repair complaint"},
    {"subject": "Away fans were treated badly"},
    {"body": "This is an automated answer machine you sold me, and it is broken."},
    {"body": "Your message could not be delivered, your courier told me, and the parcel was returned to sender."},
    {"Return_Path": "<ada@home.example>"},
    {"X_Mailer": "Microsoft Outlook 16.0"},
    {"List_Id": "Complaints <complaints.northwind.example>", "Precedence": "list"},
]


@pytest.mark.parametrize("signs", PERSONS)
def test_a_person_is_not_taken_for_a_machine(signs: dict[str, str]):
    reading = read(mail(**signs), own_addresses={OURS})
    assert reading.kind is Kind.PERSON
    assert reading.answerable, reading.not_answerable_because


@pytest.mark.parametrize(
    "signs",
    [
        {"List_Id": "<offers.shop.example>"},
        {"List_Unsubscribe": "<https://shop.example/u>"},
        {"Precedence": "Bulk"},
        {"Precedence": "junk"},
        {"Feedback_ID": "1:2:3:4"},
    ],
)
def test_bulk_is_known_and_not_answered(signs: dict[str, str]):
    reading = read(mail(**signs), own_addresses={OURS})
    assert reading.kind is Kind.BULK
    assert not reading.answerable


@pytest.mark.parametrize(
    "signs",
    [
        {"X_Auto_Response_Suppress": "All"},
        {"X_Auto_Response_Suppress": "DR, OOF, AutoReply"},
        {"X_Loop": "x"},
        {"X_Amends_Letter": "1"},
        {"Return_Path": "<>"},
        {"Return_Path": "<MAILER-DAEMON@home.example>"},
        {"sender": "no-reply@shop.example"},
        {"sender": "noreply+abc@shop.example"},
        {"sender": "do_not_reply@shop.example"},
        {"sender": "orders-noreply@shop.example"},
        {"sender": "bounces+1=2@shop.example"},
        {"sender": "talk-request@list.example"},
        {"sender": "owner-talk@list.example"},
        {"sender": "postmaster@home.example"},
        {"sender": ""},
        {"sender": "Ada <ada@localhost>"},
        {"sender": '"a b"@home.example'},
        {"sender": "complaints+tag@northwind.example"},
        {"Received": "\r\nReceived: ".join(["from a by b"] * 31)},
    ],
)
def test_a_person_who_may_not_be_answered_is_told_apart(signs: dict[str, str]):
    reading = read(mail(**signs), own_addresses={OURS})
    assert reading.kind is Kind.PERSON
    assert not reading.answerable
    assert reading.not_answerable_because


def test_our_own_mail_is_known():
    reading = read(mail(sender=f"Northwind <{OURS}>", Auto_Submitted="auto-replied"), own_addresses={OURS})
    assert reading.kind is Kind.OWN
    assert not reading.answerable


def test_a_return_path_that_the_store_dropped_forbids_nothing():
    assert read(mail()).answerable
