"""`memory.store` and what goes with it: from the configuration to folders on disk."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import server
from config.errors import ConfigError
from config.load import load_settings
from config.settings import MemorySettings, Settings, StoreName
from retrievers.stores import choice
from retrievers.stores.choice import choose_store
from retrievers.stores.manifest import MANIFEST
from tests.config.config_support import write_config
from tests.retrievers.store_support import loaded, saved
from tests.support.qdrant_playing import PlayedQdrant
from wire.terminal.parts import EXIT_USAGE

STORES: tuple[StoreName, ...] = ("faiss", "chroma", "qdrant")


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda name: None if name in missing else object())


def test_each_store_has_a_folder_of_its_own(tmp_path: Path) -> None:
    for name in STORES:
        saved(choose_store(MemorySettings(store=name)), tmp_path / "index")
    with PlayedQdrant(api_key="secret") as qdrant:
        settings = load_settings(
            write_config(tmp_path / "config", server={"memory": {"store": "qdrant", "qdrant_url": qdrant.url}}),
            {"QDRANT_API_KEY": "secret"},
        )
        on_server = choose_store(settings.memory, settings.qdrant_api_key)
        saved(on_server, tmp_path / "index")
        assert loaded(on_server, tmp_path / "index").ids() == {"a", "b", "c"}
    folders = sorted(path.parent.name for path in tmp_path.glob(f"*/{MANIFEST}"))
    assert folders == ["index", "index-chroma", "index-qdrant", "index-qdrant-server"]
    for name in STORES:
        assert loaded(choose_store(MemorySettings(store=name)), tmp_path / "index").ids() == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("name", "module"), [("chroma", "chromadb"), ("chroma", "chromadb_rust_bindings"), ("qdrant", "qdrant_client")]
)
def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch, name: StoreName, module: str) -> None:
    without(monkeypatch, module)
    with pytest.raises(ConfigError) as caught:
        choose_store(MemorySettings(store=name))
    assert f'pip install "cline-memory-router[{name}]"' in caught.value.message
    choose_store(MemorySettings())


def test_the_service_does_not_start_without_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROUTER_CONFIG_DIR", str(write_config(tmp_path, server={"memory": {"store": "chroma"}})))
    without(monkeypatch, "chromadb")
    monkeypatch.setattr(sys, "argv", ["server.py"])
    with pytest.raises(SystemExit) as stopped:
        server.main()
    assert stopped.value.code == EXIT_USAGE
    assert 'pip install "cline-memory-router[chroma]"' in capsys.readouterr().err


def test_choosing_imports_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("chromadb", "qdrant_client"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    for name in STORES:
        choose_store(MemorySettings(store=name))
    assert not {"chromadb", "qdrant_client"} & sys.modules.keys()


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        ({"store": "pinecone"}, "'faiss', 'chroma' or 'qdrant'"),
        ({"qdrant_url": "localhost:6333"}, "http or https URL"),
        ({"qdrant_url": "http://localhost:many"}, "Port"),
        ({"qdrant_url": "https://me:secret@qdrant.example"}, "QDRANT_API_KEY"),
        ({"qdrant_api_key": "secret"}, "not a known key"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, memory: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=next(iter(memory))) as caught:
        load_settings(write_config(tmp_path, server={"memory": memory}), {})
    assert said in caught.value.message


def test_the_key_comes_from_the_environment_and_is_not_shown(tmp_path: Path) -> None:
    settings = load_settings(write_config(tmp_path), {"QDRANT_API_KEY": " secret "})
    assert settings.qdrant_api_key is not None
    assert settings.qdrant_api_key.get_secret_value() == "secret"
    assert "secret" not in f"{settings!r}{settings}{settings.model_dump_json()}"
    assert load_settings(write_config(tmp_path), {"QDRANT_API_KEY": "  "}).qdrant_api_key is None


def test_the_extras_are_those_that_the_errors_name() -> None:
    with (Path(server.__file__).parent / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert extras.keys() == {name for name, modules in choice.NEEDED_MODULES.items() if modules}
    assert {each.partition(">")[0].replace("-", "_") for needed in extras.values() for each in needed} == {
        modules[0] for modules in choice.NEEDED_MODULES.values() if modules
    }


def test_settings_can_be_dumped_and_read_again(tmp_path: Path) -> None:
    settings = load_settings(write_config(tmp_path), {"QDRANT_API_KEY": "secret"})
    assert Settings.model_validate(settings.model_dump()) == settings
    assert yaml.safe_load((tmp_path / "server_config.yaml").read_text())["memory"]["store"] == "faiss"
