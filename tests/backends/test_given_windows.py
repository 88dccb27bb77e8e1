"""What a model is loaded with against what was asked for: another client's load, and a server that gives less."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from backends.types import ModelCard
from config.errors import SmallerWindow
from config.schema import Role
from tests.backends.model_service_support import service_for, text_of, until
from tests.support.scripted_ollama import REFERENCE_MODELS, ScriptedOllama

FAST = REFERENCE_MODELS[0]


def _window(cards: Mapping[Role, ModelCard]) -> int:
    return cards["memory_fast"].window_tokens


async def test_a_server_that_gives_less_than_is_asked_for_is_believed_before_its_first_call(
    ollama: ScriptedOllama,
) -> None:
    """What is asked of it stays the same: another `num_ctx` would make it load the model anew."""
    ollama.residency.most_ctx = 16_384
    async with service_for(ollama.base_url) as service:
        assert (await service.cards())["memory_fast"].window_tokens == 40_960
        with pytest.raises(SmallerWindow, match="16384 tokens in place of 40960"):
            await text_of(service, "memory_fast")
        assert ollama.chats == []
        card = (await service.cards())["memory_fast"]
        assert (card.window_tokens, card.options["num_ctx"], card.answer_limit_tokens) == (16_384, 40_960, 4096)
        assert service.status.models["memory_fast"] == card
        assert await text_of(service, "memory_fast") == "ok"
        assert (await service.occupancy()).holds(card.name)
        assert ollama.residency.loads == [(card.name, 16_384)]


async def test_a_server_that_gives_more_again_is_believed_with_its_next_load(ollama: ScriptedOllama) -> None:
    ollama.residency.most_ctx = 16_384
    async with service_for(ollama.base_url) as service:
        with pytest.raises(SmallerWindow):
            await text_of(service, "memory_fast")
        ollama.residency.most_ctx = None
        ollama.residency.unload(FAST)
        assert await text_of(service, "memory_fast") == "ok"
        assert (await service.cards())["memory_fast"].window_tokens == 40_960


async def test_a_window_is_seen_when_a_model_is_loaded_ahead_of_time(ollama: ScriptedOllama) -> None:
    ollama.residency.most_ctx = 4096
    async with service_for(ollama.base_url, preload=("memory_fast",)) as service:
        await service.settled()
        await until(lambda: _window(service.status.models) == 4096)
    assert ollama.chats == []
