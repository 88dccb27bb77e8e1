from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from backends.live_view import LiveView
from backends.types import ModelCard
from tests.graphs.graph_support import card
from tests.support.scripted_ollama import REFERENCE_MODELS, ScriptedOllama

CODER: ModelCard = replace(card("implementation", window=131_072), name=REFERENCE_MODELS[1].full_name)


@pytest.fixture
async def http(ollama: ScriptedOllama) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=ollama.base_url) as client:
        yield client


async def test_many_who_look_at_once_ask_once(ollama: ScriptedOllama, http: httpx.AsyncClient) -> None:
    view = LiveView(fresh_for_s=math.inf)
    for asked in (1, 2):
        await asyncio.gather(*(view.look(http, {}) for _ in range(5)))
        assert [request.path for request in ollama.requests] == ["/api/ps"] * asked
        view.expire()


@pytest.mark.parametrize(("loaded_tokens", "ours"), [(131_072, True), (4096, False), (None, False)])
async def test_it_shows_what_a_call_would_leave_as_it_is(
    ollama: ScriptedOllama, http: httpx.AsyncClient, loaded_tokens: int | None, ours: bool
) -> None:
    view = LiveView()
    assert not view.shows(CODER), "nobody has looked"
    if loaded_tokens:
        ollama.residency.load(REFERENCE_MODELS[1], num_ctx=loaded_tokens)
    await view.look(http, {"implementation": CODER})
    assert view.shows(CODER) is ours
