"""One service for all of a module's snippets, over a scripted Ollama whose embedding model ranks the memory bank."""

from collections.abc import AsyncIterator
from typing import NoReturn

import pytest
import pytest_asyncio

from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, running_service
from wire.terminal.parts import Parts


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    memory = {"enabled": True, "embedder": "ollama"}
    async with (
        ScriptedOllama() as ollama,
        running_service(ollama, tmp_path_factory.mktemp("service"), memory=memory) as running,
    ):
        yield running


@pytest.fixture
def parts_of_nothing() -> Parts:
    """For a terminal whose commands are looked at and not run."""

    def never(*_: object) -> NoReturn:
        raise AssertionError

    return Parts("0", never, never, never, never, never)
