"""Which vector store the configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from config.errors import ConfigError
from config.settings import MemorySettings, StoreName
from retrievers.stores.chroma import ChromaStore
from retrievers.stores.faiss import FaissStore
from retrievers.stores.qdrant import QdrantStore
from retrievers.stores.qdrant_server import QdrantServerStore
from retrievers.types import OpenStore, VectorStore

# Chroma's bare HTTP client has the same name and no embedded database.
NEEDED_MODULES: dict[StoreName, tuple[str, ...]] = {
    "faiss": (),
    "chroma": ("chromadb", "chromadb_rust_bindings"),
    "qdrant": ("qdrant_client",),
}


def choose_store(memory: MemorySettings, qdrant_api_key: SecretStr | None = None) -> OpenStore:
    """Makes the stores that `memory.store` names, each kind in folders of its own.

    Raises:
        ConfigError: its package is not installed; names the extra that brings it.
    """
    for module in NEEDED_MODULES[memory.store]:
        if find_spec(module) is None:
            raise ConfigError(
                f"memory.store = '{memory.store}' needs a package that is not installed: "
                f'pip install "cline-memory-router[{memory.store}]", or set memory.store to faiss.'
            )
    if memory.store == "faiss":
        return FaissStore
    if memory.store == "chroma":
        return _beside(ChromaStore, "chroma")
    if memory.qdrant_url is None:
        return _beside(QdrantStore, "qdrant")
    api_key = qdrant_api_key.get_secret_value() if qdrant_api_key is not None else None
    return _beside(partial(QdrantServerStore, url=memory.qdrant_url, api_key=api_key), "qdrant-server")


def _beside(make: Callable[[Path, str, int], VectorStore], kind: str) -> OpenStore:
    """In a folder beside FAISS's, so that who tries another store and comes back finds the index as it was."""

    def open_store(folder: Path, embedder_name: str, dimension: int) -> VectorStore:
        return make(folder.with_name(f"{folder.name}-{kind}"), embedder_name, dimension)

    return open_store
