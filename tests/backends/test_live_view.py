from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from backends.live_view import LiveView
from backends.types import ModelCard
from tests.backends.model_service_support import until
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


@pytest.fixture
async def silent() -> AsyncIterator[tuple[httpx.AsyncClient, list[asyncio.StreamWriter]]]:
    """A server that takes connections, which are listed, and never answers."""
    asked: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: asked.append(writer), "127.0.0.1", 0)
    async with server, httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        yield client, asked
        for writer in asked:
            writer.transport.abort()


async def test_a_server_that_hangs_is_asked_once_for_all_who_look(
    silent: tuple[httpx.AsyncClient, list[asyncio.StreamWriter]],
) -> None:
    """Each asked anew when its turn came, as the answer was old by then: four model lists took 3, 6, 9 and 12 s."""
    http, asked = silent
    view = LiveView(fresh_for_s=0.2)
    assert await asyncio.gather(*(view.look(http, {}, 0.3) for _ in range(4))) == [None] * 4
    assert len(asked) == 1


async def test_a_short_look_does_not_wait_behind_a_long_one(
    silent: tuple[httpx.AsyncClient, list[asyncio.StreamWriter]],
) -> None:
    http, asked = silent
    view = LiveView()
    long_look = asyncio.create_task(view.look(http, {}, 60.0))
    try:
        await until(lambda: bool(asked))
        assert await view.look(http, {}, 0.01) is None
        assert not long_look.done()
    finally:
        long_look.cancel()
        await asyncio.wait({long_look})


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
