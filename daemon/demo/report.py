"""Delivery reports as a mail server writes them (RFC 3464), for the demonstration's mistyped address."""

from __future__ import annotations

from datetime import datetime
from email import message_from_bytes, policy
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, make_msgid


def delivery_report(letter: bytes, *, sender: str, recipient: str, host: str, now: datetime) -> bytes:
    """The report to `sender` that `letter` will never reach `recipient`, with CRLF lines.

    Permanent, status 5.1.1 (RFC 3463: no such mailbox); the headers of the letter travel with it (RFC 3464, 2).
    """
    report = MIMEMultipart("report")
    report.set_param("report-type", "delivery-status")
    report["From"] = f"Mail Delivery System <MAILER-DAEMON@{host}>"
    report["To"] = sender
    report["Subject"] = "Undelivered Mail Returned to Sender"
    report["Date"] = format_datetime(now)
    report["Message-ID"] = make_msgid(domain=host)
    report["Auto-Submitted"] = "auto-replied"
    report.attach(
        MIMEText(
            f"This is the mail system at {host}.\n\n"
            "I'm sorry to have to inform you that your message could not be delivered.\n\n"
            f"<{recipient}>: no such address here (it may have been mistyped)\n"
        )
    )
    report.attach(_status(recipient, host=host, now=now))
    report.attach(_headers_of(letter))
    return report.as_bytes(policy=policy.SMTP)


def _status(recipient: str, *, host: str, now: datetime) -> Message:
    """message/delivery-status: one group of fields for the message, one for the recipient (RFC 3464, 2.1)."""
    about_message, about_recipient = Message(), Message()
    about_message["Reporting-MTA"] = f"dns; {host}"
    about_message["Arrival-Date"] = format_datetime(now)
    about_recipient["Original-Recipient"] = f"rfc822;{recipient}"
    about_recipient["Final-Recipient"] = f"rfc822;{recipient}"
    about_recipient["Action"] = "failed"
    about_recipient["Status"] = "5.1.1"
    about_recipient["Diagnostic-Code"] = f"smtp; 550 5.1.1 <{recipient}>: Recipient address rejected: User unknown"
    status = Message()
    status["Content-Type"] = "message/delivery-status"
    status.set_payload([about_message, about_recipient])
    return status


def _headers_of(letter: bytes) -> MIMEText:
    headers = message_from_bytes(letter.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=policy.compat32)
    text = "".join(f"{name}: {value}\n" for name, value in headers.items())
    return MIMEText(text, "rfc822-headers")
