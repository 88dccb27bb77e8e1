"""A service over a scripted Ollama for each real client; run by `make test-clients`, as they come from npm."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.ollama_catalogue import REFERENCE_MODELS, Model
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, running_service

MODELS = (*REFERENCE_MODELS, Model("nomic-embed-text", capabilities=("embedding",)))
MEMORY = {"enabled": True, "embedder": "ollama"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.clients)


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with ScriptedOllama(MODELS) as ollama, running_service(ollama, tmp_path, memory=MEMORY) as running:
        yield running
