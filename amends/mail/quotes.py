"""What the writer of a message added: without the quoted mail and without the signature.

mail-parser-reply finds where the quoted mail begins in the forms that mailers use; around it stands what it cannot do:
answers written into a quotation are kept, quotations by `>` go, and no stranger's text can make it run for long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

_BLANK: Final = (
    " \t\r\f\v\xa0\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # at the end of a line
)
_READ: Final = 100_000  # characters; nobody writes a longer answer, and what is quoted behind it does not count
_LIBRARY_READ: Final = 20_000
_LONG_LINE: Final = 400

# ── The forms of an attribution: a line or two that say who wrote what follows ──

_WROTE: Final = (
    r"wrote|writes|said|schrieb|schreef|a [ée]crit|[ée]crit|escribi[óo]|escreveu|ha scritto|scrisse|skrev"
    r"|kirjoitti|napisa[łl](?:\(a\)|a)?"
    r"|napsal(?:\(a\)|a)?|nap[íi]sal(?:\(a\)|a)?|[íi]rta|a scris|a écrit|va escriure|je napisao"
    r"|je napisal\(a\)|писал(?:\(а\)|а)?|пише|написал(?:\(а\)|а)?|написа|пишет"
    r"|έγραψε|yazdı|şunu yazdı|đã viết|menulis|pisze|rašė|rakstīja|napisao je|napisala je|napisala"
    r"|写道|寫道|님이 작성|作成しました|のメッセージ|כתב|كتب"
)
_ON: Final = (
    r"on|am|le|el|em|il|op|den|dne|dnia|d[ňn]a|w dniu|pe|po|на|в|ons|tir|man|tor|fre|l[øo]r|s[øo]n|on the|at"
    r"|vào|ziua|în data|mon|tue|wed|thu|fri|sat|sun"
    r"|lun|mar|mer|jeu|ven|sam|dim|m[åa]|ti|to|su|la|ke|pe|de|a|fr[åa]n"
)
_ENDS_WITH_WROTE: Final = re.compile(rf"(?:{_WROTE})(?:[^\n]{{0,80}}[:：])?\s*$", re.IGNORECASE)
_DATE: Final = re.compile(
    r"\d{1,2}[./:\-]\d{1,2}|\d{4}|\d{1,2}(?:st|nd|rd|th|\.|\. )?\s?(?:of )?[^\W\d_]{3,10}|[^\W\d_]{3,10}\.? \d{1,2}",
    re.IGNORECASE,
)
_MAIL: Final = re.compile(r"[^\s<>@]+@[^\s<>@]+\.[^\s<>@]+")
_STARTS_ON: Final = re.compile(rf"[>\s*_-]*(?:{_ON})\b", re.IGNORECASE)

_SEPARATOR: Final = re.compile(
    r"""[>\s]*(?:
      [-_=*]{2,}\s*(?:original|forwarded|reply|start\ of|begin|urspr[üu]ngliche|weitergeleitete|message\ d
        |message\ transf|original-?nachricht|mensaje|mensagem|messaggio|oorspronkelijk|doorgestuurd|oprindelig
        |videresendt|ursprungligt|vidarebefordrat
        |opprinnelig|alkuper[äa]inen|v[äa]litetty|oryginalna|wiadomo|p[ůu]vodn[íi]|p[ôo]vodn|eredeti|mesaj
          |исходное|пересланное|пересылаемое|оригинал|原始|原文|转发|轉寄|元のメッセージ|원본)[^\n]{0,60}?[-_=*]{2,}\s*
    | [-_=*]{5,}\s*original\ message[-_=*\s]*
    | [-_=*]{1,}\s*reply\ message\s*[-_=*]{3,}[^\n]*
    | begin\ forwarded\ message\s*: | (?:anfang\ der\ weitergeleiteten\ nachricht
      |d[ée]but\ du\ message\ (?:transf[ée]r[ée]|r[ée]exp[ée]di[ée])|inicio\ del\ mensaje\ reenviado
      |inizio\ messaggio\ inoltrato|begin\ doorgestuurd\ bericht|in[íi]cio\ da\ mensagem\ (?:reencaminhada
      |encaminhada))\s*:
    | -{3,}\s*(?:original\ message|reply\ (?:above|message))\s*-{0,}\s*
    | [-=_*\#\s]{0,20}(?:please\ )?(?:type\ your\ reply|write\ (?:your\ reply|above)|reply|respond
      |antwort\w*)\b[^\n]{0,40}\b(?:above|[üu]ber|below)\b[^\n]{0,20}\bline\b[^\n]{0,40}
    | [-=_*\#]{2,}\s*(?:please\ )?(?:reply|type\ your\ reply)\ above\ this\ line\s*[-=_*\#]*\s*
    )$""",
    re.IGNORECASE | re.VERBOSE,
)
_RULE: Final = re.compile(r"\s*(?:_{10,}|-{20,}|={20,})\s*$")

_FROM: Final = (
    r"from|von|de|da|van|fra|fr[åa]n|l[äa]hett[äa]j[äa]|od|felad[óo]|от|від|发件人|寄件者|寄件人"
    r"|差出人|보낸\s?사람|de la|kimden|από|expéditeur|remitente|mittente|afzender|avsändare|absender|从"
)
_OTHERS: Final = (
    r"sent|to|cc|bcc|subject|date|reply-to|organization|importance|attachments|gesendet|an|betreff|datum|kopie"
    r"|antwort an|envoy[ée]|[àa]|objet|cc|date|copie|enviado(?: el)?|enviada(?: em)?|para|asunto|assunto|fecha|data"
    r"|inviato|a|oggetto|verzonden|aan|onderwerp|sendt|til|emne|dato|skickat|till|[äa]mne|l[äa]hetetty"
    r"|vastaanottaja|aihe|p[äa]iv[äa]m[äa][äa]r[äa]|kopio|wys[łl]ano|do|temat|odesl[áa]no|komu|p[řr]edm[ěe]t"
    r"|kopia|odoslan[ée]|predmet"
    r"|k[üu]ldve|c[íi]mzett|t[áa]rgy|отправлено|кому|тема|дата|копия|发送时间|收件人|主题|日期|抄送|寄件日期|傳送時間|主旨|副本|送信日時|宛先"
    r"|件名|보낸\s?날짜|받는\s?사람|제목|참조|trimis|c[ăa]tre|subiect|g[öo]nderildi|kime|konu|tarih"
    r"|στάλθηκε|προς|θέμα|ημερομηνία|κοιν|надіслано|копія|elk[üu]ldve|m[áa]solat|trimis[ăa]?|收件者|主題|件名"
)
_HEAD_LINE: Final = re.compile(
    rf"[>\s]*[*_]{{0,2}}(?:({_FROM})|({_OTHERS}))\s?[*_]{{0,2}}\s?[:：]\s?[*_]{{0,2}}\s*(.*)$", re.IGNORECASE
)


def new_text(text: str, languages: Sequence[str] = ()) -> str:
    """`text` as its writer wrote it: without quoted mail, without a signature.

    Answers between the lines of a quotation are kept.  A message that only quotes another gives "".
    Never raises; takes time linear in the length of the text.
    """
    text = text[:_READ].replace("\u200b", "")
    lines = [line.rstrip(_BLANK) for line in text.split("\n")]
    if not _may_quote(text):
        return _trimmed(_without_signature(lines))
    attributed = _attributions(lines)
    end = _end_of_new(lines, attributed, languages)
    kept = _without_quoted(lines[:end], attributed)
    return _trimmed(_without_signature(kept))


_HINT: Final = re.compile(
    r"^[ \t]*>|[:：][ \t]*$|^[ \t]*[-_=*#]{2,}|[:：][ \t]{0,9}\S{1,200}@|^[ \t*>]{0,20}[^\n:：]{1,24}[:：]",
    re.MULTILINE,
)


def _may_quote(text: str) -> bool:
    return _HINT.search(text) is not None


# ── Where the quoted mail begins ──


def _end_of_new(lines: list[str], attributed: Mapping[int, int], languages: Sequence[str]) -> int:
    """The number of lines before the mail that is quoted whole below the answer (or all of them)."""
    at, written = 0, False
    while at < len(lines):
        line = lines[at]
        if not line.strip() or len(line) > 2000:
            at += 1
            continue
        if count := attributed.get(at, 0):
            if written and not _answered_below(lines, at + count):
                return at
            at += count  # the quotation stands above the answer, or the answers within it
            continue
        if _begins_quoted(lines, at):
            return at
        written = written or not line.lstrip().startswith(">")
        at += 1
    return min(len(lines), _library_end(lines, languages))


def _begins_quoted(lines: list[str], at: int) -> bool:
    line = lines[at].lstrip("> \t")
    if not line:
        return False
    if (line[0] in "-_=*#" or line.endswith((":", "：")) or "line" in line) and _SEPARATOR.match(line):
        return True
    if line[0] in "-_=" and _RULE.match(line):
        return _is_head(lines, _next_line(lines, at + 1))
    return _is_head(lines, at)


def _next_line(lines: list[str], at: int) -> int:
    while at < len(lines) and not lines[at].strip():
        at += 1
    return at


_COLON: Final = re.compile("[:：]")


def _is_head(lines: list[str], at: int) -> bool:
    """Whether the head of a mail, as Outlook and others quote it, begins here: From, and two more, one with a value."""
    if at >= len(lines) or len(lines[at]) > 500 or not _COLON.search(lines[at], 0, 60):
        return False
    first = _HEAD_LINE.match(lines[at])
    if first is None:
        return False
    names: set[str] = set()
    came_from = bool(first[1]) or ("@" in first[3])
    mail = "@" in lines[at]
    misses = 0
    for line in lines[at : at + 14]:
        found = _HEAD_LINE.match(line[:500])
        if found is None:
            if not line.strip() and len(names) >= 3:
                break
            misses += 1
            if misses > 3:
                break
            continue
        names.add((found[1] or found[2]).lower())
        came_from = came_from or bool(found[1])
        mail = mail or "@" in line
    return came_from and bool(first[1] or mail) and (len(names) >= 3 or (len(names) >= 2 and mail and bool(first[1])))


_LOOKED_AT: Final = 500  # lines that end in a colon; a mail that quotes more is no letter


def _attributions(lines: list[str]) -> dict[int, int]:
    """Where the lines stand that say who wrote what follows, and how many they are: number of the first, count."""
    found: dict[int, int] = {}
    last, looked = -1, 0
    for end, line in enumerate(lines):
        if not line or len(line) > 500 or not _may_attribute(lines, end):
            continue
        looked += 1
        if looked > _LOOKED_AT:
            break
        for start in range(max(last + 1, end - 3), end + 1):
            joined = " ".join(piece.strip().lstrip("> ") for piece in lines[start : end + 1]).strip()
            whole = all(piece.strip() for piece in lines[start : end + 1]) and len(joined) <= 500
            if not (whole and _ATTRIBUTED_START.match(lines[start])):
                continue
            if _is_attribution(joined, quoted_next=_quoted_next(lines, end + 1)):
                found[start] = end - start + 1
                last = end
                break
    return found


def _may_attribute(lines: list[str], end: int) -> bool:
    line = lines[end]
    return (
        line.endswith((":", "："))
        or ("@" in line and _YEAR.search(line) is not None)
        or "GMT" in line
        or (
            not line.lstrip().startswith(">")
            and _quoted_next(lines, end + 1)
            and _WROTE_AT_END.search(line) is not None
        )
    )


_YEAR: Final = re.compile(r"\d{4}")
_ATTRIBUTED_START: Final = re.compile(rf"[>\s*_]*(?:(?:{_ON})\b|\d|[^\n]{{0,200}}(?:<|@|(?:{_WROTE})))", re.IGNORECASE)
_BARE: Final = re.compile(
    r"\d{4}[-/.年]\s?\d{1,2}[-/.月]\s?\d{1,2}.{0,80}<[^\s<>@]+@[^\s<>@]+>.{0,20}$"  # 2013/7/20 Ann <ann@example.org>
    r"|\d{4}-\d\d-\d\d \d{1,2}:\d\d GMT[+-]\d\d:\d\d .{2,80}$"
    r"|.{0,80}<[^\s<>@]+@[^\s<>@]+>\s?(?:on|am)?.{0,60}\d{4}.{0,30}[:：]$"
)
_WROTE_AT_END: Final = re.compile(rf"(?:{_WROTE})$", re.IGNORECASE)


def _is_attribution(joined: str, *, quoted_next: bool) -> bool:
    if _BARE.match(joined):
        return True
    if not joined.endswith((":", "：")) and not (quoted_next and _WROTE_AT_END.search(joined)):
        return False
    dated, mail = bool(_DATE.search(joined)), bool(_MAIL.search(joined))
    begins = bool(_STARTS_ON.match(joined)) or joined[:1].isdigit()
    if not _ENDS_WITH_WROTE.search(joined):
        return dated and mail and (begins or quoted_next)
    return (begins and (dated or mail)) or (dated and mail) or (quoted_next and (dated or mail or len(joined) < 120))


def _quoted_next(lines: list[str], at: int) -> bool:
    at = _next_line(lines, at)
    return at < len(lines) and lines[at].lstrip().startswith(">")


def _answered_below(lines: list[str], at: int) -> bool:
    """Whether the writer's own lines follow within or below a quotation by `>` that begins here."""
    begin = _next_line(lines, at)
    if begin >= len(lines) or not lines[begin].lstrip().startswith(">"):
        return False
    wrapped = True  # a line that broke off its quoted one
    for index in range(begin, len(lines)):
        line = lines[index].strip()
        if line.startswith(">"):
            wrapped = True
            continue
        if not line:
            wrapped = False
            continue
        if _SIGNATURE.match(lines[index]) or _is_sent_from(lines[index]) or _begins_quoted(lines, index):
            return False
        if not wrapped:
            return True
        wrapped = len(lines[index - 1]) > 60 and len(line) < 30
        if not wrapped:
            return True
    return False


def _library_end(lines: list[str], languages: Sequence[str]) -> int:
    """The line at which mail-parser-reply sees quoted mail begin, if what it sees bears a look.

    Its expressions are quadratic in a line and take a list of dates for a head: it gets short lines, and is believed
    only where the lines hold an address.
    """
    sample = "\n".join(line.strip()[:_LONG_LINE] for line in lines)[:_LIBRARY_READ]
    if not _LIBRARY_HINT.search(sample) or sample.count(":") > 400:
        return len(lines)
    from mailparser_reply import EmailMessage
    from mailparser_reply.constants import MAIL_LANGUAGES

    known = [one for tag in languages if (one := tag.lower()[:2]) in MAIL_LANGUAGES] or ["en", "de", "fr"]
    for reply in EmailMessage(text=sample, languages=known).read().replies:
        if reply.headers and _MAIL.search(reply.headers):
            head = reply.headers.split("\n", 1)[0].strip()
            at = next((index for index, line in enumerate(lines) if line.strip()[:_LONG_LINE] == head), len(lines))
            written = any(line.strip() and not line.lstrip().startswith(">") for line in lines[:at])
            return at if written else len(lines)
    return len(lines)


_LIBRARY_HINT: Final = re.compile(r"@[^\n]*[:：][ \t]*$|^[* ]*[^\W\d_]{2,12}[:：][^\n]*@", re.MULTILINE)


# ── Quotations line by line ──


def _without_quoted(lines: list[str], attributed: Mapping[int, int]) -> list[str]:
    """The lines that are no quotation, without the attributions that stand above one.

    What is quoted without a word about whose it is stays where the writer goes on from it, or wrote nothing else:
    it may be a contract or a promise.
    """
    if not any(at < len(lines) for at in attributed) and _own_quotation(lines):
        return lines
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if at in attributed:
            at += attributed[at]
            continue
        if line.lstrip().startswith(">") and not line.lstrip().startswith(">:"):
            if kept and kept[-1].strip():
                kept.append("")
            at += 1
            continue
        kept.append(line)
        at += 1
    return kept


def _own_quotation(lines: list[str]) -> bool:
    lines = _without_signature(lines)
    said = [at for at, line in enumerate(lines) if line.strip()]
    quoted = [at for at in said if lines[at].lstrip().startswith(">")]
    return bool(quoted) and (quoted[-1] != said[-1] or len(quoted) == len(said))


# ── Signatures ──

_SIGNATURE: Final = re.compile(r"\s*(?:--\s?|__|—|--\s?\xa0)\s*$")
# What telephones and mail programs add below a mail, each line by itself.
_DEVICE: Final = (
    r"(?:i-?(?:phone|pad|pod)|android|galaxy|samsung|blackberry|windows|outlook|huawei|xiaomi|nokia|htc|sony"
    r"|smart-?phone|(?:cell|mobile?|hand)\b|mobil|handy|tablet|t[ée]l[ée]ph?one|telef[oó]n|мобильн|телефон)"
)
_SENT_FROM: Final = re.compile(
    rf"""[*_<\[(-]{{0,8}}\ ?(?:
      sent\ (?:from|via|with|using)\ (?![^\n]{{0,40}}\b(?:deliver|post\b|letter|copy\b))[^\n]{{1,100}}
    | sent\ (?:by|on)\ (?:the\ )?(?:my\ )?(?:go|move|sprint|{_DEVICE})[^\n]{{0,60}} | from\ my\ {_DEVICE}[^\n]{{0,30}}
    | get\ \[?outlook\ for\ [^\n]{{1,80}} | (?:diese\ nachricht\ wurde\ )?(?:von|mit)\ mein(?:em|er)\ [^\n]{{1,80}}
      \ (?:gesendet|geschickt) | gesendet\ (?:von|mit|[üu]ber)\ [^\n]{{1,80}}
    | outlook\ f[üu]r\ \S{{1,9}}\ herunterladen
    | (?:envoy[ée]|exp[ée]di[ée])\ (?:depuis|de|avec|[àa]\ partir\ de)\ (?:(?:mon|ma|l[ea'])\b|{_DEVICE})[^\n]{{0,80}}
      | (?:t[ée]l[ée]charger|obtenez)\ outlook\ pour[^\n]{{1,80}}
    | enviado\ (?:desde|do|de|a\ partir\ d[oe]|pelo)\ (?:mi|meu|el|o|un|minha)\ ?[^\n]{{1,80}}
      | (?:enviado|enviada)\ (?:desde|do|com|con)\ {_DEVICE}[^\n]{{0,60}}
      | (?:obtener|obter|descargar|ottieni|scarica|h[äa]mta|hent|f[åa]|pobierz|z[íi]skat)
      \ outlook\ \S{{2,4}}\ [^\n]{{1,80}}
    | inviato\ (?:da|dal|con)\ [^\n]{{1,80}} | (?:verzonden|verstuurd)\ (?:vanaf|met|via|vanuit)\ [^\n]{{1,80}}
    | sendt\ fra\ (?:min|mitt?|{_DEVICE})\b[^\n]{{0,80}} | skickat\ fr[åa]n\ (?:min|mitt|{_DEVICE})\b[^\n]{{0,80}}
    | l[äa]hetetty\ [^\n]{{1,60}} | saadetud\ minu\ [^\n]{{1,40}} | wys[łl]ane\ z\ [^\n]{{1,80}}
    | (?:odesl[áa]no|odoslan[ée])\ z[eo]?\ [^\n]{{1,80}} | trimis\ (?:de\ pe|de\ la|din)\ [^\n]{{1,60}}
    | elk[üu]ldve\ az?\ (?:én\ )?{_DEVICE}[^\n]{{0,40}} | poslano\ (?:z|sa?|iz)\ [^\n]{{1,60}}
    | (?:отправлено|надіслано|изпратено)\ (?:с|со|из|з|зі|от)\ [^\n]{{1,80}} | στάλθηκε\ από\ [^\n]{{1,60}}
    | [^\n]{{0,20}}{_DEVICE}[^\n]{{0,20}}\ gönderildi | đã\ gửi\ từ\ [^\n]{{1,40}} | dikirim\ dari\ [^\n]{{1,40}}
    | (?:发自|發自)我的[^\n]{{1,40}} | (?:从|從)我的[^\n]{{1,40}}(?:发送|傳送|寄出)
    | [^\n]{{0,10}}{_DEVICE}(?:から送信|에서\ 보냄)[^\n]{{0,10}} | נשלח\ מה?[^\n]{{1,40}} | أرسلت\ من\ [^\n]{{1,40}}
    )[*_>\])\s.!-]{{0,8}}$""",
    re.IGNORECASE | re.VERBOSE,
)
_SENT_FROM_LONGEST: Final = 160  # characters


def _is_sent_from(line: str) -> bool:
    return len(line) <= 1000 and len(bare := line.strip()) <= _SENT_FROM_LONGEST and _SENT_FROM.match(bare) is not None


_CLOSING_LINES: Final = 30  # a block behind `-- ` that is longer is no signature


def _closing(lines: list[str]) -> int:
    """The first line behind which at most so many lines stand as a signature may have."""
    left = _CLOSING_LINES
    for at in range(len(lines) - 1, -1, -1):
        if lines[at].strip():
            left -= 1
        if left < 0:
            return at
    return 0


def _without_signature(lines: list[str]) -> list[str]:
    """Cut what stands behind the signature's delimiter (RFC 3676 4.3), and the line that a telephone adds."""
    first = _next_line(lines, 0)
    for at in range(max(first + 1, _closing(lines)), len(lines)):
        if _SIGNATURE.match(lines[at]):
            lines = lines[:at]
            break
    end = len(lines)
    while end and lines[end - 1].strip() in ("", "\u1427"):  # a tracker of mails leaves this mark
        end -= 1
    while end and _is_sent_from(lines[end - 1]) and any(line.strip() for line in lines[: end - 1]):
        end -= 1
        while end and (not lines[end - 1].strip() or _SENT_RULE.match(lines[end - 1])):
            end -= 1
    return lines[:end]


_SENT_RULE: Final = re.compile(r"\s*[-_]{2,}\s*$")


def _trimmed(lines: list[str]) -> str:
    out: list[str] = []
    for line in lines:
        if line.strip() or (out and out[-1]):
            out.append(line.rstrip())
    return "\n".join(out).strip("\n")
