"""One embedded backend for all tests of this folder, on an event loop of its own thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from backends.embedded.launcher import EmbeddedBackend

_LIMIT_S = 60.0


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedBackend]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    backend = EmbeddedBackend()
    asyncio.run_coroutine_threadsafe(backend.start(), loop).result(_LIMIT_S)
    yield backend
    asyncio.run_coroutine_threadsafe(backend.close(), loop).result(_LIMIT_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_LIMIT_S)
    loop.close()


@pytest.fixture
async def http(embedded: EmbeddedBackend) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=embedded.base_url, headers=embedded.headers, timeout=_LIMIT_S, trust_env=False
    ) as client:
        yield client
