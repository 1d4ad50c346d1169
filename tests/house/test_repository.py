"""What the repository says about itself must be so: links, the changelog, the locks, nobody's machine."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from amends.letters.kinds import LetterKind
from tests.house import ROOT, tracked

_PAGES = [path for path in tracked() if path.suffix == ".md"]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_MACHINES = (
    re.compile(r"(?<![\w.$~/-])/(?:work|root|home)/[A-Za-z0-9._-]+"),  # somebody's checkout or home
    re.compile(r"file:///(?!\$|\{)[A-Za-z]"),
    re.compile(r"(?:--index-url|--extra-index-url|--find-links|index-url\s*=|UV_INDEX_URL=|PIP_INDEX_URL=)", re.I),
    re.compile(r"https?://(?:[\w.-]*\.)?(?:pypi\.org|pythonhosted\.org|npmjs\.org|debian\.org)", re.I),
)


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    lost = [target for target in _links(page) if not _arrives(page, target)]
    assert not lost, f"{page.relative_to(ROOT)} links to {lost}"


def test_the_changelog_has_a_section_for_what_comes_and_one_a_release():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections and sections[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", section) for section in sections[1:]), sections


def test_no_file_names_a_machine_or_the_host_of_a_package_index():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in tracked()
        if path != Path(__file__)
        for number, line in enumerate(_text(path).splitlines(), 1)
        for pattern in _MACHINES
        if (match := pattern.search(line))
    ]
    assert not found


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_holds_pinned_names_and_hashes_and_nothing_else(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for requirement in text.replace("\\\n", " ").splitlines():
        assert re.fullmatch(
            r"[a-z0-9-]+==[A-Za-z0-9.+!]+(?: ; [^;]+?)?(?:\s+--hash=sha256:[0-9a-f]{64})+\s*", requirement
        ), requirement


def test_the_locks_hold_all_that_the_project_asks_for_and_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = [one for extra in project["project"]["optional-dependencies"].values() for one in extra]
    shipped, developing = _pins("requirements.lock"), _pins("requirements-dev.lock")
    wanted = {_name(one) for one in [*project["project"]["dependencies"], *extras]}
    assert wanted <= shipped.keys()
    assert wanted | {_name(one) for one in project["dependency-groups"]["dev"]} <= developing.keys()
    assert shipped.items() <= developing.items()


def test_every_letter_that_ships_is_one_of_the_kinds_or_part_of_another():
    kinds = {kind.template for kind in LetterKind}
    rules = (ROOT / "amends" / "letters" / "render.py").read_text(encoding="utf-8")
    for language in (ROOT / "templates").iterdir():
        letters = [path for path in language.rglob("*") if path.is_file()]
        idle = [
            name
            for letter in letters
            if (name := str(letter.relative_to(language).with_suffix(""))) not in kinds
            and letter.name not in rules
            and not any(letter.name in other.read_text(encoding="utf-8") for other in letters if other != letter)
        ]
        assert letters and not idle


def _links(page: Path) -> Iterator[str]:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    yield from (target for target in _LINK.findall(text) if not re.match(r"[a-z]+:", target))


def _arrives(page: Path, target: str) -> bool:
    """Whether a relative link leads to a file or folder of ours and, with `#`, to a heading in it."""
    path, _, anchor = target.partition("#")
    goal = (page.parent / unquote(path)).resolve() if path else page
    if not goal.exists() or not goal.is_relative_to(ROOT):
        return False
    return not anchor or goal.suffix != ".md" or anchor in _anchors(goal)


def _anchors(page: Path) -> set[str]:
    """The headings of a page as links name them: lower case, hyphens for spaces, no other signs."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""  # a picture or a mail in another charset


def _pins(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()
