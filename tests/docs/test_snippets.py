"""What stands in the pages' code blocks works: settings load, Python runs, and no language goes unlooked at."""

from __future__ import annotations

import asyncio
import configparser
import json
import tomllib
from pathlib import Path

import pytest
import yaml

from config.load import CONFIG_DIR_VARIABLE, load_settings
from tests.config.config_support import MODELS, SERVER, shipped, write_config
from tests.docs.pages import Block, blocks, each
from tests.support.service import Running

# Looked at by whom; `text` and no language at all are no code.
LANGUAGES = {
    "console": "test_documented_commands.py",
    "powershell": "test_documented_commands.py",
    "mermaid": "test_generated.py",
    "python": "here",
    "yaml": "here",
    "json": "here",
    "toml": "here",
    "ini": "here",
    "text": "",
    "": "",
}


def test_every_language_is_looked_at() -> None:
    assert {block.language for block in blocks()} == LANGUAGES.keys()


@each(blocks("yaml"))
def test_settings_load(block: Block, tmp_path: Path) -> None:
    first, _, _ = block.text.partition("\n")
    name = first.removeprefix("# ")
    assert name in {MODELS, SERVER}, "the first line says which file it is for: # server_config.yaml"
    folder = write_config(tmp_path)
    own = yaml.safe_load(block.text)
    (folder / name).write_text(yaml.safe_dump(own if name == SERVER else shipped(name) | own), encoding="utf-8")
    settings = load_settings(environment={CONFIG_DIR_VARIABLE: str(folder)})
    shown = (settings.models if name == MODELS else settings).model_dump(mode="json")
    assert all(section in shown for section in own)


@each(blocks("json", "toml", "ini"))
def test_settings_of_other_programs_are_well_formed(block: Block) -> None:
    match block.language:
        case "json":
            assert json.loads(block.text)
        case "toml":
            assert tomllib.loads(block.text)
        case _:
            read = configparser.RawConfigParser(strict=False)
            read.read_string(block.text)
            assert read.sections()


@pytest.mark.asyncio(loop_scope="module")
@each(blocks("python"))
async def test_python_runs(block: Block, running: Running) -> None:
    code = compile(block.text.replace("http://127.0.0.1:8000", running.base_url), block.place, "exec")
    variables: dict[str, object] = {"__name__": "snippet"}
    await asyncio.to_thread(exec, code, variables)
    assert variables.keys() > {"__name__", "__builtins__"}
