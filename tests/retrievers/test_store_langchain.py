"""What LangChain's own wrappers make of our collections, and so why the stores use the databases' clients."""

from __future__ import annotations

from pathlib import Path

from chromadb.api.client import Client
from chromadb.config import Settings
from langchain_chroma import Chroma
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_qdrant import QdrantVectorStore
from qdrant_client import QdrantClient

from retrievers.stores.chroma import COLLECTION, ChromaStore
from retrievers.stores.qdrant import QdrantStore
from tests.retrievers.store_support import DIMENSION, saved, unit_rows


def snapshot(folder: Path) -> str:
    return str(next(folder.glob("snapshot-*")))


def test_langchain_reads_content_ids_from_what_we_write_to_qdrant(tmp_path: Path) -> None:
    saved(QdrantStore, tmp_path)
    client = QdrantClient(path=snapshot(tmp_path))
    try:
        reader = QdrantVectorStore(client, "vectors", DeterministicFakeEmbedding(size=DIMENSION))
        [(document, score)] = reader.similarity_search_with_score_by_vector(unit_rows(1)[0].tolist(), k=1)
        assert document.metadata["content_id"] == "b"
        assert document.page_content == ""
        assert round(score, 5) == 1.0
    finally:
        client.close()


def test_langchain_leaves_out_what_has_no_text_in_chroma(tmp_path: Path) -> None:
    saved(ChromaStore, tmp_path)
    client = Client(settings=Settings(is_persistent=True, persist_directory=snapshot(tmp_path)))
    try:
        reader = Chroma(COLLECTION, client=client, create_collection_if_not_exists=False)
        assert reader.get(include=[])["ids"] == ["a", "b", "c"]
        assert reader.similarity_search_by_vector_with_relevance_scores(unit_rows(1)[0].tolist(), k=1) == []
    finally:
        client.close()
