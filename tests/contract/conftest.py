"""One service a module, with its own event loop; every test begins with an Ollama that has forgotten the last one."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, running_service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def running(shared: Running) -> Running:
    shared.ollama.chats.clear()
    shared.ollama._queues.clear()
    shared.ollama._defaults.clear()
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def openai(running: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=running.openai_url, api_key="sk-local", max_retries=0, timeout=15) as client:
        yield client
