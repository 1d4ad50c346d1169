"""Header fields and their parameters, read without ever raising and in one pass over the bytes.

The `email` package of Python reads parameters in quadratic time and raises on some thirteen-byte headers, so what a
stranger can write is read here: fields (RFC 5322 2.2), encoded words (RFC 2047), parameters (RFC 2045 5.1, RFC 2231),
addresses and Message-IDs.
"""

from __future__ import annotations

import codecs
import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from amends.kernel.text import storable
from amends.mail.facts import Mailbox

_KEPT_IDS: Final = 100
_KEPT_ID_LENGTH: Final = 998  # a line of RFC 5322 holds no longer one

# What mailers write for a charset, and what they mean by it (the WHATWG Encoding Standard agrees in most).
_MEANT: Final = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "ansi_x3.4-1968": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso_8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "windows-1252": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cn-gb": "gb18030",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "ksc5601": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "cp943c": "cp932",
    "iso-2022-jp": "iso2022_jp_2",
    "cp50220": "iso2022_jp_2",
    "big5": "cp950",
    "x-big5": "cp950",
    "windows-874": "cp874",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "macintosh": "mac_roman",
    "x-mac-roman": "mac_roman",
    "unicode-1-1-utf-7": "utf-7",
    "utf8mb4": "utf-8",
    "utf": "utf-8",
    "utf-8mb4": "utf-8",
    "unicode": "utf-8",
    "utf-16": "utf-16",
}
_NEVER: Final = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
_GUESSES: Final = frozenset({"cp1252", ""})  # labels that mailers give to any bytes


@lru_cache(maxsize=256)
def codec_of(charset: str) -> str:
    """The name of the codec that is meant by `charset`, or "" for one that is unknown or unfit for text."""
    name = charset.strip(" \t\"'\0").lower()
    if not name or len(name) > 60 or not name.isascii() or not name.isprintable():
        return ""
    if (meant := _MEANT.get(name)) is not None:
        return meant
    for spelling in (name, name.removeprefix("x-"), name.replace("windows", "cp").replace("cp-", "cp")):
        try:
            info = codecs.lookup(spelling)
        except (LookupError, ValueError):
            continue
        if info.name in _NEVER or not getattr(info, "_is_text_encoding", True):
            return ""
        return _MEANT.get(info.name, info.name)
    return ""


def decode(data: bytes, charset: str = "") -> tuple[str, str]:
    """`data` as text, and a defect ("" if the charset was right).  Never raises.

    A charset that is missing or that cannot be meant is guessed: text that is valid UTF-8 is UTF-8, whatever its
    label says, for no text of some length in another charset is.
    """
    if data.isascii() and b"\x1b" not in data and b"+" not in data and b"\0" not in data:
        return data.decode("ascii"), ""
    codec = codec_of(charset)
    if codec == "iso2022_jp_2":
        return _japanese(data), ""
    if codec in _GUESSES:
        if data.isascii() and codec:
            return data.decode("ascii"), ""
        try:
            return data.decode("utf-8"), ""
        except UnicodeDecodeError:
            said = "" if codec or not charset else f"the charset {charset[:40]!r} is unknown"
            return _guessed(data), said
    if codec not in _UNICODE and (utf8 := _surely_utf8(data)) is not None:
        return utf8, f"text is UTF-8, not {charset[:40]}"
    try:
        return data.decode(codec), ""
    except (UnicodeError, ValueError):
        pass
    try:
        return data.decode("utf-8"), f"text is UTF-8, not {charset[:40]}"
    except UnicodeDecodeError:
        pass
    if codec == "utf-8":
        lenient = data.decode("utf-8", "replace")
        if (strange := lenient.count("\ufffd")) and strange * 4 > sum(c > "\x7f" for c in lenient):
            return _guessed(data), "text is not the UTF-8 that it says"
        return lenient, "some bytes of the text are not UTF-8"
    try:
        return data.decode(codec, "replace"), f"some bytes of the text are not {charset[:40]}"
    except (UnicodeError, ValueError):
        return _western(data), f"text is not {charset[:40]}"


_UNICODE: Final = frozenset({"utf-8", "utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"})
_SEQUENCE: Final = re.compile(rb"[\xc3-\xf4][\x80-\xbf]{1,3}")
_SURE: Final = 3  # characters; fewer may be chance in a charset of two bytes a character


def _surely_utf8(data: bytes) -> str | None:
    if data.isascii() or len(_SEQUENCE.findall(data[:4000])) < _SURE:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


_RUN: Final = re.compile(rb"[\x80-\xff]+")
_COMMON: Final = re.compile(rb"[\xb0-\xd7][\xa1-\xfe]")  # the first level: the commonest characters
_CHINESE: Final = re.compile(rb"(?:[\xa1-\xa9\xb0-\xf7][\xa1-\xfe])+")


def _guessed(data: bytes) -> str:
    """Text without a charset that can be meant.  In the West a byte over 127 mostly stands alone; elsewhere they run.

    Runs of even length in the rows of GB 2312 are Chinese, other long ones Cyrillic, in one of its two arrangements.
    """
    runs = _RUN.findall(data[:20_000])
    high = sum(map(len, runs))
    if high >= 8 and high >= 2.5 * len(runs):
        chinese = sum(len(run) for run in runs if len(run) % 2 == 0 and _CHINESE.fullmatch(run))
        common = sum(len(run) // 2 - len(_COMMON.sub(b"", run)) // 2 for run in runs if len(run) % 2 == 0)
        if chinese > 0.7 * high and common * 4 > high:
            return data.decode("gb18030", "replace")
        letters = b"".join(runs)
        if sum(byte >= 0xE0 for byte in letters) > 0.6 * high:
            return data.decode("cp1251", "replace")
        if sum(0xC0 <= byte < 0xE0 for byte in letters) > 0.6 * high:
            return data.decode("koi8-r", "replace")
    return _western(data)


_SHIFT: Final = re.compile(rb"\x1b(\$[@B]|\$\([A-Z@]|\([A-Z]|\$A|&@)")


def _japanese(data: bytes) -> str:
    """ISO-2022-JP as Japanese mailers write it: with the characters of NEC and IBM that the standard has not."""
    if not data.isascii():
        for codec in ("utf-8", "euc_jp", "cp932"):  # so much for the label
            try:
                return data.decode(codec)
            except UnicodeDecodeError:
                continue
        return data.decode("euc_jp", "replace")
    pieces = _SHIFT.split(data)
    out = [pieces[0].decode("ascii")]
    for shift, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if shift in (b"$@", b"$B"):
            out.append(_two_bytes(piece))
        elif shift == b"(I":
            out.append(
                bytes(byte | 0x80 if 0x21 <= byte <= 0x5F else byte for byte in piece).decode("cp932", "replace")
            )
        elif shift in (b"(B", b"(J"):
            out.append(piece.decode("ascii"))
        else:
            out.append((b"\x1b" + shift + piece).decode("iso2022_jp_ext", "replace"))
    return "".join(out)


def _two_bytes(piece: bytes) -> str:
    """JIS X 0208 in its seven-bit form, by way of the code page that also has the circled digits."""
    out = bytearray()
    at = 0
    while at < len(piece):
        one = piece[at]
        if one < 0x21 or at + 1 >= len(piece) or not 0x21 <= piece[at + 1] <= 0x7E:
            out.append(one)
            at += 1
            continue
        two = piece[at + 1]
        row = (one - 0x21) // 2
        out.append(row + (0x81 if row < 31 else 0xC1))
        out.append(two + (0x7E if one % 2 == 0 else 0x1F + (two >= 0x60)))
        at += 2
    return out.decode("cp932", "replace")


def _western(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


class Fields(Mapping[str, list[str]]):
    """The header fields of a message: the name in lower case, the values unfolded and in order."""

    __slots__ = ("_values",)

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            self._values.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name: str) -> list[str]:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def first(self, *names: str) -> str:
        """The first value of the first of these fields that is there and not blank; "" if none is."""
        for name in names:
            for value in self._values.get(name, ()):
                if value:
                    return value
        return ""

    def every(self, *names: str) -> list[str]:
        """All values of these fields."""
        return [value for name in names for value in self._values.get(name, ())]


_FIELD: Final = re.compile(
    rb"[^\n]*(?:\n|\Z)(?:(?:[ \t]+\r?\n(?=[ \t]+[^ \t\r\n]))?[ \t]+[^ \t\r\n][^\n]*(?:\n|\Z))*+"  # RFC 5322 4.2
)
_NAME: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")
_FOLD: Final = re.compile(r"\r?\n[ \t]*")


def text_of_field(value: bytes, charset: str = "") -> str:
    """An unfolded field value as text: raw 8-bit bytes are UTF-8 (RFC 6532), else in `charset`."""
    if value.isascii():
        text = value.decode("ascii")
    else:
        text, _ = decode(value, charset if charset.lower().replace("_", "-") not in ("utf-8", "utf8") else "")
    if "\n" in text or "\r" in text:
        text = _FOLD.sub(" ", text.strip("\r\n")).replace("\r", " ").replace("\n", " ")
    return text.strip(" \t")


def parse_fields(block: bytes, *, most: int = 2000) -> list[tuple[str, str]]:
    """The fields in a block of header lines; a line that is none is passed over.  For returned and forwarded heads."""
    fields: list[tuple[str, str]] = []
    for found in _FIELD.finditer(block):
        line = found[0]
        if named := _NAME.match(line):
            fields.append((named[1].decode("ascii").lower(), text_of_field(line[named.end() :])))
            if len(fields) >= most:
                break
    return fields


# ── Encoded words (RFC 2047) ──

_WORD: Final = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_BETWEEN: Final = re.compile(r"(\?=)[ \t\r\n]+(?==\?[^?\s]{1,60}\?[bBqQ]\?)")


def unencode(value: str) -> str:
    """`value` with its encoded words decoded (RFC 2047), leniently: words glued to text or split within a character.

    The result is clean (`storable`) and on one line.
    """
    if "=?" in value:
        value = _BETWEEN.sub(r"\1", value)
        out: list[str] = []
        at, pending, charset = 0, b"", ""
        for found in _WORD.finditer(value):
            data = _word(found[2], found[3])
            if data is None:
                continue
            label = found[1].split("*", 1)[0].lower()
            if found.start() != at or label != charset:
                out.append(decode(pending, charset)[0])
                pending = b""
            out.append(value[at : found.start()])
            pending, charset, at = pending + data, label, found.end()
        out.append(decode(pending, charset)[0])
        out.append(value[at:])
        value = "".join(out)
    return " ".join(storable(value).split())


def _word(encoding: str, text: str) -> bytes | None:
    if encoding in "bB":
        return unbase64(text.encode("ascii", "ignore"))
    try:
        return a2b_qp(text.replace("_", " ").replace("\n", "").encode("utf-8", "replace"), header=False)
    except (BinasciiError, ValueError):
        return None


_ALPHABET: Final = re.compile(rb"[^A-Za-z0-9+/]+")


def unbase64(data: bytes) -> bytes:
    """Base64 decoded (RFC 2045 6.8) as far as it goes: other characters are skipped, missing padding is added."""
    try:
        return a2b_base64(data)
    except (BinasciiError, ValueError):
        letters = _ALPHABET.sub(b"", data)
        whole = len(letters) - (1 if len(letters) % 4 == 1 else 0)
        return a2b_base64(letters[:whole] + b"=" * (-whole % 4))


# ── Parameters (RFC 2045 5.1, RFC 2231) ──

_PARAMETER: Final = re.compile(
    r""";[;\s]*
        ([^\s=;"]+) \s*=\s*
        (?: "((?:[^"\\]|\\.)*)" | "([^;]*) | ([^;]*) )""",
    re.VERBOSE | re.DOTALL,
)
_SECTION: Final = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*)?")
_SEMICOLONS: Final = re.compile(r";[;\s]*")
_MOST_PARAMETERS: Final = 200


@lru_cache(maxsize=256)
def parameters(value: str) -> tuple[str, Mapping[str, str]]:
    """A field such as Content-Type as its value and its parameters, names in lower case; continued ones joined.

    Each part is asked about it several times, and many mails write the same.
    """
    if value.count(";") > _MOST_PARAMETERS:
        value = _SEMICOLONS.sub(";", value)
    head = value.split(";", 1)[0].strip().lower()
    plain: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for count, found in enumerate(_PARAMETER.finditer(value, len(value.split(";", 1)[0]))):
        if count >= _MOST_PARAMETERS:
            break
        quoted = found[2]
        text = re.sub(r"\\([\"\\])", r"\1", quoted) if quoted is not None else (found[3] or found[4] or "").strip()
        section = _SECTION.fullmatch(found[1].lower())
        if section is None:
            continue
        if section[2] is None and section[3] is None:
            plain.setdefault(section[1], text)
        else:
            pieces.setdefault(section[1], []).append((int(section[2] or 0), bool(section[3]), text))
    for name, parts in pieces.items():
        plain[name] = _joined(sorted(parts, key=lambda part: part[0]))
    return head, plain


def _joined(parts: list[tuple[int, bool, str]]) -> str:
    """The value that RFC 2231 cut into sections; the first extended one names the charset."""
    charset, data, out = "", b"", []
    for index, (_, extended, text) in enumerate(parts):
        if not extended:
            out.append(decode(data, charset)[0])
            data = b""
            out.append(text)
            continue
        if index == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        data += unquote_to_bytes(text)
    out.append(decode(data, charset)[0])
    return "".join(out)


# ── Message-IDs and addresses ──

_BRACKETED: Final = re.compile(r"<([^<>]{1,1200})>")
_BARE_ID: Final = re.compile(r"[^\s<>,;\"()]+@[^\s<>,;\"()]+")


def message_ids(value: str) -> tuple[str, ...]:
    """The Message-IDs in a field, in order, each once, without brackets and white space (RFC 5322 3.6.4).

    At most 100 of them: the first, which began the thread, and the last, which are nearest.
    """
    value = storable(value)
    found = [whole for inner in _BRACKETED.findall(value) if (whole := "".join(inner.split()))]
    if not found:
        found = _BARE_ID.findall(value)
    ids = list(dict.fromkeys(one for one in found if len(one) <= _KEPT_ID_LENGTH))
    return tuple(ids if len(ids) <= _KEPT_IDS else ids[:1] + ids[1 - _KEPT_IDS :])


_ADDRESS: Final = re.compile(
    r"(?<![^\s<>\"(),:;@\[\]\\])[^\s<>\"(),:;@\[\]\\]+@(?:[^\s<>\"(),:;@\[\]\\]+|\[[^\s\[\]]*\])"
)
_COMMENT: Final = re.compile(r"\([^()]*\)")


def addresses(value: str, *, most: int = 200) -> tuple[Mailbox, ...]:
    """The mailboxes in a field, read leniently: for fields that the parser proper gave up on, in linear time."""
    boxes: list[Mailbox] = []
    for item in _items(value):
        angle = item.rfind("<")
        if angle >= 0:
            inside = item[angle + 1 :].split(">", 1)[0]
            found = _ADDRESS.search(inside.replace(" ", "")) or _ADDRESS.search(item[:angle])
            name = item[:angle]
        else:
            bare = _COMMENT.sub(" ", item)
            found = _ADDRESS.search(bare)
            name = comment[0][1:-1] if (comment := _COMMENT.search(item)) else ""
        if found:
            boxes.append(Mailbox(display_name(name), address(found[0])))
        if len(boxes) >= most:
            break
    return tuple(boxes)


def _items(value: str) -> Iterator[str]:
    """Split at commas and semicolons outside of quotes and angle brackets; an unclosed quote quotes nothing."""
    quotes = value.count('"') % 2 == 0
    start, quoted, angle = 0, False, False
    for found in re.finditer(r'[",;<>]', value):
        mark = found[0]
        if mark == '"' and quotes:
            quoted = not quoted
        elif quoted:
            continue
        elif mark in "<>":
            angle = mark == "<"
        elif mark in ",;" and not angle:
            yield value[start : found.start()]
            start = found.end()
    yield value[start:]


def display_name(name: str) -> str:
    """The display name of an address as a reader would say it: decoded, without quotes, on one line, at most 200."""
    name = unencode(name).strip().strip("\"'").replace('\\"', '"').strip()
    return name[:200]


def address(spec: str) -> str:
    """An addr-spec as we keep it: no white space, lower case, at most 320 characters."""
    return "".join(storable(spec).split()).strip("<>\"',;").lower()[:320]
