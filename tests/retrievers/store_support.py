"""What the tests of the vector stores share: the stores by name, and vectors."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from retrievers.stores.chroma import ChromaStore
from retrievers.stores.faiss import FaissStore
from retrievers.stores.qdrant import QdrantStore
from retrievers.stores.qdrant_server import QdrantServerStore
from retrievers.types import OpenStore, Vectors, VectorStore

DIMENSION = 8
EMBEDDER = "words"
ON_DISK: dict[str, OpenStore] = {"faiss": FaissStore, "chroma": ChromaStore, "qdrant": QdrantStore}


def store_kind(name: str) -> OpenStore:
    """One of `ON_DISK`, or a Qdrant server where the name is its URL."""
    return ON_DISK.get(name) or partial(QdrantServerStore, url=name, api_key=None)


def unit_rows(*places: int) -> Vectors:
    return np.eye(DIMENSION, dtype=np.float32)[list(places)]


def random_rows(seeds: Iterable[int], dimension: int = DIMENSION) -> Vectors:
    """Unit rows, one a seed."""
    rows = np.array([np.random.default_rng(seed).normal(size=dimension) for seed in seeds]).reshape(-1, dimension)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def saved(open_store: OpenStore, folder: Path) -> VectorStore:
    store = open_store(folder, EMBEDDER, DIMENSION)
    store.add(["a", "b", "c"], unit_rows(0, 1, 2))
    store.save()
    return store


def loaded(open_store: OpenStore, folder: Path, *, embedder: str = EMBEDDER, dimension: int = DIMENSION) -> VectorStore:
    store = open_store(folder, embedder, dimension)
    store.load()
    return store
