"""Small mails for the tests of reading, written as bytes so that each says exactly what a server would hand us."""

from __future__ import annotations

OURS = "complaints@northwind.example"


def mail(
    body: str | bytes = "The boiler is broken again.",
    *,
    sender: str = "Ada Byron <ada@home.example>",
    subject: str = "Broken boiler",
    type_: str = "text/plain; charset=utf-8",
    **fields: str,
) -> bytes:
    """A mail to us; further fields by name, `_` for `-` (`Auto_Submitted="no"`), a value of "" leaves one out."""
    head = {
        "From": sender,
        "To": OURS,
        "Subject": subject,
        "Message-ID": "<1@home.example>",
        "Date": "Mon, 2 Nov 2026 10:00:00 +0100",
        "MIME-Version": "1.0",
        "Content-Type": type_,
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
    return lines.encode() + b"\r\n" + (body.encode() if isinstance(body, str) else body)


def multipart(*parts: bytes, kind: str = "mixed", boundary: str = "b", **fields: str) -> bytes:
    """A mail of several parts; each part is its fields, an empty line and its body."""
    line = f"--{boundary}".encode()
    body = b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"
    return mail(body, type_=f'multipart/{kind}; boundary="{boundary}"', **fields)
