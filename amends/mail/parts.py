"""The parts of a message: which of them are its text, which are files, which are a machine's report.

Works on the tree that the parser made (`email.message.Message`) and trusts nothing in it.
"""

from __future__ import annotations

import hashlib
import re
from binascii import Error as BinasciiError
from binascii import a2b_qp, a2b_uu
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from typing import Any, Final, TypeAlias
from unicodedata import category, normalize

from amends.kernel.text import storable
from amends.mail.facts import Attachment
from amends.mail.fields import Fields, decode, parameters, text_of_field, unbase64, unencode

TEXT_KEPT: Final = 1024 * 1024  # characters of one text; a person reads no more
ATTACHMENTS_KEPT: Final = 500
NAME_BYTES: Final = 120

Tree: TypeAlias = "Message[str, str]"


@dataclass(frozen=True, slots=True)
class File:
    """An attached file with its decoded bytes."""

    name: str
    media_type: str
    data: bytes

    def fact(self) -> Attachment:
        return Attachment(self.name, self.media_type, len(self.data), hashlib.sha256(self.data).hexdigest())


@dataclass(slots=True)
class Contents:
    """What a walk through a message found.

    `texts` are its readable texts in order; `html` stands for a text that has only an HTML form.  `forwarded` are
    the texts of messages attached to it.  `statuses` are the delivery-status reports (RFC 3464), `returned` the heads
    of messages that came back inside a report (RFC 3462), `enclosed` those of other attached messages, all as text.
    """

    texts: list[Text] = field(default_factory=list)
    forwarded: list[Text] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    enclosed: list[str] = field(default_factory=list)
    notified: bool = False  # a disposition notification (RFC 8098): a machine's note that a letter was read
    feedback: bool = False  # an abuse report (RFC 5965)
    defects: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Text:
    """One readable text, as it was sent: plain, or HTML that is still to be turned into text.

    `beside` is the HTML form of a plain text, which should say the same.
    """

    text: str
    html: bool = False
    beside: str = ""


def contents(tree: Tree, lifted: Mapping[str, memoryview] | None = None) -> Contents:
    """Walk the tree of a message.  Never raises: a part that cannot be read is named in `defects`.

    `lifted` are the blocks that were taken out of the body before it was parsed, by their marks.
    """
    found = Contents()
    if lifted:
        _put_back(tree, lifted)
    _visit(tree, found, depth=0, nested=False)
    if len(found.files) > ATTACHMENTS_KEPT:
        found.defects.append(f"only the first {ATTACHMENTS_KEPT} of {len(found.files)} attachments are listed")
        del found.files[ATTACHMENTS_KEPT:]
    return found


def _visit(part: Tree, found: Contents, *, depth: int, nested: bool, report: bool = False) -> None:
    try:
        _take(part, found, depth=depth, nested=nested, report=report)
    except Exception as fault:  # noqa: BLE001 - a stranger's part must not hide the parts beside it
        found.defects.append(f"a part could not be read: {type(fault).__name__}")


def _take(part: Tree, found: Contents, *, depth: int, nested: bool, report: bool) -> None:
    media_type, given = type_of(part)
    payload = payload_of(part)
    if isinstance(payload, list) and media_type.startswith("message/"):
        _message(part, media_type, payload, found, depth=depth, nested=nested, report=report)
    elif isinstance(payload, list):
        if media_type == "multipart/alternative":
            _alternative(payload, found, depth=depth, nested=nested)
        else:
            inside = report or media_type == "multipart/report"
            for child in payload:
                _visit(child, found, depth=depth + 1, nested=nested, report=inside)
    elif media_type.startswith("multipart/") and given.get("boundary"):
        found.defects.append("a multipart holds none of its parts; it is read as text")
        _text(found, Text(_text_of(part, given)), nested=nested)
    else:
        _leaf(part, media_type, given, found, nested=nested, report=report)


def _alternative(children: list[Tree], found: Contents, *, depth: int, nested: bool) -> None:
    """One text in several forms (RFC 2046 5.1.4): the plain one, unless it says nothing and another does."""
    forms: list[Contents] = []
    for child in children:
        form = Contents()
        _visit(child, form, depth=depth + 1, nested=False)
        forms.append(form)
    spoken = [form for form in forms if any(text.text.strip() for text in form.texts)]
    plain = next((form for form in spoken if not form.texts[0].html), None)
    rich = next((form for form in reversed(spoken) if form.texts[0].html), None)
    chosen = plain or rich
    if plain is not None and rich is not None and _says_nothing(plain.texts, rich.texts):
        chosen = rich
    elif chosen is plain and plain is not None and rich is not None and len(plain.texts) == len(rich.texts) == 1:
        plain.texts = [replace(plain.texts[0], beside=rich.texts[0].text)]
    for form in forms:
        if form is chosen:
            (found.forwarded if nested else found.texts).extend(form.texts)
        found.files.extend(form.files)
        found.forwarded.extend(form.forwarded)
        found.defects.extend(form.defects)
        found.statuses.extend(form.statuses)
        found.returned.extend(form.returned)
        found.enclosed.extend(form.enclosed)
        found.notified |= form.notified


_NO_HTML_HERE: Final = re.compile(
    r"\b(?:html|rich text)\b.{0,80}\b(?:mail|message|e-mail|newsletter|viewer|client|format|support|view|nachricht)s?\b"
    r"|view (?:this|the) (?:e-?mail|message|newsletter) (?:in|with|online)"
    r"|does(?: not|n't) (?:support|display|show) html",
    re.IGNORECASE | re.DOTALL,
)
_TAG: Final = re.compile(r"<[^<>]{0,2000}>")


def _says_nothing(plain: list[Text], rich: list[Text]) -> bool:
    """A plain form that only says to look at the HTML form, that is HTML itself, or that says next to nothing."""
    words = " ".join(text.text for text in plain).strip()
    if words[:200].lower().startswith(("<!doctype html", "<html")):
        return True
    if len(words) > 600:
        return False
    much = len(" ".join(" ".join(_TAG.sub(" ", _without_style(text.text[:100_000])) for text in rich).split()))
    said = len(" ".join(_LINK.sub(" ", words).split()))
    return (
        (much > len(words) and bool(_NO_HTML_HERE.search(words)))
        or not any(character.isalnum() for character in words)
        or (said < 200 and much > 200 + 4 * said)
    )


_LINK: Final = re.compile(r"\bhttps?://\S{1,2000}")


def _without_style(html: str) -> str:
    """`html` without what stands in its style sheets, which may be most of it."""
    kept, at = [], 0
    for _ in range(20):
        begin = html.find("<style", at)
        end = html.find("</style", begin) if begin >= 0 else -1
        if end < 0:
            break
        kept.append(html[at:begin])
        at = end
    return "".join([*kept, html[at:]])


def _message(
    part: Tree, media_type: str, payload: list[Tree], found: Contents, *, depth: int, nested: bool, report: bool
) -> None:
    if not payload:
        return
    inner = payload[0]
    heads = Fields(_head_of(inner))
    if report:
        found.returned.append(_fields_as_text(inner))
        if (inner_body := _leaf_text(inner)) and len(inner_body) < TEXT_KEPT:
            found.returned.append(inner_body[:20_000])
        return
    found.enclosed.append(_fields_as_text(inner))
    name = _name(part)
    data = _as_bytes(inner)
    title = name or f"{unencode(heads.first('subject')) or 'message'}.eml"
    found.files.append(File(safe_name(title), media_type, data))
    intro = "\n".join(
        f"{label}: {unencode(value)}"
        for label in ("From", "To", "Date", "Subject")
        if (value := heads.first(label.lower()))
    )
    found.forwarded.append(Text(f"-------- Forwarded message --------\n{intro}"))
    _visit(inner, found, depth=depth + 1, nested=True)


def _leaf(
    part: Tree, media_type: str, given: Mapping[str, str], found: Contents, *, nested: bool, report: bool
) -> None:
    disposition = _disposition(part)
    name = _name(part)
    if media_type in _REPORTS:
        if not nested:  # a person may forward one
            _report(part, media_type, given, found)
        return
    if report and media_type in ("text/rfc822-headers", "text/rfc822", "message/rfc822", "message/rfc822-headers"):
        found.returned.append(_text_of(part, given))
        return
    is_text = (
        media_type in ("text/plain", "text/html", "text/enriched", "text/richtext")
        or (
            media_type.startswith("text/")
            and not name
            and media_type not in ("text/calendar", "text/x-vcard", "text/vcard")
        )
        or "/" not in media_type
    )
    if is_text and disposition != "attachment":
        text = _text_of(part, given)
        html = media_type == "text/html"
        if not html:
            if given.get("format", "").lower() == "flowed":
                text = unflowed(text, delsp=given.get("delsp", "").lower() == "yes")
            text, files = _without_uuencoded(text)
            found.files.extend(files)
        if name:
            found.files.append(File(safe_name(name), media_type, decoded(part)))
        _text(found, Text(text, html), nested=nested or (bool(name) and bool(found.texts)))
        return
    if media_type in _SIGNATURES and not name:
        return  # the seal of a signed mail is no file of its writer
    data = decoded(part)
    if media_type in ("application/ms-tnef", "application/vnd.ms-tnef") or name.lower() == "winmail.dat":
        found.files.extend(_tnef(data, found))
    extension = _EXTENSIONS.get(media_type, "")
    found.files.append(
        File(safe_name(name or f"attachment{extension}"), media_type or "application/octet-stream", data)
    )


_REPORTS: Final = frozenset(
    [
        "message/delivery-status",
        "message/global-delivery-status",
        "message/disposition-notification",
        "message/feedback-report",
    ]
)


def _report(part: Tree, media_type: str, given: Mapping[str, str], found: Contents) -> None:
    """A machine's report: on delivery (RFC 3464, 6533), on a letter that was read (RFC 8098), on abuse (RFC 5965)."""
    if media_type == "message/disposition-notification":
        found.notified = True
    elif media_type == "message/feedback-report":
        found.feedback = True
    else:
        found.statuses.append(_text_of(part, given))


_SIGNATURES: Final = frozenset(
    {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
)
_EXTENSIONS: Final = {
    "text/calendar": ".ics",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "text/plain": ".txt",
    "text/html": ".html",
    "application/pdf": ".pdf",
    "application/rtf": ".rtf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "message/rfc822": ".eml",
}


def _text(found: Contents, text: Text, *, nested: bool) -> None:
    (found.forwarded if nested else found.texts).append(text)


# ── One part ──


def _raw_field(part: Tree, name: str) -> bytes:
    for key, value in part.raw_items():
        if key.lower() == name:
            return (
                str(value).encode("utf-8", "surrogateescape")
                if _octets(value)
                else str(value).encode("utf-8", "replace")
            )
    return b""


def _octets(value: object) -> bool:
    try:
        str(value).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _field(part: Tree, name: str) -> str:
    return text_of_field(_raw_field(part, name))


def _head_of(part: Tree) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys(key.lower() for key, _ in part.raw_items()):
        yield name, _field(part, name)


def _fields_as_text(part: Tree) -> str:
    return "\n".join(
        f"{key}: {text_of_field(str(value).encode('utf-8', 'surrogatepass'))}" for key, value in part.raw_items()
    )


def type_of(part: Tree) -> tuple[str, Mapping[str, str]]:
    """The media type of a part in lower case and its parameters; text/plain where it names none (RFC 2045 5.2)."""
    media_type, given = parameters(_field(part, "content-type"))
    media_type = "".join(media_type.split()).strip("\"'")
    if "/" not in media_type:
        media_type = {"text": "text/plain", "html": "text/html"}.get(media_type, part.get_default_type())
    return storable(media_type).removeprefix("x-")[:100] if media_type.startswith("x-message/") else storable(
        media_type
    )[:100], given


def _disposition(part: Tree) -> str:
    return parameters(_field(part, "content-disposition"))[0]


def _name(part: Tree) -> str:
    disposed = parameters(_field(part, "content-disposition"))[1]
    name = disposed.get("filename") or disposed.get("name") or ""
    if not name:
        given = type_of(part)[1]
        name = given.get("name") or given.get("filename") or ""
    return unencode(name)


def decoded(part: Tree) -> bytes:
    """The bytes of a leaf, its transfer encoding undone (RFC 2045 6) as far as it goes."""
    payload = payload_of(part)
    if not isinstance(payload, str | bytes):
        return _as_bytes(part)
    words = _field(part, "content-transfer-encoding").lower().strip("\"' ").split()
    encoding = words[0].strip("\"';,") if words else ""
    data = payload if isinstance(payload, bytes) else _octets_of(payload)
    if encoding == "base64":
        return unbase64(data)
    if encoding in ("quoted-printable", "quoted_printable"):
        return a2b_qp(data)
    if encoding in ("x-uuencode", "uuencode", "uue", "x-uue"):
        _, files = _uuencoded(data.decode("latin-1").replace("\r\n", "\n"))
        return files[0][1] if files else data
    return data


_MARK: Final = re.compile(r"(=[0-9a-f]{32}\.\d+=)(?:\r?\n)?")


def _put_back(tree: Tree, lifted: Mapping[str, memoryview]) -> None:
    """Give the leaves of a message their blocks back, as a str where they will be written out again."""
    waiting: list[tuple[Tree, bool]] = [(tree, False)]
    while waiting:
        part, within = waiting.pop()
        payload = payload_of(part)
        if isinstance(payload, list):
            inside = within or part.get_content_maintype() == "message"
            waiting.extend((child, inside) for child in payload)
        elif isinstance(payload, str) and _MARK.search(payload):
            whole = _with_blocks(payload, lifted)
            part._payload = whole.decode("ascii", "surrogateescape") if within else whole  # type: ignore[attr-defined]


def _with_blocks(payload: str, lifted: Mapping[str, memoryview]) -> bytes:
    pieces: list[bytes | memoryview] = []
    at = 0
    for found in _MARK.finditer(payload):
        if (block := lifted.get(found[1])) is not None:
            pieces += [_octets_of(payload[at : found.start()]), block]
            at = found.end()
    return b"".join([*pieces, _octets_of(payload[at:])])


def payload_of(part: Tree) -> Any:
    """What the parser keeps of a part: a str or a list of parts.  `get_payload` decodes, raises, and spoils bytes."""
    return part._payload  # type: ignore[attr-defined]


def _octets_of(payload: str) -> bytes:
    """The bytes of a payload as they came."""
    try:
        return payload.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        return payload.encode("utf-8", "replace")


def _text_of(part: Tree, given: Mapping[str, str]) -> str:
    data = decoded(part)
    if len(data) > TEXT_KEPT * 4:
        data = data[: TEXT_KEPT * 4]
    text, _ = decode(data, given.get("charset") or given.get("x-charset") or "")
    return storable(text)[:TEXT_KEPT]


def _leaf_text(part: Tree) -> str:
    payload = payload_of(part)
    if isinstance(payload, str | bytes):
        return _text_of(part, type_of(part)[1])
    return ""


def _as_bytes(part: Tree) -> bytes:
    try:
        return part.as_bytes()
    except Exception:  # noqa: BLE001 - the generator of Python raises on heads that its parser let pass
        return _fields_as_text(part).encode("utf-8", "replace")


# ── Forms of text ──


def unflowed(text: str, *, delsp: bool) -> str:
    """Text of format=flowed with its soft line breaks undone (RFC 3676 4); quoted lines keep their marks."""
    paragraphs: list[list[str]] = []
    open_depth: int | None = None
    for line in text.split("\n"):
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        bare = bare.removeprefix(" ")
        soft = bare.endswith(" ") and bare != "-- "
        bare = bare[:-1] if soft and delsp else bare
        if open_depth == depth and bare != "-- ":
            paragraphs[-1].append(bare)
        else:
            paragraphs.append([f"{'>' * depth}{' ' if depth else ''}{bare}"])
        open_depth = depth if soft else None
    lines = ("".join(pieces) for pieces in paragraphs)
    return "\n".join(line if line == "-- " else line.rstrip(" ") for line in lines)


_BEGIN: Final = re.compile(r"begin [0-7]{3,4} (\S[^\n]{0,299})")
_UU_FILES: Final = 100
_UU_LOOKED_AT: Final = 1000  # beginnings of a file


def _uuencoded(text: str) -> tuple[list[str], list[tuple[str, bytes]]]:
    """The lines of `text` without the files that are uuencoded in it, and those files.  A file has an `end`."""
    lines = text.split("\n")
    ends = [at for at, line in enumerate(lines) if line.rstrip() == "end"]
    kept: list[str] = []
    files: list[tuple[str, bytes]] = []
    at = looked = 0
    while at < len(lines):
        begun = _BEGIN.fullmatch(lines[at].rstrip())
        place = bisect_right(ends, at)
        looked += bool(begun)
        end = (
            ends[place] if begun and looked <= _UU_LOOKED_AT and len(files) < _UU_FILES and place < len(ends) else None
        )
        if begun is None or end is None or not _all_encoded(lines[at + 1 : min(end, at + 51)]):
            kept.append(lines[at])
            at += 1
            continue
        files.append((begun[1].strip(), b"".join(map(_uu_line, lines[at + 1 : end]))))
        at = end + 1
    return kept, files


def _all_encoded(lines: list[str]) -> bool:
    """Whether these are lines of uuencode: the first character tells the length of the rest."""
    return (
        bool(lines) and all(not line.strip() or len(line.rstrip()) <= 90 for line in lines) and bool(_uu_line(lines[0]))
    )


def _uu_line(line: str) -> bytes:
    raw = line.rstrip("\r").encode("latin-1", "replace")
    try:
        return a2b_uu(raw)
    except BinasciiError:  # trailing garbage: take the octets that the line says it holds
        try:
            return a2b_uu(raw[: (((raw[0] - 32) & 63) * 4 + 5) // 3])
        except BinasciiError:
            return b""


def _without_uuencoded(text: str) -> tuple[str, list[File]]:
    """Files that an old mailer wrote into the text (`begin 644 name`), taken out of it."""
    if "begin " not in text or "\nend" not in text:
        return text, []
    kept, files = _uuencoded(text)
    return "\n".join(kept), [File(safe_name(name), "application/octet-stream", data) for name, data in files]


def _tnef(data: bytes, found: Contents) -> list[File]:
    from amends.mail.tnef import unpack

    files, defect = unpack(data)
    if defect:
        found.defects.append(defect)
    return [File(safe_name(name), "application/octet-stream", content) for name, content in files]


# ── Names ──


def safe_name(name: str) -> str:
    """A label for a file: the last element of a path, NFC, no control or bidi characters, 1 to 120 bytes of UTF-8.

    Never empty, never a path, never `.` or `..`.  A long name keeps its extension.
    """
    name = normalize("NFC", storable(name).replace("\\", "/")).rstrip("/ ").rsplit("/", 1)[-1]
    name = " ".join("".join(c for c in name if category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")).split())
    if not name.strip("."):
        return "attachment"
    if len(name.encode()) <= NAME_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 16:
        stem, dot, extension = name, "", ""
    room = NAME_BYTES - len((dot + extension).encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip() + dot + extension
