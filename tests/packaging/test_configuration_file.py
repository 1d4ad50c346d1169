"""config/amends.toml explains every setting there is, at its default, and no other."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from amends.config import Settings
from amends.kernel.share import config_folder

TEXT: Final = (config_folder() / "amends.toml").read_text(encoding="utf-8")
_COMMENTED_OUT: Final = re.compile(r"^#(?=[a-z_]+ = |\[)", re.MULTILINE)


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The model behind `[section]`, `[[section]]` or an optional one; None for what is no section."""
    found = [annotation, *getattr(annotation, "__args__", ())]
    return next((one for one in found if isinstance(one, type) and issubclass(one, BaseModel)), None)


def sections_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section below a model by its name in the file, as `smtp` and `smtp.oauth`."""
    for name, field in model.model_fields.items():
        if name != "folder" and (below := model_of(field.annotation)) is not None:
            yield prefix + name, below
            yield from sections_of(below, f"{prefix}{name}.")


def keys_of(model: type[BaseModel]) -> set[str]:
    """Its keys, without its sections."""
    return {name for name, field in model.model_fields.items() if model_of(field.annotation) is None}


def tables_of(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every table of a file by its name, its keys without its tables."""
    for name, value in tree.items():
        table = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        if isinstance(table, dict) and table:  # {} is the value of a key
            below = dict(tables_of(table, f"{prefix}{name}."))
            yield prefix + name, {key: one for key, one in table.items() if f"{prefix}{name}.{key}" not in below}
            yield from below.items()


SECTIONS: Final = dict(sections_of(Settings))
WHOLE: Final[dict[str, dict[str, Any]]] = dict(tables_of(tomllib.loads(_COMMENTED_OUT.sub("", TEXT))))


def comment_above(section: str, key: str) -> str:
    """The lines of comment right above a key in its section."""
    body = re.split(rf"^#?\[+{re.escape(section)}\]+\n", TEXT, flags=re.MULTILINE)[1]
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
        assert set(WHOLE[name]) == keys_of(model), name


@pytest.mark.parametrize("name", SECTIONS)
def test_what_is_commented_out_stands_at_its_default(name: str) -> None:
    set_by_hand = {key for key in WHOLE[name] if re.search(rf"^{key} = ", TEXT, re.MULTILINE)}
    for key in keys_of(SECTIONS[name]):
        field = SECTIONS[name].model_fields[key]
        default = field.get_default(call_default_factory=True)
        if default is PydanticUndefined or key in set_by_hand:
            continue
        if default is None:
            assert "et by default" in comment_above(name, key), f"{name}.{key} has no default: say so"
        else:
            assert WHOLE[name][key] == json.loads(json.dumps(default)), f"{name}.{key}"


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_is_explained(name: str) -> None:
    for key in keys_of(SECTIONS[name]):
        assert len(comment_above(name, key)) > 20, f"{name}.{key}"


def test_what_must_be_given_is_given() -> None:
    given = dict(tables_of(tomllib.loads(TEXT)))
    for name, model in SECTIONS.items():
        if section := given.get(name, {}):
            missing = {key for key, field in model.model_fields.items() if field.is_required()} - set(section)
            assert not missing, name
