"""Models that are loaded before they are called: at the start, and while a person reads."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextvars import ContextVar, copy_context
from weakref import WeakSet

import pytest
from structlog.testing import capture_logs

from backends import warming
from backends.service import ModelService
from config.schema import ROLES, Role
from tests.backends.model_service_support import MODELS, service_for, text_of, until
from tests.support.scripted_ollama import REFERENCE_MODELS, Reply, ScriptedOllama

FAST, CODER, LARGE = (model.full_name for model in REFERENCE_MODELS)


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as ollama:
        yield ollama


async def loaded(service: ModelService) -> set[str]:
    return set(await service.loaded() or ())


async def test_at_the_start_models_are_loaded_in_order_where_they_fit(ollama: ScriptedOllama) -> None:
    """By their figures, the large one with its cache does not fit beside the others."""
    async with service_for(ollama.base_url, preload=ROLES) as service:
        await service.settled()
        await until(lambda: len(ollama.residency.loads) == 2)
        assert ollama.residency.loads == [(FAST, 40_960), (CODER, 131_072)]
        for role in ROLES[:2]:
            assert await text_of(service, role) == "ok"
    assert ollama.residency.loads == [(FAST, 40_960), (CODER, 131_072)], "a call loaded a model anew"
    assert [body["keep_alive"] for body in ollama.preloads] == ["60m", "30m"]


async def test_loading_ahead_ends_where_the_server_keeps_one_model_only(ollama: ScriptedOllama) -> None:
    ollama.residency.room = 1
    async with service_for(ollama.base_url, preload=("implementation", "memory_fast", "implementation")) as service:
        await service.settled()
        await until(lambda: len(ollama.residency.loads) == 2)
        await until(lambda: ollama.running == 0)
        assert await loaded(service) == {FAST}
        assert await text_of(service, "memory_fast") == "ok"
    assert len(ollama.residency.loads) == 2


async def test_a_call_for_another_model_ends_the_loading(ollama: ScriptedOllama) -> None:
    ollama.script_load(Reply().gate_before_headers())
    async with service_for(ollama.base_url, preload=ROLES[:2]) as service:
        await service.settled()
        await ollama.wait_held()
        assert await text_of(service, "implementation") == "ok"
        await until(lambda: ollama.held == 0)
        assert [name for name, _ in ollama.residency.loads] == [CODER]


async def test_what_a_call_has_left_unloaded_is_loaded_when_it_is_quiet(
    ollama: ScriptedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One early request was the end of all preloading."""
    monkeypatch.setattr(warming, "QUIET_S", 0.01)
    ollama.script_load(Reply().gate_before_headers())
    async with service_for(ollama.base_url, preload=ROLES[:2]) as service:
        await service.settled()
        await ollama.wait_held()
        assert await text_of(service, "implementation") == "ok"
        await until(lambda: {name for name, _ in ollama.residency.loads} == {FAST, CODER})
    assert len(ollama.residency.loads) == 2


async def test_a_call_for_the_model_that_is_being_loaded_goes_on_with_it(ollama: ScriptedOllama) -> None:
    ollama.script_load(Reply().gate_before_headers())
    async with service_for(ollama.base_url, preload=ROLES[:1]) as service:
        await service.settled()
        await ollama.wait_held()
        call = asyncio.create_task(text_of(service, "memory_fast"))
        await ollama.wait_chat()
        assert ollama.held == 1
        ollama.release()
        assert await call == "ok"
    assert [name for name, _ in ollama.residency.loads] == [FAST]


@pytest.mark.parametrize("ahead", [True, False], ids=["loaded ahead", "loaded by a call"])
async def test_a_model_that_is_being_loaded_is_not_taken_for_ready(ollama: ScriptedOllama, ahead: bool) -> None:
    """Ollama lists it as soon as its load begins; a call that came then had the first token's limit for the rest."""
    ollama.script_load(*[Reply().gate_before_headers()] * 2)
    async with service_for(ollama.base_url, preload=ROLES[:1] if ahead else (), calls_per_model=2) as service:
        first = None if ahead else asyncio.create_task(text_of(service, "memory_fast"))
        await service.settled()
        await ollama.wait_held()
        ollama.residency.load(REFERENCE_MODELS[0], num_ctx=40_960)
        call = asyncio.create_task(text_of(service, "memory_fast"))
        await ollama.wait_held(2)
        assert not ollama.chats
        ollama.release()
        assert await call == "ok"
        assert first is None or await first == "ok"
        assert await text_of(service, "memory_fast") == "ok"
    assert len(ollama.preloads) == 2, "a model that is loaded was loaded anew"


async def test_a_model_that_cannot_be_loaded_is_told_and_costs_nothing(ollama: ScriptedOllama) -> None:
    ollama.script_load(Reply.http(500, "out of memory"))
    with capture_logs() as logs:
        async with service_for(ollama.base_url, preload=ROLES[:1]) as service:
            await service.settled()
            await until(lambda: any(entry["event"].startswith("model could not be") for entry in logs))
            assert await text_of(service, "memory_fast") == "ok"
    assert "out of memory" in next(entry["error"] for entry in logs if "error" in entry)


async def test_an_ollama_that_comes_later_is_made_ready_then(ollama: ScriptedOllama) -> None:
    await ollama.stop_listening()
    async with service_for(ollama.base_url, kind="ollama", probe_timeout_s=0.05, preload=ROLES[:1]) as service:
        await service.settled()
        await ollama.start_listening()
        await until(lambda: ollama.residency.loads == [(FAST, 40_960)])


async def test_a_plan_that_cannot_fit_is_named_at_the_start(ollama: ScriptedOllama) -> None:
    with capture_logs() as logs:
        async with service_for(ollama.base_url) as service:
            await service.settled()
    told = [entry["problem"] for entry in logs if entry["event"] == "the models do not fit the memory together"]
    assert told == [service.memory_plan.problem()]
    assert "qwen2.5-coder:32b 20 + 34" in told[0]


@pytest.mark.parametrize(
    ("warm_coder", "large_first", "warmed"),
    [(None, False, True), (None, True, False), (True, True, True), (False, False, False)],
    ids=["room", "no room", "forced", "off"],
)
async def test_the_coder_is_warmed_where_it_pushes_nothing_out(
    ollama: ScriptedOllama, warm_coder: bool | None, large_first: bool, warmed: bool
) -> None:
    """The large model leaves no room for the coder."""
    async with service_for(ollama.base_url, warm_coder=warm_coder) as service:
        await text_of(service, "memory_analysis" if large_first else "memory_fast")
        service.warm("implementation")
        if warmed:
            await until(lambda: (CODER, 131_072) in ollama.residency.loads)
        else:
            await service._warming.aclose()
            await service.loaded()
        assert (CODER in await loaded(service)) is warmed


async def test_the_coder_is_not_warmed_while_anybody_waits_for_an_answer(ollama: ScriptedOllama) -> None:
    ollama.default(Reply.text("a").gate_before_headers())
    async with service_for(ollama.base_url, warm_coder=True) as service:
        call = asyncio.create_task(text_of(service, "memory_fast"))
        await ollama.wait_held()
        service.warm("implementation")
        await asyncio.wait({service._warming._task or call})
        assert CODER not in await loaded(service)
        ollama.release()
        assert await call == "a"


async def test_a_loading_holds_neither_the_one_it_takes_the_place_of_nor_the_request_that_led_to_it(
    ollama: ScriptedOllama,
) -> None:
    """Each waited for the one before and held it: hundreds of answered requests, until one ended by itself."""
    loadings: WeakSet[asyncio.Task[None]] = WeakSet()
    requests: WeakSet[_Request] = WeakSet()
    ollama.script_load(*[Reply().gate_before_headers()] * 4)
    async with service_for(ollama.base_url, warm_coder=True) as service:
        await service.settled()
        for _ in range(4):
            await _lead_to_loading(service, ollama, requests)
            loadings.update(task for task in asyncio.all_tasks() if task.get_name() == "warm-models")
        gc.collect()
        assert (len(loadings), len(requests)) == (1, 0)


class _Request:
    """Held by the context it was made in."""


_REQUEST: ContextVar[_Request] = ContextVar("_REQUEST")


async def _lead_to_loading(service: ModelService, ollama: ScriptedOllama, requests: WeakSet[_Request]) -> None:
    requests.add(request := _Request())
    begun, context = len(ollama.preloads), copy_context()
    context.run(_REQUEST.set, request)
    context.run(service.warm, "implementation")
    await until(lambda: len(ollama.preloads) > begun)


async def test_what_was_never_seen_together_is_believed_to_fit_by_the_plan(ollama: ScriptedOllama) -> None:
    assert MODELS.planned_gb <= MODELS.available_gb
    ollama.default(Reply.text("a").gate_before_headers())
    async with service_for(ollama.base_url) as service:
        calls = [asyncio.create_task(text_of(service, role)) for role in ROLES]
        await ollama.wait_held(3)
        ollama.release()
        assert await asyncio.gather(*calls) == ["a"] * 3


async def test_after_an_eviction_calls_for_the_loaded_model_go_first(ollama: ScriptedOllama) -> None:
    ollama.residency.room = 1
    async with service_for(ollama.base_url) as service:
        for role in ("implementation", "memory_fast", "implementation"):
            await text_of(service, role)
            await service.occupancy()
        ollama.default(Reply.text("a").gate_before_headers())
        order: tuple[Role, ...] = ("implementation", "memory_fast", "implementation", "implementation")
        calls = []
        for role in order:
            calls.append(asyncio.create_task(text_of(service, role)))
            await asyncio.sleep(0)
        before = len(ollama.chats)
        for number in range(1, 4):
            await ollama.wait_chat(before + number)
            ollama.release()
        asked = [chat["model"] for chat in ollama.chats[before:]]
        assert asked == [CODER] * 3
        calls[1].cancel()
        await asyncio.wait(calls)
