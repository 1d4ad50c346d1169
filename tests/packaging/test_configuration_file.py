"""config/amends.toml explains every setting there is, at its default, and no other."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any, Final

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from amends.config import Settings
from amends.kernel.share import config_folder

TEXT: Final = (config_folder() / "amends.toml").read_text(encoding="utf-8")
_COMMENTED_OUT: Final = re.compile(r"^#(?=[a-z_]+ = |\[)", re.MULTILINE)


def model_of(section: str) -> type[BaseModel]:
    """The model behind `[section]`, `[[section]]` or an optional one."""
    annotation = Settings.model_fields[section].annotation
    found = [annotation, *getattr(annotation, "__args__", ())]
    return next(one for one in found if isinstance(one, type) and issubclass(one, BaseModel))


SECTIONS: Final = {name: model_of(name) for name in Settings.model_fields if name != "folder"}
WHOLE: Final[dict[str, Any]] = {
    name: value[0] if isinstance(value, list) else value
    for name, value in tomllib.loads(_COMMENTED_OUT.sub("", TEXT)).items()
}


def comment_above(section: str, key: str) -> str:
    """The lines of comment right above a key in its section."""
    body = re.split(rf"^#?\[+{section}\]+\n", TEXT, flags=re.MULTILINE)[1]
    body = re.split(r"^#?\[", body, maxsplit=1, flags=re.MULTILINE)[0]
    above: list[str] = []
    for line in body.splitlines():
        if re.match(rf"#?{key} = ", line):
            return " ".join(above)
        above = [*above, line.removeprefix("# ")] if line.startswith("# ") else above if line[:1] == "#" else []
    raise AssertionError(f"{section}.{key} is not there")


def test_every_section_and_every_key_is_there_and_no_other() -> None:
    assert set(WHOLE) == set(SECTIONS)
    for name, model in SECTIONS.items():
        assert set(WHOLE[name]) == set(model.model_fields), name


@pytest.mark.parametrize("name", SECTIONS)
def test_what_is_commented_out_stands_at_its_default(name: str) -> None:
    set_by_hand = {key for key in WHOLE[name] if re.search(rf"^{key} = ", TEXT, re.MULTILINE)}
    for key, field in SECTIONS[name].model_fields.items():
        default = field.get_default(call_default_factory=True)
        if default is PydanticUndefined or key in set_by_hand:
            continue
        if default is None:
            assert "et by default" in comment_above(name, key), f"{name}.{key} has no default: say so"
        else:
            assert WHOLE[name][key] == json.loads(json.dumps(default)), f"{name}.{key}"


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_is_explained(name: str) -> None:
    for key in SECTIONS[name].model_fields:
        assert len(comment_above(name, key)) > 20, f"{name}.{key}"


def test_what_must_be_given_is_given() -> None:
    given = tomllib.loads(TEXT)
    for name, model in SECTIONS.items():
        section = given.get(name, {})
        section = section[0] if isinstance(section, list) else section
        if section:
            missing = {key for key, field in model.model_fields.items() if field.is_required()} - set(section)
            assert not missing, name
