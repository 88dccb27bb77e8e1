"""A service with a memory bank, one a module."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.retrievers.git_support import Repo
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, running_service
from tests.wire.memory_routes_support import BANK


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    allowed = tmp_path_factory.mktemp("allowed").resolve()
    repo = Repo(allowed / "greenhouse")
    repo.commit({**BANK, "src/pump.ts": "1"})
    repo.commit({"src/pump.ts": "2"}, days_later=30)
    (allowed / "empty").mkdir()
    outside = tmp_path_factory.mktemp("outside").resolve()
    return {"roots": allowed, "bank": allowed / "greenhouse", "empty": allowed / "empty", "outside": outside}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, places: dict[str, Path]) -> AsyncIterator[Running]:
    memory = {"enabled": True, "workspace_roots": [places["roots"]], "default_workspace": places["bank"]}
    folder = tmp_path_factory.mktemp("service")
    async with ScriptedOllama() as ollama, running_service(ollama, folder, memory=memory) as running:
        yield running
