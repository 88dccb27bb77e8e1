"""What the tests of the memory bank share: a writer of banks and an embedder without a model."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from pathlib import Path

import numpy as np
from langchain_core.embeddings import Embeddings

from config.errors import MemoryUnavailable
from retrievers.bank import BankFinder
from retrievers.cache_file import PAGE_BYTES
from retrievers.layouts import DEFAULT_FOLDERS
from retrievers.listing import DEFAULT_LIMITS, BankLimits
from retrievers.types import EmbedderState, EmbedderStatus, MemoryBank

DIMENSION = 512


def write_bank(folder: Path, files: dict[str, str]) -> Path:
    """Write `files` (name -> text) below `folder` and return it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def two_core_files() -> dict[str, str]:
    return {
        "projectbrief.md": "# Brief\n\nA scheduler for tide gauges.\n",
        "progress.md": "# Progress\n\nThe importer works.\n",
    }


def words(count: int, word: str = "tide") -> str:
    """Lines of ten words, to give a section a size; every word is numbered so that no two lines are equal."""
    numbered = [f"{word}{number}" for number in range(count)]
    return "".join(" ".join(numbered[start : start + 10]) + "\n" for start in range(0, count, 10))


def count_words(text: str) -> int:
    return len(text.split())


def find_bank(
    workspace: Path, *, folders: tuple[str, ...] = DEFAULT_FOLDERS, limits: BankLimits = DEFAULT_LIMITS
) -> MemoryBank | None:
    """One look of a `BankFinder` of its own."""
    return BankFinder(folders=folders, limits=limits).find(workspace)


class WordEmbedder(Embeddings):
    """A set of hashed words, numbers left out: texts that share words are near. Counts what it embeds."""

    def __init__(self, *, state: EmbedderState = "ready", name: str = "words", dimension: int = DIMENSION) -> None:
        self.state: EmbedderState = state
        self._name = name
        self._dimension = dimension
        self.embedded: list[str] = []
        self.queries: list[str] = []

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def is_ready(self) -> bool:
        return self.state == "ready"

    def start_loading(self) -> None:
        self.state = "ready"

    def status(self) -> EmbedderStatus:
        return EmbedderStatus(self.state, "Install the words." if self.state == "failed" else None)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if not self.is_ready:
            raise MemoryUnavailable("Install the words.")
        self.embedded += texts
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        self.queries.append(text)
        return self._vector(text)

    def _vector(self, text: str) -> list[float]:
        row = np.full(self._dimension, 1e-3)
        for word in set(re.findall(r"[^\W\d]+", text.casefold())):
            row[int(hashlib.sha256(word.encode()).hexdigest(), 16) % self._dimension] += 1.0
        return [float(value) for value in row / np.linalg.norm(row)]


def without_log(path: Path) -> bytearray:
    """All bytes of a closed SQLite file, with no log beside it."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return bytearray(path.read_bytes())


def spoil_pages(path: Path) -> None:
    data = without_log(path)
    data[2 * PAGE_BYTES :] = b"Z" * (len(data) - 2 * PAGE_BYTES)
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(without_log(path)[: 3 * PAGE_BYTES])


def give_other_columns(path: Path) -> None:
    without_log(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        for table in ("lines", "files", "words"):
            other.execute(f"CREATE TABLE {table} (a, b, c)")
    other.close()


WAYS_TO_DAMAGE = (spoil_pages, cut_short, give_other_columns)
