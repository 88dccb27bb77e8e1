from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.scripted_ollama import ScriptedOllama


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as ollama:
        yield ollama
