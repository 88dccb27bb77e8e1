"""One bank's vectors: which chunks have one, and the build that adds the missing and drops the gone."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import numpy as np

from config.errors import IndexMismatch
from retrievers.corpus import Corpus, embedding_text
from retrievers.types import Embedder, OpenStore, Vectors, VectorStore

BUILD_BATCH_TEXTS = 64


def index_folder(vector_store_path: Path, bank_root: Path) -> Path:
    """Where a bank's index lives: one folder a bank, named by a hash of where the bank is."""
    return vector_store_path / hashlib.sha256(str(bank_root).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class BankIndex:
    """The vectors of one bank. `build` belongs into a background thread; all else returns in milliseconds.

    `problem` is one sentence on why the last build could not finish, None if it did.
    """

    def __init__(self, folder: Path, embedder: Embedder, open_store: OpenStore) -> None:
        self._folder = folder
        self._embedder = embedder
        self._open_store = open_store
        self._store: VectorStore | None = None
        self._building = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self.problem: str | None = None

    @property
    def content_ids(self) -> frozenset[str]:
        """The chunks that have a vector now."""
        return self._known

    def covers(self, corpus: Corpus) -> bool:
        """Whether each chunk has a vector and no vector is left over."""
        return self._known == corpus.content_ids

    def search(self, vector: Vectors, k: int) -> list[tuple[str, float]]:
        """At most `k` `(content id, cosine similarity)`, best first. Raises `IndexMismatch` on another
        dimension.
        """
        return self._store.search(vector, k) if self._store is not None else []

    def build(self, corpus: Corpus, stop: threading.Event) -> int:
        """Bring the vectors in line with `corpus` and save them; the number of chunks that had to be
        embedded.

        What is done when `stop` is set is kept. Raises `MemoryUnavailable` if the embedder has no model.
        """
        with self._building:
            store = self._opened()
            missing = {chunk.content_id: chunk for chunk in corpus.chunks if chunk.content_id not in self._known}
            gone = self._known - corpus.content_ids
            store.remove(gone)
            embedded = 0
            waiting = list(missing.values())
            for start in range(0, len(waiting), BUILD_BATCH_TEXTS):
                if stop.is_set():
                    break
                batch = waiting[start : start + BUILD_BATCH_TEXTS]
                rows = self._embedder.embed_documents([embedding_text(chunk) for chunk in batch])
                store.add([chunk.content_id for chunk in batch], np.asarray(rows, dtype=np.float32))
                embedded += len(batch)
            self._known = store.ids()
            self.problem = None
            if embedded or gone:
                self._save(store)
            return embedded

    def _opened(self) -> VectorStore:
        if self._store is None:
            store = self._new_store()
            try:
                store.load()
            except IndexMismatch:
                store = self._new_store()
            self._store = store
            self._known = store.ids()
        return self._store

    def _new_store(self) -> VectorStore:
        return self._open_store(self._folder, self._embedder.name, self._embedder.dimension)

    def _save(self, store: VectorStore) -> None:
        try:
            store.save()
        except OSError as exc:
            self.problem = (
                f"The index cannot be written ({exc.strerror}); check VECTOR_STORE_PATH and the disk's space."
            )
