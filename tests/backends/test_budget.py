from __future__ import annotations

from typing import Any

import pytest

from backends.budget import BYTES_PER_VALUE, cached_values_per_token, plan_memory
from backends.types import ModelCard
from config.schema import CacheType, ModelsFile
from tests.backends.model_service_support import MODELS, service_for
from tests.support.scripted_ollama import Model, ScriptedOllama

QWEN = {
    "general.architecture": "qwen2",
    "qwen2.block_count": 64,
    "qwen2.embedding_length": 5120,
    "qwen2.attention.head_count": 40,
    "qwen2.attention.head_count_kv": 8,
}


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({}, 64 * 8 * (128 + 128)),
        ({"qwen2.attention.key_length": 192, "qwen2.attention.value_length": 128}, 64 * 8 * (192 + 128)),
        ({"qwen2.attention.head_count_kv": [8, 0, 4]}, 12 * (128 + 128)),
        ({"qwen2.attention.head_count_kv": []}, None),
        ({"qwen2.attention.head_count_kv": "many"}, None),
        ({"qwen2.block_count": None}, None),
        ({"qwen2.embedding_length": 0}, None),
        ({"general.architecture": "other"}, None),
    ],
)
def test_the_cache_of_one_token(changes: dict[str, Any], values: int | None) -> None:
    assert cached_values_per_token(QWEN | changes) == values


def test_without_its_own_number_of_cached_heads_a_model_caches_all() -> None:
    info = {key: value for key, value in QWEN.items() if not key.endswith("head_count_kv")}
    assert cached_values_per_token(info) == 64 * 40 * (128 + 128)


def with_cache(cache_type: CacheType, **machine: float) -> ModelsFile:
    changed = MODELS.machine.model_copy(update={"kv_cache_type": cache_type, **machine})
    return MODELS.model_copy(update={"machine": changed})


@pytest.fixture
async def cards() -> list[ModelCard]:
    async with ScriptedOllama() as ollama, service_for(ollama.base_url) as service:
        return list((await service.cards()).values())


def test_a_large_windows_cache_is_as_large_as_the_model(cards: list[ModelCard]) -> None:
    """32B at 131,072 tokens: 64 layers x 8 heads x 256 values x 2 bytes a token."""
    coder = plan_memory(cards, MODELS).needs[1]
    assert coder.weights_gb == pytest.approx(19.9)
    assert coder.cache_gb("f16") == pytest.approx(64 * 8 * 256 * 2 * 131_072 / 1e9)
    assert coder.cache_gb("q8_0") / coder.cache_gb("f16") == pytest.approx(0.53, abs=0.002)
    assert coder.cache_gb("q4_0") / coder.cache_gb("f16") == pytest.approx(0.28, abs=0.002)


def test_a_plan_that_cannot_fit_is_told_in_figures(cards: list[ModelCard]) -> None:
    plan = plan_memory(cards, MODELS)
    problem = plan.problem()
    assert problem is not None
    assert "take 184 GB" in problem
    assert "qwen3:30b-a3b 19 + 4, qwen2.5-coder:32b 20 + 34, llama4:16x17b 67 + 39" in problem
    assert "116 GB are there for them (100 of RAM, 16 of VRAM)" in problem
    assert "lower used_window_tokens, first that of llama4:16x17b" in problem
    assert plan.fits({"qwen3:30b-a3b", "qwen2.5-coder:32b"})


@pytest.mark.parametrize(("ram_gb", "cache_type"), [(170, "q8_0"), (150, "q4_0")])
def test_a_quantised_cache_is_the_fix_where_it_helps(
    cards: list[ModelCard], ram_gb: float, cache_type: CacheType
) -> None:
    problem = plan_memory(cards, with_cache("f16", ram_gb=ram_gb)).problem()
    assert problem is not None
    assert f"OLLAMA_FLASH_ATTENTION=1 and OLLAMA_KV_CACHE_TYPE={cache_type}" in problem
    assert plan_memory(cards, with_cache(cache_type, ram_gb=ram_gb)).problem() is None


def test_a_finer_cache_is_no_fix_for_a_quantised_one(cards: list[ModelCard]) -> None:
    problem = plan_memory(cards, with_cache("q4_0")).problem()
    assert problem is not None
    assert "OLLAMA_KV_CACHE_TYPE" not in problem
    assert list(BYTES_PER_VALUE) == ["f16", "q8_0", "q4_0"]


async def test_what_the_server_does_not_tell_is_as_configured() -> None:
    models = [Model(role.model, layers=0) for role in MODELS.roles.values()]
    async with ScriptedOllama(models) as ollama, service_for(ollama.base_url) as service:
        await service.settled()
        plan = service.memory_plan
    assert [need.total_gb("f16") for need in plan.needs] == [20, 35, 45]
    assert plan.problem() is None
