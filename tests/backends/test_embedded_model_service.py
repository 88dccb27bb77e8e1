from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from backends.service import ModelService
from config.errors import BackendUnavailable, ModelMissing
from config.schema import ROLES
from config.settings import BackendSettings
from tests.backends.model_service_support import (
    LIMIT_S,
    MODELS,
    NOWHERE,
    PretendEmbedded,
    service_for,
    text_by,
    text_of,
    until,
)
from tests.support.scripted_ollama import Model, Reply, ScriptedOllama


class TestEmbedded:
    """Where there is no Ollama to use."""

    models = (Model("smollm2:360m", 8192),)

    async def test_no_ollama(self) -> None:
        async with ScriptedOllama(self.models) as child:
            embedded = PretendEmbedded(child)
            async with service_for(NOWHERE, embedded) as service:
                cards = await service.cards()
                status = service.status
                assert (status.kind, status.reason) == ("embedded", f"no Ollama answers at {NOWHERE}")
                assert status.missing["implementation"] == "ollama pull qwen2.5-coder:32b"
                assert {(card.name, card.window_tokens, card.answer_limit_tokens) for card in cards.values()} == {
                    ("smollm2:360m", 8192, 2048)
                }
                assert [card.options["temperature"] for card in cards.values()] == [0.3, 0.2, 0.4]
                assert await text_of(service, "memory_analysis") == "ok"
                assert {request.headers["authorization"] for request in child.requests} == {"Bearer key"}
            assert (embedded.started, embedded.closed) == (1, 1)

    async def test_all_roles_share_the_one_models_place(self) -> None:
        async with ScriptedOllama(self.models) as child:
            child.default(Reply.text("a").gate_before_headers())
            async with service_for(NOWHERE, PretendEmbedded(child)) as service:
                calls = [asyncio.create_task(text_of(service, role)) for role in ROLES]
                await child.wait_held()
                await until(lambda: service.waiting_calls == {"smollm2:360m": 2})
                assert len(child.chats) == 1
                for number in (2, 3):
                    child.release()
                    await child.wait_chat(number)
                    await child.wait_held()
                child.release()
                await asyncio.gather(*calls)

    async def test_an_ollama_without_our_models(self) -> None:
        async with ScriptedOllama([Model("gemma3")]) as ollama, ScriptedOllama(self.models) as child:
            async with service_for(ollama.base_url, PretendEmbedded(child)) as service:
                await service.cards()
                assert service.status.kind == "embedded"
                assert "has none of the configured models: type `ollama pull" in service.status.reason
                assert await text_of(service, "memory_fast") == "ok"
            assert ollama.chats == []

    async def test_asked_for_by_the_configuration(self, ollama: ScriptedOllama) -> None:
        async with (
            ScriptedOllama(self.models) as child,
            service_for(ollama.base_url, PretendEmbedded(child), kind="embedded") as service,
        ):
            await service.cards()
            assert "backend.kind" in service.status.reason
        assert ollama.requests == []

    async def test_a_child_that_ends_is_started_again_and_requests_wait_for_it(self) -> None:
        async with ScriptedOllama(self.models) as child:
            embedded = PretendEmbedded(child)
            async with service_for(NOWHERE, embedded) as service:
                assert await text_of(service, "memory_fast") == "ok"
                embedded.ended.set()
                await until(lambda: embedded.closed == 1)
                assert await text_of(service, "memory_fast") == "ok"
                assert embedded.started == 2

    async def test_an_ollama_that_comes_later_takes_over_and_running_calls_end_in_peace(
        self, ollama: ScriptedOllama
    ) -> None:
        """It stayed with the embedded backend until it was started again."""
        await ollama.stop_listening()
        async with ScriptedOllama(self.models) as child:
            child.default(Reply.text("from the child").gate_before_headers())
            embedded = PretendEmbedded(child)
            async with service_for(ollama.base_url, embedded) as service:
                running = asyncio.create_task(text_of(service, "memory_fast"))
                await child.wait_held()
                await ollama.start_listening()
                await until(lambda: service.status.kind == "ollama")
                assert await text_of(service, "implementation") == "ok"
                assert embedded.closed == 0
                child.release()
                assert await running == "from the child"
                await until(lambda: embedded.closed == 1)
                assert await text_of(service, "memory_fast") == "ok"
            assert len(child.chats) == 1

    async def test_what_waits_for_the_childs_model_when_ollama_takes_over_is_answered_by_the_child(
        self, ollama: ScriptedOllama
    ) -> None:
        """It was sent to Ollama, which does not have the model: 404, and the advice to pull it."""
        await ollama.stop_listening()
        async with ScriptedOllama(self.models) as child:
            child.default(Reply.text("from the child").gate_before_headers())
            embedded = PretendEmbedded(child)
            async with service_for(ollama.base_url, embedded) as service:
                card = (await service.cards())["implementation"]
                calls = [asyncio.create_task(text_of(service, "memory_fast")) for _ in range(2)]
                await child.wait_held()
                await until(lambda: service.waiting_calls == {card.name: 1})
                await ollama.start_listening()
                await until(lambda: service.status.kind == "ollama")
                calls.append(asyncio.create_task(text_by(service, card)))
                for number in (1, 2, 3):
                    await child.wait_chat(number)
                    await child.wait_held()
                    assert embedded.closed == 0
                    child.release()
                assert await asyncio.gather(*calls) == ["from the child"] * 3
                await until(lambda: embedded.closed == 1)
                assert await text_of(service, "memory_fast") == "ok"
                with pytest.raises(ModelMissing):  # whoever comes later still plans anew
                    await text_by(service, card)
            assert len(child.chats) == 3

    async def test_a_child_that_does_not_start_is_told_and_tried_again(self) -> None:
        async with ScriptedOllama(self.models) as child:
            embedded = PretendEmbedded(child, BackendUnavailable("no wheels for this machine"))
            async with service_for(NOWHERE, embedded) as service:
                with pytest.raises(BackendUnavailable, match="no wheels for this machine"):
                    await service.cards()
                assert (service.status.kind, service.status.reason) == ("none", "no wheels for this machine")
                await until(lambda: service.status.kind == "embedded")

    async def test_a_child_that_cannot_even_be_spawned_is_told_and_tried_again(self) -> None:
        """Requests waited for ever."""
        async with (
            ScriptedOllama(self.models) as child,
            service_for(NOWHERE, PretendEmbedded(child, OSError("no memory"))) as service,
        ):
            async with asyncio.timeout(LIMIT_S):
                with pytest.raises(BackendUnavailable):
                    await service.cards()
                assert "no memory" in service.status.reason
            await until(lambda: service.status.kind == "embedded")

    async def test_a_search_that_fails_is_told_keeps_nobody_waiting_and_starts_again(self) -> None:
        """It ended for good, and the status stayed "starting" until the service was started again."""
        async with ScriptedOllama(self.models) as child:
            with capture_logs() as logs:
                async with service_for(NOWHERE, PretendEmbedded(child, RuntimeError("a bug"))) as service:
                    async with asyncio.timeout(LIMIT_S):
                        with pytest.raises(BackendUnavailable, match=r"failed \(RuntimeError\) and starts again"):
                            await service.cards()
                    assert (service.status.kind, service.status.models) == ("none", {})
                    await until(lambda: service.status.kind == "embedded")
                    assert await text_of(service, "memory_fast") == "ok"
            assert "the search for models failed; it starts again" in [entry["event"] for entry in logs]

    @pytest.mark.embedded
    async def test_the_real_one(self) -> None:
        service = ModelService(BackendSettings(base_url=NOWHERE), MODELS)
        async with service:
            card = (await service.cards())["memory_fast"]
            assert card.window_tokens == 8192
            async with service.lease(card) as model:
                answer = await model.ainvoke("Say hello.", options={**card.options, "num_predict": 4})
            assert answer.usage_metadata is not None
            assert answer.usage_metadata["output_tokens"] > 0
