"""Mail that came back: which recipients failed, for good or for now, and which letter of ours it was.

Reports of the standard form are read by RFC 3464; for the others, which mail servers wrote before it or beside it, a
message counts as a bounce only if at least two independent signs agree.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from amends.mail.facts import Mailbox
from amends.mail.fields import Fields, address, message_ids, parameters, parse_fields
from amends.mail.parts import Contents

RECIPIENTS_KEPT: Final = 200
_READ: Final = 40_000  # characters of a report's text; what matters stands at its beginning


@dataclass(frozen=True, slots=True)
class Bounce:
    """A message that says that mail was not, or not yet, delivered.

    `permanent` is False for a delay or a failure that passes; `gave_up` is False for a delay.
    `message_ids` are those of the mail that came back.
    """

    recipients: tuple[str, ...]
    permanent: bool
    gave_up: bool
    message_ids: tuple[str, ...]


def bounce(fields: Fields, contents: Contents, sender: Mailbox, subject: str, text: str) -> Bounce | None:
    """What the message says of undelivered mail; None if it is no bounce."""
    statuses = [report for status in contents.statuses for report in _reports(status)]
    actions = {report.action for report in statuses if report.action}
    if actions and actions <= _SUCCESS:
        return None  # a receipt: it was delivered (RFC 3464 2.3.3)
    if not (_is_report(fields, contents, statuses) or _looks_returned(fields, contents, sender, subject, text)):
        return None
    told = _without_returned(text[:_READ])
    permanent, gave_up = _failure(statuses, subject, told)
    recipients = _recipients(fields, contents, statuses, told, text)
    return Bounce(recipients, permanent, gave_up, _returned_ids(fields, contents, text))


# ── Reports of the standard form ──

_SUCCESS: Final = frozenset({"delivered", "relayed", "expanded", "delivered-to-mailbox"})


@dataclass(frozen=True, slots=True)
class _Report:
    """One per-recipient group of a delivery status (RFC 3464 2.3)."""

    original: str
    final: str
    action: str
    status: str
    diagnostic: str


def _reports(status: str) -> Iterator[_Report]:
    """The per-recipient groups of a delivery status; one without a recipient's field is the message's own."""
    groups = re.split(r"\n[ \t]*\n", status[:_READ].strip("\n"), maxsplit=RECIPIENTS_KEPT * 2)
    for group in groups:
        fields = Fields(parse_fields(group.encode("utf-8", "replace")))
        original = _typed_address(fields.first("original-recipient"))
        final = _typed_address(fields.first("final-recipient", "x-actual-recipient", "failed-recipient"))
        actual = _typed_address(fields.first("x-actual-recipient"))
        action = fields.first("action").lower().split("(", 1)[0].split(";", 1)[0].strip().split(" ", 1)[0]
        if original or final or actual or action:
            diagnostic = " ".join(fields.every("diagnostic-code", "x-supplementary-info", "x-notes"))
            yield _Report(original, final or actual, action, fields.first("status"), diagnostic)


_ADDRESS: Final = re.compile(
    r"(?<![^\s<>\"(),:;@\[\]\\'`])[^\s<>\"(),:;@\[\]\\'`]+@(?:[^\W_](?:[\w.-]*[^\W_])?|\[[\d.:a-fA-F]+\])"
)


def _typed_address(value: str) -> str:
    """The address in `rfc822; user@example.org` (RFC 3464 2.3.1), however it is dressed; "" if there is none."""
    kind, semicolon, typed = value.partition(";")
    typed = typed if semicolon else kind
    if "X400" in kind.upper() or "x500" in kind.lower():
        return ""
    typed = typed.strip().strip("<>\"' ")
    if found := _ADDRESS.search(typed.replace("<", " ").replace(">", " ")):
        return address(found[0])
    return ""


def _is_report(fields: Fields, contents: Contents, statuses: list[_Report]) -> bool:
    if statuses:
        return True
    media_type, given = parameters(fields.first("content-type"))
    reported = media_type == "multipart/report" and given.get("report-type", "").lower() == "delivery-status"
    return (reported or bool(contents.statuses)) and not contents.notified and not contents.feedback


# ── Signs of the others ──

_DAEMON: Final = re.compile(
    r"(?:mailer[-_]?daemon|mail[-_.]?daemon|postmaster|postmast|mdaemon|bounces?|mailbounce)(?:[-_+=].*)?",
    re.IGNORECASE,
)
# Persons write from these too.
_PERHAPS_DAEMON: Final = re.compile(
    r"(?:daemon|mail(?:er)?|delivery|mail-?admin|smtpd?|administrator|sysadmin|admin|system|no-?reply|mmdf|uucp|exchange"
    r"|mxgateway)(?:[-_+=].*)?",
    re.IGNORECASE,
)
_DAEMON_NAME: Final = re.compile(
    r"mail(?:er)?[- ]?(?:daemon|delivery|administrator|system|server)|delivery (?:sub)?system|postmaster"
    r"|system administrator"
    r"|mail(?:box)? (?:router|gateway)|mailserver|internet mail delivery|e-?mail (?:system|server)"
    r"|mailer-daemon|virtual.?mail",
    re.IGNORECASE,
)
_SUBJECTS: Final = re.compile(
    r"""\s*(?:\[[^\]]{0,60}\]\s*)?(?:\**\s*)(?:
      undeliver(?:able|ed)\b | un-?deliverable | (?:non|not)[- ]?deliver(?:y|ed|able) | nondeliverable
    | (?:mail|message|e-?mail|your\ (?:mail|message|e-?mail))?\W{0,3}(?:delivery|deliver)\W{0,3}\s*(?:status
      |failure|failed|fail|problem|error|notif|report|delay|incomplete|warning|unsuccess|impossible|has\ failed|could)
    | (?:delivery|transmission)\ (?:status\ )?(?:notification|report|failure|problem|error|delay|has\ been
      |is\ delayed)
    | failure\ (?:notice|notification|delivery|to\ deliver) | failed\ (?:mail|delivery|message|to\ deliver
      |recipient) | delayed\ (?:mail|delivery)
    | (?:returned|return(?:ing)?)\ (?:mail|message|e-?mail|to\ sender) | (?:mail|message|e-?mail)\ (?:could\ not
      |delivery|not\ deliver|returned|undeliver|status|system\ error|error|failure|delay|rejected|bounce)
    | mail\ (?:failure|error|routing\ error|condition\ is) | (?:rejected|bounced)\ (?:mail|message|e-?mail
      |posting) | message\ status\ -\ undeliverable
    | warning\W{1,3}\s*(?:(?:could\ not|cannot|unable)\ (?:be\ )?(?:send|deliver|sent)|message|e-?mail|delayed
      |.*\bstill\ (?:un|not|trying)) | unable\ to\ deliver | could\ not\ (?:be\ )?(?:send|deliver)
    | (?:unzustellbar|nicht\ zustellbar|unzustellbare|nachricht\ (?:konnte\ )?nicht\ zu(?:gestellt|stellbar)
      |zustell(?:fehler|problem|status)|fehler\ bei\ der\ zustellung|benachrichtung\ zum\ [üu]bermittlungsstatus
      |benachrichtigung\ [üu]ber\ den\ zustellstatus)
    | (?:non\ remis|non-remise|message\ non\ (?:distribu|remis)|[ée]chec\ de\ (?:la\ )?(?:remise|distribution)
      |rapport\ de\ non-remise|undelivr|notification\ d'[ée]tat\ de\ (?:la\ )?remise)
    | (?:no\ se\ puede\ entregar|no\ entregado|correo\ devuelto|mensaje\ devuelto|notificaci[óo]n\ (?:sobre\
      |de\ )?(?:el\ )?(?:estado|error)\ de\ (?:la\ )?entrega|error\ de\ entrega|n[ãa]o\ entreg(?:ue|ável)
      |falha\ (?:na|de)\ entrega|mensagem\ devolvida)
    | (?:impossibile\ recapitare|mancato\ recapito|messaggio\ non\ recapitato|recapito\ non\ riuscito
      |onbestelbaar|niet\ bestelbaar|kan\ niet\ (?:worden\ )?(?:afgeleverd|bezorgd)|olevererbart
      |kunde\ inte\ levereras|kan\ ikke\ leveres|ikke\ leverbar|toimittamatt?on|niedostarczon|nie\ dostarczono
      |nedoru[čc]iteln)
    | (?:не\ доставлен|недоставлен|не\ удалось\ доставить|配信(?:不能|できません|エラー|失敗)
      |送信(?:エラー|失敗)|メール(?:配信)?エラー|无法投递
      |退信|无法传递|傳遞失敗|배달(?:되지|\ 못)|전송\ ?실패)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_INTRO: Final = re.compile(
    r"""(?:
      this\ is\ the\ (?:qmail|mail\s*delivery|mail\s*system|postfix|courier|machine\ generated|exim)
        |qmail-send\ program
    | (?:this\ message\ was\ )?created\ automatically\ by\ (?:the\ )?(?:mail|smtp)\s*delivery\s*(?:software|system)
    | the\ original\ message\ was\ (?:received|not\ delivered) | was\ not\ (?:successfully\ )?(?:delivered
      |reach)\b | (?:has|have)\ (?:not\ )?been\ (?:returned|rejected|undeliver)
    | (?:could|can)\s?(?:not|n't)\ (?:be\ )?(?:deliver|send|sent|reach|relay) | (?:was|were|is
      |are)\ un(?:deliverable|able\ to\ be\ delivered) | not\ (?:been\ )?(?:able\ to\ be\ )?delivered
      | not\ deliverable
    | (?:did|does|do|has|have)\ not\ reach | unable\ to\ (?:deliver|be\ delivered|send|relay
      |complete\ delivery) | un-?deliver(?:able|ed)\b
    | permanent\ (?:fatal\ )?(?:error|failure) | transient\ non-fatal | delivery\ (?:(?:to\ the\ following
      |attempt|of\ (?:the|your|this))|has\ failed|failed|failure|status|problem|error|report|is\ delayed|delayed
      |temporarily)
    | (?:your|the)\ (?:e-?mail\ )?(?:message|mail|e-?mail)\b.{0,120}\b(?:(?:returned|rejected|refused|bounced
      |undeliverable|cannot|failed)\b|(?:un|not\ be\ |not\ been\ |not\ )?deliver)
    | (?:no|unknown)\ such\ (?:user|recipient|mailbox|address) | (?:user|recipient|mailbox
      |address)\s(?:is\ )?(?:unknown|not\ (?:found|exist)|unavailable|disabled|does(?:\ not|n't)\ exist)
      | (?:user|recipient|address(?:ee)?|mailbox|account)\b.{0,60}\b(?:unknown|does\ not\ exist|not\ found
      |not\ listed|over\ quota|full|disabled|inactive|invalid)
    | (?:over|exceed\w*)\ (?:\w+\ )?(?:quota|storage|limit) | mailbox\ (?:is\ )?full | rejected\ by
      | (?:returned|returning)\ (?:mail|message|to\ sender)
    | (?:smtp|remote)\ (?:error|server)|\b5[0-9]{2}[\s-]5\.\d\.\d{1,3}\b | \b(?:still\ )?(?:being\ )?(?:retried
      |keep\ trying|undelivered\ after)
    | nicht\ zu(?:gestellt|stellbar)|konnte\ (?:nicht|an)|konnten\ nicht|non\ (?:[eè]\ stato|distribu|remis)
      |n'a\ pas\ (?:pu|[ée]t[ée])|no\ (?:se\ )?(?:ha|pudo)\ |n[ãa]o\ (?:p[ôo]de|foi)|не\ (?:может|удалось|был)
      |配[信送]|送信できません|届けられません|退回|无法
    )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def _looks_returned(fields: Fields, contents: Contents, sender: Mailbox, subject: str, text: str) -> bool:
    """Whether a message without a report's form is a bounce: two independent signs, one of them no mere phrase."""
    if fields.first("x-failed-recipients"):
        return True
    if fields.first("x-mlserver") and _LIST_ALARM.match(subject):
        return True
    if contents.notified or contents.feedback:
        return False
    local = sender.address.rpartition("@")[0] or sender.address
    path = fields.first("return-path").strip()
    daemon = bool(_DAEMON.fullmatch(local) or _DAEMON_NAME.search(sender.name) or _DAEMON_PATH.match(path))
    perhaps = not sender.address or bool(_PERHAPS_DAEMON.fullmatch(local))
    titled = bool(_SUBJECTS.match(subject))
    if not (daemon or perhaps or titled):
        return False
    told = _without_returned(text[:_READ])
    says = bool(_INTRO.search(" ".join(told[:3000].split())))
    if _SUBJECT_OF_ANSWER.match(subject):
        return titled and says and daemon and _technical(contents, told, text)
    if daemon:
        return titled or (says and bool(_ADDRESS.search(told)))
    return says and (titled or bool(_ADDRESS.search(told))) and _technical(contents, told, text)


def _technical(contents: Contents, told: str, text: str) -> bool:
    """Whether it brings the mail back, or the words of a server: a person who complains of a parcel has neither."""
    brought = bool(contents.enclosed or contents.returned) or len(told) < len(text[:_READ])
    return brought or any(words.search(told) for words in (_STATUS, _REPLY, _REPORT_TITLE))


_REPORT_TITLE: Final = re.compile(r"\b(?:non[- ]?delivery|delivery status) (?:report|notification)\b", re.IGNORECASE)


_DAEMON_PATH: Final = re.compile(r"< *>|<?\s*(?:mailer-daemon|postmaster)\b", re.IGNORECASE)
# A list server that sends a posting back.
_LIST_ALARM: Final = re.compile(
    r"\s*(?:\[[^\]]{0,40}\]\s*)?(?:loop alert|fml (?:fatal|error)|not member|permission|rejected?)\b", re.IGNORECASE
)
_SUBJECT_OF_ANSWER: Final = re.compile(
    r"\s*(?:(?:re|aw|sv|fwd?|wg|tr)\s*:|out of|auto|abwesen|absen|vacation|réponse auto|risposta|resposta auto"
    r"|respuesta auto)",
    re.IGNORECASE,
)


# ── Recipients ──

_ORIGINAL_BEGINS: Final = re.compile(
    r"""^[ \t>*=_-]*(?:
      (?:[-=*]+\s*)?(?:below\ this\ line\ is|this\ is\ a\ copy\ of|the\ following\ is\ (?:a\ copy\ of\ )?
        |here\ is\ (?:a\ copy\ of\ )?|(?:the\ )?(?:header|text|first\ \d+\ lines?|body|contents?)s?\ (?:of
        |from)\ (?:the|your)\ (?:original\ )?(?:message|mail|e-?mail))
    | (?:[-=*_]+\s*)(?:(?:begin(?:ning)?\ )?(?:of\ )?(?:returned|original|undelivered|unsent|failed|forwarded
      |copy\ of)\b.{0,40}?(?:message|mail|e-?mail|header|text)s?|message\ header|unsent\ message)
    | (?:original|returned|undelivered|unsent|rejected|old)\ (?:message|mail|e-?mail)(?:\ (?:follows|header|headers
      |text|below|attached|details?|info\w*))?\s*[:.-]*\s*$
    | (?:original\ )?message\ (?:headers?|follows|text|contents?)\s*[:.]?\s*$
    | (?:received|return-path|x-received|dkim-signature|mime-version|x-mailer|delivered-to|content-type)\s*:\s
    )""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)


def _without_returned(text: str) -> str:
    """The report's own words: what stands before the mail that it brings back."""
    for found in _ORIGINAL_BEGINS.finditer(text):
        if text[: found.start()].strip():
            return text[: found.start()]
    return text


_LABELLED: Final = re.compile(
    r"""^[ \t>*|-]*(?:(?:failed|final|original|intended|invalid|bad|unknown|undeliverable|the)?\s*(?:recipient
      |addressee|address|user|mailbox|account|to|e-?mail(?:\ address)?|destinataire|empf[äa]nger|destinatario)s?
      (?:\ (?:address|name|is|list|failed|not\ reached))?)\s*[:=]\s*(?:rfc822\s*;\s*)?["'<(]*("""
    + _ADDRESS.pattern
    + r")",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_ALONE: Final = re.compile(
    r"^[ \t>*|-]*(?:\d+[.)]\s*)?[\"'<(\[]*("
    + _ADDRESS.pattern
    + r")[\"'>)\]]*\s*(?:[:;,.]|\.\.\.|$|-|\(|\s{2,}|\t|\s)",
    re.MULTILINE,
)
_FINAL: Final = re.compile(
    r"^[ \t>]*(?:final|original)-recipient\s*:\s*(?:rfc822\s*;)?\s*<?(" + _ADDRESS.pattern + ")",
    re.IGNORECASE | re.MULTILINE,
)
_RCPT: Final = re.compile(r"\bRCPT(?: TO)?:\s*<?(" + _ADDRESS.pattern + ")", re.IGNORECASE)


def _recipients(fields: Fields, contents: Contents, statuses: list[_Report], told: str, text: str) -> tuple[str, ...]:
    """The addresses that failed: of the report's groups, else of the header, else of its words, else of the mail."""
    named: list[str] = []
    for report in statuses:
        if report.action in _SUCCESS:
            continue
        named.extend(one for one in (report.original, report.final) if one)
        if not (report.original or report.final):
            named.extend(_found(_ADDRESS, report.diagnostic))
    named.extend(_found(_ADDRESS, " ".join(fields.every("x-failed-recipients", "x-failed-to", "x-failed-recipient"))))
    named = named or _found(_FINAL, told)
    daemons, us = _not_recipients(fields)
    named = named or _told_recipients(told, daemons | us, fields) or _told_listed(told, daemons)
    if not named:
        named = [one for one in _found(_ADDRESS, _returned_to(contents, text)) if one not in daemons | us]
    return tuple(dict.fromkeys(named))[:RECIPIENTS_KEPT]


def _found(pattern: re.Pattern[str], text: str) -> list[str]:
    group = 1 if pattern.groups else 0
    return [address(found[group]) for found in pattern.finditer(text)][: RECIPIENTS_KEPT * 2]


def _not_recipients(fields: Fields) -> tuple[set[str], set[str]]:
    """The addresses that the report comes from, and those that it goes to: neither is what failed, as a rule."""
    daemons = fields.every("from", "sender", "return-path", "reply-to")
    us = fields.every("to", "delivered-to", "x-original-to", "envelope-to", "cc")
    return _all_found(daemons), _all_found(us)


def _all_found(values: list[str]) -> set[str]:
    return {one for value in values for one in _found(_ADDRESS, value)}


_OTHERS: Final = re.compile(r"(?:postmaster|mailer-daemon|abuse|help-?desk|support|hostmaster|mailer)@", re.IGNORECASE)
# The line that says that what follows failed; the addresses stand in the next paragraph.
_FOLLOW: Final = re.compile(
    r"^.*(?:recipient|address|addressee|user|destination|mailbox|people|person|empf[\xe4a]nger|adress"
    r"|destinat)[\w()/]*"
    r"(?:.{0,200})?[:.]?[ \t]*\n(?:[ \t]*\n)?",
    re.IGNORECASE | re.MULTILINE,
)
_LOCAL_ALONE: Final = re.compile(r"[ \t]+([A-Za-z0-9][\w.-]{1,63})[ \t]*")


def _told_recipients(told: str, not_these: Collection[str], fields: Fields) -> list[str]:
    """The addresses that the report's words name, by the surest form that it uses."""

    def others(found: Iterable[str]) -> list[str]:
        return [one for one in found if one not in not_these and not _OTHERS.match(one)]

    if found := others(_found(_RCPT, told)):
        return found
    for found_line in _FOLLOW.finditer(told[:8000]):
        following = told[found_line.end() :].split("\n\n", 1)[0]
        if found := others(_found(_ALONE, following[:2000])):
            return found + others(_found(_ALONE, told))
        if (bare := _LOCAL_ALONE.fullmatch(following.split("\n", 1)[0])) and (domain := _daemon_domain(fields)):
            return [f"{bare[1].lower()}@{domain}"]
    for pattern in (_LABELLED, _ALONE, _ADDRESS):
        if found := others(_found(pattern, told)):
            return found
    return []


def _told_listed(told: str, daemons: Collection[str]) -> list[str]:
    """The same where the report goes to the very address that it names."""
    for pattern in (_LABELLED, _ALONE, _ADDRESS):
        if found := [one for one in _found(pattern, told) if one not in daemons and not _OTHERS.match(one)]:
            return found
    return _found(_ALONE, told)


def _daemon_domain(fields: Fields) -> str:
    """The domain that a report comes from: some give only the names of their own mailboxes."""
    return next((one.rpartition("@")[2] for value in fields.every("from") for one in _found(_ADDRESS, value)), "")


def _returned_heads(contents: Contents, text: str) -> Iterator[str]:
    yield from contents.returned
    yield from contents.enclosed
    told = _without_returned(text[:_READ])
    if len(told) < len(text):
        yield text[len(told) : _READ]


_TO_LINE: Final = re.compile(
    r"^[ \t>]*(?:to|x-original-to|envelope-to)\s*:(.*(?:\n[ \t]+\S.*)*)", re.IGNORECASE | re.MULTILINE
)


def _returned_to(contents: Contents, text: str) -> str:
    for head in _returned_heads(contents, text):
        if found := _TO_LINE.search(head):
            return found[1][:4000]
    return ""


# ── Permanence ──

_STATUS: Final = re.compile(r"(?<![\d.])([245])\.\d{1,3}\.\d{1,3}(?![\d.])")
# A reply of SMTP: at the start of a line or behind a sign of speech, so that no telephone number counts.
_REPLY: Final = re.compile(
    r"(?:^[ \t]*|[:>(\[#]\s*|\b(?:said|code|error|response|reply|status|smtp)\W{1,3})([45])[0-5]\d(?=[ -])",
    re.MULTILINE | re.IGNORECASE,
)
_TRYING: Final = re.compile(
    r"""\b(?:still\ (?:being\ )?(?:undelivered|retried|trying|not\ delivered|in\ the\ queue|queued)
    | will\ (?:keep|continue|be\ retried|retry|try\ again|be\ attempted) | (?:keep|continue)\ (?:on\ )?trying
      | not\ yet\ (?:been\ )?delivered
    | this\ is\ (?:only\ )?a\ warning | warning\ message\ only | (?:do\ not|don't)\ need\ to\ resend
      | delivery\ (?:has\ been\ |is\ |was\ |will\ be\ )?delayed
    | (?:is|been)\ (?:temporarily\ )?delayed | delayed\ (?:mail|delivery) | no\ action\ is\ required\ on\ your\ part)
    | ^\s*(?:warning|delayed?)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_GAVE_UP: Final = re.compile(
    r"\b(?:giv(?:e|en|ing) up|gave up|permanent|fatal|not going to try|returned to sender|(?:has been"
    r"|was) returned|undeliverable"
    r"|(?:could|can) ?not be delivered|delivery (?:has )?failed|unknown user|user unknown|no such)",
    re.IGNORECASE,
)
_NOBODY: Final = re.compile(
    r"\b(?:no such|unknown user|user unknown|no user by|(?:does not|doesn't) exist|invalid (?:recipient"
    r"|address|user))",
    re.IGNORECASE,
)
# Why a server gives up on mail that might have been delivered on another day.
_PASSES: Final = re.compile(
    r"""\b(?:timed[ ]?out | time[ ]?-?out | expired | too\ long | not\ responding | (?:did|does)\ not\ respond
      | connection\ (?:refused|reset|lost|dropped|closed)
    | (?:did\ not|not)\ accept\ (?:our\ )?(?:requests|connection) | (?:unable|wasn't\ able|could\ not|cannot
      |couldn't)\ (?:to\ )?(?:connect|establish|contact|reach\ (?:host|server|remote))
    | (?:host|network)\ (?:is\ )?(?:unreachable|down) | deferred | within\ \d+\ (?:days|hours)
      | for\ \d+\ (?:days|hours|minutes) | retry\ time | queue\ time | temporar(?:y|ily))""",
    re.IGNORECASE | re.VERBOSE,
)


def _failure(statuses: list[_Report], subject: str, told: str) -> tuple[bool, bool]:
    """(for good, given up): what the report says (RFC 3464 2.3.3, RFC 3463), else what its words say."""
    actions = {report.action for report in statuses if report.action and report.action not in _SUCCESS}
    classes = {
        found[1] for report in statuses if report.action not in _SUCCESS and (found := _STATUS.search(report.status))
    }
    if "delayed" in actions and "failed" not in actions:
        return False, False
    if classes - {"2"}:
        return "5" in classes, True
    if "failed" in actions:
        return True, True
    words = f"{subject}\n{told[:8000]}"
    if (_TRYING.search(subject) and not _NOBODY.search(words)) or (
        _TRYING.search(words) and not _GAVE_UP.search(words)
    ):
        return False, False
    for pattern in (_STATUS, _REPLY):
        if said := {found[1] for found in pattern.finditer(words)} - {"2"}:
            return "5" in said, True
    return bool(_NOBODY.search(words)) or not _PASSES.search(words), True


# ── Which letter it was ──

_ID_LINE: Final = re.compile(r"^[ \t>]*Message-ID\s*:\s*(<[^<>\s]{1,998}>)", re.IGNORECASE | re.MULTILINE)


def _returned_ids(fields: Fields, contents: Contents, text: str) -> tuple[str, ...]:
    found: list[str] = []
    for head in _returned_heads(contents, text):
        found.extend(one for line in _ID_LINE.findall(head) for one in message_ids(line))
    if not found:
        found.extend(one for value in fields.every("in-reply-to", "references") for one in message_ids(value))
    own = set(message_ids(fields.first("message-id")))
    return tuple(one for one in dict.fromkeys(found) if one not in own)[:20]
