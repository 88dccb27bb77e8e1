"""Vectors in a FAISS index on disk. The only importer of faiss, and only when a store is built.

    <folder>/manifest.json             format, embedder, dimension, name and hash of the vectors' file,
    content ids <folder>/vectors-<generation>.faiss

The manifest is replaced last and names its vectors, so a crash at any moment leaves the old pair or the new
one. The text of passages is not stored: it is read from the bank, where it cannot be stale.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import IndexMismatch
from retrievers.stores.manifest import (
    identity,
    private_folder,
    read_manifest,
    unnamed,
    write_atomically,
    write_manifest,
)
from retrievers.stores.shapes import as_cosine, check_query, rows_by_id
from retrievers.types import Vectors

FORMAT = 2


class FaissStore:
    """Inner-product search over all normalised vectors in half precision, by content id.

    Args:
        folder: Where the index lives; made when first saved, for this user only.
        embedder_name: Whose vectors these are; others on disk raise `IndexMismatch` on `load`.
        dimension: Length of each vector.
    """

    def __init__(self, folder: Path, embedder_name: str, dimension: int) -> None:
        import faiss  # noqa: PLC0415 - a native library, loaded only where a store is built

        self._faiss: Any = faiss
        self._folder = folder
        self._identity = identity(FORMAT, embedder_name, dimension)
        self._dimension = dimension
        self._lock = threading.Lock()
        self._index = self._empty()
        self._ids: dict[int, str] = {}

    def load(self) -> None:
        """Read what is on disk; nothing there is an empty store. Raises `IndexMismatch` if damaged or
        foreign.
        """
        manifest = read_manifest(self._folder, self._identity)
        if manifest is None:
            return
        index, ids = self._read(manifest)
        with self._lock:
            self._index, self._ids = index, ids

    def save(self) -> None:
        """Write all of it atomically. Raises `OSError`, and leaves the old state then."""
        with self._lock:
            data = self._faiss.serialize_index(self._index).tobytes()
            ids = list(self._ids.values())
        private_folder(self._folder)
        vectors_name = f"vectors-{uuid.uuid4().hex}.faiss"
        write_atomically(self._folder / vectors_name, data)
        described = {"vectors": vectors_name, "sha256": hashlib.sha256(data).hexdigest(), "ids": ids}
        write_manifest(self._folder, self._identity | described)
        for path in unnamed(self._folder, ("vectors-*.faiss", ".writing-*"), vectors_name):
            with suppress(OSError):
                path.unlink()

    def ids(self) -> frozenset[str]:
        """The content ids that have a vector."""
        with self._lock:
            return frozenset(self._ids.values())

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Add or replace; `vectors` is `(len(ids), dimension)` float32. Raises `IndexMismatch` on another
        shape.
        """
        rows = {_number(content_id): row for content_id, row in rows_by_id(ids, vectors, self._dimension).items()}
        numbers = np.fromiter(rows, dtype=np.int64, count=len(rows))
        with self._lock:
            self._drop(rows)
            self._index.add_with_ids(np.ascontiguousarray(vectors[list(rows.values())], dtype=np.float32), numbers)
            self._ids.update({number: ids[row] for number, row in rows.items()})

    def remove(self, ids: Collection[str]) -> None:
        """Remove; unknown ids are ignored."""
        with self._lock:
            self._drop(_number(content_id) for content_id in ids)

    def search(self, vector: Vectors, k: int) -> list[tuple[str, float]]:
        """At most `k` `(id, cosine similarity)`, best first; `vector` is `(dimension,)`, normalised."""
        check_query(vector, self._dimension)
        with self._lock:
            k = min(k, len(self._ids))
            if k <= 0:
                return []
            # More threads than one wait for each other longer than a bank's search takes.
            self._faiss.omp_set_num_threads(1)
            scores, numbers = self._index.search(np.ascontiguousarray(vector[None], dtype=np.float32), k)
            found = zip(numbers[0].tolist(), scores[0].tolist(), strict=True)
            return [(self._ids[number], as_cosine(score)) for number, score in found if number in self._ids]

    def _empty(self) -> Any:
        # A search takes as long as reading them all does, and halves are half as much.
        halves = self._faiss.ScalarQuantizer.QT_fp16
        rows = self._faiss.IndexScalarQuantizer(self._dimension, halves, self._faiss.METRIC_INNER_PRODUCT)
        return self._faiss.IndexIDMap2(rows)

    def _drop(self, numbers: Iterable[int]) -> None:
        known = [number for number in numbers if self._ids.pop(number, None) is not None]
        if known:
            self._index.remove_ids(np.array(known, dtype=np.int64))

    def _read(self, manifest: dict[str, Any]) -> tuple[Any, dict[int, str]]:
        damaged = IndexMismatch("The index's vectors are damaged; the index will be rebuilt.")
        try:
            # A name, not a path: the manifest may not send us elsewhere.
            data = (self._folder / Path(manifest["vectors"]).name).read_bytes()
            ids = {_number(content_id): str(content_id) for content_id in manifest["ids"]}
        except (OSError, KeyError, TypeError, AttributeError):
            raise damaged from None
        # faiss trusts what it reads: nothing but our own bytes may reach it.
        if hashlib.sha256(data).hexdigest() != manifest.get("sha256"):
            raise damaged
        try:
            index = self._faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
            numbers = set(self._faiss.vector_to_array(index.id_map).tolist())
        except (RuntimeError, AttributeError):
            raise damaged from None
        if index.d != self._dimension or index.ntotal != len(ids) or numbers != ids.keys():
            raise damaged
        return index, ids


def _number(content_id: str) -> int:
    digest = hashlib.blake2b(content_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
