"""The bytes of a message brought within bounds before anything parses them, by scans that are linear in its size.

What a parser pays for is limited here, and the limits are generous for mail that people write: bytes of header, parts,
depth, lines, addresses, parameters.  What is over a limit is left out of the reading, said in a defect, and still in
the raw message.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from amends.mail.fields import _FIELD, _NAME, Fields, codec_of, parameters, text_of_field

HEADER_BYTES: Final = 256 * 1024
FIELD_BYTES: Final = 16 * 1024
ADDRESS_FIELD_BYTES: Final = 20 * 1024  # two hundred addresses with their names
CONTENT_FIELD_BYTES: Final = 4 * 1024
PARTS: Final = 1000
MULTIPARTS: Final = 200  # the parser compiles an expression for each boundary
DEPTH: Final = 50
LINES: Final = 300_000
PLAIN_BODY_BYTES: Final = 4 * 1024 * 1024  # of a message that is one text

# What the parser is given of the head: the rest is read here, and costs it most of its time.
_PARSED: Final = frozenset(
    ["mime-version", "content-type", "content-transfer-encoding", "content-disposition", "content-id"]
)
_ADDRESSED: Final = frozenset(
    ["from", "to", "cc", "bcc", "reply-to", "sender", "delivered-to", "resent-to", "resent-cc"]
)
_ONCE: Final = frozenset(
    [
        "from",
        "to",
        "cc",
        "reply-to",
        "sender",
        "date",
        "subject",
        "message-id",
        "in-reply-to",
        "references",
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
        "mime-version",
    ]
)


@dataclass(frozen=True, slots=True)
class Wire:
    """`fields` are all header fields; `parsable` is a lean head and the body, for the parser.

    `lifted` are the long blocks of base64 that were taken out of the body, by the mark that stands in their place.
    """

    fields: Fields
    parsable: bytes
    defects: tuple[str, ...]
    lifted: Mapping[str, memoryview]


_KNOWN_FIELD: Final = re.compile(
    rb"^(?:from|to|subject|date|received|return-path|message-id|mime-version|content-type|reply-to|sender)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_MBOX_LINE: Final = re.compile(rb">?From (?![ \t]*:)[^\n]*\n")
_FOLDED: Final = re.compile(rb"\r?\n(?=[ \t])")
_BLANK: Final = re.compile(rb"[ \t]*\r?\n")


def within_bounds(raw: bytes) -> Wire:
    """Scan `raw` once: its fields, and what a parser may see of it.  Never raises."""
    defects: list[str] = []
    raw = _as_lines(raw, defects)
    fields, start = _head(raw, defects)
    body = raw[start:]
    values = Fields((name, text) for name, text, _ in fields)
    lean, seen = [], set()
    for name, _, whole in fields:
        if name in _ONCE:
            if name in seen:
                continue
            seen.add(name)
        if name in _PARSED:
            lean.append(_harmless(whole))
    body, lifted = _without_blocks(body)
    body = _bounded_body(values, body, defects)
    return Wire(values, b"".join([*lean, b"\r\n", body]), tuple(defects), lifted)


def _as_lines(raw: bytes, defects: list[str]) -> bytes:
    """Mail as lines of bytes: UTF-16 and bare CR become what they stand for, an mbox line and a BOM go."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or raw[1:2] == raw[3:4] == b"\0":
        defects.append("the whole message was UTF-16")
        raw = raw.decode("utf-16", "replace").encode("utf-8", "replace")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    head = raw[:65536]
    if b"\n" not in head and b"\r" in head:
        defects.append("lines ended in a bare CR")
        raw = raw.replace(b"\r\n", b"\r").replace(b"\r", b"\n")
    if raw[:1] in (b"\r", b"\n", b" ", b"\t"):  # blank lines before the head, if a head follows
        stripped = raw.lstrip(b"\r\n \t")
        if _KNOWN_FIELD.match(stripped) or _KNOWN_FIELD.search(stripped[:2000].split(b"\n\n", 1)[0]):
            raw = stripped
    while _MBOX_LINE.match(raw[:1000]):
        end = raw.find(b"\n")
        if end < 0:
            break
        raw = raw[end + 1 :]
    return raw


def _head(raw: bytes, defects: list[str]) -> tuple[list[tuple[str, str, bytes]], int]:
    """The fields as (name, text, lean bytes), and where the body begins."""
    fields: list[tuple[str, str, bytes]] = []
    kept, at, cut, seen, charset = 0, 0, False, set[str](), ""
    odd = False
    while at < len(raw):
        if (blank := _BLANK.match(raw, at)) is not None:
            at = blank.end()
            break
        found = _FIELD.match(raw, at)
        if found is None or found.end() == at:
            break
        named = _NAME.match(raw, at, found.end())
        if named is None:
            if raw[at : at + 1] not in b" \t" and not _head_goes_on(raw, found.end()):
                break  # the body began without an empty line
            odd = True
            at = found.end()
            continue
        name = named[1].decode("ascii").lower()
        value = raw[named.end() : found.end()]
        at = found.end()
        if kept > HEADER_BYTES or len(fields) > 5000:
            cut = True
            continue
        limit = FIELD_BYTES
        if name in _ADDRESSED:
            limit = ADDRESS_FIELD_BYTES
        elif name.startswith("content-"):
            limit = CONTENT_FIELD_BYTES
        if len(value) > limit:
            defects.append(f"{_shown(name)} was longer than {limit // 1024} KiB and is cut")
            value = _shortened(name, value, limit)
        if name in _ONCE and name in seen:
            defects.append(f"{_shown(name)} was there more than once; the first is read")
        seen.add(name)
        if name == "content-type" and not charset:
            charset = parameters(text_of_field(value))[1].get("charset", "")
        kept += len(value)
        whole = value.rstrip(b"\r\n")
        if name.startswith("content-"):
            whole = _FOLDED.sub(b"", whole)  # a boundary may have been folded
        fields.append((name, text_of_field(value, charset), named[1] + b":" + whole + b"\r\n"))
    if cut:
        defects.append(f"only the first {HEADER_BYTES // 1024} KiB of the header were read")
    if odd:
        defects.append("the header holds lines that are no fields")
    return fields, at


def _head_goes_on(raw: bytes, at: int) -> bool:
    """Whether a line that is no field stands within a header: well-known fields follow before the empty line."""
    following = raw[at : at + 4096]
    ends = [end for blank in (b"\n\n", b"\n\r\n") if (end := following.find(blank)) >= 0]
    return _KNOWN_FIELD.search(following, 0, min(ends, default=len(following)) + 1) is not None


def _shown(name: str) -> str:
    return "-".join(part.capitalize() for part in name[:40].split("-"))


def _shortened(name: str, value: bytes, limit: int) -> bytes:
    if name == "references":  # the thread's first, and its latest
        first = value[:1000].rpartition(b">")[0] + b">"
        return first + b" <" + value[-(limit - 1000) :].partition(b"<")[2]
    cut = value[:limit]
    if name in _ADDRESSED:
        return cut.rpartition(b",")[0] or cut
    return cut


_BLOCKS_FROM: Final = 256 * 1024  # bytes of body; less is parsed as it is
_BLOCK: Final = re.compile(rb"(?:^[A-Za-z0-9+/]{20,998}={0,2}\r?\n){500,}+", re.MULTILINE)


def _without_blocks(body: bytes) -> tuple[bytes, dict[str, memoryview]]:
    """`body` without its long blocks of base64, a mark in the place of each; no boundary can stand in one.

    The parser makes a str of each line and keeps three copies of the whole: of a film that is half a gigabyte.
    Nobody can write the mark into a message: it holds the hash of the message.
    """
    if len(body) < _BLOCKS_FROM:
        return body, {}
    seal = hashlib.sha256(body).hexdigest()[:32]
    view = memoryview(body)
    kept: list[bytes] = []
    lifted: dict[str, memoryview] = {}
    at = 0
    for found in _BLOCK.finditer(body):
        mark = f"={seal}.{len(lifted)}="
        lifted[mark] = view[found.start() : found.end()]
        kept += [body[at : found.start()], mark.encode(), b"\r\n"]
        at = found.end()
    return (b"".join([*kept, body[at:]]), lifted) if lifted else (body, lifted)


_CONTENT_FIELD: Final = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*+")
_STRUCTURE: Final = re.compile(
    rb"^(?:--([^\r\n]{1,300}?)(--)?[ \t]*\r?$"
    rb"|[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Tt][Yy][Pp][Ee][ \t]*:[ \t]*(\S[^\n]*\n(?:[ \t][^\n]*\n)*))",
    re.MULTILINE,
)
_SEVERAL: Final = 40  # fewer boundaries than this can be neither too deep nor too many


def _bounded_body(values: Fields, body: bytes, defects: list[str]) -> bytes:
    kind = values.first("content-type").lower()
    several = "multipart" in kind or "message/" in kind
    if not several and len(body) > PLAIN_BODY_BYTES and (not kind or "text/" in kind):
        defects.append(f"only the first {PLAIN_BODY_BYTES // 1024 // 1024} MiB of the text were read")
        body = body[:PLAIN_BODY_BYTES]
    if len(body) > LINES and body.count(b"\n") > LINES:
        defects.append(f"only the first {LINES} lines were read")
        body = body[: _end_of_line(body, LINES)]
    if several:
        body = _with_short_fields(body)
        if body.count(b"\n--") > _SEVERAL or body.lower().count(b"message/rfc822") > _SEVERAL:
            body = _bounded_structure(kind, body, defects)
    return body


def _end_of_line(body: bytes, number: int) -> int:
    """The offset behind the line of that number (from 1), which is there."""
    step, at = 1 << 16, 0
    while (lines := body.count(b"\n", at, at + step)) < number:
        number, at = number - lines, at + step
    for _ in range(number):
        at = body.index(b"\n", at) + 1
    return at


def _with_short_fields(body: bytes) -> bytes:
    """`body` with its content fields short and harmless; whatever stands at the beginning of a line may be one."""
    lower = b"\n" + body.lower()  # what follows a line's end there stands at the same offset in `body`
    pieces: list[bytes] = []
    at, begin = 0, lower.find(b"\ncontent-")
    while begin >= 0 and (found := _CONTENT_FIELD.match(body, begin)) is not None:
        pieces += [body[at:begin], _short_field(found[0])]
        at = found.end()
        begin = lower.find(b"\ncontent-", at)
    return b"".join([*pieces, body[at:]]) if pieces else body


def _short_field(whole: bytes) -> bytes:
    if len(whole) > CONTENT_FIELD_BYTES:
        whole = whole[:CONTENT_FIELD_BYTES].rstrip(b"\r\n") + b"\r\n"
    return _harmless(whole)


_CHARSET: Final = re.compile(rb"charset", re.IGNORECASE)
_PLAIN_CHARSET: Final = re.compile(rb"charset=(\"?)([A-Za-z0-9_.:+-]{1,60})\1(?=[;\s]|\Z)", re.IGNORECASE)
_MACHINES_MESSAGE: Final = re.compile(
    rb"\A(content-type[ \t]*:\s*)message/(?!rfc822|global\s*(?:[;\r\n]|\Z)|news)", re.IGNORECASE
)


def _harmless(field: bytes) -> bytes:
    """A content field as the parser may see it; `parts` knows these forms.

    A charset that is no charset of text goes by the name of x-charset: the parser would decode by it, and some codecs
    of Python take quadratic time or are none at all.  Reports (message/delivery-status and such) become x-message/...,
    which is left as one piece of text: the parser would make a message of each blank line.
    """
    charsets = _CHARSET.findall(field)
    if charsets:
        plain = _PLAIN_CHARSET.search(field)
        if len(charsets) > 1 or plain is None or not codec_of(plain[2].decode("ascii")):
            field = _CHARSET.sub(b"x-charset", field)
    return _MACHINES_MESSAGE.sub(rb"\1x-message/", field)


def _bounded_structure(kind: str, body: bytes, defects: list[str]) -> bytes:
    """`body` up to the part that is one too many, or one too deep."""
    stack = [parameters(kind)[1].get("boundary", "")]
    messages = parts = multiparts = 0
    for found in _STRUCTURE.finditer(body):
        if found[3] is not None:
            media_type, given = parameters(text_of_field(found[3][:CONTENT_FIELD_BYTES]))
            if media_type.startswith("multipart/") and "boundary" in given:
                stack.append(given["boundary"].lower())
                multiparts += 1
                if multiparts > MULTIPARTS:
                    defects.append(f"more than {MULTIPARTS} parts held parts of their own; only those were read")
                    return body[: found.start()]
            elif media_type.startswith("message/"):
                messages += 1
                stack.append("")
            else:
                continue
            if len(stack) > DEPTH:
                defects.append(f"parts lay deeper than {DEPTH} levels; the deeper ones were not read")
                return body[: found.start()]
            continue
        boundary = found[1].decode("latin-1").lower()
        if boundary not in stack:
            if found[2] or (boundary + "--") not in stack:
                continue
            boundary += "--"
        last = len(stack) - 1 - stack[::-1].index(boundary)
        if found[2]:
            del stack[last:]
            stack = stack or [""]
            continue
        del stack[last + 1 :]
        parts += 1
        if parts > PARTS:
            defects.append(f"there were more than {PARTS} parts; only those were read")
            return body[: found.start()]
    return body


def head_within_bounds(raw: bytes) -> Wire:
    """The fields alone, of a message of any size; the body is not looked at.  Never raises."""
    defects: list[str] = []
    head = _as_lines(raw[: HEADER_BYTES * 4], defects)
    fields, _ = _head(head, defects)
    return Wire(Fields((name, text) for name, text, _ in fields), b"", tuple(defects), {})
