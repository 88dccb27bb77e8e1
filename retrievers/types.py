"""What the memory bank's parts hand to each other, and the two seams: `VectorStore` and `Embedder`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
TokenCounter = Callable[[str], int]
EmbedderState = Literal["not loaded", "loading", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class BankFile:
    """One readable file of a bank.

    `path` is absolute and free of links. `name` is posix and relative to the workspace, so it begins with `../`
    where the bank lies in a folder above: a client that opens it gets this very file. Two equal values mean that
    the file was not touched in between, as far as `stat` can tell.
    """

    path: Path
    name: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    core: bool
    archived: bool


@dataclass(frozen=True, slots=True)
class MemoryBank:
    """A bank as it lies on disk now: files in reading order, and what was not taken with the reason why."""

    root: Path
    workspace: Path
    files: tuple[BankFile, ...]
    left_out: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of all files taken."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Passage:
    """A run of whole lines of one file (or a part of one over-long line), with where it comes from.

    `file` is the name of its `BankFile`, `heading` a breadcrumb like `Progress > Known issues`
    (empty for a whole file and for text above the first heading), lines count from 1 and include both ends.
    `tokens` counts `rendered`; `score` is the cosine similarity to the query where one was measured.
    `content_id` is the same for the same heading and text, wherever they stand. `day` is the newest that the passage
    names, else that of its file.
    """

    text: str
    file: str
    heading: str
    start_line: int
    end_line: int
    modified_at: datetime
    content_id: str = ""
    archived: bool = False
    day: str = ""
    tokens: int | None = None
    score: float | None = None

    @property
    def source(self) -> str:
        """Where the text stands, e.g. `memory-bank/progress.md#Progress > Known issues`."""
        return f"{self.file}#{self.heading}" if self.heading else self.file

    @property
    def embedded(self) -> str:
        """What is embedded: the breadcrumb gives the text the context its lines alone lack."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text

    @property
    def rendered(self) -> str:
        """The source line and the text: what a token budget has to pay for."""
        return f"{self.source}\n{self.text}"


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a question gets from the bank.

    `whole` says that every file of the bank is here in reading order; otherwise passages come best first, by vectors
    and words or, with `used_vectors` false, by words alone; or in reading order, core files first, where `note` says
    so. `note` tells what was not possible, without any bank text.
    """

    passages: tuple[Passage, ...] = ()
    used_vectors: bool = False
    note: str | None = None
    whole: bool = False

    @property
    def tokens(self) -> int:
        """Tokens of all passages as rendered."""
        return sum(passage.tokens or 0 for passage in self.passages)


@dataclass(frozen=True, slots=True)
class EmbedderStatus:
    """How far an embedder is; `detail` is the fix to try when it failed, `load_s` the seconds that loading
    took.
    """

    state: EmbedderState
    detail: str | None = None
    load_s: float | None = None


@dataclass(frozen=True, slots=True)
class BankStatus:
    """One workspace's memory for health pages and the terminal; `root` is None where no bank was found.

    `redacted` counts the keys and passwords that were replaced before the text was used.
    """

    workspace: Path
    root: Path | None = None
    files: int = 0
    size_bytes: int = 0
    chunks: int = 0
    vectors: int = 0
    vectors_ready: bool = False
    embedder: EmbedderState = "not loaded"
    left_out: tuple[str, ...] = ()
    note: str | None = None
    redacted: int = 0


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """One bank in use: where it is, how many vectors it has, and one sentence on what keeps it from having all.

    `built_at` is when they were last brought in line with the bank's files, in Unix seconds; None before that.
    """

    root: Path
    vectors: int
    problem: str | None = None
    built_at: float | None = None


class Embedder(Protocol):
    """Turns text into unit vectors; `name` and `dimension` identify the vectors on disk.

    Shaped so that a LangChain `Embeddings` with these few additions fits.
    """

    @property
    def name(self) -> str:
        """The model, as written into the index."""
        ...

    @property
    def dimension(self) -> int:
        """Length of each vector; may block to find out, and raises `MemoryUnavailable` if it cannot."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether embedding would start at once."""
        ...

    def start_loading(self) -> None:
        """Begin to load in the background; returns at once, and does nothing when called again."""
        ...

    def status(self) -> EmbedderStatus:
        """How far loading is."""
        ...

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """`(n, dimension)`, normalised; blocks, loads if needed; raises `MemoryUnavailable` if it cannot."""
        ...

    def embed_query(self, text: str) -> list[float]:
        """`(dimension,)` normalised; blocks, loads if needed; raises `MemoryUnavailable` if it cannot."""
        ...


class VectorStore(Protocol):
    """Unit vectors by content id, on disk. Safe to call from several threads."""

    def load(self) -> None:
        """Read what is on disk; nothing there is an empty store. Raises `IndexMismatch` if damaged or
        foreign.
        """
        ...

    def save(self) -> None:
        """Write all of it atomically: a reader, or a crash, sees the old state or the new one. Raises
        `OSError`.
        """
        ...

    def ids(self) -> frozenset[str]:
        """The content ids that have a vector."""
        ...

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Add or replace; `vectors` is `(len(ids), dimension)` float32. Raises `IndexMismatch` on another
        shape.
        """
        ...

    def remove(self, ids: Collection[str]) -> None:
        """Remove; unknown ids are ignored."""
        ...

    def search(self, vector: Vectors, k: int) -> list[tuple[str, float]]:
        """At most `k` `(id, cosine similarity)`, best first; `vector` is `(dimension,)`, normalised."""
        ...


OpenStore = Callable[[Path, str, int], VectorStore]
"""Makes an empty store for `(folder, embedder name, dimension)`; reads and writes nothing yet."""
