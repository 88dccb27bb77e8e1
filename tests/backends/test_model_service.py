from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from backends.types import Occupancy
from config.errors import BackendUnavailable, ModelBusy
from config.schema import ROLES
from tests.backends.model_service_support import (
    NOWHERE,
    ROLE_SETTINGS,
    service_for,
    text_of,
    until,
)
from tests.support.scripted_ollama import REFERENCE_MODELS, Model, Reply, ScriptedOllama


async def test_ollama_is_found_with_what_its_models_can(ollama: ScriptedOllama) -> None:
    async with service_for(ollama.base_url) as service:
        assert service.status.kind == "starting"
        cards = await service.cards()
        status = await service.settled()
    assert (status.kind, status.version, status.base_url) == ("ollama", "0.13.0", ollama.base_url)
    assert status.missing == {}
    fast, coder, large = (cards[role] for role in ROLES)
    assert (fast.name, fast.window_tokens, fast.thinking, fast.think) == ("qwen3:30b-a3b", 40_960, True, False)
    assert (coder.window_tokens, coder.thinking, coder.think, coder.vision) == (131_072, False, None, False)
    assert (large.window_tokens, large.vision, large.tools) == (200_000, True, True)
    assert large.options == {"num_ctx": 200_000, "temperature": 0.4}
    assert [card.answer_limit_tokens for card in (fast, coder, large)] == [4096, 16_384, 16_384]


async def test_a_models_own_window_bounds_what_is_asked_for() -> None:
    models = [Model("qwen3:30b-a3b", 2048), *REFERENCE_MODELS[1:]]
    async with ScriptedOllama(models) as ollama, service_for(ollama.base_url) as service:
        card = (await service.cards())["memory_fast"]
        assert (card.window_tokens, card.options["num_ctx"], card.answer_limit_tokens) == (2048, 2048, 512)


async def test_every_call_of_a_model_loads_it_the_same_way(ollama: ScriptedOllama) -> None:
    """Another `num_ctx` or `keep_alive` makes Ollama load tens of GB anew."""
    async with service_for(ollama.base_url) as service:
        for _ in range(2):
            for role in ROLES:
                assert await text_of(service, role) == "ok"
    assert [chat["model"] for chat in ollama.chats[:3]] == [ROLE_SETTINGS[role].model for role in ROLES]
    assert {chat["keep_alive"] for chat in ollama.chats} == {"60m", "30m", "15m"}


async def test_one_call_at_a_time_a_model_and_models_side_by_side(ollama: ScriptedOllama) -> None:
    ollama.default(Reply.text("a").gate_before_headers())
    async with service_for(ollama.base_url, max_waiting_calls=1) as service:
        calls = [asyncio.create_task(text_of(service, "memory_fast")) for _ in range(2)]
        calls.append(asyncio.create_task(text_of(service, "implementation")))
        await ollama.wait_held(2)
        assert len(ollama.chats) == 2
        assert service.waiting_calls == {"qwen3:30b-a3b": 1, "qwen2.5-coder:32b": 0}
        with pytest.raises(ModelBusy, match="qwen3:30b-a3b"):
            await text_of(service, "memory_fast")
        ollama.release()
        await ollama.wait_chat(3)
        await ollama.wait_held(1)
        ollama.release()
        assert await asyncio.gather(*calls) == ["a"] * 3


async def test_a_cancelled_call_frees_its_place(ollama: ScriptedOllama) -> None:
    ollama.script(Reply.text("a").gate_before_headers())
    async with service_for(ollama.base_url) as service:
        call = asyncio.create_task(text_of(service, "memory_fast"))
        await ollama.wait_held()
        call.cancel()
        await ollama.wait_disconnected(0)
        assert await text_of(service, "memory_fast") == "ok"


async def test_a_missing_model_is_named_and_the_rest_runs() -> None:
    async with ScriptedOllama(REFERENCE_MODELS[:2]) as ollama, service_for(ollama.base_url) as service:
        assert (await service.cards()).keys() == {"memory_fast", "implementation"}
        assert service.status.missing == {"memory_analysis": "ollama pull llama4:16x17b"}


async def test_a_model_that_is_pulled_later_is_taken_and_one_that_is_removed_is_let_go() -> None:
    async with ScriptedOllama(REFERENCE_MODELS[:1]) as ollama, service_for(ollama.base_url) as service:
        assert (await service.cards()).keys() == {"memory_fast"}
        ollama.models["llama4:16x17b"] = REFERENCE_MODELS[2]
        await until(lambda: "memory_analysis" in service.status.models)
        assert service.status.missing.keys() == {"implementation"}
        ollama.models.clear()
        await until(lambda: not service.status.models)
        with pytest.raises(BackendUnavailable, match="has none of the configured models: type `ollama pull qwen3"):
            await service.cards()
        ollama.models["qwen3:30b-a3b"] = REFERENCE_MODELS[0]
        await until(lambda: bool(service.status.models))
        assert await text_of(service, "memory_fast") == "ok"


async def test_ollama_that_goes_away_is_an_error_of_the_call_until_it_is_back(ollama: ScriptedOllama) -> None:
    async with service_for(ollama.base_url) as service:
        await service.cards()
        await ollama.stop_listening()
        with pytest.raises(BackendUnavailable, match="No Ollama answers"):
            await text_of(service, "memory_fast")
        await ollama.start_listening()
        assert await text_of(service, "memory_fast") == "ok"


async def test_only_ollama_and_none_there(ollama: ScriptedOllama) -> None:
    await ollama.stop_listening()
    async with service_for(ollama.base_url, kind="ollama", probe_timeout_s=0.05) as service:
        with pytest.raises(BackendUnavailable, match="start it with `ollama serve`") as caught:
            await service.cards()
        assert caught.value.retry_after_s
        assert (service.status.kind, service.status.models) == ("none", {})
        assert service.status.missing.keys() == set(ROLES)
        await ollama.start_listening()
        await until(lambda: service.status.kind == "ollama")
        assert await text_of(service, "implementation") == "ok"


async def test_only_ollama_and_it_has_none_of_the_models() -> None:
    async with (
        ScriptedOllama([Model("gemma3")]) as ollama,
        service_for(ollama.base_url, kind="ollama", probe_timeout_s=0.05) as service,
    ):
        with pytest.raises(
            BackendUnavailable, match=r"none of the configured models: type `ollama pull qwen3:30b-a3b`, "
        ):
            await service.cards()
        ollama.models["llama4:16x17b"] = REFERENCE_MODELS[2]
        await until(lambda: bool(service.status.models))
        assert (await service.cards()).keys() == {"memory_analysis"}


async def test_leaving_while_the_search_goes_on_releases_who_waits() -> None:
    service = service_for(NOWHERE, kind="ollama")
    await service.__aenter__()
    waiting = asyncio.create_task(service.cards())
    await service.__aexit__()
    with pytest.raises(BackendUnavailable):
        await waiting


async def test_after_the_end_a_lease_is_unavailable(ollama: ScriptedOllama) -> None:
    async with service_for(ollama.base_url) as service:
        card = (await service.cards())["memory_fast"]
        assert await text_of(service, "memory_fast") == "ok"
    with pytest.raises(BackendUnavailable):
        async with service.lease(card):
            pass


async def test_occupancy_tells_who_is_loaded_and_who_is_busy() -> None:
    async with ScriptedOllama() as ollama, service_for(ollama.base_url) as service:
        await service.settled()
        assert await service.occupancy() == Occupancy({}, {})
        await text_of(service, "memory_fast")
        found = await service.occupancy()
        assert found.loaded is not None
        assert found.loaded["qwen3:30b-a3b"].size_bytes == 18_600_000_000
        assert (list(found.loaded), found.calls) == (["qwen3:30b-a3b"], {"qwen3:30b-a3b": 0})
        async with service.lease((await service.cards())["memory_fast"]):
            assert (await service.occupancy()).calls == {"qwen3:30b-a3b": 1}
        await ollama.stop_listening()
        with pytest.raises(BackendUnavailable):
            await text_of(service, "memory_fast")
        assert (await service.occupancy()).loaded is None, "a call that fails has the next look ask the server"


async def test_a_window_that_another_client_loaded_is_told_once_and_is_not_ours(ollama: ScriptedOllama) -> None:
    """A call with our window makes Ollama load the model anew, so it must not count as loaded."""
    ollama.residency.load(REFERENCE_MODELS[1], num_ctx=4096)
    with capture_logs() as logs:
        async with service_for(ollama.base_url) as service:
            await service.settled()
            for _ in range(2):
                assert not (await service.occupancy()).holds("qwen2.5-coder:32b")
            loaded = await service.loaded()
            assert loaded is not None
            assert loaded["qwen2.5-coder:32b"].window_tokens == 4096
            await text_of(service, "implementation")
            assert (await service.occupancy()).holds("qwen2.5-coder:32b")
    told = [entry for entry in logs if entry["event"].startswith("a model is loaded with another window")]
    assert [(entry["window_tokens"], entry["ours_tokens"]) for entry in told] == [(4096, 131_072)]
