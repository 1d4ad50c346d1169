"""HTML mail as text.  Nothing is fetched; what the sender hid is not shown; where a link leads is."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any, Final

from amends.kernel.text import storable

if TYPE_CHECKING:
    from collections.abc import Callable

HTML_KEPT: Final = 1024 * 1024
_DEPTH: Final = 200  # inscriptis calls itself for every level
_ELEMENTS: Final = 20_000

_BREAKS: Final = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/table|/blockquote)\b[^<>]*>", re.IGNORECASE)
_UNSEEN: Final = re.compile(
    r"<(script|style|head|title)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL
)
_TAGS: Final = re.compile(r"<[^<>]*>?")
_BLANKS: Final = re.compile(r"\n{3,}")  # once the ends of lines are bare
_HIDING: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|(?:font-size|max-height)\s*:\s*0(?:px|pt"
    r"|em)?\s*(?:;|!|$)"
    r"|opacity\s*:\s*0\s*(?:;|!|$)",
    re.IGNORECASE,
)
_NOT_READ: Final = frozenset(
    ["script", "style", "title", "head", "template", "noscript", "object", "embed", "iframe", "svg", "math", "select"]
)
_QUOTING_MARKS: Final = (
    "gmail_quote", "gmail_extra", "gmail_signature", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote",
    "zmail_extra", "tutanota_quote", "wordsection1_quote", "outlookmessageheader", "moz-forward-container",
    "mail-quote", "freebirdformviewer",
)  # fmt: skip
_ALL_BEHIND: Final = frozenset(
    {"divrplyfwdmsg", "appendonsend", "mail-editor-reference-message-container", "replysplit"}
)


def to_text(html: str) -> tuple[str, str]:
    """The whole text of an HTML mail and the part outside of its quotations, both with \\n.  Never raises."""
    html = html[:HTML_KEPT]
    if html.count("<") > _ELEMENTS * 2:
        return (plain := _stripped(html)), plain
    try:
        whole = _render(html, _keep)
        new = _render(html, _drop_quotations) if _may_quote(html) else whole
    except Exception:  # noqa: BLE001 - lxml and inscriptis raise on some of what strangers send
        return (plain := _stripped(html)), plain
    if not whole.strip() and html.strip():
        whole = new = _stripped(html)
    return whole, new


_WORD: Final = re.compile(r"\w{3,}")
_SHOWN_LINK: Final = re.compile(r"<?\b(?:https?://|mailto:)[^\s<>]*>?")
_CELLS: Final = re.compile(r"<(?:br|/?p|/?div|/?t[drh]|/?li|/?h[1-6]|/table|/blockquote)\b[^<>]*>", re.IGNORECASE)


def only_there(html: str, plain: str) -> str:
    """The lines of an HTML text that hold words which its plain form has not; "" if it says all.  Never raises."""
    html = html[:HTML_KEPT]
    known = set(_WORD.findall(plain.lower()))
    words = unescape(_TAGS.sub("", _CELLS.sub("\n", _without_unseen(html))))
    if known.issuperset(_WORD.findall(words.lower())):
        return ""
    lines = to_text(html)[0].split("\n")
    return "\n".join(line for line in lines if not known.issuperset(_WORD.findall(_SHOWN_LINK.sub(" ", line).lower())))


def _may_quote(html: str) -> bool:
    lower = html.lower()
    return "blockquote" in lower or any(mark in lower for mark in (*_QUOTING_MARKS, *_ALL_BEHIND))


def _stripped(html: str) -> str:
    """Tags taken out by a linear scan: for what the renderer cannot bear."""
    text = _TAGS.sub("", _BREAKS.sub("\n", _without_unseen(html)))
    return _tidied(unescape(text))


def _without_unseen(html: str) -> str:
    lower = html.lower()
    # Each opening that is never closed would search to the end again.
    if (
        max(
            lower.count("<script"),
            lower.count("<style"),
            lower.count("<!--"),
            lower.count("<head"),
            lower.count("<title"),
        )
        > 500
    ):
        return html
    return _UNSEEN.sub("", html)


def _tidied(text: str) -> str:
    text = storable(text).replace("\xa0", " ")
    return _BLANKS.sub("\n\n", "\n".join(line.rstrip() for line in text.split("\n"))).strip("\n")


def _keep(tree: Any) -> None:
    """Leave the tree as it is."""


def _render(html: str, prune: Callable[[Any], None]) -> str:
    import lxml.html
    from inscriptis.html_engine import Inscriptis

    html = storable(re.sub(r"^\s*<\?xml[^>]*\?>", "", html))
    if not html.strip():
        return ""
    parser = lxml.html.HTMLParser(
        no_network=True, remove_comments=True, remove_pis=True, huge_tree=False, encoding="utf-8"
    )
    tree = lxml.html.document_fromstring(html.encode(), parser=parser)
    _drop_unseen(tree)
    prune(tree)
    _show_links(tree)
    if _too_deep(tree):
        return _tidied("\n".join(piece.strip() for piece in tree.itertext() if piece.strip()))
    return _tidied(str(Inscriptis(tree, _config()).get_text()))


_CONFIG: Any = None


def _config() -> Any:
    global _CONFIG
    if _CONFIG is None:
        from inscriptis.css_profiles import CSS_PROFILES
        from inscriptis.model.config import ParserConfig

        _CONFIG = ParserConfig(css=CSS_PROFILES["strict"].copy(), table_cell_separator=" ")
    return _CONFIG


def _too_deep(tree: Any) -> bool:
    """Whether any element lies deeper than the renderer can follow."""
    level = [tree]
    for _ in range(_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return False
    return True


def _drop_unseen(tree: Any) -> None:
    gone = [
        element
        for element in tree.iter()
        if element.tag in _NOT_READ
        or element.get("hidden") is not None
        or ((style := element.get("style")) and _HIDING.search(style))
    ]
    for element in gone:
        if element.getparent() is not None:
            element.drop_tree()


def _drop_quotations(tree: Any) -> None:
    gone = []
    for element in tree.iter():
        mark = f"{element.get('class') or ''} {element.get('id') or ''}"
        if (element.tag == "blockquote" and (element.get("type") == "cite" or element.get("cite"))) or (
            mark != " " and any(one in mark.lower() for one in _QUOTING_MARKS)
        ):
            gone.append(element)
        elif (element.get("id") or "").lower().removeprefix("x_") in _ALL_BEHIND:
            gone.extend([element, *element.itersiblings()])
    for element in gone:
        if element.getparent() is not None:
            element.drop_tree()


def _show_links(tree: Any) -> None:
    """Where a link leads stands behind its words, unless the words are the address themselves."""
    for link in tree.iter("a"):
        target = (link.get("href") or "").strip()
        scheme = target.split(":", 1)[0].lower()
        if scheme not in ("http", "https", "mailto", "tel") or len(target) > 2000:
            continue
        words = "".join(link.itertext()).strip()
        bare = target.removeprefix("mailto:").removeprefix("tel:")
        if not words or scheme in ("mailto", "tel") or _same(words, bare):
            continue
        link.tail = f" <{bare}>{link.tail or ''}"


def _same(words: str, target: str) -> bool:
    def core(address: str) -> str:
        return re.sub(r"^(?:https?://)?(?:www\.)?", "", "".join(address.split()).lower()).rstrip("/")

    return core(words) == core(target)
