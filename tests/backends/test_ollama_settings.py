"""Ollama's own variables: where they are read, and what the doctor says to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.budget import plan_memory
from backends.findings import Finding
from backends.ollama_settings import OllamaSettings, examine_own_settings, seen_settings
from config.settings import BackendSettings
from tests.backends.model_service_support import MODELS, NOWHERE
from tests.graphs.graph_support import card

PLAN = plan_memory([card(role) for role in MODELS.roles], MODELS)
SHELL = {"OLLAMA_NUM_PARALLEL": "8"}


def found(variables: dict[str, str], *, running: bool = True, calls_per_model: int = 1) -> list[Finding]:
    own, settings = OllamaSettings(variables, running), BackendSettings(calls_per_model=calls_per_model)
    return list(examine_own_settings(own, PLAN, settings))


def process(proc: Path, number: int, arguments: bytes, environment: bytes = b"") -> None:
    folder = proc / str(number)
    folder.mkdir()
    (folder / "cmdline").write_bytes(arguments)
    (folder / "environ").write_bytes(environment)


def test_those_of_the_running_process_count(tmp_path: Path) -> None:
    process(tmp_path, 1, b"/sbin/init\0")
    process(tmp_path, 2, b"", b"OLLAMA_NUM_PARALLEL=9\0")
    process(tmp_path, 3, b"/usr/bin/ollama\0runner\0", b"OLLAMA_NUM_PARALLEL=9\0")
    process(tmp_path, 40, b"/usr/bin/ollama\0serve\0", b"PATH=/bin\0OLLAMA_KV_CACHE_TYPE=q8_0\0OLLAMA_ORIGINS=a=b\0")
    own = seen_settings(NOWHERE, SHELL, tmp_path)
    assert own == OllamaSettings({"OLLAMA_KV_CACHE_TYPE": "q8_0", "OLLAMA_ORIGINS": "a=b"}, running=True)


def test_those_of_the_shell_where_the_process_cannot_be_read(tmp_path: Path) -> None:
    process(tmp_path, 1, b"ollama\0serve\0")
    (tmp_path / "1" / "environ").unlink()
    assert seen_settings(NOWHERE, SHELL, tmp_path) == OllamaSettings(SHELL)
    process(tmp_path, 2, b"ollama\0serve\0")
    assert seen_settings("http://elsewhere:11434", SHELL, tmp_path) == OllamaSettings(SHELL)
    assert seen_settings(NOWHERE, SHELL, tmp_path / "no proc") == OllamaSettings(SHELL)


@pytest.mark.parametrize(
    ("variables", "told", "fix"),
    [
        ({"OLLAMA_MAX_LOADED_MODELS": "2"}, "for 3 models", "start Ollama with OLLAMA_MAX_LOADED_MODELS=3"),
        ({"OLLAMA_NUM_PARALLEL": "4"}, "4 windows of cache, and 1 of them", "start Ollama with OLLAMA_NUM_PARALLEL=1"),
        (
            {"OLLAMA_KV_CACHE_TYPE": "q8_0", "OLLAMA_FLASH_ATTENTION": "1"},
            "OLLAMA_KV_CACHE_TYPE is q8_0 for the running Ollama, machine.kv_cache_type is f16",
            "set both to the same",
        ),
    ],
)
def test_what_is_against_the_plan(variables: dict[str, str], told: str, fix: str) -> None:
    (finding,) = found(variables)
    assert finding.level == "warning"
    assert told in finding.message
    assert str(finding.fix).startswith(fix)


def test_a_quantised_cache_without_what_it_needs() -> None:
    _, attention = found({"OLLAMA_KV_CACHE_TYPE": "q8_0"})
    assert attention.fix == "start Ollama with OLLAMA_FLASH_ATTENTION=1"
    assert len(found({"OLLAMA_KV_CACHE_TYPE": "q8_0", "OLLAMA_FLASH_ATTENTION": "true"})) == 1


def test_more_calls_at_once_than_ollama_takes() -> None:
    (finding,) = found({}, calls_per_model=2)
    assert "OLLAMA_NUM_PARALLEL is not set for the running Ollama" in finding.message
    assert finding.fix == "set backend.calls_per_model to 1"
    (unseen,) = found({"OLLAMA_KEEP_ALIVE": "5m"}, running=False, calls_per_model=2)
    assert unseen.level == "ok"


@pytest.mark.parametrize("value", ["0", "", "many", "3", "9"])
def test_what_limits_nothing(value: str) -> None:
    assert [each.level for each in found({"OLLAMA_MAX_LOADED_MODELS": value})] == ["ok"]


def test_a_keep_alive_is_only_told() -> None:
    (finding,) = found({"OLLAMA_KEEP_ALIVE": "0"})
    assert (finding.level, finding.message.split(":")[0]) == ("ok", "OLLAMA_KEEP_ALIVE is 0")


def test_where_nothing_can_be_seen_the_variables_are_named() -> None:
    (finding,) = found({"OLLAMA_BASE_URL": NOWHERE}, running=False)
    assert finding.level == "ok"
    for name in ("MAX_LOADED_MODELS", "NUM_PARALLEL", "FLASH_ATTENTION", "KV_CACHE_TYPE"):
        assert f"OLLAMA_{name}" in finding.message
