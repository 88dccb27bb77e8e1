from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from config.errors import ConfigError
from config.load import ENVIRONMENT_KEYS, load_settings
from config.schema import ROLES
from config.settings import ServerFile, Settings
from tests.config.config_support import MODELS, SERVER, shipped, write_config

VALUES = {
    "HOST": ("0.0.0.0", "0.0.0.0"),
    "PORT": ("9001", 9001),
    "OLLAMA_BASE_URL": ("http://10.1.2.3:1", "http://10.1.2.3:1"),
    "LOG_LEVEL": ("WARNING", "warning"),
    "VECTOR_STORE_PATH": ("/srv/stores", Path("/srv/stores")),
    "MODEL_CACHE_DIR": ("cache", Path("cache")),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without `.env`, and a configuration folder in it that says port 7000."""
    monkeypatch.chdir(tmp_path)
    return write_config(tmp_path / "conf", server={"server": {"port": 7000}})


def value_of(settings: Settings, variable: str) -> object:
    section, key = ENVIRONMENT_KEYS[variable]
    return getattr(getattr(settings, section), key)


@pytest.mark.parametrize("variable", ENVIRONMENT_KEYS)
def test_each_variable_sets_its_key(folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    text, value = VALUES[variable]
    assert value_of(load_settings(folder, {variable: text}), variable) == value
    monkeypatch.setenv(variable, text)
    assert value_of(load_settings(folder), variable) == value


def test_file_then_dotenv_then_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(folder).server.port == 7000
    Path(".env").write_text("PORT=7001\nHOST=::1\nUNRELATED=1\nBARE\n", encoding="utf-8")
    assert load_settings(folder).server.port == 7001
    monkeypatch.setenv("PORT", "7002")
    settings = load_settings(folder)
    assert (settings.server.port, settings.server.host) == (7002, "::1")


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_does_not_hide_the_one_of_dotenv(
    folder: Path, monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    """`make run` exports `PORT=` where nobody gave one."""
    monkeypatch.setenv("PORT", empty)
    assert load_settings(folder).server.port == 7000
    Path(".env").write_text("PORT=7001\n", encoding="utf-8")
    assert load_settings(folder).server.port == 7001


def test_a_dotenv_that_is_no_text_is_named(folder: Path) -> None:
    Path(".env").write_bytes(b"PORT=\xff\n")
    with pytest.raises(ConfigError, match=r"\.env cannot be read"):
        load_settings(folder)


def test_the_folder_may_come_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_CONFIG_DIR", str(folder))
    assert load_settings().server.port == 7000
    monkeypatch.delenv("ROUTER_CONFIG_DIR")
    assert load_settings().server.port == 8000
    Path(".env").write_text("ROUTER_CONFIG_DIR=conf\n", encoding="utf-8")
    assert load_settings().server.port == 7000


def test_a_given_environment_is_the_only_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    Path(".env").write_text("PORT=2\n", encoding="utf-8")
    assert load_settings(folder, {}).server.port == 7000


def test_settings_are_frozen(folder: Path) -> None:
    settings = load_settings(folder, {})
    for block, name in (
        (settings, "server"),
        (settings.server, "port"),
        (settings.models, "roles"),
        (settings.models.roles["memory_fast"], "model"),
        (settings.models.routing.rules[0], "role"),
    ):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(block, name, getattr(block, name))


def test_the_shipped_server_file_says_the_defaults_and_all_of_them() -> None:
    content = shipped(SERVER)
    assert ServerFile.model_validate(content) == ServerFile()
    for section, field in ServerFile.model_fields.items():
        assert content[section].keys() == type(field.default).model_fields.keys()


def test_an_empty_server_file_is_the_defaults(folder: Path) -> None:
    (folder / SERVER).write_text("", encoding="utf-8")
    assert load_settings(folder, {}).server == ServerFile().server


def test_the_shipped_models_are_those_of_the_design() -> None:
    roles = load_settings(environment={}).models.roles
    assert {role: (each.model, each.window_tokens, each.num_ctx, each.memory_gb) for role, each in roles.items()} == {
        "memory_fast": ("qwen3:30b-a3b", 40_960, 40_960, 20),
        "implementation": ("qwen2.5-coder:32b", 131_072, 131_072, 35),
        "memory_analysis": ("llama4:16x17b", 1_048_576, 200_000, 45),
    }
    assert tuple(roles) == ROLES


def test_the_three_models_fit_the_machine_together() -> None:
    models = load_settings(environment={}).models
    machine = models.machine
    assert (machine.ram_gb, machine.vram_gb, machine.system_gb, machine.vector_stores_gb, machine.spare_gb) == (
        128, 16, 15, 10, 3,
    )  # fmt: skip
    held = machine.system_gb + machine.vector_stores_gb + machine.spare_gb
    assert sum(role.memory_gb for role in models.roles.values()) + held <= machine.ram_gb
    assert all(role.memory_gb > machine.vram_gb for role in models.roles.values())


def test_every_fallback_chain_reaches_all_roles() -> None:
    for role, each in load_settings(environment={}).models.roles.items():
        assert {role, *each.fallbacks} == set(ROLES)
        assert role not in each.fallbacks


def test_rules_have_unique_names_and_priorities() -> None:
    rules = load_settings(environment={}).models.routing.rules
    assert len({rule.name for rule in rules}) == len({rule.priority for rule in rules}) == len(rules) == 3
    assert shipped(MODELS)["routing"]["default_role"] == "implementation"


def test_dotenv_holds_values_as_they_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`${HOME}` was filled in, so a foreign .env could send any variable to the host it names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_OF_MINE", "42")
    (tmp_path / ".env").write_text("OLLAMA_BASE_URL=http://localhost:1/${SECRET_OF_MINE}\n", encoding="utf-8")
    assert load_settings().backend.base_url == "http://localhost:1/${SECRET_OF_MINE}"
