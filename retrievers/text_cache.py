"""A bank's text cut into passages, and its words counted, kept beside the index: a start need not do that again.

Nothing is taken from here on trust: a file's passages are found by the hash of the text read from the bank just now,
and the words by the passages they were counted in.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import orjson

from retrievers.cache_file import CacheFile
from retrievers.types import Passage
from retrievers.words import WordIndex

# Raised whenever texts are cut, redacted or counted in another way.
FORMAT = "1"
FILE = "texts.sqlite"
_TABLES = {
    "files": "digest TEXT PRIMARY KEY, value BLOB NOT NULL",
    "words": "digest TEXT PRIMARY KEY, value BLOB NOT NULL",
}


@dataclass(frozen=True, slots=True)
class CutText:
    """A text without secrets, how many were taken out, and its chunks as `(text, heading, first line, last line)`."""

    text: str
    redacted: int
    chunks: tuple[tuple[str, str, int, int], ...]


def text_digest(text: str) -> str:
    """What a file's passages are found by."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class TextCache:
    """Kept in the bank's index folder. Safe to call from several threads and processes; what fails is made anew.

    Args:
        folder: The bank's index folder, opened when something is first looked for.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: CacheFile | None = None

    def cut(self, digest: str, make: Callable[[], CutText]) -> CutText:
        """The passages of the text with that digest; made, and not yet kept, where they are not known."""
        try:
            rows = self._opened().read("SELECT value FROM files WHERE digest = ?", (digest,))
            if not rows:
                return make()
            text, redacted, chunks = orjson.loads(rows[0][0])
            return CutText(text, redacted, tuple((part, *where) for part, where in _sliced(text, chunks)))
        except (OSError, sqlite3.Error, ValueError, TypeError):
            return make()

    def words(self, passages: Collection[Passage]) -> WordIndex:
        """The words of these passages; counted where they are not known."""
        try:
            rows = self._opened().read("SELECT value FROM words WHERE digest = ?", (_digest_of(passages),))
            if rows:
                with np.load(BytesIO(rows[0][0]), allow_pickle=False) as arrays:
                    return WordIndex.of_arrays(dict(arrays))
        except (OSError, EOFError, sqlite3.Error, BadZipFile, ValueError, KeyError):
            pass
        return WordIndex.of_passages(tuple(passages))

    def keep(self, texts: Iterable[tuple[str, CutText]], passages: Collection[Passage], words: WordIndex) -> None:
        """Keep exactly these, with the words of the passages in them. Raises nothing: the next start counts again."""
        try:
            file = self._opened()
            cut = dict(texts)
            known = {digest for (digest,) in file.read("SELECT digest FROM files")}
            file.write("DELETE FROM files WHERE digest = ?", [(digest,) for digest in known - cut.keys()])
            rows = [(digest, _packed(cut[digest])) for digest in cut.keys() - known]
            file.write("INSERT OR REPLACE INTO files VALUES (?, ?)", rows)
            digest = _digest_of(passages)
            if not file.read("SELECT 1 FROM words WHERE digest = ?", (digest,)):
                data = BytesIO()
                np.savez(data, allow_pickle=False, **words.arrays())
                file.write("DELETE FROM words WHERE digest <> ?", [(digest,)])
                file.write("INSERT OR REPLACE INTO words VALUES (?, ?)", [(digest, data.getvalue())])
        except (OSError, sqlite3.Error):
            return

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _opened(self) -> CacheFile:
        if self._file is None:
            self._file = CacheFile(self._folder / FILE, _TABLES, {"format": FORMAT})
        return self._file


def _packed(cut: CutText) -> bytes:
    """A chunk is kept as how far it lies behind the one before, its length, and where it stands."""
    at = 0
    chunks: list[tuple[int, int, str, int, int]] = []
    for part, heading, first, last in cut.chunks:
        start = cut.text.index(part, at)
        chunks.append((start - at, len(part), heading, first, last))
        at = start + len(part)
    return orjson.dumps((cut.text, cut.redacted, chunks))


def _sliced(text: str, chunks: Iterable[tuple[Any, ...]]) -> Iterable[tuple[str, tuple[str, int, int]]]:
    at = 0
    for gap, length, heading, first, last in chunks:
        start = at + gap
        at = start + length
        yield text[start:at], (heading, first, last)


def _digest_of(passages: Collection[Passage]) -> str:
    digest = hashlib.sha256()
    for passage in passages:
        digest.update(f"{passage.file}\0{passage.content_id}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
