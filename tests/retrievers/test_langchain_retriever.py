"""LangChain's own suite for retrievers."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_tests.integration_tests import RetrieversIntegrationTests

from retrievers.memory import MemoryService
from retrievers.retriever import MemoryRetriever
from tests.retrievers.memory_support import WordEmbedder, count_words, words, write_bank


class TestMemoryRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _bank(self, tmp_path: Path) -> None:
        files = {
            "projectbrief.md": f"# Brief\n{words(600, 'tide')}",
            "progress.md": f"# Progress\n{words(600, 'gauge')}",
        }
        write_bank(tmp_path / "memory-bank", files)
        self.workspace = tmp_path
        self.service = MemoryService(
            vector_store_path=tmp_path / "vectors", embedder=WordEmbedder(), count_tokens=count_words
        )
        self.service.status_blocking(tmp_path)
        assert self.service.wait_indexed(10)

    @property
    def retriever_constructor(self) -> type[MemoryRetriever]:
        return MemoryRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, object]:
        return {"service": self.service, "workspace": self.workspace}

    @property
    def retriever_query_example(self) -> str:
        return "which gauge does tide7 stand for?"
