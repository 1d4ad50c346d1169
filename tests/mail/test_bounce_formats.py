"""Reports in the words of many mail servers: each is known as one, names who failed, and says whether for good."""

# ruff: noqa: E501 - mails are easier to read as they are

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from amends.mail.facts import Kind
from amends.mail.read import read
from tests.mail.letters import mail

ADA = "ada@home.example"
LETTER = (
    "Received: from northwind.example by mx.example; Mon, 2 Nov 2026 10:00:00 +0100\n"
    "From: complaints@northwind.example\nTo: ada@home.example\nSubject: Your complaint\n"
    "Message-ID: <NW-1.ack@northwind.example>\n\nDear Ada"
)


@dataclass(frozen=True)
class Report:
    body: str
    permanent: bool | None = True  # None: the format does not say, and both are right
    subject: str = "Undeliverable: Your complaint"
    sender: str = "postmaster@mx.example"
    fails: tuple[str, ...] = (ADA,)
    fields: dict[str, str] = field(default_factory=dict)


REPORTS = {
    "qmail": Report(
        "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the "
        "following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n"
        "<ada@home.example>:\n192.0.2.7 does not like recipient.\nRemote host said: 550 5.1.1 no such user\n"
        f"Giving up on 192.0.2.7.\n\n--- Below this line is a copy of the message.\n\n{LETTER}",
        subject="failure notice",
        sender="MAILER-DAEMON@mx.example",
    ),
    "qmail, after a week": Report(
        "Hi. This is the qmail-send program at mx.example.\n\n<ada@home.example>:\nSorry, I wasn't able to establish an "
        "SMTP connection. (#4.4.1)\nI'm not going to try again; this message has been in the queue too long.\n\n"
        f"--- Below this line is a copy of the message.\n\n{LETTER}",
        False,
        subject="failure notice",
        sender="MAILER-DAEMON@mx.example",
    ),
    "Exim": Report(
        "This message was created automatically by mail delivery software.\n\nA message that you sent could not be "
        "delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n"
        "  ada@home.example\n    SMTP error from remote mail server after RCPT TO:<ada@home.example>:\n"
        "    host mx.home.example [192.0.2.7]: 550 User unknown\n\n"
        f"------ This is a copy of the message, including all the headers. ------\n\n{LETTER}",
        subject="Mail delivery failed: returning message to sender",
        sender="Mail Delivery System <Mailer-Daemon@mx.example>",
    ),
    "Exim, a delay": Report(
        "This message was created automatically by mail delivery software.\nA message that you sent has not yet been "
        "delivered to one or more of its\nrecipients after more than 24 hours on the queue on mx.example.\n\n"
        "The message identifier is:     1abcDE-000001-XY\nThe subject of the message is: Your complaint\n\n"
        "The address to which the message has not yet been delivered is:\n\n  ada@home.example\n\nNo action is required "
        "on your part. Delivery attempts will continue for\nsome time, and this warning may be repeated at intervals.",
        False,
        subject="Warning: message 1abcDE-000001-XY delayed 24 hours",
        sender="Mail Delivery System <Mailer-Daemon@mx.example>",
    ),
    "Exim in the words of a German provider": Report(
        "This message was created automatically by mail delivery software.\n\nA message that you sent could not be "
        "delivered to\none or more of its recipients. The following addresses failed:\n\n<ada@home.example>:\n"
        "SMTP error from remote server after RCPT command:\nhost mx.home.example[192.0.2.7]\n550 5.1.1 <ada@home."
        f"example>: User unknown\n\n--- The header of the original message is following. ---\n\n{LETTER}",
        subject="Mail delivery failed: returning message to sender",
        sender="mailer-daemon@kundenserver.example",
    ),
    "Postfix, its words alone": Report(
        "This is the mail system at host mx.example.\n\nI'm sorry to have to inform you that your message could not\n"
        "be delivered to one or more recipients. It's attached below.\n\n                   The mail system\n\n"
        "<ada@home.example>: host mx.home.example[192.0.2.7] said: 550 5.7.1\n    Service unavailable (in reply to "
        "RCPT TO command)",
        subject="Undelivered Mail Returned to Sender",
        sender="MAILER-DAEMON@mx.example (Mail Delivery System)",
    ),
    "sendmail": Report(
        "The original message was received at Mon, 2 Nov 2026 10:00:00 +0100\nfrom northwind.example [192.0.2.1]\n\n"
        "   ----- The following addresses had permanent fatal errors -----\n<ada@home.example>\n    (reason: 550 5.1.1 "
        "<ada@home.example>... User unknown)\n\n   ----- Transcript of session follows -----\n... while talking to "
        "mx.home.example.:\n>>> RCPT To:<ada@home.example>\n<<< 550 5.1.1 <ada@home.example>... User unknown\n",
        subject="Returned mail: see transcript for details",
        sender="Mail Delivery Subsystem <MAILER-DAEMON@mx.example>",
    ),
    "sendmail, a warning": Report(
        "    **********************************************\n    **      THIS IS A WARNING MESSAGE ONLY      **\n"
        "    **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **\n    **********************************************\n\n"
        "   ----- Transcript of session follows -----\n<ada@home.example>... Deferred: Connection timed out with "
        "mx.home.example.\nWarning: message still undelivered after 4 hours\nWill keep trying until message is 5 days "
        "old",
        False,
        subject="Warning: could not send message for past 4 hours",
        sender="Mail Delivery Subsystem <MAILER-DAEMON@mx.example>",
    ),
    "Exchange 5.5": Report(
        "Your message\n\n  To:      ada@home.example\n  Subject: Your complaint\n  Sent:    Mon, 2 Nov 2026 10:00:00 "
        "+0100\n\ndid not reach the following recipient(s):\n\nada@home.example on Mon, 2 Nov 2026 10:00:05 +0100\n"
        "    The recipient name is not recognized\n\tThe MTS-ID of the original message is: c=gb;a= ;p=home\n"
        "    MSEXCH:IMS:HOME:DESK:MX 0 (000C05A6) Unknown Recipient",
        sender="System Administrator <postmaster@mx.example>",
    ),
    "Exchange, in English": Report(
        "Your message did not reach some or all of the intended recipients.\n\n      Subject:\tYour complaint\n"
        "      Sent:\t02/11/2026 10:00\n\nThe following recipient(s) cannot be reached:\n\n      ada@home.example on "
        "02/11/2026 10:00\n            The e-mail account does not exist at the organization this message was sent to. "
        "Check the e-mail address.\n            <mx.home.example #5.1.1>",
        sender="System Administrator <postmaster@mx.example>",
    ),
    "Exchange, in German": Report(
        "Ihre Nachricht hat einige oder alle Empfänger nicht erreicht.\n\n      Betreff: Ihre Beschwerde\n\n"
        "Folgende(r) Empfänger kann/können nicht erreicht werden:\n\n      ada@home.example am 02.11.2026 10:00\n"
        "            550 5.1.1 User unknown",
        subject="Unzustellbar: Ihre Beschwerde",
        sender="Systemadministrator <postmaster@mx.example>",
    ),
    "Exchange, in French": Report(
        "Échec de la remise pour ces destinataires ou groupes :\n\nada@home.example\nL’adresse de messagerie que vous "
        "avez entrée est introuvable. Vérifiez l’adresse de messagerie et essayez de renvoyer le message.\n\n"
        "Informations de diagnostic pour les administrateurs :\n\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##",
        subject="Non remis : Votre réclamation",
    ),
    "Exchange, in Spanish": Report(
        "No se pudo entregar el mensaje a los siguientes destinatarios:\n\nada@home.example\n\nEl buzón de correo está "
        "lleno.\n\n#552 5.2.2 mailbox full ##",
        subject="No se puede entregar: Su reclamación",
    ),
    "Exchange, in Italian": Report(
        "Impossibile recapitare il messaggio ai destinatari o gruppi seguenti:\n\nada@home.example\n\n#550 5.1.1 "
        "RESOLVER.ADR.RecipNotFound; not found ##",
        subject="Non recapitabile: Il suo reclamo",
    ),
    "Exchange, in Dutch": Report(
        "De bezorging aan de volgende geadresseerden is mislukt:\n\nada@home.example\n\n550 5.1.1 User unknown",
        subject="Onbestelbaar: Uw klacht",
    ),
    "Exchange, in Portuguese": Report(
        "Falha na entrega a estes destinatários ou grupos:\n\nada@home.example\n\n#550 5.1.10 "
        "RESOLVER.ADR.RecipientNotFound ##",
        subject="Não é possível entregar: A sua reclamação",
    ),
    "Exchange, in Swedish": Report(
        "Det gick inte att leverera meddelandet till följande mottagare:\n\nada@home.example\n\n550 5.1.1 User unknown",
        subject="Kan inte levereras: Ditt klagomål",
    ),
    "Exchange, in Polish": Report(
        "Dostarczenie do następujących adresatów lub grup nie powiodło się:\n\nada@home.example\n\n550 5.1.1 User unknown",
        subject="Niedostarczalne: Pańska skarga",
    ),
    "Exchange, in Japanese": Report(
        "次の受信者またはグループへの配信に失敗しました:\n\nada@home.example\n\n#550 5.1.1 RESOLVER.ADR.RecipNotFound ##",
        subject="配信不能: お問い合わせ",
    ),
    "Exchange, in Russian": Report(
        "Сбой доставки следующим получателям или группам:\n\nada@home.example\n\n#550 5.1.1 RESOLVER.ADR.RecipNotFound ##",
        subject="Не удается доставить: Ваша жалоба",
    ),
    "Domino": Report(
        "Your message\n\n  Subject: Your complaint\n\nwas not delivered to:\n\n  ada@home.example\n\nbecause:\n\n  User "
        "ada (ada@home.example) not listed in Domino Directory",
        subject="DELIVERY FAILURE: User ada (ada@home.example) not listed in Domino Directory",
    ),
    "Notes": Report(
        "------- Failure Reasons  --------\n\nUser not listed in public Name & Address Book\nada@home.example\n\n\n"
        f"------- Returned Message --------\n\n{LETTER}",
        subject="Delivery failure",
        sender="postmaster@mx.example",
    ),
    "GroupWise": Report(
        "The message that you sent was undeliverable to the following:\n\tada@home.example (Unknown user)\n\n"
        "Possibly truncated original message follows:",
        subject="Message status - undeliverable",
        sender="Mailer-Daemon@gw.example",
    ),
    "AOL": Report(
        "The original message was received at Mon, 2 Nov 2026 05:00:00 -0400\n\n*** ATTENTION ***\n\nYour e-mail is being "
        "returned to you because there was a problem with its\ndelivery.\n\n   ----- The following addresses had "
        "delivery problems -----\n<ada@aol.example>  (unrecoverable error)\n\n   ----- Transcript of session follows "
        "-----\n... while talking to air-1.mail.aol.example.:\n>>> RCPT To:<ada@aol.example>\n<<< 550 MAILBOX NOT FOUND",
        subject="Returned mail: User unknown",
        sender="Mail Delivery Subsystem <MAILER-DAEMON@aol.example>",
        fails=("ada@aol.example",),
    ),
    "Yahoo": Report(
        "Message from yahoo.example.\nUnable to deliver message to the following address(es).\n\n<ada@yahoo.example>:\nThis "
        "user doesn't have a yahoo.example account (ada@yahoo.example) [0]\n\n--- Original message follows.\n\n"
        + LETTER,
        subject="failure delivery",
        sender="MAILER-DAEMON@yahoo.example",
        fails=("ada@yahoo.example",),
    ),
    "Gmail": Report(
        "Delivery to the following recipient failed permanently:\n\n     ada@home.example\n\nTechnical details of permanent "
        "failure:\nGoogle tried to deliver your message, but it was rejected by the server for the recipient domain "
        "home.example by mx.home.example. [192.0.2.7].\n\nThe error that the other server returned was:\n550 5.1.1 User "
        f"unknown\n\n----- Original message -----\n\n{LETTER}",
        subject="Delivery Status Notification (Failure)",
        sender="Mail Delivery Subsystem <mailer-daemon@googlemail.example>",
        fields={"X_Failed_Recipients": ADA},
    ),
    "Gmail, a delay": Report(
        "This is an automatically generated Delivery Status Notification\n\nTHIS IS A WARNING MESSAGE ONLY.\n\nYOU DO NOT "
        "NEED TO RESEND YOUR MESSAGE.\n\nDelivery to the following recipient has been delayed:\n\n     ada@home.example\n\n"
        "Message will be retried for 2 more day(s)",
        False,
        subject="Delivery Status Notification (Delay)",
        sender="Mail Delivery Subsystem <mailer-daemon@googlemail.example>",
    ),
    "Courier": Report(
        "This is a delivery status notification from mx.example,\nrunning the Courier mail server, version 0.73.\n\nThe "
        "original message was received on Mon, 2 Nov 2026 10:00:00 +0100\n\n----------------------------------------------"
        "-\n\n                           UNDELIVERABLE MAIL\n\nYour message to the following recipients cannot be "
        "delivered:\n\n<ada@home.example>:\n    mx.home.example [192.0.2.7]:\n>>> RCPT TO:<ada@home.example>\n<<< 550 "
        "5.1.1 <ada@home.example>: User unknown\n",
        subject="NOTICE: mail delivery status.",
        sender='"Courier mail server at mx.example" <@>',
    ),
    "OpenSMTPD": Report(
        "Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this e-mail.\n\n    An error has occurred while "
        "attempting to deliver a message for\n    the following list of recipients:\n\nada@home.example: 550 5.2.2 "
        f"<ada@home.example>... Mailbox Full\n\n    Below is a copy of the original message:\n\n{LETTER}",
        subject="Delivery status notification: error",
        sender="Mailer Daemon <MAILER-DAEMON@mx.example>",
    ),
    "DragonFly": Report(
        "This is the DragonFly Mail Agent v0.13 at mx.example.\n\nThere was an error delivering your mail to "
        "<ada@home.example>.\n\nmx.home.example [192.0.2.7] did not like our RCPT TO:\n550 5.1.1 User unknown\n\n"
        f"Original message follows.\n\n{LETTER}",
        subject="Mail delivery failed",
        sender="<>",
        fields={"Return_Path": "<>"},
    ),
    "James": Report(
        "Hi. This is the James mail server at mx.example.\nI'm afraid I wasn't able to deliver your message to the "
        "following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.  Below\nI include the "
        "list of recipients and the reason why I was unable to deliver\nyour message.\n\nFailed recipient(s):\n"
        "ada@home.example\n\nError message:\n550 5.1.1 User unknown",
        subject="Undeliverable mail",
    ),
    "MailMarshal": Report(
        "Your message:\n  From:    complaints@northwind.example\n  Subject: Your complaint\n\nCould not be delivered "
        "because of\n\n550 5.1.1 User unknown\n\nThe following recipients were affected:\n    ada@home.example\n",
        subject="Undeliverable Mail: Your complaint",
    ),
    "InterScan": Report(
        "Sent <<< RCPT TO:<ada@home.example>\nReceived >>> 550 5.1.1 <ada@home.example>... User unknown\n\nUnable to "
        "deliver message to <ada@home.example> (and other recipients in the same domain).\n",
        subject="Mail could not be delivered",
        sender="mailer-daemon@mx.example",
    ),
    "Sun Messaging Server": Report(
        "This report relates to a message you sent with the following header fields:\n\n  Message-id: <NW-1.ack@northwind."
        "example>\n  Date: Mon, 2 Nov 2026 10:00:00 +0100\n  From: complaints@northwind.example\n  To: ada@home.example\n"
        "  Subject: Your complaint\n\nYour message cannot be delivered to the following recipients:\n\n  Recipient address: "
        "ada@home.example\n  Reason: Remote SMTP server has rejected address\n  Diagnostic code: smtp;550 5.1.1 unknown",
        subject="Delivery Notification: Delivery has failed",
        sender="Internet Mail Delivery <postmaster@mx.example>",
    ),
    "IMail": Report(
        f"User mailbox exceeds allowed size: ada@home.example\n\n\nOriginal message follows.\n\n{LETTER}",
        None,
        subject="Undeliverable Mail",
        sender="Postmaster <postmaster@mx.example>",
    ),
    "IMail, after many attempts": Report(
        f"Delivery failed 20 attempts: ada@home.example\n\n\nOriginal message follows.\n\n{LETTER}",
        None,
        subject="Undeliverable Mail",
        sender="Postmaster <postmaster@mx.example>",
    ),
    "a telephone company": Report(
        "Your mail sent on: Mon, 2 Nov 2026 10:00:00 +0900\n     Could not be delivered to: <ada@phone.example>\n     As "
        "their mailbox is full.",
        None,
        subject="Mail delivery failed",
        sender="no-reply@app.phone.example",
        fails=("ada@phone.example",),
        fields={"Return_Path": "<>"},
    ),
    "MDaemon": Report(
        "The following addresses had delivery errors:\n\n  ada@home.example - no such user here\n\n: Message contains [1] "
        "file attachments",
        subject="Permanent Delivery Failure",
        sender="MDaemon@mx.example",
    ),
    "Merak": Report(
        "The following message could not be delivered to the following recipients:\n\n<ada@home.example>: 550 5.1.1 "
        "<ada@home.example> User unknown; rejecting\n",
        subject="Mail System Error - Returned Mail",
        sender="postmaster@mx.example",
    ),
    "CommuniGate": Report(
        "Failed to deliver to 'ada@home.example'\nSMTP module(domain home.example) reports:\n host mx.home.example says:\n "
        "550 5.1.1 User unknown\n",
        subject="Undeliverable mail: Your complaint",
        sender="MAILER-DAEMON@mx.example",
    ),
    "a full mailbox, of no known make": Report(
        "The e-mail that you sent to ada@home.example could not be delivered.\n\nReason: 452 4.2.2 Mailbox full\n",
        False,
        subject="Returned mail: mailbox full",
        sender="postmaster@mx.example",
    ),
    "postmaster's own mail came back": Report(
        "   ----- The following addresses had delivery problems -----\npostmaster@home.example\n\n   ----- Non-delivered "
        "information -----\nThe number of messages in recipient's mailbox exceeded the local limit.\n",
        None,
        subject="Returned mail: Service unavailable",
        sender="postmaster@mx.example",
        fails=("postmaster@home.example",),
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_known_in_the_words_of(name: str):
    one = REPORTS[name]
    reading = read(mail(one.body, sender=one.sender, subject=encoded(one.subject), **one.fields))
    assert reading.kind is Kind.BOUNCE
    assert not reading.answerable
    assert reading.failed_recipients == one.fails
    assert one.permanent is None or reading.permanent_failure is one.permanent
    assert LETTER not in one.body or reading.failed_message_ids == ("NW-1.ack@northwind.example",)


def encoded(subject: str) -> str:
    from email.header import Header

    return subject if subject.isascii() else Header(subject, "utf-8", maxlinelen=900).encode()


PEOPLE = [
    (
        "Undeliverable: my parcel",
        "Your driver left a card again: the parcel was undeliverable, he says. I was at home.",
    ),
    ("Delivery failed", "The delivery failed for the third time. Write to me at ada@home.example and say why."),
    ("Returned mail", "My mail to your office was returned: 'unknown at this address'. What is your address now?"),
    ("Mailbox full", "Your telephone's mailbox is full, I cannot leave a message. My order is 550 221, of 5 May."),
    ("Unzustellbar", "Das Paket war angeblich unzustellbar, obwohl ich zu Hause war. Meine Adresse: ada@home.example"),
    ("Non remis", "Le colis ne m'a pas été remis. Il a été renvoyé au dépôt sans avis de passage."),
    ("No entregado", "El pedido 5511 no se ha entregado y nadie contesta en ayuda@tienda.example."),
    ("failure notice", "I served you with a failure notice under clause 5.1.1 of the contract. You have not answered."),
    ("Delivery delayed", "Delivery has been delayed again, order 450 332. I will keep trying to reach you."),
    ("Message from the daemon", "Your daemon told me: user unknown. I am not unknown, I have been a tenant for years."),
]


@pytest.mark.parametrize(
    "sender", ["Ada Byron <ada@home.example>", "admin@byron-plumbing.example", "mail@byron.example"]
)
@pytest.mark.parametrize(("subject", "body"), PEOPLE)
def test_a_person_who_complains_of_a_delivery_is_a_person(sender: str, subject: str, body: str):
    reading = read(mail(body, sender=sender, subject=encoded(subject)))
    assert reading.kind is Kind.PERSON
    assert reading.answerable
