"""Vectors of each passage's line groups: on disk beside the index, and in memory for the questions."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import IndexMismatch
from retrievers.cache_file import CacheFile, is_damage
from retrievers.types import Vectors

FORMAT = "3"
_WIDER_FRACTION = 23 - 10
_SIGN_EXPONENT_FRACTION = np.int32(~0x7000_0000)
_BIAS_SET_RIGHT = np.float32(2.0 ** (127 - 15))
_TABLES = {"lines": "content_id TEXT PRIMARY KEY, vectors BLOB NOT NULL"}


def lines_file(embedder_name: str, dimension: int) -> str:
    """The file's name: each embedder, dimension and format has its own, so that two services share a folder."""
    identity = f"{FORMAT}\n{dimension}\n{embedder_name}".encode("utf-8", "surrogatepass")
    return f"lines-{hashlib.sha256(identity).hexdigest()[:16]}.sqlite"


class LineVectors:
    """Unit vectors in half precision, by content id, on disk and all of them in memory too. Safe to call from several
    threads and processes.

    Where the folder cannot be written, they are kept in memory only. Whatever of the file fails later is an
    `IndexMismatch`; `is_damaged` says then whether opening them again makes them anew.

    Args:
        folder: The bank's index folder; made when needed.
        embedder_name: Whose vectors these are.
        dimension: Length of each vector.
    """

    def __init__(self, folder: Path, embedder_name: str, dimension: int) -> None:
        self._dimension = dimension
        self.is_damaged = False
        try:
            self._file = CacheFile(folder / lines_file(embedder_name, dimension), _TABLES)
        except (OSError, sqlite3.Error):
            self._file = CacheFile(None, _TABLES)
        try:
            self._rows = self._whole(self._read("SELECT content_id, vectors FROM lines"))
        except IndexMismatch:
            self._file.close()
            raise

    def ids(self) -> frozenset[str]:
        """The content ids that have vectors; those that another process added are read, and those it removed let go."""
        listed = frozenset(key for (key,) in self._read("SELECT content_id FROM lines"))
        for key in self._rows.keys() - listed:
            self._rows.pop(key, None)
        for key in listed - self._rows.keys():
            self._rows |= self._whole(self._read("SELECT content_id, vectors FROM lines WHERE content_id = ?", (key,)))
        return listed

    def put(self, vectors: Mapping[str, Vectors]) -> None:
        """Add or replace; each value is `(line groups, dimension)`."""
        rows = {key: value.astype(np.float16).tobytes() for key, value in vectors.items()}
        self._write("INSERT OR REPLACE INTO lines VALUES (?, ?)", list(rows.items()))
        self._rows.update(rows)

    def remove(self, ids: Iterable[str]) -> None:
        """Remove; unknown ids are ignored."""
        keys = list(ids)
        self._write("DELETE FROM lines WHERE content_id = ?", [(key,) for key in keys])
        for key in keys:
            self._rows.pop(key, None)

    def similarities(self, vector: Vectors, ids: Iterable[str]) -> dict[str, list[float]]:
        """For each of `ids` that is known the cosine similarity of each of its line groups to `(dimension,)`."""
        found = [(key, data) for key in ids if (data := self._rows.get(key)) is not None]
        if not found:
            return {}
        rows = _widened(b"".join([data for _, data in found])).reshape(-1, self._dimension)
        # Of so few numbers as a passage has Python finds the largest sooner than numpy.
        cosines: list[float] = (rows @ vector).tolist()
        ends = list(accumulate(len(data) // (2 * self._dimension) for _, data in found))
        return {key: cosines[start:end] for (key, _), start, end in zip(found, [0, *ends], ends, strict=False)}

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _whole(self, rows: Iterable[tuple[str, object]]) -> dict[str, bytes]:
        size = 2 * self._dimension
        return {key: data for key, data in rows if isinstance(data, bytes) and data and len(data) % size == 0}

    def _read(self, query: str, values: Sequence[str] = ()) -> list[Any]:
        try:
            return self._file.read(query, values)
        except sqlite3.Error as exc:
            raise self._unusable(exc) from None

    def _write(self, query: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            self._file.write(query, rows)
        except sqlite3.Error as exc:
            raise self._unusable(exc) from None

    def _unusable(self, exc: sqlite3.Error) -> IndexMismatch:
        self.is_damaged = self.is_damaged or is_damage(exc)
        return IndexMismatch(
            "The vectors of lines cannot be used; check VECTOR_STORE_PATH and the disk's space, or delete the index "
            "folder."
        )


def _widened(halves: bytes) -> Vectors:
    """Finite half precision as single precision, several times as fast as numpy's own: the bits of sign, exponent and
    fraction in their new places, then the exponent's bias set right; in place, as fresh memory costs more than that.
    """
    bits = np.frombuffer(halves, dtype=np.int16).astype(np.int32)
    bits <<= _WIDER_FRACTION
    bits &= _SIGN_EXPONENT_FRACTION
    wide = bits.view(np.float32)
    wide *= _BIAS_SET_RIGHT
    return wide
