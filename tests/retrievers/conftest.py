"""A service over a bank of some size, which a test may use or replace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from retrievers.memory import MemoryService
from tests.retrievers.memory_support import WordEmbedder, write_bank
from tests.retrievers.service_support import LARGE, service_of


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_bank(tmp_path / "project" / "memory-bank", LARGE)
    return tmp_path / "project"


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
async def service(tmp_path: Path, embedder: WordEmbedder) -> AsyncIterator[MemoryService]:
    service = service_of(tmp_path, embedder)
    yield service
    await service.aclose()
