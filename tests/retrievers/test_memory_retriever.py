from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from retrievers.memory import MemoryService
from retrievers.retriever import MemoryRetriever
from tests.retrievers.memory_support import WordEmbedder, count_words, write_bank

FILES = {
    "projectbrief.md": "# Brief\nAnchors and harbours.\n",
    "techContext.md": "# Tech\nPostgres keeps gauges.\n",
    "progress.md": "# Progress\nDrift of sensors.\n",
}


@pytest.fixture
def retriever(tmp_path: Path) -> MemoryRetriever:
    write_bank(tmp_path / "memory-bank", FILES)
    service = MemoryService(vector_store_path=tmp_path / "vectors", embedder=WordEmbedder(), count_tokens=count_words)
    service.recall_blocking(tmp_path, "warm", 100)
    assert service.wait_indexed(10)
    return MemoryRetriever(service=service, workspace=tmp_path, k=2)


async def test_documents_carry_where_they_come_from(retriever: MemoryRetriever) -> None:
    for documents in (retriever.invoke("drift of sensors"), await retriever.ainvoke("drift of sensors")):
        assert len(documents) == 2
        best = documents[0]
        assert best.page_content == FILES["progress.md"]
        assert best.metadata["source"] == "memory-bank/progress.md"
        assert best.metadata["heading"] == "Progress"
        assert (best.metadata["start_line"], best.metadata["end_line"]) == (1, 2)
        assert best.metadata["score"] > documents[1].metadata["score"]
        assert datetime.fromisoformat(best.metadata["modified_at"]).tzinfo is not None


async def test_k_may_be_given_with_the_question(retriever: MemoryRetriever) -> None:
    assert len(retriever.invoke("sensors", k=1)) == 1
    assert len(await retriever.ainvoke("sensors", k=3)) == 3


def test_a_workspace_without_a_bank_gives_no_documents(retriever: MemoryRetriever, tmp_path: Path) -> None:
    empty = MemoryRetriever(service=retriever.service, workspace=tmp_path / "missing")
    assert empty.invoke("sensors") == []
