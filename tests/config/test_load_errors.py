"""Whatever is wrong, the message names file (or variable), key, value and bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.load import ENVIRONMENT_KEYS, load_settings
from tests.config.config_support import MODELS, SERVER, shipped, write_config


def refused(folder: Path, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(folder, environment or {})
    return caught.value.message


FAST = "roles.memory_fast"
MODELS_ERRORS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"rolls": 1}, ("rolls is not a known key",)),
    ({"machine": {"ram": 1}}, ("machine.ram is not a known key",)),
    ({"machine": {"ram_gb": -1}}, ("machine.ram_gb = -1", "greater than or equal to 0")),
    ({"machine": {"ram_gb": 5000}}, ("machine.ram_gb = 5000", "less than or equal to 4096")),
    ({"machine": {"ram_gb": "much"}}, ("machine.ram_gb = 'much'", "valid number")),
    ({"roles": {"memory_fast": {"modell": "x"}}}, (f"{FAST}.modell is not a known key",)),
    ({"roles": {"memory_fast": {"model": ""}}}, (f"{FAST}.model = ''", "at least 1 character")),
    ({"roles": {"memory_fast": {"model": "a b"}}}, (f"{FAST}.model = 'a b'", "pattern")),
    ({"roles": {"memory_fast": {"window_tokens": 100}}}, (f"{FAST}.window_tokens = 100", "or equal to 256")),
    ({"roles": {"memory_fast": {"window_tokens": "big"}}}, (f"{FAST}.window_tokens = 'big'", "valid integer")),
    ({"roles": {"memory_fast": {"window_tokens": 4096.5}}}, (f"{FAST}.window_tokens = 4096.5", "integer")),
    ({"roles": {"memory_fast": {"temperature": 2.1}}}, (f"{FAST}.temperature = 2.1", "or equal to 2")),
    ({"roles": {"memory_fast": {"temperature": float("nan")}}}, (f"{FAST}.temperature = nan",)),
    ({"roles": {"memory_fast": {"keep_alive": "soon"}}}, (f"{FAST}.keep_alive = 'soon'", "30m")),
    ({"roles": {"memory_fast": {"fallbacks": ["nobody"]}}}, (f"{FAST}.fallbacks.0 = 'nobody'", "'implementation'")),
    (
        {"roles": {"memory_fast": {"used_window_tokens": 50_000}}},
        (FAST, "used_window_tokens = 50000", "at most window_tokens (40960)"),
    ),
    (
        {"roles": {"memory_fast": {"answer_limit_tokens": 40_960}}},
        (FAST, "answer_limit_tokens = 40960", "smaller than the window (40960)"),
    ),
    ({"roles": {"coder": {}}}, ("roles.coder", "'coder'", "'memory_fast', 'implementation' or 'memory_analysis'")),
    ({"routing": {"default_role": "fast"}}, ("routing.default_role = 'fast'", "'memory_fast'")),
    (
        {"routing": {"rules": [{"name": "x", "role": "memory_fast", "pattern": "("}]}},
        ("routing.rules.0.pattern = '('", "must be a regular expression", "position 0"),
    ),
    (
        {"routing": {"rules": [{"name": "x", "role": "memory_fast", "pattern": "a", "modes": ["planning"]}]}},
        ("routing.rules.0.modes.0 = 'planning'", "'plan'"),
    ),
    (
        {"routing": {"rules": [{"name": "x", "role": "memory_fast", "pattern": "a", "priority": 1001}]}},
        ("routing.rules.0.priority = 1001", "or equal to 1000"),
    ),
    ({"routing": {"rules": [{"role": "memory_fast", "pattern": "a"}]}}, ("routing.rules.0.name is missing",)),
]

SERVER_ERRORS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"serve": {}}, ("serve is not a known key",)),
    ({"server": {"prot": 1}}, ("server.prot is not a known key",)),
    ({"server": {"port": 70_000}}, ("server.port = 70000", "or equal to 65535")),
    ({"server": {"host": ""}}, ("server.host = ''", "at least 1 character")),
    ({"server": {"model_id": "my model"}}, ("server.model_id = 'my model'", "pattern")),
    ({"server": {"model_aliases": "auto"}}, ("server.model_aliases = 'auto'", "tuple")),
    ({"server": {"heartbeat_s": 0}}, ("server.heartbeat_s = 0", "greater than 0")),
    ({"server": []}, (SERVER, "server", "dictionary")),
    ({"backend": {"kind": "vllm"}}, ("backend.kind = 'vllm'", "'auto', 'ollama' or 'embedded'")),
    ({"backend": {"base_url": "localhost:11434"}}, ("backend.base_url = 'localhost:11434'", "http or https URL")),
    ({"backend": {"base_url": "http://localhost:abc"}}, ("backend.base_url = 'http://localhost:abc'", "Port")),
    ({"backend": {"base_url": "http://localhost:99999"}}, ("backend.base_url = 'http://localhost:99999'", "0-65535")),
    ({"backend": {"base_url": "http://me:pw@ollama"}}, ("backend.base_url = 'http://…@ollama'", "user or password")),
    ({"backend": {"idle_timeout_s": 86_401}}, ("backend.idle_timeout_s = 86401", "or equal to 86400")),
    ({"backend": {"calls_per_model": 0}}, ("backend.calls_per_model = 0", "or equal to 1")),
    ({"memory": {"window_share": 0.91}}, ("memory.window_share = 0.91", "or equal to 0.9")),
    ({"memory": {"enabled": "perhaps"}}, ("memory.enabled = 'perhaps'", "boolean")),
    ({"sessions": {"expiry_days": 0}}, ("sessions.expiry_days = 0", "greater than 0")),
    ({"logging": {"level": "loud"}}, ("logging.level = 'loud'", "'debug'")),
    ({"paths": {"vector_store_path": 3}}, ("paths.vector_store_path = 3", "path")),
]


@pytest.mark.parametrize(("changes", "said"), MODELS_ERRORS, ids=[said[0] for _, said in MODELS_ERRORS])
def test_wrong_models_file(tmp_path: Path, changes: dict[str, Any], said: tuple[str, ...]) -> None:
    message = refused(write_config(tmp_path, models=changes))
    for part in (str(tmp_path / MODELS), *said):
        assert part in message


@pytest.mark.parametrize(("changes", "said"), SERVER_ERRORS, ids=[said[0] for _, said in SERVER_ERRORS])
def test_wrong_server_file(tmp_path: Path, changes: dict[str, Any], said: tuple[str, ...]) -> None:
    message = refused(write_config(tmp_path, server=changes))
    for part in (str(tmp_path / SERVER), *said):
        assert part in message


@pytest.mark.parametrize("role", ["memory_fast", "implementation", "memory_analysis"])
def test_a_missing_role_is_named(tmp_path: Path, role: str) -> None:
    write_config(tmp_path)
    lines = (tmp_path / MODELS).read_text(encoding="utf-8").splitlines()
    kept, skipping = [], False
    for line in lines:
        skipping = line == f"  {role}:" or (skipping and line.startswith("    "))
        kept += [] if skipping else [line]
    (tmp_path / MODELS).write_text("\n".join(kept), encoding="utf-8")
    assert f"roles: must name all three roles; missing: {role}." in refused(tmp_path)


def test_an_empty_models_file_says_what_is_missing(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / MODELS).write_text("# nothing yet\n", encoding="utf-8")
    assert refused(tmp_path) == f"{tmp_path / MODELS}: roles is missing; add it."


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    message = refused(write_config(tmp_path, server={"server": {"port": -1, "hots": "x"}, "logging": {"level": 1}}))
    assert len(message.splitlines()) == 3


@pytest.mark.parametrize("name", [MODELS, SERVER])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: 1\nb: [1\nc: 2\n", "line 3: not valid YAML"),
        (b"a: 'x\n", "line 2: not valid YAML"),
        (b"a:\n\t- 1\n", "line 2: not valid YAML"),
        (b"- 1\n- 2\n", "the top level must be a mapping of keys, not a list"),
        (b"just words", "the top level must be a mapping of keys, not a str"),
        (b"a: \xff\n", "make it a readable UTF-8 file"),
    ],
)
def test_files_that_are_no_mapping(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (write_config(tmp_path) / name).write_bytes(content)
    message = refused(tmp_path)
    assert str(tmp_path / name) in message
    assert said in message


@pytest.mark.parametrize("name", [MODELS, SERVER])
def test_missing_and_unreadable_files(tmp_path: Path, name: str) -> None:
    (write_config(tmp_path) / name).unlink()
    assert f"{tmp_path / name} is missing: put it back, or unset ROUTER_CONFIG_DIR." == refused(tmp_path)
    (tmp_path / name).mkdir()
    assert "IsADirectoryError" in refused(tmp_path) or "PermissionError" in refused(tmp_path)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PORT", "http", "valid integer"),
        ("PORT", "65536", "or equal to 65535"),
        ("OLLAMA_BASE_URL", "localhost:11434", "http or https URL"),
        ("LOG_LEVEL", "CHATTY", "'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_wrong_variable_is_named_with_its_key(tmp_path: Path, variable: str, value: str, said: str) -> None:
    message = refused(write_config(tmp_path), {variable: value})
    section, key = ENVIRONMENT_KEYS[variable]
    assert message.startswith(f"environment variable {variable} ({section}.{key}) = ")
    assert value.lower() in message.lower()
    assert said in message
    assert SERVER not in message


@pytest.mark.parametrize(
    "url", ["http://me:pass/word@ollama", "http://me:pass word@ollama", "https://password@ollama:1"]
)
def test_a_password_in_a_url_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    """It was taken, shown in errors, `/health` and the log, and ended the search for models."""
    message = refused(write_config(tmp_path), {"OLLAMA_BASE_URL": url})
    assert "OLLAMA_BASE_URL (backend.base_url) = " in message
    assert "word" not in message.replace("user or password", "")
    assert "…@ollama" in message


def test_the_shipped_files_are_fine(tmp_path: Path) -> None:
    assert load_settings(write_config(tmp_path), {}) == load_settings(environment={})
    assert shipped(MODELS).keys() == {"machine", "roles", "routing"}
