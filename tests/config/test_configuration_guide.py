"""docs/configuration.md says what the code does: every section, key, default, bound and variable."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel

from config.load import CONFIG_DIR_VARIABLE, ENVIRONMENT_KEYS
from config.schema import ModelsFile
from tests.config.config_support import MODELS, shipped
from tests.support.generated_docs import GUIDE, SECTIONS, table, with_tables

PAGE = GUIDE.read_text(encoding="utf-8")


def test_every_section_is_documented_and_no_unknown_one() -> None:
    assert re.findall(r"^### `([^`]+)`$", PAGE, re.MULTILINE) == list(SECTIONS)


def test_the_tables_are_as_generated_from_the_schema() -> None:
    assert with_tables(PAGE) == PAGE, "run `make docs`"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_says_what_it_means_and_what_it_may_be(section: str) -> None:
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in table(section).splitlines()[2:]]
    assert [key.strip("`") for key, *_ in rows] == list(SECTIONS[section].model_fields)
    assert all(meaning and default and bound for _, meaning, _, default, bound in rows)


class Silent(BaseModel):
    port: int = 8000


def test_a_row_is_what_the_schema_says_and_a_key_without_a_sentence_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = "| `port` | port to listen on; 0 takes a free one | | `8000` | 0 to 65535 |\n"
    assert port in table("server")
    assert with_tables(PAGE.replace(port, port.replace("8000", "80").replace("65535", "99"))) == PAGE
    assert with_tables(PAGE.replace(port, "")) == PAGE
    monkeypatch.setitem(SECTIONS, "server", Silent)
    with pytest.raises(KeyError, match="port"):
        table("server")


def test_every_variable_is_documented_with_its_key_and_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(\w+)\.(\w+)` \| `([^`]+)` \|$", PAGE, re.MULTILINE)
    assert {variable: (section, key) for variable, section, key, _ in rows} == dict(ENVIRONMENT_KEYS)
    for _, section, key, example in rows:
        assert re.search(rf"^\| `{key}` \| .* \| `{re.escape(example)}` \| [^|]+ \|$", table(section), re.MULTILINE)
    assert f"`{CONFIG_DIR_VARIABLE}`" in PAGE


def test_the_table_of_roles_is_what_is_shipped() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\S+)` \| (\d+) \| (\d+) \| (\d+) GB \|$", PAGE, re.MULTILINE)
    roles = ModelsFile.model_validate(shipped(MODELS)).roles
    assert rows == [
        (role, each.model, str(each.window_tokens), str(each.num_ctx), f"{each.memory_gb:g}")
        for role, each in roles.items()
    ]
