"""A service of its own for every test, quick to lose patience; `start` takes other settings."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, Section, running_service

Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as ollama:
        yield ollama


@pytest.fixture
async def start(ollama: ScriptedOllama, tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(**sections: Section) -> Running:
            return await stack.enter_async_context(running_service(ollama, tmp_path, **sections))

        yield start


@pytest.fixture
async def running(start: Start) -> Running:
    return await start(server={"hold_status_s": 30, "heartbeat_s": 30})


def running_tasks() -> list[str]:
    """Tasks that work for a request."""
    names = {"answer", "watch-client", "run-graph"}
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() in names]
