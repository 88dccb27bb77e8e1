"""A bank's text cut into passages, and its words counted, kept beside the index: a start need not do that again.

Nothing is taken from here on trust: a file's passages are found by the hash of the text read from the bank just now,
and the words by the passages they were counted in.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile

import numpy as np
import orjson

from retrievers.cache_file import CacheFile, is_damage
from retrievers.types import Passage
from retrievers.words import WordIndex

# Raised whenever texts are cut, redacted or counted in another way.
FORMAT = "5"
FILE = f"texts-{FORMAT}.sqlite"
_TABLES = {
    "files": "digest TEXT PRIMARY KEY, checksum TEXT NOT NULL, value BLOB NOT NULL",
    "words": "digest TEXT PRIMARY KEY, checksum TEXT NOT NULL, value BLOB NOT NULL",
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
        self._lock = threading.Lock()
        self._file: CacheFile | None = None
        self._is_closed = False
        self._bad: set[str] = set()

    def cut(self, digest: str, make: Callable[[], CutText]) -> CutText:
        """The passages of the text with that digest; made, and not yet kept, where they are not known."""
        try:
            data = self._found("files", digest)
            return make() if data is None else _unpacked(data)
        except (ValueError, TypeError):
            self._bad.add(digest)
            return make()

    def words(self, passages: Collection[Passage]) -> WordIndex:
        """The words of these passages; counted where they are not known."""
        digest = words_digest(passages)
        try:
            data = self._found("words", digest)
            if data is not None:
                with np.load(BytesIO(data), allow_pickle=False) as arrays:
                    return WordIndex.of_arrays(dict(arrays))
        except (OSError, EOFError, BadZipFile, ValueError, KeyError):
            self._bad.add(digest)
        return WordIndex.of_passages(tuple(passages))

    def keep(self, texts: Iterable[tuple[str, CutText]], passages: Collection[Passage], words: WordIndex) -> None:
        """Keep exactly these, with the words of the passages in them. Raises nothing: the next start counts again."""
        cut = dict(texts)
        digest = words_digest(passages)
        try:
            file = self._opened()
            known = {key for (key,) in file.read("SELECT digest FROM files")}
            file.write("DELETE FROM files WHERE digest = ?", [(key,) for key in known - cut.keys()])
            missing = cut.keys() - (known - self._bad)
            rows = [(key, _packed(cut[key])) for key in missing]
            file.write("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", [_checked(*row) for row in rows])
            if digest in self._bad or not file.read("SELECT 1 FROM words WHERE digest = ?", (digest,)):
                data = BytesIO()
                np.savez(data, allow_pickle=False, **words.arrays())
                file.write("DELETE FROM words WHERE digest <> ?", [(digest,)])
                file.write("INSERT OR REPLACE INTO words VALUES (?, ?, ?)", [_checked(digest, data.getvalue())])
            self._bad.difference_update((*cut, digest))
        except sqlite3.Error as exc:
            self._let_go_if_damaged(exc)
        except (OSError, ValueError, TypeError):
            return

    def close(self) -> None:
        """Close the file; all is made anew from then on."""
        with self._lock:
            self._is_closed = True
            file, self._file = self._file, None
        if file is not None:
            file.close()

    def _found(self, table: str, digest: str) -> bytes | None:
        """What is kept. Raises `ValueError` if it is not what was written."""
        try:
            rows = self._opened().read(f"SELECT checksum, value FROM {table} WHERE digest = ?", (digest,))  # noqa: S608
        except sqlite3.Error as exc:
            self._let_go_if_damaged(exc)
            return None
        except OSError:
            return None
        if not rows:
            return None
        checksum, data = rows[0]
        if not isinstance(data, bytes) or checksum != hashlib.sha256(data).hexdigest():
            raise ValueError("The row is damaged.")
        return data

    def _opened(self) -> CacheFile:
        with self._lock:
            if self._is_closed:
                raise sqlite3.ProgrammingError("The file is closed.")
            if self._file is None:
                self._file = CacheFile(self._folder / FILE, _TABLES)
            return self._file

    def _let_go_if_damaged(self, exc: sqlite3.Error) -> None:
        """The next use opens the file again, which makes it anew."""
        if is_damage(exc):
            with self._lock:
                file, self._file = self._file, None
            if file is not None:
                file.close()


def words_digest(passages: Collection[Passage]) -> str:
    """What the words of these passages are found by: all that is counted, whatever folder the files are in."""
    digest = hashlib.sha256()
    for passage in passages:
        stem = PurePosixPath(passage.file).stem
        digest.update(f"{stem}\0{passage.content_id}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _checked(digest: str, data: bytes) -> tuple[str, str, bytes]:
    return digest, hashlib.sha256(data).hexdigest(), data


def _packed(cut: CutText) -> bytes:
    """A chunk is kept as how far it lies behind the one before, its length, and where it stands."""
    at = 0
    chunks: list[tuple[int, int, str, int, int]] = []
    for part, heading, first, last in cut.chunks:
        start = cut.text.index(part, at)
        chunks.append((start - at, len(part), heading, first, last))
        at = start + len(part)
    return orjson.dumps((cut.text, cut.redacted, chunks))


def _unpacked(data: bytes) -> CutText:
    """Raises `ValueError` or `TypeError` if it was not packed."""
    text, redacted, chunks = orjson.loads(data)
    if not isinstance(text, str) or type(redacted) is not int:
        raise TypeError("No text, or no number.")
    parts = tuple((part, *where) for part, where in _sliced(text, chunks))
    if any([type(each) for each in part] != [str, str, int, int] for part in parts):
        raise TypeError("No chunks.")
    return CutText(text, redacted, parts)


def _sliced(text: str, chunks: Iterable[tuple[Any, ...]]) -> Iterable[tuple[str, tuple[str, int, int]]]:
    at = 0
    for gap, length, heading, first, last in chunks:
        start = at + gap
        at = start + length
        yield text[start:at], (heading, first, last)
