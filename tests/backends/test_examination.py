from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backends.examination import Examined, examine_models
from backends.findings import Finding
from backends.ollama_settings import OllamaSettings
from config.schema import ModelsFile
from config.settings import BackendSettings
from tests.backends.backend_support import raw_server
from tests.backends.model_service_support import MODELS, NOWHERE
from tests.support.scripted_ollama import REFERENCE_MODELS, Model, ScriptedOllama

FAST, CODER, LARGE = REFERENCE_MODELS


async def examined(
    *there: Model,
    models: ModelsFile = MODELS,
    variables: dict[str, str] | None = None,
    loaded: dict[str, int] | None = None,
) -> Examined:
    async with ScriptedOllama(there or REFERENCE_MODELS) as ollama:
        for name, num_ctx in (loaded or {}).items():
            ollama.residency.load(ollama.models[name], num_ctx=num_ctx)
        return await examine_models(BackendSettings(base_url=ollama.base_url), models, OllamaSettings(variables or {}))


def of(found: Examined, check: str) -> list[Finding]:
    return [finding for finding in found.findings if finding.check == check]


def machine(**changes: Any) -> ModelsFile:
    return MODELS.model_copy(update={"machine": MODELS.machine.model_copy(update=changes)})


async def test_a_machine_with_all_of_it() -> None:
    found = await examined(models=machine(ram_gb=20, system_gb=0, vector_stores_gb=0, spare_gb=0, vram_gb=400))
    assert {finding.level for finding in found.findings} == {"ok"}
    assert found.models.keys() == set(MODELS.roles)
    assert [finding.message for finding in of(found, "models")][1] == "implementation: qwen2.5-coder:32b is there"
    assert "131072 tokens, sent as num_ctx" in of(found, "windows")[1].message
    assert all(finding.fix is None for finding in found.findings)


async def test_no_ollama() -> None:
    found = await examine_models(BackendSettings(base_url=NOWHERE), MODELS, OllamaSettings({}))
    assert found == Examined(
        (
            Finding(
                "Ollama",
                "error",
                f"No Ollama answers at {NOWHERE}",
                "start it with `ollama serve`, or set OLLAMA_BASE_URL",
            ),
        )
    )


async def test_something_else_answers() -> None:
    page = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi"
    async with raw_server(page) as url:
        found = await examine_models(BackendSettings(base_url=url), MODELS, OllamaSettings({}))
    assert [(each.level, bool(each.fix)) for each in found.findings] == [("error", True)]


async def test_the_embedded_backend_is_asked_for() -> None:
    found = await examine_models(BackendSettings(base_url=NOWHERE, kind="embedded"), MODELS, OllamaSettings({}))
    assert [each.level for each in found.findings] == ["warning"]


async def test_a_missing_model_is_an_error_with_what_to_type() -> None:
    missing = of(await examined(FAST, LARGE), "models")[1]
    assert (missing.level, missing.fix) == ("error", "ollama pull qwen2.5-coder:32b")
    assert "memory_analysis stands in" in missing.message
    assert [each.level for each in of(await examined(Model("gemma3")), "models")] == ["error"] * 3


async def test_a_window_that_is_smaller_than_configured() -> None:
    """Ollama's own build of the coder has 32,768 tokens."""
    window = of(await examined(FAST, replace(CODER, window=32_768), LARGE), "windows")[1]
    assert window.level == "warning"
    assert window.fix is not None
    assert "set window_tokens of implementation to 32768" in window.fix


async def test_a_model_that_another_client_has_loaded_with_its_own_window() -> None:
    found = await examined(loaded={FAST.name: FAST.window, CODER.name: 4096})
    told = of(found, "other clients")
    assert [each.level for each in told] == ["warning"]
    assert "qwen2.5-coder:32b is loaded with 4096 tokens, ours are 131072" in told[0].message
    assert [each.message.split(":")[0] for each in of(found, "loaded")] == ["qwen3", "qwen2.5-coder"]


@pytest.mark.parametrize(("value", "level"), [(None, "ok"), ("131072", "ok"), ("8192", "warning")])
async def test_the_trap_of_ollamas_default_window(value: str | None, level: str) -> None:
    told = of(await examined(variables={"OLLAMA_CONTEXT_LENGTH": value} if value else {}), "other clients")
    assert [each.level for each in told] == [level]
    assert f"loads a model with {value or 4096} tokens" in told[0].message


async def test_memory_with_and_without_a_quantised_cache() -> None:
    total, *_ = of(await examined(), "memory")
    assert (total.level, "184 GB (f16), 147 GB (q8_0), 128 GB (q4_0)" in total.message) == ("warning", True)
    roomy = of(await examined(models=machine(ram_gb=170, system_gb=10)), "memory")[0]
    assert roomy.fix is not None
    assert "OLLAMA_KV_CACHE_TYPE=q8_0" in roomy.fix


async def test_a_model_that_fits_nowhere() -> None:
    small = machine(ram_gb=32, system_gb=4, vector_stores_gb=1, spare_gb=1, vram_gb=8)
    levels = {each.message.split(" ")[0]: each.level for each in of(await examined(models=small), "memory")}
    assert levels["qwen2.5-coder:32b"] == "warning"
    assert levels["llama4:16x17b"] == "error"


async def test_more_ram_in_the_file_than_in_the_machine() -> None:
    told = of(await examined(models=machine(ram_gb=4000)), "memory")
    assert any("models.yaml says 4000 GB of RAM" in each.message and each.level == "warning" for each in told)


async def test_models_that_cannot_call_tools() -> None:
    mute = replace(CODER, capabilities=("completion",))
    assert [each.level for each in of(await examined(FAST, mute, LARGE), "tools")] == ["ok", "warning", "ok"]
    assert [each.level for each in of(await examined(mute), "tools")] == ["error"]
    hidden = replace(CODER, template="{{ range .Messages }}{{ .Content }}{{ end }}")
    told = of(await examined(FAST, hidden, LARGE), "tools")[1]
    assert (told.level, "does not show them" in told.message) == ("warning", True)
