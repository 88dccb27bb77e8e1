"""Vectors of each passage's line groups, beside the index: read for the few passages that a question considers."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from config.errors import IndexMismatch
from retrievers.cache_file import CacheFile
from retrievers.types import Vectors

FORMAT = "1"
FILE = "lines.sqlite"
_KEYS_PER_QUERY = 500


class LineVectors:
    """Unit vectors in half precision, by content id. Safe to call from several threads and processes.

    What is on disk of another embedder, dimension or format is dropped. Where the folder cannot be written, they are
    kept in memory only. Whatever fails later is an `IndexMismatch`.

    Args:
        folder: The bank's index folder; made when needed.
        embedder_name: Whose vectors these are.
        dimension: Length of each vector.
    """

    def __init__(self, folder: Path, embedder_name: str, dimension: int) -> None:
        self._dimension = dimension
        about = {"format": FORMAT, "embedder": embedder_name, "dimension": str(dimension)}
        tables = {"lines": "content_id TEXT PRIMARY KEY, vectors BLOB NOT NULL"}
        try:
            self._file = CacheFile(folder / FILE, tables, about)
        except (OSError, sqlite3.Error):
            self._file = CacheFile(None, tables, about)

    def ids(self) -> frozenset[str]:
        """The content ids that have vectors."""
        return frozenset(key for key, _ in self._read("SELECT content_id, NULL FROM lines"))

    def put(self, vectors: Mapping[str, Vectors]) -> None:
        """Add or replace; each value is `(line groups, dimension)`."""
        rows = [(key, value.astype(np.float16).tobytes()) for key, value in vectors.items()]
        self._write("INSERT OR REPLACE INTO lines VALUES (?, ?)", rows)

    def remove(self, ids: Iterable[str]) -> None:
        """Remove; unknown ids are ignored."""
        self._write("DELETE FROM lines WHERE content_id = ?", [(key,) for key in ids])

    def similarities(self, vector: Vectors, ids: Collection[str]) -> dict[str, Vectors]:
        """For each of `ids` that is known the cosine similarity of each of its line groups to `(dimension,)`."""
        keys = list(ids)
        found: list[tuple[str, bytes]] = []
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            part = keys[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(part))
            found += self._read(f"SELECT content_id, vectors FROM lines WHERE content_id IN ({marks})", part)  # noqa: S608
        found = [(key, data) for key, data in found if data and len(data) % (2 * self._dimension) == 0]
        if not found:
            return {}
        rows = np.frombuffer(b"".join(data for _, data in found), dtype=np.float16).reshape(-1, self._dimension)
        ends = np.cumsum([len(data) // (2 * self._dimension) for _, data in found])
        parts = np.split(rows.astype(np.float32) @ vector, ends[:-1])
        return {key: part for (key, _), part in zip(found, parts, strict=True)}

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, query: str, values: list[str] | None = None) -> list[tuple[str, bytes]]:
        try:
            return self._file.read(query, values or ())
        except sqlite3.Error:
            raise _unusable() from None

    def _write(self, query: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            self._file.write(query, rows)
        except sqlite3.Error:
            raise _unusable() from None


def _unusable() -> IndexMismatch:
    return IndexMismatch(
        "The vectors of lines cannot be used; check VECTOR_STORE_PATH and the disk's space, or delete the index folder."
    )
