"""docs/configuration.md says what the code does: every key, default and bound, and every block in it validates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import config
from config.load import CONFIG_DIR_VARIABLE, ENVIRONMENT_KEYS
from config.schema import (
    MachineSettings,
    ModelsFile,
    RoleSettings,
    RoutingRule,
    RoutingSettings,
    ServerFile,
)
from tests.config.config_support import MODELS, SERVER, shipped

GUIDE = (Path(config.__file__).parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[BaseModel]] = {
    **{name: type(field.default) for name, field in ServerFile.model_fields.items()},
    "machine": MachineSettings,
    "roles": RoleSettings,
    "routing": RoutingSettings,
    "routing.rules": RoutingRule,
}
REQUIRED = "required"


def documented(section: str) -> dict[str, list[str]]:
    """The rows of a section's table of keys: key to its other cells."""
    body = GUIDE.split(f"### `{section}`\n", 1)[1].split("\n##", 1)[0]
    table = body.split("| Key |", 1)[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:] if line[:1] == "|"]
    return {row[0].strip("`"): row[1:] for row in rows}


def fields() -> Iterator[tuple[str, str, FieldInfo]]:
    for section, schema in SECTIONS.items():
        for key, field in schema.model_fields.items():
            yield section, key, field


def limits(field: FieldInfo) -> list[Any]:
    found = list(field.metadata)
    for nested in getattr(field.annotation, "__args__", ()):
        found += getattr(getattr(nested, "__metadata__", (None,))[0], "metadata", ())
    return found


def test_every_section_is_documented_and_no_unknown_one() -> None:
    headings = re.findall(r"^### `([^`]+)`$", GUIDE, re.MULTILINE)
    assert headings == list(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_documented_and_no_unknown_one(section: str) -> None:
    assert list(documented(section)) == list(SECTIONS[section].model_fields)


@pytest.mark.parametrize(
    ("section", "key", "field"), [pytest.param(*each, id=f"{each[0]}.{each[1]}") for each in fields()]
)
def test_defaults_and_bounds_are_those_of_the_code(section: str, key: str, field: FieldInfo) -> None:
    meaning, unit, default, bound = documented(section)[key]
    assert meaning
    if field.is_required():
        assert default == REQUIRED
    else:
        shown = yaml.safe_load(default.strip("`"))
        assert getattr(_with(section, key, shown), key) == field.default
        assert type(shown) is not str or shown == str(field.default) or Path(shown) == field.default
    assert bool(unit) == key.endswith(("_s", "_tokens", "_bytes", "_gb", "_days"))
    numbers = re.findall(r"\d+(?:\.\d+)?", bound)
    for limit in limits(field):
        if isinstance(limit, Gt):
            assert bound.startswith(f"more than {limit.gt}, at most")
        if isinstance(limit, Ge):
            assert bound.startswith(f"{limit.ge} to")
        if isinstance(limit, Le):
            assert f"{limit.le:g}" in numbers or str(limit.le) in numbers
    choices = "" if isinstance(field.annotation, type) else str(field.annotation)
    for choice in re.findall(r"'(\w+)'", choices):
        assert f"`{choice}`" in bound or "a list of roles" in bound


def _with(section: str, key: str, value: object) -> BaseModel:
    schema = SECTIONS[section]
    needed: dict[str, Any] = {}
    if schema is RoleSettings:
        needed = shipped(MODELS)["roles"]["implementation"]
    if schema is RoutingRule:
        needed = {"name": "x", "role": "implementation", "pattern": "x"}
    return schema.model_validate(needed | {key: value})


def test_every_variable_is_documented_with_its_key_and_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(\w+)\.(\w+)` \| `([^`]+)` \|$", GUIDE, re.MULTILINE)
    assert {variable: (section, key) for variable, section, key, _ in rows} == dict(ENVIRONMENT_KEYS)
    for _, section, key, example in rows:
        assert documented(section)[key][2] == f"`{example}`"
    assert f"`{CONFIG_DIR_VARIABLE}`" in GUIDE


def test_the_table_of_roles_is_what_is_shipped() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\S+)` \| (\d+) \| (\d+) \| (\d+) GB \|$", GUIDE, re.MULTILINE)
    roles = ModelsFile.model_validate(shipped(MODELS)).roles
    assert rows == [
        (role, each.model, str(each.window_tokens), str(each.num_ctx), f"{each.memory_gb:g}")
        for role, each in roles.items()
    ]


BLOCKS = re.findall(r"```yaml\n# (\S+)\n(.*?)```", GUIDE, re.DOTALL)


def test_every_block_says_which_file_it_is_for() -> None:
    assert len(BLOCKS) == GUIDE.count("```yaml") == 3
    assert {name for name, _ in BLOCKS} == {MODELS, SERVER}


@pytest.mark.parametrize(("name", "text"), BLOCKS)
def test_every_block_validates(name: str, text: str) -> None:
    schema: type[BaseModel] = ModelsFile if name == MODELS else ServerFile
    schema.model_validate(shipped(name) | yaml.safe_load(text))
