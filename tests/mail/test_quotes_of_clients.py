"""The quotations, heads and signatures of many mail programs in many languages, each below a writer's own words."""

# ruff: noqa: E501 - mails are easier to read as they are

from __future__ import annotations

import pytest

from amends.mail.quotes import new_text

OWN = "No, it is not solved.\nNobody came."
QUOTED = "> Dear Ada,\n> we are looking into it.\n>\n> Northwind"
PLAIN = "Dear Ada,\nwe are looking into it.\n\nNorthwind"
US = "Northwind <complaints@northwind.example>"

ATTRIBUTIONS = [
    f"On Mon, Nov 2, 2026 at 10:00 AM {US} wrote:",
    "On Mon, Nov 2, 2026 at 10:00 AM Northwind Homes Complaints Team <\ncomplaints@northwind.example> wrote:",
    "On 2 Nov 2026, at 10:00, Northwind wrote:",
    "On 11/02/2026 10:00 AM, Northwind Homes wrote:",
    "On Monday, November 2, 2026, Northwind <c@northwind.example> wrote:",
    "On Mon, 2 Nov 2026 10:00:00 +0100\nNorthwind <c@northwind.example> wrote:",
    "Northwind wrote on 02/11/2026 10:00:",
    "Northwind <c@northwind.example> writes:",
    "Am Mo., 2. Nov. 2026 um 10:00 Uhr schrieb Northwind <c@northwind.example>:",
    "Am 02.11.26 um 10:00 schrieb Northwind:",
    "Am Montag, dem 02.11.2026 um 10:00 +0100 schrieb Northwind:",
    "Northwind <c@northwind.example> schrieb am Mo., 2. Nov. 2026, 10:00:",
    "Northwind schrieb am 02.11.2026 um 10:00:",
    "Le lun. 2 nov. 2026 à 10:00, Northwind <c@northwind.example> a écrit :",
    "Le 02/11/2026 à 10:00, Northwind a écrit :",
    "Le lundi 2 novembre 2026 à 10:00:00 UTC+1, Northwind <c@northwind.example> a écrit :",
    "El lun, 2 nov 2026 a las 10:00, Northwind (<c@northwind.example>) escribió:",
    "El 02/11/2026 a las 10:00, Northwind escribió:",
    "El lunes, 2 de noviembre de 2026, Northwind <c@northwind.example> escribió:",
    "Il giorno lun 2 nov 2026 alle ore 10:00 Northwind <c@northwind.example> ha scritto:",
    "Il 02/11/2026 10:00, Northwind ha scritto:",
    "Em seg., 2 de nov. de 2026 às 10:00, Northwind <c@northwind.example> escreveu:",
    "Em 02/11/2026 10:00, Northwind escreveu:",
    "A segunda, 2 de nov. de 2026, 10:00, Northwind <c@northwind.example> escreveu:",
    "Op ma 2 nov. 2026 om 10:00 schreef Northwind <c@northwind.example>:",
    "Op 02-11-2026 om 10:00 schreef Northwind:",
    "Northwind schreef op 2-11-2026 om 10:00:",
    "W dniu 02.11.2026 o 10:00, Northwind pisze:",
    "W dniu pon., 2 lis 2026 o 10:00 Northwind <c@northwind.example> napisał(a):",
    "pon., 2 lis 2026 o 10:00 Northwind <c@northwind.example> napisał(a):",
    "Dnia 2 listopada 2026 10:00 Northwind <c@northwind.example> napisał(a):",
    "Den mån 2 nov. 2026 kl 10:00 skrev Northwind <c@northwind.example>:",
    "Den 2026-11-02 kl. 10:00, skrev Northwind:",
    "2 nov. 2026 kl. 10:00 skrev Northwind <c@northwind.example>:",
    "Den man. 2. nov. 2026 kl. 10.00 skrev Northwind <c@northwind.example>:",
    "man. 2. nov. 2026 kl. 10:00 skrev Northwind <c@northwind.example>:",
    "På mandag 2. november 2026 kl. 10:00:00, skrev Northwind <c@northwind.example>:",
    "ma 2. marrask. 2026 klo 10.00 Northwind (c@northwind.example) kirjoitti:",
    "Northwind kirjoitti 2.11.2026 klo 10.00:",
    "po 2. 11. 2026 v 10:00 odesílatel Northwind <c@northwind.example> napsal:",
    "Dne 2.11.2026 v 10:00 Northwind napsal(a):",
    "po 2. 11. 2026 o 10:00 Northwind <c@northwind.example> napísal(a):",
    "Dňa 2. 11. 2026 o 10:00 Northwind napísal(a):",
    "Northwind <c@northwind.example> ezt írta (időpont: 2026. nov. 2., H, 10:00):",
    "2026. 11. 02. 10:00 keltezéssel, Northwind írta:",
    "În lun., 2 nov. 2026 la 10:00, Northwind <c@northwind.example> a scris:",
    "пн, 2 нояб. 2026 г. в 10:00, Northwind <c@northwind.example>:",
    "02.11.2026 10:00, Northwind пишет:",
    "пн, 2 лист. 2026 р. о 10:00 Northwind <c@northwind.example> пише:",
    "На пн, 2.11.2026 г. в 10:00 Northwind <c@northwind.example> написа:",
    "Στις Δευ 2 Νοε 2026 στις 10:00 π.μ., ο χρήστης Northwind <c@northwind.example> έγραψε:",
    "Northwind <c@northwind.example>, 2 Kas 2026 Pzt, 10:00 tarihinde şunu yazdı:",
    "E-mail tarihi: 2 Kasım 2026 10:00, Northwind yazdı:",
    "Vào Th 2, 2 thg 11, 2026 vào lúc 10:00 Northwind <c@northwind.example> đã viết:",
    "Pada tanggal Sen, 2 Nov 2026 pukul 10.00 Northwind <c@northwind.example> menulis:",
    "El dl., 2 de nov. 2026, 10:00, Northwind <c@northwind.example> va escriure:",
    "pon., 2. nov. 2026 u 10:00 Northwind <c@northwind.example> napisao je:",
    "V V pon., 2. nov. 2026 ob 10:00 je oseba Northwind <c@northwind.example> napisala:",
    "Northwind <c@northwind.example> kirjutas kuupäeval E, 2. november 2026 kell 10:00:",
    "2026-11-02, pr, 10:00 Northwind <c@northwind.example> rašė:",
    "pirmd., 2026. g. 2. nov., plkst. 10:00 — lietotājs Northwind (<c@northwind.example>) rakstīja:",
    "2026年11月2日(月) 10:00 Northwind <c@northwind.example>:",
    "2026/11/02 10:00、Northwind <c@northwind.example> のメール:",
    "Northwind <c@northwind.example> 于2026年11月2日周一 10:00写道：",
    "在 2026年11月2日，10:00，Northwind <c@northwind.example> 写道：",
    "Northwind <c@northwind.example> 於 2026年11月2日 週一 上午10:00寫道：",
    "2026년 11월 2일 (월) 오전 10:00, Northwind <c@northwind.example>님이 작성:",
    "‫בתאריך יום ב׳, 2 בנוב׳ 2026 ב-10:00 מאת ‪Northwind‬‏ <‪c@northwind.example‬‏>:‬",
    "في الاثنين، ٢ نوفمبر ٢٠٢٦ في ١٠:٠٠ ص تمت كتابة ما يلي بواسطة Northwind <c@northwind.example>:",
]


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_a_quotation_goes_with_the_line_that_says_whose_it_is(attribution: str):
    assert new_text(f"{OWN}\n\n{attribution}\n\n{QUOTED}") == OWN


HEADS = [
    "-----Original Message-----\nFrom: {us}\nSent: Monday, November 2, 2026 10:00 AM\nTo: Ada\nSubject: x",
    "From: {us}\nDate: Monday, 2 November 2026 at 10:00\nTo: Ada <ada@home.example>\nSubject: Re: x",
    "________________________________\nFrom: {us}\nSent: 02 November 2026 10:00\nTo: Ada\nCc: Bea\nSubject: x",
    "*From:* {us}\n*Sent:* Monday\n*To:* Ada\n*Subject:* x",
    "-------- Original message --------\nFrom: {us}\nDate: 02/11/2026 10:00 (GMT+00:00)\nTo: Ada\nSubject: x",
    "----- Original Message -----\nFrom: {us}\nTo: Ada\nSent: Monday, November 02, 2026 10:00 AM\nSubject: x",
    "---------- Forwarded message ---------\nFrom: {us}\nDate: Mon, Nov 2, 2026\nSubject: x\nTo: Ada",
    "Begin forwarded message:\n\nFrom: {us}\nSubject: x\nDate: 2 November 2026\nTo: Ada",
    "-----Ursprüngliche Nachricht-----\nVon: {us}\nGesendet: Montag, 2. November 2026 10:00\nAn: Ada\nBetreff: x",
    "Von: {us}\nDatum: Montag, 2. November 2026 um 10:00\nAn: Ada\nBetreff: x",
    "Gesendet: Montag, 02. November 2026 um 10:00 Uhr\nVon: {us}\nAn: ada@home.example\nBetreff: x",
    "-----Message d'origine-----\nDe : {us}\nEnvoyé : lundi 2 novembre 2026 10:00\nÀ : Ada\nObjet : x",
    "De : {us}\nDate : lundi, 2 novembre 2026 à 10:00\nÀ : Ada\nObjet : x",
    "-----Mensaje original-----\nDe: {us}\nEnviado el: lunes, 2 de noviembre de 2026 10:00\nPara: Ada\nAsunto: x",
    "De: {us}\nFecha: lunes, 2 de noviembre de 2026, 10:00\nPara: Ada\nAsunto: x",
    "-----Messaggio originale-----\nDa: {us}\nInviato: lunedì 2 novembre 2026 10:00\nA: Ada\nOggetto: x",
    "-----Mensagem original-----\nDe: {us}\nEnviada em: segunda-feira, 2 de novembro de 2026\nPara: Ada\nAssunto: x",
    "-----Oorspronkelijk bericht-----\nVan: {us}\nVerzonden: maandag 2 november 2026 10:00\nAan: Ada\nOnderwerp: x",
    "Van: {us}\nDatum: maandag 2 november 2026 om 10:00\nAan: Ada\nOnderwerp: x",
    "-----Oprindelig meddelelse-----\nFra: {us}\nSendt: 2. november 2026 10:00\nTil: Ada\nEmne: x",
    "Fra: {us}\nSendt: mandag 2. november 2026 10:00\nTil: Ada\nEmne: x",
    "-----Ursprungligt meddelande-----\nFrån: {us}\nSkickat: den 2 november 2026 10:00\nTill: Ada\nÄmne: x",
    "-----Alkuperäinen viesti-----\nLähettäjä: {us}\nLähetetty: maanantai 2. marraskuuta 2026\nVastaanottaja: Ada\nAihe: x",
    "Od: {us}\nWysłano: poniedziałek, 2 listopada 2026 10:00\nDo: Ada\nTemat: x",
    "Od: {us}\nOdesláno: pondělí 2. listopadu 2026 10:00\nKomu: Ada\nPředmět: x",
    "Od: {us}\nOdoslané: pondelok 2. novembra 2026 10:00\nKomu: Ada\nPredmet: x",
    "Feladó: {us}\nElküldve: 2026. november 2., hétfő 10:00\nCímzett: Ada\nTárgy: x",
    "De la: {us}\nTrimis: luni, 2 noiembrie 2026 10:00\nCătre: Ada\nSubiect: x",
    "От: {us}\nОтправлено: 2 ноября 2026 г. 10:00\nКому: Ada\nТема: x",
    "Від: {us}\nНадіслано: 2 листопада 2026 р. 10:00\nКому: Ada\nТема: x",
    "Από: {us}\nΣτάλθηκε: Δευτέρα, 2 Νοεμβρίου 2026 10:00\nΠρος: Ada\nΘέμα: x",
    "Kimden: {us}\nGönderildi: 2 Kasım 2026 Pazartesi 10:00\nKime: Ada\nKonu: x",
    "发件人: {us}\n发送时间: 2026年11月2日 10:00\n收件人: Ada\n主题: x",
    "寄件者: {us}\n寄件日期: 2026年11月2日 10:00\n收件者: Ada\n主旨: x",
    "差出人: {us}\n送信日時: 2026年11月2日 10:00\n宛先: Ada\n件名: x",
    "보낸 사람: {us}\n보낸 날짜: 2026년 11월 2일 10:00\n받는 사람: Ada\n제목: x",
]


@pytest.mark.parametrize("head", HEADS)
def test_what_stands_below_the_head_of_a_quoted_mail_goes(head: str):
    assert new_text(f"{OWN}\n\n{head.format(us=US)}\n\n{PLAIN}") == OWN


SIGNATURES = [
    "-- \nAda Byron\n12 Larch Court",
    "--\nAda Byron",
    "Sent from my iPhone",
    "Sent from my Samsung Galaxy smartphone.",
    "Sent from Yahoo Mail on Android",
    "Sent from Mailbox",
    "Sent from Outlook for iOS",
    "Get Outlook for Android",
    "Get Outlook for iOS<https://aka.ms/o0ukef>",
    "Sent with Proton Mail secure email.",
    "Sent using Zoho Mail",
    "(sent from a phone)",
    "From my iPhone 6",
    "Von meinem iPhone gesendet",
    "Von meinem Samsung Galaxy Smartphone gesendet.",
    "Gesendet von Outlook für Android",
    "Diese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.",
    "Envoyé de mon iPhone",
    "Envoyé depuis mon appareil Galaxy",
    "Envoyé à partir de Outlook pour iOS",
    "Télécharger Outlook pour iOS",
    "Enviado desde mi iPhone",
    "Enviado do meu iPhone",
    "Obtener Outlook para iOS",
    "Inviato da iPhone",
    "Inviato dal mio dispositivo Samsung",
    "Verstuurd vanaf mijn iPhone",
    "Verzonden vanaf mijn iPhone",
    "Sendt fra min iPhone",
    "Skickat från min iPhone",
    "Hämta Outlook för iOS",
    "Lähetetty iPhonesta",
    "Wysłane z iPhone'a",
    "Odesláno z iPhonu",
    "Odoslané z iPhonu",
    "Trimis de pe iPhone-ul meu",
    "Отправлено с iPhone",
    "Надіслано з iPhone",
    "Στάλθηκε από το iPhone μου",
    "iPhone'umdan gönderildi",
    "Elküldve az iPhone-omról",
    "Poslano z mojega iPhone-a",
    "iPhoneから送信",
    "发自我的iPhone",
    "从我的 iPhone 发送",
    "從我的 iPhone 傳送",
    "나의 iPhone에서 보냄",
]


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_signature_and_the_line_of_a_telephone_go(signature: str):
    assert new_text(f"{OWN}\n\n{signature}\n") == OWN


@pytest.mark.parametrize("signature", SIGNATURES[2:])
def test_they_go_above_a_quotation_too(signature: str):
    below = f"On 2 Nov 2026, at 10:00, {US} wrote:\n\n{QUOTED}"
    assert new_text(f"{OWN}\n\n{signature}\n\n{below}") == OWN


KEPT = [
    "On Monday your engineer wrote: no fault found.\n\nThat is wrong.",
    "He wrote to me:\n\n'We shall come on Tuesday.'\n\nNobody came.",
    "From: the landing\nTo: the kitchen\n\nThe damp goes all the way.",
    "Date: 2 November 2026\nTime: 10:00\nWhat happened: the lift stopped.",
    "Subject: my rent\n\nPlease look into it.",
    "Von: Montag\nBis: Freitag\nNiemand kam.",
    "De: mi parte\n\nNo estoy contenta.",
    "Sent from pillar to post, I write to you at last. Your colleagues say that they are not in charge.\n\nAda",
    "Sent by post on 2 November: my complaint. I have had no answer.\nPlease send one.",
    "The letter was sent from your office on Monday, and it names another tenant.\n\nAda Byron",
    "1. The boiler\n---\nIt is broken.\n\n2. The roof\n---\nIt leaks.",
    "My points:\n- no heating\n-- since Monday\n- no answer",
    "What I was told by ada@home.example on 2 November 2026:\nthat nobody would come.",
    'Your e-mail of 2.11.2026 said:\n"We will write to you."\nYou have not.',
    "Am 2. November schrieb mir Herr Groß, er komme am Dienstag. Er kam nicht.",
    "Le 2 novembre, votre collègue m'a écrit : « nous passerons mardi ». Personne n'est venu.",
    "Get Outlook to work for your staff, please: my mails are never answered.",
    "From my window I see the broken gate.",
]


@pytest.mark.parametrize("text", KEPT)
def test_what_only_resembles_a_quotation_is_the_writers_own(text: str):
    assert new_text(text) == text
