"""docs/configuration.md says what the code does: every section, key, default, bound and variable."""

from __future__ import annotations

import re

import pytest

from config.load import CONFIG_DIR_VARIABLE, ENVIRONMENT_KEYS
from config.schema import ModelsFile
from tests.config.config_support import MODELS, shipped
from tests.support.generated_docs import GUIDE, SECTIONS, documented, with_tables

PAGE = GUIDE.read_text(encoding="utf-8")


def test_every_section_is_documented_and_no_unknown_one() -> None:
    assert re.findall(r"^### `([^`]+)`$", PAGE, re.MULTILINE) == list(SECTIONS)


def test_the_tables_are_as_generated_from_the_schema() -> None:
    assert with_tables(PAGE) == PAGE, "run `make docs`"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_says_what_it_means_and_what_it_may_be(section: str) -> None:
    rows = documented(PAGE, section)
    assert list(rows) == list(SECTIONS[section].model_fields)
    assert all(meaning and default and bound for meaning, _, default, bound in rows.values())


def test_a_changed_default_and_bound_are_written_and_a_new_key_is_asked_for() -> None:
    port = "| `port` | port to listen on; 0 takes a free one | | `8000` | 0 to 65535 |\n"
    assert with_tables(PAGE.replace(port, port.replace("8000", "80").replace("65535", "99"))) == PAGE
    with pytest.raises(KeyError, match=r"server\.port"):
        with_tables(PAGE.replace(port, ""))


def test_every_variable_is_documented_with_its_key_and_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(\w+)\.(\w+)` \| `([^`]+)` \|$", PAGE, re.MULTILINE)
    assert {variable: (section, key) for variable, section, key, _ in rows} == dict(ENVIRONMENT_KEYS)
    for _, section, key, example in rows:
        assert documented(PAGE, section)[key][2] == f"`{example}`"
    assert f"`{CONFIG_DIR_VARIABLE}`" in PAGE


def test_the_table_of_roles_is_what_is_shipped() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\S+)` \| (\d+) \| (\d+) \| (\d+) GB \|$", PAGE, re.MULTILINE)
    roles = ModelsFile.model_validate(shipped(MODELS)).roles
    assert rows == [
        (role, each.model, str(each.window_tokens), str(each.num_ctx), f"{each.memory_gb:g}")
        for role, each in roles.items()
    ]
