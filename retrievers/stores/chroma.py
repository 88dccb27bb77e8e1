"""Vectors in an embedded Chroma. The only importer of chromadb, and only when a store is used.

Chroma's own client and not LangChain's wrapper: that one embeds texts itself, and leaves out of its results what
has no text. Only ids and vectors are kept here. How the folder is laid out, and why: `snapshots.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from retrievers.stores.embedded import EmbeddedStore
from retrievers.types import Vectors

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

FORMAT = "chroma 1"
COLLECTION = "vectors"
# HNSW looks at so many candidates: below this size a search sees all that its graph reaches, in milliseconds.
SEARCHED_VECTORS = 10_000
# Denser than Chroma's own (16, 100), with which tight clusters of a few thousand vectors hid some of them.
NEIGHBORS = 32
CONSTRUCTION_CANDIDATES = 200
# Chroma keeps removed vectors in its files for good. Beyond this size they are made anew, at the next load.
ROOM_BYTES = 8 * 1024 * 1024
ROOM_FACTOR = 8


class ChromaStore(EmbeddedStore):
    """Cosine search in Chroma's HNSW index, by content id: nearly exact, as a graph need not reach every vector.

    Args:
        folder: Where the index lives; made when first written.
        embedder_name: Whose vectors these are; others on disk raise `IndexMismatch` on `load`.
        dimension: Length of each vector.
    """

    def __init__(self, folder: Path, embedder_name: str, dimension: int) -> None:
        super().__init__(folder, embedder_name, dimension, format_name=FORMAT, open_database=_opened)


class _Session(NamedTuple):
    client: Client
    collection: Collection
    batch: int


class _ChromaDatabase:
    """One collection; closed while its files are copied."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._folder = folder
        self._somewhere = np.ones(dimension, dtype=np.float32)
        self._session: _Session | None = None
        self._open()

    def ids(self) -> frozenset[str]:
        return frozenset(self._open().collection.get(include=[])["ids"])

    def upsert(self, ids: list[str], vectors: Vectors) -> None:
        _, collection, batch = self._open()
        for part in _slices(ids, batch):
            # Removed first: a vector that is replaced in its place can end up where no search reaches it.
            collection.delete(ids=ids[part])
            collection.add(ids=ids[part], embeddings=vectors[part])

    def delete(self, ids: list[str]) -> None:
        _, collection, batch = self._open()
        for part in _slices(ids, batch):
            collection.delete(ids=ids[part])

    def nearest(self, vector: Vectors, k: int) -> list[tuple[str, float]]:
        found = self._open().collection.query(query_embeddings=vector[None], n_results=k, include=["distances"])
        [ids], [distances] = found["ids"], found["distances"] or [[]]
        return [(content_id, 1.0 - distance) for content_id, distance in zip(ids, distances, strict=True)]

    def compact(self) -> None:
        """Make the files anew where they hold far more than the vectors."""
        held = self._open().collection.count() * self._somewhere.nbytes
        if sum(path.stat().st_size for path in self._folder.rglob("*")) <= ROOM_BYTES + ROOM_FACTOR * held:
            return
        rows = self._open().collection.get(include=["embeddings"])
        self.close()
        shutil.rmtree(self._folder)
        self._folder.mkdir()
        self.upsert(rows["ids"], np.asarray(rows["embeddings"], dtype=np.float32))

    @contextmanager
    def settled(self) -> Iterator[None]:
        self.close()
        yield
        self._open()

    def close(self) -> None:
        if self._session is not None:
            self._session.client.close()
            self._session = None

    def _open(self) -> _Session:
        if self._session is None:
            self._session = _connect(self._folder)
            # The first query reads the whole index: it should not be a person's.
            self.nearest(self._somewhere, 1)
        return self._session


def _opened(folder: Path, dimension: int) -> _ChromaDatabase:
    database = _ChromaDatabase(folder, dimension)
    database.compact()
    return database


def _connect(folder: Path) -> _Session:
    from chromadb.api.client import Client  # noqa: PLC0415 - takes seconds, and may not be installed
    from chromadb.config import Settings  # noqa: PLC0415

    # All that decides what is opened and whom it calls is said here: Chroma also reads the environment and a `.env`.
    settings = Settings(
        _env_file=None,
        is_persistent=True,
        persist_directory=str(folder),
        chroma_api_impl="chromadb.api.rust.RustBindingsAPI",
        anonymized_telemetry=False,
        chroma_otel_collection_endpoint="",
        allow_reset=False,
        migrations="apply",
        migrations_hash_algorithm="md5",
    )
    client = Client(settings=settings)
    try:
        collection = client.get_or_create_collection(
            COLLECTION,
            embedding_function=None,
            configuration={
                "hnsw": {
                    "space": "cosine",
                    "ef_search": SEARCHED_VECTORS,
                    "max_neighbors": NEIGHBORS,
                    "ef_construction": CONSTRUCTION_CANDIDATES,
                }
            },
        )
        return _Session(client, collection, client.get_max_batch_size())
    except BaseException:
        client.close()
        raise


def _slices(ids: Sequence[str], size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, len(ids), size))
